"""Metrics against scikit-learn, intervals against a plain bootstrap loop, floors against counting."""

import numpy as np
import pytest
from sklearn import metrics as reference

from sernb.evaluation import (
    Predictions,
    average_views,
    evaluate,
    macro_f1,
    paired_difference,
    top_k,
    uar,
    unpaired_difference,
    war,
)


@pytest.fixture
def answers(rng):
    truth = rng.choice(5, size=600, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    scores = rng.random((600, 5)) + 0.6 * np.eye(5)[truth]
    return Predictions(truth, scores, rng.integers(0, 12, 600).astype(str))


def test_metrics_are_scikit_learns(answers):
    prediction = answers.scores.argmax(axis=1)
    assert war(answers.truth, answers.scores) == reference.accuracy_score(answers.truth, prediction)
    assert uar(answers.truth, answers.scores) == pytest.approx(
        reference.balanced_accuracy_score(answers.truth, prediction)
    )
    assert macro_f1(answers.truth, answers.scores) == pytest.approx(
        reference.f1_score(answers.truth, prediction, average="macro")
    )
    for k in (1, 2, 3):
        assert top_k(answers.truth, answers.scores, k) == pytest.approx(
            reference.top_k_accuracy_score(answers.truth, answers.scores, k=k)
        )


def test_all_metrics_together_are_the_single_ones(answers):
    together = evaluate(answers.truth, answers.scores, answers.speakers)
    prediction = answers.scores.argmax(axis=1)
    assert together.war.value == pytest.approx(war(answers.truth, answers.scores))
    assert together.uar.value == pytest.approx(uar(answers.truth, answers.scores))
    assert together.macro_f1.value == pytest.approx(macro_f1(answers.truth, answers.scores))
    assert together.top3.value == pytest.approx(top_k(answers.truth, answers.scores))
    np.testing.assert_array_equal(together.confusion, reference.confusion_matrix(answers.truth, prediction))
    expected = reference.recall_score(answers.truth, prediction, average=None)
    np.testing.assert_allclose([recall.value for recall in together.recall], expected)
    assert (together.clips, together.speakers, together.resampled) == (600, 12, "speakers")


@pytest.mark.slow
def test_interval_is_that_of_a_plain_bootstrap_over_speakers(answers):
    """Speakers of very different skill: resampling clips would give a much narrower interval."""
    rng = np.random.default_rng(5)
    skilled = np.isin(answers.speakers, ["0", "1", "2", "3", "4"])
    scores = np.where(skilled[:, None], np.eye(5)[answers.truth], rng.random((600, 5)))
    copies = []
    for _ in range(2000):
        drawn = rng.choice(np.unique(answers.speakers), 12)
        at = np.concatenate([np.flatnonzero(answers.speakers == name) for name in drawn])
        copies.append(reference.recall_score(answers.truth[at], scores[at].argmax(1), average="macro"))
    interval = evaluate(answers.truth, scores, answers.speakers).uar
    np.testing.assert_allclose([interval.low, interval.high], np.percentile(copies, [2.5, 97.5]), atol=0.02)
    clips = evaluate(answers.truth, scores, np.arange(600)).uar
    assert interval.high - interval.low > 2 * (clips.high - clips.low)


def test_few_speakers_are_said_and_clips_resampled(answers):
    few = evaluate(answers.truth, answers.scores, np.repeat(["a", "b", "c"], 200))
    assert (few.speakers, few.resampled, few.uar.unit) == (3, "clips", "clips")
    enough = evaluate(answers.truth, answers.scores, np.repeat(list("abcde"), 120))
    assert (enough.speakers, enough.resampled, enough.uar.unit) == (5, "speakers", "speakers")


def test_floors_are_what_a_fixed_answer_reaches(answers):
    counts = np.bincount(answers.truth)
    together = evaluate(answers.truth, answers.scores, answers.speakers)
    assert together.war_floor == counts.max() / 600
    assert together.uar_floor == 1 / 5
    assert together.top3_floor == np.sort(counts)[-3:].sum() / 600
    constant = np.full(600, counts.argmax())
    expected = reference.f1_score(answers.truth, constant, average="macro", zero_division=0)
    assert together.macro_f1_floor == pytest.approx(expected)


def test_published_top_3_floor_of_system_002():
    """Six classes, five of 192 clips and one of 96: three guesses in fixed order reach 54.5 % (576 of 1056)."""
    truth = np.repeat(np.arange(6), [96, 192, 192, 192, 192, 192])
    metrics = evaluate(truth, np.zeros((1056, 6)), np.arange(1056) % 24)
    assert metrics.top3_floor == pytest.approx(576 / 1056)
    assert metrics.war_floor == pytest.approx(192 / 1056)


def test_a_class_that_is_absent_counts_in_no_mean():
    truth, scores = np.array([0, 0, 1, 1]), np.eye(3)[[0, 2, 1, 1]]
    metrics = evaluate(truth, scores, np.arange(4))
    assert metrics.uar.value == 0.75
    assert np.isnan(metrics.recall[2].value)


@pytest.mark.parametrize(("truth", "scores"), [([0, 1], np.eye(2)[[0]]), ([], np.zeros((0, 2))), ([0], [[np.nan, 1]])])
def test_what_cannot_be_evaluated_is_refused(truth, scores):
    with pytest.raises(ValueError, match=r"scores"):
        evaluate(np.array(truth, int), np.array(scores), np.zeros(len(truth)))


def test_gain_is_paired_and_gap_is_not(answers):
    better = Predictions(answers.truth, answers.scores + 0.2 * np.eye(5)[answers.truth], answers.speakers)
    paired, unpaired = paired_difference(war, answers, better), unpaired_difference(war, answers, better)
    expected = war(better.truth, better.scores) - war(answers.truth, answers.scores)
    assert paired.value == pytest.approx(expected) == pytest.approx(unpaired.value)
    assert paired.low > 0
    assert unpaired.high - unpaired.low > paired.high - paired.low
    nothing = paired_difference(war, answers, answers)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_same_seed_same_interval(answers):
    first, second = (evaluate(answers.truth, answers.scores, answers.speakers, seed=3).uar for _ in range(2))
    assert first == second


def test_views_are_averaged_over_scores(rng):
    scores = rng.random((4, 10, 3))
    np.testing.assert_allclose(average_views(scores)[7], sum(scores[view][7] for view in range(4)) / 4)
