"""Locks hold against other processes, and against nothing else: not clocks, not crashes."""

import errno
import json
import os
import platform
import signal
import subprocess
import sys
import threading

import pytest
from nbformat.v4 import new_code_cell, new_output

from sernb.config import DataError
from sernb.reporting.html import merge_streams
from sernb.runtime import locks
from sernb.runtime.locks import hold, is_held, lock_path

HOLD = """
import sys, time
from pathlib import Path
from sernb.runtime.locks import hold
with hold(Path(sys.argv[1]), note={"at": "work"}):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lock(work):
    return lock_path(work / "runs" / "demo" / "fold-0", work)


@pytest.fixture
def other(lock):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_lies_apart_from_what_it_locks(work, lock):
    assert lock == work / "locks" / "runs" / "demo" / "fold-0"


def test_one_process_holds_a_lock_until_it_is_killed(lock, other):
    with hold(lock, wait=False) as mine:
        assert not mine
    assert is_held(lock)
    assert json.loads(lock.read_text()) == {"at": "work", "holder": f"process {other.pid} on {platform.node()}"}
    os.utime(lock, (0, 0))  # a clock that was set back decides nothing
    with hold(lock, wait=False) as mine:
        assert not mine
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert not is_held(lock)
    with hold(lock, wait=False, note={"at": "more"}) as mine:
        assert mine
        assert is_held(lock)
        assert json.loads(lock.read_text())["at"] == "more"
    assert not is_held(lock)


def test_who_waits_gets_it_next(lock, monkeypatch):
    monkeypatch.setattr(locks, "POLL", 0.01)
    got = []

    def wait() -> None:
        with hold(lock) as mine:
            got.append(mine)

    with hold(lock) as mine:
        assert mine
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.1)
        assert got == []
    thread.join()
    assert got == [True]


def test_who_waits_long_says_once_for_whom(lock, other, monkeypatch, capsys):
    for name, value in {"ANNOUNCED_AFTER": 0.05, "POLL": 0.01}.items():
        monkeypatch.setattr(locks, name, value)
    threading.Timer(0.5, other.kill).start()
    with hold(lock) as mine:
        assert mine
    (said,) = capsys.readouterr().err.splitlines()
    assert f"waiting for process {other.pid} on {platform.node()}, which is working on fold-0" in said


def test_in_a_page_nothing_is_left_of_the_waiting(lock, other, monkeypatch, capsys):
    for name, value in {"ANNOUNCED_AFTER": 0.05, "POLL": 0.01}.items():
        monkeypatch.setattr(locks, name, value)
    threading.Timer(0.5, other.kill).start()
    with hold(lock):
        waiting = capsys.readouterr().err
    assert "waiting for process" in waiting
    for text, left in ((f"{waiting}found\n{waiting}", ["found\n"]), (waiting, []), (waiting.rstrip(), [])):
        cell = new_code_cell(outputs=[new_output("stream", text=text)])
        merge_streams(cell)
        assert [output.text for output in cell.outputs] == left


def test_an_error_frees_the_lock(lock):
    with pytest.raises(ValueError, match="inside"), hold(lock):
        raise ValueError("inside")
    assert not is_held(lock)


def test_a_file_system_without_locks_is_said(lock, monkeypatch):
    def take(file, *, shared):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_lock", take)
    with pytest.raises(DataError, match=r"does not support locks .* SERNB_WORK"), hold(lock):
        raise AssertionError("entered without a lock")


def test_a_folder_that_cannot_be_written_is_said(lock, work):
    work.mkdir()
    (work / "locks").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"), hold(lock):
        raise AssertionError("entered without a lock")
    assert not is_held(lock)
