"""Inference of sernet in NumPy: predictions in a millisecond from plain arrays, without Keras and pickle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

EPSILON = 1e-3  # of batch normalisation in Keras
SMALLEST_VARIANCE = 1e-4  # of a channel over time


@dataclass(frozen=True)
class Convolution:
    """A convolution along time with folded batch normalisation, and a ReLU."""

    kernel: np.ndarray  # (frames, channels, filters)
    offset: np.ndarray  # (filters,)
    stride: int = 1
    dilation: int = 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Apply the layer to ``(frames, channels)`` with zero padding as in Keras's "same"."""
        reach, frames = (len(self.kernel) - 1) * self.dilation, -(-len(x) // self.stride)
        padding = max(0, (frames - 1) * self.stride + reach + 1 - len(x))
        padded = np.pad(x, ((padding // 2, padding - padding // 2), (0, 0)))
        last = (frames - 1) * self.stride + 1
        output = self.offset
        for position, weights in enumerate(self.kernel):
            start = position * self.dilation
            output = output + padded[start : start + last : self.stride] @ weights
        return np.maximum(output, 0)


@dataclass(frozen=True)
class DilatedNetwork:
    """A trained network of :func:`sernb.systems.sernet.network`."""

    mean: np.ndarray  # of the bands, (bands,)
    deviation: np.ndarray
    first: Convolution
    blocks: tuple[Convolution, ...]
    last: Convolution
    attention: tuple[np.ndarray, ...]  # weights and biases of two dense layers; empty: uniform weights
    output: tuple[np.ndarray, np.ndarray]  # weights and bias of the last dense layer, with folded batch normalisation

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, ``(clips, classes)``, from the features of each clip, ``(frames, bands)``."""
        return np.stack([softmax(self._logits(clip)) for clip in clips])

    def _logits(self, clip: np.ndarray) -> np.ndarray:
        x = ((clip - self.mean) / self.deviation).astype(np.float32)
        x = self.first(np.pad(x, ((0, len(x) % 2), (0, 0))))  # an even number of frames, as in sernet's batches
        for block in self.blocks:
            x = x + block(x)
        x = self.last(x)  # (frames, pooled)
        weight = np.full_like(x, 1 / len(x))
        if self.attention:
            inner, offset, outer, shift = self.attention
            weight = softmax(np.tanh(x @ inner + offset) @ outer + shift)
        mean = (weight * x).sum(axis=0)
        variance = np.maximum((weight * x * x).sum(axis=0) - mean * mean, SMALLEST_VARIANCE)
        kernel, offset = self.output
        return np.concatenate([mean, np.sqrt(variance)]) @ kernel + offset


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax along the first axis; importing that of SciPy is slow."""
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def network_from_arrays(
    weights: Mapping[str, np.ndarray], dilations: Sequence[int], *, attention: bool
) -> DilatedNetwork:
    """Return the network with the weights of a run.

    Args:
        weights: by name, as stored by the run; names begin with their number
        dilations: of the blocks
        attention: whether the pooling has attention weights

    Raises:
        ValueError: if the number of arrays is wrong
    """
    arrays = [weights[name].astype(np.float32) for name in sorted(weights)]
    expected = 2 + 5 * (2 + len(dilations)) + 4 * attention + 4 + 2
    if len(arrays) != expected:
        raise ValueError(f"{expected} arrays are expected, there are {len(arrays)}")
    remaining = iter(arrays)

    def take(count: int) -> list[np.ndarray]:
        return list(islice(remaining, count))

    def convolution(**options: int) -> Convolution:
        kernel, *batch_normalisation = take(5)
        scale, offset = _fold(*batch_normalisation)
        return Convolution(kernel * scale, offset, **options)

    mean, variance = take(2)
    first = convolution(stride=2)
    blocks = tuple(convolution(dilation=dilation) for dilation in dilations)
    last = convolution()
    attention_layers = tuple(take(4)) if attention else ()
    scale, offset = _fold(*take(4))
    kernel, bias = take(2)
    output = (scale[:, None] * kernel, offset @ kernel + bias)
    return DilatedNetwork(mean, np.sqrt(variance + EPSILON), first, blocks, last, attention_layers, output)


def _fold(scale: np.ndarray, offset: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the factor and offset of a trained batch normalisation."""
    factor = scale / np.sqrt(variance + EPSILON)
    return factor, offset - mean * factor
