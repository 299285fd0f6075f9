"""Inference of whisper-finetuned in NumPy: predictions from the arrays of a run, without Keras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sernb.encoders.whisper import Whisper, gelu
from sernb.encoders.whisper_keras import weights_of
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE, softmax

EPSILON = 1e-3  # of layer normalisation in Keras


@dataclass(frozen=True)
class FinetunedNetwork:
    """A trained network of :func:`sernb.systems.whisper_finetuned.network`."""

    encoder: Whisper
    head: Mapping[str, np.ndarray]  # by ``layer/variable``

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities, ``(clips, classes)``, from the log-mel of each clip, ``(frames, 80)``."""
        return np.stack([softmax(self._logits(clip)) for clip in clips])

    def _logits(self, clip: np.ndarray) -> np.ndarray:
        states = self.encoder.states(clip)  # (layers, positions, width)
        layer_weights = softmax(self.head["mixture/kernel"][0])
        mixture = np.tensordot(layer_weights, _normalise(states), 1)
        x = gelu(self._dense("projection", mixture))  # (positions, projected)
        weight = softmax(self._dense("level", np.tanh(self._dense("attention", x)))).T  # (heads, positions)
        mean = weight @ x
        spread = np.sqrt(np.maximum(weight @ (x * x) - mean * mean, SMALLEST_VARIANCE))
        pooled = _normalise(np.concatenate([mean, spread], axis=1).ravel())
        return self._dense("emotion", pooled * self.head["pooled_norm/gamma"] + self.head["pooled_norm/beta"])

    def _dense(self, layer: str, x: np.ndarray) -> np.ndarray:
        return x @ self.head[f"{layer}/kernel"] + self.head[f"{layer}/bias"]


def network_from_arrays(weights: Mapping[str, np.ndarray]) -> FinetunedNetwork:
    """Return the network with the weights of a run.

    Args:
        weights: by name, as stored by the run; names begin with their number

    Raises:
        DataError, KeyError: if they are not those of such a network
    """
    arrays = {name.partition(" ")[2]: values.astype(np.float32) for name, values in weights.items()}
    return FinetunedNetwork(Whisper(weights_of(arrays)), arrays)


def _normalise(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
