"""Normalisation: mean and standard deviation of features, over clips or a speaker, and shrinkage for few clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Normaliser:
    """Mean and standard deviation of each column, fitted on some clips and applied to any.

    Clips are read one after the other, twice: together they may be larger than the memory.
    """

    def __init__(self, clips: Sequence[np.ndarray]):
        rows, total, squares = 0, 0.0, 0.0
        for clip in clips:
            rows, total = rows + len(clip), _added(total, clip)
        self.mean = total / rows
        for clip in clips:
            squares = _added(squares, (clip - self.mean) ** 2)
        deviation = np.sqrt(squares / rows)
        self.deviation = np.where(deviation > 1e-8, deviation, 1.0)  # a constant column becomes 0, not NaN

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Return the clip with each column at mean 0 and standard deviation 1 over the fitted clips, float32."""
        return ((clip - self.mean) / self.deviation).astype(np.float32)


def _added(total: float | np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Add the rows to a total one after the other, so that it is the same however they are parted into clips."""
    return np.insert(clip.astype(np.float64), 0, total, axis=0).sum(axis=0)


SHRINKAGES = (0, 2, 4, 8, 16, 32, 64)  # values of k to choose from
SMALLEST = 1e-16  # variance of a column that never changes; it becomes 0, not NaN


class Moments(NamedTuple):
    """Mean and variance of each column."""

    mean: np.ndarray
    variance: np.ndarray


def compute_moments(clips: Sequence[np.ndarray]) -> Moments:
    """Return mean and variance of each column over all rows of some clips."""
    rows = np.concatenate(clips).astype(np.float64)
    return Moments(rows.mean(axis=0), rows.var(axis=0))


def average_moments(speakers: Sequence[Moments]) -> Moments:
    """Return the average speaker: the mean of the means and the mean of the variances."""
    return Moments(*(np.mean(values, axis=0) for values in zip(*speakers, strict=True)))


def shrink(own: Moments, others: Moments, clips: int, k: float) -> Moments:
    """Return a mixture of both, ``clips / (clips + k)`` parts the speaker's own.

    Examples:
        >>> shrink(Moments(np.array([4.0]), np.array([2.0])), Moments(np.array([0.0]), np.array([1.0])), 3, 1.0)
        Moments(mean=array([3.]), variance=array([1.75]))
    """
    weight = clips / (clips + k)
    return Moments(*(weight * mine + (1 - weight) * theirs for mine, theirs in zip(own, others, strict=True)))


def standardise(clip: np.ndarray, moments: Moments) -> np.ndarray:
    """Return a clip with these moments taken out, float32."""
    deviation = np.where(moments.variance > SMALLEST, np.sqrt(moments.variance), 1.0)
    return ((clip - moments.mean) / deviation).astype(np.float32)
