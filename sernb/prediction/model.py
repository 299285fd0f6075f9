"""A folder → a model that answers: one that ships with the workbook, somebody else's, or a run of one's own.

A model's folder holds ``model.json`` and ``weights.npz``, no pickle and no code. What a folder says is checked before
it is used, and a network is built by this workbook's own code: nothing from the folder is ever executed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DataError, plain
from sernb.encoders.registry import DEFAULT, ENCODERS
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import (
    Embedding,
    Features,
    Functionals,
    Joined,
    LevelledEmbedding,
    LevelledFunctionals,
    SpeechMel,
)
from sernb.prediction.domain_check import Reference
from sernb.systems.learning.linear_classifier import LinearClassifier, zero_unseen

MODELS = Path(__file__).resolve().parent / "models"  # the bundled ones
MOST = 1e30  # of a weight: scores stay finite
MOST_PARTS = 4  # features beside each other
SMALLEST = 1e-16  # variance of a value that never changes: it becomes 0


@dataclass(frozen=True)
class Adaptation:
    """How the model adapts to a voice: as :mod:`sernb.studies.speaker_adaptation` does, with a classifier for it."""

    machine: LinearClassifier
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
class CalibratedNetwork:
    """A network, and the temperature at which its probabilities are as sure as they should be."""

    network: Callable[[Sequence[np.ndarray]], np.ndarray]
    temperature: float

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, ``(clips, classes)``, from the features of each clip."""
        from sernb.evaluation import apply_temperature  # with pandas, which a linear model does without

        return apply_temperature(self.network(clips), self.temperature)


@dataclass(frozen=True)
class Model:
    """What answers, and what is known about its answers."""

    folder: Path
    about: dict  # model.json; of a run its config
    name: str
    classes: tuple[str, ...]
    features: Features
    network: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None  # features of clips → (clips, classes)
    machine: LinearClassifier | None = None  # instead of a network
    adaptation: Adaptation | None = None
    reference: Reference | None = None  # what the domain check compares with, where no functionals are read
    never_learned: tuple[str, ...] = ()  # classes of a run that had no training clip: their probability is 0

    def only(self, classes: Sequence[str]) -> "Model":
        """Return a model that predicts some of the classes only; of its prediction sets nothing is known then.

        Raises:
            DataError: if a class is unknown, or there are fewer than two
        """
        unknown = [name for name in classes if name not in self.classes]
        if unknown or len(set(classes)) < 2:
            what = f"{unknown[0]!r} is none of its classes" if unknown else "two classes at least are needed"
            raise DataError(f"{self.name}: {what}; known: {', '.join(self.classes)}")
        at = [number for number, name in enumerate(self.classes) if name in classes]
        about = {name: value for name, value in self.about.items() if name != "sets"}
        kept = {"about": about, "classes": tuple(self.classes[number] for number in at)}
        if self.machine is None:

            def scores(clips: Sequence[np.ndarray]) -> np.ndarray:
                found = self.network(clips)[:, at]
                return found / np.maximum(found.sum(axis=1, keepdims=True), np.finfo(float).tiny)

            return replace(self, network=scores, **kept)
        adaptation = self.adaptation and replace(self.adaptation, machine=_rows_of(self.adaptation.machine, at))
        return replace(self, machine=_rows_of(self.machine, at), adaptation=adaptation, **kept)

    def scores(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, shape ``(clips, classes)``, from the features of each clip."""
        found = self.network(clips) if self.network else self.machine(np.concatenate(clips))
        return zero_unseen(found, ~np.isin(self.classes, self.never_learned))

    @property
    def sampling_rate(self) -> Hertz:
        """The rate at which it hears."""
        return self.features.sampling_rate

    @property
    def longest(self) -> Seconds | None:
        """Recordings up to this length are answered as a whole, as the training clips were; None: all."""
        return self.about.get("longest")

    @property
    def introduction(self) -> str:
        """One line: what predicts, and what a better model would need."""
        trained = self.about.get("trained_on", {})
        if self.folder.parent != MODELS:
            return f"predictions by {self.name} ({self.folder})"
        if encoders := trained.get("encoders"):
            return f"predictions by the bundled model {self.name}, with {', '.join(encoders)}"
        return (
            f"predictions by the bundled model {self.name}; `sernb fetch {DEFAULT}` (75 MB) brings what the better one "
            "reads"
        )

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
        if not isinstance(coverage, int | float) or f"{coverage:g}" not in known:
            raise DataError(f"{self.name}: no sets of coverage {coverage} are known; known: {', '.join(known)}")
        return known[f"{coverage:g}"]


def _rows_of(classifier: LinearClassifier, classes: Sequence[int]) -> LinearClassifier:
    return replace(classifier, planes=classifier.planes[list(classes)])


def refuse_mismatch(machine: LinearClassifier, classes: int, width: int) -> None:
    """Raise ValueError where a machine is for other classes or features."""
    if machine.planes.shape != (classes, width):
        found = " x ".join(map(str, machine.planes.shape))
        raise ValueError(f"planes: {found} numbers for {classes} classes and {width} features")
    if not float(np.abs(machine.planes).max()) < MOST:
        raise ValueError(f"planes: numbers up to {MOST:g} are expected")


def check_features(settings: dict | None, version: int | None, folder: Path) -> Features:
    """Return the features of a model, if this version of the workbook has them: one of those known here, or several.

    Raises:
        DataError: if it does not
    """
    embeddings = (kind(encoder=name) for name in ENCODERS for kind in (LevelledEmbedding, Embedding))
    known = (Functionals(), LevelledFunctionals(), SpeechMel(), *embeddings)  # no file that a model names is opened
    given = settings.get("parts") if isinstance(settings, dict) and settings.get("type") == Joined.__name__ else None
    several = isinstance(given, list) and 2 <= len(given) <= MOST_PARTS
    parts = [next((each for each in known if plain(each) == part), None) for part in (given if several else [settings])]
    whole = Joined(tuple(parts)) if several else parts[0]
    twice = any(part in parts[:at] for at, part in enumerate(parts))
    fitting = None not in parts and not (several and (twice or SpeechMel() in parts)) and plain(whole) == settings
    if not fitting or version != FEATURES_VERSION:
        raise DataError(
            f"{folder}: was made for other features than this version's (version {FEATURES_VERSION} of Functionals, "
            "of SpeechMel, or of a known encoder's embeddings, several beside each other); make it again with this "
            "version"
        )
    return whole
