"""Protocols and the leak audit: every leak that is planted must be found, and a clean split must be clean."""

import numpy as np
import pytest
from sklearn.model_selection import KFold, train_test_split

from sernb.config import DataError
from sernb.corpora import CORPORA, corpus_named, read_index
from sernb.experiment import labelled
from sernb.features import LogMel
from sernb.splits import PROTOCOLS, Fold, audit, fingerprint, folds_of, protocol_named, refuse_leaks
from sernb.systems import SYSTEMS, system_named

APART = PROTOCOLS["speaker-independent"]
CLEAN = [name for name in PROTOCOLS if not PROTOCOLS[name].shares_speakers]


@pytest.fixture
def clips():
    return read_index(corpus_named("ravdess"))


def folds(clips, protocol, system="multiscale-cnn", corpus="ravdess"):
    record = system_named(system)
    return folds_of(
        clips, corpus_named(corpus), PROTOCOLS[protocol],
        published=record.published_split, seed=0, tests_choose=record.tests_choose,
    )  # fmt: skip


def kinds(leaks, *, allowed):
    return {leak.kind: leak.count for leak in leaks if leak.allowed is allowed}


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("protocol", CLEAN)
def test_speakers_are_kept_apart_and_every_clip_is_tested_once(corpus, system, protocol):
    clips = labelled(corpus_named(corpus), system_named(system))
    speaker = dict(zip(clips["clip"], clips.speaker, strict=True))
    made = folds(clips, protocol, system, corpus)
    assert sorted(clip for fold in made for clip in fold.test) == sorted(clips["clip"])
    for fold in made:
        heard = [{speaker[clip] for clip in part} for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, heard)) == len(set.union(*heard)), "no speaker is in two parts"
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(clips)
        assert not [leak for leak in audit(clips, fold, PROTOCOLS[protocol]) if not leak.allowed]


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
    clips = labelled(corpus_named("ravdess"), system_named("statistics-svm"))
    (fold,) = folds(clips, "as-published", "statistics-svm")
    train, test = train_test_split(clips["clip"].to_numpy(), test_size=0.2, random_state=123)
    assert (set(fold.train), set(fold.test)) == (set(train), set(test))
    assert (len(train), len(test)) == (1075, 269), "as in the published notebook"


def test_same_seed_same_folds(clips):
    for protocol in PROTOCOLS:
        for system in SYSTEMS:
            assert folds(clips, protocol, system) == folds(clips, protocol, system)


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


def test_a_louder_or_quieter_copy_is_found_by_sound(clips, rng):
    fold = folds(clips, "speaker-independent")[0]
    fold = Fold(0, fold.train[:40], (), fold.test[:40])
    sounds = {clip: rng.standard_normal(16_000).astype(np.float32) for clip in (*fold.train, *fold.test)}
    vectors = {clip: fingerprint(LogMel()(sound)) for clip, sound in sounds.items()}
    assert not audit(clips, fold, APART, fingerprints=vectors)
    vectors[fold.train[3]] = fingerprint(LogMel()(0.25 * sounds[fold.test[8]]))
    (leak,) = audit(clips, fold, APART, fingerprints=vectors)
    assert (leak.kind, leak.examples, leak.allowed) == ("near-identical sound in training", (fold.test[8],), False)


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="speaker-independent"):
        protocol_named("loso")
