"""Ridge regression on a kernel, as a classifier.

With thousands of functionals and a thousand clips every clip can be placed rightly. A one-against-one SVM then rests on
some of them and counts the votes of pairs, while least squares use all clips and all classes at once (Saunders,
Gammerman and Vovk, 1998, Ridge regression learning algorithm in dual variables; Rifkin, Yeo and Poggio, 2003,
Regularized least-squares classification).
"""

from collections.abc import Sequence

import numpy as np

from sernb.systems.learning.linear_classifier import rank_unseen_last


def make_targets(truth: np.ndarray, classes: int) -> np.ndarray:
    """Return what is learned of each clip, ``(clips, classes)``: -1, for its own class one less than there are classes.

    Of a class that no clip has nothing is learned: 0, and so are its coefficients.

    Examples:
        >>> make_targets(np.array([1, 2]), 3)
        array([[ 0.,  2., -1.],
               [ 0., -1.,  2.]])
    """
    return np.where(np.isin(np.arange(classes), truth), classes * np.eye(classes)[truth] - 1, 0)


def solve_coefficients(kernel: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
    """Solve ``(kernel + penalty · mean of its diagonal · 1) coefficients = targets`` for each penalty.

    Args:
        kernel: of all clips that train, ``(clips, clips)``, symmetric

    Returns:
        for each penalty coefficients, ``(clips, classes)``; kernel values times them are the scores of other clips
    """
    values, vectors = np.linalg.eigh(kernel)
    turned, size = vectors.T @ targets, np.trace(kernel) / len(kernel) or 1.0  # 0 where all clips are one and the same
    return [vectors @ (turned / (values + penalty * size)[:, None]) for penalty in penalties]


def coefficients_by_cholesky(kernel: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
    """Solve as :func:`solve_coefficients`, to rounding; ten times as fast where the penalties are few and not small."""
    from scipy.linalg import cho_factor, cho_solve

    size, diagonal = np.trace(kernel) / len(kernel), np.diag_indices_from(kernel)
    solved = []
    for penalty in penalties:
        system = kernel.copy()
        system[diagonal] += penalty * size
        solved.append(cho_solve(cho_factor(system, overwrite_a=True, check_finite=False), targets, check_finite=False))
    return solved


def predict_probabilities(kernel: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Turn kernel values, (clips, trained), into scores, (clips, classes), rows sum to 1.

    Args:
        coefficients: solved for :func:`make_targets`; where all of a class are 0, it was never learned and comes last
    """
    from scipy.special import softmax

    return softmax(rank_unseen_last(kernel @ coefficients, coefficients.any(axis=0)), axis=1)
