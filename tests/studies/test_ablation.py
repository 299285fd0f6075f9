"""Model development: who is scored, one thing changed at a time, tables and the search; mostly on made predictions."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from sernb.config import DataError, digest
from sernb.corpora.pool import parse_pool
from sernb.figures import ablation as figures_ablation
from sernb.protocols.leak_audit import audit
from sernb.protocols.protocol import PROTOCOLS
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan
from sernb.runs.run_folder import Run, read_run, write_run
from sernb.runs.runner import run_many
from sernb.studies import ablation, networks, tuning
from sernb.studies.ablation import Question, Variant
from sernb.studies.ablation_questions import (
    ARCHITECTURE,
    ATTENTION,
    AUGMENTATION,
    BASELINES,
    ENSEMBLE,
    FEATURES,
    SERNET,
)

TUNED = Variant("as published", "feature-cnn-narrow", training_views=())
PAIR = Question("pair", (TUNED, replace(TUNED, name="less dropout", settings={"dropout": 0.1})))


def pretend(experiments: Sequence[Experiment], **ignored: object) -> list[Run]:
    """Write runs with predictions that the experiment alone decides, as if they had been done."""
    for each in experiments:
        rng = np.random.default_rng(int(digest(each.config)[:8], 16))
        test = each.clips.set_index("clip", drop=False).loc[list(each.fold.test)]
        about = test[["clip", "speaker", "gender", "truth"]].reset_index(drop=True).assign(view="original")
        scores = rng.dirichlet(np.ones(len(each.labels.classes)), len(about))
        scores += 0.3 * np.eye(scores.shape[1])[about.truth.map(each.labels.classes.index)]
        scores = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=list(each.labels.classes))
        size = {"parameters": 1234, "multiply_adds": 5_678_000}
        history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3, 2, 1], "validation_accuracy": [0.1, 0.3, 0.2]})
        write_run(
            each.folder,
            config=each.config,
            provenance={"commit": "none", "seconds": 2.0},
            metrics={"clips": len(about), "chosen": {"epoch": 2}, "size": size},
            tables={"predictions": pd.concat([about, scores], axis=1), "history": history},
        )
    return [read_run(each.folder) for each in experiments]


@pytest.fixture
def planned() -> dict[str, dict[str, list[Experiment]]]:
    return ablation.plan_questions([PAIR], "ravdess", profile="full")


# -- Who is scored -- #


@pytest.mark.parametrize("corpus", ["ravdess", "demo", "savee", "emodb", "crema_d", "ravdess+tess"])
def test_test_speakers_are_left_out_and_validation_speakers_scored_once(corpus):
    tested = {frozenset(fold.validation): fold.test for fold in reversed(parse_pool(corpus).speaker_folds)}
    planned = plan(["majority"], corpus, ["development"])
    speaker = planned[0].clips.set_index("clip").speaker
    scored = []
    for each in planned:
        train, chooses, scores = (
            set(speaker[list(part)]) for part in (each.fold.train, each.fold.validation, each.fold.test)
        )
        assert train
        assert chooses
        assert not train & chooses
        assert not scores & (train | chooses)
        assert not set(tested[frozenset(scores)]) & (train | chooses | scores)
        assert not audit(each.clips, each.fold, PROTOCOLS["development"], statistics_from=each.fold.train)
        scored += each.fold.test
    assert len(scored) == len(set(scored))


def test_a_corpus_without_validation_speakers_says_so():
    with pytest.raises(DataError, match="tess: has no validation speakers") as caught:
        plan(["majority"], "tess", ["development"])
    assert "\n" not in str(caught.value)


def test_the_page_names_the_parts(planned):
    experiments = ablation.list_experiments(planned)
    table = ablation.parts_table(experiments).set_index("Fold")
    assert table["Scored: validation speakers"][1] == "ravdess-03, ravdess-06"
    assert table["Held out: test speakers"][1] == "ravdess-02, ravdess-05, ravdess-14, ravdess-15, ravdess-16"
    assert table["Epoch selected on"][1] == "ravdess-10, ravdess-11"
    assert table["Trained on"].tolist() == ["15 speakers"] * 4 + ["16 speakers"]


# -- One thing at a time -- #


def flat(value: object, name: str = "") -> dict[str, object]:
    """The leaves of a configuration by path."""
    if isinstance(value, dict):
        return {path: leaf for key, each in value.items() for path, leaf in flat(each, f"{name}/{key}").items()}
    return {name: value}


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize(
    "question",
    [each for each in (*FEATURES, *ARCHITECTURE, *AUGMENTATION, *SERNET) if each not in (BASELINES, ENSEMBLE)],
    ids=lambda q: q.name,
)
def test_a_variant_differs_from_the_first_in_one_thing(question, profile):
    variants = ablation.plan_questions([question], "demo", profile=profile)[question.name]
    (_, base), *others = variants.items()
    for name, experiments in others:
        assert [each.fold for each in experiments] == [each.fold for each in base]
        ours, theirs = flat(experiments[0].config), flat(base[0].config)
        changed = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
        changed -= {"/system", "/settings/heard"}  # how variants and curves are named
        kept = {"with both": 2, "no masking": 2, "none of these": 5, "zero-crossing rate": 0, "energy": 0}
        assert len(changed) == kept.get(name, 1), (name, changed)


def test_arms_that_questions_share_are_run_once():
    planned = ablation.plan_questions(FEATURES, "demo", profile="quick")
    every = [each for variants in planned.values() for experiments in variants.values() for each in experiments]
    once = ablation.list_experiments(planned)
    assert len(once) == len({each.folder for each in every}) < len(every)


# -- Tables -- #


@pytest.mark.slow
def test_a_table_holds_the_differences_on_the_same_clips(planned):
    pretend(ablation.list_experiments(planned))
    variants = ablation.results_by_question(planned)["pair"]
    (name, found), *_ = ablation.differences(variants).items()
    assert name == "less dropout"
    recalls = []
    for result in variants.values():
        rows = pd.concat([run.predictions for run in result.runs])
        recalls.append(balanced_accuracy_score(rows.truth, rows[list(result.classes)].idxmax(axis=1)))
    assert found.difference.value == pytest.approx(recalls[1] - recalls[0], abs=1e-12)
    assert (found.units, found.difference.unit) == (10, "speakers")
    table = ablation.variants_table(variants).set_index("Variant")
    assert table["UAR"].str.split().str[0].tolist() == [f"{100 * recall:.1f}" for recall in recalls]
    assert table["Difference from the first (points)"].tolist() == ["–", str(found.difference)]
    costs = ablation.costs_table({"pair": variants, "again": variants}).set_index("Variant")
    assert costs["Parameters"].tolist() == ["1,234"] * 2
    assert costs["Multiply-adds per clip (million)"].tolist() == ["5.7"] * 2
    assert costs["Selected by fold"].tolist() == ["epoch 2, 2, 2, 2, 2"] * 2
    assert "600 clips of 10 speakers" in ablation.caption(variants)
    (headline,) = ablation.headline({"pair": variants})
    assert "of 1 changes" in headline
    assert "600 clips of 10 validation speakers, 5 of 5 folds, chance level" in headline
    assert f"less dropout compared with as published: {100 * found.difference.value:+.1f} points" in headline
    others = ablation.plan_questions([PAIR], "demo", profile="quick")
    pretend(ablation.list_experiments(others))
    both = {"pair": variants, "few": ablation.results_by_question(others)["pair"]}
    (headline,) = ablation.headline(both)
    by_size = [next(iter(ablation.differences(each).values())).difference for each in both.values()]
    large = max(by_size, key=lambda difference: abs(difference.value))
    sample = "of 10 validation speakers, 5 of 5" if large is by_size[0] else "of 4 validation speakers, 2 of 4"
    assert headline.startswith("None of 2 changes"), "equal names are two changes"
    assert len(ablation.conclusions(both)) == 2
    assert ablation.plot_all_differences(both, "Both").alt.count("less dropout vs. as published") == 2
    assert headline.count("validation speakers") == 1, "those of the largest difference"
    assert sample in headline.partition("Largest: ")[2]
    (sentence,) = ablation.conclusions({"pair": variants})
    assert sentence.startswith("Less dropout compared with as published:")


def test_curves_mark_the_chosen_epoch_of_each_fold(planned):
    pretend(ablation.list_experiments(planned))
    histories = ablation.histories(ablation.results_by_question(planned)["pair"])
    assert histories[histories.selected].groupby(["variant", "fold"]).epoch.agg(list).tolist() == [[2]] * 10
    assert histories[histories.selected].accuracy.unique().tolist() == [0.3]
    drawing = figures_ablation.learning_curves(histories, "made")
    assert "selected epochs 2, 2, 2, 2, 2" in drawing.alt
    drawn = [axes.get_ylabel() for axes in drawing.figure.axes if axes.get_ylabel()]
    assert drawn == ["training loss", "accuracy (%)"]


def test_where_nobody_chooses_an_epoch_no_accuracy_is_drawn(planned):
    pretend(ablation.list_experiments(planned))
    found = ablation.histories(ablation.results_by_question(planned)["pair"]).assign(accuracy=np.nan)
    drawing = figures_ablation.learning_curves(found, "made")
    assert {axes.get_ylabel() for axes in drawing.figure.axes} == {"training loss", ""}
    assert "accuracy" not in drawing.alt
    assert [line for axes in drawing.figure.axes for line in axes.get_lines() if len(line.get_xdata())]


@pytest.mark.slow
def test_inside_of_a_network_that_was_trained():
    variants = {"with attention": replace(ATTENTION.variants[0], settings={"epochs": 1, "width": 1 / 32})}
    planned = {name: ablation.plan_variant(variant, "demo", profile="quick")[:1] for name, variant in variants.items()}
    run_many(planned["with attention"], jobs=1, progress=False)
    (result,) = ablation.results_by_question({"attention": planned})["attention"].values()
    seen = networks.inspect_network(result)
    row = result.runs[0].predictions.set_index("clip").loc[seen.clip]
    assert (seen.truth, seen.prediction) == (row.truth, row[list(result.classes)].astype(float).idxmax())
    assert seen.picture.shape == (128, 128)
    assert seen.arrays["filters 1"].shape == (7, 7, 1, 1)
    drawings = list(networks.plot_interior(seen))
    assert len(drawings) == 4
    assert all(len(drawing.alt) > 40 for drawing in drawings)
    assert f"{seen.truth} predicted as {seen.prediction}" in drawings[-1].alt


# -- The search -- #


@pytest.fixture
def base(monkeypatch) -> list[Experiment]:
    monkeypatch.setattr(tuning, "run_many", pretend)
    return ablation.plan_variant(TUNED, "demo", profile="quick")


def tried(study) -> list[tuple]:
    return [(trial.number, trial.params, trial.value) for trial in study.trials]


@pytest.mark.slow
def test_the_first_trial_is_the_published_recipe_and_the_others_lie_in_the_space(base):
    study = tuning.tune(base, 4)
    assert study.trials[0].params == tuning.suggest_parameters(base[0].settings)
    assert tuning.make_settings(base[0].settings, study.trials[0].params) == base[0].settings
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 4
    for trial in study.trials:
        result = tuning.read_result(base, trial.params)
        assert trial.value == pytest.approx(result.metrics().uar.value)
        settings = result.experiments[0].settings
        assert len(settings.filters) == len(settings.kernels) == trial.params["blocks"]
        assert settings.learning_rate == trial.params["learning_rate"]
        assert settings.epochs == base[0].settings.epochs


@pytest.mark.slow
def test_a_search_goes_on_as_if_it_had_not_been_stopped(base, monkeypatch):
    trials = tuning.FIRST_AT_RANDOM + 2  # so that some are proposed by what others found
    whole = tried(tuning.tune(base, trials))
    tuning.study_path(base, seed=0).unlink()
    done = []

    def stopped(experiments, **options):
        if len(done) == trials - 1:
            raise KeyboardInterrupt
        done.append(experiments)
        return pretend(experiments)

    monkeypatch.setattr(tuning, "run_many", stopped)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(base, trials)
    assert len(tuning.open_study(base, seed=0).trials) == trials - 1
    monkeypatch.setattr(tuning, "run_many", pretend)
    assert tried(tuning.tune(base, trials)) == whole


@pytest.mark.slow
def test_another_seed_searches_elsewhere(base):
    first, other = (tuning.propose(tuning.tune(base, 1).trials, base, seed=seed) for seed in (0, 1))
    assert first != other


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import test_ablation as t
from sernb.studies import ablation as development, tuning
def once(experiments, **options):
    done = t.pretend(experiments)
    if len(tuning.open_study(base, seed=0).trials) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
tuning.run_many = once
base = development.plan_variant(t.TUNED, "demo", profile="quick")
tuning.tune(base, 3)
"""


@pytest.mark.slow
def test_a_killed_search_leaves_finished_trials_only(base):
    killed = subprocess.run([sys.executable, "-c", KILLED.format(tests=str(Path(__file__).parent))], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert [trial.state.name for trial in tuning.open_study(base, seed=0).trials] == ["COMPLETE"]
    resumed = tried(tuning.tune(base, 3))
    tuning.study_path(base, seed=0).unlink()
    assert tried(tuning.tune(base, 3)) == resumed


def test_a_file_that_is_no_study_is_refused_in_one_line(base):
    path = tuning.study_path(base, seed=0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(DataError, match="is not a readable study; remove it") as caught:
        tuning.tune(base, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_what_the_search_found_is_told_and_drawn(base):
    study = tuning.tune(base, 5)
    values = [trial.value for trial in study.trials]
    table = tuning.trials_table(study)
    assert table.best.tolist() == np.maximum.accumulate(values).tolist()
    assert table.seconds.tolist() == [4.0] * 5
    best = tuning.best_table(study)
    assert best["UAR"].str.split().str[0][0] == f"{100 * max(values):.1f}"
    assert "1 (as published)" in best["Trial"].tolist()
    found = tuning.importances(study)
    assert set(found) == set(tuning.space())
    assert sum(found.values()) == pytest.approx(1)
    assert tuning.importances(study) == found
    assert tuning.improvement(study, base).difference.value == pytest.approx(max(values) - values[0])
    assert f"in trial {1 + int(np.argmax(values))}." in figures_ablation.trials(table, "made").alt
    assert all(name.replace("_", " ") in figures_ablation.importances(found, "made").alt for name in found)
