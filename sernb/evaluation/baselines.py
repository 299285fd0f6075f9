"""Baselines for a score: a constant prediction, the chance level, and human listeners."""

from collections.abc import Sequence

import numpy as np


def constant_ranking(truth: np.ndarray, classes: int) -> np.ndarray:
    """Return the scores of the best constant ranking in hindsight: the classes in order of frequency for all clips.

    WAR of these scores is the majority baseline, top-3 the chance level of a constant ranking.

    Returns:
        shape ``(clips, classes)``
    """
    return np.tile(np.bincount(truth, minlength=classes), (len(truth), 1))


def chance_level(classes: int, k: int = 1) -> float:
    """Return the expected UAR and WAR, or top-k accuracy, of random guessing: ``k / classes``.

    Examples:
        >>> chance_level(8), chance_level(8, k=3)
        (0.125, 0.375)
    """
    return min(k, classes) / classes


def listener_scores(perceived: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return the listeners' votes as scores, to evaluate human recognition in the same way as a system.

    A clip's majority vote has a score of 1. An additional last column is for votes without a single majority class:
    ties count as disagreement with the acted emotion. WAR and UAR of these scores are the human ceiling; top-3 and F1
    are meaningless here.

    Args:
        perceived: the emotion perceived by most listeners, with ties joined by ``:``

    Returns:
        shape ``(clips, classes + 1)``

    Examples:
        >>> listener_scores(["sad", "sad:angry"], ["angry", "sad"])
        array([[0., 1., 0.],
               [0., 0., 1.]])
    """
    column = {name: number for number, name in enumerate(classes)}
    return np.eye(len(classes) + 1)[[column.get(vote, len(classes)) for vote in perceived]]
