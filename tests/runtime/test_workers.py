"""Work side by side in processes: in order, of one thread each, and none is left over, whatever dies meanwhile."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sernb.config import DataError
from sernb.runtime import workers
from sernb.runtime.workers import map_on_cores, run_on_cores, shared_pool


def test_each_item_is_done_once_on_cores():
    assert sorted(run_on_cores(abs, [-3, 2, -1], jobs=2)) == [1, 2, 3]
    assert list(run_on_cores(abs, [], jobs=-1)) == []


def test_a_process_that_is_killed_is_said_in_one_line():
    with pytest.raises(DataError, match=r"a process was killed, usually because memory ran out: .* --jobs"):
        list(run_on_cores(_die, [1, 2], jobs=2))


def at_once_by_processes(monkeypatch, trial=0.0):
    for name, value in {"TRIAL": trial, "WORTH": 0.0, "BUSY": 1e9, "available_cores": lambda: 2}.items():
        monkeypatch.setattr(workers, name, value)


@pytest.mark.parametrize("trial", [0.0, 60.0])
def test_long_work_goes_from_threads_to_processes_and_stays_in_order(monkeypatch, trial):
    at_once_by_processes(monkeypatch, trial)
    found = list(map_on_cores(_slow, range(60)))
    assert [number for number, _ in found] == list(range(60))
    mine = [process == os.getpid() for _, process in found]
    assert mine == sorted(mine, reverse=True), "first by threads"
    assert all(mine) == (trial > 0)


def test_whoever_stops_taking_stops_processes_too(monkeypatch):
    at_once_by_processes(monkeypatch)
    results = map_on_cores(_slow, range(100_000))
    assert [next(results)[0] for _ in range(40)] == list(range(40))
    results.close()


def _slow(number: int) -> tuple[int, int]:
    time.sleep(0.01)
    return number, os.getpid()


def test_a_process_that_is_killed_stops_ordered_work_in_one_line(monkeypatch):
    at_once_by_processes(monkeypatch)
    with pytest.raises(DataError, match="a process was killed"):
        list(map_on_cores(_die_elsewhere, [os.getpid()] * 100))


def _die_elsewhere(home: int) -> None:
    time.sleep(0.01)
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)


def _die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_reads_that_its_libraries_may_use_one_thread_before_they_are_imported(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # a cluster of another test may have set it
    assert list(run_on_cores(_first_seen, ["OMP_NUM_THREADS"] * 2, jobs=2)) == ["1", "1"]
    assert "OMP_NUM_THREADS" not in os.environ, "this process keeps its own"


def _first_seen(name: str) -> str:
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    assert {library["num_threads"] for library in threadpool_info()} == {1}
    return os.environ[name]


def test_work_that_shares_a_pool_shares_its_processes():
    with shared_pool(2):
        seen = [set(run_on_cores(_where, range(20), jobs=2)) for _ in range(2)]
    assert len(set.union(*seen)) <= 2
    assert os.getpid() not in set.union(*seen)
    assert workers._shared is None


def _where(_: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def test_every_system_can_be_sent_to_a_process():
    from sernb.systems.registry import SYSTEMS, get_system

    for name in SYSTEMS:
        assert pickle.loads(pickle.dumps(get_system(name))).name == name  # noqa: S301 - made by ourselves


# -- Whatever ends the parent ends its processes -- #

AT_WORK = """
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, {tests!r})
from test_workers import _work_on

from sernb.runtime.workers import run_on_cores

try:
    list(run_on_cores(partial(_work_on, Path({folder!r})), [0, 1, 2, 3], jobs=2))
except KeyboardInterrupt:
    print("stopped")
"""


def _work_on(folder: Path, number: int) -> None:
    try:
        (folder / f"begun-{number}").write_text(str(os.getpid()))
        time.sleep(600)
    except KeyboardInterrupt:
        (folder / f"tidied-{number}").touch()
        raise


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(tmp_path, number):
    code = AT_WORK.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("begun-*"))) < 2:
        assert parent.poll() is None, parent.communicate()
        time.sleep(0.05)
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(number)
    told = parent.communicate(timeout=60)
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert sorted(path.name for path in tmp_path.glob("tidied-*")) == ["tidied-0", "tidied-1"]
    assert sorted(path.name for path in tmp_path.glob("begun-*")) == ["begun-0", "begun-1"], "nothing new is begun"
    if number == signal.SIGINT:
        assert told == ("stopped\n", "")
