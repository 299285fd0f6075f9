"""Which recordings of a pool sound alike: found once from their log-mels, and kept beside the features."""

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

LISTENED = LogMel()


def find_similar_recordings(
    corpus: Pool, *, data: str | Path | None = None, progress: bool = False
) -> SimilarRecordings:
    """Return which recordings of a pool sound alike, as :mod:`sernb.audio.similarity` measures it.

    Args:
        data: the folder of the recordings, where their log-mels are not prepared yet
        progress: show bars

    Raises:
        DataError: as :func:`sernb.corpora.preparation.prepare`
    """
    clips = corpus.index[["clip", "sha256"]]
    number, recordings = clips["sha256"].factorize()
    known = (features.VERSION, LISTENED, similarity.FRAMES, similarity.FALLING_OFF, similarity.STEP, similarity.NEAR)
    path = work_folder() / "cache" / "alike" / f"{corpus.folder}-{digest(*known, recordings.tolist())}.npz"
    pairs = _kept(path)
    if pairs is None:
        with hold(lock_path(path, work_folder())):
            pairs = _kept(path)
            if pairs is None:
                first = clips.drop_duplicates("sha256")["clip"].tolist()
                pairs = _found(corpus, first, data, progress)
                with atomic(path) as unfinished:
                    np.savez(unfinished, pairs=pairs)
    return SimilarRecordings(dict(zip(clips["clip"].tolist(), number.tolist(), strict=True)), pairs)


def _kept(path: Path) -> np.ndarray | None:
    with contextlib.suppress(OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile), np.load(path) as kept:
        return kept["pairs"]
    return None


def _found(corpus: Pool, clips: list[str], data: str | Path | None, progress: bool) -> np.ndarray:
    """Compare the clips; their fingerprints lie in a file meanwhile, 10 kB a clip."""
    table = prepare(corpus, LISTENED, data=data, progress=progress)
    with (
        contextlib.closing(map_in_order(lambda clip: fingerprint(table[clip]), clips)) as pictures,
        progress_bar(len(clips), "sound of the clips", "clip", shown=progress) as shown,
    ):
        try:
            with tempfile.TemporaryFile(dir=work_folder()) as file:
                for picture in pictures:
                    picture.tofile(file)
                    shown.update()
                file.flush()
                return find_similar(np.memmap(file, picture.dtype, "r").reshape(len(clips), *picture.shape))
        except OSError as error:
            raise unwritable(work_folder(), error) from error


def shared_between(speakers: tuple[str, str], pairs: int, example: tuple[str, str], *, own: bool) -> str:
    """Return what is wrong with two speakers who share recordings, and what to do; `check` and experiments say it.

    Args:
        speakers: as their table of labels names them
        pairs: of recordings that sound alike, at least one
        example: one of them
        own: the speakers stand in a table of labels that its user can correct
    """
    advice = "take a protocol that shares speakers, such as random"
    if own:
        advice = (
            f"give both one speaker in {LABELS} if they are one person, else take the lines of one of each pair out"
        )
    return (
        f"speakers {' and '.join(speakers)} share {pairs} recording(s) by sound, such as {' and '.join(example)}: to "
        f"test one of them would be no test of an unknown speaker; {advice}"
    )
