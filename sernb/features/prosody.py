"""Pitch and loudness over time: what a listener hears first in an emotional voice."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.features.pitch import Pitch

LEVEL_FLOOR = 1e-10  # power: digital silence is at -100 dB


@dataclass(frozen=True)
class F0:
    """Fundamental frequency over time, as :class:`sernb.features.pitch.Pitch` follows it."""

    pitch: Pitch = field(default_factory=Pitch)
    resampling: ClassVar[str] = "soxr"

    @property
    def sampling_rate(self) -> Hertz:
        """The rate at which pitch is looked for."""
        return self.pitch.sampling_rate

    @property
    def width(self) -> int:
        """Columns of the result."""
        return 1

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return ["F0"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return F0 in Hz, 0 where there is no voice, shape ``(frames, 1)``, float32."""
        return self.pitch.track(signal).f0[:, None].astype(np.float32)


@dataclass(frozen=True)
class Level:
    """Level of short frames in decibels relative to full scale: a sine that just fits has -3.0 dB."""

    sampling_rate: Hertz = 22_050
    resampling: ClassVar[str] = "soxr"
    window: int = 2048  # samples
    hop: int = 512  # samples

    @property
    def width(self) -> int:
        """Columns of the result."""
        return 1

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return ["level"]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels of mean power, centred and zero-padded frames, shape ``(1 + samples // hop, 1)``, float32."""
        padded = np.pad(signal.astype(np.float64), self.window // 2)
        power = np.concatenate([[0], np.cumsum(padded**2)])
        mean = (power[self.window :] - power[: -self.window])[:: self.hop] / self.window
        return 10 * np.log10(np.maximum(mean, LEVEL_FLOOR))[:, None].astype(np.float32)
