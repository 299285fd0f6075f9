"""Stress: what rooms, telephones, crowds and bad microphones do to a recording, as views at stated strengths.

Unlike the views of :mod:`sernb.audio.augmentation`, these are meant to hurt. They can be given to any experiment as
test or training views. Ratios of signal to noise are taken over the whole clip.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import load, resample
from sernb.config import DataError

TALKERS = 6
SILENCE = 40.0  # dB under the loudest frame; cut off both ends of what babbles

NARROW_BAND = (300.0, 3400.0)  # Hz
NARROW_RATE = 8000
PIVOT = 1000.0  # Hz, where a tilt changes nothing
LOWEST = 50.0  # Hz, below which a tilt goes no further


@dataclass(frozen=True)
class Bank:
    """The clips that a babble is made from, and who speaks in which clip of the corpus."""

    speakers: dict[str, str]  # every clip of the corpus → speaker
    paths: tuple[tuple[str, Path], ...]  # (speaker, recording)


@dataclass(frozen=True)
class Babble:
    """Other speakers of the corpus talking at once, at a signal-to-noise ratio; never the speaker of the clip itself.

    Each of ``talkers`` voices repeats a recording of the bank, silence cut off both ends, all equally
    loud.
    """

    name: str
    snr: float  # dB
    corpus: str
    recordings: str  # fingerprint of the bank
    talkers: int = TALKERS
    bank: InitVar[Bank | None] = None  # where the recordings lie is no setting

    def __post_init__(self, bank: Bank | None):
        """Keep the bank beside the settings."""
        object.__setattr__(self, "_bank", bank)

    def of(self, clip: str) -> Callable[[np.ndarray, Hertz, np.random.Generator], np.ndarray]:
        """Return the view for one clip.

        Raises:
            DataError: if the corpus has no other speaker
        """
        own = self._bank.speakers[clip]
        others = tuple(path for speaker, path in self._bank.paths if speaker != own)
        if not others:
            raise DataError(f"{self.corpus}: {own} is the only speaker; babble needs others")

        def babbled(signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
            voices = [_voice(others[rng.integers(len(others))], sampling_rate) for _ in range(self.talkers)]
            crowd = sum(np.roll(np.resize(voice, len(signal)), -rng.integers(len(voice))) for voice in voices)
            return signal + crowd * np.float32(_level(signal) * 10 ** (-self.snr / 20) / _level(crowd))

        return babbled


@lru_cache(maxsize=512)
def _voice(path: Path, sampling_rate: Hertz) -> np.ndarray:
    """Return a recording at level 1, without the silence at its ends."""
    from librosa.effects import trim

    signal = trim(load(path, sampling_rate), top_db=SILENCE)[0]
    return signal / np.float32(_level(signal))


@dataclass(frozen=True)
class Room:
    """The clip as a room sends it on: the direct sound, and noise that dies away by 60 dB in ``t60``.

    Statistical model of Polack (1988), La transmission de l'énergie sonore dans les salles. Each clip has a room of
    its own. The level stays; what rings on after the end of the clip is cut off.
    """

    name: str
    t60: Seconds
    direct: float = 0.0  # dB, energy of the direct sound to that of the rest

    def response(self, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return an impulse response, direct sound first, shape ``(samples,)``."""
        time = np.arange(1, int(self.t60 * sampling_rate)) / sampling_rate
        tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / self.t60)
        tail *= 10 ** (-self.direct / 20) / np.sqrt(np.sum(tail**2))
        return np.concatenate([[1.0], tail])

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the reverberant signal, of the same length and level."""
        from scipy.signal import fftconvolve

        return _as_loud(fftconvolve(signal, self.response(sampling_rate, rng))[: len(signal)], signal)


@dataclass(frozen=True)
class Telephone:
    """Narrow-band telephone: 300 to 3400 Hz, through 8000 Hz; no coding, no noise."""

    name: str = "telephone"

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the signal of the same length; what the band cuts off is missing from its level, too."""
        from scipy.signal import butter, sosfiltfilt

        narrow = resample(signal, original_rate=sampling_rate, sampling_rate=NARROW_RATE)
        band = butter(4, NARROW_BAND, "bandpass", fs=NARROW_RATE, output="sos")
        narrowband = sosfiltfilt(band, narrow).astype(np.float32)
        return resample(narrowband, original_rate=NARROW_RATE, sampling_rate=sampling_rate)[: len(signal)]


@dataclass(frozen=True)
class Clipping:
    """Amplitudes cut off ``decibels`` under the clip's peak, as by an amplifier driven too far."""

    name: str
    decibels: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the clipped signal, of the same length."""
        limit = np.abs(signal).max(initial=0) * np.float32(10 ** (-self.decibels / 20))
        return np.clip(signal, -limit, limit)


@dataclass(frozen=True)
class Tilt:
    """A spectrum that rises or falls by so many decibels an octave around 1 kHz, as other microphones have it."""

    name: str
    slope: float  # dB an octave; negative: duller

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the filtered signal, of the same length and level."""
        frequencies = np.maximum(np.fft.rfftfreq(len(signal), 1 / sampling_rate), LOWEST)
        factors = 10 ** (self.slope * np.log2(frequencies / PIVOT) / 20)
        return _as_loud(np.fft.irfft(np.fft.rfft(signal) * factors, len(signal)), signal)


@dataclass(frozen=True)
class Cut:
    """A part of the clip, in one piece from a random start: a microphone that is opened late and closed early."""

    name: str
    kept: float  # share of the clip

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the part, of ``kept`` times the length."""
        samples = max(1, round(self.kept * len(signal)))
        start = rng.integers(len(signal) - samples, endpoint=True)
        return signal[start : start + samples]


def _level(signal: np.ndarray) -> float:
    """Root mean square; of silence a number that divides it."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) or 1.0


def _as_loud(changed: np.ndarray, signal: np.ndarray) -> np.ndarray:
    return (changed * (_level(signal) / _level(changed))).astype(np.float32) if signal.any() else signal


def signal_to_noise(signal: np.ndarray, noisy: np.ndarray) -> float:
    """Return by how many decibels a signal is stronger than what was added to it.

    Examples:
        >>> round(signal_to_noise(np.array([1.0, -1.0]), np.array([1.1, -1.1])), 3)
        20.0
    """
    return float(20 * np.log10(_level(signal) / _level(noisy.astype(np.float64) - signal)))
