"""Figures of model development: learning curves, network graphs, filters and activations, trials of a study."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc
from matplotlib.ticker import MaxNLocator

from sernb.figures.style import ACCENT, INK, WIDTH, Drawing, canvas, styled

if TYPE_CHECKING:
    from sernb.studies.networks import NetworkInterior
    from sernb.systems.inspection import Step

COLUMNS = 4  # panels per row
GREY = "#9aa0a8"
MOST_MAPS = 16


@styled
def learning_curves(histories: pd.DataFrame, title: str) -> Drawing:
    """Training loss and, if epochs are selected, validation accuracy: one panel per variant, one line per fold.

    Args:
        histories: columns variant, fold, epoch, loss, accuracy (NaN without model selection), selected
    """
    variants = list(dict.fromkeys(histories.variant))
    histories = histories.assign(accuracy=100 * histories.accuracy)
    curves = [("loss", "training loss", 1.05 * histories.loss.max())]  # column, name, upper limit of the axis
    if histories.accuracy.notna().any():
        curves.append(("accuracy", "accuracy (%)", 100))
    blocks = -(-len(variants) // COLUMNS)
    columns = min(len(variants), COLUMNS)
    figure = Figure(figsize=(WIDTH, 1.95 * len(curves) * blocks + 0.3), layout="constrained")
    panels = figure.subplots(len(curves) * blocks, columns, squeeze=False, sharex=True, sharey="row")
    stacks = panels.reshape(blocks, len(curves), columns).transpose(0, 2, 1).reshape(-1, len(curves))  # one per variant
    folds = sorted(set(histories.fold))
    colours = sns.color_palette("crest", len(folds))
    words = []
    for variant, stack in zip(variants, stacks, strict=False):  # the last row may have empty panels
        epochs = []
        for fold, colour in zip(folds, colours, strict=True):
            part = histories[(histories.variant == variant) & (histories.fold == fold)]
            selected = part[part.selected]
            for axes, (column, _, _) in zip(stack, curves, strict=True):
                axes.plot(part.epoch, part[column], color=colour, lw=1.2, marker="." * (len(part) == 1))
                axes.plot(selected.epoch, selected[column], "o", color="white", mec=colour, mew=1.6, ms=6)
            epochs += [f"{epoch}" for epoch in selected.epoch]
        last = histories[histories.variant == variant].groupby("fold").loss.last().mean()
        words.append(f"{variant}: final loss {last:.2f}, selected epochs {', '.join(epochs)}")
        stack[0].set_title(textwrap.fill(variant, 24), fontsize=8.5, fontweight="normal")
        for axes, (_, _, highest) in zip(stack, curves, strict=True):
            axes.set_ylim(0, highest)
            axes.grid(axis="y")
        stack[-1].set_xlabel("epoch")
        stack[-1].xaxis.set_major_locator(MaxNLocator(4, integer=True))
        stack[-1].tick_params(labelbottom=True)
    for stack in stacks[::columns]:
        for axes, (_, name, _) in zip(stack, curves, strict=True):
            axes.set_ylabel(name)
    for axes in stacks[len(variants) :].flat:
        axes.set_visible(False)
    title = f"{title}{', selected epochs marked' * bool(histories.selected.any())}, one line per fold"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    accuracy = " and validation accuracy" if len(curves) > 1 else ""
    return Drawing(figure, f"Training loss{accuracy} by epoch. {'; '.join(words)}.")


@styled
def network_graph(steps: "Sequence[Step]", title: str) -> Drawing:
    """The steps of a network from top to bottom, with arcs for skip connections, and the cost of each step.

    Bars are shares of the network's parameters and of its multiply-adds per clip.
    """
    height = 0.27 * len(steps) + 0.9
    figure = Figure(figsize=(WIDTH + 1.2, height), layout="constrained")
    graph, parameters, work = figure.subplots(1, 3, sharey=True, width_ratios=[6.2, 1.2, 1.2])
    for number, step in enumerate(steps):
        graph.plot(0, number, "o", color=ACCENT, ms=5)
        shape = " × ".join(map(str, step.shape))
        graph.text(0.25, number, f"{_shortened(step.layers)}", va="center", fontsize=8)
        graph.text(9.9, number, shape, va="center", ha="right", fontsize=8, color=INK)
        for before in step.inputs:
            if before == number - 1:
                graph.plot([0, 0], [before, number], color=ACCENT, lw=1.4, zorder=0)
            else:
                span = number - before
                width = 0.5 + 1.6 * span / len(steps)
                graph.add_patch(
                    Arc((0, (before + number) / 2), width, span, theta1=90, theta2=270, color=GREY, lw=1.1, zorder=0)
                )
    graph.set_xlim(-1.3, 10)
    graph.set_ylim(len(steps) - 0.4, -0.6)
    graph.axis("off")
    graph.set_title(title)
    _shares(parameters, [step.parameters for step in steps], "parameters")
    _shares(work, [step.multiply_adds for step in steps], "multiply-adds")
    total, largest = sum(step.parameters for step in steps), max(steps, key=lambda step: step.parameters)
    costliest = max(steps, key=lambda step: step.multiply_adds)
    branches = sum(len(step.inputs) > 1 for step in steps)
    return Drawing(
        figure,
        f"Graph of {title}: {len(steps)} steps, {branches} of them with several inputs. {total:,} parameters, the "
        f"largest share ({largest.parameters:,}) in {largest.layers}; {sum(step.multiply_adds for step in steps):,} "
        f"multiply-adds per clip, the largest share ({costliest.multiply_adds:,}) in {costliest.layers}.",
    )


def _shares(axes: Axes, values: Sequence[int], title: str) -> None:
    total = sum(values)
    shares = 100 * np.array(values) / max(total, 1)
    axes.barh(range(len(values)), shares, color=ACCENT, height=0.6)
    for row, (share, value) in enumerate(zip(shares, values, strict=True)):
        if value:
            axes.text(share + 3, row, f"{share:.0f}" if share >= 0.5 else "< 0.5", va="center", fontsize=7.5)
    axes.set_xlim(0, 125)
    axes.set_xticks([])
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_title(f"{title}, %\nof {total:,}", fontsize=8.5, fontweight="normal", loc="left")


def _shortened(text: str) -> str:
    for word, short in (("BatchNormalization", "BatchNorm"), ("MaxPooling", "MaxPool"), ("InputLayer", "Input")):
        text = text.replace(word, short)
    return text


@styled
def filters(interior: "NetworkInterior", title: str) -> Drawing:
    """The filters of the first convolution over time and frequency, on one colour scale."""
    kernels = interior.arrays["filters 1"][:, :, 0]  # (time, bands, filters)
    limit = np.abs(kernels).max()
    figure, panels = _grid(kernels.shape[-1], 0.95)
    for number, axes in enumerate(panels):
        image = axes.imshow(kernels[..., number].T, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=panels, label="weight", shrink=0.8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    rows, columns, count = kernels.shape
    return Drawing(
        figure,
        f"{count} filters of {rows} frames by {columns} bands, time to the right, frequency upwards; weights from "
        f"{kernels.min():.2f} to {kernels.max():.2f}.",
    )


@styled
def feature_maps(interior: "NetworkInterior", layer: int, title: str) -> Drawing:
    """The strongest feature maps of one convolution for one clip, time to the right, frequency upwards."""
    maps = interior.arrays[f"feature maps {layer}"]  # (time, bands, channels)
    strongest = np.argsort(-maps.max(axis=(0, 1)), kind="stable")[:MOST_MAPS]
    inactive = int((maps.max(axis=(0, 1)) <= 0).sum())
    figure, panels = _grid(len(strongest), 1.15)
    for number, axes in zip(strongest, panels, strict=True):
        image = axes.imshow(maps[..., number].T, origin="lower", cmap="magma", vmin=0, vmax=maps.max())
        axes.set_title(f"{number + 1}", fontsize=7.5, pad=2, fontweight="normal")
        axes.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=panels, label="activation", shrink=0.8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return Drawing(
        figure,
        f"The {len(strongest)} strongest of {maps.shape[-1]} feature maps of convolution {layer}, clip {interior.clip};"
        f" activations up to {maps.max():.2f}; {inactive} maps are zero everywhere.",
    )


@styled
def attention(interior: "NetworkInterior", title: str) -> Drawing:
    """The network's input, its attention gate (mean and maximum over channels), and the gated activations."""
    gate, attended = interior.arrays["attention"], interior.arrays["attended"]
    shown = {
        "input": (interior.picture, "magma", None),
        "gate, mean over channels": (gate.mean(axis=-1), "viridis", (0.5, 1)),
        "gate, maximum over channels": (gate.max(axis=-1), "viridis", (0.5, 1)),
        "after the gate, mean": (attended.mean(axis=-1), "magma", None),
    }
    figure = Figure(figsize=(WIDTH + 1, 2.7), layout="constrained")
    for axes, (name, (values, colours, limits)) in zip(figure.subplots(1, 4), shown.items(), strict=True):
        low, high = limits or (values.min(), values.max())
        image = axes.imshow(values.T, origin="lower", cmap=colours, vmin=low, vmax=high, aspect="auto")
        axes.set_title(name, fontsize=8.5, fontweight="normal")
        axes.set(xticks=[], yticks=[], xlabel="time")
        figure.colorbar(image, ax=axes, location="bottom", shrink=0.9)
    figure.axes[0].set_ylabel("frequency")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    time, band = np.unravel_index(gate.mean(axis=-1).argmax(), gate.shape[:2])
    return Drawing(
        figure,
        f"Attention in clip {interior.clip}, {interior.truth} predicted as {interior.prediction}. The gate ranges from "
        f"{gate.min():.2f} to {gate.max():.2f}, with a mean of {gate.mean():.2f}; its maximum is at "
        f"{100 * time / len(gate):.0f} % of the time axis and {100 * band / gate.shape[1]:.0f} % of the mel scale.",
    )


@styled
def augmented_copies(pictures: Mapping[str, np.ndarray], clip: str) -> Drawing:
    """Log-mel spectrograms (time, bands) of a clip and its augmented copies, on one colour scale."""
    values = np.stack(list(pictures.values()))
    figure, panels = _grid(len(pictures), 1.7)
    for (name, picture), axes in zip(pictures.items(), panels, strict=True):
        axes.imshow(picture.T, origin="lower", cmap="magma", vmin=values.min(), vmax=values.max())
        axes.set_title(name, fontsize=8.5, fontweight="normal")
        axes.set(xticks=[], yticks=[])
    panels[0].set(xlabel="time", ylabel="frequency")
    figure.suptitle(f"Clip {clip}", x=0.01, ha="left", fontsize=11, weight="bold")
    return Drawing(
        figure, f"Log-mel spectrograms of clip {clip}, time to the right, frequency upwards: {', '.join(pictures)}."
    )


def _grid(count: int, size: float) -> tuple[Figure, np.ndarray]:
    """Return a figure with a number of panels."""
    columns = min(count, 8)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, size * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


@styled
def trials(table: pd.DataFrame, title: str) -> Drawing:
    """UAR of each trial with its interval, and the best so far.

    Args:
        table: columns trial, uar, low, high, best
    """
    figure, axes = canvas(height=3.0)
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y")
    axes.vlines(table.trial, 100 * table.low, 100 * table.high, color=ACCENT, lw=2, alpha=0.45)
    axes.plot(table.trial, 100 * table.uar, "o", color=ACCENT, ms=5, label="trial, with 95 % interval")
    axes.step(table.trial, 100 * table.best, where="post", color=INK, lw=1.2, ls="--", label="best so far")
    axes.plot(table.trial[0], 100 * table.uar[0], "s", color="white", mec=INK, ms=8, label="as published")
    axes.set(title=title, xlabel="trial", ylabel="UAR (%), validation speakers")
    axes.set_xticks(table.trial if len(table) <= 20 else table.trial[::5])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.5)
    best = table.uar.idxmax()
    return Drawing(
        figure,
        f"UAR of {len(table)} trials on validation speakers: first {100 * table.uar[0]:.1f} %, best "
        f"{100 * table.uar[best]:.1f} % [{100 * table.low[best]:.1f}, {100 * table.high[best]:.1f}] in trial "
        f"{table.trial[best]}.",
    )


@styled
def importances(shares: Mapping[str, float], title: str) -> Drawing:
    """Share of the variance between trials that each hyper-parameter explains."""
    figure, axes = canvas(height=0.36 * len(shares) + 0.9)
    names = [name.replace("_", " ") for name in shares]
    percentages = 100 * np.array(list(shares.values()))
    axes.barh(names, percentages, color=ACCENT, height=0.6)
    axes.invert_yaxis()
    axes.set(title=title, xlabel="explained variance of UAR (%)", xlim=(0, 100))
    words = ", ".join(f"{name} {percentage:.0f} %" for name, percentage in zip(names, percentages, strict=True))
    return Drawing(figure, f"Importance of each hyper-parameter: {words}.")
