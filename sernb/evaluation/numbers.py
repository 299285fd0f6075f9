"""Metrics of numeric predictions, such as arousal: CCC, Pearson's correlation and RMSE, with intervals."""

from dataclasses import dataclass

import numpy as np

from sernb.evaluation.intervals import RESAMPLES, Interval, draw_resamples, group_sums, percentiles, resampling_units
from sernb.evaluation.metrics import ccc, pearson, rmse

OF_NUMBERS = {"ccc": ccc, "pearson": pearson, "rmse": rmse}
CONSTANT = 1e-12  # share of the second moment below which a variance is due to rounding


@dataclass(frozen=True)
class NumberMetrics:
    """Metrics of numeric predictions; CCC, correlation and spread have no unit, the others the unit of the truth."""

    clips: int
    speakers: int
    resampled: str  # "speakers" or "clips"
    ccc: Interval  # 0 for constant predictions; NaN if truth and predictions are the same constant
    pearson: Interval  # NaN if truth or predictions are constant
    rmse: Interval
    rmse_floor: float  # of the best constant prediction, the mean of the truth, whose CCC is 0
    bias: float  # see :func:`bias`
    spread: float  # see :func:`spread`


def evaluate_numbers(
    truth: np.ndarray, prediction: np.ndarray, speakers: np.ndarray, *, seed: int = 0
) -> NumberMetrics:
    """Return all metrics with 95 % percentile intervals, resampled as in :func:`sernb.evaluation.evaluate`.

    Args:
        truth: shape ``(clips,)``; clips without a value (NaN) are left out
        prediction: shape ``(clips,)``
        speakers: shape ``(clips,)``

    Raises:
        ValueError: as :func:`sernb.evaluation.ccc`
    """
    values = {name: metric(truth, prediction) for name, metric in OF_NUMBERS.items()}
    labelled = ~np.isnan(np.asarray(truth, float))
    truth, prediction, speakers = (np.asarray(each)[labelled] for each in (truth, prediction, speakers))
    unit, groups = resampling_units(speakers)
    copies = _resampled(truth.astype(float), prediction.astype(float), groups, seed)
    return NumberMetrics(
        clips=len(truth),
        speakers=len(np.unique(speakers)),
        resampled=unit,
        **{name: percentiles(value, copies[name], unit) for name, value in values.items()},
        rmse_floor=float(truth.std()),
        bias=bias(truth, prediction),
        spread=spread(truth, prediction),
    )


def bias(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the mean of the predictions minus the mean of the truth."""
    return float(prediction.mean() - truth.mean())


def spread(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the standard deviation of the predictions divided by that of the truth; NaN if the truth is constant."""
    return float(np.ptp(prediction) and prediction.std()) / float(truth.std()) if np.ptp(truth) else float("nan")


def _resampled(truth: np.ndarray, prediction: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return each metric of all resamples, from their first and second moments."""
    middle = truth.mean()
    t, p = truth - middle, prediction - middle
    sums = draw_resamples(groups, RESAMPLES, seed) @ group_sums(
        np.column_stack([np.ones_like(t), t, p, t * t, p * p, t * p]), groups
    )
    mean_t, mean_p, tt, pp, tp = (sums[:, 1:] / sums[:, :1]).T
    variances = [square - mean**2 for square, mean in ((tt, mean_t), (pp, mean_p))]
    var_t, var_p = (np.where(v > CONSTANT * square, v, 0) for v, square in zip(variances, (tt, pp), strict=True))
    covariance = np.where((var_t > 0) & (var_p > 0), tp - mean_t * mean_p, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "ccc": 2 * covariance / (var_t + var_p + (mean_t - mean_p) ** 2),
            "pearson": covariance / np.sqrt(var_t * var_p),
            "rmse": np.sqrt(np.maximum(tt + pp - 2 * tp, 0)),
        }
