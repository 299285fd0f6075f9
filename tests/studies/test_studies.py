"""Studies: what they plan, and their tables against definitions of their own; on made predictions, without training."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniatures import iemocap, miniature
from pages import problems_of_page
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.preprocessing import StandardScaler

from sernb.audio.augmentation import ORIGINAL, Gain, Noise, SteadyNoise
from sernb.config import NOTEBOOKS
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.corpora.registry import get_corpus
from sernb.evaluation import Interval
from sernb.features import normalisation
from sernb.figures import confusion as draw_confusion
from sernb.figures import studies
from sernb.protocols.labels import MULTITASK_EIGHT_OFFICIAL, SEVEN
from sernb.reporting.execution import run
from sernb.results import analysis
from sernb.results.result import collect_results
from sernb.runs import runner
from sernb.runs.experiment import Added, Experiment
from sernb.runs.planning import plan
from sernb.runs.run_folder import write_run
from sernb.runs.runner import prepare_for, run_many
from sernb.runs.split_audit import audit_experiment
from sernb.studies import cross_corpus, gender, leaks, noise, speaker_adaptation, speakers
from sernb.studies.differences import results_by_variant
from sernb.studies.noise import PUBLISHED, Condition

INDEPENDENT = "speaker-independent"


def pretend(
    experiments: Sequence[Experiment], rng: np.random.Generator, *, history: pd.DataFrame | None = None
) -> None:
    """Write runs with random predictions, as if the experiments had been done."""
    for each in experiments:
        test = each.clips.set_index("clip", drop=False).loc[list(each.fold.test)]
        about = test[["clip", "speaker", "gender", "truth"]].reset_index(drop=True)
        tables = []
        for view in each.views:
            scores = rng.dirichlet(np.ones(len(each.labels.classes)), len(about))
            scores += 0.3 * np.eye(scores.shape[1])[about.truth.map(each.labels.classes.index)]
            scores = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=list(each.labels.classes))
            tables.append(pd.concat([about.assign(view=view.name), scores], axis=1))
        predictions = {"predictions": pd.concat(tables, ignore_index=True)}
        write_run(
            each.folder,
            config=each.config,
            provenance={"commit": "none", "seconds": 1.0},
            metrics={"clips": len(about), "shared by design": {"speaker also in training": 3}},
            tables=predictions | ({} if history is None else {"history": history}),
        )


def read_predictions(result, view: str = ORIGINAL.name) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction as names, straight from the run folders."""
    rows = pd.concat([run_.predictions for run_ in result.runs], ignore_index=True)
    rows = rows[rows["view"] == view]
    return rows.truth.to_numpy(), rows[list(result.classes)].idxmax(axis=1).to_numpy()


# Foreign corpora


@pytest.fixture
def two_corpora(tmp_path: Path, monkeypatch) -> Path:
    """A folder with five turns of IEMOCAP and a few clips of RAVDESS, all made."""
    iemocap(tmp_path / "data" / "iemocap")
    ravdess = get_corpus("ravdess")
    index = read_index(ravdess)
    clips = index[(index.speaker.isin(["ravdess-01", "ravdess-02"])) & (index.sentence == "01")].drop_duplicates(
        ["speaker", "emotion"]
    )
    miniature(
        ravdess, tmp_path / "data" / "ravdess", clips["clip"].tolist(), monkeypatch, index_folder=tmp_path / "index"
    )
    return tmp_path / "data"


def test_classes_are_those_that_all_corpora_have():
    assert cross_corpus.shared_labels(SEVEN, parse_pool("ravdess+tess")) is SEVEN
    shared = cross_corpus.shared_labels(SEVEN, parse_pool("ravdess+crema_d"))
    assert set(shared.classes) == set(SEVEN.classes) - {"surprised"}
    assert shared.truths(pd.Series(["calm", "surprised", "sad"])).fillna("").tolist() == ["neutral", "", "sad"]


def test_a_matrix_has_every_pair_and_all_but_one():
    planned = cross_corpus.plan_matrix(["majority"], "ravdess+tess+savee", labels="seven", profile="quick")
    tested = [(each.corpus.name, each.protocol.name, each.fold.number) for each in planned]
    between = "corpus-independent"
    assert [entry for entry in tested if entry[1] == between] == [
        *(("ravdess+tess", between, fold) for fold in (0, 1)),
        *(("ravdess+savee", between, fold) for fold in (0, 1)),
        *(("tess+savee", between, fold) for fold in (0, 1)),
        *(("ravdess+tess+savee", between, fold) for fold in (0, 1, 2)),
    ]
    assert {entry[0] for entry in tested if entry[1] == INDEPENDENT} == {"ravdess", "tess", "savee"}


def test_cells_are_of_the_corpus_that_was_tested(rng):
    planned = cross_corpus.plan_matrix(["majority"], "savee+demo", labels="seven", profile="quick")
    pretend(planned, rng)
    found = cross_corpus.score_cells(planned)
    cell = found[(found.trained == get_corpus("savee").title) & (found.tested == get_corpus("demo").title)].iloc[0]
    [result] = [each for each in collect_results(planned) if each.protocol == "corpus-independent"]
    truth, prediction = read_predictions(result)
    demo = (result.clips["corpus"] == "demo").to_numpy()
    assert cell.metrics.uar.value == pytest.approx(balanced_accuracy_score(truth[demo], prediction[demo]), abs=1e-12)
    assert (cell.metrics.clips, cell.training) == (240, 480 - 120), "a speaker of the others validates"
    assert "above the chance level" in " ".join(cross_corpus.conclusions(found))
    assert "\n" not in studies.matrix(found, "Title").alt
    table = cross_corpus.summary_table(found)
    assert table["Trained on"][0] == f"{table['Tested on'][0]}, other speakers, 2 of 4 folds"
    assert "clips of 2 speakers, 2 of 4 folds)" in " ".join(cross_corpus.headline(found))
    assert table["Chance level"][0] == "14.3"
    assert list(table.Clips) == [each.clips for each in found.metrics]
    assert len(cross_corpus.cells_table(found)) == 4


@pytest.mark.slow
def test_only_real_corpora_that_are_here_join(two_corpora):
    assert cross_corpus.add_other_corpora("ravdess", two_corpora).startswith("ravdess+iemocap")
    assert cross_corpus.add_other_corpora("ravdess", two_corpora / "ravdess") == "ravdess"
    assert cross_corpus.add_other_corpora("ravdess+iemocap", two_corpora) == "ravdess+iemocap"


def test_classes_that_the_test_corpus_lacks_are_dropped_before_the_prediction():
    scores = np.array([[0.6, 0.1, 0.3], [0.2, 0.5, 0.3]])
    classes, kept = cross_corpus.drop_classes(scores, ("excited", "happy", "sad"), cross_corpus.ABSENT)
    assert [classes[column] for column in kept.argmax(axis=1)] == ["sad", "happy"]


def test_zero_shot_drops_calm_and_disgust_and_never_predicts_excited(two_corpora):
    assert cross_corpus.missing_corpora(two_corpora) == ""
    planned = cross_corpus.plan_zero_shot("majority", profile="quick", data=two_corpora)
    assert {each.fold.number for each in planned} == {1}
    run_many(planned, progress=False, jobs=1, data=two_corpora)
    found = cross_corpus.zero_shot(planned)
    assert found.clips == 2 * 6
    assert found.confusion.shape == (6, 6)
    assert cross_corpus.zero_shot_table(planned).Task.tolist() == ["emotion", "emotion, top-3"]


def test_zero_shot_scores_tta_gender_and_intensity_by_arousal(two_corpora, rng):
    """Against scikit-learn, on made predictions; arousal is averaged over views before the threshold."""
    planned = cross_corpus.plan_zero_shot(profile="quick", data=two_corpora)
    pretend(planned, rng)
    (run_,) = [each.folder for each in planned]
    table = pd.read_csv(run_ / "predictions.csv", keep_default_na=False)
    table["female"], table["arousal"] = rng.uniform(0, 1, len(table)), rng.uniform(2.5, 4.5, len(table))
    table["strong by arousal"] = (table.arousal >= 3.5).astype(float)
    about = {"config": planned[0].config, "provenance": {"commit": "none", "seconds": 1.0}}
    shutil.rmtree(run_)
    write_run(run_, **about, metrics={"clips": 12, "shared by design": {}}, tables={"predictions": table})
    found = cross_corpus.zero_shot_table(planned).set_index("Task")
    assert found.Published.to_dict() == {
        "emotion": "21.4", "gender": "86.7", "intensity by arousal": "65.7", "emotion, top-3": "59.0",
        "emotion with TTA": "21.6", "gender with TTA": "86.5", "intensity by arousal with TTA": "67.0",
    }  # fmt: skip
    index = planned[0].clips.set_index("clip")
    first = table[table["view"] == "original"].set_index("clip")
    mean = table.groupby("clip")[["female", "arousal", *planned[0].labels.classes]].mean().loc[first.index]
    for said, end in ((first, ""), (mean, " with TTA")):
        six = said[[name for name in planned[0].labels.classes if name not in cross_corpus.ABSENT]].astype(float)
        expected = {
            "emotion": accuracy_score(first.truth, six.idxmax(axis=1)),
            "gender": accuracy_score(first.gender == "female", said.female > 0.5),
            "intensity by arousal": accuracy_score(index.intensity[first.index] == "strong", said.arousal >= 3.5),
        }
        for task, value in expected.items():
            assert float(found.Ours[f"{task}{end}"].split()[0]) == pytest.approx(100 * value, abs=0.051), task
    (result,) = collect_results(planned)
    told, two = analysis.score_binary_tasks(result)["intensity by arousal"]
    strong = index.intensity[first.index] == "strong"
    assert two == ("normal", "strong")
    np.testing.assert_array_equal(told.confusion, confusion_matrix(strong, first.arousal >= 3.5))
    assert draw_confusion(told, two, "strong by arousal").alt


def test_dimensions_are_scored_against_what_was_trained(two_corpora, rng):
    """The authors' means, their own ratings of themselves in, and with --labels of the corpus its own."""
    given = {"folds": [0], "views": [ORIGINAL], "data": two_corpora}
    pool = "+".join(cross_corpus.find_available(name, two_corpora).pool.name for name in ("iemocap", "ravdess"))
    for name, column in (("multitask-cnn", "tally_valence"), ("multitask-cnn-official", "valence")):
        planned = plan([name], pool, ["corpus-independent"], **given)
        pretend(planned, rng)
        (result,) = collect_results(planned)
        said = rng.uniform(1, 5, len(result.clips))
        object.__setattr__(result, "predictions", result.predictions.assign(valence=said))
        (row,) = analysis.attributes_table(result).to_dict("records")
        truth = result.clips[column].astype(float)
        assert row["Task"] == "valence"
        assert float(row["RMSE"].split()[0]) == pytest.approx(np.sqrt(np.mean((truth - said) ** 2)), abs=0.0051)


def test_the_published_zero_shot_test_has_1056_clips():
    emotions = read_index(get_corpus("ravdess")).emotion
    assert MULTITASK_EIGHT_OFFICIAL.truths(emotions).notna().sum() == 1056


def test_a_corpus_that_is_not_here_is_named(tmp_path):
    assert "IEMOCAP" in cross_corpus.missing_corpora(tmp_path)


# Gender


@pytest.mark.parametrize("system", ["statistics-svm", "multiscale-cnn"])
def test_all_variants_but_one_have_the_same_number_of_training_clips(system):
    variants = gender.plan_variants(system, "demo", profile="quick")
    joined = system == "statistics-svm"
    training = {
        name: {len(each.fold.train) + joined * len(each.fold.validation) for each in experiments}
        for name, experiments in variants.items()
    }
    assert training["all"] == training["female"] == training["male"]
    assert len(training["all"]) == 1
    assert min(training[gender.EVERY_CLIP]) > max(training["all"])
    women = variants["female"][0]
    assert set(women.clips.set_index("clip").gender[list(women.fold.train)]) == {"female"}


@pytest.mark.slow
def test_gender_is_compared_on_the_same_clips(rng):
    variants = gender.plan_variants("majority", "demo", profile="full")
    pretend([each for variant in variants.values() for each in variant], rng)
    results = results_by_variant(variants)
    truth, joint = read_predictions(results["all"])
    _, women = read_predictions(results["female"])
    _, men = read_predictions(results["male"])
    female = results["all"].clips.gender.to_numpy() == "female"
    by_gender = np.where(female, women, men)
    tested = gender.comparisons(results)
    expected = {
        "female speakers: trained on women instead of both": (women, joint, female),
        "male speakers: trained on men instead of women": (men, women, ~female),
        "all speakers: one for each gender instead of one for all": (by_gender, joint, female | ~female),
    }
    for what, (second, first, part) in expected.items():
        wanted = balanced_accuracy_score(truth[part], second[part]) - balanced_accuracy_score(truth[part], first[part])
        assert tested[what][0].difference.value == pytest.approx(wanted, abs=1e-12)
    cells = gender.score_cells(results)
    assert len(cells) == 12
    assert len(gender.comparisons_table(tested)) == len(tested) == 6
    assert len(gender.conclusions(results, tested)) == 7
    assert (
        studies.differences({name: each.difference for name, (each, _) in tested.items()}, "t", "axis").alt.count(";")
        == 5
    )


def test_the_noise_sets_of_system_000_hold_noisy_copies_of_neutral_clips_on_both_sides():
    sets = gender.plan_published("majority", "ravdess", profile="full")
    counts = {key: len(experiments[0].clips) for key, experiments in sets.items() if key[0] != "noise at 20 dB"}
    assert list(counts.values()) == [1440, 720, 720, 1536, 768, 768], "the published numbers"
    assert set(sets["noise", "all"][0].clips.truth.value_counts()) == {192}
    assert set(counts) == set(gender.REPORTED)
    first = sets["noise", "female"][0]
    copies = set(first.clips["clip"][first.clips["clip"] != first.clips.origin])
    assert len(copies) == 48
    assert copies & set(first.fold.train)
    assert copies & set(first.fold.test)
    folders = {each.folder for experiments in sets.values() for each in experiments}
    assert len(folders) == sum(map(len, sets.values()))


@pytest.mark.slow
def test_copies_of_clips_are_heard_as_their_view_and_refused_where_they_leak():
    noisy = SteadyNoise("deviation 1", 1.0)
    added = Added("neutral", noisy)
    [planned] = plan(["multiscale-cnn"], "demo", ["as-published"], added=added, folds=[0])
    prepare_for([planned])
    heard = runner._open_features(planned, ORIGINAL)
    clip = planned.clips["clip"][planned.clips.emotion == "neutral"].iloc[0]
    wanted = prepare(planned.corpus, planned.system.features, view=noisy)[clip]
    np.testing.assert_array_equal(heard[added.name_of(clip)], wanted)
    assert not np.array_equal(heard[clip], wanted)
    kinds = {leak.kind: leak.allowed for leak in audit_experiment(planned)}
    assert kinds["copy or segment of a training clip"]
    random, apart = plan(["majority"], "demo", ["random", "random-twins-apart"], added=added, profile="quick")[::2]
    assert not {leak.kind: leak.allowed for leak in audit_experiment(random)}["copy or segment of a training clip"]
    assert "copy or segment of a training clip" not in {leak.kind for leak in audit_experiment(apart)}


@pytest.mark.slow
def test_recordings_are_scored_without_their_copies(rng):
    sets = gender.plan_published("majority", "demo", profile="quick")
    pretend([each for part in sets.values() for each in part], rng)
    results = results_by_variant(sets)
    table = gender.published_table(results).set_index(["Set", "Speakers"])
    result = results["noise", "all"]
    truth, prediction = read_predictions(result)
    real = ~result.clips["clip"].str.endswith("(deviation 1)").to_numpy()
    assert table.loc[("noise", "all"), "of these copies"] == (~real).sum() > 0
    wanted = 100 * accuracy_score(truth[real], prediction[real])
    assert table.loc[("noise", "all"), "WAR without copies"].startswith(f"{wanted:.1f} [")
    assert table.loc[("clean", "all"), "of these copies"] == 0
    assert set(table["WAR reported"]) == {"–"}, "another system, another corpus"


# Noise


@pytest.mark.slow
def test_stress_is_the_difference_from_the_same_clips(rng):
    conditions = [Condition("white noise", snr, "dB SNR", Noise(f"white {snr} dB", snr)) for snr in (20, 10, 0)]
    conditions.append(Condition("gain", -20, "dB", Gain("gain -20 dB", -20)))
    variants = noise.plan_variants("majority", "demo", conditions, profile="full")
    pretend([each for variant in variants.values() for each in variant], rng)
    results = results_by_variant(variants)
    found = noise.measure_robustness(results, conditions)
    for name, result in results.items():
        for condition in conditions:
            row = found[(found.trained == name) & (found.condition == str(condition))].iloc[0]
            truth, clean = read_predictions(result)
            _, heard = read_predictions(result, condition.view.name)
            assert row.uar.value == pytest.approx(balanced_accuracy_score(truth, heard), abs=1e-12)
            wanted = balanced_accuracy_score(truth, heard) - balanced_accuracy_score(truth, clean)
            assert row.change.value == pytest.approx(wanted, abs=1e-12)
    said = noise.conclusions(results, found)
    assert len(said) == 2 + 3  # both trainings, and clean clips and the first strength of each kind
    assert len(noise.robustness_table(found)) == 1 + len(conditions)
    assert "white noise" in studies.robustness_curves(found, "t").alt
    assert "gain" not in studies.robustness_curves(found, "t").alt
    assert "gain, -20 dB" in studies.changes(found, "t").alt


def test_noise_of_deviation_one_is_measured(recordings):
    ratios = noise.measured_ratios(parse_pool("ravdess:sentence=01"), PUBLISHED, "neutral", recordings)
    assert len(ratios) == 48
    assert -50 < ratios.mean() < -40, "about 45 dB below the noise, as published for multiscale-cnn"


# Speakers


def test_spread_takes_away_what_few_clips_explain(rng):
    skills = rng.normal(0.6, 0.08, 2000)
    wars = rng.binomial(50, skills) / 50
    found = speakers.summarise_spread(pd.DataFrame({"war": wars, "clips": 50}))
    assert found["observed"] == pytest.approx(wars.std(ddof=1))
    assert found["between"] == pytest.approx(0.08, abs=0.006)
    alike = speakers.summarise_spread(pd.DataFrame({"war": rng.binomial(50, 0.6, 2000) / 50, "clips": 50}))
    assert alike["between"] < 0.02


def test_speakers_are_shown_the_best_first(rng):
    planned = plan(["majority"], "demo", [INDEPENDENT])
    pretend(planned, rng)
    [result] = collect_results(planned)
    found = speakers.score_speakers(result)
    truth, prediction = read_predictions(result)
    names = result.clips.speaker.to_numpy()
    wanted = {name: balanced_accuracy_score(truth[names == name], prediction[names == name]) for name in set(names)}
    assert dict(zip(found.speaker, found.uar, strict=True)) == pytest.approx(wanted)
    assert found.uar.is_monotonic_decreasing
    alt = studies.by_speaker(found, "t", floor=0.125).alt
    assert all(name.partition("-")[2] in alt for name in wanted)


def test_moments_are_those_of_a_scaler(rng):
    clips = [rng.normal(3, 2, (count, 4)).astype(np.float32) for count in (5, 7)]
    clips = [np.c_[clip, np.ones(len(clip))] for clip in clips]
    scaler = StandardScaler().fit(np.concatenate(clips))
    heard = normalisation.standardise(clips[0], normalisation.compute_moments(clips))
    np.testing.assert_allclose(heard, scaler.transform(clips[0]), atol=1e-5)


def test_enrolment_ends_at_a_speakers_own_statistics_and_begins_at_the_average_speaker(rng):
    own, others = (normalisation.compute_moments([rng.normal(size=(9, 3))]) for _ in range(2))
    for k in (2, 16):
        mixed = normalisation.shrink(own, others, 4, k)
        np.testing.assert_allclose(mixed.mean, (4 * own.mean + k * others.mean) / (4 + k))
        np.testing.assert_allclose(mixed.variance, (4 * own.variance + k * others.variance) / (4 + k))
    np.testing.assert_array_equal(normalisation.shrink(own, others, 4, 0).mean, own.mean)
    average = normalisation.average_moments([own, others])
    np.testing.assert_allclose(average.variance, (own.variance + others.variance) / 2)


# Leaks


def test_leaks_are_compared_clip_by_clip_whatever_their_order(rng):
    variants = {name: plan(["majority"], "demo", [name]) for name in (INDEPENDENT, "random")}
    pretend([each for variant in variants.values() for each in variant], rng)
    results = results_by_variant(variants)
    clean, leaky = results[INDEPENDENT], results["random"]
    assert clean.clips["clip"].tolist() != leaky.clips["clip"].tolist()
    found = leaks.leak_effect(clean, leaky)
    wanted = balanced_accuracy_score(*read_predictions(leaky)) - balanced_accuracy_score(*read_predictions(clean))
    assert found.difference.value == pytest.approx(wanted, abs=1e-12)
    assert found.units == 8
    counted = leaks.counts_table(results)
    assert counted.speaker.tolist() == [3 * 4, 3 * 5]
    partly = results_by_variant({"random": variants["random"][:2]})["random"]
    assert isinstance(leaks.leak_effect(clean, partly), Interval), "other clips cannot be paired"


def test_every_leak_has_its_arms_and_all_folds():
    variants = leaks.plan_variants("majority", "demo", profile="quick")
    assert {name for leak in leaks.LEAKS for name in (leak.leaky, leak.clean)} == set(variants)
    for experiments in variants.values():
        assert sorted(sum((each.fold.test for each in experiments), ())) == sorted(experiments[0].clips["clip"])


def history_of(accuracies: Sequence[float], losses: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses, "validation_accuracy": accuracies})


def test_three_ways_to_choose_an_epoch_of_one_training(rng):
    trainings = leaks.plan_epochs("multiscale-cnn", "demo", profile="quick")
    losses = [1.0, 0.5, 0.25]
    pretend(trainings[leaks.SELECTED], rng, history=history_of([0.2, 0.6, 0.5], losses))
    pretend(trainings[leaks.BEST], rng, history=history_of([0.7, 0.4, 0.3], losses))
    watched = results_by_variant(trainings)
    history = leaks.accuracy_by_epoch(watched)
    chosen = leaks.selection_effects(history)
    of_first = chosen[chosen.fold == 0].set_index("selection")
    assert of_first.war.to_dict() == {leaks.LAST: 0.3, leaks.SELECTED: 0.4, leaks.BEST: 0.7}
    assert of_first.epoch.to_dict() == {leaks.LAST: 3, leaks.SELECTED: 2, leaks.BEST: 1}
    assert leaks.selection_effects_table(chosen).WAR.tolist() == ["30.0", "40.0", "70.0"]
    assert "epoch 1, 70.0 %" in studies.epochs(history, chosen, "t").alt
    pretend(trainings[leaks.BEST], rng, history=history_of([0.7, 0.4, 0.3], [1.0, 0.5, 0.26]))
    with pytest.raises(ValueError, match="differ"):
        leaks.accuracy_by_epoch(results_by_variant(trainings))


# With training


@pytest.mark.slow
def test_enrolment_on_the_demo_corpus(work, monkeypatch):
    """With all clips available and k = 0 it equals the protocol speaker-normalised, validation speakers aside."""
    experiments = plan(["statistics-svm"], "demo", [INDEPENDENT], views=[ORIGINAL], profile="quick")
    run_many(experiments[:1], progress=False, jobs=1)
    trained = speaker_adaptation.AdaptedSystem(experiments[0])
    [full] = trained.enrol(experiments[0].fold.test, None, [0], draws=1)
    for speaker in set(full.predictions.speakers):
        clips = full.clips[full.predictions.speakers == speaker]
        own, clip = StandardScaler().fit(np.concatenate([trained.features[clip] for clip in clips])), clips[0]
        scores = trained.scores((own.transform(trained.features[clip]).astype(np.float32),))
        np.testing.assert_allclose(scores[0], full.predictions.scores[full.clips == clip][0], atol=1e-3)
    some = trained.enrol(experiments[0].fold.test, 4, [2, 8], draws=3)
    assert [each.available.sum() for each in some] == [3 * 4 * 2] * 2
    np.testing.assert_array_equal(some[0].available, some[1].available)
    ks, curve = speaker_adaptation.adaptation_curve(experiments, draws=2, jobs=1)
    for file in (work / "enrolment").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    again = speaker_adaptation.adaptation_curve(experiments, draws=2, jobs=1)[1]
    assert set(ks) <= set(normalisation.SHRINKAGES)
    assert curve["count"].tolist() == [0, 1, 2, 4, 8, 16, None]
    assert curve.astype(str).equals(again.astype(str)), "the same seed, the same draws; what was damaged is made again"
    with monkeypatch.context() as patch:
        patch.setattr(speaker_adaptation, "AdaptedSystem", None)
        read_back = speaker_adaptation.adaptation_curve(experiments, draws=2, jobs=1)
    assert (read_back[0], read_back[1].astype(str).to_dict()) == (ks, curve.astype(str).to_dict()), (
        "done once, then read"
    )
    assert curve.gain[0].value == 0
    assert curve.unseen.iloc[-1] is None
    assert len(speaker_adaptation.adaptation_table(curve)) == 7
    assert len(speaker_adaptation.conclusions(curve)) == 2
    assert ", all " in studies.adaptation_curve(curve, "t", floor=1 / 7).alt


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("41_test_foreign_corpus", {"system": "majority"}),
        ("50_study_gender", {"system": "majority"}),
        ("51_study_noise", {"system": "majority", "kinds": ["white noise"]}),
        ("52_study_speakers", {"systems": ["majority"], "draws": 2}),
        ("53_study_leaks", {"system": "majority", "network": ""}),
    ],
)
def test_the_pages_on_the_demo_corpus(name, parameters, tmp_path):
    page = run(NOTEBOOKS / f"{name}.ipynb", tmp_path / f"{name}.html", parameters)
    assert problems_of_page(page) == []
    text = page.read_text("utf-8")
    assert "no evidence about emotion" in text
    assert "What we learned" in text
