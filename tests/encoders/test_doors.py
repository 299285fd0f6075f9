"""Encoders and embeddings of one's own: ONNX files, hub models, tables; each works, and each is refused in one line."""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.audio.augmentation import TEST_VIEWS
from sernb.config import ROOT, DataError
from sernb.corpora.export import write_table
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.encoders import loading
from sernb.features import Embedding
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.runtime.files import checksum
from sernb.systems.registry import get_system

DEMO = "demo:intensity=normal"


@pytest.fixture(autouse=True)
def nothing_kept():
    loading._open_external.cache_clear()


@pytest.fixture
def rows(rng):
    """Embeddings of the demo's clips in which the emotion shows."""
    index = parse_pool(DEMO).index
    emotions = index.emotion.astype("category").cat.codes.to_numpy()
    values = np.eye(9)[emotions] * 3 + rng.normal(0, 1, (len(index), 9))
    return index, pd.DataFrame(values, columns=[f"e{k}" for k in range(9)])


# -- Tables -- #


@pytest.mark.parametrize("form", ["csv", "csv.gz", "npz", "parquet"])
@pytest.mark.parametrize("key", ["clip", "path"])
def test_a_table_made_elsewhere_is_read_by_clip_or_path(rows, tmp_path, form, key):
    index, values = rows
    path = tmp_path / f"mine.{form}"
    shuffled = pd.concat([index[[key, "emotion"]], values], axis=1).sample(frac=1, random_state=0)
    if form == "npz":
        np.savez(path, values=shuffled[values.columns].to_numpy(), **{key: shuffled[key].to_numpy(str)})
    elif form == "parquet":
        pytest.importorskip("pyarrow")
        shuffled.to_parquet(path)
    else:
        shuffled.to_csv(path, index=False)
    table = prepare(parse_pool(DEMO), Embedding(f"table:{path}"))
    for place, clip in enumerate(index["clip"]):
        np.testing.assert_allclose(table[clip], values.iloc[[place]], rtol=1e-6)


def test_a_system_trains_on_a_table_and_predicts_the_files_it_has(rows, tmp_path, monkeypatch, capsys):
    index, values = rows
    pd.concat([index[["clip"]], values], axis=1).to_csv(tmp_path / "mine.csv", index=False)
    monkeypatch.chdir(tmp_path)
    arguments = ["--corpus", DEMO, "--protocol", "speaker-independent", "--folds", "0", "--jobs", "1"]
    assert main(["experiment", "--systems", "embedding-ridge", "--encoder", "table:mine.csv", *arguments]) == 0
    capsys.readouterr()
    planned = plan(["embedding-ridge@table:mine.csv"], DEMO, ["speaker-independent"], folds=[0])
    assert planned[0].system.name == "embedding-ridge-table-mine"
    (run,) = run_many(planned, progress=False)
    assert run.metrics["uar"] > 0.8
    clip = run.predictions.iloc[0]
    file = ROOT / "data" / "demo" / index.set_index("clip").path[clip["clip"]]
    assert main(["predict", "--model", str(run.folder), "--json", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    found = (said[0] if isinstance(said, list) else said["files"][0])["probabilities"]
    expected = {emotion: clip[emotion] for emotion in planned[0].labels.classes}
    assert found == pytest.approx(expected, abs=1e-3)
    other = tmp_path / "other.flac"
    other.write_bytes(file.read_bytes())
    assert main(["predict", "--model", str(run.folder), str(other)]) == 1
    assert "has no row for other" in capsys.readouterr().err


def test_a_table_has_no_augmented_copies(rows, tmp_path):
    index, values = rows
    path = tmp_path / "mine.csv"
    pd.concat([index[["clip"]], values], axis=1).to_csv(path, index=False)
    with pytest.raises(DataError, match="holds original clips only") as refused:
        prepare(parse_pool(DEMO), Embedding(f"table:{path}"), view=TEST_VIEWS[1])
    assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="other recordings need the encoder"):
        Embedding(f"table:{path}")(np.zeros(16_000, np.float32))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.iloc[3:], "has no row for 03-01-.*, 03-01-.*, 03-01-"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "has '03-01-.*' twice"),
        (lambda t: t.assign(e1=t.e1.where(t.index != 5)), "has values that are not numbers"),
        (lambda t: t.assign(e1=np.inf), "has values that are not numbers"),
        (lambda t: t.rename(columns={"clip": "name"}), "has no column clip or path"),
        (lambda t: t.assign(e1="loud"), "column 'e1' is not numeric"),
        (lambda t: t[["clip"]], "values of shape"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_line(rows, tmp_path, change, problem):
    index, values = rows
    path = tmp_path / "mine.csv"
    change(pd.concat([index[["clip"]], values], axis=1)).to_csv(path, index=False)
    with pytest.raises(DataError, match=problem) as refused:
        prepare(parse_pool(DEMO), Embedding(f"table:{path}"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a.npz", "a.csv", "a.csv.gz", "a.parquet", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"\0" * 3000, b'"' * 3000, b"PK\3\4" + b"\xff" * 400, b"clip,e\n1,2,3,4\n"])
def test_a_damaged_table_is_refused_in_one_line(tmp_path, name, content):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        _ = Embedding(f"table:{tmp_path / name}").width
    assert len(refused.value.args) == 1
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"clip," + b"x," * 200_000 + b"y\n", "it has 200002 columns"),
        (b"clip,x,y,x\na,1,2,3\n", "it has a column twice"),
        (b"clip,x\na," + b" " * 17_000_000, "it has a line of more than 16 MB"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_a_table_of_endless_lines_or_repeated_columns_is_refused(tmp_path, content, words, suffix):
    path = tmp_path / f"mine.{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix == "csv.gz" else content)
    with pytest.raises(DataError, match=words):
        _ = Embedding(f"table:{path}").width


def test_a_table_is_written_for_others(tmp_path):
    from sernb.features import FrameValues, Level

    pool = parse_pool("demo:speaker=demo-03")
    clips, columns = write_table(tmp_path / "values.npz", pool, FrameValues())
    table = prepare(pool, FrameValues())
    with np.load(tmp_path / "values.npz") as written:
        assert written["values"].shape == (clips, columns)
        for clip, row in zip(written["clip"], written["values"], strict=True):
            np.testing.assert_array_equal(table[str(clip)][0], row)
    write_table(tmp_path / "level.npz", pool, Level())
    levels = prepare(pool, Level())
    with np.load(tmp_path / "level.npz") as written:
        parts = np.split(written["values"], written["starts"][1:-1])
        for clip, frames in zip(written["clip"], parts, strict=True):
            np.testing.assert_array_equal(levels[str(clip)], frames)
    write_table(tmp_path / "values.csv", pool, FrameValues())
    assert len(pd.read_csv(tmp_path / "values.csv")) == clips
    with pytest.raises(DataError, match=r"can be \.npz, \.csv, \.csv\.gz or \.parquet"):
        write_table(tmp_path / "values.xlsx", pool, FrameValues())


# -- ONNX -- #


def exported(path, *, outputs=2, width=8, random=True, big=0):
    """An encoder as exporters write it: (1, samples) → hidden states (1, positions, width)."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(3)
    names = [f"hidden_{k}" for k in range(outputs)]
    kernels = [rng.normal(0, 0.1 if random else 0, (width, 1, 400)).astype(np.float32) for _ in names]
    nodes = [helper.make_node("Unsqueeze", ["input_values", "one"], ["waveform"])]
    for name in names:
        nodes += [
            helper.make_node("Conv", ["waveform", f"w {name}"], [f"c {name}"], strides=[320]),
            helper.make_node("Transpose", [f"c {name}"], [name], perm=[0, 2, 1]),
        ]
    held = [numpy_helper.from_array(k, f"w {name}") for name, k in zip(names, kernels, strict=True)]
    held.append(numpy_helper.from_array(np.array([1]), "one"))
    shape = [1, "positions", width]
    if big:
        held.append(numpy_helper.from_array(np.array([big]), "size"))
        nodes += [
            helper.make_node("ConstantOfShape", ["size"], ["much"]),
            helper.make_node("ReduceSum", ["much"], ["sum"]),
            helper.make_node("Add", ["sum", names[0]], ["grown"]),
        ]
        names[0], shape = "grown", None
    graph = helper.make_graph(
        nodes, "encoder",
        [helper.make_tensor_value_info("input_values", onnx.TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in names],
        held,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return kernels


def test_an_onnx_file_is_an_encoder(tmp_path):
    pytest.importorskip("onnxruntime")
    kernels = exported(tmp_path / "mine.onnx")
    features = Embedding(f"onnx:{tmp_path / 'mine.onnx'}", trimmed=False)
    assert (features.width, features.sampling_rate, features.weights) == (
        2 * 2 * 8, 16_000, checksum(tmp_path / "mine.onnx")[:16],
    )  # fmt: skip
    signal = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(signal, 400)[::320]
    states = [frames @ kernel[:, 0].T for kernel in kernels]
    expected = np.concatenate([part for each in states for part in (each.mean(axis=0), each.std(axis=0))])
    np.testing.assert_allclose(features(signal)[0], expected, rtol=1e-3, atol=1e-5)
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 8000, "do_normalize": true}')
    loading._open_external.cache_clear()
    assert features.sampling_rate == 8000
    np.testing.assert_allclose(features(7 * signal), features(signal), rtol=1e-3, atol=1e-4)
    stated = Embedding(f"onnx:{tmp_path / 'mine.onnx'}@22050")
    assert stated.sampling_rate == 22_050
    system = get_system(f"embedding-ridge@onnx:{tmp_path / 'mine.onnx'}")
    assert (system.name, system.features.width) == ("embedding-ridge-onnx-mine", 32)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ({"random": False}, "gives two clips the same embedding"),
        ({"big": 2**31}, "is not a usable encoder|cannot encode a second of sound"),
        (b"", "is not a readable ONNX file"),
        (b"\x08\x08" + b"\xff" * 10_000, "is not a readable ONNX file"),
    ],
)
def test_an_onnx_file_that_is_no_encoder_is_refused_in_one_line(tmp_path, spoil, problem):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "mine.onnx"
    if isinstance(spoil, bytes):
        path.write_bytes(spoil)
    else:
        exported(path, **spoil)
    with pytest.raises(DataError, match=problem) as refused:
        Embedding(f"onnx:{path}")
    assert len(refused.value.args) == 1
    assert "\n" not in str(refused.value)


# -- The hub -- #


@pytest.mark.parametrize("kind", ["WavLM", "Wav2Vec2"])
def test_a_model_in_the_layout_of_the_hub_is_an_encoder(tmp_path, kind):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(16, 16),
        conv_stride=(10, 32), conv_kernel=(10, 32), num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path)
    features = Embedding(f"hf:{tmp_path}", trimmed=False)
    signal = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert features(signal).shape == (1, 3 * 2 * 32)
    assert np.isfinite(features(signal)).all()


def test_without_its_packages_a_door_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def lacking(name, *arguments, **more):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(DataError, match="pip install transformers torch"):
        Embedding("hf:microsoft/wavlm-base")


# -- Protocol and names -- #


def test_emobox_folds_are_the_published_ones():
    tested = [sorted({int(clip[-2:]) for clip in each.fold.test}) for each in plan(["majority"], "ravdess", ["emobox"])]
    assert tested == [
        [1, 11, 20, 21], [4, 10, 12, 14], [8, 9, 19, 23], [3, 5, 7, 24], [2, 15, 16, 18], [6, 13, 17, 22],
    ]  # fmt: skip
    for each in plan(["majority"], "ravdess", ["emobox"]):
        parts = [{clip[-2:] for clip in part} for part in (each.fold.train, each.fold.validation, each.fold.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 24
    assert len(plan(["majority"], "savee", ["emobox"])) == 4
    with pytest.raises(DataError, match="emodb, crema_d, tess and emozionalmente share speakers"):
        plan(["majority"], "tess", ["emobox"])


def test_systems_read_another_encoder_by_name():
    base = get_system("embedding-ridge-whisper-base")
    assert get_system("embedding-ridge@whisper-base").features == base.features == Embedding("whisper-base")
    assert get_system("embedding-ridge@whisper-tiny.en") is get_system("embedding-ridge")
    product = get_system("embedding-sernet-functionals@whisper-base")
    assert [each.name for each in product.members] == [base.name, "functionals-ridge", "sernet"]
    assert product.settings_for("quick").embedding_ridge == base.settings
    assert product.encoders == ("whisper-base",)
    for name in ("sernet", "embedding-pair"):
        with pytest.raises(DataError, match=re.escape(f"{name}: ")):
            get_system(f"{name}@whisper-base")


def test_index_of_the_demo_has_the_columns_a_table_is_found_by():
    assert {"clip", "path"} <= set(read_index(parse_pool("demo").parts[0].corpus))
