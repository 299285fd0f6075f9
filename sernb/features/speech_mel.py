"""Log-mel spectrogram of a clip without silence at both ends."""

from dataclasses import dataclass

import numpy as np

from sernb.features.mel import LogMel


@dataclass(frozen=True)
class SpeechMel(LogMel):
    """``LogMel`` from shortly before the first loud frame to shortly after the last."""

    hop: int = 256  # samples
    loud: float = 40.0  # dB: loud frames are at most so far below the maximum
    margin: int = 3  # frames kept before the first and after the last loud frame

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels, shape ``(frames, bands)``, float32; at least one frame."""
        level = super().__call__(signal)
        loudest = level.max(axis=1)
        loud = np.flatnonzero(loudest >= loudest.max() - self.loud)
        return level[max(0, loud[0] - self.margin) : loud[-1] + self.margin + 1]
