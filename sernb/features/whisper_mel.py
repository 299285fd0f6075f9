"""Log-mel spectrogram as input of Whisper's encoders, without silence at both ends."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.encoders.whisper import BANDS, SAMPLES, SAMPLING_RATE, log_mel
from sernb.features.base import Features
from sernb.features.embedding import trim_silence


@dataclass(frozen=True)
class WhisperMel(Features):
    """Input of Whisper encoders of all sizes for the first 30 s, see :func:`sernb.encoders.whisper.log_mel`."""

    sampling_rate: ClassVar[Hertz] = SAMPLING_RATE
    trimmed: bool = True  # whether silence at both ends is removed

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"mel {band:02d}" for band in range(BANDS)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the log-mel, float32, shape ``(frames, 80)``, one frame per 10 ms."""
        speech = trim_silence(signal, self.sampling_rate) if self.trimmed else signal
        return log_mel(speech[:SAMPLES])
