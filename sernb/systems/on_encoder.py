"""Variants of a system with other pretrained encoders."""

import dataclasses
import re
from pathlib import PurePath

from sernb.config import DataError
from sernb.encoders.registry import ENCODERS
from sernb.features import Embedding
from sernb.systems.base import System


def with_encoder(system: System, encoder: str) -> System:
    """Return a variant with another encoder, in all members that have one.

    Raises:
        DataError: if the system has no encoder, or this encoder cannot be used
    """
    if isinstance(system.features, Embedding) and not system.members:
        if encoder == system.features.encoder:
            return system
        features = dataclasses.replace(system.features, encoder=encoder, weights="")
        changes = {"features": features, "member_name": system.settings_field}
    elif with_encoders := [each for each in system.members if each.encoders]:
        if len({each.encoders for each in with_encoders}) > 1:
            raise DataError(f"{system.name}: combines several encoders; name a system with one encoder")
        members = tuple(with_encoder(each, encoder) if each in with_encoders else each for each in system.members)
        if members == system.members:
            return system
        changes = {"members": members, "features": members[0].features}
    elif hasattr(system.settings, "encoder"):  # fine-tuned
        if encoder == system.settings.encoder:
            return system
        settings = dataclasses.replace(system.settings, encoder=encoder)
        changes = {"settings": settings, "member_name": system.settings_field}
    else:
        raise DataError(f"{system.name}: has no encoder; name one of the systems embedding-…, or whisper-finetuned")
    return system.variant(_as_name(encoder), encoder, variants=(), **changes)


def on_all_encoders(system: System) -> System:
    """Return a system with a variant for each other encoder of the registry."""
    systems = [with_encoder(system, name) for name in ENCODERS]
    return dataclasses.replace(system, variants=tuple(each for each in systems if each is not system))


def _as_name(encoder: str) -> str:
    """Return the name of an encoder as part of a folder name.

    Examples:
        >>> _as_name("whisper-tiny.en"), _as_name("onnx:models/WavLM base.onnx")
        ('whisper-tiny.en', 'onnx-WavLM-base')
    """
    kind, _, what = encoder.rpartition(":")
    stem = what if not kind else f"{kind}-{PurePath(what.split('@')[0]).stem if kind != 'hf' else what}"
    return re.sub(r"[^\w.-]+", "-", stem)
