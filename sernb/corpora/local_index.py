"""The index of any corpus: the committed one or, where a copy brings its own labels, one made from it and kept."""

import contextlib
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError, digest, work_folder
from sernb.corpora.files import doubles_of, find_files, list_places, locate, why_missing
from sernb.corpora.index import committed_index, list_clips, make_table, measure, read_table, write_table
from sernb.corpora.record import Corpus, Labels
from sernb.runtime.files import checksum
from sernb.runtime.threads import map_in_order

if TYPE_CHECKING:
    import pandas as pd


DOWNLOADED = ("download it again", "get it again")  # advice that is none for recordings of one's own


def missing_advice(corpus: Corpus) -> str:
    """Return what to do about a clip that a copy without published checksums lacks."""
    if corpus.own:
        return "put it there or take it out of the labels"
    return f"get the corpus again, or name {corpus.name}:available to use what is there"


def own_advice(problem: str) -> str:
    """Return what is wrong with a recording, with advice for those that nobody publishes.

    Examples:
        >>> own_advice("a.wav: is empty (0 bytes); download it again")
        'a.wav: is empty (0 bytes); record or export it again'
    """
    for advice in DOWNLOADED:
        problem = problem.replace(advice, "record or export it again")
    return problem


def read_index(corpus: Corpus, data: str | Path | None = None, *, available: bool = False) -> "pd.DataFrame":
    """Return the index: one row a clip, columns ``INDEX_COLUMNS`` and the corpus's own, in order of path.

    Words that a corpus does not publish are empty, numbers NaN. Where no index is committed it is made from the copy,
    kept in the work folder, and made anew when labels or recordings have changed.

    Args:
        data: where to look for that copy, see :func:`locate`
        available: leave clips out that such a copy lacks; a committed index is whole all the same

    Raises:
        DataError: if the index is missing, or the copy that it must be made from is missing or spoiled
    """
    from sernb.runtime.files import atomic

    if corpus.committed:
        return committed_index(corpus)
    folder = _copy(corpus, data)
    if available and folder is not None:
        table = list_clips(corpus, folder)
        available = len(table) == 0 or len(list_places(corpus, folder, table)) < len(table)  # else there is one index
    kept = read_kept_index(f"{corpus.name}-available" if available else corpus.name)
    if _is_whole(kept):
        index = read_table(corpus, kept / "index.csv")
        same = folder is None or _told(kept).get("state") == _state(corpus, folder, index)
        if same and {name for name, _ in corpus.columns} <= set(index):  # an earlier version read fewer columns
            return index
    if folder is None:
        gone = _told(kept)["folder"]
        raise DataError(f"{kept}: is damaged, and {gone}, which it was made from, has gone; put the recordings back")
    with atomic(kept) as unfinished:
        unfinished.mkdir(parents=True)
        index = _index_of_copy(corpus, folder, available=available)
        write_table(index, unfinished / "index.csv")
        check = checksum(unfinished / "index.csv")
        about = {"folder": str(folder), "state": _state(corpus, folder, index), "sha256": check}
        about |= {"labels": corpus.labels_at[0]} if corpus.own else {}
        (unfinished / "copy.json").write_text(json.dumps(about), encoding="utf-8")
    return read_table(corpus, kept / "index.csv")


def read_kept_index(name: str) -> Path:
    """Return the folder of an index that was made from a copy."""
    return work_folder() / "index" / name


def find_copy(name: str) -> Path | None:
    """Return the folder that a kept index was made from, or nothing."""
    folder = _told(read_kept_index(name)).get("folder")
    return Path(folder) if folder else None


def find_labels(name: str) -> Path | None:
    """Return the table of labels that a kept index of somebody's own recordings was made from, or nothing."""
    told = _told(read_kept_index(name))
    table = Path(told.get("folder", ""), told.get("labels", "labels.csv"))
    return table if told.get("folder") and table.is_file() else None


def _copy(corpus: Corpus, data: str | Path | None) -> Path | None:
    """Return the copy at hand; nothing if it has gone and its index is kept, which is enough for cached features."""
    try:
        return locate(corpus, data)
    except DataError:
        behind = find_copy(corpus.name)
        if data or behind is None:
            raise
        return behind if behind.is_dir() else None


def _index_of_copy(corpus: Corpus, folder: Path, *, available: bool) -> "pd.DataFrame":
    from sernb.runtime.progress import progress_bar

    table = list_clips(corpus, folder)
    if table.empty:
        return make_table(corpus, [])
    files = find_files(corpus, folder, table)
    doubles = doubles_of(corpus, folder, table) if len(files) < len(table) and not available else {}
    if available:
        table = table[table["clip"].isin(files)]
    clips, rows, problems = [_known(row) for row in table.to_dict("records")], [], []
    with (
        contextlib.closing(map_in_order(partial(_row, corpus, folder, files, doubles), clips)) as measured_rows,
        progress_bar(len(clips), f"index {corpus.name}", "clip") as shown,
    ):
        for row in measured_rows:
            shown.update()
            (problems if isinstance(row, str) else rows).append(row)
    if problems:
        raise DataError.of_many(problems, "more; see `sernb check`")
    return make_table(corpus, rows)


def _known(row: Labels) -> Labels:
    """Return a row without what it does not say: a table has NaN there."""
    return {name: value for name, value in row.items() if value == value}


def _row(
    corpus: Corpus, folder: Path, files: dict[str, Path], doubles: dict[str, list[str]], clip: Labels
) -> Labels | str:
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import examine

    file = files.get(str(clip["clip"]))
    if file is None:
        found = why_missing(doubles, str(clip["clip"]))
        return f"{folder / str(clip['path'])}: {found}; {missing_advice(corpus)}"
    try:
        return clip | measure(file, examine(file))
    except AudioError as error:
        return own_advice(str(error)) if corpus.own else str(error)


def _is_whole(kept: Path) -> bool:
    try:
        return checksum(kept / "index.csv") == _told(kept).get("sha256")
    except OSError:
        return False


def _told(kept: Path) -> dict[str, str]:
    try:
        return dict(json.loads((kept / "copy.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _state(corpus: Corpus, folder: Path, index: "pd.DataFrame") -> str:
    """Return digits that change when a label file or a recording does."""
    labels = sorted(path for pattern in corpus.labels_at for path in folder.glob(pattern))
    places = list_places(corpus, folder, index)
    return digest(str(folder), sorted(places), [_stamp(place) for place in [*labels, *places.values()]])


def _stamp(place: str | Path) -> str:
    stat = os.stat(place)
    return f"{stat.st_size} {stat.st_mtime_ns}"
