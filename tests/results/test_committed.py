"""The committed results: made by committed code, shown with the same figures everywhere."""

import subprocess

import pandas as pd
import pytest

from benchmarks.evidence import commits_of, page_differs, systems_missing, tables_in_page, unknown_commits
from sernb.config import ROOT
from sernb.results import committed
from sernb.results.committed import read_rows, uncommitted


def test_every_committed_row_was_made_by_committed_code():
    rows = read_rows()
    assert rows[uncommitted(rows)][["Corpus", "System", "Protocol", "Seed"]].to_numpy().tolist() == []
    assert uncommitted(rows.head(1).assign(Commits="0123456789ab+")).all()


@pytest.fixture
def rows() -> pd.DataFrame:
    """The committed rows, where the history that they name is here."""
    rows = read_rows()
    deep = ["git", "-C", ROOT, "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(deep, capture_output=True, text=True)
    if done.stdout.strip() != "false":
        pytest.skip("the history of the checkout is not here")
    return rows


def test_every_commit_that_a_row_names_is_in_the_history(rows):
    assert unknown_commits(rows) == []
    (line,) = unknown_commits(rows.head(1).assign(Commits="0123456789ab+"))
    assert line == "0123456789ab: is not in the history of this checkout"


@pytest.mark.slow
def test_a_commit_without_the_system_of_its_row_is_found(rows):
    first = rows[rows.System == "functionals-ridge"].head(1)
    (commit, *_) = commits_of(first.iloc[0])
    assert list(systems_missing(first)) == []
    added = ["git", "-C", ROOT, "log", "--format=%h", "--abbrev=12", "--diff-filter=A", "--", "sernb/systems"]
    root = subprocess.run(added, capture_output=True, text=True, check=True).stdout.split()[-1]
    assert commit != root
    (line,) = systems_missing(first.assign(Commits=root))
    assert line.endswith(f"{root} do not have the system")


PAGE = """<table><tr><th>What</th><th>Value</th></tr><tr><th>corpus</th><td>demo</td></tr></table>
<table><tr>{0}</tr><tr><th>net</th><td>random</td><td>{1}</td>{2}</tr></table>"""
COLUMNS = ("System", "Protocol", "UAR", "WAR", "Macro-F1", "Top-3", "Clips", "Folds")


def test_a_figure_of_a_page_that_is_in_no_row_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "REFERENCE", tmp_path)
    row = ("net", "random", "60.0 [55.0, 65.0]", *["50.0 [45.0, 55.0]"] * 3, "96", "4 of 4", "demo", "a")
    pd.DataFrame([row], columns=[*COLUMNS, "Corpus", "Commits"]).to_csv(tmp_path / "net.csv", index=False)
    header, rest = ("".join(f"<td>{cell}</td>" for cell in cells) for cells in (COLUMNS, row[3:8]))
    for uar, problems in (("60.0 [55.0, 65.0]", 0), ("60.1 [55.0, 65.0]", 1)):
        tables = tables_in_page(PAGE.format(header, uar, rest))
        assert len(list(page_differs(tables, read_rows()))) == problems
