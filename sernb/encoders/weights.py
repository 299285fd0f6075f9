"""Read weights in the format of CTranslate2 (``model.bin``, version 6), checking every length against the file.

Little-endian: u32 version; name of the model; u32 revision; u32 number of variables; for each variable its name, u8
rank, u32 sizes, u8 type, u32 bytes, values; then aliases. A name is a u16 length, which includes a final NUL, and the
bytes.
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
    """The bytes are not in this format."""


class _Cursor:
    """A position in the file; reads beyond its end are refused before anything is allocated."""

    def __init__(self, data: mmap.mmap):
        self.data, self.position = data, 0

    def skip(self, count: int, field: str) -> int:
        """Skip bytes and return the position of the first one."""
        if count > len(self.data) - self.position:
            raise _Odd(f"{field} needs {count} bytes, but {len(self.data) - self.position} are left")
        start, self.position = self.position, self.position + count
        return start

    def read_number(self, form: str, field: str) -> int:
        """Read one little-endian number."""
        start = self.skip(struct.calcsize(f"<{form}"), field)
        return struct.unpack_from(f"<{form}", self.data, start)[0]

    def read_name(self, field: str) -> str:
        """Read a name."""
        length = self.read_number("H", field)
        start = self.skip(length, field)
        try:
            return self.data[start : start + length].removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise _Odd(f"{field} is not text") from None


def read_weights(path: Path, prefix: str = "encoder/") -> dict[str, np.ndarray]:
    """Read the variables whose names begin with a prefix; all others are skipped without reading them.

    Returns:
        float32 arrays by name without the prefix; variables that are not floating-point are omitted

    Raises:
        DataError: with the file and the problem
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read_variables(_Cursor(data), prefix)
    except _Odd as odd:
        raise DataError(f"{path}: is not a complete CTranslate2 model ({odd}); {AGAIN}") from None
    except ValueError as error:  # an empty file cannot be mapped
        raise DataError(f"{path}: is empty or cannot be mapped; {AGAIN}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {AGAIN}") from error


def _read_variables(cursor: _Cursor, prefix: str) -> dict[str, np.ndarray]:
    if (version := cursor.read_number("I", "the version")) != VERSION:
        raise _Odd(f"version {version}; only version {VERSION} is supported")
    cursor.read_name("the name of the model")
    cursor.read_number("I", "the revision")
    weights = {}
    for _ in range(cursor.read_number("I", "the number of variables")):  # bounded, as each variable takes bytes
        name = cursor.read_name("the name of a variable")
        if (rank := cursor.read_number("B", f"the rank of {name!r}")) > MOST_AXES:
            raise _Odd(f"{name!r} has {rank} axes")
        shape = tuple(cursor.read_number("I", f"a size of {name!r}") for _ in range(rank))
        kind = cursor.read_number("B", f"the type of {name!r}")
        size = cursor.read_number("I", f"the length of {name!r}")
        if kind not in TYPES:
            raise _Odd(f"{name!r} has the unknown type {kind}")
        count = 1
        for axis in shape:
            count *= axis
        if count * np.dtype(TYPES[kind]).itemsize != size:
            raise _Odd(f"{name!r} declares {count} values in {size} bytes")
        start = cursor.skip(size, repr(name))
        if name.startswith(prefix) and np.dtype(TYPES[kind]).kind == "f" and count:
            values = np.frombuffer(cursor.data[start : start + size], TYPES[kind]).reshape(shape)
            weights[name.removeprefix(prefix)] = values.astype(np.float32)
    return weights
