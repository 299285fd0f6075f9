"""File locks, so that two processes never do the same work, on one machine or on several that share a folder.

The operating system releases a lock when its holder ends in any way, so no clock or process id is needed. Lock files
are never removed: otherwise a process could lock a file that it had just opened and that no other process can see.
They are empty or contain a note.

Network file systems: NFS (version 4, or 3 with its lock daemon), SMB and Lustre mounted with ``flock`` forward such
locks to the server, which releases the locks of a lost machine after a lease time, usually 90 s. If locks are not
supported, :class:`~sernb.config.DataError` is raised. If a mount keeps locks local (``nolock``, ``local_lock``,
``localflock``), two machines can do the same work twice; results stay intact, because they are written atomically.
"""

import contextlib
import errno
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from sernb.config import DataError
from sernb.runtime.files import unwritable
from sernb.runtime.progress import progress_line

POLL = 0.5  # s
WAITING = "sernb: waiting for"  # begins the line about the holder, and its machine
ANNOUNCED_AFTER = 2.0  # s of waiting before the holder is reported
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # errors for a lock held by another process

try:
    import fcntl

    def _lock(file: BinaryIO, *, shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

except ImportError:  # Windows
    import msvcrt

    def _lock(file: BinaryIO, *, shared: bool) -> None:
        file.seek(1 << 30)  # beyond the note, because locked bytes cannot be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def lock_path(path: Path, work: Path) -> Path:
    """Return the lock file of a path in a work folder."""
    return work / "locks" / path.relative_to(work)


@contextlib.contextmanager
def hold(lock: Path, *, wait: bool = True, note: Mapping[str, object] = MappingProxyType({})) -> Iterator[bool]:
    """Hold a lock during the block.

    Args:
        lock: the lock file, see :func:`lock_path`
        wait: wait for the current holder, and report it after a while; otherwise enter the block without the lock
        note: entries of the lock file beside ``holder``, for progress reports

    Yields:
        whether this process holds the lock

    Raises:
        DataError: if the lock file cannot be written, or its file system has no locks
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+b")
    except OSError as error:
        raise unwritable(lock, error) from error
    with file:
        started, announced = time.monotonic(), False
        while not (acquired := _try_lock(file, lock)) and wait:
            if not announced and (announced := time.monotonic() - started >= ANNOUNCED_AFTER):
                progress_line(f"{WAITING} {_holder(lock)}, which is working on {lock.name}; Ctrl-C stops the waiting")
            time.sleep(POLL)
        if acquired:
            with contextlib.suppress(OSError):  # if the disk is full: the note is informative only
                file.truncate(0)
                file.write(json.dumps({**note, "holder": f"process {os.getpid()} on {platform.node()}"}).encode())
                file.flush()
        yield acquired


def _holder(lock: Path) -> str:
    try:
        return json.loads(lock.read_text("utf-8"))["holder"]
    except (OSError, ValueError, LookupError, TypeError):  # written by another version, or being written
        return "another process"


def is_held(lock: Path) -> bool:
    """Return whether a running process holds a lock."""
    try:
        with lock.open("rb") as file:
            return not _try_lock(file, lock, shared=True)
    except OSError:
        return False


def _try_lock(file: BinaryIO, lock: Path, *, shared: bool = False) -> bool:
    try:
        _lock(file, shared=shared)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise DataError(
            f"{lock}: its file system does not support locks ({error.strerror}), so two processes could do the same "
            "run; choose another folder with SERNB_WORK"
        ) from error
    return True
