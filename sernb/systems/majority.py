"""The majority baseline: a constant ranking of the classes by their frequency in training."""

from dataclasses import dataclass

import numpy as np

from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import Fitted, System, Task


@dataclass(frozen=True)
class Settings:
    """No settings."""


def fit(settings: Settings, task: Task) -> Fitted:
    """Predict the relative frequencies of the classes in training."""
    frequency = np.bincount(task.train.truth, minlength=len(task.classes)) / len(task.train)
    return Fitted(scores=lambda features: np.tile(frequency, (len(features), 1)))


SYSTEM = System(
    name="majority",
    title="Majority baseline (chance level)",
    source="no publication",
    description="The same prediction for every clip: the chance level that a system must exceed.",
    labels=ALL_EIGHT,
    features=None,
    settings=Settings(),
    fit=fit,
    published_selection="no selection",
)
