"""What other programs call: ``sernb.load``, ``predict``, ``embed``, ``features``, ``corpus``, ``evaluate``."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import accuracy_score, f1_score, recall_score

import sernb
from sernb.config import ROOT
from sernb.encoders import loading
from sernb.features.embedding import Embedding
from sernb.features.pitch import Pitch
from sernb.features.settings import RANGES
from sernb.features.tables import KINDS, compute_features
from sernb.prediction import formats
from sernb.prediction.loading import load_model
from sernb.prediction.predict import predict

CLIP = ROOT / "data/demo/Actor_02/03-01-05-01-01-01-02.flac"
OTHER = ROOT / "data/demo/Actor_01/03-01-04-01-02-01-01.flac"


@pytest.fixture(scope="module")
def model():
    return sernb.load("functionals-ridge")


@pytest.fixture(scope="module")
def sound():
    return soundfile.read(CLIP, dtype="float32")


def test_import_is_instant_and_the_api_is_there():
    code = "import sernb, sys; print(*sorted({name.partition('.')[0] for name in sys.modules})); print(*dir(sernb))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, names = map(str.split, done.stdout.splitlines())
    assert not {"numpy", "pandas", "scipy", "tensorflow", "click", "soundfile"} & set(modules)
    assert set(sernb.__all__) <= set(names)
    with pytest.raises(AttributeError, match="no attribute 'loads'"):
        sernb.loads  # noqa: B018


# -- predict -- #


def test_a_row_a_recording_agrees_with_the_command(model, tmp_path):
    table = model.predict([CLIP, str(OTHER)])
    expected = [predict(model.model, path) for path in (CLIP, OTHER)]
    (tmp_path / "found.csv").write_text(formats.as_csv(expected), "utf-8")
    written = pd.read_csv(tmp_path / "found.csv", keep_default_na=False)
    assert (table["reliable"] == [each.reliable for each in expected]).all()
    for column in written.columns.difference(["reliable", "speaker_clips"]):
        if column in ("seconds", "confidence", *model.classes):
            np.testing.assert_allclose(table[column], written[column], atol=1e-3 if column == "seconds" else 1e-6)
        else:
            assert table[column].tolist() == written[column].tolist(), column
    assert table["prediction"].tolist() == [each.best for each in expected]
    np.testing.assert_allclose(table["confidence"], table[list(model.classes)].max(axis=1))
    assert (table["error"] == "").all()
    assert "the recording is out of domain" in table["notes"][0]


@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "int32", "uint8", "stereo", "torch-like"])
def test_an_array_is_predicted_as_its_file(model, sound, kind):
    signal, rate = sound
    given = {
        "int16": lambda: np.round(signal * 2**15).astype(np.int16),
        "int32": lambda: np.round(signal.astype(float) * 2**31).astype(np.int32),
        "uint8": lambda: np.round(signal * 128 + 128).astype(np.uint8),
        "stereo": lambda: np.stack([signal, np.zeros_like(signal)], axis=1),
        "torch-like": lambda: Tensor(signal),
    }.get(kind, lambda: signal.astype(kind))()
    found, expected = model.predict(given, rate), model.predict(CLIP)
    assert found["file"].tolist() == ["array 0"]
    difference = np.abs(found[list(model.classes)].to_numpy() - expected[list(model.classes)].to_numpy()).max()
    assert difference < (0.1 if kind == "uint8" else 1e-3)
    assert ("silent" in found["notes"][0]) == (kind == "stereo")


class Tensor:
    """An array of another library."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, "torch.float32"

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_what_is_wrong_with_one_recording_is_its_row(model, sound, tmp_path):
    signal, rate = sound
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("no sound")
    given = {
        "silence": np.zeros(rate),
        "short": signal[:100],
        "NaN": np.where(np.arange(len(signal)) == 7, np.nan, signal),
        "too loud": signal * 32768,
        "too large for float32": signal.astype(float) * 1e300,
        "transposed": np.stack([signal, signal]),
        "three axes": signal[None, None],
        "whole numbers of 64 bits": np.arange(rate),
        "complex": signal.astype(complex),
        "empty": np.zeros(0),
        "gone": tmp_path / "gone.wav",
        "no recording": str(tmp_path / "empty"),
        "text": tmp_path / "text.wav",
        "gap": None,
        "no name": "",
        "good": CLIP,
    }
    table = model.predict(list(given.values()), rate)
    table.index = list(given)
    assert table.loc["good", "error"] == ""
    assert np.isfinite(table.loc["good", list(model.classes)].to_numpy(float)).all()
    failed = table.drop("good")
    assert len(table) == len(given)
    assert failed[["confidence", *model.classes]].isna().all(axis=None)
    assert (failed[["answer", "prediction", "recording"]] == "").all(axis=None)
    for name, words in {
        "silence": "pure silence", "short": "at least 0.1 s", "NaN": "from -1 to 1", "too loud": "from -1 to 1",
        "too large for float32": "from -1 to 1", "three axes": "has the shape (1, 1,", "complex": "complex128",
        "transposed": f"has the shape (2, {len(signal)}); (samples,) or (samples, channels)",
        "whole numbers of 64 bits": "holds int64 values", "empty": "holds 0 samples", "gone": "No such file",
        "no recording": "holds no recording", "text": "is a text file", "gap": "no file is named",
        "no name": "no file is named",
    }.items():  # fmt: skip
        assert words in failed.loc[name, "error"], name
        assert "\n" not in failed.loc[name, "error"]


@pytest.mark.parametrize("rate", [None, 0, -16_000, 1.5, "16000", True, float("nan"), float("inf"), 10**9])
def test_arrays_need_a_sampling_rate(model, sound, rate):
    with pytest.raises(sernb.DataError, match=r"arrays need their .*for example as sampling_rate=16000"):
        model.predict([CLIP, sound[0]], rate)


@pytest.mark.parametrize("given", [3, [0.1, 0.2], {"a": 1}, np.float32(1), np.array(1.0)])
def test_what_is_neither_path_nor_array_is_one_clear_error(model, given):
    with pytest.raises(sernb.DataError, match="neither the path of a recording nor a NumPy array") as error:
        model.predict(given, 16_000)
    assert "\n" not in str(error.value).strip()


def test_rows_stay_in_order_however_often_a_file_is_named(model):
    table = model.predict(pd.Series([str(CLIP), str(OTHER), str(CLIP)], index=[5, 3, 1]))
    assert table["file"].tolist() == [str(CLIP), str(OTHER), str(CLIP)]
    assert model.predict([]).columns.tolist() == table.columns.tolist()


def test_windows_some_classes_and_options(model, sound):
    signal, rate = sound
    long = np.tile(signal, 5)
    table = model.predict([long, None], rate, timeline=True)
    assert table["start"].iloc[:-1].tolist() == [window.start for window in predicted(model, long, rate).windows]
    assert table["error"].iloc[-1] == "recording 1: no file is named"
    few = model.only(["angry", "sad"]).predict(CLIP)
    assert few.columns.tolist()[-2:] == ["sad", "angry"]
    assert few[["sad", "angry"]].sum(axis=1).iloc[0] == pytest.approx(1)
    with pytest.raises(sernb.DataError, match=r"no sets of coverage 0\.7"):
        model.predict(CLIP, coverage=0.7)


def predicted(model, signal, rate):
    from sernb.audio.reading import examine_array

    return predict(model.model, examine_array(signal, rate, "long"), timeline=True)


def test_an_unknown_model_is_said_with_those_there_are(tmp_path):
    with pytest.raises(sernb.DataError, match="neither a folder nor a bundled model; bundled: embedding-functionals"):
        sernb.load("emotion2vec")
    with pytest.raises(sernb.DataError, match=r"neither model\.json nor config\.json"):
        sernb.load(tmp_path)


def test_a_model_without_the_weights_of_its_encoder_is_not_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("SERNB_ENCODERS", str(tmp_path))
    loading._load_whisper.cache_clear()  # one that was loaded stays
    with pytest.raises(sernb.DataError, match=r"whisper-tiny\.en: its weights are not at .* `sernb fetch whisper-tiny"):
        sernb.load("embedding-functionals")
    assert sernb.load().name == load_model().name


BUNDLED = ROOT / "sernb/prediction/models/functionals-ridge"


def folder_with(folder, arrays=None, **changes):
    """A copy of the bundled model, in which something is otherwise."""
    content = (BUNDLED / "weights.npz").read_bytes()
    if arrays:
        packed = io.BytesIO()
        np.savez(packed, **{**np.load(BUNDLED / "weights.npz"), **arrays})
        content = packed.getvalue()
    about = json.loads((BUNDLED / "model.json").read_text("utf-8"))
    about |= {"weights_sha256": hashlib.sha256(content).hexdigest(), **changes}
    folder.mkdir(exist_ok=True)
    (folder / "weights.npz").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arrays": {"mean": np.array(5.0, np.float32)}}, "mean: finite numbers of shape"),
        ({"arrays": {"planes": np.array(5.0, np.float32)}}, "planes: finite numbers of shape"),
        ({"arrays": {"adapted deviation": np.array(1.0)}}, "deviation: finite numbers of shape"),
        ({"arrays": {"average mean": np.array(1.0)}}, "average mean: 7828 finite numbers are expected"),
        ({"arrays": {"planes": np.full((7, 7828), "=1+1")}}, "planes: finite numbers"),
        ({"temperatures": {"as_heard": float("nan")}}, "temperatures: a number"),
        ({"temperatures": {"as_heard": 5e-324}}, "temperatures: a number"),
        ({"limit": "6"}, "limit: a number"),
        ({"classes": ["=1+1", "b", "c", "d", "e", "f", "g"]}, "'=1+1' is not a word"),
        ({"classes": ["a\x1b[2J", "b", "c", "d", "e", "f", "g"]}, "is not a word"),
        ({"name": "a\nb"}, "name: one line of text"),
        ({"trained_on": "x"}, "no attribute"),
        ({"trained_on": {"clips": "=1+1"}}, "trained_on: clips: a number"),
        ({"trained_on": {"speakers": 0}}, "trained_on: speakers: a number"),
        ({"trained_on": {"encoders": ["a\x1b[2J"]}}, "trained_on: encoders: names"),
        ({"sets": {"adapted x": {"0.9": 0.1}}}, "sets: 'adapted x' is unknown"),
        ({"longest": 1e9}, "longest: a number from 0 to 3600"),
    ],
)
def test_a_hostile_folder_is_refused_in_one_line(tmp_path, changes, words):
    with pytest.raises(sernb.DataError) as error:
        sernb.load(folder_with(tmp_path / "model", **changes))
    assert words in str(error.value)
    assert str(error.value).isprintable()


def test_a_hostile_archive_is_refused_in_one_line(tmp_path):
    folder = folder_with(tmp_path / "model")
    vast, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(vast, "w") as packed:
        packed.writestr("mean.npy", header.getvalue() + bytes(64))
    encrypted = bytearray((folder / "weights.npz").read_bytes())
    for mark, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := encrypted.find(mark, at + 1)) >= 0:
            encrypted[at + flag] |= 1
    for content in (vast.getvalue(), bytes(encrypted)):
        (folder / "weights.npz").write_bytes(content)
        with pytest.raises(sernb.DataError, match=r"weights\.npz: is damaged; get the folder again"):
            sernb.load(folder)
    (folder / "model.json").write_text('{"a":' * 100_000, "utf-8")
    with pytest.raises(sernb.DataError, match=r"model\.json: cannot be read as JSON"):
        sernb.load(folder)


# -- embed and features -- #


def test_rows_are_what_the_model_reads(model, sound):
    signal, rate = sound
    with pytest.warns(UserWarning, match=r"gone\.wav: cannot be read"):
        table = model.embed([CLIP, "gone.wav", np.tile(signal, 6)], rate)
    assert table.columns.tolist() == model.model.features.names
    assert table.index.names == ["file", "start", "end"]
    np.testing.assert_array_equal(table.iloc[0], predict(model.model, CLIP).features)
    assert table.loc["gone.wav"].isna().all(axis=None)
    assert (table.loc["array 2"].reset_index()["end"] - table.loc["array 2"].reset_index()["start"] < 3.001).all()
    with pytest.raises(sernb.DataError, match="not frames"):
        model.embed(CLIP, frames=True)


@pytest.mark.encoder
def test_frames_of_an_encoder_and_their_mean_agree(encoders):
    model = sernb.load("embedding-functionals")
    frames, row = model.embed(CLIP, frames=True), model.embed(CLIP)
    assert frames.index.names == ["file", "start", "end", "frame"]
    means = [name for name in row.columns if " mean 0" in name and name.startswith("layer")]
    assert [name.replace(" mean ", " value ") for name in means] == frames.columns.tolist()
    np.testing.assert_allclose(frames.mean(), row[means].iloc[0], atol=1e-4)


def test_features_are_those_of_their_class(sound):
    from sernb.features import LogMel

    signal, rate = sound
    table = sernb.features([CLIP, signal], "log-mel", sampling_rate=rate, bands=40)
    expected = LogMel(bands=40)(signal)
    assert rate == LogMel.sampling_rate
    np.testing.assert_array_equal(table.loc["array 1"], expected)
    np.testing.assert_array_equal(table.loc[str(CLIP)], expected)
    assert len(sernb.features([]).columns) == 7828
    with pytest.raises(sernb.DataError, match="no features are named 'mels'; known: functionals"):
        sernb.features(CLIP, "mels")
    with pytest.raises(sernb.DataError, match=r"'band'; its settings are sampling_rate, .*bands"):
        sernb.features(CLIP, "log-mel", band=40)


NO_NUMBERS = (0, -1, 10**30, "40", None, float("nan"), float("inf"), True, [40], 1e-40, np.int64(-3))
NO_PITCH = (None, 3, {"lowest": 60}, Pitch(lowest=0), Pitch(lowest=600), Pitch(hop=0.0), Pitch(candidates=2.5))


@pytest.mark.parametrize(("kind", "made"), [*KINDS.items(), ("whisper-tiny.en", Embedding)])
def test_an_impossible_setting_is_one_line_with_its_range(kind, made):
    for name in set(made.__dataclass_fields__) - {"encoder", "sampling_rate"}:
        odd = NO_PITCH if name == "pitch" else (3, None, b"all") if name not in RANGES else NO_NUMBERS
        for value in (each for each in odd if not (name in ("level", "dither") and each in (0, -1, -3))):
            with pytest.raises(sernb.DataError) as error:
                compute_features([CLIP], kind, **{name: value})
            message = str(error.value)
            assert "\n" not in message
            assert name in message
            assert "expected" in message


@pytest.mark.slow
def test_settings_at_the_ends_of_their_ranges_are_computed(sound):
    """The number of coefficients ends at that of the bands."""
    signal, rate = sound[0][:4000], sound[1]
    for kind, made in KINDS.items():
        for name in set(made.__dataclass_fields__) & set(RANGES) - {"samples"}:
            for value in RANGES[name] if name != "coefficients" else (1, 128):
                coefficients = {"coefficients": 1} if name == "bands" and kind == "mfcc" else {}
                table = compute_features([signal], kind, sampling_rate=rate, **{name: value}, **coefficients)
                assert np.isfinite(table.to_numpy()).all(), (kind, name, value)
    for pitch in (Pitch(lowest=20, highest=1500), Pitch(hop=0.001, candidates=1), Pitch(sampling_rate=np.int64(8000))):
        assert len(compute_features([signal], "f0", sampling_rate=rate, pitch=pitch)) > 1
    with pytest.raises(sernb.DataError, match="coefficients=41: not more than bands=40 is expected"):
        compute_features([signal], "mfcc", sampling_rate=rate, bands=40, coefficients=41)
    with pytest.raises(sernb.DataError, match="coefficients=39: not more than bands=20 is expected"):
        compute_features([signal], "mfcc", sampling_rate=rate, bands=20)


# -- corpus and evaluate -- #


def test_a_corpus_is_a_table_with_its_files():
    clips, metadata = sernb.corpus("demo:gender=female")
    assert {"clip", "file", "speaker", "emotion"} <= set(clips.columns)
    assert all(
        ROOT.joinpath("data/demo", path).samefile(file) for path, file in zip(clips.path, clips.file, strict=True)
    )
    assert metadata["clips"] == len(clips)
    assert metadata["evidence"] is False
    with pytest.raises(sernb.DataError, match="no corpus is named 'ravdes'"):
        sernb.corpus("ravdes")


def test_the_table_of_a_corpus_can_be_predicted(model):
    clips = sernb.corpus("demo").clips.head(2)
    expected = model.predict(clips["file"].tolist())
    pd.testing.assert_frame_equal(model.predict(clips), expected)
    rows = sernb.features(clips, "level")
    assert rows.index.get_level_values("file").unique().tolist() == clips["file"].tolist()
    with pytest.raises(sernb.DataError, match="columns clip: has no column file"):
        model.predict(clips[["clip"]])


def test_clips_that_are_elsewhere_have_no_file(tmp_path):
    clips, _ = sernb.corpus("ravdess", tmp_path)
    assert len(clips) == 1440
    assert clips["file"].isna().all()


def test_worth_agrees_with_scikit_learn(rng):
    classes, clips = ["angry", "happy", "sad", "calm"], 60
    truth = rng.choice(classes, clips)
    scores = rng.dirichlet(np.ones(4), clips)
    best = np.array(classes)[scores.argmax(axis=1)]
    speakers = np.repeat([f"s{k}" for k in range(6)], 10)
    table = sernb.evaluate(truth, scores, classes=classes, speakers=speakers)
    assert table.loc["UAR", "value"] == pytest.approx(recall_score(truth, best, average="macro"), abs=1e-12)
    assert table.loc["WAR", "value"] == pytest.approx(accuracy_score(truth, best), abs=1e-12)
    assert table.loc["macro F1", "value"] == pytest.approx(f1_score(truth, best, average="macro"), abs=1e-12)
    assert table.loc["UAR", "chance"] == 0.25
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table.loc["UAR", ["clips", "speakers", "resampled"]].tolist() == [60, 6, "speakers"]
    frame = pd.DataFrame(scores, columns=classes).assign(seconds=1.0, confidence=0.5, file="a")
    pd.testing.assert_frame_equal(sernb.evaluate(truth, frame, speakers=speakers), table)
    numbers = [classes.index(each) for each in truth]
    pd.testing.assert_frame_equal(sernb.evaluate(numbers, scores, speakers=speakers), table)
    named = sernb.evaluate(truth, best)
    assert named["value"].tolist() == pytest.approx(table["value"].tolist()[:3])
    assert named["resampled"].unique().tolist() == ["clips"]


@pytest.mark.parametrize(
    ("truth", "scores", "options", "words"),
    [
        (["a", "b"], [[1, 0]], {"classes": ["a", "b"]}, "2 truths, 1 rows of scores"),
        ([], np.zeros((0, 2)), {}, "0 truths"),
        (["a", "c"], [[1, 0], [0, 1]], {"classes": ["a", "b"]}, "'c' is none of the classes of the scores, a, b"),
        ([0, 2], [[1, 0], [0, 1]], {}, "2 is none of the classes"),
        (["a", "b"], [[1, 0], [np.nan, 1]], {"classes": ["a", "b"]}, "1 of 2 clips have no scores"),
        (["a", "b"], [[1, 0], [0, 1]], {"classes": ["a", "a"]}, "each needs its own name"),
        (["a", "b"], [1.0, 0.5], {}, "names of predicted classes are expected"),
        (["a", "b"], ["a", "not sure"], {"classes": ["a", "b"]}, "'not sure': is predicted, but not a class"),
        (["a", "b"], pd.DataFrame({"a": [1, 0]}), {"classes": ["a", "b"]}, "'b': is not a numeric column"),
        (["a", "b"], pd.DataFrame({0: [1, 0]}), {"classes": ["a", "b"]}, "'a': is not a numeric column"),
        (["a", "b"], pd.DataFrame({"a": [1, 0], "b": [0, 1], "age": [30, 40]}), {}, "do not sum to 1"),
        (["a", "a"], pd.DataFrame({"a": [1, 1]}), {"classes": ["a", "a"]}, "have a class twice"),
        ([["a"], ["b"]], [[1, 0], [0, 1]], {}, "truth has the shape (2, 1)"),
        (["a", "b"], ["a", "b"], {"speakers": ["x", None]}, "none missing"),
        (["a", "b"], ["a", "b"], {"speakers": [["x"], ["y"]]}, "one name per clip is expected"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(truth, scores, options, words):
    with pytest.raises(sernb.DataError) as error:
        sernb.evaluate(truth, scores, **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_example_of_the_documentation(model):
    """Load, predict, evaluate: clips of a corpus that the model cannot name all of, mapped openly."""
    clips, _ = sernb.corpus("demo")
    known = clips[clips["emotion"].isin(model.classes)].head(4)
    table = sernb.evaluate(known["emotion"], model.predict(known["file"]), speakers=known["speaker"])
    assert table.index.tolist() == ["UAR", "WAR", "macro F1", "top 3"]
    assert (table["clips"] == 4).all()


def test_the_table_that_the_command_writes_is_evaluated_as_that_of_the_library():
    """Its number of clips of an adapted voice is no score of a class."""
    rows = {"file": ["1", "2"], "seconds": [1.0, 2.0], "sad": [0.9, 0.2], "angry": [0.1, 0.8]}
    table = pd.DataFrame(rows | {"reliable": ["yes", "no"], "speaker_clips": [16, 16]})
    found = sernb.evaluate(["sad", "angry"], table, speakers=["x", 1])
    assert found.loc["UAR", "value"] == 1


def test_gaps_and_names_that_no_file_can_have_are_rows(model, tmp_path):
    names = [None, "", b"", np.nan, pd.NA, pd.NaT, "a\0b.wav", "\ud800.wav", "~nosuchuser/a.wav", "y" * 300]
    found = model.predict(names)
    assert len(found) == len(names)
    assert (found["error"] != "").all()


def test_samples_count_in_any_order_of_bytes(model):
    tone = np.round(8000 * np.sin(np.arange(22_050) / 20) * np.sin(np.arange(22_050) / 2000)).astype(np.int16)
    one, other = (model.predict(samples, 22_050) for samples in (tone, tone.astype(">i2")))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("odd", [5, b"functionals-ridge", ["a"], "x" * 5000, "a\0b"])
def test_what_names_no_model_is_one_line(odd):
    with pytest.raises(sernb.DataError, match="bundled"):
        sernb.load(odd)


@pytest.mark.parametrize("coverage", ["0.9", None, np.nan])
def test_an_odd_coverage_is_one_line(coverage, model):
    with pytest.raises(sernb.DataError, match="no sets of coverage"):
        model.predict([], coverage=coverage)
