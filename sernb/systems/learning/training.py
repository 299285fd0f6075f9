"""Training of networks with checkpoints after each epoch, from which an interrupted training resumes.

Importing this module imports Keras and its backend. A run uses one thread, so that parallel runs share the cores, and
results do not depend on their number. Clips are usually in a memory-mapped cache: only the current batches are in
memory.
"""

import contextlib
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.evaluation import war
from sernb.runtime.allocator import keep_freed_memory
from sernb.runtime.environment import fixed_keras
from sernb.runtime.files import atomic
from sernb.runtime.garbage_collection import no_collection
from sernb.runtime.stderr import divert_stderr
from sernb.systems.base import Fitted, Task

PREDICTION_BATCH = 256

Row = dict[str, float]  # metrics of one epoch by name
Values = np.ndarray | dict[str, np.ndarray]  # first axis: clips; a dictionary by output if there are several
Collate = Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → one input batch
# Random generator, inputs and targets of a batch → augmented inputs and targets
Augment = Callable[[np.random.Generator, np.ndarray, Values], tuple[np.ndarray, Values]]


keep_freed_memory()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
# TensorFlow writes to file descriptor 2 at start, at any log level; errors are raised.
with no_collection(), fixed_keras(), open(os.devnull, "w") as null, divert_stderr(null):
    import keras

    keras.random.normal((1,))  # devices are initialised at the first computation
if keras.backend.backend() == "tensorflow":
    from tensorflow import get_logger  # in a notebook, it resets its level at the first call

    # Training several networks in one process causes long warnings.
    get_logger().setLevel(logging.ERROR)

# XLA makes convolutions slower on CPUs with TensorFlow; JAX without XLA is slow.
BY_XLA = keras.backend.backend() == "jax"


# -- Learning rates -- #


@dataclass(frozen=True)
class StepDecay:
    """Multiply the learning rate by ``factor`` every ``epochs`` epochs."""

    epochs: int
    factor: float
    first: int | None = None  # epochs before the first step, if different

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
    """Multiply the learning rate by ``factor`` on a plateau, as Keras's ReduceLROnPlateau.

    Without a validation part, the training loss is monitored.
    """

    patience: int  # epochs
    factor: float
    smallest: float = 0.0
    improvement: float = 1e-4  # minimum
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


def compile_model(
    model: keras.Model,
    optimizer: keras.Optimizer,
    loss: Values | Callable | str,
    *metrics: Callable,
    accuracy: keras.Metric | dict | None = None,
) -> keras.Model:
    """Compile a model with training accuracy as a metric.

    Args:
        metrics: further metrics, named functions of targets and outputs
        accuracy: for targets that are not one-hot
    """
    metrics = accuracy or [keras.metrics.CategoricalAccuracy("accuracy"), *metrics]
    model.compile(optimizer, loss, metrics=metrics, jit_compile=BY_XLA)
    return model


def seed_everything(seed: int) -> None:
    """Seed initial weights and random layers; with TensorFlow, also request deterministic kernels."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def fit_network(task: Task, build: Callable[[tuple[int, ...], int], keras.Model], **options: object) -> Fitted:
    """Build a network for a task and train it on the clips and their copies, with one-hot targets by default.

    Args:
        build: shape of a clip's features and number of classes → compiled model; called after seeding
        options: of :func:`train`, and other ``targets``
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
    """Return one-hot targets, ``(clips, classes)``, float32."""
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
    collate: Collate = np.stack,
    augment: Augment | None = None,
    sample_epoch: Callable[[np.random.Generator], np.ndarray] | None = None,
    average_last: int = 1,
    sample_weights: Values | None = None,
    validation_targets: Values | None = None,
    validation_weights: Values | None = None,
    emotion: str | None = None,
    schedule: Callable[[float, Sequence[Row]], float] | None = None,
    best_by: str = "validation_accuracy",
    patience: int | None = None,
    prediction_batch: int = PREDICTION_BATCH,
) -> Fitted:
    """Train a compiled model and keep its best epoch, or the last one without a validation part.

    The best epoch has the highest accuracy (or lowest loss) on the validation part, the first among equals. Shuffling
    depends on seed and epoch only, learning rate and early stopping on the history only, so that a training resumed
    from its checkpoint has the same result as one without interruption.

    Args:
        clips: features of the training part, one array per clip
        targets: shape ``(clips, classes)``, or a dictionary of such arrays by output
        validation: features of the validation part, or empty
        validation_truth: class numbers
        checkpoint: folder to resume from and to write to after each epoch
        prepare: features of a clip → its input, for example a fitted scaler
        collate: inputs of a batch → one array, with padding if their lengths differ
        augment: random changes of each training batch, seeded by seed, epoch and batch
        sample_epoch: random generator → positions of the clips of an epoch; by default all, shuffled
        average_last: without a validation part, number of last epochs whose weights are averaged
        sample_weights: per clip, like ``targets``; 0 excludes a clip from the loss of an output
        validation_targets: like ``targets``; they add the validation loss to the history
        validation_weights: like ``sample_weights``
        emotion: name of the emotion output, if there are several outputs
        schedule: initial learning rate and history → learning rate of the next epoch
        best_by: ``validation_accuracy`` or ``validation_loss``
        patience: of early stopping, in epochs
        prediction_batch: batch size for predictions

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
        outputs = predictions(model, features, prepare=prepare, collate=collate, prediction_batch=prediction_batch)
        return outputs[emotion] if emotion else outputs

    while len(history) < epochs and not _exhausted(history, best_by, patience):
        if schedule:
            model.optimizer.learning_rate = schedule(initial, history)
        rng = np.random.default_rng([seed, len(history)])
        order = sample_epoch(rng) if sample_epoch else rng.permutation(len(clips))
        batches_of_epoch = _Batches(clips, targets, sample_weights, order, batch, prepare, collate)
        batches = _Augmented(batches_of_epoch, augment, [seed, len(history)]) if augment else batches_of_epoch
        losses = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[_KeepFreed()]).history
        row = {"epoch": len(history) + 1} | _floats({name: values[0] for name, values in losses.items()})
        row |= {"learning_rate": float(model.optimizer.learning_rate)} if schedule else {}
        if len(validation) and validation_targets is not None:
            every = np.arange(len(validation))
            batches = _Batches(validation, validation_targets, validation_weights, every, batch, prepare, collate)
            measured = model.evaluate(batches, verbose=0, return_dict=True, callbacks=[_KeepFreed()])
            row |= {f"validation_{name}": value for name, value in _floats(measured).items()}
        if len(validation):  # in double precision, over all clips
            row["validation_accuracy"] = war(validation_truth, scores(validation))
        history.append(row)
        if _best(history, best_by) == len(history) - 1:
            best = _update_mean(best, _values(model.weights), len(history) - epochs + average_last)
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


def set_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> keras.Model:
    """Set the weights of a model to those of a run, and return it.

    Raises:
        ValueError: if their number or shapes differ
    """
    values = [weights[name] for name in sorted(weights)]  # names begin with their number
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
    return model


def predictions(
    model: keras.Model,
    clips: Sequence[np.ndarray],
    *,
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    collate: Collate = np.stack,
    prediction_batch: int = PREDICTION_BATCH,
) -> Values:
    """Return the outputs of a model for clips, ``(clips, …)``, or a dictionary by output."""
    parts = []
    for start in range(0, len(clips), prediction_batch):
        inputs = collate([prepare(clip) for clip in clips[start : start + prediction_batch]])
        parts.append(keras.tree.map_structure(np.asarray, model.predict_on_batch(inputs)))
    return keras.tree.map_structure(lambda *values: np.concatenate(values), *parts)


class _KeepFreed(keras.callbacks.Callback):
    """Restore the allocator settings that TensorFlow resets with each data set, in Python 3.11 and later."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        keep_freed_memory()

    on_test_batch_begin = on_train_batch_begin


class _Batches(keras.utils.PyDataset):
    """Batches that are collated on demand."""

    def __init__(self, clips, targets, weights, order, batch, prepare, collate):
        super().__init__()
        self.clips, self.order, self.batch, self.prepare, self.collate = clips, order, batch, prepare, collate
        self.targets_and_weights = (targets,) if weights is None else (targets, weights)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch)

    def __getitem__(self, number: int) -> tuple:
        rows = self.order[number * self.batch : (number + 1) * self.batch]
        inputs = self.collate([self.prepare(self.clips[row]) for row in rows])
        return inputs, *keras.tree.map_structure(lambda values: values[rows], self.targets_and_weights)


class _Augmented(keras.utils.PyDataset):
    """Randomly augmented batches, the same in each call."""

    def __init__(self, batches: _Batches, augment: Augment, seed: list[int]):
        super().__init__()
        self.batches, self.augment, self.seed = batches, augment, seed

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple:
        inputs, targets, *weights = self.batches[number]
        return *self.augment(np.random.default_rng([*self.seed, number]), inputs, targets), *weights


def _floats(measured: dict[str, float]) -> Row:
    """Return Keras's metrics; with several outputs, those of accuracy have the output as prefix."""
    return {"accuracy" if name.endswith("_accuracy") else name: float(value) for name, value in measured.items()}


def _best(history: list[Row], best_by: str) -> int:
    """Return the position of the best epoch so far, or of the last without a validation part."""
    if best_by not in history[0]:
        return len(history) - 1
    sign = -1 if best_by.endswith("loss") else 1
    return int(np.argmax([sign * row[best_by] for row in history]))


def _exhausted(history: list[Row], best_by: str, patience: int | None) -> bool:
    return bool(history) and patience is not None and len(history) - 1 - _best(history, best_by) >= patience


def _update_mean(mean: list[np.ndarray], new: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Return the running mean of ``count`` values, of which the last are ``new``."""
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
        unfinished.write_text(str(len(history)), "utf-8")  # for progress displays


def _read(checkpoint: Path, state: list, best: list[np.ndarray]) -> tuple[list[np.ndarray], list[Row]] | None:
    """Set the variables of ``state`` and return best weights and history, or None without a fitting checkpoint."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile),
        np.load(checkpoint / "training.npz") as saved,
    ):
        values = [saved[f"state {number:04d}"] for number in range(len(state))]
        weights = [saved[f"best {number:04d}"] for number in range(len(best))]
        columns = {key.removeprefix("history "): saved[key] for key in saved if key.startswith("history ")}
        history = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return weights, [{key: int(v) if key == "epoch" else float(v) for key, v in row.items()} for row in history]
    return None
