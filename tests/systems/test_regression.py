"""Systems that predict numbers, against scikit-learn; and what a study of them writes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import Ridge
from sklearn.svm import SVR

from sernb.__main__ import main
from sernb.audio.recordings import examine_recording
from sernb.config import INDEX, ROOT, DataError
from sernb.corpora.pool import parse_pool
from sernb.evaluation import ccc
from sernb.prediction.loading import load_model
from sernb.prediction.number_run import load_number_run, predict_number
from sernb.results.numbers import (
    collect_numbers,
    numbers_caption,
    numbers_summary,
    numbers_table,
    score_speakers,
    summary_caption,
)
from sernb.results.protocol_cards import protocol_cards
from sernb.results.result import collect_results
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.studies import dimensions
from sernb.systems import regression
from sernb.systems.base import Examples, Task
from sernb.systems.registry import REGRESSORS, get_system


@pytest.fixture
def task(rng):
    """240 clips of eight speakers, 30 features, of which five say something of the value."""
    rows = rng.normal(0, 1, (240, 30))
    truth = 3 + rows[:, :5].sum(axis=1) + rng.normal(0, 0.5, 240)
    about = pd.DataFrame({"speaker": np.repeat(list("abcdefgh"), 30), "gender": ""})
    examples = Examples([row[None] for row in rows], truth, about)
    ones = np.ones(240, int)
    return Task(examples, examples[:0], (), speaker_independent=True, times_trained=ones, seed=0)


def test_ridge_is_that_of_scikit_learn(task):
    """The same penalty, in units of a clip's mean square: with standardised features their number, over 30 columns."""
    fitted = regression.fit(regression.Settings(penalties=(0.3,)), task)
    rows = np.concatenate(task.train.features)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    size = (scaled**2).mean()
    expected = Ridge(alpha=0.3 * size * 30, fit_intercept=False).fit(scaled, task.train.truth - task.train.truth.mean())
    predicted = fitted.scores(tuple(task.train.features))
    assert predicted == pytest.approx(expected.predict(scaled) + task.train.truth.mean(), abs=1e-9)
    kept = {name: array.astype(float) for name, array in fitted.weights.items()}
    again = (rows - kept["mean"]) / kept["deviation"] @ kept["planes"][0] + kept["intercept"]
    assert again == pytest.approx(predicted, abs=1e-4), "what a run keeps predicts the same"


def test_support_vectors_are_those_of_scikit_learn(task):
    fitted = regression.fit(regression.Settings("insensitive", penalties=(1.0,)), task)
    rows, truth = np.concatenate(task.train.features), task.train.truth
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0) / np.sqrt(30)
    machine = SVR(kernel="linear", C=1.0, epsilon=0.1).fit(scaled, (truth - truth.mean()) / truth.std())
    predicted = truth.mean() + truth.std() * machine.predict(scaled)
    assert fitted.scores(tuple(task.train.features)) == pytest.approx(predicted, abs=0.02)


def test_the_penalty_is_chosen_on_training_speakers_alone(task):
    fitted = regression.fit(regression.Settings(), task)
    assert fitted.chosen["inner folds"] == "by speaker"
    assert fitted.chosen["inner CCC"] > 0.9
    noise = dataclasses.replace(task.train, truth=np.random.default_rng(0).permutation(task.train.truth))
    shrunk = regression.fit(regression.Settings(), dataclasses.replace(task, train=noise))
    assert shrunk.chosen["inner CCC"] < 0.2
    with pytest.raises(DataError, match="squares, insensitive"):
        regression.Settings(loss="huber")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, share_features):
    """Loudness of half of the demo corpus, by the mean and by ridge regression, under two protocols."""
    folder = share_features(tmp_path_factory.mktemp("numbers"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(folder))
        protocols = ["speaker-independent", "random"]
        systems = ["training-mean", "functionals-ridge-regression"]
        experiments = plan(systems, "demo:sentence=01", protocols, targets=["loudness"])
        return folder, experiments, run_many(experiments, jobs=1, progress=False)


@pytest.fixture
def loudness(finished, monkeypatch):
    monkeypatch.setenv("SERNB_WORK", str(finished[0]))
    return finished[1:]


@pytest.mark.slow
def test_results_come_from_the_predictions(loudness):
    experiments, _ = loudness
    for result in collect_numbers(experiments):
        files = [run.folder / "predictions.csv" for run in result.runs]
        written = pd.concat([pd.read_csv(file) for file in files])
        assert written["clip"].is_unique
        assert len(written) == 120
        assert list(written) == ["clip", "speaker", "gender", "truth", "view", "prediction"]
        truth = pd.read_csv(INDEX / "demo.csv").set_index("clip").loudness
        assert written.truth.to_numpy() == pytest.approx(truth[written["clip"]].to_numpy())
        assert result.metrics.ccc.value == pytest.approx(ccc(written.truth, written.prediction), abs=1e-12)
    table = numbers_table(experiments).set_index(["System", "Protocol"])
    assert set(table.Target) == {"loudness"}
    ridge = table.loc[("functionals-ridge-regression", "speaker-independent")]
    assert float(ridge.CCC.split()[0]) > 0.8, "the synthesiser's level can be heard"
    assert (ridge.Clips, ridge["Without value"], ridge.Folds) == (120, 0, "4 of 4")
    assert abs(float(table.loc[("training-mean", "random")].CCC.split()[0])) < 0.05
    assert "a constant prediction has a CCC of 0" in numbers_caption(experiments)
    assert len(score_speakers(collect_numbers(experiments)[0])) == 8
    results = collect_numbers(experiments)
    summary = numbers_summary(results).set_index("System")
    assert list(summary) == [f"{name} {each}" for name in ("CCC", "RMSE") for each in ("speaker-independent", "random")]
    assert summary.loc["functionals-ridge-regression", "CCC speaker-independent"].startswith(ridge.CCC[:4])
    assert summary.loc["functionals-ridge-regression", "RMSE speaker-independent"] == ridge.RMSE.split()[0]
    assert "speaker-independent 120 clips of 8 speakers, 4 folds; random 120 clips" in summary_caption(results)


@pytest.mark.slow
def test_a_changed_prediction_is_seen(loudness):
    experiments, runs = loudness
    path = runs[0].folder / "predictions.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"-38", b"-37", 1))
    try:
        with pytest.raises(DataError, match="has changed since it was written"):
            collect_numbers(experiments)
    finally:
        path.write_bytes(content)


@pytest.mark.slow
def test_numbers_and_classes_never_share_a_table(loudness):
    experiments, _ = loudness
    with pytest.raises(DataError, match="numeric targets, not classes"):
        collect_results(experiments)
    with pytest.raises(DataError, match="classes, not numeric targets"):
        collect_numbers(plan(["majority"], "demo", ["random"]))


@pytest.mark.slow
def test_random_folds_have_equal_shares_of_low_and_high(loudness):
    experiments, _ = loudness
    means = [each.clips.set_index("clip").truth[list(each.fold.test)].mean() for each in experiments[-5:]]
    assert experiments[-1].protocol.name == "random"
    assert np.ptp(means) < 1.5, "dB; by chance about 2"


@pytest.mark.parametrize(
    ("systems", "options", "named"),
    [
        (["majority"], {"targets": ["pitch"]}, "predicts classes, not the numbers of pitch; use training-mean"),
        (["training-mean"], {}, "is not named; give --target with a column that has values: rate, pitch"),
        (["training-mean"], {"labels": "seven"}, "predicts numbers, not the classes of seven"),
        (["training-mean"], {"labels": "seven", "targets": ["pitch"]}, "not both"),
        (["training-mean"], {"targets": ["emotion"]}, "'emotion' is not a numeric column"),
        (["training-mean"], {"targets": ["seconds"]}, "'seconds' is not a numeric column"),
        (["training-mean"], {"targets": ["arousal"]}, "no clip has a value of arousal"),
        (["training-mean"], {"targets": ["pitch:5"]}, "write it as in arousal:1..5"),
        (["training-mean"], {"targets": ["pitch:5..1"]}, "write it as in arousal:1..5"),
        (["training-mean"], {"targets": ["pitch:0..60"]}, "is outside 0 to 60; correct it or the scale"),
    ],
)
def test_what_cannot_be_predicted_is_refused_with_what_can(systems, options, named):
    with pytest.raises(DataError, match=named):
        plan(systems, "demo", ["random"], **options)


def test_each_system_is_found_by_name():
    for name in REGRESSORS:
        system = get_system(name)
        assert system.name == name
        assert system.labels.numeric
    assert get_system("embedding-svr@whisper-base").features.encoder == "whisper-base"


@pytest.mark.slow
def test_the_command_writes_a_table_of_numbers(finished, loudness, tmp_path, capsys):
    command = "experiment --systems training-mean --corpus demo --protocol random --target loudness,rate --jobs 1"
    assert main([*command.split(), "--dirty", "--csv", str(tmp_path / "numbers.csv")]) == 0
    table = pd.read_csv(tmp_path / "numbers.csv")
    assert table.Target.tolist() == ["loudness", "rate"]
    assert table.Corpus.tolist() == ["demo", "demo"]
    assert not {"UAR", "WAR"} & set(table)
    assert {"CCC", "Pearson", "RMSE", "Commits"} <= set(table)
    assert "Lin's concordance" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_shows_one_result_against_the_truth(loudness):
    results = collect_numbers(loudness[0])
    best = dimensions.best_result(results)
    assert (best.system.name, best.protocol) == ("functionals-ridge-regression", "speaker-independent")
    first = dimensions.headline(results)[0]
    assert first.startswith(f"Target loudness: {best.system.name}, speaker-independent, CCC 0.")
    numbers, speakers = dimensions.plot(best)
    points = numbers.figure.axes[0].lines[0]
    assert points.get_xdata() == pytest.approx(best.prediction)
    assert points.get_ydata() == pytest.approx(best.truth)
    assert [label.get_text() for label in speakers.figure.axes[0].get_yticklabels()] == score_speakers(
        best
    ).speaker.tolist()
    cards = protocol_cards(loudness[0])
    assert set(cards["Model selection"][cards.Protocol == "speaker-independent"]) == {
        "speaker-independent inner cross-validation"
    }


@pytest.mark.slow
@pytest.mark.parametrize(("corpus", "asked", "target"), [("demo", "", "loudness"), ("demo", "rate", "rate")])
def test_the_target_of_the_page(corpus, asked, target):
    assert dimensions.choose_target(parse_pool(corpus), asked) == target
    with pytest.raises(DataError, match="has no numeric labels"):
        dimensions.choose_target(parse_pool("ravdess"))


@pytest.mark.slow
def test_a_run_predicts_recordings_and_says_what_is_odd(loudness, tmp_path, capsys):
    """As the run itself did; silence, quietness and values beyond the training range are said."""
    (run,) = [each for each in loudness[1] if each.config["fold"] == 0 and each.config["protocol"] == "random"][1:]
    clips = [
        ROOT / "data" / "demo" / "Actor_01" / f"{clip}.flac" for clip in run.predictions["clip"] if clip[-2:] == "01"
    ]
    signal, rate = soundfile.read(clips[0])
    soundfile.write(tmp_path / "loud.wav", 10 * signal, rate, "FLOAT")
    soundfile.write(tmp_path / "hum.wav", 1e-5 * np.sin(np.arange(rate) / 20), rate, "FLOAT")
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(rate), rate, "FLOAT")
    odd = [str(tmp_path / f"{name}.wav") for name in ("loud", "hum", "noise", "missing")]
    table = tmp_path / "said.csv"
    assert main(["predict", "--model", str(run.folder), "--csv", str(table), *map(str, clips), *odd]) == 1
    out, err = capsys.readouterr()
    said = pd.read_csv(table)
    recorded = run.predictions.set_index("clip").prediction.astype(float)
    assert said.value[: len(clips)].to_numpy() == pytest.approx(recorded[[each.stem for each in clips]], abs=1e-3)
    assert said.value[len(clips)] > said.value[0] + 5, (
        "20 dB louder, of which not all lies within 6 standard deviations"
    )
    assert "loud.wav" in out
    model = dataclasses.replace(load_number_run(run.folder), lowest=-9.0, highest=-5.0, farthest=0.01)
    outside, unlike = predict_number(model, examine_recording(clips[0])).notes
    assert outside.endswith("is outside the training range, -9 to -5")
    assert "unlike the training corpus" in unlike
    assert "noise.wav: contains no speech" in err or "unlike the training corpus" in out.rpartition("noise.wav")[2]
    assert "hum.wav: is silent" in err
    assert "missing.wav" in err
    assert all(line.startswith("sernb: ") for line in err.splitlines())
    assert main(["predict", "--model", str(run.folder), "--timeline", str(clips[0])]) == 1
    assert "predicts a number per recording" in capsys.readouterr().err
    with pytest.raises(DataError, match="predicts a number, not emotions"):
        load_model(run.folder)
