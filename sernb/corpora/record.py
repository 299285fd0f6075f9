"""The record of a corpus: its published metadata and its file naming scheme."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sernb import config
from sernb.colours import PALETTE

if TYPE_CHECKING:
    import pandas as pd

EMOTIONS = tuple(PALETTE)  # in the order of all tables and figures
DIMENSIONS = ("valence", "arousal", "dominance")

Labels = dict[str, str | float]  # column of the index → value


@dataclass(frozen=True)
class SpeakerFold:
    """Test and validation speakers of one speaker-independent fold; all other speakers are training speakers."""

    test: tuple[str, ...]
    validation: tuple[str, ...]  # empty if there are too few speakers


def fold_groups(
    groups: Sequence[Sequence[str]], select_validation: Callable[[Sequence[str]], Sequence[str]]
) -> tuple[SpeakerFold, ...]:
    """Return folds with each group as test speakers and some of the next group as validation speakers.

    Args:
        select_validation: returns the validation speakers among a group

    Examples:
        >>> fold_groups(["ab", "cd"], lambda group: group[:1])[1]
        SpeakerFold(test=('c', 'd'), validation=('a',))
    """
    next_groups = [*groups[1:], *groups[:1]]
    return tuple(
        SpeakerFold(tuple(group), tuple(select_validation(next_group)))
        for group, next_group in zip(groups, next_groups, strict=True)
    )


@dataclass(frozen=True)
class Archive:
    """The published archive file of a corpus."""

    name: str
    url: str
    bytes: int | None = None  # None: not published
    checksum: str = ""  # "md5:…" or "sha256:…"; empty: not published
    inside: str = ""  # root folder, within the archive, of the paths in the index


@dataclass(frozen=True)
class Pcm:
    """The audio format of a corpus (mono, 16 bit), which gives the duration of a recording from its file size."""

    sampling_rate: int  # Hz
    headers: tuple[tuple[str, int], ...] = ()  # regular expression for the path, bytes that are not samples
    header: int = 44  # bytes that are not samples in all other files

    def seconds(self, path: str, size: int) -> float:
        """Return the duration of a recording of ``size`` bytes.

        Examples:
            >>> Pcm(16_000).seconds("one.wav", 32_044)
            1.0
        """
        header = next((count for pattern, count in self.headers if re.fullmatch(pattern, path)), self.header)
        return (size - header) / 2 / self.sampling_rate


@dataclass(frozen=True)
class Corpus:
    """Published metadata, file naming scheme and download of a corpus.

    The index of a corpus is committed if checksums are published. Otherwise it is built from a copy: with ``paths`` if
    all file names are known, or with ``read_clips`` from the labels in the copy.
    """

    name: str
    title: str
    about: str
    citation: str
    licence: str
    homepage: str
    get: str  # one line: how to get the recordings
    pattern: str  # regular expression for the path, with named groups for `describe`
    describe: Callable[[re.Match], Labels]  # labels in the path: speaker, gender, …; `clip` if it is not the stem
    emotions: tuple[str, ...]
    clips: int
    speakers: int
    speaker_folds: tuple[SpeakerFold, ...]
    emobox_folds: tuple[SpeakerFold, ...] = ()  # folds of EmoBox (Ma et al. 2024), if they are speaker-independent
    quirks: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()  # published files that are not used: pattern for the path, description
    spellings: tuple[tuple[str, str], ...] = ()  # other names in copies: pattern for the path, its replacement
    columns: tuple[tuple[str, type], ...] = ()  # additional columns of the index: name, str or float
    tables: Callable[[Path], dict[str, Labels]] | None = None  # folder of the publishers' tables → more labels, by clip
    sound: Pcm | None = None
    paths: Callable[[], Iterable[str]] | None = None  # all published paths, if names are known but not checksums
    sampling_rates: tuple[int, ...] = ()  # published ones in Hz, to check copies without checksums
    label_files: tuple[str, ...] = ()  # glob patterns of the label files in a copy
    extra_tables: tuple[str, ...] = ()  # glob patterns of further tables to fetch
    read_clips: Callable[[Path], Iterable[Labels]] | None = None  # folder of a copy → labels and path of each clip
    find_deviations: Callable[["pd.DataFrame"], Iterator[str]] | None = None  # index → deviations from published counts
    evidence: bool = True  # False: synthetic speech, whose scores are no evidence about people
    near_duplicates_known: bool = False  # the published recordings were already searched for near-duplicate audio
    home: Path | None = None  # fixed folder, which is not searched for
    archive: Archive | None = None
    files_url: str = ""  # base URL from which each path of the index can be downloaded
    on_request: str = ""  # for corpora available on request: whom to ask and where to unpack

    @property
    def committed(self) -> bool:
        """Whether its index, with a checksum for each file, is part of the workbook; else it is built from a copy."""
        return not (self.paths or self.read_clips)

    @property
    def own(self) -> bool:
        """Whether it is a user's folder of unpublished recordings and labels."""
        return self.home is not None and self.read_clips is not None

    @property
    def index_path(self) -> Path:
        """The file of the committed index."""
        return config.INDEX / f"{self.name}.csv"
