"""Pages are made side by side: none spoils or finds anything of another, and no process is left over."""

import json
import math
import multiprocessing
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from sernb import report
from sernb.notebooks import NotebookFailed, run
from sernb.report import side_by_side

FIXTURES = Path(__file__).parent / "notebooks"


@dataclass(frozen=True)
class Wanted:
    name: str
    page: Path
    value: object


def make(wanted: Wanted) -> Path:
    parameters = {"name": wanted.value} if wanted.name == "state" else {}
    return run(FIXTURES / f"{wanted.name}.ipynb", wanted.page, parameters)


def all_of(work, tasks):
    begun = []
    found = dict(side_by_side(work, tasks, started=begun.append))
    assert begun == list(tasks)
    return [found[task] for task in tasks]


def kill(task: float) -> float:
    if task < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return math.sqrt(task)


def test_errors_and_deaths_spoil_no_other_task(monkeypatch: pytest.MonkeyPatch):
    good, bad = all_of(math.sqrt, [4.0, -1.0])
    assert good == 2.0
    assert isinstance(bad, ValueError)
    assert "Traceback" in str(bad.__cause__)
    *dead, alive = all_of(kill, [-1.0, -2.0, -3.0, 9.0])
    assert [type(each) for each in dead] == [BrokenProcessPool] * 3
    assert alive == 3.0


def test_who_stops_taking_ends_the_processes():
    taken = side_by_side(time.sleep, [0.0, 600.0], started=lambda task: None)
    assert next(taken) == (0.0, None)
    taken.close()
    assert multiprocessing.active_children() == []


def said(page: Path) -> dict:
    notebook = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    assert [output.output_type for output in notebook.cells[-2].outputs][-1] == "display_data", "the figure is shown"
    return json.loads(notebook.cells[-1].outputs[-1].text)


@pytest.mark.slow
def test_a_page_finds_nothing_of_another_and_what_a_plain_kernel_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = [Wanted("state", tmp_path / f"{name}.html", name) for name in ("first", "second")]
    wanted.append(Wanted("failing", tmp_path / "failing.html", None))
    wanted.append(Wanted("kernel_dies", tmp_path / "dead.html", None))
    monkeypatch.setattr(report, "AT_ONCE", 1)
    first, second, failed, dead = all_of(make, wanted)
    plain = run(FIXTURES / "state.ipynb", tmp_path / "plain.html", {"name": "plain"})
    first, second, plain = said(first), said(second), said(plain)
    assert first["found"] == second["found"] == plain["found"]
    assert first["found"]["left"] is None
    assert first["found"]["session"]
    assert first["found"]["parent"]
    draws = [draw for each in (first, second, plain) for draw in each["chance"]]
    assert len(set(draws)) == len(draws), "chance that nobody seeded is not the same everywhere"
    assert isinstance(failed, NotebookFailed)
    assert failed.cell == "train"
    assert isinstance(dead, NotebookFailed)
    assert dead.cell == "eat"
    assert "Kernel died" in dead.value
