"""How much of a corpus is available on this machine: all recordings, some of them, or only the index."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sernb.config import DataError
from sernb.corpora.files import locate
from sernb.corpora.index import INDEX_COLUMNS, fingerprint_index
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import AVAILABLE, Pool, parse_pool
from sernb.corpora.record import Corpus
from sernb.corpora.registry import get_corpus


@dataclass(frozen=True)
class Availability:
    """A corpus and those of its clips whose recordings are available."""

    corpus: Corpus
    index: pd.DataFrame | None  # all published clips; None if the index is built from a copy and there is no copy
    pool: Pool | None  # the clips whose recordings are available; None if there are none
    folder: Path | None  # their folder

    @property
    def clips(self) -> pd.DataFrame:
        """The available clips; if there are none, all published clips, as far as they are known."""
        if self.pool:
            return self.pool.index
        return pd.DataFrame(columns=list(INDEX_COLUMNS)) if self.index is None else self.index

    @property
    def summary(self) -> str:
        """One or two lines: how many of the published clips are available, and how to get the others."""
        available, published = self.pool.clips if self.pool else 0, self.corpus.clips
        if available == published:
            return f"All {published} clips of {self.corpus.title} are available."
        own = self.corpus.own
        advice = f"Put the others into {self.corpus.home}" if own else f"To get them: sernb fetch {self.corpus.name}"
        if available:
            return (
                f"{available} of {published} clips of {self.corpus.title} are available; this page covers only these."
                f"\n{advice}"
            )
        basis = "there is no index to describe yet" if self.index is None else "this page describes the published index"
        return f"No recording of {self.corpus.title} is available: {basis}.\n{advice}"

    @property
    def recordings(self) -> str:
        """Sixteen digits that identify the available recordings; ``none`` if there are none."""
        return fingerprint_index(self.pool.index) if self.pool else "none"


def find_available(name: str, data: str | Path | None = None) -> Availability:
    """Return which clips of a corpus are available; an absent corpus is not an error.

    Args:
        name: name of the corpus
        data: folder of the recordings, see :func:`sernb.corpora.files.locate`

    Raises:
        DataError: if the name is unknown
    """
    corpus = get_corpus(name)
    index = folder = pool = None
    try:
        with suppress(DataError if not corpus.committed else ()):  # an incomplete copy still gives a pool below
            index = read_index(corpus, data)
        folder = locate(corpus, data)
        pool = parse_pool(f"{name}:{AVAILABLE}", data)
    except DataError:
        return Availability(corpus, index, None, None)
    return Availability(corpus, index, pool, folder)
