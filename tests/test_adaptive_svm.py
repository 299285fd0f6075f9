"""The SVM that knows its speakers: its features against librosa, its kernel against the explicit map, its use."""

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from sernb.audio import load, resample
from sernb.experiment import plan
from sernb.features import Functionals, RecordingFunctionals
from sernb.features.functionals import STATISTICS
from sernb.systems import Examples, Task, functionals_svm, sernet_functionals, system_named
from sernb.systems.adaptive_svm import Settings, fit


def examples(rng, *, clips=120, speakers=4, columns=30, opposed=False):
    """Three classes; each speaker has a place of its own, and where ``opposed`` shows emotions the other way round."""
    truth, speaker = np.arange(clips) % 3, np.arange(clips) // 3 % speakers
    sign = np.where(opposed & (speaker % 2 == 1), -1, 1)
    rows = np.eye(3, columns)[truth] * 2.0 * sign[:, None] + np.eye(speakers, columns, 5)[speaker] * 8.0
    features = tuple((row + rng.normal(0, 1, columns))[None].astype(np.float32) for row in rows)
    about = pd.DataFrame({"speaker": [f"s{number}" for number in speaker], "gender": "female"})
    return Examples(features, truth, about)


def task(given, *, apart=False):
    none = Examples((), np.zeros(0, int), given.about[:0])
    return Task(given, none, ("angry", "happy", "sad"), apart, np.ones(len(given), int), seed=0)


def right(fitted, unseen):
    return (fitted.scores(unseen.features).argmax(axis=1) == unseen.truth).mean()


def test_features_are_the_functionals_and_statistics_of_librosas_mfcc(recordings):
    signal = load(recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav", 22_050)
    features = RecordingFunctionals()
    (row,) = features(signal)
    assert row.shape == (features.width,) == (len(set(features.names)),)
    voice = Functionals()(resample(signal, original_rate=22_050, sampling_rate=16_000))
    np.testing.assert_array_equal(row[: voice.shape[1]], voice[0])
    spare = 110_000 - len(signal)
    assert spare > 0
    fitted = np.pad(signal, (spare // 2, spare - spare // 2))
    mfcc = librosa.feature.mfcc(y=fitted, sr=22_050, n_mfcc=39).T
    around = row[voice.shape[1] :].reshape(3, len(STATISTICS), 39)
    for found, part in zip(around, (mfcc, mfcc[:107], mfcc[107:]), strict=True):
        np.testing.assert_allclose(found[STATISTICS.index("mean")], part.mean(axis=0), rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(found[STATISTICS.index("std")], part.std(axis=0), rtol=1e-3, atol=1e-2)
    assert features.names[voice.shape[1] + 20 * 39] == "MFCC 00, first half: mean"


@pytest.mark.parametrize("own", [0.0, 0.5, 2.0])
def test_the_kernel_is_that_of_a_map_with_a_copy_for_each_speaker(rng, own):
    given, unseen = examples(rng), examples(rng)
    settings = Settings(own=own)
    fitted = fit(settings, task(given))

    rows, fresh = (np.concatenate(each.features).astype(float) for each in (given, unseen))
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    numbers, theirs = (each.about.speaker.str[1:].astype(int).to_numpy() for each in (given, unseen))

    def mapped(rows, numbers):
        scaled = np.clip((rows - mean) / deviation, -6, 6)
        trained = np.clip((np.concatenate(given.features) - mean) / deviation, -6, 6)
        of_speakers = [trained[given.about.speaker == f"s{number}"] for number in range(4)]
        centre = np.stack([clips.mean(axis=0) for clips in of_speakers])[numbers]
        spread = np.stack([clips.std(axis=0) for clips in of_speakers])[numbers] + settings.least_deviation
        relative = np.clip((scaled - centre) / spread, -6, 6) / np.sqrt(rows.shape[1])
        copies = np.sqrt(own) * np.eye(4)[numbers][:, :, None] * relative[:, None]
        return np.hstack([relative, copies.reshape(len(rows), -1)])

    machine = SVC(kernel="linear", C=settings.penalty, decision_function_shape="ovr", break_ties=True)
    machine.fit(mapped(rows, numbers), given.truth)
    decision = machine.decision_function(mapped(fresh, theirs))
    found = np.log(fitted.scores(unseen.features)) * fitted.chosen["temperature"]
    np.testing.assert_allclose(found[:, :1] - found[:, 1:], decision[:, :1] - decision[:, 1:], atol=0.03)


def test_speakers_who_show_emotions_differently_are_told_apart(rng):
    given, unseen = examples(rng, opposed=True), examples(rng, opposed=True)
    fitted = fit(Settings(own=2.0), task(given))
    assert fitted.chosen["inner clips whose speaker was found"] > 0.95
    assert fitted.chosen["inner folds"] == "by clip"
    same_for_all = fit(Settings(own=0.0), task(given))
    assert right(fitted, unseen) > right(same_for_all, unseen) + 0.1


def test_where_a_speaker_lies_does_not_matter(rng):
    def moved(part):
        away = [row + 3 * (speaker == "s1") for row, speaker in zip(part.features, part.speakers, strict=True)]
        return Examples(tuple(away), part.truth, part.about)

    given, unseen = examples(rng), examples(rng)
    there = fit(Settings(), task(moved(given))).scores(moved(unseen).features)
    here = fit(Settings(), task(given)).scores(unseen.features)
    assert (there.argmax(axis=1) == here.argmax(axis=1)).mean() > 0.95
    assert (here.argmax(axis=1) == unseen.truth).mean() > 0.65, "chance is a third"


def test_one_speaker_alone_and_speakers_never_heard_get_answers(rng):
    for given in (examples(rng, speakers=1), examples(rng, speakers=8)):
        fitted = fit(Settings(), task(given, apart=True))
        scores = fitted.scores(examples(rng, clips=9, speakers=3).features)
        np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert fitted.chosen["inner folds"] == "by speaker"
    assert fitted.chosen["inner clips whose speaker was found"] == 0, "held-out speakers cannot be found"


def test_with_speakers_unmoved_and_equal_it_is_the_functionals_machine(rng):
    """No speaker counts more, one speaker in all: the linear SVM of functionals-svm on what is standardised twice."""
    given, unseen = examples(rng, speakers=1), examples(rng, speakers=1)
    ours = fit(Settings(own=0.0, least_deviation=0.0), task(given))
    theirs = functionals_svm.fit(functionals_svm.Settings(penalties=(10.0,)), task(given))
    raw = [np.log(each.scores(unseen.features)) * each.chosen["temperature"] for each in (ours, theirs)]
    np.testing.assert_allclose(*[logits - logits.mean(axis=1, keepdims=True) for logits in raw], atol=1e-5)


def test_the_variant_multiplies_the_long_network_with_it():
    (whole,) = plan(["sernet-functionals-adaptive"], "demo", ["as-published"], folds=[0])
    assert [each.system.name for each in whole.members] == ["sernet-long", "adaptive-svm"]
    assert [each.settings for each in whole.members] == [
        system_named("sernet-long").settings,
        system_named("adaptive-svm").settings,
    ]
    network, machine = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.7, 0.1]])
    product = network**whole.settings.share * machine
    found = sernet_functionals.joined(whole.settings, [network, machine])
    np.testing.assert_allclose(found, product / product.sum(), rtol=1e-6)
