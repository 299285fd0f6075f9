"""What makes a system fit for strangers: one level for all clips, and copies as other rooms and devices give them.

Ours. The emotions are the seven that other corpora have, too: RAVDESS's calm counts as neutral. Copies are made of
training clips only. Which kinds there are, and how strong, is what microphones, rooms and telephones are known to do,
not what was best on any corpus.
"""

import dataclasses

from sernb.audio.augmentation import Chain, Noise, OneOf, Speed, View
from sernb.audio.degradation import Room, Telephone, Tilt
from sernb.features import Embedding, Features, Functionals, LevelledEmbedding, LevelledFunctionals
from sernb.protocols.labels import SEVEN
from sernb.systems.base import System

ROBUST = "robust"  # ends the name of such a variant


def _noises(*ratios: float) -> OneOf:
    return OneOf("noise", tuple(Noise(f"noise {ratio:g} dB", ratio) for ratio in ratios))


COPIES: tuple[View, ...] = (
    _noises(10.0, 15.0, 20.0, 25.0),
    OneOf("room", tuple(Room(f"room {seconds:g} s", seconds) for seconds in (0.3, 0.6, 1.0))),
    Chain("telephone", (Telephone(), _noises(20.0, 30.0))),
    Chain(
        "device",
        (
            OneOf("speed", tuple(Speed(f"speed {factor:g}", factor) for factor in (0.85, 0.92, 1.08, 1.17))),
            OneOf("tilt", tuple(Tilt(f"tilt {slope:g} dB", slope) for slope in (-4.0, -2.0, 2.0, 4.0))),
        ),
    ),
)


def levelled(features: Features) -> Features:
    """Return the same features of clips at one level."""
    kind = {Embedding: LevelledEmbedding, Functionals: LevelledFunctionals}[type(features)]
    return kind(**{field.name: getattr(features, field.name) for field in dataclasses.fields(features)})


def make_robust(system: System, **changes: object) -> System:
    """Return the variant of a system for strangers.

    Args:
        changes: fields of the record that differ, too
    """
    what = "clips at one level, copies as other rooms and devices give them, calm counts as neutral"
    features = levelled(system.features)
    return system.variant(
        ROBUST, what, **{"features": features, "labels": SEVEN, "training_views": COPIES, "variants": ()} | changes
    )


def with_variant(system: System, variant: System) -> System:
    """Return a system that has one variant more."""
    return dataclasses.replace(system, variants=(*system.variants, variant))
