"""Log-mel spectrogram of the speech in a clip: the quiet before and after it is left out."""

from dataclasses import dataclass

import numpy as np

from sernb.features.mel import LogMel


@dataclass(frozen=True)
class SpeechMel(LogMel):
    """As ``LogMel``, from just before the first loud frame to just after the last."""

    hop: int = 256  # samples
    loud: float = 40.0  # dB below the loudest band of the loudest frame, or less
    margin: int = 3  # frames kept before the first loud one and after the last

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return decibels, shape ``(frames, bands)``, float32; at least one frame."""
        level = super().__call__(signal)
        loudest = level.max(axis=1)
        loud = np.flatnonzero(loudest >= loudest.max() - self.loud)
        return level[max(0, loud[0] - self.margin) : loud[-1] + self.margin + 1]
