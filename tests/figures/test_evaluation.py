"""Figures of results say in words and marks what the data say, with n and units, and without colours."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sernb import evaluation, figures
from sernb.evaluation import Interval
from sernb.figures.evaluation import OTHER_LOOK, PROTOCOL_LOOKS
from sernb.results.occlusion import Curves, Cut, Explanation

CLASSES = ("neutral", "happy", "sad", "angry")


@pytest.fixture
def answered(rng):
    truth = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 4)) + np.eye(4)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_confusion_writes_per_cent_and_counts(answered, rng):
    truth, scores = answered
    metrics = evaluation.evaluate(truth, scores, rng.integers(0, 6, 300).astype(str))
    drawing = figures.confusion(metrics, CLASSES, "Confusion")
    said = scores.argmax(axis=1)
    count = ((truth == 2) & (said == 3)).sum()
    assert texts(drawing.figure.axes[0])[2 * 4 + 3] == f"{100 * count / (truth == 2).sum():.0f}\n{count}"
    assert f"sad {100 * (said == 2)[truth == 2].mean():.0f} %" in drawing.alt


def test_rows_are_whole_within_the_frame_and_shares_begin_at_zero():
    rows = {"women (n = 10)": Interval(0.5, 0.4, 0.6), "men (n = 12)": Interval(0.9, 0.8, 1.0)}
    drawing = figures.values_with_intervals(rows, "By gender", "UAR (%)", floor=0.25)
    (axes,) = drawing.figure.axes
    assert labels(axes) == list(rows)
    assert axes.get_ylim() == (1.6, -0.6)
    assert axes.get_xlim() == (0, 100)
    assert "women (n = 10) 50.0 [40.0, 60.0]" in drawing.alt
    assert "Chance level: 25.0." in drawing.alt


def test_many_rows_make_no_endless_figure():
    rows = {f"speaker {n}": Interval(0.5, 0.4, 0.6) for n in range(91)}
    drawing = figures.values_with_intervals(rows, "By speaker", "UAR (%)", floor=0.2)
    assert drawing.figure.get_size_inches()[1] <= 13


def test_reliability_shows_every_bin_and_the_error(answered):
    curve = evaluation.reliability(*answered)
    error = evaluation.calibration_error(*answered)
    other = evaluation.apply_temperature(answered[1], 2.0)
    curves = {"as predicted": curve, "after temperature": evaluation.reliability(answered[0], other)}
    drawing = figures.reliability(curves, {"as predicted": error, "after temperature": 0.5}, "Reliability")
    (axes,) = drawing.figure.axes
    _, first, second = axes.get_lines()
    np.testing.assert_allclose(first.get_ydata(), 100 * curve.accuracy)
    assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
    assert axes.get_legend().get_title().get_text() == "n = 300 clips"
    assert f"{100 * error:.1f} %" in drawing.alt
    assert "50.0 %" in drawing.alt


def test_coverage_ends_with_all_clips(answered):
    curve = evaluation.coverage(*answered)
    drawing = figures.coverage({"highest score": curve}, "Coverage")
    (axes,) = drawing.figure.axes
    right = (answered[1].argmax(axis=1) == answered[0]).mean()
    assert axes.get_lines()[0].get_ydata()[-1] == pytest.approx(100 * right)
    assert "n = 300" in axes.get_xlabel()
    assert f"{100 * right:.1f} % of all" in drawing.alt


def test_predictions_number_the_first_three_and_frame_the_truth():
    scores = pd.DataFrame([[0.1, 0.5, 0.3, 0.1], [0.0, 0.1, 0.2, 0.7]], ["a", "b"], list(CLASSES))
    drawing = figures.predictions(scores, ["sad", "angry"], "Two clips")
    first, second = drawing.figure.axes
    assert texts(first) == ["1.", "2.", "3."]
    assert [text.get_position()[1] for text in first.texts] == [1, 2, 0]
    assert [bool(bar.get_hatch()) for bar in first.patches] == [False, False, True, False]
    assert [bool(bar.get_hatch()) for bar in second.patches] == [False, False, False, True]
    assert "a, true class sad: happy 50 %, sad 30 %, neutral 10 %" in drawing.alt


def test_ranks_and_costs_say_what_they_draw():
    table = pd.DataFrame({"system": ["a", "b"], "value": [0.6, 0.5], "rank": [1.0, 2.0], "low": [1, 1.5],
                          "high": [2, 2], "first": [0.8, 0.2]})  # fmt: skip
    assert "a 1 [1, 2]; b 2 [1.5, 2]" in figures.ranks(table, "Ranks").alt
    paid = pd.DataFrame({"system": ["a", "b"], "protocol": ["random", "new"], "uar": [Interval(0.6, 0.5, 0.7)] * 2,
                         "cost": [3, 4000]})  # fmt: skip
    drawing = figures.costs(paid, "Costs", "training time (s)")
    (axes,) = drawing.figure.axes
    assert axes.get_xscale() == "log"
    assert set(texts(axes)) == {"a", "b"}
    assert "b, new: 4,000, UAR 60.0 [50.0, 70.0] %" in drawing.alt


def test_names_of_systems_that_cost_the_same_do_not_cover_each_other():
    names = ["functionals-svm", "functionals-ridge", "adaptive-ridge"]
    paid = pd.DataFrame(
        {"system": names, "protocol": "new", "uar": [Interval(0.6, 0.5, 0.7)] * 3, "cost": [20, 21, 25]}
    )
    (axes,) = figures.costs(paid, "Costs", "training time (s)").figure.axes
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts if text.get_text() in names}
    assert set(boxes) == set(names)
    assert not any(boxes[a].overlaps(boxes[b]) for a, b in itertools.combinations(names, 2))


def test_what_was_measured_otherwise_is_grey_and_below():
    ours = pd.DataFrame({"system": ["a"], "protocol": ["random"], "uar": [Interval(0.6, 0.5, 0.7)], "floor": [0.1],
                         "reported": [0.8]}).assign(heading="random")  # fmt: skip
    others = pd.DataFrame({"name": ["x", "y"], "metric": "uar", "value": [0.9, 0.5], "comparable": [False, True]})
    drawing = figures.comparison(ours, "All", others)
    (axes,) = drawing.figure.axes
    assert labels(axes) == ["a", "x", "y"]
    marks = {
        round(line.get_xdata()[0]): line
        for line in axes.get_lines()
        if line.get_marker() == "d" and len(line.get_xdata())
    }
    assert to_hex(marks[90].get_markerfacecolor()) == "#ffffff"
    assert to_hex(marks[50].get_markerfacecolor()) != "#ffffff"
    assert "x: 90.0 % (other protocol); y: 50.0 % (same protocol)" in drawing.alt
    assert "literature" not in figures.comparison(ours, "All").alt
    named = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert "reported by the authors" in named
    unreported = figures.comparison(ours.assign(reported=np.nan), "All", others).figure.legends[0]
    assert [name for name in named if name != "reported by the authors"] == [
        x.get_text() for x in unreported.get_texts()
    ]


def test_protocols_are_told_apart_without_colours():
    looks = [*PROTOCOL_LOOKS.values(), OTHER_LOOK]
    assert len({marker for marker, _ in looks}) == len(looks)


def test_maps_and_their_test_are_described_by_the_data(rng):
    cut = Cut(rng.standard_normal(16_000).astype(np.float32), 16_000)
    map_ = np.zeros(cut.shape)
    map_[1, 3] = 0.4
    steps = np.linspace(1, 0, 11)
    curves = Curves(1 - steps, np.stack([steps**4, steps]), np.stack([1 - steps**4, 1 - steps]))
    clips = [Explanation("clip", "s", "sad", "angry", cut, map_, curves)]
    drawing = figures.occlusion_maps(clips, "Maps")
    assert "clip, sad predicted as angry: largest drop without 0.25 to 0.50 s" in drawing.alt
    assert f"at {cut.edges[3]:.0f} to {cut.edges[4]:.0f} Hz, 40 points" in drawing.alt
    test = figures.deletion_and_insertion(clips, "Test")
    assert "deletion: 6 % by importance and 50 % at random with half of the cells removed" in test.alt
    assert test.figure.axes[0].get_ylabel() == "score of the predicted class (%)"
