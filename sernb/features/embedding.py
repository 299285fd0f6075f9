"""Embeddings: hidden states of a pretrained speech encoder by layer, pooled over time or per frame."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.config import DataError
from sernb.encoders.registry import DEFAULT, LONGEST
from sernb.features.base import Features
from sernb.features.prosody import Level

if TYPE_CHECKING:
    import pandas as pd

POOLINGS = {"mean": ("mean",), "mean+std": ("mean", "std"), "frames": ("value",)}
QUIET = 30.0  # dB below the loudest frame, the threshold for trimming silence


@dataclass(frozen=True)
class Embedding(Features):
    """Hidden states of an encoder: one row per clip or, with the pooling ``frames``, per position.

    Layer 0 is the output of the convolutions (in Whisper plus position encodings), layer k that of block k. A row
    concatenates the layers, each with its mean and then its standard deviation over time.
    """

    encoder: str = DEFAULT  # of the registry, or onnx:FILE, hf:NAME, table:FILE
    layers: str = "all"  # or one such as "2", or a range such as "1-3"
    pooling: str = "mean+std"  # of POOLINGS
    trimmed: bool = True  # silence at both ends is removed
    padded: bool = False  # to 30 s as in the published Whisper, instead of encoding the real frames only
    weights: str = ""  # identifier of the encoder's weights, determined if not given

    def __post_init__(self):
        """Check the settings and determine the identifier of the weights."""
        from sernb.encoders.loading import identity_of, with_full_path

        object.__setattr__(self, "encoder", with_full_path(self.encoder))
        if self.pooling not in POOLINGS:
            raise DataError(f"no pooling is named {self.pooling!r}; known: {', '.join(POOLINGS)}")
        if not re.fullmatch(r"all|\d+(-\d+)?", self.layers):
            raise DataError(f"layers {self.layers!r}: write all, one as in 2, or a range as in 1-3")
        if not self.weights:
            object.__setattr__(self, "weights", identity_of(self.encoder))

    @property
    def layer_numbers(self) -> range:
        """Numbers of the selected layers.

        Raises:
            DataError: if the encoder has fewer layers
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
        """Sampling rate of the encoder's input."""
        from sernb.encoders.loading import get_metadata

        return get_metadata(self.encoder).sampling_rate

    @property
    def is_table(self) -> bool:
        """Whether this is an imported table of embeddings, limited to its own clips."""
        return self.encoder.startswith("table:")

    @property
    def statistics(self) -> tuple[str, ...]:
        """Statistics over time of each hidden unit."""
        return ("value",) if self.is_table else POOLINGS[self.pooling]

    @property
    def layer_width(self) -> int:
        """Number of columns per layer."""
        from sernb.encoders.loading import get_metadata

        return get_metadata(self.encoder).width * len(self.statistics)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.layer_numbers) * self.layer_width

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        units = range(self.layer_width // len(self.statistics))
        parts = [f"layer {k} {name}" for k in self.layer_numbers for name in self.statistics]
        return [f"{part} {unit:04d}" for part in parts for unit in units]

    def from_table(self, clips: "pd.DataFrame", *, original: bool = True) -> dict[str, np.ndarray]:
        """Return the rows of an imported table, ``(1, width)`` by clip.

        Args:
            clips: with the columns clip and path
            original: whether the recordings are requested, not augmented copies

        Raises:
            DataError: if a clip has no row, or augmented copies are requested
        """
        from sernb.encoders.loading import get_metadata

        if not original:
            raise DataError(
                f"{self.encoder}: holds original clips only, so there are no augmented copies and no test-time "
                "augmentation; take a system and options without views"
            )
        return get_metadata(self.encoder).of(clips)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the embedding, float32, shape ``(1, width)``, or ``(positions, width)`` per frame."""
        encode = self._open()
        windows = encode(trim_silence(signal, self.sampling_rate) if self.trimmed else signal)
        if self.pooling == "frames":
            return np.concatenate([np.concatenate(list(states), axis=1) for states in windows])
        return self._pool(windows)

    def embed_blocks(self, read: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
        """Return the pooled embedding of a signal given in blocks, so that memory does not grow with its length.

        Args:
            read: yields the blocks, each ``(samples,)``; called twice if silence is trimmed

        Returns:
            float32, shape ``(1, width)``, as for the whole signal
        """
        encode = self._open()
        blocks = _crop(read(), *find_speech(read(), self.sampling_rate)) if self.trimmed else read()
        pieces = _regroup(blocks, round(LONGEST * self.sampling_rate))
        return self._pool(states for piece in pieces for states in encode(piece))

    def _open(self) -> Callable[[np.ndarray], Iterator[np.ndarray]]:
        """Return the encoder: signal → hidden states by window, ``(selected layers, positions, width)``."""
        from sernb.encoders.loading import load_encoder

        if self.is_table:
            raise DataError(f"{self.encoder}: has rows for its own clips only; other recordings need the encoder")
        encoder, numbers = load_encoder(self.encoder, padded=self.padded), self.layer_numbers
        return lambda signal: (states[numbers.start : numbers.stop] for states in encoder(signal))

    def _pool(self, windows: Iterable[np.ndarray]) -> np.ndarray:
        count, total, squares = 0, 0.0, 0.0
        for states in windows:
            exact = states.astype(np.float64)
            count, total, squares = count + states.shape[1], total + exact.sum(axis=1), squares + (exact**2).sum(axis=1)
        mean = total / count
        pooled = {"mean": mean, "std": np.sqrt(np.maximum(squares / count - mean**2, 0))}
        row = np.concatenate([pooled[name] for name in POOLINGS[self.pooling]], axis=1)  # (layers, layer width)
        return row.reshape(1, -1).astype(np.float32)


def trim_silence(signal: np.ndarray, sampling_rate: Hertz, quiet: float = QUIET) -> np.ndarray:
    """Trim frames at both ends that are ``quiet`` decibels below the loudest, as ``librosa.effects.trim`` does."""
    loudness = Level(sampling_rate)
    start, end = _find_loud(loudness(signal)[:, 0], loudness.hop, quiet)
    return signal[start:end]


def find_speech(blocks: Iterable[np.ndarray], sampling_rate: Hertz, quiet: float = QUIET) -> tuple[int, int]:
    """Return start and end, in samples, of what :func:`trim_silence` leaves of a signal given in blocks."""
    loudness = Level(sampling_rate)
    padding, hop = np.zeros(loudness.window // 2, np.float32), loudness.hop
    levels, buffer = [], padding
    for block in chain(blocks, [padding]):
        buffer = np.concatenate([buffer, block])
        if len(buffer) >= loudness.window:
            levels.append(loudness.of_full_frames(buffer)[:, 0])
            buffer = buffer[len(levels[-1]) * hop :]
    return _find_loud(np.concatenate(levels), hop, quiet)


def _find_loud(level: np.ndarray, hop: int, quiet: float) -> tuple[int, int]:
    loud = np.flatnonzero(level > level.max() - quiet)
    return int(loud[0]) * hop, (int(loud[-1]) + 1) * hop


def _crop(blocks: Iterable[np.ndarray], start: int, end: int) -> Iterator[np.ndarray]:
    """Yield the samples from start to end."""
    position = 0
    for block in blocks:
        yield block[max(0, start - position) : max(0, end - position)]
        position += len(block)


def _regroup(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield pieces of ``size`` samples; the last one, of less than twice as many, has the remainder."""
    buffer = np.zeros(0, np.float32)
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= 2 * size:
            yield buffer[:size]
            buffer = buffer[size:]
    yield buffer
