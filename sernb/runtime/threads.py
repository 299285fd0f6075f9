"""Work side by side in threads, for what leaves the interpreter lock: decoding, hashing, resampling, FFT."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")

AHEAD = 8  # results a thread may be ahead of the one who takes them


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in the order of the items.

    Whoever stops taking, or is stopped by an error, closes it: no thread outlives the generator. A thread that is still
    in a library when Python ends can abort the whole process.
    """
    count = available_cores()
    with ThreadPoolExecutor(count) as threads, closing(submit_in_order(threads, work, items, AHEAD * count)) as results:
        yield from results


def available_cores() -> int:
    """Return how many cores this process may use: those of the computer, or fewer that it was given."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit_in_order(
    executor: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Generator[Result, None, None]:
    """Yield what an executor makes of each item, in their order; closed early, it waits for what is at work.

    Args:
        ahead: results that may be there, or at work, before they are taken
    """
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait([future for future in waiting if not future.cancel()])
