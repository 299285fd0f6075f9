"""Figures of occlusion maps and of their test by deletion and insertion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sernb.figures.style import ACCENT, WIDTH, Drawing, styled

if TYPE_CHECKING:
    from sernb.results.occlusion import Explanation


@styled
def occlusion_maps(clips: Sequence["Explanation"], title: str) -> Drawing:
    """Log-mel spectrogram of each clip, and below it the drop in the predicted class's score without each cell."""
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    grid = figure.subplots(2, len(clips), squeeze=False, sharex="col")
    most = max(100 * np.abs(each.importance).max() for each in clips)
    words = []
    for (upper, lower), each in zip(grid.T, clips, strict=True):
        cut = each.cut
        seconds = len(cut.signal) / cut.sampling_rate
        picture = each.log_mel
        upper.imshow(
            picture.T, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, picture.shape[1]),
            vmin=picture.max() - 80,
        )  # fmt: skip
        upper.set_title(f"{each.clip}\n{each.truth}, predicted as {each.prediction}", fontsize=8.5, fontweight="normal")
        image = lower.imshow(
            100 * each.importance.T, origin="lower", aspect="auto", cmap="PuOr_r", vmin=-most, vmax=most,
            extent=(0, seconds, 0, cut.grid.bands),
        )  # fmt: skip
        lower.set_xlabel("s")
        lower.set_yticks(range(0, cut.grid.bands + 1, 2), [f"{cut.edges[n] / 1000:.1f}" for n in
                                                           range(0, cut.grid.bands + 1, 2)])  # fmt: skip
        span, band = np.unravel_index(each.importance.argmax(), each.importance.shape)
        words.append(
            f"{each.clip}, {each.truth} predicted as {each.prediction}: largest drop without "
            f"{span * seconds / cut.shape[0]:.2f} to {(span + 1) * seconds / cut.shape[0]:.2f} s at "
            f"{cut.edges[band]:.0f} to {cut.edges[band + 1]:.0f} Hz, {100 * each.importance.max():.0f} points"
        )
    grid[0, 0].set_ylabel("mel band")
    grid[1, 0].set_ylabel("kHz, on the mel scale")
    figure.colorbar(image, ax=grid[1], label="drop in score (points)", shrink=0.9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, f"Spectrograms and importance of each cell. {'; '.join(words)}.")


@styled
def deletion_and_insertion(clips: Sequence["Explanation"], title: str) -> Drawing:
    """Mean score of the predicted class as cells are removed or restored, by importance and at random."""
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    words = []
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("deletion", "insertion"), strict=True):
        curves = np.array([getattr(each.curves, name) for each in clips])  # (clips, orders, steps)
        shares = 100 * clips[0].curves.shares
        ours, random = 100 * curves[:, 0].mean(axis=0), 100 * curves[:, 1:].mean(axis=(0, 1))
        axes.plot(shares, ours, "o-", color=ACCENT, ms=4, label="by importance")
        axes.plot(shares, random, "s--", color="#b8860b", ms=4, label="at random")
        axes.grid(axis="y")
        action = "removed" if name == "deletion" else "restored"
        axes.set(title=f"{name}", xlabel=f"cells {action} (%)", ylim=(0, 100))
        half = len(shares) // 2
        words.append(f"{name}: {ours[half]:.0f} % by importance and {random[half]:.0f} % at random with half of the "
                     f"cells {action}")  # fmt: skip
        if name == "deletion":
            axes.set_ylabel("score of the predicted class (%)")
            axes.legend(fontsize=8.5, title=f"n = {len(clips)} clips", alignment="left")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, f"Mean score of the predicted class over {len(clips)} clips. {'; '.join(words)}.")
