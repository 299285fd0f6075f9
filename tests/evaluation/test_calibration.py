"""Calibration against pandas' quantile bins, a grid search and the definitions written out."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss as reference_loss

from sernb.evaluation import apply_temperature, calibration_error, coverage, fit_temperature, reliability

EXACT = {"abs": 1e-12, "rel": 0}


def drawn(clips=1500, classes=6, temperature=1.0, seed=0):
    """Truths drawn from probabilities, and what an over- or underconfident system says of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (clips, classes))
    honest = softmax(logits, axis=1)
    truth = np.array([rng.choice(classes, p=row) for row in honest])
    return truth, softmax(logits * temperature, axis=1)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("digits", [1, 2, 12])
def test_calibration_error_is_that_of_equally_filled_bins(bins, digits):
    """Rounded confidences make many equal ones, which must stay together."""
    truth, scores = drawn(600, 2, temperature=2)
    scores = scores.round(digits)
    scores[:, 1] = 1 - scores[:, 0]
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    bin_of = pd.qcut(confidence, bins, duplicates="drop", labels=False)
    expected = 0.0
    table = reliability(truth, scores, bins=bins)
    for row, (_, own) in zip(table.itertuples(), pd.Series(range(600)).groupby(bin_of), strict=True):
        assert (row.clips, row.confidence) == (len(own), pytest.approx(confidence[own].mean(), **EXACT))
        assert row.accuracy == pytest.approx(right[own].mean(), **EXACT)
        assert confidence[own].min() >= row.low
        assert confidence[own].max() <= row.high
        expected += len(own) / 600 * abs(right[own].mean() - confidence[own].mean())
    assert table.clips.sum() == 600
    assert calibration_error(truth, scores, bins=bins) == pytest.approx(expected, **EXACT)
    shuffled = np.random.default_rng(1).permutation(600)
    assert calibration_error(truth[shuffled], scores[shuffled], bins=bins) == pytest.approx(expected, **EXACT)


def test_a_constant_answer_is_one_bin():
    truth = np.array([0, 1, 2, 2])
    scores = np.tile([0.2, 0.2, 0.6], (4, 1))
    assert reliability(truth, scores).clips.tolist() == [4]
    assert calibration_error(truth, scores) == pytest.approx(0.1, **EXACT)
    assert calibration_error(np.array([2]), np.array([[0, 0, 1.0]])) == 0


def test_who_says_what_happens_is_calibrated_and_who_boasts_is_not():
    assert calibration_error(*drawn(20_000)) < 0.015
    assert calibration_error(*drawn(20_000, temperature=3)) > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("boast", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_has_the_smallest_loss_of_all_and_undoes_boasting(boast):
    truth, scores = drawn(3000, temperature=boast)
    found = fit_temperature(truth, scores)
    assert found == pytest.approx(boast, rel=0.1)
    at_best = reference_loss(truth, apply_temperature(scores, found), labels=range(6))
    for other in np.geomspace(0.05, 20, 200):
        assert at_best <= reference_loss(truth, apply_temperature(scores, other), labels=range(6)) + 1e-12
    assert calibration_error(truth, apply_temperature(scores, found)) < 0.05


def test_temperature_keeps_the_order_and_the_sum():
    _, scores = drawn(100)
    np.testing.assert_allclose(apply_temperature(scores, 1.0), scores, atol=1e-12)
    for temperature in (0.3, 5.0):
        changed = apply_temperature(scores, temperature)
        np.testing.assert_array_equal(changed.argsort(axis=1), scores.argsort(axis=1))
        np.testing.assert_allclose(changed.sum(axis=1), 1, atol=1e-12)
        expected = scores ** (1 / temperature)
        np.testing.assert_allclose(changed, expected / expected.sum(axis=1, keepdims=True), atol=1e-12)
    certain = apply_temperature(np.array([[1.0, 0.0]]), 2.0)
    assert np.isfinite(certain).all(), "a probability of 0 has no logarithm"


def test_temperature_stays_in_its_range():
    truth = np.array([0, 1, 2, 0])
    always_right = 0.9 * np.eye(3)[truth] + 0.1 / 3
    assert 0.05 <= fit_temperature(truth, always_right) < 0.1
    assert fit_temperature(truth, always_right[:, [1, 2, 0]]) == pytest.approx(20, rel=1e-3)


def test_the_unsure_are_left_out_first():
    truth, scores = drawn(300)
    scores = scores.round(2)
    table = coverage(truth, scores)
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    assert table.threshold.tolist() == sorted(set(confidence), reverse=True)
    for row in table.itertuples():
        kept = confidence >= row.threshold
        assert (row.clips, row.coverage) == (kept.sum(), pytest.approx(kept.mean(), **EXACT))
        assert row.accuracy == pytest.approx(right[kept].mean(), **EXACT)
    assert table.coverage.iloc[-1] == 1
    assert table.accuracy.iloc[0] > table.accuracy.iloc[-1]
    agreement = np.random.default_rng(0).choice([0.25, 0.5, 1.0], 300)
    assert coverage(truth, scores, confidence=agreement).clips.tolist() == [
        int((agreement >= least).sum()) for least in (1.0, 0.5, 0.25)
    ]


def test_what_cannot_be_calibrated_is_refused():
    empty, none = np.zeros((0, 3)), np.array([], int)
    for function in (reliability, calibration_error, fit_temperature, coverage):
        with pytest.raises(ValueError, match="0 truths"):
            function(none, empty)
    for function in (reliability, calibration_error, fit_temperature):
        with pytest.raises(ValueError, match="probabilities"):
            function(np.array([0]), np.array([[2.0, 1.0]]))
    with pytest.raises(ValueError, match="temperature 0"):
        apply_temperature(np.array([[0.5, 0.5]]), 0)
    with pytest.raises(ValueError, match="2 confidences"):
        coverage(np.array([0]), np.array([[0.5, 0.5]]), confidence=np.ones(2))
