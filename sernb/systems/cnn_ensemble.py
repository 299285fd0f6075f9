"""System 003's next step: DummyNet on mel, RezoNet and ExpoNet together (217,349,864 parameters for six classes).

The authors name an ensemble as what they would build next, and did not publish one. Here the probabilities of the three
are averaged: nothing is learned on top, so no clip is needed for it. Each network is trained apart and keeps its own
best epoch; its run is kept, too, and is the same as where it was asked for alone.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sernb.systems import REDUCED, System, dummynet, exponet, rezonet, system_003

MEMBERS = (next(each for each in dummynet.SYSTEMS if each.name == "dummynet-mel"), rezonet.SYSTEM, exponet.SYSTEM)


@dataclass(frozen=True)
class Settings:
    """The settings of the members."""

    dummynet_mel: system_003.Settings
    rezonet: system_003.Settings
    exponet: system_003.Settings


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the three networks as one, for its size and its picture.

    Args:
        shape: frames and columns of the input, (690, 42) as published

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.training import keras

    curves = keras.Input(shape)
    members = [each.network(getattr(settings, each.place), shape, classes) for each in MEMBERS]
    answers = [member(curves) for member in members]
    return keras.Model(curves, keras.layers.Average()(answers))


def joined(settings: Settings, scores: list[np.ndarray]) -> np.ndarray:
    """Return the mean of the members' probabilities.

    Args:
        scores: ``(clips, classes)`` of each
    """
    return np.mean(scores, axis=0)


def _of(members: Sequence[System]) -> dict[str, object]:
    """Return what differs between the ensemble and its variants."""
    return {
        "members": tuple(members),
        "settings": Settings(**{each.place: each.settings for each in members}),
    }


def _narrow(system: System) -> System:
    return next(each for each in system.variants if each.name == f"{system.name}-{REDUCED}")


SYSTEM = dataclasses.replace(
    exponet.SYSTEM,
    name="cnn-ensemble",
    title="DummyNet, RezoNet and ExpoNet together",
    about="The mean of what three networks say.",
    quick={},
    fit=None,
    reported=(),
    network=network,
    joined=joined,
    variants=(),
    **_of(MEMBERS),
)
SYSTEM = dataclasses.replace(
    SYSTEM, variants=(SYSTEM.variant(REDUCED, "all three narrow", **_of(list(map(_narrow, MEMBERS)))),)
)
