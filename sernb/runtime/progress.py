"""Progress bars and messages: on standard error in a terminal, in the printed output of a notebook."""

import sys
from threading import RLock
from typing import TextIO

from tqdm import tqdm

# Each process draws its own bars. The default lock of tqdm, shared by processes, would leak if one is killed.
tqdm.set_lock(RLock())


def progress_bar(total: int, label: str, unit: str, *, shown: bool = True) -> tqdm:
    """Return a progress bar as a context manager; nothing is drawn into files and pipes.

    In a notebook it uses the stream of printed text, so that lines and bar stay in order. It is a text bar there too,
    because a widget would be missing from an exported page.
    """
    stream = _stream()
    drawn = shown and (_in_notebook() or stream.isatty())
    return tqdm(total=total, desc=label, unit=unit, disable=not drawn, file=stream, mininterval=0.5, dynamic_ncols=True)


def progress_line(text: str) -> None:
    """Print a line without disturbing an active progress bar."""
    tqdm.write(text, file=_stream())


def _stream() -> TextIO:
    return sys.stdout if _in_notebook() else sys.stderr


def _in_notebook() -> bool:
    # An imported ipykernel proves nothing: the process that runs notebooks imports it, too.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
