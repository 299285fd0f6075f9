"""A linear classifier as plain arrays: it predicts with NumPy alone and is kept without pickle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LIMIT = 6.0  # standard deviations: one wild value does not decide
ARRAYS = ("mean", "deviation", "planes")


@dataclass(frozen=True)
class LinearClassifier:
    """Standardisation, a plane for each class, and the temperature at which what they say becomes probabilities."""

    mean: np.ndarray  # (values,)
    deviation: np.ndarray  # (values,)
    planes: np.ndarray  # (classes, values), without intercept; all 0 where a class was never learned
    temperature: float = 1.0
    limit: float = LIMIT  # standard deviations

    def __post_init__(self):
        """Refuse arrays that do not belong together.

        Raises:
            ValueError: naming the array
        """
        values, classes = np.size(self.mean), len(np.atleast_1d(self.planes))
        expected = {"mean": (values,), "deviation": (values,), "planes": (classes, values)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{name}: finite numbers of shape {shape} are expected")
        if not ((self.deviation > 0).all() and self.limit > 0):
            raise ValueError("deviation, limit: numbers above 0 are expected")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError("temperature: a number above 0 is expected")

    def standardised(self, rows: np.ndarray) -> np.ndarray:
        """Return features as the planes see them, shape ``(clips, values)``."""
        return np.clip((rows.astype(np.float64) - self.mean) / self.deviation, -self.limit, self.limit)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of clips, shape ``(clips, classes)``, from their features, shape ``(clips, values)``."""
        scores = rank_unseen_last(self.standardised(rows) @ self.planes.T.astype(np.float64), self.planes.any(axis=1))
        scores /= self.temperature
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def reasons(self, row: np.ndarray, prediction: int) -> np.ndarray:
        """Return what each value of a clip adds to the logarithm of the probability of a class; above 0: for it.

        Args:
            row: features of one clip, shape ``(values,)``
            prediction: number of the class

        Returns:
            shape ``(values,)``; the sum is that logarithm, up to what is the same for all classes
        """
        return self.planes[prediction].astype(np.float64) * self.standardised(row[None])[0] / self.temperature

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays, to be kept by name."""
        return {name: getattr(self, name).astype(np.float32) for name in ARRAYS}


def rank_unseen_last(scores: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Return scores of clips, ``(clips, classes)``, with classes that were never learned below all others.

    Args:
        learned: of each class, ``(classes,)``
    """
    return np.where(learned, scores, scores.min(axis=1, keepdims=True) - 1)


def zero_unseen(scores: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Return probabilities, ``(clips, classes)``, with 0 for classes that were never learned; rows sum to 1.

    Args:
        learned: of each class, ``(classes,)``
    """
    if learned.all():
        return scores
    kept = np.where(learned, np.maximum(scores, np.finfo(np.float32).tiny), 0)
    return kept / kept.sum(axis=1, keepdims=True)


def classifier_from_arrays(arrays: Mapping[str, np.ndarray], **numbers: float) -> LinearClassifier:
    """Return the classifier that arrays by name make, with the ``numbers`` that it needs besides.

    Raises:
        ValueError: if one is missing, or they do not belong together
    """
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(f"{missing[0]}: is missing")
    return LinearClassifier(**{name: arrays[name] for name in ARRAYS}, **numbers)
