"""The index of any corpus: the committed one or, for a copy with its own labels, one built from the copy and stored."""

import contextlib
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError, digest, work_folder
from sernb.corpora.files import explain_missing, find_ambiguous, find_files, list_places, locate
from sernb.corpora.index import committed_index, list_clips, make_table, measure, read_table, write_table
from sernb.corpora.record import Corpus, Labels
from sernb.runtime.files import checksum
from sernb.runtime.threads import map_in_order

if TYPE_CHECKING:
    import pandas as pd

DOWNLOAD_ADVICE = ("download it again", "get it again")  # does not apply to a user's recordings


def missing_advice(corpus: Corpus) -> str:
    """Return the advice on a missing clip of a copy without published checksums."""
    if corpus.own:
        return "put it there or remove it from the labels"
    return f"get the corpus again, or name {corpus.name}:available to use what is there"


def own_advice(problem: str) -> str:
    """Return the problem with a user's recording, with advice to record it again instead of downloading it.

    Examples:
        >>> own_advice("a.wav: is empty (0 bytes); download it again")
        'a.wav: is empty (0 bytes); record or export it again'
    """
    for advice in DOWNLOAD_ADVICE:
        problem = problem.replace(advice, "record or export it again")
    return problem


def read_index(corpus: Corpus, data: str | Path | None = None, *, available: bool = False) -> "pd.DataFrame":
    """Return the index: one row per clip, columns ``INDEX_COLUMNS`` and the corpus's own, in order of path.

    Unpublished text is empty, unpublished numbers are NaN. Without a committed index, the index is built from the
    copy, stored in the work folder, and rebuilt when labels or recordings have changed.

    Args:
        data: where to look for that copy, see :func:`sernb.corpora.files.locate`
        available: omit the clips missing from such a copy; a committed index is always complete

    Raises:
        DataError: if the index is missing, or the copy needed to build it is missing or damaged
    """
    from sernb.runtime.files import atomic

    if corpus.committed:
        return committed_index(corpus)
    folder = _locate_copy(corpus, data)
    if available and folder is not None:
        table = list_clips(corpus, folder)
        # A complete copy has one index only.
        available = len(table) == 0 or len(list_places(corpus, folder, table)) < len(table)
    stored = stored_index(f"{corpus.name}-available" if available else corpus.name)
    if _is_intact(stored):
        index = read_table(corpus, stored / "index.csv")
        unchanged = folder is None or _read_metadata(stored).get("state") == _state(corpus, folder, index)
        if unchanged and {name for name, _ in corpus.columns} <= set(index):  # earlier versions read fewer columns
            return index
    if folder is None:
        source = _read_metadata(stored)["folder"]
        raise DataError(f"{stored}: is damaged, and its source {source} no longer exists; put the recordings back")
    with atomic(stored) as unfinished:
        unfinished.mkdir(parents=True)
        index = _build_from_copy(corpus, folder, available=available)
        write_table(index, unfinished / "index.csv")
        sha256 = checksum(unfinished / "index.csv")
        metadata = {"folder": str(folder), "state": _state(corpus, folder, index), "sha256": sha256}
        metadata |= {"labels": corpus.label_files[0]} if corpus.own else {}
        (unfinished / "copy.json").write_text(json.dumps(metadata), encoding="utf-8")
    return read_table(corpus, stored / "index.csv")


def stored_index(name: str) -> Path:
    """Return the folder of an index built from a copy."""
    return work_folder() / "index" / name


def find_copy(name: str) -> Path | None:
    """Return the folder from which a stored index was built, or None."""
    folder = _read_metadata(stored_index(name)).get("folder")
    return Path(folder) if folder else None


def find_labels(name: str) -> Path | None:
    """Return the label table from which the stored index of a user's corpus was built, or None."""
    metadata = _read_metadata(stored_index(name))
    table = Path(metadata.get("folder", ""), metadata.get("labels", "labels.csv"))
    return table if metadata.get("folder") and table.is_file() else None


def _locate_copy(corpus: Corpus, data: str | Path | None) -> Path | None:
    """Return the available copy; None if it is gone but its index is stored, which suffices for cached features."""
    try:
        return locate(corpus, data)
    except DataError:
        source = find_copy(corpus.name)
        if data or source is None:
            raise
        return source if source.is_dir() else None


def _build_from_copy(corpus: Corpus, folder: Path, *, available: bool) -> "pd.DataFrame":
    from sernb.runtime.progress import progress_bar

    table = list_clips(corpus, folder)
    if table.empty:
        return make_table(corpus, [])
    files = find_files(corpus, folder, table)
    ambiguous = find_ambiguous(corpus, folder, table) if len(files) < len(table) and not available else {}
    if available:
        table = table[table["clip"].isin(files)]
    clips, rows, problems = [_without_missing(row) for row in table.to_dict("records")], [], []
    with (
        contextlib.closing(map_in_order(partial(_measure_clip, corpus, folder, files, ambiguous), clips)) as results,
        progress_bar(len(clips), f"index {corpus.name}", "clip") as shown,
    ):
        for result in results:
            shown.update()
            (problems if isinstance(result, str) else rows).append(result)
    if problems:
        raise DataError.of_many(problems, "more; see `sernb check`")
    return make_table(corpus, rows)


def _without_missing(row: Labels) -> Labels:
    """Return a row without its missing values, which are NaN in a table."""
    return {name: value for name, value in row.items() if value == value}


def _measure_clip(
    corpus: Corpus, folder: Path, files: dict[str, Path], ambiguous: dict[str, list[str]], clip: Labels
) -> Labels | str:
    """Return the row of a clip, or a message about its problem."""
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import examine

    file = files.get(str(clip["clip"]))
    if file is None:
        problem = explain_missing(ambiguous, str(clip["clip"]))
        return f"{folder / str(clip['path'])}: {problem}; {missing_advice(corpus)}"
    try:
        return clip | measure(file, examine(file))
    except AudioError as error:
        return own_advice(str(error)) if corpus.own else str(error)


def _is_intact(stored: Path) -> bool:
    try:
        return checksum(stored / "index.csv") == _read_metadata(stored).get("sha256")
    except OSError:
        return False


def _read_metadata(stored: Path) -> dict[str, str]:
    try:
        return dict(json.loads((stored / "copy.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _state(corpus: Corpus, folder: Path, index: "pd.DataFrame") -> str:
    """Return a digest that changes with any label file or recording."""
    labels = sorted(path for pattern in corpus.label_files for path in folder.glob(pattern))
    places = list_places(corpus, folder, index)
    return digest(str(folder), sorted(places), [_stamp(place) for place in [*labels, *places.values()]])


def _stamp(place: str | Path) -> str:
    stat = os.stat(place)
    return f"{stat.st_size} {stat.st_mtime_ns}"
