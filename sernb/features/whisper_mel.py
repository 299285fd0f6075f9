"""Log-mel spectrogram of the speech in a clip, as Whisper's encoders read it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.encoders.whisper import BANDS, SAMPLES, SAMPLING_RATE, log_mel
from sernb.features.embedding import without_silence


@dataclass(frozen=True)
class WhisperMel:
    """Whisper's input, see :func:`sernb.encoders.whisper.log_mel`, of the first 30 s: the same for all its sizes."""

    sampling_rate: ClassVar[Hertz] = SAMPLING_RATE
    resampling: ClassVar[str] = "soxr"
    trimmed: bool = True  # without silence at both ends

    @property
    def width(self) -> int:
        """Columns of the result."""
        return BANDS

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"mel {band:02d}" for band in range(BANDS)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the log-mel, float32, shape ``(frames, 80)``, a frame every 10 ms."""
        speech = without_silence(signal, self.sampling_rate) if self.trimmed else signal
        return log_mel(speech[:SAMPLES])
