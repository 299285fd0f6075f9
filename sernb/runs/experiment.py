"""Experiments: a system on a corpus under a protocol, one fold, one seed; how they are planned, where each run lies."""

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
from sernb.protocols.protocol import Protocol
from sernb.runs.run_folder import sibling
from sernb.runtime.environment import backend
from sernb.runtime.locks import lock_path
from sernb.systems.base import System


@dataclass(frozen=True)
class Added:
    """Copies of all clips of an emotion that count as clips themselves, dealt onto the folds, trained on and tested."""

    emotion: str
    view: View  # of the recordings

    def to(self, clips: pd.DataFrame) -> pd.DataFrame:
        """Return the clips, then the copies; ``origin`` names the recording that each was made from."""
        copied = clips[clips.emotion == self.emotion]
        copies = copied.assign(clip=[self.name_of(clip) for clip in copied["clip"]], origin=copied["clip"])
        return pd.concat([clips.assign(origin=clips["clip"]), copies], ignore_index=True)

    def name_of(self, clip: str) -> str:
        """Return the name of the copy of a clip."""
        return f"{clip} ({self.view.name})"


@dataclass(frozen=True)
class Experiment:
    """What one run is made from; equal experiments have the same folder, and are done once."""

    system: System
    corpus: Pool
    protocol: Protocol
    fold: Fold
    folds: int  # how many the protocol has here
    seed: int
    settings: object
    times_trained: tuple[int, ...]
    labels: LabelSet
    views: tuple[View, ...]  # of the test clips, the recording itself first
    training_views: tuple[View, ...] = ()  # of the training clips, beside the recordings
    sampling: str = "natural"
    train_on: str = ""  # conditions that training and validation clips fulfil, such as "gender=female"
    test_on: str = ""  # conditions that test clips fulfil, such as "corpus=tess"
    train_clips: int | None = None  # so many of the training clips, each class with its share
    added: Added | None = None  # copies that count as clips

    @cached_property
    def config(self) -> dict:
        """Everything that decides the result, as JSON; an option that is not used is not named."""
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
        """The clips that the label set keeps, with their class in ``truth``."""
        clips = label_clips(self.corpus, self.labels)
        return self.added.to(clips) if self.added else clips

    @property
    def dropped(self) -> dict[str, int]:
        """Clips that the label set drops, by emotion; "" counts those without one."""
        return self.labels.dropped(self.corpus.index)

    @cached_property
    def folder(self) -> Path:
        """Where the run lies, or will lie."""
        name = f"fold-{self.fold.number}-seed-{self.seed}-{digest(self.config)}"
        return work_folder() / "runs" / self.corpus.folder / self.system.name / self.protocol.name / name

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training leaves what it needs to go on."""
        return sibling(self.folder, "training")

    @property
    def failure(self) -> Path:
        """Where a failed run says why, until it is tried again."""
        return sibling(self.folder, "failed")

    @property
    def lock(self) -> Path:
        """What a process holds while it does the run."""
        return lock_path(self.folder, self.folder.parents[4])

    @property
    def units(self) -> int:
        """Epochs to train, for the progress bar: those of all members where it joins some."""
        return sum(member.units for member in self.members) if self.members else getattr(self.settings, "epochs", 0)

    @cached_property
    def members(self) -> tuple["Experiment", ...]:
        """The same with each system whose scores this one joins; none for others."""
        given = self.training_views != self.system.training_views  # for all of them; else each has its own
        return tuple(
            replace(
                self,
                system=each,
                settings=getattr(self.settings, each.place),
                training_views=self.training_views if given else each.training_views,
            )
            for each in self.system.members
        )

    @property
    def trained(self) -> tuple[str, ...]:
        """The clips that weights are learned from."""
        validation = () if self.system.chooses_epoch or self.protocol.shares_speakers else self.fold.validation
        copied = self.fold.test if self.protocol.planted == "augmentation" else ()
        return (*self.fold.train, *validation, *copied)

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The classes that some clip of the training has; the others are ranked last."""
        return classes_among(self, dict(zip(self.clips["clip"], self.clips["truth"], strict=True)))

    @property
    def tests_choose(self) -> bool:
        """The test part serves as validation part."""
        return bool(self.fold.validation) and self.fold.validation == self.fold.test

    def __str__(self) -> str:
        """Return a short name for progress lines."""
        return f"{self.system.name} · {self.corpus.name} · {self.protocol.name} · fold {self.fold.number}"


class Plan(list[Experiment]):
    """Experiments to do."""

    left_out: tuple[str, ...] = ()  # what else was asked for and the recordings do not allow, a sentence each


def classes_among(experiment: Experiment, truth: Mapping[str, str]) -> tuple[str, ...]:
    """Return the classes that some training clip of an experiment has, by the truth of each clip; of numbers, two."""
    learned = {truth[clip] for clip in experiment.trained}
    if experiment.labels.numeric:
        return tuple(f"{value:g}" for value in sorted(learned)[:2])  # two are enough to learn from
    return tuple(name for name in experiment.labels.classes if name in learned)


def label_clips(corpus: Pool, labels: LabelSet) -> pd.DataFrame:
    """Return the clips that a label set keeps, with their class, or number, in the column ``truth``."""
    index = corpus.index
    return index.assign(truth=labels.truths_of(index)).dropna(subset="truth").reset_index(drop=True)
