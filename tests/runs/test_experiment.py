"""Experiments on the demo corpus: planned, run, repeated, interrupted, read back."""

import dataclasses
import errno
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from sernb.audio.augmentation import Noise
from sernb.config import DataError, work_folder
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.features.normalisation import Normaliser
from sernb.protocols.protocol import COMPARED
from sernb.results.result import collect_results
from sernb.results.tables import (
    caption,
    comparison_table,
    published_differences,
    reported_table,
    results_table,
    views_table,
)
from sernb.runs import runner
from sernb.runs.planning import default_systems, plan, plan_report
from sernb.runs.runner import prepare_for, read_runs, run, run_many
from sernb.runtime.files import TEMPORARY
from sernb.runtime.locks import hold
from sernb.systems.base import LazyArrays
from sernb.systems.registry import SHOWN, SLOW


def test_only_the_quick_report_on_synthetic_speech_leaves_slow_systems_out():
    demo = parse_pool("demo")
    assert default_systems(demo, "full") == default_systems(parse_pool("ravdess"), "quick") == SHOWN
    assert set(SHOWN) - set(default_systems(demo, "quick")) == set(SLOW)
    assert {each.system.name for each in plan_report([], "demo", ["random"], profile="quick")} == set(SHOWN) - set(SLOW)


def test_a_plan_names_each_run_by_what_decides_its_result():
    full, quick = (plan(["multiscale-cnn"], "demo", COMPARED, profile=profile) for profile in ("full", "quick"))
    assert (len(full), len(quick)) == (10 + 4 + 4, 6)
    folders = {each.folder for each in [*full, *quick]}
    assert len(folders) == len(full) + len(quick), "other settings, other folder"
    again = plan(["multiscale-cnn"], "demo", COMPARED)
    assert [each.folder for each in again] == [each.folder for each in full]
    assert plan(["multiscale-cnn"], "demo", ["as-published"], seeds=[1])[0].folder not in folders


@pytest.mark.parametrize(
    ("system", "corpus", "protocol", "name"),
    [
        ("majority", "demo", "as-published", "fold-0-seed-0-a74a23ddf676c119"),
        ("multiscale-cnn", "demo", "speaker-normalised", "fold-0-seed-0-19bb852341f481c1"),
        ("multiscale-cnn", "ravdess", "speaker-independent", "fold-0-seed-0-e6fd570430b99cda"),
    ],
)
def test_runs_of_earlier_versions_are_found(system, corpus, protocol, name):
    """Options that are not used leave no trace in the name of a run folder."""
    assert plan([system], corpus, [protocol])[0].folder.name == name


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((["majority"], "demo", ["as-published"], {"profile": "fast"}), "quick"),
        ((["majority"], "demo", ["loso"], {}), "speaker-independent"),
        ((["vgg"], "demo", ["as-published"], {}), "majority"),
        ((["majority"], "libri", ["as-published"], {}), "ravdess"),
        ((["statistics-svm"], "demo", ["as-published"], {"folds": [1]}), "0 to 0"),
        ((["majority"], "demo", ["random"], {"labels": "nine"}), "seven"),
        ((["majority"], "demo", ["random"], {"sampling": "equal"}), "balanced"),
        ((["majority"], "demo", ["random"], {"train_on": "gender=other"}), "there are female, male"),
        ((["majority"], "demo", ["random"], {"train_on": "bytes=1"}), "not a condition such as gender=female"),
        ((["majority"], "demo", ["random"], {"train_clips": 1000}), "give 1 to"),
        ((["majority"], "demo", ["corpus-independent"], {}), "two or more corpora"),
        ((["majority"], "demo", ["leaky-choice"], {}), "selects no epoch"),
        ((["statistics-svm"], "demo", ["leaky-augmentation"], {}), "training views"),
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
def finished_runs(tmp_path_factory, share_features):
    """The two systems that train in seconds, under every protocol; where they are kept, what was planned, the runs."""
    folder = share_features(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(folder))
        experiments = plan(["majority", "statistics-svm"], "demo", COMPARED)
        return folder, experiments, run_many(experiments, jobs=1, progress=False)


@pytest.fixture
def svm_runs(finished_runs, monkeypatch):
    folder, experiments, runs = finished_runs
    monkeypatch.setenv("SERNB_WORK", str(folder))
    return experiments, runs


@pytest.mark.slow
def test_results_come_from_the_predictions(svm_runs):
    experiments, _ = svm_runs
    table = results_table(experiments).set_index(["System", "Protocol"])
    for result in collect_results(experiments):
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
    svm = [result for result in collect_results(experiments) if result.system.name == "statistics-svm"]
    for result in svm:
        metrics = result.metrics()
        assert metrics.uar.low > metrics.uar_floor, "the demo corpus can be learned"
    (row,) = published_differences(experiments)["System"]
    assert row.startswith("statistics-svm ("), "who ignores the audio has no gap; the demo is no corpus of the authors"
    assert len(comparison_table(experiments)) == 6
    assert reported_table(experiments)["System"].tolist() == ["statistics-svm"]
    assert "95 %" in caption(experiments)
    views = views_table(svm[0])
    assert views["View"].tolist()[-1] == "mean of all"
    assert len(views) == len(svm[0].views) + 1


@pytest.mark.slow
def test_what_is_done_is_not_done_again(svm_runs, monkeypatch):
    experiments, runs = svm_runs
    monkeypatch.setattr(runner, "write_run", None)  # would fail if anything ran
    again = run_many(experiments, jobs=1, progress=False)
    assert [run_.provenance for run_ in again] == [run_.provenance for run_ in runs]


@pytest.mark.slow
def test_same_seed_same_folds_and_predictions(svm_runs, monkeypatch, tmp_path, share_features):
    _, runs = svm_runs
    monkeypatch.setenv("SERNB_WORK", str(share_features(tmp_path / "elsewhere")))
    fresh = plan(["majority", "statistics-svm"], "demo", COMPARED)
    for first, second in zip(runs, run_many(fresh, jobs=1, progress=False), strict=True):
        assert first.folder != second.folder
        assert (first.folder / "predictions.csv").read_bytes() == (second.folder / "predictions.csv").read_bytes()
        assert first.config == second.config


@pytest.mark.slow
def test_a_run_folder_tells_everything_and_no_machine(svm_runs):
    _, runs = svm_runs
    for run_ in runs:
        assert {path.name for path in run_.folder.iterdir()} == {
            "config.json", "provenance.json", "metrics.json", "predictions.csv", "contents.json",
        }  # fmt: skip
        about = json.loads((run_.folder / "provenance.json").read_text())
        assert about["python"] == platform.python_version()
        assert platform.node() not in about["machine"].split()
        assert str(run_.folder.parents[4]) not in json.dumps([about, run_.config])


def test_runs_that_are_not_there_are_named():
    with pytest.raises(DataError, match=r"majority · demo · as-published · fold 0: not run yet \(10 in all\)"):
        read_runs(plan(["majority"], "demo", ["as-published"]))


@pytest.mark.slow
def test_speaker_normalised_standardises_each_speaker_by_itself(monkeypatch):
    """What reaches the system has mean 0 and deviation 1 over each speaker's own clips."""
    (first, *_) = plan(["statistics-svm"], "demo", ["speaker-normalised"], views=[])
    seen = {}
    original = first.system.fit

    def spy(settings, task):
        seen["task"] = task
        return original(settings, task)

    spied = dataclasses.replace(first, system=dataclasses.replace(first.system, fit=spy))
    prepare_for([first])
    run(spied)
    train = seen["task"].train
    rows = np.concatenate(train.features)
    for speaker in np.unique(train.speakers):
        own = rows[train.speakers == speaker]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-4)
    table = prepare(first.corpus, first.system.features)
    clips = first.clips
    name = first.fold.train[0]
    speaker = clips.set_index("clip").speaker[name]
    by_hand = Normaliser([table[clip] for clip in clips["clip"][clips.speaker == speaker]])(table[name])
    np.testing.assert_array_equal(by_hand, train.features[0])


def test_scores_are_normalised_by_speaker_where_features_must_not_be():
    def by_scores(planned):
        return dataclasses.replace(planned, system=dataclasses.replace(planned.system, normalised="scores"))

    (alone,) = plan(["functionals-ridge"], "demo", ["speaker-independent"], folds=[0], views=[])
    (planned,) = plan(["functionals-ridge"], "demo", ["speaker-normalised"], folds=[0], views=[])
    normalised = by_scores(planned)
    assert [each.folder for each in normalised.members] == [alone.folder], "trained once for both protocols"
    assert [each.folder for each in normalised.parts] == [normalised.folder, alone.folder]
    assert [each.folder for each in normalised.trained] == [alone.folder]
    assert by_scores(alone).folder == alone.folder != normalised.folder != planned.folder
    prepare_for([normalised])
    table, before = run(normalised).predictions, run(alone).predictions
    scores = before[list(alone.labels.classes)].to_numpy(float)
    odds = np.log(np.maximum(scores, 1e-7))
    for speaker in before.speaker.unique():
        odds[before.speaker == speaker] -= odds[before.speaker == speaker].mean(axis=0)
    np.testing.assert_allclose(table[list(alone.labels.classes)], softmax(odds, axis=1), atol=1e-6)


@pytest.mark.slow
def test_a_leaking_split_stops_the_run_and_leaves_nothing():
    (first, *_) = plan(["statistics-svm"], "demo", ["speaker-independent"], views=[])
    fold = dataclasses.replace(first.fold, train=(*first.fold.train, first.fold.test[0]))
    leaky = dataclasses.replace(first, fold=fold, times_trained=(*first.times_trained, 1))
    with pytest.raises(DataError, match=f"leak: clip also in training.*{first.fold.test[0]}"):
        run_many([leaky], jobs=1, progress=False)
    assert not leaky.folder.exists()


def test_one_that_fails_keeps_no_other_from_being_done_and_says_why():
    experiments = plan(["majority"], "demo", ["speaker-independent"])
    first, second, *_ = experiments
    fold = dataclasses.replace(first.fold, train=(*first.fold.train, first.fold.test[0]))
    leaky = dataclasses.replace(first, fold=fold, times_trained=(*first.times_trained, 1))
    with pytest.raises(DataError, match=r"leak: clip also in training.*correct the split"):
        run_many([leaky, second], jobs=1, progress=False)
    assert second.folder.exists()
    assert "leak: clip also in training" in leaky.failure.read_text()
    first.failure.write_text("it failed before")
    run_many([first], jobs=1, progress=False)
    assert not first.failure.exists()


def test_what_another_process_is_at_is_waited_for_at_the_end(monkeypatch):
    """The others are done first; then its result is taken, or the run is done if the other ended without."""
    monkeypatch.setattr("sernb.runtime.locks.POLL", 0.01)
    experiments = plan(["majority"], "demo", ["speaker-independent"])
    prepare_for(experiments)
    begun, order = threading.Event(), []
    finish = runner._execute

    def noted(each):
        order.append(each.fold.number)
        return finish(each)

    monkeypatch.setattr(runner, "_execute", noted)

    def other() -> None:
        with hold(experiments[0].lock):
            begun.set()
            while not experiments[-1].folder.exists():
                time.sleep(0.01)

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    assert run(experiments[0], wait=False) is None
    assert len(run_many(experiments, jobs=1, progress=False)) == len(experiments)
    thread.join()
    assert order == [1, 2, 3, 0]


@pytest.mark.slow
def test_what_a_killed_process_left_beside_a_finished_run_goes(svm_runs):
    (first, *_), _ = svm_runs
    first.checkpoint.mkdir()
    run(first)
    assert not first.checkpoint.exists()


@pytest.mark.slow
def test_a_cache_that_is_damaged_while_it_is_read_is_made_again(monkeypatch):
    (first, *_) = plan(["statistics-svm"], "demo", ["speaker-independent"], views=[])
    prepare_for([first])
    (values,) = work_folder().glob("cache/demo/statistics-*/values.f32")
    whole = values.read_bytes()
    row = list(prepare(first.corpus, first.system.features)).index(first.fold.train[0])
    at = 4 * first.system.features.width * row
    values.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    monkeypatch.setattr("sernb.corpora.feature_cache.CHECKED_AT_ONCE", 0)  # as if it were large
    assert len(run(first).predictions) == len(first.fold.test)
    assert next(work_folder().glob("cache/demo/statistics-*/values.f32")).read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config.json", "predictions.csv"])
def test_a_disk_that_fills_up_leaves_no_half_of_a_run(monkeypatch, part):
    (first, *_) = plan(["majority"], "demo", ["speaker-independent"])
    prepare_for([first])
    written = {"config.json": (Path, "write_text"), "predictions.csv": (pd.DataFrame, "to_csv")}

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*written[part], full)
        with pytest.raises(DataError, match=r"cannot be written \(No space left on device\): free space"):
            run(first)
    assert not first.folder.exists()
    assert not list(work_folder().rglob(f"{TEMPORARY}*"))
    assert len(run(first).predictions) == len(first.fold.test)
    assert not first.failure.exists()


def test_a_clock_that_was_set_back_decides_nothing(monkeypatch):
    experiments = plan(["majority"], "demo", ["speaker-independent"])[:2]
    (done,) = run_many(experiments[:1], jobs=1, progress=False)
    experiments[1].checkpoint.mkdir()
    for path in work_folder().rglob("*"):
        os.utime(path, (2**31 - 1, 2**31 - 1))  # made before the clock went back
    with monkeypatch.context() as patch:
        patch.setattr("sernb.corpora.preparation.write_features", None)  # would fail if anything were prepared again
        again, other = run_many(experiments, jobs=1, progress=False)
    assert again.provenance == done.provenance, "it was not done again"
    assert len(other.predictions) == len(experiments[1].fold.test)
    assert not experiments[1].checkpoint.exists()


@pytest.mark.slow
def test_what_a_run_hears_is_read_when_it_is_asked_for():
    (normalised, *_) = plan(["statistics-svm"], "demo", ["speaker-normalised"], views=[])
    prepare_for([normalised])
    (task,), _ = spied(normalised)
    assert isinstance(task.training_examples.features, LazyArrays)
    assert task.training_examples.features[3:5][1] is not task.training_examples.features[4], "nothing is held"
    np.testing.assert_array_equal(task.training_examples.features[3:5][1], task.training_examples.features[4])


# -- Options -- #


def spied(experiment_):
    """Run an experiment and return what its system saw."""
    seen = []

    def fit(settings, task):
        seen.append(task)
        return experiment_.system.fit(settings, task)

    spy = dataclasses.replace(experiment_, system=dataclasses.replace(experiment_.system, fit=fit))
    prepare_for([spy])
    return seen, run(spy)


def test_training_on_some_clips_leaves_the_test_part_alone():
    (whole, *_) = plan(["majority"], "demo", ["speaker-independent"])
    (women, *_) = plan(["majority"], "demo", ["speaker-independent"], train_on="gender=female", train_clips=40)
    assert women.fold.test == whole.fold.test
    clips = whole.clips.set_index("clip")
    assert set(clips.gender[[*women.fold.train, *women.fold.validation]]) == {"female"}
    assert set(women.fold.train) < set(whole.fold.train)
    assert women.fold.validation == tuple(c for c in whole.fold.validation if clips.gender[c] == "female")
    pool = clips.loc[[c for c in whole.fold.train if clips.gender[c] == "female"]]
    expected = pool.truth.value_counts(normalize=True) * 40
    drawn = clips.truth[list(women.fold.train)].value_counts()
    assert drawn.sum() == 40
    assert (drawn - expected).abs().max() < 1, "each class has its share"
    again, other = (
        plan(["majority"], "demo", ["random"], train_clips=40, seeds=[seed], folds=[0])[0].fold.train for seed in (0, 1)
    )
    assert again == plan(["majority"], "demo", ["random"], train_clips=40, folds=[0])[0].fold.train != other


def test_testing_on_some_clips_leaves_the_training_part_alone():
    whole = plan(["majority"], "demo", ["speaker-independent"])
    women = plan(["majority"], "demo", ["speaker-independent"], test_on="gender=female")
    clips = whole[0].clips.set_index("clip")
    assert [each.fold.number for each in women] == [each.fold.number for each in whole]
    for every, some in zip(whole, women, strict=True):
        assert (some.fold.train, some.fold.validation) == (every.fold.train, every.fold.validation)
        assert some.fold.test == tuple(clip for clip in every.fold.test if clips.gender[clip] == "female")
        assert some.folder != every.folder


def test_a_fold_that_tests_none_of_the_clips_asked_for_is_left_out():
    whole = plan(["majority"], "demo", ["speaker-independent"])
    tested = whole[1].clips.set_index("clip").speaker[whole[1].fold.test[0]]
    (one,) = plan(["majority"], "demo", ["speaker-independent"], test_on=f"speaker={tested}")
    assert (one.fold.number, one.folds) == (1, 1)


def test_where_test_clips_choose_the_epoch_they_are_those_asked_for():
    (first, *_) = plan(["multiscale-cnn"], "demo", ["as-published"], test_on="gender=female")
    assert first.selects_on_test


def test_balanced_sampling_gives_each_corpus_as_many_training_clips():
    arguments = (["majority"], "ravdess+demo", ["speaker-independent"])
    natural, balanced = plan(*arguments), plan(*arguments, sampling="balanced")
    corpus = natural[0].clips.set_index("clip").corpus
    for plain, equal in zip(natural, balanced, strict=True):
        counts = corpus[list(equal.fold.train)].value_counts()
        assert counts.tolist() == [len(plain.fold.train) // 2] * 2
        assert set(equal.fold.train) <= set(plain.fold.train)
        times = pd.Series(equal.fold.train).value_counts()
        assert times[corpus[times.index] == "ravdess"].max() == 1, "the larger corpus loses clips"
        demo = times[(corpus[times.index] == "demo").to_numpy()]
        assert demo.max() - demo.min() <= 1, "the smaller one is repeated evenly"
        assert len(demo) == (corpus[list(plain.fold.train)] == "demo").sum()
        assert (equal.fold.validation, equal.fold.test) == (plain.fold.validation, plain.fold.test)
        assert equal.folder != plain.folder


@pytest.mark.slow
@pytest.mark.usefixtures("svm_runs")
def test_a_label_set_changes_the_classes_and_what_is_dropped_is_counted():
    (first, *_) = plan(["majority"], "demo", ["random"], labels="calm-as-neutral")
    _, finished_run = spied(first)
    assert first.labels.classes[0] == "neutral"
    assert "calm" not in finished_run.predictions.columns
    assert finished_run.metrics["dropped"] == {"neutral": 16}
    experiments = plan(["majority"], "demo", ["random"], labels="calm-as-neutral", folds=[0])
    run_many(experiments, jobs=1, progress=False)
    assert "By the labels of majority: 16 clips dropped (neutral 16)." in caption(experiments)
    assert results_table(experiments)["Options"].tolist() == ["labels calm-as-neutral"]


@pytest.mark.slow
@pytest.mark.usefixtures("svm_runs")  # whose features are there
def test_views_replace_those_of_the_system_and_the_recording_comes_first():
    noise = Noise("noise 5 dB", snr=5.0)
    (first, *_) = plan(["majority"], "demo", ["random"], views=[noise], training_views=[noise])
    seen, finished_run = spied(first)
    assert finished_run.predictions["view"].unique().tolist() == ["original", "noise 5 dB"]
    (task,) = seen
    assert [len(copy) for copy in task.copies] == [len(first.fold.train)]
    assert task.statistics is None


@pytest.mark.slow
@pytest.mark.usefixtures("svm_runs")
def test_each_leaky_protocol_gives_the_system_what_it_says_and_nothing_else():
    noise = (Noise(),)
    options = {"views": [], "training_views": noise, "folds": [0]}
    (clean,) = plan(["statistics-svm"], "demo", ["speaker-independent"], **options)
    (clean_task,), _ = spied(clean)
    speakers = set(clean_task.train.speakers)
    for name in ("leaky-statistics", "leaky-augmentation"):
        (leaky,) = plan(["statistics-svm"], "demo", [name], **options)
        (task,), finished_run = spied(leaky)
        assert finished_run.metrics["shared by design"]
        np.testing.assert_array_equal(np.concatenate(task.train.features), np.concatenate(clean_task.train.features))
        assert len(task.validation) == len(clean_task.validation)
        if name == "leaky-statistics":
            assert set(task.statistics.clips["clip"]) == set(leaky.clips["clip"])
            assert len(task.copies) == 1
        else:
            assert task.statistics is None
            ours, theirs = task.copies
            assert set(ours.speakers) == speakers
            assert set(theirs.clips["clip"]) == set(leaky.fold.test)
    noisy = prepare(leaky.corpus, leaky.system.features, view=noise[0])
    np.testing.assert_array_equal(theirs.features[0], noisy[leaky.fold.test[0]])
    assert finished_run.metrics["shared by design"]["copy or segment of a training clip"] == len(leaky.fold.test)


@pytest.mark.slow
@pytest.mark.usefixtures("svm_runs")
def test_many_processes_run_pools_as_one_does():
    experiments = plan(["statistics-svm"], "demo:gender=female", ["random"], views=[], folds=[0, 1])
    one = [run_.predictions for run_ in run_many(experiments, jobs=1, progress=False)]
    for each in experiments:
        shutil.rmtree(each.folder)
    two = [run_.predictions for run_ in run_many(experiments, jobs=2, progress=False)]
    for first, second in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(first, second)


# -- Networks -- #

# A small training that a test can wait for; the network is the real one.
SMALL = """
import dataclasses, sys
from sernb.runs.planning import plan
from sernb.runs.runner import prepare_for, run
options = {"profile": "quick", "folds": [0], "train_clips": 48, "views": []}
(first, *_) = plan(["multiscale-cnn"], "demo", ["speaker-independent"], **options)
settings = dataclasses.replace(first.settings, epochs=3, filters=16, dilations=(1, 2), batch=16)
small = dataclasses.replace(first, settings=settings)
prepare_for([small])
print("training", flush=True)
print(run(small).folder)
"""


def train_small(work):
    environment = {**os.environ, "SERNB_WORK": str(work)}
    return subprocess.Popen([sys.executable, "-c", SMALL], env=environment, stdout=subprocess.PIPE, text=True)


def finished(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return out.splitlines()[-1]


@pytest.mark.slow
def test_a_killed_training_is_resumed_and_ends_as_an_undisturbed_one(tmp_path, share_features):
    for name in ("undisturbed", "killed"):
        share_features(tmp_path / name)
    undisturbed = Path(finished(train_small(tmp_path / "undisturbed")))
    process = train_small(tmp_path / "killed")
    while process.poll() is None:
        # Folders of unfinished caches come and go, which rglob does not bear.
        walked = os.walk(tmp_path / "killed")
        epochs = [Path(folder) / "epochs.txt" for folder, _, names in walked if "epochs.txt" in names]
        if epochs and int(epochs[0].read_text() or 0) >= 1:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not list((tmp_path / "killed").rglob("predictions.csv")), "killed before the end"
    killed = Path(finished(train_small(tmp_path / "killed")))
    for name in ("predictions.csv", "history.csv", "config.json", "metrics.json"):
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes(), name
    theirs, ours = np.load(undisturbed / "weights.npz"), np.load(killed / "weights.npz")
    for key in theirs:
        np.testing.assert_array_equal(theirs[key], ours[key])
    assert not list(killed.parent.glob("*.training")), "the checkpoint is gone"
    assert not list(killed.parents[4].rglob(".unfinished-*"))
    history = pd.read_csv(undisturbed / "history.csv")
    assert history.epoch.tolist() == [1, 2, 3]
    assert history.loss.iloc[-1] < history.loss.iloc[0]
