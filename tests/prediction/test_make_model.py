"""`sernb train`: which systems and recordings give a final model, what it says of itself, and what is refused."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from random_networks import sernet_arrays

from sernb.audio.augmentation import Noise
from sernb.audio.reading import load
from sernb.cli.main import main
from sernb.config import ROOT, DataError, plain
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.evaluation import apply_temperature
from sernb.features import Embedding, Functionals, Joined, LevelledEmbedding, LevelledFunctionals, WhisperMel
from sernb.prediction import domain_check, final_network
from sernb.prediction import make_model as module
from sernb.prediction.final_model import domain_functionals
from sernb.prediction.front_matter import write_front_matter
from sernb.prediction.loading import load_model
from sernb.prediction.make_model import KNOWN, make_model
from sernb.prediction.model_folder import refuse_taken
from sernb.prediction.predict import predict
from sernb.prediction.training_corpus import Corpus, read_corpus
from sernb.systems.base import Fitted
from sernb.systems.registry import get_system
from sernb.systems.sernet import SYSTEM as SERNET

DEMO = ROOT / "data" / "demo"
CLIP = DEMO / "Actor_01" / "03-01-05-01-01-01-01.flac"
EMOTIONS = {3: "happy", 4: "sad", 5: "angry"}  # by their code in a file's name


def own_corpus(folder: Path, actors, *, rare: bool = False) -> Path:
    """Make a folder of one's own recordings, of clips of the demo: two sentences, two takes, three emotions."""
    rows = ["path,speaker,gender,emotion,sentence"]
    for actor in actors:
        for clip in sorted((DEMO / f"Actor_{actor:02}").glob("03-01-0[345]-01-*.flac")):
            emotion = EMOTIONS[int(clip.name.split("-")[2])]
            name = f"{actor}-{clip.name}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, folder / name)
            if rare and emotion == "sad" and (actor != actors[0] or clip.name[9:11] == "02"):
                continue
            rows.append(f"{name},{actor},{'male' if actor % 2 else 'female'},{emotion},{clip.name.split('-')[4]}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_one_speaker_gives_a_model_that_says_what_it_does_not_know(tmp_path, capsys):
    corpus, folder = own_corpus(tmp_path / "mine", [1]), tmp_path / "model"
    assert main(["train", str(corpus), "--system", "functionals-ridge", "--to", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "there is one speaker: performance for others is unknown" in shown.err
    assert "clips of the same speaker" in shown.out
    model = load_model(folder)
    found = predict(model, CLIP)
    assert (found.threshold, found.domain_check, found.unsure_below) == (None, None, 0.0)
    card = (folder / "README.md").read_text("utf-8")
    assert "There is **one speaker**" in card
    assert "Unknown: there is one training speaker" in card
    assert str(tmp_path) not in card + (folder / "model.json").read_text("utf-8"), "no path of this machine is told"
    assert main(["train", str(corpus), "--system", "sernet", "--to", str(tmp_path / "other")]) == 1
    assert "sernet needs at least two" in capsys.readouterr().err


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A corpus of three speakers, one emotion of which one of them has alone, and a model of it."""
    folder = tmp_path_factory.mktemp("few")
    corpus, said = own_corpus(folder / "few speakers", [1, 2, 3], rare=True), []
    make_model("functionals-ridge", str(corpus), folder / "model", announce=said.append)
    return corpus, folder / "model", said


@pytest.mark.slow
def test_few_speakers_and_a_rare_class_are_told(few):
    _, folder, said = few
    assert [each.partition(":")[0] for each in said] == ["there are 3 speakers", "emotions of one speaker only"]
    assert "sad" in said[1]
    about = json.loads((folder / "model.json").read_text("utf-8"))
    assert about["made_with"] == "sernb train few speakers --system functionals-ridge --to FOLDER"
    card = (folder / "README.md").read_text("utf-8")
    assert (
        "With 3 speakers, sets of 80 % and 90 % and 95 % contain all emotions: they need 4 and 9 and 19 speakers."
        in card
    )
    assert predict(load_model(folder), CLIP).emotions[0] == "angry"


@pytest.mark.slow
def test_front_matter_is_what_the_figures_say(few):
    _, folder, _ = few
    about = json.loads((folder / "model.json").read_text("utf-8"))
    _, front, card = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    read = yaml.safe_load(front)
    assert (read["license"], read["license_name"]) == ("other", "as-their-owners-decide")
    (result,) = read["model-index"][0]["results"]
    held = about["figures"]["held-out speakers"]
    metric = result["metrics"][0]
    assert (
        f"{metric['value']:.1f} [{metric['args']['interval'][0]:.1f}, {metric['args']['interval'][1]:.1f}]"
        in held["UAR"]
    )
    assert f"{metric['args']['chance']:.1f}" == held["UAR floor"]
    assert held["UAR"] in card
    trained = {"title": "RAVDESS", "corpus": "ravdess", "licence": "CC BY-NC-SA 4.0", "encoders": ["whisper-tiny.en"]}
    read = yaml.safe_load(write_front_matter({"name": "a: b", "trained_on": trained, "figures": {}}).strip("-\n"))
    assert read["license"] == "cc-by-nc-sa-4.0"
    assert read["base_model"] == ["Systran/faster-whisper-tiny.en"]


@pytest.mark.slow
def test_only_what_this_command_made_is_replaced(few, tmp_path):
    corpus, made, _ = few
    folder = tmp_path / "model"
    shutil.copytree(made, folder)
    for wrong, options in (("already contains a model", {}), ("cannot be a final model", {"replace": True})):
        with pytest.raises(DataError, match=wrong):
            make_model("majority", str(corpus), folder, **options)
    (folder / "mine.txt").write_text("notes")
    with pytest.raises(DataError, match=r"is not empty \(it contains mine.txt\)"):
        make_model("functionals-ridge", str(corpus), folder, replace=True)
    (folder / "mine.txt").unlink()
    about = json.loads((folder / "model.json").read_text("utf-8"))
    (folder / "model.json").write_text(json.dumps({k: v for k, v in about.items() if k != "made_by"}))
    with pytest.raises(DataError, match="was not made by"):
        make_model("functionals-ridge", str(corpus), folder, replace=True)


@pytest.mark.slow
def test_an_interrupted_training_leaves_nothing(few, tmp_path, monkeypatch):
    def interrupted(made):
        raise KeyboardInterrupt

    monkeypatch.setattr("sernb.prediction.model_folder.make_contents", interrupted)
    monkeypatch.setattr("sernb.prediction.final_model.make_linear_model", lambda *_: module.TrainedModel({}, {}, {}))
    with pytest.raises(KeyboardInterrupt):
        make_model("functionals-ridge", str(few[0]), tmp_path / "new" / "model", announce=print)
    assert not list((tmp_path / "new").iterdir())


def test_what_cannot_be_a_final_model_is_refused_in_one_line(tmp_path, capsys):
    for name in ("majority", "tim-net", "statistics-svm", "sernet-functionals", "adaptive-ridge"):
        assert main(["train", "demo", "--system", name, "--to", str(tmp_path / "model")]) == 1
        assert capsys.readouterr().err == f"sernb: {name}: cannot be a final model; known: {KNOWN}\n"
    assert all(module.is_linear(get_system(name)) for name in (*module.LINEAR, "embedding-pair-functionals"))


@pytest.mark.slow
def test_strangers_stay_a_bounded_number_of_groups_and_teach_every_class(few):
    corpus = read_corpus(get_system("functionals-ridge"), str(few[0]))
    for clips in (corpus.clips, corpus.clips.assign(sentence=np.arange(len(corpus)).astype(str))):
        changed = dataclasses.replace(corpus, clips=clips)
        strangers = changed.strangers
        assert len(strangers) <= 4 * 3
        tested = np.sum([unseen for unseen, _ in strangers], axis=0)
        assert (tested == 1).all(), "each clip once"
        for unseen, kept in strangers:
            assert not set(changed.speakers[unseen]) & set(changed.speakers[kept])


def test_the_domain_check_reads_functionals_that_the_model_does_not(tmp_path):
    for features, expected in (
        (Functionals(), (Functionals(), True)),
        (Joined((LevelledEmbedding(), LevelledFunctionals())), (LevelledFunctionals(), True)),
        (Joined((Embedding(), Embedding(encoder="whisper-base"))), (Functionals(), False)),
        (LevelledEmbedding(), (LevelledFunctionals(), False)),
    ):
        assert domain_functionals(features) == expected


@pytest.mark.slow
def test_a_network_is_calibrated_by_its_speaker_independent_runs_and_kept_as_arrays(few, tmp_path, monkeypatch):
    corpus, _, _ = few
    classes, weights = ("happy", "sad", "angry"), sernet_arrays(3)
    network = SERNET.to_numpy(SERNET.settings_for("quick"), weights)
    planned = []

    def run(experiments, **_):
        planned.extend(experiments)
        for each in experiments:
            table = prepare(each.corpus, SERNET.features)
            scores = pd.DataFrame(network([table[clip] for clip in each.fold.test]), columns=classes)
            yield SimpleNamespace(predictions=scores.assign(clip=each.fold.test, view="original"))

    monkeypatch.setattr("sernb.prediction.final_network.run_many", lambda *each, **options: list(run(*each, **options)))
    monkeypatch.setattr("sernb.prediction.final_network._train", lambda *_: Fitted(scores=network, weights=weights))
    about = make_model("sernet", str(corpus), tmp_path / "model", profile="quick", announce=str)
    assert [each.fold.number for each in planned] == [0, 1, 2], "all folds, for all that it is quick"
    model = load_model(tmp_path / "model")
    features = model.features(load(CLIP, 16_000))
    raw = network([features])
    expected = apply_temperature(raw, about["temperatures"]["as_heard"])
    np.testing.assert_allclose(model.scores([features]), expected, atol=1e-6)
    found = predict(model, CLIP)
    assert found.domain_check.verdict in domain_check.VERDICTS
    assert found.domain_check.measures == pytest.approx(model.reference.measure(load(CLIP, 16_000)))
    assert model.only(["sad", "angry"]).scores([features]).sum() == pytest.approx(1)
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "A dilated convolutional network predicts" in card
    assert "adapted" not in card.replace("without adaptation", "")
    spoil(tmp_path / "model")


@pytest.mark.slow
def test_the_last_training_of_a_network_has_its_augmented_copies(few):
    corpus, _, _ = few
    seen, noise = {}, Noise("noise", 10.0)

    def fit(settings, task):
        seen["task"] = task
        return Fitted(scores=lambda clips: np.ones((len(clips), 3)) / 3)

    system = dataclasses.replace(SERNET, features=WhisperMel(), training_views=(noise,), fit=fit)
    pool = parse_pool(str(corpus))
    clips = pool.index.assign(truth=pool.index.emotion)
    data = Corpus(system, pool, ("happy", "sad", "angry"), clips, np.zeros((len(clips), 0)), (), ())
    final_network._train(system, system.settings, data)
    (copies,) = seen["task"].copies
    assert copies.clips["clip"].tolist() == seen["task"].train.clips["clip"].tolist() == clips["clip"].tolist()
    table = prepare(pool, WhisperMel(), view=noise)
    np.testing.assert_array_equal(copies.features[0], table[clips["clip"].iloc[0]])
    assert not np.array_equal(copies.features[0], seen["task"].train.features[0])


def spoil(folder: Path) -> None:
    """A folder of a network that was changed ends in one line."""
    about = json.loads((folder / "model.json").read_text("utf-8"))
    for changes, said in (
        ({"settings": {**about["settings"], "filters": 10**9}}, "settings or features differ"),
        ({"features": Functionals()}, "settings or features differ"),
        ({"classes": ["happy", "sad"]}, "the arrays do not fit such a network"),
        ({"domain_features": {"type": "SpeechMel"}}, "features that this version does not have"),
        ({"domain_features": LevelledEmbedding()}, "functionals are expected"),
        ({"temperatures": {"as_heard": "1"}}, "temperatures: a number"),
        ({"readiness": {}}, "voice is missing"),
    ):
        (folder / "model.json").write_text(json.dumps(plain(about | changes)))
        with pytest.raises(DataError, match=said) as error:
            load_model(folder)
        assert "\n" not in str(error.value)


def test_a_bundled_model_is_loaded_without_pandas():
    program = "import sys; from sernb.prediction import loading, predict; loading.load_model(loading.BUNDLED); "
    program += "print(*{'pandas', 'sklearn', 'keras', 'sernb.systems.base'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "\n", "it takes seconds to import what a linear model does without"


@pytest.mark.parametrize("odd", ["del\x7f", "next\x85line", "\u2028", "\ud800", "\ufeff", 'a"b: - #\n---', "\ufffe"])
def test_any_name_of_a_folder_makes_front_matter_that_is_read(odd):
    trained = {"title": odd, "corpus": "own", "licence": "CC0 1.0", "encoders": []}
    held = {"UAR": "50.0 [40.0, 60.0]", "UAR floor": "14.3", "clips": 9, "speakers": 3}
    figures = {"held-out speakers": held}
    text = write_front_matter({"name": "x", "trained_on": trained, "figures": figures})
    read = yaml.safe_load(text.encode("utf-8").removeprefix(b"---\n").removesuffix(b"---\n"))
    assert read["model-index"][0]["results"][0]["dataset"]["name"].startswith(odd)


def test_a_folder_below_a_file_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="file/model: cannot be written"):
        refuse_taken(tmp_path / "file" / "model", replace=False)
