"""Run tasks in parallel on the workers of a Dask cluster.

The cluster must be started and secured separately, because anyone who can reach its scheduler can run code on it:

    dask scheduler --host 127.0.0.1
    dask worker tcp://127.0.0.1:8786 --nworkers 4 --nthreads 1

Its workers need the same version of this package and the work folder (``SERNB_WORK``) under the same path, from which
they read features and to which they write runs. They need the recordings if features are not cached yet.
"""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sernb import __version__
from sernb.config import DataError, recordings_folder, work_folder
from sernb.runtime.environment import backend
from sernb.runtime.files import TEMPORARY
from sernb.runtime.workers import RESUMES

Item, Result = TypeVar("Item"), TypeVar("Result")

TIMEOUT = 30  # s, for the scheduler to answer and for the first worker

_one_at_a_time = threading.Lock()  # seeds, environment and backend are global to a process


def run_on_cluster(work: Callable[[Item], Result], items: Sequence[Item], *, address: str) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in order of completion, computed by the workers of a Dask cluster.

    The task of a lost worker is repeated by another one until it has cost three workers.

    Args:
        address: address of the scheduler, such as ``tcp://127.0.0.1:8786``

    Raises:
        DataError: if Dask is not installed, the scheduler cannot be reached, or a worker cannot do the work
    """
    try:
        import distributed
    except ImportError as error:
        raise DataError("--cluster needs the package distributed; run: pip install distributed") from error
    with _connect(address) as client:
        _check_workers(client, address)
        try:
            futures = [client.submit(_run_with_environment, _environment(), work, item, pure=False) for item in items]
            for future in distributed.as_completed(futures, loop=client.loop):
                yield future.result()
        except distributed.KilledWorker as error:
            raise DataError(
                f"{address}: {error.allowed_failures + 1} workers in turn were lost on the same task, usually "
                f"because memory ran out; {RESUMES}, with more memory for each worker"
            ) from error
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise DataError(f"{address}: the scheduler was lost; {RESUMES}") from error


@contextlib.contextmanager
def _connect(address: str) -> Iterator["distributed.Client"]:  # noqa: F821
    import distributed

    try:
        host_and_port = distributed.comm.get_address_host_port(address)
        socket.create_connection(host_and_port, TIMEOUT).close()  # Client itself would only give up after minutes
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address}: no Dask scheduler answers ({error}); start one with `dask scheduler`, "
            "and name its address as in tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client


def _check_workers(client: "distributed.Client", address: str) -> None:  # noqa: F821
    """Stop if there is no worker, or one has another version or no access to the work folder."""
    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
    except TimeoutError as error:
        raise DataError(f"{address}: has no workers; start some with `dask worker {address} --nthreads 1`") from error
    work_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work_folder().absolute(), prefix=TEMPORARY) as token:
        try:
            answers = client.run(_version_and_access, token.name)
        except Exception as error:  # any failure on the worker
            raise DataError(f"{address}: a worker cannot use sernb ({error}); install it there") from error
    for worker, (version, has_access) in answers.items():
        if version != __version__:
            raise DataError(f"{worker}: has sernb {version}, here it is {__version__}; install the same there")
        if not has_access:
            raise DataError(
                f"{worker}: does not see the work folder {work_folder().absolute()}; "
                "choose one that all machines share with SERNB_WORK"
            )


def _version_and_access(token: str) -> tuple[str, bool]:
    return __version__, os.path.exists(token)


def _environment() -> dict[str, str]:
    return {
        "SERNB_WORK": str(work_folder().absolute()),
        "SERNB_DATA": str(recordings_folder().absolute()),
        "KERAS_BACKEND": backend(),
    }


def _run_with_environment(environment: dict[str, str], work: Callable[[Item], Result], item: Item) -> Result:
    with _one_at_a_time:
        os.environ.update(environment)
        return work(item)
