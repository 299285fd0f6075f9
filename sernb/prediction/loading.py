"""A folder → a model that predicts: the bundled one, one like it, or a finished run."""

import hashlib
import math
import re
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Seconds
from sernb.config import PROFILES, DataError, plain
from sernb.encoders.registry import DEFAULT, record_of
from sernb.features import Features, Functionals
from sernb.prediction.domain_check import MEASURES, Reference, reference_of
from sernb.prediction.model import MODELS, Adaptation, CalibratedNetwork, Model, check_features, refuse_mismatch
from sernb.runtime.bounded import arrays_in, content_of, json_in, number, words
from sernb.systems.learning.linear_classifier import classifier_from_arrays

SHIPPED = MODELS / "functionals-ridge"  # needs nothing else
WITH_ENCODER = MODELS / "embedding-functionals"  # where its encoder's weights are there
FORMAT, FORMAT_VERSION = "sernb-model", 1
KINDS = ("ridge", "sernet")  # a linear classifier, or the network of this name
DOMAIN = "domain "  # begins the names of the arrays that the domain check reads
LONGEST: Seconds = 3600.0  # that a model may want to be given at once


def load_model(folder: str | Path | None = None) -> Model:
    """Read a model; by default the one that ships.

    Args:
        folder: of a model or of a run

    Raises:
        DataError: if it is neither, is damaged, or was made for another version
    """
    folder = Path(folder) if folder else bundled()
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give the folder of a model or of a run")
    if (folder / "model.json").is_file():
        return _shipped(folder)
    if (folder / "config.json").is_file():
        from sernb.prediction.trained_run import load_run

        return load_run(folder)
    raise DataError(f"{folder}: holds neither model.json nor config.json; give the folder of a model or of a run")


def bundled() -> Path:
    """Return the folder of the bundled model: the better one where the weights of its encoder are there."""
    return WITH_ENCODER if record_of(DEFAULT).path.is_file() else SHIPPED


def _shipped(folder: Path) -> Model:
    about = json_in(folder / "model.json")
    if about.get("format") != FORMAT:
        raise DataError(f"{folder / 'model.json'}: is no model of this workbook (its format is not {FORMAT!r})")
    if about.get("format_version") != FORMAT_VERSION or about.get("kind") not in KINDS:
        kind, version = (ascii(about.get(name))[:40] for name in ("kind", "format_version"))
        raise DataError(
            f"{folder}: is a model of kind {kind}, format {version}; this version reads {', '.join(KINDS)}, format "
            f"{FORMAT_VERSION}: update the workbook, or make the model again"
        )
    path = folder / "weights.npz"
    content = content_of(path)
    arrays = arrays_in(path, content)
    if hashlib.sha256(content).hexdigest() != about.get("weights_sha256"):
        raise DataError(f"{path}: is not the file that model.json names (sha256 differs); get the folder again")
    features = check_features(about.get("features"), about.get("features_version"), folder)
    try:
        classes, name = words(about["classes"]), str(about["name"])
        if not name.isprintable():
            raise ValueError("name: one line of text is expected")
        temperatures = about["temperatures"]
        temperature = number(temperatures["as_heard"], "temperatures", low=1e-3, high=1e3)
        reference = _reference(about, arrays, folder)
        if about["kind"] == "sernet":
            network = _network(about, arrays, features, temperature)
            known = Model(folder, about, name, classes, features, network=network, reference=reference)
            _refuse_odd(known, features.width)
            return known
        limit = number(about["limit"], "limit", low=1e-3, high=1e6)
        heard = classifier_from_arrays(arrays, temperature=temperature, limit=limit)
        adaptation = None
        if "adapted" in temperatures:
            of_adapted = {name.removeprefix("adapted "): values for name, values in arrays.items()}
            adaptation = Adaptation(
                classifier_from_arrays(
                    of_adapted,
                    temperature=number(temperatures["adapted"], "temperatures", low=1e-3, high=1e3),
                    limit=limit,
                ),
                _moments(arrays, "average mean", features.width),
                _moments(arrays, "average variance", features.width),
                number(about["adaptation_k"], "adaptation_k", low=0),
            )
        known = Model(folder, about, name, classes, features, None, heard, adaptation, reference)
        _refuse_odd(known, features.width)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{ascii(error.args[0])[1:-1]} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{folder}: model.json and weights.npz do not make a model ({what}); get it again") from error
    return known


def _network(about: dict, arrays: dict[str, np.ndarray], features: Features, temperature: float) -> CalibratedNetwork:
    """Return what predicts from the arrays of a network, features of clips → ``(clips, classes)``."""
    from sernb.systems.registry import get_system

    system = get_system(about["kind"])
    settings = next((each for each in map(system.settings_for, PROFILES) if plain(each) == about["settings"]), None)
    if settings is None or features != system.features:
        raise ValueError("settings or features are not those of this version")
    own = {name: values for name, values in arrays.items() if not name.startswith(DOMAIN)}
    network = system.light(settings, own)
    silent = network([np.zeros((1, features.width), np.float32)])  # arrays of other shapes are refused here
    if silent.shape != (1, len(about["classes"])) or not all(map(np.all, map(np.isfinite, own.values()))):
        raise ValueError("the arrays are not those of such a network")
    return CalibratedNetwork(network, temperature)


def _reference(about: dict, arrays: dict[str, np.ndarray], folder: Path) -> Reference | None:
    """Return what the domain check compares recordings with, where the model reads no functionals."""
    if "domain_features" not in about:
        return None
    features = check_features(about["domain_features"], about["features_version"], folder)
    if not isinstance(features, Functionals):
        raise ValueError("domain_features: functionals are expected")
    values = (_moments(arrays, f"{DOMAIN}{name}", features.width) for name in ("mean", "deviation"))
    return reference_of(features, *values)


def _refuse_odd(model: Model, width: int) -> None:
    """Raise ValueError, KeyError or TypeError where what is known of the answers cannot be used."""
    for machine in (model.machine, model.adaptation and model.adaptation.machine):
        if machine:
            refuse_mismatch(machine, len(model.classes), width)
    trained = model.about.get("trained_on", {})
    for name in ("clips", "speakers"):
        number(trained.get(name, 1), f"trained_on: {name}", low=1)
    if not all(isinstance(each, str) and each.isprintable() for each in trained.get("encoders") or ()):
        raise ValueError("trained_on: encoders: names are expected")
    for which, sets in model.about["sets"].items():
        if not re.fullmatch(r"as_heard|adapted( \d{1,6})?", which):
            raise ValueError(f"sets: {ascii(which)[:40]} is unknown")
        for coverage, threshold in sets.items():
            number(float(coverage), "sets: coverages", low=0, high=1)
            number(threshold, "sets: thresholds", low=0, high=1)
    if "readiness" in model.about:  # of one speaker it is not known
        for name in MEASURES:
            for which, bound in model.about["readiness"][name].items():
                if bound is not None:
                    number(bound, f"readiness: {name}: {which}")
        number(model.about["readiness"]["voice"]["stop"], "readiness: voice: stop")
    for name, most in (("longest", LONGEST), ("unsure_below", math.inf)):
        number(model.about[name], name, low=0, high=most)


def _moments(arrays: dict[str, np.ndarray], name: str, width: int) -> np.ndarray:
    values = arrays[name]
    if values.shape != (width,) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise ValueError(f"{name}: {width} finite numbers are expected")
    return values.astype(np.float64)
