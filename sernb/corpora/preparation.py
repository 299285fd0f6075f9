"""Compute features of verified recordings once and cache them under a digest of their inputs."""

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
PART = 16  # clips per task of a thread or process


def prepare(
    corpus: Corpus | Pool,
    features: Features,
    *,
    view: View = ORIGINAL,
    data: str | Path | None = None,
    progress: bool = False,
) -> Mapping[str, np.ndarray]:
    """Return the features of all clips, from the cache or, the first time, from the recordings.

    The name of a cache is a digest of the settings, the view and the checksums of the recordings. Once a cache exists,
    the recordings are not needed. A damaged cache is rebuilt. Each corpus has one cache, shared by all pools.

    Args:
        view: an augmented copy or TTA view of the recordings
        data: folder of the recordings, see :func:`sernb.corpora.files.locate`
        progress: show a progress bar

    Returns:
        clip → float32, shape ``(frames, width)``: slices of memory-mapped files, read on access

    Raises:
        DataError: if recordings are missing, unusable or not the published files
    """
    if isinstance(features, Embedding) and features.is_table:
        clips = read_index(corpus, data) if isinstance(corpus, Corpus) else corpus.index
        return features.from_table(clips, original=view == ORIGINAL)
    if isinstance(corpus, Corpus):
        return _load_or_compute(corpus, read_index(corpus, data), features, view, data, progress)
    parts = []
    for part in corpus.parts:
        # All filters of a corpus share one cache.
        table = _load_or_compute(part.corpus, part.unfiltered, features, view, data, progress)
        names = zip(
            corpus.names_in(part), part.clips["clip"].tolist(), strict=True
        )  # lists iterate faster than columns
        parts.append((dict(names), table))
    return PooledFeatures(*parts)


class PooledFeatures(Mapping):
    """Features of several tables under the names of a pool, read on each access."""

    def __init__(self, *parts: tuple[dict[str, str], Mapping[str, np.ndarray]]):
        self.parts = parts  # for each table: name in the pool → name in the table

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


def _load_or_compute(
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
        # More than one attempt only if another process replaced the table while it was read, or the disk is faulty.
        if attempts == ATTEMPTS:
            raise DataError(f"{folder}: cannot be read back; check the disk or choose another with SERNB_WORK")
        recordings = locate(corpus, data)
        places = _locate_clips(corpus, index, recordings)
        with hold(lock_path(folder, work_folder())):
            if read_features(folder) is None:  # the previous holder of the lock may have written it
                write_features(folder, partial(_compute, index, places, features, view, progress), about=about)
        table, attempts = read_features(folder), attempts + 1
    return table


def _locate_clips(corpus: Corpus, index: pd.DataFrame, recordings: Path) -> dict[str, str]:
    """Return the file of each clip; refuse an incomplete copy."""
    places = list_places(corpus, recordings, index)
    missing = index[~index["clip"].isin(places)].path.tolist()
    if missing:
        raise DataError(
            f"{recordings}: {len(missing)} of {len(index)} clips of {corpus.title} are missing, such as {missing[0]}; "
            f"complete the copy (`sernb check {corpus.name}`), or name {corpus.name}:{AVAILABLE} to use the others"
        )
    return places


def cache_folder(corpus: Corpus, features: Features, view: View, index: pd.DataFrame) -> Path:
    """Return the cache folder of these features."""
    name = digest(features_module.VERSION, features, view, index["clip"].tolist(), index.sha256.tolist())
    return work_folder() / "cache" / corpus.name / f"{type(features).__name__.lower()}-{view.name}-{name}"


def _compute(
    index: pd.DataFrame, places: dict[str, str], features: Features, view: View, progress: bool, folder: Path
) -> Generator[Part, None, None]:
    """Yield the features of all clips, part by part, as files in a folder.

    Each worker writes its own parts, so that processes exchange almost no data.
    """
    from threadpoolctl import threadpool_limits

    items = [(clip, places[clip], sha256) for clip, sha256 in zip(index["clip"], index["sha256"], strict=True)]
    parts = [(folder / f"part-{start}", items[start : start + PART]) for start in range(0, len(items), PART)]
    label = f"{type(features).__name__} of {view.name}"
    errors = []
    keep_freed_memory()
    with (
        threadpool_limits(1),
        contextlib.closing(map_on_cores(partial(_compute_part, features, view), parts)) as results,
        progress_bar(len(index), label, "clip", shown=progress) as shown,
    ):
        for (_, clips), (part, failed) in zip(parts, results, strict=True):
            shown.update(len(clips))
            errors += failed
            yield part
    if errors:
        raise DataError.of_many(errors, "more; see `sernb check`")


def _compute_part(
    features: Features, view: View, part: tuple[Path, list[tuple[str, str, str]]]
) -> tuple[Part, list[str]]:
    """Write the features of some clips, given name, file and sha256 of each; also return error messages."""
    keep_freed_memory()
    path, clips = part
    errors = []

    def extract_all() -> Iterator[tuple[str, np.ndarray]]:
        for clip, place, sha256 in clips:
            try:
                yield clip, extract_features(clip, view, _read_signal(Path(place), sha256, features), features)
            except AudioError as error:
                errors.append(str(error))

    return write_part(path, extract_all()), errors


def _read_signal(path: Path, sha256: str, features: Features) -> np.ndarray:
    """Read and verify a published recording; return zeros for one published as digital silence."""
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
