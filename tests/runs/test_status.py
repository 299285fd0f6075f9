"""What a work folder says of its runs, and how long the rest will take."""

import json
import os

import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.runs.run_folder import write_run
from sernb.runs.status import estimate_seconds_left, find_runs, format_progress, read_progress, summarise
from sernb.runtime.locks import hold, lock_path


@pytest.fixture
def runs(work):
    """Five runs of a network: two done in 100 s each, one at work, one interrupted, one failed."""
    folder = work / "runs" / "demo" / "cnn" / "random"
    for number in (0, 1):
        done = folder / f"fold-{number}-seed-0-a"
        predictions = pd.DataFrame({"clip": ["a"]})
        write_run(done, config={}, provenance={"seconds": 100.0}, metrics={}, tables={"predictions": predictions})
    for number in (2, 3):
        checkpoint = folder / f"fold-{number}-seed-0-a.training"
        checkpoint.mkdir()
        (checkpoint / "epochs.txt").write_text("5")
    (folder / "fold-4-seed-0-a.failed").write_text("the disk is full")
    for number in (2, 3):  # what the lock of a run that was begun says
        lock = lock_path(folder / f"fold-{number}-seed-0-a", work)
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(json.dumps({"epochs": 20, "begun": 0}))
    return folder


@pytest.fixture
def at_work(runs, work):
    lock = lock_path(runs / "fold-2-seed-0-a", work)
    with hold(lock, note={"epochs": 20, "begun": 0}):
        yield lock


@pytest.mark.usefixtures("at_work")
def test_each_run_is_in_one_state(runs, work):
    progress = [read_progress(run, work) for run in find_runs(work)]
    assert [run.state for run in progress] == ["done", "done", "running", "interrupted", "failed"]
    assert [run.share for run in progress] == [1, 1, 0.25, 0.25, 0]
    assert read_progress(runs / "fold-5-seed-0-a", work).state == "left"
    whole = summarise(progress)
    assert whole["runs"] == {"done": 2, "running": 1, "failed": 1, "interrupted": 1, "damaged": 0, "left": 0}
    # A run takes 100 s: three quarters of two, and one as a whole; one process is at work.
    assert (whole["seconds to go"], whole["side by side"]) == (250, 1)
    *_, failed, last = format_progress(progress)
    assert failed == "failed: cnn · demo · random · fold-4-seed-0-a: the disk is full"
    assert last.endswith("; about 4 min remaining with 1 at a time")
    assert "running: cnn · demo · random · fold-2-seed-0-a, 5 of 20 epochs" in format_progress(progress)


def test_before_any_run_is_done_the_pace_of_epochs_counts(runs, work, at_work):
    os.utime(at_work, (1000, 1000))
    os.utime(runs / "fold-2-seed-0-a.training" / "epochs.txt", (1015, 1015))  # 5 epochs in 15 s
    progress = [read_progress(run, work) for run in find_runs(work) if run.name.startswith("fold-2")]
    assert estimate_seconds_left(progress) == 45
    (left,) = [read_progress(run, work) for run in find_runs(work) if run.name.startswith("fold-4")]
    assert estimate_seconds_left([left]) is None, "nothing is known of its system"


def test_a_clock_that_was_set_back_tells_no_pace(runs, work, at_work):
    os.utime(at_work, (9000, 9000))
    os.utime(runs / "fold-2-seed-0-a.training" / "epochs.txt", (1015, 1015))
    (running,) = [read_progress(run, work) for run in find_runs(work) if run.name.startswith("fold-2")]
    assert (running.state, running.epochs, running.pace) == ("running", 5, None)
    assert estimate_seconds_left([running]) is None


def test_a_run_without_epochs_is_seen_by_its_lock(work):
    run = work / "runs" / "demo" / "majority" / "random" / "fold-0-seed-0-a"
    with hold(lock_path(run, work)):
        assert find_runs(work) == [run]
        assert read_progress(run, work).state == "running"
    assert find_runs(work) == []


def test_the_command_says_what_is_left_of_an_experiment(runs, capsys):
    assert main(["status"]) == 0
    assert "5 runs: 2 done, 1 failed, 2 interrupted" in capsys.readouterr().out
    plan = ["--systems", "majority", "--corpus", "demo", "--protocol", "random"]
    assert main(["status", *plan, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"]["left"] == 5
    assert main(["status", "--systems", "majority"]) == 1
    assert "together, or none" in capsys.readouterr().err


def test_an_empty_work_folder_is_no_error(capsys):
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("no runs yet")
