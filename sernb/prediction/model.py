"""Models that predict: a linear classifier or a network, with its features, calibration and domain bounds.

The folder of a model holds ``model.json`` and ``weights.npz``, no pickle and no code. Its content is checked before
use, and networks are built by this package: nothing from the folder is ever executed.
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
    WhisperMel,
)
from sernb.prediction.domain_check import Reference
from sernb.systems.learning.linear_classifier import LinearClassifier, zero_unseen

MODELS = Path(__file__).resolve().parent / "models"  # the bundled models
LARGEST_WEIGHT = 1e30  # upper bound of absolute weights, which keeps scores finite
MAX_PARTS = 4  # concatenated kinds of features
SMALLEST_VARIANCE = 1e-16  # variance up to which a feature counts as constant and is not scaled


@dataclass(frozen=True)
class Adaptation:
    """Parameters of speaker adaptation, see :mod:`sernb.studies.speaker_adaptation`."""

    classifier: LinearClassifier  # trained on speaker-normalised features
    mean: np.ndarray  # of the average training speaker, (values,)
    variance: np.ndarray  # of the average training speaker, (values,)
    k: float  # prior strength: the average speaker counts as k clips

    def adapt(self, clips: Sequence[np.ndarray]) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
        """Return a predictor adapted to a speaker with unlabelled clips.

        Mean and variance of the clips are shrunk towards those of the average training speaker.

        Args:
            clips: features of each clip, shape ``(1, values)``

        Returns:
            function from the features of clips to probabilities, ``(clips, classes)``
        """
        rows = np.concatenate(clips).astype(np.float64)
        weight = len(rows) / (len(rows) + self.k)
        mean = weight * rows.mean(axis=0) + (1 - weight) * self.mean
        variance = weight * rows.var(axis=0) + (1 - weight) * self.variance
        deviation = np.where(variance > SMALLEST_VARIANCE, np.sqrt(variance), 1.0)
        return lambda clips: self.classifier((np.concatenate(clips) - mean) / deviation)


@dataclass(frozen=True)
class CalibratedNetwork:
    """A network whose probabilities are calibrated by temperature scaling."""

    network: Callable[[Sequence[np.ndarray]], np.ndarray]
    temperature: float

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, ``(clips, classes)``, from the features of each clip."""
        from sernb.evaluation import apply_temperature  # imports pandas, which linear models do not need

        return apply_temperature(self.network(clips), self.temperature)


@dataclass(frozen=True)
class Model:
    """A trained model with its metadata."""

    folder: Path
    metadata: dict  # content of model.json; of a run, its config
    name: str
    classes: tuple[str, ...]
    features: Features
    network: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None  # features of clips → (clips, classes)
    classifier: LinearClassifier | None = None  # instead of a network
    adaptation: Adaptation | None = None
    reference: Reference | None = None  # for the domain check of a model that uses no functionals
    unseen_classes: tuple[str, ...] = ()  # classes of a run without training clips: their probability is 0

    def only(self, classes: Sequence[str]) -> "Model":
        """Return a model restricted to some of its classes; it has no prediction sets.

        Raises:
            DataError: if a class is unknown, or there are fewer than two
        """
        unknown = [name for name in classes if name not in self.classes]
        if unknown or len(set(classes)) < 2:
            reason = (
                f"{unknown[0]!r} is none of its classes" if unknown else "at least two are needed, separated by commas"
            )
            raise DataError(f"{self.name}: {reason}; known: {', '.join(self.classes)}")
        columns = [number for number, name in enumerate(self.classes) if name in classes]
        metadata = {name: value for name, value in self.metadata.items() if name != "sets"}
        changes = {"metadata": metadata, "classes": tuple(self.classes[number] for number in columns)}
        if self.classifier is None:

            def scores(clips: Sequence[np.ndarray]) -> np.ndarray:
                probabilities = self.network(clips)[:, columns]
                return probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(float).tiny)

            return replace(self, network=scores, **changes)
        adaptation = self.adaptation and replace(
            self.adaptation, classifier=_select_classes(self.adaptation.classifier, columns)
        )
        return replace(self, classifier=_select_classes(self.classifier, columns), adaptation=adaptation, **changes)

    def scores(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, shape ``(clips, classes)``, from the features of each clip."""
        probabilities = self.network(clips) if self.network else self.classifier(np.concatenate(clips))
        return zero_unseen(probabilities, ~np.isin(self.classes, self.unseen_classes))

    @property
    def sampling_rate(self) -> Hertz:
        """Sampling rate of the input."""
        return self.features.sampling_rate

    @property
    def longest(self) -> Seconds | None:
        """Longest recording that is predicted as a whole, like the training clips; None: no limit."""
        return self.metadata.get("longest")

    @property
    def introduction(self) -> str:
        """One line on which model predicts, and how to get a better one."""
        training = self.metadata.get("trained_on", {})
        if self.folder.parent != MODELS:
            return f"predictions by {self.name} ({self.folder})"
        if encoders := training.get("encoders"):
            return f"predictions by the bundled model {self.name}, with {', '.join(encoders)}"
        return (
            f"predictions by the bundled model {self.name}; the better one needs an encoder: `sernb fetch {DEFAULT}` "
            "(75 MB)"
        )

    @property
    def unsure_below(self) -> float:
        """Confidence below which the answer is "not sure"; 0 for a run, which is not calibrated."""
        return self.metadata.get("unsure_below", 0.0)

    def threshold(self, coverage: float, *, clips: int = 0) -> float | None:
        """Return the least probability in the prediction set; None: the model has no sets.

        Args:
            coverage: of the prediction set, from 0 to 1
            clips: number of clips used for speaker adaptation; 0: no adaptation. The model has thresholds for some
                numbers of clips (``adapted 4``) and for all clips of a training speaker (``adapted``); the largest
                number that is not greater applies

        Raises:
            DataError: if the model has sets, but not with this coverage
        """
        sets, training = self.metadata.get("sets", {}), self.metadata.get("trained_on", {})
        clips_per_speaker = training.get("clips", 0) // training.get("speakers", 1)
        adapted_sets = {int(name.split()[1]): name for name in sets if name.startswith("adapted ")}
        available = [count for count in adapted_sets if count <= clips]
        adapted = adapted_sets[max(available)] if available and clips < clips_per_speaker else "adapted"
        thresholds = sets.get(adapted if clips else "as_heard")
        if not thresholds:
            return None
        if not isinstance(coverage, int | float) or f"{coverage:g}" not in thresholds:
            raise DataError(f"{self.name}: has no sets of coverage {coverage}; known: {', '.join(thresholds)}")
        return thresholds[f"{coverage:g}"]


def _select_classes(classifier: LinearClassifier, classes: Sequence[int]) -> LinearClassifier:
    return replace(classifier, planes=classifier.planes[list(classes)])


def refuse_mismatch(classifier: LinearClassifier, classes: int, width: int) -> None:
    """Raise ValueError if the shape of a classifier is wrong or a weight is too large."""
    if classifier.planes.shape != (classes, width):
        shape = " x ".join(map(str, classifier.planes.shape))
        raise ValueError(f"planes: shape {shape} does not fit {classes} classes and {width} features")
    if not float(np.abs(classifier.planes).max()) < LARGEST_WEIGHT:
        raise ValueError(f"planes: numbers below {LARGEST_WEIGHT:g} are expected")


def check_features(settings: dict | None, version: int | None, folder: Path) -> Features:
    """Return the features that a model was trained on: one known kind, or several concatenated.

    Args:
        settings: of the features, as stored with the model
        version: of the features, as stored with the model
        folder: of the model, for messages

    Raises:
        DataError: if this version does not have them
    """
    embeddings = (kind(encoder=name) for name in ENCODERS for kind in (LevelledEmbedding, Embedding))
    known = (
        Functionals(),
        LevelledFunctionals(),
        SpeechMel(),
        WhisperMel(),
        *embeddings,
    )  # without opening any file that a model names
    parts_settings = (
        settings.get("parts") if isinstance(settings, dict) and settings.get("type") == Joined.__name__ else None
    )
    is_joined = isinstance(parts_settings, list) and 2 <= len(parts_settings) <= MAX_PARTS
    parts = [
        next((each for each in known if plain(each) == part), None)
        for part in (parts_settings if is_joined else [settings])
    ]
    features = Joined(tuple(parts)) if is_joined else parts[0]
    has_duplicates = any(part in parts[:at] for at, part in enumerate(parts))
    is_known = (
        None not in parts
        and not (is_joined and (has_duplicates or {SpeechMel(), WhisperMel()} & {*parts}))
        and plain(features) == settings
    )
    if not is_known or version != FEATURES_VERSION:
        raise DataError(
            f"{folder}: was trained on features that this version does not have; it has version {FEATURES_VERSION} of "
            "Functionals, SpeechMel, WhisperMel, embeddings of known encoders, and concatenations; train the model "
            "again with this version"
        )
    return features
