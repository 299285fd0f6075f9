"""Targets, output columns and combinations of losses of multitask networks."""

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
# Tasks with two classes: column of the index → classes in the order of the outputs.
PAIRS = {"gender": ("male", "female"), "intensity": ("normal", "strong")}


def output_columns(settings: "Settings", classes: int) -> dict[str, slice]:
    """Return the columns of the network's output by task, and those of the ``loss weights``."""
    columns, start = {}, 0
    for task in settings.tasks:
        size = classes if task == "emotion" else 2 if task in PAIRS else 1
        columns[task] = slice(start, start + size)
        start += size
    return columns | {"loss weights": slice(start, start + len(settings.weighed))}


def make_loss(settings: "Settings", classes: int, trained: tuple[str, ...]) -> Callable:
    """Return the loss of a batch, a Keras function of targets (:func:`make_targets`) and outputs.

    The losses are negative log-likelihood for emotion, gender and intensity, squared error for dimensions, averaged
    over the clips with the label. ``log-variance`` weights all tasks by exp(-s) and adds s (Kendall, Gal and Cipolla
    2018, doi:10.1109/CVPR.2018.00781); the authors' ``weighted`` weights all but emotion by exp(-w) and adds w, where w
    is the softmax of the learned weights.

    Args:
        trained: tasks with labels in training; others are omitted
    """
    from sernb.systems.learning.training import keras

    ops = keras.ops
    columns = output_columns(settings, classes)
    learned = [settings.weighed.index(task) for task in settings.weighed if task in trained]

    def loss(targets, output):
        def task_loss(task: str):
            """Return the mean loss, and whether any clip of the batch has the label."""
            target = targets[:, settings.tasks.index(task)]
            known = ops.cast(ops.logical_not(ops.isnan(target)), output.dtype)
            target = ops.where(ops.isnan(target), ops.zeros_like(target), target)
            predicted = output[:, columns[task]]
            if task in DIMENSIONS:
                losses = ops.square(predicted[:, 0] - target)
            else:
                one_hot = ops.one_hot(ops.cast(target, "int32"), predicted.shape[1], dtype=predicted.dtype)
                losses = -ops.sum(one_hot * predicted, axis=1)
            count = ops.sum(known)
            return ops.sum(known * losses) / ops.maximum(count, 1), ops.minimum(count, 1)

        if settings.combination == "emotion":
            return task_loss("emotion")[0]
        if settings.combination in ("sum", "fixed"):
            weight = settings.fixed if settings.combination == "fixed" else 1.0
            return sum((1.0 if task == "emotion" else weight) * task_loss(task)[0] for task in trained)
        total = 0.0 if "emotion" in settings.weighed else task_loss("emotion")[0]
        if not learned:
            return total
        # All rows of the output have the same weights.
        weights = ops.take(output[0, columns["loss weights"]], learned)
        if settings.combination == "weighted":
            exponentials = ops.exp(weights - ops.max(weights))
            weights = exponentials / ops.sum(exponentials)
        for position, number in enumerate(learned):
            value, present = task_loss(settings.weighed[number])
            total = total + present * (ops.exp(-weights[position]) * value + weights[position])
        return total

    return loss


def make_targets(settings: "Settings", examples: Examples, ranges: dict[str, tuple[float, float]]) -> np.ndarray:
    """Return the targets of all tasks, NaN for missing labels; ``(clips, tasks)``, float32."""
    columns = []
    for task in settings.tasks:
        if task == "emotion":
            columns.append(examples.truth)
        elif task in PAIRS:
            numbers = {name: number for number, name in enumerate(PAIRS[task])}
            columns.append([numbers.get(name, np.nan) for name in _column(examples, task)])
        else:
            low, high = ranges.get(task, (0, 1))
            columns.append((values_of(examples.clips, task, tallied=settings.tallied) - low) / (high - low))
    return np.array(columns, np.float32).T


def make_pair_targets(examples: Examples, weight: float) -> dict[str, np.ndarray]:
    """Return weighted one-hot targets of the tasks with two classes, ``(clips, 2)``, float32.

    Both are 0 for missing labels, and so is the cross-entropy.
    """
    columns = {task: _column(examples, task).to_numpy() for task in PAIRS}
    return {
        task: np.float32(weight) * np.stack([columns[task] == name for name in names], axis=1)
        for task, names in PAIRS.items()
    }


def find_ranges(settings: "Settings", examples: Examples) -> dict[str, tuple[float, float]]:
    """Return minimum and maximum of each dimension with labels."""
    ranges = {}
    for dimension in DIMENSIONS:
        values = values_of(examples.clips, dimension, tallied=settings.tallied)
        values = values[~np.isnan(values)]
        if len(values) and values.min() < values.max():
            ranges[dimension] = settings.label_range or (float(values.min()), float(values.max()))
    return ranges


def _column(examples: Examples, name: str) -> pd.Series:
    return examples.clips.get(name, pd.Series("", examples.clips.index))
