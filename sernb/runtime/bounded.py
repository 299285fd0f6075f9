"""Read JSON and arrays from untrusted model files: declared sizes are checked against fixed bounds."""

import json
import math
import re
import stat
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np

from sernb.config import DataError

LARGEST = 256 * 2**20  # bytes of all arrays of a model, and of any file read here
LARGEST_JSON = 16 * 2**20
MOST_ARRAYS = 10_000
AGAIN = "get the folder again"
WORD = re.compile(r"[^\W_](?:[^\W_]|[ '-])*")  # letters and digits of any script, spaces, hyphens, apostrophes
LONGEST_WORD = 40
MOST_WORDS = 1000


def content_of(path: Path, most: int = LARGEST) -> bytes:
    """Read a file of bounded size.

    Raises:
        DataError: if it is missing, not a regular file, unreadable, or larger than ``most`` bytes
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: is not a regular file; {AGAIN}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; get the whole folder again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if len(content) > most:
        raise DataError(f"{path}: is larger than {most // 2**20} MB, more than any model of this workbook")
    return content


def json_in(path: Path) -> dict:
    """Read a JSON object.

    Raises:
        DataError: as :func:`content_of`; if it is not JSON, too deeply nested, not an object, or has duplicate keys
    """
    try:
        value = json.loads(content_of(path, LARGEST_JSON).decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as JSON; {AGAIN}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: is not a model of this workbook; {AGAIN}")
    return value


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("duplicate key")
    return value


def arrays_in(path: Path, content: bytes | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file by name; pickled objects are refused.

    Args:
        content: the bytes of the file, if they have been read already

    Raises:
        DataError: as :func:`content_of`; if it is damaged, too large, or holds duplicate names or pickled objects
    """
    content = content_of(path) if content is None else content
    if content.count(b"PK\1\2") > MOST_ARRAYS:  # before zipfile creates an object per entry
        raise DataError(f"{path}: holds more than {MOST_ARRAYS} arrays, more than any model of this workbook")
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            parts = packed.infolist()
            if sum(part.file_size for part in parts) > LARGEST:
                raise DataError(
                    f"{path}: declares more than {LARGEST // 2**20} MB of arrays, more than any model of this workbook"
                )
            if len({part.filename for part in parts}) < len(parts):
                raise DataError(f"{path}: holds two arrays of one name; {AGAIN}")
            return {part.filename.removesuffix(".npy"): _array(packed.read(part), path) for part in parts}
    except DataError:
        raise
    except Exception as error:
        # zipfile, zlib and NumPy's header parser raise many kinds of errors (BadZipFile, zlib.error, EOFError,
        # struct.error, SyntaxError, …); all of them are about these bytes.
        raise DataError(f"{path}: is damaged; {AGAIN}") from error


def _array(content: bytes, path: Path) -> np.ndarray:
    """Return the array in an npy file whose header matches its size."""
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran_order, dtype = read_header(file)
    if dtype.hasobject:
        raise DataError(f"{path}: holds pickled objects, which can run arbitrary code; not read")
    if dtype.itemsize * math.prod(shape) != len(content) - file.tell() or not dtype.itemsize:
        raise ValueError("the header declares another size")
    values = np.frombuffer(content, dtype, offset=file.tell())
    return values.reshape(shape, order="F" if fortran_order else "C")


def words(names: Iterable[object]) -> tuple[str, ...]:
    """Return class names after checking that they can be displayed and written anywhere.

    Raises:
        ValueError: if a name is not text, too long, repeated, or has other characters than letters, digits, spaces,
            apostrophes and hyphens

    Examples:
        >>> words(["happy", "very-sad"])
        ('happy', 'very-sad')
    """
    if isinstance(names, str) or not isinstance(names, list | tuple) or not 0 < len(names) <= MOST_WORDS:
        raise ValueError(f"classes: a list of 1 to {MOST_WORDS} words is expected")
    for name in names:
        if not (isinstance(name, str) and len(name) <= LONGEST_WORD and WORD.fullmatch(name)):
            raise ValueError(f"classes: {name!r:.60} is not a word of letters, digits, spaces and hyphens")
    if len(set(names)) < len(names):
        raise ValueError("classes: a word is repeated")
    return tuple(names)


def number(value: object, what: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number in a range.

    Raises:
        ValueError: if it is not a number (text and booleans are not) or outside the range
    """
    is_finite = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    if not (is_finite and low <= value <= high):
        between = f" from {low:g} to {high:g}" if math.isfinite(high) else ""
        raise ValueError(f"{what}: a number{between} is expected")
    return float(value)
