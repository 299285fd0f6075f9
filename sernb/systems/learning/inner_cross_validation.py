"""Inner cross-validation within the training part, for model selection and temperature scaling."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sernb.systems.base import Task


class InnerFolds(NamedTuple):
    """Folds within the training part."""

    rows: list[tuple[np.ndarray, np.ndarray]]  # positions of training and validation clips; empty if impossible
    by_speaker: bool  # whether they are speaker-disjoint
    description: str  # for the results of a run


def make_inner_folds(task: Task, target: np.ndarray, count: int, *, shuffled: bool = False) -> InnerFolds:
    """Split ``task.fitting_examples`` into stratified folds for model selection.

    They are speaker-disjoint if the protocol is and there are at least ``count`` speakers. If no class has ``count``
    clips, there are as many folds as clips of the largest class. Folds need two training classes and a validation clip
    of one of them; without such folds, systems use their :func:`middle_setting`.

    Args:
        target: stratum of each clip: its class, or a class per gender
        shuffled: whether clips are shuffled by the task's seed; otherwise the clips of a speaker are neighbours, and
            most folds are speaker-disjoint even if not required
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    speakers = task.fitting_examples.speakers
    possible = int(min(count, np.unique(target, return_counts=True)[1].max()))
    order = {"shuffle": True, "random_state": task.seed} if shuffled else {}
    enough = task.speaker_independent and len(set(speakers)) >= count
    splitters = [(StratifiedGroupKFold, "by speaker")] * enough + [(StratifiedKFold, "by clip")]
    for splitter, description in splitters if possible > 1 else []:
        groups = speakers if description == "by speaker" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # missing from some folds is no error
            folds = list(splitter(possible, **order).split(target, target, groups))
        if usable := [fold for fold in folds if _is_usable(target, *fold)]:
            fewer = f", {len(usable)} instead of {count}" * (len(usable) < count)
            return InnerFolds(usable, description == "by speaker", description + fewer)
    return InnerFolds([], False, "none, too few clips: the middle of the settings that are tried otherwise")


def _is_usable(target: np.ndarray, train: np.ndarray, validation: np.ndarray) -> bool:
    return len(set(target[train])) > 1 and bool(np.isin(target[validation], target[train]).any())


def middle_setting(candidates: Sequence) -> object:
    """Return the middle candidate, the default without inner folds.

    Examples:
        >>> middle_setting((0.1, 0.3, 1.0, 3.0))
        1.0
    """
    return candidates[len(candidates) // 2]


def fit_inner_temperature(task: Task, truth: np.ndarray, inner: InnerFolds, scores: np.ndarray) -> float:
    """Return the temperature that calibrates the predictions of inner folds.

    It is 1 if the protocol is speaker-independent and the folds are not: confidence for seen speakers does not
    transfer to unseen ones.

    Args:
        truth: of all clips
        scores: of the validation clips of the folds, one fold after the other, ``(clips, classes)``
    """
    from sernb.evaluation import fit_temperature

    if task.speaker_independent and not inner.by_speaker:
        return 1.0
    return fit_temperature(truth[np.concatenate([validation for _, validation in inner.rows])], scores)
