"""What is kept on disk: whole files or none, feature caches named by their content."""

import contextlib
import errno
import glob
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

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


class Damaged(DataError):  # noqa: N818
    """What was kept is not what was written; it has been put away, and will be made again when it is asked for."""


def checksum(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
