"""Pretrained encoders: the same numbers as independent implementations, and nothing believed of any file."""

import dataclasses
import hashlib
import os
import re
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from download_server import Server
from random_networks import random_encoder

from benchmarks.encoders import open_reference
from sernb.__main__ import main
from sernb.audio.reading import load
from sernb.config import ROOT, DataError
from sernb.corpora.files import locate
from sernb.corpora.registry import get_corpus
from sernb.encoders import loading
from sernb.encoders.registry import ENCODERS, Record, record_of
from sernb.encoders.weights import read_weights
from sernb.encoders.whisper import POSITIONS, SAMPLES, Whisper, log_mel
from sernb.features import Embedding
from sernb.features.embedding import find_speech, trim_silence
from sernb.features.tables import compute_features

DEMO = ROOT / "data" / "demo"
CLIPS = [DEMO / "Actor_01" / "03-01-05-01-01-01-01.flac", DEMO / "Actor_02" / "03-01-01-01-01-01-02.flac"]
TINY = "whisper-tiny.en"


@pytest.fixture
def signals():
    return [load(clip, 16_000) for clip in CLIPS]


@pytest.fixture
def small(rng, monkeypatch):
    """A small encoder that is found under the name of a known one."""
    encoder = random_encoder(rng)
    record = Record("small", "", "", "", None, "0" * 64, 2, 64)
    monkeypatch.setitem(ENCODERS, "small", record)
    monkeypatch.setattr(loading, "_load_whisper", lambda name, padded: dataclasses.replace(encoder, padded=padded))
    return encoder


# -- Numbers -- #


def test_input_is_librosas_log_mel(signals):
    for signal in signals:
        mel = librosa.feature.melspectrogram(
            y=signal, sr=16_000, n_fft=400, hop_length=160, n_mels=80, pad_mode="reflect", power=2.0
        )[:, :-1]
        level = np.log10(np.maximum(mel, 1e-10))
        expected = (np.maximum(level, level.max() - 8) + 4) / 4
        np.testing.assert_allclose(log_mel(signal)[: expected.shape[1]], expected.T, atol=2e-4)


def test_silence_at_the_ends_goes_as_in_librosa(signals, rng):
    noise = rng.normal(0, 1, 9000).astype(np.float32)
    for signal in (*signals, np.pad(noise, 5000), np.zeros(4000, np.float32)):
        expected, _ = librosa.effects.trim(signal, top_db=30)
        np.testing.assert_array_equal(trim_silence(signal, 16_000), expected)


@pytest.mark.encoder
@pytest.mark.slow
def test_keras_gives_the_same_numbers_on_every_layer(encoders, signals):
    """Float64 judges; clips of two lengths are encoded together, the shorter one masked."""
    from sernb.encoders.whisper_keras import build_network

    encoder = Whisper(read_weights(record_of(TINY).path))
    judge = Whisper({name: each.astype(np.float64) for name, each in encoder.weights.items()})
    mels = [log_mel(signal[:20_000]) for signal in signals]
    mels[1] = mels[1][:91]
    together = np.stack([np.pad(mel, ((0, len(mels[0]) - len(mel)), (0, 0))) for mel in mels])
    real = np.stack([np.arange(len(mels[0])) < len(mel) for mel in mels]).astype(np.float32)
    network = build_network(encoder)
    by_keras = [np.asarray(each) for each in network([together, real])]
    assert len(by_keras) == encoder.layers == 5
    for row, mel in enumerate(mels):
        exact, ours = judge.states(mel.astype(np.float64)), encoder.states(mel)
        np.testing.assert_allclose(ours, exact, atol=1e-4)
        for layer, states in enumerate(by_keras):
            np.testing.assert_allclose(states[row, : exact.shape[1]], exact[layer], atol=1e-4)
    assert sum(int(np.prod(each.shape)) for each in network.trainable_weights) == sum(
        each.size for each in encoder.weights.values()
    )


@pytest.mark.slow
def test_keras_gives_the_same_numbers_on_jax(tmp_path):
    pytest.importorskip("jax")
    program = (
        "import numpy as np, keras\n"
        "from sernb.encoders.whisper import Whisper, variable_shapes\n"
        "from sernb.encoders.whisper_keras import build_network\n"
        "rng = np.random.default_rng(0)\n"
        "w = {n: rng.normal(0, .05, s).astype(np.float32) for n, s in variable_shapes(128, 2).items()}\n"
        "e, mel = Whisper(w), rng.normal(0, 1, (61, 80)).astype(np.float32)\n"
        "said = build_network(e)([mel[None], np.ones((1, 61), np.float32)])\n"
        "assert keras.backend.backend() == 'jax'\n"
        "for ours, theirs in zip(e.states(mel), said): np.testing.assert_allclose(theirs[0], ours, atol=1e-4)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.encoder
@pytest.mark.parametrize("name", [TINY, "whisper-base"])
def test_final_layer_is_that_of_ctranslate2(encoders, signals, tmp_path, name):
    pytest.importorskip("ctranslate2")
    record = record_of(name)
    mel = log_mel(np.pad(signals[0], (0, SAMPLES - len(signals[0]))))
    expected = open_reference(record, tmp_path)(mel)
    ours = Whisper(read_weights(record.path)).states(mel)[-1]
    assert ours.shape == expected.shape == (POSITIONS, record.width)
    assert np.abs(expected).max() > 5
    np.testing.assert_allclose(ours, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.encoder
def test_known_answers_are_given_and_anything_else_is_refused(encoders, rng, monkeypatch):
    for name in (TINY, "whisper-base"):
        encoder = loading.load_encoder(name)
        assert loading.select_known(loading.embed_clip(encoder)) == pytest.approx(record_of(name).known, abs=1e-3)
    known, right = record_of(TINY).known, loading.load_encoder(TINY)
    shifted = {**right.weights, "conv1/weight": np.roll(right.weights["conv1/weight"], 1, axis=1)}  # wrong filters
    random = random_encoder(rng, width=384, blocks=4)
    for other in (random, Whisper(shifted)):
        with pytest.raises(DataError, match="does not reproduce its known embedding"):
            loading.verify_encoder(other, TINY, known)
    slow = lambda signal: right(librosa.resample(signal, orig_sr=16_000, target_sr=14_000))  # noqa: E731
    slow.sampling_rate = 16_000
    with pytest.raises(DataError, match="known embedding"):
        loading.verify_encoder(slow, TINY, known)


def test_an_encoder_that_answers_all_clips_alike_is_refused(rng):
    deaf = random_encoder(rng)
    deaf = Whisper({**deaf.weights, "layer_norm/gamma": np.zeros(64, np.float32)})
    constant = lambda signal: (states[-1:] for states in deaf(signal))  # noqa: E731
    constant.sampling_rate = 16_000
    with pytest.raises(DataError, match="gives two clips the same embedding"):
        loading.verify_encoder(constant, "deaf")
    empty = lambda signal: iter([np.full((1, 2, 4), np.nan)])  # noqa: E731
    empty.sampling_rate = 16_000
    with pytest.raises(DataError, match="not finite"):
        loading.verify_encoder(empty, "empty")


def test_only_real_frames_count_unless_padding_is_asked_for(rng):
    encoder, signal = random_encoder(rng), rng.normal(0, 0.1, 16_000).astype(np.float32)
    (real,), (padded,) = encoder(signal), dataclasses.replace(encoder, padded=True)(signal)
    assert real.shape == padded.shape == (3, 50, 64)
    assert np.abs(real - padded).max() > 1e-3, "silence is heard"
    long = [each.shape[1] for each in encoder(np.zeros(SAMPLES + 16_000, np.float32))]
    assert long == [1500, 50]
    assert [each.shape[1] for each in encoder(np.zeros(3, np.float32))] == [1]


# -- Features -- #


def test_rows_hold_mean_and_deviation_layer_by_layer_over_all_stretches(rng, small):
    signal = rng.normal(0, 0.1, SAMPLES + 32_000).astype(np.float32)
    frames = np.concatenate(list(small(signal)), axis=1).astype(np.float64)  # (3, 1600, 64)
    row = Embedding("small", trimmed=False)(signal)
    expected = np.concatenate([frames.mean(axis=1), frames.std(axis=1)], axis=1).reshape(1, -1)
    np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    kind = Embedding("small", layers="1-2", pooling="frames", trimmed=False)
    np.testing.assert_allclose(kind(signal), np.concatenate(frames[1:], axis=1), atol=1e-6)
    one = Embedding("small", layers="2", pooling="mean", trimmed=False)
    np.testing.assert_allclose(one(signal), frames[2].mean(axis=0)[None], atol=1e-5)
    for features in (Embedding("small"), kind, one):
        assert features(signal).shape[1] == features.width == len(set(features.names))


@pytest.mark.parametrize("trimmed", [True, False])
def test_a_signal_in_blocks_gives_the_same_row_as_the_whole(rng, small, trimmed):
    envelope = np.repeat([0, 1, 0.5, 0.001], (40_000, 500_000, 600_000, 30_000))
    signal = (rng.normal(0, 0.1, len(envelope)) * envelope).astype(np.float32)
    blocks = np.split(signal, np.sort(rng.integers(0, len(signal), 30)))
    features = Embedding("small", trimmed=trimmed)
    np.testing.assert_allclose(features.embed_blocks(lambda: blocks), features(signal), rtol=1e-5, atol=1e-6)


def test_speech_is_found_in_blocks_as_in_the_whole(rng):
    for silence in (0, 1, 511, 5000):
        signal = np.pad(rng.normal(0, 1, 90_000).astype(np.float32), (silence, 2 * silence))
        start, end = find_speech(np.split(signal, np.sort(rng.integers(0, len(signal), 20))), 16_000)
        np.testing.assert_array_equal(signal[start:end], librosa.effects.trim(signal, top_db=30)[0])


def test_a_recording_too_long_for_memory_is_embedded_in_pieces(small, tmp_path, monkeypatch, rng):
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, 200_000).astype(np.float32), 16_000, subtype="FLOAT")
    whole = compute_features(tmp_path / "long.wav", "small")
    monkeypatch.setattr("sernb.audio.recordings.MAX_SECONDS_IN_MEMORY", 5.0)
    pieces = compute_features(tmp_path / "long.wav", "small")
    assert pieces.index.tolist() == whole.index.tolist()
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"pooling": "max"}, "no pooling is named 'max'; known: mean, mean+std, frames"),
        ({"layers": "first"}, "write all, one as in 2, or a range as in 1-3"),
        ({"encoder": "whisper-huge"}, f"no encoder is named 'whisper-huge'; known: {TINY}"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, problem):
    with pytest.raises(DataError, match=re.escape(problem)):
        Embedding(**settings)
    with pytest.raises(DataError, match="has layers 0 to 4"):
        _ = Embedding(layers="3-5").width


def test_weights_name_the_cache():
    assert Embedding().weights == record_of(TINY).sha256[:16] != Embedding("whisper-base").weights


# -- Files -- #


def packed(variables, *, version=6, aliases=0):
    """A file in CTranslate2's format."""

    def word(text):
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    types = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    parts = [struct.pack("<I", version), word("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, values in variables.items():
        parts += [word(name), struct.pack("<B", values.ndim), struct.pack(f"<{values.ndim}I", *values.shape)]
        parts += [struct.pack("<BI", types[values.dtype.name], values.nbytes), values.tobytes()]
    return b"".join([*parts, struct.pack("<I", aliases)])


VARIABLES = {
    "decoder/weight": np.ones((4, 4), np.float16),
    "encoder/num_heads": np.array(6, np.int16),
    "encoder/conv1/weight": np.arange(24, dtype=np.float16).reshape(4, 2, 3),
    "encoder/conv1/bias": np.arange(4, dtype=np.float32),
}


def test_weights_are_read_as_written(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(packed(VARIABLES))
    read = read_weights(path)
    assert set(read) == {"conv1/weight", "conv1/bias"}
    assert {each.dtype for each in read.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(read["conv1/weight"], VARIABLES["encoder/conv1/weight"])


def test_no_length_in_a_weight_file_is_believed(tmp_path, rng):
    whole, path = packed(VARIABLES), tmp_path / "model.bin"
    huge = struct.pack("<I", 0xFFFFFFFF)
    files = [whole[:cut] for cut in range(len(whole) - 4)]  # the list of aliases is not read
    files += [whole[:at] + huge + whole[at + 4 :] for at in range(len(whole) - 4)]
    files += [b"", b"PK\3\4" + whole, rng.bytes(10_000), packed(VARIABLES, version=5)]
    said, read = [], 0
    tracemalloc.start()
    for content in files:
        path.write_bytes(content)
        try:
            read_weights(path)
            read += 1
        except DataError as error:
            said.append(str(error))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert all(each.startswith(f"{path}: is ") and "\n" not in each for each in said)
    assert len(said) > len(whole), "all that are cut, and more"
    assert read < len(files) / 3, "where a value was changed, any number can be"


@pytest.mark.parametrize("spoil", ["missing", "shape", "nan"])
def test_an_encoder_of_other_shapes_is_refused(rng, spoil):
    weights = dict(random_encoder(rng).weights)
    if spoil == "missing":
        del weights["layer_1/ffn/linear_0/bias"]
    elif spoil == "shape":
        weights["layer_1/ffn/linear_0/bias"] = np.zeros(7, np.float32)
    else:
        weights["layer_1/ffn/linear_0/bias"] = np.full(256, np.nan, np.float32)
    with pytest.raises(DataError, match="encoder/layer_1/ffn/linear_0/bias: "):
        Whisper(weights)


@pytest.mark.encoder
@pytest.mark.parametrize("damage", ["cut", "bit", "other"])
def test_a_file_that_is_not_the_published_one_is_refused(encoders, tmp_path, monkeypatch, capsys, damage):
    path = tmp_path / "mine" / TINY / "model.bin"
    path.parent.mkdir(parents=True)
    content = bytearray(record_of(TINY).path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "bit":
        content[len(content) // 2] ^= 1
    else:
        content = packed(VARIABLES)
    path.write_bytes(content)
    monkeypatch.setenv("SERNB_ENCODERS", str(tmp_path / "mine"))
    loading._load_whisper.cache_clear()
    assert main(["prepare", "demo:speaker=demo-03", "--features", TINY]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"run `sernb fetch {TINY}`" in said[0]


def test_without_weights_one_line_says_what_to_do(capsys, tmp_path):
    loading._load_whisper.cache_clear()
    assert main(["prepare", "demo:speaker=demo-03", "--features", TINY]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert f"run `sernb fetch {TINY}`" in said
    assert main(["encoders"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in ENCODERS)
    assert listed.count("not on disk") == len(ENCODERS)
    assert listed.count("not tested") == sum(not record.known for record in ENCODERS.values()) == 3


@pytest.mark.slow
@pytest.mark.encoder
def test_command_writes_a_table_of_embeddings_that_is_read_again(encoders, tmp_path, capsys):
    from sernb.corpora.local_index import read_index

    loading._load_whisper.cache_clear()
    path = tmp_path / "tiny.npz"
    index = read_index(get_corpus("demo"))
    pool = f"demo:speaker=demo-03,sentence={index.sentence[0]},intensity=normal"
    assert main(["prepare", pool, "--features", TINY, "--table", str(path)]) == 0
    count = capsys.readouterr().out.split(" of ")[1].split()[0]
    with np.load(path) as written:
        assert written["values"].shape == (int(count), 3840) == (len(written["clip"]), len(written["names"]))
        clip, row = written["clip"][0], written["values"][0]
    place = locate(get_corpus("demo")) / index.set_index("clip").path[clip]
    np.testing.assert_array_equal(Embedding()(load(place, 16_000))[0], row)
    table = Embedding(f"table:{path}")
    np.testing.assert_array_equal(table.from_table(index[index["clip"] == clip])[clip][0], row)


def test_nothing_of_encoders_is_imported_unless_asked():
    program = "import sys, sernb.__main__; print([m for m in sys.modules if m.startswith('sernb.enc')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_committed_demo_clips_are_those_that_are_asked():
    assert all((Path(loading.DEMO) / clip).is_file() for clip in loading.VERIFICATION_CLIPS)


# -- From the hub to the disk -- #


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A server on this machine that holds the weights of one small encoder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server, content = Server(), packed(VARIABLES)
    server.files["/model.bin"] = content
    record = Record("small", "", "", "", len(content), hashlib.sha256(content).hexdigest(), 2, 64)
    monkeypatch.setitem(ENCODERS, "small", record)
    monkeypatch.setattr("sernb.encoders.fetching.load_encoder", lambda name: None)
    yield server
    server.close()


def test_an_encoder_is_fetched_whole_and_once(hub, capsys):
    hub.plans["/model.bin"] = [{"cut": 100}]  # goes on where it broke off
    command = ["fetch", "small", "--url", f"{hub.address}/model.bin"]
    assert main(command) == 0
    assert "fetched into" in capsys.readouterr().out
    path = record_of("small").path
    assert path.read_bytes() == hub.files["/model.bin"]
    assert hub.ranges == ["", "bytes=100-"]
    assert sorted(each.name for each in path.parent.iterdir()) == ["model.bin"]
    assert main(command) == 0
    assert "is already in" in capsys.readouterr().out
    assert len(hub.asked) == 2


def test_another_file_than_the_published_one_is_not_kept(hub, capsys):
    right = hub.files["/model.bin"]
    hub.files["/model.bin"] = right[:-1] + b"\1"
    assert main(["fetch", "small", "--url", f"{hub.address}/model.bin"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "is not the published file (sha256 differs); it was removed" in said
    assert not list(record_of("small").path.parent.iterdir())
    record_of("small").path.write_bytes(b"mine")
    assert main(["fetch", "small", "--url", f"{hub.address}/model.bin"]) == 1
    assert "4 bytes, but" in capsys.readouterr().err
    assert record_of("small").path.read_bytes() == b"mine", "nothing is overwritten"
