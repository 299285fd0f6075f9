"""Every metric against scikit-learn, scipy or its written formula, to 1e-12, on chance and on edge cases."""

import numpy as np
import pytest
from scipy.special import entr
from sklearn import metrics as reference

from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.evaluation import (
    Predictions,
    bootstrap_interval,
    brier,
    ccc,
    chance_level,
    confusion_matrix,
    constant_ranking,
    evaluate,
    listener_scores,
    log_loss,
    macro_f1,
    macro_precision,
    per_class,
    per_group,
    rmse,
    top3,
    top_k,
    uar,
    view_divergence,
    view_votes,
    war,
    weighted_f1,
    weighted_precision,
)

EXACT = {"abs": 1e-12, "rel": 0}
CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgust")


def chances(clips, classes, seed=0, skill=1.0):
    """Truths and probabilities, some of them equal."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, clips)
    scores = np.round(rng.random((clips, classes)) + skill * np.eye(classes)[truth], 1) + 0.01
    return truth, scores / scores.sum(axis=1, keepdims=True)


def one_class_missing():
    truth, scores = chances(200, 5, seed=1)
    return truth[truth != 2], scores[truth != 2]


CASES = {
    "chance": chances(500, 6),
    "blind": chances(500, 6, skill=0.0),
    "two classes": chances(60, 2),
    "one class missing": one_class_missing(),
    "one class only": (np.full(20, 3), chances(20, 5)[1]),
    "constant prediction": (chances(100, 4)[0], np.tile([0.1, 0.2, 0.6, 0.1], (100, 1))),
    "all scores equal": (chances(100, 4)[0], np.full((100, 4), 0.25)),
    "one clip": (np.array([1]), np.array([[0.2, 0.5, 0.3]])),
    "certain and wrong": (np.array([0, 1, 2]), np.eye(3)[[1, 2, 2]]),
}
cases = pytest.mark.parametrize(("truth", "scores"), CASES.values(), ids=CASES)


@cases
def test_metrics_of_right_and_wrong_are_scikit_learns(truth, scores):
    prediction, labels = scores.argmax(axis=1), range(scores.shape[1])
    assert war(truth, scores) == pytest.approx(reference.accuracy_score(truth, prediction), **EXACT)
    present = np.unique(truth)  # UAR: what balanced_accuracy_score does, without its warning
    recall = reference.recall_score(truth, prediction, labels=present, average="macro", zero_division=0)
    assert uar(truth, scores) == pytest.approx(recall, **EXACT)
    for average, precision, f1 in (
        ("macro", macro_precision, macro_f1),
        ("weighted", weighted_precision, weighted_f1),
    ):
        options = {"average": average, "zero_division": 0}
        assert precision(truth, scores) == pytest.approx(
            reference.precision_score(truth, prediction, **options), **EXACT
        )
        assert f1(truth, scores) == pytest.approx(reference.f1_score(truth, prediction, **options), **EXACT)
    weighted = reference.recall_score(truth, prediction, average="weighted", zero_division=0)
    assert war(truth, scores) == pytest.approx(weighted, **EXACT)
    expected = reference.confusion_matrix(truth, prediction, labels=labels)
    np.testing.assert_array_equal(confusion_matrix(truth, scores), expected)


@cases
def test_each_class_is_scikit_learns_and_nan_where_it_is_absent(truth, scores):
    prediction, classes = scores.argmax(axis=1), scores.shape[1]
    table = per_class(truth, scores, tuple(range(classes)))
    expected = reference.precision_recall_fscore_support(truth, prediction, labels=range(classes), zero_division=0)
    present, met = np.isin(range(classes), truth), np.isin(range(classes), [*truth, *prediction])
    for name, values, known in zip(("precision", "recall", "f1"), expected, (met, present, met), strict=False):
        np.testing.assert_allclose(table[name][known], values[known], atol=1e-12, rtol=0)
        assert table[name][~known].isna().all()
    assert table["clips"].tolist() == expected[3].tolist()


@cases
def test_top_k_counts_the_first_of_equals(truth, scores):
    for k in (1, 2, 3):
        ranked = [sorted(range(len(row)), key=lambda c, row=row: (-row[c], c))[:k] for row in scores]
        expected = sum(t in first for t, first in zip(truth, ranked, strict=True)) / len(truth)
        assert top_k(truth, scores, k) == pytest.approx(expected, **EXACT)
    assert top3(truth, scores) == top_k(truth, scores)
    assert top_k(truth, scores, k=1) == war(truth, scores)


@cases
def test_metrics_of_probabilities_are_scikit_learns(truth, scores):
    labels = list(range(scores.shape[1]))
    assert log_loss(truth, scores) == pytest.approx(reference.log_loss(truth, scores, labels=labels), **EXACT)
    expected = reference.brier_score_loss(truth, scores, labels=labels, scale_by_half=False)
    assert brier(truth, scores) == pytest.approx(expected, **EXACT)


@cases
def test_metrics_know_nothing_of_the_order_of_clips_and_of_the_names_of_classes(truth, scores):
    rng = np.random.default_rng(2)
    scores = scores + 1e-6 * rng.random(scores.shape)  # no ties: the first of equals depends on the order of classes
    scores = scores / scores.sum(axis=1, keepdims=True)
    order, names = rng.permutation(len(truth)), rng.permutation(scores.shape[1])
    for metric in (war, uar, macro_precision, weighted_precision, macro_f1, weighted_f1, top3, log_loss, brier):
        value = metric(truth, scores)
        assert metric(truth[order], scores[order]) == pytest.approx(value, **EXACT)
        assert metric(np.argsort(names)[truth], scores[:, names]) == pytest.approx(value, **EXACT)


def test_groups_are_evaluated_each_by_itself():
    truth, scores = chances(300, 5)
    groups = np.random.default_rng(3).choice(["female", "male"], 300)
    table = per_group(truth, scores, groups).set_index("group")
    assert table.index.tolist() == ["female", "male"]
    for name in table.index:
        own = groups == name
        prediction = scores[own].argmax(axis=1)
        assert table.uar[name] == pytest.approx(reference.balanced_accuracy_score(truth[own], prediction), **EXACT)
        assert table.war[name] == pytest.approx(reference.accuracy_score(truth[own], prediction), **EXACT)
        assert table.clips[name] == own.sum()


@pytest.mark.parametrize(
    "metric",
    [war, uar, macro_precision, weighted_precision, macro_f1, weighted_f1, top3, top_k, log_loss, brier,
     confusion_matrix],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(metric):
    with pytest.raises(ValueError, match="0 truths and 0 rows of scores"):
        metric(np.array([], int), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="2 truths and 1 rows of scores"):
        metric(np.array([0, 1]), np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="finite"):
        metric(np.array([0]), np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match=r"truth 0 … 4, but there are scores for 2 classes"):
        metric(np.array([0, 4]), np.array([[0.5, 0.5], [0.5, 0.5]]))


@pytest.mark.parametrize("scores", [[[0.5, 0.6]], [[-0.1, 1.1]], [[3.0, 1.0]]])
@pytest.mark.parametrize("metric", [log_loss, brier])
def test_scores_that_are_no_probabilities_are_refused_where_probabilities_are_needed(metric, scores):
    with pytest.raises(ValueError, match="must be probabilities"):
        metric(np.array([0]), np.array(scores))


# -- Valence, arousal, dominance -- #


def test_concordance_is_correlation_less_what_shift_and_scale_cost(rng):
    for truth, prediction in (
        (rng.normal(3, 1, 400), rng.normal(2, 2, 400)),
        *((t, 0.5 * t + 1 + rng.normal(0, 0.2, 50)) for t in (rng.uniform(1, 5, 50),)),
    ):
        shift, scale = truth.mean() - prediction.mean(), truth.std() / prediction.std()
        penalty = 2 / (scale + 1 / scale + shift**2 / (truth.std() * prediction.std()))
        assert ccc(truth, prediction) == pytest.approx(np.corrcoef(truth, prediction)[0, 1] * penalty, **EXACT)
        assert rmse(truth, prediction) == pytest.approx(reference.root_mean_squared_error(truth, prediction), **EXACT)
    assert ccc(truth, truth) == pytest.approx(1, **EXACT)
    assert ccc(truth, 6 - truth) < 0


def test_missing_truths_count_for_nothing(rng):
    truth, prediction = rng.normal(3, 1, 100), rng.normal(3, 1, 100)
    holes = np.where(rng.random(100) < 0.3, np.nan, truth)
    there = ~np.isnan(holes)
    assert ccc(holes, prediction) == ccc(truth[there], prediction[there])
    assert rmse(holes, prediction) == rmse(truth[there], prediction[there])
    assert ccc(truth, np.full(100, 3.0)) == 0, "a constant prediction agrees with nothing"
    assert np.isnan(ccc(np.full(9, 3.0), np.full(9, 3.0)))
    assert rmse(np.full(9, 3.0), np.full(9, 3.0)) == 0


@pytest.mark.parametrize("metric", [ccc, rmse])
def test_numbers_that_cannot_be_compared_are_refused(metric):
    with pytest.raises(ValueError, match="no truth among 2 clips"):
        metric(np.array([np.nan, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match="no truth among 0 clips"):
        metric(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="3 truths and 2 predictions"):
        metric(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        metric(np.ones(2), np.array([1, np.nan]))


def test_a_metric_of_numbers_has_an_interval_too(rng):
    truth = rng.normal(3, 1, 240)
    speakers = np.repeat(np.arange(12), 20)
    found = bootstrap_interval(ccc, Predictions(truth, truth + rng.normal(0, 0.5, 240), speakers))
    assert found.low < found.value < found.high < 1
    assert found.unit == "speakers"


# -- Floors, people, views -- #


def test_the_fixed_order_is_the_best_there_is():
    truth = np.repeat(np.arange(5), [30, 5, 40, 10, 15])
    counts = sorted(np.bincount(truth), reverse=True)
    floor = constant_ranking(truth, 5)
    for k in range(1, 6):
        assert top_k(truth, floor, k) == pytest.approx(sum(counts[:k]) / 100, **EXACT)
    assert uar(truth, floor) == pytest.approx(chance_level(5), **EXACT)
    assert chance_level(2, k=3) == 1


def test_blind_guessing_reaches_chance():
    truth, scores = chances(40_000, 8)[0], np.random.default_rng(4).random((40_000, 8))
    assert war(truth, scores) == pytest.approx(chance_level(8), abs=0.01)
    assert top3(truth, scores) == pytest.approx(chance_level(8, k=3), abs=0.01)


def test_people_are_evaluated_as_a_system_is():
    """Eight clips of CREMA-D's form; a tie and an emotion that is no class agree with nothing."""
    acted = ["neutral", "neutral", "happy", "happy", "sad", "sad", "angry", "angry"]
    perceived = ["neutral", "sad", "happy:neutral", "happy", "neutral", "sad:neutral", "angry", "calm"]
    truth = np.array([CLASSES.index(emotion) for emotion in acted])
    scores = listener_scores(perceived, CLASSES)
    assert war(truth, scores) == 3 / 8
    assert uar(truth, scores) == pytest.approx(np.mean([0.5, 0.5, 0, 0.5]), **EXACT)
    assert confusion_matrix(truth, scores)[:, -1].tolist() == [0, 1, 1, 1, 0, 0, 0]


def test_listeners_of_crema_d_agree_with_the_actors_on_three_thousand_clips():
    """The majority of those who only heard the voice, as published in the corpus's summary of votes."""
    index = read_index(get_corpus("crema_d"))
    truth = index.emotion.map(CLASSES.index).to_numpy()
    people = evaluate(truth, listener_scores(index.perceived, CLASSES), index.speaker.to_numpy())
    assert (people.clips, people.speakers) == (7442, 91)
    assert people.war.value == pytest.approx(3099 / 7442, **EXACT)
    assert people.war.low < people.war.value < people.war.high
    recall = reference.recall_score(index.emotion, index.perceived, labels=CLASSES, average="macro", zero_division=0)
    assert people.uar.value == pytest.approx(recall, **EXACT)


def test_views_that_agree_and_views_that_do_not(rng):
    views = rng.random((4, 50, 6))
    views /= views.sum(axis=2, keepdims=True)
    mean = views.mean(axis=0)
    for clip in range(50):
        votes = sum(view[clip].argmax() == mean[clip].argmax() for view in views) / 4
        assert view_votes(views)[clip] == pytest.approx(votes, **EXACT)
        bits = (entr(mean[clip]).sum() - np.mean([entr(view[clip]).sum() for view in views])) / np.log(2)
        assert view_divergence(views)[clip] == pytest.approx(bits, **EXACT)
    alike = np.repeat(views[:1], 4, axis=0)
    np.testing.assert_allclose(view_divergence(alike), 0, atol=1e-12)
    assert (view_votes(alike) == 1).all()
    np.testing.assert_allclose(view_divergence(np.eye(4)[:, None]), 2, atol=1e-12)


def test_divergence_of_two_views_is_scipys(rng):
    from scipy.spatial.distance import jensenshannon

    views = rng.random((2, 30, 5))
    views /= views.sum(axis=2, keepdims=True)
    expected = [jensenshannon(one, other, base=2) ** 2 for one, other in zip(*views, strict=True)]
    np.testing.assert_allclose(view_divergence(views), expected, atol=1e-12)
