"""Figures of a corpus: class counts, durations, spectrograms and MFCC."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sernb.figures.style import PALETTE, WIDTH, Drawing, canvas, emotions_among, gender_looks, gender_names, styled

if TYPE_CHECKING:
    from sernb.features import LogMel, Mfcc


@styled
def class_counts(clips: pd.DataFrame, title: str) -> Drawing:
    """Number of clips of each emotion, by gender, with counts and percentages."""
    clips = clips.assign(gender=gender_names)
    counts = pd.crosstab(clips.emotion, clips.gender).reindex(emotions_among(clips.emotion))
    figure, axes = canvas(height=0.3 * len(counts) + 1.0)
    left = np.zeros(len(counts))
    for gender, (colour, hatch, text) in gender_looks(clips).items():
        bars = axes.barh(counts.index, counts[gender], left=left, color=colour, hatch=hatch, ec="white", label=gender)
        numbers = axes.bar_label(bars, [count or "" for count in counts[gender]], label_type="center", color=text)
        for number in numbers:
            number.set_bbox({"facecolor": colour, "edgecolor": "none", "pad": 1})
        left += counts[gender].to_numpy()
    axes.bar_label(bars, [f"{count:.0f} ({100 * count / len(clips):.1f} %)" for count in left], padding=4)
    axes.invert_yaxis()
    axes.set(xlabel="clips", xlim=(0, 1.17 * left.max()))
    axes.set_title(title, pad=24)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(counts.columns), borderaxespad=0.1)
    words = "; ".join(f"{emotion} {row.sum()}" for emotion, row in counts.iterrows())
    return Drawing(figure, f"Bars: clips of each emotion, by gender. {words}.")


@styled
def durations(clips: pd.DataFrame, title: str) -> Drawing:
    """Durations of the clips of each emotion."""
    order = emotions_among(clips.emotion)
    figure, axes = canvas(height=0.3 * len(order) + 1.0)
    sns.boxplot(
        clips, x="seconds", y="emotion", order=order, hue="emotion", hue_order=order,
        palette=PALETTE, ax=axes, fliersize=2, linewidth=0.8, legend=False,
    )  # fmt: skip
    axes.set(title=title, xlabel="duration (s)", ylabel="")
    middle = clips.groupby("emotion").seconds.median().reindex(order)
    words = ", ".join(f"{emotion} {seconds:.2f} s" for emotion, seconds in middle.items())
    return Drawing(figure, f"Box plot: durations by emotion. Medians: {words}.")


@styled
def spectrograms(pictures: dict[str, np.ndarray], settings: "LogMel", title: str) -> Drawing:
    """Log-mel spectrograms of clips, side by side on one scale.

    Args:
        pictures: name → decibels, shape ``(frames, bands)``
    """
    top = max(picture.max() for picture in pictures.values())
    figure = _images(pictures, settings, title, "mel band", "dB", first=0, cmap="magma", vmin=top - 80, vmax=top)
    return Drawing(
        figure, f"Log-mel spectrograms, {settings.bands} bands, of {len(pictures)} clips: {', '.join(pictures)}."
    )


@styled
def cepstra(pictures: dict[str, np.ndarray], settings: "Mfcc", title: str) -> Drawing:
    """MFCC of clips, side by side on one scale, without coefficient 0 (the level), which would dominate the scale.

    Args:
        pictures: name → coefficients, shape ``(frames, coefficients)``
    """
    pictures = {name: picture[:, 1:] for name, picture in pictures.items()}
    most = np.percentile(np.abs(np.concatenate(list(pictures.values()))), 99)
    figure = _images(pictures, settings, title, "coefficient", "MFCC", first=1, cmap="RdBu_r", vmin=-most, vmax=most)
    count = settings.coefficients - 1
    return Drawing(figure, f"MFCC 1 to {count} over time of {len(pictures)} clips: {', '.join(pictures)}.")


def _images(
    pictures: dict[str, np.ndarray], settings: "LogMel | Mfcc", title: str, axis: str, unit: str, *, first: int,
    **looks: object,
) -> Figure:  # fmt: skip
    """Draw arrays ``(frames, rows)`` over time, four per row; rows are numbered from ``first``."""
    columns = 4
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    seconds = {name: len(picture) * settings.hop / settings.sampling_rate for name, picture in pictures.items()}
    for axes in grid.flat[len(pictures) :]:
        axes.set_visible(False)
    for axes, (name, picture) in zip(grid.flat, pictures.items(), strict=False):
        extent = (0, seconds[name], first, first + picture.shape[1])
        image = axes.imshow(picture.T, origin="lower", aspect="auto", extent=extent, **looks)
        axes.set_title(name, fontsize=9, fontweight="normal")
        axes.set(xlim=(0, max(seconds.values())), xlabel="s")
    for axes in grid[:, 0]:
        axes.set_ylabel(axis)
    figure.colorbar(image, ax=grid, label=unit, shrink=0.9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure
