"""Write files and folders atomically, and compute checksums."""

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

from sernb.config import DataError, digest, work_folder

TEMPORARY = ".unfinished-"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` and rename it to ``path`` when the block succeeds.

    The block may create a file or a folder. It is flushed to disk before it is renamed, in case the power fails. On an
    error the sibling is removed and ``path`` is untouched. The next call for the same ``path`` on the same machine
    removes what a killed process left behind. Processes that write the same ``path`` do not interfere: the last one
    wins.

    Raises:
        DataError: if the disk is full or the folder cannot be written
    """
    path = Path(path)
    temporary = _temporary_sibling(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        yield temporary
        _flush(*temporary.rglob("*"), temporary)
        _move(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _remove(temporary)


@contextlib.contextmanager
def atomic_or_through(path: Path) -> Iterator[Path]:
    """As :func:`atomic`, for a path given by the user: the target of a link is replaced, and a pipe is written to.

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
            # An open descriptor is duplicated, not reopened: reopening would write a file from its start.
            with unfinished.open("rb") as source, open(os.dup(int(number)) if opened else path, "wb") as file:
                shutil.copyfileobj(source, file)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(path, error) from error


class Unwritable(DataError):  # noqa: N818
    """A path that cannot be written; the message tells which setting names another one."""

    def __init__(self, message: str, path: Path, setting: str = ""):
        super().__init__(message + (f" with {setting}" if setting else "") + ", then run the same command again")
        self.message, self.path, self.setting = message, path, setting

    def __reduce__(self) -> tuple:
        """Return what makes it again in another process."""
        return Unwritable, (self.message, self.path, self.setting)

    def named_by(self, setting: str) -> "Unwritable":
        """Return the error with the setting that named its path, such as ``--csv``."""
        return Unwritable(self.message, self.path, setting)


def unwritable(path: Path, error: OSError) -> Unwritable:
    """Return the error to raise if a path cannot be written."""
    message = f"{path}: cannot be written ({error.strerror or error}): free space or choose another folder"
    return Unwritable(message, path, "SERNB_WORK" if is_within(path, work_folder()) else "")


def is_within(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or below it, links followed."""
    path = Path(os.path.realpath(path))  # unlike resolve, of loops as well
    return Path(os.path.realpath(folder)) in (path, *path.parents)


def _temporary_sibling(path: Path) -> Path:
    # The prefix names the machine: machines may share a folder, but process ids are only valid on their own machine.
    return path.parent / f"{_prefix(path)}{os.getpid()}-{uuid.uuid4().hex[:8]}{path.suffix}"


def _prefix(path: Path) -> str:
    return f"{TEMPORARY}{path.name}-{digest(platform.node())}-"


def _move(temporary: Path, path: Path) -> None:
    while True:
        try:
            temporary.replace(path)
            return
        except OSError as error:
            occupied = path.is_dir() or error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            if not (occupied and temporary.is_dir()):
                raise
        # A folder cannot replace a non-empty one: rename the old one first, if no other process has done so.
        old = _temporary_sibling(path)
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        _remove(old)


def _flush(*paths: Path) -> None:
    """Flush files and folders to disk, as far as their file system supports it."""
    for path in paths:
        is_folder = path.is_dir()
        if is_folder and os.name == "nt":  # Windows cannot flush folders
            continue
        with contextlib.suppress(PermissionError) if is_folder else contextlib.nullcontext():
            descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
            finally:
                os.close(descriptor)


def _remove_stale(path: Path) -> None:
    prefix = _prefix(path)
    for temporary in path.parent.glob(f"{glob.escape(prefix)}*"):
        process = temporary.name.removeprefix(prefix).split("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            _remove(temporary)


def _is_alive(process: int) -> bool:
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
    """A stored file or folder has changed since it was written; it is set aside and recomputed on the next request."""


def checksum(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
