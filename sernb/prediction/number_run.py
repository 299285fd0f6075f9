"""Predict a number, such as arousal, with a finished regression run; notes say when the prediction is unreliable."""

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
from sernb.config import DataError, in_one_line
from sernb.encoders.registry import LONGEST
from sernb.features import Features, Functionals
from sernb.prediction.domain_check import distance, frame_levels
from sernb.prediction.formats import as_cell, format_clock
from sernb.prediction.predict import no_speech_error
from sernb.prediction.trained_run import read_features
from sernb.protocols.protocol import get_protocol
from sernb.runs.run_folder import open_run
from sernb.runtime.bounded import arrays_in, json_in, number
from sernb.runtime.files import Damaged
from sernb.systems.learning.linear_classifier import LinearClassifier, classifier_from_arrays

LEAST_VOICE: Seconds = 0.1  # least duration of voice
SILENCE = -80.0  # dBFS: a recording without a louder frame is silent


@dataclass(frozen=True)
class NumberModel:
    """A linear regressor of one target, with the range of its training data."""

    name: str
    target: str
    features: Features
    classifier: LinearClassifier  # with one row of weights
    intercept: float
    lowest: float  # training value
    highest: float  # training value
    farthest: float  # distance from the training mean that 0.5 % of the training clips exceed


@dataclass(frozen=True)
class NumberPrediction:
    """The prediction for one recording."""

    file: str
    seconds: Seconds
    model: str
    target: str
    value: float
    notes: tuple[str, ...] = ()  # remarks on the file, and why the value may be unreliable


def is_number_run(folder: str | Path) -> bool:
    """Return whether a folder is that of a run that predicts a number."""
    try:
        labels = json_in(Path(folder) / "config.json").get("labels")
    except DataError:  # load_number_run or load_model reports it
        return False
    return isinstance(labels, dict) and labels.get("type") == "NumericTarget"


def load_number_run(folder: Path) -> NumberModel:
    """Load a finished run that predicts a number.

    Raises:
        DataError: if it is damaged, stored no weights, or was trained on speaker-normalised features
    """
    again = "remove the folder and give the same `sernb experiment` again"
    try:
        run = open_run(folder)
        if run is None or not run.has("weights.npz"):
            raise DataError(f"{folder}: the run stored no weights; use functionals-ridge-regression, or {again}")
        config, chosen = run.config, run.metrics["chosen"]
        if get_protocol(config["protocol"]).transductive:
            raise DataError(f"{folder}: was trained on speaker-normalised features; use a speaker-independent run")
        arrays = arrays_in(folder / "weights.npz")
        if "planes" not in arrays:
            raise DataError(
                f"{folder}: is the run of a network, which cannot be loaded here; use functionals-ridge-regression"
            )
        features, classifier = read_features(config, folder), classifier_from_arrays(arrays)
        if classifier.planes.shape != (1, features.width):
            raise ValueError
        training_range = [number(chosen[name], name) for name in ("lowest truth", "highest truth")]
        farthest = chosen["farthest clip"]
        farthest = np.inf if farthest is None else number(farthest, "farthest clip")  # unknown without inner folds
        intercept = number(float(arrays["intercept"][0]), "intercept")
        return NumberModel(
            config["system"], config["labels"]["name"], features, classifier, intercept, *training_range, farthest
        )
    except Damaged as error:
        raise DataError(f"{error}; give the same `sernb experiment` again, which repeats the run") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{folder}: is not a valid finished run; {again}") from error


def predict_number(model: NumberModel, recording: Recording) -> NumberPrediction:
    """Predict the target for one recording.

    Raises:
        DataError: if the recording cannot be read, is silent, contains no voice, or is too long
    """
    path = recording.path
    if recording.seconds > LONGEST:
        raise DataError(f"{path}: is {recording.seconds:.0f} s long, the limit is {LONGEST:.0f} s; cut it")
    signal = np.concatenate(list(read_blocks(recording, model.features.sampling_rate)))
    if frame_levels(signal, model.features.sampling_rate).max() < SILENCE:
        raise AudioError(path, "no-speech", f"is silent: no frame is louder than {SILENCE:.0f} dBFS", "record again")
    row = model.features(signal)[0]
    functionals = Functionals()
    functionals_row = row if isinstance(model.features, Functionals) else functionals(signal)[0]
    voice = functionals_row[list(functionals.names).index("voiced share")] * recording.seconds
    if voice < LEAST_VOICE:
        raise no_speech_error(path)
    value = (
        float(model.classifier.standardise(row[None])[0] @ model.classifier.planes[0].astype(float)) + model.intercept
    )
    notes = [*recording.notes]
    if not model.lowest <= value <= model.highest:
        notes.append(f"{value:.3g} is outside the training range, {model.lowest:.3g} to {model.highest:.3g}")
    if (distance_from_mean := distance(row, model.classifier)) > model.farthest:
        notes.append(
            f"unlike the training corpus: {distance_from_mean:.2f} standard deviations, 99.5 % of the training clips "
            f"have {model.farthest:.2f} or less"
        )
    return NumberPrediction(printable(path), recording.seconds, model.name, model.target, value, tuple(notes))


def predict_numbers(
    model: NumberModel, sources: Iterable[Source]
) -> Iterator[tuple[Path, NumberPrediction | DataError]]:
    """Predict recordings one by one; one that fails yields its error."""
    for source in sources:
        yield source.path, source.use(lambda recording: predict_number(model, recording))


def format_lines(prediction: NumberPrediction) -> list[str]:
    """Return a prediction as lines of text."""
    value = f"{prediction.target} {prediction.value:.3g}"
    first = f"{in_one_line(prediction.file)}  {format_clock(prediction.seconds)}  {value}"
    return [first, *(f"    note: {note}" for note in prediction.notes)]


def as_json(results: Sequence[tuple[Path, NumberPrediction | DataError]]) -> str:
    """Return predictions and errors as JSON text."""
    entries = [
        {"file": printable(path), "error": printable(result)} if isinstance(result, DataError) else asdict(result)
        for path, result in results
    ]
    return json.dumps(entries, indent=1)


def as_csv(predictions: Sequence[NumberPrediction]) -> str:
    """Return CSV text with one row per recording."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "seconds", "target", "value", "notes"])
    for prediction in predictions:
        cells = (
            prediction.file,
            f"{prediction.seconds:.3f}",
            prediction.target,
            f"{prediction.value:.7g}",
            "; ".join(prediction.notes),
        )
        writer.writerow([as_cell(cells[0]), *cells[1:]])
    return buffer.getvalue()
