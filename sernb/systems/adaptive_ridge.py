"""Ridge regression for seen speakers: identifies the speaker, then how a clip departs from that speaker's voice.

Ours, for protocols that share speakers between training and test, as most publications do, and for those who train a
system for themselves. Clips of the same speaker count more: the kernel of multitask learning, a task a speaker
(Evgeniou, Micchelli and Pontil, 2005, Journal of Machine Learning Research 6, 615-637). An unseen speaker
is taken for the one who sounds most alike. Who speaks in a test clip is not told, but found.

All settings were chosen on random inner folds of the training part of the first of RAVDESS's ten random folds; as its
clips are tested in the other nine, a little optimism cannot be ruled out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sernb.features import RecordingFunctionals
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle
from sernb.systems.learning.kernel_ridge import make_targets, predict_probabilities, solve_coefficients
from sernb.systems.learning.kernel_svm import fit_svm
from sernb.systems.learning.kernels import compute_kernel, limit, stack_rows
from sernb.systems.majority import tenfold_split


@dataclass(frozen=True)
class Settings:
    """A linear SVM for speakers, and ridge regression for emotions; its penalty is searched by inner folds."""

    speaker_penalty: float = 10.0  # C; no training clip is misplaced
    penalties: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)  # of the mean square of a clip
    own: float = 0.5  # by which clips of the same speaker count more
    least_deviation: float = 0.3  # added to a speaker's standard deviation; 1 is that of all clips
    inner_folds: int = 4


# Rows of clips, (clips, values) → for each penalty scores, (clips, classes); and the speaker found for each clip
Predictor = Callable[[np.ndarray], tuple[list[np.ndarray], np.ndarray]]


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips; where speakers are kept apart, on validation clips, too.

    Penalty and temperature are those of the inner folds; these keep speakers apart, too, where the protocol does and
    there are enough of them.
    """
    from sernb.evaluation import apply_temperature, uar

    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth, speakers = stack_rows(examples.features), examples.truth, examples.speakers
    statistics = stack_rows(task.statistics.features) if task.statistics else None

    def trained(kept: np.ndarray | slice, penalties: Sequence[float]) -> Predictor:
        return _trained(settings, penalties, rows[kept], truth[kept], speakers[kept], classes, statistics)

    inner = make_inner_folds(task, truth, settings.inner_folds, shuffled=True)
    penalty, temperature, reached = middle(settings.penalties), 1.0, {}
    if inner.rows:
        held = np.concatenate([held for _, held in inner.rows])
        judged = [trained(kept, settings.penalties)(rows[out]) for kept, out in inner.rows]
        found = np.concatenate([found for _, found in judged])
        tried = [np.concatenate(parts) for parts in zip(*(scores for scores, _ in judged), strict=True)]
        best = int(np.argmax([uar(truth[held], scores) for scores in tried]))
        penalty = settings.penalties[best]
        temperature = fit_inner_temperature(task, truth[held], tried[best], by_speaker=inner.by_speaker)
        reached = {
            "inner UAR": uar(truth[held], tried[best]),
            "inner clips whose speaker was found": float((found == speakers[held]).mean()),
        }
    predict = trained(slice(None), [penalty])

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        (scores,), _ = predict(stack_rows(features))
        return apply_temperature(scores, temperature)

    chosen = {"penalty": penalty, "temperature": temperature, **reached, "inner folds": inner.about}
    return Fitted(scores=scores, chosen=chosen)


def _trained(
    settings: Settings,
    penalties: Sequence[float],
    rows: np.ndarray,
    truth: np.ndarray,
    speakers: np.ndarray,
    classes: int,
    statistics: np.ndarray | None,
) -> Predictor:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows if statistics is None else statistics)
    scaled = limit(scaler.transform(rows))
    names, numbers = np.unique(speakers, return_inverse=True)
    finder = fit_svm(compute_kernel(scaled, scaled), numbers, settings.speaker_penalty) if len(names) > 1 else None
    own = [scaled[numbers == number] for number in range(len(names))]
    mean = np.stack([clips.mean(axis=0) for clips in own])  # (speakers, values)
    deviation = np.stack([clips.std(axis=0) for clips in own]) + settings.least_deviation

    def relative(scaled: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return limit((scaled - mean[numbers]) / deviation[numbers])

    def kernel(left: np.ndarray, of_left: np.ndarray) -> np.ndarray:
        return compute_kernel(left, trained) * (1 + settings.own * (of_left[:, None] == numbers))

    trained = relative(scaled, numbers)
    solved = solve_coefficients(kernel(trained, numbers), make_targets(truth, classes), penalties)

    def predict(rows: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        scaled_rows = limit(scaler.transform(rows))
        found = finder.predict(compute_kernel(scaled_rows, scaled)) if finder else np.zeros(len(rows), int)
        values = kernel(relative(scaled_rows, found), found)
        return [predict_probabilities(values, coefficients) for coefficients in solved], names[found]

    return predict


SYSTEM = System(
    name="adaptive-ridge",
    title="Speaker-adaptive ridge regression",
    source="ours; kernel after Evgeniou, Micchelli and Pontil (2005)",
    about="Functionals of the voice and statistics of the recording's MFCC; finds the speaker among those who trained, "
    "standardises the clip by that speaker, then ridge regression for which clips of the same speaker count more.",
    labels=ALL_EIGHT,
    features=RecordingFunctionals(),
    settings=Settings(),
    quick={},
    fit=fit,
    published_split=tenfold_split,
    published_choice="inner cross-validation, speakers shared",
    tests_choose=False,
)
