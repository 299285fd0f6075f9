"""Signal → features: one module a kind, each kind a frozen dataclass that says all of its settings.

Frames lie as in librosa (centred, zero-padded), and the values agree with librosa's to rounding, as the tests show.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sernb.audio import Hertz
from sernb.features.clipped_mfcc import ClippedMfcc
from sernb.features.curves import Curves
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals
from sernb.features.image import LogMelPicture
from sernb.features.mel import LogMel, Mfcc
from sernb.features.prosody import F0, Level
from sernb.features.recording_functionals import RecordingFunctionals
from sernb.features.speech_mel import SpeechMel
from sernb.features.statistics import Statistics
from sernb.features.values import FrameValues
from sernb.features.windows import LogMelWindows

__all__ = [
    "F0",
    "VERSION",
    "ClippedMfcc",
    "Curves",
    "Embedding",
    "Features",
    "FrameValues",
    "Functionals",
    "Level",
    "LogMel",
    "LogMelPicture",
    "LogMelWindows",
    "Mfcc",
    "Normaliser",
    "RecordingFunctionals",
    "SpeechMel",
    "Statistics",
]

# Part of every cache name: raise it when a change here alters values.
VERSION = 1


class Features(Protocol):
    """What every kind of features has; all else are its own settings.

    A kind that hears only a section of a clip has ``section(signal)`` and ``of_section(section)`` as well; a view
    (:func:`sernb.augment.features_of`) then changes the section.
    """

    sampling_rate: Hertz
    resampling: str  # how to get there: "soxr" or "linear"

    @property
    def width(self) -> int:
        """Columns of the result."""
        ...

    @property
    def names(self) -> list[str]:
        """Names of the columns, each once."""
        ...

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal, float32, shape ``(frames, width)``."""
        ...


class Normaliser:
    """Mean and standard deviation of each column, fitted on some clips and applied to any.

    Clips are read one after the other, twice: together they may be larger than the memory.
    """

    def __init__(self, clips: Sequence[np.ndarray]):
        rows, total, squares = 0, 0.0, 0.0
        for clip in clips:
            rows, total = rows + len(clip), _added(total, clip)
        self.mean = total / rows
        for clip in clips:
            squares = _added(squares, (clip - self.mean) ** 2)
        deviation = np.sqrt(squares / rows)
        self.deviation = np.where(deviation > 1e-8, deviation, 1.0)  # a constant column becomes 0, not NaN

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Return the clip with each column at mean 0 and standard deviation 1 over the fitted clips, float32."""
        return ((clip - self.mean) / self.deviation).astype(np.float32)


def _added(total: float | np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Add the rows to a total one after the other, so that it is the same however they are parted into clips."""
    return np.insert(clip.astype(np.float64), 0, total, axis=0).sum(axis=0)
