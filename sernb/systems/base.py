"""What a system is: a published recipe as a record, and what it is given and returns when it is fitted."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.augmentation import ORIGINAL, View
from sernb.features import Features
from sernb.protocols.folds import PublishedSplit
from sernb.protocols.labels import LabelSet

if TYPE_CHECKING:
    import pandas as pd


RANDOM = "random 10-fold"  # what tables call the split of systems that nobody published
REDUCED = "narrow"  # ends the name of the variant that stands for a system on small computers


class OnDemand(Sequence):
    """Arrays that are read each time they are asked for: together they may be larger than the memory."""

    def __init__(self, readers: Iterable[Callable[[], np.ndarray]]):
        self.readers = tuple(readers)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self.readers)

    def __getitem__(self, which: int | slice) -> "np.ndarray | OnDemand":
        """Return an array, or some that are still to be read."""
        return OnDemand(self.readers[which]) if isinstance(which, slice) else self.readers[which]()

    def __add__(self, other: "OnDemand") -> "OnDemand":
        """Return these arrays, then the others."""
        return OnDemand(self.readers + other.readers)


@dataclass(frozen=True)
class Examples:
    """The clips of one part of a fold, ready for a system."""

    features: Sequence[np.ndarray]  # one array (frames, width) a clip; in a run they are read on demand
    truth: np.ndarray  # class numbers; of a numeric target its values
    about: "pd.DataFrame"  # rows of the index, in the same order

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.truth)

    def __getitem__(self, which: slice) -> "Examples":
        """Return some of the clips."""
        return Examples(self.features[which], self.truth[which], self.about[which].reset_index(drop=True))

    def __add__(self, other: "Examples") -> "Examples":
        """Return these clips, then the others."""
        import pandas as pd

        about = pd.concat([self.about, other.about], ignore_index=True)
        return Examples(self.features + other.features, np.concatenate([self.truth, other.truth]), about)

    @property
    def speakers(self) -> np.ndarray:
        """The speaker of each clip."""
        return self.about.speaker.to_numpy()

    @property
    def genders(self) -> np.ndarray:
        """The gender of each clip's speaker."""
        return self.about.gender.to_numpy()


@dataclass(frozen=True)
class Task:
    """One fold as a system sees it; never a test clip, unless the authors chose on the test part."""

    train: Examples
    validation: Examples  # empty where the protocol has none
    classes: tuple[str, ...]
    speakers_apart: bool  # inner choices keep speakers apart, too
    times_trained: np.ndarray  # by training clip: in how many folds up to this one it trained
    seed: int
    checkpoint: Path | None = None  # where an unfinished training may leave what it needs to go on
    copies: tuple[Examples, ...] = ()  # the training clips once more in each of the system's training views
    statistics: Examples | None = None  # what scaling is fitted on, labels unseen; None: the training clips
    features: Features | None = None  # of what kind the features are, where a system asks

    @property
    def training_examples(self) -> Examples:
        """The training clips, then their copies."""
        return sum(self.copies, self.train)

    @property
    def fitting_examples(self) -> Examples:
        """Those, and with speakers apart the validation clips: inner folds select, and no epoch is needed."""
        joined = self.speakers_apart and len(self.validation)
        return self.training_examples + self.validation if joined else self.training_examples


@dataclass(frozen=True)
class Fitted:
    """A system after training."""

    # Features of clips → (clips, classes), rows sum to 1; of a numeric target its values, (clips,)
    scores: Callable[[tuple[np.ndarray, ...]], np.ndarray]
    chosen: dict[str, object] = field(default_factory=dict)  # settings that the training chose
    history: tuple[dict[str, float], ...] = ()  # one row an epoch
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    # Auxiliary outputs, such as gender or valence: features → column name → (clips,)
    attributes: Callable[[tuple[np.ndarray, ...]], dict[str, np.ndarray]] | None = None


@dataclass(frozen=True)
class PublishedScore:
    """A figure that the authors report, and what to know when comparing."""

    metric: str  # "war", "uar" or "top3"
    value: float
    protocol: str
    caveat: str
    corpus: str = "ravdess"  # the corpus or pool that was tested
    missed_because: str = ""  # why ours lies elsewhere, as was checked
    labels: str = ""  # the authors' label set, where it is not the system's own


@dataclass(frozen=True)
class System:
    """A recipe, from features to scores."""

    name: str
    title: str
    source: str
    about: str
    labels: LabelSet
    features: Features | None  # None: it ignores the audio
    settings: object  # a frozen dataclass
    quick: dict[str, object]  # what the quick profile changes in it
    fit: Callable[[object, Task], Fitted] | None  # settings, task; None: it joins what its members say
    published_split: PublishedSplit  # of a system of ours: ten random folds
    published_choice: str  # in words: what chose epoch or settings
    tests_choose: bool  # … on the test part
    published_on: tuple[str, ...] = ()  # corpora and pools that its authors tested; none: the system is ours
    views: tuple[View, ...] = (ORIGINAL,)  # for test-time augmentation
    training_views: tuple[View, ...] = ()  # copies of training clips, made after the split, beside the originals
    reported: tuple[PublishedScore, ...] = ()
    chooses_epoch: bool = False  # keeps the epoch that is best on the validation part; else this part trains, too
    network: Callable | None = None  # settings, shape of a clip's features, number of classes → Keras model
    counts_statistics: bool = True  # the authors' parameter count has the moving statistics of batch normalisation
    # Features of clips of different lengths → one batch of input; None: all are equally long
    together: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None
    # Settings and a run's weights → a predictor without Keras: features of clips → (clips, classes)
    light: Callable[[object, dict[str, np.ndarray]], Callable] | None = None
    # Systems whose runs are done first; its settings hold theirs, by place. Its features are those of the first
    members: tuple["System", ...] = ()
    joined: Callable[[object, list[np.ndarray]], np.ndarray] | None = None  # settings, scores of each → scores
    # Settings, the members' scores of validation clips, their truth, seed → what joins instead, scores of each → scores
    joining: Callable[[object, list[np.ndarray], np.ndarray, int], Callable] | None = None
    variants: tuple["System", ...] = ()  # the same with one thing changed; known by name, in no list
    # Raised by hand when results change though no setting does: runs made before are not taken for its own any more
    recipe: int = 1
    seat: str = ""  # the name of its settings in an ensemble, where two members are variants of one system

    def variant(self, end: str, what: str, **changes: object) -> "System":
        """Return the same system with something changed: ``end`` of its name, and in words.

        The authors' figures stay beside the one that is ``REDUCED``, and say of what they are; those of other variants
        are nobody's.

        Args:
            changes: fields of the record; ``reported`` where somebody published figures of the variant
        """
        kept = self.reported if end == REDUCED else ()
        reported = tuple(dataclasses.replace(each, caveat=f"at full size and length; {each.caveat}") for each in kept)
        about = {"name": f"{self.name}-{end}", "title": f"{self.title}: {what}", "reported": reported}
        return dataclasses.replace(self, **{**about, **changes})

    def heading(self, protocol: str, corpora: Iterable[str]) -> str:
        """Return how tables name a protocol: ``as-published`` is so only where somebody published it.

        Args:
            corpora: the names of those that are tested, without conditions
        """
        if protocol != "as-published":
            return protocol
        if not self.published_on:
            return RANDOM
        theirs = set(corpora) in [set(each.split("+")) for each in self.published_on]
        return "as published" if theirs else "authors' protocol, other corpus"

    @property
    def is_network(self) -> bool:
        """Whether its runs keep the weights of a network; those of systems that join others keep none."""
        return self.network is not None and not self.members

    @property
    def uses_keras(self) -> bool:
        """Whether Keras trains it, or a member of it, so that its results depend on the backend."""
        return self.is_network or any(member.uses_keras for member in self.members)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The pretrained encoders that it reads or trains on, or that its members do."""
        held = [part for each in self.members or (self,) for part in (each.features, each.settings)]
        read = [getattr(part, "encoder", None) for part in held]
        return tuple(dict.fromkeys(name for name in read if name))

    @property
    def place(self) -> str:
        """Name of its settings among those of a system that joins it: the same for its narrow variant."""
        return self.seat or self.name.removesuffix(f"-{REDUCED}").replace("-", "_")

    def settings_for(self, profile: str) -> object:
        """Return the settings of the profile ``full`` or ``quick``; the members of a system have the same profile."""
        if profile != "quick":
            return self.settings
        members = {each.place: each.settings_for(profile) for each in self.members}
        return dataclasses.replace(self.settings, **self.quick, **members)


def scale_units(units: int, width: float) -> int:
    """Return how many units a layer has at a share of its published width: at least one.

    Examples:
        >>> scale_units(256, 1 / 8), scale_units(4, 1 / 32)
        (32, 1)
    """
    return max(1, round(width * units))
