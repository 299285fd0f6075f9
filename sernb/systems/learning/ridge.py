"""Ridge regression whose penalty, temperature and mixture of kernels are chosen by folds within the training part."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sernb.systems.base import Fitted, Task
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle
from sernb.systems.learning.kernel_ridge import (
    coefficients_by_cholesky,
    make_targets,
    predict_probabilities,
    solve_coefficients,
)
from sernb.systems.learning.kernels import compute_kernel, limit, stack_rows
from sernb.systems.learning.linear_classifier import LinearClassifier

MANY = 2500  # clips, beyond which eigenvalues take minutes


class Grid(Protocol):
    """What is searched, as settings say it."""

    penalties: Sequence[float]  # of the mean square of a clip
    inner_folds: int


def fit_ridge(task: Task, grid: Grid, groups: Sequence[slice] = (slice(None),), *, mix: bool = False) -> Fitted:
    """Fit on training clips; where speakers are kept apart, validation speakers join them in the inner folds.

    The penalty is that with the highest mean UAR of the inner folds; the temperature comes from the same predictions.
    Where fewer speakers train than there are inner folds, these are cut between clips, and the temperature is 1; where
    clips are too few for any, the penalty is the middle one, and all kernels count alike.

    Args:
        groups: columns that have a kernel of their own, such as the layers of an encoder
        mix: choose by the same folds what they count: one alone, all alike, or each by what it is worth alone
    """
    from sklearn.preprocessing import StandardScaler

    from sernb.evaluation import uar

    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth = stack_rows(examples.features), examples.truth
    scaler = StandardScaler().fit(stack_rows(task.statistics.features) if task.statistics else rows)
    scaled = limit(scaler.transform(rows))
    kernels, targets = (
        [compute_kernel(scaled[:, each], scaled[:, each]) for each in groups],
        make_targets(truth, classes),
    )
    inner = make_inner_folds(task, truth, grid.inner_folds, shuffled=True)
    # Where there is nothing to mix and clips are few, digits stay.
    solve = coefficients_by_cholesky if mix or len(truth) > MANY else solve_coefficients
    validated = [truth[held] for _, held in inner.rows]

    def tried(weights: np.ndarray) -> dict[float, tuple[float, np.ndarray]]:
        """Return the mean UAR of the inner folds, and the predictions, by penalty."""
        kernel, predictions = mixed(kernels, weights), {penalty: [] for penalty in grid.penalties}
        for kept, held in inner.rows:
            solved = solve(kernel[np.ix_(kept, kept)], targets[kept], grid.penalties)
            for penalty, coefficients in zip(grid.penalties, solved, strict=True):
                predictions[penalty].append(predict_probabilities(kernel[np.ix_(held, kept)], coefficients))
        return {
            penalty: (float(np.mean([uar(*each) for each in zip(validated, said, strict=True)])), np.concatenate(said))
            for penalty, said in predictions.items()
        }

    weights = {"all": np.ones(len(groups))}
    name, penalty, temperature, reached = "all", middle(grid.penalties), 1.0, {}
    if inner.rows:
        results = {"all": tried(weights["all"])}
        if mix:
            worth = np.empty(len(groups))
            for group in range(len(groups)):
                weights[str(group)] = np.eye(len(groups))[group]
                results[str(group)] = tried(weights[str(group)])
                worth[group] = max(each[0] for each in results[str(group)].values())
            weights["weighted"] = np.maximum(worth - 1 / classes, 1e-3)
            results["weighted"] = tried(weights["weighted"])
        tries = [(name, penalty) for name in results for penalty in grid.penalties]
        name, penalty = max(tries, key=lambda each: results[each[0]][each[1]][0])
        inner_uar, predictions = results[name][penalty]
        temperature = fit_inner_temperature(task, np.concatenate(validated), predictions, by_speaker=inner.by_speaker)
        reached = {"inner UAR": inner_uar}
    share = weights[name] / weights[name].sum()
    (coefficients,) = solve(mixed(kernels, weights[name]), targets, [penalty])
    planes = np.zeros((classes, scaled.shape[1]))
    for each, part in zip(groups, share, strict=True):
        planes[:, each] = part * (coefficients.T @ scaled[:, each]) / scaled[:, each].shape[1]
    classifier = LinearClassifier(scaler.mean_, scaler.scale_, planes, temperature)
    chosen = {
        "penalty": penalty,
        "temperature": temperature,
        **reached,
        "inner folds": inner.about,
    }
    if mix:
        chosen |= {"layers": name, "layer weights": " ".join(f"{each:.2f}" for each in share)}
    return Fitted(scores=lambda features: classifier(stack_rows(features)), chosen=chosen, weights=classifier.arrays)


def mixed(kernels: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the mean of kernels, each as often as its weight; of one kernel, itself.

    Examples:
        >>> mixed([np.eye(1), 3 * np.eye(1)], np.array([1.0, 1.0]))
        array([[2.]])
    """
    if len(kernels) == 1:
        return kernels[0]
    return sum(part * kernel for part, kernel in zip(weights / weights.sum(), kernels, strict=True) if part)
