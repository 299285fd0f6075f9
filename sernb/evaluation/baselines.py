"""What a score is compared with: a fixed prediction, chance, and people."""

from collections.abc import Sequence

import numpy as np


def constant_ranking(truth: np.ndarray, classes: int) -> np.ndarray:
    """Return scores of the best fixed prediction in hindsight: all clips get the classes in order of their frequency.

    WAR of these scores is the majority floor, top-3 the floor of one fixed order.

    Returns:
        shape ``(clips, classes)``
    """
    return np.tile(np.bincount(truth, minlength=classes), (len(truth), 1))


def chance_level(classes: int, k: int = 1) -> float:
    """Return what blind guessing reaches on average: UAR and WAR, or top-k, ``k / classes``.

    Examples:
        >>> chance_level(8), chance_level(8, k=3)
        (0.125, 0.375)
    """
    return min(k, classes) / classes


def listener_scores(perceived: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return the listeners' votes as scores, so that people are evaluated as a system is: the human ceiling.

    A clip's majority vote has score 1. A last column, one more than there are classes, is for votes that name no single
    class: ties count as not agreeing with the acted emotion. WAR and UAR of these scores are the ceiling; top-3 and F1
    have no meaning here.

    Args:
        perceived: the emotion most listeners heard, ties joined with ``:``

    Returns:
        shape ``(clips, classes + 1)``

    Examples:
        >>> listener_scores(["sad", "sad:angry"], ["angry", "sad"])
        array([[0., 1., 0.],
               [0., 0., 1.]])
    """
    column = {name: number for number, name in enumerate(classes)}
    return np.eye(len(classes) + 1)[[column.get(vote, len(classes)) for vote in perceived]]
