"""Corpora by name."""

import importlib
import os
from pathlib import Path

from sernb.config import DataError
from sernb.corpora.labelled_folder import LABELS, corpus_from_folder
from sernb.corpora.local_index import find_copy
from sernb.corpora.record import Corpus

CORPORA = (
    "demo", "ravdess", "crema_d", "tess", "savee", "emodb", "iemocap", "subesco", "cafe", "esd", "emozionalmente",
)  # fmt: skip


def get_corpus(name: str) -> Corpus:
    """Return the record of a corpus.

    Args:
        name: one of ``CORPORA``, or a folder with recordings and ``labels.csv`` (see
            :mod:`sernb.corpora.labelled_folder`), or the name that such a folder got

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name in CORPORA:
        return importlib.import_module(f"sernb.corpora.records.{name}").CORPUS
    folder = Path(os.path.expanduser(name))
    if name and (folder / LABELS).is_file():
        return corpus_from_folder(folder)
    if name and folder.is_dir():
        raise DataError(f"{name}: holds no {LABELS}; write one with the columns path, speaker, emotion")
    if (behind := find_copy(name)) and (behind / LABELS).is_file():
        if (corpus := corpus_from_folder(behind)).name == name:
            return corpus
        raise DataError(f"{name}: the labels in {behind} have changed since; name that folder instead")
    raise DataError(f"no corpus is named {name!r}; known: {', '.join(CORPORA)}, or a folder with a {LABELS}")
