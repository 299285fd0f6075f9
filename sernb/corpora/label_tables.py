"""Read label tables of other programs with our column names.

Supported tables are ``labels.csv`` (see :mod:`sernb.corpora.labelled_folder`), ``metadata.csv`` or ``metadata.jsonl``
of AudioFolder (``file_name``), the CSV files of nkululeko (``file``, ``speaker``, ``emotion``, optionally ``fold``),
and the JSON lines of EmoBox (``key``, ``wav``, ``emo``). EmoBox keeps further metadata in files beside the table, which
are read with it: speakers in ``data.seg.wrd.stm``, label codes in ``label_map.json``, and folds (as column ``fold``).
"""

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from sernb.config import DataError, expand_home
from sernb.corpora.csv_table import LARGEST, CsvTable, read_csv_table, refuse_too_many

LABELS = "labels.csv"
TABLE_NAMES = (LABELS, "metadata.csv", "metadata.jsonl")  # the first one in a folder is read
SUFFIXES = (".csv", ".jsonl")  # of a table named by the user
ALSO_CALLED = {
    "path": ("file_name", "file", "filename", "wav"), "speaker": ("spk", "speaker_id"), "emotion": ("emo", "label"),
    "gender": ("sex",), "clip": ("key",),
}  # fmt: skip
HIGHEST = 4  # levels above a table that are tried as the root of its paths
UNKNOWN = "unknown"  # the single speaker of tables without speakers


def find_table(name: str | Path) -> Path | None:
    """Return the label table of a folder, or the table itself if it was named; None if there is none."""
    place = expand_home(name)
    if place.suffix.lower() in SUFFIXES and place.is_file():
        return place
    return next((place / table for table in TABLE_NAMES if (place / table).is_file()), None)


def read_labels_table(table: Path, known: Sequence[str]) -> CsvTable:
    """Read a label table and rename the columns of other programs to ours.

    Args:
        known: columns with a meaning

    Raises:
        DataError: with the line that cannot be parsed
    """
    synonyms = tuple(name for names in ALSO_CALLED.values() for name in names)
    is_json = table.suffix.lower() == ".jsonl"
    content = _read_json_table(table) if is_json else read_csv_table(table, (*known, *synonyms))
    given = set(content.columns)
    renamed = {
        next(name for name in names if name in given): column
        for column, names in ALSO_CALLED.items()
        if column not in given and given & set(names)
    }
    rows = [(line, {renamed.get(name, name): cell for name, cell in row.items()}) for line, row in content.rows]
    if is_json and "wav" in renamed:
        _add_emobox_metadata(table, rows)
    columns = dict.fromkeys(renamed.get(name, name) for name in content.columns)
    return CsvTable(tuple(columns | dict.fromkeys(rows[0][1] if rows else ())), tuple(rows))


def list_tables(table: Path) -> list[Path]:
    """Return a table and the files beside it that are read with it, sorted."""
    companions = ("label_map.json", "data.seg.wrd.stm", "fold_*/*.jsonl") if table.suffix.lower() == ".jsonl" else ()
    return [table, *sorted(file for pattern in companions for file in table.parent.glob(pattern))]


def find_root(table: Path, paths: Sequence[str]) -> Path:
    """Return the root folder of the paths in a table: the folder of the table or one above it."""
    for folder in list(table.parents)[: 1 + HIGHEST]:
        if any(os.path.isfile(folder / path) for path in paths[:1]):
            return folder
    return table.parent


def _read_json_table(table: Path) -> CsvTable:
    rows = [
        (line, {str(name).casefold(): "" if value is None else str(value).strip() for name, value in row.items()})
        for line, row in _read_json_lines(table)
    ]
    columns = dict.fromkeys(name for _, row in rows for name in row)
    refuse_too_many(table, len(columns), len(rows))
    return CsvTable(tuple(columns), tuple((line, dict.fromkeys(columns, "") | row) for line, row in rows))


def _read_json_lines(file: Path) -> list[tuple[int, dict]]:
    rows = []
    for line, text in enumerate(_read_text(file).split("\n"), start=1):  # other line separators may be part of cells
        if not text.strip():
            continue
        try:
            row = json.loads(text, object_pairs_hook=_refuse_repeated)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            advice = 'write one per line, each name once, as {"wav": …, "emo": …}'
            raise DataError(f"{file}, line {line}: is not a JSON object; {advice}")
        rows.append((line, row))
    return rows


def _refuse_repeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the cells of a line with text in Unicode NFC, as in CSV tables; ValueError if a name is repeated."""
    if len({name.casefold() for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is repeated")
    return {name: unicodedata.normalize("NFC", cell) if isinstance(cell, str) else cell for name, cell in pairs}


def _read_text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise DataError(f"{file}: is larger than {LARGEST // 2**20} MB; is it a table?")
        return unicodedata.normalize("NFC", file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); save it as text with UTF-8") from error


def _add_emobox_metadata(table: Path, rows: list[tuple[int, dict[str, str]]]) -> None:
    """Add the metadata of the files beside an EmoBox table to its rows: speaker, full label, fold."""
    for _, row in rows:
        row.setdefault("clip", "")
        row.setdefault("emotion", "")
    speakers, labels = _read_speakers(table), _read_label_map(table)
    folds = _read_folds(table, {row["clip"] for _, row in rows})
    for line, row in rows:
        row["speaker"] = row.get("speaker") or speakers.get(row["clip"], "") or UNKNOWN
        row["emotion"] = labels.get(row["emotion"].casefold(), row["emotion"])
        if folds:
            if row["clip"] not in folds:
                raise DataError(
                    f"{table}, line {line}: {row['clip']} is in none of the folds beside it; complete the folds"
                )
            row["fold"] = folds[row["clip"]]


def _read_speakers(table: Path) -> dict[str, str]:
    file = table.with_name("data.seg.wrd.stm")
    lines = _read_text(file).splitlines() if file.is_file() else []
    return {cells[0]: cells[2] for cells in map(str.split, lines) if len(cells) > 2}


def _read_label_map(table: Path) -> dict[str, str]:
    file = table.with_name("label_map.json")
    if not file.is_file():
        return {}
    try:
        return {str(code).casefold(): str(label) for code, label in dict(json.loads(_read_text(file))).items()}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{file}: is not a label map; correct it or move it away") from error


def _read_folds(table: Path, clips: set[str]) -> dict[str, str]:
    """Return the test fold of each clip; with a single fold, the part (train, valid or test) of each clip."""
    files = sorted(table.parent.glob("fold_*/*.jsonl"))
    matches = [(match, file) for file in files if (match := re.search(r"_(train|valid|test)_fold_(\d+)$", file.stem))]
    single = len({match[2] for match, _ in matches}) == 1
    folds: dict[str, str] = {}
    for match, file in matches:
        if not single and match[1] != "test":
            continue
        for line, row in _read_json_lines(file):
            clip, value = str(row.get("key", "")), match[1] if single else match[2]
            if clip not in clips:
                raise DataError(f"{file}, line {line}: {clip!r} is not in {table}; complete it")
            if folds.setdefault(clip, value) != value:
                raise DataError(f"{file}, line {line}: {clip} is also in {folds[clip]}; keep it in one")
    return folds
