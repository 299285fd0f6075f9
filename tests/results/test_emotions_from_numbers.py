"""Emotions from predicted numbers, against nearest means computed by hand."""

import pandas as pd
import pytest
from sklearn.metrics import recall_score

from sernb.__main__ import main
from sernb.config import INDEX, DataError
from sernb.results.emotions_from_numbers import (
    DIRECT,
    PREDICTED,
    TRUE,
    classifier_for,
    emotions_caption,
    emotions_table,
)
from sernb.results.numbers import collect_numbers
from sernb.results.result import collect_results
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.studies.dimensions import plan_classifiers
from sernb.systems.registry import REGRESSORS, get_system

pytestmark = pytest.mark.slow

TARGETS = ["rate", "loudness"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, share_features):
    """Rate and loudness of half of the demo corpus, and emotions from the same features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(share_features(tmp_path_factory.mktemp("emotions"))))
        numbers = plan(["functionals-ridge-regression"], "demo:sentence=01", ["speaker-independent"], targets=TARGETS)
        direct = plan_classifiers(numbers)
        run_many([*numbers, *direct], jobs=1, progress=False)
        yield numbers, direct


def test_a_clip_gets_the_emotion_with_the_nearest_training_mean(finished):
    numbers, direct = finished
    results, index = collect_numbers(numbers), pd.read_csv(INDEX / "demo.csv").set_index("clip")
    predicted = pd.concat([each.predictions.set_index("clip").prediction for each in results], axis=1, keys=TARGETS)
    truth, found, known = [], [], []
    for experiment in numbers[: len(numbers) // 2]:
        test = index.loc[list(experiment.fold.test)]
        train = index.loc[list(experiment.training_clips)]
        means = train.groupby("emotion")[TARGETS].mean()
        for clip in test.index:
            truth.append(index.emotion[clip])
            for chosen, values in ((found, predicted.loc[clip]), (known, test.loc[clip, TARGETS])):
                scaled = (means - values.astype(float)) / train[TARGETS].std(ddof=0)
                chosen.append((scaled**2).sum(axis=1).idxmin())
    (row,) = emotions_table(numbers, direct).to_dict("records")
    assert float(row[PREDICTED].split()[0]) == pytest.approx(
        100 * recall_score(truth, found, average="macro"), abs=0.05
    )
    assert float(row[TRUE].split()[0]) == pytest.approx(100 * recall_score(truth, known, average="macro"), abs=0.05)
    (classifier,) = collect_results(direct)
    assert row[DIRECT] == f"{classifier.metrics().uar} (functionals-ridge)"
    assert (row["Chance level"], row["Classes"], row["Clips"], row["Speakers"]) == ("12.5", 8, 120, 8)
    assert "(clips)" not in emotions_caption(emotions_table(numbers, direct))


def test_numbers_with_different_folds_are_refused(finished):
    random = plan(["training-mean"], "demo:sentence=01", ["random"], targets=TARGETS)  # folds are stratified by target
    direct = plan_classifiers(random)
    run_many([*random, *direct], jobs=1, progress=False)
    with pytest.raises(DataError, match="random: its folds differ between rate, loudness"):
        emotions_table(random, direct)
    rate = [each for each in random if each.labels.name == "rate"]
    assert emotions_table(rate, direct).Clips.tolist() == [120]
    with pytest.raises(DataError, match="random: its folds differ between numbers and emotions"):
        emotions_table(rate[:1], direct[:1])
    with pytest.raises(DataError, match="majority cannot be trained"):
        emotions_table(rate, plan_classifiers(random, folds=[0])[:0])


def test_every_regression_system_has_a_classifier_of_the_same_features():
    for name in REGRESSORS:
        system = get_system(name)
        for each in (system, *system.variants):
            assert (classifier_for(each).features, classifier_for(each).encoders) == (each.features, each.encoders)


def test_the_command_shows_what_is_lost(finished, capsys):
    options = ["--corpus", "demo:sentence=01", "--protocol", "speaker-independent", "--jobs", "1", "--emotions"]
    assert main(["experiment", "--systems", "functionals-ridge-regression", "--target", "rate,loudness", *options]) == 0
    out = capsys.readouterr().out
    assert PREDICTED in out
    assert "(functionals-ridge)" in out
    assert main(["experiment", "--systems", "functionals-ridge", *options]) == 1
    assert "--target arousal,valence" in capsys.readouterr().err
