"""Mel bands, zero-crossing rate and energy against librosa; yousefkotp's copies against their definitions."""

import librosa
import numpy as np
import pytest

from sernb.audio.augmentation import RandomGain, RandomStretch, SteadyNoise
from sernb.audio.reading import load
from sernb.features import Curves
from sernb.features.extraction import extract_features
from sernb.systems.curve_networks import AS_TEXT, make_training_views

COPIES = make_training_views(22_050)


def theirs(signal):
    """The authors' steps by librosa, (690, 42)."""
    fitted = librosa.util.fix_length(signal, size=110_361)
    mel = librosa.feature.melspectrogram(y=fitted, sr=22_050, n_fft=512, hop_length=160, n_mels=40)
    level = librosa.power_to_db(mel)
    level = (level - level.min()) / (level.max() - level.min() + 1e-6)
    crossings = librosa.feature.zero_crossing_rate(y=fitted, frame_length=512, hop_length=160)
    energy = librosa.feature.rms(y=fitted, frame_length=512, hop_length=160) ** 2
    return np.concatenate([level, crossings, energy]).T


@pytest.mark.parametrize("seconds", [0.3, 2.0, 7.0])
def test_curves_are_librosas(rng, seconds):
    time = np.arange(int(seconds * 22_050)) / 22_050
    signal = (0.3 * np.sin(2 * np.pi * 300 * time**1.2) + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    signal[1000:2000] = 0
    curves = Curves()(signal)
    assert curves.shape == (690, 42)
    assert curves.dtype == np.float32
    np.testing.assert_allclose(curves, theirs(signal), atol=2e-4)


def test_curves_of_a_recording_are_librosas(recordings):
    signal = load(recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav", 22_050)
    np.testing.assert_allclose(Curves()(signal), theirs(signal), atol=2e-4)


def test_silence_gives_no_nan():
    assert np.isfinite(Curves()(np.zeros(5000, np.float32))).all()


def test_copies_of_system_003_follow_their_definitions(rng):
    signal = (0.2 * rng.standard_normal(110_361)).astype(np.float32)
    names = [view.name for view in COPIES]
    assert len(set(names)) == 5
    noise, stretch, shift, pitch, gain = COPIES
    assert (noise(signal, 22_050, rng) - signal).std() == pytest.approx(0.005, rel=0.02)
    factors = [(gain(signal, 22_050, rng) / signal).mean() for _ in range(40)]
    assert 0.5 <= min(factors) < 0.7 < 1.3 < max(factors) <= 1.5
    shifts = [int(np.argmax(shift(np.eye(1, 110_361, 55_000)[0], 22_050, rng))) - 55_000 for _ in range(40)]
    assert -5000 <= min(shifts) < -3000 < 3000 < max(shifts) <= 5000
    lengths = [len(stretch(signal[:22_050], 22_050, rng)) / 22_050 for _ in range(10)]
    assert 1 / 1.1 - 0.01 <= min(lengths) < 1 < max(lengths) <= 1 / 0.9 + 0.01
    assert [view.semitones for view in pitch.views] == [-3, -2, -1, 0, 1, 2]
    assert isinstance(noise, SteadyNoise)
    assert isinstance(stretch, RandomStretch)
    assert isinstance(gain, RandomGain)


def test_as_the_text_says_clips_are_heard_at_16_khz_every_128_samples(rng):
    signal = (0.2 * rng.standard_normal(16_000)).astype(np.float32)
    assert AS_TEXT.samples / AS_TEXT.sampling_rate == pytest.approx(Curves().samples / 22_050, abs=1e-4)
    assert AS_TEXT(signal).shape == (1 + 80_080 // 128, 42) == (626, 42)
    shift = make_training_views(AS_TEXT.sampling_rate)[2]
    shifts = [int(np.argmax(shift(np.eye(1, 80_080, 40_000)[0], 16_000, rng))) - 40_000 for _ in range(40)]
    assert -5000 <= min(shifts) < -3000 < 3000 < max(shifts) <= 5000


def test_every_copy_has_the_one_length(rng):
    signal = (0.2 * rng.standard_normal(40_000)).astype(np.float32)
    for view in COPIES:
        assert extract_features("a", view, signal, Curves()).shape == (690, 42), view.name
    noisy = extract_features("a", COPIES[0], signal, Curves())
    assert noisy[-50:, 41].mean() == pytest.approx(0.005**2, rel=0.1), "noise lies over the padding too"
