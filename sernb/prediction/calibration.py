"""What a model's scores mean for strangers: prediction sets, the least confidence of a firm answer, verdicts.

Everything here is fitted on clips of speakers that were not trained on, speakers as units.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sernb.evaluation import Predictions, bootstrap_interval
from sernb.prediction import domain_check

COVERAGES = (0.8, 0.9, 0.95)
FIRM = 0.8  # share of firm predictions for strangers that are to be right


def threshold(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, coverage: float) -> float:
    """Return the probability from which on an emotion belongs to the set of a coverage.

    Speakers are the units: the distribution of the true emotion's probability is the mean of those of the speakers, and
    one more speaker, of whom nothing is known, counts as never covered (Dunn, Wasserman and Ramdas, 2023,
    doi:10.1080/01621459.2022.2060112, "pooling CDFs"). With one model that heard none of them this is split conformal
    prediction, and the coverage is guaranteed. Here the scores are those of several models, each without a fold:
    cross-conformal prediction (Vovk, 2015, doi:10.1007/s10472-013-9368-4). What is proved for such sets is a
    coverage of about 1 - 2 alpha where 1 - alpha is stated (Barber et al., 2021, doi:10.1214/20-AOS1965), and only
    where the models of the folds predict themselves; the final model predicts in their place here, so that the coverage
    is measured, not guaranteed.
    """
    names, of = np.unique(speakers, return_inverse=True)
    probability = scores[np.arange(len(truth)), truth]
    order = np.argsort(-probability, kind="stable")
    reached = np.cumsum(1 / np.bincount(of)[of[order]]) / (len(names) + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(probability[order[enough[0]]]) if len(enough) else 0.0


def thresholds(truth: np.ndarray, draws: np.ndarray, speakers: np.ndarray) -> dict[str, float]:
    """Return the thresholds of all coverages from scores of several draws or copies, ``(draws, clips, classes)``."""
    truth, speakers = (np.tile(each, len(draws)) for each in (truth, speakers))
    return {f"{at:g}": threshold(truth, np.concatenate(draws), speakers, at) for at in COVERAGES}


def in_sets(scores: np.ndarray, bound: float) -> np.ndarray:
    """Return which classes belong to the set of each clip, never none; ``(clips, classes)`` of booleans."""
    return (scores >= bound) | (scores == scores.max(axis=1, keepdims=True))


def cross_coverage(
    truth: np.ndarray, draws: np.ndarray, speakers: np.ndarray, folds: Sequence[np.ndarray]
) -> list[dict[str, object]]:
    """Measure the sets on speakers that fixed no threshold: those of the other folds do.

    Args:
        draws: scores, ``(draws, clips, classes)``
        folds: which clips are tested, ``(clips,)`` of booleans each
    """
    rows, count = [], len(draws)
    truth, speakers, scores = np.tile(truth, count), np.tile(speakers, count), np.concatenate(draws)
    for coverage in COVERAGES:
        sets = np.zeros(scores.shape, bool)
        for held in (np.tile(each, count) for each in folds):
            sets[held] = in_sets(scores[held], threshold(truth[~held], scores[~held], speakers[~held], coverage))
        rows.append({"stated": coverage, **_covered(sets, truth, speakers)})
    return rows


def coverage_with(
    truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, bounds: Mapping[str, float]
) -> list[dict[str, object]]:
    """Measure the sets that given thresholds make."""
    return [
        {"stated": float(stated), **_covered(in_sets(scores, bound), truth, speakers)}
        for stated, bound in bounds.items()
    ]


def _covered(sets: np.ndarray, truth: np.ndarray, speakers: np.ndarray) -> dict[str, object]:
    return {
        "covered": mean_interval(sets[np.arange(len(sets)), truth], speakers),
        "emotions": float(sets.sum(axis=1).mean()),
    }


def least_confidence(confidence: np.ndarray, right: np.ndarray, wanted: float = FIRM) -> float:
    """Return the least confidence above which a wanted share of predictions is right; 1 where none is.

    Examples:
        >>> least_confidence(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]), 0.6)
        0.7
    """
    order = np.argsort(-confidence, kind="stable")
    reached = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(reached >= wanted)
    return float(confidence[order[enough[-1]]]) if len(enough) else 1.0


def firm(confidence: np.ndarray, right: np.ndarray, speakers: np.ndarray, least: float) -> dict[str, object]:
    """Return how many predictions are firm, and how many of these and of the others are right.

    Args:
        least: the confidence from which on a prediction is firm
    """
    given = confidence >= least
    return {
        "given": mean_interval(given, speakers),
        "right": mean_interval(right[given], speakers[given]),
        "right of the others": mean_interval(right[~given], speakers[~given]),
    }


def mean_interval(values: np.ndarray, speakers: np.ndarray) -> str:
    """Return the share of clips of which something holds, with its interval, in per cent; of no clip a dash."""
    if not len(values):
        return "–"
    return str(bootstrap_interval(lambda _, held: float(np.mean(held)), Predictions(values, values, speakers)))


def verdicts(found: Sequence[Mapping], bounds: Mapping) -> dict[str, object]:
    """Return how many of some recordings got each verdict, and how many of those predictions are right.

    Args:
        found: of each recording its ``measures``, and whether the prediction is ``right``
    """
    given = np.array([domain_check.check_domain(each["measures"], bounds).verdict for each in found])
    right = np.array([each["right"] for each in found])
    rows = {
        verdict: {"share": float((given == verdict).mean()), "right": float(right[given == verdict].mean())}
        for verdict in domain_check.VERDICTS
        if (given == verdict).any()
    }
    return {"recordings": len(found), "right": float(right.mean()), "verdicts": rows}
