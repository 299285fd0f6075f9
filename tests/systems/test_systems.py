"""Each system does what its authors published: shapes, parameters, targets, choices."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from sernb.config import DataError
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.protocols.labels import EIGHT, LABEL_SETS
from sernb.runs.planning import plan
from sernb.systems import multiscale_cnn, statistics_svm
from sernb.systems.base import Examples, Task
from sernb.systems.learning.kernel_svm import scores_from_decisions
from sernb.systems.registry import MODULES, SYSTEMS, get_system


def task(rng, *, clips=60, width=200, classes=3, frames=1, speaker_independent=False, validation=0):
    """Clips whose class shows in the mean of their features."""

    def part(count):
        truth = np.arange(count) % classes
        features = tuple(rng.normal(label, 1, (frames, width)).astype(np.float32) for label in truth)
        about = pd.DataFrame(
            {"speaker": [f"s{n % 6}" for n in range(count)], "gender": ["mf"[n % 2] for n in range(count)]}
        )
        return Examples(features, truth, about)

    return Task(part(clips), part(validation), EIGHT[:classes], speaker_independent, np.ones(clips, int), seed=0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_record_is_complete(name):
    system = get_system(name)
    assert system.name == name
    assert system.title
    assert system.source
    assert system.description
    assert system.views[0].name == "original"
    assert len({view.name for view in system.views}) == len(system.views)
    assert system.settings_for("full") == system.settings
    for figure in system.reported:
        assert figure.metric in {"war", "uar", "top3"}
        assert 0 < figure.value < 1
        assert figure.caveat


def test_an_unknown_system_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="multiscale-cnn"):
        get_system("resnet")


def test_label_sets_on_ravdess():
    emotions = read_index(get_corpus("ravdess")).emotion
    assert LABEL_SETS["eight"].truths(emotions).equals(emotions)
    seven = LABEL_SETS["calm-as-neutral"]
    counts = seven.truths(emotions).value_counts(dropna=False)
    assert len(seven.classes) == 7
    assert counts[list(seven.classes)].tolist() == [192] * 7
    assert counts.sum() - counts[list(seven.classes)].sum() == 96, "true neutral is dropped"
    assert (seven.truths(emotions) == "neutral").equals(emotions == "calm")


def test_majority_ranks_classes_by_their_frequency(rng):
    base = task(rng, clips=6)
    truth = np.array([2, 2, 2, 0, 0, 1])
    part = Examples(base.train.features, truth, base.train.clips)
    fitted = get_system("majority").fit(None, Task(part, base.validation, base.classes, False, truth, 0))
    np.testing.assert_allclose(fitted.scores((None,) * 4), [[2 / 6, 1 / 6, 3 / 6]] * 4)


@pytest.mark.parametrize("speaker_independent", [False, True])
def test_statistics_svm_learns_and_scores(rng, speaker_independent):
    given = task(rng, clips=90, speaker_independent=speaker_independent, validation=30)
    for part in (given.train, given.validation):  # each gender and emotion of several speakers, or no fold judges it
        part.clips["speaker"] = [f"s{n // 2 % 6}" for n in range(len(part))]
    fitted = get_system("statistics-svm").fit(statistics_svm.Settings(), given)
    unseen = task(rng, clips=30).train
    scores = fitted.scores(unseen.features)
    assert scores.shape == (30, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == unseen.truth).mean() > 0.9
    assert fitted.chosen["C"] in statistics_svm.Settings().penalties
    assert fitted.chosen["inner folds"] == ("by speaker" if speaker_independent else "by clip")


def test_statistics_svm_drops_gender_from_the_answer(rng):
    """The emotion of the best of fourteen gendered classes: as stripping the gender from the SVM's own answer."""
    truth, gender = rng.integers(0, 7, 200), rng.integers(0, 2, 200)
    rows = rng.normal(0, 1, (200, 20)) + np.eye(20)[truth] * 2 + np.eye(20)[7 + gender]
    machine = SVC(decision_function_shape="ovr", break_ties=True, gamma=0.05).fit(rows, gender * 7 + truth)
    fresh = rng.normal(0, 1, (100, 20)) + np.eye(20)[rng.integers(0, 7, 100)] * 2
    by_emotion = scores_from_decisions(machine.decision_function(fresh), machine.classes_, 7)
    np.testing.assert_array_equal(by_emotion.argmax(axis=1), machine.predict(fresh) % 7)


def test_statistics_svm_gives_an_emotion_it_never_heard_the_last_place():
    decision = np.array([[3.0, 1.0, 2.0]])
    by_emotion = scores_from_decisions(decision, np.array([0, 2, 3]), 4)
    assert by_emotion.argsort(axis=1).tolist() == [[1, 2, 3, 0]]


@pytest.mark.slow
def test_multiscale_cnn_has_the_published_size_and_reach():
    settings = multiscale_cnn.Settings()
    network = multiscale_cnn.compile_network(settings, multiscale_cnn.network(settings, (215, 39), 8))
    assert network.count_params() == 142_856
    assert network.output_shape == (None, 8)
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv1D"]
    assert [layer.dilation_rate[0] for layer in convolutions[1:]] == [2**k for k in range(8) for _ in range(2)]
    reach = 1 + sum(layer.dilation_rate[0] * (layer.kernel_size[0] - 1) for layer in convolutions)
    assert reach == 511
    optimizer = network.optimizer.get_config()
    assert (optimizer["beta_1"], optimizer["beta_2"], optimizer["epsilon"]) == (0.93, 0.98, 1e-8)


@pytest.mark.slow
def test_multiscale_cnn_hears_only_the_past_before_it_averages(rng):
    """Causal: what comes later in the clip must not change what an earlier frame gives."""
    import keras

    network = multiscale_cnn.network(multiscale_cnn.Settings(), (40, 39), 8)
    joined = next(layer for layer in network.layers if type(layer).__name__ == "Concatenate")
    inner = keras.Model(network.input, joined.output)
    clip = rng.normal(0, 1, (1, 40, 39)).astype(np.float32)
    changed = clip.copy()
    changed[:, 25:] += 1
    before, after = (np.array(inner(values)) for values in (clip, changed))
    np.testing.assert_allclose(before[:, :25], after[:, :25], atol=1e-5)
    assert np.abs(before[:, 25:] - after[:, 25:]).max() > 1e-3


def test_label_smoothing_fades_as_in_the_published_code(rng):
    """There, smoothing is applied in place, fold after fold, to the labels of the training clips."""
    base = task(rng, clips=8, classes=8)
    given = Task(base.train, base.validation, base.classes, False, np.array([1, 9, 10, 1, 1, 1, 1, 1]), 0)
    faded = multiscale_cnn.smooth_targets(multiscale_cnn.Settings(), given)
    np.testing.assert_allclose(faded.sum(axis=1), 1, rtol=1e-6)
    assert faded[0, 0] == pytest.approx(0.9125), "first fold: smoothed once"
    by_hand = np.eye(8)[1]
    for _ in range(9):
        by_hand = by_hand * 0.9 + 0.1 / 8
    np.testing.assert_allclose(faded[1], by_hand, rtol=1e-5)
    assert faded[1, 1] == pytest.approx(0.464, abs=0.001), "tenth fold: nine times, as the clip was once tested"
    constant = multiscale_cnn.smooth_targets(multiscale_cnn.Settings(smoothing_accumulates=False), given)
    np.testing.assert_allclose(constant.max(axis=1), 0.9125, rtol=1e-6)


# -- Networks -- #

PUBLISHED = {  # parameters as the fact sheet counts them; 003's are for CREMA-D's six emotions
    "multiscale-cnn": (8, (215, 39), 142_856),
    "tim-net": (8, (215, 39), 107_032),
    "light-sernet": (7, (184, 40), 463_431),
    "timedistributed-cnn-lstm": (7, (640, 128), 656_583),
    "dummynet-zcr": (6, (690, 42), 4_265_350),
    "dummynet-energy": (6, (690, 42), 4_265_350),
    "dummynet-zcr-energy": (6, (690, 42), 7_083_398),
    "dummynet-mel": (6, (690, 42), 114_464_134),
    "rezonet": (6, (690, 42), 41_236_956),
    "exponet": (6, (690, 42), 61_648_774),
    "cnn-ensemble": (6, (690, 42), 114_464_134 + 41_236_956 + 61_648_774 + (3 * 6 + 1) * 32 + 33 * 6),
}
OTHERS = {
    "cnn-ensemble-mean": (6, (690, 42), 114_464_134 + 41_236_956 + 61_648_774),
    "dummynet-zcr-16khz": (6, (626, 42), 4_265_350 - 256 * 128 * 8),  # 626 → 72 places instead of 80
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED | OTHERS)
def test_networks_have_the_published_size(name):
    from sernb.systems.inspection import build_network, count_parameters

    classes, shape, parameters = (PUBLISHED | OTHERS)[name]
    network = build_network(get_system(name), classes=classes)
    assert network.input_shape == (None, *shape)
    assert network.output_shape == (None, classes)
    assert count_parameters(get_system(name), classes=classes) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes", "millions"), [("tim-net", 8, 21.6), ("light-sernet", 7, 159)])
def test_multiply_adds_are_those_of_the_fact_sheet(name, classes, millions):
    from sernb.systems.inspection import build_network, count_multiply_adds

    assert count_multiply_adds(build_network(get_system(name), classes=classes)) / 1e6 == pytest.approx(
        millions, rel=0.02
    )


@pytest.mark.slow
def test_tim_net_hears_both_ways_alike(rng):
    """Backwards is forwards on the reversed clip: with equal weights, the network cannot tell the two apart."""
    system = get_system("tim-net")
    network = system.network(system.settings, (215, 39), 8)
    first, second = ([v for v in network.weights if v.shape == shape] for shape in [(1, 39, 39), (2, 39, 39)])
    for weights in (first, second):
        for weight in weights:
            weight.assign(rng.normal(0, 0.1, weight.shape) if weight is weights[0] else weights[0])
    clip = rng.normal(0, 1, (1, 215, 39)).astype(np.float32)
    np.testing.assert_allclose(network(clip), network(clip[:, ::-1]), atol=1e-5)


def test_light_sernet_tests_each_speaker_once():
    clips = pd.DataFrame({"speaker": list("abcacb")})
    folds = list(get_system("light-sernet").published_split(clips, 0))
    assert [sorted(set(clips.speaker[test])) for _, test in folds] == [["a"], ["b"], ["c"]]
    assert all(len(train) + len(test) == 6 for train, test in folds)


@pytest.mark.slow
def test_what_has_no_network_has_no_parameters():
    from sernb.systems.inspection import count_parameters

    assert count_parameters(get_system("statistics-svm")) is None


@pytest.mark.slow
def test_two_lstm_cells_are_one_more():
    from sernb.systems.inspection import count_parameters

    one, two = (count_parameters(get_system(f"timedistributed-cnn-lstm{end}")) for end in ("", "-two-cells"))
    assert two - one == 4 * 256 * (256 + 256 + 1)


@pytest.mark.slow
def test_multiply_adds_by_hand():
    from sernb.systems.inspection import count_multiply_adds, keras
    from sernb.systems.learning.layers import EachWindow

    layers = keras.layers
    image = keras.Input((6, 5, 2))
    inner = keras.Model(image, layers.Flatten()(layers.Conv2D(3, (2, 2))(image)))  # 5 × 4 places, 60 values
    given = keras.Input((7, 6, 5, 2))
    x = layers.LSTM(8)(EachWindow(inner, 7)(given))
    model = keras.Model(given, layers.Dense(4)(x))
    assert count_multiply_adds(model) == 7 * (5 * 4 * 2 * 2 * 2 * 3) + 7 * 4 * 8 * (60 + 8) + 8 * 4
    curve = keras.Input((20, 3))
    causal = layers.Conv1D(5, 4, strides=2, padding="same")(curve)  # 10 places
    assert count_multiply_adds(keras.Model(curve, layers.BatchNormalization()(causal))) == 10 * 4 * 3 * 5
    with pytest.raises(TypeError, match="Bilinear"):
        count_multiply_adds(keras.Model(curve, layers.SeparableConv1D(2, 3, name="Bilinear")(curve)))


@pytest.mark.slow
def test_multiply_adds_of_the_published_dummynet():
    """By hand: 690 → 686 → 341 → 337 → 167 → 163 → 80 places."""
    from sernb.systems.inspection import build_network, count_multiply_adds

    by_hand = 686 * 5 * 512 + 337 * 5 * 512 * 512 + 163 * 5 * 512 * 128 + 80 * 128 * 256 + 256 * 6
    assert count_multiply_adds(build_network(get_system("dummynet-zcr"), classes=6)) == by_hand


@pytest.mark.slow
def test_each_window_is_the_model_on_each_window(rng):
    from sernb.systems.inspection import keras
    from sernb.systems.learning.layers import EachWindow

    image = keras.Input((6, 5, 1))
    inner = keras.Model(image, keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(image)))
    given = keras.Input((4, 6, 5, 1))
    model = keras.Model(given, EachWindow(inner, 4)(given))
    windows = rng.normal(0, 1, (3, 4, 6, 5, 1)).astype(np.float32)
    expected = np.stack([np.asarray(inner(windows[:, window])) for window in range(4)], axis=1)
    assert model.output_shape == (None, 4, 24)
    np.testing.assert_allclose(np.asarray(model(windows)), expected, atol=1e-5)


# Narrow enough for a second; the input of the published length, in so few clips.
TINY = {
    "timedistributed-cnn-lstm": {"width": 0.0625, "parts": 1, "epochs": 3, "batch": 8, "learning_rate": 0.05},
    "dummynet-zcr-energy": {"width": 1 / 32, "epochs": 3, "batch": 8, "learning_rate": 0.01},
    "rezonet": {"width": 0.1, "epochs": 3, "batch": 8, "learning_rate": 0.001, "softmax_twice": False},
    "exponet": {"width": 1 / 128, "parts": 1, "epochs": 3, "batch": 8, "learning_rate": 0.01},
    "tim-net": {"filters": 6, "dilations": (1, 4, 16), "epochs": 3, "batch": 8, "learning_rate": 0.01},
    "light-sernet": {
        "branch_filters": 2, "filters": (4,) * 4, "last": 8, "epochs": 3, "batch": 8, "learning_rate": 0.01,
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_networks_learn(rng, name):
    system = get_system(name)
    shape = PUBLISHED[name][1]
    given = task(rng, clips=16, width=shape[1], frames=shape[0], validation=6)
    given = dataclasses.replace(given, copies=(given.train,))
    fitted = system.fit(dataclasses.replace(system.settings, **TINY[name]), given)
    losses = [row["loss"] for row in fitted.history]
    assert losses[-1] < losses[0]
    assert all(0 <= row["accuracy"] <= 1 and 0 <= row["validation_accuracy"] <= 1 for row in fitted.history)
    scores = fitted.scores(given.validation.features)
    assert scores.shape == (6, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("profile", ["full", "quick"])
@pytest.mark.parametrize("end", ["", "-narrow"])
@pytest.mark.parametrize("how", ["", "-mean"])
def test_the_runs_that_an_ensemble_joins_are_those_of_its_members_alone(end, how, profile):
    (whole,) = plan([f"cnn-ensemble{end}{how}"], "demo", ["speaker-independent"], folds=[0], profile=profile)
    names = [f"{name}{end}" for name in ("dummynet-mel", "rezonet", "exponet")]
    alone = plan(names, "demo", ["speaker-independent"], folds=[0], profile=profile)
    assert [member.folder for member in whole.members] == [each.folder for each in alone]
    assert whole.units == sum(each.units for each in alone)
    scores = [np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])]
    np.testing.assert_allclose(whole.system.combine(whole.settings, scores), [[0.5, 0.5]])


def answers_of_three(rng, truth):
    """One member calls each class by the name of the next, one guesses, one is right half of the time."""

    def sure(said):
        return 0.7 * np.eye(4)[said] + 0.3 * rng.dirichlet(np.ones(4), len(said))

    half = np.where(rng.uniform(size=len(truth)) < 0.5, truth, rng.integers(0, 4, len(truth)))
    return [sure((truth + 1) % 4), sure(rng.integers(0, 4, len(truth))), sure(half)]


@pytest.mark.parametrize("clips", [51, 261])
def test_the_ensemble_learns_whom_to_trust_from_validation_clips(rng, clips):
    """As many as the authors' split leaves on RAVDESS and on CREMA-D."""
    system, held_out, truth = get_system("cnn-ensemble"), np.arange(clips) % 4, rng.integers(0, 4, 400)
    join = system.fit_combiner(system.settings, answers_of_three(rng, held_out), held_out, 0)
    given = answers_of_three(rng, truth)
    scores = join(given)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == truth).mean() > 0.9
    assert (system.combine(system.settings, given).argmax(axis=1) == truth).mean() < 0.6, "the mean believes the liar"
    again = system.fit_combiner(system.settings, answers_of_three(np.random.default_rng(1), held_out), held_out, 0)
    assert again(given).shape == (400, 4)


def test_a_class_without_validation_clips_is_never_said_by_the_ensemble(rng):
    system, held_out = get_system("cnn-ensemble"), np.arange(60) % 3
    scores = system.fit_combiner(system.settings, answers_of_three(rng, held_out), held_out, 0)(
        answers_of_three(rng, held_out)
    )
    assert scores.shape == (60, 4)
    assert (scores[:, 3] == 0).all()


@pytest.mark.slow
def test_softmax_twice_cannot_fall_below_the_published_bound(rng):
    """PyTorch's CrossEntropyLoss on a softmax: 1.044 for six classes, however sure the network is."""
    from sernb.systems import curve_networks
    from sernb.systems.inspection import keras

    loss = curve_networks.softmax_and_cross_entropy
    sure, target = np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32)
    assert np.asarray(loss(target, sure)) == pytest.approx([np.log(np.e + 5) - 1] * 6)
    assert np.asarray(loss(target, sure))[0] == pytest.approx(1.044, abs=5e-4)
    settings = get_system("dummynet-zcr-narrow").settings
    network = get_system("dummynet-zcr").network
    given, answer = rng.normal(0, 1, (4, 690, 42)).astype(np.float32), np.eye(6, dtype=np.float32)[:4]
    for twice in (True, False):
        changed = dataclasses.replace(settings, softmax_twice=twice)
        model = curve_networks.compile_network(changed, network(changed, (690, 42), 6))
        assert model.optimizer.epsilon == 1e-8, "PyTorch's; Keras has 1e-7"
        scores = np.asarray(model(given), np.float64)
        again = np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)) if twice else np.log(scores)
        measured, _ = model.evaluate(given, answer, verbose=0)
        assert measured == pytest.approx(-np.mean(np.sum(answer * again, axis=1)), rel=1e-5)
    assert keras.backend.backend()


@pytest.mark.slow
def test_weight_decay_is_part_of_the_gradient_as_in_pytorch():
    """Adam's first step has the size of the learning rate and the sign of gradient + decay × weight."""
    from sernb.systems import curve_networks
    from sernb.systems.inspection import keras

    settings = curve_networks.Settings(learning_rate=0.01, batch=1, epochs=1, weight_decay=0.5)
    given = keras.Input((3,))
    model = keras.Model(given, curve_networks.dense(settings, 2, given))
    model.compile(keras.optimizers.Adam(0.01), lambda targets, answers: 0 * keras.ops.sum(answers), jit_compile=False)
    before = [np.array(value) for value in model.get_weights()]
    penalty = model.evaluate(np.ones((1, 3)), np.ones((1, 2)), verbose=0)
    assert penalty == pytest.approx(0.5 / 2 * sum((value**2).sum() for value in before), rel=1e-5)
    model.fit(np.ones((1, 3)), np.ones((1, 2)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old - 0.01 * np.sign(old), atol=1e-5)


def test_split_of_system_003_has_the_published_sizes():
    clips = pd.DataFrame({"truth": np.repeat(list("SADNHF"), [1271, 1271, 1271, 1087, 1271, 1271])})
    ((train, validation, test),) = get_system("exponet").published_split(clips, 0)
    assert (len(train), len(validation), len(test)) == (4948, 261, 2233)
    assert sorted(np.concatenate([train, validation, test])) == list(range(7442))
    counts = clips.truth.iloc[test].value_counts()
    assert sorted(counts) == [326, 381, 381, 381, 382, 382]


@pytest.mark.parametrize("system", ["rezonet", "multiscale-cnn", "statistics-svm"])
def test_published_splits_give_each_part_its_clips(system):
    fold = plan([system], "ravdess", ["as-published"])[0].fold
    if system == "rezonet":
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (956, 51, 433)
        assert not {*fold.validation} & {*fold.train, *fold.test}
    else:
        assert fold.validation == (fold.test if system == "multiscale-cnn" else ())


DECIDING = {"settings", "features", "labels", "training_views", "joining"}


def test_variants_are_known_by_name():
    for name in SYSTEMS:
        system = get_system(name)
        for variant in system.variants:
            assert get_system(variant.name) is variant
            assert [each.name for each in fields(system) if getattr(variant, each.name) != getattr(system, each.name)
                    and each.name in DECIDING], variant.name  # fmt: skip
    assert len({v.name for name in SYSTEMS for v in get_system(name).variants} | set(SYSTEMS)) == len(SYSTEMS) + sum(
        len(get_system(name).variants) for name in SYSTEMS
    )


def test_only_the_narrow_variant_stands_beside_the_authors_figures():
    for system in map(get_system, ("feature-cnn", "multitask-cnn", "timedistributed-cnn-lstm", "dummynet-mel")):
        variants = {variant.name.removeprefix(f"{system.name}-"): variant for variant in system.variants}
        narrow = variants.pop("narrow")
        assert [(each.metric, each.value) for each in narrow.reported] == [
            (each.metric, each.value) for each in system.reported
        ]
        assert all(each.caveat.startswith("at full size") for each in narrow.reported)
        assert not any(variant.reported for variant in variants.values()), "what nobody published"


def test_statistics_svm_variants_are_the_authors_table():
    variants = {variant.name: variant for variant in get_system("statistics-svm").variants}
    best = variants["statistics-svm-six-120-rbf"]
    assert best.reported[0].value == 0.7446
    assert "surprised" not in best.labels.classes
    assert len(best.labels.classes) == 6
    assert variants["statistics-svm-fourteen-120-rbf"].settings.gendered
    assert variants["statistics-svm-seven-all-linear"].settings.components is None
    assert sum("report" in figure.caveat for each in variants.values() for figure in each.reported) == 32


@pytest.mark.parametrize("kernel", ["linear", "poly2", "poly3"])
def test_kernels_of_the_statistics_svm_learn(rng, kernel):
    given = task(rng, clips=60, validation=0)
    settings = statistics_svm.Settings(kernel=kernel, components=None, penalties=(1, 10), gendered=False)
    fitted = get_system("statistics-svm").fit(settings, given)
    unseen = task(rng, clips=30).train
    correct = (fitted.scores(unseen.features).argmax(axis=1) == unseen.truth).mean()
    assert correct > (0.6 if kernel == "poly2" else 0.9), "an even function cannot tell the lowest from the highest"
    assert ("gamma" in fitted.chosen) == (kernel != "linear")
    assert fitted.chosen["components"] == fitted.chosen["features kept"], "no PCA"


def test_statistics_svm_refuses_an_unknown_kernel():
    with pytest.raises(DataError, match="poly2"):
        statistics_svm.Settings(kernel="cosine")


@pytest.mark.parametrize(("speakers", "expected"), [(1, "by clip"), (2, "by clip"), (6, "by speaker")])
def test_statistics_svm_says_when_too_few_speakers_train(rng, speakers, expected):
    """As on TESS, where one of two women trains."""
    given = task(rng, clips=60, speaker_independent=True)
    given.train.clips["speaker"] = [f"s{n % speakers}" for n in range(60)]
    given.train.clips["gender"] = "female"
    fitted = get_system("statistics-svm").fit(statistics_svm.Settings(penalties=(1,)), given)
    assert fitted.chosen["inner folds"] == expected


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_every_network_fits_on_jax(tmp_path):
    """In a process of its own: the backend is chosen once."""
    program = tmp_path / "fit_all.py"
    program.write_text(
        "import dataclasses, sys\nimport numpy as np\n"
        "from test_systems import PUBLISHED, TINY, task\nfrom sernb.systems.registry import get_system\n"
        "from sernb.runs.experiment import plan\nfrom sernb.systems.inspection import build_network, keras\n"
        "from sernb.runs.runner import prepare_for, run\n"
        "for name, (classes, shape, _) in PUBLISHED.items():\n"
        "    assert build_network(get_system(name), classes=classes).output_shape == (None, classes)\n"
        "for name, changes in TINY.items():\n"
        "    shape, system = PUBLISHED[name][1], get_system(name)\n"
        "    given = task(np.random.default_rng(0), clips=8, width=shape[1], frames=shape[0], validation=3)\n"
        "    settings = dataclasses.replace(system.settings, **{**changes, 'epochs': 1})\n"
        "    assert system.fit(settings, given).scores(given.validation.features).shape == (3, 3)\n"
        "    print(name)\n"
        "for name in ('multiscale-cnn', 'feature-cnn-narrow', 'multitask-cnn-narrow', 'sernet'):\n"
        "    (planned,) = plan([name], 'demo', ['speaker-independent'], folds=[0], train_clips=24)\n"
        "    planned = dataclasses.replace(planned, settings=dataclasses.replace(planned.settings, epochs=1))\n"
        "    prepare_for([planned])\n"
        "    assert len(run(planned).predictions) >= len(planned.fold.test)\n"
        "    print(name)\n"
        "assert keras.backend.backend() == 'jax'\n",
        "utf-8",
    )
    found_at = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": found_at, "SERNB_WORK": str(tmp_path / "work")}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    fitted = {MODULES.get(name, name) for name in done.stdout.replace("-narrow", "").split()}
    networks = {MODULES.get(name, name) for name in SYSTEMS if get_system(name).network}
    tested_elsewhere = {"whisper-finetuned"}
    assert networks - fitted - tested_elsewhere == {"cnn-ensemble"}, "whose members are three of the others"
