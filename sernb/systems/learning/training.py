"""Training of networks: by epochs, with checkpoints, so that a killed training goes on where it was.

Importing this module imports Keras and its backend. One run uses one thread: many runs then share the cores well, and
the result does not depend on how many cores there are. Clips stay where they are, as a rule in a memory-mapped cache:
only the batches at work are in memory.
"""

import contextlib
import logging
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.evaluation import war
from sernb.runtime.allocator import keep_freed_memory
from sernb.runtime.environment import fixed_keras
from sernb.runtime.files import atomic
from sernb.runtime.garbage_collection import no_collection
from sernb.systems.base import Fitted, Task

PREDICTION_BATCH = 256

Row = dict[str, float]  # of one epoch, by name of the metric
Values = np.ndarray | dict[str, np.ndarray]  # first axis: clips; by name of the output where there are several
Together = Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → one batch of input
# A random generator, the input of a batch and its targets → both changed
Altered = Callable[[np.random.Generator, np.ndarray, Values], tuple[np.ndarray, Values]]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what TensorFlow prints while it starts, around Python and whatever the log level; errors still rise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


keep_freed_memory()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
with no_collection(), fixed_keras(), _quiet():
    import keras

    keras.random.normal((1,))  # the devices are only looked for when something is computed
if keras.backend.backend() == "tensorflow":
    from tensorflow import get_logger  # in a notebook it sets its own level when it is first asked for

    # It takes a process that trains one network after the other for a mistake, and says so at length.
    get_logger().setLevel(logging.ERROR)

# XLA makes convolutions slower on CPUs under TensorFlow; JAX without it runs one operation after the other.
BY_XLA = keras.backend.backend() == "jax"


# -- Learning rates -- #


@dataclass(frozen=True)
class StepDecay:
    """The learning rate times ``factor`` after every ``epochs`` epochs."""

    epochs: int
    factor: float
    first: int | None = None  # epochs before it falls for the first time, if not as many

    def __call__(self, initial: float, history: Sequence[Row]) -> float:
        """Return the learning rate of the epoch after ``history``.

        Examples:
            >>> StepDecay(epochs=2, factor=0.1)(0.5, [{}, {}, {}])
            0.05
        """
        first = self.epochs if self.first is None else self.first
        return initial * self.factor ** (max(0, len(history) - first + self.epochs) // self.epochs)


@dataclass(frozen=True)
class Plateau:
    """The learning rate times ``factor`` when ``patience`` epochs have not improved, as Keras's ReduceLROnPlateau.

    Where there is no validation part, the loss on the training part is watched.
    """

    patience: int
    factor: float
    smallest: float = 0.0
    improvement: float = 1e-4  # less is none
    watched: str = "validation_loss"

    def __call__(self, initial: float, history: Sequence[Row]) -> float:
        """Return the learning rate of the epoch after ``history``."""
        rate, best, waited = initial, np.inf, 0
        for row in history:
            value = row.get(self.watched, row["loss"])
            value = value if self.watched.endswith("loss") or self.watched not in row else -value
            if value < best - self.improvement:
                best, waited = value, 0
                continue
            waited += 1
            if waited >= self.patience:
                rate, waited = max(rate * self.factor, self.smallest), 0
        return rate


# -- Training -- #


def compiled(
    model: keras.Model,
    optimizer: keras.Optimizer,
    loss: Values | Callable | str,
    *metrics: Callable,
    accuracy: keras.Metric | dict | None = None,
) -> keras.Model:
    """Return a model ready to train, with its accuracy on the training part beside the loss of each epoch.

    Metrics look on and change nothing: weights and predictions are the same with and without them.

    Args:
        metrics: more of them, named functions of targets and outputs
        accuracy: where targets are not one-hot classes
    """
    watched = accuracy or [keras.metrics.CategoricalAccuracy("accuracy"), *metrics]
    model.compile(optimizer, loss, metrics=watched, jit_compile=BY_XLA)
    return model


def seed_everything(seed: int) -> None:
    """Seed the initial weights and everything random in layers; on TensorFlow, ask for deterministic kernels."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def fit_network(task: Task, build: Callable[[tuple[int, ...], int], keras.Model], **options: object) -> Fitted:
    """Build a network for a task and train it on its clips and their copies, one-hot classes as targets.

    Args:
        build: shape of a clip's features and number of classes → compiled model; called after seeding
        options: of :func:`train`; ``targets`` where they are not the classes
    """
    seed_everything(task.seed)
    examples = task.training_examples
    if "targets" not in options:
        options["targets"] = one_hot(examples.truth, len(task.classes))
    return train(
        build(examples.features[0].shape, len(task.classes)),
        examples.features,
        validation=task.validation.features,
        validation_truth=task.validation.truth,
        seed=task.seed,
        checkpoint=task.checkpoint,
        **options,
    )


def one_hot(truth: np.ndarray, classes: int) -> np.ndarray:
    """Return class numbers as targets, ``(clips, classes)``, float32."""
    return np.eye(classes, dtype=np.float32)[truth]


def train(
    model: keras.Model,
    clips: Sequence[np.ndarray],
    targets: Values,
    validation: Sequence[np.ndarray],
    validation_truth: np.ndarray,
    *,
    epochs: int,
    batch: int,
    seed: int,
    checkpoint: Path | None = None,
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    together: Together = np.stack,
    altered: Altered | None = None,
    arranged: Callable[[np.random.Generator], np.ndarray] | None = None,
    averaged: int = 1,
    sample_weights: Values | None = None,
    validation_targets: Values | None = None,
    validation_weights: Values | None = None,
    emotion: str | None = None,
    schedule: Callable[[float, Sequence[Row]], float] | None = None,
    best_by: str = "validation_accuracy",
    patience: int | None = None,
    at_once: int = PREDICTION_BATCH,
) -> Fitted:
    """Train a compiled model and keep its best epoch, or the last one where there is no validation part.

    Best is the highest accuracy (or lowest loss) on the validation part, the first of equals. Clips are shuffled by
    seed and epoch alone, and learning rate and early end follow from the history alone, so that a training resumed
    from its checkpoint ends as one that was never interrupted.

    Args:
        clips: features of the training part, one array a clip
        targets: shape ``(clips, classes)``; for several outputs a dictionary of such arrays by output name
        validation: features of the validation part; empty where there is none
        validation_truth: class numbers
        checkpoint: folder to resume from and to write to after each epoch
        prepare: features of a clip → its input, for example by a fitted scaler
        together: clips of a batch, prepared → one array; pads them where they are not equally long
        altered: changes each batch at random before it is trained on; seed, epoch and batch alone decide how
        arranged: the positions of the clips of an epoch, in their order; by default all of them, shuffled
        averaged: without a validation part, the last epochs whose weights are averaged
        sample_weights: by clip, like ``targets``; 0 takes a clip out of the loss of an output
        validation_targets: like ``targets``; they add the loss on the validation part to the history
        validation_weights: like ``sample_weights``
        emotion: the output that ranks emotions, where there are several
        schedule: initial learning rate and history → learning rate of the next epoch
        best_by: ``validation_accuracy`` or ``validation_loss``
        patience: end after so many epochs without a better one
        at_once: clips that are predicted together

    Raises:
        DataError: if the checkpoint cannot be written
    """
    model.optimizer.build(model.trainable_variables)
    initial = float(model.optimizer.learning_rate)
    state = [*model.variables, *model.optimizer.variables]
    best = _values(model.weights)
    history: list[Row] = []
    if checkpoint and (saved := _read(checkpoint, state, best)):
        best, history = saved

    def scores(features: Sequence[np.ndarray]) -> np.ndarray:
        outputs = predictions(model, features, prepare=prepare, together=together, at_once=at_once)
        return outputs[emotion] if emotion else outputs

    while len(history) < epochs and not _exhausted(history, best_by, patience):
        if schedule:
            model.optimizer.learning_rate = schedule(initial, history)
        rng = np.random.default_rng([seed, len(history)])
        order = arranged(rng) if arranged else rng.permutation(len(clips))
        batches_of_epoch = _Batches(clips, targets, sample_weights, order, batch, prepare, together)
        batches = _Altered(batches_of_epoch, altered, [seed, len(history)]) if altered else batches_of_epoch
        losses = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[_KeepFreed()]).history
        row = {"epoch": len(history) + 1} | _floats({name: values[0] for name, values in losses.items()})
        row |= {"learning_rate": float(model.optimizer.learning_rate)} if schedule else {}
        if len(validation) and validation_targets is not None:
            every = np.arange(len(validation))
            batches = _Batches(validation, validation_targets, validation_weights, every, batch, prepare, together)
            measured = model.evaluate(batches, verbose=0, return_dict=True, callbacks=[_KeepFreed()])
            row |= {f"validation_{name}": value for name, value in _floats(measured).items()}
        if len(validation):  # in double precision, over all clips at once
            row["validation_accuracy"] = war(validation_truth, scores(validation))
        history.append(row)
        if _best(history, best_by) == len(history) - 1:
            best = _averaged(best, _values(model.weights), len(history) - epochs + averaged)
        if checkpoint:
            _write(checkpoint, state, best, history)
    for variable, value in zip(model.weights, best, strict=True):
        variable.assign(value)
    names = [f"{number:03d} {variable.path}" for number, variable in enumerate(model.weights)]
    return Fitted(
        scores=scores,
        chosen={"epoch": 1 + _best(history, best_by)},
        history=tuple(history),
        weights=dict(zip(names, best, strict=True)),
    )


def predictions(
    model: keras.Model,
    clips: Sequence[np.ndarray],
    *,
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    together: Together = np.stack,
    at_once: int = PREDICTION_BATCH,
) -> Values:
    """Return the outputs of the model for clips, ``(clips, …)``; for several outputs a dictionary by name."""
    parts = []
    for start in range(0, len(clips), at_once):
        inputs = together([prepare(clip) for clip in clips[start : start + at_once]])
        parts.append(keras.tree.map_structure(np.asarray, model.predict_on_batch(inputs)))
    return keras.tree.map_structure(lambda *values: np.concatenate(values), *parts)


class _KeepFreed(keras.callbacks.Callback):
    """Sets what TensorFlow sets back whenever it makes a data set, under Python 3.11 and later."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        keep_freed_memory()

    on_test_batch_begin = on_train_batch_begin


class _Batches(keras.utils.PyDataset):
    """Batches that are put together when their turn comes."""

    def __init__(self, clips, targets, weights, order, batch, prepare, together):
        super().__init__()
        self.clips, self.order, self.batch, self.prepare, self.together = clips, order, batch, prepare, together
        self.targets_and_weights = (targets,) if weights is None else (targets, weights)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch)

    def __getitem__(self, number: int) -> tuple:
        rows = self.order[number * self.batch : (number + 1) * self.batch]
        inputs = self.together([self.prepare(self.clips[row]) for row in rows])
        return inputs, *keras.tree.map_structure(lambda values: values[rows], self.targets_and_weights)


class _Altered(keras.utils.PyDataset):
    """Batches that are changed at random, in the same way at every call."""

    def __init__(self, batches: _Batches, altered: Altered, seed: list[int]):
        super().__init__()
        self.batches, self.altered, self.seed = batches, altered, seed

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple:
        inputs, targets, *weights = self.batches[number]
        return *self.altered(np.random.default_rng([*self.seed, number]), inputs, targets), *weights


def _floats(measured: dict[str, float]) -> Row:
    """Return what Keras measured; it puts the name of an output before its accuracy where there are several."""
    return {"accuracy" if name.endswith("_accuracy") else name: float(value) for name, value in measured.items()}


def _best(history: list[Row], best_by: str) -> int:
    """Return the position of the best epoch so far; without a validation part, of the last."""
    if best_by not in history[0]:
        return len(history) - 1
    sign = -1 if best_by.endswith("loss") else 1
    return int(np.argmax([sign * row[best_by] for row in history]))


def _exhausted(history: list[Row], best_by: str, patience: int | None) -> bool:
    return bool(history) and patience is not None and len(history) - 1 - _best(history, best_by) >= patience


def _averaged(mean: list[np.ndarray], new: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Return the mean of so many values, the last of which is new; the new ones alone where they are the first."""
    return new if count <= 1 else [old + (value - old) / count for old, value in zip(mean, new, strict=True)]


def _values(variables: list) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _write(checkpoint: Path, state: list, best: list[np.ndarray], history: list[Row]) -> None:
    columns = {f"history {key}": np.array([row[key] for row in history]) for key in history[0]}
    states = {f"state {number:04d}": variable for number, variable in enumerate(state)}  # copied one by one
    bests = {f"best {number:04d}": value for number, value in enumerate(best)}
    with atomic(checkpoint / "training.npz") as unfinished:
        np.savez(unfinished, **states, **bests, **columns)
    with atomic(checkpoint / "epochs.txt") as unfinished:
        unfinished.write_text(str(len(history)), "utf-8")  # for those who watch


def _read(checkpoint: Path, state: list, best: list[np.ndarray]) -> tuple[list[np.ndarray], list[Row]] | None:
    """Set the variables of ``state`` and return best weights and history, or nothing where none fit."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile),
        np.load(checkpoint / "training.npz") as saved,
    ):
        values = [saved[f"state {number:04d}"] for number in range(len(state))]
        kept = [saved[f"best {number:04d}"] for number in range(len(best))]
        columns = {key.removeprefix("history "): saved[key] for key in saved if key.startswith("history ")}
        history = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return kept, [{key: int(v) if key == "epoch" else float(v) for key, v in row.items()} for row in history]
    return None
