"""Committed results, made again from the recordings."""

import numpy as np
import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.config import DataError, work_folder
from sernb.corpora.pool import parse_pool
from sernb.results import committed as reference
from sernb.results.reproduce import find_row, format_command, plan_row, tolerance_for

PART = 490  # of the 2800 recordings of TESS


@pytest.fixture
def committed(tmp_path, monkeypatch, prepared):
    """Results of two folds on the demo, as they would be committed; → the file."""
    monkeypatch.setattr(reference, "REFERENCE", tmp_path / "reference")
    path = tmp_path / "reference" / "demo.csv"
    systems = "majority,statistics-svm"
    made = f"experiment --systems {systems} --corpus demo --protocol random --folds 0-1 --dirty --csv {path}"
    assert main(made.split()) == 0
    return path


@pytest.mark.slow
def test_a_row_is_made_again_and_agrees(committed, capsys):
    kept = sorted(path.name for path in (work_folder() / "runs").rglob("metrics.json"))
    capsys.readouterr()
    assert main(["verify", "statistics-svm", "random", "--corpus", "demo"]) == 0
    said = capsys.readouterr().out.splitlines()
    row = pd.read_csv(committed).set_index("System").loc["statistics-svm"]
    uar = row.UAR.split()[0]
    assert "`sernb experiment --systems statistics-svm --corpus demo --protocol random --folds 0-1`" in said[0]
    assert f"UAR: {float(uar):g} committed, {float(uar):g} reproduced, difference +0" in said
    assert said[-1] == "within 0.5 points: all agree"
    assert not (work_folder() / "verify").exists()
    assert kept == sorted(path.name for path in (work_folder() / "runs").rglob("metrics.json"))


@pytest.mark.slow
def test_options_of_a_row_are_given_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SERNB_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(reference, "REFERENCE", tmp_path / "reference")
    options = "--test-on gender=female --train-clips 48"
    made = f"experiment --systems majority --corpus demo --protocol random {options} --folds 0-1 --dirty --csv"
    assert main([*made.split(), str(tmp_path / "reference" / "demo.csv")]) == 0
    (row,) = (row for _, row in reference.read_rows().iterrows())
    assert format_command(row).endswith(options)
    assert [len(each.fold.train) for each in plan_row(row)] == [48, 48]
    assert main(["verify", "majority", "random", "--corpus", "demo"]) == 0
    assert "all agree" in capsys.readouterr().out


@pytest.mark.slow
def test_a_row_that_cannot_be_made_again_is_found(committed, capsys):
    table = pd.read_csv(committed, dtype=str)
    table.loc[table.System == "majority", "UAR"] = "31.7 [30.0, 33.0]"
    table.to_csv(committed, index=False)
    capsys.readouterr()
    assert main(["verify", "majority", "random", "--corpus", "demo"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "UAR: 31.7 committed, 12.5 reproduced, difference -19.2" in said
    assert said[-1] == "within 0.5 points: differ by more: UAR"


def test_rows_that_are_not_there_are_refused_with_those_that_are(capsys):
    with pytest.raises(DataError, match=r"functionals-svm speaker-normalised"):
        find_row("functionals-svm", "as-told", "ravdess")
    assert main(["verify", "functionals-svm", "as-told"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(DataError, match="ravdess"):
        find_row("functionals-svm", "random", "atlantis")


def committed_rows(*, at_hand):
    """Committed results; some are of the part of a corpus that is at hand."""
    return [row for _, row in reference.read_rows().iterrows() if (":available" in row.Corpus) == at_hand]


def check_plan(row, data=None):
    experiments = plan_row(row, data)
    done, every = map(int, row.Folds.split(" of "))
    assert [each.fold.number for each in experiments] == list(range(done))
    assert {each.folds for each in experiments} == {every}
    assert ("--folds" in format_command(row)) == (done < every)
    assert sum(len(each.fold.test) for each in experiments) == int(row.Clips)


@pytest.mark.parametrize(
    "row", committed_rows(at_hand=False), ids=lambda row: f"{row.System} {row.Protocol} {row.Seed}"
)
def test_every_committed_row_names_runs_that_can_be_planned(row):
    check_plan(row)


@pytest.mark.slow
def test_rows_of_what_was_at_hand_name_runs_that_can_be_planned(tess_recordings):
    if (here := parse_pool("tess:available", tess_recordings).clips) != PART:
        pytest.skip(f"the committed rows are of {PART} recordings of TESS, {here} are here")
    for row in committed_rows(at_hand=True):
        check_plan(row, tess_recordings)


def test_seeds_stand_together_in_the_readme(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "REFERENCE", tmp_path)
    rows = {
        "System": ["net"] * 3,
        "Protocol": ["random"] * 3,
        "Seed": ["0", "1", "2"],
        "UAR": ["60.0 [55.0, 65.0]", "62.0 [57.0, 68.0]", "61.0 [56.0, 65.0]"],
        "Corpus": ["demo"] * 3,
        "Commits": ["a", "b+", "a"],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "net.csv", index=False)
    (row,) = reference.read_table("demo").to_dict("records")
    assert row["UAR"] == f"61.0 [56.0, 66.0], 3 seeds ± {np.std([60, 62, 61], ddof=1):.1f}"
    assert row["Corpus"] == "demo"
    assert row["Commits"] == "a, b+"


@pytest.mark.parametrize(
    ("system", "made_by", "points", "noted"),
    [
        ("majority", "", 0.5, ""),
        ("multiscale-cnn", "", 0.5, ""),
        ("multiscale-cnn", "tensorflow", 0.5, ""),
        ("multiscale-cnn", "jax", 1.0, "the row was made by jax, this is tensorflow"),
        ("sernet-functionals", "jax", 1.0, "the row was made by jax, this is tensorflow"),
    ],
)
def test_a_row_of_another_backend_may_differ_by_a_point(system, made_by, points, noted, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert tolerance_for(pd.Series({"System": system, "Backend": made_by, "Recipe": "1"})) == (points, noted)
    if not made_by:
        assert tolerance_for(pd.Series({"System": system})) == (points, noted), "an earlier row"
    _, said = tolerance_for(pd.Series({"System": system, "Backend": made_by, "Recipe": "0"}))
    assert said.startswith("the row was made by recipe 0, this is 1")
