"""Label sets: which emotions a system tells apart, and what becomes of a corpus's own labels, as data."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

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

    def truths(self, emotions: "pd.Series") -> "pd.Series":
        """Return the class of each clip, missing where the label set drops it."""
        return emotions.map(dict(self.becomes))

    def truths_of(self, index: "pd.DataFrame") -> "pd.Series":
        """Return the class of each clip of an index, missing where the label set drops it.

        Raises:
            DataError: if the index does not have the column that the label set reads
        """
        if self.column not in index:
            raise DataError(
                f"label set {self.name}: reads the column {self.column}, which these corpora do not have; take another"
            )
        return self.truths(index[self.column])

    def within(self, index: "pd.DataFrame") -> "LabelSet":
        """Return the label set without the classes that no clip of an index has: what cannot be learned is no class.

        Raises:
            DataError: as :meth:`truths_of`
            Infeasible: if no class is left
        """
        left = set(self.truths_of(index).dropna())
        if not left:
            raise Infeasible(f"label set {self.name}: drops every clip of these corpora; take another")
        return replace(self, becomes=tuple(pair for pair in self.becomes if pair[1] in left))

    def dropped(self, index: "pd.DataFrame") -> dict[str, int]:
        """Return how many clips of an index the label set drops, by emotion; "" counts those without one."""
        left_out = index[self.column][self.truths_of(index).isna()]
        return {str(emotion): int(count) for emotion, count in left_out.value_counts().items()}


@dataclass(frozen=True)
class OtherLabelSet(LabelSet):
    """A label set that reads another column of the index than ``emotion``, such as what raters perceived."""

    column: str


def _same(*emotions: str) -> tuple[tuple[str, str], ...]:
    return tuple((emotion, emotion) for emotion in emotions)


EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CALM_MERGED = (("calm", "neutral"),)
EXCITED_MERGED = (("excited", "happy"),)

# RAVDESS's own; system 000.
ALL_EIGHT = LabelSet("eight", _same(*EIGHT))

# System 001, on RAVDESS, CREMA-D, TESS and SAVEE.
SEVEN = LabelSet("seven", CALM_MERGED + _same("neutral", *EIGHT[2:]))

# System 004 calls RAVDESS's calm neutral and leaves its neutral out.
CALM_AS_NEUTRAL = LabelSet("calm-as-neutral", CALM_MERGED + _same(*EIGHT[2:]))

# EMO-DB's own.
SEVEN_BORED = LabelSet("seven-bored", _same("neutral", "happy", "sad", "angry", "fearful", "disgust", "bored"))

# CREMA-D's own; system 003. Other corpora lose surprised.
SIX = LabelSet("six", CALM_MERGED + _same("neutral", "happy", "sad", "angry", "fearful", "disgust"))

# The same emotions as most listeners of CREMA-D named them; ties are dropped.
SIX_PERCEIVED = OtherLabelSet(
    "six-perceived", _same("neutral", "happy", "sad", "angry", "fearful", "disgust"), "perceived"
)

# System 002: IEMOCAP's eight most frequent, by its own count of the raters' votes or by the official label.
_MULTITASK = _same("neutral", "happy", "excited", "sad", "angry", "frustrated", "fearful", "surprised")
MULTITASK_EIGHT = OtherLabelSet("multitask-eight", _MULTITASK, "tally")
MULTITASK_EIGHT_OFFICIAL = LabelSet("multitask-eight-official", _MULTITASK)

# What system 002 is tested on in RAVDESS: calm and disgust are dropped.
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


def label_set_named(name: str) -> LabelSet:
    """Return a label set.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in LABEL_SETS:
        raise DataError(f"no label set is named {name!r}; known: {', '.join(LABEL_SETS)}")
    return LABEL_SETS[name]
