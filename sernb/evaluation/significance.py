"""Several systems, or one with several seeds: tests, the smallest difference that can be seen, ranks."""

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

EXACT = 12  # up to so many units all sign flips are tried
PERMUTATIONS = 10_000
BLOCK = 1000


@dataclass(frozen=True)
class Comparison:
    """How two systems differ on the same clips."""

    difference: Interval
    p: float  # two-sided
    units: int  # how many speakers, or clips, were flipped
    exact: bool  # all flips were tried, not a sample of them


def paired_test(metric: Metric, first: Predictions, second: Predictions, *, seed: int = 0) -> Comparison:
    """Return by how much ``second`` is better than ``first``, and how likely chance alone is to differ as much.

    Sign-flip test by speaker: if the systems were equal, each speaker's predictions could as well have been the other
    system's (Good, 2005, doi:10.1007/b138696). All exchanges are tried for up to 12 speakers, else 10,000 random ones,
    with one added to both counts (Phipson and Smyth, 2010, doi:10.2202/1544-6115.1585). With n speakers no p is below
    2 / 2^n. Where speakers are too few for intervals over them, clips are exchanged: the interval is marked.

    Args:
        metric: one that is made of sums over clips, such as :func:`sernb.evaluation.uar`

    Raises:
        ValueError: if the two are not of the same clips in the same order, or the metric is none of sums
    """
    difference = paired_difference(metric, first, second, seed=seed)
    if not hasattr(metric, "sums"):
        raise ValueError(f"{metric.__name__} is not made of sums over clips: it cannot be tested this way")
    _, groups = resampling_units(first.speakers)
    ours, theirs = (
        group_sums(metric.sums.terms(*aligned(predictions.truth, predictions.scores)), groups)
        for predictions in (second, first)
    )
    beyond = tried = 0
    for flips in _flips(len(ours), np.random.default_rng(seed)):
        moved = flips @ (theirs - ours)
        flipped = metric.sums.value(ours.sum(axis=0) + moved) - metric.sums.value(theirs.sum(axis=0) - moved)
        beyond += int((np.abs(flipped) >= abs(difference.value) - 1e-12).sum())  # 1e-12: equal but for rounding
        tried += len(flipped)
    exact = len(ours) <= EXACT
    p = beyond / tried if exact else (beyond + 1) / (tried + 1)
    return Comparison(difference, p, len(ours), exact)


def _flips(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Which units are exchanged, ``(flips, units)``, in blocks."""
    if count <= EXACT:
        yield np.array(list(product((0.0, 1.0), repeat=count)))
        return
    for _ in range(PERMUTATIONS // BLOCK):
        yield (rng.random((BLOCK, count)) < 0.5).astype(float)


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p values corrected for their number: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

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
    """Return by how much ``second`` is better for each speaker, shape ``(speakers,)``, in order of name.

    Raises:
        ValueError: if the two are not of the same clips in the same order
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
    """Return the smallest true difference that a paired test over so many speakers finds with this power.

    (t(1 - (1 - level) / 2) + t(power)) · deviation / √speakers, with speakers - 1 degrees of freedom: Bloom (1995),
    doi:10.1177/0193841X9501900504.

    Args:
        deviation: sample standard deviation between speakers of the difference, see :func:`speaker_differences`

    Examples:
        >>> round(smallest_detectable_difference(0.06, 24), 3)
        0.036

    Raises:
        ValueError: with fewer than two speakers
    """
    from scipy.stats import t

    if speakers < 2:
        raise ValueError(f"{speakers} speakers: the spread between speakers needs at least two")
    quantiles = t.ppf([(1 + level) / 2, power], speakers - 1)
    return float(quantiles.sum() * deviation / np.sqrt(speakers))


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of one figure over seeds; NaN deviation for one seed."""

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
    """Return how a figure varies when only the seed does.

    Raises:
        ValueError: if there is no value
    """
    if not len(values):
        raise ValueError("no values: one for each seed is expected")
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation, len(values))


def rank(metric: Metric, systems: Mapping[str, Predictions], *, seed: int = 0) -> pd.DataFrame:
    """Rank systems on the same clips, 1 for the highest figure, with the 95 % interval of each rank.

    The same speakers are drawn for all; equal figures share the mean of their ranks.

    Args:
        metric: one that is made of sums over clips, better when higher

    Returns:
        columns system, value, rank, low, high, first (share of the copies in which no system was better); best first

    Raises:
        ValueError: if the systems are not of the same clips in the same order
    """
    from scipy.stats import rankdata

    every = list(systems.values())
    for other in every[1:]:
        same_clips(every[0], other)
    _, groups = resampling_units(every[0].speakers)
    drawn = draw_resamples(groups, RESAMPLES, seed)
    # Rounded: figures that are equal but for rounding share a rank.
    copies = np.stack([copies_of(metric, predictions, groups, drawn) for predictions in every]).round(12)
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
    """Return a p value with three places.

    Examples:
        >>> format_p(0.0421), format_p(0.0001)
        ('0.042', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
