"""Overlapping windows of a log-mel spectrogram, for networks with a time-distributed CNN."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import fit_end
from sernb.features.base import Features
from sernb.features.mel import DYNAMIC_RANGE, POWER_FLOOR


@dataclass(frozen=True)
class LogMelWindows(Features):
    """Five concatenated windows of 128 frames × 128 log-mel bands from 3.07 s of a clip: (640, 128).

    The clip starts after ``offset`` (at 0 if it is not longer than that), is standardised, and is truncated or
    zero-padded at the end. Decibels are relative to the maximum. Frames are centred with reflection padding, as in the
    authors' version of librosa (0.6).
    """

    sampling_rate: Hertz = 16_000
    offset: Seconds = 0.5
    samples: int = 49_100
    n_fft: int = 512
    window: int = 256  # samples, Hamming
    hop: int = 128  # samples
    bands: int = 128
    highest: Hertz = 4000
    frames: int = 128  # of a window
    step: int = 64  # hop of the windows, in frames

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"mel {band:03d}" for band in range(self.bands)]

    @property
    def windows(self) -> int:
        """Number of windows."""
        return (1 + self.samples // self.hop - self.frames) // self.step + 1

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels, shape ``(windows * frames, bands)``, float32."""
        return self.compute(self.preprocess(signal))

    def preprocess(self, signal: np.ndarray) -> np.ndarray:
        """Return the standardised section of a clip, shape ``(samples,)``."""
        start = int(self.offset * self.sampling_rate)
        section = signal[start:] if len(signal) > start else signal
        deviation = section.std(dtype=np.float64)
        standard = (section - section.mean(dtype=np.float64)) / (deviation if deviation > 0 else 1)
        return fit_end(standard.astype(np.float32), self.samples)

    def compute(self, signal: np.ndarray) -> np.ndarray:
        """Return the windows of a preprocessed signal."""
        from scipy.fft import rfft
        from scipy.signal import get_window

        padded = np.pad(signal, self.n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop]
        window = np.pad(get_window("hamming", self.window), (self.n_fft - self.window) // 2).astype(np.float32)
        spectrum = rfft(frames * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ _mel_bands(self)
        level = 10 * np.log10(np.maximum(power, POWER_FLOOR))
        level = np.maximum(level - level.max(), -DYNAMIC_RANGE).astype(np.float32)
        starts = range(0, self.windows * self.step, self.step)
        return np.concatenate([level[start : start + self.frames] for start in starts])


@lru_cache
def _mel_bands(settings: LogMelWindows) -> np.ndarray:
    from librosa.filters import mel

    return np.ascontiguousarray(
        mel(sr=settings.sampling_rate, n_fft=settings.n_fft, n_mels=settings.bands, fmax=settings.highest).T
    )
