"""Other versions of a recording: named views of its waveform or its features, for training and at test time.

A view changes what a listener would still call the same emotion. Each is a frozen dataclass with ``__call__``
(signal, sampling rate, random generator) → signal; clips and views are matched by name, so that the same clip always
gets the same noise. A mask changes the features instead: it has ``on_features``.
"""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import resample

if TYPE_CHECKING:
    pass


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


@dataclass(frozen=True)
class Stretch:
    """Played ``factor`` times as fast at the same pitch, by librosa's phase vocoder."""

    name: str
    factor: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal with ``1 / factor`` of its samples."""
        from librosa.effects import time_stretch

        return time_stretch(signal, rate=self.factor)


@dataclass(frozen=True)
class Pitch:
    """Higher (positive) or lower by ``semitones`` at the same speed, by librosa's phase vocoder."""

    name: str
    semitones: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        from librosa.effects import pitch_shift

        return pitch_shift(signal, sr=sampling_rate, n_steps=self.semitones)


@dataclass(frozen=True)
class Mask:
    """A band of the features as if silent: ``axis`` 0, some frames; ``axis`` 1, some columns.

    Start and size are drawn at random for each picture; the lowest value of the features fills the band
    (Park et al. 2019, doi:10.21437/Interspeech.2019-2680, who fill with the mean).
    """

    name: str
    axis: int
    least: int = 5  # frames or columns
    most: int = 10
    picture: int | None = None  # frames in each of several pictures one below the other; None: all are one

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal itself."""
        return signal

    def on_features(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return masked features, ``(frames, width)``; a mask larger than the picture covers all of it."""
        masked, length = features.copy(), self.picture or len(features)
        for start in range(0, len(features), length):
            picture = np.moveaxis(masked[start : start + length], self.axis, 0)
            picture[draw_band(len(picture), self.least, self.most, rng)] = features.min()
        return masked


def draw_band(length: int, least: int, most: int, rng: np.random.Generator) -> slice:
    """Draw neighbours among ``length`` places, ``least`` to ``most`` of them; where those are too many, all."""
    size = min(rng.integers(least, most, endpoint=True), length)
    first = rng.integers(0, length - size, endpoint=True)
    return slice(first, first + size)


@dataclass(frozen=True)
class OneOf:
    """One of several views, drawn for each clip."""

    name: str
    views: tuple["View", ...]

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal as the drawn view changes it."""
        return self.views[rng.integers(len(self.views))](signal, sampling_rate, rng)


@dataclass(frozen=True)
class Chain:
    """Several views, one after the other."""

    name: str
    views: tuple["View", ...]

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal as all views change it."""
        for view in self.views:
            signal = view(signal, sampling_rate, rng)
        return signal


@dataclass(frozen=True)
class PeakNoise:
    """White Gaussian noise whose deviation is up to ``most`` of the clip's highest amplitude (feature-cnn).

    The share is the product of two uniform draws: a quarter of ``most`` on average.
    """

    name: str = "peak-noise"
    most: float = 0.075

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence stays silence."""
        level = self.most * rng.uniform() * rng.uniform() * signal.max(initial=0)
        return signal + (level * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class PitchUp:
    """Higher by a random part of ``most`` semitones (feature-cnn)."""

    name: str = "pitch-up"
    most: float = 0.7

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the shifted signal, of the same length."""
        return Pitch(self.name, self.most * rng.uniform())(signal, sampling_rate, rng)


@dataclass(frozen=True)
class SteadyNoise:
    """White Gaussian noise of one standard deviation, however loud the clip is (yousefkotp)."""

    name: str
    deviation: float = 0.005

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy signal; silence becomes noise."""
        return signal + (self.deviation * rng.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class RandomStretch:
    """Played at a random speed between two factors, at the same pitch (yousefkotp)."""

    name: str
    least: float = 0.9
    most: float = 1.1

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal, longer or shorter."""
        return Stretch(self.name, rng.uniform(self.least, self.most))(signal, sampling_rate, rng)


@dataclass(frozen=True)
class RandomGain:
    """Amplitudes times a random factor between two (yousefkotp)."""

    name: str
    least: float = 0.5
    most: float = 1.5

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the scaled signal."""
        return signal * np.float32(rng.uniform(self.least, self.most))


@dataclass(frozen=True)
class DrawnNoise:
    """White Gaussian noise at a whole number of decibels, one for all noisy copies of a clip (maelfabien).

    The copies differ by name and in their noise; the signal itself seeds the draw of their common ratio.
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
    Original
    | Noise
    | Shift
    | Gain
    | Speed
    | Stretch
    | Pitch
    | Mask
    | OneOf
    | Chain
    | PeakNoise
    | PitchUp
    | SteadyNoise
    | RandomStretch
    | RandomGain
    | DrawnNoise
)

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
    """Return one view of a clip, the same at every call; a view that must know the clip has ``of(clip)``.

    Examples:
        >>> apply_view("a", Gain("half", -6.0206), np.array([1.0], np.float32), 16_000).round(3)
        array([0.5], dtype=float32)
    """
    chosen = view.of(clip) if hasattr(view, "of") else view
    return chosen(signal, sampling_rate, rng_of(clip, view))


def rng_of(clip: str, view: View) -> np.random.Generator:
    """Return the generator of one view of one clip: the same at every call."""
    return np.random.default_rng(zlib.crc32(f"{clip} {view.name}".encode()))
