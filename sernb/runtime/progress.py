"""Progress bars and lines: on the error stream of a terminal, in the printed text of a notebook."""

import sys
from threading import RLock
from typing import TextIO

from tqdm import tqdm

# Each process draws its own bars. A lock between processes, as tqdm's own, is missed at the end where one is killed.
tqdm.set_lock(RLock())


def progress_bar(total: int, label: str, unit: str, *, shown: bool = True) -> tqdm:
    """Return a bar to ``update``, to use with ``with``; into a file or pipe nothing is drawn.

    In a notebook it shares the stream of ordinary text, so that lines and bar stay in order on the page. It is a plain
    text bar there too: a widget would leave nothing in an exported page.
    """
    stream = _stream()
    drawn = shown and (_in_notebook() or stream.isatty())
    return tqdm(total=total, desc=label, unit=unit, disable=not drawn, file=stream, mininterval=0.5, dynamic_ncols=True)


def progress_line(text: str) -> None:
    """Print a line without breaking a bar that is being drawn."""
    tqdm.write(text, file=_stream())


def _stream() -> TextIO:
    return sys.stdout if _in_notebook() else sys.stderr


def _in_notebook() -> bool:
    # That ipykernel is imported proves nothing: running notebooks imports it, too.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
