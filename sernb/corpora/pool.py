"""Pools: one or several corpora, complete or filtered, named by an expression and used as one table of clips.

    ravdess                             one corpus
    ravdess+tess+savee                  several corpora
    ravdess:gender=female               clips filtered by columns of the index
    ravdess:intensity=strong,gender=male
    tess:available                      the clips available on this machine, from an incomplete copy
    path/of/a/folder                    your recordings, see :mod:`sernb.corpora.labelled_folder`

In a pool of several corpora, clips are named ``corpus/clip``, because file names may repeat.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError, expand_home
from sernb.corpora.files import find_files, locate
from sernb.corpora.index import fingerprint_index
from sernb.corpora.label_tables import find_table
from sernb.corpora.labelled_folder import make_speaker_folds
from sernb.corpora.local_index import read_index
from sernb.corpora.record import EMOTIONS, Corpus, SpeakerFold
from sernb.corpora.registry import get_corpus

if TYPE_CHECKING:
    import pandas as pd

AVAILABLE = "available"
MOST_FOLDS = 5
NO_CONDITION = ("clip", "path", "sha256", "bytes", "seconds", "truth")  # columns that do not define groups of clips


@dataclass(frozen=True)
class Part:
    """One corpus of a pool, or those of its clips that meet the conditions."""

    corpus: Corpus
    conditions: str  # as in the expression, such as "gender=female"; empty: the complete corpus
    recordings: str  # fingerprint of the clips
    published: int  # number of clips of the complete corpus
    unfiltered: "pd.DataFrame" = field(compare=False, repr=False)  # the index, or its available clips
    clips: "pd.DataFrame" = field(compare=False, repr=False)  # the rows that meet the conditions

    @property
    def available(self) -> bool:
        """Whether only the clips available on this machine are used."""
        return AVAILABLE in self.conditions.split(",")

    @property
    def name(self) -> str:
        """The part as an expression."""
        return f"{self.corpus.name}:{self.conditions}" if self.conditions else self.corpus.name

    @property
    def title(self) -> str:
        """Title for display, with the number of clips if it is not the complete corpus."""
        if len(self.clips) == self.published:
            return self.corpus.title
        conditions = [condition for condition in self.conditions.split(",") if condition != AVAILABLE]
        return f"{self.corpus.title} ({', '.join([*conditions, f'{len(self.clips)} of {self.published} clips'])})"

    @cached_property
    def speaker_folds(self) -> tuple[SpeakerFold, ...]:
        """The folds of the corpus, restricted to the remaining speakers; folds without test speakers are dropped."""
        speakers = set(self.clips.speaker)
        folds = self.corpus.speaker_folds
        if not folds:
            folds = make_speaker_folds(dict(zip(self.unfiltered.speaker, self.unfiltered.gender, strict=True)))
        return tuple(fold for fold in (_restrict(fold, speakers) for fold in folds) if fold.test)


@dataclass(frozen=True)
class Pool:
    """One or several corpora as one data set."""

    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The pool as an expression."""
        return "+".join(part.name for part in self.parts)

    @property
    def folder(self) -> str:
        """The name in a form that is valid as a folder name on every system."""
        return folder_name(self.name)

    @property
    def title(self) -> str:
        """Titles of the parts."""
        return " + ".join(part.title for part in self.parts)

    @property
    def about(self) -> str:
        """The descriptions of its corpora."""
        return " ".join(part.corpus.about for part in self.parts)

    @property
    def citation(self) -> str:
        """The citations of all parts."""
        return " ".join(part.corpus.citation for part in self.parts)

    @property
    def licence(self) -> str:
        """The licences of the parts."""
        if len(self.parts) == 1:
            return self.parts[0].corpus.licence
        return "; ".join(f"{part.corpus.title}: {part.corpus.licence}" for part in self.parts)

    @property
    def evidence(self) -> bool:
        """Whether no part is synthetic."""
        return all(part.corpus.evidence for part in self.parts)

    @cached_property
    def index(self) -> "pd.DataFrame":
        """One row per clip as in :func:`sernb.corpora.local_index.read_index`, with an additional column ``corpus``."""
        import pandas as pd

        tables = [part.clips.assign(clip=self.names_in(part), corpus=part.corpus.name) for part in self.parts]
        pooled = pd.concat(tables, ignore_index=True)
        text_columns = pooled.select_dtypes(exclude="number").columns
        return pooled.fillna(dict.fromkeys(text_columns, ""))  # columns that exist only in other corpora

    def speaker_label(self, speaker: str) -> str:
        """Return the name of a speaker in the labels of its corpus; with several corpora, the name in the index."""
        return speaker.removeprefix(f"{self.parts[0].corpus.name}-") if len(self.parts) == 1 else speaker

    def names_in(self, part: Part) -> list[str]:
        """Return the names of the clips of a part in this pool, in the order of the part."""
        prefix = f"{part.corpus.name}/" if len(self.parts) > 1 else ""
        return [prefix + clip for clip in part.clips["clip"]]

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(len(part.clips) for part in self.parts)

    @property
    def speakers(self) -> int:
        """Number of speakers."""
        return self.index.speaker.nunique()

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that occur, in the order of ``EMOTIONS``."""
        return tuple(emotion for emotion in EMOTIONS if emotion in set(self.index.emotion))

    @cached_property
    def recordings(self) -> str:
        """Sixteen hexadecimal digits that identify exactly these recordings."""
        return fingerprint_index(self.index)

    @cached_property
    def speaker_folds(self) -> tuple[SpeakerFold, ...]:
        """Speaker-independent folds: those of a single corpus, or the folds of all parts merged.

        A pool of several corpora has as many folds as its part with the most, but two to five. Fold ``f`` of a part
        goes to fold ``f mod k`` of the pool with its validation speakers, except test speakers of that fold. If a part
        has fewer folds than the pool, all its speakers are in the training part of the remaining folds.
        """
        if len(self.parts) == 1:
            return self.parts[0].speaker_folds
        count = max(2, min(MOST_FOLDS, max(len(part.speaker_folds) for part in self.parts)))
        groups = [
            [fold for part in self.parts for fold in part.speaker_folds[number::count]] for number in range(count)
        ]
        return tuple(map(_merge, filter(None, groups)))

    @cached_property
    def emobox_folds(self) -> tuple[SpeakerFold, ...]:
        """The speaker-independent folds of EmoBox for a single complete corpus; otherwise none."""
        (part, *others) = self.parts
        return () if others or part.conditions else part.corpus.emobox_folds

    @cached_property
    def corpus_folds(self) -> tuple[SpeakerFold, ...]:
        """Corpus-independent folds: fold ``i`` tests part ``i``.

        The validation part has the validation speakers of the first fold of each other part.
        """
        folds = []
        for test_part in self.parts:
            others = [part.speaker_folds[:1] for part in self.parts if part is not test_part]
            validation = tuple(speaker for first in others for fold in first for speaker in fold.validation)
            folds.append(SpeakerFold(tuple(sorted(set(test_part.clips.speaker))), validation))
        return tuple(folds) if len(folds) > 1 else ()

    def files(self, data: str | Path | None = None) -> "pd.Series":
        """Return the file of each available clip, indexed by clip.

        Raises:
            DataError: as :func:`sernb.corpora.files.locate`
        """
        import pandas as pd

        files = {}
        for part in self.parts:
            of_part = find_files(part.corpus, locate(part.corpus, data), part.clips)
            names = zip(self.names_in(part), part.clips["clip"], strict=True)
            files |= {name: of_part[clip] for name, clip in names if clip in of_part}
        return pd.Series(files)


def folder_name(expression: str) -> str:
    """Return an expression in a form that is valid as a folder name on every system.

    Examples:
        >>> folder_name("ravdess+tess:available")
        'ravdess+tess_available'
    """
    return re.sub(r"[^\w+,.=-]", "_", expression)


def parse_pool(expression: str, data: str | Path | None = None) -> Pool:
    """Parse an expression such as ``ravdess+tess:available``.

    Args:
        data: folder of the recordings, for ``available``, see :func:`sernb.corpora.files.locate`

    Raises:
        DataError: if a corpus, column or value is unknown, a corpus is named twice, or no clip is left
    """
    terms = _split_terms(expression)
    if not all(terms):
        raise DataError(f"{expression!r}: a corpus is missing before or after a +; write it as in ravdess+tess")
    parts = tuple(_parse_part(term, data) for term in terms)
    names = [part.corpus.name for part in parts]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{expression}: {repeated} is named twice; name each corpus once")
    return Pool(parts)


def _split_terms(expression: str) -> list[str]:
    """Split an expression at each + that is not part of a folder name; the longest folder name wins.

    Examples:
        >>> _split_terms("ravdess+tess:available")
        ['ravdess', 'tess:available']
    """
    pieces, terms = expression.split("+"), []
    while pieces:
        count = next((count for count in range(len(pieces), 1, -1) if _names_folder("+".join(pieces[:count]))), 1)
        terms.append("+".join(pieces[:count]).strip())
        pieces = pieces[count:]
    return terms


def _names_folder(term: str) -> bool:
    name, conditions = _split_conditions(term.strip())
    return "+" not in conditions and _is_folder(name)


def _split_conditions(term: str) -> tuple[str, str]:
    """Return the name of a corpus or folder and its conditions; a folder name may contain a colon."""
    if _is_folder(term) or not re.search(r":[^/\\]*$", term):  # not C:\folder
        return term, ""
    name, _, conditions = term.rpartition(":")
    return name, conditions


def _is_folder(name: str) -> bool:
    return bool(name) and (os.path.isdir(expand_home(name)) or find_table(name) is not None)


def _parse_part(term: str, data: str | Path | None) -> Part:
    name, text = _split_conditions(term)
    corpus = get_corpus(name)
    conditions = sorted({condition.strip() for condition in text.split(",") if condition.strip()})
    unfiltered = published = read_index(corpus, data, available=AVAILABLE in conditions)
    if AVAILABLE in conditions:
        unfiltered = published[published["clip"].isin(find_files(corpus, locate(corpus, data), published))]
    clips = unfiltered
    if filters := [condition for condition in conditions if condition != AVAILABLE]:
        clips = unfiltered[select_clips(published, ",".join(filters), where=term)[unfiltered.index]]
    if clips.empty:
        raise DataError(f"{term}: no clip of {corpus.title} is left; use fewer conditions")
    tables = unfiltered.reset_index(drop=True), clips.reset_index(drop=True)
    count = corpus.clips if AVAILABLE in conditions and not corpus.committed else len(published)
    return Part(corpus, ",".join(conditions), fingerprint_index(clips), count, *tables)


def select_clips(clips: "pd.DataFrame", conditions: str, *, where: str = "") -> "pd.Series":
    """Return a boolean mask of the clips that meet all conditions, such as ``gender=female,intensity=strong``.

    Args:
        where: origin of the conditions, for messages

    Raises:
        DataError: if a column or value is unknown; the message lists the known ones
    """
    mask = clips["clip"].notna()
    for condition in conditions.split(","):
        column, _, value = (text.strip() for text in condition.partition("="))
        label = f"{where or conditions}: "
        if column not in clips or column in NO_CONDITION or not value:
            known = ", ".join(name for name in clips.columns if name not in NO_CONDITION)
            raise DataError(f"{label}{condition!r} is not a condition such as gender=female; columns: {known}")
        values = clips[column].map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))
        if value not in set(values):
            known = sorted(set(values))
            more = f", … ({len(known)} in all)" * (len(known) > 12)
            raise DataError(f"{label}no clip has {column} {value!r}; there are {', '.join(known[:12])}{more}")
        mask &= values == value
    return mask


def _restrict(fold: SpeakerFold, speakers: set[str]) -> SpeakerFold:
    return replace(
        fold,
        test=tuple(name for name in fold.test if name in speakers),
        validation=tuple(name for name in fold.validation if name in speakers),
    )


def _merge(folds: Sequence[SpeakerFold]) -> SpeakerFold:
    test = sum((fold.test for fold in folds), ())
    validation = sum((fold.validation for fold in folds), ())
    return SpeakerFold(test, tuple(name for name in dict.fromkeys(validation) if name not in test))


def find_recordings(pool: Pool, clips: Sequence[str], data: str | Path | None = None) -> dict[str, Path]:
    """Return the files of the given clips, as far as they are available."""
    recordings = {}
    for part in pool.parts:
        names = dict(zip(part.clips["clip"], pool.names_in(part), strict=True))
        wanted = part.clips[part.clips["clip"].map(names).isin(list(clips))]
        if wanted.empty:
            continue
        try:
            files = find_files(part.corpus, locate(part.corpus, data), wanted)
        except DataError:
            continue
        recordings |= {names[clip]: path for clip, path in files.items() if clip in set(wanted["clip"])}
    return {clip: recordings[clip] for clip in clips if clip in recordings}
