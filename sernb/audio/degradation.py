"""Degradation by reverberation, telephones, babble and bad microphones, as views with stated parameters.

They test the robustness of a system, and augment its training data. SNRs are measured over the whole clip.
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
SILENCE = 40.0  # dB below the loudest frame, trimmed from both ends of the babble recordings

NARROW_BAND = (300.0, 3400.0)  # Hz
NARROW_RATE = 8000
PIVOT = 1000.0  # Hz, where a tilt has 0 dB
LOWEST = 50.0  # Hz, below which the gain of a tilt is constant


@dataclass(frozen=True)
class Bank:
    """The recordings from which babble is made, and the speakers of all clips of the corpus."""

    speakers: dict[str, str]  # clip → speaker
    paths: tuple[tuple[str, Path], ...]  # (speaker, recording)


@dataclass(frozen=True)
class Babble:
    """Babble noise of other speakers of the corpus at a signal-to-noise ratio.

    Each of ``talkers`` voices loops a random recording of the bank, trimmed and scaled to the same RMS.
    """

    name: str
    snr: float  # dB
    corpus: str
    recordings: str  # fingerprint of the bank
    talkers: int = TALKERS
    bank: InitVar[Bank | None] = None  # not a setting: paths differ between machines

    def __post_init__(self, bank: Bank | None):
        """Store the bank outside the fields."""
        object.__setattr__(self, "_bank", bank)

    def for_clip(self, clip: str) -> Callable[[np.ndarray, Hertz, np.random.Generator], np.ndarray]:
        """Return the view for one clip.

        Raises:
            DataError: if the corpus has no other speaker
        """
        own = self._bank.speakers[clip]
        others = tuple(path for speaker, path in self._bank.paths if speaker != own)
        if not others:
            raise DataError(f"{self.corpus}: {own} is the only speaker; babble needs others")

        def add_babble(signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
            voices = [_load_voice(others[rng.integers(len(others))], sampling_rate) for _ in range(self.talkers)]
            babble = sum(np.roll(np.resize(voice, len(signal)), -rng.integers(len(voice))) for voice in voices)
            return signal + babble * np.float32(_rms(signal) * 10 ** (-self.snr / 20) / _rms(babble))

        return add_babble


@lru_cache(maxsize=512)
def _load_voice(path: Path, sampling_rate: Hertz) -> np.ndarray:
    """Return a trimmed recording with RMS 1."""
    from librosa.effects import trim

    signal = trim(load(path, sampling_rate), top_db=SILENCE)[0]
    return signal / np.float32(_rms(signal))


@dataclass(frozen=True)
class Room:
    """Reverberation: direct sound and exponentially decaying noise with reverberation time ``t60``.

    Statistical model of Polack (1988), La transmission de l'énergie sonore dans les salles. Each clip has its own
    random impulse response. RMS and length are preserved.
    """

    name: str
    t60: Seconds
    direct: float = 0.0  # dB, direct-to-reverberant energy ratio

    def response(self, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return an impulse response, direct sound first, shape ``(samples,)``."""
        time = np.arange(1, int(self.t60 * sampling_rate)) / sampling_rate
        tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / self.t60)
        tail *= 10 ** (-self.direct / 20) / np.sqrt(np.sum(tail**2))
        return np.concatenate([[1.0], tail])

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the reverberant signal, of the same length and level."""
        from scipy.signal import fftconvolve

        return _match_rms(fftconvolve(signal, self.response(sampling_rate, rng))[: len(signal)], signal)


@dataclass(frozen=True)
class Telephone:
    """Narrowband telephone: 300 to 3400 Hz, sampled at 8 kHz, without codec and noise."""

    name: str = "telephone"

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the band-limited signal, of the same length."""
        from scipy.signal import butter, sosfiltfilt

        narrow = resample(signal, original_rate=sampling_rate, sampling_rate=NARROW_RATE)
        band = butter(4, NARROW_BAND, "bandpass", fs=NARROW_RATE, output="sos")
        narrowband = sosfiltfilt(band, narrow).astype(np.float32)
        return resample(narrowband, original_rate=NARROW_RATE, sampling_rate=sampling_rate)[: len(signal)]


@dataclass(frozen=True)
class Clipping:
    """Hard clipping ``decibels`` below the clip's peak."""

    name: str
    decibels: float

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the clipped signal, of the same length."""
        limit = np.abs(signal).max(initial=0) * np.float32(10 ** (-self.decibels / 20))
        return np.clip(signal, -limit, limit)


@dataclass(frozen=True)
class Tilt:
    """Spectral tilt in decibels per octave around 1 kHz, as with other microphones."""

    name: str
    slope: float  # dB per octave

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the filtered signal, of the same length and level."""
        frequencies = np.maximum(np.fft.rfftfreq(len(signal), 1 / sampling_rate), LOWEST)
        gains = 10 ** (self.slope * np.log2(frequencies / PIVOT) / 20)
        return _match_rms(np.fft.irfft(np.fft.rfft(signal) * gains, len(signal)), signal)


@dataclass(frozen=True)
class Cut:
    """A contiguous section from a random start: a recording that begins late and ends early."""

    name: str
    kept: float  # fraction of the clip

    def __call__(self, signal: np.ndarray, sampling_rate: Hertz, rng: np.random.Generator) -> np.ndarray:
        """Return the section, of ``kept`` times the length."""
        samples = max(1, round(self.kept * len(signal)))
        start = rng.integers(len(signal) - samples, endpoint=True)
        return signal[start : start + samples]


def _rms(signal: np.ndarray) -> float:
    """Return the root mean square, or 1 for silence."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) or 1.0


def _match_rms(changed: np.ndarray, signal: np.ndarray) -> np.ndarray:
    return (changed * (_rms(signal) / _rms(changed))).astype(np.float32) if signal.any() else signal


def signal_to_noise(signal: np.ndarray, noisy: np.ndarray) -> float:
    """Return the SNR in decibels of a signal and its noisy version, both of shape ``(samples,)``.

    Examples:
        >>> round(signal_to_noise(np.array([1.0, -1.0]), np.array([1.1, -1.1])), 3)
        20.0
    """
    return float(20 * np.log10(_rms(signal) / _rms(noisy.astype(np.float64) - signal)))
