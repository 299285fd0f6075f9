"""Find corpora by name."""

import importlib

from sernb.config import DataError, expand_home, suggest
from sernb.corpora.label_tables import LABELS, find_table
from sernb.corpora.labelled_folder import corpus_from_table
from sernb.corpora.local_index import find_labels
from sernb.corpora.record import Corpus

CORPORA = (
    "demo", "ravdess", "crema_d", "tess", "savee", "emodb", "iemocap", "subesco", "cafe", "esd", "emozionalmente",
)  # fmt: skip


def get_corpus(name: str) -> Corpus:
    """Return the record of a corpus.

    Args:
        name: one of ``CORPORA``; a folder with recordings and ``labels.csv`` (see
            :mod:`sernb.corpora.labelled_folder`) or another label table, or this table itself (see
            :mod:`sernb.corpora.label_tables`); or the name given to such a folder

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name in CORPORA:
        return importlib.import_module(f"sernb.corpora.records.{name}").CORPUS
    if name and (table := find_table(name)):
        return corpus_from_table(table)
    if name and expand_home(name).is_dir():
        raise DataError(f"{name}: has no {LABELS}; write one with the columns path, speaker, emotion")
    if table := find_labels(name):
        if (corpus := corpus_from_table(table)).name == name:
            return corpus
        raise DataError(f"{name}: the labels in {table.parent} have changed; name that folder instead")
    raise DataError(
        f"no corpus is named {name!r}, and there is no such folder{suggest(name, CORPORA)}; known: "
        f"{', '.join(CORPORA)}, or a folder with a {LABELS}"
    )
