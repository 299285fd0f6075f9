"""The feature cache: features of many clips in one memory-mapped file with a checksum per clip."""

import contextlib
import json
import shutil
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.runtime.files import Damaged, atomic

VALUES, CONTENTS = "values.f32", "contents.json"
CHECKED_AT_ONCE = 2**29  # bytes, checked in less than a second
COPIED = 2**20  # bytes at a time


class FeatureTable(Mapping):
    """Features of many clips in one memory-mapped file: ``table[clip]`` → float32, shape ``(frames, width)``.

    Each clip is compared with its checksum when it is first read, so large tables open as fast as small ones.
    """

    def __init__(self, frames: np.ndarray, starts: np.ndarray, clips: list[str], checks: list[int], folder: Path):
        self.frames = frames  # (frames of all clips, width)
        self.starts = starts  # (clips + 1,)
        self.position = {clip: row for row, clip in enumerate(clips)}
        self.folder = folder
        self._checks, self._intact = checks, np.zeros(len(clips), bool)

    def __getitem__(self, clip: str) -> np.ndarray:
        """Return the features of one clip.

        Raises:
            Damaged: if the stored values have changed
        """
        if not self.is_intact(clip):
            with contextlib.suppress(OSError):
                (self.folder / CONTENTS).unlink()
            raise Damaged(f"{self.folder}: is damaged at {clip}; check the disk, then run the same command again")
        return self._values(self.position[clip])

    def is_intact(self, clip: str) -> bool:
        """Return whether the stored features of a clip match their checksum."""
        row = self.position[clip]
        self._intact[row] = self._intact[row] or zlib.crc32(self._values(row)) == self._checks[row]
        return bool(self._intact[row])

    def _values(self, row: int) -> np.ndarray:
        return self.frames[self.starts[row] : self.starts[row + 1]]

    def __iter__(self) -> Iterator[str]:
        """Return the names of the clips."""
        return iter(self.position)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.position)


@dataclass(frozen=True)
class Part:
    """A file with the features of some clips, one after the other: what one process adds to a table."""

    path: Path
    clips: tuple[str, ...]
    lengths: tuple[int, ...]  # frames of each clip
    checks: tuple[int, ...]  # CRC-32 of each clip's values
    width: int


def write_part(path: Path, clips: Iterable[tuple[str, np.ndarray]]) -> Part:
    """Write the features of some clips with one clip in memory at a time.

    Args:
        clips: name and features, ``(frames, width)``, per clip
    """
    names, lengths, checks, width = [], [], [], 0
    with path.open("wb") as file:
        for name, values in clips:
            block = np.ascontiguousarray(values, np.float32)
            file.write(block)
            names.append(name)
            lengths.append(len(block))
            checks.append(zlib.crc32(block))
            width = block.shape[1]
    return Part(path, tuple(names), tuple(lengths), tuple(checks), width)


def write_features(folder: Path, parts: Callable[[Path], Generator[Part, None, None]], *, about: dict) -> None:
    """Write a feature table, part by part.

    Args:
        parts: a function that writes parts into the given temporary folder and yields them in the order of the table
        about: a description of the table, stored for human readers
    """
    names, lengths, checks, width = [], [], [], 0
    with atomic(folder) as unfinished:
        unfinished.mkdir()
        with (unfinished / VALUES).open("wb") as file, contextlib.closing(parts(unfinished)) as written:
            for part in written:
                with part.path.open("rb") as values:
                    shutil.copyfileobj(values, file, COPIED)
                part.path.unlink()
                names += part.clips
                lengths += part.lengths
                checks += part.checks
                width = part.width or width
        contents = {"about": about, "width": width, "clips": names, "lengths": lengths, "crc32": checks}
        contents["crc32_of_contents"] = _contents_checksum(contents)
        (unfinished / CONTENTS).write_text(json.dumps(contents), encoding="utf-8")


def read_features(folder: Path) -> FeatureTable | None:
    """Open a feature table; return None if it is missing or damaged.

    Bit flips are detected: in a table of up to ``CHECKED_AT_ONCE`` bytes here, in a larger one when the clip is read.
    """
    try:
        contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        if contents.pop("crc32_of_contents") != _contents_checksum(contents):
            return None
        shape = sum(contents["lengths"]), contents["width"]
        values = np.memmap(folder / VALUES, np.float32, mode="r")
        if values.size != shape[0] * shape[1]:
            return None
        starts = np.concatenate([[0], np.cumsum(contents["lengths"])])
        table = FeatureTable(values.reshape(shape), starts, contents["clips"], contents["crc32"], folder)
        return table if values.nbytes > CHECKED_AT_ONCE or all(map(table.is_intact, table)) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _contents_checksum(contents: dict) -> int:
    return zlib.crc32(json.dumps(contents, sort_keys=True).encode())
