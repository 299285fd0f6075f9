"""Tables of labels as other programs write them → rows under our names of columns.

Read are ``labels.csv``, as :mod:`sernb.corpora.labelled_folder` describes it; the ``metadata.csv`` or
``metadata.jsonl`` of AudioFolder (``file_name``); nkululeko's CSV (``file``, ``speaker``, ``emotion``, perhaps
``fold``); and EmoBox's JSON lines (``key``, ``wav``, ``emo``). What lies beside EmoBox's is read with them: speakers in
``data.seg.wrd.stm``, what short labels mean in ``label_map.json``, and the folds, as column ``fold``.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sernb.config import DataError
from sernb.corpora.csv_table import LARGEST, CsvTable, read_csv_table

LABELS = "labels.csv"
FOUND = (LABELS, "metadata.csv", "metadata.jsonl")  # in a folder that is named, the first that is there
SUFFIXES = (".csv", ".jsonl")  # of a table that is named itself
ALSO_CALLED = {
    "path": ("file_name", "file", "filename", "wav"), "speaker": ("spk", "speaker_id"), "emotion": ("emo", "label"),
    "gender": ("sex",), "clip": ("key",),
}  # fmt: skip
HIGHEST = 4  # folders above a table in which its paths may begin
UNKNOWN = "unknown"  # the one speaker of tables that name none


def find_table(name: str | Path) -> Path | None:
    """Return the table of labels that a name means, a folder's or the table itself; nothing if there is none."""
    place = Path(os.path.expanduser(name))  # which, unlike that of Path, knows no error
    if place.suffix.lower() in SUFFIXES and place.is_file():
        return place
    return next((place / each for each in FOUND if (place / each).is_file()), None)


def read_labels_table(table: Path, known: Sequence[str]) -> CsvTable:
    """Read a table of labels; columns that other programs call otherwise come under our names.

    Args:
        known: columns that mean something

    Raises:
        DataError: naming the line that cannot be understood
    """
    others = tuple(name for names in ALSO_CALLED.values() for name in names)
    lines = table.suffix.lower() == ".jsonl"
    found = _read_json_lines(table) if lines else read_csv_table(table, (*known, *others))
    given = set(found.columns)
    ours = {
        next(name for name in names if name in given): column
        for column, names in ALSO_CALLED.items()
        if column not in given and given & set(names)
    }
    rows = [(line, {ours.get(name, name): cell for name, cell in row.items()}) for line, row in found.rows]
    if lines and "wav" in ours:
        _add_emobox(table, rows)
    columns = dict.fromkeys(ours.get(name, name) for name in found.columns)
    return CsvTable(tuple(columns | dict.fromkeys(rows[0][1] if rows else ())), tuple(rows))


def list_tables(table: Path) -> list[Path]:
    """Return a table and what lies beside it and is read with it, in order."""
    beside = ("label_map.json", "data.seg.wrd.stm", "fold_*/*.jsonl") if table.suffix.lower() == ".jsonl" else ()
    return [table, *sorted(file for pattern in beside for file in table.parent.glob(pattern))]


def find_home(table: Path, paths: Sequence[str]) -> Path:
    """Return the folder in which the paths of a table begin: its own, or one of those above it."""
    for folder in list(table.parents)[: 1 + HIGHEST]:
        if any(os.path.isfile(folder / path) for path in paths[:1]):
            return folder
    return table.parent


def _read_json_lines(table: Path) -> CsvTable:
    rows = [
        (line, {str(name).casefold(): "" if value is None else str(value).strip() for name, value in row.items()})
        for line, row in _json_lines(table)
    ]
    columns = dict.fromkeys(name for _, row in rows for name in row)
    return CsvTable(tuple(columns), tuple((line, dict.fromkeys(columns, "") | row) for line, row in rows))


def _json_lines(file: Path) -> list[tuple[int, dict]]:
    rows = []
    for line, text in enumerate(_text(file).split("\n"), start=1):  # other ends of lines may stand inside of words
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise DataError(f'{file}, line {line}: is no JSON object; write one a line, as {{"wav": …, "emo": …}}')
        rows.append((line, row))
    return rows


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise DataError(f"{file}: has more than {LARGEST // 2**20} MB; is it a table?")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); save it as text with UTF-8") from error


def _add_emobox(table: Path, rows: list[tuple[int, dict[str, str]]]) -> None:
    """Add to each row what EmoBox keeps in files beside its JSON lines: speaker, whole word, fold."""
    for _, row in rows:
        row.setdefault("clip", "")
        row.setdefault("emotion", "")
    speakers, words, folds = _speakers(table), _words(table), _folds(table, {row["clip"] for _, row in rows})
    for line, row in rows:
        row["speaker"] = row.get("speaker") or speakers.get(row["clip"], "") or UNKNOWN
        row["emotion"] = words.get(row["emotion"].casefold(), row["emotion"])
        if folds:
            if row["clip"] not in folds:
                raise DataError(f"{table}, line {line}: {row['clip']} is in no fold beside it; complete the folds")
            row["fold"] = folds[row["clip"]]


def _speakers(table: Path) -> dict[str, str]:
    file = table.with_name("data.seg.wrd.stm")
    lines = _text(file).splitlines() if file.is_file() else []
    return {cells[0]: cells[2] for cells in map(str.split, lines) if len(cells) > 2}


def _words(table: Path) -> dict[str, str]:
    file = table.with_name("label_map.json")
    if not file.is_file():
        return {}
    try:
        return {str(code).casefold(): str(word) for code, word in dict(json.loads(_text(file))).items()}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{file}: is no map of labels; correct it or move it away") from error


def _folds(table: Path, clips: set[str]) -> dict[str, str]:
    """Return the fold in which each clip is tested; of a single one, the part that the clip is in."""
    files = sorted(table.parent.glob("fold_*/*.jsonl"))
    named = [(match, file) for file in files if (match := re.search(r"_(train|valid|test)_fold_(\d+)$", file.stem))]
    single = len({match[2] for match, _ in named}) == 1
    folds: dict[str, str] = {}
    for match, file in named:
        if not single and match[1] != "test":
            continue
        for line, row in _json_lines(file):
            clip, value = str(row.get("key", "")), match[1] if single else match[2]
            if clip not in clips:
                raise DataError(f"{file}, line {line}: {clip!r} is not in {table}; complete it")
            if folds.setdefault(clip, value) != value:
                raise DataError(f"{file}, line {line}: {clip} is in {folds[clip]}, too; leave it in one")
    return folds
