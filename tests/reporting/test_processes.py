"""Processes side by side, and kernels that start warm: as good as new ones."""

import json
import math
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from sernb.config import ROOT
from sernb.reporting.execution import NotebookFailed, run
from sernb.reporting.processes import FORKS, outcomes

FIXTURES = ROOT / "tests" / "notebooks"


@dataclass(frozen=True)
class Wanted:
    name: str
    page: Path
    value: object


def make(wanted: Wanted) -> Path:
    parameters = {"name": wanted.value} if wanted.name == "state" else {}
    return run(FIXTURES / f"{wanted.name}.ipynb", wanted.page, parameters)


def all_of(work, tasks, at_once=2):
    begun = []
    found = dict(outcomes(work, tasks, at_once=at_once, started=begun.append))
    assert begun == list(tasks)
    return [found[task] for task in tasks]


@pytest.mark.slow
def test_each_result_comes_with_its_task():
    assert all_of(math.sqrt, [4.0, 9.0, 16.0]) == [2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match="at_once needs 1 process or more, not 0"):
        next(outcomes(math.sqrt, [4.0], at_once=0, started=print))


def test_errors_and_deaths_spoil_no_other_task(monkeypatch: pytest.MonkeyPatch):
    good, bad = all_of(math.sqrt, [4.0, -1.0])
    assert good == 2.0
    assert isinstance(bad, ValueError)
    assert "Traceback" in bad.__notes__[0]
    (dead,) = all_of(os._exit, [3])
    assert isinstance(dead, ChildProcessError)
    assert str(dead) == "exit code 3"
    monkeypatch.setenv("SERNB_SEEN", "now")
    assert all_of(os.getenv, ["SERNB_SEEN"]) == ["now"]


@pytest.mark.slow
def test_who_stops_taking_ends_the_processes():
    taken = outcomes(time.sleep, [0.0, 600.0], at_once=2, started=lambda task: None)
    assert next(taken) == (0.0, None)
    taken.close()
    assert multiprocessing.active_children() == []


def said(page: Path) -> dict:
    notebook = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    assert [output.output_type for output in notebook.cells[-2].outputs][-1] == "display_data", "the figure is shown"
    return json.loads(notebook.cells[-1].outputs[-1].text)


@pytest.mark.slow
def test_a_page_finds_nothing_of_another_and_what_a_plain_kernel_finds(tmp_path: Path):
    wanted = [Wanted("state", tmp_path / f"{name}.html", name) for name in ("first", "second")]
    wanted.append(Wanted("failing", tmp_path / "failing.html", None))
    wanted.append(Wanted("kernel_dies", tmp_path / "dead.html", None))
    first, second, failed, dead = all_of(make, wanted, at_once=1)
    plain = run(FIXTURES / "state.ipynb", tmp_path / "plain.html", {"name": "plain"})
    first, second, plain = said(first), said(second), said(plain)
    assert first["found"] == second["found"] == plain["found"]
    assert first["found"]["left"] is None
    assert first["found"]["session"]
    assert first["found"]["parent"]
    assert (first["warm"], second["warm"], plain["warm"]) == (FORKS, FORKS, False)
    draws = [draw for each in (first, second, plain) for draw in each["chance"]]
    assert len(set(draws)) == len(draws), "chance that nobody seeded is not the same everywhere"
    assert isinstance(failed, NotebookFailed)
    assert failed.cell == "train"
    assert isinstance(dead, NotebookFailed)
    assert dead.cell == "eat"
    assert "Kernel died" in dead.value
