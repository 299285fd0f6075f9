"""Feature extraction: one module per kind of features, a frozen dataclass with all its settings.

Frames are centred and zero-padded as in librosa, and values agree with librosa's to rounding.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from sernb.features.base import Features
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

# Part of the name of each cache: increase it when a change alters values.
VERSION = 1


class _Callable(ModuleType):
    """This module as a callable: ``sernb.features(recordings)`` is part of the package's API."""

    def __call__(self, recordings: object, kind: str = "functionals", **options: object) -> "pd.DataFrame":
        """Return features as :func:`sernb.features.tables.compute_features` does."""
        from sernb.features.tables import compute_features

        return compute_features(recordings, kind, **options)


sys.modules[__name__].__class__ = _Callable
