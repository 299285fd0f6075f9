"""Label sets: which emotions a system tells apart, and what becomes of a corpus's own labels, as data."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sernb.config import DataError, Infeasible
from sernb.corpora.record import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LabelSet:
    """A named way from a corpus's emotions to the classes of a system; an emotion that is not named is dropped."""

    name: str
    becomes: tuple[tuple[str, str], ...]  # (emotion of the corpus, class)
    column: ClassVar[str] = "emotion"  # of the index, to be read

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of ``EMOTIONS``."""
        return tuple(sorted({target for _, target in self.becomes}, key=EMOTIONS.index))

    @property
    def numeric(self) -> bool:
        """Whether numbers are predicted instead of classes, see :mod:`sernb.protocols.targets`."""
        return False

    def truths(self, emotions: "pd.Series") -> "pd.Series":
        """Return the class of each clip, missing where the label set drops it."""
        return emotions.map(dict(self.becomes))

    def encode(self, truth: "pd.Series") -> np.ndarray:
        """Return the number of each clip's class, shape ``(clips,)``."""
        return truth.map(self.classes.index).to_numpy(int)

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return what the label set reads of each clip of an index.

        Raises:
            DataError: if the index does not have the column
        """
        if self.column not in index:
            raise DataError(
                f"label set {self.name}: reads the column {self.column}, which these corpora do not have; take another"
            )
        return index[self.column]

    def truths_of(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the class of each clip of an index, missing where the label set drops it.

        Raises:
            DataError: as :meth:`read`
        """
        return self.truths(self.read(index))

    def on(self, index: "pd.DataFrame") -> "LabelSet":
        """Return the label set that stands for this one on these corpora: itself, but for those that name another."""
        return self

    def within(self, index: "pd.DataFrame") -> "LabelSet":
        """Return the label set without the classes that no clip of an index has: what cannot be learned is no class.

        Raises:
            DataError: as :meth:`truths_of`
            Infeasible: if no class is left
        """
        here = self.on(index)
        left = set(here.truths_of(index).dropna())
        if not left:
            raise Infeasible(f"label set {self.name}: drops every clip of these corpora; take another")
        return replace(here, becomes=tuple(pair for pair in here.becomes if pair[1] in left))

    def dropped(self, index: "pd.DataFrame") -> dict[str, int]:
        """Return how many clips of an index the label set drops, by emotion; "" counts those without one."""
        left_out = self.read(index)[self.truths_of(index).isna()]
        return {str(emotion): int(count) for emotion, count in left_out.value_counts().items()}


@dataclass(frozen=True)
class OtherLabelSet(LabelSet):
    """A label set that reads another column of the index than ``emotion``, such as what raters perceived."""

    column: str


@dataclass(frozen=True)
class PreferredLabelSet(OtherLabelSet):
    """A label set that reads another column where a corpus has it, and follows ``otherwise`` where none has."""

    otherwise: LabelSet = field(kw_only=True)

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the column, of corpora that do not have it that of ``otherwise``."""
        return preferred(index, self.column, self.otherwise.column)

    def on(self, index: "pd.DataFrame") -> LabelSet:
        """Return ``otherwise`` where no corpus has the column."""
        return self if self.column in index else self.otherwise


def preferred(index: "pd.DataFrame", column: str, otherwise: str) -> "pd.Series":
    """Return a column of an index; of corpora that do not have it, and in a pool hold nothing there, another one."""
    if column not in index or otherwise not in index:
        return index[column if column in index else otherwise]
    held = index[column].notna() & (index[column].astype(str) != "")
    corpus = index["corpus"] if "corpus" in index else held.map(lambda _: "")
    return index[column].where(held.groupby(corpus).transform("any"), index[otherwise])


def values_of(index: "pd.DataFrame", dimension: str, *, tallied: bool) -> np.ndarray:
    """Return valence, arousal or dominance of each clip of an index, ``(clips,)``, NaN where it is not known.

    Args:
        tallied: the means that the authors of multitask-cnn count, of corpora that have them
    """
    import pandas as pd

    column = f"tally_{dimension}" if tallied else dimension
    if not {column, dimension} & set(index):
        return np.full(len(index), np.nan)
    return pd.to_numeric(preferred(index, column, dimension), errors="coerce").to_numpy(float)


def _same(*emotions: str) -> tuple[tuple[str, str], ...]:
    return tuple((emotion, emotion) for emotion in emotions)


EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CALM_MERGED = (("calm", "neutral"),)
EXCITED_MERGED = (("excited", "happy"),)

# RAVDESS's own; multiscale-cnn.
ALL_EIGHT = LabelSet("eight", _same(*EIGHT))

# feature-cnn, on RAVDESS, CREMA-D, TESS and SAVEE.
SEVEN = LabelSet("seven", CALM_MERGED + _same("neutral", *EIGHT[2:]))

# statistics-svm calls RAVDESS's calm neutral and leaves its neutral out.
CALM_AS_NEUTRAL = LabelSet("calm-as-neutral", CALM_MERGED + _same(*EIGHT[2:]))

# EMO-DB's own.
SEVEN_BORED = LabelSet("seven-bored", _same("neutral", "happy", "sad", "angry", "fearful", "disgust", "bored"))

# CREMA-D's own; yousefkotp's networks. Other corpora lose surprised.
SIX = LabelSet("six", CALM_MERGED + _same("neutral", "happy", "sad", "angry", "fearful", "disgust"))

# The same emotions as most listeners of CREMA-D named them; ties are dropped.
SIX_PERCEIVED = OtherLabelSet(
    "six-perceived", _same("neutral", "happy", "sad", "angry", "fearful", "disgust"), "perceived"
)

# multitask-cnn: IEMOCAP's eight most frequent, by its own count of the votes (the actors' own too, ties to the first
# named, turns without agreement kept) or by the official label. Corpora without votes have one label anyway.
_MULTITASK = _same("neutral", "happy", "excited", "sad", "angry", "frustrated", "fearful", "surprised")
MULTITASK_EIGHT_OFFICIAL = LabelSet("multitask-eight-official", _MULTITASK)
MULTITASK_EIGHT = PreferredLabelSet("multitask-eight", _MULTITASK, "tally", otherwise=MULTITASK_EIGHT_OFFICIAL)

# What multitask-cnn is tested on in RAVDESS: calm and disgust are dropped.
MULTITASK_SIX = LabelSet("multitask-six", _same("neutral", "happy", "sad", "angry", "fearful", "surprised"))

# The usual four of IEMOCAP, with excited merged into happy or apart.
FOUR = LabelSet("four", CALM_MERGED + EXCITED_MERGED + _same("neutral", "happy", "sad", "angry"))
FIVE = LabelSet("five", CALM_MERGED + _same("neutral", "happy", "excited", "sad", "angry"))

LABEL_SETS = {
    labels.name: labels
    for labels in (
        ALL_EIGHT, SEVEN, CALM_AS_NEUTRAL, SEVEN_BORED, SIX, SIX_PERCEIVED, MULTITASK_EIGHT, MULTITASK_EIGHT_OFFICIAL,
        MULTITASK_SIX, FIVE, FOUR,
    )
}  # fmt: skip


def get_label_set(name: str) -> LabelSet:
    """Return a label set.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in LABEL_SETS:
        raise DataError(f"no label set is named {name!r}; known: {', '.join(LABEL_SETS)}")
    return LABEL_SETS[name]
