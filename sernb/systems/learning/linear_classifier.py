"""A linear classifier in NumPy, stored as plain arrays without pickle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LIMIT = 6.0  # standard deviations, to which outliers are clipped
ARRAYS = ("mean", "deviation", "planes")


@dataclass(frozen=True)
class LinearClassifier:
    """Standardisation, linear weights for each class, and the temperature of the softmax."""

    mean: np.ndarray  # (values,)
    deviation: np.ndarray  # (values,)
    planes: np.ndarray  # weights, (classes, values), without intercept; all 0 for unseen classes
    temperature: float = 1.0
    limit: float = LIMIT  # standard deviations

    def __post_init__(self):
        """Check the arrays; raise ValueError with the name of the invalid one."""
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

    def standardise(self, rows: np.ndarray) -> np.ndarray:
        """Return standardised and clipped features, shape ``(clips, values)``."""
        return np.clip((rows.astype(np.float64) - self.mean) / self.deviation, -self.limit, self.limit)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of clips, shape ``(clips, classes)``, from their features, shape ``(clips, values)``."""
        scores = rank_unseen_last(self.standardise(rows) @ self.planes.T.astype(np.float64), self.planes.any(axis=1))
        scores /= self.temperature
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def contributions(self, row: np.ndarray, prediction: int) -> np.ndarray:
        """Return the contribution of each feature to the log probability of a class.

        Args:
            row: features of one clip, shape ``(values,)``
            prediction: number of the class

        Returns:
            shape ``(values,)``; the sum is the log probability, up to a constant that is equal for all classes
        """
        return self.planes[prediction].astype(np.float64) * self.standardise(row[None])[0] / self.temperature

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, float32, for storage."""
        return {name: getattr(self, name).astype(np.float32) for name in ARRAYS}


def rank_unseen_last(scores: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Return scores, ``(clips, classes)``, with classes unseen in training (not ``learned``) below all others."""
    return np.where(learned, scores, scores.min(axis=1, keepdims=True) - 1)


def zero_unseen(scores: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Return probabilities, ``(clips, classes)``, with 0 for classes unseen in training; rows sum to 1."""
    if learned.all():
        return scores
    seen = np.where(learned, np.maximum(scores, np.finfo(np.float32).tiny), 0)
    return seen / seen.sum(axis=1, keepdims=True)


def classifier_from_arrays(arrays: Mapping[str, np.ndarray], **numbers: float) -> LinearClassifier:
    """Return the classifier with stored arrays; ``numbers`` are its further fields.

    Raises:
        ValueError: if an array is missing or invalid
    """
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(f"{missing[0]}: is missing")
    return LinearClassifier(**{name: arrays[name] for name in ARRAYS}, **numbers)
