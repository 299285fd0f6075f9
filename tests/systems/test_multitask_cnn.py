"""multitask-cnn: network, attention, the five combinations of losses, missing labels, and predictions a clip."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sernb.audio.augmentation import ORIGINAL
from sernb.config import DataError
from sernb.corpora.record import DIMENSIONS
from sernb.systems import multitask_cnn, multitask_losses
from sernb.systems.base import Examples, Task
from sernb.systems.multitask_cnn import Settings
from sernb.systems.registry import get_system

SIDE = 24
SMALL = Settings(width=0.1, batch=8, epochs=4, dropout=0.1, learning_rate=0.05, intensity=True)
TASKS = ("emotion", "gender", *DIMENSIONS, "intensity")


def examples(rng, clips: int, *, dimensions: bool = True) -> Examples:
    """Clips of one or two pictures; a bright band shows the class, its brightness the gender and the dimensions."""
    truth, gender = np.arange(clips) % 3, np.arange(clips) // 3 % 2
    features = []
    for label, high in zip(truth, gender, strict=True):
        picture = rng.normal(0, 0.2, (SIDE * (1 + label % 2), SIDE))
        picture[:, 7 * label : 7 * label + 5] += 1 + 2 * high
        features.append(picture.astype(np.float32))
    about = pd.DataFrame(
        {
            "speaker": [f"s{n % 6}" for n in range(clips)],
            "gender": np.array(["male", "female"])[gender],
            "intensity": np.where(truth == 0, "", np.array(["normal", "strong"])[gender]),
        }
    )
    if dimensions:
        about = about.assign(valence=1.0 + 4 * gender, arousal=(2.0 + truth).astype(str), dominance="")
    return Examples(tuple(features), truth, about)


def task(rng, **kind) -> Task:
    classes = multitask_cnn.SYSTEM.labels.classes[:3]
    return Task(examples(rng, 48, **kind), examples(rng, 18, **kind), classes, True, np.ones(48, int), seed=0)


@pytest.mark.slow
def test_network_has_the_published_size():
    from sernb.systems.inspection import build_network, count_multiply_adds, count_parameters

    assert count_parameters(multitask_cnn.SYSTEM) == 126_041_745
    network = build_network(multitask_cnn.SYSTEM)
    by_hand = 128**2 * 49 * 32 + 63**2 * 25 * 32 * 64 + 61_504 * 2048 + 2048 * (8 + 2 + 3) + 4
    assert count_multiply_adds(network) == by_hand
    assert network.output["emotion"].shape == (None, 8)
    assert network.output["answers"].shape == (None, 8 + 2 + 3 + 4)
    pools = [layer.output.shape[1:] for layer in network.layers if type(layer).__name__ == "MaxPooling2D"]
    assert pools == [(63, 63, 32), (31, 31, 64)]
    assert network.get_layer("attended").output.shape[1:] == (31, 31, 64)


@pytest.mark.slow
def test_weights_start_as_in_the_authors_library():
    network = multitask_cnn.network(Settings(width=0.25), (32, 32), 8)
    kernel = network.get_layer("convolution_2").get_weights()[0]
    inputs = np.prod(kernel.shape[:3])
    assert 0.95 / np.sqrt(inputs) < np.abs(kernel).max() <= 1 / np.sqrt(inputs)
    assert kernel.std() == pytest.approx(1 / np.sqrt(3 * inputs), rel=0.05)


@pytest.mark.slow
def test_attention_is_simams(rng):
    maps = rng.normal(0, 1, (2, 5, 6, 3)).astype(np.float32)
    found = np.array(multitask_cnn.simam_energy(maps, 1e-4))
    for picture in range(2):
        for channel in range(3):
            values = maps[picture, :, :, channel].astype(float)
            variance = np.sum((values - values.mean()) ** 2) / (values.size - 1)
            expected = (values - values.mean()) ** 2 / (4 * (variance + 1e-4)) + 0.5
            np.testing.assert_allclose(found[picture, :, :, channel], expected, rtol=1e-4)


def by_hand(settings: Settings, target: np.ndarray, answer: np.ndarray, trained: tuple[str, ...]) -> float:
    """The loss of a batch, one clip after the other; log-probabilities of three classes, then the other tasks."""
    where = {"emotion": slice(0, 3), "gender": slice(3, 5), "valence": 5, "arousal": 6, "dominance": 7}
    where["intensity"] = slice(8, 10)
    losses = {}
    for column, name in enumerate(TASKS):
        found = []
        for row in range(len(target)):
            if np.isnan(target[row, column]):
                continue
            said = answer[row, where[name]]
            found.append((said - target[row, column]) ** 2 if name in DIMENSIONS else -said[int(target[row, column])])
        if found:
            losses[name] = np.mean(found)
    others = [name for name in TASKS[1:] if name in trained]
    learned = answer[0, 10:]
    match settings.combination:
        case "emotion":
            return losses["emotion"]
        case "sum":
            return sum(losses.get(name, 0) for name in trained)
        case "fixed":
            return losses["emotion"] + settings.fixed * sum(losses.get(name, 0) for name in others)
        case "log-variance":
            weights = dict(zip(TASKS, learned, strict=True))
            return sum(np.exp(-weights[name]) * losses[name] + weights[name] for name in trained if name in losses)
    raised = {name: np.exp(weight) for name, weight in zip(TASKS[1:], learned, strict=True) if name in others}
    weights = {name: value / sum(raised.values()) for name, value in raised.items()}
    return losses["emotion"] + sum(
        np.exp(-weights[name]) * losses[name] + weights[name] for name in others if name in losses
    )


@pytest.mark.slow
@pytest.mark.parametrize("combination", multitask_losses.COMBINATIONS)
@pytest.mark.parametrize("missing", ["nothing", "some", "a task in this batch", "a task everywhere"])
def test_losses_follow_their_formulas_and_leave_out_missing_labels(rng, combination, missing):
    settings = dataclasses.replace(SMALL, combination=combination)
    numbers = [rng.integers(0, 3, 12), rng.integers(0, 2, 12), *rng.uniform(0, 1, (3, 12)), rng.integers(0, 2, 12)]
    target = np.array(numbers, float).T
    if missing == "some":
        target[rng.uniform(size=target.shape) < 0.4] = np.nan
        target[:, 0] = numbers[0]
    elif missing != "nothing":
        target[:, 4] = np.nan
    trained = tuple(name for name in TASKS if not (missing == "a task everywhere" and name == "dominance"))
    logits = rng.normal(0, 1, (12, 10))
    answer = logits.copy()
    for pair in (slice(0, 3), slice(3, 5), slice(8, 10)):
        answer[:, pair] -= np.log(np.exp(logits[:, pair]).sum(axis=1, keepdims=True))
    learned = rng.normal(0, 1, 6 if combination == "log-variance" else 5)
    answer = np.hstack([answer, np.tile(learned, (12, 1))])
    loss = multitask_losses.make_loss(settings, 3, trained)
    found = float(loss(target.astype(np.float32), answer.astype(np.float32)))
    assert found == pytest.approx(by_hand(settings, target, answer, trained), rel=1e-5)


def test_published_weights_of_the_losses_begin_at_078():
    """As the fact sheet counts: softmax of four zeros is 0.25, and exp(-0.25) is 0.779."""
    answer = np.zeros((1, 17))
    answer[0, 1:8] = -9
    target = np.array([[0, 0, 1, 1, 1]], np.float32)
    loss = multitask_losses.make_loss(Settings(), 8, Settings().tasks)
    assert float(loss(target, answer.astype(np.float32))) == pytest.approx(1 + 3 * 0.7788, abs=1e-3)


@pytest.mark.slow
def test_training_learns_all_tasks_that_have_labels(rng):
    given = task(rng)
    fitted = multitask_cnn.fit(dataclasses.replace(SMALL, epochs=8), given)
    losses = [row["loss"] for row in fitted.history]
    assert losses[-1] < losses[0] - 0.3
    assert fitted.chosen["epoch"] == 1 + np.argmin([row["validation_loss"] for row in fitted.history])
    assert fitted.history[-1]["accuracy"] > max(0.5, fitted.history[0]["accuracy"])
    unseen = examples(rng, 30)
    scores = fitted.scores(unseen.features)
    assert scores.shape == (30, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert (scores.argmax(axis=1) == unseen.truth).mean() > 0.6
    said = fitted.auxiliary_outputs(unseen.features)
    assert set(said) == {"female", "strong", "valence", "arousal", "strong by arousal"}, "dominance has no labels"
    assert ((said["female"] > 0.5) == (unseen.clips.gender == "female")).mean() > 0.7
    np.testing.assert_array_equal(said["strong by arousal"], said["arousal"] >= 3.5)
    weights = next(value for name, value in fitted.weights.items() if "loss_weights" in name)
    assert np.abs(weights).max() > 1e-3, "the weights of the losses are trained"


@pytest.mark.slow
def test_a_clip_gets_the_mean_over_its_pictures(rng):
    fitted = multitask_cnn.fit(dataclasses.replace(SMALL, epochs=1), task(rng))
    pictures = rng.normal(0, 1, (3, SIDE, SIDE)).astype(np.float32)
    one_by_one, collate = fitted.scores(tuple(pictures)), fitted.scores((np.concatenate(pictures), pictures[0]))
    np.testing.assert_allclose(collate, [one_by_one.mean(axis=0), one_by_one[0]], atol=1e-6)
    valence = [fitted.auxiliary_outputs(clips)["valence"] for clips in (tuple(pictures), (np.concatenate(pictures),))]
    assert valence[1][0] == pytest.approx(valence[0].mean(), rel=1e-5)


@pytest.mark.slow
def test_a_corpus_without_dimensions_trains_without_them(rng):
    given = task(rng, dimensions=False)
    fitted = multitask_cnn.fit(dataclasses.replace(SMALL, epochs=1, intensity=False), given)
    assert set(fitted.auxiliary_outputs(given.validation.features)) == {"female"}
    assert np.isfinite(fitted.history[0]["loss"])


@pytest.mark.slow
def test_a_finished_run_gives_its_filters_and_maps(rng):
    given = task(rng)
    fitted = multitask_cnn.fit(dataclasses.replace(SMALL, epochs=1), given)
    model = multitask_cnn.restore_network(SMALL, (SIDE, SIDE), 3, fitted.weights)
    pictures = np.stack([given.train.features[0], given.train.features[3]])
    np.testing.assert_allclose(
        np.exp(np.array(model.predict(pictures, verbose=0)["emotion"])), fitted.scores(tuple(pictures)), atol=1e-6
    )
    seen = multitask_cnn.compute_feature_maps(model, pictures)
    assert seen["filters 1"].shape == (7, 7, 1, 3)
    assert seen["feature maps 1"].shape == (2, SIDE, SIDE, 3)
    assert seen["attention"].min() > 0.5
    before = np.array(multitask_cnn.simam_energy(seen["attended"] / seen["attention"], SMALL.attention))
    np.testing.assert_allclose(seen["attention"], 1 / (1 + np.exp(-before)), atol=1e-4)


def test_dimensions_are_scaled_by_the_extremes_of_training_clips(rng):
    train, other = examples(rng, 9), examples(rng, 9)
    ranges = multitask_losses.find_ranges(SMALL, train)
    assert ranges == {"valence": (1, 5), "arousal": (2, 4)}
    other.clips["arousal"] = ["5", *[""] * 8]
    found = multitask_losses.make_targets(SMALL, other, ranges)
    assert found[0, 3] == pytest.approx(1.5)
    assert np.isnan(found[1:, 3]).all()
    assert np.isnan(found[:, 4]).all()
    np.testing.assert_array_equal(found[:, 1], other.clips.gender == "female")
    np.testing.assert_array_equal(np.isnan(found[:, 5]), other.truth == 0)
    other.clips["tally_valence"] = "3"
    assert (multitask_losses.make_targets(SMALL, other, ranges)[:, 2] == 0.5).all()
    official = multitask_losses.make_targets(dataclasses.replace(SMALL, tallied=False), other, ranges)[:, 2]
    assert set(official) == {0, 1}
    fixed = dataclasses.replace(SMALL, label_range=(1.0, 5.0))
    assert set(multitask_losses.find_ranges(fixed, train).values()) == {(1.0, 5.0)}


def test_split_has_equal_shares_of_each_class():
    clips = pd.DataFrame({"clip": range(1000), "truth": np.repeat(["happy", "sad"], [300, 700])})
    train, validation, test = next(multitask_cnn.split_stratified(clips, 5))
    assert (len(train), len(validation), len(test)) == (800, 100, 100)
    assert len({*train, *validation, *test}) == 1000
    assert [(clips.truth[part] == "happy").sum() for part in (train, validation, test)] == [240, 30, 30]


def test_six_versions_are_trained_and_heard():
    assert multitask_cnn.SYSTEM.views[0] == ORIGINAL
    assert multitask_cnn.SYSTEM.views[1:] == multitask_cnn.SYSTEM.training_views
    assert len(multitask_cnn.SYSTEM.views) == 6
    assert multitask_cnn.VIEWS[1].snr == pytest.approx(22.5, abs=0.01)


@pytest.mark.parametrize("combination", ["emotion", "sum", "fixed", "log-variance"])
def test_each_combination_is_a_variant(combination):
    variant = get_system(f"multitask-cnn-narrow-{combination}")
    assert variant.settings == dataclasses.replace(Settings(), width=0.25, epochs=20, combination=combination)


def test_an_unknown_combination_is_refused():
    with pytest.raises(DataError, match="log-variance"):
        Settings(combination="product")
