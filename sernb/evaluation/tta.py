"""Test-time augmentation: mean and agreement of views. Scores have the shape ``(views, clips, classes)``."""

import numpy as np

from sernb.evaluation.metrics import predict, probabilities


def average_views(scores: np.ndarray) -> np.ndarray:
    """Return the arithmetic mean of the scores over views, shape ``(clips, classes)``."""
    return np.asarray(scores).mean(axis=0)


def view_votes(scores: np.ndarray) -> np.ndarray:
    """Return the share of views that agree with the prediction of the mean, shape ``(clips,)``.

    Examples:
        >>> view_votes(np.array([[[0.9, 0.1]], [[0.8, 0.2]], [[0.3, 0.7]], [[0.6, 0.4]]]))
        array([0.75])
    """
    scores = np.asarray(scores)
    return (scores.argmax(axis=2) == predict(average_views(scores))).mean(axis=0)


def view_divergence(scores: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence between the views in bits, shape ``(clips,)``: 0 (equal) … log2(views).

    Entropy of the mean minus the mean of the entropies: Lin (1991), doi:10.1109/18.61115.

    Raises:
        ValueError: if scores are not probabilities
    """
    views = np.stack([probabilities(view) for view in scores])
    return np.maximum(_entropy(views.mean(axis=0)) - _entropy(views).mean(axis=0), 0)


def _entropy(probability: np.ndarray) -> np.ndarray:
    return -(probability * np.log2(np.where(probability > 0, probability, 1))).sum(axis=-1)
