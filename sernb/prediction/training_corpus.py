"""The training corpus of a final model: clips, features, augmented copies and folds."""

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

PROTOCOL, BY_CLIP = "speaker-independent", "random"  # the second if there is one speaker
MOST_SENTENCES = 4  # groups of sentences; each costs one more training


@dataclass(frozen=True)
class Corpus:
    """The training clips of a final model with the features of its system."""

    system: System
    pool: Pool
    classes: tuple[str, ...]
    clips: pd.DataFrame  # with the class in ``truth``
    rows: np.ndarray  # (clips, values)
    copies: tuple[np.ndarray, ...]  # the same for each kind of augmented copy of the system
    folds: tuple[np.ndarray, ...]  # masks of the test clips, (clips,); each clip is tested once

    @cached_property
    def truth(self) -> np.ndarray:
        """Class numbers, ``(clips,)``."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    @cached_property
    def speakers(self) -> np.ndarray:
        """Speakers, ``(clips,)``."""
        return self.clips.speaker.to_numpy(str)

    @cached_property
    def fold_of(self) -> np.ndarray:
        """The fold in which each clip is tested, ``(clips,)``."""
        return np.argmax(np.stack(self.folds), axis=0)

    @cached_property
    def strangers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of test and training masks, ``(clips,)`` each, as different as the corpus allows.

        A *stranger* is a speaker of the other gender (of another fold, if there is one gender) who speaks another
        sentence (if there are several). Many sentences are merged into a few groups; a condition that would leave a
        class without training clips is dropped.
        """
        genders = self.clips.gender.fillna("").to_numpy(str)
        groups = [genders == name for name in np.unique(genders)]
        pairs = []
        for is_unseen in (
            groups if len(groups) > 1 and all(self._has_all_classes(~each) for each in groups) else self.folds
        ):
            sentences = np.unique(self.sentences)
            for part in np.array_split(sentences, min(len(sentences), MOST_SENTENCES)):
                is_same_sentence = np.isin(self.sentences, part)
                is_training = ~is_unseen & ~is_same_sentence
                if (is_unseen & is_same_sentence).any():
                    pairs.append(
                        (
                            is_unseen & is_same_sentence,
                            is_training if self._has_all_classes(is_training) else ~is_unseen,
                        )
                    )
        return pairs

    def _has_all_classes(self, mask: np.ndarray) -> bool:
        """Return whether every class of the corpus occurs among some clips."""
        return len(np.unique(self.truth[mask])) == len(np.unique(self.truth))

    @cached_property
    def sentences(self) -> np.ndarray:
        """Spoken sentences, ``(clips,)``; "" if unknown."""
        return self.clips["sentence"].fillna("").to_numpy(str) if "sentence" in self.clips else np.full(len(self), "")

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def by_speaker(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        """Return the positions of each speaker's clips among the clips of a mask."""
        return {name: np.flatnonzero(mask & (self.speakers == name)) for name in np.unique(self.speakers[mask])}


def read_corpus(system: System, name: str, protocol: str = PROTOCOL) -> Corpus:
    """Read a corpus for a system: features, augmented copies and the folds of a protocol.

    Raises:
        Infeasible: if a fold of the protocol is not possible with these recordings
    """
    experiments = plan_all([system.name], name, protocol)
    first = experiments[0]
    clips = first.clips.reset_index(drop=True)
    tables = [read_rows(first.corpus, system, clips["clip"], view) for view in (ORIGINAL, *system.training_views)]
    folds = tuple(clips["clip"].isin(experiment.fold.test).to_numpy() for experiment in experiments)
    return Corpus(system, first.corpus, first.labels.classes, clips, tables[0], tuple(tables[1:]), folds)


def plan_all(systems: Sequence[str], name: str, protocol: str, **options: object) -> Plan:
    """Return the folds of a protocol, complete: every clip is tested in one of them.

    Raises:
        Infeasible: if a fold is not possible with these recordings
    """
    experiments = plan(systems, name, [protocol], **options)
    if experiments.left_out:
        raise Infeasible(*experiments.left_out)
    return experiments


def read_rows(pool: Pool, system: System, clips: Sequence[str], view: View = ORIGINAL) -> np.ndarray:
    """Return the features of clips, or of augmented copies, for a system, ``(clips, values)``."""
    tables = [prepare(pool, member.features, view=view, progress=True) for member in members_of(system)]
    return np.stack([np.concatenate([table[clip][0] for table in tables]) for clip in clips])


def read_signals(pool: Pool, clips: Sequence[str], sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield the signals of clips, ``(samples,)`` each."""
    files = find_recordings(pool, list(clips))
    return (load(files[clip], sampling_rate) for clip in clips)


def members_of(system: System) -> tuple[System, ...]:
    """Return the systems to train: the members of an ensemble, or the system itself."""
    return system.members or (system,)


def features_of(system: System) -> Features:
    """Return the features that a system uses; of an ensemble, its members' concatenated."""
    features = tuple(member.features for member in members_of(system))
    return Joined(features) if system.members else features[0]
