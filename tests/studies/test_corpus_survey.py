"""What preparation pages show of a corpus, for copies that are whole, spoiled or absent."""

import shutil

import numpy as np
import pytest

from sernb.corpora.availability import find_available
from sernb.corpora.registry import get_corpus
from sernb.features import LogMel
from sernb.studies import corpus_survey as survey

DEMO = get_corpus("demo")


@pytest.fixture(scope="module")
def demo():
    return find_available("demo")


@pytest.fixture
def absent(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path))
    return find_available("ravdess")


def test_whole_copy_has_no_problems_and_a_spoiled_one_names_the_first_file(demo, tmp_path):
    outcome, findings = survey.check_copy(demo)
    assert outcome == "240 of 240 published clips: 0 problems, 0 notes"
    assert findings.empty
    first, second = survey.headline(demo, outcome, findings)
    assert first.startswith("Yes: the demo corpus has 240 of 240")
    counts = demo.clips.emotion.value_counts()
    assert f"{100 * counts.max() / 240:.1f} % WAR, {100 / len(counts):.1f} % UAR" in second
    folder = shutil.copytree(demo.folder, tmp_path / "demo")
    spoiled = sorted(folder.rglob("*.flac"))[:3]
    for file in spoiled:
        file.unlink()
    outcome, findings = survey.check_copy(type(demo)(DEMO, demo.index, demo.pool, folder))
    assert outcome == "240 of 240 published clips: 3 missing, 0 other problems, 0 notes"
    assert findings[["level", "files"]].to_numpy().tolist() == [["problem", 3]]
    assert findings["first"][0].endswith(spoiled[0].name)
    copy = type(demo)(DEMO, demo.index, demo.pool, folder)
    assert survey.headline(copy, outcome, findings)[0].startswith("Yes, but incomplete: the demo corpus has")
    next(folder.rglob("*.flac")).write_bytes(b"no sound")
    assert survey.headline(copy, *survey.check_copy(copy))[0].startswith("No: ")


def test_features_and_examples_are_those_of_the_recordings(demo):
    log_mels = {clip: np.zeros((10, LogMel().bands), np.float32) for clip in demo.clips["clip"]}
    assert survey.describe_size(log_mels) == f"240 clips, 2,400 frames of {LogMel().bands} mel bands, 1 MB"
    drawings = list(survey.plot_examples(demo, log_mels))
    assert len(drawings) == 2
    for drawing in drawings:
        assert all(emotion in drawing.alt for emotion in DEMO.emotions)
    sounds = list(survey.example_sounds(demo))
    assert len(sounds) == survey.PLAYED
    seconds = demo.clips.set_index("clip").seconds
    for signal, rate, caption in sounds:
        clip = caption.rpartition("(")[2].rstrip(")")
        assert len(signal) / rate == pytest.approx(seconds[clip], abs=0.01)


def test_without_recordings_there_are_labels_and_nothing_to_compute(absent):
    assert survey.check_copy(absent)[0] == "There are no files to check."
    assert survey.log_mels(absent) == {}
    assert survey.describe_size({}) == "Features need the recordings."
    assert survey.levels_table(absent).empty
    assert not [*survey.plot_examples(absent, {}), *survey.example_sounds(absent)]
    assert len(list(survey.plot_counts(absent))) == 1
    first, second = survey.headline(absent, *survey.check_copy(absent))
    assert first.startswith("No recording of RAVDESS is available")
    assert first.endswith("To get them: sernb fetch ravdess")
    assert second.startswith("1440 clips of 24 speakers")
    assert survey.durations_table(absent).n.tolist() == [1440]
    unknown = find_available("iemocap")
    assert not [*survey.plot_counts(unknown), *survey.plot_durations(unknown), *survey.plot_ratings(unknown)]
    assert survey.durations_table(unknown).empty
