"""A support vector machine on kernel values, and its decision values as scores of the classes."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.svm import SVC


def scores_from_decisions(decision: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
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


def fit_svm(kernel: np.ndarray, targets: np.ndarray, penalty: float) -> "SVC":
    """Fit a one-against-one SVM on kernel values, (clips, clips)."""
    from sklearn.svm import SVC

    return SVC(C=penalty, kernel="precomputed", decision_function_shape="ovr", break_ties=True).fit(kernel, targets)


def predict_probabilities(classifier: "SVC", kernel: np.ndarray, classes: int) -> np.ndarray:
    """Turn kernel values, (clips, trained), into scores, (clips, classes), rows sum to 1."""
    return scores_from_decisions(classifier.decision_function(kernel), classifier.classes_, classes)
