"""Acoustic similarity: fingerprints of recordings, and search for near-duplicates."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

FRAMES = 150  # of 10 ms, in each patch
FALLING_OFF = 40.0  # dB below the maximum; anything quieter counts as silence
STEP = 6  # lag of the differences, in frames
BLOCK = 1024  # clips per block of comparisons
COMPONENTS = 128
ROUNDING = 0.002  # error of half precision in unit vectors

# On RAVDESS the correlation of two recordings is at most 0.91 (repetitions by one actor; 0.82 between actors), that of
# 150 clips and their copies (other level, MP3 coding, shift of up to 100 ms, trimmed or padded silence, noise at 30 dB)
# at least 0.955. Copies with hard clipping (0.89) or resampled to 8 kHz and back (0.83) can be missed.
NEAR = 0.93


def fingerprint(log_mel: np.ndarray) -> np.ndarray:
    """Return three spectro-temporal difference patches of a clip, invariant to level and start time.

    They are aligned to the onset, the maximum of loudness and the median of the energy: if one is displaced in a copy,
    the others still match.

    Args:
        log_mel: decibels, shape ``(frames, bands)``, one frame per 10 ms, an even number of bands

    Returns:
        unit vectors, shape ``(3, values)``, float16; the scalar product of two is their correlation
    """
    from scipy.ndimage import uniform_filter1d

    pairs = log_mel.reshape(len(log_mel), -1, 2).mean(axis=2)
    smooth = uniform_filter1d(pairs, 3, axis=0, mode="nearest")
    audible = np.maximum(smooth - (smooth.max() - FALLING_OFF), 0)
    loudness = uniform_filter1d(audible.sum(axis=1), 15, mode="constant")
    onset = int(np.argmax(loudness > 0.2 * loudness.max()))
    middle = int(np.searchsorted(np.cumsum(audible.sum(axis=1)), audible.sum() / 2))
    # Differences within the clip only: the abrupt start and end of noisy recordings would make them similar.
    change = np.pad(audible[STEP:] - audible[:-STEP], ((FRAMES, FRAMES + STEP), (0, 0)))
    starts = (onset - 10, int(loudness.argmax()) - FRAMES // 2, middle - FRAMES // 2)
    return np.stack([_normalise(change[FRAMES + start :][:FRAMES:3]) for start in starts])


def _normalise(change: np.ndarray) -> np.ndarray:
    return (change / max(np.linalg.norm(change), 1e-12)).astype(np.float16).ravel()


@dataclass(frozen=True)
class SimilarRecordings:
    """Near-duplicates among the recordings of some clips."""

    recording: Mapping[str, int]  # clip → number of its recording; byte-identical clips may share one
    pairs: np.ndarray  # numbers of near-duplicate recordings, shape ``(pairs, 2)``

    def near(self, test: Iterable[str], train: Iterable[str]) -> np.ndarray:
        """Return for each test clip whether a training clip is a near-duplicate or the same recording, bool."""
        similar = np.zeros(max(self.recording.values(), default=-1) + 1, bool)
        similar[[self.recording[clip] for clip in train if clip in self.recording]] = True
        first, second = self.pairs.T
        from_first, from_second = similar[first], similar[second]  # before either assignment below
        similar[second[from_first]] = similar[first[from_second]] = True
        return np.array([clip in self.recording and similar[self.recording[clip]] for clip in test], bool)

    def pairs_between(self, test: Iterable[str], train: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield a test and a training clip for each pair of identical or near-duplicate recordings."""
        test_clips, train_clips = (
            {self.recording[clip]: clip for clip in part if clip in self.recording} for part in (test, train)
        )
        yield from ((test_clips[both], train_clips[both]) for both in test_clips if both in train_clips)
        for first, second in [*self.pairs.tolist(), *self.pairs[:, ::-1].tolist()]:
            if first in test_clips and second in train_clips:
                yield test_clips[first], train_clips[second]


def find_similar(patches: np.ndarray) -> np.ndarray:
    """Find all pairs of near-duplicate recordings.

    Memory grows linearly: recordings are compared block by block. A projection to ``COMPONENTS`` dimensions bounds each
    correlation from above (Cauchy-Schwarz inequality for the residuals), so that only pairs above ``NEAR`` (on RAVDESS
    one in 20,000) are compared exactly, and none is missed.

    Args:
        patches: fingerprints, shape ``(recordings, 3, values)``, of one recording at least; may be memory-mapped

    Returns:
        positions, the first below the second, shape ``(pairs, 2)``
    """
    short = _project(patches)
    pairs = [np.empty((0, 2), np.int64)]
    for start, other in combinations_with_replacement(range(0, len(patches), BLOCK), 2):
        blocks = zip(short[:, start : start + BLOCK], short[:, other : other + BLOCK], strict=True)
        bound = np.max([left @ right.T for left, right in blocks], axis=0)
        candidates = np.add(np.argwhere(bound >= NEAR - ROUNDING), (start, other))
        candidates = candidates[candidates[:, 0] < candidates[:, 1]]
        for part in np.array_split(candidates, len(candidates) // BLOCK + 1):
            left, right = (patches[part[:, side]].astype(np.float32) for side in (0, 1))
            pairs.append(part[np.einsum("rpv,rpv->rp", left, right).max(axis=1, initial=0) >= NEAR])
    return np.concatenate(pairs)


def _project(patches: np.ndarray) -> np.ndarray:
    """Return principal components of patches and the norm of the residual, ``(3, recordings, components + 1)``.

    A single block is returned as it is: finding the components would take longer than comparing.
    """
    if len(patches) <= BLOCK:
        return patches.astype(np.float32).transpose(1, 0, 2)
    sample = np.concatenate(patches[:: len(patches) // BLOCK + 1].astype(np.float32))
    axes = np.linalg.eigh(sample.T @ sample)[1][:, -COMPONENTS:]
    blocks = []
    for start in range(0, len(patches), BLOCK):
        projected = patches[start : start + BLOCK].astype(np.float32) @ axes
        residual = np.sqrt(np.maximum(0, 1 - np.square(projected).sum(axis=2, keepdims=True)))
        blocks.append(np.concatenate([projected, residual], axis=2))
    return np.concatenate(blocks).transpose(1, 0, 2)
