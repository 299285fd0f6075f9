"""The MFCC of Light-SERNet against TensorFlow's signal library, which its authors use."""

import numpy as np
import pytest

from sernb.features import ClippedMfcc

RATE = 16_000


def sound(samples: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * np.hanning(samples) * rng.standard_normal(samples)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [20_000, 48_000, 60_001])
def test_values_are_those_of_tensorflow(samples):
    import tensorflow as tf

    signal = sound(samples)
    loud = np.clip(signal / np.percentile(np.abs(signal), 99.9), -1, 1)
    missing = 48_000 - samples
    padded = np.pad(loud, (max(0, missing // 2), max(0, missing - missing // 2)))
    fitted = padded[max(0, -missing // 2) :][:48_000]
    spectrum = tf.abs(tf.signal.stft(fitted.astype(np.float32), 1024, 256))
    bands = tf.signal.linear_to_mel_weight_matrix(128, 513, RATE, 80.0, 7600.0)
    cepstra = tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(tf.matmul(spectrum, bands) + 1e-6))
    np.testing.assert_allclose(ClippedMfcc()(signal), np.clip(cepstra[:, :40], -10, 10), atol=2e-4)


def test_shape_and_range():
    found = ClippedMfcc()(sound(30_000))
    assert found.shape == (184, 40)
    assert found.dtype == np.float32
    assert np.abs(found).max() <= 10


def test_loudness_does_not_matter():
    signal = sound(48_000)
    np.testing.assert_allclose(ClippedMfcc()(0.01 * signal), ClippedMfcc()(signal), atol=1e-3)


def test_silence_is_no_error():
    found = ClippedMfcc()(np.zeros(1000, np.float32))
    assert np.isfinite(found).all()
