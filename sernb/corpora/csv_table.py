"""Read CSV tables written by people: strictly, with the line number in every error.

Spreadsheets differ in the delimiter (comma, semicolon, tab, bar), the encoding (UTF-8 with or without a byte order
mark, UTF-16) and in what they add (a line ``sep=;``, empty cells at the end of lines); all of these are read.
Ambiguous tables are refused: a duplicate column, an unclosed quote, an extra cell.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sernb.config import DataError

DELIMITERS = ",;\t|"
LARGEST = 256 * 2**20  # bytes: some millions of rows
MOST_COLUMNS = 10_000
MOST_CELLS = 10_000_000  # some gigabytes
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class CsvTable:
    """Rows of a table; cells are stripped and in Unicode NFC."""

    columns: tuple[str, ...]  # lower case, in the order of the file, without unnamed columns
    rows: tuple[tuple[int, dict[str, str]], ...]  # line number in the file and cells by column, without empty lines


def read_csv_table(file: Path, known: Sequence[str]) -> CsvTable:
    """Read a table with a header line.

    Args:
        known: columns with a meaning; other columns may be present, even twice

    Raises:
        DataError: if the file is not text or a line cannot be parsed
    """
    lines, first = _open_text(file), 0
    header = next(lines, "")
    # Excel reads and writes this line.
    if declaration := re.fullmatch(r'"?sep=(.)"?\s*', header, re.IGNORECASE):
        header, first = next(lines, ""), 1
    while header and not header.strip(DELIMITERS + " \r\n"):
        header, first = next(lines, ""), first + 1
    delimiter = declaration[1] if declaration else _guess_delimiter(header, known)
    reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    columns: list[str] = []
    rows = []
    try:
        for cells in reader:
            line, cells = first + reader.line_num, [unicodedata.normalize("NFC", cell).strip() for cell in cells]
            if not any(cells):
                continue
            refuse_too_many(file, len(columns or cells), len(rows))
            if columns:
                rows.append((line, _parse_row(cells, columns, known, f"{file}, line {line}", delimiter)))
            else:
                columns = _parse_header(cells, known, file)
    except csv.Error as error:
        problem = "a quote is not closed" if "unexpected end" in str(error) else f"cannot be read ({error})"
        raise DataError(
            f"{file}, line {first + reader.line_num}: {problem}; correct it, or save the table as CSV again"
        ) from error
    return CsvTable(tuple(filter(None, columns)), tuple(rows))


def refuse_too_many(file: Path, columns: int, rows: int) -> None:
    """Raise DataError if a table has more columns or cells than can be read."""
    if columns > MOST_COLUMNS or columns * rows > MOST_CELLS:
        raise DataError(
            f"{file}: has {columns} columns and {rows or 'more'} rows, more than can be read ({MOST_COLUMNS} columns, "
            f"{MOST_CELLS} cells); is it a table of labels?"
        )


def _open_text(file: Path) -> io.TextIOWrapper:
    """Return the text of a file, line by line: a list of lines would take ten times the memory."""
    try:
        if not file.is_file():
            problem = "is not a regular file" if file.exists() else "no such file"
            raise DataError(f"{file}: {problem}; give a table as a CSV file")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its name and permissions") from error
    if len(content) > LARGEST:
        raise DataError(f"{file}: is larger than {LARGEST // 2**20} MB; is it a table?")
    encoding = "utf-16" if content.startswith(UTF16) else "utf-8-sig"
    try:
        has_zero = "\0" in content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 text; save it as CSV with UTF-8") from error
    if has_zero:
        raise DataError(f"{file}: is binary, not text; save it as CSV with UTF-8")
    return io.TextIOWrapper(io.BytesIO(content), encoding, newline="")


def _guess_delimiter(header: str, known: Sequence[str]) -> str:
    """Return the delimiter that splits the header into the most known columns, then into the most cells."""

    def count(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip(' "\r\n').casefold() for cell in header.split(delimiter)]
        return len(set(cells) & set(known)), len(cells)

    return max(DELIMITERS, key=count)


def _parse_header(cells: list[str], known: Sequence[str], file: Path) -> list[str]:
    columns = [cell.casefold() for cell in cells]
    if repeated := [name for name in known if columns.count(name) > 1]:
        raise DataError(f"{file}: has the column {repeated[0]} {columns.count(repeated[0])} times; keep one")
    return columns


def _parse_row(
    cells: list[str], columns: list[str], known: Sequence[str], where: str, delimiter: str
) -> dict[str, str]:
    row = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    if any(cells[len(columns) :]):
        raise DataError(f"{where}: has more cells than the header; put quotes around text")
    for name, cell in row.items():
        if re.search(r"[\r\n]", cell) and (name in known or delimiter in cell):
            raise DataError(f"{where}: column {name} spans several lines; close its quote, or correct it")
    return dict.fromkeys(filter(None, columns), "") | row


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Group names that differ only in case, spaces, hyphens or leading zeros, such as Spk1 and spk_01.

    Examples:
        >>> near_equal(["Spk1", "spk_01", "spk2", "1-1", "11"])
        [['Spk1', 'spk_01']]
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(set(names)):
        words = re.findall(r"\d+|[^\d\s_.\-]+", unicodedata.normalize("NFKC", name).casefold())
        groups.setdefault(tuple(word.lstrip("0") or "0" for word in words) or (name,), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
