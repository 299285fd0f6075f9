"""Work side by side in processes of this machine, which end with the one that started them, however that ends.

Nothing here imports NumPy: a process reads how many threads its libraries may use before they are imported.
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

TRIAL = 1.0  # s of threads, before processes are thought of
WORTH = 4.0  # s that threads would still take, or more: processes take seconds to start
BUSY = 0.8  # share of the cores that threads keep at work, or less: they wait for the interpreter's lock
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # in each process
GRACE = 5.0  # s for work that is interrupted to tidy up
GO_ON = "what is finished stays, the same command goes on from there"

_shared: ProcessPoolExecutor | None = None  # while `shared_pool` is open
_idle, _over = threading.Event(), threading.Event()  # in a process of a pool: nothing is at work; nothing more may be


@contextlib.contextmanager
def pool(count: int, environment: Mapping[str, str] = ONE_THREAD) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes, which start when they are needed; submit :func:`do` to it.

    They end with the block. If that ends by an error, or this process is killed, what is at work is interrupted as by
    Ctrl-C, and its process ended after ``GRACE`` seconds.

    Args:
        environment: variables that are set before anything else is imported
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
    end, lifeline = context.Pipe(duplex=False)  # nothing is sent: the end of this process closes it
    executor = ProcessPoolExecutor(count, context, _begin, (end, environment))
    with end, lifeline:
        try:
            yield executor
        except BaseException:
            lifeline.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _begin(lifeline: Connection, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    collect_less()
    signal.signal(signal.SIGINT, _ignore)
    _idle.set()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    _over.set()
    if hasattr(signal, "pthread_kill"):  # of a signal to the process another thread may take notice, and no sleep ends
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)
    if _idle.wait(GRACE):  # a pool ends as usual; left by one process, it would end the others before they are tidy
        multiprocessing.parent_process().join()
    os._exit(1)


def _ignore(*_: object) -> None:
    """Let a process that waits for work leave Ctrl-C to the one that started it."""


def do(work: Callable[[Item], Result], item: Item) -> Result:
    """Return ``work(item)``, in a process of a pool; only meanwhile can it be interrupted."""
    _idle.clear()
    try:
        if _over.is_set():
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return work(item)
    finally:
        signal.signal(signal.SIGINT, _ignore)
        _idle.set()


@contextlib.contextmanager
def shared_pool(jobs: int) -> Iterator[None]:
    """Keep one pool for everything that is done on cores during the block: networks take long to import."""
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
        raise DataError(f"a process was killed, as a rule because memory ran out: {advice}") from error


def run_on_cores(work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` of each item as they come, by processes of this machine; one job is done in this one.

    Args:
        work: a function of a module, or a partial of one
        jobs: processes, one thread each; -1: as many as there are cores

    Raises:
        DataError: if a process is killed
    """
    count = min(len(items), available_cores() if jobs == -1 else jobs)
    if count < 2:
        yield from map(work, items)
        return
    with _pool(count, f"{GO_ON}, with fewer processes by --jobs") as executor:
        futures = [executor.submit(do, work, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def map_on_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of each item, in their order: by threads, or from some time on by processes.

    Threads wait for the interpreter's lock, more or less, as the work may be. Processes do not, but take seconds to
    start, and time to be sent things: items and results should be few and small. Close it to stop early.

    Raises:
        DataError: if a process is killed
    """
    left = deque(items)
    with contextlib.closing(map_in_order(work, _while_threads_do(left))) as results:
        yield from results
    if left:
        with (
            _pool(available_cores(), "free some, then run the same command again") as executor,
            contextlib.closing(submit_in_order(executor, partial(do, work), left, 2 * available_cores())) as results,
        ):
            yield from results


def _while_threads_do(left: deque[Item]) -> Iterator[Item]:
    """Take items from the left while few are left, while it is early, and while threads keep the cores at work."""
    alone = available_cores() < 2 or multiprocessing.parent_process() is not None  # which has given each core its work
    started, computed, taken = time.perf_counter(), time.process_time(), 0
    while left:
        elapsed = time.perf_counter() - started
        idle = time.process_time() - computed < BUSY * available_cores() * elapsed
        if taken and idle and not alone and elapsed > TRIAL and elapsed / taken * len(left) > WORTH:
            return
        taken += 1
        yield left.popleft()
