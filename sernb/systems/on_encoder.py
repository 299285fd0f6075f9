"""The same system on another pretrained encoder: a variant by the encoder's name."""

import dataclasses
import re
from pathlib import PurePath

from sernb.config import DataError
from sernb.encoders.registry import ENCODERS
from sernb.features import Embedding
from sernb.systems.base import System


def with_encoder(system: System, encoder: str) -> System:
    """Return a system that reads another encoder, in all of its members that read one.

    Raises:
        DataError: if it reads none, or the encoder cannot be used
    """
    if isinstance(system.features, Embedding) and not system.members:
        if encoder == system.features.encoder:
            return system
        features = dataclasses.replace(system.features, encoder=encoder, weights="")
        changes = {"features": features, "seat": system.place}
    elif reading := [each for each in system.members if each.encoders]:
        if len({each.encoders for each in reading}) > 1:
            raise DataError(f"{system.name}: joins several encoders; name a system that reads one")
        members = tuple(with_encoder(each, encoder) if each in reading else each for each in system.members)
        if members == system.members:
            return system
        changes = {"members": members, "features": members[0].features}
    elif hasattr(system.settings, "encoder"):  # it is trained on
        if encoder == system.settings.encoder:
            return system
        changes = {"settings": dataclasses.replace(system.settings, encoder=encoder), "seat": system.place}
    else:
        raise DataError(
            f"{system.name}: reads no encoder; take one of the systems named embedding-…, or whisper-finetuned"
        )
    return system.variant(_as_name(encoder), encoder, variants=(), **changes)


def on_all_encoders(system: System) -> System:
    """Return a system with a variant for each other encoder of the registry."""
    made = [with_encoder(system, name) for name in ENCODERS]
    return dataclasses.replace(system, variants=tuple(each for each in made if each is not system))


def _as_name(encoder: str) -> str:
    """Return an encoder as a part of a folder's name.

    Examples:
        >>> _as_name("whisper-tiny.en"), _as_name("onnx:models/WavLM base.onnx")
        ('whisper-tiny.en', 'onnx-WavLM-base')
    """
    kind, _, what = encoder.rpartition(":")
    stem = what if not kind else f"{kind}-{PurePath(what.split('@')[0]).stem if kind != 'hf' else what}"
    return re.sub(r"[^\w.-]+", "-", stem)
