"""Bootstrap intervals over speakers, for one set of predictions and for the difference of two."""

from dataclasses import dataclass

import numpy as np

from sernb.evaluation.baselines import constant_ranking
from sernb.evaluation.metrics import Metric, aligned, confusion_matrix, macro_f1, recalls, top3, uar, war

RESAMPLES = 2000
DRAWS = 500  # resamples for a metric that is not a function of sums over clips, and is computed for each resample
LEVEL = 0.95
# With fewer speakers, resampling speakers is unreliable: clips are resampled, and the interval is marked in all output.
# Such an interval is too narrow for new speakers, see the simulation in ``benchmarks/intervals.py``.
FEWEST_SPEAKERS = 5


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    unit: str = "speakers"  # the resampling unit: "speakers" or "clips"

    def __str__(self) -> str:
        """Return the value and interval in per cent; an interval over clips is marked.

        Examples:
            >>> print(Interval(0.5, 0.412, 0.58), Interval(0.5, 0.412, 0.58, "clips"), sep="; ")
            50.0 [41.2, 58.0]; 50.0 [41.2, 58.0] (clips)
        """
        return self._format_percent("")

    def as_percent(self) -> str:
        """Return the same with a percent sign, for sentences.

        Examples:
            >>> Interval(0.5, 0.412, 0.58, "clips").as_percent()
            '50.0 [41.2, 58.0] % (clips)'
        """
        return self._format_percent(" %")

    def _format_percent(self, sign: str) -> str:
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{100 * self.value:.1f} {interval}{sign}" + " (clips)" * (self.unit == "clips")

    def as_number(self, digits: int = 3) -> str:
        """Return the value and interval in their own unit, with a number of decimals.

        Examples:
            >>> Interval(0.5, 0.412, 0.58).as_number()
            '0.500 [0.412, 0.580]'
        """
        value, low, high = (f"{number:.{digits}f}" for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]" + " (clips)" * (self.unit == "clips")


@dataclass(frozen=True)
class Predictions:
    """Truths, scores and speakers of some clips."""

    truth: np.ndarray
    scores: np.ndarray
    speakers: np.ndarray


@dataclass(frozen=True)
class Metrics:
    """Metrics of one set of predictions; floors are chance levels, of a constant prediction for the same clips."""

    clips: int
    speakers: int
    resampled: str  # "speakers" or "clips"
    war: Interval
    uar: Interval
    macro_f1: Interval
    top3: Interval
    recall: tuple[Interval, ...]  # by class; NaN if the class is absent
    confusion: np.ndarray  # (true class, predicted class), counts
    war_floor: float
    uar_floor: float
    macro_f1_floor: float
    top3_floor: float


def evaluate(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, *, seed: int = 0) -> Metrics:
    """Return all metrics with 95 % percentile intervals.

    Speakers are resampled, as the clips of one speaker are not independent (Field and Welsh, 2007,
    doi:10.1111/j.1467-9868.2007.00593.x); with fewer than ``FEWEST_SPEAKERS`` speakers, clips are.

    Raises:
        ValueError: as :func:`sernb.evaluation.confusion_matrix`
    """
    truth, scores = aligned(truth, scores)
    predictions = Predictions(truth, scores, np.asarray(speakers))
    unit, groups = resampling_units(predictions.speakers)
    resamples = draw_resamples(groups, RESAMPLES, seed)
    classes = scores.shape[1]
    confusion = confusion_matrix(truth, scores)
    matrices = resamples @ group_sums(uar.sums.terms(truth, scores), groups)

    def interval(metric: Metric) -> Interval:
        return percentiles(metric(truth, scores), copies_of(metric, predictions, groups, resamples), unit)

    recall_copies = recalls(matrices.reshape(-1, classes, classes))  # (resamples, classes)
    floor = constant_ranking(truth, classes)
    return Metrics(
        clips=len(truth),
        speakers=len(np.unique(speakers)),
        resampled=unit,
        war=interval(war),
        uar=interval(uar),
        macro_f1=interval(macro_f1),
        top3=interval(top3),
        recall=tuple(
            percentiles(value, copies, unit) for value, copies in zip(recalls(confusion), recall_copies.T, strict=True)
        ),
        confusion=confusion,
        war_floor=war(truth, floor),
        uar_floor=uar(truth, floor),
        macro_f1_floor=macro_f1(truth, floor),
        top3_floor=top3(truth, floor),
    )


def bootstrap_interval(metric: Metric, predictions: Predictions, *, seed: int = 0) -> Interval:
    """Return a metric with its interval; truth and scores may also be numbers, for a metric of numbers."""
    unit, groups = resampling_units(predictions.speakers)
    resamples = draw_resamples(groups, _draws(metric), seed)
    value = metric(predictions.truth, predictions.scores)
    return percentiles(value, copies_of(metric, predictions, groups, resamples), unit)


def paired_difference(metric: Metric, first: Predictions, second: Predictions, *, seed: int = 0) -> Interval:
    """Return the metric of ``second`` minus that of ``first``, paired over clips, with the same resamples for both.

    Raises:
        ValueError: if the two are not of the same clips in the same order
    """
    same_clips(first, second)
    unit, groups = resampling_units(first.speakers)
    resamples = draw_resamples(groups, _draws(metric), seed)
    copies = copies_of(metric, second, groups, resamples) - copies_of(metric, first, groups, resamples)
    return percentiles(metric(second.truth, second.scores) - metric(first.truth, first.scores), copies, unit)


def unpaired_difference(metric: Metric, first: Predictions, second: Predictions, *, seed: int = 0) -> Interval:
    """Return the metric of ``second`` minus that of ``first`` on different clips, with independent resamples."""
    copies, units = [], set()
    for part, start in ((second, seed), (first, seed + 1)):
        unit, groups = resampling_units(part.speakers)
        units.add(unit)
        copies.append(copies_of(metric, part, groups, draw_resamples(groups, _draws(metric), start)))
    value = metric(second.truth, second.scores) - metric(first.truth, first.scores)
    return percentiles(value, copies[0] - copies[1], "clips" if "clips" in units else "speakers")


def resampling_units(speakers: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the resampling unit, ``speakers`` or ``clips``, and the unit number of each clip, shape ``(clips,)``."""
    names, groups = np.unique(speakers, return_inverse=True)
    if len(names) < FEWEST_SPEAKERS:
        return "clips", np.arange(len(groups))
    return "speakers", groups


def same_clips(first: Predictions, second: Predictions) -> None:
    """Check that two sets of predictions are for the same clips in the same order.

    Raises:
        ValueError: if they are not
    """
    if not (np.array_equal(first.truth, second.truth) and np.array_equal(first.speakers, second.speakers)):
        raise ValueError("the two sets of scores are not for the same clips in the same order: sort both by clip")


def group_sums(terms: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sum the rows of each group, shape ``(groups, terms)``."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.add.reduceat(terms[order], starts, axis=0)


def _draws(metric: Metric) -> int:
    return RESAMPLES if hasattr(metric, "sums") else DRAWS


def draw_resamples(groups: np.ndarray, times: int, seed: int) -> np.ndarray:
    """Return how often each unit is drawn with replacement in each resample, shape ``(times, units)``."""
    count = int(groups.max()) + 1
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), times).astype(float)


def copies_of(metric: Metric, predictions: Predictions, groups: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    """Return the metric of each resample, shape ``(resamples,)``; means over classes use the classes of all clips."""
    if sums := getattr(metric, "sums", None):
        unit_sums = group_sums(sums.terms(*aligned(predictions.truth, predictions.scores)), groups)
        return sums.of_copies(resamples @ unit_sums, unit_sums.sum(axis=0))
    clips = np.arange(len(groups))
    copies = (np.repeat(clips, times[groups].astype(int)) for times in resamples)
    return np.array([metric(predictions.truth[copy], predictions.scores[copy]) for copy in copies])


def percentiles(value: float, copies: np.ndarray, unit: str) -> Interval:
    """Return a value with the 95 % percentile interval of its resamples, ignoring undefined ones (NaN)."""
    if np.isnan(value):
        return Interval(float("nan"), float("nan"), float("nan"), unit)
    low, high = np.nanpercentile(copies, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Interval(float(value), float(low), float(high), unit)
