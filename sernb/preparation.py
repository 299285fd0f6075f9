"""Recordings → cached features: read, verified against the published checksum, computed once, kept by content."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import features as features_module
from sernb.audio import AudioError, load
from sernb.augment import ORIGINAL, View, view_of
from sernb.config import DataError, digest, plain, work_folder
from sernb.corpora import Corpus, checksum, locate, read_index
from sernb.features import Features
from sernb.store import FeatureTable, read_features, write_features

REPORTED = 10


def prepare(
    corpus: Corpus,
    features: Features,
    *,
    view: View = ORIGINAL,
    data: str | Path | None = None,
    progress: bool = False,
) -> FeatureTable:
    """Return the features of all clips of a corpus, from the cache or, the first time, from the recordings.

    The cache is named by the settings, the view and the checksums of the recordings; it does not need the recordings
    once it is there. A damaged cache is made again.

    Args:
        data: the folder of the recordings, see :func:`sernb.corpora.locate`
        progress: show a bar

    Raises:
        DataError: if the recordings are not there, or any is unusable or not the published file
    """
    index = read_index(corpus)
    folder = cache_folder(corpus, features, view, index)
    table = read_features(folder)
    if table is None:
        recordings = locate(corpus, data)
        about = {"corpus": corpus.name, "features": plain(features), "view": plain(view)}
        write_features(folder, _compute(index, recordings, features, view, progress), about=about)
        table = read_features(folder)
    return table


def cache_folder(corpus: Corpus, features: Features, view: View, index: pd.DataFrame) -> Path:
    """Return where these features lie, or will lie."""
    name = digest(features_module.VERSION, features, view, index["clip"].tolist(), index.sha256.tolist())
    return work_folder() / "cache" / corpus.name / f"{type(features).__name__.lower()}-{view.name}-{name}"


def _compute(
    index: pd.DataFrame, recordings: Path, features: Features, view: View, progress: bool
) -> Iterator[tuple[str, np.ndarray]]:
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits
    from tqdm import tqdm

    def one(path: str, clip: str, sha256: str) -> tuple[str, np.ndarray] | AudioError:
        try:
            signal = load(recordings / path, features.sampling_rate)
            if checksum(recordings / path) != sha256:
                found = "is not the published file (sha256 differs)"
                return AudioError(recordings / path, "changed", found, "get it again")
            return clip, features(view_of(clip, view, signal, features.sampling_rate))
        except AudioError as error:
            return error

    jobs = (delayed(one)(row.path, row.clip, row.sha256) for row in index.itertuples())
    label = f"{type(features).__name__} of {view.name}"
    errors = []
    # Threads suffice: decoding, hashing, resampling and FFT all leave the interpreter lock.
    with threadpool_limits(1):
        results = Parallel(n_jobs=-1, prefer="threads", batch_size=8, return_as="generator")(jobs)
        for result in tqdm(results, total=len(index), desc=label, unit="clip", disable=not progress):
            if isinstance(result, AudioError):
                errors.append(str(result))
            else:
                yield result
    if errors:
        more = [f"… and {len(errors) - REPORTED} more; see `sernb check`"] if len(errors) > REPORTED else []
        raise DataError(*errors[:REPORTED], *more)
