"""Data → figures in one style, each with a description in words for those who cannot see it.

Every function returns a :class:`Drawing`; ``show(*drawing)`` puts it on a page.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rc_context
from matplotlib.figure import Figure

from sernb.evaluation import Interval, Metrics
from sernb.features import LogMel

# One colour per emotion, the same on every page; told apart by people with common colour blindness.
PALETTE = {
    "neutral": "#7f7f7f",
    "calm": "#56b4e9",
    "happy": "#e69f00",
    "sad": "#0072b2",
    "angry": "#d55e00",
    "fearful": "#6a3d9a",
    "disgust": "#009e73",
    "surprised": "#cc79a7",
}
INK = "#30343b"
ACCENT = "#2f5d8a"
FLOOR = "#a33b3b"
WIDTH = 8.0  # inches

STYLE = {
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "font.size": 9.5,
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def _styled(draw: Callable[..., "Drawing"]) -> Callable[..., "Drawing"]:
    @wraps(draw)
    def styled(*arguments: object, **options: object) -> Drawing:
        with rc_context(STYLE):
            return draw(*arguments, **options)

    return styled


class Drawing(NamedTuple):
    """A figure and what it shows, in words."""

    figure: Figure
    alt: str


@_styled
def class_counts(clips: pd.DataFrame, title: str) -> Drawing:
    """Clips of each emotion, by gender."""
    counts = pd.crosstab(clips.emotion, clips.gender).reindex(_emotions(clips.emotion))
    figure, axes = _canvas(height=3.0)
    left = np.zeros(len(counts))
    for gender, colour in zip(counts.columns, ("#8fb3d1", "#3f6f9c"), strict=False):
        bars = axes.barh(counts.index, counts[gender], left=left, color=colour, label=gender)
        axes.bar_label(bars, label_type="center", color="white" if colour == "#3f6f9c" else INK)
        left += counts[gender].to_numpy()
    axes.invert_yaxis()
    axes.set(title=title, xlabel="clips")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    words = "; ".join(f"{emotion} {row.sum()}" for emotion, row in counts.iterrows())
    return Drawing(figure, f"Bars: clips of each emotion, by gender. {words}.")


@_styled
def durations(clips: pd.DataFrame, title: str) -> Drawing:
    """How long the clips of each emotion are."""
    order = _emotions(clips.emotion)
    figure, axes = _canvas(height=3.0)
    sns.boxplot(
        clips, x="seconds", y="emotion", order=order, hue="emotion", hue_order=order,
        palette=PALETTE, ax=axes, fliersize=2, linewidth=0.8, legend=False,
    )  # fmt: skip
    axes.set(title=title, xlabel="duration (s)", ylabel="")
    middle = clips.groupby("emotion").seconds.median().reindex(order)
    words = ", ".join(f"{emotion} {seconds:.2f} s" for emotion, seconds in middle.items())
    return Drawing(figure, f"Box plot: durations by emotion. Medians: {words}.")


@_styled
def spectrograms(pictures: dict[str, np.ndarray], settings: LogMel, title: str) -> Drawing:
    """Log-mel spectrograms of clips, side by side on one scale.

    Args:
        pictures: name → decibels, shape ``(frames, bands)``
    """
    columns = 4
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    longest = max(len(picture) for picture in pictures.values()) * settings.hop / settings.sampling_rate
    top = max(picture.max() for picture in pictures.values())
    for axes in grid.flat[len(pictures) :]:
        axes.set_visible(False)
    for axes, (name, picture) in zip(grid.flat, pictures.items(), strict=False):
        seconds = len(picture) * settings.hop / settings.sampling_rate
        image = axes.imshow(
            picture.T, origin="lower", aspect="auto", cmap="magma", vmin=top - 80, vmax=top,
            extent=(0, seconds, 0, settings.bands),
        )  # fmt: skip
        axes.set_title(name, fontsize=9, fontweight="normal")
        axes.set(xlim=(0, longest), xlabel="s")
    for axes in grid[:, 0]:
        axes.set_ylabel("mel band")
    figure.colorbar(image, ax=grid, label="dB", shrink=0.9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(
        figure, f"Log-mel spectrograms, {settings.bands} bands, of {len(pictures)} clips: {', '.join(pictures)}."
    )


@_styled
def training_curves(histories: dict[str, pd.DataFrame], title: str) -> Drawing:
    """Loss on the training part and accuracy on the validation part, by epoch, one line a run."""
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = sns.color_palette("crest", len(histories))
    words = []
    for colour, (name, history) in zip(colours, histories.items(), strict=True):
        left.plot(history.epoch, history.loss, color=colour, label=name)
        text = f"{name}: loss {history.loss.iloc[0]:.2f} to {history.loss.iloc[-1]:.2f}"
        if "validation_accuracy" in history:
            right.plot(history.epoch, 100 * history.validation_accuracy, color=colour)
            best = history.validation_accuracy.idxmax()
            right.plot(history.epoch[best], 100 * history.validation_accuracy[best], "o", color=colour, ms=4)
            text += (
                f", accuracy on the validation part at best {100 * history.validation_accuracy[best]:.1f} % "
                f"in epoch {history.epoch[best]}"
            )
        words.append(text)
    left.set(title=title, xlabel="epoch", ylabel="training loss", yscale="log")
    right.set(title="best epoch marked", xlabel="epoch", ylabel="validation accuracy (%)")
    if len(histories) > 1:
        left.legend(fontsize=8)
    return Drawing(figure, f"Training curves. {'; '.join(words)}.")


@_styled
def confusion(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Confusion matrix: per cent of each true class as colour and text, counts below."""
    counts = metrics.confusion
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [
        [f"{percent:.0f}\n{count}" for percent, count in zip(*row, strict=True)]
        for row in zip(share, counts, strict=True)
    ]
    figure, axes = _canvas(height=0.55 * len(classes) + 1.4, width=0.75 * len(classes) + 2)
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


@_styled
def recalls(metrics: Metrics, classes: Sequence[str], title: str) -> Drawing:
    """Recall of each emotion with its interval, and the share that guessing would reach."""
    figure, axes = _canvas(height=0.33 * len(classes) + 1.0)
    for row, (name, recall) in enumerate(zip(classes, metrics.recall, strict=True)):
        _interval(axes, row, recall, PALETTE.get(name, ACCENT))
    _floor(axes, metrics.uar_floor, "chance")
    axes.set(title=title, xlabel="recall (%)", xlim=(0, 100), yticks=range(len(classes)), yticklabels=classes)
    axes.invert_yaxis()
    words = ", ".join(f"{name} {recall} %" for name, recall in zip(classes, metrics.recall, strict=True))
    return Drawing(
        figure, f"Recall of each emotion with 95 % interval: {words}. Chance is {100 * metrics.uar_floor:.1f} %."
    )


@_styled
def values_with_intervals(rows: dict[str, Interval], title: str, axis: str, *, floor: float | None = None) -> Drawing:
    """Named values with their intervals, one a line."""
    figure, axes = _canvas(height=0.33 * len(rows) + 1.0)
    for row, interval in enumerate(rows.values()):
        _interval(axes, row, interval, ACCENT)
    if floor is not None:
        _floor(axes, floor, "floor")
    axes.set(title=title, xlabel=axis, yticks=range(len(rows)), yticklabels=list(rows))
    axes.invert_yaxis()
    words = "; ".join(f"{name} {interval}" for name, interval in rows.items())
    beyond = "" if floor is None else f" The floor is {100 * floor:.1f}."
    return Drawing(figure, f"{axis} with 95 % intervals: {words}.{beyond}")


@_styled
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
    figure, axes = _canvas(height=0.75 * len(systems) + 1.6)
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


def _emotions(values: pd.Series) -> list[str]:
    return [emotion for emotion in PALETTE if emotion in set(values)]


def _canvas(*, height: float, width: float = WIDTH):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return figure, axes


def _interval(axes, row: float, interval: Interval, colour: str, marker: str = "o") -> None:
    axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, lw=2.5, alpha=0.55)
    axes.plot(100 * interval.value, row, marker, color=colour, ms=7)


def _floor(axes, value: float, name: str) -> None:
    axes.axvline(100 * value, color=FLOOR, lw=1.2, ls="--")
    axes.text(100 * value, 0.02, f" {name}", color=FLOOR, fontsize=8.5, transform=axes.get_xaxis_transform())
