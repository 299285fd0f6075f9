"""Emotions from numeric predictions, such as valence and arousal, and what this loses.

Dimensional descriptions place each emotion in a space of few dimensions (Russell, 1980, doi:10.1037/h0077714). Here a
clip is assigned to the emotion with the nearest class mean. The means are those of the true values of the training
clips, each dimension divided by its standard deviation there; test clips are used for the score only.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.evaluation import Metrics, evaluate
from sernb.protocols.labels import LabelSet
from sernb.results.numbers import NumericResult, collect_numbers
from sernb.results.result import CLIPS, Result, collect_results
from sernb.runs.experiment import Experiment
from sernb.systems.base import System
from sernb.systems.on_encoder import with_encoder
from sernb.systems.registry import REGRESSORS, get_system

CLASSIFIERS = {"training-mean": "majority", "functionals-svr": "functionals-svm", "embedding-svr": "embedding-svm"}
PREDICTED, TRUE, DIRECT = "UAR, predicted numbers", "UAR, true numbers", "UAR, trained on emotions"


def classifier_for(system: System) -> System:
    """Return the system that predicts emotions from the same features as a regression system.

    Examples:
        >>> [classifier_for(get_system(name)).name for name in ("functionals-svr", "sernet-regression")]
        ['functionals-svm', 'sernet']
    """
    base = max((name for name in REGRESSORS if system.name.startswith(name)), key=len)
    classifier = get_system(CLASSIFIERS.get(base, base.removesuffix("-regression")))
    return reduce(with_encoder, system.encoders, classifier)


def emotions_table(numbers: Sequence[Experiment], direct: Sequence[Experiment]) -> pd.DataFrame:
    """Compare emotions from predicted numbers, from the true numbers, and from systems trained on emotions.

    Args:
        numbers: finished experiments with numeric targets; those that differ in their target are one row
        direct: finished experiments of :func:`classifier_for` each system, under the same protocols

    Returns:
        a row per regression system, protocol and seed: UAR with interval from the predicted numbers, from the true
        ones and of the classifier, on the same clips

    Raises:
        DataError: if folds differ between targets, or no clip has an emotion and all the numbers
    """
    groups: dict[tuple, list[NumericResult]] = {}
    for result in collect_numbers(numbers):
        groups.setdefault((result.system.name, result.protocol, result.options, result.seed), []).append(result)
    classified = {(each.system.name, each.protocol, each.seed): each for each in collect_results(direct)}
    rows = []
    for (name, protocol, _, seed), results in groups.items():
        system = classifier_for(results[0].system).name
        classifier = classified.get((system, protocol, seed))
        if classifier is None:
            raise DataError(f"{protocol}: {system} cannot be trained on these emotions")
        rows.append({"System": name, "Protocol": protocol} | _row(results, classifier))
    return pd.DataFrame(rows)


def emotions_caption(table: pd.DataFrame) -> str:
    """Return the caption of the table: the rule, the columns, and what the intervals are."""
    has_narrow = any("(clips)" in text for text in table[DIRECT])
    return (
        "Each clip is assigned to the emotion whose mean of true training values is nearest, in standard deviations. "
        "UAR in per cent with 95 % intervals; chance level: the best constant prediction. What the system trained on "
        "emotions reaches beyond the true numbers is lost by describing emotions with these numbers, and what the true "
        "numbers reach beyond predicted ones is lost by the regression; speaker-normalised predictions can exceed "
        "both, since differences between speakers are in the true numbers."
        f"{f' Intervals over clips are marked (clips): {CLIPS}.' if has_narrow else ''}"
    )


def _row(results: Sequence[NumericResult], classifier: Result) -> dict[str, object]:
    labels = classifier.experiments[0].labels
    tested = _assign_emotions(results, labels)
    if not tested.index.isin(classifier.clips["clip"]).all():
        raise DataError(
            f"{results[0].protocol}: its folds differ between numbers and emotions; use speaker-independent, or all "
            "folds"
        )
    places = pd.Series(np.arange(len(classifier.clips)), classifier.clips["clip"]).loc[tested.index].to_numpy()
    speakers = classifier.clips.speaker.to_numpy()[places]
    truth = tested.emotion.map(labels.classes.index).to_numpy(int)

    def score(column: str) -> Metrics:
        chosen = tested[column].map(labels.classes.index).to_numpy(int)
        return evaluate(truth, np.eye(len(labels.classes))[chosen], speakers, seed=results[0].seed)

    direct, predicted = classifier.metrics_where(places), score("predicted")
    return {
        "Numbers": ", ".join(result.target for result in results),
        PREDICTED: str(predicted.uar),
        TRUE: str(score("known").uar),
        DIRECT: f"{direct.uar} ({classifier.system.name})",
        "Chance level": f"{100 * predicted.uar_floor:.1f}",
        "Classes": len(set(truth)),
        "Clips": predicted.clips,
        "Speakers": predicted.speakers,
        "Folds": results[0].folds,
    }


def _assign_emotions(results: Sequence[NumericResult], labels: LabelSet) -> pd.DataFrame:
    """Return the emotion of each test clip by ``predicted`` and by ``known`` numbers, beside the true ``emotion``.

    Raises:
        DataError: if folds differ between targets, or no clip has an emotion and all the numbers
    """
    targets, index = [result.target for result in results], results[0].experiments[0].corpus.index
    known = index[targets].assign(emotion=labels.truths_of(index)).set_axis(index["clip"]).dropna()
    predictions, parts = [result.predictions.set_index("clip").prediction for result in results], []
    wanted = known.index[known.index.isin(set.intersection(*(set(each.index) for each in predictions)))]
    if not len(wanted):
        raise DataError(f"{', '.join(targets)}: no clip has an emotion and all of these numbers; emotions need both")
    for experiments in zip(*(result.experiments for result in results), strict=False):  # unequal: refused below
        training, test = (
            known.loc[known.index.isin(set.intersection(*map(set, clips)))]
            for clips in ([each.training_clips for each in experiments], [each.fold.test for each in experiments])
        )
        if len(training) and len(test):
            predicted = np.column_stack([each.loc[test.index] for each in predictions])
            parts.append(
                test.assign(
                    predicted=_nearest_emotion(training, targets, predicted),
                    known=_nearest_emotion(training, targets, test[targets].to_numpy(float)),
                )
            )
    tested = pd.concat([known.iloc[:0], *parts])
    if set(tested.index) != set(wanted):
        raise DataError(
            f"{results[0].protocol}: its folds differ between {', '.join(targets)}; use speaker-independent, or one "
            "number"
        )
    return tested


def _nearest_emotion(training: pd.DataFrame, targets: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Return the emotion with the nearest mean for each row of values, ``(clips, targets)``."""
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    emotions = training.emotion.to_numpy()
    if len(set(emotions)) == 1:
        return np.full(len(values), emotions[0])
    model = make_pipeline(StandardScaler(), NearestCentroid()).fit(training[list(targets)].to_numpy(float), emotions)
    return model.predict(values)
