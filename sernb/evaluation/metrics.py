"""Metrics of truth and scores. Means over classes leave out classes that are absent from the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pandas as pd

Metric = Callable[[np.ndarray, np.ndarray], float]

# Limits the log-loss of a true class with probability 0; this is scikit-learn's limit for float64.
SMALLEST = np.finfo(float).eps


@dataclass(frozen=True)
class Sums:
    """A metric as a function of sums over clips, so that all resamples cost one matrix product."""

    terms: Callable[[np.ndarray, np.ndarray], np.ndarray]  # truth, scores → (clips, terms)
    value: Callable[[np.ndarray], np.ndarray]  # (…, terms) → (…)
    by_class: Callable[[np.ndarray], np.ndarray] | None = None  # (…, terms) → (…, classes), of which value is the mean

    def of_copies(self, copies: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return the metric of each resample, shape ``(copies,)``.

        Means are over the classes of all clips: a class that is missing from a resample keeps its value on all clips,
        so that the resample is not scored on the other classes only.

        Args:
            copies: sums of each resample, ``(copies, terms)``
            whole: sums of all clips, ``(terms,)``
        """
        if self.by_class is None:
            return self.value(copies)
        classes = int(np.sqrt(len(whole)))
        missing = copies.reshape(-1, classes, classes).sum(axis=-1) == 0
        return np.nanmean(np.where(missing, self.by_class(whole), self.by_class(copies)), axis=-1)


def of_sums(terms: Callable, value: Callable, by_class: Callable | None = None) -> Callable[[Metric], Metric]:
    """Define a metric by its sums; the decorated function only documents it."""

    def define(documented: Metric) -> Metric:
        @wraps(documented)
        def metric(truth: np.ndarray, scores: np.ndarray) -> float:
            return float(value(terms(*aligned(truth, scores)).sum(axis=0)))

        metric.sums = Sums(terms, value, by_class)
        return metric

    return define


def predict(scores: np.ndarray) -> np.ndarray:
    """Return the class with the highest score for each clip, the first one in case of ties."""
    return np.asarray(scores).argmax(axis=1)


def confusion_matrix(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return counts, shape ``(true class, predicted class)``.

    Raises:
        ValueError: if lengths differ, there are no clips, a truth is not a class number, or scores are not finite
    """
    truth, scores = aligned(truth, scores)
    classes = scores.shape[1]
    return np.bincount(truth * classes + predict(scores), minlength=classes**2).reshape(classes, classes)


def aligned(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert both to arrays and check them.

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
    """Check that scores are probabilities, and divide each row by its sum to correct rounding.

    Raises:
        ValueError: if a score is negative or a row does not sum to 1 (within 0.001)
    """
    scores = np.asarray(scores, float)
    sums = scores.sum(axis=1, keepdims=True)
    if (scores < 0).any() or (np.abs(sums - 1) > 1e-3).any():
        raise ValueError("scores must be probabilities here: not negative, with a sum of 1 for each clip")
    return scores / sums


# -- Counts of correct predictions -- #


def among_first(truth: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Return whether each clip's class has one of the ``k`` highest scores; ties are broken by class order."""
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
    """Define a metric by a function of confusion counts; with ``macro``, as the mean of its values by class."""

    def of_counts(sums: np.ndarray) -> np.ndarray:
        classes = int(np.sqrt(sums.shape[-1]))
        return function(sums.reshape(*sums.shape[:-1], classes, classes))

    if not macro:
        return of_sums(_cells, of_counts)
    return of_sums(_cells, lambda sums: np.nanmean(of_counts(sums), axis=-1), of_counts)


def _correct(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _share(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), otherwise)


def recalls(matrix: np.ndarray) -> np.ndarray:
    """Return the recall of each class from confusion counts ``(…, classes, classes)``; NaN for absent classes."""
    return _share(_correct(matrix), matrix.sum(axis=-1))


def _precisions(matrix: np.ndarray) -> np.ndarray:
    """Return precisions: 0 for a class that is present and never predicted, NaN for one that is neither."""
    occurs = matrix.sum(axis=-1) + matrix.sum(axis=-2) > 0
    return np.where(occurs, _share(_correct(matrix), matrix.sum(axis=-2), otherwise=0.0), np.nan)


def _f1s(matrix: np.ndarray) -> np.ndarray:
    return _share(2 * _correct(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def _weighted(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    present = matrix.sum(axis=-1)
    return np.nansum(values * present, axis=-1) / present.sum(axis=-1)


@of_sums(lambda truth, scores: _with_ones(predict(scores) == truth), _mean)
def war(truth: np.ndarray, scores: np.ndarray) -> float:
    """Weighted average recall, which equals accuracy: the share of correct predictions.

    Examples:
        >>> war(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]])
        0.75
    """


@_of_confusion(recalls, macro=True)
def uar(truth: np.ndarray, scores: np.ndarray) -> float:
    """Unweighted average recall: the mean of recall over the classes that are present.

    If all classes are present it equals macro recall; weighted recall is :func:`war`.

    Examples:
        >>> round(uar(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]]), 4)
        0.8333
    """


@_of_confusion(_precisions, macro=True)
def macro_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean precision over the classes present or predicted; 0 for a class that is never predicted."""


@_of_confusion(lambda matrix: _weighted(_precisions(matrix), matrix), macro=False)
def weighted_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean precision over classes, weighted by their numbers of clips."""


@_of_confusion(_f1s, macro=True)
def macro_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean F1, the harmonic mean of precision and recall, over the classes present or predicted."""


@_of_confusion(lambda matrix: _weighted(_f1s(matrix), matrix), macro=False)
def weighted_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean F1 over classes, weighted by their numbers of clips."""


@of_sums(lambda truth, scores: _with_ones(among_first(truth, scores, 3)), _mean)
def top3(truth: np.ndarray, scores: np.ndarray) -> float:
    """Share of clips whose class has one of the three highest scores; ties are broken by class order."""


def top_k(truth: np.ndarray, scores: np.ndarray, k: int = 3) -> float:
    """Share of clips whose class has one of the ``k`` highest scores; ties are broken by class order.

    Examples:
        >>> top_k(np.array([0, 1]), np.array([[0.2, 0.5, 0.3], [0.5, 0.1, 0.4]]), k=2)
        0.0
    """
    return float(among_first(*aligned(truth, scores), k).mean())


def per_class(truth: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return precision, recall, F1 and number of clips by class; NaN if a class is absent.

    Args:
        classes: names, in the order of the scores
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
    """Return WAR, UAR and number of clips by group, such as speaker or gender, in order of name.

    Args:
        groups: group name of each clip, shape ``(clips,)``
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
    true_class = probabilities(scores)[np.arange(len(truth)), truth]
    return _with_ones(-np.log(np.clip(true_class, SMALLEST, 1 - SMALLEST)))


def _squares(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return _with_ones(((probabilities(scores) - np.eye(scores.shape[1])[truth]) ** 2).sum(axis=1))


@of_sums(_loss, _mean)
def log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative natural logarithm of the probability of the true class (cross-entropy, nats).

    Raises:
        ValueError: if scores are not probabilities
    """


@of_sums(_squares, _mean)
def brier(truth: np.ndarray, scores: np.ndarray) -> float:
    """Brier score: mean over clips of the summed squared errors of all probabilities, 0 … 2.

    Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Raises:
        ValueError: if scores are not probabilities
    """


# -- Valence, arousal, dominance -- #


def ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Concordance correlation coefficient, -1 … 1; clips without truth (NaN) are left out.

    Twice the covariance divided by the sum of both variances and the squared difference of the means, with divisor n:
    Lin (1989), doi:10.2307/2532051. 0 if one series is constant, NaN if both are the same constant.

    Examples:
        >>> round(ccc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 4)
        0.5714

    Raises:
        ValueError: if lengths differ, no clip has a truth, or a prediction is not finite
    """
    truth, prediction = _measured(truth, prediction)
    if not np.ptp(truth) or not np.ptp(prediction):  # otherwise rounding would give a small variance
        return 0.0 if np.ptp(np.concatenate([truth, prediction])) else float("nan")
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    spread = truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2
    return float(2 * covariance / spread)


def pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation, -1 … 1; clips without truth (NaN) are left out.

    It is invariant to shift and positive scale of the predictions, and undefined (NaN) if either series is constant.

    Raises:
        ValueError: as :func:`ccc`
    """
    truth, prediction = _measured(truth, prediction)
    if not np.ptp(truth) or not np.ptp(prediction):
        return float("nan")
    first, second = truth - truth.mean(), prediction - prediction.mean()
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root mean squared error, in the unit of the truth; clips without truth (NaN) are left out.

    Raises:
        ValueError: as :func:`ccc`
    """
    truth, prediction = _measured(truth, prediction)
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def _measured(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape:
        raise ValueError(f"{len(truth)} truths and {len(prediction)} predictions: one prediction per clip is expected")
    labelled = ~np.isnan(truth)
    if not labelled.any():
        raise ValueError(f"no truth among {len(truth)} clips: nothing can be compared")
    if not np.isfinite(prediction[labelled]).all():
        raise ValueError("predictions must be finite; a training that diverged gives NaN")
    return truth[labelled], prediction[labelled]
