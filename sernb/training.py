"""Training of networks: by epochs, with checkpoints, so that a killed training goes on where it was.

Importing this module imports Keras and its backend. One run uses one thread: many runs then share the cores well, and
the result does not depend on how many cores there are.
"""

import contextlib
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

# Read when the backend is first imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np

from sernb.evaluation import war
from sernb.store import atomic
from sernb.systems import Fitted

PREDICTION_BATCH = 256


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


with _quiet():
    import keras

    keras.random.normal((1,))  # the devices are only looked for when something is computed


def seeded(seed: int) -> None:
    """Seed the initial weights and everything random in layers; on TensorFlow, ask for deterministic kernels."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def train(
    model: keras.Model,
    features: np.ndarray,
    targets: np.ndarray,
    validation: np.ndarray | None,
    validation_truth: np.ndarray,
    *,
    epochs: int,
    batch: int,
    seed: int,
    checkpoint: Path | None = None,
) -> Fitted:
    """Train a compiled model and keep its best epoch, or the last one where there is no validation part.

    Best is the highest accuracy on the validation part, the first of equals. Clips are shuffled by seed and epoch
    alone, so that a training resumed from its checkpoint ends as one that was never interrupted.

    Args:
        features: shape ``(clips, …)``, of the training part
        targets: shape ``(clips, classes)``
        validation: features of the validation part, or None
        validation_truth: class numbers
        checkpoint: folder to resume from and to write to after each epoch

    Raises:
        DataError: if the checkpoint cannot be written
    """
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]
    best = _values(model.weights)
    history: list[dict[str, float]] = []
    if checkpoint and (saved := _read(checkpoint, state, best)):
        best, history = saved
    for epoch in range(len(history), epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(features))
        losses = model.fit(features[order], targets[order], batch, epochs=1, shuffle=False, verbose=0).history
        row = {"epoch": epoch + 1, "loss": float(losses["loss"][0])}
        if validation is not None:
            row["validation_accuracy"] = war(validation_truth, _scores(model, validation))
        if validation is None or row["validation_accuracy"] > max(
            (past["validation_accuracy"] for past in history), default=-1.0
        ):
            best = _values(model.weights)
        history.append(row)
        if checkpoint:
            _write(checkpoint, state, best, history)
    for variable, value in zip(model.weights, best, strict=True):
        variable.assign(value)
    chosen = {"epoch": 1 + int(np.argmax([row.get("validation_accuracy", row["epoch"]) for row in history]))}
    names = [f"{number:03d} {variable.path}" for number, variable in enumerate(model.weights)]
    return Fitted(
        scores=lambda clips: _scores(model, np.stack(clips)),
        chosen=chosen,
        history=tuple(history),
        weights=dict(zip(names, best, strict=True)),
    )


def _scores(model: keras.Model, features: np.ndarray) -> np.ndarray:
    return model.predict(features, batch_size=PREDICTION_BATCH, verbose=0)


def _values(variables: list) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _write(checkpoint: Path, state: list, best: list[np.ndarray], history: list[dict[str, float]]) -> None:
    columns = {f"history {key}": np.array([row[key] for row in history]) for key in history[0]}
    states = {f"state {number:04d}": value for number, value in enumerate(_values(state))}
    bests = {f"best {number:04d}": value for number, value in enumerate(best)}
    with atomic(checkpoint / "training.npz") as unfinished:
        np.savez(unfinished, **states, **bests, **columns)
    with atomic(checkpoint / "epochs.txt") as unfinished:
        unfinished.write_text(str(len(history)), "utf-8")  # for those who watch


def _read(
    checkpoint: Path, state: list, best: list[np.ndarray]
) -> tuple[list[np.ndarray], list[dict[str, float]]] | None:
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
