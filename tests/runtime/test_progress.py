"""Bars are drawn for people, not into files."""

import io
import subprocess
import sys
import time

import pytest

from sernb.runtime import progress

DRAW = """
import sys
{imports}
from sernb.runtime.progress import progress_bar, progress_line
with progress_bar(3, "work", "clip", shown=True) as shown:
    for number in range(3):
        shown.update()
        progress_line(f"clip {{number}}")
"""


@pytest.mark.parametrize("imports", ["", "import ipykernel.kernelapp, IPython"])
def test_into_a_pipe_go_lines_and_no_bar(imports):
    code = DRAW.format(imports=imports)
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stderr == "clip 0\nclip 1\nclip 2\n"
    assert process.stdout == ""


def test_long_work_shows_lines_in_a_pipe(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress.progress_bar(3, "2 runs", "epoch") as shown:
        shown.update(2)
        progress.progress_line("sernet · fold 0: done")
        shown.update(0)  # a sign of life without progress
        shown.set_postfix_str("cell train")
    state = "2 runs: 2 of 3 epochs, 00:00"
    expected = [state, "sernet · fold 0: done", state, f"{state}, cell train"]
    assert list(dict.fromkeys(capsys.readouterr().err.splitlines()[1:])) == list(dict.fromkeys(expected))


def test_the_clock_of_a_bar_goes_on_while_nothing_is_done(monkeypatch):
    terminal, now = io.StringIO(), [1000.0]
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_stream", lambda: terminal)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    with progress.ticking_bar(2, "sernet", "training", seconds=0.01) as shown:
        shown.update()
        for seconds in (7, 14, 21):
            now[0] = 1000.0 + seconds
            deadline = time.monotonic() + 10
            while f"[00:{seconds:02}<" not in terminal.getvalue():
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_lines_begin_after_seconds_and_come_now_and_then(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    with progress.progress_bar(60, "prepare", "clip") as shown:
        for _ in range(60):
            now[0] += 1
            shown.update()
    clips = [int(line.split()[1]) for line in capsys.readouterr().err.splitlines()]
    assert clips == [5, 20, 35, 50, 60]
