"""Ridge regression with penalty, temperature and kernel weights selected by inner cross-validation."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sernb.systems.base import Fitted, Task
from sernb.systems.learning.inner_cross_validation import (
    InnerFolds,
    fit_inner_temperature,
    make_inner_folds,
    middle_setting,
)
from sernb.systems.learning.kernel_ridge import (
    make_targets,
    predict_probabilities,
    solve_by_cholesky,
    solve_coefficients,
)
from sernb.systems.learning.kernels import compute_kernel, fit_scaler, limit, stack_rows
from sernb.systems.learning.linear_classifier import LinearClassifier

MANY = 2500  # clips; for more, an eigendecomposition takes minutes


class Grid(Protocol):
    """Settings with the search grid."""

    penalties: Sequence[float]  # relative to the mean square of a clip
    inner_folds: int


def fit_ridge(task: Task, grid: Grid, groups: Sequence[slice] = (slice(None),), *, mix: bool = False) -> Fitted:
    """Fit ridge regression on ``task.fitting_examples``.

    The penalty has the highest mean UAR of the inner folds, whose predictions also calibrate the temperature. With
    fewer speakers than inner folds, these are not speaker-disjoint, and the temperature is 1; with too few clips for
    any, the penalty is the middle one, and kernels have equal weights.

    Args:
        groups: columns with a separate kernel each, such as the layers of an encoder
        mix: whether the inner folds also select kernel weights: a single one, equal, or by the UAR of each alone
    """
    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth = stack_rows(examples.features), examples.truth
    scaler = fit_scaler(task, rows)
    scaled = limit(scaler.transform(rows))
    kernels = [compute_kernel(scaled[:, each], scaled[:, each]) for each in groups]
    targets = make_targets(truth, classes)
    inner = make_inner_folds(task, truth, grid.inner_folds, shuffled=True)
    # Both differ by rounding; the eigendecomposition keeps the digits of earlier results.
    solve = solve_by_cholesky if mix or len(truth) > MANY else solve_coefficients

    def cross_validate(weights: np.ndarray) -> dict[float, tuple[float, np.ndarray]]:
        return score_penalties(average_kernels(kernels, weights), truth, targets, inner, grid.penalties, solve)

    weights = {"all": np.ones(len(groups))}
    name, penalty, temperature, inner_scores = "all", middle_setting(grid.penalties), 1.0, {}
    if inner.rows:
        results = {"all": cross_validate(weights["all"])}
        if mix:
            single = np.empty(len(groups))  # UAR of each kernel alone
            for group in range(len(groups)):
                weights[str(group)] = np.eye(len(groups))[group]
                results[str(group)] = cross_validate(weights[str(group)])
                single[group] = max(each[0] for each in results[str(group)].values())
            weights["weighted"] = np.maximum(single - 1 / classes, 1e-3)
            results["weighted"] = cross_validate(weights["weighted"])
        candidates = [(name, penalty) for name in results for penalty in grid.penalties]
        name, penalty = max(candidates, key=lambda each: results[each[0]][each[1]][0])
        inner_uar, predictions = results[name][penalty]
        temperature = fit_inner_temperature(task, truth, inner, predictions)
        inner_scores = {"inner UAR": inner_uar}
    share = weights[name] / weights[name].sum()
    (coefficients,) = solve(average_kernels(kernels, weights[name]), targets, [penalty])
    planes = np.zeros((classes, scaled.shape[1]))
    for each, part in zip(groups, share, strict=True):
        planes[:, each] = part * (coefficients.T @ scaled[:, each]) / scaled[:, each].shape[1]
    classifier = LinearClassifier(scaler.mean_, scaler.scale_, planes, temperature)
    chosen = {"penalty": penalty, "temperature": temperature, **inner_scores, "inner folds": inner.description}
    if mix:
        chosen |= {"layers": name, "layer weights": " ".join(f"{each:.2f}" for each in share)}
    return Fitted(scores=lambda features: classifier(stack_rows(features)), chosen=chosen, weights=classifier.arrays)


def score_penalties(
    kernel: np.ndarray,
    truth: np.ndarray,
    targets: np.ndarray,
    inner: InnerFolds,
    penalties: Sequence[float],
    solve: Callable[[np.ndarray, np.ndarray, Sequence[float]], list[np.ndarray]] = solve_by_cholesky,
) -> dict[float, tuple[float, np.ndarray]]:
    """Return the mean UAR of the inner folds, and their predictions one after the other, by penalty.

    Args:
        kernel: of the training clips, ``(clips, clips)``
        targets: of :func:`sernb.systems.learning.kernel_ridge.make_targets`
        solve: such as :func:`sernb.systems.learning.kernel_ridge.solve_by_cholesky`
    """
    from sernb.evaluation import uar

    predictions = {penalty: [] for penalty in penalties}
    for part, validation in inner.rows:
        solutions = solve(kernel[np.ix_(part, part)], targets[part], penalties)
        for penalty, coefficients in zip(penalties, solutions, strict=True):
            predictions[penalty].append(predict_probabilities(kernel[np.ix_(validation, part)], coefficients))
    held_out = [truth[validation] for _, validation in inner.rows]
    return {
        penalty: (float(np.mean([uar(*each) for each in zip(held_out, folds, strict=True)])), np.concatenate(folds))
        for penalty, folds in predictions.items()
    }


def average_kernels(kernels: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of kernels; a single kernel is returned as it is.

    Examples:
        >>> average_kernels([np.eye(1), 3 * np.eye(1)], np.array([1.0, 1.0]))
        array([[2.]])
    """
    if len(kernels) == 1:
        return kernels[0]
    return sum(part * kernel for part, kernel in zip(weights / weights.sum(), kernels, strict=True) if part)
