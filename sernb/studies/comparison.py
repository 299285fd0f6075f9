"""The comparison page: all systems beside each other and beside the literature."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from sernb import figures
from sernb.results import ranking
from sernb.results.literature import literature_table
from sernb.results.result import Result, collect_results
from sernb.results.summary import comparable_results, headline
from sernb.results.tables import comparison_table, published_differences, reported_table
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan_report

__all__ = [
    "comparable_groups",
    "headline",
    "learned",
    "literature_table",
    "plot_comparison",
    "plot_costs",
    "published_differences",
    "published_scores",
    "reported_table",
    "title",
]

SHARED, UNSEEN = "as-published", "speaker-independent"
SEEDS = 10  # that may have been run
COSTS = {"seconds": "training time of a fold (s)", "multiply_adds": "multiply-adds a clip", "parameters": "parameters"}


def learned(results: Sequence[Result]) -> list[str]:
    """Return whether the protocol or the system decides more, in a sentence."""
    uars = {
        (each.system.name, each.protocol): 100 * each.metrics().uar.value for each in results if each.system.features
    }
    pairs = [(name, uars[name, SHARED] - uars[name, UNSEEN]) for name, protocol in uars if protocol == SHARED
             and (name, UNSEEN) in uars]  # fmt: skip
    said = []
    if pairs:
        (least_of, least), (most_of, most) = min(pairs, key=lambda pair: pair[1]), max(pairs, key=lambda pair: pair[1])
        said.append(
            f"On unseen speakers UAR differs from that under the authors' own protocol by {-most:+.1f} ({most_of}) to "
            f"{-least:+.1f} points ({least_of}), {len(pairs)} systems."
        )
    group = comparable_results(results)
    if len(group) > 1:
        values = [100 * each.metrics().uar.value for each in group]
        said.append(
            f"Between {len(group)} systems with the same classes and test clips, {group[0].heading}, lie "
            f"{max(values) - min(values):.1f} points."
        )
    return said


def plot_comparison(experiments: Sequence[Experiment], heading: str, literature: pd.DataFrame) -> figures.Drawing:
    """Plot UAR of every system under every protocol, with chance levels and what is published."""
    return figures.comparison(comparison_table(experiments), heading, literature)


def published_scores(literature: pd.DataFrame) -> pd.DataFrame:
    """Return published scores and the nearest of ours, formatted for display; see :func:`literature_table`."""
    shown = literature.assign(value=(100 * literature.value.astype(float)).map("{:.1f}".format))
    shown = shown.assign(metric=shown.metric.str.upper())[["name", "metric", "value", "ours", "why", "source"]]
    columns = ["System", "Metric", "Published", "Best of ours, nearest protocol", "What differs", "Source"]
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
    """Return what can be ranked of the finished runs of all seeds; empty names as :func:`plan_report` has them."""
    seeds = range(first_seed, first_seed + SEEDS)
    experiments = plan_report(systems, corpus, protocols, profile=profile, seeds=seeds, data=data)
    return ranking.comparable_groups(collect_results(ranking.finished(experiments)))


def title(group: ranking.ComparableGroup) -> str:
    """Return what a group of comparable systems was tested on, as figures name it."""
    return f"{group.protocol}: {group.clips} clips of {group.speakers} speakers, labels {group.labels.name}"


def plot_costs(results: Sequence[Result], where: str) -> Iterator[figures.Drawing]:
    """Plot UAR against training time, multiply-adds and parameters, where two systems or more have counted them."""
    for cost, axis in COSTS.items():
        table = ranking.costs_table(results, cost)
        if len(set(table.system)) > 1:
            yield figures.costs(table, f"{where}: UAR against {axis}", axis)
