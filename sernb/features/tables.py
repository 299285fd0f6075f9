"""Recordings → features as a table, for those who call this package from their own programs."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio import reading
from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import Recording
from sernb.audio.recordings import list_sources
from sernb.config import DataError
from sernb.encoders.loading import load_encoder
from sernb.encoders.registry import ENCODERS
from sernb.features.embedding import Embedding
from sernb.features.functionals import Functionals
from sernb.features.joined import Joined
from sernb.features.levelled import LevelledFunctionals
from sernb.features.mel import LogMel, Mfcc
from sernb.features.prosody import F0, Level
from sernb.features.settings import check_settings

if TYPE_CHECKING:
    import pandas as pd

    from sernb.features import Features

KINDS = {
    "functionals": Functionals,
    "levelled-functionals": LevelledFunctionals,
    "log-mel": LogMel,
    "mfcc": Mfcc,
    "f0": F0,
    "level": Level,
}
FRAMES = (LogMel, Mfcc, F0, Level)
Rows = tuple[str, Seconds, Seconds, np.ndarray | DataError]  # name, start, end, (frames, width) or what is wrong


def compute_features(
    recordings: object, kind: str = "functionals", *, sampling_rate: Hertz | None = None, **settings: object
) -> "pd.DataFrame":
    """Return features of recordings: a row each, or a row for each frame.

    Args:
        recordings: a file, folder or pattern, an array of samples, or several of them; or a table with a column
            ``file``, such as that of :func:`sernb.api.corpus`
        kind: ``functionals``, ``levelled-functionals``, ``log-mel``, ``mfcc``, ``f0`` or ``level``, or an encoder such
            as ``whisper-tiny.en``, whose ``pooling`` is ``mean+std``, ``mean`` or ``frames``
        sampling_rate: of the arrays, hertz; files have their own
        settings: of that kind, such as ``bands=40`` or ``layers="2"``: the fields of its class in this package

    Returns:
        float32, a column a feature; the index says file, start and end in seconds, and of frames their number. What
        cannot be read is a row of NaN, and a warning says why

    Raises:
        DataError: if the kind, a setting or the encoder is unknown, a value is not allowed, or arrays have no sampling
            rate

    Examples:
        >>> tone = np.sin(np.arange(16_000) / 5)
        >>> compute_features([tone, tone], "log-mel", sampling_rate=16_000, bands=40).shape
        (202, 40)
    """
    features = _kind(kind, settings)
    require_encoders(features)
    change = {"soxr": reading.resample, "linear": reading.resample_linearly}[features.resampling]

    def of(recording: Recording) -> Rows:
        signal = np.concatenate(list(reading.blocks(recording)))
        rate = features.sampling_rate
        rows = features(change(signal, original_rate=recording.sampling_rate, sampling_rate=rate))
        return "", 0.0, recording.seconds, rows

    sources = list_sources(recordings, sampling_rate)
    found = ((source.name, source.use(of)) for source in sources)
    rows = ((name, *(each[1:] if isinstance(each, tuple) else (0.0, np.nan, each))) for name, each in found)
    return as_table(rows, features.names, frames=has_frames(features))


def require_encoders(features: "Features") -> None:
    """Load the pretrained encoders that features need, once and for all recordings.

    Raises:
        DataError: if their weights or a package are missing
    """
    for part in features.parts if isinstance(features, Joined) else [features]:
        if isinstance(part, Embedding) and not part.is_table:
            load_encoder(part.encoder, padded=part.padded)


def has_frames(features: "Features") -> bool:
    """Return whether there is a row a frame, instead of one a recording."""
    return isinstance(features, FRAMES) or getattr(features, "pooling", "") == "frames"


def as_table(found: Iterable[Rows], names: list[str], *, frames: bool) -> "pd.DataFrame":
    """Return features as a table; an error becomes a row of NaN and a warning.

    Raises:
        DataError: if there is more than a row of a recording, though no frames are wanted
    """
    import pandas as pd

    index, values = [], [np.empty((0, len(names)), np.float32)]
    for name, start, end, rows in found:
        if isinstance(rows, DataError):
            warnings.warn(str(rows), stacklevel=3)
            rows = np.full((1, len(names)), np.nan, np.float32)
        if len(rows) != 1 and not frames:
            raise DataError(f"{name}: has {len(rows)} rows, one a frame; ask for frames=True")
        index += [(name, start, end, *([number] if frames else [])) for number in range(len(rows))]
        values.append(rows)
    levels = ["file", "start", "end", *(["frame"] if frames else [])]
    table = pd.MultiIndex.from_frame(pd.DataFrame(index, columns=levels))
    return pd.DataFrame(np.concatenate(values), columns=names, index=table)


def _kind(kind: str, settings: dict) -> "Features":
    if kind in ENCODERS or ":" in kind:
        made, settings = Embedding, {"encoder": kind, **settings}
    elif kind in KINDS:
        made = KINDS[kind]
    else:
        known = ", ".join([*KINDS, *ENCODERS])
        raise DataError(f"no features are named {kind!r}; known: {known}, or an encoder as onnx:FILE or hf:NAME")
    try:
        return made(**check_settings(kind, made, settings))
    except TypeError as error:
        known = ", ".join(made.__dataclass_fields__)
        raise DataError(f"{kind}: {str(error).partition(') ')[2] or error}; its settings are {known}") from error
