"""Kernel ridge regression with RBF kernels; width and penalty are selected by inner cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sernb.systems.base import Fitted, Task
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle_setting
from sernb.systems.learning.kernel_ridge import make_targets, predict_probabilities, solve_by_cholesky
from sernb.systems.learning.kernels import compute_kernel, fit_scaler, limit, stack_rows
from sernb.systems.learning.ridge import score_penalties


@dataclass(frozen=True)
class Settings:
    """The search grid."""

    penalties: tuple[float, ...] = (0.03, 0.1, 0.3)
    gammas: tuple[float, ...] = (0.1, 0.3)  # of the kernel, on the mean squared difference of standardised features
    inner_folds: int = 4


def fit_rbf_ridge(settings: Settings, task: Task, groups: Sequence[slice] = (slice(None),)) -> Fitted:
    """Fit kernel ridge regression on ``task.fitting_examples``.

    Penalty and gamma have the highest mean UAR of the inner folds, whose predictions also calibrate the temperature,
    as in :func:`sernb.systems.learning.ridge.fit_ridge`.

    Args:
        groups: columns with a kernel each, such as the layers of an encoder; the kernels are averaged
    """
    from sernb.evaluation import apply_temperature

    rows, truth = stack_rows(task.fitting_examples.features), task.fitting_examples.truth
    scaler = fit_scaler(task, rows)
    scaled, targets = limit(scaler.transform(rows)), make_targets(truth, len(task.classes))

    def kernel_with(left: np.ndarray, gamma: float) -> np.ndarray:
        return sum(compute_kernel(left[:, each], scaled[:, each], gamma) for each in groups) / len(groups)

    inner = make_inner_folds(task, truth, settings.inner_folds, shuffled=True)
    gamma, penalty = middle_setting(settings.gammas), middle_setting(settings.penalties)
    temperature, inner_scores = 1.0, {}
    if inner.rows:
        results = {}
        for each in settings.gammas:
            of_penalty = score_penalties(kernel_with(scaled, each), truth, targets, inner, settings.penalties)
            results |= {(each, penalty): result for penalty, result in of_penalty.items()}
        gamma, penalty = max(results, key=lambda point: results[point][0])
        inner_uar, predictions = results[gamma, penalty]
        temperature = fit_inner_temperature(task, truth, inner, predictions)
        inner_scores = {"inner UAR": inner_uar}
    (coefficients,) = solve_by_cholesky(kernel_with(scaled, gamma), targets, [penalty])

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        kernel = kernel_with(limit(scaler.transform(stack_rows(features))), gamma)
        return apply_temperature(predict_probabilities(kernel, coefficients), temperature)

    chosen = {"penalty": penalty, "gamma": gamma, "temperature": temperature, **inner_scores}
    return Fitted(scores=scores, chosen=chosen | {"inner folds": inner.description})
