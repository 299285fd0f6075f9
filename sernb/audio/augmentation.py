"""Data augmentation: views of a recording, for augmented training copies and test-time augmentation (TTA).

A view is a label-preserving transform: a frozen dataclass with ``__call__`` (signal, sampling rate, random generator)
→ signal. The names of clip and view seed the generator, so that a clip always gets the same noise. A mask transforms
the features instead, with ``on_features``.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import resample


@dataclass(frozen=True)
class Original:
    """The unchanged recording."""

    name: str = "original"

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal itself."""
        return signal


@dataclass(frozen=True)
class Noise:
    """Additive white Gaussian noise at a signal-to-noise ratio, measured over the whole clip."""

    name: str = "noise"
    snr: float = 20.0  # dB

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence stays silence."""
        level = np.sqrt(np.mean(np.square(signal, dtype=np.float64))) * 10 ** (-self.snr / 20)
        return signal + (level * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class Shift:
    """Circular time shift by a random duration of at most ``most`` seconds, in either direction."""

    name: str = "shift"
    most: Seconds = 0.2

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        return np.roll(signal, int(rng.uniform(-self.most, self.most) * sampling_rate))


@dataclass(frozen=True)
class Gain:
    """Amplification (positive) or attenuation (negative) by ``decibels``."""

    name: str
    decibels: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the scaled signal."""
        return signal * np.float32(10 ** (self.decibels / 20))


@dataclass(frozen=True)
class Speed:
    """Speed perturbation: playback ``factor`` times as fast, with higher pitch if above 1."""

    name: str
    factor: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal with ``1 / factor`` of its samples."""
        return resample(signal, original_rate=sampling_rate * self.factor, sampling_rate=sampling_rate)


@dataclass(frozen=True)
class Stretch:
    """Time stretching: ``factor`` times as fast at the same pitch, by librosa's phase vocoder."""

    name: str
    factor: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal with ``1 / factor`` of its samples."""
        from librosa.effects import time_stretch

        return time_stretch(signal, rate=self.factor)


@dataclass(frozen=True)
class Pitch:
    """Pitch shifting by ``semitones`` at the same speed, by librosa's phase vocoder."""

    name: str
    semitones: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        from librosa.effects import pitch_shift

        return pitch_shift(signal, sr=sampling_rate, n_steps=self.semitones)


@dataclass(frozen=True)
class Mask:
    """A time mask (``axis`` 0) or frequency mask (``axis`` 1) on the features, as in SpecAugment.

    Position and size are random. The mask has the lowest value of the features; Park et al. (2019,
    doi:10.21437/Interspeech.2019-2680) use the mean.
    """

    name: str
    axis: int
    least: int = 5  # frames or columns
    most: int = 10
    picture: int | None = None  # frames of each of several concatenated segments, masked separately; None: one segment

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal itself."""
        return signal

    def on_features(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return masked features, ``(frames, width)``; a mask larger than a segment covers all of it."""
        masked, length = features.copy(), self.picture or len(features)
        for start in range(0, len(features), length):
            picture = np.moveaxis(masked[start : start + length], self.axis, 0)
            picture[draw_band(len(picture), self.least, self.most, rng)] = features.min()
        return masked


def draw_band(length: int, least: int, most: int, rng: np.random.Generator) -> slice:
    """Draw a slice of ``least`` to ``most`` neighbouring positions among ``length``; all if there are fewer."""
    size = min(rng.integers(least, most, endpoint=True), length)
    first = rng.integers(0, length - size, endpoint=True)
    return slice(first, first + size)


@dataclass(frozen=True)
class OneOf:
    """A random choice among several views, one per clip."""

    name: str
    views: tuple["View", ...]

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal after one of the views."""
        return self.views[rng.integers(len(self.views))](signal, sampling_rate, rng)


@dataclass(frozen=True)
class Chain:
    """Several views in sequence."""

    name: str
    views: tuple["View", ...]

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal after all views."""
        for view in self.views:
            signal = view(signal, sampling_rate, rng)
        return signal


@dataclass(frozen=True)
class PeakNoise:
    """White Gaussian noise with a standard deviation of up to ``most`` times the clip's peak (feature-cnn).

    The factor is the product of ``most`` and two uniform random numbers: a quarter of ``most`` on average.
    """

    name: str = "peak-noise"
    most: float = 0.075

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence stays silence."""
        level = self.most * rng.uniform() * rng.uniform() * signal.max(initial=0)
        return signal + (level * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class PitchUp:
    """Upward pitch shift by a random interval of up to ``most`` semitones (feature-cnn)."""

    name: str = "pitch-up"
    most: float = 0.7

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        return Pitch(self.name, self.most * rng.uniform())(signal, sampling_rate, rng)


@dataclass(frozen=True)
class SteadyNoise:
    """White Gaussian noise with a fixed standard deviation, independent of the clip's level (yousefkotp)."""

    name: str
    deviation: float = 0.005

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence becomes noise."""
        return signal + (self.deviation * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class RandomStretch:
    """Time stretching by a random factor between ``least`` and ``most`` (yousefkotp)."""

    name: str
    least: float = 0.9
    most: float = 1.1

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the stretched signal."""
        return Stretch(self.name, rng.uniform(self.least, self.most))(signal, sampling_rate, rng)


@dataclass(frozen=True)
class RandomGain:
    """Amplitude scaling by a random factor between ``least`` and ``most`` (yousefkotp)."""

    name: str
    least: float = 0.5
    most: float = 1.5

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the scaled signal."""
        return signal * np.float32(rng.uniform(self.least, self.most))


@dataclass(frozen=True)
class DrawnNoise:
    """White Gaussian noise at a random integer SNR, the same for all noisy copies of a clip (maelfabien).

    The copies have different names and noise; the signal itself seeds their common SNR.
    """

    name: str
    least: int = 15  # dB
    most: int = 29

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence stays silence."""
        common = np.random.default_rng(zlib.crc32(np.ascontiguousarray(signal)))
        snr = int(common.integers(self.least, self.most, endpoint=True))
        return Noise(self.name, snr)(signal, sampling_rate, rng)


View = (
    Original | Noise | Shift | Gain | Speed | Stretch | Pitch | Mask | OneOf | Chain
    | PeakNoise | PitchUp | SteadyNoise | RandomStretch | RandomGain | DrawnNoise
)  # fmt: skip

ORIGINAL = Original()
TEST_VIEWS: tuple[View, ...] = (
    ORIGINAL,
    Noise(),
    Shift(),
    Gain("quieter", -6.0),
    Speed("slower", 0.95),
    Speed("faster", 1.05),
)


def apply_view(clip: str, view: View, signal: np.ndarray, sampling_rate: Hertz) -> np.ndarray:
    """Apply a view to a clip, with the same result in each call; views that depend on the clip have ``for_clip``.

    Examples:
        >>> apply_view("a", Gain("half", -6.0206), np.array([1.0], np.float32), 16_000).round(3)
        array([0.5], dtype=float32)
    """
    transform = view.for_clip(clip) if hasattr(view, "for_clip") else view
    return transform(signal, sampling_rate, make_rng(clip, view))


def make_rng(clip: str, view: View) -> np.random.Generator:
    """Return the random generator for a view of a clip, seeded by their names."""
    return np.random.default_rng(zlib.crc32(f"{clip} {view.name}".encode()))
