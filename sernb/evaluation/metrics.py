"""Truth and scores → one figure each. A class that is not among the truths counts in no mean over classes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pandas as pd

Metric = Callable[[np.ndarray, np.ndarray], float]

# A probability of 0 for what then happens would cost infinitely much; this is scikit-learn's limit for float64.
SMALLEST = np.finfo(float).eps


@dataclass(frozen=True)
class Sums:
    """How a metric is made of what can be summed over clips: resampled copies then cost one matrix product."""

    terms: Callable[[np.ndarray, np.ndarray], np.ndarray]  # truth, scores → (clips, terms)
    value: Callable[[np.ndarray], np.ndarray]  # (…, terms) → (…)
    by_class: Callable[[np.ndarray], np.ndarray] | None = None  # (…, terms) → (…, classes), of which value is the mean

    def of_copies(self, copies: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return the metric of each resampled copy, shape ``(copies,)``.

        A mean over classes is over those of the whole: where no clip of a class was drawn, it keeps its value, so that
        a copy that misses a class is not judged by the others alone.

        Args:
            copies: sums of each copy, ``(copies, terms)``
            whole: sums of all clips, ``(terms,)``
        """
        if self.by_class is None:
            return self.value(copies)
        classes = int(np.sqrt(len(whole)))
        missing = copies.reshape(-1, classes, classes).sum(axis=-1) == 0
        return np.nanmean(np.where(missing, self.by_class(whole), self.by_class(copies)), axis=-1)


def of_sums(terms: Callable, value: Callable, by_class: Callable | None = None) -> Callable[[Metric], Metric]:
    """Define a metric by its sums; its function gives the documentation."""

    def define(documented: Metric) -> Metric:
        @wraps(documented)
        def metric(truth: np.ndarray, scores: np.ndarray) -> float:
            return float(value(terms(*aligned(truth, scores)).sum(axis=0)))

        metric.sums = Sums(terms, value, by_class)
        return metric

    return define


def predict(scores: np.ndarray) -> np.ndarray:
    """Return the class with the highest score of each clip, the first one of equals."""
    return np.asarray(scores).argmax(axis=1)


def confusion_matrix(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return counts, shape ``(true class, predicted class)``.

    Raises:
        ValueError: if lengths differ, there are no clips, a truth is no class, or scores are not finite
    """
    truth, scores = aligned(truth, scores)
    classes = scores.shape[1]
    return np.bincount(truth * classes + predict(scores), minlength=classes**2).reshape(classes, classes)


def aligned(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays.

    Raises:
        ValueError: as :func:`confusion_matrix`
    """
    truth, scores = np.asarray(truth), np.asarray(scores)
    if len(truth) != len(scores) or not len(truth):
        raise ValueError(f"{len(truth)} truths and {len(scores)} rows of scores: one row per clip is expected")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; a training that diverged gives NaN")
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ValueError(f"truth {truth.min()} … {truth.max()}, but there are scores for {scores.shape[1]} classes")
    return truth, scores


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Return scores as probabilities: each row is divided by its sum, which rounding alone may move from 1.

    Raises:
        ValueError: if a score is negative or a row does not sum up to 1 (to 0.001)
    """
    scores = np.asarray(scores, float)
    sums = scores.sum(axis=1, keepdims=True)
    if (scores < 0).any() or (np.abs(sums - 1) > 1e-3).any():
        raise ValueError("scores must be probabilities here: none negative, and 1 in sum for each clip")
    return scores / sums


# -- Counts of right and wrong -- #


def among_first(truth: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Return for each clip whether its class is among the ``k`` highest scores; of equals the first classes count."""
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")
    return (order[:, :k] == np.asarray(truth)[:, None]).any(axis=1)


def _with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def _cells(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mark each clip's cell of the confusion matrix, shape ``(clips, classes²)``."""
    classes = scores.shape[1]
    cells = np.zeros((len(truth), classes**2))
    cells[np.arange(len(truth)), truth * classes + predict(scores)] = 1
    return cells


def _of_confusion(function: Callable[[np.ndarray], np.ndarray], *, macro: bool) -> Callable[[Metric], Metric]:
    """Define a metric by what confusion counts give: with ``macro`` its values by class, of which it is the mean."""

    def of_counts(sums: np.ndarray) -> np.ndarray:
        classes = int(np.sqrt(sums.shape[-1]))
        return function(sums.reshape(*sums.shape[:-1], classes, classes))

    if not macro:
        return of_sums(_cells, of_counts)
    return of_sums(_cells, lambda sums: np.nanmean(of_counts(sums), axis=-1), of_counts)


def _right(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _share(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), otherwise)


def recalls(matrix: np.ndarray) -> np.ndarray:
    """Return the recall of each class from confusion counts ``(…, classes, classes)``; NaN where it is absent."""
    return _share(_right(matrix), matrix.sum(axis=-1))


def _precisions(matrix: np.ndarray) -> np.ndarray:
    """0 for a class that is present and never predicted, NaN for one that is neither."""
    met = matrix.sum(axis=-1) + matrix.sum(axis=-2) > 0
    return np.where(met, _share(_right(matrix), matrix.sum(axis=-2), otherwise=0.0), np.nan)


def _f1s(matrix: np.ndarray) -> np.ndarray:
    return _share(2 * _right(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def _weighted(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    present = matrix.sum(axis=-1)
    return np.nansum(values * present, axis=-1) / present.sum(axis=-1)


@of_sums(lambda truth, scores: _with_ones(predict(scores) == truth), _mean)
def war(truth: np.ndarray, scores: np.ndarray) -> float:
    """Weighted average recall, which is accuracy: the share of clips that are predicted rightly.

    Examples:
        >>> war(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]])
        0.75
    """


@_of_confusion(recalls, macro=True)
def uar(truth: np.ndarray, scores: np.ndarray) -> float:
    """Unweighted average recall: the mean over the classes present of the share of each predicted rightly.

    Where all classes are present it is the macro recall; weighted recall is :func:`war`.

    Examples:
        >>> round(uar(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]]), 4)
        0.8333
    """


@_of_confusion(_precisions, macro=True)
def macro_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes present or predicted of precision; 0 for a class that is never predicted."""


@_of_confusion(lambda matrix: _weighted(_precisions(matrix), matrix), macro=False)
def weighted_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean of precision over classes, each weighted by its number of clips."""


@_of_confusion(_f1s, macro=True)
def macro_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes present or predicted of the harmonic mean of precision and recall."""


@_of_confusion(lambda matrix: _weighted(_f1s(matrix), matrix), macro=False)
def weighted_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean of F1 over classes, each weighted by its number of clips."""


@of_sums(lambda truth, scores: _with_ones(among_first(truth, scores, 3)), _mean)
def top3(truth: np.ndarray, scores: np.ndarray) -> float:
    """Share of clips whose class is among the three highest scores; of equal scores the first classes count."""


def top_k(truth: np.ndarray, scores: np.ndarray, k: int = 3) -> float:
    """Share of clips whose class is among the ``k`` highest scores; of equal scores the first classes count.

    Examples:
        >>> top_k(np.array([0, 1]), np.array([[0.2, 0.5, 0.3], [0.5, 0.1, 0.4]]), k=2)
        0.0
    """
    return float(among_first(*aligned(truth, scores), k).mean())


def per_class(truth: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return precision, recall, F1 and clips of each class, one row each; NaN where a class is absent.

    Args:
        classes: their names, in the order of the scores
    """
    matrix = confusion_matrix(truth, scores)
    return pd.DataFrame(
        {
            "class": classes,
            "precision": _precisions(matrix),
            "recall": recalls(matrix),
            "f1": _f1s(matrix),
            "clips": matrix.sum(axis=1),
        }
    )


def per_group(truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Return WAR, UAR and clips of each group, one row each in order of name: speakers, genders, intensities.

    Args:
        groups: name of each clip's group, shape ``(clips,)``
    """
    truth, scores = aligned(truth, scores)
    groups = np.asarray(groups)
    parts = {name: groups == name for name in np.unique(groups)}
    return pd.DataFrame(
        {
            "group": list(parts),
            "war": [war(truth[part], scores[part]) for part in parts.values()],
            "uar": [uar(truth[part], scores[part]) for part in parts.values()],
            "clips": [int(part.sum()) for part in parts.values()],
        }
    )


# -- Probabilities -- #


def _loss(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    given = probabilities(scores)[np.arange(len(truth)), truth]
    return _with_ones(-np.log(np.clip(given, SMALLEST, 1 - SMALLEST)))


def _squares(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return _with_ones(((probabilities(scores) - np.eye(scores.shape[1])[truth]) ** 2).sum(axis=1))


@of_sums(_loss, _mean)
def log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean of minus the natural logarithm of the probability given to the true class (cross-entropy, nats).

    Raises:
        ValueError: if scores are no probabilities
    """


@of_sums(_squares, _mean)
def brier(truth: np.ndarray, scores: np.ndarray) -> float:
    """Brier score: mean over clips of the summed squared errors of all probabilities, 0 … 2.

    Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Raises:
        ValueError: if scores are no probabilities
    """


# -- Valence, arousal, dominance -- #


def ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Concordance correlation coefficient of two series of numbers, -1 … 1; clips without truth (NaN) are left out.

    Twice the covariance, by the sum of both variances and the squared difference of the means, all over n:
    Lin (1989), doi:10.2307/2532051. 0 if one is constant, NaN if both are one and the same constant.

    Examples:
        >>> round(ccc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 4)
        0.5714

    Raises:
        ValueError: if lengths differ, no truth is there, or a prediction is not finite
    """
    truth, prediction = _measured(truth, prediction)
    if not np.ptp(truth) or not np.ptp(prediction):  # of no variance but that of rounding
        return 0.0 if np.ptp(np.concatenate([truth, prediction])) else float("nan")
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    spread = truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2
    return float(2 * covariance / spread)


def pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation of two series of numbers, -1 … 1; clips without truth (NaN) are left out.

    Neither a shift nor another range of the predictions changes it. NaN where either is constant: it is not defined.

    Raises:
        ValueError: as :func:`ccc`
    """
    truth, prediction = _measured(truth, prediction)
    if not np.ptp(truth) or not np.ptp(prediction):
        return float("nan")
    first, second = truth - truth.mean(), prediction - prediction.mean()
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error, in the unit of the truth; clips without truth (NaN) are left out.

    Raises:
        ValueError: as :func:`ccc`
    """
    truth, prediction = _measured(truth, prediction)
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def _measured(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape:
        raise ValueError(f"{len(truth)} truths and {len(prediction)} predictions: one prediction a clip is expected")
    there = ~np.isnan(truth)
    if not there.any():
        raise ValueError(f"no truth among {len(truth)} clips: nothing can be compared")
    if not np.isfinite(prediction[there]).all():
        raise ValueError("predictions must be finite; a training that diverged gives NaN")
    return truth[there], prediction[there]
