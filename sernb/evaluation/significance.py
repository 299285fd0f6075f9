"""Comparison of systems or seeds: paired tests, smallest detectable difference, ranks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from sernb.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    Predictions,
    copies_of,
    draw_resamples,
    group_sums,
    paired_difference,
    resampling_units,
    same_clips,
)
from sernb.evaluation.metrics import Metric, aligned

EXACT = 12  # up to this number of units, the test is exact: all sign flips are evaluated
PERMUTATIONS = 10_000
BLOCK = 1000


@dataclass(frozen=True)
class Comparison:
    """Difference of two systems on the same clips, with its test."""

    difference: Interval
    p: float  # two-sided
    units: int  # number of speakers, or clips, that were flipped
    exact: bool  # all flips were evaluated, not a sample


def paired_test(metric: Metric, first: Predictions, second: Predictions, *, seed: int = 0) -> Comparison:
    """Test the difference of ``second`` minus ``first``, paired over clips, by flipping speakers.

    Paired permutation test: under the null hypothesis, each speaker's predictions are exchangeable between the systems
    (Good, 2005, doi:10.1007/b138696). All flips are evaluated for up to 12 speakers, otherwise 10,000 random ones, with
    one added to both counts (Phipson and Smyth, 2010, doi:10.2202/1544-6115.1585). With n speakers, p is at least
    2 / 2^n. If there are too few speakers for intervals over them, clips are flipped and the interval is marked.

    Args:
        metric: a function of sums over clips, such as :func:`sernb.evaluation.uar`

    Raises:
        ValueError: if the two are not for the same clips in the same order, or the metric is not a function of sums
    """
    difference = paired_difference(metric, first, second, seed=seed)
    if not hasattr(metric, "sums"):
        raise ValueError(f"{metric.__name__} is not a function of sums over clips, which this test needs")
    _, groups = resampling_units(first.speakers)
    second_sums, first_sums = (
        group_sums(metric.sums.terms(*aligned(predictions.truth, predictions.scores)), groups)
        for predictions in (second, first)
    )
    extreme = total = 0
    for flips in _flips(len(second_sums), np.random.default_rng(seed)):
        moved = flips @ (first_sums - second_sums)
        flipped = metric.sums.value(second_sums.sum(axis=0) + moved)
        flipped = flipped - metric.sums.value(first_sums.sum(axis=0) - moved)
        extreme += int((np.abs(flipped) >= abs(difference.value) - 1e-12).sum())  # 1e-12: equal up to rounding
        total += len(flipped)
    exact = len(second_sums) <= EXACT
    p = extreme / total if exact else (extreme + 1) / (total + 1)
    return Comparison(difference, p, len(second_sums), exact)


def _flips(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield blocks of flips, ``(flips, units)``; 1 exchanges the unit between the systems."""
    if count <= EXACT:
        yield np.array(list(product((0.0, 1.0), repeat=count)))
        return
    for _ in range(PERMUTATIONS // BLOCK):
        yield (rng.random((BLOCK, count)) < 0.5).astype(float)


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p values for multiple testing: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def speaker_differences(metric: Metric, first: Predictions, second: Predictions) -> np.ndarray:
    """Return the metric of ``second`` minus that of ``first`` by speaker, shape ``(speakers,)``, in order of name.

    Raises:
        ValueError: if the two are not for the same clips in the same order
    """
    same_clips(first, second)
    speakers = np.asarray(first.speakers)
    parts = [speakers == name for name in np.unique(speakers)]
    return np.array(
        [metric(second.truth[p], second.scores[p]) - metric(first.truth[p], first.scores[p]) for p in parts]
    )


def smallest_detectable_difference(
    deviation: float, speakers: int, *, power: float = 0.8, level: float = LEVEL
) -> float:
    """Return the smallest true difference that a paired test over this number of speakers detects with this power.

    (t(1 - (1 - level) / 2) + t(power)) · deviation / √speakers, with speakers - 1 degrees of freedom: Bloom (1995),
    doi:10.1177/0193841X9501900504.

    Args:
        deviation: sample standard deviation of the difference over speakers, see :func:`speaker_differences`

    Examples:
        >>> round(smallest_detectable_difference(0.06, 24), 3)
        0.036

    Raises:
        ValueError: with fewer than two speakers
    """
    from scipy.stats import t

    if speakers < 2:
        raise ValueError(f"{speakers} speakers: the deviation over speakers needs at least two")
    quantiles = t.ppf([(1 + level) / 2, power], speakers - 1)
    return float(quantiles.sum() * deviation / np.sqrt(speakers))


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of a score over seeds; the deviation of one seed is NaN."""

    mean: float
    deviation: float
    seeds: int

    def __str__(self) -> str:
        """Return both in per cent.

        Examples:
            >>> print(average_over_seeds([0.61, 0.62, 0.63]))
            62.0 ± 1.0 (3 seeds)
        """
        if self.seeds == 1:
            return f"{100 * self.mean:.1f} (1 seed)"
        return f"{100 * self.mean:.1f} ± {100 * self.deviation:.1f} ({self.seeds} seeds)"


def average_over_seeds(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of a score over seeds.

    Raises:
        ValueError: if there is no value
    """
    if not len(values):
        raise ValueError("no values: one per seed is expected")
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation, len(values))


def rank(metric: Metric, systems: Mapping[str, Predictions], *, seed: int = 0) -> pd.DataFrame:
    """Rank systems on the same clips, 1 for the highest score, with the 95 % interval of each rank.

    All systems have the same resamples; equal scores share the mean of their ranks.

    Args:
        metric: a function of sums over clips; higher is better

    Returns:
        columns system, value, rank, low, high, first (share of resamples in which no system is better); best first

    Raises:
        ValueError: if the systems' predictions are not for the same clips in the same order
    """
    from scipy.stats import rankdata

    every = list(systems.values())
    for other in every[1:]:
        same_clips(every[0], other)
    _, groups = resampling_units(every[0].speakers)
    resamples = draw_resamples(groups, RESAMPLES, seed)
    # Rounded, so that scores that are equal up to rounding errors share a rank.
    copies = np.stack([copies_of(metric, predictions, groups, resamples) for predictions in every]).round(12)
    ranked = rankdata(-copies, axis=0)  # (systems, copies)
    values = np.array([metric(predictions.truth, predictions.scores) for predictions in every])
    low, high = np.percentile(ranked, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=1)
    table = pd.DataFrame(
        {
            "system": list(systems),
            "value": values,
            "rank": rankdata(-values.round(12)),
            "low": low,
            "high": high,
            "first": (copies == copies.max(axis=0)).mean(axis=1),
        }
    )
    return table.sort_values(["rank", "system"], ignore_index=True)


def format_p(p: float) -> str:
    """Return a p value with three decimals.

    Examples:
        >>> format_p(0.0421), format_p(0.0001)
        ('0.042', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
