"""Work side by side on the workers of a Dask cluster.

A cluster is somebody else's matter to start and to guard, since whoever reaches its scheduler can run anything on it:

    dask scheduler --host 127.0.0.1
    dask worker tcp://127.0.0.1:8786 --nworkers 4 --nthreads 1

Its workers need this package in the same version, and the work folder (``SERNB_WORK``) under the same path: that is
where features are read and runs are written. Recordings are needed where features are not prepared yet.
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
from sernb.runtime.workers import GO_ON

Item, Result = TypeVar("Item"), TypeVar("Result")

PATIENCE = 30  # s, for a scheduler to answer and a first worker to come

_alone = threading.Lock()  # seeds, environment and backend belong to a process: one item at a time in each


def run_on_cluster(work: Callable[[Item], Result], items: Sequence[Item], *, address: str) -> Iterator[Result]:
    """Yield ``work(item)`` of each item as they come, by the workers of a Dask cluster.

    What a worker had in hand when it was lost is done again by another one, until that has cost three of them.

    Args:
        address: of the scheduler, such as ``tcp://127.0.0.1:8786``

    Raises:
        DataError: if Dask is not installed, the scheduler cannot be reached, or a worker cannot do the work
    """
    try:
        import distributed
    except ImportError as error:
        raise DataError("--cluster needs the package distributed; run: pip install distributed") from error
    with _connected(address) as client:
        _refuse_strangers(client, address)
        try:
            futures = [client.submit(_there, _environment(), work, item, pure=False) for item in items]
            for future in distributed.as_completed(futures, loop=client.loop):
                yield future.result()
        except distributed.KilledWorker as error:
            raise DataError(
                f"{address}: {error.allowed_failures + 1} workers in turn were lost over the same work, as a rule "
                f"because memory ran out; {GO_ON}, with more memory for each worker"
            ) from error
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise DataError(f"{address}: the scheduler has gone; {GO_ON}") from error


@contextlib.contextmanager
def _connected(address: str) -> Iterator["distributed.Client"]:  # noqa: F821
    import distributed

    try:
        place = distributed.comm.get_address_host_port(address)
        socket.create_connection(place, PATIENCE).close()  # a client that reaches nobody takes minutes to give up
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address}: no Dask scheduler answers ({error}); start one with `dask scheduler`, "
            "and name its address as in tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client


def _refuse_strangers(client: "distributed.Client", address: str) -> None:  # noqa: F821
    """Stop if there is no worker, or one that could not read or write what is kept in the work folder."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise DataError(f"{address}: has no workers; start some with `dask worker {address} --nthreads 1`") from error
    work_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work_folder().absolute(), prefix=TEMPORARY) as token:
        try:
            met = client.run(_meet, token.name)
        except Exception as error:  # whatever the worker could not do
            raise DataError(f"{address}: a worker cannot use sernb ({error}); install it there") from error
    for worker, (version, seen) in met.items():
        if version != __version__:
            raise DataError(f"{worker}: has sernb {version}, here it is {__version__}; install the same there")
        if not seen:
            raise DataError(
                f"{worker}: does not see the work folder {work_folder().absolute()}; "
                "choose one that all machines share with SERNB_WORK"
            )


def _meet(token: str) -> tuple[str, bool]:
    return __version__, os.path.exists(token)


def _environment() -> dict[str, str]:
    return {
        "SERNB_WORK": str(work_folder().absolute()),
        "SERNB_DATA": str(recordings_folder().absolute()),
        "KERAS_BACKEND": backend(),
    }


def _there(environment: dict[str, str], work: Callable[[Item], Result], item: Item) -> Result:
    with _alone:
        os.environ.update(environment)
        return work(item)
