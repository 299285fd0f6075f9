"""Commands that are killed and given again end as if nothing had happened, and what looks for that would see it."""

import importlib
import json
import re
import sys

import pytest

from benchmarks import scale
from benchmarks.kills import TALLY, Life, digits, main


def test_what_depends_on_the_moment_alone_is_no_difference(tmp_path):
    first, second = tmp_path / "a" / "provenance.json", tmp_path / "b" / "provenance.json"
    for path, seconds in ((first, 1.5), (second, 2.5)):
        path.parent.mkdir()
        path.write_text(json.dumps({"seconds": seconds, "finished": "today", "python": "3"}))
    assert digits(first) == digits(second)
    second.write_text(json.dumps({"seconds": 1.5, "finished": "today", "python": "4"}))
    assert digits(first) != digits(second)


@pytest.mark.parametrize(
    ("name", "whole", "cut"),
    [
        ("predictions.csv", "clip,truth\na,sad\n", "clip,truth\na,s"),
        ("page.html", "<h1>One</h1><h2>Two</h2></html>", "<h1>One</h1><h2>Two</h2>"),
        ("values.f32", "0123", "012"),
        ("report.json", '{"title": "Demo", "made": "today"}', '{"title": "Demo", "ma'),
        ("page.ipynb", '{"cells": []}', '{"cells": ['),
    ],
)
def test_a_cut_file_is_a_difference(tmp_path, name, whole, cut):
    path = tmp_path / name
    path.write_text(whole)
    before = digits(path)
    path.write_text(cut)
    assert digits(path) != before


def test_an_executed_notebook_is_what_its_cells_say(tmp_path):
    """The cell with the parameters of a run gets another id each time."""
    told = []
    for number, source in ((1, "seed = 0"), (2, "seed = 0"), (2, "seed = 1")):
        cell = {"cell_type": "code", "id": f"chance-{number}", "source": [source], "outputs": []}
        (tmp_path / "page.ipynb").write_text(json.dumps({"cells": [cell]}))
        told.append(digits(tmp_path / "page.ipynb"))
    assert told[0] == told[1] != told[2]


def test_a_tally_that_is_full_is_told_again(tmp_path, capsys, monkeypatch):
    lives = [{"kills": {"prepare": 3}, "problems": []}, {"kills": {"prepare": 2}, "problems": ["a file differs"]}]
    (tmp_path / TALLY).write_text(json.dumps({"expected": {"prepare": {}}, "lives": lives}))
    monkeypatch.setattr(sys, "argv", ["kills", "--kills", "5", "--into", str(tmp_path)])
    assert main() == 1
    assert capsys.readouterr().out == "5 kills in 2 lives, 1 problems\n"


def test_what_is_unfinished_is_no_file_but_is_left_over(tmp_path):
    life = Life(tmp_path)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "fold-0").write_text("")
    (tmp_path / "fold-0.training").mkdir()
    (tmp_path / "fold-0.training" / "epochs.txt").write_text("3")
    (tmp_path / ".unfinished-table").write_text("half")
    (tmp_path / "metrics.json").write_text("{}")
    assert list(life.files()) == ["metrics.json"]
    assert life.leftovers() == [".unfinished-table", "fold-0.training", "fold-0.training/epochs.txt"]


def test_the_benchmark_of_large_corpora_replaces_a_name_that_plans_use():
    replaced = re.findall(r"^ +(\w+)\.(\w+) = ", scale.STEP, re.MULTILINE)
    assert replaced
    assert all(hasattr(importlib.import_module(f"sernb.runs.{module}"), name) for module, name in replaced)
