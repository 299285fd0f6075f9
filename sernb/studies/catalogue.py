"""What the workbook has: corpora, systems, protocols; a table each."""

from collections.abc import Iterator

import pandas as pd

from sernb.corpora.availability import find_available
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.protocol import PROTOCOLS
from sernb.results.committed import read_table
from sernb.systems.registry import SYSTEMS, get_system


def answer(data: str = "") -> list[str]:
    """Return what a newcomer should know first: what the protocol is worth in committed results, and what is here."""
    here = [name for name in CORPORA if find_available(name, data).pool]
    counts = f"{len(CORPORA)} corpora ({', '.join(here)} on this computer), {len(SYSTEMS)} systems, "
    return [*_price_of_speakers("ravdess"), f"{counts}{len(PROTOCOLS)} protocols are in this workbook."]


def _price_of_speakers(corpus: str) -> Iterator[str]:
    """Say what is left on unseen speakers of the published system that loses most, by the committed results."""
    rows = read_table(corpus).set_index(["System", "Protocol"])
    published = [name for name, system in ((each, get_system(each)) for each in SYSTEMS) if system.reported]
    pairs = [name for name in published if {(name, "as-published"), (name, "speaker-independent")} <= set(rows.index)]
    losses = {name: _value(rows, name, "as-published") - _value(rows, name, "speaker-independent") for name in pairs}
    if losses:
        name = max(losses, key=losses.get)
        shared, unseen = rows.loc[(name, "as-published")], rows.loc[(name, "speaker-independent")]
        yield (
            f"The protocol decides: on {get_corpus(corpus).title}, {name} has a UAR of {shared['UAR']} % as its "
            f"authors split the clips ({shared['Clips']} clips, {shared['Folds']} folds), and {unseen['UAR']} % on "
            f"unseen speakers ({unseen['Clips']} clips, {unseen['Folds']} folds); chance level {unseen['UAR floor']} %."
        )


def _value(rows: pd.DataFrame, system: str, protocol: str) -> float:
    return float(rows.loc[(system, protocol), "UAR"].split()[0])


def corpora_table(data: str = "") -> pd.DataFrame:
    """Return the corpora by size, licence, how much of them is here, and the command that gets them."""
    here = {name: find_available(name, data).pool for name in CORPORA}
    rows = [
        {
            "Corpus": each.name,
            "Clips": each.clips,
            "Speakers": each.speakers,
            "Emotions": len(each.emotions),
            "Licence": each.licence,
            "Here": here[each.name].clips if here[each.name] else "none",
            "To get it": f"sernb fetch {each.name}" if each.evidence else "comes with it",
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
