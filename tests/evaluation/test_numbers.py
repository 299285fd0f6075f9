"""CCC, correlation and RMSE of numbers, against independent definitions; constant, missing and single speakers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import root_mean_squared_error

from sernb.evaluation import OF_NUMBERS, ccc, evaluate_numbers, pearson

EXACT = {"rel": 0, "abs": 1e-12}


def ccc_by_lin(truth, prediction):
    """Lin (1989), equation 1, all moments over n, written out."""
    n = len(truth)
    mean_t, mean_p = sum(truth) / n, sum(prediction) / n
    var_t = sum((t - mean_t) ** 2 for t in truth) / n
    var_p = sum((p - mean_p) ** 2 for p in prediction) / n
    covariance = sum((t - mean_t) * (p - mean_p) for t, p in zip(truth, prediction, strict=True)) / n
    return 2 * covariance / (var_t + var_p + (mean_t - mean_p) ** 2)


@pytest.fixture(params=[0.0, 1000.0])
def answers(request, rng):
    """Truth, prediction and speakers of 300 clips; the second time far from 0."""
    speakers = np.repeat([f"s{number}" for number in range(12)], 25)
    truth = request.param + rng.normal(3, 1, 300) + np.repeat(rng.normal(0, 0.5, 12), 25)
    return truth, request.param + 0.6 * (truth - request.param) + rng.normal(0.5, 0.7, 300), speakers


def test_each_metric_agrees_with_an_independent_definition(answers):
    truth, prediction, speakers = answers
    found = evaluate_numbers(truth, prediction, speakers)
    assert found.ccc.value == pytest.approx(ccc_by_lin(truth.tolist(), prediction.tolist()), **EXACT)
    assert found.pearson.value == pytest.approx(stats.pearsonr(truth, prediction).statistic, **EXACT)
    assert found.rmse.value == pytest.approx(root_mean_squared_error(truth, prediction), **EXACT)
    assert found.rmse_floor == pytest.approx(root_mean_squared_error(truth, np.full(300, truth.mean())), **EXACT)
    assert (found.clips, found.speakers, found.resampled) == (300, 12, "speakers")
    assert found.bias == pytest.approx(np.mean(prediction - truth), abs=1e-9)
    slope = stats.linregress(truth, prediction).slope
    assert found.spread == pytest.approx(slope / found.pearson.value, abs=1e-9)


def test_intervals_are_those_of_resampled_speakers(answers):
    """The moments of copies give what the metrics of really drawn clips give."""
    truth, prediction, speakers = answers
    found, names = evaluate_numbers(truth, prediction, speakers, seed=3), np.unique(speakers)
    drawn = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), 2000)
    for name, metric in OF_NUMBERS.items():
        copies = []
        for times in drawn[:: 20 if name == "rmse" else 1]:
            rows = np.concatenate(
                [np.tile(np.flatnonzero(speakers == each), t) for each, t in zip(names, times, strict=True)]
            )
            copies.append(metric(truth[rows], prediction[rows]))
        if name != "rmse":
            low, high = np.percentile(copies, [2.5, 97.5])
            assert (getattr(found, name).low, getattr(found, name).high) == pytest.approx((low, high), abs=1e-9)
        else:
            assert found.rmse.low < np.median(copies) < found.rmse.high


@pytest.mark.parametrize("value", [3.0, 0.1, 1e9 + 0.1])
def test_constant_predictions_agree_with_nothing(rng, value):
    truth, speakers = value + rng.normal(0, 1, 90), np.repeat(list("abcdef"), 15)
    found = evaluate_numbers(truth, np.full(90, value), speakers)
    assert (found.ccc.value, found.ccc.low, found.ccc.high, found.spread) == (0, 0, 0, 0)
    assert np.isnan(found.pearson.value), "it is not defined"
    same = evaluate_numbers(np.full(90, value), np.full(90, value), speakers)
    assert np.isnan([same.ccc.value, same.pearson.value, same.spread]).all()
    assert same.rmse.value == 0
    assert ccc(np.full(90, value), truth) == 0
    assert np.isnan(pearson(np.full(90, value), truth))


def test_missing_truths_are_left_out_and_counted(answers):
    truth, prediction, speakers = answers
    there = np.arange(300) % 3 > 0
    holes = np.where(there, truth, np.nan)
    found = evaluate_numbers(holes, prediction, speakers)
    assert found == evaluate_numbers(truth[there], prediction[there], speakers[there])
    assert found.clips == 200
    with pytest.raises(ValueError, match="no truth among 300 clips"):
        evaluate_numbers(np.full(300, np.nan), prediction, speakers)
    with pytest.raises(ValueError, match="diverged"):
        evaluate_numbers(truth, np.where(there, prediction, np.inf), speakers)


def test_with_one_speaker_clips_are_resampled_and_marked(rng):
    truth = rng.normal(0, 1, 60)
    found = evaluate_numbers(truth, truth + rng.normal(0, 0.5, 60), np.full(60, "a"))
    assert (found.speakers, found.resampled) == (1, "clips")
    assert found.ccc.as_number().endswith("] (clips)")
