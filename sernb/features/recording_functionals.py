"""Functionals of the voice, and statistics of the whole recording including silence and room, in one row."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import resample
from sernb.features.base import Features
from sernb.features.functionals import STATISTICS, Functionals, summarise
from sernb.features.mel import Mfcc

PARTS = ("recording", "first half", "second half")


@dataclass(frozen=True)
class RecordingFunctionals(Features):
    """Functionals of the voice, then 20 statistics of 39 MFCC over the recording and each half of it.

    The MFCC are those of TIM-Net, silence at both ends included. They identify recording sessions, which helps with
    seen speakers only.
    """

    sampling_rate: ClassVar[Hertz] = Mfcc.sampling_rate
    voice: Functionals = field(default_factory=Functionals)
    mfcc: Mfcc = field(default_factory=Mfcc)

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
