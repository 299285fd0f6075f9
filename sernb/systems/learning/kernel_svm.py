"""Support vector machines with precomputed kernels, and class scores from decision values."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.svm import SVC


def scores_from_decisions(decision: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Return the softmax of decision values by class, ``(clips, classes)``.

    Args:
        decision: of scikit-learn's ``decision_function_shape="ovr"``, ``(clips, targets)``, or ``(clips,)`` for two
        targets: of the columns; the class is the target modulo ``classes``. The highest value of a class counts;
            unseen classes rank last
    """
    from scipy.special import softmax

    if decision.ndim == 1:
        decision = np.column_stack([-decision, decision])
    by_class = np.full((len(decision), classes), decision.min() - 1.0)
    for column, target in enumerate(targets):
        emotion = target % classes
        by_class[:, emotion] = np.maximum(by_class[:, emotion], decision[:, column])
    return softmax(by_class, axis=1)


def fit_svm(kernel: np.ndarray, targets: np.ndarray, penalty: float) -> "SVC":
    """Fit a one-vs-one SVM on kernel values, (clips, clips)."""
    from sklearn.svm import SVC

    return SVC(C=penalty, kernel="precomputed", decision_function_shape="ovr", break_ties=True).fit(kernel, targets)


def predict_probabilities(classifier: "SVC", kernel: np.ndarray, classes: int) -> np.ndarray:
    """Return scores, (clips, classes), rows sum to 1, from kernel values, (clips, training clips)."""
    return scores_from_decisions(classifier.decision_function(kernel), classifier.classes_, classes)
