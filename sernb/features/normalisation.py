"""Normalisation of features and scores, over training clips or a speaker, with shrinkage for few clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Normaliser:
    """Standardisation of each column, fitted on training clips.

    Clips are read one by one, twice, so that they need not fit into memory together.
    """

    def __init__(self, clips: Sequence[np.ndarray]):
        rows, total, squares = 0, 0.0, 0.0
        for clip in clips:
            rows, total = rows + len(clip), _add_rows(total, clip)
        self.mean = total / rows
        for clip in clips:
            squares = _add_rows(squares, (clip - self.mean) ** 2)
        deviation = np.sqrt(squares / rows)
        self.deviation = np.where(deviation > 1e-8, deviation, 1.0)  # constant columns become 0, not NaN

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Return the standardised features of a clip, float32."""
        return ((clip - self.mean) / self.deviation).astype(np.float32)


def _add_rows(total: float | np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Add rows to a total sequentially, so that the result does not depend on the division into clips."""
    return np.insert(clip.astype(np.float64), 0, total, axis=0).sum(axis=0)


SMALLEST_SCORE = 1e-7  # probability: runs have seven digits


def normalise_scores(scores: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Subtract each speaker's mean log probability of each class, which assumes the same mixture of classes for all.

    Args:
        scores: probabilities, ``(clips, classes)``
        speakers: of the clips, ``(clips,)``

    Returns:
        probabilities, ``(clips, classes)``

    Examples:
        >>> scores = np.array([[0.9, 0.1], [0.6, 0.4]])  # less "a" in the second clip than in the first
        >>> normalise_scores(scores, np.array(["one speaker", "one speaker"])).round(2)
        array([[0.71, 0.29],
               [0.29, 0.71]])
    """
    from scipy.special import softmax

    logarithms = np.log(np.maximum(scores, SMALLEST_SCORE))
    for speaker in np.unique(speakers):
        own = speakers == speaker
        logarithms[own] -= logarithms[own].mean(axis=0)
    return softmax(logarithms, axis=1)


SHRINKAGES = (0, 2, 4, 8, 16, 32, 64)  # candidate values of k
SMALLEST = 1e-16  # variance up to which a column counts as constant; it becomes 0, not NaN


class Moments(NamedTuple):
    """Mean and variance of each column."""

    mean: np.ndarray
    variance: np.ndarray


def compute_moments(clips: Sequence[np.ndarray]) -> Moments:
    """Return mean and variance of each column over all rows of the clips."""
    rows = np.concatenate(clips).astype(np.float64)
    return Moments(rows.mean(axis=0), rows.var(axis=0))


def average_moments(speakers: Sequence[Moments]) -> Moments:
    """Return the average speaker: the mean of the means and the mean of the variances."""
    return Moments(*(np.mean(values, axis=0) for values in zip(*speakers, strict=True)))


def shrink(own: Moments, others: Moments, clips: int, k: float) -> Moments:
    """Shrink a speaker's moments towards those of others, with the weight ``clips / (clips + k)``.

    Examples:
        >>> shrink(Moments(np.array([4.0]), np.array([2.0])), Moments(np.array([0.0]), np.array([1.0])), 3, 1.0)
        Moments(mean=array([3.]), variance=array([1.75]))
    """
    weight = clips / (clips + k)
    return Moments(*(weight * first + (1 - weight) * second for first, second in zip(own, others, strict=True)))


def standardise(clip: np.ndarray, moments: Moments) -> np.ndarray:
    """Standardise the features of a clip by these moments, float32."""
    deviation = np.where(moments.variance > SMALLEST, np.sqrt(moments.variance), 1.0)
    return ((clip - moments.mean) / deviation).astype(np.float32)
