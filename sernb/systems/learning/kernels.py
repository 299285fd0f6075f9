"""Feature matrices, standardisation, clipping of outliers, and kernels."""

from typing import TYPE_CHECKING

import numpy as np

from sernb.systems.base import Task
from sernb.systems.learning.linear_classifier import LIMIT

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler


def stack_rows(features: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return features with one row per clip as a matrix, ``(clips, values)``, float64."""
    return np.concatenate(features).astype(np.float64)


def fit_scaler(task: Task, rows: np.ndarray) -> "StandardScaler":
    """Fit mean and deviation on the clips that the protocol names for it, by default on the training rows."""
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(stack_rows(task.statistics.features) if task.statistics else rows)


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
