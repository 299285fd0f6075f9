"""A run of one's own → a model that answers."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from sernb.audio.augmentation import ORIGINAL
from sernb.audio.decoders import Seconds
from sernb.audio.reading import load
from sernb.config import DataError, plain
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import Embedding, Features, LevelledEmbedding
from sernb.prediction.model import Model, check_features, refuse_mismatch
from sernb.protocols.labels import LabelSet
from sernb.protocols.protocol import get_protocol
from sernb.runs.run_folder import NEVER_LEARNED, Run, open_run
from sernb.runtime.bounded import LARGEST, arrays_in, content_of, number, words
from sernb.runtime.files import Damaged
from sernb.systems.learning.linear_classifier import classifier_from_arrays
from sernb.systems.registry import get_system

LONGEST: Seconds = 30.0  # that an encoder hears at once; longer recordings are cut into windows
EMBEDDINGS = {kind.__name__: kind for kind in (Embedding, LevelledEmbedding)}
ASKED = 4  # clips that a rebuilt network is asked for once more
KNOWN_OF_MODELS = ("longest", "unsure_below", "sets", "readiness")
TOLERANCE = 0.01  # between a score of a rebuilt network and the recorded one


def load_run(folder: Path) -> Model:
    """Return what a finished run trained.

    A linear machine answers from its arrays. A network is built by its system's code and given its weights; that
    weights alone make its answers again is proved on a few of the recordings it was tested on.

    Raises:
        DataError: if the run is not finished, kept no weights, heard each speaker's own clips, or is of a system,
            features or settings that this version does not have
    """
    for table in ("predictions.csv", "history.csv", "validation.csv"):
        if (folder / table).exists():
            content_of(folder / table, LARGEST)
    try:
        run = open_run(folder)
    except Damaged as error:
        raise DataError(f"{error}; give the same `sernb experiment` again, which makes it anew") from error
    if run is None:
        raise DataError(f"{folder}: is no finished run; give the same `sernb experiment` again, it goes on from there")
    again = "remove the folder and give the same `sernb experiment` again"
    if (run.config.get("labels") or {}).get("type") == "NumericTarget":
        raise DataError(f"{folder}: predicts a number, not emotions; give it to `sernb predict --model`")
    try:
        config, name = run.config, str(run.config["system"])
        becomes = tuple((str(emotion), str(target)) for emotion, target in config["labels"]["becomes"])
        labels, protocol = LabelSet("of the run", becomes), get_protocol(config["protocol"])
        classes = words(labels.classes)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: config.json is not that of a run; {again}") from error
    if protocol.transductive:
        raise DataError(
            f"{folder}: was trained {protocol.name}, on speakers standardised with their own clips; take a "
            "speaker-independent run, or the model that ships with --speaker-clips"
        )
    if not run.has("weights.npz"):
        raise DataError(f"{folder}: the run keeps no weights; take functionals-ridge or a network, or {again}")
    weights = arrays_in(folder / "weights.npz")
    never = tuple(name for name in classes if name in _never_learned(run))
    if "planes" not in weights:
        return _network(run, name, labels, weights, never)
    features = read_features(config, folder)
    if isinstance(features, Embedding | LevelledEmbedding):
        config = {**config, "longest": LONGEST}
    try:
        temperature = number(run.metrics["chosen"]["temperature"], "temperature", low=1e-3, high=1e3)
        machine = classifier_from_arrays(weights, temperature=temperature)
        refuse_mismatch(machine, len(classes), features.width)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: weights.npz is not that of a finished run; {again}") from error
    return Model(folder, _without(config), name, classes, features, machine=machine, never_learned=never)


def _never_learned(run: Run) -> list[str]:
    chosen = run.metrics.get("chosen")
    return str(chosen.get(NEVER_LEARNED, "")).split(", ") if isinstance(chosen, dict) else []


def _without(config: dict) -> dict:
    """Return the settings of a run without what only a model's own file may say of its answers."""
    return {name: value for name, value in config.items() if name not in KNOWN_OF_MODELS}


def read_features(config: dict, folder: Path) -> Features:
    """Return the features of a linear classifier's run, if this version has them.

    Raises:
        DataError: if it does not
    """
    if (config.get("features") or {}).get("type") in EMBEDDINGS:
        return _embedding(config, folder)
    return check_features(config.get("features"), config.get("features_version"), folder)


def _embedding(config: dict, folder: Path) -> Embedding:
    """Return the embedding that a run was trained on, if its encoder is still the same."""
    given = {name: value for name, value in config["features"].items() if name != "type"}
    try:
        features = EMBEDDINGS[config["features"]["type"]](**given)
    except TypeError as error:
        raise DataError(f"{folder}: config.json names other features than this version has; run it again") from error
    now = dataclasses.replace(features, weights="").weights
    if config.get("features_version") != FEATURES_VERSION or now != features.weights:
        raise DataError(f"{folder}: {features.encoder} has other weights now than when it was trained; run it again")
    return features


def _network(run: Run, name: str, labels: LabelSet, weights: dict[str, np.ndarray], never: tuple[str, ...]) -> Model:
    system, config = get_system(name), run.config
    settings = [system.settings_for(profile) for profile in ("full", "quick")]
    fitting = [each for each in settings if plain(each) == config.get("settings")]
    if not fitting or plain(system.features) != config.get("features") or not system.is_network:
        raise DataError(f"{run.folder}: {name} has other settings or features in this version; run it again")
    if config.get("features_version") != FEATURES_VERSION:
        raise DataError(f"{run.folder}: was made for version {config.get('features_version')} of the features")
    if system.light:
        try:
            answers = system.light(fitting[0], weights)
        except Exception as error:  # whatever arrays of other shapes lead to
            raise DataError(f"{run.folder}: weights.npz is not that of a finished run; run it again") from error
    else:
        from sernb.systems.inspection import restore_network

        # What of the experiment a network is made from; its corpus need not be here as a whole.
        answers = restore_network(SimpleNamespace(system=system, settings=fitting[0], labels=labels), weights)
    model = Model(
        run.folder, _without(config), name, labels.classes, system.features, network=answers, never_learned=never
    )
    _prove(run, model)
    return model


def _prove(run: Run, model: Model) -> None:
    from sernb.corpora.pool import find_recordings, parse_pool

    try:
        recorded = run.predictions
        recorded = recorded[recorded["view"] == ORIGINAL.name].head(ASKED)
        corpus, clips = str(run.config["corpus"]), recorded["clip"].astype(str).tolist()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run.folder}: predictions.csv is not that of a finished run; run it again") from error
    files = find_recordings(parse_pool(corpus), clips)
    if not files:
        raise DataError(
            f"{run.folder}: whether its weights alone make its answers again can only be seen on the recordings of "
            f"{corpus}, which are not here; name their folder in SERNB_DATA"
        )
    recorded = recorded[recorded["clip"].isin(files)]
    signals = [load(files[clip], model.sampling_rate) for clip in recorded["clip"]]
    try:
        said = model.scores([model.features(signal) for signal in signals])
        same = np.allclose(said, recorded[list(model.classes)].to_numpy(float), atol=TOLERANCE)
    except Exception:  # whatever arrays of other shapes lead to
        same = False
    if not same:
        raise DataError(
            f"{run.folder}: the weights alone do not make its answers again (what the network hears is scaled or cut "
            "in training, or it has several outputs); take another system"
        )
