"""Leak audit: find test clips already seen in training, validation or normalisation statistics."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.similarity import SimilarRecordings
from sernb.config import DataError
from sernb.protocols.folds import Fold
from sernb.protocols.protocol import (
    CHOICE,
    CLIP,
    COPY,
    SAME_FILE,
    SAME_SOUND,
    SHARED_VALIDATION,
    SPEAKER,
    STATISTICS,
    TAKE,
    UTTERANCE,
    VALIDATION_SPEAKER,
    Protocol,
)

# These replace the kind ``COPY`` if a split says which clips are segments.
AUGMENTED = "augmented copy in training"
SEGMENT = "segment of the same recording in training"


@dataclass(frozen=True)
class Leak:
    """One kind of leak between the parts of a split."""

    kind: str
    count: int  # affected clips
    examples: tuple[str, ...]
    allowed: bool  # whether the protocol has it by design; reports show its count

    def __str__(self) -> str:
        """Return one line."""
        part = "validation" if self.kind == SHARED_VALIDATION else "test"
        return f"{self.kind}: {self.count} {part} clips ({', '.join(self.examples)}{', …' * (self.count > 3)})"


def audit(
    clips: pd.DataFrame,
    fold: Fold,
    protocol: Protocol,
    *,
    statistics_from: tuple[str, ...] = (),
    similar: "SimilarRecordings | None" = None,
) -> list[Leak]:
    """Find the leaks in a fold of a protocol; see :func:`find_leaks`.

    Returns:
        all leaks; those that the protocol has by design are ``allowed``
    """
    return find_leaks(clips, fold, allowed=protocol.by_design, statistics_from=statistics_from, similar=similar)


def find_leaks(
    clips: pd.DataFrame,
    fold: Fold,
    *,
    allowed: Collection[str],
    statistics_from: tuple[str, ...],
    similar: "SimilarRecordings | None" = None,
) -> list[Leak]:
    """Find test clips already seen in training, validation or normalisation statistics.

    Missing metadata (an empty cell, an unavailable recording) is not compared.

    Args:
        clips: clip, sha256, speaker, emotion, intensity, sentence; optional columns are ``origin``, the source clip of
            an augmented copy or a segment, and ``segment`` (true or false), which distinguishes the two
        allowed: kinds that the split has by design
        statistics_from: clips used to fit normalisation statistics
        similar: near-duplicate audio, to find copies that differ in level, encoding, start or end
    """
    table = clips.set_index("clip")
    table["root"] = _roots(table)
    train, test = table.loc[list(fold.train)], table.loc[list(fold.test)]
    others = train[~train.index.isin(test.index)]
    leaks = []

    def report(kind: str, mask: np.ndarray, part: pd.DataFrame = test) -> None:
        if names := tuple(part.index[mask]):
            leaks.append(Leak(kind, len(names), names[:3], kind in allowed))

    report(CLIP, test.index.isin(train.index))
    for kind, mask in _find_copies(test, others):
        report(kind, mask)
    report(SPEAKER, _shares(test, train, "speaker"))
    report(TAKE, _has_repetition(test, train))
    report(SAME_FILE, _shares(test, others, "sha256"))
    if similar:
        report(SAME_SOUND, similar.near(test.index, others.index))
    if fold.validation:
        validation = table.loc[list(fold.validation)]
        report(CHOICE, test.index.isin(validation.index))
        report(VALIDATION_SPEAKER, _shares(test, validation, "speaker"))
        if VALIDATION_SPEAKER not in allowed:
            report(SHARED_VALIDATION, _shares(validation, train, "speaker"), validation)
    report(STATISTICS, test.index.isin(list(statistics_from)))
    return leaks


def refuse_leaks(leaks: list[Leak], *, where: str, advice: Mapping[str, str] | None = None) -> None:
    """Stop if any leak is not allowed.

    Args:
        advice: kind of leak → next step, if it is not to correct the split

    Raises:
        DataError: with the clips
    """
    advice = advice or {}
    refused = [leak for leak in leaks if not leak.allowed]
    if lines := [f"{where}: leak: {leak}; {advice.get(leak.kind, 'correct the split')}" for leak in refused]:
        raise DataError(*lines)


def _roots(table: pd.DataFrame) -> pd.Series:
    """Return the original recording of each clip, following chains of origins such as a copy of a segment."""
    origin = dict(zip(table.index, table["origin"], strict=True)) if "origin" in table else {}
    roots = []
    for clip in table.index:
        root, visited = clip, {clip}
        while (source := origin.get(root) or root) != root:
            if source in visited:
                raise DataError(f"clip {clip}: its origin was made from it; name the recording that both come from")
            visited.add(source)
            root = source
        roots.append(root)
    return pd.Series(roots, table.index)


def _find_copies(test: pd.DataFrame, train: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    if "segment" not in test:
        yield COPY, test.root.isin(train.root).to_numpy()
        return
    of_segment = test.root.isin(train.root[train.segment]) | (test.segment & test.root.isin(train.root))
    yield AUGMENTED, test.root.isin(train.root[~train.segment]).to_numpy() & ~test.segment.to_numpy()
    yield SEGMENT, of_segment.to_numpy()


def _shares(part: pd.DataFrame, train: pd.DataFrame, column: str) -> np.ndarray:
    return (part[column].isin(train[column]) & (part[column] != "")).to_numpy()


def _has_repetition(test: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """Return whether the training part has another recording of the same utterance, not a copy of the clip itself."""
    is_labelled = (train[["speaker", "emotion", "sentence"]] != "").all(axis=1)
    recordings = train[is_labelled].groupby(UTTERANCE).root.agg(set).to_dict()
    utterances = zip(*(test[column] for column in UTTERANCE), strict=True)
    return np.array(
        [bool(recordings.get(key, set()) - {root}) for key, root in zip(utterances, test.root, strict=True)], bool
    )
