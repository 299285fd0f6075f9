"""The same results from a Dask cluster as from processes, whatever dies meanwhile."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sernb.config import DataError
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.runtime import cluster as cluster_module
from sernb.runtime.cluster import run_on_cluster


def test_without_dask_the_option_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DataError, match="pip install distributed"):
        list(run_on_cluster(abs, [1], address="tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "127.0.0.1"])
def test_a_scheduler_that_does_not_answer_is_said(address):
    pytest.importorskip("distributed")
    with pytest.raises(DataError, match=rf"{address}: no Dask scheduler answers .* start one with `dask scheduler`"):
        list(run_on_cluster(abs, [1], address=address))


# -- A cluster of two workers over TCP -- #


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", protocol="tcp://", dashboard_address=None
    ) as cluster:
        yield cluster


def slow_die_once(item: tuple[Path, int]) -> tuple[int, int]:
    """Be killed the first time that number 0 is done."""
    folder, number = item
    with (folder / f"{number}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if number == 0 and len((folder / "0").read_text().split()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number, os.getpid()


@pytest.mark.slow
def test_a_lost_worker_costs_only_what_it_had_in_hand(cluster, tmp_path, work):
    address = cluster.scheduler_address
    assert address.startswith("tcp://127.0.0.1:")
    results = dict(run_on_cluster(slow_die_once, [(tmp_path, number) for number in range(6)], address=address))
    assert sorted(results) == list(range(6))
    begun = {number: (tmp_path / f"{number}").read_text().split() for number in range(6)}
    assert len(begun[0]) == 2
    assert str(results[0]) == begun[0][1] != begun[0][0], "done again by another process"
    assert [len(begun[number]) for number in range(1, 6)] == [1] * 5, "what was done is not done again"


@pytest.mark.slow
def test_a_cluster_predicts_what_cores_do(cluster, work):
    experiments = plan(["statistics-svm"], "demo", ["speaker-independent"], views=[])
    here = [run.folder for run in run_many(experiments, jobs=1, progress=False)]
    ours = [(folder / "predictions.csv").read_bytes() for folder in here]
    for folder in here:
        shutil.rmtree(folder)
    killed = threading.Thread(target=_kill_one_at_work, args=(cluster, work))
    killed.start()
    runs = run_many(experiments, cluster=cluster.scheduler_address, progress=False)
    killed.join()
    assert [(run.folder / "predictions.csv").read_bytes() for run in runs] == ours
    assert not list(work.rglob(".unfinished-*"))


def _kill_one_at_work(cluster, work: Path) -> None:
    """Kill a worker as soon as the first run is done: it has another one in hand, or will have."""
    while not list(work.rglob("predictions.csv")):
        time.sleep(0.01)
    os.kill(next(iter(cluster.workers.values())).process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_workers_that_do_not_see_the_work_folder_are_refused(cluster, work, monkeypatch):
    monkeypatch.setattr(cluster_module, "_version_and_access", _meet_a_stranger)
    with pytest.raises(DataError, match="does not see the work folder"):
        list(run_on_cluster(abs, [1], address=cluster.scheduler_address))


def _meet_a_stranger(token: str) -> tuple[str, bool]:
    from sernb import __version__

    return __version__, False
