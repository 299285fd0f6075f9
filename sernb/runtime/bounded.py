"""Files of somebody else's model → JSON, arrays, tables; nothing they say of their own size is believed."""

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

LARGEST = 256 * 2**20  # bytes of all arrays of a model, and of any file that is read here
LARGEST_JSON = 16 * 2**20
MOST_ARRAYS = 10_000
AGAIN = "get the folder again"
WORD = re.compile(r"[^\W_](?:[^\W_]|[ '-])*")  # letters and digits of any script, spaces, hyphens, apostrophes
LONGEST_WORD = 40
MOST_WORDS = 1000


def content_of(path: Path, most: int = LARGEST) -> bytes:
    """Return what a file holds.

    Raises:
        DataError: if it is missing, a pipe or a device, cannot be read, or is larger than ``most`` bytes
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: is no file (a folder, a pipe or a device); {AGAIN}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; get the whole folder again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); look at its rights") from error
    if len(content) > most:
        raise DataError(f"{path}: has more than {most // 2**20} MB; no model here is so large")
    return content


def json_in(path: Path) -> dict:
    """Read a JSON object.

    Raises:
        DataError: as :func:`content_of`, or if it is no JSON, nested too deep, no object, or names a key twice
    """
    try:
        found = json.loads(content_of(path, LARGEST_JSON).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as JSON; {AGAIN}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no model of this workbook; {AGAIN}")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def arrays_in(path: Path, content: bytes | None = None) -> dict[str, np.ndarray]:
    """Read arrays of an npz file by name, each once; never pickled objects.

    Args:
        content: of the file, if it has been read already

    Raises:
        DataError: as :func:`content_of`, or if it is damaged, names too much or holds pickled objects
    """
    content = content_of(path) if content is None else content
    if content.count(b"PK\1\2") > MOST_ARRAYS:  # before zipfile makes an object of each entry
        raise DataError(f"{path}: names more than {MOST_ARRAYS} arrays; no model here has so many")
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            parts = packed.infolist()
            if sum(part.file_size for part in parts) > LARGEST:
                raise DataError(f"{path}: names more than {LARGEST // 2**20} MB of arrays; no model here is so large")
            if len({part.filename for part in parts}) < len(parts):
                raise DataError(f"{path}: names an array twice; {AGAIN}")
            return {part.filename.removesuffix(".npy"): _array(packed.read(part), path) for part in parts}
    except DataError:
        raise
    except Exception as error:
        # Whatever zipfile, zlib or NumPy's reader of headers raise (BadZipFile, zlib.error, EOFError, struct.error,
        # SyntaxError, …) is about these bytes.
        raise DataError(f"{path}: is damaged; {AGAIN}") from error


def _array(content: bytes, path: Path) -> np.ndarray:
    """Return the array in a npy file; its header may not promise more than is there."""
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, kind = read(file)
    if kind.hasobject:
        raise DataError(f"{path}: holds pickled objects, which can run anybody's code; not read")
    if kind.itemsize * math.prod(shape) != len(content) - file.tell() or not kind.itemsize:
        raise ValueError("the header names another size")
    values = np.frombuffer(content, kind, offset=file.tell())
    return values.reshape(shape, order="F" if by_columns else "C")


def words(names: Iterable[object]) -> tuple[str, ...]:
    """Return names of classes, if each is a word that can be written anywhere.

    Raises:
        ValueError: if one is no text, too long, twice there, or has more than letters, digits, spaces and hyphens

    Examples:
        >>> words(["happy", "very-sad"])
        ('happy', 'very-sad')
    """
    if isinstance(names, str) or not isinstance(names, list | tuple) or not 0 < len(names) <= MOST_WORDS:
        raise ValueError(f"classes: a list of 1 to {MOST_WORDS} words is expected")
    for name in names:
        if not (isinstance(name, str) and len(name) <= LONGEST_WORD and WORD.fullmatch(name)):
            raise ValueError(f"classes: {name!r:.60} is no word of letters, digits, spaces and hyphens")
    if len(set(names)) < len(names):
        raise ValueError("classes: a word is there twice")
    return tuple(names)


def number(value: object, what: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number in a range.

    Raises:
        ValueError: if it is none; text and true are none
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    if not (good and low <= value <= high):
        between = f" from {low:g} to {high:g}" if math.isfinite(high) else ""
        raise ValueError(f"{what}: a number{between} is expected")
    return float(value)
