"""Load a model from the folder of a finished run."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from sernb.audio.augmentation import ORIGINAL
from sernb.audio.reading import load
from sernb.config import DataError, plain
from sernb.encoders.registry import LONGEST
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

EMBEDDINGS = {kind.__name__: kind for kind in (Embedding, LevelledEmbedding)}
CHECKED = 4  # test clips whose scores a rebuilt network must reproduce
MODEL_KEYS = ("longest", "unsure_below", "sets", "readiness")
TOLERANCE = 0.01  # absolute, between a score of a rebuilt network and the recorded one


def load_run(folder: Path) -> Model:
    """Return the model that a finished run trained.

    A linear classifier is restored from its arrays. A network is built by the code of its system and given the stored
    weights; it must then reproduce the recorded scores of a few of its test clips.

    Raises:
        DataError: if the run is not finished, stored no weights, was trained on speaker-normalised features, or this
            version lacks its system, features or settings
    """
    for table in ("predictions.csv", "history.csv", "validation.csv"):
        if (folder / table).exists():
            content_of(folder / table, LARGEST)
    try:
        run = open_run(folder)
    except Damaged as error:
        raise DataError(f"{error}; give the same `sernb experiment` again, which repeats the run") from error
    if run is None:
        raise DataError(f"{folder}: is not a finished run; give the same `sernb experiment` again, which resumes it")
    again = "remove the folder and give the same `sernb experiment` again"
    if (run.config.get("labels") or {}).get("type") == "NumericTarget":
        raise DataError(f"{folder}: predicts a number, not emotions; give it to `sernb predict --model`")
    try:
        config, name = run.config, str(run.config["system"])
        becomes = tuple((str(emotion), str(target)) for emotion, target in config["labels"]["becomes"])
        labels, protocol = LabelSet("of the run", becomes), get_protocol(config["protocol"])
        classes = words(labels.classes)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: config.json is not valid for a run; {again}") from error
    if protocol.transductive:
        raise DataError(
            f"{folder}: was trained {protocol.name}, with the test speakers' own clips; use a speaker-independent run, "
            "or the bundled model with --speaker-clips"
        )
    if not run.has("weights.npz"):
        raise DataError(f"{folder}: the run stored no weights; use functionals-ridge or a network, or {again}")
    weights = arrays_in(folder / "weights.npz")
    unseen = tuple(name for name in classes if name in _unseen_classes(run))
    if "planes" not in weights:
        return _restore_network(run, name, labels, weights, unseen)
    features = read_features(config, folder)
    if isinstance(features, Embedding | LevelledEmbedding):
        config = {**config, "longest": LONGEST}
    try:
        temperature = number(run.metrics["chosen"]["temperature"], "temperature", low=1e-3, high=1e3)
        classifier = classifier_from_arrays(weights, temperature=temperature)
        refuse_mismatch(classifier, len(classes), features.width)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: weights.npz is not valid for this run; {again}") from error
    return Model(
        folder, _without_model_keys(config), name, classes, features, classifier=classifier, unseen_classes=unseen
    )


def _unseen_classes(run: Run) -> list[str]:
    chosen = run.metrics.get("chosen")
    return str(chosen.get(NEVER_LEARNED, "")).split(", ") if isinstance(chosen, dict) else []


def _without_model_keys(config: dict) -> dict:
    """Return the config of a run without keys that count only in the ``model.json`` of a calibrated model."""
    return {name: value for name, value in config.items() if name not in MODEL_KEYS}


def read_features(config: dict, folder: Path) -> Features:
    """Return the features that a linear classifier's run was trained on.

    Raises:
        DataError: if this version does not have them
    """
    if (config.get("features") or {}).get("type") in EMBEDDINGS:
        return _restore_embedding(config, folder)
    return check_features(config.get("features"), config.get("features_version"), folder)


def _restore_embedding(config: dict, folder: Path) -> Embedding:
    """Return the embedding that a run was trained on; DataError if its encoder has other weights now."""
    settings = {name: value for name, value in config["features"].items() if name != "type"}
    try:
        features = EMBEDDINGS[config["features"]["type"]](**settings)
    except TypeError as error:
        raise DataError(f"{folder}: config.json names features that this version lacks; run it again") from error
    current = dataclasses.replace(features, weights="").weights
    if config.get("features_version") != FEATURES_VERSION or current != features.weights:
        raise DataError(f"{folder}: {features.encoder} has other weights now than when it was trained; run it again")
    return features


def _restore_network(
    run: Run, name: str, labels: LabelSet, weights: dict[str, np.ndarray], unseen: tuple[str, ...]
) -> Model:
    system, config = get_system(name), run.config
    settings = [system.settings_for(profile) for profile in ("full", "quick")]
    matching = [each for each in settings if plain(each) == config.get("settings")]
    if not matching or plain(system.features) != config.get("features") or not system.is_network:
        raise DataError(f"{run.folder}: {name} has other settings or features in this version; run it again")
    if config.get("features_version") != FEATURES_VERSION:
        version = config.get("features_version")
        raise DataError(f"{run.folder}: was trained on version {version} of the features; run it again")
    if system.to_numpy:
        try:
            network = system.to_numpy(matching[0], weights)
        except Exception as error:  # arrays of wrong shapes may raise anything
            raise DataError(f"{run.folder}: weights.npz is not valid for this run; run it again") from error
    else:
        from sernb.systems.inspection import restore_network

        # The part of the experiment that builds the network; its corpus need not be available.
        network = restore_network(SimpleNamespace(system=system, settings=matching[0], labels=labels), weights)
    model = Model(
        run.folder,
        _without_model_keys(config),
        name,
        labels.classes,
        system.features,
        network=network,
        unseen_classes=unseen,
    )
    _check_scores(run, model)
    return model


def _check_scores(run: Run, model: Model) -> None:
    from sernb.corpora.pool import find_recordings, parse_pool

    try:
        recorded = run.predictions
        recorded = recorded[recorded["view"] == ORIGINAL.name].head(CHECKED)
        corpus, clips = str(run.config["corpus"]), recorded["clip"].astype(str).tolist()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run.folder}: predictions.csv is not valid for a finished run; run it again") from error
    files = find_recordings(parse_pool(corpus), clips)
    if not files:
        raise DataError(
            f"{run.folder}: the network can only be checked on recordings of {corpus}, which are not available; name "
            "their folder in SERNB_DATA"
        )
    recorded = recorded[recorded["clip"].isin(files)]
    signals = [load(files[clip], model.sampling_rate) for clip in recorded["clip"]]
    try:
        scores = model.scores([model.features(signal) for signal in signals])
        is_same = np.allclose(scores, recorded[list(model.classes)].to_numpy(float), atol=TOLERANCE)
    except Exception:  # arrays of wrong shapes may raise anything
        is_same = False
    if not is_same:
        raise DataError(
            f"{run.folder}: the weights alone do not reproduce the recorded scores (the system scales or cuts its "
            "input in training, or has several outputs); use another system"
        )
