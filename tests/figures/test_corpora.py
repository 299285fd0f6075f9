"""Figures of recordings say in words, numbers and marks what the data say."""

import re

import numpy as np
import pandas as pd
import pytest

from sernb import figures
from sernb.corpora import local_index, registry
from sernb.evaluation import Interval
from sernb.features import LogMel
from sernb.figures.style import OTHER_GENDER, PALETTE, gender_looks


@pytest.fixture
def clips(rng):
    index = local_index.read_index(registry.get_corpus("demo"))
    more = {"trimmed": index.seconds - 0.4, "f0": rng.uniform(90, 300, len(index)), "corpus": "demo"}
    return index.assign(**more)


def texts(drawing):
    return [text.get_text() for axes in drawing.figure.axes for text in axes.texts]


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_counts_stand_on_their_bars(clips):
    drawing = figures.class_counts(clips.drop(index=clips.index[clips.emotion == "sad"][:5]), "Clips")
    assert "27 (11.5 %)" in texts(drawing)
    assert texts(drawing).count("32 (13.6 %)") == 6
    assert "neutral 16; calm 32; happy 32; sad 27" in drawing.alt


def test_one_gender_and_an_unknown_one_are_drawn(clips):
    women = figures.class_counts(clips[clips.gender == "female"], "Women")
    assert [text.get_text() for text in women.figure.axes[0].get_legend().get_texts()] == ["female"]
    unknown = figures.class_counts(clips.assign(gender=""), "Nobody knows")
    assert [text.get_text() for text in unknown.figure.axes[0].get_legend().get_texts()] == ["not given"]
    assert gender_looks(clips.assign(gender="other")) == {"other": OTHER_GENDER}


def test_genders_are_told_apart_without_colours():
    looks = gender_looks(pd.DataFrame({"gender": ["female", "male", "other"]}))
    assert len({hatch for _, hatch, _ in looks.values()}) == 3


def test_boxes_name_their_numbers_of_clips_and_medians(clips):
    clips.loc[clips.index[clips.emotion == "angry"][:3], "f0"] = np.nan
    drawing = figures.voice(clips, "f0", "Pitch", "F0 (Hz)", logarithmic=True)
    axes = drawing.figure.axes[0]
    assert "angry\nn = 16 + 13" in labels(axes)
    assert "neutral\nn = 8 + 8" in labels(axes)
    women = clips[(clips.emotion == "sad") & (clips.gender == "female")]
    assert f"sad female: {women.f0.median():.1f}" in drawing.alt
    assert axes.get_xscale() == "log"
    assert {"100", "200", "300"} <= {tick.get_text() for tick in axes.get_xticklabels()}


def test_trimming_shows_both_durations_of_every_clip(clips):
    drawing = figures.trimming(clips, "Durations")
    assert labels(drawing.figure.axes[0])[1] == "calm\nn = 32"
    assert f"as recorded {clips.seconds.mean():.2f} s, trimmed {clips.trimmed.mean():.2f} s" in drawing.alt


def test_waveforms_share_one_scale():
    signals = {"neutral": np.linspace(-0.1, 0.1, 800), "angry": np.linspace(-0.5, 0.5, 1600)}
    drawing = figures.waveforms(signals, 16_000, "Two")
    shown = [axes for axes in drawing.figure.axes if axes.get_visible()]
    assert len({axes.get_ylim() for axes in shown}) == len({axes.get_xlim() for axes in shown}) == 1
    assert shown[1].lines[0].get_color() == PALETTE["angry"]
    assert "neutral 0.100, angry 0.500" in drawing.alt


def test_ratings_are_all_in_the_histograms(clips, rng):
    rated = clips.assign(valence=rng.choice([1, 2.5, 5], len(clips)), arousal=3.0, dominance=rng.uniform(1, 5, 240))
    drawing = figures.ratings(rated, ["valence", "arousal", "dominance"], "Ratings")
    for axes in drawing.figure.axes:
        assert sum(patch.get_height() for patch in axes.patches) == 240
    assert "arousal 3.00" in drawing.alt
    assert "240 clips" in drawing.alt


def test_maps_show_every_clip_once_in_each_plane_and_name_few_labels(clips, rng):
    planes = {"PCA": rng.standard_normal((240, 2)), "t-SNE": rng.standard_normal((240, 2))}
    by_emotion = figures.maps(planes, clips.emotion, "By emotion", "36 % alike.")
    for axes in by_emotion.figure.axes:
        assert sum(len(points.get_offsets()) for points in axes.collections) == 240
    assert "240 clips as points, PCA and t-SNE, 8 labels. 36 % alike." in by_emotion.alt
    assert len(by_emotion.figure.legends[0].get_texts()) == 8
    paths = {points.get_paths()[0].vertices.tobytes() for points in by_emotion.figure.axes[0].collections}
    assert len(paths) == 8, "a marker of its own for each emotion"
    assert not figures.maps(planes, clips["clip"], "Too many to name", "").figure.legends


def test_spectrograms_share_one_scale(rng):
    pictures = {"quiet": rng.uniform(-90, -60, (40, 64)), "loud": rng.uniform(-40, 0, (90, 64))}
    drawing = figures.spectrograms(pictures, LogMel(), "Two")
    scales = {axes.images[0].get_clim() for axes in drawing.figure.axes if axes.images}
    assert len(scales) == 1
    assert "quiet, loud" in drawing.alt


def test_a_dollar_in_data_is_a_dollar(clips, rng, tmp_path):
    """Names such as of a folder, a speaker, a clip: matplotlib would take what stands between two for a formula."""
    title = r"A $5 b $x_{ \frac$ $"
    speakers = pd.Series(np.where(np.arange(len(clips)) % 2, "$x{1$_$", title))
    seen = [
        figures.class_counts(clips.assign(gender=speakers), title),
        figures.voice(clips.assign(gender=speakers), "f0", title, title, logarithmic=True),
        figures.maps({title: rng.standard_normal((len(clips), 2))}, speakers, title, title),
        figures.waveforms({title: np.zeros(100)}, 16_000, title),
        figures.spectrograms({title: np.zeros((10, 64))}, LogMel(), title),
        figures.values_with_intervals({title: Interval(0.5, 0.4, 0.6), "$": Interval(0.5, 0.4, 0.6)}, title, title),
    ]
    for number, drawing in enumerate(seen):
        drawing.figure.savefig(tmp_path / f"{number}.png", bbox_inches="tight")  # out of the style
    assert title in [text.get_text() for text in seen[2].figure.legends[0].get_texts()]


@pytest.mark.parametrize("losses", [[0.01, 1.0, 100.0], [2.08, 1.9, 1.7]])
def test_losses_are_numbers_as_one_writes_them(tmp_path, losses):
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": losses})
    figure = figures.training_curves({"a $x_{ b $": history}, "$x_{ $").figure
    figure.savefig(tmp_path / "curves.png", bbox_inches="tight")
    axis = figure.axes[0].yaxis
    ticks = [label.get_text() for label in axis.get_ticklabels(which="both") if label.get_text()]
    assert len(ticks) >= 3
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", tick) for tick in ticks)


def test_folds_of_a_system_share_its_colour():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    left, _ = figures.training_curves({f"{name}, fold {k}": history for name in "ab" for k in (1, 2)}, "t").figure.axes
    colours = [line.get_color() for line in left.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["a", "b"]
