"""Keep what libmpg123 prints about MP3 files off the terminal; libsndfile has no switch for it."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

MPG123 = re.compile(rb"\[src/libmpg123/|Note: (?:Trying|Illegal|Skipped|missing)|Warning: Xing stream size|\s*$")
stderr_lock = threading.Lock()  # held while file descriptor 2 is diverted


@contextlib.contextmanager
def divert_messages() -> Iterator[list[bytes]]:
    """Divert file descriptor 2, and yield a list that holds libmpg123's messages when the block has ended.

    Other threads wait before they divert it, too. What else they print meanwhile follows when the block has ended.
    """
    found: list[bytes] = []
    with stderr_lock, contextlib.ExitStack() as stack:
        try:
            printed = stack.enter_context(tempfile.TemporaryFile())
            original = os.dup(2)
            stack.callback(os.close, original)
            os.dup2(printed.fileno(), 2)
        except OSError:  # no terminal, or no room for a file: nothing is diverted
            yield found
            return
        try:
            yield found
        finally:
            os.dup2(original, 2)
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
