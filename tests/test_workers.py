"""Work side by side: the same results from processes and from a Dask cluster, whatever dies meanwhile."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sernb import workers
from sernb.config import DataError
from sernb.experiment import plan
from sernb.running import run_many
from sernb.workers import in_order_on_cores, on_cluster, on_cores


def test_each_item_is_done_once_on_cores():
    assert sorted(on_cores(abs, [-3, 2, -1], jobs=2)) == [1, 2, 3]
    assert list(on_cores(abs, [], jobs=-1)) == []


def test_a_process_that_is_killed_is_said_in_one_line():
    with pytest.raises(DataError, match=r"a process was killed, as a rule because memory ran out: .* --jobs"):
        list(on_cores(_die, [1, 2], jobs=2))


def at_once_by_processes(monkeypatch, trial=0.0):
    for name, value in {"TRIAL": trial, "WORTH": 0.0, "BUSY": 1e9, "cores": lambda: 2}.items():
        monkeypatch.setattr(workers, name, value)


@pytest.mark.parametrize("trial", [0.0, 60.0])
def test_long_work_goes_from_threads_to_processes_and_stays_in_order(monkeypatch, trial):
    at_once_by_processes(monkeypatch, trial)
    found = list(in_order_on_cores(_slow, range(60)))
    assert [number for number, _ in found] == list(range(60))
    mine = [process == os.getpid() for _, process in found]
    assert mine == sorted(mine, reverse=True), "first by threads"
    assert all(mine) == (trial > 0)


def test_whoever_stops_taking_stops_processes_too(monkeypatch):
    at_once_by_processes(monkeypatch)
    results = in_order_on_cores(_slow, range(100_000))
    assert [next(results)[0] for _ in range(40)] == list(range(40))
    results.close()


def _slow(number: int) -> tuple[int, int]:
    time.sleep(0.01)
    return number, os.getpid()


def test_a_process_that_is_killed_stops_ordered_work_in_one_line(monkeypatch):
    at_once_by_processes(monkeypatch)
    with pytest.raises(DataError, match="a process was killed"):
        list(in_order_on_cores(_die_elsewhere, [os.getpid()] * 100))


def _die_elsewhere(home: int) -> None:
    time.sleep(0.01)
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)


def _die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_without_dask_the_option_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DataError, match="pip install distributed"):
        list(on_cluster(abs, [1], address="tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "127.0.0.1"])
def test_a_scheduler_that_does_not_answer_is_said(address):
    pytest.importorskip("distributed")
    with pytest.raises(DataError, match=rf"{address}: no Dask scheduler answers .* start one with `dask scheduler`"):
        list(on_cluster(abs, [1], address=address))


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
    results = dict(on_cluster(slow_die_once, [(tmp_path, number) for number in range(6)], address=address))
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
    monkeypatch.setattr(workers, "_meet", _meet_a_stranger)
    with pytest.raises(DataError, match="does not see the work folder"):
        list(on_cluster(abs, [1], address=cluster.scheduler_address))


def _meet_a_stranger(token: str) -> tuple[str, bool]:
    from sernb import __version__

    return __version__, False
