"""The feature cache: features of many clips in one memory-mapped file, each checked when it is read."""

import contextlib
import json
import shutil
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.runtime.files import Damaged, atomic

# -- Features -- #

VALUES, CONTENTS = "values.f32", "contents.json"
WHOLE = 2**29  # bytes, which take less than a second to compare
COPIED = 2**20  # bytes at a time


class FeatureTable(Mapping):
    """Features of many clips in one memory-mapped file: ``table[clip]`` → float32, shape ``(frames, width)``.

    Each clip is compared with its checksum when it is first read, so that opening takes no longer for a large table.
    """

    def __init__(self, frames: np.ndarray, starts: np.ndarray, clips: list[str], checks: list[int], folder: Path):
        self.frames = frames  # (frames of all clips, width)
        self.starts = starts  # (clips + 1,)
        self.position = {clip: row for row, clip in enumerate(clips)}
        self.folder = folder
        self._checks, self._whole = checks, np.zeros(len(clips), bool)

    def __getitem__(self, clip: str) -> np.ndarray:
        """Return the features of one clip.

        Raises:
            Damaged: if they are not what was written
        """
        if not self.is_whole(clip):
            with contextlib.suppress(OSError):
                (self.folder / CONTENTS).unlink()
            raise Damaged(f"{self.folder}: is damaged at {clip}; check the disk, then run the same command again")
        return self._values(self.position[clip])

    def is_whole(self, clip: str) -> bool:
        """Return whether the features of a clip are what was written."""
        row = self.position[clip]
        self._whole[row] = self._whole[row] or zlib.crc32(self._values(row)) == self._checks[row]
        return bool(self._whole[row])

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
    """Features of some clips, one clip after the other in a file: what one process adds to a table."""

    path: Path
    clips: tuple[str, ...]
    lengths: tuple[int, ...]  # frames of each clip
    checks: tuple[int, ...]  # CRC-32 of each clip's values
    width: int


def write_part(path: Path, clips: Iterable[tuple[str, np.ndarray]]) -> Part:
    """Write the features of some clips, clip by clip, so that no more than one is held in memory.

    Args:
        clips: name and features, ``(frames, width)``, of each clip
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
        parts: folder for unfinished files → parts written there, in the order of the table; each is moved into it
        about: what the table holds, kept beside it for people to read
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
        contents["crc32_of_contents"] = _check_of(contents)
        (unfinished / CONTENTS).write_text(json.dumps(contents), encoding="utf-8")


def read_features(folder: Path) -> FeatureTable | None:
    """Open a feature table, or return nothing where there is none or it is damaged.

    A bit flip is noticed: in a table of up to ``WHOLE`` bytes at once, in a larger one when its clip is read.
    """
    try:
        contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        if contents.pop("crc32_of_contents") != _check_of(contents):
            return None
        shape = sum(contents["lengths"]), contents["width"]
        values = np.memmap(folder / VALUES, np.float32, mode="r")
        if values.size != shape[0] * shape[1]:
            return None
        starts = np.concatenate([[0], np.cumsum(contents["lengths"])])
        table = FeatureTable(values.reshape(shape), starts, contents["clips"], contents["crc32"], folder)
        return table if values.nbytes > WHOLE or all(map(table.is_whole, table)) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _check_of(contents: dict) -> int:
    return zlib.crc32(json.dumps(contents, sort_keys=True).encode())
