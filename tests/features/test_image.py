"""The pictures of multitask-cnn against librosa, Matplotlib and Pillow."""

import io

import librosa
import numpy as np
import pytest
from PIL import Image

from sernb.audio.reading import load
from sernb.config import DataError
from sernb.features import LogMelPicture

RATE = 22_050
BLACK = (0 - 0.27468) / 0.17491


def speech(seconds: float) -> np.ndarray:
    """A gliding tone with noise, between quiet ends."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time) * np.sin(np.pi * time / seconds)
    sound = tone + 0.01 * np.random.default_rng(1).standard_normal(len(time))
    quiet = 1e-5 * np.random.default_rng(2).standard_normal(RATE // 2)
    return np.concatenate([quiet, sound, quiet]).astype(np.float32)


def librosas_level(segment: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=segment, sr=RATE, n_fft=2048, hop_length=512, n_mels=256)
    return librosa.power_to_db(power, ref=np.max)  # (bands, frames), -80 … 0


def drawn_by_matplotlib(level: np.ndarray) -> Image.Image:
    """Draw as the authors do: librosa's display, no axes, 256 × 256 points, saved as PNG."""
    import librosa.display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.56, 2.56), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set_axis_off()
    librosa.display.specshow(level, ax=axes, sr=RATE)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return Image.open(png).convert("RGB")


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_picture_is_the_one_that_librosa_and_matplotlib_draw(seconds):
    settings = LogMelPicture()
    section = settings.preprocess(speech(seconds))
    drawing = drawn_by_matplotlib(librosas_level(section))
    assert drawing.size == (256, 256)
    small = drawing.convert("L").resize((128, 128), Image.Resampling.BILINEAR)
    theirs = np.asarray(small, float)[::-1].T / 255  # low bands first, time downwards
    ours = settings.draw(section)
    assert ours.shape == (128, 128)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).mean() < 0.004, "less than one step of grey"
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.998


def test_direct_array_is_the_level_made_smaller(rng):
    settings = LogMelPicture(route="array", mean=0, deviation=1)
    section = settings.preprocess(speech(2.0))
    level = librosas_level(section)
    ours = settings(speech(2.0))
    frames = ours.mean(axis=1)
    expected = (level + 80).mean(axis=0) / 80
    at = (np.arange(128) + 0.5) / 128 * len(expected) - 0.5
    np.testing.assert_allclose(frames, np.interp(at, np.arange(len(expected)), expected), atol=0.02)
    assert ours.min() >= 0
    assert ours.max() <= 1


def test_ends_are_trimmed_as_librosa_does():
    signal = speech(2.0)
    np.testing.assert_array_equal(LogMelPicture().preprocess(signal), librosa.effects.trim(signal, top_db=40)[0])
    assert 1.9 < len(LogMelPicture().preprocess(signal)) / RATE < 2.1


@pytest.mark.parametrize(("seconds", "segments"), [(1.0, 1), (5.9, 1), (7.0, 1), (8.5, 2), (14.5, 3), (13.0, 2)])
def test_long_clips_become_several_pictures_and_a_short_rest_is_dropped(seconds, segments):
    settings = LogMelPicture(trim=1000)
    section = speech(20)[: int(seconds * RATE)]
    pictures = settings.compute(section)
    assert pictures.shape == (128 * segments, 128)
    first = settings.compute(section[: 6 * RATE])
    np.testing.assert_array_equal(pictures[:128], first)


def test_pictures_are_standardised_with_the_published_constants():
    settings = LogMelPicture()
    section = settings.preprocess(speech(2.0))
    np.testing.assert_allclose(settings(speech(2.0)), (settings.draw(section) - 0.27468) / 0.17491, rtol=1e-5)
    assert settings(speech(2.0)).min() == pytest.approx(BLACK, abs=1e-4), "the floor is black"


def test_silence_gives_a_black_picture():
    assert (LogMelPicture()(np.zeros(RATE, np.float32)) == np.float32(BLACK)).all()


def test_an_unknown_route_is_refused():
    with pytest.raises(DataError, match="picture"):
        LogMelPicture(route="photo")


def test_pictures_of_recordings_look_like_the_published_ones(recordings):
    """On other speech than theirs, mean and deviation over pictures come near the published 0.275 and 0.175."""
    paths = sorted((recordings / "ravdess").glob("Actor_0[1-4]/03-01-0[1-6]-01-01-01-*.wav"))
    assert len(paths) >= 20
    settings = LogMelPicture(mean=0, deviation=1)
    pictures = np.stack([settings(load(path, RATE)) for path in paths])
    assert pictures.mean() == pytest.approx(0.275, abs=0.08)
    assert pictures.std() == pytest.approx(0.175, abs=0.05)
