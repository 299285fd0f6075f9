"""Protocols: how clips become training, validation and test parts, and the audit that looks for leaks between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.corpora import Corpus, SpeakerFold

# Columns that two takes of one utterance share.
UTTERANCE = ["speaker", "emotion", "intensity", "sentence"]


@dataclass(frozen=True)
class Fold:
    """Names of the clips in each part of one fold; a validation part equal to the test part is no validation."""

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """What a figure means: who is shared between training and test, and which data chose and scaled."""

    name: str
    about: str
    shares_speakers: bool
    statistics: str  # what fits them, in words
    transductive: bool = False  # each speaker's own clips fit the statistics, test clips too, without labels


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "as-published",
            "The split and the choice of epoch or settings that the system's authors used, slips included.",
            shares_speakers=True,
            statistics="as the system's authors",
        ),
        Protocol(
            "speaker-independent",
            "No speaker of the test part is heard in training; other speakers choose epoch and settings.",
            shares_speakers=False,
            statistics="training clips",
        ),
        Protocol(
            "speaker-normalised",
            "As speaker-independent, but every speaker's features are standardised with that speaker's own unlabelled "
            "clips, test speakers included (transductive).",
            shares_speakers=False,
            statistics="each speaker's own clips",
            transductive=True,
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in PROTOCOLS:
        raise DataError(f"no protocol is named {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


# A published split: clips and seed → (train, test) positions per fold.
PublishedSplit = Callable[[pd.DataFrame, int], Iterator[tuple[np.ndarray, np.ndarray]]]


def folds_of(
    clips: pd.DataFrame, corpus: Corpus, protocol: Protocol, *, published: PublishedSplit, seed: int, tests_choose: bool
) -> list[Fold]:
    """Return the folds of a protocol over these clips.

    Args:
        clips: rows of the index that the label set keeps, in order of path
        published: the split of the system's authors, for ``as-published``
        seed: for systems whose authors fixed none
        tests_choose: the authors chose the epoch on the test part: it serves as validation part as well

    Raises:
        DataError: if a part would be empty
    """
    if protocol.shares_speakers:
        names = clips["clip"].to_numpy()
        folds = [
            Fold(number, tuple(names[train]), tuple(names[test]) if tests_choose else (), tuple(names[test]))
            for number, (train, test) in enumerate(published(clips, seed))
        ]
    else:
        folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.speaker_folds)]
    for fold in folds:
        if not fold.train or not fold.test:
            raise DataError(f"{corpus.name}, {protocol.name}, fold {fold.number}: no clips to train on or to test")
    return folds


def _speaker_fold(clips: pd.DataFrame, number: int, fold: SpeakerFold) -> Fold:
    test, validation = clips.speaker.isin(fold.test), clips.speaker.isin(fold.validation)
    parts = (clips["clip"][mask] for mask in (~test & ~validation, validation, test))
    return Fold(number, *(tuple(part) for part in parts))


# -- Leak audit -- #


@dataclass(frozen=True)
class Leak:
    """One way in which a test part is not new to the training part."""

    kind: str
    count: int  # test clips concerned
    examples: tuple[str, ...]
    allowed: bool  # the protocol shares these by design; the report counts them

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.kind}: {self.count} test clips ({', '.join(self.examples)}{', …' * (self.count > 3)})"


def audit(
    clips: pd.DataFrame,
    fold: Fold,
    protocol: Protocol,
    *,
    statistics_from: tuple[str, ...] = (),
    fingerprints: dict[str, np.ndarray] | None = None,
) -> list[Leak]:
    """Look for test clips that training, validation or fitted statistics have already seen.

    Args:
        clips: clip, sha256, speaker, emotion, intensity, sentence; a column ``origin`` names the clip that an
            augmented copy or a segment was made from
        statistics_from: clips whose values any fitted statistic has seen
        fingerprints: one vector a clip, see :func:`fingerprint`; finds copies that differ in level or coding

    Returns:
        all leaks; those the protocol does not have by design are not ``allowed``
    """
    table = clips.set_index("clip")
    origin = table["origin"] if "origin" in table else pd.Series(table.index, table.index)
    train, test = table.loc[list(fold.train)], table.loc[list(fold.test)]
    by_design = protocol.shares_speakers
    leaks = []

    def report(kind: str, mask: np.ndarray, allowed: bool) -> None:
        if names := tuple(test.index[mask]):
            leaks.append(Leak(kind, len(names), names[:3], allowed))

    # The two things no protocol may do: test a training clip, and test what was made from one.
    report("clip also in training", test.index.isin(train.index), allowed=False)
    made_here = origin[test.index].isin(origin[train.index]).to_numpy() & ~test.index.isin(train.index)
    report("copy or segment of a training clip", made_here, allowed=False)
    report("speaker also in training", test.speaker.isin(train.speaker).to_numpy(), by_design)
    report("other take of the same utterance in training", _shares(test, train, UTTERANCE), by_design)
    report("byte-identical sound in training", _shares(test, train, ["sha256"]), by_design)
    if fingerprints is not None:
        report("near-identical sound in training", _near(test, train, fingerprints), by_design)
    if fold.validation:
        chosen_on = table.loc[list(fold.validation)]
        report("test clip chooses the epoch", test.index.isin(chosen_on.index), by_design)
        report("speaker also in validation", test.speaker.isin(chosen_on.speaker).to_numpy(), by_design)
        if not by_design:
            shared = chosen_on.speaker.isin(train.speaker)
            if shared.any():
                names = tuple(chosen_on.index[shared])
                leaks.append(Leak("validation speaker also in training", len(names), names[:3], False))
    report("test clip in fitted statistics", test.index.isin(list(statistics_from)), protocol.transductive)
    return leaks


def refuse_leaks(leaks: list[Leak], *, where: str) -> None:
    """Stop if any leak is not allowed.

    Raises:
        DataError: naming the clips
    """
    if lines := [f"{where}: leak: {leak}; correct the split" for leak in leaks if not leak.allowed]:
        raise DataError(*lines)


def fingerprint(log_mel: np.ndarray, *, frames: int = 48) -> np.ndarray:
    """Return a unit vector that two copies of one recording share, whatever their level.

    Args:
        log_mel: decibels, shape ``(any frames, bands)``

    Returns:
        shape ``(frames * bands,)``; the product of two is the correlation of their log-mel pictures
    """
    at = np.linspace(0, len(log_mel) - 1, frames).round().astype(int)
    picture = log_mel[at].astype(np.float32)
    picture = picture - picture.mean()
    return (picture / max(np.linalg.norm(picture), 1e-12)).ravel()


# On RAVDESS, two takes by one actor correlate at 0.978 at most; copies made louder, quieter or sent through MP3 at
# 0.994 or more (a nearly silent clip: 0.97). Shifted or trimmed copies are not found this way.
NEAR = 0.985


def _near(test: pd.DataFrame, train: pd.DataFrame, fingerprints: dict[str, np.ndarray]) -> np.ndarray:
    test_vectors = np.stack([fingerprints[clip] for clip in test.index])
    train_vectors = np.stack([fingerprints[clip] for clip in train.index])
    return (test_vectors @ train_vectors.T).max(axis=1) >= NEAR


def _shares(test: pd.DataFrame, train: pd.DataFrame, columns: list[str]) -> np.ndarray:
    seen = pd.MultiIndex.from_frame(train[columns])
    return pd.MultiIndex.from_frame(test[columns]).isin(seen)
