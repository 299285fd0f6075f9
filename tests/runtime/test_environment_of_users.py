"""Machines without a home, without space, without memory; `--csv` into links and pipes."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from sernb.__main__ import main
from sernb.config import DataError
from sernb.runtime.files import atomic_or_through

NOBODY = 54321  # a user without an entry in passwd

CELL = """
import os

import matplotlib
import numpy as np
from librosa.effects import time_stretch
from sernb.systems.learning.training import keras

time_stretch(np.ones(4000, np.float32), rate=1.1)  # compiled, and kept, by Numba
print(os.getuid(), os.path.expanduser("~"), matplotlib.get_cachedir())
"""


@pytest.fixture
def theirs():
    """A folder that a user without a home may write to."""
    if not hasattr(os, "getuid") or os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only the superuser can become another user")
    folder = Path(tempfile.mkdtemp())  # where others may come, unlike pytest's own
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_user_without_a_home_gets_one_in_the_work_folder(theirs):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, theirs / "where.ipynb")
    work = theirs / "work"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG_", "MPL"))}
    environment |= {"SERNB_WORK": str(work)}
    # The interpreter may lie in the superuser's own home: it may be read, nothing more.
    become = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps +dac_read_search"
    become += " --ambient-caps +dac_read_search --bounding-set -all,+dac_read_search"
    command = [*become.split(), sys.executable, "-m", "sernb", "run", theirs / "where.ipynb", "--out", theirs / "out"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("where: ") for line in done.stderr.splitlines())  # progress
    (cell,) = nbformat.read(theirs / "out" / "where.ipynb", as_version=4).cells
    assert cell.outputs[-1].text == f"{NOBODY} {work}/home {work}/home/.cache/matplotlib\n"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory: close other programs"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory; close other programs"),
        (OSError(28, "No space left on device"), "No space left on device in /full; free disk space"),
        (
            FileNotFoundError(2, "No usable temporary directory found in ['/full']"),
            "in /full; free disk space, or name another",
        ),
    ],
)
def test_what_ran_out_is_named(monkeypatch, capsys, error, words):
    def fail(*_: object, **__: object):
        raise error

    monkeypatch.setenv("TMPDIR", "/full")
    monkeypatch.setattr("sernb.corpora.files.locate", fail)
    assert main(["check", "demo"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("sernb: ")
    assert words in said


# -- `--csv` -- #


def write(path: Path, text: str) -> None:
    with atomic_or_through(path) as unfinished:
        unfinished.write_text(text)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "results.csv"
    link.symlink_to("there/kept.csv")
    for text in ("first", "second"):  # the target is made, then replaced
        write(link, text)
        assert link.is_symlink()
        assert (tmp_path / "there" / "kept.csv").read_text() == text
    with contextlib.suppress(ValueError), atomic_or_through(link) as unfinished:
        unfinished.write_text("th")
        raise ValueError("half")
    assert link.read_text() == "second"
    assert sorted(os.listdir(tmp_path / "there")) == ["kept.csv"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names on Windows")
def test_a_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    write(pipe, "a,b\n1,2\n")
    assert reader.communicate(timeout=60)[0] == "a,b\n1,2\n"
    assert pipe.is_fifo()


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="Is a directory"):
        write(tmp_path, "text")


STANDARD = """
from pathlib import Path
from sernb.runtime.files import atomic_or_through

print("before")
for name in ("/dev/stdout", "/dev/fd/1"):
    with atomic_or_through(Path(name)) as unfinished:
        unfinished.write_text("a,b\\n")
print("after")
"""


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout")
def test_standard_output_stays_what_it_is(tmp_path):
    into_pipe = subprocess.run([sys.executable, "-c", STANDARD], capture_output=True, text=True)
    assert into_pipe.stdout == "before\na,b\na,b\nafter\n", into_pipe.stderr
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", STANDARD], stdout=file, check=True)
    assert (tmp_path / "out").read_text() == into_pipe.stdout
