"""What made a result: the commit of the code, clean or not, and what a table of results says of it."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.config import ROOT, DataError
from sernb.results import committed
from sernb.results.tables import made_table, results_table
from sernb.runs.planning import plan
from sernb.runs.run_folder import read_run, write_run
from sernb.runs.runner import run_many
from sernb.runtime import provenance
from sernb.runtime.provenance import commits_of, provenance_columns
from tools import reference


def git(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.fixture
def told_in(monkeypatch):
    """What is said of a package that lies in a folder: commit, then the files that are not committed."""

    def told(folder) -> list[str]:
        monkeypatch.setattr(provenance, "CODE", folder)
        provenance.commit.cache_clear()
        commit = provenance.commit()
        return [commit, *(provenance.uncommitted() if commit.endswith("+") else [])]

    yield told
    provenance.commit.cache_clear()


@pytest.fixture
def checkout(tmp_path):
    """A small repository with what `provenance` needs of the package."""
    folder = tmp_path / "a checkout"
    (folder / "sernb" / "runtime").mkdir(parents=True)
    for name in ("__init__.py", "runtime/provenance.py", "config.py"):
        shutil.copy(ROOT / "sernb" / name, folder / "sernb" / name)
    for name in ("pyproject.toml", "requirements.lock", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "All")
    return folder


def test_the_commit_is_marked_where_code_that_decides_results_differs(checkout, told_in, tmp_path, monkeypatch):
    head = git(checkout, "rev-parse", "--short=12", "HEAD")
    (checkout / "README.md").write_text("other words")
    (checkout / "notes.txt").write_text("mine")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as in a hook of another repository
    assert told_in(checkout) == [head], "texts decide nothing"
    (checkout / "sernb" / "new.py").write_text("")
    assert told_in(checkout) == [f"{head}+", "sernb/new.py"], "not added yet"
    (checkout / ".gitignore").write_text("new.py\n__pycache__\n")
    assert told_in(checkout) == [f"{head}+", "sernb/new.py"], "ignored, but it can be imported"
    (checkout / "sernb" / "new.py").unlink()
    for name in ("sernb/config.py", "pyproject.toml", "requirements.lock"):
        with (checkout / name).open("a") as file:
            file.write("\n")
        git(checkout, "add", ".gitignore", *([name] if name == "sernb/config.py" else []))  # staged is not committed
        assert told_in(checkout) == [f"{head}+", name]
        git(checkout, "checkout", "HEAD", "--", name)


def test_outside_a_checkout_the_version_stands_and_broken_ones_are_not_clean(checkout, told_in, tmp_path):
    installed = checkout / ".venv" / "lib"
    shutil.copytree(checkout / "sernb", installed / "sernb")
    version = [f"version {provenance.__version__}"]
    with (checkout / ".gitignore").open("a") as file:
        file.write("/.venv\n")
    assert told_in(installed) == version, "the checkout around an environment is not the code's"
    shutil.copytree(checkout / "sernb", tmp_path / "alone" / "sernb")
    assert told_in(tmp_path / "alone") == version
    (checkout / ".git" / "HEAD").write_text("nonsense")
    assert told_in(checkout) == ["unknown"]
    assert not provenance.is_clean("unknown")


def test_what_made_a_row_names_all_commits_of_all_runs():
    first = provenance.provenance(seconds=1, commits=["aaaaaaaaaaaa", "bbbbbbbbbbbb"])
    assert (first["commit"], first["clean"]) == ("aaaaaaaaaaaa", True)
    joined = provenance.provenance(
        seconds=1, commits=["cccccccccccc"], members={"net": ["dddddddddddd+"], "svm": ["a"]}
    )
    assert joined["clean"] is False, "a member's code counts"
    assert commits_of(joined) == ["cccccccccccc", "dddddddddddd+", "a"]
    assert commits_of({"commit": "e"}) == ["e"]
    columns = provenance_columns([first, joined, first | {"processor": "another"}])
    assert columns["Commits"] == "a, aaaaaaaaaaaa, bbbbbbbbbbbb, cccccccccccc, dddddddddddd+"
    assert columns["Clean"] == "no"
    assert columns["Processor"] == f"{first['processor']}; another"
    assert f"numpy {first['packages']['numpy']}" in columns["Versions"]
    assert "\n" not in first["processor"]
    assert len(first["processor"]) > 2


@pytest.fixture
def done(monkeypatch):
    monkeypatch.setattr("sernb.runs.runner.commit", lambda: "aaaaaaaaaaaa")
    experiments = plan(["majority"], "demo", ["random", "speaker-independent"], folds=[0])
    run_many(experiments, jobs=1, progress=False)
    return experiments


PLANNED = ("--systems", "majority", "--corpus", "demo", "--protocol", "random,speaker-independent", "--folds", "0")
COMMAND = ("experiment", *PLANNED, "--csv")


def test_rows_say_what_made_them(done, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "commit", lambda: "aaaaaaaaaaaa")
    assert main([*COMMAND, str(tmp_path / "rows.csv")]) == 0
    rows = pd.read_csv(tmp_path / "rows.csv", dtype=str, keep_default_na=False)
    assert rows.Commits.tolist() == ["aaaaaaaaaaaa"] * 2
    assert rows.Clean.tolist() == ["yes"] * 2
    assert rows.Recipe.tolist() == ["1"] * 2
    assert rows.Backend.tolist() == ["", ""], "it depends on none"
    assert rows.Processor.tolist() == [provenance.processor()] * 2
    assert rows.Versions.str.contains("scikit-learn").all()
    assert "Uncommitted code" not in capsys.readouterr().out
    # A tree with uncommitted code is refused before anything is run, unless that is asked for.
    monkeypatch.setattr(provenance, "commit", lambda: "bbbbbbbbbbbb+")
    monkeypatch.setattr(provenance, "uncommitted", lambda: ["sernb/new.py", "pyproject.toml"])
    with monkeypatch.context() as patch:
        patch.setattr("sernb.runs.runner.run_many", None)
        assert main([*COMMAND, str(tmp_path / "none.csv")]) == 1
    said = capsys.readouterr().err
    assert said == (
        "sernb: not committed: sernb/new.py, pyproject.toml; commit first, or give --dirty, which marks every row\n"
    )
    monkeypatch.setattr(provenance, "commit", lambda: "unknown")
    assert main([*COMMAND, str(tmp_path / "none.csv")]) == 1
    assert "git cannot determine the commit" in capsys.readouterr().err
    assert not (tmp_path / "none.csv").exists()


def test_rows_of_uncommitted_code_are_refused_or_marked_in_every_table(done, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "commit", lambda: "aaaaaaaaaaaa")
    first = read_run(done[0].folder)
    made = first.provenance | {"commits": ["cccccccccccc+"]}
    tables = {"predictions": first.predictions}
    write_run(first.folder, config=first.config, provenance=made, metrics=first.metrics, tables=tables)
    assert main([*COMMAND, str(tmp_path / "rows.csv")]) == 1
    assert capsys.readouterr().err.startswith(f"sernb: {first.folder}: was made by uncommitted code; remove it")
    with pytest.raises(DataError):
        made_table(done, dirty=False)
    assert results_table(done)["Uncommitted code"].tolist() == ["yes", ""]
    assert main([*COMMAND, str(tmp_path / "rows.csv"), "--dirty"]) == 0
    assert "Uncommitted code" in capsys.readouterr().out
    monkeypatch.setattr(committed, "REFERENCE", tmp_path)
    (tmp_path / "rows.csv").write_text((tmp_path / "rows.csv").read_text().replace("majority", "statistics-svm"))
    assert committed.uncommitted(committed.read_rows()).tolist() == [True, False]
    table = committed.read_table("demo")
    lines = reference.markdown(table).splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| `statistics-svm`", "| `statistics-svm` (uncommitted code)"]
    assert "`statistics-svm` (uncommitted code) |" in reference.side_by_side(table)


def test_a_run_of_another_backend_is_another_run(monkeypatch):
    names = {}
    for backend in ("tensorflow", "jax", ""):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        for system in ("majority", "statistics-svm", "multiscale-cnn", "sernet-functionals", "cnn-ensemble"):
            (first,) = plan([system], "demo", ["speaker-independent"], folds=[0])
            names.setdefault(system, []).append(first.folder.name)
    apart = {system for system, (tensorflow, jax, _) in names.items() if tensorflow != jax}
    assert apart == {"multiscale-cnn", "sernet-functionals", "cnn-ensemble"}
    assert all(tensorflow == default for tensorflow, _, default in names.values())


def test_a_higher_recipe_is_another_run_also_of_who_joins_it():
    from dataclasses import replace

    (first,) = plan(["sernet-functionals"], "demo", ["speaker-independent"], folds=[0])
    network, machine = first.system.members
    raised = replace(first, system=replace(first.system, members=(replace(network, recipe=2), machine)))
    assert raised.folder != first.folder
    assert [a.folder == b.folder for a, b in zip(first.members, raised.members, strict=True)] == [False, True]


def test_a_process_that_has_loaded_another_backend_does_not_train(monkeypatch):
    from types import SimpleNamespace

    from sernb.runs.run_state import refuse_other_backend

    (network,) = plan(["multiscale-cnn"], "demo", ["speaker-independent"], folds=[0])
    for loaded, refused in (("tensorflow", False), ("jax", True)):
        keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda loaded=loaded: loaded))
        monkeypatch.setitem(sys.modules, "keras", keras)
        if refused:
            with pytest.raises(DataError, match="has loaded jax; set KERAS_BACKEND before Python starts"):
                refuse_other_backend(network)
        else:
            refuse_other_backend(network)
