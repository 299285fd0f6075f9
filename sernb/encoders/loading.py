"""A name → an encoder that can be used: its weights found, and proved by a known embedding.

What has bitten others is refused here: a random head, another file, a wrong rate, wrong filters.
"""

import os
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import load
from sernb.config import ROOT, DataError
from sernb.encoders.registry import Record, record_of

DEMO = ROOT / "data" / "demo"
ASKED = ("Actor_01/03-01-05-01-01-01-01.flac", "Actor_02/03-01-04-01-02-01-02.flac")  # the first of them is known
KNOWN = 2  # values of each layer that a record holds
TOLERANCE = 1e-3
FILES = ("onnx", "table")  # doors behind which a file lies
DOORS = (*FILES, "hf")

_loading = threading.Lock()  # threads that begin together read the weights once


class About(Protocol):
    """What is known of an encoder before it is used: a record, or what a door found out."""

    layers: int
    width: int
    sampling_rate: Hertz
    card: str


class Encoder(Protocol):
    """What turns a signal into hidden states."""

    sampling_rate: Hertz

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield hidden states, ``(layers, positions, width)``, of one stretch of the signal after the other."""
        ...


def about(name: str) -> About:
    """Return what is known of an encoder of the registry, or behind a door.

    Raises:
        DataError: if the name is unknown, or the file behind a door cannot be used
    """
    return _behind(name) if _door_of(name) else record_of(name)


def encoder_named(name: str, *, padded: bool = False) -> Encoder:
    """Return an encoder, ready and proved; the last ones are kept.

    Args:
        padded: fill every stretch up to 30 s; only Whisper's can

    Raises:
        DataError: if the name is unknown, its weights are not there, or it does not reproduce its known embedding
    """
    with _loading:
        if _door_of(name):
            if padded:
                raise DataError(f"{name}: is never padded to 30 s; only encoders of the registry can be")
            return _behind(name)
        return _whisper(name, padded)


def identity_of(name: str) -> str:
    """Return sixteen digits that stand for the weights, as names of caches need them."""
    return _behind(name).identity if _door_of(name) else record_of(name).sha256[:16]


@lru_cache(maxsize=3)
def _whisper(name: str, padded: bool) -> Encoder:
    from sernb.encoders.weights import read_weights
    from sernb.encoders.whisper import Whisper

    record = record_of(name)
    require_file(record)
    try:
        encoder = Whisper(read_weights(record.path))
    except DataError as error:
        raise DataError(f"{record.path}: is not {record.name} ({error}); get it again") from error
    prove(encoder, record.name, record.known)
    return Whisper(encoder.weights, padded=True) if padded else encoder


def require_file(record: Record) -> None:
    """Refuse weights that are not there, or are not the published file.

    Raises:
        DataError: naming the file and the next step
    """
    from sernb.runtime.files import checksum

    path, again = record.path, f"move it away, then run `sernb fetch {record.name}`"
    if not path.is_file():
        raise DataError(
            f"{record.name}: its weights are not at {path}; run `sernb fetch {record.name}`, or name the folder that "
            "holds them in SERNB_ENCODERS"
        )
    if record.bytes is not None and path.stat().st_size != record.bytes:
        raise DataError(f"{path}: has {path.stat().st_size} bytes, but {record.bytes} were published; {again}")
    if checksum(path) != record.sha256:
        raise DataError(f"{path}: is not the published file (sha256 differs); {again}")


def answer_of(encoder: Encoder, clip: str = ASKED[0]) -> np.ndarray | None:
    """Return the mean over time of each layer for a clip of the demo, ``(layers, width)``; None: it is not here."""
    if not (DEMO / clip).is_file():
        return None
    states = next(iter(encoder(load(DEMO / clip, encoder.sampling_rate))))
    return states.mean(axis=1)


def known_of(embedding: np.ndarray) -> tuple[float, ...]:
    """Return the values of an embedding that a record holds."""
    return tuple(round(float(value), 4) for value in embedding[:, :KNOWN].ravel())


def prove(encoder: Encoder, name: str, known: tuple[float, ...] = ()) -> None:
    """Refuse an encoder that does not reproduce its known embedding; where none is known, what cannot be one.

    Raises:
        DataError: saying what is wrong
    """
    embedding = answer_of(encoder)
    if embedding is None:
        return
    if not np.isfinite(embedding).all():
        raise DataError(f"{name}: its hidden states are not finite; get or export it again")
    if known:
        values = embedding[:, :KNOWN].ravel()
        if len(values) != len(known) or (off := np.abs(values - known).max()) > TOLERANCE:
            by = f", it is off by {off:.3g}" if len(values) == len(known) else ""
            raise DataError(f"{name}: does not reproduce its known embedding of a clip of the demo{by}; get it again")
    elif np.allclose(embedding, answer_of(encoder, ASKED[1]), rtol=0, atol=1e-6):
        raise DataError(f"{name}: gives two clips the same embedding, as no trained one does; get or export it again")


def with_full_path(name: str) -> str:
    """Return a name that holds wherever a notebook or a process runs: the file behind a door with its whole path."""
    kind = _door_of(name)
    return f"{kind}:{os.path.abspath(os.path.expanduser(name.partition(':')[2]))}" if kind in FILES else name


def _door_of(name: str) -> str:
    kind, _, rest = name.partition(":")
    return kind if rest and kind in DOORS else ""


@lru_cache(maxsize=3)
def _behind(name: str):
    import importlib

    kind, _, what = name.partition(":")
    module = importlib.import_module(f"sernb.encoders.{kind}_door")
    opened: Callable = module.opened
    return opened(what)
