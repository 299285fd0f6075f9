"""Load an encoder by name and verify it with a known embedding.

Frequent mistakes are detected: randomly initialised layers, a wrong file, a wrong sampling rate, wrong filters.
"""

import os
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import load
from sernb.config import ROOT, DataError, expand_home
from sernb.encoders.registry import Record, record_of

DEMO = ROOT / "data" / "demo"
# Demo clips for verification; the known embedding of a record is that of the first one.
VERIFICATION_CLIPS = ("Actor_01/03-01-05-01-01-01-01.flac", "Actor_02/03-01-04-01-02-01-02.flac")
KNOWN = 2  # stored values per layer
TOLERANCE = 1e-3
FILES = ("onnx", "table")  # kinds of encoders in a file
KINDS = (*FILES, "hf")

_loading = threading.Lock()  # so that concurrent threads read the weights once


class Metadata(Protocol):
    """Metadata of an encoder: a record of the registry, or an opened encoder of another kind."""

    layers: int
    width: int
    sampling_rate: Hertz
    card: str


class Encoder(Protocol):
    """A function from a signal to hidden states."""

    sampling_rate: Hertz

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield hidden states, ``(layers, positions, width)``, of successive segments of the signal."""
        ...


def get_metadata(name: str) -> Metadata:
    """Return the metadata of an encoder.

    Raises:
        DataError: if the name is unknown, or its file cannot be used
    """
    return _open_external(name) if _kind_of(name) else record_of(name)


def load_encoder(name: str, *, padded: bool = False) -> Encoder:
    """Load and verify an encoder; the last ones are cached.

    Args:
        padded: pad every segment to 30 s; possible for Whisper only

    Raises:
        DataError: if the name is unknown, its weights are missing, or it does not reproduce its known embedding
    """
    with _loading:
        if _kind_of(name):
            if padded:
                raise DataError(f"{name}: cannot be padded to 30 s; only encoders of the registry can")
            return _open_external(name)
        return _load_whisper(name, padded)


def identity_of(name: str) -> str:
    """Return sixteen hexadecimal digits that identify the weights, for the names of caches."""
    return _open_external(name).identity if _kind_of(name) else record_of(name).sha256[:16]


@lru_cache(maxsize=3)
def _load_whisper(name: str, padded: bool) -> Encoder:
    from sernb.encoders.weights import read_weights
    from sernb.encoders.whisper import Whisper

    record = record_of(name)
    require_file(record)
    try:
        encoder = Whisper(read_weights(record.path))
    except DataError as error:
        raise DataError(f"{record.path}: is not {record.name} ({error}); get it again") from error
    verify_encoder(encoder, record.name, record.known)
    return Whisper(encoder.weights, padded=True) if padded else encoder


def require_file(record: Record) -> None:
    """Refuse weights that are missing or not the published file.

    Raises:
        DataError: with the file and the next step
    """
    from sernb.runtime.files import checksum

    path, again = record.path, f"move it away, then run `sernb fetch {record.name}`"
    if not path.is_file():
        raise DataError(
            f"{record.name}: its weights are not at {path}; run `sernb fetch {record.name}`, or set SERNB_ENCODERS to "
            "their folder"
        )
    if record.bytes is not None and path.stat().st_size != record.bytes:
        raise DataError(f"{path}: has {path.stat().st_size} bytes, but {record.bytes} were published; {again}")
    if checksum(path) != record.sha256:
        raise DataError(f"{path}: is not the published file (sha256 differs); {again}")


def embed_clip(encoder: Encoder, clip: str = VERIFICATION_CLIPS[0]) -> np.ndarray | None:
    """Return the mean over time of each layer for a demo clip, ``(layers, width)``; None if the clip is missing."""
    if not (DEMO / clip).is_file():
        return None
    states = next(iter(encoder(load(DEMO / clip, encoder.sampling_rate))))
    return states.mean(axis=1)


def select_known(embedding: np.ndarray) -> tuple[float, ...]:
    """Return the values of an embedding to store in a record."""
    return tuple(round(float(value), 4) for value in embedding[:, :KNOWN].ravel())


def verify_encoder(encoder: Encoder, name: str, known: tuple[float, ...] = ()) -> None:
    """Refuse an encoder that does not reproduce its known embedding or, if none is known, gives implausible ones.

    Raises:
        DataError: with the problem
    """
    embedding = embed_clip(encoder)
    if embedding is None:
        return
    if not np.isfinite(embedding).all():
        raise DataError(f"{name}: its hidden states are not finite; get or export it again")
    if known:
        values = embedding[:, :KNOWN].ravel()
        if len(values) != len(known) or (deviation := np.abs(values - known).max()) > TOLERANCE:
            detail = f", it deviates by {deviation:.3g}" if len(values) == len(known) else ""
            raise DataError(f"{name}: does not reproduce its known embedding of a demo clip{detail}; get it again")
    elif np.allclose(embedding, embed_clip(encoder, VERIFICATION_CLIPS[1]), rtol=0, atol=1e-6):
        raise DataError(f"{name}: gives two clips the same embedding, so it is untrained; get or export it again")


def with_full_path(name: str) -> str:
    """Return a name that is valid in any working directory: for encoders in files, with the absolute path."""
    kind = _kind_of(name)
    return f"{kind}:{os.path.abspath(expand_home(name.partition(':')[2]))}" if kind in FILES else name


def _kind_of(name: str) -> str:
    kind, _, rest = name.partition(":")
    return kind if rest and kind in KINDS else ""


@lru_cache(maxsize=3)
def _open_external(name: str):
    import importlib

    kind, _, location = name.partition(":")
    module = importlib.import_module(f"sernb.encoders.{kind}_door")
    open_encoder: Callable = module.open_encoder
    return open_encoder(location)
