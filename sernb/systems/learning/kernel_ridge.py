"""Kernel ridge regression as a classifier (regularised least squares).

Saunders, Gammerman and Vovk (1998), Ridge regression learning algorithm in dual variables; Rifkin, Yeo and Poggio
(2003), Regularized least-squares classification. With thousands of functionals and a thousand clips, classes are
linearly separable: a one-vs-one SVM then depends on some of the clips, least squares on all clips and classes.
"""

from collections.abc import Sequence

import numpy as np

from sernb.systems.learning.linear_classifier import rank_unseen_last


def make_targets(truth: np.ndarray, classes: int) -> np.ndarray:
    """Return regression targets, ``(clips, classes)``: ``classes - 1`` for the true class, else -1.

    Classes without clips have targets and coefficients of 0.

    Examples:
        >>> make_targets(np.array([1, 2]), 3)
        array([[ 0.,  2., -1.],
               [ 0., -1.,  2.]])
    """
    return np.where(np.isin(np.arange(classes), truth), classes * np.eye(classes)[truth] - 1, 0)


def solve_coefficients(kernel: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
    """Solve ``(kernel + penalty · mean(diag(kernel)) · identity) coefficients = targets`` for each penalty.

    Args:
        kernel: of the training clips, ``(clips, clips)``, symmetric

    Returns:
        dual coefficients for each penalty, ``(clips, classes)``
    """
    values, vectors = np.linalg.eigh(kernel)
    rotated, size = vectors.T @ targets, np.trace(kernel) / len(kernel) or 1.0  # 0 if all clips are identical
    return [vectors @ (rotated / (values + penalty * size)[:, None]) for penalty in penalties]


def solve_by_cholesky(kernel: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
    """Solve as :func:`solve_coefficients`, up to rounding; ten times as fast for few and not too small penalties."""
    from scipy.linalg import cho_factor, cho_solve

    size, diagonal = np.trace(kernel) / len(kernel), np.diag_indices_from(kernel)
    solutions = []
    for penalty in penalties:
        matrix = kernel.copy()
        matrix[diagonal] += penalty * size
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
        solutions.append(cho_solve(factor, targets, check_finite=False))
    return solutions


def predict_probabilities(kernel: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return scores, (clips, classes), rows sum to 1, from kernel values, (clips, training clips).

    Args:
        coefficients: for targets of :func:`make_targets`; classes whose coefficients are all 0 rank last
    """
    from scipy.special import softmax

    return softmax(rank_unseen_last(kernel @ coefficients, coefficients.any(axis=0)), axis=1)
