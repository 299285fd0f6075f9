"""Figures of results: confusion, recalls, values with intervals, systems side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns

from sernb.evaluation import Interval, Metrics
from sernb.figures.style import ACCENT, FLOOR, INK, PALETTE, Drawing, canvas, styled


@styled
def confusion(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Confusion matrix: per cent of each true class as colour and text, counts below."""
    counts = metrics.confusion
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [
        [f"{percent:.0f}\n{count}" for percent, count in zip(*row, strict=True)]
        for row in zip(share, counts, strict=True)
    ]
    figure, axes = canvas(height=0.55 * len(classes) + 1.4, width=0.75 * len(classes) + 2)
    sns.heatmap(
        share, annot=labels, fmt="", cmap="Blues", vmin=0, vmax=100, square=True, linewidths=0.5, ax=axes,
        xticklabels=classes, yticklabels=classes, annot_kws={"fontsize": 8},
        cbar_kws={"label": "% of the true class", "shrink": 0.7},
    )  # fmt: skip
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.tick_params(axis="x", rotation=35)
    axes.tick_params(axis="y", rotation=0)
    off = share - np.diag(np.diag(share))
    worst = np.unravel_index(off.argmax(), off.shape)
    diagonal = ", ".join(f"{name} {value:.0f} %" for name, value in zip(classes, np.diag(share), strict=True))
    return Drawing(
        figure,
        f"Confusion matrix, true class in rows. Rightly predicted: {diagonal}. Commonest confusion: "
        f"{classes[worst[0]]} taken for {classes[worst[1]]}, {off[worst]:.0f} %.",
    )


@styled
def recalls(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Recall of each emotion with its interval, and the share that guessing would reach."""
    figure, axes = canvas(height=0.33 * len(classes) + 1.0)
    for row, (name, recall) in enumerate(zip(classes, metrics.recall, strict=True)):
        _interval(axes, row, recall, PALETTE.get(name, ACCENT))
    _floor(axes, metrics.uar_floor, "chance")
    axes.set(title=title, xlabel="recall (%)", xlim=(0, 100), yticks=range(len(classes)), yticklabels=classes)
    axes.invert_yaxis()
    words = ", ".join(f"{name} {recall} %" for name, recall in zip(classes, metrics.recall, strict=True))
    return Drawing(
        figure, f"Recall of each emotion with 95 % interval: {words}. Chance is {100 * metrics.uar_floor:.1f} %."
    )


@styled
def values_with_intervals(rows: dict[str, Interval], title: str, axis: str, *, floor: float | None = None) -> Drawing:
    """Named values with their intervals, one a line."""
    figure, axes = canvas(height=0.33 * len(rows) + 1.0)
    for row, interval in enumerate(rows.values()):
        _interval(axes, row, interval, ACCENT)
    if floor is not None:
        _floor(axes, floor, "floor")
    axes.set(title=title, xlabel=axis, yticks=range(len(rows)), yticklabels=list(rows))
    axes.invert_yaxis()
    words = "; ".join(f"{name} {interval}" for name, interval in rows.items())
    beyond = "" if floor is None else f" The floor is {100 * floor:.1f}."
    return Drawing(figure, f"{axis} with 95 % intervals: {words}.{beyond}")


@styled
def comparison(results: pd.DataFrame, title: str) -> Drawing:
    """UAR of each system under each protocol with interval, chance, and what the authors report.

    Args:
        results: columns system, protocol, uar (an :class:`Interval`), floor, reported (a share, or NaN)
    """
    markers = {
        "as-published": ("o", "#b8860b"),
        "speaker-independent": ("s", ACCENT),
        "speaker-normalised": ("D", "#3b8b6f"),
    }
    systems = list(dict.fromkeys(results.system))
    protocols = list(dict.fromkeys(results.protocol))
    figure, axes = canvas(height=0.75 * len(systems) + 1.6)
    for line in results.itertuples():
        marker, colour = markers[line.protocol]
        at = systems.index(line.system) + 0.22 * (protocols.index(line.protocol) - (len(protocols) - 1) / 2)
        _interval(axes, at, line.uar, colour, marker)
        axes.plot([100 * line.floor] * 2, [at - 0.1, at + 0.1], color=FLOOR, lw=2)
        if not np.isnan(line.reported):
            axes.plot(100 * line.reported, at, "*", color="white", mec=INK, ms=11)
    for name in protocols:
        axes.plot([], [], markers[name][0], color=markers[name][1], label=name)
    axes.plot([], [], color=FLOOR, lw=2, label="floor")
    axes.plot([], [], "*", color="white", mec=INK, ms=11, label="reported by the authors")
    axes.set(title=title, xlabel="UAR (%)", xlim=(0, 100), yticks=range(len(systems)), yticklabels=systems)
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.45 / (0.25 * len(systems) + 0.6)), ncols=3, fontsize=8.5)
    words = "; ".join(f"{line.system}, {line.protocol}: {line.uar} %" for line in results.itertuples())
    return Drawing(figure, f"UAR with 95 % intervals. {words}.")


def _interval(axes, row: float, interval: Interval, colour: str, marker: str = "o") -> None:
    axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, lw=2.5, alpha=0.55)
    axes.plot(100 * interval.value, row, marker, color=colour, ms=7)


def _floor(axes, value: float, name: str) -> None:
    axes.axvline(100 * value, color=FLOOR, lw=1.2, ls="--")
    axes.text(100 * value, 0.02, f" {name}", color=FLOOR, fontsize=8.5, transform=axes.get_xaxis_transform())
