"""Ensemble of yousefkotp's networks DummyNet on mel, RezoNet and ExpoNet (217,349,864 parameters).

The authors announce, as future work, a network of two or three layers on the outputs of their networks. Here it has two
layers and 806 parameters. It is trained on the members' predictions for the validation clips, never on test clips. The
members are trained separately, each with its own best epoch.

Not specified in the source, and chosen here: the number of units, and a strong weight decay because validation clips
are few. They also select the epochs of the members, so that their predictions are slightly optimistic. Without
validation clips, and in the variants ``…-mean``, probabilities are averaged.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sernb.systems import curve_networks, dummynet, exponet, rezonet
from sernb.systems.base import REDUCED, System

MEMBERS = (next(each for each in dummynet.SYSTEMS if each.name == "dummynet-mel"), rezonet.SYSTEM, exponet.SYSTEM)


@dataclass(frozen=True)
class MeanSettings:
    """The settings of the members."""

    dummynet_mel: curve_networks.Settings
    rezonet: curve_networks.Settings
    exponet: curve_networks.Settings


@dataclass(frozen=True)
class Settings(MeanSettings):
    """With those of the combining network."""

    units: int = 32  # of the hidden layer
    decay: float = 1.0  # L2 penalty of scikit-learn's MLPClassifier


def network(settings: MeanSettings, shape: tuple[int, int], classes: int):
    """Build the whole ensemble as one Keras model, for its size and graph; see :func:`exponet.network`."""
    from sernb.systems.learning.training import keras

    layers = keras.layers
    curves = keras.Input(shape)
    members = [each.network(getattr(settings, each.settings_field), shape, classes) for each in MEMBERS]
    outputs = [member(curves) for member in members]
    if not isinstance(settings, Settings):
        return keras.Model(curves, layers.Average()(outputs))
    hidden = layers.Dense(settings.units, "relu")(layers.Concatenate()(outputs))
    return keras.Model(curves, layers.Dense(classes, "softmax")(hidden))


def fit_combiner(settings: Settings, scores: list[np.ndarray], truth: np.ndarray, seed: int) -> Callable:
    """Train a network on the members' predictions for validation clips.

    Args:
        scores: ``(clips, classes)`` of each member
        truth: class numbers; missing classes are never predicted

    Returns:
        scores of each member → ``(clips, classes)``, rows sum to 1
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    combiner = MLPClassifier((settings.units,), solver="lbfgs", alpha=settings.decay, max_iter=1000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        combiner.fit(np.hstack(scores), truth)

    def combine_scores(scores: list[np.ndarray]) -> np.ndarray:
        combined = np.zeros(scores[0].shape)
        combined[:, combiner.classes_] = combiner.predict_proba(np.hstack(scores))
        return combined

    return combine_scores


def combine(settings: MeanSettings, scores: list[np.ndarray]) -> np.ndarray:
    """Return the mean of the members' probabilities, each ``(clips, classes)``."""
    return np.mean(scores, axis=0)


def _with_members(members: Sequence[System], settings: type[MeanSettings] = Settings) -> dict[str, object]:
    return {
        "members": tuple(members),
        "settings": settings(**{each.settings_field: each.settings for each in members}),
    }


def _narrow(system: System) -> System:
    return next(each for each in system.variants if each.name == f"{system.name}-{REDUCED}")


SYSTEM = dataclasses.replace(
    exponet.SYSTEM,
    name="cnn-ensemble",
    title="Ensemble of DummyNet, RezoNet and ExpoNet",
    description="A small network on the predictions of three networks.",
    quick={},
    fit=None,
    reported=(),
    network=network,
    combine=combine,
    fit_combiner=fit_combiner,
    variants=(),
    **_with_members(MEMBERS),
)
_NARROW = list(map(_narrow, MEMBERS))
_MEAN = {"description": "The mean of the predictions of three networks.", "fit_combiner": None}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(REDUCED, "narrow members", **_with_members(_NARROW)),
        SYSTEM.variant("mean", "mean of probabilities", **_MEAN, **_with_members(MEMBERS, MeanSettings)),
        SYSTEM.variant(
            f"{REDUCED}-mean",
            "narrow members, mean of probabilities",
            **_MEAN,
            **_with_members(_NARROW, MeanSettings),
        ),
    ),
)
