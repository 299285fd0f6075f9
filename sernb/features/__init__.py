"""Signal → features: one module a kind, each kind a frozen dataclass that holds all of its settings.

Frames lie as in librosa (centred, zero-padded), and the values agree with librosa's to rounding, as the tests show.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.features.clipped_mfcc import ClippedMfcc
from sernb.features.curves import Curves
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals
from sernb.features.image import LogMelPicture
from sernb.features.joined import Joined
from sernb.features.levelled import LevelledEmbedding, LevelledFunctionals
from sernb.features.mel import LogMel, Mfcc
from sernb.features.normalisation import Normaliser
from sernb.features.prosody import F0, Level
from sernb.features.recording_functionals import RecordingFunctionals
from sernb.features.speech_mel import SpeechMel
from sernb.features.statistics import Statistics
from sernb.features.values import FrameValues
from sernb.features.whisper_mel import WhisperMel
from sernb.features.windows import LogMelWindows

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "F0",
    "VERSION",
    "ClippedMfcc",
    "Curves",
    "Embedding",
    "Features",
    "FrameValues",
    "Functionals",
    "Joined",
    "Level",
    "LevelledEmbedding",
    "LevelledFunctionals",
    "LogMel",
    "LogMelPicture",
    "LogMelWindows",
    "Mfcc",
    "Normaliser",
    "RecordingFunctionals",
    "SpeechMel",
    "Statistics",
    "WhisperMel",
]

# Part of every cache name: raise it when a change here alters values.
VERSION = 1


class Features(Protocol):
    """What every kind of features has; all else are its own settings.

    A kind that reads only a section of a clip has ``section(signal)`` and ``of_section(section)`` as well; a view
    (:func:`sernb.features.extraction.extract_features`) then changes the section.
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


class _Callable(ModuleType):
    """The room itself, which can be called: ``sernb.features(recordings)`` is a function of the package's API."""

    def __call__(self, recordings: object, kind: str = "functionals", **options: object) -> "pd.DataFrame":
        """Return features as :func:`sernb.features.tables.compute_features` does."""
        from sernb.features.tables import compute_features

        return compute_features(recordings, kind, **options)


sys.modules[__name__].__class__ = _Callable
