"""The comparison page: all systems beside each other and beside the literature."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from sernb import figures
from sernb.results import ranking
from sernb.results.literature import literature_table
from sernb.results.result import Result, collect_results
from sernb.results.summary import headline
from sernb.results.tables import comparison_table, published_differences, reported_table
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan_report

__all__ = [
    "comparable_groups",
    "headline",
    "literature_table",
    "plot_comparison",
    "plot_costs",
    "published_differences",
    "published_scores",
    "reported_table",
]

SEEDS = 10  # that may have been run
COSTS = {"seconds": "training time of a fold (s)", "multiply_adds": "multiply-adds a clip", "parameters": "parameters"}


def plot_comparison(experiments: Sequence[Experiment], title: str, literature: pd.DataFrame) -> figures.Drawing:
    """Plot UAR of every system under every protocol, with chance levels and what is published."""
    return figures.comparison(comparison_table(experiments), title, literature)


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


def plot_costs(results: Sequence[Result], title: str) -> Iterator[figures.Drawing]:
    """Plot UAR against training time, multiply-adds and parameters, where two systems or more have counted them."""
    for cost, axis in COSTS.items():
        table = ranking.costs_table(results, cost)
        if len(set(table.system)) > 1:
            yield figures.costs(table, f"{title}: UAR against {axis}", axis)
