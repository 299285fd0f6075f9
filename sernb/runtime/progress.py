"""Progress bars and messages: on standard error in a terminal, in the printed output of a notebook.

Files and pipes get one line now and then instead of a bar.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from tqdm import tqdm

# Each process draws its own bars. The default lock of tqdm, shared by processes, would leak if one is killed.
tqdm.set_lock(threading.RLock())
FIRST, EVERY = 5.0, 15.0  # s until the first line of progress, and from one to the next
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed}{postfix}"


class _Lines:
    """A stream that gets each state of a bar as a line."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> None:
        """Print a state; the bar also writes carriage returns and blanks."""
        if text.strip():
            self.stream.write(f"{text.strip()}\n")

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()


def progress_bar(total: int, label: str, unit: str, *, shown: bool = True, lines: bool = False) -> tqdm:
    """Return a progress bar as a context manager; each update may draw it, also one by 0.

    In a notebook it uses the stream of printed text, so that lines and bar stay in order. It is a text bar there too,
    because a widget would be missing from an exported page.

    Args:
        total: number of units
        label: what is being done
        unit: in the singular
        shown: whether to show anything
        lines: print lines even in a terminal, for a process that shares it with others
    """
    stream = _stream()
    if _in_notebook() or (stream.isatty() and not lines):
        return tqdm(
            total=total,
            desc=label,
            unit=unit,
            disable=not shown,
            file=stream,
            mininterval=0.5,
            miniters=0,  # so that an update by 0 moves the clock
            dynamic_ncols=True,
        )
    bar = tqdm(
        total=total,
        desc=label,
        unit=unit if unit == "B" else f"{unit}s",
        unit_scale=unit == "B",
        disable=not shown,
        file=_Lines(stream),
        bar_format=LINE,
        delay=FIRST,
        mininterval=EVERY,
        miniters=0,
    )
    if shown:
        bar.last_print_t -= EVERY - FIRST
    return bar


@contextlib.contextmanager
def updated_by(update: Callable[[], None], seconds: float = 2.0) -> Iterator[None]:
    """Call ``update`` in a thread every few seconds during the block, and at its end."""
    stopping = threading.Event()

    def poll() -> None:
        while not stopping.wait(seconds):
            update()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        update()


@contextlib.contextmanager
def ticking_bar(total: int, label: str, unit: str, seconds: float = 2.0) -> Iterator[tqdm]:
    """Show a progress bar whose clock goes on between updates, as :func:`progress_bar` otherwise."""
    with progress_bar(total, label, unit) as bar, updated_by(lambda: bar.update(0), seconds):
        yield bar


def progress_line(text: str) -> None:
    """Print a line without disturbing an active progress bar."""
    tqdm.write(text, file=_stream())


def _stream() -> TextIO:
    return sys.stdout if _in_notebook() else sys.stderr


def _in_notebook() -> bool:
    # An imported ipykernel proves nothing: the process that runs notebooks imports it, too.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
