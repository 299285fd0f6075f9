"""Divert file descriptor 2, to which libraries print: libmpg123, for which libsndfile has no switch, and TensorFlow."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

MPG123 = re.compile(rb"\[src/libmpg123/|Note: (?:Trying|Illegal|Skipped|missing)|Warning: Xing stream size|\s*$")
_stderr_lock = threading.RLock()  # held while file descriptor 2 is diverted


@contextlib.contextmanager
def divert_stderr(target: IO) -> Iterator[None]:
    """Divert file descriptor 2 to a file; other threads wait before they divert it, too.

    Raises:
        OSError: if there is no file descriptor 2
    """
    with _stderr_lock:
        if sys.stderr:  # None under pythonw
            sys.stderr.flush()
        original = os.dup(2)
        try:
            os.dup2(target.fileno(), 2)
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)


@contextlib.contextmanager
def divert_messages() -> Iterator[list[bytes]]:
    """Divert file descriptor 2, and yield a list that holds libmpg123's messages when the block has ended.

    What other threads print meanwhile follows when the block has ended.
    """
    found: list[bytes] = []
    with _stderr_lock, contextlib.ExitStack() as stack:
        diverted = stack.enter_context(contextlib.ExitStack())
        try:
            printed = stack.enter_context(tempfile.TemporaryFile())
            diverted.enter_context(divert_stderr(printed))
        except OSError:  # no terminal, or no room for a file: nothing is diverted
            yield found
            return
        try:
            yield found
        finally:
            diverted.close()
            printed.seek(0)
            for line in printed.read().splitlines(keepends=True):
                if MPG123.match(line):
                    found.append(line.strip())
                else:
                    _write(line)


def _write(line: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody reads
        while line:
            line = line[os.write(2, line) :]
