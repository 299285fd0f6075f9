"""What is kept on disk: whole files or none, feature caches named by their content."""

import contextlib
import errno
import glob
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import uuid
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.config import DataError, digest

TEMPORARY = ".unfinished-"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` and rename it onto ``path`` when the block succeeds.

    The block may make a file or a folder there; it is on the disk before it has its name, should the power fail.
    On an error the sibling is removed and ``path`` is untouched; what a killed process left behind is removed by the
    next call for the same ``path`` on the same machine. Processes that make the same ``path`` do not disturb each
    other: the last one's stays.

    Raises:
        DataError: if the disk is full or the folder cannot be written
    """
    path = Path(path)
    temporary = _sibling(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        yield temporary
        _flush(*temporary.rglob("*"), temporary)
        _put(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _remove(temporary)


@contextlib.contextmanager
def atomic_or_through(path: Path) -> Iterator[Path]:
    """As :func:`atomic`, for a path that a user names: a link stays and its target is replaced, a pipe is written into.

    Raises:
        DataError: as :func:`atomic`
    """
    path = Path(path)
    opened = re.fullmatch(r"/dev/(stdin|stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)", path.as_posix())
    if not opened and (path.is_file() or not path.exists()):
        with atomic(path.resolve()) as unfinished:
            yield unfinished
        return
    if path.is_dir():
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        try:
            sys.stdout.flush()
            number = opened and (opened[2] or opened[3] or {"stdin": 0, "stdout": 1, "stderr": 2}[opened[1]])
            # What is open already is not opened again: a file would be written from its start.
            with unfinished.open("rb") as source, open(os.dup(int(number)) if opened else path, "wb") as file:
                shutil.copyfileobj(source, file)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> DataError:
    """Return the error to raise where a path cannot be written."""
    return DataError(
        f"{path}: cannot be written ({error.strerror or error}): free space or choose another folder "
        "with SERNB_WORK or --out, then run the same command again"
    )


def _sibling(path: Path) -> Path:
    # Numbers of processes mean something on their own machine only, and machines may share a folder.
    return path.parent / f"{_prefix(path)}{os.getpid()}-{uuid.uuid4().hex[:8]}{path.suffix}"


def _prefix(path: Path) -> str:
    return f"{TEMPORARY}{path.name}-{digest(platform.node())}-"


def _put(temporary: Path, path: Path) -> None:
    while True:
        try:
            temporary.replace(path)
            return
        except OSError as error:
            filled = path.is_dir() or error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            if not (filled and temporary.is_dir()):
                raise
        # A folder cannot be renamed over a filled one: the old one steps aside first, if no other process moved it.
        aside = _sibling(path)
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
        _remove(aside)


def _flush(*paths: Path) -> None:
    """Have the system write files and folders to the disk, as far as their file system can."""
    for path in paths:
        folder = path.is_dir()
        if folder and os.name == "nt":  # Windows flushes no folders
            continue
        with contextlib.suppress(PermissionError) if folder else contextlib.nullcontext():
            number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
            try:
                os.fsync(number)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
            finally:
                os.close(number)


def _sweep(path: Path) -> None:
    prefix = _prefix(path)
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        owner = left.name.removeprefix(prefix).split("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            _remove(left)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


# -- Features -- #

VALUES, CONTENTS = "values.f32", "contents.json"
WHOLE = 2**29  # bytes, which take less than a second to compare
COPIED = 2**20  # bytes at a time


class Damaged(DataError):  # noqa: N818
    """What was kept is not what was written; it has been put away, and will be made again when it is asked for."""


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
