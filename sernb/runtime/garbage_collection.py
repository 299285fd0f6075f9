"""Keep Python's garbage collector from searching the objects of large libraries.

A process that imported TensorFlow or librosa has about a million objects that live as long as the process. The
collector traverses all of them repeatedly during the imports, and twice more at exit, without finding garbage: this is
half of the time that such a process takes to start and to end.
"""

import atexit
import contextlib
import gc
from collections.abc import Iterator

FIRST_GENERATION = 10_000  # new objects before a collection, instead of 700: imports exceed it, most loops do not


def collect_less() -> None:
    """Collect less often, and not at exit, when the system frees the memory; for processes of our own only.

    ``atexit`` functions still run.
    """
    gc.set_threshold(FIRST_GENERATION, *gc.get_threshold()[1:])
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # frozen objects are not searched


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Import large libraries in this block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
