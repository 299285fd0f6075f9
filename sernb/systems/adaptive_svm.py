"""An SVM for speakers who trained: it finds who speaks, and hears a clip as it departs from that speaker's usual voice.

Ours, for protocols that share speakers between training and test, as most publications do, and for those who train a
system for themselves. Clips of the same speaker count more: the kernel of multitask learning, a task a speaker
(Evgeniou, Micchelli and Pontil, 2005, Journal of Machine Learning Research 6, 615-637). A speaker whom it never heard
is taken for the one who sounds most alike. Who speaks in a test clip is not told, but found.

All settings were chosen on random inner folds of the training part of the first of RAVDESS's ten random folds; as its
clips are tested in the other nine, a little optimism cannot be ruled out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sernb.features import RecordingFunctionals
from sernb.labels import ALL_EIGHT
from sernb.systems import Fitted, System, Task
from sernb.systems.majority import tenfold
from sernb.systems.support_vectors import answers_of, inner_folds, kernel_of, limited, machine_of, rows_of


@dataclass(frozen=True)
class Settings:
    """Two one-against-one linear SVMs, one for speakers and one for emotions."""

    penalty: float = 10.0  # C of both; from 3 on, no training clip is misplaced
    own: float = 0.5  # by which clips of the same speaker count more
    least_deviation: float = 0.3  # added to a speaker's standard deviation; 1 is that of all clips
    inner_folds: int = 4  # for the temperature


# Rows of clips, (clips, values) → scores, (clips, classes), and the speaker found for each
Answer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips; where speakers are kept apart, on validation clips, too. Inner folds give the temperature.

    These keep speakers apart, too, where the protocol does and there are enough of them.
    """
    from sernb.evaluation import fit_temperature, uar, with_temperature

    heard, classes = task.heard_without_epochs, len(task.classes)
    rows, truth, speakers = rows_of(heard.features), heard.truth, heard.speakers
    statistics = rows_of(task.statistics.features) if task.statistics else None
    inner, by_speaker = inner_folds(task, truth, settings.inner_folds, shuffled=True)
    held = np.concatenate([held for _, held in inner])
    judged = [
        _trained(settings, rows[kept], truth[kept], speakers[kept], classes, statistics)(rows[out])
        for kept, out in inner
    ]
    answers, found = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    temperature = 1.0 if task.speakers_apart and not by_speaker else fit_temperature(truth[held], answers)
    answer = _trained(settings, rows, truth, speakers, classes, statistics)

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        return with_temperature(answer(rows_of(features))[0], temperature)

    chosen = {
        "temperature": temperature,
        "inner UAR": uar(truth[held], answers),
        "inner clips whose speaker was found": float((found == speakers[held]).mean()),
        "inner folds": "by speaker" if by_speaker else "by clip",
    }
    return Fitted(scores=scores, chosen=chosen)


def _trained(
    settings: Settings,
    rows: np.ndarray,
    truth: np.ndarray,
    speakers: np.ndarray,
    classes: int,
    statistics: np.ndarray | None,
) -> Answer:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows if statistics is None else statistics)
    scaled = limited(scaler.transform(rows))
    names, numbers = np.unique(speakers, return_inverse=True)
    finder = machine_of(kernel_of(scaled, scaled), numbers, settings.penalty) if len(names) > 1 else None
    own = [scaled[numbers == number] for number in range(len(names))]
    mean = np.stack([clips.mean(axis=0) for clips in own])  # (speakers, values)
    deviation = np.stack([clips.std(axis=0) for clips in own]) + settings.least_deviation

    def relative(scaled: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return limited((scaled - mean[numbers]) / deviation[numbers])

    def kernel(left: np.ndarray, of_left: np.ndarray) -> np.ndarray:
        return kernel_of(left, trained) * (1 + settings.own * (of_left[:, None] == numbers))

    trained = relative(scaled, numbers)
    machine = machine_of(kernel(trained, numbers), truth, settings.penalty)

    def answer(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heard = limited(scaler.transform(rows))
        found = finder.predict(kernel_of(heard, scaled)) if finder else np.zeros(len(rows), int)
        return answers_of(machine, kernel(relative(heard, found), found), classes), names[found]

    return answer


SYSTEM = System(
    name="adaptive-svm",
    title="Speaker-adaptive SVM",
    source="ours; kernel after Evgeniou, Micchelli and Pontil (2005)",
    about="Functionals of the voice and statistics of the recording's MFCC; finds the speaker among those who trained, "
    "standardises the clip by that speaker, then a linear SVM for which clips of the same speaker count more.",
    labels=ALL_EIGHT,
    features=RecordingFunctionals(),
    settings=Settings(),
    quick={},
    fit=fit,
    published_split=tenfold,
    published_choice="nothing was chosen",
    tests_choose=False,
)
