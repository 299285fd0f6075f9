"""Systems that predict a number, such as arousal: ridge and support vector regression, linear, on rows of features.

Ours. Ridge regression in its dual form (Saunders, Gammerman and Vovk, 1998); ε-insensitive support vector regression
(Smola and Schölkopf, 2004, doi:10.1023/B:STCO.0000035301.49549.88). Both end as one weight a feature, so that a run
keeps what it trained as plain arrays. What they predict lies nearer to the mean than the truth does where features say
little of it: least squares shrink. Nothing is stretched afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sernb.config import DataError
from sernb.features import Embedding, Features, Functionals
from sernb.protocols.targets import NumericTarget, make_strata
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.inner_cross_validation import make_inner_folds, middle
from sernb.systems.learning.kernel_ridge import solve_coefficients
from sernb.systems.learning.kernels import compute_kernel, limit, stack_rows
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.majority import tenfold_split
from sernb.systems.on_encoder import on_all_encoders

LOSSES = ("squares", "insensitive")


@dataclass(frozen=True)
class Settings:
    """Linear regression on standardised features; its penalty is searched by speakers."""

    loss: str = "squares"  # of LOSSES: ridge regression or support vector regression
    # Of ridge regression, in mean squares of a clip; of support vector regression C, a larger one fits more closely
    penalties: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    epsilon: float = 0.1  # standard deviations of the truth within which an error costs nothing
    inner_folds: int = 4

    def __post_init__(self):
        """Refuse an unknown loss."""
        if self.loss not in LOSSES:
            raise DataError(f"no loss is named {self.loss!r}; known: {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Mean:
    """There is nothing to set."""


def fit_mean(settings: Mean, task: Task) -> Fitted:
    """Take the mean of the training clips for every clip: the best constant prediction, by squared errors."""
    mean = float(task.train.truth.mean())
    return Fitted(scores=lambda features: np.full(len(features), mean), chosen={"mean": mean})


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips; where speakers are kept apart, validation speakers join them in the inner folds.

    The penalty is that with the highest CCC of the inner folds, their predictions pooled; where clips are too few for
    any, the middle one.
    """
    from sklearn.preprocessing import StandardScaler

    from sernb.evaluation import ccc

    examples = task.fitting_examples
    rows, truth = stack_rows(examples.features), examples.truth
    scaler = StandardScaler().fit(stack_rows(task.statistics.features) if task.statistics else rows)
    scaled = limit(scaler.transform(rows))
    kernel = compute_kernel(scaled, scaled)
    inner = make_inner_folds(task, make_strata(truth), settings.inner_folds, shuffled=True)
    penalty, reached = middle(settings.penalties), {}
    if inner.rows:
        predicted = {each: [] for each in settings.penalties}
        for kept, held in inner.rows:
            solved = _solve(settings, kernel[np.ix_(kept, kept)], truth[kept], settings.penalties)
            for each, (coefficients, intercept) in zip(settings.penalties, solved, strict=True):
                predicted[each].append(kernel[np.ix_(held, kept)] @ coefficients + intercept)
        validated = truth[np.concatenate([held for _, held in inner.rows])]
        scores = {each: np.nan_to_num(ccc(validated, np.concatenate(predicted[each]))) for each in settings.penalties}
        penalty = max(scores, key=scores.get)
        reached = {"inner CCC": scores[penalty]}
    ((coefficients, intercept),) = _solve(settings, kernel, truth, [penalty])
    slopes = coefficients @ scaled / scaled.shape[1]
    machine = LinearClassifier(scaler.mean_, scaler.scale_, slopes[None])
    chosen = {"penalty": penalty, **reached, "inner folds": inner.about}
    chosen |= {"lowest truth": truth.min(), "highest truth": truth.max(), "farthest clip": _farthest(rows, inner.rows)}
    return Fitted(
        scores=lambda features: machine.standardised(stack_rows(features)) @ slopes + intercept,
        chosen=chosen,
        weights=machine.arrays | {"intercept": np.array([intercept], np.float32)},
    )


def _farthest(rows: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Return the distance that one clip in two hundred exceeds, seen from clips of other inner folds; None without.

    Distances are as in :mod:`sernb.prediction.domain_check`: root mean square over standardised features.
    """
    from sklearn.preprocessing import StandardScaler

    scaled = [limit(StandardScaler().fit(rows[kept]).transform(rows[held])) for kept, held in folds]
    distances = [np.sqrt((each**2).mean(axis=1)) for each in scaled]
    return float(np.quantile(np.concatenate(distances), 0.995)) if distances else None


def _solve(
    settings: Settings, kernel: np.ndarray, truth: np.ndarray, penalties: Sequence[float]
) -> list[tuple[np.ndarray, float]]:
    """Return for each penalty coefficients of the clips, ``(clips,)``, and the intercept."""
    mean, deviation = float(truth.mean()), float(truth.std()) or 1.0
    if settings.loss == "squares":
        return [(each[:, 0], mean) for each in solve_coefficients(kernel, (truth - mean)[:, None], penalties)]
    from sklearn.svm import SVR

    solved = []
    for penalty in penalties:
        machine = SVR(kernel="precomputed", C=penalty, epsilon=settings.epsilon)
        machine.fit(kernel, (truth - mean) / deviation)
        coefficients = np.zeros(len(truth))
        coefficients[machine.support_] = deviation * machine.dual_coef_[0]
        solved.append((coefficients, mean + deviation * float(machine.intercept_[0])))
    return solved


def _system(name: str, title: str, about: str, features: Features | None, settings: object) -> System:
    return System(
        name=name,
        title=title,
        source="ours" if features else "no publication",
        about=about,
        labels=NumericTarget(""),  # --target names it
        features=features,
        settings=settings,
        quick={},
        fit=fit if features else fit_mean,
        published_split=tenfold_split,
        published_choice="inner cross-validation, speakers shared" if features else "nothing is chosen",
        tests_choose=False,
    )


_RIDGE = "ridge regression, its penalty by inner cross-validation over speakers."
_SVR = "linear support vector regression, C by inner cross-validation over speakers."
_ENCODER = "Mean and deviation over time of all hidden states of Whisper's smallest encoder, frozen;"
_VECTORS = Settings(loss="insensitive", penalties=(0.03, 0.1, 0.3, 1.0, 3.0))
_READ = "encoder by Radford et al. (2023), arXiv:2212.04356"

SYSTEMS = (
    _system("training-mean", "Mean of the training clips", "Predicts one number for all clips.", None, Mean()),
    _system(
        "functionals-ridge-regression", "Functionals and ridge regression on numbers", f"Functionals; {_RIDGE}",
        Functionals(), Settings(),
    ),
    _system(
        "functionals-svr", "Functionals and support vector regression", f"Functionals; {_SVR}", Functionals(), _VECTORS,
    ),
    *(
        on_all_encoders(replace(each, source=f"ours; {_READ}"))
        for each in (
            _system(
                "embedding-ridge-regression", "Pretrained encoder and ridge regression on numbers",
                f"{_ENCODER} {_RIDGE}", Embedding(), Settings(),
            ),
            _system(
                "embedding-svr", "Pretrained encoder and support vector regression", f"{_ENCODER} {_SVR}",
                Embedding(), _VECTORS,
            ),
        )
    ),
)  # fmt: skip
