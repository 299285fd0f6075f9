"""Recordings → cached features: read, verified against the published checksum, computed once, kept by content."""

import contextlib
import csv
import gzip
import importlib.util
import io
import re
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import features as features_module
from sernb.audio import AudioError, describe, load
from sernb.augment import ORIGINAL, View, features_of
from sernb.config import DataError, digest, plain, work_folder
from sernb.corpora import Corpus, checksum, locate, places_of, read_index
from sernb.features import Embedding, Features
from sernb.locks import held, lock_of
from sernb.memory import keep_freed_memory
from sernb.pools import AVAILABLE, Pool
from sernb.progress import bar
from sernb.store import FeatureTable, Part, atomic_or_through, read_features, write_features, write_part
from sernb.workers import in_order_on_cores

ATTEMPTS = 3
PART = 16  # clips that a thread or a process takes at a time


def prepare(
    corpus: Corpus | Pool,
    features: Features,
    *,
    view: View = ORIGINAL,
    data: str | Path | None = None,
    progress: bool = False,
) -> Mapping[str, np.ndarray]:
    """Return the features of all clips, from the cache or, the first time, from the recordings.

    The cache is named by the settings, the view and the checksums of the recordings; it does not need the recordings
    once it is there. A damaged cache is made again. Each corpus of a pool has its own, shared by all pools.

    Args:
        data: the folder of the recordings, see :func:`sernb.corpora.locate`
        progress: show a bar

    Returns:
        by clip, float32, shape ``(frames, width)``: slices of memory-mapped files, read when they are asked for

    Raises:
        DataError: if the recordings are not there, or any is unusable or not the published file
    """
    if isinstance(features, Embedding) and features.is_table:
        clips = read_index(corpus, data) if isinstance(corpus, Corpus) else corpus.index
        return features.of_table(clips, original=view == ORIGINAL)
    if isinstance(corpus, Corpus):
        return _prepared(corpus, read_index(corpus, data), features, view, data, progress)
    parts = []
    for part in corpus.parts:
        # Whatever conditions narrow a corpus, its cache is the same.
        table = _prepared(part.corpus, part.held, features, view, data, progress)
        named = zip(corpus.names_in(part), part.clips["clip"].tolist(), strict=True)  # a column gives words one by one
        parts.append((dict(named), table))
    return Read(*parts)


class Read(Mapping):
    """Features of several tables, under other names; they are read each time they are asked for."""

    def __init__(self, *parts: tuple[dict[str, str], Mapping[str, np.ndarray]]):
        self.parts = parts  # of each table: what its clips are called here → in it

    def __getitem__(self, clip: str) -> np.ndarray:
        """Return the features of one clip."""
        for names, table in self.parts:
            if clip in names:
                return table[names[clip]]
        raise KeyError(clip)

    def __iter__(self) -> Iterator[str]:
        """Return the names of the clips."""
        return chain.from_iterable(names for names, _ in self.parts)

    def __len__(self) -> int:
        """Return the number of clips."""
        return sum(len(names) for names, _ in self.parts)


def _prepared(
    corpus: Corpus,
    index: pd.DataFrame,
    features: Features,
    view: View,
    data: str | Path | None,
    progress: bool,
) -> FeatureTable:
    folder = cache_folder(corpus, features, view, index)
    about = {"corpus": corpus.name, "features": plain(features), "view": plain(view)}
    table, attempts = read_features(folder), 0
    while table is None:
        # A second time only if another process put its own table there at the moment of reading, or the disk is broken.
        if attempts == ATTEMPTS:
            raise DataError(f"{folder}: cannot be read back; check the disk or choose another with SERNB_WORK")
        recordings = locate(corpus, data)
        places = _places(corpus, index, recordings)
        with held(lock_of(folder, work_folder())):
            if read_features(folder) is None:  # not made by whoever had the lock
                write_features(folder, partial(_compute, index, places, features, view, progress), about=about)
        table, attempts = read_features(folder), attempts + 1
    return table


def _places(corpus: Corpus, index: pd.DataFrame, recordings: Path) -> dict[str, str]:
    """Return the file of each clip; refuse a copy that is not complete."""
    places = places_of(corpus, recordings, index)
    missing = index[~index["clip"].isin(places)].path.tolist()
    if missing:
        raise DataError(
            f"{recordings}: {len(missing)} of {len(index)} clips of {corpus.title} are missing, such as {missing[0]}; "
            f"complete the copy (`sernb check {corpus.name}`), or name {corpus.name}:{AVAILABLE} to use what is there"
        )
    return places


def cache_folder(corpus: Corpus, features: Features, view: View, index: pd.DataFrame) -> Path:
    """Return where these features lie, or will lie."""
    name = digest(features_module.VERSION, features, view, index["clip"].tolist(), index.sha256.tolist())
    return work_folder() / "cache" / corpus.name / f"{type(features).__name__.lower()}-{view.name}-{name}"


def _compute(
    index: pd.DataFrame, places: dict[str, str], features: Features, view: View, progress: bool, folder: Path
) -> Generator[Part, None, None]:
    """Yield the features of all clips, part by part, as files in a folder.

    Whoever computes a part writes it: processes then have next to nothing to send.
    """
    from threadpoolctl import threadpool_limits

    items = [(clip, places[clip], sha256) for clip, sha256 in zip(index["clip"], index["sha256"], strict=True)]
    parts = [(folder / f"part-{start}", items[start : start + PART]) for start in range(0, len(items), PART)]
    label = f"{type(features).__name__} of {view.name}"
    errors = []
    keep_freed_memory()
    with (
        threadpool_limits(1),
        contextlib.closing(in_order_on_cores(partial(_part_of, features, view), parts)) as results,
        bar(len(index), label, "clip", shown=progress) as shown,
    ):
        for (_, clips), (part, failed) in zip(parts, results, strict=True):
            shown.update(len(clips))
            errors += failed
            yield part
    if errors:
        raise DataError.of_many(errors, "more; see `sernb check`")


def _part_of(features: Features, view: View, part: tuple[Path, list[tuple[str, str, str]]]) -> tuple[Part, list[str]]:
    """Write the features of some clips to a file, given name, file and sha256 of each; also say what is wrong."""
    keep_freed_memory()
    path, clips = part
    errors = []

    def usable() -> Iterator[tuple[str, np.ndarray]]:
        for clip, place, sha256 in clips:
            try:
                yield clip, features_of(clip, view, _signal(Path(place), sha256, features), features)
            except AudioError as error:
                errors.append(str(error))

    return write_part(path, usable()), errors


def _signal(path: Path, sha256: str, features: Features) -> np.ndarray:
    """Read a recording that must be the published one; one that was published as pure silence is silence."""
    try:
        signal = load(path, features.sampling_rate, resampling=features.resampling)
    except AudioError as error:
        if error.kind != "silent" or checksum(path) != sha256:
            raise
        samples, sampling_rate, _ = describe(path)
        return np.zeros(int(np.ceil(samples * features.sampling_rate / sampling_rate)), np.float32)
    if checksum(path) != sha256:
        raise AudioError(path, "changed", "is not the published file (sha256 differs)", "get it again")
    return signal


# -- For work elsewhere -- #


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
        bar(len(clips), path.name, "clip", shown=progress) as shown,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["clip", "speaker", "emotion", *names])
        for row in clips.itertuples():
            values = table[row.clip].ravel().tolist()
            lacking = [""] * (len(names) - len(values))
            rows.writerow([row.clip, row.speaker, row.emotion, *map("{:.9g}".format, values), *lacking])
            shown.update()
    return len(clips), len(names)


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
