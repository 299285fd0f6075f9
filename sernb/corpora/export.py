"""Export features as a table for other programs."""

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
    """Write the features of all clips as CSV, one row per clip, with one clip in memory at a time.

    The columns are clip, speaker, emotion and the features (:func:`column_names`) in full single precision. Shorter
    clips leave the cells of missing frames empty.

    Args:
        path: the output file, compressed if the name ends in ``.gz``
        progress: show progress bars

    Returns:
        number of rows and of feature columns

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
            padding = [""] * (len(names) - len(values))
            rows.writerow([row.clip, row.speaker, row.emotion, *map("{:.9g}".format, values), *padding])
            shown.update()
    return len(clips), len(names)


def column_names(features: Features, frames: int) -> list[str]:
    """Return the names of all values of a clip, frame by frame; a single frame gets no frame number.

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
        if compressed:  # without a timestamp: same features, same bytes
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        yield stack.enter_context(io.TextIOWrapper(file, "utf-8", newline=""))


def write_table(
    path: Path, corpus: Pool, features: Features, *, data: str | Path | None = None, progress: bool = False
) -> tuple[int, int]:
    """Write the features of all clips as ``.npz``, ``.csv``, ``.csv.gz`` or ``.parquet``, by the file name.

    Each clip is one row. An npz file has ``clip``, ``speaker``, ``emotion`` and ``names`` as text, and ``values``,
    float32, ``(clips, columns)``. If clips have several frames, ``values`` has one row per frame, and ``starts``,
    ``(clips + 1,)``, gives the first row of each clip. The other formats have the columns of :func:`write_csv`, Parquet
    with one row per frame.

    Returns:
        number of clips and of feature columns

    Raises:
        DataError: as :func:`write_csv`; for another file name; for Parquet without pyarrow
    """
    path = Path(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return write_csv(path, corpus, features, data=data, progress=progress)
    if path.suffix not in (".npz", ".parquet"):
        raise DataError(f"{path}: the table can be .npz, .csv, .csv.gz or .parquet; use one of these endings")
    if path.suffix == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise DataError(f"{path}: Parquet needs the package pyarrow; run `pip install pyarrow`, or name a .npz file")
    table, clips = prepare(corpus, features, data=data, progress=progress), corpus.index
    rows = [table[clip] for clip in clips["clip"]]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in rows])])
    values, names = np.concatenate(rows), column_names(features, 1)
    with atomic_or_through(path) as unfinished:
        metadata = {name: clips[name].to_numpy() for name in ("clip", "speaker", "emotion")}
        if path.suffix == ".npz":
            text = {name: column.astype(str) for name, column in {**metadata, "names": np.array(names)}.items()}
            with unfinished.open("wb") as file:
                np.savez(file, values=values, **({} if len(values) == len(rows) else {"starts": starts}), **text)
        else:
            counts = np.diff(starts)
            repeated = pd.DataFrame({name: np.repeat(column, counts) for name, column in metadata.items()})
            pd.concat([repeated, pd.DataFrame(values, columns=names)], axis=1).to_parquet(unfinished, index=False)
    return len(rows), len(names)
