"""How much of a corpus is on this machine: all of its recordings, some, or only what the workbook knows of it."""

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
    """A corpus, and how much of it is here."""

    corpus: Corpus
    index: pd.DataFrame | None  # every published clip; None where it is made from a copy, and there is none
    pool: Pool | None  # the clips whose recordings are here; None without any
    folder: Path | None  # where they lie

    @property
    def clips(self) -> pd.DataFrame:
        """The clips to look at: those whose recordings are here; without any all that were published, if known."""
        if self.pool:
            return self.pool.index
        return pd.DataFrame(columns=list(INDEX_COLUMNS)) if self.index is None else self.index

    @property
    def summary(self) -> str:
        """One line or two: how many of the published clips are here, and how to get the others."""
        here, published = self.pool.clips if self.pool else 0, self.corpus.clips
        if here == published:
            return f"All {published} clips of {self.corpus.title} are here."
        own = self.corpus.own
        get = f"The others belong into {self.corpus.home}" if own else f"To get them: sernb fetch {self.corpus.name}"
        if here:
            return f"{here} of {published} clips of {self.corpus.title} are here; this page is about those.\n{get}"
        known = "nothing can be counted yet" if self.index is None else "what follows is from the published index"
        return f"No recording of {self.corpus.title} is here: {known}.\n{get}"

    @property
    def recordings(self) -> str:
        """Sixteen digits that stand for the recordings here; ``none`` without any."""
        return fingerprint_index(self.pool.index) if self.pool else "none"


def find_available(name: str, data: str | Path | None = None) -> Availability:
    """Return how much of a corpus is here; that there is nothing is no error.

    Args:
        name: of the corpus
        data: the folder of the recordings, see :func:`sernb.corpora.locate`

    Raises:
        DataError: if the name is unknown
    """
    corpus = get_corpus(name)
    index = folder = pool = None
    try:
        with suppress(DataError if not corpus.committed else ()):  # of an incomplete copy there is a part
            index = read_index(corpus, data)
        folder = locate(corpus, data)
        pool = parse_pool(f"{name}:{AVAILABLE}", data)
    except DataError:
        return Availability(corpus, index, None, None)
    return Availability(corpus, index, pool, folder)
