"""The folder of a final model: whole or not there, and never over what this command did not make."""

import errno
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.config import DataError
from sernb.prediction.front_matter import write_front_matter
from sernb.prediction.model_card import write_card
from sernb.runtime.bounded import json_in
from sernb.runtime.files import atomic, unwritable

FILES = ("README.md", "model.json", "weights.npz")


@dataclass(frozen=True)
class Made:
    """A model that was just made: what is said of it, and its arrays."""

    about: dict  # model.json, without what writing it adds
    arrays: dict[str, np.ndarray]
    provenance: dict


def write_model(made: Made, folder: Path) -> None:
    """Write the files of a model into a folder, each whole or not at all."""
    for name, content in contents(made).items():
        with atomic(folder / name) as unfinished:
            unfinished.write_bytes(content)


def write_model_folder(made: Made, folder: Path) -> None:
    """Write the folder of a model, whole or not at all, in the place of what :func:`refuse_taken` lets be replaced."""
    with atomic(folder.resolve()) as unfinished:
        unfinished.mkdir()
        for name, content in contents(made).items():
            (unfinished / name).write_bytes(content)


def contents(made: Made) -> dict[str, bytes]:
    """Return the files of a model: arrays, what is said of them, and the card."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **{name: values.astype(np.float32) for name, values in made.arrays.items()})
    about = {
        **made.about,
        "weights_sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
        "provenance": {name: value for name, value in made.provenance.items() if name != "seconds"},
    }
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    about = json.loads(text)
    front = write_front_matter(about) if about.get("made_by") else ""
    return {
        "weights.npz": packed.getvalue(),
        "model.json": text.encode("utf-8"),
        "README.md": f"{front}{write_card(about)}".encode(),
    }


def refuse_taken(folder: Path, *, replace: bool, files: tuple[str, ...] = FILES, made_by: str = "sernb train") -> None:
    """Refuse a folder that holds anything but what the command made.

    Args:
        replace: an earlier result may be replaced
        files: that the command writes; the second says by its ``made_by`` what made them

    Raises:
        DataError: naming the folder and the next step
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is no folder; name a new one")
    try:
        names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error) from error
    if others := [name for name in names if name not in files]:
        raise DataError(f"{folder}: is not empty ({others[0]} is there); name a new folder")
    told = folder / files[1]
    if names and not (told.is_file() and json_in(told).get("made_by") == made_by):
        raise DataError(f"{folder}: was not made by `{made_by}`; name a new folder")
    if names and not replace:
        raise DataError(f"{folder}: holds a model already; name a new folder, or replace it with --replace")
    parent = next(each for each in folder.resolve().parents if each.exists())
    reason = errno.ENOTDIR if not parent.is_dir() else errno.EACCES if not os.access(parent, os.W_OK) else 0
    if reason:
        raise unwritable(folder, OSError(reason, os.strerror(reason)))
