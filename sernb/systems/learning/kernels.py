"""Feature matrices, clipping of outliers, and kernels."""

import numpy as np

from sernb.systems.learning.linear_classifier import LIMIT


def stack_rows(features: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return features with one row per clip as a matrix, ``(clips, values)``, float64."""
    return np.concatenate(features).astype(np.float64)


def limit(scaled: np.ndarray) -> np.ndarray:
    """Clip standardised features to ±``LIMIT``."""
    return np.clip(scaled, -LIMIT, LIMIT)


def compute_kernel(left: np.ndarray, right: np.ndarray, gamma: float | None = None) -> np.ndarray:
    """Return the linear kernel, or with ``gamma`` the RBF kernel, both averaged over columns; (left, right)."""
    product = left @ right.T / left.shape[1]
    if gamma is None:
        return product
    squares = [(side**2).mean(axis=1) for side in (left, right)]
    return np.exp(-gamma * (squares[0][:, None] + squares[1] - 2 * product))
