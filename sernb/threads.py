"""Work side by side in threads, for what leaves the interpreter lock: decoding, hashing, resampling, FFT."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")

AHEAD = 8  # results a thread may be ahead of the one who takes them


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in the order of the items.

    Whoever stops taking, or is stopped by an error, closes it: no thread outlives the generator. A thread that is still
    in a library when Python ends can abort the whole process.
    """
    cores = os.cpu_count() or 1
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(cores) as threads:
        try:
            for item in items:
                waiting.append(threads.submit(work, item))
                if len(waiting) > AHEAD * cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)
