"""Python's garbage collector, kept from searching what libraries made.

A process that imported TensorFlow or librosa holds about a million objects that live as long as it does. The collector
goes through all of them again and again during the imports, and twice more when the interpreter ends, and finds
nothing: half of the time that such a process takes to start and to end.
"""

import atexit
import contextlib
import gc
from collections.abc import Iterator

FIRST_GENERATION = 10_000  # new objects before the first collection, not 700: the growth of an import, not of a loop


def collect_less() -> None:
    """Collect less often from now on, and not at all when the process ends; for processes that are ours alone."""
    gc.set_threshold(FIRST_GENERATION, *gc.get_threshold()[1:])
    skip_last_collection()


def skip_last_collection() -> None:
    """Leave to the system what is in memory when the process ends; what ``atexit`` does is done before."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # what is frozen is not searched


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
