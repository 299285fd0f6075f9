"""Features of clips at one level, and several kinds side by side."""

import numpy as np
import pytest

from sernb.features import Functionals, Joined, LevelledEmbedding, LevelledFunctionals, Statistics
from sernb.features.levelled import compute_gain, normalise_level

RATE = 16_000


@pytest.fixture
def speech(rng) -> np.ndarray:
    """Half a second of quiet noise, a second of a louder harmonic tone, and again quiet."""
    times = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * times) / k for k in range(1, 20))
    quiet = 1e-3 * rng.standard_normal(RATE // 2)
    return np.concatenate([quiet, 0.05 * tone, quiet]).astype(np.float32)


def test_the_loudest_tenth_of_the_frames_has_the_level(speech):
    levelled = normalise_level(speech, RATE, -20.0, -80.0)
    powers = np.sort(np.square(levelled.reshape(-1, RATE // 20).astype(float)).mean(axis=1))
    assert 10 * np.log10(powers[-len(powers) // 10 :].mean()) == pytest.approx(-20, abs=0.1)
    assert compute_gain(speech, RATE, -20.0) - compute_gain(10 * speech, RATE, -20.0) == pytest.approx(20, abs=1e-4)


def test_the_noise_lies_where_it_is_said(speech):
    added = normalise_level(speech, RATE, -20.0, -40.0) - normalise_level(speech, RATE, -20.0, -300.0)
    assert 20 * np.log10(added.std()) == pytest.approx(-60, abs=0.1)


@pytest.mark.parametrize("length", [1, 2, 79, 800, 801])
def test_short_signals_and_silence_are_finite(length, rng):
    assert np.isfinite(normalise_level(rng.standard_normal(length).astype(np.float32), RATE, -20.0, -40.0)).all()
    assert normalise_level(np.zeros(length, np.float32), RATE, -20.0, -40.0).std() < 1e-2


@pytest.mark.parametrize("gain", [0.03, 0.3, 3.0])
def test_functionals_do_not_depend_on_the_level(speech, gain):
    features = LevelledFunctionals()
    found, expected = features(gain * speech)[0], features(speech)[0]
    scale = np.maximum(np.abs(expected), 1)
    assert np.median(np.abs(found - expected) / scale) < 1e-4
    assert features.names == Functionals().names


def test_kinds_side_by_side(speech):
    first, second = LevelledFunctionals(), Functionals()
    joined = Joined((first, second))
    np.testing.assert_array_equal(joined(speech)[0], np.concatenate([first(speech)[0], second(speech)[0]]))
    assert joined.width == len(joined.names) == first.width + second.width
    assert joined.columns(Functionals) == slice(0, first.width)
    assert joined.part(Functionals) is first
    with pytest.raises(ValueError, match="no Statistics among"):
        joined.part(Statistics)


def test_embeddings_do_not_depend_on_the_level(speech, encoders):
    features = LevelledEmbedding()
    np.testing.assert_allclose(features(0.03 * speech), features(speech), atol=2e-3)
