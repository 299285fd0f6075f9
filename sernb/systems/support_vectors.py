"""What the systems with a support vector machine share: what they hear, kernels, inner folds, answers."""

from typing import TYPE_CHECKING

import numpy as np

from sernb.linear_machine import LIMIT
from sernb.systems import Task

if TYPE_CHECKING:
    from sklearn.svm import SVC


def rows_of(features: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return features of one row a clip as a matrix, ``(clips, values)``, float64."""
    return np.concatenate(features).astype(np.float64)


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


def probabilities(decision: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Return the softmax of decision values by class, ``(clips, classes)``.

    Args:
        decision: of scikit-learn's one-against-rest form, ``(clips, targets)``; one value a clip where two were learned
        targets: what each column stands for; modulo ``classes`` it is the class. Of several targets of one class the
            highest counts; a class that was never learned comes last
    """
    from scipy.special import softmax

    if decision.ndim == 1:
        decision = np.column_stack([-decision, decision])
    by_class = np.full((len(decision), classes), decision.min() - 1.0)
    for column, target in enumerate(targets):
        emotion = target % classes
        by_class[:, emotion] = np.maximum(by_class[:, emotion], decision[:, column])
    return softmax(by_class, axis=1)


def limited(scaled: np.ndarray) -> np.ndarray:
    """Return standardised features, none of them further than ``LIMIT`` from 0."""
    return np.clip(scaled, -LIMIT, LIMIT)


def kernel_of(left: np.ndarray, right: np.ndarray, gamma: float | None = None) -> np.ndarray:
    """Return the linear kernel, or with ``gamma`` the RBF kernel, both a column of the rows; (left, right)."""
    product = left @ right.T / left.shape[1]
    if gamma is None:
        return product
    squares = [(side**2).mean(axis=1) for side in (left, right)]
    return np.exp(-gamma * (squares[0][:, None] + squares[1] - 2 * product))


def machine_of(kernel: np.ndarray, targets: np.ndarray, penalty: float) -> "SVC":
    """Fit a one-against-one SVM on kernel values, (clips, clips)."""
    from sklearn.svm import SVC

    return SVC(C=penalty, kernel="precomputed", decision_function_shape="ovr", break_ties=True).fit(kernel, targets)


def answers_of(machine: "SVC", kernel: np.ndarray, classes: int) -> np.ndarray:
    """Turn kernel values, (clips, trained), into scores, (clips, classes), rows sum to 1."""
    return probabilities(machine.decision_function(kernel), machine.classes_, classes)
