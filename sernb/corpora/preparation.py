"""Recordings → cached features: read, verified against the published checksum, computed once, kept by content."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import features as features_module
from sernb.audio.augmentation import ORIGINAL, View
from sernb.audio.decoders import AudioError
from sernb.audio.reading import describe, load
from sernb.config import DataError, digest, plain, work_folder
from sernb.corpora.feature_cache import FeatureTable, Part, read_features, write_features, write_part
from sernb.corpora.files import list_places, locate
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import AVAILABLE, Pool
from sernb.corpora.record import Corpus
from sernb.features import Embedding, Features
from sernb.features.extraction import extract_features
from sernb.runtime.allocator import keep_freed_memory
from sernb.runtime.files import checksum
from sernb.runtime.locks import hold, lock_path
from sernb.runtime.progress import progress_bar
from sernb.runtime.workers import map_on_cores

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
        with hold(lock_path(folder, work_folder())):
            if read_features(folder) is None:  # not made by whoever had the lock
                write_features(folder, partial(_compute, index, places, features, view, progress), about=about)
        table, attempts = read_features(folder), attempts + 1
    return table


def _places(corpus: Corpus, index: pd.DataFrame, recordings: Path) -> dict[str, str]:
    """Return the file of each clip; refuse a copy that is not complete."""
    places = list_places(corpus, recordings, index)
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
        contextlib.closing(map_on_cores(partial(_part_of, features, view), parts)) as results,
        progress_bar(len(index), label, "clip", shown=progress) as shown,
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
                yield clip, extract_features(clip, view, _signal(Path(place), sha256, features), features)
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
