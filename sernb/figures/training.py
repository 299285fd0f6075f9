"""Figures of training histories."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from sernb.figures.style import WIDTH, Drawing, styled


@styled
def training_curves(histories: dict[str, pd.DataFrame], title: str) -> Drawing:
    """Training loss, and training (dashed) and validation accuracy, by epoch and run, with one colour per system.

    The name of a run is the system, a comma and, for example, the fold. Runs of older versions have no training
    accuracy. It is measured during training, with augmented copies and dropout, so that validation accuracy may be
    higher; a much lower one is over-fitting.
    """
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    systems = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in histories))
    colours = dict(zip(systems, sns.color_palette("colorblind", len(systems)), strict=True))
    words, labelled = [], set()
    for name, history in histories.items():
        system = name.rsplit(", ", 1)[0]
        colour = colours[system]
        left.plot(history.epoch, history.loss, color=colour, label=None if system in labelled else system)
        labelled.add(system)
        text = f"{name}: loss {history.loss.iloc[0]:.2f} to {history.loss.iloc[-1]:.2f}"
        if "accuracy" in history:
            right.plot(history.epoch, 100 * history.accuracy, "--", color=colour, lw=1)
            text += f", final training accuracy {100 * history.accuracy.iloc[-1]:.1f} %"
        if "validation_accuracy" in history:
            right.plot(history.epoch, 100 * history.validation_accuracy, color=colour)
            best = history.validation_accuracy.idxmax()
            right.plot(history.epoch[best], 100 * history.validation_accuracy[best], "o", color=colour, ms=4)
            accuracy = 100 * history.validation_accuracy[best]
            text += f", best validation accuracy {accuracy:.1f} % in epoch {history.epoch[best]}"
        words.append(text)
    left.set(title=title, xlabel="epoch", ylabel="training loss")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _scale(left, pd.concat([history.loss for history in histories.values()]))
    right.set(title="dot: best epoch; dashed: training", xlabel="epoch", ylabel="accuracy (%)")
    if len(histories) > 1:
        left.legend(fontsize=8)
    return Drawing(figure, f"Training curves. {'; '.join(words)}.")


def _scale(axes: Axes, losses: pd.Series) -> None:
    """Use a logarithmic axis for losses over more than a decade, without exponents in the labels."""
    if losses.max() > 10 * losses[losses > 0].min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
