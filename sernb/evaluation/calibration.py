"""Whether scores mean what they say: confidence against accuracy, temperature, and selective prediction.

The confidence of a prediction is its highest probability.
"""

import numpy as np
import pandas as pd

from sernb.evaluation.metrics import SMALLEST, aligned, predict, probabilities

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0


def reliability(truth: np.ndarray, scores: np.ndarray, *, bins: int = BINS) -> pd.DataFrame:
    """Return accuracy by confidence, in bins of equally many clips, one row each.

    Equal counts keep the error of each bin alike and bias the sum less than equal widths (Nixon et al., 2019,
    arXiv:1904.01685). Predictions of the same confidence stay in one bin, so there may be fewer bins than asked for.

    Returns:
        columns low, high (bounds of confidence; low is excluded, but in the first bin), clips, confidence (mean),
        accuracy

    Raises:
        ValueError: if there are no clips, or scores are no probabilities
    """
    truth, scores = aligned(truth, scores)
    confidence = probabilities(scores).max(axis=1)
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    at = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    predictions = pd.DataFrame({"bin": at, "confidence": confidence, "right": predict(scores) == truth})
    found = predictions.groupby("bin").agg(
        clips=("right", "size"), confidence=("confidence", "mean"), accuracy=("right", "mean")
    )
    found.insert(0, "low", edges[found.index])
    found.insert(1, "high", edges[np.minimum(found.index + 1, len(edges) - 1)])
    return found.reset_index(drop=True)


def calibration_error(truth: np.ndarray, scores: np.ndarray, *, bins: int = BINS) -> float:
    """Expected calibration error: mean over clips of their bin's distance between confidence and accuracy, 0 … 1.

    Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602, with the bins of :func:`reliability`. It is biased upwards
    where bins hold few clips: 1440 clips with probabilities that are perfectly calibrated get about 0.04.

    Raises:
        ValueError: as :func:`reliability`
    """
    table = reliability(truth, scores, bins=bins)
    return float(np.average((table.confidence - table.accuracy).abs(), weights=table.clips))


def fit_temperature(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature at which these scores have the smallest log-loss, 0.05 … 20; above 1: too sure.

    Guo et al. (2017), arXiv:1706.04599. Only clips of validation speakers may fit it.

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
    """Return probabilities whose logarithms are divided by ``temperature``; the order of classes stays.

    Examples:
        >>> apply_temperature(np.array([[0.8, 0.2]]), 2.0).round(3)
        array([[0.667, 0.333]])

    Raises:
        ValueError: if scores are no probabilities or the temperature is not above 0
    """
    from scipy.special import softmax

    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: a number above 0 is expected")
    return softmax(_logits(scores) / temperature, axis=1)


def coverage(truth: np.ndarray, scores: np.ndarray, *, confidence: np.ndarray | None = None) -> pd.DataFrame:
    """Return accuracy among the predictions that are kept when those below a confidence are left out.

    The risk-coverage curve of El-Yaniv and Wiener (2010), JMLR 11, 1605-1641. One row for each confidence that occurs,
    the highest first: equally confident predictions are kept or left out together.

    Args:
        confidence: of each clip, any number, such as the agreement between views; the highest score by default

    Returns:
        columns threshold, clips, coverage (share kept), accuracy

    Raises:
        ValueError: if there are no clips or lengths differ
    """
    truth, scores = aligned(truth, scores)
    confidence = scores.max(axis=1) if confidence is None else np.asarray(confidence)
    if len(confidence) != len(truth):
        raise ValueError(f"{len(truth)} truths and {len(confidence)} confidences: one a clip is expected")
    predictions = pd.DataFrame({"threshold": confidence, "right": predict(scores) == truth})
    steps = predictions.groupby("threshold").right.agg(["size", "sum"]).sort_index(ascending=False).cumsum()
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
