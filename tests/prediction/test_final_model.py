"""A final model of a corpus: a folder that is read, predicts, and says what was measured."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from bare_runtime import run_alone

from sernb.audio.reading import load
from sernb.config import INDEX, ROOT
from sernb.features import Functionals, Joined, LevelledFunctionals
from sernb.prediction.export import TOLERANCE, export_model
from sernb.prediction.final_model import train_final_model
from sernb.prediction.loading import load_model
from sernb.prediction.predict import predict
from sernb.prediction.training import train
from sernb.prediction.training_corpus import read_corpus
from sernb.systems.registry import get_system

CLIP = ROOT / "data" / "demo" / "Actor_01" / "03-01-05-01-01-01-01.flac"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A final model of half of the speakers of the demo corpus."""
    corpus, made = tmp_path_factory.mktemp("half"), tmp_path_factory.mktemp("model")
    clips = pd.read_csv(INDEX / "demo.csv").query("speaker <= 'demo-04'")
    clips[["path", "speaker", "gender", "emotion", "sentence"]].to_csv(corpus / "labels.csv", index=False)
    for folder in {Path(path).parent for path in clips.path}:
        shutil.copytree(ROOT / "data" / "demo" / folder, corpus / folder)
    train_final_model("functionals-ridge-robust", str(corpus), str(corpus), made)
    return made


def test_a_final_model_predicts_and_does_not_depend_on_the_level(folder, tmp_path):
    model = load_model(folder)
    assert isinstance(model.features, LevelledFunctionals)
    assert model.classes == ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    found = predict(model, CLIP)
    soundfile.write(tmp_path / "quiet.wav", 0.05 * load(CLIP, 16_000), 16_000, subtype="FLOAT")
    quiet = predict(model, tmp_path / "quiet.wav")
    np.testing.assert_allclose(quiet.scores, found.scores, atol=0.01)
    assert quiet.domain_check.verdict == found.domain_check.verdict


def test_its_card_and_its_figures_are_of_the_same_measurement(folder):
    about = json.loads((folder / "model.json").read_text("utf-8"))
    card = (folder / "README.md").read_text("utf-8")
    for figure in (about["figures"]["held-out speakers"]["UAR"], *about["figures"]["strangers"].values()):
        assert figure in card
    assert list(about["figures"]["strangers"]) == ["noise", "room", "telephone", "device"]
    assert 0 < about["unsure_below"] <= 1
    assert set(about["sets"]) == {"as_heard", "adapted", "adapted 1", "adapted 4", "adapted 16"}


def test_a_model_of_fewer_classes_renormalises(folder):
    model = load_model(folder)
    fewer = model.only(["sad", "angry"])
    assert fewer.classes == ("sad", "angry")
    row = model.features(load(CLIP, 16_000))
    whole = model.scores([row])[0][[2, 3]]
    np.testing.assert_allclose(fewer.scores([row])[0], whole / whole.sum(), atol=1e-9)
    assert fewer.threshold(0.9) is None


def test_a_model_is_carried_elsewhere_exported_and_predicts_without_the_workbook(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    model = load_model(tmp_path / "elsewhere")
    export_model(model, "onnx", tmp_path / "made")
    rows = np.concatenate([model.features(load(clip, 16_000)) for clip in sorted(CLIP.parent.glob("*-01.flac"))[::10]])
    np.testing.assert_allclose(run_alone(tmp_path / "made", rows, tmp_path), model.classifier(rows), atol=TOLERANCE)


def test_a_product_of_linear_classifiers_is_one():
    system = get_system("functionals-ridge")  # no copies are needed
    single = read_corpus(system, "demo")
    kept = ~single.folds[0]
    alone = train(single, kept, single.rows, ())
    twice = np.concatenate([single.rows] * 2, axis=1)

    class Settings:
        shares = (1.0, 0.5)

    class Product:
        members = (system, system)
        settings = Settings

    product = train(dataclasses.replace(single, system=Product), kept, twice, ())
    held = ~kept
    expected = alone(single.rows[held]) ** 1.5
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(product(twice[held]), expected, atol=1e-6)
    assert Joined((Functionals(), Functionals())).width == twice.shape[1]
