"""Functionals and a support vector machine: the classic baseline of speech emotion recognition.

Ours, after openSMILE and a linear SVM (Eyben et al., 2010, doi:10.1145/1873951.1874246; Schuller et al., 2013), with
functionals under an open licence. Features, statistics and grid were selected by inner cross-validation on training
speakers.
"""

import dataclasses
from dataclasses import dataclass
from itertools import product

import numpy as np

from sernb.config import DataError
from sernb.features import Functionals
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle_setting
from sernb.systems.learning.kernel_svm import fit_svm, predict_probabilities
from sernb.systems.learning.kernels import compute_kernel, fit_scaler, limit, stack_rows

KERNELS = ("linear", "rbf")


@dataclass(frozen=True)
class Settings:
    """A one-vs-one SVM on standardised functionals with a grid search by inner folds."""

    kernel: str = "linear"  # of KERNELS
    penalties: tuple[float, ...] = (0.3, 1, 3, 10)  # C
    gammas: tuple[float, ...] = (0.1, 0.2, 0.5)  # of the RBF kernel on the mean squared difference of the functionals
    inner_folds: int = 4

    def __post_init__(self):
        """Refuse an unknown kernel."""
        if self.kernel not in KERNELS:
            raise DataError(f"no kernel is named {self.kernel!r}; known: {', '.join(KERNELS)}")


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on ``task.fitting_examples``.

    C and gamma have the highest mean UAR of the inner folds, whose predictions also calibrate the temperature. With
    fewer speakers than inner folds, these are not speaker-disjoint, and the temperature is 1; with too few clips for
    any, C and gamma are the middle of the grid. The kernel is precomputed: functionals far outnumber clips.
    """
    from sernb.evaluation import apply_temperature, uar

    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth = stack_rows(examples.features), examples.truth
    inner = make_inner_folds(task, truth, settings.inner_folds)
    scaler = fit_scaler(task, rows)
    scaled = limit(scaler.transform(rows))

    grid = list(product(settings.penalties, settings.gammas if settings.kernel == "rbf" else (None,)))
    (penalty, gamma), temperature, inner_scores = middle_setting(grid), 1.0, {}
    if inner.rows:
        held_out = [truth[validation] for _, validation in inner.rows]
        results = {}
        for point in grid:
            kernel, predictions = compute_kernel(scaled, scaled, point[1]), []
            for part, validation in inner.rows:
                svm = fit_svm(kernel[np.ix_(part, part)], truth[part], point[0])
                predictions.append(predict_probabilities(svm, kernel[np.ix_(validation, part)], classes))
            mean = np.mean([uar(*each) for each in zip(held_out, predictions, strict=True)])
            results[point] = float(mean), np.concatenate(predictions)
        penalty, gamma = max(results, key=lambda point: results[point][0])
        inner_uar, predictions = results[penalty, gamma]
        inner_scores = {"inner UAR": inner_uar}
        temperature = fit_inner_temperature(task, truth, inner, predictions)
    classifier = fit_svm(compute_kernel(scaled, scaled, gamma), truth, penalty)

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        scaled_rows = limit(scaler.transform(stack_rows(features)))
        return apply_temperature(
            predict_probabilities(classifier, compute_kernel(scaled_rows, scaled, gamma), classes), temperature
        )

    chosen = {
        "C": penalty,
        **({"gamma": gamma} if gamma is not None else {}),
        "temperature": temperature,
        **inner_scores,
        "inner folds": inner.description,
    }
    return Fitted(scores=scores, chosen=chosen)


SYSTEM = System(
    name="functionals-svm",
    title="Functionals and SVM",
    source="ours; after openSMILE's functionals and a linear SVM",
    description="Statistics of pitch, loudness, voice quality, formants, spectrum, MFCC, rhythm and modulation; "
    "linear SVM, C selected by inner cross-validation over speakers.",
    labels=ALL_EIGHT,
    features=Functionals(),
    settings=Settings(),
    fit=fit,
    published_selection="inner cross-validation, speakers shared",
)
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(
            "rbf",
            "RBF kernel",
            description=SYSTEM.description.replace("linear SVM, C", "RBF SVM, C and gamma"),
            settings=Settings(kernel="rbf"),
        ),
    ),
)
