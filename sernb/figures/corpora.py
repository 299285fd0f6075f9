"""Figures of recordings: how many, how long, what they look like."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sernb.features import LogMel
from sernb.figures.style import INK, PALETTE, WIDTH, Drawing, canvas, emotions_among, styled


@styled
def class_counts(clips: pd.DataFrame, title: str) -> Drawing:
    """Clips of each emotion, by gender."""
    counts = pd.crosstab(clips.emotion, clips.gender).reindex(emotions_among(clips.emotion))
    figure, axes = canvas(height=3.0)
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


@styled
def durations(clips: pd.DataFrame, title: str) -> Drawing:
    """How long the clips of each emotion are."""
    order = emotions_among(clips.emotion)
    figure, axes = canvas(height=3.0)
    sns.boxplot(
        clips, x="seconds", y="emotion", order=order, hue="emotion", hue_order=order,
        palette=PALETTE, ax=axes, fliersize=2, linewidth=0.8, legend=False,
    )  # fmt: skip
    axes.set(title=title, xlabel="duration (s)", ylabel="")
    middle = clips.groupby("emotion").seconds.median().reindex(order)
    words = ", ".join(f"{emotion} {seconds:.2f} s" for emotion, seconds in middle.items())
    return Drawing(figure, f"Box plot: durations by emotion. Medians: {words}.")


@styled
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
