"""Systems with numeric targets such as arousal: linear ridge regression and support vector regression.

Ours. Ridge regression in its dual form (Saunders, Gammerman and Vovk, 1998); ε-insensitive support vector regression
(Smola and Schölkopf, 2004, doi:10.1023/B:STCO.0000035301.49549.88). Both reduce to one weight per feature, which a run
stores as plain arrays. Predictions have a smaller variance than the truth (regression to the mean); they are not
rescaled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sernb.config import DataError
from sernb.features import Embedding, Features, Functionals
from sernb.protocols.targets import NumericTarget, make_strata
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.inner_cross_validation import make_inner_folds, middle_setting
from sernb.systems.learning.kernel_ridge import solve_coefficients
from sernb.systems.learning.kernels import compute_kernel, fit_scaler, limit, stack_rows
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.on_encoder import on_all_encoders

LOSSES = ("squares", "insensitive")


@dataclass(frozen=True)
class Settings:
    """Linear regression on standardised features; the penalty is selected by inner folds."""

    loss: str = "squares"  # of LOSSES: ridge regression or support vector regression
    # Of ridge regression, relative to the mean square of a clip; of support vector regression, C
    penalties: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    epsilon: float = 0.1  # half width of the insensitive tube, in standard deviations of the truth
    inner_folds: int = 4

    def __post_init__(self):
        """Refuse an unknown loss."""
        if self.loss not in LOSSES:
            raise DataError(f"no loss is named {self.loss!r}; known: {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Mean:
    """No settings."""


def fit_mean(settings: Mean, task: Task) -> Fitted:
    """Predict the mean of the training clips, the constant with the least squared error."""
    mean = float(task.train.truth.mean())
    return Fitted(scores=lambda features: np.full(len(features), mean), chosen={"mean": mean})


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on ``task.fitting_examples``.

    The penalty has the highest CCC of the pooled predictions of the inner folds; with too few clips for any, it is the
    middle one.
    """
    from sernb.evaluation import ccc

    examples = task.fitting_examples
    rows, truth = stack_rows(examples.features), examples.truth
    scaler = fit_scaler(task, rows)
    scaled = limit(scaler.transform(rows))
    kernel = compute_kernel(scaled, scaled)
    inner = make_inner_folds(task, make_strata(truth), settings.inner_folds, shuffled=True)
    penalty, inner_scores = middle_setting(settings.penalties), {}
    if inner.rows:
        predicted = {each: [] for each in settings.penalties}
        for part, validation in inner.rows:
            solutions = _solve(settings, kernel[np.ix_(part, part)], truth[part], settings.penalties)
            for each, (coefficients, intercept) in zip(settings.penalties, solutions, strict=True):
                predicted[each].append(kernel[np.ix_(validation, part)] @ coefficients + intercept)
        held_out = truth[np.concatenate([validation for _, validation in inner.rows])]
        scores = {each: np.nan_to_num(ccc(held_out, np.concatenate(predicted[each]))) for each in settings.penalties}
        penalty = max(scores, key=scores.get)
        inner_scores = {"inner CCC": scores[penalty]}
    ((coefficients, intercept),) = _solve(settings, kernel, truth, [penalty])
    weights = coefficients @ scaled / scaled.shape[1]
    model = LinearClassifier(scaler.mean_, scaler.scale_, weights[None])
    chosen = {"penalty": penalty, **inner_scores, "inner folds": inner.description}
    chosen |= {"lowest truth": truth.min(), "highest truth": truth.max(), "farthest clip": _farthest(rows, inner.rows)}
    return Fitted(
        scores=lambda features: model.standardise(stack_rows(features)) @ weights + intercept,
        chosen=chosen,
        weights=model.arrays | {"intercept": np.array([intercept], np.float32)},
    )


def _farthest(rows: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Return the 99.5th percentile of the distances of held-out clips in inner folds, or None without inner folds.

    Distances are as in :mod:`sernb.prediction.domain_check`: root mean square over standardised features.
    """
    from sklearn.preprocessing import StandardScaler

    scaled = [limit(StandardScaler().fit(rows[part]).transform(rows[validation])) for part, validation in folds]
    distances = [np.sqrt((each**2).mean(axis=1)) for each in scaled]
    return float(np.quantile(np.concatenate(distances), 0.995)) if distances else None


def _solve(
    settings: Settings, kernel: np.ndarray, truth: np.ndarray, penalties: Sequence[float]
) -> list[tuple[np.ndarray, float]]:
    """Return dual coefficients, ``(clips,)``, and the intercept for each penalty."""
    mean, deviation = float(truth.mean()), float(truth.std()) or 1.0
    if settings.loss == "squares":
        return [(each[:, 0], mean) for each in solve_coefficients(kernel, (truth - mean)[:, None], penalties)]
    from sklearn.svm import SVR

    solutions = []
    for penalty in penalties:
        model = SVR(kernel="precomputed", C=penalty, epsilon=settings.epsilon)
        model.fit(kernel, (truth - mean) / deviation)
        coefficients = np.zeros(len(truth))
        coefficients[model.support_] = deviation * model.dual_coef_[0]
        solutions.append((coefficients, mean + deviation * float(model.intercept_[0])))
    return solutions


def _make_system(name: str, title: str, description: str, features: Features | None, settings: object) -> System:
    return System(
        name=name,
        title=title,
        source="ours" if features else "no publication",
        description=description,
        labels=NumericTarget(""),  # set by --target
        features=features,
        settings=settings,
        fit=fit if features else fit_mean,
        published_selection="inner cross-validation, speakers shared" if features else "no selection",
    )


_RIDGE = "ridge regression with the penalty selected by inner cross-validation over speakers."
_SVR = "linear support vector regression with C selected by inner cross-validation over speakers."
_ENCODER = "Mean and standard deviation over time of all hidden states of Whisper's smallest encoder, frozen;"
_VECTORS = Settings(loss="insensitive", penalties=(0.03, 0.1, 0.3, 1.0, 3.0))
_READ = "encoder by Radford et al. (2023), arXiv:2212.04356"

SYSTEMS = (
    _make_system("training-mean", "Mean of the training clips", "Predicts one number for all clips.", None, Mean()),
    _make_system(
        "functionals-ridge-regression", "Functionals and ridge regression, numeric", f"Functionals; {_RIDGE}",
        Functionals(), Settings(),
    ),
    _make_system(
        "functionals-svr", "Functionals and support vector regression", f"Functionals; {_SVR}", Functionals(), _VECTORS,
    ),
    *(
        on_all_encoders(replace(each, source=f"ours; {_READ}"))
        for each in (
            _make_system(
                "embedding-ridge-regression", "Pretrained encoder and ridge regression, numeric",
                f"{_ENCODER} {_RIDGE}", Embedding(), Settings(),
            ),
            _make_system(
                "embedding-svr", "Pretrained encoder and support vector regression", f"{_ENCODER} {_SVR}",
                Embedding(), _VECTORS,
            ),
        )
    ),
)  # fmt: skip
