"""Clips picked by hand: menus that agree with the index, the clip that is shown, and nothing where nobody picks."""

import sys
from types import SimpleNamespace

import pytest

from sernb.corpora.pool import parse_pool
from sernb.reporting import clip_picker


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: the menus, then figures and players."""
    monkeypatch.setenv("JPY_SESSION_NAME", "19_explore_corpora.ipynb")
    found = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: found.append(data))
    return found


@pytest.mark.slow
def test_the_menus_lead_to_a_clip_and_show_it(shown):
    pool = parse_pool("demo")
    clip_picker.pick(pool)
    speaker, emotion, clip = shown[0].children[0].children
    assert set(speaker.options) == set(pool.index.speaker)
    shown.clear()
    wanted = pool.index.iloc[-1]
    speaker.value, emotion.value = wanted.speaker, wanted.emotion
    same = pool.index[(pool.index.speaker == wanted.speaker) & (pool.index.emotion == wanted.emotion)]
    assert list(clip.options) == list(same["clip"])
    clip.value = wanted["clip"]
    player, waveform, spectrogram = shown[-3:]
    assert wanted["clip"] in player["text/html"]
    assert "Peak amplitudes" in waveform["text/plain"]
    assert "image/png" in spectrogram


def test_an_emotion_that_a_speaker_lacks_is_said(shown, capsys):
    pool = parse_pool("demo")
    two = pool.index.drop_duplicates("speaker").iloc[:2].assign(emotion=["sad", "angry"])
    clip_picker.pick(SimpleNamespace(index=two, files=pool.files))
    speaker, emotion, clip = shown[0].children[0].children
    assert clip.value == two["clip"].iloc[0]
    emotion.value = "angry"
    assert clip.value is None
    assert f"{speaker.value} has no clip of this emotion" in capsys.readouterr().out


def test_nothing_where_nobody_picks(shown, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    clip_picker.pick(parse_pool("demo"))
    assert not shown


def test_without_the_package_one_line_names_it(shown, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    clip_picker.pick(parse_pool("demo"))
    assert "pip install ipywidgets" in capsys.readouterr().out
    assert not shown
