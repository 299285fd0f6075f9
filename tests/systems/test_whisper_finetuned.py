"""Whisper's encoder trained on: what it reads, at which rates its layers move, that a training is resumed as it was."""

import dataclasses
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_encoder
from test_systems import task

from sernb.audio.augmentation import Noise
from sernb.audio.reading import load
from sernb.config import ROOT, DataError
from sernb.encoders import loading
from sernb.encoders.registry import ENCODERS, Record
from sernb.encoders.whisper import log_mel
from sernb.features import WhisperMel
from sernb.features.embedding import trim_silence
from sernb.runs.planning import plan
from sernb.systems import whisper_finetuned as finetuned
from sernb.systems.multitask_losses import make_pair_targets
from sernb.systems.registry import get_system

CLIP = ROOT / "data" / "demo" / "Actor_01" / "03-01-05-01-01-01-01.flac"
STILL = {"gain": 0.0, "masked_bands": 0, "masked_frames": 0, "mixup": 0.0}


@pytest.fixture
def settings(rng, monkeypatch):
    """Settings of a small network on an encoder of two blocks that nobody trained."""
    encoder = random_encoder(rng)
    monkeypatch.setitem(ENCODERS, "small", Record("small", "", "", "", None, "0" * 64, 2, 64))
    monkeypatch.setattr(loading, "_load_whisper", lambda name, padded: encoder)
    return finetuned.Settings(
        encoder="small", projected=16, attention=8, heads=2, epochs=3, batch=8, averaged=2, learning_rate=5e-3
    )


@pytest.fixture
def mels(rng):
    """Log-mels of different lengths."""
    return [rng.normal(0, 0.3, (frames, 80)).astype(np.float32) for frames in (37, 90, 64, 51)]


def network_with_weights(settings):
    model = finetuned.network(settings, (None, 80), 8)
    finetuned.load_encoder_weights(settings, model)
    return model


# -- Input -- #


def test_features_are_whispers_input_of_the_speech_in_a_clip(rng):
    signal = load(CLIP, 16_000)
    np.testing.assert_array_equal(WhisperMel()(signal), log_mel(trim_silence(signal, 16_000)))
    np.testing.assert_array_equal(WhisperMel(trimmed=False)(signal), log_mel(signal))
    long = rng.normal(0, 1, 31 * 16_000).astype(np.float32)
    assert WhisperMel()(long).shape == (3000, 80), "position codes end there"
    assert len(WhisperMel().names) == WhisperMel().width == 80


def test_a_gain_is_what_a_louder_recording_gives(rng):
    """To rounding, where no cell lies at the least power."""
    signal = load(CLIP, 16_000) + rng.normal(0, 1e-3, len(load(CLIP, 16_000))).astype(np.float32)
    settings = finetuned.Settings(**STILL | {"gain": 20.0})
    (gain,) = np.random.default_rng(3).uniform(-20, 20, 1)
    louder, _ = finetuned.augment(settings, np.random.default_rng(3), finetuned.collate([log_mel(signal)]), {})
    frames = len(log_mel(signal))
    expected = log_mel(signal * np.float32(10 ** (gain / 20)))
    np.testing.assert_allclose(louder[0, :frames, :-1], expected, atol=1e-4)
    assert not louder[0, frames:].any()


def test_masks_have_the_mean_of_the_clip_and_stay_inside_it(rng, mels):
    settings = finetuned.Settings(**STILL | {"masked_bands": 12, "masked_frames": 40})
    hidden = []
    for _ in range(150):
        batch, _ = finetuned.augment(settings, rng, finetuned.collate(mels), {})
        same = np.isclose(batch[1, :90, :-1], mels[1], atol=1e-6)
        np.testing.assert_allclose(batch[1, :90, :-1][~same], mels[1].mean(), atol=1e-5)
        hidden.append(((~same).all(axis=0).sum(), (~same).all(axis=1).sum()))
        assert batch[..., -1].sum(axis=1).tolist() == [37, 90, 64, 51]
    bands, frames = np.array(hidden).T
    assert (bands.min(), bands.max(), frames.min(), frames.max()) == (0, 12, 0, 22), "a quarter of a clip at most"


def test_mixing_takes_as_much_of_each_target_as_of_the_clip(rng):
    settings = finetuned.Settings(**STILL | {"mixup": 0.3})
    batch = finetuned.collate([np.full((8 + k, 80), k, np.float32) for k in range(16)])
    targets = {"emotion": np.eye(16, dtype=np.float32), "gender": np.zeros((16, 2), np.float32)}
    mixed, learned = finetuned.augment(settings, rng, batch, targets)
    np.testing.assert_allclose(mixed[:, 0, 0], learned["emotion"] @ np.arange(16), atol=1e-4)
    assert (learned["emotion"].argmax(axis=1) == np.arange(16)).all(), "the larger share is the clip's own"
    assert 0.5 <= learned["emotion"].max(axis=1).min() < 0.99
    assert not learned["gender"].any(), "unknown with unknown is unknown"
    for k, clip in enumerate(mixed):
        assert clip[:, -1].sum() == 8 + k
        assert not clip[8 + k :].any()


def test_an_epoch_has_each_clip_as_recorded_or_as_a_copy(rng):
    settings = finetuned.Settings(batch=8, originals=0.5)
    lengths = [rng.integers(50, 300, 40) for _ in range(3)] + [rng.integers(50, 300, 5)]
    every, shares, left_out = np.concatenate(lengths), np.zeros(3), set()
    for _ in range(100):
        order = finetuned.sample_epoch(settings, lengths, rng)
        clips = [n % 40 if n < 120 else n for n in order]
        assert len(order) == len(set(clips)) == 40, "five batches of 45 clips, none twice"
        left_out |= {*range(40), *range(120, 125)} - set(clips)
        shares += np.bincount(order[order < 120] // 40, minlength=3) / (order < 120).sum() / 100
        batches = every[order].reshape(5, 8)
        assert (batches.max(axis=1).argmax(), batches.max(axis=1).argmin()) == (0, 1)
        assert np.ptp(batches, axis=1).sum() <= np.ptp(every), "in one batch, lengths are alike"
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.05)
    assert len(left_out) == 45, "another rest each time"
    assert sorted(finetuned.sample_epoch(settings, [lengths[0][:3], lengths[3][:0]], rng)) == [0, 1, 2]
    leaky = [*lengths[:2], lengths[2][:4], lengths[3][:4]]  # copies of four test clips are in training
    order = finetuned.sample_epoch(settings, leaky, rng)
    assert len(order) == 48
    assert {*range(80, 88)} <= set(order)


def test_what_a_corpus_does_not_say_is_not_learned(rng):
    examples = task(rng, clips=6).train
    about = examples.clips.assign(gender=["male", "female", "", "male", "female", ""])
    targets = make_pair_targets(dataclasses.replace(examples, clips=about), 0.5)
    assert targets["gender"].tolist() == [[0.5, 0], [0, 0.5], [0, 0]] * 2
    assert not targets["intensity"].any()


# -- Network -- #


@pytest.mark.slow
def test_each_layer_has_numpys_numbers_whatever_stands_beside_a_clip(settings, mels):
    from sernb.encoders.whisper_keras import build_network

    encoder = loading.load_encoder("small")
    batch = finetuned.collate(mels)
    layers = [np.asarray(each) for each in build_network(encoder)([batch[..., :-1], batch[..., -1]])]
    assert len(layers) == 3
    for row, mel in enumerate(mels):
        exact = encoder.states(mel)
        for layer, states in zip(layers, exact, strict=True):
            np.testing.assert_allclose(layer[row, : len(states)], states, atol=1e-4)


@pytest.mark.slow
def test_it_predicts_the_same_alone_in_a_batch_and_without_keras(settings, mels, rng):
    from sernb.systems.learning.training import keras, predictions

    keras.utils.set_random_seed(1)
    model = network_with_weights(settings)
    for layer in ("mixture", "emotion", "level", "pooled_norm"):
        model.get_layer(layer).set_weights([rng.normal(0, 0.3, each.shape) for each in model.get_layer(layer).weights])
    ask = partial(predictions, model, collate=finetuned.collate)
    alone = np.concatenate([ask([mel])["emotion"] for mel in mels])
    np.testing.assert_allclose(ask(mels)["emotion"], alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-3
    weights = {f"{n:03d} {each.path}": keras.ops.convert_to_numpy(each) for n, each in enumerate(model.weights)}
    np.testing.assert_allclose(finetuned.to_numpy(settings, weights)(mels), alone, atol=1e-5)
    with pytest.raises(ValueError, match="not those of small"):
        finetuned.to_numpy(settings, {name: each for name, each in weights.items() if "layer_1" not in name})
    with pytest.raises(DataError, match="is expected"):
        finetuned.to_numpy(settings, {name: each for name, each in weights.items() if "conv2" not in name})


def test_rates_fall_with_depth():
    settings = finetuned.Settings(learning_rate=1e-3, encoder_learning_rate=1e-4, falling=0.5)
    names = ["emotion", "layer_norm", *(f"layer_{k}_self_attention" for k in (3, 2, 1, 0)), "conv2", "conv1"]
    found = [finetuned.learning_rate_factor(settings, name) for name in names]
    np.testing.assert_allclose(found, [1, 0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.00625])
    for trained, least in ((0, 4), (1, 3), (2, 2), (4, 0)):
        some = dataclasses.replace(settings, trained=trained)
        frozen = [not finetuned.learning_rate_factor(some, name) for name in names]
        assert frozen == [False, not trained, *(k < least for k in (3, 2, 1, 0)), True, True]
    assert finetuned.learning_rate_factor(settings, "position_encodings") == 0


@pytest.mark.slow
def test_each_layer_moves_at_its_rate_or_not_at_all(settings):
    """Adam's first step is as long as its rate, wherever there is a gradient."""
    settings = dataclasses.replace(settings, trained=1, weight_decay=0.0, warm_up=0.0, dropout=0.0, last_dropout=0.0)
    model = finetuned.compile_network(settings, network_with_weights(settings), 1000)
    before = {each.path: np.array(each) for each in model.weights}
    batch = np.random.default_rng(0).normal(0, 0.3, (8, 50, 81)).astype(np.float32)
    batch[..., -1] = 1
    two = np.eye(2, dtype=np.float32)[[0, 1] * 4]
    model.train_on_batch(batch, {"emotion": np.eye(8, dtype=np.float32), "gender": two, "intensity": two})
    for layer in model.layers:
        for each in layer.weights:
            moved = np.abs(np.array(each) - before[each.path]).max()
            rate = finetuned.learning_rate_factor(settings, layer.name) * settings.learning_rate
            assert moved <= rate * 1.001
            if each.path.endswith("kernel") and "key" not in each.path and "query" not in each.path:
                assert moved == pytest.approx(rate, rel=0.02), each.path


@pytest.mark.slow
def test_with_equal_rates_it_is_keras_adamw(rng):
    from sernb.systems.learning.layerwise import LayerwiseAdamW
    from sernb.systems.learning.training import keras

    inputs, outputs = rng.normal(0, 1, (32, 5)), rng.normal(0, 1, (32, 2))
    first = [rng.normal(0, 1, (5, 4)), np.ones(4), rng.normal(0, 1, (4, 2)), np.ones(2)]
    ours = LayerwiseAdamW(0.01, factors=[1.0] * 4, decays=[0.1, 0, 0.1, 0])
    theirs = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    found = []
    for optimizer in (ours, theirs):
        layers = keras.layers
        model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(2)])
        model.set_weights(first)
        model.compile(optimizer, "mse", jit_compile=False)
        model.fit(inputs, outputs, batch_size=8, epochs=3, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


# -- Training -- #


def made_up(rng, checkpoint=None):
    """Clips whose class shows in the mean of their log-mel, with one kind of copies."""
    given = task(rng, clips=18, width=80, frames=30, speaker_independent=True, validation=6)
    given.train.clips["gender"] = ["male", "female"] * 9
    return dataclasses.replace(given, checkpoint=checkpoint, copies=(task(rng, clips=18, width=80, frames=44).train,))


@pytest.mark.slow
def test_an_interrupted_training_ends_as_one_that_was_not(settings, tmp_path, monkeypatch):
    """With the mean of the last two epochs' weights; validation speakers train, and gender is predicted."""
    from sernb.systems.learning import training

    whole = finetuned.fit(settings, made_up(np.random.default_rng(5)))
    write = training._write

    def interrupted(*arguments):
        write(*arguments)
        if len(arguments[-1]) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finetuned.fit(settings, made_up(np.random.default_rng(5), tmp_path))
    monkeypatch.setattr(training, "_write", write)
    resumed = finetuned.fit(settings, made_up(np.random.default_rng(5), tmp_path))
    assert resumed.history == whole.history
    for value, other in zip(resumed.weights.values(), whole.weights.values(), strict=True):
        np.testing.assert_array_equal(value, other)
    unseen = task(np.random.default_rng(6), clips=12, width=80, frames=25).train.features
    scores = whole.scores(unseen)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(finetuned.to_numpy(settings, whole.weights)(unseen), scores, atol=1e-4)
    assert {name: values.shape for name, values in whole.auxiliary_outputs(unseen).items()} == {"female": (12,)}


@pytest.mark.slow
def test_it_is_trained_by_jax(tmp_path):
    """In a process of its own: the backend is chosen once."""
    pytest.importorskip("jax")
    program = tmp_path / "fit.py"
    program.write_text(
        "import numpy as np\n"
        "from random_networks import random_encoder\n"
        "from test_systems import task\n"
        "from sernb.encoders import loading\n"
        "from sernb.encoders.registry import ENCODERS, Record\n"
        "from sernb.systems import whisper_finetuned as finetuned\n"
        "rng = np.random.default_rng(0)\n"
        "encoder = random_encoder(rng)\n"
        "ENCODERS['small'] = Record('small', '', '', '', None, '0' * 64, 2, 64)\n"
        "loading._load_whisper = lambda name, padded: encoder\n"
        "settings = finetuned.Settings(encoder='small', projected=16, attention=8, heads=2, epochs=2, batch=8)\n"
        "fitted = finetuned.fit(settings, task(rng, clips=12, width=80, frames=30))\n"
        "clips = task(rng, clips=4, width=80, frames=25).train.features\n"
        "light = finetuned.to_numpy(settings, fitted.weights)\n"
        "np.testing.assert_allclose(light(clips), fitted.scores(clips), atol=1e-4)\n"
        "from sernb.systems.learning.training import keras\n"
        "assert keras.backend.backend() == 'jax'\n",
        "utf-8",
    )
    folders = [Path(__file__).parent, Path(__file__).parents[1], os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_without_weights_one_line_says_how_to_get_them(rng, tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_ENCODERS", str(tmp_path))
    loading._load_whisper.cache_clear()
    with pytest.raises(DataError, match=r"run `sernb fetch whisper-tiny.en`") as told:
        finetuned.fit(get_system("whisper-finetuned").settings, made_up(rng))
    assert "\n" not in str(told.value)


def test_another_encoder_by_name():
    system = get_system("whisper-finetuned@whisper-base")
    assert (system.name, system.settings.encoder) == ("whisper-finetuned-whisper-base", "whisper-base")
    assert system.encoders == ("whisper-base",)
    assert system.features == get_system("whisper-finetuned").features, "one cache serves all"
    with pytest.raises(DataError, match="only these can be fine-tuned"):
        get_system("whisper-finetuned@onnx:model.onnx")


def test_members_of_a_product_have_copies_of_their_own():
    product = "embedding-pair-finetuned-functionals"
    (whole,) = plan([product], "demo", ["speaker-independent"], profile="quick", folds=[0])
    (alone,) = plan(["whisper-finetuned-top"], "demo", ["speaker-independent"], profile="quick", folds=[0])
    assert [len(each.training_views) for each in whole.members] == [0, 0, 0, 5]
    assert whole.members[-1].folder == alone.folder, "it is trained once for both"
    (normalised,) = plan([product], "demo", ["speaker-normalised"], profile="quick", folds=[0])
    assert [each.folder for each in normalised.members[-1].members] == [alone.folder]
    (noisy,) = plan([product], "demo", ["speaker-independent"], folds=[0], training_views=[Noise()])
    assert {each.training_views for each in noisy.members} == {(Noise(),)}
    with pytest.raises(DataError, match="combines several encoders"):
        get_system("embedding-pair-functionals@whisper-base")
