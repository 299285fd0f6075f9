"""A notebook that runs without a browser is not silent."""

import contextlib

import nbformat

from sernb.reporting import cell_progress
from sernb.reporting.cell_progress import LastLine
from sernb.runtime import progress


def test_the_last_line_is_the_last_state_of_a_bar():
    line = LastLine()
    line.write("10 folds\n\r 10 %|#  |\r 20 %|## |")
    assert line.text == "20 %|## |"
    line.write("\n\n")
    line.write("")
    assert line.text == "20 %|## |"
    line.write("\x1b[31m" + "long " * 100)
    assert line.text.startswith("\\x1b[31mlong")
    assert len(line.text) == 100


def test_the_running_cell_is_named_with_what_it_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    updates = []

    @contextlib.contextmanager
    def updated_by(update):
        updates.append(update)
        yield
        update()

    monkeypatch.setattr(cell_progress, "updated_by", updated_by)
    executed = tmp_path / "30_train.ipynb"

    def write(*states):
        names = ("title", "imports", "train", "answer")
        cells = [nbformat.v4.new_markdown_cell("# T", id=names[0])]
        cells += [nbformat.v4.new_code_cell("1", id=name) for name in names[1:]]
        for cell, state in zip(cells, states, strict=True):
            cell.metadata.papermill = {"status": state}
        nbformat.write(nbformat.v4.new_notebook(cells=cells), executed)

    with cell_progress.watch_cells(executed, "30_train", shown=True) as printed:
        updates[0]()  # nothing is there yet
        write("completed", "completed", "running", "pending")
        printed.write("12 runs: 3 of 5")
        updates[0]()
        write("completed", "completed", "completed", "running")
    lines = capsys.readouterr().err.splitlines()
    states = list(dict.fromkeys(line.partition(" cells, ")[2].partition(", ")[2] for line in lines))
    assert states[-2:] == ["train: 12 runs: 3 of 5", "answer"], "without what an earlier cell printed"
    assert lines[-1].startswith("30_train: 2 of 3 cells, 00:0")


def test_nothing_is_shown_if_nobody_asks(tmp_path, capsys):
    with cell_progress.watch_cells(tmp_path / "none.ipynb", "30_train", shown=False) as printed:
        printed.write("text")
    assert capsys.readouterr().err == ""
