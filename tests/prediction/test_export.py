"""`sernb export`: what another runtime makes of a model is what the workbook makes of it."""

import json
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from bare_runtime import run_alone
from random_networks import finetuned_network, sernet_arrays

from sernb.audio.reading import load
from sernb.cli.main import main
from sernb.config import ROOT, DataError
from sernb.features import Embedding, Functionals, LevelledEmbedding, LevelledFunctionals, SpeechMel, WhisperMel
from sernb.prediction import export as module
from sernb.prediction.export import TOLERANCE, export_model, make_metadata
from sernb.prediction.loading import load_model
from sernb.prediction.model import CalibratedNetwork, Model
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.sernet import SYSTEM as SERNET

CLIPS = [ROOT / "data/demo/Actor_02" / f"03-01-0{emotion}-01-01-01-02.flac" for emotion in (3, 4, 6)]
CLASSES = ("angry", "happy", "sad")


def linear(features, *, unlearned: bool = False) -> Model:
    """A model of random weights, of which one class may never have been learned."""
    rng = np.random.default_rng(0)
    planes = rng.normal(0, 0.05, (len(CLASSES), features.width))
    planes[1] *= not unlearned
    mean, deviation = rng.normal(0, 1, features.width), rng.uniform(0.5, 2, features.width)
    return Model(
        Path("model"), {}, "random", CLASSES, features, classifier=LinearClassifier(mean, deviation, planes, 0.7)
    )


def sernet() -> Model:
    """A network of random weights."""
    network = SERNET.to_numpy(SERNET.settings, sernet_arrays(len(CLASSES)))
    return Model(Path("model"), {}, "sernet", CLASSES, SpeechMel(), network=CalibratedNetwork(network, 1.7))


def finetuned() -> Model:
    """A fine-tuned encoder of random weights."""
    network = CalibratedNetwork(finetuned_network(len(CLASSES)), 0.8)
    return Model(Path("model"), {}, "whisper-finetuned", CLASSES, WhisperMel(), network=network)


def waveforms() -> list[np.ndarray]:
    """Return clips, one of them quiet at both ends, others with an even or odd number of frames, one very short."""
    signals = [load(clip, 16_000) for clip in CLIPS]
    silence = np.zeros(7_000, np.float32)
    return [*signals, np.concatenate([silence, signals[0], silence]), signals[1][:20_000], signals[1][8_000:9_700]]


def test_features_computed_before_are_named_and_the_head_takes_many_clips(tmp_path):
    model = linear(LevelledFunctionals(), unlearned=True)
    about = export_model(model, "onnx", tmp_path / "made")
    rows = np.concatenate([model.features(load(clip, 16_000)) for clip in CLIPS])
    np.testing.assert_allclose(run_alone(tmp_path / "made", rows, tmp_path), model.classifier(rows), atol=TOLERANCE)
    session = onnxruntime.InferenceSession(str(tmp_path / "made" / "model.onnx"))
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(CLASSES)
    source = json.loads(notes["inputs"])["functionals"]
    assert source == about["inputs"]["functionals"]
    assert source["names"] == LevelledFunctionals().names
    signal = load(CLIPS[0], 16_000)
    scope = {"signal": signal}
    *steps, last = source["made_by"].split("; ")
    exec("; ".join(steps), scope)  # noqa: S102 - our own line
    np.testing.assert_array_equal(eval(last, scope)[0], rows[0])  # noqa: S307
    with wave.open(str(tmp_path / "made" / "known-answer.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        heard = np.frombuffer(file.readframes(-1), "<i2").astype(np.float32) / 2**15
    known = np.load(tmp_path / "made" / "known-answer.npz")
    np.testing.assert_array_equal(model.features(heard), known["functionals"])


@pytest.mark.parametrize("make", [sernet, finetuned])
def test_a_network_reads_the_waveform_itself(tmp_path, make):
    model = make()
    export_model(model, "onnx", tmp_path / "made")
    session = onnxruntime.InferenceSession(str(tmp_path / "made" / "model.onnx"))
    for signal in waveforms():
        (said,) = session.run(["probabilities"], {"waveform": signal[None]})
        np.testing.assert_allclose(said, model.scores([model.features(signal)]), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.encoder
@pytest.mark.parametrize("features", [LevelledEmbedding(), Embedding(layers="1-2", pooling="mean")])
def test_an_encoder_is_part_of_the_file(tmp_path, features, encoders):
    model = linear(features)
    export_model(model, "onnx", tmp_path / "made")
    session = onnxruntime.InferenceSession(str(tmp_path / "made" / "model.onnx"))
    for signal in waveforms():
        (said,) = session.run(["probabilities"], {"waveform": signal[None]})
        np.testing.assert_allclose(said, model.scores([model.features(signal)]), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("make", [sernet, finetuned, lambda: linear(Functionals())])
def test_litert_answers_as_the_workbook(tmp_path, make):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = make()
    export_model(model, "litert", tmp_path / "made")
    run = interpreter.Interpreter(str(tmp_path / "made" / "model.tflite")).get_signature_runner()
    for signal in waveforms():
        features = model.features(signal)
        given = {"waveform": signal[None]} if model.network else {"functionals": features}
        np.testing.assert_allclose(run(**given)["probabilities"], model.scores([features]), atol=TOLERANCE)


def test_a_line_of_code_names_only_what_is_not_the_default():
    assert module._constructor_code(Functionals()) == "Functionals()"
    assert module._constructor_code(LevelledFunctionals(level=-25.0)) == "LevelledFunctionals(level=-25.0)"


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    other = Model(Path("model"), {}, "other", CLASSES, SpeechMel(), network=lambda clips: None)
    with pytest.raises(DataError, match="other: cannot be exported; only sernet"):
        make_metadata(other)
    model = linear(Functionals())
    monkeypatch.setitem(module.REQUIRED_PACKAGES, "onnx", ("no_such_package",))
    with pytest.raises(DataError, match=r"needs the package no-such-package; run: pip install 'sernb\[onnx\]'"):
        export_model(model, "onnx", tmp_path / "made")
    monkeypatch.undo()
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(DataError, match="output of the exported file differs"):
        export_model(model, "onnx", tmp_path / "made")
    assert not (tmp_path / "made").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert main(["export", "bundled", "--format", "onnx", "--to", str(tmp_path / "full")]) == 1
    assert "is not empty (it contains letter.txt)" in capsys.readouterr().err


def test_an_export_is_replaced_only_when_asked(tmp_path):
    model, folder = linear(Functionals()), tmp_path / "made"
    export_model(model, "onnx", folder)
    with pytest.raises(DataError, match="--replace"):
        export_model(model, "onnx", folder)
    export_model(model, "onnx", folder, replace=True)
    with pytest.raises(DataError, match="was not made by"):
        module.refuse_taken(folder, replace=True, files=tuple(each.name for each in folder.iterdir()))


def test_the_bundled_model_is_exported_with_its_card(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_ENCODERS", str(tmp_path))
    export_model(load_model(), "onnx", tmp_path / "made")
    text = (tmp_path / "made" / "README.md").read_text("utf-8")
    assert 'license: "cc-by-nc-sa-4.0"' in text
    assert "Do not use it\ncommercially" in text
    section = text.partition("## This folder")[2].partition("\n## ")[0]
    for each in (tmp_path / "made").iterdir():
        assert each.name == "README.md" or f"`{each.name}`" in section
    assert not {"weights.npz", "model.json"} & set(text.replace("`", " ").split()), "these are not in the folder"
    assert "onnxruntime.InferenceSession" in section
