"""What `multitask-cnn` learns: the targets of its tasks, the columns of its outputs, the combination of losses."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sernb.corpora.record import DIMENSIONS
from sernb.protocols.labels import values_of
from sernb.systems.base import Examples

if TYPE_CHECKING:
    from sernb.systems.multitask_cnn import Settings

COMBINATIONS = ("emotion", "sum", "fixed", "log-variance", "weighted")
# Each task that has two classes: the column of the index and the classes in the order of the outputs.
PAIRS = {"gender": ("male", "female"), "intensity": ("normal", "strong")}


def output_columns(settings: "Settings", classes: int) -> dict[str, slice]:
    """Return which columns of the network's output belong to which task, and to ``loss weights``."""
    columns, start = {}, 0
    for task in settings.tasks:
        size = classes if task == "emotion" else 2 if task in PAIRS else 1
        columns[task] = slice(start, start + size)
        start += size
    return columns | {"loss weights": slice(start, start + len(settings.weighed))}


def loss_of(settings: "Settings", classes: int, trained: tuple[str, ...]) -> Callable:
    """Return the loss of a batch, a Keras function of targets (:func:`targets`) and outputs.

    Emotion, gender and intensity: negative log-likelihood; dimensions: squared error; each the mean over the clips that
    have the label. ``log-variance`` weighs all tasks by exp(-s) and adds s (Kendall, Gal and Cipolla 2018,
    doi:10.1109/CVPR.2018.00781); ``weighted``, the authors' own, weighs all but emotion by exp(-w) and adds w, where
    w is the softmax of the learned weights.

    Args:
        trained: tasks that training clips have labels for; the others are left out
    """
    from sernb.systems.learning.training import keras

    ops = keras.ops
    columns = output_columns(settings, classes)
    learned = [settings.weighed.index(task) for task in settings.weighed if task in trained]

    def loss(targets, output):
        def of_task(task: str):
            """Mean loss, and whether any clip of the batch has the label."""
            target = targets[:, settings.tasks.index(task)]
            known = ops.cast(ops.logical_not(ops.isnan(target)), output.dtype)
            target = ops.where(ops.isnan(target), ops.zeros_like(target), target)
            predicted = output[:, columns[task]]
            if task in DIMENSIONS:
                losses = ops.square(predicted[:, 0] - target)
            else:
                named = ops.one_hot(ops.cast(target, "int32"), predicted.shape[1], dtype=predicted.dtype)
                losses = -ops.sum(named * predicted, axis=1)
            count = ops.sum(known)
            return ops.sum(known * losses) / ops.maximum(count, 1), ops.minimum(count, 1)

        if settings.combination == "emotion":
            return of_task("emotion")[0]
        if settings.combination in ("sum", "fixed"):
            weight = settings.fixed if settings.combination == "fixed" else 1.0
            return sum((1.0 if task == "emotion" else weight) * of_task(task)[0] for task in trained)
        total = 0.0 if "emotion" in settings.weighed else of_task("emotion")[0]
        if not learned:
            return total
        # All rows of the output hold the same weights.
        weights = ops.take(output[0, columns["loss weights"]], learned)
        if settings.combination == "weighted":
            raised = ops.exp(weights - ops.max(weights))
            weights = raised / ops.sum(raised)
        for place, number in enumerate(learned):
            value, present = of_task(settings.weighed[number])
            total = total + present * (ops.exp(-weights[place]) * value + weights[place])
        return total

    return loss


def targets(settings: "Settings", examples: Examples, ranges: dict[str, tuple[float, float]]) -> np.ndarray:
    """Return a number for each task of each clip, NaN where the corpus does not say; ``(clips, tasks)``, float32."""
    columns = []
    for task in settings.tasks:
        if task == "emotion":
            columns.append(examples.truth)
        elif task in PAIRS:
            numbers = {name: number for number, name in enumerate(PAIRS[task])}
            columns.append([numbers.get(name, np.nan) for name in _column(examples, task)])
        else:
            low, high = ranges.get(task, (0, 1))
            columns.append((values_of(examples.about, task, tallied=settings.tallied) - low) / (high - low))
    return np.array(columns, np.float32).T


def pair_targets(examples: Examples, weight: float) -> dict[str, np.ndarray]:
    """Return by task of two classes what is learned of each clip, one-hot times a weight, ``(clips, 2)``, float32.

    Where the corpus does not say, both are 0, and so is the cross-entropy.
    """
    columns = {task: _column(examples, task).to_numpy() for task in PAIRS}
    return {
        task: np.float32(weight) * np.stack([columns[task] == name for name in names], axis=1)
        for task, names in PAIRS.items()
    }


def ranges_of(settings: "Settings", examples: Examples) -> dict[str, tuple[float, float]]:
    """Return lowest and highest value of each dimension that these clips have labels for."""
    found = {}
    for dimension in DIMENSIONS:
        values = values_of(examples.about, dimension, tallied=settings.tallied)
        values = values[~np.isnan(values)]
        if len(values) and values.min() < values.max():
            found[dimension] = settings.label_range or (float(values.min()), float(values.max()))
    return found


def _column(examples: Examples, name: str) -> pd.Series:
    return examples.about.get(name, pd.Series("", examples.about.index))
