"""Our network: what it hears, how clips are altered, that their padding is not heard; and what it says with an SVM."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates
from test_systems import task

from sernb.evaluation import ccc
from sernb.features import LogMel, SpeechMel
from sernb.results.protocol_cards import protocol_cards
from sernb.runs.planning import plan
from sernb.runs.run_folder import read_run
from sernb.runs.runner import run, run_many
from sernb.systems import sernet, sernet_functionals
from sernb.systems.base import Examples, Task
from sernb.systems.registry import get_system

STILL = sernet.Settings(stretch=0, warp=0, masked_bands=0, masked_frames=0, mixup=0)


@pytest.fixture
def clips(rng):
    """Clips of different lengths."""
    return [rng.normal(-40, 15, (frames, 64)).astype(np.float32) for frames in (30, 57, 90, 41)]


# -- What it hears -- #


def test_the_quiet_before_and_after_speech_is_left_out(rng):
    speech = rng.standard_normal(8000).astype(np.float32)
    quiet = np.zeros(8000, np.float32)
    kind = SpeechMel()
    heard = kind(np.concatenate([quiet, speech, quiet]))
    whole = LogMel(hop=256)(np.concatenate([quiet, speech, quiet]))
    loud = np.flatnonzero(whole.max(axis=1) >= whole.max() - 40)
    np.testing.assert_array_equal(heard, whole[loud[0] - 3 : loud[-1] + 4])
    assert abs(len(heard) - 8000 / 256) < 10
    assert kind(np.zeros(0, np.float32)).shape[1] == len(kind.names) == 64
    np.testing.assert_array_equal(kind(speech), LogMel(hop=256)(speech))


def test_clips_of_different_lengths_stand_side_by_side(clips):
    heard = sernet.collate(clips)
    assert heard.shape == (4, 90, 65)
    for row, clip in zip(heard, clips, strict=True):
        np.testing.assert_array_equal(row[: len(clip), :-1], clip)
        assert row[:, -1].tolist() == [1] * len(clip) + [0] * (90 - len(clip))
        assert not row[len(clip) :].any()


# -- How clips are altered -- #


def test_without_alterations_a_clip_stays_what_it_is(clips, rng):
    heard, targets = sernet.collate(clips), np.eye(4, dtype=np.float32)
    same, kept = sernet.augment(replace(STILL, frames=90), rng, heard, targets)
    inside = heard[..., -1:]
    np.testing.assert_allclose(same * inside, heard, atol=2e-5)
    np.testing.assert_array_equal(same[..., -1:], inside)
    np.testing.assert_array_equal(kept, targets)
    mean = np.concatenate(clips).mean(axis=0)
    np.testing.assert_allclose(same[0, 30:, :-1], np.tile(mean, (60, 1)), atol=1e-4)


def test_a_long_clip_gives_a_section(clips, rng):
    heard = sernet.collate(clips)
    cut, _ = sernet.augment(replace(STILL, frames=20), rng, heard, np.eye(4, dtype=np.float32))
    assert cut.shape == (4, 20, 65)
    for section, clip in zip(cut[..., :-1], clips, strict=True):
        start = np.abs(clip[:, None] - section[0]).sum(axis=2).argmin()
        np.testing.assert_allclose(section, clip[start : start + 20], atol=2e-5)


def test_stretching_and_warping_are_linear_interpolation(clips):
    """As SciPy interpolates what departs from the mean, at the same places."""
    mean = np.concatenate(clips).mean(axis=0, dtype=np.float64)
    settings = replace(STILL, stretch=0.2, warp=0.2, frames=200)
    heard = sernet.collate(clips)
    bent, _ = sernet.augment(settings, np.random.default_rng(3), heard, np.eye(4, dtype=np.float32))
    longer, higher = (1 + np.random.default_rng(3).uniform(-1, 1, (4, 2)) * 0.2).T
    for result, clip, stretch, warp in zip(bent, clips, longer, higher, strict=True):
        frames = round(len(clip) * stretch)
        assert result[:, -1].sum() == frames
        places = np.meshgrid(np.linspace(0, len(clip) - 1, frames), np.minimum(np.arange(64) * warp, 63), indexing="ij")
        expected = map_coordinates(clip - mean, places, order=1, mode="nearest")
        np.testing.assert_allclose(result[:frames, :-1], expected + mean, atol=1e-3)


def test_masks_hide_bands_and_frames(clips, rng):
    settings = replace(STILL, masked_bands=10, masked_frames=16, frames=90)
    heard = sernet.collate(clips)
    hidden = []
    for _ in range(50):
        masked, _ = sernet.augment(settings, rng, heard, np.eye(4, dtype=np.float32))
        same = np.isclose(masked[2, :, :-1], heard[2, :, :-1], atol=1e-4)
        hidden.append((int((~same).all(axis=0).sum()), int((~same).all(axis=1).sum())))
        assert same[~(~same).all(axis=1)][:, ~(~same).all(axis=0)].all(), "what is not masked stays"
    bands, frames = np.array(hidden).T
    assert (bands.min(), bands.max(), frames.min(), frames.max()) == (0, 10, 0, 16)


def test_mixing_takes_as_much_of_the_target_as_of_the_clip(rng):
    settings = replace(STILL, mixup=0.3, frames=8)
    levels = np.arange(16, dtype=np.float32)
    heard = sernet.collate([np.full((8, 64), level, np.float32) for level in levels])
    mixed, targets = sernet.augment(settings, rng, heard, np.eye(16, dtype=np.float32))
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0], targets @ levels, atol=1e-4)
    assert (targets.argmax(axis=1) == np.arange(16)).all(), "the larger share is the clip's own"
    assert targets.max(axis=1).min() < 0.99


# -- Network and training -- #


@pytest.mark.slow
def test_network_is_small():
    from sernb.systems.inspection import build_network, count_multiply_adds, count_parameters

    system = get_system("sernet")
    # 65 columns come in; by hand: convolutions, batch normalisation (four values a channel), dense layers
    normalised = 2 * 64 + 4 * (5 * 64 + 128 + 256)
    weights = 5 * 64 * 64 + 4 * 3 * 64 * 64 + 64 * 128 + (128 * 32 + 32) + (32 * 128 + 128) + (256 * 8 + 8)
    assert count_parameters(system) == weights + normalised <= 107_000
    frames = len(system.features(np.random.default_rng(0).standard_normal(48_000)))
    half = -(-frames // 2)
    pooled = half * (64 * 128 + 2 * 128 * 32)
    assert count_multiply_adds(build_network(system)) == half * (5 * 64 * 64 + 4 * 3 * 64 * 64) + pooled + 256 * 8


@pytest.fixture(scope="module", params=[32, 0])
def trained(request):
    """A network with weights that make answers differ, and how it was set."""
    from sernb.systems.learning.training import keras

    settings, rng = sernet.Settings(attention=request.param), np.random.default_rng(1)
    model = sernet.network(settings, (None, 64), 8)
    for variable in model.weights:
        drawn = rng.normal(0, 0.15, variable.shape)
        variable.assign(np.abs(drawn) + 0.1 if "variance" in variable.path else drawn)
    weights = {f"{n:03d} {each.path}": keras.ops.convert_to_numpy(each) for n, each in enumerate(model.weights)}
    return settings, model, weights


@pytest.mark.slow
def test_the_network_hears_no_padding_and_answers_without_keras_as_with_it(clips, trained):
    from sernb.systems.learning.training import predictions

    settings, model, weights = trained
    heard = [clip / 15 for clip in clips]  # 30, 57, 90 and 41 frames
    alone = np.concatenate([predictions(model, [clip], collate=sernet.collate) for clip in heard])
    np.testing.assert_allclose(predictions(model, heard, collate=sernet.collate), alone, atol=1e-6)
    np.testing.assert_allclose(sernet.to_numpy(settings, weights)(heard), alone, atol=1e-6)
    assert np.ptp(alone, axis=0).max() > 1e-3


@pytest.mark.slow
def test_weights_of_another_network_are_refused(trained):
    settings, _, weights = trained
    with pytest.raises(ValueError, match="arrays are expected"):
        sernet.to_numpy(replace(settings, dilations=(1, 2)), weights)


@pytest.mark.slow
def test_it_learns_from_training_and_validation_speakers_and_ends_with_the_last_epoch(rng):
    settings = sernet.Settings(filters=16, pooled=16, epochs=30, batch=8, frames=24, learning_rate=0.01, last_dropout=0)
    given = task(rng, clips=48, width=64, classes=3, frames=20, speaker_independent=True, validation=12)
    fitted = sernet.fit(settings, given)
    assert [row["epoch"] for row in fitted.history] == list(range(1, 31))
    assert fitted.chosen == {"epoch": 30}
    assert fitted.history[-1]["loss"] < 0.8 * fitted.history[0]["loss"]
    unseen = task(rng, clips=30, width=64, frames=20).train
    scores = fitted.scores(unseen.features)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores.argmax(axis=1) == unseen.truth).mean() > 0.8
    mean = next(value for name, value in fitted.weights.items() if "standardised" in name and "mean" in name)
    heard = np.concatenate([*given.train.features, *given.validation.features])
    np.testing.assert_allclose(mean, heard.mean(axis=0), rtol=1e-4)


@pytest.mark.slow
def test_it_learns_a_number(rng):
    """How loud the upper bands are; what is predicted is in the unit of the truth, one number a clip."""

    def examples(count: int) -> Examples:
        truth = rng.uniform(100, 200, count)
        clips = [rng.normal(-40, 3, (int(rng.integers(30, 60)), 64)).astype(np.float32) for _ in truth]
        for clip, value in zip(clips, truth, strict=True):
            clip[:, 32:] += np.float32((value - 150) / 4)
        return Examples(clips, truth, pd.DataFrame({"speaker": rng.choice(list("abcd"), count), "gender": ""}))

    train, test = examples(64), examples(40)
    given = Task(train, train[:0], (), speaker_independent=True, times_trained=np.ones(64, int), seed=0)
    settings = replace(STILL, filters=8, dilations=(1,), pooled=8, attention=0, frames=48, epochs=12, batch=8)
    fitted = sernet.fit(replace(settings, mixup=0.3), given)
    predicted = fitted.scores(test.features)
    assert predicted.shape == (40,)
    assert ccc(test.truth, predicted) > 0.5
    assert fitted.chosen["mean"] == pytest.approx(train.truth.mean())
    assert {"loss", "rmse"} <= set(fitted.history[-1])
    assert get_system("sernet-regression").network(settings, (None, 64), 0).output_shape == (None, 1)


@pytest.fixture(scope="module")
def done(tmp_path_factory, share_features):
    """A run of two networks and ridge regression together on the demo, those of its members, and where they lie."""
    folder = share_features(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(folder))
        given = {"profile": "quick", "folds": [0]}
        (whole,) = plan(["sernet-functionals-ridge-light"], "demo", ["speaker-independent"], **given)
        first, second = whole.settings.sernet, whole.settings.light_sernet_short
        networks = {"sernet": replace(first, epochs=2), "light_sernet_short": replace(second, epochs=1)}
        whole = replace(whole, settings=replace(whole.settings, share=2.0, **networks))
        (finished,) = run_many([whole], jobs=1, progress=False)
    return whole, finished, folder


@pytest.fixture
def joined(done, monkeypatch):
    """The run, and the work folder that has it."""
    whole, finished, folder = done
    monkeypatch.setenv("SERNB_WORK", str(folder))
    return whole, finished


@pytest.mark.slow
def test_what_all_say_is_multiplied(joined):
    whole, finished = joined
    classes = list(whole.labels.classes)
    said = [read_run(member.folder).predictions for member in whole.members]
    network, *others = (each[classes].to_numpy(float) for each in said)
    product = network**2 * np.prod(others, axis=0)
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(finished.predictions[classes], expected, atol=1e-5)
    for column in ("clip", "speaker", "truth", "view"):
        pd.testing.assert_series_equal(finished.predictions[column], said[-1][column])
    assert finished.config["members"].keys() == {"sernet", "functionals-ridge", "light-sernet-short"}
    assert {member.folder.name for member in whole.members} == set(finished.metrics["chosen"].values())
    assert finished.provenance["seconds"] > 0


@pytest.mark.slow
def test_validation_speakers_train_and_so_calibrate_nothing_where_they_choose_no_epoch(joined):
    whole, _ = joined
    assert whole.fold.validation
    for member in whole.members:
        assert read_run(member.folder).validation.empty is not member.system.selects_epoch
    (table,) = protocol_cards([whole]).to_dict("records")
    chose = ["last epoch", "speaker-independent inner cross-validation", "best epoch on validation speakers"]
    assert table["Model selection"] == "; ".join(chose)


@pytest.mark.slow
def test_members_that_are_done_are_not_done_again(joined):
    whole, _ = joined
    other = replace(whole, settings=replace(whole.settings, share=0.5))
    assert [member.folder for member in other.members] == [member.folder for member in whole.members]
    before = [(member.folder / "metrics.json").stat().st_mtime_ns for member in other.members]
    assert run(other).metrics["chosen"] == read_run(whole.folder).metrics["chosen"]
    assert before == [(member.folder / "metrics.json").stat().st_mtime_ns for member in other.members]


@pytest.mark.slow
def test_the_network_of_a_run_is_made_again_for_clips_of_any_length(joined):
    from sernb.systems.inspection import restore_network

    whole, _ = joined
    member = whole.members[0]
    done = read_run(member.folder)
    answers = restore_network(member, done.weights)
    from sernb.corpora.preparation import prepare

    table, rows = prepare(member.corpus, member.system.features), done.predictions.head(5)
    found = answers([table[clip] for clip in rows["clip"]])
    np.testing.assert_allclose(found, rows[list(whole.labels.classes)], atol=1e-5)


def test_the_share_is_an_exponent():
    scores = [np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.5, 0.3]])]
    for share in (0.5, 1, 3):
        product = scores[0] ** share * scores[1]
        found = sernet_functionals.combine(sernet_functionals.Settings(share=share), scores)
        np.testing.assert_allclose(found, product / product.sum())
