"""Bars are drawn for people, not into files."""

import subprocess
import sys

import pytest

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
