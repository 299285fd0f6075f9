"""The index of a corpus: one row per clip, built from recordings or from a list of published checksums."""

import csv
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError, digest, is_hidden
from sernb.corpora.record import Corpus, Labels
from sernb.runtime.files import checksum

if TYPE_CHECKING:
    import pandas as pd

    from sernb.audio.reading import Recording

AUDIO_SUFFIXES = {".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"}

ODD = ("silent", "too-short")  # problems that a recording may have as published

INDEX_COLUMNS = (
    "clip", "path", "sha256", "bytes", "seconds", "sampling_rate", "channels", "speaker", "gender", "age",
    "emotion", "intensity", "valence", "arousal", "dominance", "sentence", "take",
)  # fmt: skip

# Unpublished numbers are NaN, unpublished text is empty.
NUMBERS = {"bytes": int, "seconds": float, "sampling_rate": int, "channels": int}
NUMBERS |= dict.fromkeys(("age", "valence", "arousal", "dominance"), float)


def committed_index(corpus: Corpus) -> "pd.DataFrame":
    """Return the index distributed with the workbook.

    Raises:
        DataError: if it is missing
    """
    if not corpus.index_path.exists():
        raise DataError(f"{corpus.index_path}: the index of {corpus.name} is missing; restore it with git")
    return read_table(corpus, corpus.index_path)


def read_table(corpus: Corpus, path: Path) -> "pd.DataFrame":
    """Read an index from ``path``: ``INDEX_COLUMNS`` and the corpus's own columns, in order of path."""
    stat = path.stat()
    return _read_csv(path, stat.st_mtime_ns, stat.st_size, tuple(_column_types(corpus).items())).copy()


@lru_cache(maxsize=32)
def _read_csv(path: Path, modified: int, size: int, types: tuple[tuple[str, type], ...]) -> "pd.DataFrame":
    import pandas as pd

    missing = {name: [""] for name, kind in types if kind is float}
    return pd.read_csv(path, dtype=dict(types), na_values=missing, keep_default_na=False)


def write_table(index: "pd.DataFrame", path: Path) -> None:
    """Write an index to ``path``."""
    index.to_csv(path, index=False, lineterminator="\n", float_format="%.7g")


def build_index(corpus: Corpus, folder: Path, *, tables: Path | None = None) -> "pd.DataFrame":
    """Build the index of a corpus from its recordings.

    Args:
        tables: folder with the publishers' metadata tables, for corpora whose file names lack some labels

    Returns:
        a table with the columns ``INDEX_COLUMNS`` and the corpus's own, in order of path

    Raises:
        DataError: if a file is unusable or misnamed, or the counts differ from the published ones
    """
    from sernb.audio.reading import find_problem

    rows, problems = [], []
    for path in sorted(audio_files(folder)):
        relative = path.relative_to(folder).as_posix()
        if describe_unused(corpus, relative):
            continue
        if not re.fullmatch(corpus.pattern, relative):
            problems.append(f"{path}: is not a file name of {corpus.title}; remove the file or correct its name")
        elif (problem := find_problem(path)) and problem.kind not in ODD:
            problems.append(str(problem))
        else:
            rows.append({"path": relative} | measure(path) | read_labels(corpus, relative))
    if problems:
        raise DataError(*problems)
    return _merge_tables(corpus, rows, tables, source=folder)


def index_of_manifest(
    corpus: Corpus, manifest: Path, *, recordings: Path | None = None, tables: Path | None = None
) -> "pd.DataFrame":
    """Build the index of a corpus from its published checksums.

    The durations of unavailable recordings follow from their sizes and the known format of the corpus, to within about
    a millisecond where a file has extra metadata.

    Args:
        manifest: CSV with the columns path, size and sha256
        recordings: folder with all or some of the recordings, whose durations and sampling rates are then measured
        tables: folder with the publishers' metadata tables, for corpora whose file names lack some labels

    Returns:
        as :func:`build_index`

    Raises:
        DataError: if a file name is not one of the corpus, a recording is not the published one, or the counts differ
    """
    rows = []
    with manifest.open(newline="", encoding="utf-8") as file:
        for published in csv.DictReader(file):
            path, size = published["path"], int(published["size"])
            row = {"path": path, "sha256": published["sha256"], "bytes": size}
            if recordings and (recordings / path).exists():
                sound = measure(recordings / path)
                if sound["sha256"] != published["sha256"]:
                    raise DataError(f"{recordings / path}: is not the published file; get it again")
            elif corpus.sound:
                seconds = round(corpus.sound.seconds(path, size), 4)
                sound = {"seconds": seconds, "sampling_rate": corpus.sound.sampling_rate, "channels": 1}
            else:
                raise DataError(
                    f"{corpus.name}: durations cannot be computed from file sizes; name the folder of its recordings"
                )
            rows.append(row | sound | read_labels(corpus, path))
    return _merge_tables(corpus, rows, tables, source=manifest)


def _merge_tables(corpus: Corpus, rows: list[Labels], tables: Path | None, *, source: Path) -> "pd.DataFrame":
    if corpus.tables:
        if not tables:
            raise DataError(f"{corpus.name}: its index needs the publishers' tables; name their folder with --tables")
        labels = corpus.tables(tables)
        rows = [row | labels[str(row["clip"])] for row in rows]
    index = make_table(corpus, rows)
    if (len(index), index.speaker.nunique()) != (corpus.clips, corpus.speakers):
        raise DataError(
            f"{source}: {len(index)} clips of {index.speaker.nunique()} speakers, "
            f"but {corpus.title} has {corpus.clips} of {corpus.speakers}; complete the folder"
        )
    return index


def make_table(corpus: Corpus, rows: list[Labels]) -> "pd.DataFrame":
    """Convert rows to an index in order of path; missing values become empty text or NaN."""
    import pandas as pd

    types = _column_types(corpus)
    empty = {name: "" if kind is str else math.nan for name, kind in types.items()}
    table = pd.DataFrame([empty | row for row in rows], columns=list(types))
    return table.astype(types).sort_values("path", ignore_index=True)


def measure(path: Path, recording: "Recording | None" = None) -> Labels:
    """Return the technical metadata of a recording: checksum, size, duration, sampling rate, channels.

    Args:
        recording: the decoded recording, if it was examined already
    """
    from sernb.audio.reading import describe

    if recording is None:
        samples, rate, channels = describe(path)
    else:
        samples, rate, channels = recording.samples, recording.sampling_rate, recording.channels
    file_columns = {"sha256": checksum(path), "bytes": path.stat().st_size}
    return file_columns | {"seconds": round(samples / rate, 4), "sampling_rate": rate, "channels": channels}


def read_labels(corpus: Corpus, path: str) -> Labels:
    """Parse the labels from the path of a clip.

    Raises:
        DataError: if it is not a path of the corpus
    """
    match = re.fullmatch(corpus.pattern, path)
    if not match:
        raise DataError(f"{path}: is not a file name of {corpus.title}; correct the list")
    return {"clip": Path(path).stem} | corpus.describe(match)


def list_clips(corpus: Corpus, folder: Path) -> "pd.DataFrame":
    """Return the clips expected in a copy, with at least clip, path, speaker, emotion and sha256 (empty: unpublished).

    They come from the committed index, from the rule for published file names, or from the labels in the copy.

    Raises:
        DataError: if the index is missing, or the labels cannot be read
    """
    import pandas as pd

    if corpus.committed:
        return committed_index(corpus)
    if corpus.paths:
        rows = [{"path": path} | read_labels(corpus, path) for path in corpus.paths()]
    else:
        rows = list(corpus.read_clips(folder))
    return pd.DataFrame(rows).assign(sha256="")


def list_paths(corpus: Corpus) -> list[str]:
    """Return all published paths; empty if they are known only from a copy."""
    if corpus.paths:
        return list(corpus.paths())
    return [] if corpus.read_clips else committed_index(corpus).path.tolist()


def describe_unused(corpus: Corpus, path: str) -> str | None:
    """Return a description of a published file that the workbook does not use; None for other files."""
    return next((description for pattern, description in corpus.unused if re.fullmatch(pattern, path)), None)


def audio_files(folder: Path) -> Iterator[Path]:
    """Find audio files below a folder, except hidden ones such as the ``._name.wav`` files of macOS."""
    return (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(map(is_hidden, path.relative_to(folder).parts))
        and path.is_file()
    )


def fingerprint_index(index: "pd.DataFrame") -> str:
    """Return 16 hexadecimal digits that identify the recordings of an index."""
    return digest(index["sha256"].tolist())


def _column_types(corpus: Corpus) -> dict[str, type]:
    return {name: NUMBERS.get(name, str) for name in INDEX_COLUMNS} | dict(corpus.columns)
