"""Training by epochs: streamed, resumed, scheduled, ended early; measured against Keras itself."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sernb.systems.base import Examples, Fitted

pytestmark = pytest.mark.slow

CLASSES = 3
LEVEL_IN_A_NOTEBOOK = """
import logging, sys
sys.ps1 = ">>> "  # as in a notebook's kernel
from sernb.systems.learning import training
from tensorflow import get_logger
assert get_logger().getEffectiveLevel() == logging.ERROR
"""


@pytest.fixture(scope="module")
def training():
    from sernb.systems.learning import training

    return training


def clips(rng, count=40):
    truth = np.arange(count) % CLASSES
    return [rng.normal(label, 2, (5, 4)).astype(np.float32) for label in truth], truth


def model(training, *, dropout=0.3, rate=0.01):
    keras = training.keras
    keras.utils.set_random_seed(7)
    layers = keras.layers
    stack = [layers.Flatten(), layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(dropout)]
    built = keras.Sequential([keras.Input((5, 4)), *stack, layers.Dense(CLASSES, "softmax")])
    built.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", jit_compile=False)
    return built


def trained(training, rng, *, epochs=4, **options) -> Fitted:
    heard, truth = clips(rng)
    held_out, held_out_truth = clips(rng, 20)
    one_hot = np.eye(CLASSES, dtype=np.float32)
    return training.train(
        options.pop("model", None) or model(training), heard, one_hot[truth], held_out, held_out_truth,
        epochs=epochs, batch=8, seed=1, validation_targets=one_hot[held_out_truth], **options,
    )  # fmt: skip


def equal(first: Fitted, second: Fitted) -> None:
    assert first.history == second.history
    assert first.chosen == second.chosen
    same_weights(first, second)


def same_weights(first: Fitted, second: Fitted) -> None:
    """By position: Keras numbers the layers of a process on and on."""
    for value, other in zip(first.weights.values(), second.weights.values(), strict=True):
        np.testing.assert_array_equal(value, other)


def test_streamed_batches_train_as_keras_does_on_one_array(training, rng):
    """The same order and the same weights as ``Model.fit`` on all clips in memory."""
    heard, truth = clips(rng)
    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    ours = model(training)
    fitted = training.train(ours, heard, one_hot, (), np.array([]), epochs=3, batch=8, seed=1)
    theirs = model(training)
    for epoch in range(3):
        order = np.random.default_rng([1, epoch]).permutation(len(heard))
        theirs.fit(np.stack(heard)[order], one_hot[order], 8, epochs=1, shuffle=False, verbose=0)
    for mine, other in zip(fitted.weights.values(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert fitted.chosen == {"epoch": 3}, "without a validation part the last epoch stays"
    np.testing.assert_allclose(fitted.scores(heard), theirs.predict(np.stack(heard), verbose=0), rtol=1e-5)


def test_metrics_look_on_and_change_nothing(training, rng):
    """The same weights, bit by bit, with and without the accuracy on the training part."""
    heard, truth = clips(rng)
    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    found = []
    for watched in (False, True):
        built = model(training)
        if watched:
            training.compile_model(built, training.keras.optimizers.Adam(0.01), "categorical_crossentropy")
        found.append(training.train(built, heard, one_hot, heard[:9], truth[:9], epochs=3, batch=8, seed=1))
    same_weights(*found)
    np.testing.assert_array_equal(found[0].scores(heard), found[1].scores(heard))
    assert [row["loss"] for row in found[0].history] == [row["loss"] for row in found[1].history]
    assert "accuracy" not in found[0].history[0]
    rates = [row["accuracy"] for row in found[1].history]
    assert all(rate * len(heard) == pytest.approx(round(rate * len(heard)), abs=1e-4) for rate in rates)


def test_accuracy_is_that_of_the_answers_where_nothing_is_dropped(training, rng):
    """Measured before each step; at a rate of 0 all steps see the same weights."""
    heard, truth = clips(rng)
    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    built = model(training, dropout=0)
    built.get_layer(index=2).trainable = False  # batch normalisation answers as it does after training
    training.compile_model(built, training.keras.optimizers.SGD(0.0), "categorical_crossentropy")
    fitted = training.train(built, heard, one_hot, heard, truth, epochs=1, batch=8, seed=1, validation_targets=one_hot)
    expected = (fitted.scores(heard).argmax(axis=1) == truth).mean()
    assert fitted.history[0]["accuracy"] == pytest.approx(expected, abs=1e-6)
    assert fitted.history[0]["validation_accuracy"] == expected


def test_clips_are_taken_one_batch_at_a_time(training, rng):
    """A sequence that counts what is held at once: never all clips."""
    heard, truth = clips(rng)
    taken = []

    class Counted(list):
        def __getitem__(self, key):
            taken.append(key)
            assert not isinstance(key, slice)
            return super().__getitem__(key)

    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    training.train(model(training), Counted(heard), one_hot, (), np.array([]), epochs=1, batch=8, seed=1)
    assert len(taken) >= len(heard)
    assert set(taken) == set(range(len(heard)))


@pytest.mark.parametrize(
    "options",
    [{"schedule": "plateau"}, {"schedule": "steps", "best_by": "validation_loss", "patience": 2}],
    ids=["plateau", "steps and early end"],
)
def test_a_training_that_was_interrupted_ends_as_one_that_was_not(training, rng, tmp_path, options):
    schedules = {"plateau": training.Plateau(1, 0.5), "steps": training.StepDecay(2, 0.1)}
    options = {**options, **({"schedule": schedules[options["schedule"]]} if "schedule" in options else {})}
    state = rng.bit_generator.state
    whole = trained(training, rng, epochs=6, **options)
    for epochs in (2, 6):  # each time a new process would begin with a new model
        rng.bit_generator.state = state
        resumed = trained(training, rng, epochs=epochs, checkpoint=tmp_path, **options)
    equal(whole, resumed)
    assert (tmp_path / "epochs.txt").read_text() == str(len(whole.history))


def test_weights_of_the_last_epochs_are_averaged(training, rng):
    heard, truth = clips(rng)
    one_hot, found = np.eye(CLASSES, dtype=np.float32), []
    for epochs, averaged in ((1, 1), (2, 1), (3, 1), (3, 3)):
        options = {"epochs": epochs, "batch": 8, "seed": 1, "average_last": averaged}
        fitted = training.train(model(training), heard, one_hot[truth], (), np.array([]), **options)
        found.append(list(fitted.weights.values()))
    for *each, mean in zip(*found, strict=True):
        np.testing.assert_allclose(mean, np.mean(each, axis=0), rtol=1e-5, atol=1e-7)


def test_a_damaged_checkpoint_is_not_resumed(training, rng, tmp_path):
    state = rng.bit_generator.state
    whole = trained(training, rng, epochs=2)
    rng.bit_generator.state = state
    trained(training, rng, epochs=1, checkpoint=tmp_path)
    (tmp_path / "training.npz").write_bytes((tmp_path / "training.npz").read_bytes()[:500])
    rng.bit_generator.state = state
    equal(whole, trained(training, rng, epochs=2, checkpoint=tmp_path))


@pytest.mark.parametrize("best_by", ["validation_accuracy", "validation_loss"])
def test_the_best_epoch_is_kept(training, rng, best_by):
    fitted = trained(training, rng, best_by=best_by)
    history = pd.DataFrame(fitted.history)
    best = history[best_by].idxmax() if best_by == "validation_accuracy" else history[best_by].idxmin()
    assert fitted.chosen["epoch"] == history.epoch[best]
    assert list(history.epoch) == list(range(1, 5))
    assert history.loss.iloc[-1] < history.loss.iloc[0]


def test_validation_loss_and_accuracy_are_those_of_the_answers(training, rng):
    state = rng.bit_generator.state
    fitted = trained(training, rng, epochs=1)
    rng.bit_generator.state = state
    clips(rng)
    held_out, truth = clips(rng, 20)
    scores = fitted.scores(held_out)
    row = fitted.history[0]
    assert row["validation_accuracy"] == pytest.approx((scores.argmax(axis=1) == truth).mean())
    assert row["validation_loss"] == pytest.approx(-np.log(scores[np.arange(20), truth]).mean(), rel=1e-5)


def test_training_ends_when_patience_does(training, rng):
    fitted = trained(training, rng, epochs=200, patience=3, model=model(training, rate=0.05))
    assert len(fitted.history) < 200
    assert len(fitted.history) == fitted.chosen["epoch"] + 3


def test_plateau_is_kerass(training, rng):
    """The rates that keras.callbacks.ReduceLROnPlateau gives for the same losses, epoch by epoch."""
    keras = training.keras
    for patience, factor in ((1, 0.5), (3, 0.1)):
        losses = np.abs(1 + rng.normal(0, 0.3, 60).cumsum() / 5)
        other = model(training, rate=0.01)
        callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor, patience, min_delta=1e-4, min_lr=1e-5)
        callback.set_model(other)
        callback.on_train_begin()
        schedule = training.Plateau(patience, factor, smallest=1e-5)
        history = []
        for epoch, loss in enumerate(losses):
            callback.on_epoch_end(epoch, {"val_loss": loss})
            history.append({"loss": 0.0, "validation_loss": loss})
            assert schedule(0.01, history) == pytest.approx(float(other.optimizer.learning_rate), rel=1e-5)
        assert schedule(0.01, history) < 0.01


def test_plateau_watches_accuracy_upwards_and_training_loss_without_validation(training):
    rising = [{"loss": 1.0, "validation_accuracy": value} for value in (0.1, 0.2, 0.3)]
    schedule = training.Plateau(1, 0.5, watched="validation_accuracy")
    assert schedule(1.0, rising) == 1.0
    assert schedule(1.0, rising[::-1]) == 0.25
    assert training.Plateau(1, 0.5)(1.0, [{"loss": 2.0}, {"loss": 1.0}, {"loss": 3.0}]) == 0.5


def test_several_outputs_train_with_labels_left_out(training, rng):
    """A weight of 0 takes a clip out of one output's loss: its label may be anything."""
    keras = training.keras
    heard, truth = clips(rng)
    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    known = (np.arange(40) % 2).astype(np.float32)

    def run(value: np.ndarray):
        keras.utils.set_random_seed(3)
        given = keras.Input((5, 4))
        hidden = keras.layers.Dense(8, "relu")(keras.layers.Flatten()(given))
        outputs = {
            "emotion": keras.layers.Dense(CLASSES, "softmax", name="emotion")(hidden),
            "valence": keras.layers.Dense(1, name="valence")(hidden),
        }
        both = keras.Model(given, outputs)
        losses = {"emotion": "categorical_crossentropy", "valence": "mse"}
        both.compile("adam", losses, jit_compile=False)
        targets = {"emotion": one_hot, "valence": value[:, None].astype(np.float32)}
        weights = {"emotion": np.ones(40, np.float32), "valence": known}
        return both, training.train(
            both, heard, targets, heard[:9], truth[:9], epochs=2, batch=8, seed=1, sample_weights=weights,
            validation_targets={name: values[:9] for name, values in targets.items()},
            validation_weights={name: values[:9] for name, values in weights.items()}, emotion="emotion",
        )  # fmt: skip

    both, first = run(np.where(known, 0.5, 100.0))
    _, second = run(np.where(known, 0.5, -100.0))
    same_weights(first, second)
    assert first.scores(heard).shape == (40, CLASSES)
    said = training.predictions(both, heard, prediction_batch=7)
    assert {name: values.shape for name, values in said.items()} == {"emotion": (40, CLASSES), "valence": (40, 1)}
    assert "validation_loss" in first.history[0]


def test_prepare_is_applied_to_every_clip(training, rng):
    heard, truth = clips(rng)
    one_hot = np.eye(CLASSES, dtype=np.float32)[truth]
    raw = [clip * 10 + 3 for clip in heard]
    options = {"epochs": 2, "batch": 8, "seed": 1}
    plain = training.train(model(training), heard, one_hot, heard[:5], truth[:5], **options)
    prepared = training.train(
        model(training), raw, one_hot, raw[:5], truth[:5], prepare=lambda clip: (clip - 3) / 10, **options
    )
    assert [row["loss"] for row in plain.history] == pytest.approx([row["loss"] for row in prepared.history], rel=1e-3)
    np.testing.assert_allclose(plain.scores(heard), prepared.scores(raw), atol=1e-3)


def test_copies_are_heard_after_the_originals(rng):
    from sernb.systems.base import Task

    def part(mark):
        return Examples((np.full(1, mark),), np.array([mark]), pd.DataFrame({"speaker": [f"s{mark}"]}))

    task = Task(part(0), part(9), ("a",), False, np.ones(1, int), 0, copies=(part(1), part(2)))
    assert [clip[0] for clip in task.training_examples.features] == task.training_examples.truth.tolist() == [0, 1, 2]
    assert task.training_examples.speakers.tolist() == ["s0", "s1", "s2"]


def test_tensorflow_does_not_talk_in_notebooks_either():
    subprocess.run([sys.executable, "-c", LEVEL_IN_A_NOTEBOOK], check=True)
