"""Features written as a table for other programs."""

import contextlib
import csv
import gzip
import importlib.util
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.features import Features
from sernb.runtime.files import atomic_or_through
from sernb.runtime.progress import progress_bar


def write_csv(
    path: Path, corpus: Pool, features: Features, *, data: str | Path | None = None, progress: bool = False
) -> tuple[int, int]:
    """Write the features of all clips as CSV, one row a clip, clip by clip: memory stays small.

    Columns: clip, speaker, emotion, then the features (:func:`column_names`), with as many digits as single precision
    has. Where clips have different numbers of frames, the cells that a shorter one lacks are empty.

    Args:
        path: a name that ends in ``.gz`` is compressed
        progress: show bars

    Returns:
        number of rows, and of columns of features

    Raises:
        DataError: as :func:`prepare`, or if the file cannot be written
    """
    table, clips = prepare(corpus, features, data=data, progress=progress), corpus.index
    names = column_names(features, max(len(table[clip]) for clip in clips["clip"]))
    with (
        atomic_or_through(path) as unfinished,
        _text(unfinished, compressed=path.suffix == ".gz") as file,
        progress_bar(len(clips), path.name, "clip", shown=progress) as shown,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["clip", "speaker", "emotion", *names])
        for row in clips.itertuples():
            values = table[row.clip].ravel().tolist()
            lacking = [""] * (len(names) - len(values))
            rows.writerow([row.clip, row.speaker, row.emotion, *map("{:.9g}".format, values), *lacking])
            shown.update()
    return len(clips), len(names)


def column_names(features: Features, frames: int) -> list[str]:
    """Return the names of all values of a clip with so many frames, frame by frame; of one frame, the columns' alone.

    Examples:
        >>> from sernb.features import Mfcc
        >>> column_names(Mfcc(coefficients=2), 2)
        ['mfcc_00_t000', 'mfcc_01_t000', 'mfcc_00_t001', 'mfcc_01_t001']
    """
    names = [re.sub(r"[^a-z0-9]+", "_", name.lower().replace("δ", "delta")).strip("_") for name in features.names]
    if frames == 1:
        return names
    return [f"{name}_t{frame:03d}" for frame in range(frames) for name in names]


@contextlib.contextmanager
def _text(path: Path, *, compressed: bool) -> Iterator[io.TextIOBase]:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("wb"))
        if compressed:  # without a time of day: same features, same bytes
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        yield stack.enter_context(io.TextIOWrapper(file, "utf-8", newline=""))


def write_table(
    path: Path, corpus: Pool, features: Features, *, data: str | Path | None = None, progress: bool = False
) -> tuple[int, int]:
    """Write the features of all clips for other tools: ``.npz``, ``.csv``, ``.csv.gz`` or ``.parquet``, by the name.

    A row a clip. An npz file holds ``clip``, ``speaker``, ``emotion`` and ``names`` as text, and ``values``, float32,
    ``(clips, columns)``; where clips have several frames, their rows follow each other, and ``starts``,
    ``(clips + 1,)``, says where each clip begins. The others have the columns of :func:`write_csv`; in Parquet each
    frame is a row.

    Returns:
        number of clips, and of columns of features

    Raises:
        DataError: as :func:`write_csv`, if the name ends otherwise, or Parquet is asked for without pyarrow
    """
    path = Path(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return write_csv(path, corpus, features, data=data, progress=progress)
    if path.suffix not in (".npz", ".parquet"):
        raise DataError(f"{path}: a table is written as .npz, .csv, .csv.gz or .parquet; name it so")
    if path.suffix == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise DataError(f"{path}: Parquet needs the package pyarrow; run `pip install pyarrow`, or name a .npz file")
    table, clips = prepare(corpus, features, data=data, progress=progress), corpus.index
    rows = [table[clip] for clip in clips["clip"]]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in rows])])
    values, names = np.concatenate(rows), column_names(features, 1)
    with atomic_or_through(path) as unfinished:
        about = {name: clips[name].to_numpy() for name in ("clip", "speaker", "emotion")}
        if path.suffix == ".npz":
            words = {name: column.astype(str) for name, column in {**about, "names": np.array(names)}.items()}
            with unfinished.open("wb") as file:
                np.savez(file, values=values, **({} if len(values) == len(rows) else {"starts": starts}), **words)
        else:
            counts = np.diff(starts)
            repeated = pd.DataFrame({name: np.repeat(column, counts) for name, column in about.items()})
            pd.concat([repeated, pd.DataFrame(values, columns=names)], axis=1).to_parquet(unfinished, index=False)
    return len(rows), len(names)
