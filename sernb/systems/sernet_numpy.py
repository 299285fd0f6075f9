"""sernet as plain arrays: it predicts with NumPy alone, in a millisecond, and is kept without pickle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

EPSILON = 1e-3  # of batch normalisation in Keras
SMALLEST_VARIANCE = 1e-4  # of a channel over time


@dataclass(frozen=True)
class Convolution:
    """A convolution along time, its batch normalisation folded into it, and a rectifier."""

    kernel: np.ndarray  # (frames, channels, filters)
    offset: np.ndarray  # (filters,)
    stride: int = 1
    dilation: int = 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what it makes of ``(frames, channels)``: zeros stand before and after, as in Keras's "same"."""
        reach, results = (len(self.kernel) - 1) * self.dilation, -(-len(x) // self.stride)
        padding = max(0, (results - 1) * self.stride + reach + 1 - len(x))
        padded = np.pad(x, ((padding // 2, padding - padding // 2), (0, 0)))
        last = (results - 1) * self.stride + 1
        found = self.offset
        for place, weights in enumerate(self.kernel):
            start = place * self.dilation
            found = found + padded[start : start + last : self.stride] @ weights
        return np.maximum(found, 0)


@dataclass(frozen=True)
class DilatedNetwork:
    """What :func:`sernb.systems.sernet.network` builds, after training."""

    mean: np.ndarray  # of the bands, (bands,)
    deviation: np.ndarray
    first: Convolution
    blocks: tuple[Convolution, ...]
    last: Convolution
    attention: tuple[np.ndarray, ...]  # weights and offsets of two dense layers; empty: all frames weigh alike
    answer: tuple[np.ndarray, np.ndarray]  # of the last dense layer, the batch normalisation before it folded in

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, ``(clips, classes)``, from the features of each clip, ``(frames, bands)``."""
        return np.stack([softmax(self._level(clip)) for clip in clips])

    def _level(self, clip: np.ndarray) -> np.ndarray:
        x = ((clip - self.mean) / self.deviation).astype(np.float32)
        x = self.first(np.pad(x, ((0, len(x) % 2), (0, 0))))  # an even number of frames, as sernet's batches have
        for block in self.blocks:
            x = x + block(x)
        x = self.last(x)  # (frames, pooled)
        weight = np.full_like(x, 1 / len(x))
        if self.attention:
            inner, offset, outer, shift = self.attention
            weight = softmax(np.tanh(x @ inner + offset) @ outer + shift)
        mean = (weight * x).sum(axis=0)
        variance = np.maximum((weight * x * x).sum(axis=0) - mean * mean, SMALLEST_VARIANCE)
        kernel, offset = self.answer
        return np.concatenate([mean, np.sqrt(variance)]) @ kernel + offset


def softmax(level: np.ndarray) -> np.ndarray:
    """Return shares along the first axis that sum to 1."""
    powers = np.exp(level - level.max(axis=0))
    return powers / powers.sum(axis=0)


def network_from_arrays(
    weights: Mapping[str, np.ndarray], dilations: Sequence[int], *, attention: bool
) -> DilatedNetwork:
    """Return the network that the weights of a run make.

    Args:
        weights: as the run keeps them, by name; names begin with their number
        dilations: of the blocks
        attention: whether frames are weighed

    Raises:
        ValueError: if they are not those of such a network
    """
    left = [weights[name].astype(np.float32) for name in sorted(weights)]
    expected = 2 + 5 * (2 + len(dilations)) + 4 * attention + 4 + 2
    if len(left) != expected:
        raise ValueError(f"{expected} arrays are expected, there are {len(left)}")

    def take(count: int) -> list[np.ndarray]:
        taken = left[:count]
        del left[:count]
        return taken

    def convolution(**how: int) -> Convolution:
        kernel, *normalised = take(5)
        scale, offset = _affine(*normalised)
        return Convolution(kernel * scale, offset, **how)

    mean, variance = take(2)
    first = convolution(stride=2)
    blocks = tuple(convolution(dilation=dilation) for dilation in dilations)
    last = convolution()
    weighed = tuple(take(4)) if attention else ()
    scale, offset = _affine(*take(4))
    kernel, shift = take(2)
    answer = (scale[:, None] * kernel, offset @ kernel + shift)
    return DilatedNetwork(mean, np.sqrt(variance + EPSILON), first, blocks, last, weighed, answer)


def _affine(scale: np.ndarray, offset: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the factor and the offset that a trained batch normalisation is."""
    factor = scale / np.sqrt(variance + EPSILON)
    return factor, offset - mean * factor
