"""Figures of results: confusion matrix, recalls, values with intervals, comparison of systems."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sernb.evaluation import Interval, Metrics
from sernb.figures.style import ACCENT, FLOOR, INK, PALETTE, WIDTH, Drawing, canvas, styled


@styled
def confusion(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Confusion matrix, with percentages of each true class as colour and text, and counts."""
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
    errors = share - np.diag(np.diag(share))
    worst = np.unravel_index(errors.argmax(), errors.shape)
    diagonal = ", ".join(f"{name} {value:.0f} %" for name, value in zip(classes, np.diag(share), strict=True))
    return Drawing(
        figure,
        f"Confusion matrix, true class in rows. Correct: {diagonal}. Most frequent confusion: "
        f"{classes[worst[0]]} predicted as {classes[worst[1]]}, {errors[worst]:.0f} %.",
    )


@styled
def recalls(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Recall of each emotion with its interval, and the chance level."""
    figure, axes = canvas(height=0.33 * len(classes) + 1.0)
    for row, (name, recall) in enumerate(zip(classes, metrics.recall, strict=True)):
        _interval(axes, row, recall, PALETTE.get(name, ACCENT))
    _floor(axes, metrics.uar_floor, "chance level")
    axes.set(title=title, xlabel="recall (%)", xlim=(0, 100), yticks=range(len(classes)), yticklabels=classes)
    _top_down(axes, len(classes))
    words = ", ".join(f"{name} {recall.as_percent()}" for name, recall in zip(classes, metrics.recall, strict=True))
    return Drawing(
        figure, f"Recall of each emotion with 95 % interval: {words}. Chance level: {100 * metrics.uar_floor:.1f} %."
    )


@styled
def values_with_intervals(rows: dict[str, Interval], title: str, axis: str, *, floor: float | None = None) -> Drawing:
    """Named values with their intervals, one per row."""
    figure, axes = canvas(height=min(0.33, 12 / len(rows)) * len(rows) + 1.0)
    for row, interval in enumerate(rows.values()):
        _interval(axes, row, interval, ACCENT)
    if floor is not None:
        _floor(axes, floor, "chance level")
        axes.set_xlim(0, 100)  # the values are shares
    axes.set(title=title, xlabel=axis, yticks=range(len(rows)), yticklabels=list(rows))
    _top_down(axes, len(rows))
    words = "; ".join(f"{name} {interval}" for name, interval in rows.items())
    chance = "" if floor is None else f" Chance level: {100 * floor:.1f}."
    return Drawing(figure, f"{axis} with 95 % intervals: {words}.{chance}")


# Marker and colour of each protocol, distinguishable without colours; all others share OTHER_LOOK.
PROTOCOL_LOOKS = {
    "as-published": ("o", "#b8860b"),
    "speaker-independent": ("s", ACCENT),
    "speaker-normalised": ("D", "#3b8b6f"),
    "random": ("^", "#8c564b"),
    "random-twins-apart": ("v", "#cc79a7"),
    "corpus-independent": ("P", "#6a3d9a"),
}
OTHER_LOOK = ("X", "#7f7f7f")
GREY = "#9aa0a8"


@styled
def comparison(results: pd.DataFrame, title: str, others: pd.DataFrame | None = None) -> Drawing:
    """UAR of each system under each protocol with interval and chance level, and published scores.

    Args:
        results: columns system, protocol, heading (the protocol's display name), uar (an :class:`Interval`), floor,
            reported (a share, or NaN)
        others: scores in the literature, columns name, metric, value (a share), comparable (measured in the same way);
            they are plotted below ours, grey if not comparable, and only if their metric is UAR
    """
    systems = list(dict.fromkeys(results.system))
    protocols = list(dict.fromkeys(results.protocol))
    others = pd.DataFrame(columns=["name", "metric", "value", "comparable"]) if others is None else others
    others = others[others.metric == "uar"]
    figure, axes = canvas(height=0.6 * len(systems) + 0.3 * len(others) + 1.6)
    for line in results.itertuples():
        marker, colour = PROTOCOL_LOOKS.get(line.protocol, OTHER_LOOK)
        at = systems.index(line.system) + 0.22 * (protocols.index(line.protocol) - (len(protocols) - 1) / 2)
        _interval(axes, at, line.uar, colour, marker)
        axes.plot([100 * line.floor] * 2, [at - 0.1, at + 0.1], color=FLOOR, lw=2)
        if not np.isnan(line.reported):
            axes.plot(100 * line.reported, at, "*", color="white", mec=INK, ms=11)
    rows = [len(systems) + 0.5 * number for number in range(len(others))]
    for at, other in zip(rows, others.itertuples(), strict=True):
        fill, edge = (INK, INK) if other.comparable else ("white", GREY)
        axes.plot(100 * other.value, at, "d", color=fill, mec=edge)
    for name in protocols:
        marker, colour = PROTOCOL_LOOKS.get(name, OTHER_LOOK)
        label = "as published; random 10-fold for our systems" if name == "as-published" else name
        axes.plot([], [], marker, color=colour, label=label)
    axes.plot([], [], color=FLOOR, lw=2, label="chance level")
    if results.reported.notna().any():
        axes.plot([], [], "*", color="white", mec=INK, ms=11, label="reported by the authors")
    if len(others):
        axes.plot([], [], "d", color="white", mec=GREY, label="literature, other protocol")
    if others.comparable.any():
        axes.plot([], [], "d", color=INK, label="literature, same protocol")
    axes.set(title=title, xlabel="UAR (%)", xlim=(0, 100))
    axes.set_yticks([*range(len(systems)), *rows], [*systems, *others.name])
    for label, comparable in zip(axes.get_yticklabels()[len(systems) :], others.comparable, strict=True):
        label.set(color=INK if comparable else "#6b7280", fontsize=8)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.5)
    words = "; ".join(f"{line.system}, {line.heading}: {line.uar.as_percent()}" for line in results.itertuples())
    published = "; ".join(
        f"{other.name}: {100 * other.value:.1f} % ({'same' if other.comparable else 'other'} protocol)"
        for other in others.itertuples()
    )
    literature = f" In the literature: {published}." if published else ""
    return Drawing(figure, f"UAR with 95 % intervals. {words}.{literature}")


@styled
def reliability(curves: dict[str, pd.DataFrame], errors: dict[str, float], title: str) -> Drawing:
    """Reliability diagram: accuracy against confidence.

    Args:
        curves: name → output of :func:`sernb.evaluation.reliability`
        errors: name → expected calibration error, a share
    """
    figure, axes = canvas(height=4.4, width=5.4)
    axes.grid(axis="y")
    axes.plot([0, 100], [0, 100], color=GREY, ls="--", lw=1, label="perfectly calibrated")
    looks = [("o-", ACCENT), ("s:", "#b8860b")]
    words = []
    for (name, curve), (look, colour) in zip(curves.items(), looks, strict=False):
        error = 100 * errors[name]
        axes.plot(
            100 * curve.confidence, 100 * curve.accuracy, look, color=colour, ms=5, label=f"{name}: ECE {error:.1f} %"
        )
        lowest, highest = curve.iloc[0], curve.iloc[-1]
        words.append(
            f"{name}: expected calibration error {error:.1f} %; lowest confidence {100 * lowest.confidence:.0f} %, "
            f"accuracy {100 * lowest.accuracy:.0f} %; highest confidence {100 * highest.confidence:.0f} %, accuracy "
            f"{100 * highest.accuracy:.0f} %"
        )
    clips = int(next(iter(curves.values())).clips.sum())
    axes.set(title=title, xlabel="confidence, mean of the bin (%)", ylabel="accuracy (%)")
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.legend(fontsize=8.5, loc="upper left", title=f"n = {clips} clips", alignment="left")
    return Drawing(figure, f"Reliability diagram of {clips} clips, in bins of equal size. {'. '.join(words)}.")


@styled
def coverage(curves: dict[str, pd.DataFrame], title: str) -> Drawing:
    """Accuracy-coverage curve of selective prediction: WAR of the most confident predictions.

    Args:
        curves: measure of confidence → output of :func:`sernb.evaluation.coverage`
    """
    figure, axes = canvas(height=3.2)
    axes.grid(axis="y")
    words = []
    for (name, curve), (look, colour) in zip(curves.items(), [("-", ACCENT), ("--", "#b8860b")], strict=False):
        shown = curve[curve.clips >= 20]  # accuracy on fewer clips is too noisy
        axes.plot(100 * shown.coverage, 100 * shown.accuracy, look, color=colour, lw=2, label=f"by {name}")
        half = curve[curve.coverage >= 0.5].iloc[0]
        both = f"{100 * half.accuracy:.1f} % of the most confident half, {100 * curve.accuracy.iloc[-1]:.1f} % of all"
        words.append(f"by {name}: {both}")
    clips = int(next(iter(curves.values())).clips.iloc[-1])
    axes.set(title=title, xlabel=f"coverage (% of clips; 100 % is n = {clips})", ylabel="WAR (%)", xlim=(0, 100))
    axes.legend(fontsize=8.5)
    return Drawing(figure, f"WAR by coverage, {clips} clips: {'; '.join(words)}.")


@styled
def predictions(scores: pd.DataFrame, truths: Sequence[str], title: str) -> Drawing:
    """Scores of some clips, with the top three numbered and the true class marked.

    Args:
        scores: one row per clip, one column per class
        truths: the true class of each clip
    """
    columns = min(len(scores), 4)
    rows = -(-len(scores) // columns)
    classes = list(scores)
    figure = Figure(figsize=(WIDTH, rows * (0.22 * len(classes) + 0.9)), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    words = []
    for axes, (clip, row), truth in zip(grid.flat, scores.iterrows(), truths, strict=False):
        first = row.sort_values(ascending=False, kind="stable").index[:3]
        bars = axes.barh(classes, 100 * row, color=["#3f6f9c" if name in first else "#d5d8dc" for name in classes])
        for place, name in enumerate(first, 1):
            at = classes.index(name)
            axes.text(100 * row[name] + 2, at, f"{place}.", va="center", fontsize=8)
        bars[classes.index(truth)].set(edgecolor=INK, linewidth=1.6, hatch="///")
        axes.set_title(f"{clip}\n{truth}", fontsize=8, fontweight="normal")
        axes.set(xlim=(0, 115), xticks=(0, 50, 100))
        axes.tick_params(labelsize=8)
        words.append(f"{clip}, true class {truth}: " + ", ".join(f"{name} {100 * row[name]:.0f} %" for name in first))
    for axes in grid.flat[len(scores) :]:
        axes.set_visible(False)
    grid[0, 0].invert_yaxis()
    for axes in grid[-1]:
        axes.set_xlabel("score (%)", fontsize=8.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, f"The three highest scores of {len(scores)} clips. {'; '.join(words)}.")


@styled
def ranks(table: pd.DataFrame, title: str) -> Drawing:
    """Rank of each system with its interval; 1 is best.

    Args:
        table: output of :func:`sernb.evaluation.rank`
    """
    figure, axes = canvas(height=0.33 * len(table) + 1.0)
    for row, line in enumerate(table.itertuples()):
        axes.plot([line.low, line.high], [row, row], color=ACCENT, lw=2.5, alpha=0.55)
        axes.plot(line.rank, row, "o", color=ACCENT, ms=7)
    axes.set(title=title, xlabel="rank by UAR, 1 is best", xlim=(0.5, len(table) + 0.5))
    axes.set(xticks=range(1, len(table) + 1), yticks=range(len(table)), yticklabels=table.system)
    _top_down(axes, len(table))
    words = "; ".join(f"{line.system} {line.rank:g} [{line.low:g}, {line.high:g}]" for line in table.itertuples())
    return Drawing(figure, f"Ranks with 95 % intervals: {words}.")


@styled
def costs(results: pd.DataFrame, title: str, axis: str) -> Drawing:
    """UAR against the cost of a system, on a logarithmic axis.

    Args:
        results: columns system, protocol, uar (an :class:`Interval`), cost
    """
    figure, axes = canvas(height=3.8)
    axes.grid(axis="both")
    protocols = list(dict.fromkeys(results.protocol))
    for line in results.itertuples():
        marker, colour = PROTOCOL_LOOKS.get(line.protocol, OTHER_LOOK)
        axes.plot([line.cost] * 2, [100 * line.uar.low, 100 * line.uar.high], color=colour, lw=2, alpha=0.5)
        axes.plot(line.cost, 100 * line.uar.value, marker, color=colour, ms=7)
    for name in protocols:
        marker, colour = PROTOCOL_LOOKS.get(name, OTHER_LOOK)
        axes.plot([], [], marker, color=colour, label=name)
    axes.set(title=title, xlabel=axis, ylabel="UAR (%)", xscale="log")
    axes.margins(x=0.15, y=0.12)
    axes.legend(fontsize=8.5)
    named = []
    for system, lines in results.groupby("system", sort=False):
        best = max(lines.itertuples(), key=lambda line: line.uar.high)
        at = {"xy": (best.cost, 100 * best.uar.high), "xytext": (0, 4), "textcoords": "offset points"}
        label = axes.annotate(system, **at, ha="center", fontsize=8)
        _lift(label, named)
        named.append(label)
    words = "; ".join(
        f"{line.system}, {line.protocol}: {line.cost:,.4g}, UAR {line.uar.as_percent()}"
        for line in results.itertuples()
    )
    return Drawing(figure, f"UAR against {axis}. {words}.")


def _lift(label, others: list) -> None:
    """Move a label up until it overlaps no other."""
    while any(label.get_window_extent().overlaps(other.get_window_extent()) for other in others):
        label.xyann = (label.xyann[0], label.xyann[1] + 2)


def _interval(axes, row: float, interval: Interval, colour: str, marker: str = "o") -> None:
    axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, lw=2.5, alpha=0.55)
    axes.plot(100 * interval.value, row, marker, color=colour, ms=7)


def _top_down(axes, rows: int) -> None:
    axes.set_ylim(rows - 0.4, -0.6)


def _floor(axes, value: float, name: str) -> None:
    axes.axvline(100 * value, color=FLOOR, lw=1.2, ls="--")
    axes.text(100 * value, 0.02, f" {name}", color=FLOOR, fontsize=8.5, transform=axes.get_xaxis_transform())
