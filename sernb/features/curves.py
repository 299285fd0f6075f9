"""Log-mel spectrogram, zero-crossing rate and energy of a clip of fixed length (yousefkotp's networks)."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import fit_end
from sernb.features.base import Features
from sernb.features.mel import decibels, mel_power

SILENT = 1e-10  # amplitudes up to this count as 0, as in librosa
EPSILON = 1e-6  # as in the authors' code


@dataclass(frozen=True)
class Curves(Features):
    """Log-mel bands scaled to 0 … 1, zero-crossing rate and energy of 5.005 s: 690 frames, 42 columns.

    Clips are truncated or zero-padded at the end. The dynamic range of 80 dB is min-max scaled per clip; energy is the
    mean square of a frame. Networks select their columns themselves, so that all share one cache.
    """

    sampling_rate: Hertz = 22_050  # in the authors' code; 16 kHz in their text
    samples: int = 110_361
    window: int = 512  # samples
    hop: int = 160  # samples; 128 in the authors' text
    bands: int = 40

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [*(f"mel {band:02d}" for band in range(self.bands)), "zero-crossing rate", "energy"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return mel bands, zero-crossing rate and energy, shape ``(1 + samples // hop, width)``, float32."""
        return self.compute(self.preprocess(signal))

    def preprocess(self, signal: np.ndarray) -> np.ndarray:
        """Return the clip at its fixed length, shape ``(samples,)``."""
        return fit_end(signal, self.samples)

    def compute(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a preprocessed signal, whose length a view may have changed."""
        signal = fit_end(signal, self.samples).astype(np.float32, copy=False)
        level = decibels(mel_power(signal, self))
        low, high = level.min(), level.max()
        energy = (self._frames(signal, "constant") ** 2).mean(axis=1)
        columns = (level - low) / (high - low + EPSILON), self._crossings(signal), energy
        return np.column_stack(columns).astype(np.float32)

    def _crossings(self, signal: np.ndarray) -> np.ndarray:
        negative = self._frames(signal, "edge") < -SILENT
        return (negative[:, 1:] != negative[:, :-1]).sum(axis=1) / self.window

    def _frames(self, signal: np.ndarray, padding: str) -> np.ndarray:
        padded = np.pad(signal, self.window // 2, mode=padding)
        return np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]  # (frames, window)
