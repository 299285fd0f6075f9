"""Early fusion: concatenation of several kinds of features with one row per clip."""

from dataclasses import dataclass

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.features.base import Features


@dataclass(frozen=True)
class Joined(Features):
    """Concatenated columns of several kinds of features with the same sampling rate."""

    parts: tuple[Features, ...]

    @property
    def sampling_rate(self) -> Hertz:
        """Sampling rate of all parts."""
        return self.parts[0].sampling_rate

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(part.width for part in self.parts)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name for part in self.parts for name in part.names]

    def part(self, kind: type) -> Features:
        """Return the first part of a kind; raise ValueError if there is none."""
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise ValueError(f"no {kind.__name__} among {[type(part).__name__ for part in self.parts]}")

    def columns(self, kind: type) -> slice:
        """Return the columns of the first part of a kind; raise ValueError if there is none."""
        part = self.part(kind)
        start = sum(each.width for each in self.parts[: self.parts.index(part)])
        return slice(start, start + part.width)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features, float32, shape ``(1, width)``."""
        return np.concatenate([part(signal) for part in self.parts], axis=1)
