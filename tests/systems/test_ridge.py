"""Ridge regression, for all and for speakers who trained: against sklearn and librosa, and the explicit map."""

import dataclasses

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sernb.audio.reading import load, resample
from sernb.features import Functionals, RecordingFunctionals
from sernb.features.functionals import STATISTICS
from sernb.runs.planning import plan
from sernb.systems import functionals_ridge, sernet_functionals
from sernb.systems.adaptive_ridge import Settings, fit
from sernb.systems.base import Examples, Task
from sernb.systems.learning import rbf_ridge
from sernb.systems.learning.kernel_ridge import make_targets, solve_coefficients
from sernb.systems.learning.linear_classifier import classifier_from_arrays
from sernb.systems.registry import get_system


def examples(rng, *, clips=120, speakers=4, columns=30, opposed=False):
    """Three classes; each speaker has a place of its own, and where ``opposed`` shows emotions the other way round."""
    truth, speaker = np.arange(clips) % 3, np.arange(clips) // 3 % speakers
    sign = np.where(opposed & (speaker % 2 == 1), -1, 1)
    rows = np.eye(3, columns)[truth] * 2.0 * sign[:, None] + np.eye(speakers, columns, 5)[speaker] * 8.0
    features = tuple((row + rng.normal(0, 1, columns))[None].astype(np.float32) for row in rows)
    about = pd.DataFrame({"speaker": [f"s{number}" for number in speaker], "gender": "female"})
    return Examples(features, truth, about)


def task(given, *, apart=False):
    none = Examples((), np.zeros(0, int), given.clips[:0])
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
    settings = Settings(own=own, penalties=(0.1,))
    fitted = fit(settings, task(given))

    rows, fresh = (np.concatenate(each.features).astype(float) for each in (given, unseen))
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    numbers, theirs = (each.clips.speaker.str[1:].astype(int).to_numpy() for each in (given, unseen))

    def mapped(rows, numbers):
        scaled = np.clip((rows - mean) / deviation, -6, 6)
        trained = np.clip((np.concatenate(given.features) - mean) / deviation, -6, 6)
        of_speakers = [trained[given.clips.speaker == f"s{number}"] for number in range(4)]
        centre = np.stack([clips.mean(axis=0) for clips in of_speakers])[numbers]
        spread = np.stack([clips.std(axis=0) for clips in of_speakers])[numbers] + settings.least_deviation
        relative = np.clip((scaled - centre) / spread, -6, 6) / np.sqrt(rows.shape[1])
        copies = np.sqrt(own) * np.eye(4)[numbers][:, :, None] * relative[:, None]
        return np.hstack([relative, copies.reshape(len(rows), -1)])

    trained = mapped(rows, numbers)
    size = (trained**2).sum(axis=1).mean()
    machine = Ridge(alpha=0.1 * size, fit_intercept=False).fit(trained, 3 * np.eye(3)[given.truth] - 1)
    said = machine.predict(mapped(fresh, theirs))
    found = np.log(fitted.scores(unseen.features)) * fitted.chosen["temperature"]
    np.testing.assert_allclose(found[:, :1] - found[:, 1:], said[:, :1] - said[:, 1:], atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_functionals_ridge_is_that_of_sklearn(rng, classes):
    given, unseen = examples(rng), examples(rng)
    given, unseen = (Examples(each.features, each.truth % classes, each.clips) for each in (given, unseen))
    none = Examples((), np.zeros(0, int), given.clips[:0])
    fitted = functionals_ridge.fit(
        functionals_ridge.Settings(penalties=(0.3,)),
        Task(given, none, tuple("abc"[:classes]), True, np.ones(len(given), int), seed=0),
    )
    rows, fresh = (np.concatenate(each.features).astype(float) for each in (given, unseen))
    columns = rows.shape[1]
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=0.3 * columns, fit_intercept=False))  # its rows' mean square
    said = theirs.fit(rows, classes * np.eye(classes)[given.truth] - 1).predict(fresh)
    found = np.log(fitted.scores(unseen.features)) * fitted.chosen["temperature"]
    np.testing.assert_allclose(found[:, :1] - found[:, 1:], said[:, :1] - said[:, 1:], atol=1e-4)
    assert fitted.chosen["inner folds"] == "by speaker"


@pytest.mark.parametrize("groups", [(slice(None),), (slice(0, 10), slice(10, 30))])
def test_rbf_ridge_is_that_of_sklearn_with_the_mean_of_the_kernels(rng, groups):
    given, unseen = task(examples(rng), apart=True), examples(rng)
    fitted = rbf_ridge.fit_rbf_ridge(rbf_ridge.Settings(penalties=(0.1,), gammas=(0.3,)), given, groups)
    scaler = StandardScaler().fit(np.concatenate(given.train.features))
    rows, fresh = (scaler.transform(np.concatenate(each.features)) for each in (given.train, unseen))

    def mean_kernel(left, right):
        kernels = [rbf_kernel(left[:, each], right[:, each], 0.3 / left[:, each].shape[1]) for each in groups]
        return np.mean(kernels, axis=0)

    theirs = KernelRidge(alpha=0.1, kernel="precomputed")
    said = theirs.fit(mean_kernel(rows, rows), 3 * np.eye(3)[given.train.truth] - 1).predict(mean_kernel(fresh, rows))
    found = np.log(fitted.scores(unseen.features)) * fitted.chosen["temperature"]
    np.testing.assert_allclose(found[:, :1] - found[:, 1:], said[:, :1] - said[:, 1:], atol=1e-4)
    assert fitted.chosen["inner folds"] == "by speaker"


def test_the_penalty_with_the_highest_inner_uar_is_chosen(rng):
    given = task(examples(rng), apart=True)
    grid = (0.01, 1.0, 300.0)
    alone = {p: functionals_ridge.fit(functionals_ridge.Settings(penalties=(p,)), given).chosen for p in grid}
    chosen = functionals_ridge.fit(functionals_ridge.Settings(penalties=grid), given).chosen
    assert chosen == max(alone.values(), key=lambda each: each["inner UAR"])


def test_penalty_and_gamma_with_the_highest_inner_uar_are_chosen(rng):
    given = task(examples(rng), apart=True)
    grid = rbf_ridge.Settings(penalties=(0.01, 10.0), gammas=(0.01, 3.0))
    alone = [
        rbf_ridge.fit_rbf_ridge(rbf_ridge.Settings(penalties=(penalty,), gammas=(gamma,)), given).chosen
        for gamma in grid.gammas
        for penalty in grid.penalties
    ]
    assert rbf_ridge.fit_rbf_ridge(grid, given).chosen == max(alone, key=lambda each: each["inner UAR"])


def test_with_a_clip_per_class_penalty_and_gamma_are_the_middle_ones(rng):
    fitted = rbf_ridge.fit_rbf_ridge(rbf_ridge.Settings(), task(examples(rng, clips=3), apart=True))
    assert (fitted.chosen["gamma"], fitted.chosen["penalty"], fitted.chosen["temperature"]) == (0.3, 0.1, 1.0)


def test_coefficients_solve_their_equations(rng):
    rows = rng.normal(0, 1, (20, 5))
    kernel, targets = rows @ rows.T, make_targets(np.arange(20) % 4, 4)
    for penalty, found in zip((0.1, 2.0), solve_coefficients(kernel, targets, (0.1, 2.0)), strict=True):
        size = np.diag(kernel).mean()
        np.testing.assert_allclose((kernel + penalty * size * np.eye(20)) @ found, targets, atol=1e-9)


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
        return Examples(tuple(away), part.truth, part.clips)

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


@pytest.mark.parametrize("name", ["functionals-ridge", "adaptive-ridge"])
def test_a_class_never_heard_comes_last(rng, name):
    given, system = examples(rng), get_system(name)
    shifted = Examples(given.features, given.truth + 1, given.clips)
    none = Examples((), np.zeros(0, int), given.clips[:0])
    classes = ("unheard", "angry", "happy", "sad")
    fitted = system.fit(system.settings, Task(shifted, none, classes, True, np.ones(len(given), int), seed=0))
    scores = fitted.scores(examples(rng).features)
    assert (scores.argmin(axis=1) == 0).all()
    if fitted.weights:
        machine = classifier_from_arrays(fitted.weights, temperature=fitted.chosen["temperature"])
        rows = np.concatenate(given.features)
        np.testing.assert_allclose(machine(rows), fitted.scores(given.features), atol=1e-4)


@pytest.mark.parametrize(
    ("end", "names"),
    [
        ("ridge", ["sernet", "functionals-ridge"]),
        ("ridge-light", ["sernet", "functionals-ridge", "light-sernet-short"]),
    ],
)
def test_the_variants_multiply_the_network_with_ridge_regression_and_another(end, names):
    (whole,) = plan([f"sernet-functionals-{end}"], "demo", ["speaker-independent"], folds=[0])
    assert [each.system.name for each in whole.members] == names
    assert [each.settings for each in whole.members] == [get_system(name).settings for name in names]
    assert whole.units == sum(each.units for each in whole.members)
    scores = [np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.7, 0.1]]), np.array([[0.3, 0.3, 0.4]])][: len(names)]
    for share in (1.0, 0.5):
        product = scores[0] ** share * np.prod(scores[1:], axis=0)
        found = sernet_functionals.combine(dataclasses.replace(whole.settings, share=share), scores)
        np.testing.assert_allclose(found, product / product.sum(), rtol=1e-6)


def test_layers_are_mixed_by_what_inner_folds_say(rng):
    """Of three layers one tells classes apart: it is found, and the machine is sklearn's ridge on it alone."""
    from sernb.systems.learning.ridge import fit_ridge

    truth = np.arange(120) % 3
    noise = rng.normal(0, 1, (120, 3, 10))
    noise[:, 1] += np.eye(3, 10)[truth] * 2
    about = pd.DataFrame({"speaker": [f"s{n % 6}" for n in range(120)], "gender": "female"})
    given = Examples(tuple(row.reshape(1, -1).astype(np.float32) for row in noise), truth, about)
    groups = [slice(0, 10), slice(10, 20), slice(20, 30)]
    settings = functionals_ridge.Settings(penalties=(0.3,))
    fitted = fit_ridge(task(given, apart=True), settings, groups, mix=True)
    assert fitted.chosen["layers"] == "1"
    assert fitted.chosen["layer weights"] == "0.00 1.00 0.00"
    rows = np.concatenate(given.features).astype(float)[:, 10:20]
    scaled = np.clip((rows - rows.mean(axis=0)) / rows.std(axis=0), -6, 6)
    penalty = 0.3 * (scaled**2).sum(axis=1).mean()
    expected = Ridge(alpha=penalty, fit_intercept=False).fit(scaled, make_targets(truth, 3)).coef_
    np.testing.assert_allclose(fitted.weights["planes"][:, 10:20], expected, rtol=1e-4, atol=1e-6)
    assert not fitted.weights["planes"][:, :10].any()
    assert not fitted.weights["planes"][:, 20:].any()
    machine = classifier_from_arrays(fitted.weights, temperature=fitted.chosen["temperature"])
    np.testing.assert_allclose(machine(np.concatenate(given.features)), fitted.scores(given.features), atol=1e-5)


def test_mixed_groups_count_alike_unless_one_is_better(rng):
    """Whatever is chosen, its weights sum to 1, and none is below 0."""
    from sernb.systems.learning.ridge import fit_ridge

    given = examples(rng)
    groups = [slice(0, 15), slice(15, 30)]
    fitted = fit_ridge(task(given, apart=True), functionals_ridge.Settings(), groups, mix=True)
    shares = np.array(fitted.chosen["layer weights"].split(), float)
    assert shares.sum() == pytest.approx(1, abs=0.01)
    assert (shares >= 0).all()
    assert right(fitted, examples(rng)) > 0.8
