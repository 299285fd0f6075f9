"""Prosodic contours: fundamental frequency and level."""

from dataclasses import dataclass, field

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.features.base import Features
from sernb.features.pitch import Pitch

LEVEL_FLOOR = 1e-10  # power, -100 dB


@dataclass(frozen=True)
class F0(Features):
    """Fundamental frequency contour, see :class:`sernb.features.pitch.Pitch`."""

    pitch: Pitch = field(default_factory=Pitch)

    @property
    def sampling_rate(self) -> Hertz:
        """Sampling rate for pitch tracking."""
        return self.pitch.sampling_rate

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return ["F0"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return F0 in Hz, 0 in unvoiced frames, shape ``(frames, 1)``, float32."""
        return self.pitch.track(signal).f0[:, None].astype(np.float32)


@dataclass(frozen=True)
class Level(Features):
    """Level contour in decibels relative to full scale; a full-scale sine has -3.0 dB."""

    sampling_rate: Hertz = 22_050
    window: int = 2048  # samples
    hop: int = 512  # samples

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return ["level"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels of mean power, centred and zero-padded frames, shape ``(1 + samples // hop, 1)``, float32."""
        return self.of_full_frames(np.pad(signal, self.window // 2))

    def of_full_frames(self, signal: np.ndarray) -> np.ndarray:
        """Return the same of the frames that lie in a signal, ``(1 + (samples - window) // hop, 1)``."""
        power = np.concatenate([[0], np.cumsum(signal.astype(np.float64) ** 2)])
        mean = (power[self.window :] - power[: -self.window])[:: self.hop] / self.window
        return 10 * np.log10(np.maximum(mean, LEVEL_FLOOR))[:, None].astype(np.float32)
