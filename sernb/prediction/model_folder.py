"""Write the folder of a final model atomically, without overwriting anything but an earlier result."""

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
class TrainedModel:
    """A newly trained model, before it is written."""

    metadata: dict  # content of model.json without checksum and provenance
    arrays: dict[str, np.ndarray]  # content of weights.npz
    provenance: dict


def write_model(model: TrainedModel, folder: Path) -> None:
    """Write the files of a model into a folder, each of them atomically."""
    for name, content in make_contents(model).items():
        with atomic(folder / name) as unfinished:
            unfinished.write_bytes(content)


def write_model_folder(model: TrainedModel, folder: Path) -> None:
    """Write the folder of a model atomically; call :func:`refuse_taken` first."""
    with atomic(folder.resolve()) as unfinished:
        unfinished.mkdir()
        for name, content in make_contents(model).items():
            (unfinished / name).write_bytes(content)


def make_contents(model: TrainedModel) -> dict[str, bytes]:
    """Return the contents of a model's files by name: arrays, metadata and card."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: values.astype(np.float32) for name, values in model.arrays.items()})
    metadata = {
        **model.metadata,
        "weights_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "provenance": {name: value for name, value in model.provenance.items() if name != "seconds"},
    }
    text = json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
    metadata = json.loads(text)
    front = write_front_matter(metadata) if metadata.get("made_by") else ""
    return {
        "weights.npz": buffer.getvalue(),
        "model.json": text.encode("utf-8"),
        "README.md": f"{front}{write_card(metadata)}".encode(),
    }


def refuse_taken(folder: Path, *, replace: bool, files: tuple[str, ...] = FILES, made_by: str = "sernb train") -> None:
    """Raise DataError if a folder contains anything but an earlier result of the same command.

    Args:
        folder: to be written
        replace: allow an earlier result to be replaced
        files: written by the command; the second one is JSON whose ``made_by`` names the command
        made_by: the command

    Raises:
        DataError: naming the folder and the next step
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; name a new one")
    try:
        names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error) from error
    if other_files := [name for name in names if name not in files]:
        raise DataError(f"{folder}: is not empty (it contains {other_files[0]}); name a new folder")
    record = folder / files[1]
    if names and not (record.is_file() and json_in(record).get("made_by") == made_by):
        raise DataError(f"{folder}: was not made by `{made_by}`; name a new folder")
    if names and not replace:
        raise DataError(f"{folder}: already contains a model; name a new folder, or replace it with --replace")
    parent = next(each for each in folder.resolve().parents if each.exists())
    reason = errno.ENOTDIR if not parent.is_dir() else errno.EACCES if not os.access(parent, os.W_OK) else 0
    if reason:
        raise unwritable(folder, OSError(reason, os.strerror(reason)))
