"""The record of a corpus: what its publishers say of it, and how its files are named."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sernb import config
from sernb.colours import PALETTE

if TYPE_CHECKING:
    import pandas as pd

EMOTIONS = tuple(PALETTE)  # the one order in every table and figure
DIMENSIONS = ("valence", "arousal", "dominance")

Labels = dict[str, str | float]  # column of the index → value


@dataclass(frozen=True)
class SpeakerFold:
    """Who is tested and who validates in one speaker-independent fold; all others train."""

    test: tuple[str, ...]
    validation: tuple[str, ...]  # empty where no further voice is left


def fold_groups(
    groups: Sequence[Sequence[str]], validating: Callable[[Sequence[str]], Sequence[str]]
) -> tuple[SpeakerFold, ...]:
    """Return folds that test each group of speakers in turn, while some of the next group validate.

    Args:
        validating: a group → those of it who validate

    Examples:
        >>> fold_groups(["ab", "cd"], lambda group: group[:1])[1]
        SpeakerFold(test=('c', 'd'), validation=('a',))
    """
    following = [*groups[1:], *groups[:1]]
    return tuple(
        SpeakerFold(tuple(group), tuple(validating(after))) for group, after in zip(groups, following, strict=True)
    )


@dataclass(frozen=True)
class Archive:
    """One file that holds a whole corpus, as its publishers hand it out."""

    name: str
    url: str
    bytes: int | None = None  # None: not published
    checksum: str = ""  # "md5:…" or "sha256:…"; empty: not published
    inside: str = ""  # folder in the archive in which the paths of the index begin


@dataclass(frozen=True)
class Pcm:
    """How a corpus stores its sound (mono, 16 bit): what tells the length of a recording from its size."""

    sampling_rate: int  # Hz
    beside: tuple[tuple[str, int], ...] = ()  # pattern over the path, bytes of the file that are no sound
    header: int = 44  # … of all others

    def seconds(self, path: str, size: int) -> float:
        """Return the length of a recording that is ``size`` bytes long.

        Examples:
            >>> Pcm(16_000).seconds("one.wav", 32_044)
            1.0
        """
        beside = next((count for pattern, count in self.beside if re.fullmatch(pattern, path)), self.header)
        return (size - beside) / 2 / self.sampling_rate


@dataclass(frozen=True)
class Corpus:
    """What its publishers say of a corpus, and how its files are named."""

    name: str
    title: str
    about: str
    citation: str
    licence: str
    homepage: str
    get: str  # one line: how to come by the recordings
    pattern: str  # regular expression over the path, with named groups for `describe`
    describe: Callable[[re.Match], Labels]  # → what the name says: speaker, gender, …; `clip` if it is not the stem
    emotions: tuple[str, ...]
    clips: int
    speakers: int
    speaker_folds: tuple[SpeakerFold, ...]
    emobox_folds: tuple[SpeakerFold, ...] = ()  # those of EmoBox (Ma et al. 2024), where they keep speakers apart
    quirks: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()  # published with it and left out: pattern over the path, what they are
    spellings: tuple[tuple[str, str], ...] = ()  # other names in copies: pattern over the path, what stands there then
    columns: tuple[tuple[str, type], ...] = ()  # of the index beyond those that every corpus has: name, str or float
    tables: Callable[[Path], dict[str, Labels]] | None = None  # folder of the publishers' tables → more labels, by clip
    sound: Pcm | None = None
    paths: Callable[[], Iterable[str]] | None = None  # every published one, where names are known and checksums not
    rates: tuple[int, ...] = ()  # published sampling rates in Hz, where a check has no checksums to compare with
    labels_at: tuple[str, ...] = ()  # where no index is committed: patterns of the label files in a copy, …
    beside: tuple[str, ...] = ()  # patterns of further tables that are fetched with these
    clips_of: Callable[[Path], Iterable[Labels]] | None = None  # … what they say of each clip, its path included, …
    doubts: Callable[["pd.DataFrame"], Iterator[str]] | None = None  # … and sentences on what is not as published
    evidence: bool = True  # False: synthetic; its figures say nothing about people
    heard: bool = False  # its published recordings were compared by ear: which are alike is known
    home: Path | None = None  # where it lies when it needs not be looked for
    archive: Archive | None = None
    files_at: str = ""  # address below which each path of the index can be had by itself
    on_request: str = ""  # whom to ask for it, and where the files then must lie, where owners hand it out themselves

    @property
    def committed(self) -> bool:
        """Its index, with a checksum for every file, comes with the workbook; else it is made from a copy."""
        return not (self.paths or self.clips_of)

    @property
    def own(self) -> bool:
        """It is a folder of somebody's own recordings and labels, which nobody published."""
        return self.home is not None and self.clips_of is not None

    @property
    def index_path(self) -> Path:
        """The committed index."""
        return config.INDEX / f"{self.name}.csv"
