"""Tables that people wrote: a CSV file → rows by column, read strictly, with the line of everything that is odd.

Spreadsheets differ in what parts the cells (comma, semicolon, tab, bar), in the coding (UTF-8 with or without a byte
order mark, UTF-16) and in what they add (a line ``sep=;``, empty cells at the end of lines): all that is read. What
could be understood in two ways is refused: a column that is there twice, a quote that is not closed, a cell too many.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sernb.config import DataError

DELIMITERS = ",;\t|"
LARGEST = 256 * 2**20  # bytes: some millions of rows
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class CsvTable:
    """Rows of a table, cells without spaces around them, Unicode in its composed form (NFC)."""

    columns: tuple[str, ...]  # small letters, in the order of the file; those without a name are left out
    rows: tuple[tuple[int, dict[str, str]], ...]  # line in the file, cells by column; lines without content left out


def read_csv_table(file: Path, known: Sequence[str]) -> CsvTable:
    """Read a table with a line of column names.

    Args:
        known: columns that mean something; others may be there, even twice

    Raises:
        DataError: if it cannot be read as text, or a line of it cannot be understood
    """
    text = _text(file)
    lines, first = io.StringIO(text, newline=""), 0
    delimiter = ""
    if said := re.match(r'"?sep=(.)"?[^\S\r\n]*(?:\r\n?|\n|$)', text, re.IGNORECASE):  # as Excel writes and reads it
        delimiter, first = said[1], 1
        lines.seek(said.end())
    delimiter = delimiter or _delimiter(text, known)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    columns: list[str] = []
    rows = []
    try:
        for cells in reader:
            line, cells = first + reader.line_num, [unicodedata.normalize("NFC", cell).strip() for cell in cells]
            if not any(cells):
                continue
            if columns:
                rows.append((line, _row(cells, columns, known, f"{file}, line {line}", delimiter)))
            else:
                columns = _columns(cells, known, file)
    except csv.Error as error:
        found = "a quote is not closed" if "unexpected end" in str(error) else f"cannot be read ({error})"
        raise DataError(
            f"{file}, line {first + reader.line_num}: {found}; correct it, or save it as CSV anew"
        ) from error
    return CsvTable(tuple(filter(None, columns)), tuple(rows))


def _text(file: Path) -> str:
    try:
        if not file.is_file():
            kind = "is no file that can be read" if file.exists() else "there is no such file"
            raise DataError(f"{file}: {kind}; give a table as a CSV file")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its name and rights") from error
    if len(content) > LARGEST:
        raise DataError(f"{file}: has more than {LARGEST // 2**20} MB; is it a table?")
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 text; save it as CSV with UTF-8") from error
    if "\0" in text:
        raise DataError(f"{file}: is no table but holds other bytes than text; save it as CSV with UTF-8")
    return text


def _delimiter(text: str, known: Sequence[str]) -> str:
    """Return what parts the line of column names so that most known names come out, else most cells."""
    header = next((line for line in text.splitlines() if line.strip(DELIMITERS + ' "')), "")

    def found(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip(' "').casefold() for cell in header.split(delimiter)]
        return len(set(cells) & set(known)), len(cells)

    return max(DELIMITERS, key=found)


def _columns(cells: list[str], known: Sequence[str], file: Path) -> list[str]:
    columns = [cell.casefold() for cell in cells]
    if twice := [name for name in known if columns.count(name) > 1]:
        raise DataError(f"{file}: has the column {twice[0]} {columns.count(twice[0])} times; leave one")
    return columns


def _row(cells: list[str], columns: list[str], known: Sequence[str], where: str, delimiter: str) -> dict[str, str]:
    row = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    if any(cells[len(columns) :]):
        raise DataError(f"{where}: has more cells than the first line; put quotes around text")
    for name, cell in row.items():
        if re.search(r"[\r\n]", cell) and (name in known or delimiter in cell):
            raise DataError(f"{where}: column {name} goes over several lines; close its quote, or correct it")
    return dict.fromkeys(filter(None, columns), "") | row


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Return groups of names that differ in capitals, spaces, hyphens or leading zeros alone, such as Spk1 and spk_01.

    Examples:
        >>> near_equal(["Spk1", "spk_01", "spk2", "1-1", "11"])
        [['Spk1', 'spk_01']]
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(set(names)):
        words = re.findall(r"\d+|[^\d\s_.\-]+", unicodedata.normalize("NFKC", name).casefold())
        groups.setdefault(tuple(word.lstrip("0") or "0" for word in words) or (name,), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
