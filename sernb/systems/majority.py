"""The majority baseline: the same prediction for every clip, the classes in order of their frequency in training."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task


@dataclass(frozen=True)
class Settings:
    """There is nothing to set."""


def fit(settings: Settings, task: Task) -> Fitted:
    """Count the classes of the training clips."""
    share = np.bincount(task.train.truth, minlength=len(task.classes)) / len(task.train)
    return Fitted(scores=lambda features: np.tile(share, (len(features), 1)))


def tenfold_split(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ten random folds."""
    from sklearn.model_selection import KFold

    return KFold(10, shuffle=True, random_state=seed).split(clips)


SYSTEM = System(
    name="majority",
    title="Majority (the floor)",
    source="no publication",
    about="The same prediction for every clip: what a system must beat to have learned anything.",
    labels=ALL_EIGHT,
    features=None,
    settings=Settings(),
    quick={},
    fit=fit,
    published_split=tenfold_split,
    published_choice="nothing is chosen",
    tests_choose=False,
)
