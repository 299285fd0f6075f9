"""Each system does what its authors published: shapes, parameters, targets, choices."""

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from sernb.config import DataError
from sernb.corpora import corpus_named, read_index
from sernb.labels import EIGHT, LABEL_SETS
from sernb.systems import SYSTEMS, Examples, Task, multiscale_cnn, statistics_svm, system_named


def task(rng, *, clips=60, width=200, classes=3, frames=1, speakers_apart=False, validation=0):
    """Clips whose class shows in the mean of their features."""

    def part(count):
        truth = np.arange(count) % classes
        features = tuple(rng.normal(label, 1, (frames, width)).astype(np.float32) for label in truth)
        about = pd.DataFrame(
            {"speaker": [f"s{n % 6}" for n in range(count)], "gender": ["mf"[n % 2] for n in range(count)]}
        )
        return Examples(features, truth, about)

    return Task(part(clips), part(validation), EIGHT[:classes], speakers_apart, np.ones(clips, int), seed=0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_record_is_complete(name):
    system = system_named(name)
    assert system.name == name
    assert system.title
    assert system.source
    assert system.about
    assert system.views[0].name == "original"
    assert len({view.name for view in system.views}) == len(system.views)
    assert system.settings_for("full") == system.settings
    for figure in system.reported:
        assert figure.metric in {"war", "uar", "top3"}
        assert 0 < figure.value < 1
        assert figure.caveat


def test_an_unknown_system_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="multiscale-cnn"):
        system_named("resnet")


def test_label_sets_on_ravdess():
    emotions = read_index(corpus_named("ravdess")).emotion
    assert LABEL_SETS["eight"].truths(emotions).equals(emotions)
    seven = LABEL_SETS["calm-as-neutral"]
    counts = seven.truths(emotions).value_counts(dropna=False)
    assert len(seven.classes) == 7
    assert counts[list(seven.classes)].tolist() == [192] * 7
    assert counts.sum() - counts[list(seven.classes)].sum() == 96, "true neutral is dropped"
    assert (seven.truths(emotions) == "neutral").equals(emotions == "calm")


def test_majority_ranks_classes_by_their_frequency(rng):
    base = task(rng, clips=6)
    truth = np.array([2, 2, 2, 0, 0, 1])
    part = Examples(base.train.features, truth, base.train.about)
    fitted = system_named("majority").fit(None, Task(part, base.validation, base.classes, False, truth, 0))
    np.testing.assert_allclose(fitted.scores((None,) * 4), [[2 / 6, 1 / 6, 3 / 6]] * 4)


@pytest.mark.parametrize("speakers_apart", [False, True])
def test_statistics_svm_learns_and_scores(rng, speakers_apart):
    given = task(rng, clips=90, speakers_apart=speakers_apart, validation=30)
    fitted = system_named("statistics-svm").fit(statistics_svm.Settings(), given)
    unseen = task(rng, clips=30).train
    scores = fitted.scores(unseen.features)
    assert scores.shape == (30, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == unseen.truth).mean() > 0.9
    assert fitted.chosen["C"] in statistics_svm.Settings().penalties


def test_statistics_svm_drops_gender_from_the_answer(rng):
    """The emotion of the best of fourteen gendered classes: as stripping the gender from the SVM's own answer."""
    truth, gender = rng.integers(0, 7, 200), rng.integers(0, 2, 200)
    rows = rng.normal(0, 1, (200, 20)) + np.eye(20)[truth] * 2 + np.eye(20)[7 + gender]
    machine = SVC(decision_function_shape="ovr", break_ties=True, gamma=0.05).fit(rows, gender * 7 + truth)
    fresh = rng.normal(0, 1, (100, 20)) + np.eye(20)[rng.integers(0, 7, 100)] * 2
    by_emotion = statistics_svm._by_emotion(machine.decision_function(fresh), machine.classes_, 7)
    np.testing.assert_array_equal(by_emotion.argmax(axis=1), machine.predict(fresh) % 7)


def test_statistics_svm_gives_an_emotion_it_never_heard_the_last_place():
    decision = np.array([[3.0, 1.0, 2.0]])
    by_emotion = statistics_svm._by_emotion(decision, np.array([0, 2, 3]), 4)
    assert by_emotion.argsort(axis=1).tolist() == [[1, 2, 3, 0]]


@pytest.mark.slow
def test_multiscale_cnn_has_the_published_size_and_reach():
    network = multiscale_cnn.network(multiscale_cnn.Settings(), (215, 39), 8)
    assert network.count_params() == 142_856
    assert network.output_shape == (None, 8)
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv1D"]
    assert [layer.dilation_rate[0] for layer in convolutions[1:]] == [2**k for k in range(8) for _ in range(2)]
    reach = 1 + sum(layer.dilation_rate[0] * (layer.kernel_size[0] - 1) for layer in convolutions)
    assert reach == 511
    optimizer = network.optimizer.get_config()
    assert (optimizer["beta_1"], optimizer["beta_2"], optimizer["epsilon"]) == (0.93, 0.98, 1e-8)


@pytest.mark.slow
def test_multiscale_cnn_hears_only_the_past_before_it_averages(rng):
    """Causal: what comes later in the clip must not change what an earlier frame gives."""
    import keras

    network = multiscale_cnn.network(multiscale_cnn.Settings(), (40, 39), 8)
    joined = next(layer for layer in network.layers if type(layer).__name__ == "Concatenate")
    inner = keras.Model(network.input, joined.output)
    clip = rng.normal(0, 1, (1, 40, 39)).astype(np.float32)
    changed = clip.copy()
    changed[:, 25:] += 1
    before, after = (np.array(inner(values)) for values in (clip, changed))
    np.testing.assert_allclose(before[:, :25], after[:, :25], atol=1e-5)
    assert np.abs(before[:, 25:] - after[:, 25:]).max() > 1e-3


def test_label_smoothing_fades_as_in_the_published_code(rng):
    """There, smoothing is applied in place, fold after fold, to the labels of the training clips."""
    base = task(rng, clips=8, classes=8)
    given = Task(base.train, base.validation, base.classes, False, np.array([1, 9, 10, 1, 1, 1, 1, 1]), 0)
    faded = multiscale_cnn.targets(multiscale_cnn.Settings(), given)
    np.testing.assert_allclose(faded.sum(axis=1), 1, rtol=1e-6)
    assert faded[0, 0] == pytest.approx(0.9125), "first fold: smoothed once"
    by_hand = np.eye(8)[1]
    for _ in range(9):
        by_hand = by_hand * 0.9 + 0.1 / 8
    np.testing.assert_allclose(faded[1], by_hand, rtol=1e-5)
    assert faded[1, 1] == pytest.approx(0.464, abs=0.001), "tenth fold: nine times, as the clip was once tested"
    constant = multiscale_cnn.targets(multiscale_cnn.Settings(smoothing_accumulates=False), given)
    np.testing.assert_allclose(constant.max(axis=1), 0.9125, rtol=1e-6)
