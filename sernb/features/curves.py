"""Mel bands, zero-crossing rate and energy of a padded clip, frame by frame (yousefkotp's networks)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import fit_end
from sernb.features.mel import decibels, mel_power

SILENT = 1e-10  # librosa takes an amplitude up to this as 0
EPSILON = 1e-6  # the authors'


@dataclass(frozen=True)
class Curves:
    """Log-mel bands from 0 to 1, zero-crossing rate and energy of 5.005 s: 690 frames, 42 columns (yousefkotp).

    Every clip is cut or zero-padded at the end to one length. Mel bands are decibels over a range of 80 dB, brought to
    0 … 1 clip by clip; energy is the mean square of a frame. Networks that read a part of the columns choose it
    themselves, so that all share one cache.
    """

    sampling_rate: Hertz = 22_050  # the authors' text has 16 kHz, their code loads at this rate
    resampling: ClassVar[str] = "soxr"
    samples: int = 110_361
    window: int = 512  # samples
    hop: int = 160  # samples; the authors' text has 128
    bands: int = 40

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.bands + 2

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [*(f"mel {band:02d}" for band in range(self.bands)), "zero-crossing rate", "energy"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return mel bands, zero-crossing rate and energy, shape ``(1 + samples // hop, width)``, float32."""
        return self.of_section(self.section(signal))

    def section(self, signal: np.ndarray) -> np.ndarray:
        """Return the clip at its one length, shape ``(samples,)``."""
        return fit_end(signal, self.samples)

    def of_section(self, section: np.ndarray) -> np.ndarray:
        """Return the columns of a section, as above; a view may have made it shorter or longer."""
        signal = fit_end(section, self.samples).astype(np.float32, copy=False)
        level = decibels(mel_power(signal, self))
        low, high = level.min(), level.max()
        energy = (self._frames(signal, "constant") ** 2).mean(axis=1)
        columns = (level - low) / (high - low + EPSILON), self._crossings(signal), energy
        return np.column_stack(columns).astype(np.float32)

    def _crossings(self, signal: np.ndarray) -> np.ndarray:
        negative = self._frames(signal, "edge") < -SILENT
        return (negative[:, 1:] != negative[:, :-1]).sum(axis=1) / self.window

    def _frames(self, signal: np.ndarray, beyond: str) -> np.ndarray:
        padded = np.pad(signal, self.window // 2, mode=beyond)
        return np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]  # (frames, window)
