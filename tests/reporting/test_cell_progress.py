"""A notebook that runs without a browser is not silent."""

import nbformat

from sernb.reporting.cell_progress import LastLine, watch_cells
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
    cells = [nbformat.v4.new_markdown_cell("# T", id="title")]
    cells += [nbformat.v4.new_code_cell("1", id=name) for name in ("imports", "train", "answer")]
    for cell, state in zip(cells, ("completed", "completed", "running", "pending"), strict=True):
        cell.metadata.papermill = {"status": state}
    executed = tmp_path / "30_train.ipynb"
    with watch_cells(executed, "30_train", shown=True) as printed:  # nothing is there at first
        nbformat.write(nbformat.v4.new_notebook(cells=cells), executed)
        printed.write("12 runs: 3 of 5")
    assert "30_train: 1 of 3 cells, 00:00, train: 12 runs: 3 of 5" in capsys.readouterr().err.splitlines()


def test_nothing_is_shown_if_nobody_asks(tmp_path, capsys):
    with watch_cells(tmp_path / "none.ipynb", "30_train", shown=False) as printed:
        printed.write("text")
    assert capsys.readouterr().err == ""
