"""Whisper's encoder in NumPy, float32: from a signal to the hidden states of all layers, without TensorFlow.

Radford et al. (2023), Robust speech recognition via large-scale weak supervision, arXiv:2212.04356. Written from the
description in that paper. Only real frames are encoded, with the first position encodings; padding to 30 s as in the
published model is an option. Layer 0 is the output of both convolutions plus the position encodings, layer k the output
of block k, the last one after the final normalisation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.filterbank import hann, mel_bands
from sernb.config import DataError

SAMPLING_RATE: Hertz = 16_000
WINDOW, HOP, BANDS = 400, 160, 80  # samples, samples, mel bands
POSITIONS = 1500  # of 20 ms: the longest window, 30 s
SAMPLES = 2 * HOP * POSITIONS
HEAD = 64  # values of an attention head
EPSILON = 1e-5
POWER_FLOOR, RANGE = 1e-10, 8.0  # of the log-mel: minimum power, decades below the maximum


def log_mel(signal: np.ndarray) -> np.ndarray:
    """Return Whisper's input: log10 of mel power, clipped 8 below its maximum, then ``(x + 4) / 4``.

    Args:
        signal: at 16 kHz, ``(samples,)``

    Returns:
        float32, shape ``(frames, 80)``, one frame per 10 ms
    """
    from scipy.fft import rfft

    signal = signal.astype(np.float32, copy=False)
    if len(signal) <= WINDOW // 2:  # too short for reflection
        signal = np.pad(signal, (0, WINDOW // 2 + 1 - len(signal)))
    padded = np.pad(signal, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: max(1, len(signal) // HOP)]
    spectrum = rfft(frames * hann(WINDOW), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) @ mel_bands(SAMPLING_RATE, WINDOW, BANDS)
    level = np.log10(np.maximum(power, POWER_FLOOR))
    return ((np.maximum(level, level.max() - RANGE) + 4) / 4).astype(np.float32)


def split_windows(signal: np.ndarray) -> Iterator[np.ndarray]:
    """Yield windows of 30 s; drop a final window shorter than one position."""
    for start in range(0, max(1, len(signal) - 2 * HOP + 1), SAMPLES):
        yield signal[start : start + SAMPLES]


@dataclass(frozen=True)
class Whisper:
    """The encoder with its weights, whose names are those of CTranslate2 without ``encoder/``."""

    weights: Mapping[str, np.ndarray]
    padded: bool = False  # whether windows are padded to 30 s as in the published model
    sampling_rate: Hertz = SAMPLING_RATE

    def __post_init__(self):
        """Check names and shapes of the weights.

        Raises:
            DataError: with the first variable that is missing or has another shape
        """
        for name, shape in variable_shapes(self.width, self.blocks).items():
            actual = np.shape(self.weights.get(name, ()))
            if actual != shape:
                raise DataError(f"encoder/{name}: shape {shape} is expected, not {actual or 'nothing'}")
            if not np.isfinite(self.weights[name]).all():
                raise DataError(f"encoder/{name}: holds values that are not numbers")

    @cached_property
    def width(self) -> int:
        """Size of a hidden state."""
        return max(HEAD, np.size(self.weights.get("conv1/bias", ())))

    @cached_property
    def blocks(self) -> int:
        """Number of transformer blocks."""
        return len({name.split("/")[0] for name in self.weights if re.match(r"layer_\d+/", name)})

    @property
    def layers(self) -> int:
        """Number of hidden states."""
        return 1 + self.blocks

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each 30 s, float32, ``(layers, positions, width)``, without padding positions."""
        for window in split_windows(signal):
            if self.padded:
                states = self.states(log_mel(np.pad(window, (0, SAMPLES - len(window)))))
                yield states[:, : max(1, -(-len(window) // (2 * HOP)))]
            else:
                yield self.states(log_mel(window))

    def states(self, mel: np.ndarray) -> np.ndarray:
        """Return the hidden states of one log-mel, ``(layers, positions, width)``, with one position per two frames."""
        w = self.weights
        x = gelu(_convolve(mel, w["conv1/weight"], w["conv1/bias"], stride=1))
        x = gelu(_convolve(x, w["conv2/weight"], w["conv2/bias"], stride=2))
        x += w["position_encodings/encodings"][: len(x)]
        states = np.empty((self.layers, *x.shape), x.dtype)
        states[0] = x
        for k in range(self.blocks):
            x += self._attend(f"layer_{k}/self_attention", x)
            x += self._feed_forward(f"layer_{k}/ffn", x)
            states[k + 1] = x
        states[-1] = self._normalise("layer_norm", x)
        return states

    def _attend(self, at: str, x: np.ndarray) -> np.ndarray:
        projected = self._linear(f"{at}/linear_0", self._normalise(f"{at}/layer_norm", x))
        query, key, value = projected.reshape(len(x), 3, -1, HEAD).transpose(1, 2, 0, 3)  # each (heads, positions, 64)
        attention = np.matmul(query * x.dtype.type(HEAD**-0.5), key.transpose(0, 2, 1))  # (heads, positions, positions)
        attention -= attention.max(axis=-1, keepdims=True)
        np.exp(attention, out=attention)
        attention /= attention.sum(axis=-1, keepdims=True)
        return self._linear(f"{at}/linear_1", np.matmul(attention, value).transpose(1, 0, 2).reshape(len(x), -1))

    def _feed_forward(self, at: str, x: np.ndarray) -> np.ndarray:
        inner = gelu(self._linear(f"{at}/linear_0", self._normalise(f"{at}/layer_norm", x)))
        return self._linear(f"{at}/linear_1", inner)

    def _linear(self, at: str, x: np.ndarray) -> np.ndarray:
        y = x @ self.weights[f"{at}/weight"].T
        y += self.weights[f"{at}/bias"]
        return y

    def _normalise(self, at: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        centred /= np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + x.dtype.type(EPSILON))
        centred *= self.weights[f"{at}/gamma"]
        centred += self.weights[f"{at}/beta"]
        return centred


def variable_shapes(width: int, blocks: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every variable of an encoder, by name."""
    dense = {"self_attention": (3 * width, width, width, width), "ffn": (4 * width, width, width, 4 * width)}
    shapes = {
        "conv1/weight": (width, BANDS, 3), "conv1/bias": (width,), "conv2/weight": (width, width, 3),
        "conv2/bias": (width,), "position_encodings/encodings": (POSITIONS, width),
        "layer_norm/gamma": (width,), "layer_norm/beta": (width,),
    }  # fmt: skip
    for at, (out, into, last, inner) in [(f"layer_{k}/{part}", d) for k in range(blocks) for part, d in dense.items()]:
        shapes |= {
            f"{at}/layer_norm/gamma": (width,), f"{at}/layer_norm/beta": (width,),
            f"{at}/linear_0/weight": (out, into), f"{at}/linear_0/bias": (out,),
            f"{at}/linear_1/weight": (last, inner), f"{at}/linear_1/bias": (last,),
        }  # fmt: skip
    return shapes


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, stride: int) -> np.ndarray:
    """Convolve ``(frames, in)`` with ``(out, in, 3)``, padding one zero frame on either side."""
    padded = np.pad(x, ((1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]  # (frames, in, 3)
    y = patches.reshape(len(patches), -1) @ weight.reshape(len(weight), -1).T
    y += bias
    return y


def gelu(x: np.ndarray) -> np.ndarray:
    """Compute the exact GELU, ``x · Φ(x)``, in place."""
    from scipy.special import erf

    cdf = x * x.dtype.type(0.5**0.5)
    erf(cdf, out=cdf)
    cdf += 1
    cdf *= 0.5
    x *= cdf
    return x
