"""What the systems with a support vector machine share: what they hear, inner folds, decisions as probabilities."""

import numpy as np

from sernb.systems import Task


def rows_of(features: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return features of one row a clip as a matrix, ``(clips, values)``, float64."""
    return np.concatenate(features).astype(np.float64)


def inner_folds(task: Task, target: np.ndarray, count: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Cut ``task.heard_without_epochs`` into folds to choose settings by, stratified by what is learned.

    Args:
        target: what is learned of each clip: its class, or one for each gender

    Returns:
        training and validation rows of each fold, and whether these are cut by speaker: where the protocol keeps
        speakers apart and there are enough of them
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    heard = task.heard_without_epochs
    by_speaker = task.speakers_apart and len(set(heard.speakers)) >= count
    folds = (StratifiedGroupKFold if by_speaker else StratifiedKFold)(count)
    return list(folds.split(target, target, heard.speakers if by_speaker else None)), by_speaker


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
