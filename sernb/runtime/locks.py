"""Locks by file: two processes never do the same work, on one machine or on several that share a folder.

The operating system holds them and takes them back when their holder ends, however it ends: they survive crashes, and
no clock and no process number is asked. Lock files are empty or hold a note, and stay: were they removed, a process
that has just opened one could lock what nobody else sees any more.

Network file systems: NFS (version 4, or 3 with its lock daemon), SMB and Lustre mounted with ``flock`` pass such locks
on to the server, which frees those of a machine that is gone after its lease, as a rule 90 s. Where locks are refused
a :class:`~sernb.config.DataError` says so. Where a mount keeps locks on its own machine (``nolock``, ``local_lock``,
``localflock``), two machines can do the same work twice; results stay whole even so, since they appear by renaming.
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
ANNOUNCED_AFTER = 2.0  # s of waiting, before the holder is named
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # what systems say of a lock that another process has

try:
    import fcntl

    def _take(file: BinaryIO, *, shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

except ImportError:  # Windows
    import msvcrt

    def _take(file: BinaryIO, *, shared: bool) -> None:
        file.seek(1 << 30)  # beyond the note, since what is locked here cannot be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def lock_path(path: Path, work: Path) -> Path:
    """Return the lock file of something in a work folder."""
    return work / "locks" / path.relative_to(work)


@contextlib.contextmanager
def hold(lock: Path, *, wait: bool = True, note: Mapping[str, object] = MappingProxyType({})) -> Iterator[bool]:
    """Hold a lock during the block.

    Args:
        lock: its file, see :func:`lock_path`
        wait: for whoever holds it, and say for whom where that takes long; otherwise the block is entered without it
        note: what stands in the file beside ``holder``, for those who look who is at work

    Yields:
        whether the lock is held

    Raises:
        DataError: if the lock file cannot be written, or its file system has no locks
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+b")
    except OSError as error:
        raise unwritable(lock, error) from error
    with file:
        begun, announced = time.monotonic(), False
        while not (mine := _taken(file, lock)) and wait:
            if not announced and (announced := time.monotonic() - begun >= ANNOUNCED_AFTER):
                progress_line(
                    f"sernb: waiting for {_holder(lock)}, which is at work on {lock.name}; Ctrl-C stops the waiting"
                )
            time.sleep(POLL)
        if mine:
            with contextlib.suppress(OSError):  # of a full disk: the note is for reading only
                file.truncate(0)
                file.write(json.dumps({**note, "holder": f"process {os.getpid()} on {platform.node()}"}).encode())
                file.flush()
        yield mine


def _holder(lock: Path) -> str:
    try:
        return json.loads(lock.read_text("utf-8"))["holder"]
    except (OSError, ValueError, LookupError, TypeError):  # of another version, or just being written
        return "another process"


def is_held(lock: Path) -> bool:
    """Return whether a living process holds a lock."""
    try:
        with lock.open("rb") as file:
            return not _taken(file, lock, shared=True)
    except OSError:
        return False


def _taken(file: BinaryIO, lock: Path, *, shared: bool = False) -> bool:
    try:
        _take(file, shared=shared)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise DataError(
            f"{lock}: its file system gives no locks ({error.strerror}), without which two processes could do the same "
            "run; choose another folder with SERNB_WORK"
        ) from error
    return True
