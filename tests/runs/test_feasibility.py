"""Corpora of one's own that are small and odd: what they do not allow is left out with a sentence, all else is done."""

import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_corpora import ODD, TWO, odd_corpus, rows
from sklearn.metrics import f1_score, recall_score
from sklearn.model_selection import StratifiedKFold

from sernb.__main__ import main
from sernb.config import DataError, Infeasible
from sernb.corpora.check import check
from sernb.corpora.registry import get_corpus
from sernb.evaluation import Predictions, bootstrap_interval, macro_f1, uar
from sernb.evaluation.intervals import copies_of, draw_resamples, resampling_units
from sernb.protocols.folds import make_folds
from sernb.protocols.protocol import COMPARED, PROTOCOLS
from sernb.results.protocol_cards import protocol_cards
from sernb.results.result import collect_results
from sernb.results.tables import caption, results_table
from sernb.runs.feasibility import remarks
from sernb.runs.planning import plan
from sernb.runs.runner import mask_scores, run_many
from sernb.studies import gender, leaks, speaker_adaptation
from sernb.systems.base import Examples, Task
from sernb.systems.learning.inner_cross_validation import make_inner_folds
from sernb.systems.registry import SHOWN

MEASURED = [
    name for name, protocol in PROTOCOLS.items() if not protocol.introduced_leak and protocol.split != "corpora"
]
# Of each published split one.
SPLITS = [
    "majority",
    "statistics-svm",
    "multiscale-cnn",
    "feature-cnn",
    "multitask-cnn",
    "dummynet-zcr",
    "light-sernet",
]
CLASSICS = ["majority", "statistics-svm", "functionals-ridge"]


@pytest.fixture
def odd(tmp_path):
    """A maker of the folders in ``ODD``, or of others by the speaker and emotion of their clips."""

    def make(clips: str | list, **options) -> str:
        name = clips if isinstance(clips, str) else "own"
        return str(odd_corpus(tmp_path / name, ODD[name] if isinstance(clips, str) else clips, **options))

    return make


def planned(systems, corpus, protocols, **options):
    """Return what is planned and the sentences on what is left out, also where this is all."""
    try:
        experiments = plan(systems, corpus, protocols, **options)
    except Infeasible as error:
        return [], error.args
    return experiments, experiments.left_out


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ODD if name not in ("one gender", "one speaker with one clip")])
def test_every_system_and_protocol_is_planned_or_left_out_with_one_sentence(odd, name):
    experiments, left_out = planned(SPLITS, odd(name), MEASURED)
    for each in experiments:
        assert each.fold.train
        assert each.fold.test
        assert len(each.trained_classes) > 1
    done = {(each.system.name, each.protocol.name) for each in experiments}
    for system, protocol in {(system, protocol) for system in SPLITS for protocol in MEASURED} - done:
        who, under, reason = zip(*(re.split(" under |: ", line, maxsplit=2) for line in left_out), strict=True)
        named = [re.search(rf"\b{system}\b[, ]", w) and protocol in u for w, u in zip(who, under, strict=True)]
        assert sum(map(bool, named)) == 1, (system, protocol)
        assert all(reason)
    assert not [line for line in left_out if "\n" in line]
    assert all(line.endswith(".") for line in remarks(experiments))


def test_one_clip_of_a_rare_label_leaves_out_stratified_splits_only(odd):
    experiments, (sentence,) = planned(SHOWN, odd("one clip of a rare label"), COMPARED)
    assert sentence == (
        "multitask-cnn (labels multitask-eight), dummynet-zcr (labels eight) under as-published: "
        "its published split cannot be made from 33 clips in 3 classes, of which surprised has 1; "
        "add recordings, above all of surprised"
    )
    done = {(each.system.name, each.protocol.name) for each in experiments}
    assert done == {(s, p) for s in SHOWN for p in COMPARED} - {
        ("multitask-cnn", "as-published"), ("dummynet-zcr", "as-published")
    }  # fmt: skip
    assert any("surprised (fold 3: 1 test clips)" in line for line in remarks(experiments))


@pytest.mark.parametrize(
    ("name", "named"),
    [("one clip a speaker", r"8 of 8 speakers have one clip only \(s1, s2, s3, s4, s5 and 3 more\)"),
     ("one speaker with one clip", r"1 of 5 speakers have one clip only \(s5\)")],
)  # fmt: skip
def test_a_speaker_with_one_clip_cannot_be_standardised(odd, name, named):
    with pytest.raises(Infeasible, match=named):
        plan(CLASSICS, odd(name), ["speaker-normalised"])


def test_where_nothing_can_be_told_apart_each_label_set_is_named(odd):
    with pytest.raises(Infeasible, match=r"functionals-ridge \(labels eight\), .*all clips \(6\) are happy"):
        plan(["functionals-ridge", "statistics-svm"], odd("one class"), ["random"])
    experiments, (sentence,) = planned(CLASSICS, odd("one class beside neutral"), ["random"])
    assert "statistics-svm (labels calm-as-neutral) under random: all clips (6) are happy" in sentence
    assert {each.system.name for each in experiments} == {"majority", "functionals-ridge"}


def test_a_fold_that_can_be_done_is_done_without_the_others(odd):
    clips = [*rows(2, TWO, 2), *[("s3", "angry")] * 3]
    corpus = odd(clips)
    experiments, left_out = planned(["statistics-svm"], corpus, ["speaker-independent"], train_on="gender=female")
    assert len({each.folds for each in experiments}) == 1
    assert len(experiments) < experiments[0].folds
    assert "with gender=female" in left_out[0]
    with pytest.raises(DataError, match="has no fold 7; it has 0 to 2"):
        plan(["statistics-svm"], corpus, ["speaker-independent"], folds=[7])


@pytest.mark.filterwarnings("error")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["two speakers with three clips each", "each class once"],
)  # fmt: skip
def test_what_is_planned_is_done_and_classes_never_learned_score_0(odd, name):
    systems = [*CLASSICS, "functionals-svm", "adaptive-ridge"]
    every = planned(systems, odd(name), ["as-published", "random", "speaker-independent"])[0]
    fewest = {
        (each.system.name, each.protocol.name): each
        for each in sorted(every, key=lambda each: -len(each.trained_classes))
    }
    experiments = list(fewest.values())
    runs = run_many(experiments, jobs=1, progress=False)
    for experiment, run in zip(experiments, runs, strict=True):
        classes = list(experiment.labels.classes)
        scores = run.predictions[classes].to_numpy(float)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
        never = [name not in experiment.trained_classes for name in classes]
        assert (scores[:, never] == 0).all()
        assert ("never learned, score 0" in run.metrics["chosen"]) == any(never)
    for result in collect_results(experiments):
        assert np.isfinite(result.metrics().uar.value)
        assert set(result.clips["clip"]) <= set(experiments[0].corpus.index["clip"]), "00 and 01 are names"
    assert len(protocol_cards(experiments))
    assert len(results_table(experiments))
    assert all(line in caption(experiments) for line in remarks(experiments))


def test_classes_never_learned_are_taken_out_of_the_scores(odd):
    (experiment, *_) = plan(["majority"], odd("one emotion a speaker"), ["speaker-independent"])
    assert experiment.trained_classes == ("happy", "angry")
    found = mask_scores(np.array([[0.2, 0.6, 0.2], [0.0, 1.0, 0.0]]), experiment)
    np.testing.assert_allclose(found, [[0.5, 0, 0.5], [0.5, 0, 0.5]])


# Folds


@pytest.mark.parametrize(("each", "folds", "validates"), [(2, 2, 0), (3, 3, 0), (11, 5, 0), (13, 5, 1), (20, 5, 1)])
def test_random_folds_are_as_many_as_the_clips_allow(odd, each, folds, validates):
    index = corpus_table(each)
    found = make_folds(index, None, PROTOCOLS["random"], published=None, seed=3, select_on_test=False)
    assert len(found) == folds
    assert Counter(clip for fold in found for clip in fold.test) == Counter(index["clip"])
    assert {bool(fold.validation) for fold in found} == {bool(validates)}
    names, truth = index["clip"].to_numpy(), index.truth.to_numpy()
    outer = StratifiedKFold(folds, shuffle=True, random_state=3).split(names, truth)
    for fold, (rest, test) in zip(found, outer, strict=True):
        assert fold.test == tuple(names[test])
        assert {*fold.train, *fold.validation} == set(names[rest])
        if validates:
            inner = StratifiedKFold(10, shuffle=True, random_state=3).split(rest, truth[rest])
            assert fold.validation == tuple(names[rest[next(inner)[1]]])


def corpus_table(each: int):
    import pandas as pd

    truth = [name for name in TWO for _ in range(each)]
    return pd.DataFrame({"clip": [f"{n:02d}" for n in range(len(truth))], "truth": truth})


def task(truth: list[int], speakers: list[str], *, apart: bool) -> Task:
    import pandas as pd

    about = pd.DataFrame({"speaker": speakers})
    examples = Examples(tuple(np.zeros((1, 1)) for _ in truth), np.array(truth), about)
    return Task(examples, examples[:0], tuple("abc"), apart, np.ones(len(truth), int), seed=0)


@pytest.mark.parametrize(
    ("truth", "speakers", "about"),
    [
        ([0, 1] * 8, list("abcd") * 4, "by speaker"),
        ([0, 1] * 8, list("ab") * 8, "by clip"),
        ([0, 1, 2] * 3, list("aaabbbccc"), "by clip, 3 instead of 4"),
        ([0, 0, 0, 0, 1, 1, 1, 1], list("aaaabbbb"), "by clip"),
        ([0, 0, 1, 1, 0, 1, 1, 0], list("aabbccdd"), "by speaker"),
        ([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4, list("aaaabbbbccccdddd"), "by clip"),
        ([0, 1, 2], list("abc"), "none, too few clips: the middle of the settings that are tried otherwise"),
        ([0, 0, 1], list("aab"), "by clip, 1 instead of 4"),
        ([0, 0, 0, 0], list("abcd"), "none, too few clips: the middle of the settings that are tried otherwise"),
    ],
)
def test_inner_folds_are_as_many_as_the_clips_allow_and_said(truth, speakers, about):
    found = make_inner_folds(task(truth, speakers, apart=True), np.array(truth), 4)
    assert found.description == about
    assert found.by_speaker == about.startswith("by speaker")
    for kept, held in found.rows:
        assert len({truth[row] for row in kept}) > 1
        assert {truth[row] for row in held} & {truth[row] for row in kept}
        if found.by_speaker:
            assert not {speakers[row] for row in kept} & {speakers[row] for row in held}


# Intervals


@pytest.mark.parametrize(("metric", "reference"), [(uar, recall_score), (macro_f1, f1_score)])
def test_copies_without_a_class_keep_the_classes_of_the_whole(rng, metric, reference):
    """A class that was not drawn keeps the value it has on all clips; written out class by class with scikit-learn."""
    truth = np.array([0] * 12 + [1] * 12 + [2])
    scores = rng.dirichlet(np.ones(4), len(truth))  # a fourth class is answered and never true
    answers = Predictions(truth, scores, np.arange(len(truth)) % 3)
    _, groups = resampling_units(answers.speakers)
    drawn = draw_resamples(groups, 60, 1)
    found = copies_of(metric, answers, groups, drawn)

    said, present = scores.argmax(axis=1), sorted({0, 1, 2} | ({3} if metric is macro_f1 else set()))
    whole = dict(zip(range(4), reference(truth, said, labels=range(4), average=None, zero_division=0), strict=True))
    expected = []
    for times in drawn.astype(int):
        rows_ = np.repeat(np.arange(len(truth)), times[groups])
        values = reference(truth[rows_], said[rows_], labels=range(4), average=None, zero_division=0)
        kept = [values[name] if name in truth[rows_] else whole[name] for name in present]
        expected.append(np.mean(kept))
    np.testing.assert_allclose(found, expected)
    assert any((2 not in np.repeat(truth, times.astype(int)[groups])) for times in drawn), "the rare class vanishes"


def test_a_class_that_is_never_right_is_so_in_every_copy():
    truth = np.array([0] * 6 + [1] * 6 + [2])
    scores = np.eye(3)[[0] * 6 + [1] * 6 + [0]]
    found = bootstrap_interval(uar, Predictions(truth, scores, np.zeros(13)))
    assert (found.low, found.value, found.high) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


# Studies


def test_the_gender_study_tests_both_genders_or_says_why_not(odd):
    variants = gender.plan_variants("statistics-svm", odd(rows(6, TWO, 3)), profile="quick")
    folds = {name: [each.fold.number for each in variant] for name, variant in variants.items()}
    assert len({tuple(numbers) for numbers in folds.values()}) == 1
    (experiment, *_) = variants["all"]
    tested = {clip for each in variants["all"] for clip in each.fold.test}
    clips = experiment.clips
    assert set(clips[clips["clip"].isin(tested)].gender) == {"female", "male"}
    with pytest.raises(Infeasible, match="no speaker is labelled female"):
        gender.plan_variants("statistics-svm", odd("one gender"), profile="quick")
    with pytest.raises(Infeasible, match=r"no folds train on women and on men|all .* training clips"):
        gender.plan_variants("statistics-svm", odd("two speakers with three clips each"), profile="quick")


def test_the_leak_study_measures_what_can_be_measured(odd):
    variants = leaks.plan_variants("statistics-svm", odd("six clips of one speaker"), profile="quick")
    assert set(variants) == {"random", "random-twins-apart"}
    assert any("has one speaker" in sentence for sentence in variants.left_out)
    assert leaks.plan_epochs("multiscale-cnn", odd("one class"), profile="quick") == {}
    with pytest.raises(Infeasible):
        leaks.plan_variants("statistics-svm", odd("one clip"), profile="quick")


def test_speakers_with_one_clip_are_not_enrolled(odd):
    found = speaker_adaptation.plan_folds("statistics-svm", odd("one clip a speaker"), profile="quick")
    assert (len(found), found.left_out) == (0, found.left_out)
    assert "8 of 8 speakers have one clip only" in found.left_out[0]
    found = speaker_adaptation.plan_folds("statistics-svm", odd("one emotion a speaker"), profile="full")
    assert (len(found), "in fold 1, 2, 3 the training clips" in found.left_out[0]) == (0, True)
    assert len(speaker_adaptation.plan_folds("statistics-svm", odd(rows(4, TWO, 2)), profile="quick")) == 2


# Speakers who share recordings


@pytest.fixture
def sharing(odd):
    """A folder in which s3 has a quieter copy of a recording of s1."""
    folder = Path(odd(rows(4, TWO, 3), gender=False))
    signal, rate = soundfile.read(folder / "00.flac")
    (folder / "12.flac").unlink()
    soundfile.write(folder / "12.flac", 0.3 * signal, rate)
    return folder


def test_check_and_experiment_find_the_same_speakers_and_the_advice_can_be_followed(sharing, capsys):
    corpus = get_corpus(str(sharing))
    (problem,) = [each for each in check(corpus, sharing) if each.level == "problem"]
    assert "speakers s1 and s3 share 1 near-identical recording(s), such as 00.flac and 12.flac" in problem.detail
    asked = ["experiment", "--systems", "majority", "--corpus", str(sharing), "--protocol", "speaker-independent"]
    assert main([*asked, "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "share 1 near-identical recording(s)" in said
    assert "Traceback" not in said

    text = (sharing / "labels.csv").read_text()
    advised = {
        "use one speaker name": text.replace(",s3,", ",s1,"),
        "remove the line": "\n".join(line for line in text.splitlines() if not line.startswith("12.")),
    }
    for advice, mended in advised.items():
        assert advice in problem.detail
        (sharing / "labels.csv").write_text(mended)
        if advice == "remove the line":
            (sharing / "12.flac").unlink()
        assert not [each for each in check(get_corpus(str(sharing)), sharing) if each.level == "problem"]
        assert main([*asked, "--jobs", "1"]) == 0


def test_speakers_who_are_tested_together_may_share(sharing):
    corpus = get_corpus(str(sharing))
    folds = [dataclasses.replace(fold, test=(*fold.test, f"{corpus.name}-s1", f"{corpus.name}-s3")) for fold in
             corpus.speaker_folds[:1]]  # fmt: skip
    together = dataclasses.replace(corpus, speaker_folds=tuple(folds))
    (found,) = [each for each in check(together, sharing) if each.kind == "shared"]
    assert found.level == "note"
