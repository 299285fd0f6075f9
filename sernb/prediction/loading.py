"""Load a model from a folder: a bundled or exported model, or a finished run."""

import hashlib
import math
import re
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Seconds
from sernb.config import PROFILES, DataError, plain
from sernb.encoders.registry import DEFAULT, record_of
from sernb.features import Features, Functionals
from sernb.prediction.domain_check import MEASURES, Reference, make_reference
from sernb.prediction.model import MODELS, Adaptation, CalibratedNetwork, Model, check_features, refuse_mismatch
from sernb.runtime.bounded import arrays_in, content_of, json_in, number, words
from sernb.systems.learning.linear_classifier import classifier_from_arrays

BUNDLED = MODELS / "functionals-ridge"  # needs no other files
BUNDLED_WITH_ENCODER = MODELS / "embedding-functionals"  # needs the weights of its encoder
FORMAT, FORMAT_VERSION = "sernb-model", 1
NETWORKS = ("sernet", "whisper-finetuned", "whisper-finetuned-top")  # those that can be restored from arrays
KINDS = ("ridge", *NETWORKS)  # a linear classifier, or the network of this name
DOMAIN_PREFIX = "domain "  # prefix of the arrays of the domain check
LONGEST: Seconds = 3600.0  # upper bound of the length that a model may claim to predict as a whole


def load_model(folder: str | Path | None = None) -> Model:
    """Load a model; by default the bundled one.

    Args:
        folder: of a model or of a run

    Raises:
        DataError: if it is neither, is damaged, or was made by another version
    """
    folder = Path(folder) if folder else choose_bundled()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a model or of a run")
    if (folder / "model.json").is_file():
        return _load_folder(folder)
    if (folder / "config.json").is_file():
        from sernb.prediction.trained_run import load_run

        return load_run(folder)
    raise DataError(f"{folder}: contains neither model.json nor config.json; give the folder of a model or of a run")


def choose_bundled() -> Path:
    """Return the folder of the bundled model: the better one if its encoder is available."""
    return BUNDLED_WITH_ENCODER if record_of(DEFAULT).path.is_file() else BUNDLED


def _load_folder(folder: Path) -> Model:
    metadata = json_in(folder / "model.json")
    if metadata.get("format") != FORMAT:
        raise DataError(f"{folder / 'model.json'}: is not a model of this workbook (its format is not {FORMAT!r})")
    if metadata.get("format_version") != FORMAT_VERSION or metadata.get("kind") not in KINDS:
        kind, version = (ascii(metadata.get(name))[:40] for name in ("kind", "format_version"))
        raise DataError(
            f"{folder}: is a model of kind {kind}, format {version}; this version reads {', '.join(KINDS)}, format "
            f"{FORMAT_VERSION}: update the workbook, or train the model again"
        )
    path = folder / "weights.npz"
    content = content_of(path)
    arrays = arrays_in(path, content)
    if hashlib.sha256(content).hexdigest() != metadata.get("weights_sha256"):
        raise DataError(f"{path}: does not match model.json (SHA-256 differs); get the folder again")
    features = check_features(metadata.get("features"), metadata.get("features_version"), folder)
    try:
        classes, name = words(metadata["classes"]), str(metadata["name"])
        if not name.isprintable():
            raise ValueError("name: one line of text is expected")
        temperatures = metadata["temperatures"]
        temperature = number(temperatures["as_heard"], "temperatures", low=1e-3, high=1e3)
        reference = _domain_reference(metadata, arrays, folder)
        if metadata["kind"] in NETWORKS:
            network = _rebuild_network(metadata, arrays, features, temperature)
            model = Model(folder, metadata, name, classes, features, network=network, reference=reference)
            _refuse_invalid(model, features.width)
            return model
        limit = number(metadata["limit"], "limit", low=1e-3, high=1e6)
        classifier = classifier_from_arrays(arrays, temperature=temperature, limit=limit)
        adaptation = None
        if "adapted" in temperatures:
            adapted_arrays = {name.removeprefix("adapted "): values for name, values in arrays.items()}
            adaptation = Adaptation(
                classifier_from_arrays(
                    adapted_arrays,
                    temperature=number(temperatures["adapted"], "temperatures", low=1e-3, high=1e3),
                    limit=limit,
                ),
                _finite_array(arrays, "average mean", features.width),
                _finite_array(arrays, "average variance", features.width),
                number(metadata["adaptation_k"], "adaptation_k", low=0),
            )
        model = Model(folder, metadata, name, classes, features, None, classifier, adaptation, reference)
        _refuse_invalid(model, features.width)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{ascii(error.args[0])[1:-1]} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{folder}: model.json or weights.npz is not valid ({reason}); get the folder again") from error
    return model


def _rebuild_network(
    metadata: dict, arrays: dict[str, np.ndarray], features: Features, temperature: float
) -> CalibratedNetwork:
    """Rebuild a network from its arrays; features of clips → probabilities, ``(clips, classes)``."""
    from sernb.systems.registry import get_system

    system = get_system(metadata["kind"])
    settings = next((each for each in map(system.settings_for, PROFILES) if plain(each) == metadata["settings"]), None)
    if settings is None or features != system.features:
        raise ValueError("settings or features differ from this version's")
    network_arrays = {name: values for name, values in arrays.items() if not name.startswith(DOMAIN_PREFIX)}
    network = system.to_numpy(settings, network_arrays)
    scores = network([np.zeros((1, features.width), np.float32)])  # fails for arrays of wrong shapes
    if scores.shape != (1, len(metadata["classes"])) or not all(map(np.all, map(np.isfinite, network_arrays.values()))):
        raise ValueError("the arrays do not fit such a network")
    return CalibratedNetwork(network, temperature)


def _domain_reference(metadata: dict, arrays: dict[str, np.ndarray], folder: Path) -> Reference | None:
    """Return the reference of the domain check if the model uses no functionals."""
    if "domain_features" not in metadata:
        return None
    features = check_features(metadata["domain_features"], metadata["features_version"], folder)
    if not isinstance(features, Functionals):
        raise ValueError("domain_features: functionals are expected")
    values = (_finite_array(arrays, f"{DOMAIN_PREFIX}{name}", features.width) for name in ("mean", "deviation"))
    return make_reference(features, *values)


def _refuse_invalid(model: Model, width: int) -> None:
    """Raise ValueError, KeyError or TypeError if weights or metadata of a model are not valid."""
    for classifier in (model.classifier, model.adaptation and model.adaptation.classifier):
        if classifier:
            refuse_mismatch(classifier, len(model.classes), width)
    training = model.metadata.get("trained_on", {})
    for name in ("clips", "speakers"):
        number(training.get(name, 1), f"trained_on: {name}", low=1)
    if not all(isinstance(each, str) and each.isprintable() for each in training.get("encoders") or ()):
        raise ValueError("trained_on: encoders: names are expected")
    for name, sets in model.metadata["sets"].items():
        if not re.fullmatch(r"as_heard|adapted( \d{1,6})?", name):
            raise ValueError(f"sets: {ascii(name)[:40]} is unknown")
        for coverage, threshold in sets.items():
            number(float(coverage), "sets: coverages", low=0, high=1)
            number(threshold, "sets: thresholds", low=0, high=1)
    if "readiness" in model.metadata:  # absent if there was one training speaker
        for name in MEASURES:
            for side, bound in model.metadata["readiness"][name].items():
                if bound is not None:
                    number(bound, f"readiness: {name}: {side}")
        number(model.metadata["readiness"]["voice"]["stop"], "readiness: voice: stop")
    for name, upper in (("longest", LONGEST), ("unsure_below", math.inf)):
        number(model.metadata[name], name, low=0, high=upper)


def _finite_array(arrays: dict[str, np.ndarray], name: str, width: int) -> np.ndarray:
    values = arrays[name]
    if values.shape != (width,) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise ValueError(f"{name}: {width} finite numbers are expected")
    return values.astype(np.float64)
