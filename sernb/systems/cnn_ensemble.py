"""System 003's next step: DummyNet on mel, RezoNet and ExpoNet together (217,349,864 parameters for six classes).

The authors name an ensemble as what they would build next, and did not publish one. Here the three are trained one
after the other, as each alone, and the probabilities are averaged: nothing is learned on top, so no clip is needed for
it. Each network keeps its own best epoch.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sernb.store import atomic
from sernb.systems import REDUCED, Fitted, Task, dummynet, exponet, rezonet, system_003

_MEL = next(system for system in dummynet.SYSTEMS if system.name == "dummynet-mel")
_MEMBERS = {"dummynet_mel": _MEL, "rezonet": rezonet.SYSTEM, "exponet": exponet.SYSTEM}


@dataclass(frozen=True)
class Settings:
    """The settings of the members."""

    dummynet_mel: system_003.Settings = _MEL.settings
    rezonet: system_003.Settings = rezonet.SYSTEM.settings
    exponet: system_003.Settings = exponet.SYSTEM.settings

    @property
    def epochs(self) -> int:
        """Epochs of all members."""
        return sum(getattr(self, name).epochs for name in _MEMBERS)


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the three networks as one, for its size and its picture; :func:`fit` trains them apart.

    Args:
        shape: frames and columns of the input, (690, 42) as published

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.training import keras

    curves = keras.Input(shape)
    members = [system.network(getattr(settings, name), shape, classes) for name, system in _MEMBERS.items()]
    answers = [member(curves) for member in members]
    return keras.Model(curves, keras.layers.Average()(answers))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train the members one after the other; a member that is finished is not trained again."""
    fitted: dict[str, Fitted] = {}
    for name, system in _MEMBERS.items():
        apart = dataclasses.replace(task, checkpoint=task.checkpoint and task.checkpoint / name)
        fitted[name] = system.fit(getattr(settings, name), apart)
        if task.checkpoint:
            with atomic(task.checkpoint / "epochs.txt") as unfinished:
                unfinished.write_text(str(sum(len(each.history) for each in fitted.values())), "utf-8")
    rows = [{**row, "member": name} for name, each in fitted.items() for row in each.history]
    return Fitted(
        scores=lambda clips: np.mean([each.scores(clips) for each in fitted.values()], axis=0),
        chosen={f"epoch of {name}": each.chosen["epoch"] for name, each in fitted.items()},
        history=tuple({**row, "epoch": number} for number, row in enumerate(rows, 1)),
        weights={f"{name} {key}": value for name, each in fitted.items() for key, value in each.weights.items()},
    )


def _as(profile: Callable) -> dict[str, system_003.Settings]:
    return {name: profile(system) for name, system in _MEMBERS.items()}


def _narrow(system) -> system_003.Settings:
    return next(variant.settings for variant in system.variants if variant.name == f"{system.name}-{REDUCED}")


SYSTEM = system_003.record(
    "cnn-ensemble",
    "DummyNet, RezoNet and ExpoNet together",
    "The mean of what three networks say.",
    network=network,
    settings=Settings(),
    quick=_as(lambda system: system.settings_for("quick")),
    reported=(),
    fitted=fit,
    variants={"narrow": ("all three narrow", _as(_narrow))},
)
