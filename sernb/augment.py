"""Other versions of a recording: named views of a waveform, for test-time augmentation.

A view changes what a listener would still call the same emotion. Each is a frozen dataclass with ``__call__``
(signal, sampling rate, random generator) → signal; clips and views are matched by name, so that the same clip always
gets the same noise.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from sernb.audio import Hertz, Seconds, resample


@dataclass(frozen=True)
class Original:
    """The recording as it is."""

    name: str = "original"

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal itself."""
        return signal


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise added at a signal-to-noise ratio, taken over the whole clip."""

    name: str = "noise"
    snr: float = 20.0  # dB

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence stays silence."""
        level = np.sqrt(np.mean(np.square(signal, dtype=np.float64))) * 10 ** (-self.snr / 20)
        return signal + (level * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class Shift:
    """The whole recording later by up to ``most`` seconds or earlier, at random; what falls off comes in again."""

    name: str = "shift"
    most: Seconds = 0.2

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        return np.roll(signal, int(rng.uniform(-self.most, self.most) * sampling_rate))


@dataclass(frozen=True)
class Gain:
    """Louder (positive) or quieter (negative) by ``decibels``."""

    name: str
    decibels: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the scaled signal."""
        return signal * np.float32(10 ** (self.decibels / 20))


@dataclass(frozen=True)
class Speed:
    """Played ``factor`` times as fast: shorter and higher if above 1."""

    name: str
    factor: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal with ``1 / factor`` of its samples."""
        return resample(signal, original_rate=sampling_rate * self.factor, sampling_rate=sampling_rate)


View = Original | Noise | Shift | Gain | Speed

ORIGINAL = Original()
TEST_VIEWS: tuple[View, ...] = (
    ORIGINAL,
    Noise(),
    Shift(),
    Gain("quieter", -6.0),
    Speed("slower", 0.95),
    Speed("faster", 1.05),
)


def view_of(clip: str, view: View, signal: np.ndarray, sampling_rate: Hertz) -> np.ndarray:
    """Return one view of a clip, the same at every call.

    Examples:
        >>> view_of("a", Gain("half", -6.0206), np.array([1.0], np.float32), 16_000).round(3)
        array([0.5], dtype=float32)
    """
    rng = np.random.default_rng(zlib.crc32(f"{clip} {view.name}".encode()))
    return view(signal, sampling_rate, rng)
