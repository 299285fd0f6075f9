"""Acoustic similarity: fingerprints of recordings, and pairs among them that are near-duplicates."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

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
    audible = np.maximum(smooth - (smooth.max() - FALLING_OFF), 0)
    loudness = uniform_filter1d(audible.sum(axis=1), 15, mode="constant")
    onset = int(np.argmax(loudness > 0.2 * loudness.max()))
    middle = int(np.searchsorted(np.cumsum(audible.sum(axis=1)), audible.sum() / 2))
    # Change inside the clip alone: that a recording begins and ends abruptly, as noisy ones do, makes no two alike.
    change = np.pad(audible[STEP:] - audible[:-STEP], ((FRAMES, FRAMES + STEP), (0, 0)))
    starts = (onset - 10, int(loudness.argmax()) - FRAMES // 2, middle - FRAMES // 2)
    return np.stack([_picture(change[FRAMES + start :][:FRAMES:3]) for start in starts])


def _picture(change: np.ndarray) -> np.ndarray:
    return (change / max(np.linalg.norm(change), 1e-12)).astype(np.float16).ravel()


@dataclass(frozen=True)
class SimilarRecordings:
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


def find_similar(pictures: np.ndarray) -> np.ndarray:
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
