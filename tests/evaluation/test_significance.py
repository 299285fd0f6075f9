"""Tests between systems against scipy, enumeration and simulation; ranks, seeds, the smallest difference."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from sernb.evaluation import (
    Predictions,
    average_over_seeds,
    ccc,
    holm,
    log_loss,
    paired_difference,
    paired_test,
    rank,
    smallest_detectable_difference,
    speaker_differences,
    top3,
    uar,
    war,
)


def systems(speakers=8, clips=20, better=0.0, seed=0, classes=4):
    """Two systems on the same clips; the second one's scores for the truth are higher by ``better``."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(classes), speakers * clips // classes)
    names = np.repeat([f"speaker-{n:02d}" for n in range(speakers)], clips)
    hint = np.eye(classes)[truth]
    scores = [rng.random((len(truth), classes)) + 0.2 * hint, rng.random((len(truth), classes)) + (0.2 + better) * hint]
    return tuple(Predictions(truth, each / each.sum(axis=1, keepdims=True), names) for each in scores)


def p_by_hand(metric, first, second):
    """Exchange the answers of every set of speakers and compute the metric anew."""
    names = np.unique(first.speakers)
    observed = abs(metric(second.truth, second.scores) - metric(first.truth, first.scores))
    as_far = []
    for flips in product((False, True), repeat=len(names)):
        exchanged = np.isin(first.speakers, names[list(flips)])[:, None]
        one = np.where(exchanged, second.scores, first.scores)
        other = np.where(exchanged, first.scores, second.scores)
        as_far.append(abs(metric(first.truth, other) - metric(first.truth, one)) >= observed - 1e-12)
    return np.mean(as_far)


@pytest.mark.parametrize("metric", [uar, war, top3, log_loss])
@pytest.mark.parametrize("better", [0.0, 0.15])
def test_p_is_that_of_all_exchanges(metric, better):
    first, second = systems(6, better=better, seed=1)
    found = paired_test(metric, first, second)
    assert found.exact
    assert found.units == 6
    assert found.p == pytest.approx(p_by_hand(metric, first, second), abs=1e-12)
    assert found.difference == paired_difference(metric, first, second)


def test_p_is_scipys_where_speakers_count_alike():
    """With equally many clips of each class, WAR is the mean over speakers: scipy can flip their signs."""
    first, second = systems(9, better=0.1, seed=3)
    by_speaker = speaker_differences(war, first, second)
    expected = stats.permutation_test(
        (by_speaker, np.zeros(9)), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert paired_test(war, first, second).p == pytest.approx(expected.pvalue, abs=1e-12)


def test_many_speakers_are_sampled_and_come_close_to_the_t_test():
    first, second = systems(30, better=0.08, seed=4)
    found = paired_test(uar, first, second, seed=1)
    assert not found.exact
    assert found.p == pytest.approx(stats.ttest_1samp(speaker_differences(uar, first, second), 0).pvalue, abs=0.02)
    assert found == paired_test(uar, first, second, seed=1)
    assert paired_test(uar, first, second, seed=2).p == pytest.approx(found.p, abs=0.02)
    certain = paired_test(uar, *systems(30, better=1.0))
    assert certain.p == pytest.approx(1 / 10_001)


def test_equal_systems_do_not_differ_and_order_turns_the_sign():
    first, second = systems(8, better=0.1)
    same = paired_test(uar, first, first)
    assert (same.p, same.difference.value) == (1, 0)
    there, back = paired_test(uar, first, second), paired_test(uar, second, first)
    assert there.p == back.p
    assert there.difference.value == pytest.approx(-back.difference.value)


def test_no_more_false_alarms_than_promised():
    """Of 200 pairs that are equally good, about one in twenty may seem to differ at 5 %."""
    p = [paired_test(uar, *systems(8, clips=12, seed=seed)).p for seed in range(200)]
    assert stats.binomtest(int((np.array(p) <= 0.05).sum()), 200, 0.05, alternative="greater").pvalue > 0.001
    assert min(p) < 0.1


def test_with_few_speakers_clips_are_exchanged_and_it_says_so():
    found = paired_test(uar, *systems(2, clips=200, better=0.3))
    assert (found.units, found.difference.unit) == (400, "clips")
    assert found.p < 0.01


def test_other_clips_and_other_metrics_are_refused():
    first, second = systems()
    turned = Predictions(second.truth[::-1], second.scores[::-1], second.speakers[::-1])
    for compare in (paired_test, paired_difference, speaker_differences):
        with pytest.raises(ValueError, match="not for the same clips in the same order"):
            compare(uar, first, turned)
    with pytest.raises(ValueError, match="not for the same clips"):
        rank(uar, {"one": first, "other": turned})
    numbers = Predictions(np.arange(80.0), np.arange(80.0) ** 2, first.speakers[:80])
    with pytest.raises(ValueError, match="ccc is not a function of sums"):
        paired_test(ccc, numbers, numbers)


def test_holm_rejects_step_by_step(rng):
    for count in (1, 2, 7):
        p = rng.random(count) ** 3
        corrected = holm(p)
        for level in (0.001, 0.01, 0.05, 0.2, 0.5):
            rejected = set()
            for place, which in enumerate(np.argsort(p)):
                if p[which] > level / (count - place):
                    break
                rejected.add(which)
            assert rejected == set(np.flatnonzero(corrected <= level))
        assert (corrected >= p).all()
        assert (corrected <= 1).all()


@pytest.mark.parametrize("speakers", [5, 10, 24, 91])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_the_smallest_difference_is_found_as_often_as_it_says(speakers, power):
    """Power of the t test from the non-central t distribution."""
    least = smallest_detectable_difference(0.06, speakers, power=power)
    freedom, critical = speakers - 1, stats.t.ppf(0.975, speakers - 1)
    centre = least / 0.06 * np.sqrt(speakers)
    found = stats.nct.sf(critical, freedom, centre) + stats.nct.cdf(-critical, freedom, centre)
    assert found == pytest.approx(power, abs=0.03)
    assert smallest_detectable_difference(0.12, speakers, power=power) == pytest.approx(2 * least)


def test_one_speaker_shows_no_difference():
    with pytest.raises(ValueError, match="at least two"):
        smallest_detectable_difference(0.1, 1)


def test_speakers_are_compared_each_with_themselves():
    first, second = systems(5, better=0.3)
    expected = []
    for name in sorted(set(first.speakers)):
        own = first.speakers == name
        expected.append(uar(first.truth[own], second.scores[own]) - uar(first.truth[own], first.scores[own]))
    np.testing.assert_array_equal(speaker_differences(uar, first, second), expected)


def test_seeds_have_a_mean_and_a_sample_deviation():
    found = average_over_seeds([0.5, 0.6, 0.75])
    assert found.mean == pytest.approx(0.61666666666)
    assert found.deviation == pytest.approx(stats.sem([0.5, 0.6, 0.75]) * np.sqrt(3))
    assert str(found) == "61.7 ± 12.6 (3 seeds)"
    one = average_over_seeds([0.5])
    assert np.isnan(one.deviation)
    assert str(one) == "50.0 (1 seed)"
    with pytest.raises(ValueError, match="no values"):
        average_over_seeds([])


def test_ranks_say_who_is_first_and_how_surely():
    first, second = systems(12, better=0.05, seed=2)
    _, best = systems(12, better=1.0, seed=2)
    table = rank(uar, {"weak": first, "twin": first, "middle": second, "best": best}).set_index("system")
    assert table.index[0] == "best"
    assert table.loc["best", ["rank", "low", "high", "first"]].tolist() == [1, 1, 1, 1]
    assert table.loc["weak"].tolist() == table.loc["twin"].tolist(), "equal systems share a rank"
    for name, answers in (("weak", first), ("middle", second), ("best", best)):
        assert table.value[name] == uar(answers.truth, answers.scores)
        assert table.low[name] <= table["rank"][name] <= table.high[name]
    assert table["rank"].sum() == 1 + 2 + 3 + 4
    assert table.high["middle"] > table.low["middle"], "0.05 is too little to be sure of with 12 speakers"
