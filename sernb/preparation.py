"""Recordings → cached features: read, verified against the published checksum, computed once, kept by content."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import features as features_module
from sernb.audio import AudioError, load
from sernb.augment import ORIGINAL, View, view_of
from sernb.config import DataError, digest, plain, work_folder
from sernb.corpora import Corpus, checksum, locate, read_index
from sernb.features import Features
from sernb.progress import bar
from sernb.store import FeatureTable, read_features, write_features
from sernb.threads import in_order

REPORTED = 10
ATTEMPTS = 3


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
    about = {"corpus": corpus.name, "features": plain(features), "view": plain(view)}
    table, attempts = read_features(folder), 0
    while table is None:
        # A second time only if another process put its own table there at the moment of reading, or the disk is broken.
        if attempts == ATTEMPTS:
            raise DataError(f"{folder}: cannot be read back; check the disk or choose another with SERNB_WORK")
        recordings = locate(corpus, data)
        with contextlib.closing(_compute(index, recordings, features, view, progress)) as clips:
            write_features(folder, clips, about=about)
        table, attempts = read_features(folder), attempts + 1
    return table


def cache_folder(corpus: Corpus, features: Features, view: View, index: pd.DataFrame) -> Path:
    """Return where these features lie, or will lie."""
    name = digest(features_module.VERSION, features, view, index["clip"].tolist(), index.sha256.tolist())
    return work_folder() / "cache" / corpus.name / f"{type(features).__name__.lower()}-{view.name}-{name}"


def _compute(
    index: pd.DataFrame, recordings: Path, features: Features, view: View, progress: bool
) -> Generator[tuple[str, np.ndarray], None, None]:
    from threadpoolctl import threadpool_limits

    def one(row) -> tuple[str, np.ndarray] | AudioError:
        path = recordings / row.path
        try:
            signal = load(path, features.sampling_rate, resampling=features.resampling)
            if checksum(path) != row.sha256:
                return AudioError(path, "changed", "is not the published file (sha256 differs)", "get it again")
            return row.clip, features(view_of(row.clip, view, signal, features.sampling_rate))
        except AudioError as error:
            return error

    label = f"{type(features).__name__} of {view.name}"
    errors = []
    with (
        threadpool_limits(1),
        contextlib.closing(in_order(one, index.itertuples())) as results,
        bar(len(index), label, "clip", shown=progress) as shown,
    ):
        for result in results:
            shown.update()
            if isinstance(result, AudioError):
                errors.append(str(result))
            else:
                yield result
    if errors:
        more = [f"… and {len(errors) - REPORTED} more; see `sernb check`"] if len(errors) > REPORTED else []
        raise DataError(*errors[:REPORTED], *more)
