"""Features of recordings as a table, for use from other programs."""

import warnings
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio import reading
from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import Recording
from sernb.audio.recordings import list_sources, read_blocks
from sernb.config import DataError
from sernb.encoders.loading import load_encoder
from sernb.encoders.registry import ENCODERS
from sernb.features.base import Features
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals
from sernb.features.joined import Joined
from sernb.features.levelled import LevelledFunctionals
from sernb.features.mel import LogMel, Mfcc
from sernb.features.prosody import F0, Level
from sernb.features.settings import check_settings
from sernb.features.whisper_mel import WhisperMel

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    "functionals": Functionals,
    "levelled-functionals": LevelledFunctionals,
    "log-mel": LogMel,
    "mfcc": Mfcc,
    "f0": F0,
    "level": Level,
}
FRAMES = (LogMel, Mfcc, F0, Level, WhisperMel)
Rows = tuple[str, Seconds, Seconds, np.ndarray | DataError]  # name, start, end, (frames, width) or an error


def compute_features(
    recordings: object, kind: str = "functionals", *, sampling_rate: Hertz | None = None, **settings: object
) -> "pd.DataFrame":
    """Compute features of recordings: one row per recording or per frame.

    Args:
        recordings: a file, folder or pattern, an array of samples, or several of them; or a table with a column
            ``file``, such as that of :func:`sernb.api.corpus`
        kind: ``functionals``, ``levelled-functionals``, ``log-mel``, ``mfcc``, ``f0`` or ``level``, or an encoder such
            as ``whisper-tiny.en``, whose ``pooling`` is ``mean+std``, ``mean`` or ``frames``
        sampling_rate: of the arrays, hertz; files have their own
        settings: of that kind, such as ``bands=40`` or ``layers="2"``: the fields of its class in this package

    Returns:
        float32, one column per feature, indexed by file, start and end in seconds, and the number of the frame. A
        recording that cannot be read has a row of NaN and a warning with the reason

    Raises:
        DataError: if the kind, a setting or the encoder is unknown, a value is not allowed, or arrays have no sampling
            rate

    Examples:
        >>> tone = np.sin(np.arange(16_000) / 5)
        >>> compute_features([tone, tone], "log-mel", sampling_rate=16_000, bands=40).shape
        (202, 40)
    """
    features = _make_kind(kind, settings)
    require_encoders(features)
    resample = {"soxr": reading.resample, "linear": reading.resample_linearly}[features.resampling]

    def extract(recording: Recording) -> tuple[Seconds, Seconds, np.ndarray]:
        if recording.signal is None and isinstance(features, Embedding) and not has_frames(features):
            return (
                0.0,
                recording.seconds,
                features.embed_blocks(partial(read_blocks, recording, features.sampling_rate)),
            )
        signal = np.concatenate(list(reading.blocks(recording)))
        rates = {"original_rate": recording.sampling_rate, "sampling_rate": features.sampling_rate}
        return 0.0, recording.seconds, features(resample(signal, **rates))

    results = ((source.name, source.use(extract)) for source in list_sources(recordings, sampling_rate))
    rows = ((name, *(each if isinstance(each, tuple) else (0.0, np.nan, each))) for name, each in results)
    return make_table(rows, features.names, frames=has_frames(features))


def require_encoders(features: Features) -> None:
    """Load the pretrained encoders that features need; raise DataError if weights or a package are missing."""
    for part in features.parts if isinstance(features, Joined) else [features]:
        if isinstance(part, Embedding) and not part.is_table:
            load_encoder(part.encoder, padded=part.padded)


def has_frames(features: Features) -> bool:
    """Return whether features have one row per frame, not per recording."""
    return isinstance(features, FRAMES) or getattr(features, "pooling", "") == "frames"


def make_table(results: Iterable[Rows], names: list[str], *, frames: bool) -> "pd.DataFrame":
    """Return features as a table; an error becomes a row of NaN and a warning.

    Raises:
        DataError: if a recording has several rows although ``frames`` is False
    """
    import pandas as pd

    index, values = [], [np.empty((0, len(names)), np.float32)]
    for name, start, end, rows in results:
        if isinstance(rows, DataError):
            warnings.warn(str(rows), stacklevel=3)
            rows = np.full((1, len(names)), np.nan, np.float32)
        if len(rows) != 1 and not frames:
            raise DataError(f"{name}: has {len(rows)} rows, one per frame; use frames=True")
        index += [(name, start, end, *([number] if frames else [])) for number in range(len(rows))]
        values.append(rows)
    levels = ["file", "start", "end", *(["frame"] if frames else [])]
    table = pd.MultiIndex.from_frame(pd.DataFrame(index, columns=levels))
    return pd.DataFrame(np.concatenate(values), columns=names, index=table)


def _make_kind(kind: str, settings: dict) -> Features:
    if kind in ENCODERS or ":" in kind:
        cls, settings = Embedding, {"encoder": kind, **settings}
    elif kind in KINDS:
        cls = KINDS[kind]
    else:
        known = ", ".join([*KINDS, *ENCODERS])
        raise DataError(f"no features are named {kind!r}; known: {known}, or an encoder as onnx:FILE or hf:NAME")
    try:
        return cls(**check_settings(kind, cls, settings))
    except TypeError as error:
        known = ", ".join(cls.__dataclass_fields__)
        raise DataError(f"{kind}: {str(error).partition(') ')[2] or error}; its settings are {known}") from error
