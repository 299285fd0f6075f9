"""Precomputed embeddings: a table with one row per clip, identified by its name or path.

``table:FILE`` is an ``.npz`` file with ``clip`` (or ``path``) and ``values``, as written by `sernb prepare --table`, or
a ``.csv``, ``.csv.gz`` or ``.parquet`` file with that column and one column per value. There are no embeddings of
augmented copies, so systems train on original recordings and do not average TTA views.
"""

import gzip
import io
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from sernb.config import DataError, expand_home

KEYS = ("clip", "path", "file")
METADATA = (*KEYS, "speaker", "emotion", "gender", "corpus")  # columns that are not values of an embedding
LARGEST = 2 * 10**8  # values of a table, 800 MB
MOST_COLUMNS = 200_000  # the largest encoders have 33 layers of 2 × 1280 values
LONGEST_LINE = 16 * 2**20  # bytes
AGAIN = "write it again with one row per clip"


@dataclass(frozen=True)
class Table:
    """A table of embeddings by clip."""

    name: str
    identity: str
    path: Path
    rows: Mapping[str, int] = field(repr=False)  # name or path of a clip → its row
    values: np.ndarray = field(repr=False)  # (clips, width), float32
    layers: int = 1
    sampling_rate: int = 16_000

    @property
    def width(self) -> int:
        """Number of values per row."""
        return self.values.shape[1]

    @property
    def card(self) -> str:
        """One sentence for a protocol card."""
        return f"{self.path.name}: precomputed by an unknown encoder, whose training data may include this corpus."

    def of(self, index: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return the row of each clip of an index, ``(1, width)``.

        Raises:
            DataError: with the first clips without a row
        """
        embeddings = {}
        for clip, path in zip(index["clip"], index["path"], strict=True):
            keys = (clip, path, clip.rpartition("/")[2], Path(path).name, Path(path).stem)  # corpus/clip in a pool
            row = next((self.rows[key] for key in keys if key in self.rows), None)
            if row is not None:
                embeddings[clip] = self.values[row : row + 1]
        if missing := [clip for clip in index["clip"] if clip not in embeddings]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise DataError(f"{self.path}: has no row for {', '.join(missing[:3])}{more}; compute them, too")
        return embeddings


def open_encoder(location: str) -> Table:
    """Read a table and check it.

    Args:
        location: path of the file

    Raises:
        DataError: if it cannot be read, or has no key column, duplicate clips, or values that are not finite
    """
    from sernb.runtime.files import checksum

    path = expand_home(location).absolute()
    if not path.is_file():
        raise DataError(f"{path}: no such file; name a table as in table:FILE")
    reader = {".npz": _read_npz, ".parquet": _read_parquet}.get(path.suffix, _read_csv)
    keys, values = reader(path)
    if values.ndim != 2 or len(values) != len(keys) or not values.size:
        raise DataError(f"{path}: {len(keys)} clips and values of shape {values.shape}; {AGAIN}")
    if repeated := keys[keys.duplicated()].tolist():
        raise DataError(f"{path}: has {repeated[0]!r} twice ({len(repeated)} such rows); {AGAIN}")
    if (odd := ~np.isfinite(values).all(axis=1)).any():
        raise DataError(
            f"{path}: {keys[odd].tolist()[0]!r} has values that are not numbers ({odd.sum()} such rows); {AGAIN}"
        )
    rows = {str(key): row for row, key in enumerate(keys)}
    for row, key in enumerate(keys):  # clips are also found by their name without folder and suffix
        rows.setdefault(Path(str(key)).stem, row)
    return Table(f"table:{location}", checksum(path)[:16], path, rows, values.astype(np.float32))


def _read_npz(path: Path) -> tuple[pd.Series, np.ndarray]:
    from sernb.runtime.bounded import arrays_in

    arrays = arrays_in(path)
    key = next((name for name in KEYS if name in arrays), None)
    if key is None or "values" not in arrays or arrays["values"].dtype.kind not in "fiu":
        raise DataError(f"{path}: holds {', '.join(arrays)[:80] or 'nothing'}; clip (or path) and values are expected")
    if "starts" in arrays:
        raise DataError(f"{path}: has several frames per clip; {AGAIN} (without --pooling frames)")
    return pd.Series(arrays[key].astype(str).ravel()), arrays["values"]


def _read_csv(path: Path) -> tuple[pd.Series, np.ndarray]:
    try:
        with (
            gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file,
            warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),  # rows longer than the header
            pd.read_csv(_bounded(file), chunksize=1000, index_col=False, dtype=dict.fromkeys(METADATA, str)) as chunks,
        ):
            parts, count = [], 0
            for chunk in chunks:
                parts.append(chunk)
                count += chunk.size
                if count > LARGEST:
                    raise DataError(f"{path}: holds more than {LARGEST} values, more than can be read; split it")
        return _columns(path, pd.concat(parts))
    except (
        OSError,
        ValueError,
        EOFError,
        zlib.error,
        pd.errors.ParserWarning,
    ) as error:  # errors of pandas are ValueErrors
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:120]
        raise DataError(f"{path}: cannot be read as CSV ({reason}); {AGAIN}") from error


def _bounded(file: BinaryIO) -> BinaryIO:
    """Return a CSV file whose lines are not endless; ValueError if it has too many columns."""
    header = file.readline(LONGEST_LINE).split(b"\r")[0].strip()
    if (columns := 1 + header.count(b",")) > MOST_COLUMNS:
        raise ValueError(f"it has {columns} columns, more than {MOST_COLUMNS}")
    if b'"' not in header and len(set(header.split(b","))) < columns:
        raise ValueError("it has a column twice")
    file.seek(0)
    return io.BufferedReader(_Lines(file))


class _Lines(io.RawIOBase):
    """A file whose lines have a largest length; else a parser would hold whatever a small archive unpacks to."""

    def __init__(self, file: BinaryIO):
        super().__init__()
        self.file, self.length = file, 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer) -> int:
        """Read from the place on; ValueError in a line that is too long."""
        content = self.file.read(len(buffer))
        end = 1 + max(content.rfind(b"\n"), content.rfind(b"\r"))
        self.length = len(content) - end + (0 if end else self.length)
        if self.length > LONGEST_LINE:
            raise ValueError(f"it has a line of more than {LONGEST_LINE // 2**20} MB")
        buffer[: len(content)] = content
        return len(content)


def _read_parquet(path: Path) -> tuple[pd.Series, np.ndarray]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(f"{path}: Parquet needs the package pyarrow; run: pip install pyarrow, or use .npz") from error
    try:
        with parquet.ParquetFile(path) as file:
            if file.metadata.num_rows * file.metadata.num_columns > LARGEST:
                raise DataError(f"{path}: holds more than {LARGEST} values, more than can be read; split it")
            return _columns(path, file.read().to_pandas())
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({str(error)[:120]}); {AGAIN}") from error


def _columns(path: Path, table: pd.DataFrame) -> tuple[pd.Series, np.ndarray]:
    key = next((name for name in KEYS if name in table), None)
    if key is None:
        raise DataError(f"{path}: has no column clip or path ({', '.join(map(str, table.columns[:4]))} …); {AGAIN}")
    values = table[[name for name in table if name not in METADATA]]
    if odd := [name for name in values if values[name].dtype.kind not in "fiu"]:
        raise DataError(f"{path}: column {odd[0]!r} is not numeric; remove it, or {AGAIN}")
    with np.errstate(over="ignore"):  # infinite values are refused
        return table[key].astype(str).reset_index(drop=True), values.to_numpy(np.float32)
