"""Leak audit: test clips that training, validation or fitted statistics have already seen, by name and by sound."""

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

# Where a split says which clips are segments, the kind ``COPY`` becomes these two.
AUGMENTED = "augmented copy in training"
SEGMENT = "segment of the same recording in training"


@dataclass(frozen=True)
class Leak:
    """One way in which a test part is not new to the training part."""

    kind: str
    count: int  # test clips concerned
    examples: tuple[str, ...]
    allowed: bool  # the protocol shares these by design; the report counts them

    def __str__(self) -> str:
        """Return one line."""
        which = "validation" if self.kind == SHARED_VALIDATION else "test"
        return f"{self.kind}: {self.count} {which} clips ({', '.join(self.examples)}{', …' * (self.count > 3)})"


def audit(
    clips: pd.DataFrame,
    fold: Fold,
    protocol: Protocol,
    *,
    statistics_from: tuple[str, ...] = (),
    alike: "SimilarRecordings | None" = None,
) -> list[Leak]:
    """Look for leaks in a fold of a protocol; see :func:`find_leaks`.

    Returns:
        all leaks; those the protocol does not have by design are not ``allowed``
    """
    return find_leaks(clips, fold, allowed=protocol.by_design, statistics_from=statistics_from, alike=alike)


def find_leaks(
    clips: pd.DataFrame,
    fold: Fold,
    *,
    allowed: Collection[str],
    statistics_from: tuple[str, ...],
    alike: "SimilarRecordings | None" = None,
) -> list[Leak]:
    """Look for test clips that training, validation or fitted statistics have already seen.

    What is not known of a clip (an empty cell, how it sounds) is not compared.

    Args:
        clips: clip, sha256, speaker, emotion, intensity, sentence; a column ``origin`` names the clip that an
            augmented copy or a segment was made from, a column ``segment`` (true or false) tells the two apart
        allowed: kinds that the split has by design
        statistics_from: clips whose values any fitted statistic has seen
        alike: which clips sound alike, to find copies that differ in level, coding, start or end
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
    for kind, made in _made_from(test, others):
        report(kind, made)
    report(SPEAKER, _shares(test, train, "speaker"))
    report(TAKE, _other_take(test, train))
    report(SAME_FILE, _shares(test, others, "sha256"))
    if alike:
        report(SAME_SOUND, alike.near(test.index, others.index))
    if fold.validation:
        chosen_on = table.loc[list(fold.validation)]
        report(CHOICE, test.index.isin(chosen_on.index))
        report(VALIDATION_SPEAKER, _shares(test, chosen_on, "speaker"))
        if VALIDATION_SPEAKER not in allowed:
            report(SHARED_VALIDATION, _shares(chosen_on, train, "speaker"), chosen_on)
    report(STATISTICS, test.index.isin(list(statistics_from)))
    return leaks


def refuse_leaks(leaks: list[Leak], *, where: str, advice: Mapping[str, str] | None = None) -> None:
    """Stop if any leak is not allowed.

    Args:
        advice: the next step by kind of leak, where it is not to correct the split

    Raises:
        DataError: naming the clips
    """
    advice = advice or {}
    refused = [leak for leak in leaks if not leak.allowed]
    if lines := [f"{where}: leak: {leak}; {advice.get(leak.kind, 'correct the split')}" for leak in refused]:
        raise DataError(*lines)


def _roots(table: pd.DataFrame) -> pd.Series:
    """The recording each clip comes from in the end: a copy of a segment comes from what the segment was cut from."""
    origin = dict(zip(table.index, table["origin"], strict=True)) if "origin" in table else {}
    roots = []
    for clip in table.index:
        root, passed = clip, {clip}
        while (older := origin.get(root) or root) != root:
            if older in passed:
                raise DataError(f"clip {clip}: its origin was made from it; name the recording that both come from")
            passed.add(older)
            root = older
        roots.append(root)
    return pd.Series(roots, table.index)


def _made_from(test: pd.DataFrame, train: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    if "segment" not in test:
        yield COPY, test.root.isin(train.root).to_numpy()
        return
    of_segment = test.root.isin(train.root[train.segment]) | (test.segment & test.root.isin(train.root))
    yield AUGMENTED, test.root.isin(train.root[~train.segment]).to_numpy() & ~test.segment.to_numpy()
    yield SEGMENT, of_segment.to_numpy()


def _shares(part: pd.DataFrame, train: pd.DataFrame, column: str) -> np.ndarray:
    return (part[column].isin(train[column]) & (part[column] != "")).to_numpy()


def _other_take(test: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """Whether training holds the same utterance from another recording; copies of the clip itself are none."""
    known = (train[["speaker", "emotion", "sentence"]] != "").all(axis=1)
    recordings = train[known].groupby(UTTERANCE).root.agg(set).to_dict()
    utterances = zip(*(test[column] for column in UTTERANCE), strict=True)
    return np.array(
        [bool(recordings.get(key, set()) - {root}) for key, root in zip(utterances, test.root, strict=True)], bool
    )
