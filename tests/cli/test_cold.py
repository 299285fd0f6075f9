"""Commands of the README from an empty work folder, each in a process of its own, with preparation by processes."""

import os
import shutil
import subprocess
import sys

import pytest

from sernb.config import ROOT

# Read by every Python that is started, kernels too: preparation goes over to processes at once.
FORCED = """
from sernb.runtime import workers

workers.TRIAL, workers.WORTH, workers.BUSY, workers.available_cores = 0.0, 0.0, 1e9, lambda: 2
"""


@pytest.fixture
def cold(tmp_path):
    """A way to give a command where nothing is kept, and processes do what can be done by them."""
    (tmp_path / "forced").mkdir()
    (tmp_path / "forced" / "sitecustomize.py").write_text(FORCED)
    paths = [str(tmp_path / "forced"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"SERNB_WORK": str(tmp_path / "work"), "PYTHONPATH": os.pathsep.join(paths)}

    def give(*arguments: str, program: tuple[str, ...] = ("-m", "sernb")) -> str:
        command = [sys.executable, *program, *arguments]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout

    return give


@pytest.mark.slow
def test_the_training_page_needs_nothing_that_an_earlier_one_made(cold, tmp_path):
    assert "30_train.html" in cold("run", "30_train", "-p", "systems", "majority", "--out", str(tmp_path))


VERIFY = """
import sys
from pathlib import Path

from sernb.results import committed as reference
from sernb.__main__ import main

reference.REFERENCE = Path(sys.argv[1])
sys.exit(main(["verify", "majority", "speaker-independent", "--corpus", "demo"]))
"""


@pytest.mark.slow
def test_a_row_is_made_again_from_nothing(cold, tmp_path):
    rows = tmp_path / "reference"
    made = "experiment --systems majority --corpus demo --protocol speaker-independent --folds 0-1"
    cold(*made.split(), "--csv", str(rows / "demo.csv"), "--dirty")
    shutil.rmtree(tmp_path / "work")
    assert cold(str(rows), program=("-c", VERIFY)).endswith("within 0.5 points: all agree\n")
