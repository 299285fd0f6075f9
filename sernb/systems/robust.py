"""Robust variants for unseen speakers and rooms: level normalisation, and augmentation with other rooms and devices.

Ours. The emotions are the seven that other corpora have, too: RAVDESS's calm counts as neutral. Copies are made of
training clips only. Their kinds and strengths follow from known properties of microphones, rooms and telephones; they
were not selected on any corpus.
"""

import dataclasses

from sernb.audio.augmentation import Chain, Noise, OneOf, Speed, View
from sernb.audio.degradation import Room, Telephone, Tilt
from sernb.features import Embedding, Functionals, LevelledEmbedding, LevelledFunctionals
from sernb.protocols.labels import SEVEN
from sernb.systems.base import System

ROBUST = "robust"  # suffix of the names


def _noises(*ratios: float) -> OneOf:
    return OneOf("noise", tuple(Noise(f"noise {ratio:g} dB", ratio) for ratio in ratios))


SPEEDS = OneOf("speed", tuple(Speed(f"speed {factor:g}", factor) for factor in (0.85, 0.92, 1.08, 1.17)))
COPIES: tuple[View, ...] = (
    _noises(10.0, 15.0, 20.0, 25.0),
    OneOf("room", tuple(Room(f"room {seconds:g} s", seconds) for seconds in (0.3, 0.6, 1.0))),
    Chain("telephone", (Telephone(), _noises(20.0, 30.0))),
    Chain(
        "device",
        (SPEEDS, OneOf("tilt", tuple(Tilt(f"tilt {slope:g} dB", slope) for slope in (-4.0, -2.0, 2.0, 4.0)))),
    ),
)


def make_robust(system: System, **changes: object) -> System:
    """Return the robust variant of a system.

    Args:
        changes: further fields of the record
    """
    what = "level normalisation, augmentation with other rooms and devices, calm counts as neutral"
    kind = {Embedding: LevelledEmbedding, Functionals: LevelledFunctionals}[type(system.features)]
    fields = {field.name: getattr(system.features, field.name) for field in dataclasses.fields(system.features)}
    changes = {"features": kind(**fields), "labels": SEVEN, "training_views": COPIES, "variants": ()} | changes
    return system.variant(ROBUST, what, **changes)


def with_variant(system: System, variant: System) -> System:
    """Return a system with an additional variant."""
    return dataclasses.replace(system, variants=(*system.variants, variant))
