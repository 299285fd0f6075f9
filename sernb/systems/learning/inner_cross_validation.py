"""Folds within the training part: they select settings and fit how confident predictions may be."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sernb.systems.base import Task


class InnerFolds(NamedTuple):
    """Folds within the training part."""

    rows: list[tuple[np.ndarray, np.ndarray]]  # training and validation rows of each; none where nothing can be judged
    by_speaker: bool  # … and not between clips
    about: str  # how they were cut, for the record of a run


def make_inner_folds(task: Task, target: np.ndarray, count: int, *, shuffled: bool = False) -> InnerFolds:
    """Cut ``task.fitting_examples`` into folds to choose settings by, stratified by what is learned.

    They keep speakers apart where the protocol does and there are enough speakers for ``count`` folds. Where no class
    has so many clips, there are as many folds as the commonest has; where that leaves none in which two classes train
    and a clip of one of them validates, there are no inner folds, and a system takes its :func:`middle` settings.

    Args:
        target: what is learned of each clip: its class, or one for each gender
        shuffled: cut between clips at random, by the task's seed; as they lie, clips of a speaker are neighbours, and
            most folds keep speakers apart where nothing asks for it
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    speakers = task.fitting_examples.speakers
    possible = int(min(count, np.unique(target, return_counts=True)[1].max()))
    order = {"shuffle": True, "random_state": task.seed} if shuffled else {}
    ways = [(StratifiedGroupKFold, "by speaker")] if task.speakers_apart and len(set(speakers)) >= count else []
    for cut, about in [*ways, (StratifiedKFold, "by clip")] if possible > 1 else []:
        groups = speakers if about == "by speaker" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # is missing from some folds: no fault
            folds = list(cut(possible, **order).split(target, target, groups))
        if usable := [fold for fold in folds if _judges(target, *fold)]:
            fewer = f", {len(usable)} instead of {count}" * (len(usable) < count)
            return InnerFolds(usable, about == "by speaker", about + fewer)
    return InnerFolds([], False, "none, too few clips: the middle of the settings that are tried otherwise")


def _judges(target: np.ndarray, kept: np.ndarray, held: np.ndarray) -> bool:
    """Whether two classes train and a clip of one of them validates."""
    return len(set(target[kept])) > 1 and bool(np.isin(target[held], target[kept]).any())


def middle(tried: Sequence) -> object:
    """Return the setting to take where there are no inner folds to choose it by.

    Examples:
        >>> middle((0.1, 0.3, 1.0, 3.0))
        1.0
    """
    return tried[len(tried) // 2]


def fit_inner_temperature(task: Task, truth: np.ndarray, scores: np.ndarray, *, by_speaker: bool) -> float:
    """Return the temperature at which the predictions of inner folds are calibrated.

    It is 1 where these folds could not keep speakers apart as the protocol does: answers to speakers that trained say
    nothing of how sure to be of others.

    Args:
        scores: ``(clips, classes)``, in the order of ``truth``
        by_speaker: as :func:`make_inner_folds` returns it
    """
    from sernb.evaluation import fit_temperature

    return 1.0 if task.speakers_apart and not by_speaker else fit_temperature(truth, scores)
