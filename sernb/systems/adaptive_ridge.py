"""Ridge regression for seen speakers: speaker identification, then emotion relative to that speaker's voice.

Ours, for protocols that share speakers between training and test, as most publications do, and for personal models. It
uses the kernel of multitask learning with one task per speaker (Evgeniou, Micchelli and Pontil, 2005, Journal of
Machine Learning Research 6, 615-637). The speaker of a test clip is predicted, not given; an unseen speaker is assigned
to the most similar one.

All settings were selected on random inner folds of the training part of the first of RAVDESS's ten random folds. Its
clips are test clips of the other nine, so the scores may be slightly optimistic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sernb.features import RecordingFunctionals
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task
from sernb.systems.learning.inner_cross_validation import fit_inner_temperature, make_inner_folds, middle_setting
from sernb.systems.learning.kernel_ridge import make_targets, predict_probabilities, solve_coefficients
from sernb.systems.learning.kernel_svm import fit_svm
from sernb.systems.learning.kernels import compute_kernel, limit, stack_rows


@dataclass(frozen=True)
class Settings:
    """A linear SVM for speakers, and ridge regression for emotions with a penalty selected by inner folds."""

    speaker_penalty: float = 10.0  # C; all training clips are classified correctly
    penalties: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)  # relative to the mean square of a clip
    own: float = 0.5  # additional kernel weight of clips of the same speaker
    least_deviation: float = 0.3  # added to a speaker's standard deviation; that of all clips is 1
    inner_folds: int = 4


# Features (clips, values) → scores (clips, classes) for each penalty, and the predicted speaker of each clip
Predictor = Callable[[np.ndarray], tuple[list[np.ndarray], np.ndarray]]


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on ``task.fitting_examples``; penalty and temperature are selected by inner folds."""
    from sernb.evaluation import apply_temperature, uar

    examples, classes = task.fitting_examples, len(task.classes)
    rows, truth, speakers = stack_rows(examples.features), examples.truth, examples.speakers
    statistics = stack_rows(task.statistics.features) if task.statistics else None

    def train(part: np.ndarray | slice, penalties: Sequence[float]) -> Predictor:
        return _train(settings, penalties, rows[part], truth[part], speakers[part], classes, statistics)

    inner = make_inner_folds(task, truth, settings.inner_folds, shuffled=True)
    penalty, temperature, inner_scores = middle_setting(settings.penalties), 1.0, {}
    if inner.rows:
        held_out = np.concatenate([validation for _, validation in inner.rows])
        results = [train(part, settings.penalties)(rows[validation]) for part, validation in inner.rows]
        identified = np.concatenate([speakers for _, speakers in results])
        candidates = [np.concatenate(parts) for parts in zip(*(scores for scores, _ in results), strict=True)]
        best = int(np.argmax([uar(truth[held_out], scores) for scores in candidates]))
        penalty = settings.penalties[best]
        temperature = fit_inner_temperature(task, truth, inner, candidates[best])
        inner_scores = {
            "inner UAR": uar(truth[held_out], candidates[best]),
            "inner clips whose speaker was found": float((identified == speakers[held_out]).mean()),
        }
    predict = train(slice(None), [penalty])

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        (scores,), _ = predict(stack_rows(features))
        return apply_temperature(scores, temperature)

    chosen = {"penalty": penalty, "temperature": temperature, **inner_scores, "inner folds": inner.description}
    return Fitted(scores=scores, chosen=chosen)


def _train(
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
    identifier = fit_svm(compute_kernel(scaled, scaled), numbers, settings.speaker_penalty) if len(names) > 1 else None
    by_speaker = [scaled[numbers == number] for number in range(len(names))]
    mean = np.stack([clips.mean(axis=0) for clips in by_speaker])  # (speakers, values)
    deviation = np.stack([clips.std(axis=0) for clips in by_speaker]) + settings.least_deviation

    def normalise(scaled: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return limit((scaled - mean[numbers]) / deviation[numbers])

    def kernel(left: np.ndarray, left_speakers: np.ndarray) -> np.ndarray:
        return compute_kernel(left, normalised) * (1 + settings.own * (left_speakers[:, None] == numbers))

    normalised = normalise(scaled, numbers)
    solutions = solve_coefficients(kernel(normalised, numbers), make_targets(truth, classes), penalties)

    def predict(rows: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        scaled_rows = limit(scaler.transform(rows))
        speaker = identifier.predict(compute_kernel(scaled_rows, scaled)) if identifier else np.zeros(len(rows), int)
        values = kernel(normalise(scaled_rows, speaker), speaker)
        return [predict_probabilities(values, coefficients) for coefficients in solutions], names[speaker]

    return predict


SYSTEM = System(
    name="adaptive-ridge",
    title="Speaker-adaptive ridge regression",
    source="ours; kernel after Evgeniou, Micchelli and Pontil (2005)",
    description="Functionals of the voice and statistics of the recording's MFCC; identifies the speaker, normalises "
    "the clip by that speaker, then ridge regression in which clips of the same speaker have more weight.",
    labels=ALL_EIGHT,
    features=RecordingFunctionals(),
    settings=Settings(),
    fit=fit,
    published_selection="inner cross-validation, speakers shared",
)
