"""Experiments on the demo corpus: planned, run, repeated, interrupted, read back."""

import json
import os
import platform
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from sernb import experiment
from sernb.config import DataError
from sernb.experiment import plan, prepare_for, read_runs, run, run_many
from sernb.features import Normaliser
from sernb.preparation import prepare
from sernb.results import caption, comparison_table, gaps, reported_table, results_of, results_table, views_table
from sernb.splits import PROTOCOLS

PROTOCOL_NAMES = tuple(PROTOCOLS)


def test_a_plan_names_each_run_by_what_decides_its_result():
    full, quick = (plan(["multiscale-cnn"], "demo", PROTOCOL_NAMES, profile=profile) for profile in ("full", "quick"))
    assert (len(full), len(quick)) == (10 + 4 + 4, 6)
    folders = {each.folder for each in [*full, *quick]}
    assert len(folders) == len(full) + len(quick), "other settings, other folder"
    again = plan(["multiscale-cnn"], "demo", PROTOCOL_NAMES)
    assert [each.folder for each in again] == [each.folder for each in full]
    assert plan(["multiscale-cnn"], "demo", ["as-published"], seeds=[1])[0].folder not in folders


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((["majority"], "demo", ["as-published"], {"profile": "fast"}), "quick"),
        ((["majority"], "demo", ["loso"], {}), "speaker-independent"),
        ((["vgg"], "demo", ["as-published"], {}), "majority"),
        ((["majority"], "libri", ["as-published"], {}), "ravdess"),
        ((["statistics-svm"], "demo", ["as-published"], {"folds": [1]}), "0 to 0"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(arguments, named):
    *names, options = arguments
    with pytest.raises(DataError, match=named):
        plan(*names, **options)


def test_times_a_clip_trained_counts_folds_up_to_its_own():
    folds = plan(["multiscale-cnn"], "demo", ["as-published"])
    assert set(folds[0].times_trained) == {1}
    assert set(folds[9].times_trained) == {9}, "each training clip of the last fold was tested once before"
    counted = dict.fromkeys(folds[0].fold.train + folds[0].fold.test, 0)
    for each in folds[:4]:
        for clip in each.fold.train:
            counted[clip] += 1
    assert folds[3].times_trained == tuple(counted[clip] for clip in folds[3].fold.train)
    assert set(plan(["multiscale-cnn"], "demo", ["speaker-independent"])[3].times_trained) == {1}


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory):
    """The two systems that train in seconds, under every protocol; where they are kept, what was planned, the runs."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(folder))
        experiments = plan(["majority", "statistics-svm"], "demo", PROTOCOL_NAMES)
        return folder, experiments, run_many(experiments, jobs=1, progress=False)


@pytest.fixture
def svm_runs(finished_runs, monkeypatch):
    folder, experiments, runs = finished_runs
    monkeypatch.setenv("SERNB_WORK", str(folder))
    return experiments, runs


def test_results_come_from_the_predictions(svm_runs):
    experiments, _ = svm_runs
    table = results_table(experiments).set_index(["System", "Protocol"])
    for result in results_of(experiments):
        files = [run_.folder / "predictions.csv" for run_ in result.runs]
        predictions = pd.concat([pd.read_csv(file, keep_default_na=False) for file in files])
        predictions = predictions[predictions["view"] == "original"]
        assert predictions["clip"].is_unique
        chosen = predictions[list(result.classes)].idxmax(axis=1)
        expected = 100 * balanced_accuracy_score(predictions.truth, chosen)
        row = table.loc[(result.system.name, result.protocol)]
        assert row["UAR"].split()[0] == f"{expected:.1f}"
        assert row["Clips"] == len(predictions)
    assert table.loc[("statistics-svm", "speaker-independent"), "Folds"] == "4 of 4"
    assert table.loc[("statistics-svm", "as-published"), "WAR reported"] == "68.0"
    svm = [result for result in results_of(experiments) if result.system.name == "statistics-svm"]
    for result in svm:
        metrics = result.metrics()
        assert metrics.uar.low > metrics.uar_floor, "the demo corpus can be learned"
    assert gaps(experiments)["System"].tolist() == ["statistics-svm"], "who does not listen has no gap"
    assert len(comparison_table(experiments)) == 6
    assert reported_table(experiments)["System"].tolist() == ["statistics-svm"]
    assert "95 %" in caption(experiments)
    views = views_table(svm[0])
    assert views["View"].tolist()[-1] == "mean of all"
    assert len(views) == len(svm[0].views) + 1


def test_what_is_done_is_not_done_again(svm_runs, monkeypatch):
    experiments, runs = svm_runs
    monkeypatch.setattr(experiment, "write_run", None)  # would fail if anything ran
    again = run_many(experiments, jobs=1, progress=False)
    assert [run_.provenance for run_ in again] == [run_.provenance for run_ in runs]


def test_same_seed_same_folds_and_predictions(svm_runs, monkeypatch, tmp_path):
    _, runs = svm_runs
    monkeypatch.setenv("SERNB_WORK", str(tmp_path / "elsewhere"))
    fresh = plan(["majority", "statistics-svm"], "demo", PROTOCOL_NAMES)
    for first, second in zip(runs, run_many(fresh, jobs=1, progress=False), strict=True):
        assert first.folder != second.folder
        assert (first.folder / "predictions.csv").read_bytes() == (second.folder / "predictions.csv").read_bytes()
        assert first.config == second.config


def test_a_run_folder_tells_everything_and_no_machine(svm_runs):
    _, runs = svm_runs
    for run_ in runs:
        assert {path.name for path in run_.folder.iterdir()} == {
            "config.json", "provenance.json", "metrics.json", "predictions.csv",
        }  # fmt: skip
        about = json.loads((run_.folder / "provenance.json").read_text())
        assert about["python"] == platform.python_version()
        assert platform.node() not in about["machine"].split()
        assert str(run_.folder.parents[4]) not in json.dumps([about, run_.config])


def test_runs_that_are_not_there_are_named():
    with pytest.raises(DataError, match=r"majority · demo · as-published · fold 0: not run yet \(10 in all\)"):
        read_runs(plan(["majority"], "demo", ["as-published"]))


def test_speaker_normalised_standardises_each_speaker_by_itself(monkeypatch):
    """What reaches the system has mean 0 and deviation 1 over each speaker's own clips."""
    (first, *_) = plan(["statistics-svm"], "demo", ["speaker-normalised"])
    seen = {}
    original = first.system.fit

    def spy(settings, task):
        seen["task"] = task
        return original(settings, task)

    import dataclasses

    spied = dataclasses.replace(first, system=dataclasses.replace(first.system, fit=spy))
    prepare_for([first])
    run(spied)
    train = seen["task"].train
    rows = np.concatenate(train.features)
    for speaker in np.unique(train.speakers):
        own = rows[train.speakers == speaker]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-4)
    table = prepare(first.corpus, first.system.features)
    clips = experiment.labelled(first.corpus, first.system)
    name = first.fold.train[0]
    speaker = clips.set_index("clip").speaker[name]
    by_hand = Normaliser([table[clip] for clip in clips["clip"][clips.speaker == speaker]])(table[name])
    np.testing.assert_array_equal(by_hand, train.features[0])


def test_a_leaking_split_stops_the_run_and_leaves_nothing():
    import dataclasses

    (first, *_) = plan(["statistics-svm"], "demo", ["speaker-independent"])
    fold = dataclasses.replace(first.fold, train=(*first.fold.train, first.fold.test[0]))
    leaky = dataclasses.replace(first, fold=fold, times_trained=(*first.times_trained, 1))
    with pytest.raises(DataError, match=f"leak: clip also in training.*{first.fold.test[0]}"):
        run_many([leaky], jobs=1, progress=False)
    assert not leaky.folder.exists()


# -- Networks -- #

# A small training that a test can wait for; the network is the real one.
SMALL = """
import dataclasses, sys
from sernb.experiment import plan, prepare_for, run
(first, *_) = plan(["multiscale-cnn"], "demo", ["speaker-independent"], profile="quick", folds=[0])
settings = dataclasses.replace(first.settings, epochs=3, filters=16, dilations=(1, 2, 4))
small = dataclasses.replace(first, settings=settings)
prepare_for([small])
print("training", flush=True)
print(run(small).folder)
"""


def train_small(work, **options):
    environment = {**os.environ, "SERNB_WORK": str(work)}
    return subprocess.Popen(
        [sys.executable, "-c", SMALL], env=environment, stdout=subprocess.PIPE, text=True, **options
    )


def finished(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return out.splitlines()[-1]


@pytest.mark.slow
def test_a_network_repeats_itself_and_a_killed_training_ends_as_an_undisturbed_one(tmp_path):
    from pathlib import Path

    undisturbed = Path(finished(train_small(tmp_path / "first")))
    repeated = Path(finished(train_small(tmp_path / "second")))
    process = train_small(tmp_path / "killed")
    while process.poll() is None:
        epochs = list((tmp_path / "killed").rglob("epochs.txt"))
        if epochs and int(epochs[0].read_text() or 0) >= 1:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not list((tmp_path / "killed").rglob("predictions.csv")), "killed before the end"
    killed = Path(finished(train_small(tmp_path / "killed")))
    for folder in (repeated, killed):
        for name in ("predictions.csv", "history.csv", "config.json", "metrics.json"):
            assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
        theirs, ours = np.load(undisturbed / "weights.npz"), np.load(folder / "weights.npz")
        for key in theirs:
            np.testing.assert_array_equal(theirs[key], ours[key])
        assert not list(folder.parent.glob("*.training")), "the checkpoint is gone"
        assert not list(folder.parents[4].rglob(".unfinished-*"))
    history = pd.read_csv(undisturbed / "history.csv")
    assert history.epoch.tolist() == [1, 2, 3]
    assert history.loss.iloc[-1] < history.loss.iloc[0]
