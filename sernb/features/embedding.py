"""A clip as the hidden states of a pretrained speech encoder, layer by layer, summed up over time or frame by frame."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.config import DataError
from sernb.encoders.registry import DEFAULT
from sernb.features.prosody import Level

if TYPE_CHECKING:
    import pandas as pd

POOLINGS = {"mean": ("mean",), "mean+std": ("mean", "std"), "frames": ("value",)}
QUIET = 30.0  # dB below the loudest frame: silence before and after


@dataclass(frozen=True)
class Embedding:
    """Hidden states of an encoder: one row a clip, or with ``frames`` one for each of its positions.

    Layer 0 comes after the convolutions (of Whisper: and the position codes), layer k after block k. The row holds one
    layer after the other, of each its mean, then its standard deviation over time.
    """

    resampling: ClassVar[str] = "soxr"
    encoder: str = DEFAULT  # of the registry, or onnx:FILE, hf:NAME, table:FILE
    layers: str = "all"  # or one as "2", or a range as "1-3"
    pooling: str = "mean+std"  # of POOLINGS
    trimmed: bool = True  # without silence at both ends
    padded: bool = False  # to 30 s, as Whisper is published; else the real frames only
    weights: str = ""  # digits that stand for the encoder's weights; found out where not given

    def __post_init__(self):
        """Refuse what cannot be, and note which weights these are."""
        from sernb.encoders.loading import identity_of, with_full_path

        object.__setattr__(self, "encoder", with_full_path(self.encoder))
        if self.pooling not in POOLINGS:
            raise DataError(f"no pooling is named {self.pooling!r}; known: {', '.join(POOLINGS)}")
        if not re.fullmatch(r"all|\d+(-\d+)?", self.layers):
            raise DataError(f"layers {self.layers!r}: write all, one as in 2, or a range as in 1-3")
        if not self.weights:
            object.__setattr__(self, "weights", identity_of(self.encoder))

    @property
    def numbers(self) -> range:
        """The layers, by number.

        Raises:
            DataError: if the encoder has fewer
        """
        from sernb.encoders.loading import get_metadata

        count = get_metadata(self.encoder).layers
        if self.layers == "all":
            return range(count)
        first, _, last = self.layers.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[-1] >= count:
            raise DataError(f"layers {self.layers}: {self.encoder} has layers 0 to {count - 1}")
        return numbers

    @property
    def sampling_rate(self) -> Hertz:
        """The sampling rate of the encoder's input."""
        from sernb.encoders.loading import get_metadata

        return get_metadata(self.encoder).sampling_rate

    @property
    def is_table(self) -> bool:
        """Whether it was computed elsewhere, for the clips of a table only."""
        return self.encoder.startswith("table:")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What stands in a row for each value of a hidden state."""
        return ("value",) if self.is_table else POOLINGS[self.pooling]

    @property
    def parts(self) -> int:
        """Columns of one layer."""
        from sernb.encoders.loading import get_metadata

        return get_metadata(self.encoder).width * len(self.kinds)

    @property
    def width(self) -> int:
        """Columns of the result."""
        return len(self.numbers) * self.parts

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        values = range(self.parts // len(self.kinds))
        return [f"layer {k} {kind} {value:04d}" for k in self.numbers for kind in self.kinds for value in values]

    def of_table(self, clips: "pd.DataFrame", *, original: bool = True) -> dict[str, np.ndarray]:
        """Return the rows of a table, ``(1, width)`` by clip.

        Args:
            clips: with the columns clip and path
            original: the recordings are wanted, not augmented copies

        Raises:
            DataError: if a clip has no row, or copies are wanted
        """
        from sernb.encoders.loading import get_metadata

        if not original:
            raise DataError(
                f"{self.encoder}: holds original clips only, so there are no augmented copies and no test-time "
                "augmentation; take a system and options without views"
            )
        return get_metadata(self.encoder).of(clips)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the embedding, float32, shape ``(1, width)``; of frames ``(positions, width)``."""
        from sernb.encoders.loading import load_encoder

        if self.is_table:
            raise DataError(f"{self.encoder}: has rows for its own clips only; other sound needs the encoder itself")
        encoder, numbers = load_encoder(self.encoder, padded=self.padded), self.numbers
        if self.trimmed:
            signal = without_silence(signal, self.sampling_rate)
        stretches = (states[numbers.start : numbers.stop] for states in encoder(signal))
        if self.pooling == "frames":
            return np.concatenate([np.concatenate(list(states), axis=1) for states in stretches])
        count, total, squares = 0, 0.0, 0.0
        for states in stretches:  # (layers, positions, width); hours pass one stretch at a time
            exact = states.astype(np.float64)
            count, total, squares = count + states.shape[1], total + exact.sum(axis=1), squares + (exact**2).sum(axis=1)
        mean = total / count
        pooled = {"mean": mean, "std": np.sqrt(np.maximum(squares / count - mean**2, 0))}
        row = np.concatenate([pooled[kind] for kind in POOLINGS[self.pooling]], axis=1)  # (layers, parts)
        return row.reshape(1, -1).astype(np.float32)


def without_silence(signal: np.ndarray, sampling_rate: Hertz, quiet: float = QUIET) -> np.ndarray:
    """Return the signal without the frames before and after that are that many decibels below the loudest one.

    Frames of 2048 samples, every 512, centred: as librosa's ``effects.trim``.
    """
    loudness = Level(sampling_rate)
    level = loudness(signal)[:, 0]
    loud = np.flatnonzero(level > level.max() - quiet)
    return signal[loud[0] * loudness.hop : (loud[-1] + 1) * loudness.hop]
