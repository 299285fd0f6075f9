"""Calibration of scores: reliability, temperature scaling and selective prediction.

The confidence of a prediction is its highest probability.
"""

import numpy as np
import pandas as pd

from sernb.evaluation.metrics import SMALLEST, aligned, predict, probabilities

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0


def reliability(truth: np.ndarray, scores: np.ndarray, *, bins: int = BINS) -> pd.DataFrame:
    """Return accuracy by confidence, one row per bin, in bins with equal numbers of clips.

    With equal counts, the bins have similar errors and the sum is less biased than with equal widths (Nixon et al.,
    2019, arXiv:1904.01685). Predictions with equal confidence share a bin, so there may be fewer bins than requested.

    Returns:
        columns low, high (bounds of confidence; low is exclusive except in the first bin), clips, confidence (mean),
        accuracy

    Raises:
        ValueError: if there are no clips, or scores are not probabilities
    """
    truth, scores = aligned(truth, scores)
    confidence = probabilities(scores).max(axis=1)
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    at = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    predictions = pd.DataFrame({"bin": at, "confidence": confidence, "correct": predict(scores) == truth})
    table = predictions.groupby("bin").agg(
        clips=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean")
    )
    table.insert(0, "low", edges[table.index])
    table.insert(1, "high", edges[np.minimum(table.index + 1, len(edges) - 1)])
    return table.reset_index(drop=True)


def calibration_error(truth: np.ndarray, scores: np.ndarray, *, bins: int = BINS) -> float:
    """Expected calibration error: mean over clips of |confidence - accuracy| of their bin, 0 … 1.

    Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602, with the bins of :func:`reliability`. It is biased upwards for
    bins with few clips: 1440 clips with perfectly calibrated probabilities have an error of about 0.04.

    Raises:
        ValueError: as :func:`reliability`
    """
    table = reliability(truth, scores, bins=bins)
    return float(np.average((table.confidence - table.accuracy).abs(), weights=table.clips))


def fit_temperature(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature with the smallest log-loss for these scores, 0.05 … 20; above 1: over-confident.

    Guo et al. (2017), arXiv:1706.04599. Fit it on clips of validation speakers only.

    Raises:
        ValueError: as :func:`reliability`
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    truth, scores = aligned(truth, scores)
    logits = _logits(scores)
    clips = np.arange(len(truth))

    def loss(coldness: float) -> float:  # convex in 1 / temperature
        return float(np.mean(logsumexp(coldness * logits, axis=1) - coldness * logits[clips, truth]))

    best = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-9})
    return float(1 / best.x)


def apply_temperature(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logarithms of probabilities by ``temperature`` and normalise; the order of classes is unchanged.

    Examples:
        >>> apply_temperature(np.array([[0.8, 0.2]]), 2.0).round(3)
        array([[0.667, 0.333]])

    Raises:
        ValueError: if scores are not probabilities or the temperature is not above 0
    """
    from scipy.special import softmax

    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: a number above 0 is expected")
    return softmax(_logits(scores) / temperature, axis=1)


def coverage(truth: np.ndarray, scores: np.ndarray, *, confidence: np.ndarray | None = None) -> pd.DataFrame:
    """Return accuracy by coverage when predictions below a confidence threshold are rejected.

    This is the risk-coverage curve of El-Yaniv and Wiener (2010), JMLR 11, 1605-1641, with one row for each distinct
    confidence in descending order: predictions with equal confidence are kept or rejected together.

    Args:
        confidence: any number for each clip, such as the agreement of views; by default the highest score

    Returns:
        columns threshold, clips, coverage (share kept), accuracy

    Raises:
        ValueError: if there are no clips or lengths differ
    """
    truth, scores = aligned(truth, scores)
    confidence = scores.max(axis=1) if confidence is None else np.asarray(confidence)
    if len(confidence) != len(truth):
        raise ValueError(f"{len(truth)} truths and {len(confidence)} confidences: one per clip is expected")
    predictions = pd.DataFrame({"threshold": confidence, "correct": predict(scores) == truth})
    steps = predictions.groupby("threshold").correct.agg(["size", "sum"]).sort_index(ascending=False).cumsum()
    return pd.DataFrame(
        {
            "threshold": steps.index,
            "clips": steps["size"].to_numpy(),
            "coverage": steps["size"].to_numpy() / len(truth),
            "accuracy": (steps["sum"] / steps["size"]).to_numpy(float),
        }
    )


def _logits(scores: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities(scores), SMALLEST))
