"""Embeddings and functionals of level-normalised signals, independent of the distance to the microphone."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals

FRAME: Seconds = 0.05
LOUDEST = 0.1  # fraction of the frames that determine the level


@dataclass(frozen=True)
class _Levelled:
    """Mixin, before a kind of features among the base classes, that normalises the level of the signal."""

    level: float = -20.0  # dBFS
    dither: float = -40.0  # dB, relative to the level

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of the level-normalised signal."""
        return super().__call__(normalise_level(signal, self.sampling_rate, self.level, self.dither))


@dataclass(frozen=True)
class LevelledEmbedding(_Levelled, Embedding):
    """Embedding of the level-normalised signal, see :func:`normalise_level`."""


@dataclass(frozen=True)
class LevelledFunctionals(_Levelled, Functionals):
    """Functionals of the level-normalised signal, see :func:`normalise_level`."""


def normalise_level(signal: np.ndarray, sampling_rate: Hertz, level: float, dither: float) -> np.ndarray:
    """Scale a signal so that the loudest tenth of its 50 ms frames has a given level, and add dither.

    The white noise, the same in each call, is below room noise; it masks the quantisation noise of quiet recordings.

    Args:
        signal: shape ``(samples,)``
        level: dBFS
        dither: level of the noise, dB relative to ``level``

    Examples:
        >>> tone = np.sin(np.arange(16_000)).astype(np.float32)
        >>> quiet, loud = (normalise_level(gain * tone, 16_000, -20.0, -50.0) for gain in (0.01, 0.9))
        >>> bool(np.allclose(quiet, loud, atol=1e-6))
        True
    """
    gain = compute_gain(signal, sampling_rate, level)
    noise = np.random.default_rng(0).standard_normal(len(signal)) * 10 ** ((level + dither) / 20)
    return (signal * 10 ** (gain / 20) + noise).astype(np.float32)


def compute_gain(signal: np.ndarray, sampling_rate: Hertz, level: float) -> float:
    """Return the gain in decibels that gives a signal a level in dBFS; 0 for digital silence."""
    length = min(len(signal), round(FRAME * sampling_rate))
    frames = signal[: len(signal) // length * length].astype(np.float64).reshape(-1, length)
    powers = np.sort(np.square(frames).mean(axis=1))
    loudest = powers[-max(1, round(LOUDEST * len(powers))) :].mean()
    return float(level - 10 * np.log10(loudest)) if loudest else 0.0
