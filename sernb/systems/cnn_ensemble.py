"""The next step of yousefkotp's networks: DummyNet on mel, RezoNet and ExpoNet together, 217,349,864 parameters.

The authors name as what they would build next, and did not build, a network of two or three layers that reads the
outputs of their networks. Here it has two: 806 parameters more. It learns from what the three predict for the
validation clips, which trained none of them, and never from a test clip. Each of the three is trained apart and keeps
its own best epoch; its run is kept, too, and is the same as where it was asked for alone.

Chosen here: the units, and a strong weight decay, since validation clips are few. These clips have chosen the epochs of
the three as well, so that the network trusts them a little too much. Where a fold has no validation clips, and in the
variants ``…-mean``, where nothing is learned, probabilities are averaged.
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
    """With those of the network that joins them."""

    units: int = 32  # of its hidden layer
    decay: float = 1.0  # of its weights, by clip


def network(settings: MeanSettings, shape: tuple[int, int], classes: int):
    """Build the three networks and what joins them as one, for its size and its picture.

    Args:
        shape: frames and columns of the input, (690, 42) as published

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    curves = keras.Input(shape)
    members = [each.network(getattr(settings, each.place), shape, classes) for each in MEMBERS]
    outputs = [member(curves) for member in members]
    if not isinstance(settings, Settings):
        return keras.Model(curves, layers.Average()(outputs))
    hidden = layers.Dense(settings.units, "relu")(layers.Concatenate()(outputs))
    return keras.Model(curves, layers.Dense(classes, "softmax")(hidden))


def joining(settings: Settings, scores: list[np.ndarray], truth: np.ndarray, seed: int) -> Callable:
    """Train a network on what the members say of validation clips.

    Args:
        scores: ``(clips, classes)`` of each
        truth: class numbers; a class that is not among them is never predicted

    Returns:
        scores of each member → ``(clips, classes)``, rows sum to 1
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    combiner = MLPClassifier((settings.units,), solver="lbfgs", alpha=settings.decay, max_iter=1000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        combiner.fit(np.hstack(scores), truth)

    def join(scores_of_members: list[np.ndarray]) -> np.ndarray:
        found = np.zeros(scores_of_members[0].shape)
        found[:, combiner.classes_] = combiner.predict_proba(np.hstack(scores_of_members))
        return found

    return join


def joined(settings: MeanSettings, scores: list[np.ndarray]) -> np.ndarray:
    """Return the mean of the members' probabilities.

    Args:
        scores: ``(clips, classes)`` of each
    """
    return np.mean(scores, axis=0)


def _of(members: Sequence[System], settings: type[MeanSettings] = Settings) -> dict[str, object]:
    """Return what differs between the ensemble and its variants."""
    return {
        "members": tuple(members),
        "settings": settings(**{each.place: each.settings for each in members}),
    }


def _narrow(system: System) -> System:
    return next(each for each in system.variants if each.name == f"{system.name}-{REDUCED}")


SYSTEM = dataclasses.replace(
    exponet.SYSTEM,
    name="cnn-ensemble",
    title="DummyNet, RezoNet and ExpoNet together",
    about="A small network on what three networks say.",
    quick={},
    fit=None,
    reported=(),
    network=network,
    joined=joined,
    joining=joining,
    variants=(),
    **_of(MEMBERS),
)
_NARROW = list(map(_narrow, MEMBERS))
_MEAN = {"about": "The mean of what three networks say.", "joining": None}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        SYSTEM.variant(REDUCED, "all three narrow", **_of(_NARROW)),
        SYSTEM.variant("mean", "mean of their probabilities", **_MEAN, **_of(MEMBERS, MeanSettings)),
        SYSTEM.variant(
            f"{REDUCED}-mean", "all three narrow, mean of their probabilities", **_MEAN, **_of(_NARROW, MeanSettings)
        ),
    ),
)
