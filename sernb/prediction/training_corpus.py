"""The clips that a final model is made from: their features and copies as a system reads them, and its folds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, View
from sernb.audio.decoders import Hertz
from sernb.audio.reading import load
from sernb.config import Infeasible
from sernb.corpora.pool import Pool, find_recordings
from sernb.corpora.preparation import prepare
from sernb.features import Features, Joined
from sernb.runs.experiment import Plan
from sernb.runs.planning import plan
from sernb.systems.base import System

PROTOCOL, BY_CLIP = "speaker-independent", "random"  # the second where there is one speaker
MOST_SENTENCES = 4  # groups of sentences; each is a training more


@dataclass(frozen=True)
class Corpus:
    """The clips that a model is made from, and their features as a system reads them."""

    system: System
    pool: Pool
    classes: tuple[str, ...]
    clips: pd.DataFrame  # with the class in ``truth``
    rows: np.ndarray  # (clips, values)
    copies: tuple[np.ndarray, ...]  # the same of each of the system's training views
    folds: tuple[np.ndarray, ...]  # which clips are tested, (clips,) of booleans; each clip once

    @cached_property
    def truth(self) -> np.ndarray:
        """Class numbers."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    @cached_property
    def speakers(self) -> np.ndarray:
        """Who speaks."""
        return self.clips.speaker.to_numpy(str)

    @cached_property
    def fold_of(self) -> np.ndarray:
        """The number of the fold that tests each clip."""
        return np.argmax(np.stack(self.folds), axis=0)

    @cached_property
    def strangers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Which clips are predicted, and which are trained on, in groups; ``(clips,)`` of booleans each.

        A stranger differs from who trained as far as the corpus allows: another speaker, of the other gender (where
        there is one gender only: of another fold), who says another sentence (where there is more than one). Many
        sentences are taken together in a few groups; a condition that would leave a class without training clips is
        dropped.
        """
        genders = self.clips.gender.fillna("").to_numpy(str)
        groups = [genders == name for name in np.unique(genders)]
        found = []
        for unseen in groups if len(groups) > 1 and all(self._teaches(~each) for each in groups) else self.folds:
            sentences = np.unique(self.sentences)
            for part in np.array_split(sentences, min(len(sentences), MOST_SENTENCES)):
                same = np.isin(self.sentences, part)
                left = ~unseen & ~same
                if (unseen & same).any():
                    found.append((unseen & same, left if self._teaches(left) else ~unseen))
        return found

    def _teaches(self, kept: np.ndarray) -> bool:
        """Return whether every class of the corpus is among some clips."""
        return len(np.unique(self.truth[kept])) == len(np.unique(self.truth))

    @cached_property
    def sentences(self) -> np.ndarray:
        """What is spoken; where it is not known, every clip is a sentence of its own kind: "" for all."""
        return self.clips["sentence"].fillna("").to_numpy(str) if "sentence" in self.clips else np.full(len(self), "")

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def by_speaker(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        """Return the positions of the clips of each speaker among some clips."""
        return {name: np.flatnonzero(mask & (self.speakers == name)) for name in np.unique(self.speakers[mask])}


def read_corpus(system: System, name: str, protocol: str = PROTOCOL) -> Corpus:
    """Read a corpus as a system does, with its copies and the folds of a protocol, by default speaker-independent.

    Raises:
        Infeasible: if a fold of the protocol cannot be done with these recordings
    """
    experiments = plan_all([system.name], name, protocol)
    first = experiments[0]
    clips = first.clips.reset_index(drop=True)
    tables = [read_rows(first.corpus, system, clips["clip"], view) for view in (ORIGINAL, *system.training_views)]
    folds = tuple(clips["clip"].isin(experiment.fold.test).to_numpy() for experiment in experiments)
    return Corpus(system, first.corpus, first.labels.classes, clips, tables[0], tuple(tables[1:]), folds)


def plan_all(systems: Sequence[str], name: str, protocol: str, **options: object) -> Plan:
    """Return the folds of a protocol; every clip is tested in one of them.

    Raises:
        Infeasible: if one cannot be done
    """
    experiments = plan(systems, name, [protocol], **options)
    if experiments.left_out:
        raise Infeasible(*experiments.left_out)
    return experiments


def read_rows(pool: Pool, system: System, clips: Sequence[str], view: View = ORIGINAL) -> np.ndarray:
    """Return the features of clips, or of a copy of them, as a model of a system reads them, ``(clips, values)``."""
    tables = [prepare(pool, member.features, view=view, progress=True) for member in members_of(system)]
    return np.stack([np.concatenate([table[clip][0] for table in tables]) for clip in clips])


def read_signals(pool: Pool, clips: Sequence[str], sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield the recordings of clips."""
    files = find_recordings(pool, list(clips))
    return (load(files[clip], sampling_rate) for clip in clips)


def members_of(system: System) -> tuple[System, ...]:
    """Return the systems that are trained: those that it joins, or itself."""
    return system.members or (system,)


def features_of(system: System) -> Features:
    """Return what a model of a system reads: the features of its members side by side."""
    features = tuple(member.features for member in members_of(system))
    return Joined(features) if system.members else features[0]
