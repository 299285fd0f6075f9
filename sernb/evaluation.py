"""Truth and scores → metrics, each with its interval and its floor. Nothing here draws, prints or reads files.

Everywhere: ``truth`` holds class numbers, shape ``(clips,)``; ``scores`` are higher for likelier classes, shape
``(clips, classes)``; ``speakers`` names who is heard, shape ``(clips,)``. The prediction is the class with the highest
score, the first one of equals.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
DRAWS = 500  # where the metric has to be computed anew for each
LEVEL = 0.95
# With fewer, resampling speakers says little: clips are resampled instead, and the result says so.
FEWEST_SPEAKERS = 8


@dataclass(frozen=True)
class Interval:
    """A value and the 95 % interval of its resampled copies."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the value and interval in per cent.

        Examples:
            >>> print(Interval(0.5, 0.412, 0.58))
            50.0 [41.2, 58.0]
        """
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Metrics:
    """What one set of predictions is worth; the floors are what a fixed answer would reach on the same clips."""

    clips: int
    speakers: int
    resampled: str  # "speakers" or "clips"
    war: Interval
    uar: Interval
    macro_f1: Interval
    top3: Interval
    recall: tuple[Interval, ...]  # by class; NaN where the class is absent
    confusion: np.ndarray  # (true class, predicted class), counts
    war_floor: float
    uar_floor: float
    macro_f1_floor: float
    top3_floor: float


def war(truth: np.ndarray, scores: np.ndarray) -> float:
    """Weighted average recall, which is accuracy: the share of clips that are predicted rightly.

    Examples:
        >>> war(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]])
        0.75
    """
    return float(np.mean(predict(scores) == np.asarray(truth)))


def uar(truth: np.ndarray, scores: np.ndarray) -> float:
    """Unweighted average recall: the mean over the classes present of the share of each predicted rightly.

    Examples:
        >>> round(uar(np.array([0, 1, 1, 1]), np.eye(2)[[0, 1, 1, 0]]), 4)
        0.8333
    """
    return float(_uar(confusion_matrix(truth, scores)))


def macro_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes present or predicted of the harmonic mean of precision and recall."""
    return float(_macro_f1(confusion_matrix(truth, scores)))


def top_k(truth: np.ndarray, scores: np.ndarray, k: int = 3) -> float:
    """Share of clips whose true class is among the ``k`` highest scores; of equal scores the first class counts.

    Examples:
        >>> top_k(np.array([0, 1]), np.array([[0.2, 0.5, 0.3], [0.5, 0.1, 0.4]]), k=2)
        0.0
    """
    return float(_among_first(truth, scores, k).mean())


def predict(scores: np.ndarray) -> np.ndarray:
    """Return the class with the highest score of each clip, the first one of equals."""
    return np.asarray(scores).argmax(axis=1)


def confusion_matrix(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return counts, shape ``(true class, predicted class)``.

    Raises:
        ValueError: if lengths differ, there are no clips, or scores are not finite
    """
    truth, scores = _aligned(truth, scores)
    classes = scores.shape[1]
    return np.bincount(truth * classes + predict(scores), minlength=classes**2).reshape(classes, classes)


def evaluate(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, *, seed: int = 0) -> Metrics:
    """Return all metrics with 95 % percentile intervals.

    Resampled are whole speakers, since the clips of one speaker are not independent (Field and Welsh, 2007,
    doi:10.1111/j.1467-9868.2007.00593.x); with fewer than eight speakers, clips.

    Raises:
        ValueError: as :func:`confusion_matrix`
    """
    truth, scores = _aligned(truth, scores)
    groups = np.unique(speakers, return_inverse=True)[1]
    count = int(groups.max()) + 1
    resampled = "speakers" if count >= FEWEST_SPEAKERS else "clips"
    if resampled == "clips":
        groups = np.arange(len(truth))
    counts, hits = _by_group(truth, scores, groups)
    # How often each group is drawn: the same as drawing with replacement, in one step.
    drawn = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    matrices = np.tensordot(drawn, counts, axes=1)  # (resamples, classes, classes)

    def interval(metric: Callable[[np.ndarray], np.ndarray]) -> Interval:
        return _interval(metric(counts.sum(axis=0)), metric(matrices))

    floor = _floor(truth, scores.shape[1])
    return Metrics(
        clips=len(truth),
        speakers=count,
        resampled=resampled,
        war=interval(_war),
        uar=interval(_uar),
        macro_f1=interval(_macro_f1),
        top3=_interval(hits.sum() / len(truth), drawn @ hits / matrices.sum(axis=(1, 2))),
        recall=tuple(interval(lambda m, c=c: _recalls(m)[..., c]) for c in range(scores.shape[1])),
        confusion=counts.sum(axis=0),
        war_floor=war(truth, floor),
        uar_floor=uar(truth, floor),
        macro_f1_floor=macro_f1(truth, floor),
        top3_floor=top_k(truth, floor),
    )


Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Answers:
    """Truths, scores and speakers of some clips."""

    truth: np.ndarray
    scores: np.ndarray
    speakers: np.ndarray


def gain(metric: Metric, first: Answers, second: Answers, *, seed: int = 0) -> Interval:
    """Return by how much ``second`` is better than ``first`` on the same clips, the same speakers drawn for both."""
    draws = _draws(first.speakers, np.random.default_rng(seed))
    copies = [metric(first.truth[d], second.scores[d]) - metric(first.truth[d], first.scores[d]) for d in draws]
    return _interval(metric(second.truth, second.scores) - metric(first.truth, first.scores), np.array(copies))


def gap(metric: Metric, first: Answers, second: Answers, *, seed: int = 0) -> Interval:
    """Return by how much ``second`` is better than ``first`` on other clips, speakers drawn for each by itself."""
    copies = []
    for part, start in ((second, seed), (first, seed + 1)):
        draws = _draws(part.speakers, np.random.default_rng(start))
        copies.append(np.array([metric(part.truth[drawn], part.scores[drawn]) for drawn in draws]))
    return _interval(metric(second.truth, second.scores) - metric(first.truth, first.scores), copies[0] - copies[1])


def _draws(speakers: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Positions of clips, drawn by speaker with replacement; by clip where there are too few speakers."""
    names = np.unique(speakers)
    if len(names) < FEWEST_SPEAKERS:
        return list(rng.integers(len(speakers), size=(DRAWS, len(speakers))))
    units = [np.flatnonzero(speakers == name) for name in names]
    return [np.concatenate([units[unit] for unit in rng.integers(len(units), size=len(units))]) for _ in range(DRAWS)]


def average_views(scores: np.ndarray) -> np.ndarray:
    """Test-time augmentation: the arithmetic mean of the scores over the views.

    Args:
        scores: shape ``(views, clips, classes)``
    """
    return np.asarray(scores).mean(axis=0)


def _war(matrix: np.ndarray) -> np.ndarray:
    return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))


def _recalls(matrix: np.ndarray) -> np.ndarray:
    present = matrix.sum(axis=-1)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.where(present > 0, right / np.maximum(present, 1), np.nan)


def _uar(matrix: np.ndarray) -> np.ndarray:
    return np.nanmean(_recalls(matrix), axis=-1)


def _macro_f1(matrix: np.ndarray) -> np.ndarray:
    total = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.nanmean(np.where(total > 0, 2 * right / np.maximum(total, 1), np.nan), axis=-1)


def _interval(value: float, copies: np.ndarray) -> Interval:
    if np.isnan(value):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.nanpercentile(copies, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Interval(float(value), float(low), float(high))


def _by_group(truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confusion counts, (groups, classes, classes), and clips with the truth among the first three, (groups,)."""
    classes = scores.shape[1]
    counts = np.zeros((groups.max() + 1, classes, classes), int)
    np.add.at(counts, (groups, truth, predict(scores)), 1)
    hits = np.bincount(groups, weights=_among_first(truth, scores, 3), minlength=len(counts))
    return counts, hits


def _among_first(truth: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")
    return (order[:, :k] == np.asarray(truth)[:, None]).any(axis=1)


def _floor(truth: np.ndarray, classes: int) -> np.ndarray:
    """Scores of the best fixed answer in hindsight: every clip gets the classes in order of their frequency."""
    return np.tile(np.bincount(truth, minlength=classes), (len(truth), 1))


def _aligned(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = np.asarray(truth), np.asarray(scores)
    if len(truth) != len(scores) or not len(truth):
        raise ValueError(f"{len(truth)} truths and {len(scores)} rows of scores: one row per clip is expected")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; a training that diverged gives NaN")
    return truth, scores
