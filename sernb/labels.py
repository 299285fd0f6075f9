"""Label sets: which emotions a system tells apart, and what becomes of a corpus's own labels, as data."""

from dataclasses import dataclass

from sernb.corpora import EMOTIONS


@dataclass(frozen=True)
class LabelSet:
    """A named way from a corpus's emotions to the classes of a system; an emotion that is not named is dropped."""

    name: str
    becomes: tuple[tuple[str, str], ...]  # (emotion of the corpus, class)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of ``EMOTIONS``."""
        return tuple(sorted({target for _, target in self.becomes}, key=EMOTIONS.index))

    def truths(self, emotions):
        """Return the class of each clip, missing where the label set drops it."""
        return emotions.map(dict(self.becomes))


EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

ALL_EIGHT = LabelSet("eight", tuple((emotion, emotion) for emotion in EIGHT))

# System 004 calls RAVDESS's calm neutral and leaves its neutral out.
CALM_AS_NEUTRAL = LabelSet(
    "calm-as-neutral",
    (("calm", "neutral"), *((emotion, emotion) for emotion in EIGHT[2:])),
)

LABEL_SETS = {labels.name: labels for labels in (ALL_EIGHT, CALM_AS_NEUTRAL)}
