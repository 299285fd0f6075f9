"""Run tasks in parallel processes on this machine, which end with their parent process even if it is killed.

Nothing here imports NumPy: the number of threads of its libraries must be set before they are imported.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

from sernb.config import DataError
from sernb.runtime.garbage_collection import collect_less
from sernb.runtime.threads import available_cores, map_in_order, submit_in_order

Item, Result = TypeVar("Item"), TypeVar("Result")

TRIAL = 1.0  # s of work in threads before processes are considered
WORTH = 4.0  # s of remaining work in threads from which processes pay off: they take seconds to start
BUSY = 0.8  # share of busy cores below which threads are considered blocked by the global interpreter lock
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # in each process
GRACE = 5.0  # s for an interrupted task to clean up
RESUMES = "finished work is kept, the same command resumes from there"

_shared: ProcessPoolExecutor | None = None  # while `shared_pool` is open
_idle, _ending = threading.Event(), threading.Event()  # in a process of a pool: no task is running; none may start


@contextlib.contextmanager
def pool(count: int, environment: Mapping[str, str] = ONE_THREAD) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes, which start on demand; submit :func:`do` to it.

    They end with the block. If the block raises, or this process is killed, running tasks are interrupted as by Ctrl-C
    and their processes ended after ``GRACE`` seconds.

    Args:
        environment: variables to set before anything else is imported
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks held by threads
    end, lifeline = context.Pipe(duplex=False)  # nothing is sent: it closes when this process ends
    executor = ProcessPoolExecutor(count, context, _start_process, (end, environment))
    with end, lifeline:
        try:
            yield executor
        except BaseException:
            lifeline.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _start_process(lifeline: Connection, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    collect_less()
    signal.signal(signal.SIGINT, _ignore)
    _idle.set()
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()


def _end_with_parent(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    _ending.set()
    if hasattr(signal, "pthread_kill"):  # a signal to the whole process may reach another thread and end no sleep
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)
    if _idle.wait(GRACE):  # wait for the regular end: one missing process would break the pool before others clean up
        multiprocessing.parent_process().join()
    os._exit(1)


def _ignore(*_: object) -> None:
    """Ignore Ctrl-C in an idle process; the parent process handles it."""


def do(work: Callable[[Item], Result], item: Item) -> Result:
    """Return ``work(item)`` in a process of a pool, which can be interrupted only during this call."""
    _idle.clear()
    try:
        if _ending.is_set():
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return work(item)
    finally:
        signal.signal(signal.SIGINT, _ignore)
        _idle.set()


@contextlib.contextmanager
def shared_pool(jobs: int) -> Iterator[None]:
    """Share one pool among all parallel work in the block, because importing Keras takes long."""
    global _shared
    with pool(available_cores() if jobs == -1 else jobs) as _shared:
        try:
            yield
        finally:
            _shared = None


@contextlib.contextmanager
def _pool(count: int, advice: str) -> Iterator[ProcessPoolExecutor]:
    try:
        with contextlib.nullcontext(_shared) if _shared else pool(count) as executor:
            yield executor
    except BrokenProcessPool as error:
        raise DataError(f"a process was killed, usually because memory ran out: {advice}") from error


def run_on_cores(work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in order of completion; with one job, in this process.

    Args:
        work: a module-level function, or a partial of one
        jobs: number of processes with one thread each; -1: one per core

    Raises:
        DataError: if a process is killed
    """
    count = min(len(items), available_cores() if jobs == -1 else jobs)
    if count < 2:
        yield from map(work, items)
        return
    with _pool(count, f"{RESUMES}, with fewer processes by --jobs") as executor:
        futures = [executor.submit(do, work, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def map_on_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of each item, in order: computed in threads, later in processes if these are faster.

    Threads may block each other by the global interpreter lock. Processes do not, but take seconds to start and time to
    exchange data: items and results should be few and small. Close the generator to stop early.

    Raises:
        DataError: if a process is killed
    """
    remaining = deque(items)
    with contextlib.closing(map_in_order(work, _take_while_threads_suffice(remaining))) as results:
        yield from results
    if remaining:
        with (
            _pool(available_cores(), "free some, then run the same command again") as executor,
            contextlib.closing(
                submit_in_order(executor, partial(do, work), remaining, 2 * available_cores())
            ) as results,
        ):
            yield from results


def _take_while_threads_suffice(remaining: deque[Item]) -> Iterator[Item]:
    """Take items while few remain, during the trial period, and while threads keep the cores busy."""
    # A process of a pool has one core only.
    single_core = available_cores() < 2 or multiprocessing.parent_process() is not None
    started, computed, taken = time.perf_counter(), time.process_time(), 0
    while remaining:
        elapsed = time.perf_counter() - started
        idle = time.process_time() - computed < BUSY * available_cores() * elapsed
        if taken and idle and not single_core and elapsed > TRIAL and elapsed / taken * len(remaining) > WORTH:
            return
        taken += 1
        yield remaining.popleft()
