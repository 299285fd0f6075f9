"""Several kinds of features of one row a clip, side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sernb.audio.decoders import Hertz

if TYPE_CHECKING:
    from sernb.features import Features


@dataclass(frozen=True)
class Joined:
    """The columns of each part, one part after the other; all parts read signals of one sampling rate."""

    resampling: ClassVar[str] = "soxr"
    parts: tuple["Features", ...]

    @property
    def sampling_rate(self) -> Hertz:
        """The sampling rate of all parts."""
        return self.parts[0].sampling_rate

    @property
    def width(self) -> int:
        """Columns of the result."""
        return sum(part.width for part in self.parts)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name for part in self.parts for name in part.names]

    def part(self, kind: type) -> "Features":
        """Return the first part of a kind.

        Raises:
            ValueError: if there is none
        """
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise ValueError(f"no {kind.__name__} among {[type(part).__name__ for part in self.parts]}")

    def columns(self, kind: type) -> slice:
        """Return the columns of the first part of a kind.

        Raises:
            ValueError: if there is none
        """
        before = self.parts[: self.parts.index(self.part(kind))]
        start = sum(part.width for part in before)
        return slice(start, start + self.part(kind).width)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features, float32, shape ``(1, width)``."""
        return np.concatenate([part(signal) for part in self.parts], axis=1)
