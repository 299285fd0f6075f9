"""The 880 values of feature-cnn against librosa, frame by frame as its authors lay them out."""

import librosa
import numpy as np
import pytest

from sernb.audio.reading import load
from sernb.features import FrameValues


@pytest.fixture
def signal(rng) -> np.ndarray:
    """Four seconds of a gliding tone with noise, and true silence in the midst."""
    time = np.arange(4 * 8025) / 8025
    tone = 0.3 * np.sin(2 * np.pi * (200 + 100 * time) * time) + 0.01 * rng.standard_normal(len(time))
    tone[12_000:14_500] = 0
    return tone.astype(np.float32)


def librosas(section: np.ndarray, sampling_rate: int) -> list[np.ndarray]:
    return [
        librosa.feature.zero_crossing_rate(y=section, frame_length=2048, hop_length=512)[0],
        librosa.feature.rms(y=section)[0],
        librosa.feature.mfcc(y=section, sr=sampling_rate, n_mfcc=20).T.ravel(),
    ]


@pytest.mark.parametrize("sampling_rate", [2048, 8025])
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_values_of_a_long_clip_are_librosas(signal, sampling_rate):
    settings = FrameValues(mfcc_sampling_rate=sampling_rate)
    section = signal[4815 : 4815 + 20_063]
    values = settings(signal)
    assert values.dtype == np.float32
    assert values.shape == (1, settings.width) == (1, 880)
    np.testing.assert_allclose(values[0], np.concatenate(librosas(section, sampling_rate)), atol=5e-3)
    np.testing.assert_allclose(values[0, :40], librosas(section, 2048)[0], atol=1e-7)


def test_a_short_clip_is_padded_at_its_end_as_published_or_block_by_block(signal):
    short = signal[: 4815 + 9000]  # 18 frames
    blocks = librosas(short[4815:], 2048)
    published = np.concatenate(blocks)
    np.testing.assert_allclose(FrameValues()(short)[0], np.pad(published, (0, 880 - len(published))), atol=5e-3)
    aligned = FrameValues(aligned=True)(short)[0]
    for block, start in zip(blocks, (0, 40, 80), strict=True):
        np.testing.assert_allclose(aligned[start : start + len(block)], block, atol=5e-3)
    assert np.count_nonzero(aligned) <= 18 * 22
    np.testing.assert_array_equal(FrameValues(aligned=True)(signal), FrameValues()(signal))


@pytest.mark.parametrize("samples", [0, 100, 4815, 4816])
def test_a_clip_that_ends_before_the_section_gives_finite_values(samples):
    values = FrameValues()(np.full(samples, 0.1, np.float32))
    assert values.shape == (1, 880)
    assert np.isfinite(values).all()


def test_columns_have_names(signal):
    names = FrameValues().names
    assert len(set(names)) == 880
    assert (names[0], names[40], names[80], names[101]) == (
        "zero-crossing rate frame 0", "RMS frame 0", "MFCC 0 frame 0", "MFCC 1 frame 1",
    )  # fmt: skip
    louder = FrameValues()(2 * signal)[0] - FrameValues()(signal)[0]
    rms = [place for place, name in enumerate(names) if name.startswith("RMS")]
    np.testing.assert_allclose(louder[rms], FrameValues()(signal)[0, rms], rtol=1e-5)


def test_values_of_a_recording_are_those_of_librosas_own_loader(recordings):
    path = recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav"
    theirs = librosa.load(path, sr=8025, offset=0.6, duration=2.5)[0]
    settings = FrameValues()
    expected = np.concatenate(librosas(theirs, 2048))
    values = settings(load(path, settings.sampling_rate))[0]
    assert len(expected) == len(values)
    # They cut before they resample: the first and last samples differ a little.
    np.testing.assert_allclose(values[:80], expected[:80], atol=5e-3)
    assert np.corrcoef(values[80:], expected[80:])[0, 1] > 0.9999
