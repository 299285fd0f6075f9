"""Protocols and the leak audit: every leak that is planted must be found, and a clean split must be clean."""

import pandas as pd
import pytest
from sklearn.model_selection import KFold, train_test_split

from sernb.config import DataError, Infeasible
from sernb.corpora.pool import parse_pool
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.folds import Fold, group_utterances, make_folds
from sernb.protocols.labels import ALL_EIGHT, CALM_AS_NEUTRAL
from sernb.protocols.leak_audit import audit, refuse_leaks
from sernb.protocols.protocol import PROTOCOLS, get_protocol
from sernb.runs.experiment import label_clips
from sernb.systems.registry import get_system

APART = PROTOCOLS["speaker-independent"]
WITH_INDEX = [name for name in CORPORA if get_corpus(name).index_path.exists()]
SPLIT_AS_PUBLISHED = ("majority", "statistics-svm", "multiscale-cnn")


@pytest.fixture
def clips():
    return label_clips(parse_pool("ravdess"), ALL_EIGHT)


def folds(clips, protocol, system="multiscale-cnn", corpus="ravdess", seed=0):
    record = get_system(system)
    return make_folds(
        clips, parse_pool(corpus), PROTOCOLS[protocol],
        published=record.published_split, seed=seed, select_on_test=record.selects_on_test,
    )  # fmt: skip


def kinds(leaks, *, allowed):
    return {leak.kind: leak.count for leak in leaks if leak.allowed is allowed}


@pytest.mark.parametrize("corpus", [*WITH_INDEX, "ravdess+tess+savee", "ravdess:gender=female", "crema_d+emodb"])
def test_speakers_are_kept_apart_and_every_clip_is_tested_once(corpus):
    clips = label_clips(parse_pool(corpus), CALM_AS_NEUTRAL)
    speaker = dict(zip(clips["clip"], clips.speaker, strict=True))
    made = folds(clips, "speaker-independent", corpus=corpus)
    assert made == folds(clips, "speaker-normalised", corpus=corpus)
    assert sorted(clip for fold in made for clip in fold.test) == sorted(clips["clip"])
    for fold in made:
        heard = [{speaker[clip] for clip in part} for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, heard)) == len(set.union(*heard)), "no speaker is in two parts"
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(clips)
        assert not [leak for leak in audit(clips, fold, APART) if not leak.allowed]


@pytest.mark.parametrize("corpus", ["ravdess", "tess", "crema_d"])
def test_neither_speaker_nor_sentence_of_a_test_is_learned_and_every_clip_is_tested_once(corpus):
    clips = label_clips(parse_pool(corpus), CALM_AS_NEUTRAL)
    about = clips.set_index("clip")
    made = folds(clips, "sentence-independent", corpus=corpus)
    assert [fold.number for fold in made] == list(range(2 * len(parse_pool(corpus).speaker_folds)))
    assert sorted(clip for fold in made for clip in fold.test) == sorted(clips["clip"])
    for fold in made:
        for column in ("speaker", "sentence"):
            parts = [set(about[column][list(part)]) for part in (fold.train, fold.validation, fold.test)]
            assert fold.train
            assert not parts[2] & (parts[0] | parts[1])
        assert not [leak for leak in audit(clips, fold, PROTOCOLS["sentence-independent"]) if not leak.allowed]


def test_without_sentences_they_cannot_be_kept_apart(clips):
    for sentence, told in (("", "some clips have no sentence label"), ("01", "has a single sentence")):
        with pytest.raises(Infeasible, match=f"ravdess: {told}.*; use speaker-independent"):
            folds(clips.assign(sentence=sentence), "sentence-independent")


def test_a_column_of_folds_is_a_split_of_ones_own(clips):
    fold = pd.Series([f"{number % 4 + 7}" for number in range(len(clips))])  # 7 … 10: by number, not by letter
    made = folds(clips.assign(fold=fold), "own-folds")
    for number, each in enumerate(made):
        assert list(each.test) == clips["clip"][fold == str(number + 7)].tolist()
        assert list(each.validation) == clips["clip"][fold == str((number + 1) % 4 + 7)].tolist()
        assert len(each.train) == len(clips) // 2
    assert len(made) == 4
    two = folds(clips.assign(fold=(fold == "7").map({True: "a", False: "b"})), "own-folds")
    assert [len(each.validation) for each in two] == [0, 0]
    (parts,) = folds(clips.assign(fold=fold.map({"7": "Train", "8": "dev", "9": "test", "10": "train"})), "own-folds")
    assert set(parts.test) == set(clips["clip"][fold == "9"])
    assert set(parts.validation) == set(clips["clip"][fold == "8"])
    assert set(parts.train) == set(clips["clip"][(fold == "7") | (fold == "10")])


def test_folds_that_are_none_are_refused_with_the_next_step(clips):
    with pytest.raises(Infeasible, match=f"{len(clips)} of {len(clips)} clips have no value .*; complete them, or use"):
        folds(clips, "own-folds")
    with pytest.raises(Infeasible, match="3 of "):
        folds(clips.assign(fold=[""] * 3 + ["1"] * (len(clips) - 3)), "own-folds")
    for alone in ("1", "train"):
        with pytest.raises(Infeasible, match="name two or more folds"):
            folds(clips.assign(fold=alone), "own-folds")


def test_ravdess_folds_are_the_published_ones(clips):
    actors = [sorted({int(clip[-2:]) for clip in fold.test}) for fold in folds(clips, "speaker-independent")]
    assert actors == [[2, 5, 14, 15, 16], [3, 6, 7, 13, 18], [10, 11, 12, 19, 20], [8, 17, 21, 23, 24], [1, 4, 9, 22]]


def test_system_000_splits_as_its_authors_did(clips):
    made = folds(clips, "as-published")
    names = clips["clip"].to_numpy()
    expected = [tuple(names[test]) for _, test in KFold(10, shuffle=True, random_state=46).split(names)]
    assert [fold.test for fold in made] == expected
    assert all(fold.validation == fold.test for fold in made), "its authors chose the epoch on the test fold"


def test_system_004_splits_as_its_authors_did():
    clips = label_clips(parse_pool("ravdess"), CALM_AS_NEUTRAL)
    (fold,) = folds(clips, "as-published", "statistics-svm")
    train, test = train_test_split(clips["clip"].to_numpy(), test_size=0.2, random_state=123)
    assert (set(fold.train), set(fold.test)) == (set(train), set(test))
    assert (len(train), len(test)) == (1075, 269), "as in the published notebook"


def test_same_seed_same_folds(clips):
    for protocol in set(PROTOCOLS) - {"corpus-independent", "own-folds"}:
        for system in SPLIT_AS_PUBLISHED:
            assert folds(clips, protocol, system) == folds(clips, protocol, system)
    for protocol in ("random", "random-twins-apart"):
        assert folds(clips, protocol, seed=1) != folds(clips, protocol)


@pytest.mark.parametrize("corpus", ["ravdess", "demo", "tess", "crema_d"])
@pytest.mark.parametrize("protocol", ["random", "random-twins-apart"])
def test_random_folds_test_each_clip_once_with_equal_shares_of_emotions(corpus, protocol):
    clips = label_clips(parse_pool(corpus), ALL_EIGHT)
    truth = clips.set_index("clip").truth
    made = folds(clips, protocol, corpus=corpus)
    assert sorted(clip for fold in made for clip in fold.test) == sorted(clips["clip"])
    for fold in made:
        parts = [set(part) for part in (fold.train, fold.validation, fold.test)]
        assert set.union(*parts) == set(clips["clip"])
        assert sum(map(len, parts)) == len(clips)
        assert len(fold.validation) == pytest.approx(0.08 * len(clips), rel=0.2)
        shares = truth[list(fold.test)].value_counts() / truth.value_counts()
        assert shares.between(0.15, 0.25).all(), "a fifth of each emotion"


@pytest.mark.parametrize("corpus", ["ravdess", "demo", "crema_d"])
def test_twins_apart_keeps_takes_and_identical_files_in_one_part(corpus):
    clips = label_clips(parse_pool(corpus), ALL_EIGHT)
    for fold in folds(clips, "random-twins-apart", corpus=corpus):
        part = {clip: name for name in ("train", "validation", "test") for clip in getattr(fold, name)}
        where = clips["clip"].map(part)
        for columns in (["speaker", "emotion", "intensity", "sentence"], ["sha256"]):
            assert where.groupby([clips[column] for column in columns]).nunique().max() == 1
        assert not kinds(audit(clips, fold, PROTOCOLS["random-twins-apart"]), allowed=False)
    random = folds(clips, "random", corpus=corpus)[0]
    assert corpus != "ravdess" or "other take of the same utterance in training" in kinds(
        audit(clips, random, PROTOCOLS["random"]), allowed=True
    )


def test_utterances_without_a_sentence_are_clips_and_identical_files_join_utterances():
    rows = [("a", "one", "1"), ("b", "one", "2"), ("c", "two", "2"), ("d", "", "3"), ("e", "", "4")]
    clips = pd.DataFrame(rows, columns=["clip", "sentence", "sha256"]).assign(speaker="s", emotion="e", intensity="")
    numbers = group_utterances(clips)
    assert numbers[0] == numbers[1] == numbers[2]
    assert len({numbers[0], numbers[3], numbers[4]}) == 3


def test_corpus_independent_trains_on_all_other_corpora():
    pool = parse_pool("ravdess+savee+tess")
    clips = label_clips(pool, ALL_EIGHT).set_index("clip", drop=False)
    made = folds(clips.reset_index(drop=True), "corpus-independent", corpus=pool.name)
    for fold, tested in zip(made, ("ravdess", "savee", "tess"), strict=True):
        assert set(clips.corpus[list(fold.test)]) == {tested}
        assert set(clips.corpus[list(fold.train)]) == {"ravdess", "savee", "tess"} - {tested}
        assert not set(clips.speaker[list(fold.validation)]) & set(clips.speaker[list(fold.train)])
        assert not audit(clips.reset_index(drop=True), fold, PROTOCOLS["corpus-independent"])
    first = {get_corpus(name).speaker_folds[0].validation for name in ("ravdess", "savee", "tess")}
    assert set(clips.speaker[list(made[2].validation)]) == set(sum(first, ())), "TESS has no further voice"
    with pytest.raises(DataError, match="two or more corpora"):
        folds(label_clips(parse_pool("tess"), ALL_EIGHT), "corpus-independent", corpus="tess")


def test_leaky_protocols_are_the_clean_one_and_say_what_they_are(clips):
    clean = folds(clips, "speaker-independent")
    leaky = [protocol for protocol in PROTOCOLS.values() if protocol.introduced_leak]
    assert len(leaky) == 3
    for protocol in leaky:
        assert protocol.name.startswith("leaky-")
        assert "DELIBERATE LEAK" in protocol.about
        for ours, theirs in zip(folds(clips, protocol.name), clean, strict=True):
            assert (ours.train, ours.test) == (theirs.train, theirs.test)
            chosen_on = ours.test if protocol.introduced_leak == "choice" else theirs.validation
            assert ours.validation == chosen_on
    assert not [
        protocol
        for protocol in PROTOCOLS.values()
        if protocol.name.startswith("leaky-") and not protocol.introduced_leak
    ]


def test_a_random_split_of_ravdess_shares_speakers_and_takes(clips):
    fold = folds(clips, "as-published")[0]
    leaks = audit(clips, fold, PROTOCOLS["as-published"], statistics_from=fold.train)
    assert not kinds(leaks, allowed=False)
    shared = kinds(leaks, allowed=True)
    assert shared["speaker also in training"] == 144
    utterance = ["speaker", "emotion", "intensity", "sentence"]
    rows = clips.set_index("clip")[utterance].agg("|".join, axis=1)
    expected = rows[list(fold.test)].isin(set(rows[list(fold.train)])).sum()
    assert shared["other take of the same utterance in training"] == expected > 100


def planted(clips, move):
    """A clean fold into whose training part clips are moved or copied by ``move``."""
    fold = folds(clips, "speaker-independent")[1]  # tests actor 7, who has the duplicate pair
    return Fold(fold.number, *move(fold))


def test_a_test_clip_in_training_is_found(clips):
    fold = planted(clips, lambda f: ((*f.train, f.test[0]), f.validation, f.test))
    found = kinds(audit(clips, fold, APART), allowed=False)
    assert found["clip also in training"] == 1
    assert found["speaker also in training"] > 1
    with pytest.raises(DataError, match=fold.test[0]):
        refuse_leaks(audit(clips, fold, APART), where="here")


def test_the_byte_identical_pair_of_ravdess_is_found(clips):
    pair = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    fold = planted(clips, lambda f: ((*f.train, pair[1]), f.validation, (pair[0],)))
    found = kinds(audit(clips, fold, APART), allowed=False)
    assert found["byte-identical sound in training"] == 1


def test_an_augmented_copy_and_a_segment_of_a_test_clip_are_found(clips):
    test = folds(clips, "speaker-independent")[0].test[0]
    copy = clips[clips["clip"] == test].assign(clip="copy", sha256="0", speaker="nobody", sentence="none", origin=test)
    table = clips.assign(origin=clips["clip"])
    table = table.merge(copy, how="outer")
    fold = folds(clips, "speaker-independent")[0]
    leaky = Fold(0, (*fold.train, "copy"), fold.validation, fold.test)
    assert kinds(audit(table, leaky, APART), allowed=False) == {"copy or segment of a training clip": 1}


def test_a_test_clip_in_fitted_statistics_is_found_unless_the_protocol_is_transductive(clips):
    fold = folds(clips, "speaker-independent")[0]
    everything = tuple(clips["clip"])
    assert kinds(audit(clips, fold, APART, statistics_from=everything), allowed=False) == {
        "test clip in fitted statistics": len(fold.test)
    }
    assert not audit(clips, fold, APART, statistics_from=fold.train)
    transductive = PROTOCOLS["speaker-normalised"]
    assert not kinds(audit(clips, fold, transductive, statistics_from=everything), allowed=False)


def test_a_test_clip_that_chooses_the_epoch_is_found(clips):
    fold = planted(clips, lambda f: (f.train, f.test[:5], f.test))
    assert kinds(audit(clips, fold, APART), allowed=False)["test clip chooses the epoch"] == 5


def test_a_validation_speaker_in_training_is_found(clips):
    fold = planted(clips, lambda f: ((*f.train, f.validation[0]), f.validation, f.test))
    assert "validation speaker also in training" in kinds(audit(clips, fold, APART), allowed=False)


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="speaker-independent"):
        get_protocol("loso")
