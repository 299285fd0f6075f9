"""The interface of all kinds of features."""

from typing import Protocol

import numpy as np

from sernb.audio.decoders import Hertz


class Features(Protocol):
    """A kind of features: a frozen dataclass whose fields are its settings.

    Kinds that read a section of a clip, or scale it, also have ``preprocess(signal)`` and ``compute(preprocessed)``:
    views (:func:`sernb.features.extraction.extract_features`) then transform the preprocessed signal.
    """

    sampling_rate: Hertz
    resampling: str = "soxr"  # or "linear"

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Names of the columns, without duplicates."""
        ...

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal, float32, shape ``(frames, width)``."""
        ...
