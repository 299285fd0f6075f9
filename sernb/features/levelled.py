"""Embeddings and functionals of clips that are brought to one level: distance to the microphone decides nothing."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals

FRAME: Seconds = 0.05
LOUDEST = 0.1  # share of the frames that the level is that of


@dataclass(frozen=True)
class _Levelled:
    """A kind of features that reads the signal at one level; in front of that kind among the bases."""

    level: float = -20.0  # dBFS
    dither: float = -40.0  # dB, relative to the level

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of the levelled signal."""
        return super().__call__(at_level(signal, self.sampling_rate, self.level, self.dither))


@dataclass(frozen=True)
class LevelledEmbedding(_Levelled, Embedding):
    """The embedding of a clip at one level, see :func:`at_level`."""


@dataclass(frozen=True)
class LevelledFunctionals(_Levelled, Functionals):
    """The functionals of a clip at one level, see :func:`at_level`."""


def at_level(signal: np.ndarray, sampling_rate: Hertz, level: float, dither: float) -> np.ndarray:
    """Return a signal whose loudest tenth of 50 ms frames has a given level, with faint white noise.

    The noise, the same at every call, is fainter than rooms are; it covers what differs between a quiet recording and
    the same recording rounded to fewer bits.

    Args:
        signal: samples, shape ``(samples,)``
        level: dBFS
        dither: level of the noise, dB relative to ``level``

    Examples:
        >>> tone = np.sin(np.arange(16_000)).astype(np.float32)
        >>> quiet, loud = (at_level(gain * tone, 16_000, -20.0, -50.0) for gain in (0.01, 0.9))
        >>> bool(np.allclose(quiet, loud, atol=1e-6))
        True
    """
    gain = gain_to(signal, sampling_rate, level)
    noise = np.random.default_rng(0).standard_normal(len(signal)) * 10 ** ((level + dither) / 20)
    return (signal * 10 ** (gain / 20) + noise).astype(np.float32)


def gain_to(signal: np.ndarray, sampling_rate: Hertz, level: float) -> float:
    """Return by how many decibels a signal is made louder to have a level; of digital silence 0."""
    length = min(len(signal), round(FRAME * sampling_rate))
    frames = signal[: len(signal) // length * length].astype(np.float64).reshape(-1, length)
    powers = np.sort(np.square(frames).mean(axis=1))
    loudest = powers[-max(1, round(LOUDEST * len(powers))) :].mean()
    return float(level - 10 * np.log10(loudest)) if loudest else 0.0
