"""Near-duplicate audio in a pool, found by comparing log-mels and cached beside the features."""

import contextlib
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from sernb import features
from sernb.audio import similarity
from sernb.audio.similarity import SimilarRecordings, find_similar, fingerprint
from sernb.config import digest, work_folder
from sernb.corpora.label_tables import LABELS
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.features import LogMel
from sernb.runtime.files import atomic, unwritable
from sernb.runtime.locks import hold, lock_path
from sernb.runtime.progress import progress_bar
from sernb.runtime.threads import map_in_order

COMPARED = LogMel()


def find_similar_recordings(
    corpus: Pool, *, data: str | Path | None = None, progress: bool = False
) -> SimilarRecordings:
    """Find the near-duplicate recordings of a pool by the measure of :mod:`sernb.audio.similarity`.

    Args:
        data: folder of the recordings, needed if their log-mels are not cached
        progress: show progress bars

    Raises:
        DataError: as :func:`sernb.corpora.preparation.prepare`
    """
    clips = corpus.index[["clip", "sha256"]]
    number, recordings = clips["sha256"].factorize()
    settings = (features.VERSION, COMPARED, similarity.FRAMES, similarity.FALLING_OFF, similarity.STEP, similarity.NEAR)
    path = work_folder() / "cache" / "alike" / f"{corpus.folder}-{digest(*settings, recordings.tolist())}.npz"
    pairs = _read_cache(path)
    if pairs is None:
        with hold(lock_path(path, work_folder())):
            pairs = _read_cache(path)
            if pairs is None:
                first = clips.drop_duplicates("sha256")["clip"].tolist()
                pairs = _compare(corpus, first, data, progress)
                with atomic(path) as unfinished:
                    np.savez(unfinished, pairs=pairs)
    return SimilarRecordings(dict(zip(clips["clip"].tolist(), number.tolist(), strict=True)), pairs)


def _read_cache(path: Path) -> np.ndarray | None:
    with contextlib.suppress(OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile), np.load(path) as arrays:
        return arrays["pairs"]
    return None


def _compare(corpus: Pool, clips: list[str], data: str | Path | None, progress: bool) -> np.ndarray:
    """Compare all clips; their fingerprints, 10 kB each, are in a temporary file meanwhile."""
    table = prepare(corpus, COMPARED, data=data, progress=progress)
    with (
        contextlib.closing(map_in_order(lambda clip: fingerprint(table[clip]), clips)) as fingerprints,
        progress_bar(len(clips), "fingerprints", "clip", shown=progress) as shown,
    ):
        try:
            with tempfile.TemporaryFile(dir=work_folder()) as file:
                for each in fingerprints:
                    each.tofile(file)
                    shown.update()
                file.flush()
                return find_similar(np.memmap(file, each.dtype, "r").reshape(len(clips), *each.shape))
        except OSError as error:
            raise unwritable(work_folder(), error) from error


def describe_shared(
    speakers: tuple[str, str], pairs: int, example: tuple[str, str], *, own: bool, tested_together: bool = False
) -> str:
    """Return a message about two speakers who share recordings, for `check` and for experiments.

    Args:
        speakers: names in the label table
        pairs: number of near-duplicate pairs, at least one
        example: one of these pairs
        own: whether the label table belongs to the user, who can correct it
        tested_together: whether the corpus's folds test both speakers in the same fold
    """
    shared = (
        f"speakers {' and '.join(speakers)} share {pairs} near-identical recording(s), such as {' and '.join(example)}"
    )
    if tested_together:
        return f"{shared}: they are tested in the same fold, so none is in training and in test"
    advice = "use a protocol that shares speakers, such as random"
    if own:
        advice = (
            f"use one speaker name in {LABELS} if they are one person, else remove the line of one clip of each pair"
        )
    return f"{shared}: testing one of them would not test an unseen speaker; {advice}"
