"""Calibration for unseen speakers: prediction sets, the confidence threshold of "not sure", accuracy by domain verdict.

Everything is fitted on clips of speakers that were not trained on, with speakers as units. A prediction is *firm* if
its answer is an emotion, not "not sure".
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sernb.evaluation import Predictions, bootstrap_interval
from sernb.prediction import domain_check

COVERAGES = (0.8, 0.9, 0.95)
# Wanted accuracy of firm predictions for unseen speakers, all together: a threshold that has it for most speakers, one
# by one, gave fewer firm predictions on another corpus, of which no more were correct.
FIRM = 0.8


def conformal_threshold(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, coverage: float) -> float:
    """Return the least probability of an emotion in the prediction set.

    Speakers are the units: the distribution of the true emotion's probability is the mean of the speakers'
    distributions, and one additional, unknown speaker counts as never covered (Dunn, Wasserman and Ramdas, 2023,
    doi:10.1080/01621459.2022.2060112, "pooling CDFs"). With one model that was trained on none of the speakers, this is
    split conformal prediction, and the coverage is guaranteed. Here the scores come from several models, one per fold:
    cross-conformal prediction (Vovk, 2015, doi:10.1007/s10472-013-9368-4). For such sets the proven coverage is about
    1 - 2 alpha where 1 - alpha is stated (Barber et al., 2021, doi:10.1214/20-AOS1965), and only for predictions of the
    models of the folds. Here the final model predicts in their place, so the coverage is measured, not guaranteed.

    Args:
        truth: class numbers, ``(clips,)``
        scores: probabilities, ``(clips, classes)``
        speakers: of the clips, ``(clips,)``
        coverage: stated, from 0 to 1
    """
    names, speaker_of = np.unique(speakers, return_inverse=True)
    probability = scores[np.arange(len(truth)), truth]
    order = np.argsort(-probability, kind="stable")
    reached = np.cumsum(1 / np.bincount(speaker_of)[speaker_of[order]]) / (len(names) + 1)
    covered = np.flatnonzero(reached >= coverage - 1e-12)
    return float(probability[order[covered[0]]]) if len(covered) else 0.0


def conformal_thresholds(truth: np.ndarray, draws: np.ndarray, speakers: np.ndarray) -> dict[str, float]:
    """Return the thresholds of all ``COVERAGES``; draws are scores, ``(draws, clips, classes)``."""
    truth, speakers = (np.tile(each, len(draws)) for each in (truth, speakers))
    return {
        f"{coverage:g}": conformal_threshold(truth, np.concatenate(draws), speakers, coverage) for coverage in COVERAGES
    }


def prediction_sets(scores: np.ndarray, bound: float) -> np.ndarray:
    """Return each clip's prediction set as a mask, ``(clips, classes)``; no set is empty."""
    return (scores >= bound) | (scores == scores.max(axis=1, keepdims=True))


def cross_coverage(
    truth: np.ndarray, draws: np.ndarray, speakers: np.ndarray, folds: Sequence[np.ndarray]
) -> list[dict[str, object]]:
    """Measure the coverage of prediction sets with thresholds fitted on the other folds.

    Args:
        truth: class numbers, ``(clips,)``
        draws: scores, ``(draws, clips, classes)``
        speakers: of the clips, ``(clips,)``
        folds: mask of the test clips of each fold, ``(clips,)``
    """
    rows, count = [], len(draws)
    truth, speakers, scores = np.tile(truth, count), np.tile(speakers, count), np.concatenate(draws)
    for coverage in COVERAGES:
        sets = np.zeros(scores.shape, bool)
        for tested in (np.tile(each, count) for each in folds):
            sets[tested] = prediction_sets(
                scores[tested], conformal_threshold(truth[~tested], scores[~tested], speakers[~tested], coverage)
            )
        rows.append({"stated": coverage, **_coverage(sets, truth, speakers)})
    return rows


def measure_coverage(
    truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, bounds: Mapping[str, float]
) -> list[dict[str, object]]:
    """Measure the coverage of prediction sets; ``bounds`` maps stated coverage to threshold."""
    return [
        {"stated": float(stated), **_coverage(prediction_sets(scores, bound), truth, speakers)}
        for stated, bound in bounds.items()
    ]


def _coverage(sets: np.ndarray, truth: np.ndarray, speakers: np.ndarray) -> dict[str, object]:
    return {
        "covered": mean_interval(sets[np.arange(len(sets)), truth], speakers),
        "emotions": float(sets.sum(axis=1).mean()),
    }


def least_confidence(confidence: np.ndarray, is_correct: np.ndarray, wanted: float = FIRM) -> float:
    """Return the lowest threshold of confidence with the wanted accuracy; 1 if there is none.

    Examples:
        >>> least_confidence(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]), 0.6)
        0.7
    """
    order = np.argsort(-confidence, kind="stable")
    reached = np.cumsum(is_correct[order]) / np.arange(1, len(order) + 1)
    is_last = np.append(np.diff(confidence[order]) < 0, True)  # clips of equal confidence are above it together
    sufficient = np.flatnonzero((reached >= wanted) & is_last)
    return float(confidence[order[sufficient[-1]]]) if len(sufficient) else 1.0


def firm_accuracy(
    confidence: np.ndarray, is_correct: np.ndarray, speakers: np.ndarray, least: float
) -> dict[str, object]:
    """Return the share of firm predictions, and the accuracy of these and of the others.

    Args:
        confidence: of the predictions, ``(clips,)``
        is_correct: whether they are correct, ``(clips,)``
        speakers: of the clips, ``(clips,)``
        least: lowest confidence of a firm prediction
    """
    is_firm = confidence >= least
    return {
        "given": mean_interval(is_firm, speakers),
        "right": mean_interval(is_correct[is_firm], speakers[is_firm]),
        "right of the others": mean_interval(is_correct[~is_firm], speakers[~is_firm]),
    }


def mean_interval(values: np.ndarray, speakers: np.ndarray) -> str:
    """Return the mean over clips with its confidence interval, per cent; a dash for no clips."""
    if not len(values):
        return "–"
    return str(
        bootstrap_interval(lambda _, resampled: float(np.mean(resampled)), Predictions(values, values, speakers))
    )


def verdict_accuracy(recordings: Sequence[Mapping], bounds: Mapping) -> dict[str, object]:
    """Return share and accuracy of the recordings with each verdict of the domain check.

    Args:
        recordings: ``measures`` of each, and whether its prediction is ``right``
        bounds: of the domain check
    """
    verdicts = np.array([domain_check.check_domain(each["measures"], bounds).verdict for each in recordings])
    is_correct = np.array([each["right"] for each in recordings])
    rows = {
        verdict: {"share": float((verdicts == verdict).mean()), "right": float(is_correct[verdicts == verdict].mean())}
        for verdict in domain_check.VERDICTS
        if (verdicts == verdict).any()
    }
    return {"recordings": len(recordings), "right": float(is_correct.mean()), "verdicts": rows}
