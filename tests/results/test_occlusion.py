"""Occlusion: cells, importance and the test of maps, on scorers that depend on one known cell."""

import dataclasses

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from sernb.config import DataError
from sernb.results import occlusion
from sernb.results.occlusion import Curves, Cut, Explanation, Grid, importance, perturbation_curves
from sernb.results.result import collect_results
from sernb.runs.run_folder import read_run, write_run

RATE = 16_000


@pytest.fixture
def noise(rng) -> np.ndarray:
    """Two seconds in which bursts of noise stand out from quiet, so that there is a background."""
    level = np.repeat(rng.uniform(0.01, 1, 20), RATE // 10)
    return (level * rng.standard_normal(2 * RATE)).astype(np.float32)


def power(signal: np.ndarray, low: float, high: float, start: float, end: float) -> float:
    """Power of a band and a span, by a filter that the package does not use."""
    band = sosfiltfilt(butter(8, [low, high], "band", fs=RATE, output="sos"), signal)
    return float(np.mean(np.square(band[round(start * RATE) : round(end * RATE)])))


def test_all_cells_reconstruct_the_signal_and_tile_it(noise):
    cut = Cut(noise, RATE)
    assert cut.shape == (8, 8)
    np.testing.assert_allclose(cut.keep_cells(np.ones(64, bool)), noise, atol=1e-5)
    mels = 2595 * np.log10(1 + cut.edges / 700)
    np.testing.assert_allclose(np.diff(mels), mels[-1] / 8)
    assert cut.edges[-1] == pytest.approx(RATE / 2)
    assert set(np.unique(cut._cell)) == set(range(64))


def test_an_occluded_cell_is_attenuated_there_and_nowhere_else():
    rng = np.random.default_rng(3)
    signal = rng.standard_normal(2 * RATE).astype(np.float32)
    signal[: RATE // 2] *= 0.001  # a quarter is quiet: the background
    cut = Cut(signal, RATE, Grid(span=0.5))
    cell = 2 * 8 + 4  # third span, fifth band
    low, high = cut.edges[4:6]
    changed = cut.keep_cells(np.arange(cut.cells) != cell)
    inside = (low * 1.15, high * 0.87, 1.1, 1.4)
    assert power(changed, *inside) < 1e-3 * power(signal, *inside)
    for other in ((low * 1.15, high * 0.87, 0.6, 0.9), (low * 1.15, high * 0.87, 1.6, 1.9), (100, 1000, 1.1, 1.4)):
        assert power(changed, *other) == pytest.approx(power(signal, *other), rel=0.02)


def depends_on_one_cell(cut: Cut, span: int, band: int):
    """A scorer whose first class is likelier the more power one cell has; it filters the signal itself."""
    seconds = len(cut.signal) / cut.sampling_rate / cut.shape[0]
    low, high = cut.edges[band : band + 2]
    where = (max(low, 20) * 1.1, high * 0.9, (span + 0.2) * seconds, (span + 0.8) * seconds)
    whole = power(cut.signal, *where)

    def scores(signals):
        first = np.array([power(signal, *where) / whole for signal in signals]).clip(0, 1)
        return np.stack([first, 1 - first], axis=1)

    return scores


def test_importance_finds_the_one_cell_that_the_scores_depend_on(noise):
    cut = Cut(noise, RATE, Grid(span=0.5, bands=6))
    span = int(np.argmax([np.std(part) for part in np.split(noise, 4)]))
    found = importance(depends_on_one_cell(cut, span, 3), cut, 0)
    assert found.shape == (4, 6)
    assert np.unravel_index(found.argmax(), found.shape) == (span, 3)
    assert np.sort(found.ravel())[-2] < 0.2 * found.max()


def test_curves_begin_and_end_with_the_same_signals_and_tell_good_orders_from_bad(noise):
    cut = Cut(noise, RATE, Grid(span=0.5, bands=5))
    span = int(np.argmax([np.std(part) for part in np.split(noise, 4)]))
    scores, cell = depends_on_one_cell(cut, span, 2), span * 5 + 2
    first = np.array([cell, *np.delete(np.arange(20), cell)])
    curves = perturbation_curves(scores, cut, [first, first[::-1]], 0, steps=5)
    np.testing.assert_allclose(curves.shares, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(curves.deletion[:, 0], curves.insertion[:, -1], atol=1e-6)
    np.testing.assert_allclose(curves.deletion[:, -1], curves.insertion[:, 0], atol=1e-6)
    assert curves.deletion_area[0] < 0.5 < curves.deletion_area[1]
    assert curves.insertion_area[0] > 0.5 > curves.insertion_area[1]


def test_areas_are_those_of_trapezoids_and_the_table_subtracts_them():
    curves = Curves(np.array([0, 0.5, 1]), np.array([[1, 0, 0], [1, 1, 0]]), np.array([[0, 1, 1], [0, 0, 1]]))
    np.testing.assert_allclose(curves.deletion_area, [0.25, 0.75])
    np.testing.assert_allclose(curves.insertion_area, [0.75, 0.25])
    cut = Cut(np.ones(RATE, np.float32), RATE)
    clips = [Explanation(f"c{n}", f"s{n}", "sad", "sad", cut, np.zeros(cut.shape), curves) for n in range(3)]
    table = occlusion.areas_table(clips).set_index("Curve")
    assert table.loc["deletion (lower is better)", "Difference"] == "-0.500 [-0.500, -0.500]"
    assert table.loc["insertion (higher is better)", "Difference"] == "+0.500 [+0.500, +0.500]"
    assert table["Speakers"].tolist() == [3, 3]


def test_the_most_important_cells_are_kept(noise):
    cut = Cut(noise, RATE, Grid(span=0.5, bands=5))
    map_ = np.zeros(cut.shape)
    map_[1, 2], map_[3, 4] = 2, 1
    each = Explanation("c", "s", "sad", "sad", cut, map_, None)
    expected = np.zeros(20, bool)
    expected[[7, 19]] = True
    np.testing.assert_array_equal(each.most_important(0.1), cut.keep_cells(expected))


def write_again(run_, weights):
    """Write a finished run once more, with other weights."""
    run_ = read_run(run_.folder)
    tables = {name: getattr(run_, name) for name in ("predictions", "history", "validation")}
    write_run(
        run_.folder,
        config=run_.config,
        provenance=run_.provenance,
        metrics=run_.metrics,
        tables=tables,
        weights=weights,
    )


@pytest.mark.slow
def test_a_rebuilt_network_predicts_as_its_run_did_and_other_weights_are_refused():
    from sernb.runs.planning import plan
    from sernb.runs.runner import prepare_for, run

    (first, *_) = plan(["multiscale-cnn"], "demo:available", ["speaker-normalised"], profile="quick", views=[])
    settings = dataclasses.replace(first.settings, epochs=1, filters=8, dilations=(1, 2))
    small = dataclasses.replace(first, settings=settings)
    prepare_for([small])
    finished = run(small)
    held_out = finished.validation
    assert set(held_out["clip"]) == set(small.fold.validation)
    assert finished.metrics["size"]["parameters"] == sum(value.size for value in finished.weights.values())
    (result,) = collect_results([small])
    network = occlusion.rebuild_network(result, 0)
    (each, *_) = occlusion.explain(network, clips=1, grid=Grid(span=1.0, bands=2))
    recorded = result.predictions.set_index("clip").loc[each.clip, list(result.classes)].astype(float)
    assert each.prediction == recorded.idxmax()
    assert each.curves.deletion[0, 0] == pytest.approx(recorded.max(), abs=1e-4)
    heavy = dataclasses.replace(network, multiply_adds=10**12)
    assert len(occlusion.explain(heavy, clips=3, grid=Grid(span=2.0, bands=1))) == 1
    weights = {name: value + 0.5 for name, value in finished.weights.items()}
    write_again(finished, weights)
    with pytest.raises(DataError, match="do not reproduce the run's predictions"):
        occlusion.rebuild_network(collect_results([small])[0], 0)
    write_again(finished, dict(list(weights.items())[1:]))
    with pytest.raises(DataError, match="do not fit its network"):
        occlusion.rebuild_network(collect_results([small])[0], 0)


def test_a_system_that_is_not_a_network_is_refused():
    from sernb.runs.planning import plan
    from sernb.runs.runner import run_many

    experiments = plan(["majority"], "demo", ["speaker-independent"], folds=[0])
    run_many(experiments, jobs=1, progress=False)
    with pytest.raises(DataError, match="majority: its run has no weights of a network"):
        occlusion.rebuild_network(collect_results(experiments)[0], 0)
    with pytest.raises(DataError, match="None of these systems is a network"):
        occlusion.rebuild_best_network(collect_results(experiments))
