"""Tables of the results pages, from predictions that were made up: against definitions of their own."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from miniatures import iemocap
from scipy.optimize import minimize
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, precision_recall_fscore_support
from sklearn.neural_network import MLPClassifier

from sernb.config import NOTEBOOKS, DataError
from sernb.corpora import pool as corpora_pool
from sernb.results import analysis, committed, literature, ranking
from sernb.results.literature import Card, list_differences
from sernb.results.protocol_cards import protocol_cards
from sernb.results.result import Result, collect_results
from sernb.results.tables import caption, reported_table, results_table
from sernb.runs import runner, split_audit
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan
from sernb.runs.run_folder import read_run, write_run
from sernb.systems.base import PublishedScore, System
from sernb.systems.registry import SYSTEMS as SYSTEM_NAMES
from sernb.systems.registry import get_system
from tools import reference

SYSTEMS = ["majority", "statistics-svm", "multiscale-cnn"]
PROTOCOLS = ["as-published", "speaker-independent", "speaker-normalised"]


def scores_for(truth: np.ndarray, classes: int, rng: np.random.Generator, skill: float) -> np.ndarray:
    logits = rng.normal(size=(len(truth), classes)) + skill * np.eye(classes)[truth]
    raised = np.exp(2 * logits)  # too sure
    return raised / raised.sum(axis=1, keepdims=True)


def table_of(experiment: Experiment, clips: tuple[str, ...], views: list[str], rng, skill: float) -> pd.DataFrame:
    about = experiment.clips.set_index("clip", drop=False).loc[list(clips)]
    classes = list(experiment.labels.classes)
    truth = about.truth.map(classes.index).to_numpy()
    parts = []
    for view in views:
        columns = pd.DataFrame(scores_for(truth, len(classes), rng, skill), columns=classes)
        part = about[["clip", "speaker", "gender", "truth"]].reset_index(drop=True).assign(view=view)
        parts.append(pd.concat([part.assign(prediction=columns.idxmax(axis=1)), columns], axis=1))
    return pd.concat(parts, ignore_index=True)


def made_up(experiment: Experiment, *, skill: float) -> None:
    """Write a finished run that nobody ran."""
    rng = np.random.default_rng([experiment.fold.number, int(10 * skill)])
    views = [view.name for view in experiment.views]
    predictions = table_of(experiment, experiment.fold.test, views, rng, skill)
    predictions["female"] = np.where(predictions.gender == "female", 0.7, 0.2) + rng.normal(0, 0.25, len(predictions))
    tables = {"predictions": predictions}
    size = {}
    if experiment.system.selects_epoch:
        size = {"size": {"parameters": 142_856, "multiply_adds": 30_000_000}}
        if not experiment.selects_on_test:
            tables["validation"] = table_of(experiment, experiment.fold.validation, ["original"], rng, skill)
        tables["history"] = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    write_run(
        experiment.folder,
        config=experiment.config,
        provenance={"commit": "made up", "seconds": 10.0 + experiment.fold.number},
        metrics={"shared by design": {}, "chosen": {}} | size,
        tables=tables,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(work))
        skills = {"majority": 0.0, "statistics-svm": 0.8, "multiscale-cnn": 1.2}
        for experiment in plan(SYSTEMS, "demo", PROTOCOLS, profile="quick"):
            made_up(experiment, skill=skills[experiment.system.name])
    return work


@pytest.fixture
def experiments(folder, monkeypatch) -> list[Experiment]:
    monkeypatch.setenv("SERNB_WORK", str(folder))
    return plan(SYSTEMS, "demo", PROTOCOLS, profile="quick")


@pytest.fixture
def results(experiments) -> list[Result]:
    return collect_results(experiments)


@pytest.fixture
def network(results) -> Result:
    return next(r for r in results if (r.system.name, r.protocol) == ("multiscale-cnn", "speaker-independent"))


def recorded(result: Result, view: str = "original") -> pd.DataFrame:
    """The predictions of one view, read from the files again, with the predicted class."""
    files = [pd.read_csv(run.folder / "predictions.csv", keep_default_na=False) for run in result.runs]
    table = pd.concat(files, ignore_index=True)
    table = table[table["view"] == view].reset_index(drop=True)
    return table.assign(said=table[list(result.classes)].idxmax(axis=1))


OTHER_CORPUS = "authors' protocol, other corpus"


def headed(experiment: Experiment) -> str:
    return experiment.system.name_protocol(experiment.protocol.name, ["demo"])


def number(text: str) -> float:
    return float(text.split()[0])


# -- Protocol cards -- #


def test_cards_count_what_the_folds_share(experiments):
    cards = protocol_cards(experiments).set_index(["System", "Protocol"])
    for (system, protocol), card in cards.iterrows():
        own = [each for each in experiments if (each.system.name, headed(each)) == (system, protocol)]
        shared, tests = {"speaker": 0, "sentence": 0, "twin": 0}, 0
        for each in own:
            clips = {row.clip: row for row in each.clips.itertuples()}
            names = set(each.fold.train) | (set() if each.selects_on_test else set(each.fold.validation))
            heard = [clips[name] for name in names]
            for clip in (clips[name] for name in each.fold.test):
                tests += 1
                shared["speaker"] += any(clip.speaker == other.speaker for other in heard)
                shared["sentence"] += any(clip.sentence == other.sentence for other in heard)
                shared["twin"] += any(
                    (clip.speaker, clip.emotion, clip.intensity, clip.sentence)
                    == (other.speaker, other.emotion, other.intensity, other.sentence)
                    for other in heard
                )
        columns = {"Speaker-disjoint": "speaker", "Sentence-disjoint": "sentence", "Repetitions disjoint": "twin"}
        for column, kind in columns.items():
            expected = f"no: {shared[kind]} of {tests} test clips" if shared[kind] else "yes"
            assert card[column] == expected
        assert card["Test clips"] == tests
    assert "majority" not in cards.index.get_level_values("System")
    strict = cards.loc[("multiscale-cnn", "speaker-independent")]
    assert (strict["Speaker-disjoint"], strict["Repetitions disjoint"]) == ("yes", "yes")
    assert cards.loc[("multiscale-cnn", OTHER_CORPUS), "Validation clips per fold"] == "0", "the test part chose"
    assert strict["Model selection"] == "best epoch on validation speakers"


# -- One result in detail -- #


def test_what_is_shown_is_the_best_strict_result_or_what_was_asked_for(results):
    chosen = analysis.best_result(results)
    assert chosen.protocol == "speaker-independent"
    found = {}
    for result in results:
        if result.protocol == "speaker-independent":
            table = recorded(result)
            found[result.system.name] = balanced_accuracy_score(table.truth, table.said)
    assert chosen.system.name == max(found, key=found.get)
    assert analysis.best_result(results, "statistics-svm", "as-published").protocol == "as-published"
    with pytest.raises(DataError, match="there are: majority under as-published"):
        analysis.best_result(results, "rezonet")


@pytest.mark.parametrize("column", ["gender", "intensity", "speaker"])
def test_groups_have_the_recall_of_their_own_clips(network, column):
    table = recorded(network)
    index = network.experiments[0].corpus.index.set_index("clip")
    values = index[column][table["clip"]].to_numpy()
    groups = analysis.score_groups(network, column)
    assert len(groups) == len(set(values) - {""})
    for name, interval in groups.items():
        own = table[values == name.split(" (")[0]]
        assert name.endswith(f"(n = {len(own)})")
        assert interval.value == pytest.approx(balanced_accuracy_score(own.truth, own.said))
        assert interval.low <= interval.value <= interval.high
    assert analysis.score_groups(network, "hair") == {}


def test_agreement_counts_the_views_that_agree_with_their_mean(network):
    views = [recorded(network, view) for view in network.views]
    classes = list(network.classes)
    mean = sum(view[classes] for view in views) / len(views)
    prediction = mean.idxmax(axis=1)
    votes = sum((view.said == prediction).astype(int) for view in views)
    table = analysis.agreement_table(network)
    assert table["Clips"].sum() == len(prediction)
    for row in table.to_dict("records"):
        mask = votes == int(row["Views that agree"].split()[0])
        assert row["Clips"] == mask.sum()
        assert float(row["WAR (%)"]) == pytest.approx(100 * (prediction == views[0].truth)[mask].mean(), abs=0.051)


def test_gains_are_differences_and_cost_as_many_predictions_as_views(results, network):
    table = analysis.augmentation_table(results).set_index(["System", "Protocol"])
    row = table.loc[("multiscale-cnn", "speaker-independent")]
    views = [recorded(network, view) for view in network.views]
    mean = sum(view[list(network.classes)] for view in views).idxmax(axis=1)
    expected = balanced_accuracy_score(views[0].truth, mean) - balanced_accuracy_score(views[0].truth, views[0].said)
    assert number(row["Gain in UAR (points)"]) == pytest.approx(100 * expected, abs=0.051)
    assert row["Predictions per clip"] == f"{len(views)} instead of 1"


def test_each_fold_has_the_temperature_that_its_own_validation_clips_ask_for(network):
    found = analysis.calibrate(network)
    classes, parts = list(network.classes), []
    for run, temperature in zip(network.runs, found.temperatures, strict=True):
        held_out = pd.read_csv(run.folder / "validation.csv")

        def loss(logarithm, held_out=held_out):
            powers = held_out[classes].to_numpy() ** np.exp(-logarithm[0])
            return log_loss(held_out.truth, powers[:, np.argsort(classes)] / powers.sum(axis=1, keepdims=True))

        best = minimize(loss, [0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
        assert temperature == pytest.approx(np.exp(best.x[0]), rel=1e-3)
        test = pd.read_csv(run.folder / "predictions.csv").query("view == 'original'")
        powers = test[classes].to_numpy() ** (1 / temperature)
        parts.append(powers / powers.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.scores, np.concatenate(parts), atol=1e-9)
    assert found.clips == sum(len(each.fold.validation) for each in network.experiments)


def test_without_validation_clips_there_is_no_temperature(results):
    for result in results:
        kept = result.system.selects_epoch and result.protocol != "as-published"
        assert (analysis.calibrate(result) is not None) == kept, "test clips must fit nothing"
    table = analysis.calibration_table(results).set_index(["System", "Protocol"])
    assert pd.isna(table.loc[("statistics-svm", "speaker-independent"), "ECE (%) after temperature"])
    row = table.loc[("multiscale-cnn", "speaker-independent")]
    assert float(row["ECE (%) after temperature"]) < float(row["ECE (%)"]), "the scores were made too sure"


def test_the_surest_are_kept_and_the_surest_errors_listed(network):
    table = recorded(network)
    sure = table[list(network.classes)].max(axis=1)
    half = analysis.coverage_table(network).set_index("Coverage").loc["60 %", "WAR by highest score (%)"]
    count = int(np.ceil(0.6 * len(table)))
    kept = table.loc[sure.sort_values(ascending=False).index[:count]]
    assert half == f"{100 * (kept.said == kept.truth).mean():.1f} (n = {count})"
    wrong = table[table.said != table.truth].assign(score=sure).nlargest(5, "score")
    listed = analysis.most_confident_errors(network)
    assert listed["clip"].tolist() == wrong["clip"].tolist()
    assert listed.prediction.tolist() == wrong.said.tolist()
    files = corpora_pool.find_recordings(network.experiments[0].corpus, listed["clip"].tolist())
    assert [file.stem for file in files.values()] == listed["clip"].tolist()
    assert all(file.exists() for file in files.values())


def test_recordings_that_are_not_here_are_no_error(tmp_path):
    pool = plan(["majority"], "ravdess", ["random"], folds=[0])[0].corpus
    assert corpora_pool.find_recordings(pool, pool.index["clip"].head(3).tolist(), tmp_path) == {}


def test_other_tasks_are_measured_against_the_index(network):
    table = recorded(network)
    (row,) = analysis.attributes_table(network).to_dict("records")
    said = np.where(table.female > 0.5, "female", "male")
    assert row["Task"] == "gender"
    assert number(row["WAR (%)"]) == pytest.approx(100 * (table.gender == said).mean(), abs=0.051)
    assert number(row["UAR (%)"]) == pytest.approx(100 * balanced_accuracy_score(table.gender, said), abs=0.051)
    clips = analysis.sample_clips(network, 3)["clip"]
    np.testing.assert_allclose(analysis.auxiliary_outputs(network, clips).female, table.set_index("clip").female[clips])
    assert analysis.clip_scores(network, clips).shape == (3, len(network.classes))


def test_averages_are_those_of_scikit_learn(results, network):
    table = analysis.averages_table(results).set_index(["System", "Protocol"])
    assert len(table) == len(results)
    row, data = table.loc[("multiscale-cnn", "speaker-independent")], recorded(network)
    for average, recall in (("macro", "Macro recall (UAR)"), ("weighted", "Weighted recall (WAR)")):
        expected = precision_recall_fscore_support(data.truth, data.said, average=average, zero_division=0)
        names = (f"{average.capitalize()} precision", recall, f"{average.capitalize()} F1")
        assert [float(row[name]) for name in names] == pytest.approx([100 * value for value in expected[:3]], abs=0.051)


def test_log_loss_and_brier_score_are_those_of_scikit_learn(results, network):
    row = (
        analysis.calibration_table(results)
        .set_index(["System", "Protocol"])
        .loc[("multiscale-cnn", "speaker-independent")]
    )
    data, classes = recorded(network), sorted(network.classes)
    assert float(row["Log-loss"]) == pytest.approx(log_loss(data.truth, data[classes], labels=classes), abs=6e-4)
    squares = ((data[classes].to_numpy() - (data.truth.to_numpy()[:, None] == np.array(classes))) ** 2).sum(axis=1)
    assert float(row["Brier score"]) == pytest.approx(squares.mean(), abs=6e-4)
    assert float(row["Brier score"]) == pytest.approx(
        brier_score_loss(data.truth, data[classes], labels=classes, scale_by_half=False), abs=6e-4
    )
    assert float(row["Log-loss after temperature"]) < float(row["Log-loss"]), "the scores were made too sure"


def test_only_what_somebody_published_is_headed_as_published():
    assert get_system("multiscale-cnn").name_protocol("as-published", ["ravdess"]) == "as published"
    assert get_system("multiscale-cnn").name_protocol("as-published", ["tess"]) == OTHER_CORPUS
    assert get_system("multiscale-cnn").name_protocol("random", ["tess"]) == "random"
    for name in ("feature-cnn-narrow", "multitask-cnn", "exponet", "cnn-ensemble"):
        assert get_system(name).name_protocol("as-published", ["ravdess"]) == OTHER_CORPUS
    pool = ["tess", "savee", "ravdess", "crema_d"]
    assert get_system("feature-cnn").name_protocol("as-published", pool) == "as published"
    for name in SYSTEM_NAMES:
        system = get_system(name)
        reported = {figure.corpus for figure in system.reported if figure.protocol == "as-published"}
        assert reported <= set(system.published_on), "they reported it, so they published it"
        if not system.published_on:
            assert system.name_protocol("as-published", ["ravdess"]) == "random 10-fold"
            clips = pd.DataFrame({"clip": range(40)})
            assert len(list(system.published_split(clips, 0))) == 10, "the words are true"


def test_speakers_that_never_validate_are_scored_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_WORK", str(tmp_path))
    experiments = plan(["functionals-ridge", "statistics-svm"], "ravdess", ["speaker-independent"])
    for experiment in experiments:
        made_up(experiment, skill=0.8)
    (ours, theirs) = collect_results(experiments)
    data = recorded(ours)
    validated = {"03", "06", "10", "11", "08", "17", "01", "14", "02", "05"}
    kept = data[~data.speaker.str[-2:].isin(validated)]
    assert kept.speaker.nunique() == 14
    assert ours.never_validated.uar.value == pytest.approx(balanced_accuracy_score(kept.truth, kept.said))
    table = results_table(experiments).set_index("System")
    assert table.loc["functionals-ridge", "UAR, never validated"] == str(ours.never_validated.uar)
    assert pd.isna(table.loc["statistics-svm", "UAR, never validated"]), "its authors never saw these speakers' role"
    assert "14 test speakers" in caption(experiments)
    assert theirs.never_validated.speakers == 14


# -- Systems side by side -- #


def test_finer_predictions_are_reduced_to_the_classes_of_both_systems(results):
    """By hand: calm becomes neutral; clips of neutral are dropped, and so is the class neutral."""
    (group,) = [each for each in ranking.comparable_groups(results) if each.protocol == "speaker-independent"]
    assert group.labels.name == "calm-as-neutral"
    found = {r.system.name: recorded(r) for r in results if r.protocol == "speaker-independent"}
    coarse, fine = found["statistics-svm"], found["multiscale-cnn"]
    kept = fine[fine.truth != "neutral"].set_index("clip")
    kept = kept.loc[sorted(set(kept.index) & set(coarse["clip"]))]
    emotions = ["calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    said = kept[emotions].idxmax(axis=1).replace("calm", "neutral")
    truth = kept.truth.replace("calm", "neutral")
    other = coarse.set_index("clip").loc[kept.index]
    assert (other.truth == truth).all()
    ranked = ranking.rank_systems(group).set_index("system")
    assert ranked.value["multiscale-cnn"] == pytest.approx(balanced_accuracy_score(truth, said))
    assert ranked.value["statistics-svm"] == pytest.approx(balanced_accuracy_score(other.truth, other.said))
    (row,) = ranking.tests_table(group).to_dict("records")
    expected = balanced_accuracy_score(truth, said) - balanced_accuracy_score(other.truth, other.said)
    assert number(row["Second better by (points of UAR)"]) == pytest.approx(100 * expected, abs=0.051)
    assert group.clips == len(kept)


def test_all_seeds_count_and_a_score_is_their_mean(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_WORK", str(tmp_path))
    names, every = ["sernet", "light-sernet-short"], []
    for seed in range(3):
        every += plan(names, "ravdess", ["speaker-independent"], seeds=[seed], folds=[0, 1])
    whole = [each for each in every if each.system.name == "sernet" or each.seed < 2]
    for experiment in whole:
        made_up(experiment, skill=1.0 + experiment.seed / 5 + (experiment.system.name == "sernet") / 3)
    assert ranking.select_finished(every) == whole
    results = collect_results(whole)
    (group,) = ranking.comparable_groups(results)
    (row,) = ranking.tests_table(group).to_dict("records")
    assert (row["First"], row["Second"], row["Seeds"]) == ("sernet", "light-sernet-short", "3 / 2")
    assert row["Training speakers per fold"] == "19 / 17", "the network that selects an epoch validates on two speakers"
    means = {name: np.mean([balanced_accuracy_score((data := recorded(r)).truth, data.said)
                            for r in results if r.system.name == name]) for name in names}  # fmt: skip
    difference = 100 * (means["light-sernet-short"] - means["sernet"])
    assert number(row["Second better by (points of UAR)"]) == pytest.approx(difference, abs=0.051)
    ranked = ranking.rank_systems(group).set_index("system")
    assert ranked.value.to_dict() == pytest.approx(means)
    assert row["Flipped"] == "10 speakers"


def test_label_sets_that_do_not_follow_from_each_other_are_not_compared():
    from sernb.protocols.labels import ALL_EIGHT, CALM_AS_NEUTRAL, SEVEN, SIX_PERCEIVED

    assert ranking._is_coarser(SEVEN, ALL_EIGHT)
    assert ranking._is_coarser(CALM_AS_NEUTRAL, ALL_EIGHT)
    assert not ranking._is_coarser(ALL_EIGHT, SEVEN), "calm cannot be told from neutral again"
    assert not ranking._is_coarser(CALM_AS_NEUTRAL, SEVEN), "neutral cannot be left out again"
    assert not ranking._is_coarser(SIX_PERCEIVED, ALL_EIGHT), "perceived emotions are not acted ones"


def test_the_overview_has_every_protocol_and_what_the_runs_counted(results):
    table = ranking.overview(results).set_index("System")
    assert table.index.tolist() == SYSTEMS
    for result in results:
        data = recorded(result)
        expected = 100 * balanced_accuracy_score(data.truth, data.said)
        assert number(table.loc[result.system.name, f"UAR {result.protocol}"]) == pytest.approx(expected, abs=0.051)
    assert table.loc["multiscale-cnn", ["Parameters", "Multiply-adds per clip"]].tolist() == ["142,856", "30,000,000"]
    assert pd.isna(table.loc["majority", "Parameters"])
    assert "WAR 89.9" in table.loc["multiscale-cnn", "Published"]
    strict = [result for result in results if result.protocol == "speaker-independent"]
    columns = set(ranking.overview(strict))
    assert "UAR speaker-independent" in columns
    assert not columns & {"Published", "UAR as-published"}, "nothing to show"
    seconds = ranking.costs_table(results)
    assert set(seconds.system) == {"statistics-svm", "multiscale-cnn"}
    assert set(ranking.costs_table(results, "parameters").system) == {"multiscale-cnn"}
    network = seconds[seconds.protocol == "speaker-independent"].set_index("system").cost["multiscale-cnn"]
    assert network == pytest.approx(10.5), "the mean over both folds"


def test_every_system_is_compared_with_all_whose_predictions_can_be_reduced_to_its_classes(results):
    strict = [result for result in results if result.protocol == "speaker-independent" and result.system.features]

    def named(name, labels, result):
        changed = [dataclasses.replace(each, system=dataclasses.replace(each.system, name=name), labels=labels)
                   for each in result.experiments]  # fmt: skip
        return Result(tuple(changed), result.runs)

    fine = next(result for result in strict if result.system.name == "multiscale-cnn")
    coarse = next(result for result in strict if result.system.name == "statistics-svm")
    twin = named("twin", fine.experiments[0].labels, fine)
    found = {group.labels.name: set(group.predictions) for group in ranking.comparable_groups([fine, twin, coarse])}
    assert found == {"calm-as-neutral": {"multiscale-cnn", "twin", "statistics-svm"}}, "the pair of eight is in it"
    assert {f.labels.name for f in ranking.comparable_groups([fine, twin])} == {"eight"}
    assert ranking.comparable_groups([coarse]) == []
    assert ranking.comparable_groups([r for r in results if r.protocol == "as-published"]) == []


# -- Literature -- #


def test_only_the_same_card_is_comparable(monkeypatch, results):
    ours = Card(literature.LUNA, literature.VALIDATION, literature.TRAINING, 8)
    assert list_differences(ours, ours) == ""
    assert list_differences(Card(literature.LUNA, literature.NESTED, literature.TRAINING, 8), ours) == ""
    assert "model selection" in list_differences(Card(literature.LUNA, literature.TEST, literature.TRAINING, 8), ours)
    other = Card(literature.RANDOM, literature.VALIDATION, literature.OWN, 7, "Whisper")
    assert list_differences(other, ours).count(":") == 4
    monkeypatch.setattr(literature, "make_card", lambda result: ours)
    same = literature.Score("twin", "ravdess", 0.6, ours, "nowhere")
    monkeypatch.setattr(literature, "LITERATURE", (*literature.LITERATURE, same))
    table = literature.literature_table(results, "ravdess").set_index("name")
    assert table.comparable[table.comparable].index.tolist() == ["twin"]
    best = max((r.metrics().uar for r in results), key=lambda uar: uar.value)
    assert table.ours["twin"].endswith(f": {best}")
    accuracy = table.loc["CNN-14 (PANNs), fine-tuned"]
    assert accuracy.metric == "war"
    assert accuracy.ours.endswith(f": {max((r.metrics().war for r in results), key=lambda war: war.value)}")
    assert (table.why[~table.comparable].str.len() > 5).all()


def test_our_card_follows_from_protocol_and_system(results):
    assert all(literature.make_card(result) is None for result in results), "nobody else has the demo corpus"
    pool = SimpleNamespace(corpus=SimpleNamespace(name="ravdess"))
    result = SimpleNamespace(
        experiments=[pool],
        protocol="speaker-normalised",
        options="",
        system=SimpleNamespace(selects_epoch=True, encoders=()),
        classes="x" * 8,
    )
    assert literature.make_card(result) == Card(literature.LUNA, literature.VALIDATION, literature.OWN, 8)
    assert isinstance(results[0].system, System)


def test_figures_of_the_literature_are_shares_with_a_source():
    for figure in literature.LITERATURE:
        assert 0.2 < figure.value < 1
        assert figure.metric in ("uar", "war")
        assert len(figure.source) > 15
    names = [(figure.name, figure.corpus) for figure in literature.LITERATURE]
    assert len(set(names)) == len(names)


# -- Texts -- #


def test_a_text_without_a_table_is_refused():
    with pytest.raises(DataError, match="no results table begins with"):
        reference.tables_in("# sernb", reference.HEADING)
    with pytest.raises(DataError, match="no results table begins with"):
        reference.updated("# sernb", reference.HEADING)


def test_both_tables_show_the_same_scores():
    every = committed.read_table("ravdess")
    rows = [line.split(" | ") for line in reference.side_by_side(every).splitlines()[2:]]
    assert [name.split("`")[1] for name, *_ in rows] == list(reference.MATTER)
    for name, *cells, _, _ in rows:
        for protocol, cell in zip(PROTOCOLS, cells, strict=True):
            system = name.removesuffix(reference.MARK).strip("| `")
            found = every[(every.System == system) & (every.Protocol == protocol)]
            assert (cell == "–") == found.empty
            if cell != "–":
                (row,) = found.to_dict("records")
                assert re.sub(r"\*\*| †", "", cell).startswith(f"{row['UAR']}; n {row['Clips']}")
                partial = row["Folds"].split(" of ")[0] != row["Folds"].split(" of ")[1]
                assert (f", {row['Folds']} folds" in cell) == partial
                assert cell.endswith(("as published", "other corpus", "10-fold")) == (protocol == "as-published")
    less, more = (reference.markdown(every, less) for less in (True, False))
    assert not re.search(r"`[a-z-]*-(narrow|short)`", more)
    assert len(less.splitlines()) + len(more.splitlines()) == len(reference.markdown(every).splitlines()) + 2


# -- Pages -- #

WITHOUT_A_SCREEN = """
import json, sys
for path, parameters in json.loads(sys.argv[1]).items():
    names = {}
    for cell in json.load(open(path, encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            if cell["id"] == "parameters":
                names.update(parameters)
print("imported:", sorted({"tensorflow", "keras", "jax", "torch"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_pages_of_results_need_neither_tensorflow_nor_trainings(folder):
    pages = {str(NOTEBOOKS / "40_test.ipynb"): {"systems": SYSTEMS, "explain": False}}
    pages[str(NOTEBOOKS / "60_compare_systems.ipynb")] = {"systems": SYSTEMS}
    environment = {**os.environ, "SERNB_WORK": str(folder), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_SCREEN, json.dumps(pages)],
        env=environment, cwd=NOTEBOOKS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert not list(folder.glob("cache")), "no feature was computed"


@pytest.mark.parametrize("name", ["30_train", "40_test", "60_compare_systems"])
def test_every_results_page_has_the_protocol_card(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    assert any("show_protocol_cards(experiments)" in cell.source for cell in cells)


def reported_for(system: str, corpus: str, **options) -> list[tuple[str, float]]:
    experiments = plan([system], corpus, ["as-published"], folds=[0], **options)
    return [(each.metric, each.value) for each in Result(tuple(experiments), ()).comparable]


def test_the_authors_label_set_shows_their_score_and_another_hides_it():
    assert reported_for("light-sernet", "emodb", labels="seven-bored") == [("war", 0.9421), ("uar", 0.9415)]
    assert reported_for("light-sernet", "emodb") == [], "six classes, without bored"
    assert reported_for("light-sernet", "ravdess", labels="seven") == []
    assert reported_for("multiscale-cnn", "ravdess") == [("war", 0.8993), ("uar", 0.897)]
    assert reported_for("multiscale-cnn", "ravdess", labels="seven") == []
    assert reported_for("multiscale-cnn", "ravdess", train_on="gender=female") == []
    first = plan(["light-sernet"], "emodb", ["as-published"], folds=[0], labels="seven-bored")
    assert Result(tuple(first), ()).options == "labels seven-bored"


def test_the_authors_tally_is_system_002s_own_label_set(tmp_path, work, monkeypatch):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path))
    iemocap(tmp_path / "iemocap")

    def planned(**options) -> Result:
        pool = "iemocap:available+ravdess"
        return Result(tuple(plan(["multitask-cnn"], pool, ["corpus-independent"], folds=[0], **options)), ())

    own, official = planned(), planned(labels="multitask-eight-official")
    assert (own.options, official.options) == ("", "labels multitask-eight-official")
    test = own.experiments[0].clips.set_index("clip").truth[list(own.experiments[0].fold.test)]
    assert test.tolist() == ["neutral", "excited", "frustrated", "sad"], "a turn without agreement has one as well"
    assert len(official.experiments[0].fold.test) == 3
    (alone,) = plan(["multitask-cnn"], "ravdess", ["as-published"])
    assert alone.labels.name == "multitask-eight-official"
    assert Result((alone,), ()).options == "", "a corpus without votes has one label anyway"


@pytest.mark.parametrize(
    ("value", "because", "said"),
    [(None, "", "yes"), (0.9999, "fewer epochs", "no: fewer epochs"), (0.9999, "", "no: the reason is not known")],
)
def test_a_figure_that_was_missed_says_why(tmp_path, monkeypatch, value, because, said):
    monkeypatch.setenv("SERNB_WORK", str(tmp_path))
    experiments = plan(["statistics-svm"], "ravdess", ["as-published"])
    for experiment in experiments:
        made_up(experiment, skill=0.8)
    (result,) = collect_results(experiments)
    figure = PublishedScore("war", value or result.metrics().war.value, "as-published", "", missed_because=because)
    system = dataclasses.replace(result.system, reported=(figure,))
    told = reported_table([dataclasses.replace(experiment, system=system) for experiment in experiments])
    assert told["Within our interval"].tolist() == [said]


# -- The ensemble of yousefkotp -- #


@pytest.mark.parametrize("protocol", ["speaker-independent", "leaky-choice"])
def test_the_ensemble_learns_from_validation_clips_or_averages(tmp_path, monkeypatch, protocol):
    """Where the test part itself chooses, there are no validation clips: test clips never teach it."""
    monkeypatch.setenv("SERNB_WORK", str(tmp_path))
    monkeypatch.setattr(split_audit, "audit_experiment", lambda experiment: [])
    monkeypatch.setattr(runner, "_measure_size", lambda experiment: {})
    (whole,) = plan(["cnn-ensemble-narrow"], "demo", [protocol], folds=[0])
    for skill, member in enumerate(whole.members):
        made_up(member, skill=0.5 + skill)
    finished, classes = runner.run(whole), list(whole.labels.classes)
    runs = [read_run(member.folder) for member in whole.members]
    said = [each.predictions[classes].to_numpy(float) for each in runs]
    taught = finished.metrics["chosen"]["clips that taught the joining"]
    if protocol == "leaky-choice":
        assert taught == 0
        expected = np.mean(said, axis=0)
    else:
        assert taught == len(whole.fold.validation)
        truth = runs[0].validation.truth.map(classes.index).to_numpy()
        machine = MLPClassifier((32,), solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0)
        machine.fit(np.hstack([each.validation[classes].to_numpy(float) for each in runs]), truth)
        expected = machine.predict_proba(np.hstack(said))
    np.testing.assert_allclose(finished.predictions[classes], expected, atol=1e-6)
