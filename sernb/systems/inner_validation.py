"""Folds within the training part: they choose settings and tell how sure answers may be."""

import numpy as np

from sernb.systems import Task


def inner_folds(
    task: Task, target: np.ndarray, count: int, *, shuffled: bool = False
) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Cut ``task.heard_without_epochs`` into folds to choose settings by, stratified by what is learned.

    Args:
        target: what is learned of each clip: its class, or one for each gender
        shuffled: cut between clips at random, by the task's seed; as they lie, clips of a speaker are neighbours, and
            most folds keep speakers apart where nothing asks for it

    Returns:
        training and validation rows of each fold, and whether these are cut by speaker: where the protocol keeps
        speakers apart and there are enough of them
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    heard = task.heard_without_epochs
    by_speaker = task.speakers_apart and len(set(heard.speakers)) >= count
    order = {"shuffle": True, "random_state": task.seed} if shuffled else {}
    folds = (StratifiedGroupKFold if by_speaker else StratifiedKFold)(count, **order)
    return list(folds.split(target, target, heard.speakers if by_speaker else None)), by_speaker


def inner_temperature(task: Task, truth: np.ndarray, answers: np.ndarray, *, by_speaker: bool) -> float:
    """Return the temperature at which the answers of inner folds are as sure as they should be.

    It is 1 where these folds could not keep speakers apart as the protocol does: answers to speakers that trained say
    nothing of how sure to be of others.

    Args:
        answers: ``(clips, classes)``, in the order of ``truth``
        by_speaker: as :func:`inner_folds` returns it
    """
    from sernb.evaluation import fit_temperature

    return 1.0 if task.speakers_apart and not by_speaker else fit_temperature(truth, answers)
