"""Log-mel spectrogram and MFCC, with librosa's frames and values, in a fifth of its time a clip."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from sernb.audio import Hertz, fit_centre

POWER_FLOOR = 1e-10
DYNAMIC_RANGE = 80.0  # dB below the loudest cell of the clip


@dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram in decibels (0 dB: power 1; floor: 80 dB under the clip's maximum)."""

    sampling_rate: Hertz = 16_000
    resampling: ClassVar[str] = "soxr"
    window: int = 512  # samples
    hop: int = 160  # samples
    bands: int = 64

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.bands

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"mel {band:02d}" for band in range(self.bands)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels, shape ``(1 + samples // hop, bands)``, float32."""
        return decibels(mel_power(signal, self))


@dataclass(frozen=True)
class Mfcc:
    """Mel-frequency cepstral coefficients 0 … ``coefficients - 1`` of a clip fitted to one length."""

    sampling_rate: Hertz = 22_050
    resampling: ClassVar[str] = "soxr"
    samples: int = 110_000  # every clip is cut or zero-padded to this, alike at both ends
    window: int = 2048
    hop: int = 512
    bands: int = 128
    coefficients: int = 39

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.coefficients

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"MFCC {k:02d}" for k in range(self.coefficients)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return coefficients, shape ``(1 + samples // hop, coefficients)``, float32."""
        from scipy.fft import dct

        level = decibels(mel_power(fit_centre(signal, self.samples), self))
        return dct(level, axis=1, norm="ortho")[:, : self.coefficients]


def mel_power(signal: np.ndarray, settings: LogMel | Mfcc) -> np.ndarray:
    """Mel spectrogram of power: Hann window, centred frames, Slaney's mel bands of equal area.

    Returns:
        power, shape ``(1 + samples // hop, bands)``, float32
    """
    from scipy.fft import rfft

    half = settings.window // 2
    padded = np.pad(signal.astype(np.float32, copy=False), half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.window)[:: settings.hop]
    spectrum = rfft(frames * hann(settings.window), axis=1)  # (frames, 1 + window // 2), complex64
    power = spectrum.real**2 + spectrum.imag**2
    return power @ mel_bands(settings.sampling_rate, settings.window, settings.bands)


@lru_cache
def hann(samples: int) -> np.ndarray:
    """Hann's window, periodic, float32. Written out, as scipy.signal takes a second to import."""
    return (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, samples + 1)[:-1])).astype(np.float32)


@lru_cache
def mel_bands(sampling_rate: Hertz, window: int, bands: int) -> np.ndarray:
    """Triangles of equal area on Slaney's mel scale (1998), as librosa's default; shape ``(1 + window // 2, bands)``.

    Made here because importing librosa's own takes 2 s.
    """
    # Slaney's mels: 15 linear ones up to 1 kHz, then 27 for each factor of 6.4.
    growth = np.log(6.4) / 27
    mels = np.linspace(0, 15 + np.log(sampling_rate / 2 / 1000) / growth, bands + 2)
    edges = np.where(mels < 15, mels * (200 / 3), 1000 * np.exp(growth * (mels - 15)))  # hertz
    ramps = edges[:, None] - np.fft.rfftfreq(window, 1 / sampling_rate)
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(np.float32)
    areas = (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.ascontiguousarray((triangles * areas).astype(np.float32).T)


def decibels(power: np.ndarray) -> np.ndarray:
    """Return power in decibels, cut off ``DYNAMIC_RANGE`` below its loudest cell; float32."""
    level = 10 * np.log10(np.maximum(power, POWER_FLOOR))
    return np.maximum(level, level.max() - DYNAMIC_RANGE).astype(np.float32)
