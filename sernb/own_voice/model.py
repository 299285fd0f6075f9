"""A folder → a model that answers: one that ships with the workbook, somebody else's, or a run of one's own.

A model's folder holds ``model.json`` and ``weights.npz``, no pickle and no code. What a folder says is checked before
it is used, and a network is built by this workbook's own code: nothing from the folder is ever executed.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.audio import Hertz, Seconds
from sernb.config import DataError, plain
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import Features, Functionals
from sernb.linear_machine import LinearMachine, machine_of
from sernb.own_voice.readiness import MEASURES

SHIPPED = Path(__file__).resolve().parents[1] / "models" / "functionals-ridge"
FORMAT, FORMAT_VERSION = "sernb-model", 1
KINDS = ("ridge",)
LARGEST = 256 * 2**20  # bytes of all arrays of a model; a zip file may promise any number
SMALLEST = 1e-16  # variance of a value that never changes: it becomes 0


@dataclass(frozen=True)
class Adaptation:
    """How the model adapts to a voice: as `sernb.studies.enrolment` does, with the machine that was trained so."""

    machine: LinearMachine
    mean: np.ndarray  # of the average training speaker, (values,)
    variance: np.ndarray  # of the average training speaker, (values,)
    k: float  # the average speaker weighs as many clips

    def to(self, clips: Sequence[np.ndarray]) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
        """Return what answers for a voice of which some clips, labels unknown, are at hand.

        Args:
            clips: features of each, shape ``(1, values)``
        """
        rows = np.concatenate(clips).astype(np.float64)
        weight = len(rows) / (len(rows) + self.k)
        mean = weight * rows.mean(axis=0) + (1 - weight) * self.mean
        variance = weight * rows.var(axis=0) + (1 - weight) * self.variance
        deviation = np.where(variance > SMALLEST, np.sqrt(variance), 1.0)
        return lambda clips: self.machine((np.concatenate(clips) - mean) / deviation)


@dataclass(frozen=True)
class Model:
    """What answers, and what is known about its answers."""

    folder: Path
    about: dict  # model.json; of a run its config
    name: str
    classes: tuple[str, ...]
    features: Features
    network: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None  # features of clips → (clips, classes)
    machine: LinearMachine | None = None  # instead of a network
    adaptation: Adaptation | None = None

    def scores(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, shape ``(clips, classes)``, from the features of each clip."""
        return self.network(clips) if self.network else self.machine(np.concatenate(clips))

    @property
    def sampling_rate(self) -> Hertz:
        """The rate at which it hears."""
        return self.features.sampling_rate

    @property
    def longest(self) -> Seconds | None:
        """Recordings up to this length are answered as a whole, as the training clips were; None: all."""
        return self.about.get("longest")

    @property
    def unsure(self) -> float:
        """Confidence below which the answer is "not sure"; 0 for a run, of which it is not known."""
        return self.about.get("unsure_below", 0.0)

    def threshold(self, coverage: float, *, clips: int = 0) -> float | None:
        """Return the probability from which on an emotion belongs to the set of a coverage; None: not known.

        Args:
            clips: how many of the voice the model is adapted to; 0: not adapted. Thresholds are known for some numbers
                (``adapted 4``) and for all clips of a training speaker (``adapted``): the next smaller number counts

        Raises:
            DataError: if the model knows sets, but not of this coverage
        """
        sets, trained = self.about.get("sets", {}), self.about.get("trained_on", {})
        every = trained.get("clips", 0) // trained.get("speakers", 1)
        numbers = {int(name.split()[1]): name for name in sets if name.startswith("adapted ")}
        fewer = [count for count in numbers if count <= clips]
        adapted = numbers[max(fewer)] if fewer and clips < every else "adapted"
        known = sets.get(adapted if clips else "as_heard")
        if not known:
            return None
        if f"{coverage:g}" not in known:
            raise DataError(f"{self.name}: no sets of coverage {coverage:g} are known; known: {', '.join(known)}")
        return known[f"{coverage:g}"]


def model_at(folder: str | Path | None = None) -> Model:
    """Read a model; by default the one that ships.

    Args:
        folder: of a model or of a run

    Raises:
        DataError: if it is neither, is damaged, or was made for another version
    """
    folder = Path(folder) if folder else SHIPPED
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give the folder of a model or of a run")
    if (folder / "model.json").is_file():
        return _shipped(folder)
    if (folder / "config.json").is_file():
        from sernb.own_voice.run import model_of_run

        return model_of_run(folder)
    raise DataError(f"{folder}: holds neither model.json nor config.json; give the folder of a model or of a run")


def _shipped(folder: Path) -> Model:
    about = _json(folder / "model.json")
    if about.get("format") != FORMAT:
        raise DataError(f"{folder / 'model.json'}: is no model of this workbook (its format is not {FORMAT!r})")
    if about.get("format_version") != FORMAT_VERSION or about.get("kind") not in KINDS:
        raise DataError(
            f"{folder}: is a model of kind {about.get('kind')!r}, format {about.get('format_version')!r}; this version "
            f"reads {', '.join(KINDS)}, format {FORMAT_VERSION}: update the workbook, or make the model again"
        )
    path = folder / "weights.npz"
    arrays = arrays_in(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != about.get("weights_sha256"):
        raise DataError(f"{path}: is not the file that model.json names (sha256 differs); get the folder again")
    features = functionals(about.get("features"), about.get("features_version"), folder)
    try:
        classes = tuple(map(str, about["classes"]))
        limit, temperatures = float(about["limit"]), about["temperatures"]
        heard = machine_of(arrays, temperature=float(temperatures["as_heard"]), limit=limit)
        adaptation = None
        if "adapted" in temperatures:
            of_adapted = {name.removeprefix("adapted "): values for name, values in arrays.items()}
            adaptation = Adaptation(
                machine_of(of_adapted, temperature=float(temperatures["adapted"]), limit=limit),
                arrays["average mean"].astype(np.float64),
                arrays["average variance"].astype(np.float64),
                float(about["adaptation_k"]),
            )
        known = Model(folder, about, str(about["name"]), classes, features, machine=heard, adaptation=adaptation)
        _refuse_odd(known, features.width)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{folder}: model.json and weights.npz do not make a model ({what}); get it again") from error
    return known


def _refuse_odd(model: Model, width: int) -> None:
    """Raise ValueError, KeyError or TypeError where what is known of the answers cannot be used."""
    for machine in (model.machine, model.adaptation.machine) if model.adaptation else (model.machine,):
        refuse_other(machine, len(model.classes), width)
    for sets in model.about["sets"].values():
        if not all(0 <= float(threshold) <= 1 for threshold in sets.values()):
            raise ValueError("sets: thresholds from 0 to 1 are expected")
    for name in MEASURES:
        bounds = model.about["readiness"][name]
        if not all(value is None or isinstance(value, int | float) for value in bounds.values()):
            raise ValueError(f"readiness: numbers are expected for {name}")
    for name in ("longest", "unsure_below"):
        if not float(model.about[name]) >= 0:
            raise ValueError(f"{name}: a number is expected")


def refuse_other(machine: LinearMachine, classes: int, width: int) -> None:
    """Raise ValueError where a machine is for other classes or features."""
    if machine.planes.shape != (classes, width):
        found = " x ".join(map(str, machine.planes.shape))
        raise ValueError(f"planes: {found} numbers for {classes} classes and {width} features")


def functionals(settings: dict | None, version: int | None, folder: Path) -> Functionals:
    """Return the features of a model, if they are those of this version of the workbook.

    Raises:
        DataError: if they are not
    """
    features = Functionals()
    if settings != plain(features) or version != FEATURES_VERSION:
        raise DataError(
            f"{folder}: was made for other features than this version's (version {FEATURES_VERSION} of Functionals); "
            "make it again with this version"
        )
    return features


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    """Read arrays by name; never pickled objects.

    Raises:
        DataError: if there is none, it is damaged, far too large or holds pickled objects
    """
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > LARGEST:
                raise DataError(f"{path}: names more than {LARGEST // 2**20} MB of arrays; no model here is so large")
        with np.load(path, allow_pickle=False) as saved:
            return dict(saved)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; get the whole folder again") from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise DataError(f"{path}: holds pickled objects, which can run anybody's code; not read") from error
        raise DataError(f"{path}: is damaged; get the folder again") from error
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise DataError(f"{path}: is damaged; get the folder again") from error


def _json(path: Path) -> dict:
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON; get the folder again") from error
    if not isinstance(about, dict):
        raise DataError(f"{path}: is no model of this workbook; get the folder again")
    return about
