"""Weights in CTranslate2's format (``model.bin``, version 6), as a bounded reader takes them: no length is believed.

Little-endian: u32 version; name of the model; u32 revision; u32 number of variables; each variable its name, u8 rank,
u32 sizes, u8 type, u32 bytes, values; then aliases. A name is a u16 length that counts a final NUL, and the bytes.
"""

import mmap
import struct
from pathlib import Path

import numpy as np

from sernb.config import DataError

VERSION = 6
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
MOST_AXES = 4
AGAIN = "remove it, then run `sernb fetch` for this encoder"


class _Odd(Exception):  # noqa: N818 - becomes a DataError that names the file
    """The bytes cannot be such a file."""


class _Cursor:
    """A place in the file; whatever would lead beyond its end is refused before anything is made of it."""

    def __init__(self, held: mmap.mmap):
        self.held, self.at = held, 0

    def take(self, count: int, what: str) -> int:
        """Return where the next bytes begin, and step over them."""
        if count > len(self.held) - self.at:
            raise _Odd(f"{what} needs {count} bytes, and {len(self.held) - self.at} are left")
        start, self.at = self.at, self.at + count
        return start

    def number(self, form: str, what: str) -> int:
        """Read one little-endian number."""
        start = self.take(struct.calcsize(f"<{form}"), what)
        return struct.unpack_from(f"<{form}", self.held, start)[0]

    def word(self, what: str) -> str:
        """Read a name."""
        length = self.number("H", what)
        start = self.take(length, what)
        try:
            return self.held[start : start + length].removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise _Odd(f"{what} is no text") from None


def read_weights(path: Path, prefix: str = "encoder/") -> dict[str, np.ndarray]:
    """Read the variables whose names begin with a prefix; all others are stepped over and never in memory.

    Returns:
        float32 arrays by name without the prefix; what is no floating-point number is left out

    Raises:
        DataError: naming the file and what in it cannot be
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            return _variables(_Cursor(held), prefix)
    except _Odd as odd:
        raise DataError(f"{path}: is no whole CTranslate2 model ({odd}); {AGAIN}") from None
    except ValueError as error:  # an empty file cannot be mapped
        raise DataError(f"{path}: is empty or no file that can be mapped; {AGAIN}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {AGAIN}") from error


def _variables(cursor: _Cursor, prefix: str) -> dict[str, np.ndarray]:
    if (version := cursor.number("I", "the version")) != VERSION:
        raise _Odd(f"version {version}; version {VERSION} is read")
    cursor.word("the name of the model")
    cursor.number("I", "the revision")
    read = {}
    for _ in range(cursor.number("I", "the number of variables")):  # each takes bytes, so that the end stops it
        name = cursor.word("the name of a variable")
        if (rank := cursor.number("B", f"the rank of {name!r}")) > MOST_AXES:
            raise _Odd(f"{name!r} has {rank} axes")
        shape = tuple(cursor.number("I", f"a size of {name!r}") for _ in range(rank))
        kind, size = cursor.number("B", f"the type of {name!r}"), cursor.number("I", f"the length of {name!r}")
        if kind not in TYPES:
            raise _Odd(f"{name!r} has type {kind}, which is not known")
        count = 1
        for axis in shape:
            count *= axis
        if count * np.dtype(TYPES[kind]).itemsize != size:
            raise _Odd(f"{name!r} names {count} values in {size} bytes")
        start = cursor.take(size, repr(name))
        if name.startswith(prefix) and np.dtype(TYPES[kind]).kind == "f" and count:
            values = np.frombuffer(cursor.held[start : start + size], TYPES[kind]).reshape(shape)
            read[name.removeprefix(prefix)] = values.astype(np.float32)
    return read
