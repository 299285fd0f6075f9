"""Corpora: records of what was published, the index of every clip, and the check of a copy against it."""

import importlib
import os
from pathlib import Path

from sernb.config import DataError
from sernb.corpora.checking import Finding, check, findings_table, lines_of
from sernb.corpora.copies import files_of, locate, places_of
from sernb.corpora.index import (
    AUDIO_SUFFIXES,
    INDEX_COLUMNS,
    build_index,
    checksum,
    fingerprint_of,
    index_of_manifest,
    write_table,
)
from sernb.corpora.made import copy_behind, read_index
from sernb.corpora.own import LABELS, corpus_of_folder
from sernb.corpora.record import DIMENSIONS, EMOTIONS, Archive, Corpus, Pcm, SpeakerFold

__all__ = [
    "AUDIO_SUFFIXES", "CORPORA", "DIMENSIONS", "EMOTIONS", "INDEX_COLUMNS", "Archive", "Corpus", "Finding", "Pcm",
    "SpeakerFold", "build_index", "check", "checksum", "corpus_named", "corpus_of_folder", "files_of", "findings_table",
    "fingerprint_of", "index_of_manifest", "lines_of", "locate", "places_of", "read_index", "write_table",
]  # fmt: skip

CORPORA = ("demo", "ravdess", "crema_d", "tess", "savee", "emodb", "iemocap")


def corpus_named(name: str) -> Corpus:
    """Return the record of a corpus.

    Args:
        name: one of ``CORPORA``, or a folder with recordings and ``labels.csv`` (see :mod:`sernb.corpora.own`), or the
            name that such a folder got

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name in CORPORA:
        return importlib.import_module(f"sernb.corpora.{name}").CORPUS
    folder = Path(os.path.expanduser(name))
    if name and (folder / LABELS).is_file():
        return corpus_of_folder(folder)
    if name and folder.is_dir():
        raise DataError(f"{name}: holds no {LABELS}; write one with the columns path, speaker, emotion")
    if (behind := copy_behind(name)) and (behind / LABELS).is_file():
        if (corpus := corpus_of_folder(behind)).name == name:
            return corpus
        raise DataError(f"{name}: the labels in {behind} have changed since; name that folder instead")
    raise DataError(f"no corpus is named {name!r}; known: {', '.join(CORPORA)}, or a folder with a {LABELS}")
