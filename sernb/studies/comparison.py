"""The comparison page: systems compared with each other and with the literature."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from sernb import figures
from sernb.results import ranking
from sernb.results.literature import literature_table
from sernb.results.result import Result, collect_results
from sernb.results.summary import comparable_results, describe_best, describe_tested
from sernb.results.tables import comparison_table, published_differences, reported_table
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan_report

__all__ = [
    "comparable_groups",
    "conclusions",
    "headline",
    "literature_table",
    "plot_comparison",
    "plot_costs",
    "published_differences",
    "published_scores",
    "reported_table",
    "title",
]

SHARED, UNSEEN = "as-published", "speaker-independent"
SEEDS = 10  # the largest number of seeds that are looked for
COSTS = {
    "seconds": "training time per fold (s)",
    "multiply_adds": "multiply-adds per clip",
    "parameters": "parameters",
}


def headline(results: Sequence[Result]) -> list[str]:
    """State the best of the comparable results, and how much of a published score remains on unseen speakers."""
    return [describe_best(results), *_largest_loss(results)]


def _largest_loss(results: Sequence[Result]) -> list[str]:
    """State the largest difference between authors' protocol and unseen speakers, of systems with published scores."""
    unseen = {each.system.name: each for each in results if each.protocol == UNSEEN and not each.options}
    losses = []
    for result in results:
        strict, score = unseen.get(result.system.name), result.reported("uar") or result.reported("war")
        if result.protocol == SHARED and strict and score and result.experiments[0].corpus.evidence:
            ours, remains = (getattr(each.metrics(), score.metric) for each in (result, strict))
            losses.append((ours.value - remains.value, score, result, ours, strict, remains))
    if not losses:
        return []
    _, score, result, ours, strict, remains = max(losses, key=lambda each: each[0])
    chance = 100 * getattr(strict.metrics(), f"{score.metric}_floor")
    among = f"Largest difference of {len(losses)} published systems, " if len(losses) > 1 else ""
    return [
        f"{among}{result.system.name}: {score.metric.upper()} {100 * score.value:.1f} % reported; here "
        f"{ours.as_percent()} under its authors' protocol ({describe_tested(result, result.metrics())}) and "
        f"{remains.as_percent()} on unseen speakers ({describe_tested(strict, strict.metrics())}; chance level "
        f"{chance:.1f} %)."
    ]


def conclusions(results: Sequence[Result]) -> list[str]:
    """Compare the spread over protocols with that over systems, in sentences."""
    uars = {
        (each.system.name, each.protocol): 100 * each.metrics().uar.value for each in results if each.system.features
    }
    pairs = [(name, uars[name, SHARED] - uars[name, UNSEEN]) for name, protocol in uars if protocol == SHARED
             and (name, UNSEEN) in uars]  # fmt: skip
    sentences = []
    if pairs:
        (smallest, least), (largest, most) = (extreme(pairs, key=lambda pair: pair[1]) for extreme in (min, max))
        sentences.append(
            f"On unseen speakers UAR differs from that under the authors' own protocol by {-most:+.1f} ({largest}) to "
            f"{-least:+.1f} points ({smallest}), {len(pairs)} systems."
        )
    group = comparable_results(results)
    if len(group) > 1:
        values = [100 * each.metrics().uar.value for each in group]
        sentences.append(
            f"UAR of {len(group)} systems with the same classes and test clips, {group[0].heading}, spans "
            f"{max(values) - min(values):.1f} points."
        )
    return sentences


def plot_comparison(experiments: Sequence[Experiment], heading: str, literature: pd.DataFrame) -> figures.Drawing:
    """Plot UAR of every system under every protocol, with chance levels and published scores."""
    return figures.comparison(comparison_table(experiments), heading, literature)


def published_scores(literature: pd.DataFrame) -> pd.DataFrame:
    """Return published scores and our most similar results, formatted for display, see :func:`literature_table`."""
    shown = literature.assign(value=(100 * literature.value.astype(float)).map("{:.1f}".format))
    shown = shown.assign(metric=shown.metric.str.upper())[["name", "metric", "value", "ours", "why", "source"]]
    columns = ["System", "Metric", "Published", "Our best, most similar protocol", "Differences", "Source"]
    return shown.set_axis(columns, axis=1)


def comparable_groups(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str] = (),
    *,
    profile: str,
    first_seed: int = 0,
    data: str | Path | None = None,
) -> list[ranking.ComparableGroup]:
    """Return the comparable groups of the finished runs of all seeds; empty names as in :func:`plan_report`."""
    seeds = range(first_seed, first_seed + SEEDS)
    experiments = plan_report(systems, corpus, protocols, profile=profile, seeds=seeds, data=data)
    return ranking.comparable_groups(collect_results(ranking.select_finished(experiments)))


def title(group: ranking.ComparableGroup) -> str:
    """Return protocol, test clips and labels of a comparable group, for titles."""
    return f"{group.protocol}: {group.clips} clips of {group.speakers} speakers, labels {group.labels.name}"


def plot_costs(results: Sequence[Result], where: str) -> Iterator[figures.Drawing]:
    """Plot UAR against training time, multiply-adds and parameters, if at least two systems have counts."""
    for cost, axis in COSTS.items():
        table = ranking.costs_table(results, cost)
        if len(set(table.system)) > 1:
            yield figures.costs(table, f"{where}: UAR against {axis}", axis)
