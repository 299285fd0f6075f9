"""Figures of numeric predictions: against the truth, and by speaker."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sernb.figures.style import ACCENT, FLOOR, INK, WIDTH, Drawing, canvas, styled

GROUPS = 10  # of equal size, ordered by prediction


@styled
def predicted_numbers(truth: np.ndarray, prediction: np.ndarray, target: str, title: str) -> Drawing:
    """Truth against prediction for each clip, and means of ten groups of clips, both with the identity line."""
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    left.plot(prediction, truth, "o", color=ACCENT, ms=4, alpha=max(0.1, min(0.6, 300 / len(truth))), mew=0)
    groups = np.array_split(np.argsort(prediction, kind="stable"), min(GROUPS, len(truth)))
    means = np.array([(prediction[part].mean(), truth[part].mean(), truth[part].std()) for part in groups])
    right.errorbar(*means.T, fmt="o", color=ACCENT, ecolor=ACCENT, elinewidth=1, ms=6)
    ends = [min(truth.min(), prediction.min()), max(truth.max(), prediction.max())]
    for axes, panel in ((left, "each clip"), (right, f"means of {len(groups)} groups, ± s.d. of the truth")):
        axes.plot(ends, ends, "--", color=FLOOR, lw=1.2)
        axes.axhline(truth.mean(), color=INK, lw=0.8, ls=":")
        axes.set(xlabel=f"predicted {target}", title=panel)
    left.set(ylabel=f"true {target}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    values = (
        f"{prediction.min():.3g} to {prediction.max():.3g}, true values from {truth.min():.3g} to {truth.max():.3g}"
    )
    extremes = ", ".join(f"predicted {each:.3g}, true {mean:.3g}" for each, mean, _ in means[[0, -1]])
    return Drawing(
        figure,
        f"{title}: predicted {target} of {len(truth)} clips from {values}; dashed: identity, dotted: mean of the truth."
        f" Lowest and highest group: {extremes}.",
    )


@styled
def numbers_by_speaker(speakers: pd.DataFrame, title: str) -> Drawing:
    """CCC and Pearson's correlation by speaker; columns speaker, ccc, pearson."""
    rows = np.arange(len(speakers))
    figure, axes = canvas(height=min(0.3, 12 / max(1, len(rows))) * len(rows) + 1.2)
    axes.hlines(rows, speakers.ccc, speakers.pearson, color=ACCENT, lw=2, alpha=0.4)
    axes.plot(speakers.ccc, rows, "o", color=ACCENT, ms=7, label="CCC")
    axes.plot(speakers.pearson, rows, "D", color=INK, mfc="white", ms=6, label="Pearson")
    axes.axvline(0, color=FLOOR, lw=1.2, ls="--")
    axes.set(title=title, yticks=rows, yticklabels=speakers.speaker, xlim=(min(-0.1, axes.get_xlim()[0]), 1.02))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    figure.legend(loc="outside lower center", ncols=2)
    words = "; ".join(f"{row.speaker} {row.ccc:.2f} and {row.pearson:.2f}" for row in speakers.itertuples())
    return Drawing(figure, f"{title}: CCC and Pearson's correlation of each speaker, worst first: {words}.")
