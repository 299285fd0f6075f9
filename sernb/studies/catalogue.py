"""What the workbook has: corpora, systems, protocols; a table each."""

import pandas as pd

from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.protocol import PROTOCOLS
from sernb.systems.registry import SYSTEMS, get_system


def corpora_table() -> pd.DataFrame:
    """Return the corpora by size, licence and where to get them."""
    rows = [
        {
            "Corpus": each.name,
            "Clips": each.clips,
            "Speakers": each.speakers,
            "Emotions": len(each.emotions),
            "Licence": each.licence,
            "How to get it": each.get,
        }
        for each in map(get_corpus, CORPORA)
    ]
    return pd.DataFrame(rows)


def systems_table() -> pd.DataFrame:
    """Return the systems by what they do and who published them."""
    known = map(get_system, SYSTEMS)
    return pd.DataFrame([{"System": each.name, "What it does": each.about, "Source": each.source} for each in known])


def protocols_table() -> pd.DataFrame:
    """Return the protocols by what they keep apart."""
    return pd.DataFrame([{"Protocol": each.name, "What it is": each.about} for each in PROTOCOLS.values()])
