"""A clip as one row: statistics of its voice, and of the whole recording around it, silence, room and all."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import resample
from sernb.features.functionals import STATISTICS, Functionals, summarise
from sernb.features.mel import Mfcc

PARTS = ("recording", "first half", "second half")


@dataclass(frozen=True)
class RecordingFunctionals:
    """The functionals of the voice, then 20 statistics of 39 MFCC over the recording and over each half of it.

    MFCC as TIM-Net reads them: silence before and after the voice counts. They tell recordings of one session from
    those of another, which helps with seen speakers, and with no others.
    """

    sampling_rate: ClassVar[Hertz] = Mfcc.sampling_rate
    resampling: ClassVar[str] = "soxr"
    voice: Functionals = field(default_factory=Functionals)
    mfcc: Mfcc = field(default_factory=Mfcc)

    @property
    def width(self) -> int:
        """Columns of the result."""
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        around = [f"{each}, {part}: {of}" for part in PARTS for of in STATISTICS for each in self.mfcc.names]
        return [*(f"voice: {name}" for name in self.voice.names), *around]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the statistics as one row, shape ``(1, width)``, float32."""
        voice = resample(signal, original_rate=self.sampling_rate, sampling_rate=self.voice.sampling_rate)
        mfcc = self.mfcc(signal).astype(np.float64)  # (frames, coefficients)
        middle = len(mfcc) // 2
        around = np.stack([summarise(part) for part in (mfcc, mfcc[:middle], mfcc[middle:])])
        return np.concatenate([self.voice(voice), around.reshape(1, -1)], axis=1).astype(np.float32)
