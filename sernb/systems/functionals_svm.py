"""Functionals and a support vector machine: the classic of speech emotion recognition, and the bar for networks.

Ours, after what openSMILE and a linear SVM do (Eyben et al., 2010, doi:10.1145/1873951.1874246; Schuller et al., 2013),
with functionals under an open licence. Features, statistics and grid were judged by inner cross-validation on training
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
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle
from sernb.systems.learning.kernel_svm import fit_svm, predict_probabilities
from sernb.systems.learning.kernels import compute_kernel, limit, stack_rows
from sernb.systems.majority import tenfold_split

KERNELS = ("linear", "rbf")


@dataclass(frozen=True)
class Settings:
    """A one-against-one SVM on standardised functionals; its grid is searched by speakers."""

    kernel: str = "linear"  # of KERNELS
    penalties: tuple[float, ...] = (0.3, 1, 3, 10)  # C
    gammas: tuple[float, ...] = (0.1, 0.2, 0.5)  # of the RBF kernel, over the mean squared distance of a functional
    inner_folds: int = 4

    def __post_init__(self):
        """Refuse an unknown kernel."""
        if self.kernel not in KERNELS:
            raise DataError(f"no kernel is named {self.kernel!r}; known: {', '.join(KERNELS)}")


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips; where speakers are kept apart, validation speakers join them in the inner folds.

    The kernel is computed once: there are many times more functionals than clips. C and gamma are those with the
    highest mean UAR of the inner folds; the temperature that makes decision values probabilities comes from the same
    answers. Where fewer speakers train than there are inner folds, these are cut between clips, the temperature is 1,
    and the run says so; where clips are too few for any, C and gamma are the middle of the grid.
    """
    from sklearn.preprocessing import StandardScaler

    from sernb.evaluation import apply_temperature, uar

    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth = stack_rows(examples.features), examples.truth
    inner = make_inner_folds(task, truth, settings.inner_folds)
    scaler = StandardScaler().fit(stack_rows(task.statistics.features) if task.statistics else rows)
    scaled = limit(scaler.transform(rows))

    grid = list(product(settings.penalties, settings.gammas if settings.kernel == "rbf" else (None,)))
    (penalty, gamma), temperature, reached = middle(grid), 1.0, {}
    if inner.rows:
        validated = np.concatenate([held for _, held in inner.rows])
        tried = {}
        for point in grid:
            kernel = compute_kernel(scaled, scaled, point[1])
            predictions = [
                predict_probabilities(
                    fit_svm(kernel[np.ix_(kept, kept)], truth[kept], point[0]), kernel[np.ix_(held, kept)], classes
                )
                for kept, held in inner.rows
            ]
            mean = np.mean([uar(truth[held], found) for (_, held), found in zip(inner.rows, predictions, strict=True)])
            tried[point] = float(mean), np.concatenate(predictions)
        penalty, gamma = max(tried, key=lambda point: tried[point][0])
        inner_uar, predictions = tried[penalty, gamma]
        reached = {"inner UAR": inner_uar}
        temperature = fit_inner_temperature(task, truth[validated], predictions, by_speaker=inner.by_speaker)
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
        **reached,
        "inner folds": inner.about,
    }
    return Fitted(scores=scores, chosen=chosen)


SYSTEM = System(
    name="functionals-svm",
    title="Functionals and SVM",
    source="ours; after openSMILE's functionals and a linear SVM",
    about="Statistics of pitch, loudness, voice quality, formants, spectrum, MFCC, rhythm and modulation; linear SVM, "
    "C by inner cross-validation over speakers.",
    labels=ALL_EIGHT,
    features=Functionals(),
    settings=Settings(),
    quick={},
    fit=fit,
    published_split=tenfold_split,
    published_choice="inner cross-validation, speakers shared",
    tests_choose=False,
)
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(
            "rbf",
            "RBF kernel",
            about=SYSTEM.about.replace("linear SVM, C", "RBF SVM, C and gamma"),
            settings=Settings(kernel="rbf"),
        ),
    ),
)
