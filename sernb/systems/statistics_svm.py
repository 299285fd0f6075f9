"""System 004, first half: global statistics of short-term features, F-test, PCA and a support vector machine.

maelfabien, Multimodal-Emotion-Recognition, 01-Audio (github.com/maelfabien/Multimodal-Emotion-Recognition). Fourteen
classes, gender × emotion, are learned; gender is dropped from the answer. The authors' neutral is RAVDESS's calm; its
neutral is left out.

Chosen here, where the source does not say: the answer is the class with the highest decision value (ties broken by
confidence), and the scores of the seven emotions are the softmax of the higher decision value of their two genders.
They rank; they are not probabilities.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.augment import TEST_VIEWS
from sernb.features import Statistics
from sernb.labels import CALM_AS_NEUTRAL
from sernb.systems import Figure, Fitted, System, Task


@dataclass(frozen=True)
class Settings:
    """The authors' pipeline: standardise, F-test, PCA, RBF kernel; C and gamma by cross-validation."""

    significance: float = 0.01  # of the F-test; features above it are left out
    components: int = 140  # of the PCA
    penalties: tuple[float, ...] = (1, 2, 3, 4, 5, 7, 10, 20, 50)  # C
    gammas: tuple[float, ...] = (0.001, 0.005, 0.01)
    inner_folds: int = 3
    gendered: bool = True  # learn gender × emotion


def fit(settings: Settings, task: Task) -> Fitted:
    """Fit on training clips; where speakers are kept apart, validation speakers join them in the inner folds."""
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectFpr, f_classif
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    parts = [task.train, task.validation] if task.speakers_apart else [task.train]
    rows = np.concatenate([_rows(part.features) for part in parts if len(part)])
    truth = np.concatenate([part.truth for part in parts])
    speakers = np.concatenate([part.speakers for part in parts])
    genders = np.unique(np.concatenate([part.genders for part in parts]), return_inverse=True)[1]
    target = genders * len(task.classes) + truth if settings.gendered else truth

    inner = (StratifiedGroupKFold if task.speakers_apart else StratifiedKFold)(settings.inner_folds)
    components = min(settings.components, *rows.shape)
    selection = make_pipeline(StandardScaler(), SelectFpr(f_classif, alpha=settings.significance))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Features .* are constant")  # the minimum of the flux always is
        warnings.filterwarnings("ignore", "invalid value encountered in divide")
        selected = selection.fit_transform(rows, target)
    projection = PCA(min(components, selected.shape[1]), svd_solver="full").fit(selected)
    search = GridSearchCV(
        SVC(kernel="rbf", decision_function_shape="ovr", break_ties=True),
        {"C": list(settings.penalties), "gamma": list(settings.gammas)},
        cv=inner,
        n_jobs=1,
    ).fit(projection.transform(selected), target, **({"groups": speakers} if task.speakers_apart else {}))

    def scores(features: tuple[np.ndarray, ...]) -> np.ndarray:
        decision = search.decision_function(projection.transform(selection.transform(_rows(features))))
        return _softmax(_by_emotion(decision, search.classes_, len(task.classes)))

    chosen = {
        **search.best_params_,
        "features kept": int(selected.shape[1]),
        "components": int(projection.n_components_),
    }
    return Fitted(scores=scores, chosen=chosen)


def eighty_twenty(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One random split, 80 % for training, with the authors' seed; neither stratified nor by speaker."""
    from sklearn.model_selection import train_test_split

    # The shuffled order matters: the inner folds are cut from it, and in order of path they would cut between actors.
    yield tuple(train_test_split(np.arange(len(clips)), test_size=0.2, random_state=123))


def _rows(features: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate(features).astype(np.float64)  # (clips, 200)


def _by_emotion(decision: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Return the higher decision value of the genders, (clips, classes); an emotion never learned comes last."""
    if decision.ndim == 1:  # two targets only
        decision = np.column_stack([-decision, decision])
    by_emotion = np.full((len(decision), classes), decision.min() - 1.0)
    for column, target in enumerate(targets):
        emotion = target % classes
        by_emotion[:, emotion] = np.maximum(by_emotion[:, emotion], decision[:, column])
    return by_emotion


def _softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


SYSTEM = System(
    name="statistics-svm",
    title="Global statistics and SVM",
    source="maelfabien, Multimodal-Emotion-Recognition (2019), 01-Audio",
    about="Twenty short-term features, ten statistics of each, F-test, PCA to 140 dimensions, RBF SVM over gender × "
    "emotion.",
    labels=CALM_AS_NEUTRAL,
    features=Statistics(),
    settings=Settings(),
    quick={},
    fit=fit,
    published_split=eighty_twenty,
    published_choice="inner cross-validation, speakers shared",
    tests_choose=False,
    views=TEST_VIEWS,
    reported=(
        Figure(
            "war", 0.6803, "as-published", "269 test clips; the README prints 68.3 %, the notebook's output 68.03 %"
        ),
    ),
)
