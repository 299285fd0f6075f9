"""Label sets: the classes of a system, and the mapping from the emotions of a corpus to them."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sernb.config import DataError, Infeasible
from sernb.corpora.record import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LabelSet:
    """A named mapping from the emotions of a corpus to the classes of a system; other emotions are dropped."""

    name: str
    becomes: tuple[tuple[str, str], ...]  # (emotion of the corpus, class)
    column: ClassVar[str] = "emotion"  # column of the index to read

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of ``EMOTIONS``."""
        return tuple(sorted({target for _, target in self.becomes}, key=EMOTIONS.index))

    @property
    def numeric(self) -> bool:
        """Whether the targets are numbers instead of classes, see :mod:`sernb.protocols.targets`."""
        return False

    def truths(self, emotions: "pd.Series") -> "pd.Series":
        """Return the class of each clip, missing for dropped clips."""
        return emotions.map(dict(self.becomes))

    def encode(self, truth: "pd.Series") -> np.ndarray:
        """Return the number of each clip's class, shape ``(clips,)``."""
        return truth.map(self.classes.index).to_numpy(int)

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the column of an index that the label set uses.

        Raises:
            DataError: if the index does not have the column
        """
        if self.column not in index:
            raise DataError(
                f"label set {self.name}: reads the column {self.column}, which these corpora do not have; use another"
            )
        return index[self.column]

    def truths_of(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the class of each clip of an index, missing for dropped clips.

        Raises:
            DataError: as :meth:`read`
        """
        return self.truths(self.read(index))

    def on(self, index: "pd.DataFrame") -> "LabelSet":
        """Return the label set to use for these corpora: this one, unless it defines a fallback."""
        return self

    def within(self, index: "pd.DataFrame") -> "LabelSet":
        """Return the label set restricted to the classes that occur in an index.

        Raises:
            DataError: as :meth:`truths_of`
            Infeasible: if no class is left
        """
        labels = self.on(index)
        classes = set(labels.truths_of(index).dropna())
        if not classes:
            raise Infeasible(f"label set {self.name}: drops every clip of these corpora; use another")
        return replace(labels, becomes=tuple(pair for pair in labels.becomes if pair[1] in classes))

    def dropped(self, index: "pd.DataFrame") -> dict[str, int]:
        """Return the number of dropped clips of an index by emotion; "" counts clips without an emotion."""
        emotions = self.read(index)[self.truths_of(index).isna()]
        return {str(emotion): int(count) for emotion, count in emotions.value_counts().items()}


@dataclass(frozen=True)
class OtherLabelSet(LabelSet):
    """A label set for another column of the index than ``emotion``, such as the perceived emotion."""

    column: str


@dataclass(frozen=True)
class PreferredLabelSet(OtherLabelSet):
    """A label set for a column that only some corpora have, with the label set ``otherwise`` as fallback."""

    otherwise: LabelSet = field(kw_only=True)

    def read(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the column, or for corpora without it the column of ``otherwise``."""
        return preferred(index, self.column, self.otherwise.column)

    def on(self, index: "pd.DataFrame") -> LabelSet:
        """Return ``otherwise`` if no corpus has the column."""
        return self if self.column in index else self.otherwise


def preferred(index: "pd.DataFrame", column: str, otherwise: str) -> "pd.Series":
    """Return a column of an index, with another one for those corpora of a pool that have no values in it."""
    if column not in index or otherwise not in index:
        return index[column if column in index else otherwise]
    has_value = index[column].notna() & (index[column].astype(str) != "")
    corpus = index["corpus"] if "corpus" in index else has_value.map(lambda _: "")
    return index[column].where(has_value.groupby(corpus).transform("any"), index[otherwise])


def values_of(index: "pd.DataFrame", dimension: str, *, tallied: bool) -> np.ndarray:
    """Return valence, arousal or dominance of each clip of an index, ``(clips,)``, NaN if unknown.

    Args:
        tallied: prefer the means of multitask-cnn's authors, for corpora that have them
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

# statistics-svm relabels RAVDESS's calm as neutral and drops its neutral.
CALM_AS_NEUTRAL = LabelSet("calm-as-neutral", CALM_MERGED + _same(*EIGHT[2:]))

# EMO-DB's own.
SEVEN_BORED = LabelSet("seven-bored", _same("neutral", "happy", "sad", "angry", "fearful", "disgust", "bored"))

# CREMA-D's own; yousefkotp's networks. Other corpora lose surprised.
SIX = LabelSet("six", CALM_MERGED + _same("neutral", "happy", "sad", "angry", "fearful", "disgust"))

# The same emotions by majority vote of CREMA-D's listeners; ties are dropped.
SIX_PERCEIVED = OtherLabelSet(
    "six-perceived", _same("neutral", "happy", "sad", "angry", "fearful", "disgust"), "perceived"
)

# multitask-cnn: IEMOCAP's eight most frequent emotions, by the authors' count of the votes (including the actors' own;
# ties go to the first vote; turns without agreement are kept) or by the official label. Corpora without votes have one
# label.
_MULTITASK = _same("neutral", "happy", "excited", "sad", "angry", "frustrated", "fearful", "surprised")
MULTITASK_EIGHT_OFFICIAL = LabelSet("multitask-eight-official", _MULTITASK)
MULTITASK_EIGHT = PreferredLabelSet("multitask-eight", _MULTITASK, "tally", otherwise=MULTITASK_EIGHT_OFFICIAL)

# multitask-cnn on RAVDESS: calm and disgust are dropped.
MULTITASK_SIX = LabelSet("multitask-six", _same("neutral", "happy", "sad", "angry", "fearful", "surprised"))

# The usual four of IEMOCAP with excited merged into happy; five with excited as a class of its own.
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
