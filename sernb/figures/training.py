"""Figures of trainings."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sernb.figures.style import WIDTH, Drawing, styled


@styled
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
