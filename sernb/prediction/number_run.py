"""A run that predicts a number, such as arousal → what it says of recordings, and where it should not be believed."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sernb.audio.decoders import AudioError, Seconds
from sernb.audio.reading import Recording
from sernb.audio.recordings import Source, printable, read_blocks
from sernb.config import DataError
from sernb.features import Features, Functionals
from sernb.prediction.domain_check import distance, frame_levels
from sernb.prediction.formats import as_cell, clock
from sernb.prediction.predict import no_speech
from sernb.prediction.trained_run import LONGEST, read_features
from sernb.protocols.protocol import get_protocol
from sernb.runs.run_folder import open_run
from sernb.runtime.bounded import arrays_in, json_in, number
from sernb.runtime.files import Damaged
from sernb.systems.learning.linear_classifier import LinearClassifier, classifier_from_arrays

VOICE: Seconds = 0.1  # of voice at least
QUIET = -80.0  # dBFS: what is quieter throughout is silence


@dataclass(frozen=True)
class NumberModel:
    """Weights of one number, and what is known of the training clips."""

    name: str
    target: str
    features: Features
    machine: LinearClassifier  # of one plane
    intercept: float
    lowest: float  # of the training clips' values
    highest: float
    farthest: float  # distance that few training clips exceed


@dataclass(frozen=True)
class NumberPrediction:
    """What is predicted of one recording."""

    file: str
    seconds: Seconds
    model: str
    target: str
    value: float
    notes: tuple[str, ...] = ()  # why it should not be believed


def is_number_run(folder: str | Path) -> bool:
    """Whether a folder is that of a run that predicts a number."""
    try:
        labels = json_in(Path(folder) / "config.json").get("labels")
    except DataError:  # whoever reads it says why
        return False
    return isinstance(labels, dict) and labels.get("type") == "NumericTarget"


def load_number_run(folder: Path) -> NumberModel:
    """Read a finished run that predicts a number.

    Raises:
        DataError: if it is damaged, kept no weights, or was trained on speaker-normalised features
    """
    again = "remove the folder and give the same `sernb experiment` again"
    try:
        run = open_run(folder)
        if run is None or not run.has("weights.npz"):
            raise DataError(f"{folder}: the run keeps no weights; take functionals-ridge-regression, or {again}")
        config, chosen = run.config, run.metrics["chosen"]
        if get_protocol(config["protocol"]).transductive:
            raise DataError(
                f"{folder}: was trained on speakers standardised with their own clips; take a speaker-independent run"
            )
        arrays = arrays_in(folder / "weights.npz")
        if "planes" not in arrays:
            raise DataError(
                f"{folder}: is of a network, which predicts no number here; take functionals-ridge-regression"
            )
        features, machine = read_features(config, folder), classifier_from_arrays(arrays)
        if machine.planes.shape != (1, features.width):
            raise ValueError
        known = [number(chosen[name], name) for name in ("lowest truth", "highest truth")]
        farthest = chosen["farthest clip"]
        farthest = np.inf if farthest is None else number(farthest, "farthest clip")  # without inner folds not known
        intercept = number(float(arrays["intercept"][0]), "intercept")
        return NumberModel(config["system"], config["labels"]["name"], features, machine, intercept, *known, farthest)
    except Damaged as error:
        raise DataError(f"{error}; give the same `sernb experiment` again, which makes it anew") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{folder}: is not as a finished run was written; {again}") from error


def predict_number(model: NumberModel, recording: Recording) -> NumberPrediction:
    """Predict the number of one recording.

    Raises:
        DataError: if the recording cannot be used, is silent, has no voice, or is too long
    """
    path = recording.path
    if recording.seconds > LONGEST:
        raise DataError(f"{path}: is {recording.seconds:.0f} s long, predicted are up to {LONGEST:.0f} s; cut it")
    signal = np.concatenate(list(read_blocks(recording, model.features.sampling_rate)))
    if frame_levels(signal, model.features.sampling_rate).max() < QUIET:
        raise AudioError(path, "no-speech", f"is silent: nothing in it is louder than {QUIET:.0f} dBFS", "record again")
    row = model.features(signal)[0]
    functionals = Functionals()
    measured = row if isinstance(model.features, Functionals) else functionals(signal)[0]
    voice = measured[list(functionals.names).index("voiced share")] * recording.seconds
    if voice < VOICE:
        raise no_speech(path)
    value = float(model.machine.standardised(row[None])[0] @ model.machine.planes[0].astype(float)) + model.intercept
    notes = [*recording.notes]
    if not model.lowest <= value <= model.highest:
        notes.append(f"{value:.3g} is outside of the training values, {model.lowest:.3g} to {model.highest:.3g}")
    if (far := distance(row, model.machine)) > model.farthest:
        notes.append(
            f"it sounds unlike the training corpus: {far:.2f} standard deviations, where 995 of 1000 training clips "
            f"have {model.farthest:.2f} or less"
        )
    return NumberPrediction(printable(path), recording.seconds, model.name, model.target, value, tuple(notes))


def predict_numbers(
    model: NumberModel, sources: Iterable[Source]
) -> Iterator[tuple[Path, NumberPrediction | DataError]]:
    """Yield the number of each of some recordings; what is wrong with one does not keep the others from it."""
    for source in sources:
        yield source.path, source.use(lambda recording: predict_number(model, recording))


def as_lines(prediction: NumberPrediction) -> list[str]:
    """Return a prediction for people."""
    first = f"{prediction.file}  {clock(prediction.seconds)}  {prediction.target} {prediction.value:.3g}"
    return [first, *(f"    note: {note}" for note in prediction.notes)]


def as_json(found: Sequence[tuple[Path, NumberPrediction | DataError]]) -> str:
    """Return predictions and what went wrong as JSON text."""
    listed = [
        {"file": printable(path), "error": printable(each)} if isinstance(each, DataError) else asdict(each)
        for path, each in found
    ]
    return json.dumps(listed, indent=1)


def as_csv(predictions: Sequence[NumberPrediction]) -> str:
    """Return one row a recording as CSV text."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(["file", "seconds", "target", "value", "notes"])
    for each in predictions:
        cells = each.file, f"{each.seconds:.3f}", each.target, f"{each.value:.7g}", "; ".join(each.notes)
        rows.writerow([as_cell(cells[0]), *cells[1:]])
    return written.getvalue()
