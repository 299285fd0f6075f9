"""An experiment is one system on one corpus under one protocol, with one fold and one seed; its folder is a digest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from sernb.audio.augmentation import View
from sernb.config import digest, plain, work_folder
from sernb.corpora.pool import Pool
from sernb.features import VERSION as FEATURES_VERSION
from sernb.protocols.folds import Fold
from sernb.protocols.labels import LabelSet
from sernb.protocols.protocol import Protocol, get_protocol
from sernb.runs.run_folder import sibling
from sernb.runtime.environment import backend
from sernb.runtime.locks import lock_path
from sernb.systems.base import System


@dataclass(frozen=True)
class Added:
    """Copies of all clips of one emotion that are treated as additional clips, in training and test parts alike."""

    emotion: str
    view: View  # transform that makes the copies

    def to(self, clips: pd.DataFrame) -> pd.DataFrame:
        """Return the clips followed by their copies, with the source clip of each in the column ``origin``."""
        copied = clips[clips.emotion == self.emotion]
        copies = copied.assign(clip=[self.name_of(clip) for clip in copied["clip"]], origin=copied["clip"])
        return pd.concat([clips.assign(origin=clips["clip"]), copies], ignore_index=True)

    def name_of(self, clip: str) -> str:
        """Return the name of the copy of a clip."""
        return f"{clip} ({self.view.name})"


@dataclass(frozen=True)
class Experiment:
    """The specification of one run; equal experiments have the same folder and are run once."""

    system: System
    corpus: Pool
    protocol: Protocol
    fold: Fold
    folds: int  # number of folds of the protocol on this corpus
    seed: int
    settings: object
    times_trained: tuple[int, ...]
    labels: LabelSet
    views: tuple[View, ...]  # TTA views of the test clips, the original recording first
    training_views: tuple[View, ...] = ()  # augmented copies of the training clips
    sampling: str = "natural"
    train_on: str = ""  # conditions on training and validation clips, such as "gender=female"
    test_on: str = ""  # conditions on test clips, such as "corpus=tess"
    train_clips: int | None = None  # size of a stratified sample of the training clips
    added: Added | None = None  # copies treated as additional clips

    @cached_property
    def config(self) -> dict:
        """All settings that determine the result, as JSON, without unused options."""
        options = {
            "training_views": plain(self.training_views),
            "sampling": self.sampling if self.sampling != "natural" else None,
            "train_on": self.train_on,
            "test_on": self.test_on,
            "train_clips": self.train_clips,
            "added": plain(self.added),
            "members": {each.system.name: plain(each.system.features) for each in self.members},
            "member_recipes": {each.system.name: each.system.recipe for each in self.members},
            "backend": backend() if self.system.uses_keras else None,
        }
        return {
            "system": self.system.name,
            "recipe": self.system.recipe,
            "settings": plain(self.settings),
            "features": plain(self.system.features),
            "features_version": FEATURES_VERSION,
            "labels": plain(self.labels),
            "views": plain(self.views),
            "corpus": self.corpus.name,
            "recordings": self.corpus.recordings,
            "protocol": self.protocol.name,
            "fold": self.fold.number,
            "folds": self.folds,
            "clips": digest(self.fold.train, self.fold.validation, self.fold.test),
            "seed": self.seed,
        } | {name: option for name, option in options.items() if option}

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The clips with a class in the label set, which is in the column ``truth``."""
        clips = label_clips(self.corpus, self.labels)
        return self.added.to(clips) if self.added else clips

    @property
    def dropped(self) -> dict[str, int]:
        """Number of clips dropped by the label set, by emotion; "" counts clips without an emotion."""
        return self.labels.dropped(self.corpus.index)

    @cached_property
    def folder(self) -> Path:
        """The folder of the run."""
        name = f"fold-{self.fold.number}-seed-{self.seed}-{digest(self.config)}"
        return work_folder() / "runs" / self.corpus.folder / self.system.name / self.protocol.name / name

    @property
    def is_finished(self) -> bool:
        """Whether the run is there; reading it verifies it."""
        return (self.folder / "metrics.json").exists()

    @property
    def checkpoint(self) -> Path:
        """The folder with the state of an unfinished training."""
        return sibling(self.folder, "training")

    @property
    def failure(self) -> Path:
        """The file with the reason of a failed run, until it is tried again."""
        return sibling(self.folder, "failed")

    @property
    def lock(self) -> Path:
        """The lock file held by the process that executes the run."""
        return lock_path(self.folder, self.folder.parents[4])

    @property
    def units(self) -> int:
        """Number of epochs for the progress bar; for an ensemble, the sum over its members."""
        return sum(member.units for member in self.members) if self.members else getattr(self.settings, "epochs", 0)

    @cached_property
    def members(self) -> tuple["Experiment", ...]:
        """The same experiment with each member of an ensemble; empty for other systems.

        If scores are normalised by speaker instead of features, it is the experiment without normalisation.
        """
        if self.protocol.transductive and self.system.normalised == "scores":
            return (replace(self, protocol=get_protocol("speaker-independent")),)
        given = self.training_views != self.system.training_views  # then for all members; else each has its own
        return tuple(
            replace(
                self,
                system=each,
                settings=getattr(self.settings, each.settings_field),
                training_views=self.training_views if given else each.training_views,
            )
            for each in self.system.members
        )

    @property
    def parts(self) -> tuple["Experiment", ...]:
        """This experiment, its members, and theirs."""
        return (self, *(part for member in self.members for part in member.parts))

    @property
    def trained(self) -> tuple["Experiment", ...]:
        """Those of its parts that train."""
        return tuple(part for part in self.parts if not part.members)

    @property
    def training_clips(self) -> tuple[str, ...]:
        """The clips on which weights are trained."""
        validation = () if self.system.selects_epoch or self.protocol.shares_speakers else self.fold.validation
        copied = self.fold.test if self.protocol.introduced_leak == "augmentation" else ()
        return (*self.fold.train, *validation, *copied)

    @cached_property
    def trained_classes(self) -> tuple[str, ...]:
        """The classes with at least one training clip; the others are ranked last."""
        return find_trained_classes(self, dict(zip(self.clips["clip"], self.clips["truth"], strict=True)))

    @property
    def selects_on_test(self) -> bool:
        """Whether the epoch is selected on the test part, which then is the validation part."""
        return bool(self.fold.validation) and self.fold.validation == self.fold.test

    def __str__(self) -> str:
        """Return a short name for progress lines."""
        return f"{self.system.name} · {self.corpus.name} · {self.protocol.name} · fold {self.fold.number}"


class Plan(list[Experiment]):
    """The experiments of a study."""

    left_out: tuple[str, ...] = ()  # one sentence for each requested experiment that the recordings do not allow


def find_trained_classes(experiment: Experiment, truth: Mapping[str, str]) -> tuple[str, ...]:
    """Return the classes with at least one training clip; for numeric targets, at most two of the training values.

    Args:
        truth: clip → class or number
    """
    values = {truth[clip] for clip in experiment.training_clips}
    if experiment.labels.numeric:
        return tuple(f"{value:g}" for value in sorted(values)[:2])  # two different values suffice for training
    return tuple(name for name in experiment.labels.classes if name in values)


def label_clips(corpus: Pool, labels: LabelSet) -> pd.DataFrame:
    """Return the clips with a class or number in a label set, which is in the column ``truth``."""
    index = corpus.index
    return index.assign(truth=labels.truths_of(index)).dropna(subset="truth").reset_index(drop=True)
