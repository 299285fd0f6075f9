"""Run functions that release the global interpreter lock in threads: decoding, hashing, resampling, FFT."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")

AHEAD = 8  # results per thread that may be computed before they are consumed


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in the order of the items.

    Close the generator to stop early or after an error: then no thread outlives it. A thread that is still in a library
    when Python exits can abort the whole process.
    """
    count = available_cores()
    with ThreadPoolExecutor(count) as threads, closing(submit_in_order(threads, work, items, AHEAD * count)) as results:
        yield from results


def available_cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than the computer has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit_in_order(
    executor: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in order, computed by an executor; closing it waits for running tasks.

    Args:
        ahead: results that may be computed or running before they are consumed
    """
    pending: deque[Future] = deque()
    try:
        for item in items:
            pending.append(executor.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        wait([future for future in pending if not future.cancel()])
