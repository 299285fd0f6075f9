"""feature-cnn: network, split, copies and scaling as published."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support
from sklearn.preprocessing import StandardScaler

from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.features.extraction import extract_features
from sernb.systems import feature_cnn
from sernb.systems.base import Examples, Task
from sernb.systems.registry import get_system

SMALL = feature_cnn.Settings(
    width=0.1, batch=8, epochs=10, learning_rate=0.003, dropout=0, dense_dropout=0, patience=10
)


def part(rng, clips: int, width: int = 64) -> Examples:
    """Clips whose class shows in some of their values, which lie far apart in size."""
    truth = np.arange(clips) % 7
    sizes = 10.0 ** rng.integers(-3, 3, width)
    features = tuple(
        (sizes * (5 + 3 * (np.arange(width) // 8 == label) + rng.normal(0, 0.3, width)))[None].astype(np.float32)
        for label in truth
    )
    about = pd.DataFrame({"speaker": [f"s{n % 6}" for n in range(clips)], "gender": ["male"] * clips})
    return Examples(features, truth, about)


def task(rng, *, copies: int = 0) -> Task:
    classes = feature_cnn.SYSTEM.labels.classes
    seed = int(rng.integers(100))
    parts = [part(np.random.default_rng(seed), count) for count in (70, 28)]
    more = tuple(part(np.random.default_rng(seed), 70) for _ in range(copies))
    return Task(*parts, classes, True, np.ones(70, int), seed=0, copies=more)


def test_variants_change_what_they_say():
    assert get_system("feature-cnn-narrow-right-rate").features.mfcc_sampling_rate == 8025
    assert get_system("feature-cnn-narrow-aligned").features.aligned
    assert get_system("feature-cnn-narrow").settings.width == 0.5
    for name, width in (("feature-cnn-text-copies", 1), ("feature-cnn-narrow-text-copies", 0.5)):
        system = get_system(name)
        assert [view.name for view in system.training_views[3:]] == ["time-shift", "stretch"]
        assert system.settings.width == width


def test_copies_of_the_text_keep_their_880_values(rng):
    signal = (0.2 * rng.standard_normal(3 * 8025)).astype(np.float32)
    shift, stretch = feature_cnn.TEXT_COPIES[3:]
    places = [int(np.argmax(shift(np.eye(1, 20_063, 10_000)[0], 8025, rng))) - 10_000 for _ in range(40)]
    assert -5000 <= min(places) < -3000 < 3000 < max(places) <= 5000
    assert len(stretch(signal, 8025, rng)) == pytest.approx(len(signal) / 0.8, rel=0.01)
    for view in (shift, stretch):
        assert extract_features("a", view, signal, feature_cnn.SYSTEM.features).shape == (1, 880)


@pytest.mark.slow
def test_precision_and_recall_of_a_batch_are_micro_averages_above_a_half(rng):
    answers = rng.dirichlet(np.full(7, 0.2), 64).astype(np.float32)
    truth = np.where(rng.uniform(size=64) < 0.5, answers.argmax(axis=1), rng.integers(0, 7, 64))
    targets = np.eye(7, dtype=np.float32)[truth]
    expected = precision_recall_fscore_support(targets, answers > 0.5, average="micro")
    measured = [
        float(metric(targets, answers)) for metric in (feature_cnn.precision, feature_cnn.recall, feature_cnn.f1)
    ]
    np.testing.assert_allclose(measured, expected[:3], rtol=1e-5)
    assert expected[0] > expected[1], "some say nothing"


@pytest.mark.slow
@pytest.mark.parametrize(("kernels", "parameters"), [((5, 5, 5, 3, 3), 2_534_535), ((5, 5, 5, 5, 5), 2_731_143)])
def test_network_has_the_published_size(kernels, parameters):
    from sernb.systems.inspection import build_network, count_parameters

    settings = dataclasses.replace(feature_cnn.Settings(), kernels=kernels)
    system = dataclasses.replace(feature_cnn.SYSTEM, settings=settings)
    assert count_parameters(system) == parameters
    network = build_network(system)
    assert network.input_shape == (None, 1, 880)
    assert network.output_shape == (None, 7)
    pools = [layer.output.shape[1] for layer in network.layers if type(layer).__name__ == "MaxPooling1D"]
    assert pools == [440, 220, 110, 55, 28]


def test_seven_classes_with_calm_in_neutral():
    truths = feature_cnn.SYSTEM.labels.truths(read_index(get_corpus("ravdess")).emotion)
    assert truths.notna().all()
    others = ("happy", "sad", "angry", "fearful", "disgust", "surprised")
    assert truths.value_counts().to_dict() == {"neutral": 288} | dict.fromkeys(others, 192)


def test_split_of_the_pool_has_the_published_sizes_and_is_always_the_same():
    clips = pd.DataFrame({"clip": range(12_162)})
    (train, validation, test), *more = feature_cnn.SYSTEM.published_split(clips, 0)
    assert not more
    assert (len(train), len(validation), len(test)) == (8756, 973, 2433)
    assert len({*train, *validation, *test}) == 12_162
    for here, again in zip((train, validation, test), next(feature_cnn.SYSTEM.published_split(clips, 1)), strict=True):
        np.testing.assert_array_equal(here, again)


def test_training_hears_each_clip_four_times():
    """8,756 clips give the 35,024 rows of the source."""
    assert 8756 * (1 + len(feature_cnn.SYSTEM.training_views)) == 35_024


@pytest.mark.slow
def test_training_learns_and_scores_are_probabilities(rng):
    given = task(rng, copies=1)
    fitted = feature_cnn.fit(SMALL, given)
    losses = [row["loss"] for row in fitted.history]
    assert losses[-1] < 0.7 * losses[0]
    watched = {"loss", "accuracy", "precision", "recall", "f1"}
    assert watched | {f"validation_{name}" for name in watched} | {"learning_rate"} <= set(fitted.history[0])
    assert fitted.chosen["epoch"] == 1 + np.argmin([row["validation_loss"] for row in fitted.history])
    scores = fitted.scores(given.validation.features)
    assert scores.shape == (28, 7)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert (scores.argmax(axis=1) == given.validation.truth).mean() > 0.4, "chance: 0.14"


@pytest.mark.slow
def test_values_are_standardised_over_training_clips_and_copies_alone(rng, monkeypatch):
    from sernb.systems.learning import training

    given, seen = task(rng, copies=1), {}
    monkeypatch.setattr(training, "train", lambda model, clips, *others, **named: seen.update(clips=clips, **named))
    feature_cnn.fit(SMALL, given)
    rows = np.concatenate([*given.train.features, *given.copies[0].features])
    assert len(seen["clips"]) == len(rows) == 140
    scaler = StandardScaler().fit(rows)
    held_out = np.concatenate(given.validation.features)
    found = np.concatenate([seen["prepare"](clip) for clip in given.validation.features])
    np.testing.assert_allclose(found, scaler.transform(held_out), rtol=1e-3, atol=1e-4)
