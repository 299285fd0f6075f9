"""Experiments: a system on a corpus under a protocol, one fold, one seed; how they are planned, where each run lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.augment import ORIGINAL, View
from sernb.config import PROFILES, DataError, Infeasible, digest, plain, work_folder
from sernb.environment import backend
from sernb.feasibility import LeftOut, refuse_infeasible, sentences, why_not, without
from sernb.features import VERSION as FEATURES_VERSION
from sernb.labels import LabelSet, label_set_named
from sernb.locks import lock_of
from sernb.pools import Pool, matching, pool_named
from sernb.run_folder import beside
from sernb.splits import Fold, Protocol, folds_of, protocol_named
from sernb.systems import System, system_named

QUICK_FOLDS = 2
SAMPLINGS = ("natural", "balanced")
OPTIONS = ("labels", "sampling", "train_on", "test_on", "train_clips")  # of :func:`plan`, for commands


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
        clips = labelled(self.corpus, self.labels)
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
        return beside(self.folder, "training")

    @property
    def failure(self) -> Path:
        """Where a failed run says why, until it is tried again."""
        return beside(self.folder, "failed")

    @property
    def lock(self) -> Path:
        """What a process holds while it does the run."""
        return lock_of(self.folder, self.folder.parents[4])

    @property
    def units(self) -> int:
        """Epochs to train, for the progress bar: those of all members where it joins some."""
        return sum(member.units for member in self.members) if self.members else getattr(self.settings, "epochs", 0)

    @cached_property
    def members(self) -> tuple["Experiment", ...]:
        """The same with each system whose scores this one joins; none for others."""
        systems = self.system.members
        return tuple(replace(self, system=each, settings=getattr(self.settings, each.place)) for each in systems)

    @property
    def trained(self) -> tuple[str, ...]:
        """The clips that weights are learned from."""
        validation = () if self.system.chooses_epoch or self.protocol.shares_speakers else self.fold.validation
        copied = self.fold.test if self.protocol.planted == "augmentation" else ()
        return (*self.fold.train, *validation, *copied)

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The classes that some clip of the training has; the others are ranked last."""
        return _classes_of(self, dict(zip(self.clips["clip"], self.clips["truth"], strict=True)))

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


def plan(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str],
    *,
    profile: str = "full",
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    labels: str | LabelSet | None = None,
    views: Sequence[View] | None = None,
    training_views: Sequence[View] | None = None,
    sampling: str = "natural",
    train_on: str = "",
    test_on: str = "",
    train_clips: int | None = None,
    added: Added | None = None,
    data: str | Path | None = None,
) -> Plan:
    """List the experiments of a study; what the recordings do not allow is left out, with a sentence that says so.

    Args:
        corpus: an expression, see :mod:`sernb.pools`
        profile: ``full``, or ``quick``: fewer epochs and the first two folds of each protocol
        folds: numbers to take, instead of the profile's choice
        labels: a label set or its name, instead of each system's own
        views: test views, instead of each system's own; the recording itself always comes first
        training_views: copies of training clips, instead of each system's own
        sampling: ``natural``, or ``balanced``: each corpus of a pool with equally many training clips, together as
            many as before (a larger one loses clips at random, a smaller one is repeated in whole passes and a
            random rest)
        train_on: conditions that training and validation clips fulfil, such as ``gender=female``
        test_on: conditions that test clips fulfil, such as ``corpus=tess``; a fold without any is left out
        train_clips: take so many training clips of each fold at random, each class with its share
        added: copies of clips that count as clips, as in the noise sets of system 000; no other test view is heard
        data: the folder of the recordings, for corpora that are narrowed to ``available``

    Raises:
        DataError: if a name or a fold number is unknown, or an option cannot be
        Infeasible: if the recordings allow none of the experiments; a sentence for each reason
    """
    if profile not in PROFILES:
        raise DataError(f"no profile is named {profile!r}; known: {', '.join(PROFILES)}")
    if sampling not in SAMPLINGS:
        raise DataError(f"no sampling is named {sampling!r}; known: {', '.join(SAMPLINGS)}")
    pool = pool_named(corpus, data)
    given = label_set_named(labels) if isinstance(labels, str) else labels
    planned, left_out = Plan(), []
    for name in protocols:
        for system in map(system_named, systems):
            for seed in seeds:
                seen = () if added else tuple(system.views if views is None else views)
                protocol, labels = protocol_named(name), given or system.labels
                try:
                    template = Experiment(
                        system,
                        pool,
                        protocol,
                        Fold(0, (), (), ()),
                        0,
                        seed,
                        system.settings_for(profile),
                        (),
                        labels=labels.within(pool.index),
                        views=(ORIGINAL, *(view for view in seen if view != ORIGINAL)),
                        training_views=tuple(system.training_views if training_views is None else training_views),
                        sampling=sampling,
                        train_on=train_on.replace(" ", ""),
                        test_on=test_on.replace(" ", ""),
                        train_clips=train_clips,
                        added=added,
                    )
                    possible, reasons = _folds(template, folds)
                except Infeasible as error:
                    possible, reasons = [], error.args
                left_out += [LeftOut(system.name, labels.name, protocol.name, reason) for reason in reasons]
                planned += possible[:QUICK_FOLDS] if profile == "quick" and folds is None else possible
    planned.left_out = sentences(left_out)
    if not planned and left_out:
        raise Infeasible(*planned.left_out)
    return planned


def _folds(template: Experiment, wanted: Sequence[int] | None) -> tuple[list[Experiment], list[str]]:
    """Return one experiment for each wanted fold, alike in all else, and what to say of folds that cannot be done."""
    refuse_infeasible(template)
    system, protocol, clips = template.system, template.protocol, template.clips
    folds = folds_of(
        clips,
        template.corpus,
        protocol,
        published=system.published_split,
        seed=template.seed,
        tests_choose=system.tests_choose,
    )
    folds = _tested(folds, template)
    wanted = {fold.number for fold in folds} if wanted is None else set(wanted)
    if unknown := sorted(wanted - {fold.number for fold in folds}):
        raise DataError(f"{system.name} under {protocol.name} has no fold {unknown[0]}; it has 0 to {len(folds) - 1}")
    times, truth = pd.Series(0, clips["clip"]), dict(zip(clips["clip"], clips["truth"], strict=True))
    experiments, reasons = [], {}
    # Only what the authors did carries anything from one fold to the next.
    carries = protocol.split == "published"
    for fold in folds if carries else [fold for fold in folds if fold.number in wanted]:
        narrowed = _narrowed(fold, template)
        times[list(narrowed.train)] += 1
        if fold.number not in wanted:
            continue
        seen = times[list(narrowed.train)].tolist() if carries else [1] * len(narrowed.train)
        experiment = replace(template, fold=narrowed, folds=len(folds), times_trained=tuple(seen))
        if reason := why_not(experiment, _classes_of(experiment, truth)):
            reasons[fold.number] = reason
        else:
            experiments.append(experiment)
    return experiments, without(reasons, len(folds))


def _classes_of(experiment: Experiment, truth: Mapping[str, str]) -> tuple[str, ...]:
    learned = {truth[clip] for clip in experiment.trained}
    return tuple(name for name in experiment.labels.classes if name in learned)


def _tested(folds: Sequence[Fold], template: Experiment) -> list[Fold]:
    """Return the folds with the test part that ``test_on`` asks for, where it has any clip."""
    if not template.test_on:
        return list(folds)
    fulfilled = matching(template.clips, template.test_on, where="test_on")
    wanted = set(template.clips["clip"][fulfilled])
    tested = []
    for fold in folds:
        test = tuple(clip for clip in fold.test if clip in wanted)
        validation = test if fold.validation == fold.test else fold.validation
        tested += [replace(fold, test=test, validation=validation)] if test else []
    if not tested:
        raise DataError(f"{template.corpus.name}: no clip fulfils {template.test_on}, which test_on asks for")
    return tested


def _narrowed(fold: Fold, template: Experiment) -> Fold:
    """Return the fold with the training part that the options ask for; the test part is what it was."""
    clips, rng = template.clips.set_index("clip", drop=False), np.random.default_rng([template.seed, fold.number])
    train, validation = clips.loc[list(fold.train)], clips.loc[list(fold.validation)]
    if template.train_on:
        fulfilled = matching(clips, template.train_on, where="train_on")
        train = train[fulfilled[train.index]]
        if fold.validation != fold.test:
            validation = validation[fulfilled[validation.index]]
    if train.empty:  # such a fold is left out
        return replace(fold, train=(), validation=tuple(validation.index))
    if template.sampling == "balanced":
        train = train.loc[_balanced(train, rng)]
    if template.train_clips is not None:
        train = _some_of(train, template.train_clips, rng)
    return replace(fold, train=tuple(train.index), validation=tuple(validation.index))


def _balanced(train: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Return equally many clips of each corpus: whole passes over its clips, then a random rest."""
    parts = [names.to_numpy() for _, names in train.groupby("corpus", sort=False)["clip"]]
    share = len(train) // len(parts)
    drawn = [[*np.tile(names, share // len(names)), *_drawn(names, share % len(names), rng)] for names in parts]
    return [str(name) for names in drawn for name in names]


def _drawn(names: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return names[np.sort(rng.choice(len(names), count, replace=False))]


def _some_of(train: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    from sklearn.utils import resample

    if not 0 < count <= len(train):
        raise DataError(f"train_clips: {count} of {len(train)} training clips; give 1 to {len(train)}")
    rows = resample(
        np.arange(len(train)),
        replace=False,
        n_samples=count,
        stratify=train.truth,
        random_state=int(rng.integers(2**31)),
    )
    return train.iloc[np.sort(rows)]


def labelled(corpus: Pool, labels: LabelSet) -> pd.DataFrame:
    """Return the clips that a label set keeps, with their class in the column ``truth``."""
    index = corpus.index
    return index.assign(truth=labels.truths_of(index)).dropna(subset="truth").reset_index(drop=True)
