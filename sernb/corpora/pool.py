"""Pools: corpora named by an expression, one or several, whole or narrowed, seen as one table of clips.

    ravdess                             one corpus
    ravdess+tess+savee                  several
    ravdess:gender=female               some of its clips, by columns of the index
    ravdess:intensity=strong,gender=male
    tess:available                      those that lie on this machine, of a copy that is not complete
    path/of/a/folder                    one's own recordings, see :mod:`sernb.corpora.labelled_folder`

In a pool of several, a clip is named ``corpus/clip``, since names of files may repeat; alone, as in its index.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError
from sernb.corpora.files import find_files, locate
from sernb.corpora.index import fingerprint_index
from sernb.corpora.label_tables import find_table
from sernb.corpora.labelled_folder import deal_speakers
from sernb.corpora.local_index import read_index
from sernb.corpora.record import EMOTIONS, Corpus, SpeakerFold
from sernb.corpora.registry import get_corpus

if TYPE_CHECKING:
    import pandas as pd

AVAILABLE = "available"
MOST_FOLDS = 5
# By these a corpus can be narrowed, where its index has them; what is written elsewhere in a row is no group of clips.
NO_CONDITION = ("clip", "path", "sha256", "bytes", "seconds", "truth")


@dataclass(frozen=True)
class Part:
    """One corpus of a pool, or those of its clips that fulfil conditions."""

    corpus: Corpus
    narrowed: str  # as in the expression, "gender=female"; empty: whole
    recordings: str  # fingerprint of the clips
    published: int  # clips of the whole corpus
    held: "pd.DataFrame" = field(compare=False, repr=False)  # its index, or what of it is available
    clips: "pd.DataFrame" = field(compare=False, repr=False)  # rows of it that fulfil the conditions

    @property
    def available(self) -> bool:
        """Only the clips that lie on this machine."""
        return AVAILABLE in self.narrowed.split(",")

    @property
    def name(self) -> str:
        """The part as an expression."""
        return f"{self.corpus.name}:{self.narrowed}" if self.narrowed else self.corpus.name

    @property
    def title(self) -> str:
        """Title for people, with the number of clips where it is not the whole corpus."""
        if len(self.clips) == self.published:
            return self.corpus.title
        conditions = [each for each in self.narrowed.split(",") if each != AVAILABLE]
        return f"{self.corpus.title} ({', '.join([*conditions, f'{len(self.clips)} of {self.published} clips'])})"

    @cached_property
    def speaker_folds(self) -> tuple[SpeakerFold, ...]:
        """The corpus's own folds, of the speakers that are left; a fold that would test nobody is none."""
        left = set(self.clips.speaker)
        dealt = self.corpus.speaker_folds or deal_speakers(dict(zip(self.held.speaker, self.held.gender, strict=True)))
        folds = [_only(fold, left) for fold in dealt]
        return tuple(fold for fold in folds if fold.test)


@dataclass(frozen=True)
class Pool:
    """One corpus or several, as experiments and pages see them."""

    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The pool as an expression."""
        return "+".join(part.name for part in self.parts)

    @property
    def folder(self) -> str:
        """The name as a folder can be named on every system."""
        return folder_name(self.name)

    @property
    def title(self) -> str:
        """Titles of the parts."""
        return " + ".join(part.title for part in self.parts)

    @property
    def about(self) -> str:
        """What its corpora are."""
        return " ".join(part.corpus.about for part in self.parts)

    @property
    def citation(self) -> str:
        """What to cite, all parts."""
        return " ".join(part.corpus.citation for part in self.parts)

    @property
    def licence(self) -> str:
        """The licences of the parts."""
        if len(self.parts) == 1:
            return self.parts[0].corpus.licence
        return "; ".join(f"{part.corpus.title}: {part.corpus.licence}" for part in self.parts)

    @property
    def evidence(self) -> bool:
        """No part is synthetic."""
        return all(part.corpus.evidence for part in self.parts)

    @cached_property
    def index(self) -> "pd.DataFrame":
        """One row a clip, as :func:`sernb.corpora.read_index` returns them, with the column ``corpus``."""
        import pandas as pd

        tables = [part.clips.assign(clip=self.names_in(part), corpus=part.corpus.name) for part in self.parts]
        pooled = pd.concat(tables, ignore_index=True)
        words = pooled.select_dtypes(exclude="number").columns
        return pooled.fillna(dict.fromkeys(words, ""))  # of a column that only another corpus has

    def labelled(self, speaker: str) -> str:
        """Return a speaker as its corpus's own labels say it; in a pool of several, as the index does."""
        return speaker.removeprefix(f"{self.parts[0].corpus.name}-") if len(self.parts) == 1 else speaker

    def names_in(self, part: Part) -> list[str]:
        """Return the names that this pool gives to the clips of a part, in the order of the part."""
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
        """Sixteen digits that stand for exactly these recordings."""
        return fingerprint_index(self.index)

    @cached_property
    def speaker_folds(self) -> tuple[SpeakerFold, ...]:
        """Speaker-independent folds: a corpus's own, or those of all parts dealt onto as many as are common.

        A pool of several has as many folds as its part with the most, five at most and two at least. Fold ``f`` of a
        part goes to fold ``f mod k`` of the pool with its validation speakers, save those who are tested there. Where
        a part has fewer folds than the pool, all its speakers train in the others.
        """
        if len(self.parts) == 1:
            return self.parts[0].speaker_folds
        count = max(2, min(MOST_FOLDS, max(len(part.speaker_folds) for part in self.parts)))
        dealt = [[fold for part in self.parts for fold in part.speaker_folds[number::count]] for number in range(count)]
        return tuple(map(_joined, filter(None, dealt)))

    @cached_property
    def emobox_folds(self) -> tuple[SpeakerFold, ...]:
        """EmoBox's folds of a whole corpus that keep speakers apart; none for others."""
        (part, *others) = self.parts
        return () if others or part.narrowed else part.corpus.emobox_folds

    @cached_property
    def corpus_folds(self) -> tuple[SpeakerFold, ...]:
        """Corpus-independent folds: fold ``i`` tests part ``i``; the others' first validation speakers validate."""
        folds = []
        for tested in self.parts:
            others = [part.speaker_folds[:1] for part in self.parts if part is not tested]
            validation = tuple(speaker for folds_ in others for fold in folds_ for speaker in fold.validation)
            folds.append(SpeakerFold(tuple(sorted(set(tested.clips.speaker))), validation))
        return tuple(folds) if len(folds) > 1 else ()

    def files(self, data: str | Path | None = None) -> "pd.Series":
        """Return the file of each clip that is there, by clip.

        Raises:
            DataError: as :func:`sernb.corpora.locate`
        """
        import pandas as pd

        places = {}
        for part in self.parts:
            found = find_files(part.corpus, locate(part.corpus, data), part.clips)
            names = zip(self.names_in(part), part.clips["clip"], strict=True)
            places |= {name: found[clip] for name, clip in names if clip in found}
        return pd.Series(places)


def folder_name(expression: str) -> str:
    """Return an expression as a folder can be named on every system.

    Examples:
        >>> folder_name("ravdess+tess:available")
        'ravdess+tess_available'
    """
    return re.sub(r"[^\w+,.=-]", "_", expression)


def parse_pool(expression: str, data: str | Path | None = None) -> Pool:
    """Return the pool that an expression names, such as ``ravdess+tess:available``.

    Args:
        data: the folder of the recordings, for ``available``, see :func:`sernb.corpora.locate`

    Raises:
        DataError: if a corpus, column or value is unknown, a corpus is named twice, or no clip is left
    """
    texts = _texts(expression)
    if not all(texts):
        raise DataError(f"{expression!r}: names no corpus before or after a +; write it as in ravdess+tess")
    parts = tuple(_part(text, data) for text in texts)
    names = [part.corpus.name for part in parts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{expression}: {twice} is named twice; name each corpus once")
    return Pool(parts)


def _texts(expression: str) -> list[str]:
    """Cut an expression at each + that belongs to no name of a folder; the longest such name counts.

    Examples:
        >>> _texts("ravdess+tess:available")
        ['ravdess', 'tess:available']
    """
    pieces, texts = expression.split("+"), []
    while pieces:
        count = next((count for count in range(len(pieces), 1, -1) if _names_folder("+".join(pieces[:count]))), 1)
        texts.append("+".join(pieces[:count]).strip())
        pieces = pieces[count:]
    return texts


def _names_folder(text: str) -> bool:
    name, narrowed = _cut(text.strip())
    return "+" not in narrowed and _is_folder(name)


def _cut(text: str) -> tuple[str, str]:
    """Return the name of a corpus or folder, and its conditions; a colon may be part of the name of a folder."""
    if _is_folder(text) or not re.search(r":[^/\\]*$", text):  # not C:\folder
        return text, ""
    name, _, narrowed = text.rpartition(":")
    return name, narrowed


def _is_folder(name: str) -> bool:
    return bool(name) and (os.path.isdir(os.path.expanduser(name)) or find_table(name) is not None)


def _part(text: str, data: str | Path | None) -> Part:
    name, narrowed = _cut(text)
    corpus = get_corpus(name)
    conditions = sorted({each.strip() for each in narrowed.split(",") if each.strip()})
    held = published = read_index(corpus, data, available=AVAILABLE in conditions)
    if AVAILABLE in conditions:
        held = published[published["clip"].isin(find_files(corpus, locate(corpus, data), published))]
    clips = held
    if filters := [each for each in conditions if each != AVAILABLE]:
        clips = held[matching(published, ",".join(filters), where=text)[held.index]]
    if clips.empty:
        raise DataError(f"{text}: no clip of {corpus.title} is left; use fewer conditions")
    tables = held.reset_index(drop=True), clips.reset_index(drop=True)
    count = corpus.clips if AVAILABLE in conditions and not corpus.committed else len(published)
    return Part(corpus, ",".join(conditions), fingerprint_index(clips), count, *tables)


def matching(clips: "pd.DataFrame", conditions: str, *, where: str = "") -> "pd.Series":
    """Return which clips fulfil all conditions, such as ``gender=female,intensity=strong``.

    Args:
        where: what the conditions are for, for messages

    Raises:
        DataError: if a column or value is unknown; the message lists the known ones
    """
    fulfilled = clips["clip"].notna()
    for condition in conditions.split(","):
        column, _, value = (text.strip() for text in condition.partition("="))
        label = f"{where or conditions}: "
        if column not in clips or column in NO_CONDITION or not value:
            known = ", ".join(name for name in clips.columns if name not in NO_CONDITION)
            raise DataError(f"{label}{condition!r} is no condition such as gender=female; columns: {known}")
        values = clips[column].map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))
        if value not in set(values):
            known = sorted(set(values))
            more = f", … ({len(known)} in all)" * (len(known) > 12)
            raise DataError(f"{label}no clip has {column} {value!r}; there are {', '.join(known[:12])}{more}")
        fulfilled &= values == value
    return fulfilled


def _only(fold: SpeakerFold, speakers: set[str]) -> SpeakerFold:
    return replace(
        fold,
        test=tuple(name for name in fold.test if name in speakers),
        validation=tuple(name for name in fold.validation if name in speakers),
    )


def _joined(folds: Sequence[SpeakerFold]) -> SpeakerFold:
    test = sum((fold.test for fold in folds), ())
    validation = sum((fold.validation for fold in folds), ())
    return SpeakerFold(test, tuple(name for name in dict.fromkeys(validation) if name not in test))


def find_recordings(pool: Pool, clips: Sequence[str], data: str | Path | None = None) -> dict[str, Path]:
    """Return the files of those clips whose recordings are on this machine."""
    found = {}
    for part in pool.parts:
        names = dict(zip(part.clips["clip"], pool.names_in(part), strict=True))
        wanted = part.clips[part.clips["clip"].map(names).isin(list(clips))]
        if wanted.empty:
            continue
        try:
            files = find_files(part.corpus, locate(part.corpus, data), wanted)
        except DataError:
            continue
        found |= {names[clip]: path for clip, path in files.items() if clip in set(wanted["clip"])}
    return {clip: found[clip] for clip in clips if clip in found}
