"""Leak audit: test clips that training, validation or fitted statistics have already seen, by name and by sound."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.corpora.own import LABELS
from sernb.splits import (
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
    Fold,
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
    alike: "Alike | None" = None,
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
    alike: "Alike | None" = None,
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


# -- Sound -- #

FRAMES = 150  # of 10 ms, in each picture
FALLING_OFF = 40.0  # dB under the loudest cell; what is quieter counts as silence, as padding does
STEP = 6  # frames between which change is measured
BLOCK = 1024  # clips compared at once
COORDINATES = 128
ROUNDING = 0.002  # of half precision in unit vectors

# On RAVDESS two recordings agree to 0.91 at most (takes by one actor; 0.82 between actors), while copies of 150 clips
# at another level, through MP3, shifted by up to 100 ms, trimmed or padded with silence, or with noise at 30 dB agree
# to 0.955 or more. Copies that were clipped hard (0.89) or went down to 8 kHz and back (0.83) can be missed.
NEAR = 0.93


def fingerprint(log_mel: np.ndarray) -> np.ndarray:
    """Return three pictures of how the sound of a clip changes, which its copies share whatever their level and start.

    They begin by the onset, and lie around the loudest moment and the middle of the energy: one that a copy has moved
    is made up for by the others.

    Args:
        log_mel: decibels, shape ``(any frames, bands)``, 10 ms a frame, an even number of bands

    Returns:
        unit vectors, shape ``(3, values)``, float16; the product of two is the correlation of their pictures
    """
    from scipy.ndimage import uniform_filter1d

    pairs = log_mel.reshape(len(log_mel), -1, 2).mean(axis=2)
    smooth = uniform_filter1d(pairs, 3, axis=0, mode="nearest")
    heard = np.maximum(smooth - (smooth.max() - FALLING_OFF), 0)
    loudness = uniform_filter1d(heard.sum(axis=1), 15, mode="constant")
    onset = int(np.argmax(loudness > 0.2 * loudness.max()))
    middle = int(np.searchsorted(np.cumsum(heard.sum(axis=1)), heard.sum() / 2))
    # Change inside the clip alone: that a recording begins and ends abruptly, as noisy ones do, makes no two alike.
    change = np.pad(heard[STEP:] - heard[:-STEP], ((FRAMES, FRAMES + STEP), (0, 0)))
    starts = (onset - 10, int(loudness.argmax()) - FRAMES // 2, middle - FRAMES // 2)
    return np.stack([_picture(change[FRAMES + start :][:FRAMES:3]) for start in starts])


def _picture(change: np.ndarray) -> np.ndarray:
    return (change / max(np.linalg.norm(change), 1e-12)).astype(np.float16).ravel()


@dataclass(frozen=True)
class Alike:
    """Which recordings sound alike."""

    recording: Mapping[str, int]  # its number, by clip; byte-identical clips may share one
    pairs: np.ndarray  # numbers of two that sound alike, shape ``(pairs, 2)``

    def near(self, test: Iterable[str], train: Iterable[str]) -> np.ndarray:
        """Return for each test clip whether it sounds like a training clip, or is the same recording."""
        reached = np.zeros(max(self.recording.values(), default=-1) + 1, bool)
        reached[[self.recording[clip] for clip in train if clip in self.recording]] = True
        first, second = self.pairs.T
        of_first, of_second = reached[first], reached[second]  # before either is reached by the other
        reached[second[of_first]] = reached[first[of_second]] = True
        return np.array([clip in self.recording and reached[self.recording[clip]] for clip in test], bool)

    def pairs_between(self, test: Iterable[str], train: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Return a test and a training clip for each pair of their recordings that sound alike or are the same."""
        of_test, of_train = (
            {self.recording[clip]: clip for clip in part if clip in self.recording} for part in (test, train)
        )
        yield from ((of_test[both], of_train[both]) for both in of_test if both in of_train)
        for first, second in [*self.pairs.tolist(), *self.pairs[:, ::-1].tolist()]:
            if first in of_test and second in of_train:
                yield of_test[first], of_train[second]


def alike_among(pictures: np.ndarray) -> np.ndarray:
    """Return the pairs of recordings that sound alike.

    Compared block by block, so that memory grows with their number, and first by a few coordinates: what lies outside
    these can add the product of what two pictures have there at most. Only pairs that this leaves open are compared in
    full, and no pair is missed. On RAVDESS one in 20,000 is left.

    Args:
        pictures: fingerprints, shape ``(recordings, 3, values)``, of one recording at least; may be memory-mapped

    Returns:
        positions, the first below the second, shape ``(pairs, 2)``
    """
    short = _shortened(pictures)
    found = [np.empty((0, 2), np.int64)]
    for start, other in combinations_with_replacement(range(0, len(pictures), BLOCK), 2):
        blocks = zip(short[:, start : start + BLOCK], short[:, other : other + BLOCK], strict=True)
        bound = np.max([ours @ theirs.T for ours, theirs in blocks], axis=0)
        open_ = np.add(np.argwhere(bound >= NEAR - ROUNDING), (start, other))
        open_ = open_[open_[:, 0] < open_[:, 1]]
        for part in np.array_split(open_, len(open_) // BLOCK + 1):
            ours, theirs = (pictures[part[:, side]].astype(np.float32) for side in (0, 1))
            found.append(part[np.einsum("rpv,rpv->rp", ours, theirs).max(axis=1, initial=0) >= NEAR])
    return np.concatenate(found)


def shared_between(speakers: tuple[str, str], pairs: int, example: tuple[str, str], *, own: bool) -> str:
    """Return what is wrong with two speakers who share recordings, and what to do; `check` and experiments say it.

    Args:
        speakers: as their table of labels names them
        pairs: of recordings that sound alike, at least one
        example: one of them
        own: the speakers stand in a table of labels that its user can correct
    """
    advice = "take a protocol that shares speakers, such as random"
    if own:
        advice = (
            f"give both one speaker in {LABELS} if they are one person, else take the lines of one of each pair out"
        )
    return (
        f"speakers {' and '.join(speakers)} share {pairs} recording(s) by sound, such as {' and '.join(example)}: to "
        f"test one of them would be no test of an unknown speaker; {advice}"
    )


def _shortened(pictures: np.ndarray) -> np.ndarray:
    """Return each picture in the ``COORDINATES`` that say most of all, and the length of the rest; picture first.

    Of a block alone they come as they are: to find the coordinates would take longer than to compare them.
    """
    if len(pictures) <= BLOCK:
        return pictures.astype(np.float32).transpose(1, 0, 2)
    sample = np.concatenate(pictures[:: len(pictures) // BLOCK + 1].astype(np.float32))
    axes = np.linalg.eigh(sample.T @ sample)[1][:, -COORDINATES:]
    blocks = []
    for start in range(0, len(pictures), BLOCK):
        kept = pictures[start : start + BLOCK].astype(np.float32) @ axes
        rest = np.sqrt(np.maximum(0, 1 - np.square(kept).sum(axis=2, keepdims=True)))
        blocks.append(np.concatenate([kept, rest], axis=2))
    return np.concatenate(blocks).transpose(1, 0, 2)
