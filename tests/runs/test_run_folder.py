"""The folder of a finished run: read back as it was written, or not at all."""

import hashlib
import json
import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from sernb.__main__ import main
from sernb.config import DataError
from sernb.results.result import collect_results
from sernb.results.tables import results_table
from sernb.runs.planning import plan
from sernb.runs.run_folder import open_run, read_run, write_run
from sernb.runs.run_state import STARTED, begin_training
from sernb.runs.runner import read_runs, run, run_many
from sernb.runtime.files import Damaged

PARTS = {
    "config": {"system": "majority", "seed": 0, "labels": ["neutral", "calm"]},
    "provenance": {"sernb": "0", "machine": "a × b"},
    "metrics": {"uar": 0.1 + 0.2},
}


@pytest.fixture
def predictions(rng) -> pd.DataFrame:
    scores = rng.dirichlet([1, 1], 6).astype(np.float32)
    return pd.DataFrame(
        {
            "clip": [f"03-01-0{number}" for number in range(6)],
            "speaker": "demo-01",
            "gender": ["female", ""] * 3,
            "truth": ["calm", "NA", "null", "neutral", "calm", "calm"],
            "view": "original",
            "neutral": scores[:, 0],
            "calm": scores[:, 1],
        }
    )


@pytest.fixture
def finished(tmp_path, predictions):
    history = pd.DataFrame({"epoch": [0, 1], "loss": [2.1, 1.9]})
    weights = {"layer/kernel": np.arange(6.0).reshape(2, 3)}
    tables = {"predictions": predictions, "history": history, "validation": predictions[:2]}
    return write_run(tmp_path / "runs" / "fold-0", **PARTS, tables=tables, weights=weights)


def test_a_run_gives_back_what_was_written(finished, predictions):
    run = read_run(finished.folder)
    assert (run.config, run.provenance, run.metrics) == tuple(PARTS.values())
    scores = ["neutral", "calm"]
    assert_frame_equal(run.predictions.drop(columns=scores), predictions.drop(columns=scores), check_dtype=False)
    # Seven digits tell two neighbouring float32 apart nearly always; no ranking may hang on the rest.
    np.testing.assert_allclose(run.predictions[scores], predictions[scores], rtol=5e-7)
    assert run.history.loss.tolist() == [2.1, 1.9]
    with np.load(run.folder / "weights.npz") as weights:
        np.testing.assert_array_equal(weights["layer/kernel"], np.arange(6.0).reshape(2, 3))
    assert os.listdir(run.folder.parent) == ["fold-0"]


def test_a_run_without_epochs_has_an_empty_history(tmp_path, predictions):
    run = write_run(tmp_path / "run", **PARTS, tables={"predictions": predictions})
    assert run.history.empty
    assert not (run.folder / "weights.npz").exists()


FILES = ["config.json", "history.csv", "metrics.json", "predictions.csv", "provenance.json", "validation.csv",
         "weights.npz"]  # fmt: skip


def test_the_contents_are_rows_and_checksums_of_all_files(finished):
    written = json.loads((finished.folder / "contents.json").read_text())["files"]
    assert list(written) == FILES
    for name, about in written.items():
        content = (finished.folder / name).read_bytes()
        assert about["sha256"] == hashlib.sha256(content).hexdigest()
        assert about["rows"] == (content.count(b"\n") - 1 if name.endswith(".csv") else None)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path):
    """Change one digit or letter; size and times are those from before."""
    content, about = bytearray(path.read_bytes()), path.stat()
    at = next(place for place in reversed(range(len(content))) if chr(content[place]).isalnum())
    content[at] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def empty(path):
    path.write_bytes(b"")


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def lose_the_last_line(path):
    path.write_bytes(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[0] + b"\n")


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


def delete(path):
    path.unlink()


@pytest.mark.parametrize("harm", [cut, edit, empty, append, lose_the_last_line, replace_by_a_folder, delete])
@pytest.mark.parametrize("name", [*FILES, "contents.json"])
def test_any_change_to_any_file_is_noticed(finished, name, harm):
    assert read_run(finished.folder) == finished
    harm(finished.folder / name)
    assert read_run(finished.folder) is None
    with pytest.raises(Damaged, match=f"{finished.folder}: {name} has changed since it was written"):
        open_run(finished.folder)
    if name != "contents.json":  # who has opened it before is not given what has changed since, either
        for part in ("predictions", "history", "validation", "weights"):
            with pytest.raises(Damaged):
                getattr(finished, part)


def test_what_was_not_written_with_the_run_is_not_read(tmp_path, predictions):
    run_ = write_run(tmp_path / "run", **PARTS, tables={"predictions": predictions})
    predictions.to_csv(run_.folder / "validation.csv", index=False)
    np.savez(run_.folder / "weights.npz", kernel=np.zeros(2))
    again = read_run(run_.folder)
    assert again.validation.empty
    assert again.weights == {}


@pytest.mark.parametrize("name", ["../config.json", "/dev/zero", ""])
def test_contents_name_files_of_the_folder_only(finished, name):
    from sernb.runs.run_folder import _contents

    files = (*finished.files, (name, None, ""))
    (finished.folder / "contents.json").write_text(_contents(files))
    assert read_run(finished.folder) is None


def test_each_file_is_hashed_once_as_long_as_it_stays(finished, monkeypatch):
    counted = []
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: counted.append(given) or hashlib.sha256())
    for path in finished.folder.iterdir():
        os.utime(path, (1, 1))
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    for _ in range(3):
        read_run(finished.folder)
    assert len(counted) == 1, "the first of them differs already"


def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(finished, monkeypatch):
    def fail(*given):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashlib, "file_digest", fail)
    with pytest.raises(DataError, match=r"config.json: cannot be read \(Input/output error\)"):
        read_run(finished.folder)


# -- Experiments whose folder is not what it should be -- #


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A work folder with two finished runs."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(folder))
        run_many(plan(["majority"], "demo", ["speaker-independent"], folds=[0, 1]), jobs=1, progress=False)
    return folder


@pytest.fixture
def done(kept, work):
    shutil.copytree(kept, work)
    return plan(["majority"], "demo", ["speaker-independent"], folds=[0, 1])


@pytest.mark.parametrize("harm", [cut, delete])
def test_a_damaged_run_is_set_aside_with_one_line_and_made_again(done, harm, capsys):
    table = results_table(done).to_dict("records")
    harm(done[0].folder / "predictions.csv")
    assert (
        main(
            [
                "status",
                "--systems",
                "majority",
                "--corpus",
                "demo",
                "--protocol",
                "speaker-independent",
                "--folds",
                "0-1",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("2 runs: 1 done, 1 damaged")
    assert any(each.startswith("damaged: majority") and "predictions.csv has changed" in each for each in said)
    with pytest.raises(
        DataError, match=r"predictions.csv has changed since it was written; run `sernb experiment` again"
    ):
        read_runs(done)
    assert done[0].folder.is_dir(), "reading changes nothing"
    run_many(done, jobs=1, progress=False)
    aside = done[0].folder.with_name(f"{done[0].folder.name}.set-aside-1")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{done[0].folder}: predictions.csv has changed since it was written; set aside as {aside.name}, "
        "the run is repeated"
    ]
    assert aside.is_dir()
    assert results_table(done).to_dict("records") == table
    assert main(["status"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "2 runs: 2 done"
    assert said[-2] == f"set aside, not used: majority · demo · speaker-independent · {aside.name}"


def test_the_folder_of_another_run_is_not_taken_for_this_one(done, capsys):
    first, second = (each.folder for each in done)
    shutil.rmtree(first)
    shutil.copytree(second, first)
    with pytest.raises(DataError, match=r"config.json belongs to another run"):
        read_runs(done)
    assert run(done[0]).config["fold"] == 0
    assert "config.json belongs to another run; set aside" in capsys.readouterr().err


def test_a_prediction_is_the_class_of_the_highest_written_score(done):
    for result in collect_results(done):
        classes = list(result.classes)
        scores = result.predictions[classes].to_numpy()
        assert result.predictions.prediction.tolist() == [classes[place] for place in scores.argmax(axis=1)]
        assert result.predictions.columns.tolist().index("prediction") == 5


def test_scores_that_are_written_alike_are_equals():
    from sernb.runs.runner import _score_table

    scores = np.array([[0.33333331, 0.33333334, 0.3333333], [0.1, 0.2, 0.7]])
    table = _score_table(scores, ["a", "b", "c"])
    assert table.prediction.tolist() == ["a", "c"]
    assert [f"{value:.7g}" for value in table.loc[0, ["a", "b", "c"]]] == ["0.3333333"] * 3


# -- Trainings that go on -- #


@pytest.fixture
def begun(monkeypatch):
    (experiment,) = plan(["multiscale-cnn"], "demo", ["speaker-independent"], folds=[0])
    monkeypatch.setattr("sernb.runs.run_state.commit", lambda: "aaaaaaaaaaaa")
    assert begin_training(experiment) == ["aaaaaaaaaaaa"]
    monkeypatch.setattr("sernb.runs.run_state.commit", lambda: "bbbbbbbbbbbb+")
    return experiment


def test_a_training_that_goes_on_at_another_commit_names_both(begun):
    assert begin_training(begun) == ["bbbbbbbbbbbb+"], "nothing was trained yet"
    (begun.checkpoint / STARTED).write_text(
        (begun.checkpoint / STARTED).read_text().replace("bbbbbbbbbbbb+", "aaaaaaaaaaaa")
    )
    (begun.checkpoint / "training.npz").touch()
    for _ in range(2):
        assert begin_training(begun) == ["aaaaaaaaaaaa", "bbbbbbbbbbbb+"]


@pytest.mark.parametrize("change", ["recipe", "cut", "delete"])
def test_a_checkpoint_of_another_recipe_is_set_aside(begun, change, capsys):
    note = begun.checkpoint / STARTED
    (begun.checkpoint / "training.npz").write_text("epochs")
    if change == "recipe":
        note.write_text(json.dumps(json.loads(note.read_text()) | {"recipe": 0}))
    else:
        {"cut": cut, "delete": delete}[change](note)
    assert begin_training(begun) == ["bbbbbbbbbbbb+"]
    assert os.listdir(begun.checkpoint) == [STARTED]
    aside = begun.checkpoint.with_name(f"{begun.checkpoint.name}.set-aside-1")
    assert (aside / "training.npz").read_text() == "epochs"
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{begun.checkpoint}: belongs to another recipe; set aside as {aside.name}, the training starts again"
    ]
    assert main(["status"]) == 0
    assert f"set aside, not used: multiscale-cnn · demo · speaker-independent · {aside.name}" in capsys.readouterr().out
