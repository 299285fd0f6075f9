"""Tables of the corpora, systems and protocols in the workbook."""

from collections.abc import Iterator

import pandas as pd

from sernb.corpora.availability import find_available
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.protocol import PROTOCOLS
from sernb.results.committed import read_table
from sernb.systems.registry import SYSTEMS, get_system


def headline(data: str = "") -> list[str]:
    """State the effect of the protocol in committed results, and the contents of the workbook, in sentences."""
    available = [name for name in CORPORA if find_available(name, data).pool]
    counts = f"{len(CORPORA)} corpora ({', '.join(available)} on this computer), {len(SYSTEMS)} systems and "
    return [*_protocol_effect("ravdess"), f"The workbook contains {counts}{len(PROTOCOLS)} protocols."]


def _protocol_effect(corpus: str) -> Iterator[str]:
    """State the largest loss of a published system on unseen speakers in the committed results."""
    rows = read_table(corpus).set_index(["System", "Protocol"])
    published = [name for name, system in ((each, get_system(each)) for each in SYSTEMS) if system.reported]
    pairs = [name for name in published if {(name, "as-published"), (name, "speaker-independent")} <= set(rows.index)]
    losses = {name: _value(rows, name, "as-published") - _value(rows, name, "speaker-independent") for name in pairs}
    if losses:
        name = max(losses, key=losses.get)
        shared, unseen = rows.loc[(name, "as-published")], rows.loc[(name, "speaker-independent")]
        yield (
            f"The protocol decides: on {get_corpus(corpus).title}, {name} has a UAR of {shared['UAR']} % with its "
            f"authors' split ({shared['Clips']} clips, {shared['Folds']} folds) and of {unseen['UAR']} % on unseen "
            f"speakers ({unseen['Clips']} clips, {unseen['Folds']} folds); chance level {unseen['UAR floor']} %."
        )


def _value(rows: pd.DataFrame, system: str, protocol: str) -> float:
    return float(rows.loc[(system, protocol), "UAR"].split()[0])


def corpora_table(data: str = "") -> pd.DataFrame:
    """Return size, licence and available clips of each corpus, and how to get it."""
    available = {name: find_available(name, data).pool for name in CORPORA}
    rows = [
        {
            "Corpus": each.name,
            "Clips": each.clips,
            "Speakers": each.speakers,
            "Emotions": len(each.emotions),
            "Licence": each.licence,
            "Available": available[each.name].clips if available[each.name] else "none",
            "Get it with": "sernb fetch" if each.evidence else "included",
        }
        for each in map(get_corpus, CORPORA)
    ]
    return pd.DataFrame(rows)


def systems_table() -> pd.DataFrame:
    """Return description and source of each system."""
    rows = [(each.name, each.description, each.source) for each in map(get_system, SYSTEMS)]
    return pd.DataFrame(rows, columns=["System", "Description", "Source"])


def protocols_table() -> pd.DataFrame:
    """Return the description of each protocol."""
    return pd.DataFrame([{"Protocol": each.name, "Description": each.about} for each in PROTOCOLS.values()])
