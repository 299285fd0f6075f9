"""Figures of recordings: waveforms, silence, pitch and level, ratings, and maps of clips."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sernb.figures.style import (
    ACCENT,
    GENDERS,
    INK,
    PALETTE,
    WIDTH,
    Drawing,
    canvas,
    emotions_among,
    gender_looks,
    gender_names,
    styled,
)

MARKERS = "osD^vP*X<>ph"
NAMED = 30  # names at most in a legend
COLUMNS = 4


@styled
def waveforms(signals: Mapping[str, np.ndarray], sampling_rate: int, title: str) -> Drawing:
    """Signals side by side with common time and amplitude axes, coloured by emotion if named after one."""
    rows = -(-len(signals) // COLUMNS)
    figure = Figure(figsize=(WIDTH, 1.2 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(signals) :]:
        axes.set_visible(False)
    for axes, (name, signal) in zip(grid.flat, signals.items(), strict=False):
        axes.plot(np.arange(len(signal)) / sampling_rate, signal, lw=0.4, color=PALETTE.get(name, ACCENT))
        axes.set_title(name, fontsize=9, fontweight="normal")
    figure.supxlabel("s", fontsize=9.5)
    figure.supylabel("amplitude", fontsize=9.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    peaks = ", ".join(f"{name} {np.abs(signal).max():.3f}" for name, signal in signals.items())
    return Drawing(figure, f"Waveforms on one scale. Peak amplitudes (full scale 1): {peaks}.")


@styled
def trimming(clips: pd.DataFrame, title: str) -> Drawing:
    """Durations of the clips of each emotion, as recorded and without leading and trailing silence.

    Args:
        clips: columns emotion, seconds, trimmed
    """
    kinds = {"as recorded": clips.seconds, "trimmed": clips.trimmed}
    table = pd.concat([clips[["emotion"]].assign(kind=kind, value=values) for kind, values in kinds.items()])
    drawing, axes = _boxes(table, "kind", dict(zip(kinds, GENDERS.values(), strict=True)), title, "duration (s)")
    axes.set_xlim(left=0)
    means = ", ".join(f"{kind} {values.mean():.2f} s" for kind, values in kinds.items())
    return Drawing(drawing.figure, f"Box plot: durations by emotion, {len(clips)} clips. Means: {means}.")


@styled
def voice(clips: pd.DataFrame, column: str, title: str, axis: str, *, logarithmic: bool = False) -> Drawing:
    """A value of each clip, such as its F0, by emotion and gender; clips without it are left out.

    Args:
        clips: columns emotion, gender and ``column``
    """
    table = clips.dropna(subset=[column]).assign(value=lambda rows: rows[column], gender=gender_names)
    drawing, axes = _boxes(table, "gender", gender_looks(table), title, axis)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks([tick for tick in (75, 100, 150, 200, 300, 400, 600) if _between(tick, table.value)])
    return drawing


def _between(tick: float, values: pd.Series) -> bool:
    return values.min() / 1.1 <= tick <= values.max() * 1.1


def _boxes(
    table: pd.DataFrame, hue: str, looks: dict[str, tuple[str, str, str]], title: str, axis: str
) -> tuple[Drawing, object]:
    order = emotions_among(table.emotion)
    figure, axes = canvas(height=0.42 * len(order) + 1.2)
    sns.boxplot(
        table, x="value", y="emotion", order=order, hue=hue, hue_order=list(looks), ax=axes, fliersize=1.5,
        linewidth=0.8, gap=0.1, palette={name: colour for name, (colour, _, _) in looks.items()},
    )  # fmt: skip
    for boxes, (_, hatch, _) in zip(axes.containers, looks.values(), strict=True):
        for box in boxes.boxes:
            box.set_hatch(hatch)
            box.set_edgecolor(INK)
    for handle, (_, hatch, _) in zip(axes.get_legend().legend_handles, looks.values(), strict=True):
        handle.set_hatch(hatch)
    sns.move_legend(axes, "lower left", bbox_to_anchor=(0, 1), ncols=len(looks), title=None, borderaxespad=0.1)
    sizes = pd.crosstab(table.emotion, table[hue]).reindex(order)[list(looks)]
    shown = [" + ".join(map(str, dict.fromkeys(row) if hue == "kind" else row)) for row in sizes.to_numpy()]
    axes.set_yticks(range(len(order)), [f"{name}\nn = {count}" for name, count in zip(order, shown, strict=True)])
    axes.set(xlabel=axis, ylabel="")
    axes.set_title(title, pad=24)
    middle = table.groupby(["emotion", hue]).value.median()
    words = ", ".join(f"{emotion} {middle[emotion].round(1).to_dict()}" for emotion in order)
    words = words.replace("{", "").replace("}", "").replace("'", "")
    return Drawing(figure, f"Box plot: {axis} by emotion and {hue}. Medians: {words}."), axes


@styled
def ratings(clips: pd.DataFrame, dimensions: Sequence[str], title: str) -> Drawing:
    """Histograms of ratings such as valence, in steps of half a point, stacked by emotion."""
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    grid = figure.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    order = emotions_among(clips.emotion)
    for axes, dimension in zip(grid, dimensions, strict=True):
        low, high = np.floor(clips[dimension].min()), np.ceil(clips[dimension].max())
        axes.hist(
            [clips[dimension][clips.emotion == emotion] for emotion in order], np.arange(low, high + 0.75, 0.5) - 0.25,
            stacked=True, color=[PALETTE[emotion] for emotion in order], label=order, ec="white", lw=0.5,
        )  # fmt: skip
        axes.set_xlabel(f"{dimension}, mean {clips[dimension].mean():.2f}")
    grid[0].set(ylabel="clips")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.suptitle(f"{title}, n = {len(clips)}", x=0.01, ha="left", fontsize=11, fontweight="bold")
    means = ", ".join(f"{dimension} {clips[dimension].mean():.2f}" for dimension in dimensions)
    return Drawing(figure, f"Histograms of ratings of {len(clips)} clips, stacked by emotion. Means: {means}.")


@styled
def maps(planes: Mapping[str, np.ndarray], labels: pd.Series, title: str, finding: str) -> Drawing:
    """Clips as points in two dimensions, by one projection or several, with a colour and a marker for each label.

    Args:
        planes: name of the projection → points, shape ``(clips, 2)``
        labels: emotion, speaker or corpus of each clip
        finding: summary of the neighbourhoods, for the alternative text
    """
    names = emotions_among(labels) or sorted(set(labels))
    colours = [PALETTE.get(name, colour) for name, colour in zip(names, sns.husl_palette(len(names)), strict=True)]
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    for axes, (method, points) in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes.items(), strict=True):
        for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
            group = points[(labels == name).to_numpy()]
            marker = MARKERS[number % len(MARKERS)]
            axes.scatter(*group.T, s=12, color=colour, marker=marker, lw=0, alpha=0.75, label=name, rasterized=True)
        axes.set(xticks=[], yticks=[])
        axes.set_title(method, fontsize=9.5, fontweight="normal")
    if len(names) <= NAMED:
        handles = axes.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=6, markerscale=1.6, handletextpad=0.1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, f"{len(labels)} clips as points, {' and '.join(planes)}, {len(names)} labels. {finding}")
