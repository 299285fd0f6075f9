"""The record of a system, and the interface for fitting it: tasks, examples and fitted systems."""

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
from sernb.systems.splits import ten_folds

if TYPE_CHECKING:
    import pandas as pd


RANDOM = "random 10-fold"  # name, in tables, of the published split of systems without publication
REDUCED = "narrow"  # suffix of the variant that represents a system on small computers


class LazyArrays(Sequence):
    """Arrays that are read at each access, so that they need not fit into memory together."""

    def __init__(self, readers: Iterable[Callable[[], np.ndarray]]):
        self.readers = tuple(readers)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self.readers)

    def __getitem__(self, which: int | slice) -> "np.ndarray | LazyArrays":
        """Return an array, or lazy arrays for a slice."""
        return LazyArrays(self.readers[which]) if isinstance(which, slice) else self.readers[which]()

    def __add__(self, other: "LazyArrays") -> "LazyArrays":
        """Return the concatenation."""
        return LazyArrays(self.readers + other.readers)


@dataclass(frozen=True)
class Examples:
    """The clips of one part of a fold, with features and labels."""

    features: Sequence[np.ndarray]  # one array (frames, width) per clip; lazy in a run
    truth: np.ndarray  # class numbers, or the values of a numeric target
    clips: "pd.DataFrame"  # rows of the index, in the same order

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.truth)

    def __getitem__(self, which: slice) -> "Examples":
        """Return some of the clips."""
        return Examples(self.features[which], self.truth[which], self.clips[which].reset_index(drop=True))

    def __add__(self, other: "Examples") -> "Examples":
        """Return the concatenation."""
        import pandas as pd

        clips = pd.concat([self.clips, other.clips], ignore_index=True)
        return Examples(self.features + other.features, np.concatenate([self.truth, other.truth]), clips)

    @property
    def speakers(self) -> np.ndarray:
        """The speaker of each clip."""
        return self.clips.speaker.to_numpy()

    @property
    def genders(self) -> np.ndarray:
        """The gender of each clip's speaker."""
        return self.clips.gender.to_numpy()


@dataclass(frozen=True)
class Task:
    """The input of a system in one fold, without test clips, unless the authors selected on the test part."""

    train: Examples
    validation: Examples  # empty if the protocol has none
    classes: tuple[str, ...]
    speaker_independent: bool  # whether inner folds must be speaker-disjoint, too
    times_trained: np.ndarray  # for each training clip, the number of folds up to this one in which it trains
    seed: int
    checkpoint: Path | None = None  # folder for the state of an interrupted training
    copies: tuple[Examples, ...] = ()  # augmented copies of the training clips, one part per training view
    statistics: Examples | None = None  # clips for normalisation statistics, labels unused; None: training clips
    features: Features | None = None

    @property
    def training_examples(self) -> Examples:
        """The training clips and their augmented copies."""
        return sum(self.copies, self.train)

    @property
    def fitting_examples(self) -> Examples:
        """Training examples and, if speaker-independent, validation clips, for selection by inner folds."""
        add_validation = self.speaker_independent and len(self.validation)
        return self.training_examples + self.validation if add_validation else self.training_examples


@dataclass(frozen=True)
class Fitted:
    """A system after training."""

    # Features of clips → probabilities (clips, classes), or values of a numeric target (clips,)
    scores: Callable[[tuple[np.ndarray, ...]], np.ndarray]
    chosen: dict[str, object] = field(default_factory=dict)  # hyperparameters selected in training
    history: tuple[dict[str, float], ...] = ()  # one row per epoch
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    # Features of clips → auxiliary outputs such as gender or valence, by name, (clips,)
    auxiliary_outputs: Callable[[tuple[np.ndarray, ...]], dict[str, np.ndarray]] | None = None


@dataclass(frozen=True)
class PublishedScore:
    """A score reported by the authors, with caveats for comparison."""

    metric: str  # "war", "uar" or "top3"
    value: float
    protocol: str
    caveat: str
    corpus: str = "ravdess"  # corpus or pool of the test clips
    missed_because: str = ""  # verified reason for a different score of our implementation
    labels: str = ""  # the authors' label set, if not that of the system


@dataclass(frozen=True, kw_only=True)
class System:
    """A published or own recipe, from features to scores."""

    name: str
    title: str
    source: str
    description: str
    labels: LabelSet
    features: Features | None  # None: the system ignores the audio
    settings: object  # a frozen dataclass
    quick: dict[str, object] = field(default_factory=dict)  # changes of the settings in the quick profile
    fit: Callable[[object, Task], Fitted] | None  # settings, task; None: an ensemble of its members
    published_split: PublishedSplit = ten_folds  # for our own systems, ten random folds
    published_selection: str  # how epoch or hyperparameters are selected, in words
    selects_on_test: bool = False
    published_on: tuple[str, ...] = ()  # corpora and pools of the authors' tests; empty for our own systems
    views: tuple[View, ...] = (ORIGINAL,)  # for test-time augmentation
    training_views: tuple[View, ...] = ()  # augmented copies of training clips, made after the split
    reported: tuple[PublishedScore, ...] = ()
    selects_epoch: bool = False  # keeps the best epoch on the validation part; otherwise this part trains, too
    network: Callable | None = None  # settings, shape of a clip's features, number of classes → Keras model
    counts_moving_statistics: bool = True  # whether the authors' number of parameters includes those of batch norm
    # Features of clips of different lengths → one input batch; None: all have the same length
    collate: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None
    # Settings and weights of a run → predictor without Keras: features of clips → (clips, classes)
    to_numpy: Callable[[object, dict[str, np.ndarray]], Callable] | None = None
    # Systems of an ensemble, run first; its settings hold theirs by field. Its features are those of the first
    members: tuple["System", ...] = ()
    combine: Callable[[object, list[np.ndarray]], np.ndarray] | None = None  # settings, members' scores → scores
    # Settings, members' scores on validation clips, truth, seed → trained replacement of combine: scores → scores
    fit_combiner: Callable[[object, list[np.ndarray], np.ndarray, int], Callable] | None = None
    variants: tuple["System", ...] = ()  # with one change each; available by name only
    # What speaker normalisation applies to: features, or scores where the input must be as in pretraining
    normalised: str = "features"
    recipe: int = 1  # increased when results change although no setting does: earlier runs are not reused
    member_name: str = ""  # field of its settings in an ensemble, if two members are variants of one system

    def variant(self, end: str, what: str, **changes: object) -> "System":
        """Return a variant of the system.

        The variant ``REDUCED`` keeps the published scores, with a caveat; others have those in ``changes`` only.

        Args:
            end: suffix of the name
            what: the change in words, for the title
            changes: fields of the record; ``reported`` if scores of the variant are published
        """
        kept = self.reported if end == REDUCED else ()
        reported = tuple(dataclasses.replace(each, caveat=f"at full size and length; {each.caveat}") for each in kept)
        identity = {"name": f"{self.name}-{end}", "title": f"{self.title}: {what}", "reported": reported}
        return dataclasses.replace(self, **{**identity, **changes})

    def name_protocol(self, protocol: str, corpora: Iterable[str]) -> str:
        """Return the name of a protocol in tables, which depends on whether the authors published it.

        Args:
            corpora: names of the test corpora, without conditions
        """
        if protocol != "as-published":
            return protocol
        if not self.published_on:
            return RANDOM
        same_corpora = set(corpora) in [set(each.split("+")) for each in self.published_on]
        return "as published" if same_corpora else "authors' protocol, other corpus"

    @property
    def is_network(self) -> bool:
        """Whether its runs store the weights of a network; those of ensembles store none."""
        return self.network is not None and not self.members

    @property
    def uses_keras(self) -> bool:
        """Whether it, or a member, is trained with Keras, so that results depend on the backend."""
        return self.is_network or any(member.uses_keras for member in self.members)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The pretrained encoders that it or its members use."""
        parts = [part for each in self.members or (self,) for part in (each.features, each.settings)]
        encoders = [getattr(part, "encoder", None) for part in parts]
        return tuple(dict.fromkeys(name for name in encoders if name))

    @property
    def settings_field(self) -> str:
        """Field of its settings in the settings of an ensemble: the same for its narrow variant."""
        return self.member_name or self.name.removesuffix(f"-{REDUCED}").replace("-", "_")

    def settings_for(self, profile: str) -> object:
        """Return the settings of the profile ``full`` or ``quick``, which also applies to members."""
        if profile != "quick":
            return self.settings
        members = {each.settings_field: each.settings_for(profile) for each in self.members}
        return dataclasses.replace(self.settings, **self.quick, **members)


def scale_units(units: int, width: float) -> int:
    """Return the units of a layer at a fraction of its published width: at least one.

    Examples:
        >>> scale_units(256, 1 / 8), scale_units(4, 1 / 32)
        (32, 1)
    """
    return max(1, round(width * units))
