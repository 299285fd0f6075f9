"""Windows of a log-mel spectrogram against librosa, on made and real recordings."""

import librosa
import numpy as np
import pytest
import scipy.stats

from sernb.audio.augmentation import DrawnNoise
from sernb.audio.reading import load
from sernb.features import LogMelWindows
from sernb.features.extraction import extract_features


def theirs(signal):
    """The authors' steps, each by librosa or SciPy; the frames mirrored at the ends as librosa 0.6 did."""
    standard = scipy.stats.zscore(signal[8000:].astype(np.float64))
    fitted = librosa.util.fix_length(standard, size=49_100)
    spectrum = np.abs(
        librosa.stft(fitted, n_fft=512, window="hamming", win_length=256, hop_length=128, pad_mode="reflect")
    )
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=16_000, n_mels=128, fmax=4000)
    level = librosa.power_to_db(mel, ref=np.max)
    return np.stack([level[:, start : start + 128] for start in (0, 64, 128, 192, 256)])  # (5, bands, frames)


@pytest.mark.filterwarnings("ignore:Empty filters detected")
@pytest.mark.parametrize("seconds", [1.0, 3.5, 6.0])
def test_windows_are_librosas(rng, seconds):
    time = np.arange(int(seconds * 16_000)) / 16_000
    signal = (0.3 * np.sin(2 * np.pi * 300 * time**1.2) + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    windows = LogMelWindows()(signal)
    assert windows.shape == (640, 128)
    assert windows.dtype == np.float32
    np.testing.assert_allclose(windows.reshape(5, 128, 128).swapaxes(1, 2), theirs(signal), atol=5e-3)


@pytest.mark.filterwarnings("ignore:Empty filters detected")
def test_windows_of_a_recording_are_librosas(recordings):
    signal = load(recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav", 16_000)
    windows = LogMelWindows()(signal).reshape(5, 128, 128).swapaxes(1, 2)
    np.testing.assert_allclose(windows, theirs(signal), atol=5e-3)
    assert LogMelWindows().windows == 5


def test_a_clip_that_ends_before_the_offset_is_heard_whole_and_silence_gives_no_nan(rng):
    short = (0.1 * rng.standard_normal(7000)).astype(np.float32)
    section = LogMelWindows().preprocess(short)
    np.testing.assert_allclose(section[:7000], scipy.stats.zscore(short), atol=1e-4)
    assert not section[7000:].any()
    assert np.isfinite(LogMelWindows()(np.zeros(20_000, np.float32))).all()


def test_noisy_copies_of_a_clip_share_their_ratio_and_not_their_noise(rng):
    signal = rng.standard_normal(200_000).astype(np.float32)
    ratios = set()
    for clip in range(12):
        signal = np.roll(signal, 1)
        first, second = (DrawnNoise(name)(signal, 16_000, rng) - signal for name in ("noise 1", "noise 2"))
        decibels = [10 * np.log10(np.mean(signal**2) / np.mean(noise**2)) for noise in (first, second)]
        assert decibels[0] == pytest.approx(decibels[1], abs=0.1), clip
        assert decibels[0] == pytest.approx(round(decibels[0]), abs=0.1), "a whole number of decibels"
        assert 15 <= round(decibels[0]) <= 29
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
        ratios.add(round(decibels[0]))
    assert len(ratios) > 3


def test_noise_lies_over_the_padding_too(rng):
    """The authors pad first and add noise then: the padded end is noise, not silence."""
    signal = (0.1 * rng.standard_normal(24_000)).astype(np.float32)
    quiet, noisy = LogMelWindows()(signal), extract_features("a", DrawnNoise("noise 1"), signal, LogMelWindows())
    assert quiet[-20:].max() == pytest.approx(-80)
    assert noisy[-20:].mean() > -60
