"""Whisper's encoder as a trainable Keras network on any backend, equivalent to :mod:`sernb.encoders.whisper`."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sernb.encoders.whisper import BANDS, EPSILON, HEAD, POSITIONS, Whisper

if TYPE_CHECKING:
    import keras

CODES = "position_encodings"


def build_network(encoder: Whisper) -> "keras.Model":
    """Build the encoder as a network with its weights; padding frames are masked.

    Inputs are padded log-mels, ``(clips, frames, 80)``, and their mask, ``(clips, frames)``, with 1 for real frames and
    0 for padding. Outputs are the hidden states of each layer, a list of ``(clips, positions, width)``.
    """
    import keras

    mel, real = keras.Input((None, BANDS), name="mel"), keras.Input((None,), name="real")
    model = keras.Model([mel, real], hidden_states(mel, real, encoder.width, encoder.blocks))
    fill(model, encoder.weights)
    return model


def hidden_states(
    mel: "keras.KerasTensor", real: "keras.KerasTensor", width: int, blocks: int
) -> "list[keras.KerasTensor]":
    """Return the hidden states of each layer as tensors of a network to be built; :func:`fill` gives it weights."""
    from keras import layers, ops

    keep = ops.expand_dims(real, -1)
    x = layers.Conv1D(width, 3, activation="gelu", name="conv1")(layers.ZeroPadding1D(1)(mel * keep))
    x = layers.Conv1D(width, 3, strides=2, activation="gelu", name="conv2")(layers.ZeroPadding1D(1)(x * keep))
    codes = layers.Embedding(POSITIONS, width, name=CODES)
    positions = ops.cumsum(ops.ones_like(real[:, ::2]), axis=1) - 1  # 0, 1, 2 … for any number of frames
    x = x + codes(ops.cast(positions, "int32"))
    mask = ops.expand_dims(real[:, ::2], 1) > 0  # (clips, 1, positions)
    states = [x]
    for k in range(blocks):
        inner = layers.LayerNormalization(epsilon=EPSILON, name=f"layer_{k}_self_attention_layer_norm")(x)
        attention = layers.MultiHeadAttention(width // HEAD, HEAD, name=f"layer_{k}_self_attention")
        x = x + attention(inner, inner, attention_mask=mask)
        inner = layers.LayerNormalization(epsilon=EPSILON, name=f"layer_{k}_ffn_layer_norm")(x)
        inner = layers.Dense(4 * width, activation="gelu", name=f"layer_{k}_ffn_linear_0")(inner)
        x = x + layers.Dense(width, name=f"layer_{k}_ffn_linear_1")(inner)
        states.append(x)
    states[-1] = layers.LayerNormalization(epsilon=EPSILON, name="layer_norm")(x)
    return states


def fill(model: "keras.Model", weights: Mapping[str, np.ndarray]) -> None:
    """Give the encoder's layers in a network their weights, named as in :class:`sernb.encoders.whisper.Whisper`."""
    for layer in model.layers:
        if layer.weights and depth_of(layer.name, 1) is not None:
            layer.set_weights(_arrays(layer.name, weights))


def depth_of(layer: str, blocks: int) -> int | None:
    """Return how deep a layer lies by its name: 0 the convolutions and position codes, k block k; else none.

    Examples:
        >>> [depth_of(name, 4) for name in ("conv2", "layer_0_ffn_linear_1", "layer_norm", "emotion")]
        [0, 1, 4, None]
    """
    if layer in ("conv1", "conv2", CODES):
        return 0
    if layer == "layer_norm":
        return blocks
    number = re.match(r"layer_(\d+)_", layer)
    return int(number[1]) + 1 if number else None


def _arrays(name: str, weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the weights of a layer in Keras's order and layout."""
    name = _slashed(name)
    if name.endswith("layer_norm"):
        return [weights[f"{name}/gamma"], weights[f"{name}/beta"]]
    if name == CODES:
        return [weights[f"{name}/encodings"]]
    if name.startswith("conv"):
        return [weights[f"{name}/weight"].transpose(2, 1, 0), weights[f"{name}/bias"]]
    if not name.endswith("self_attention"):
        return [weights[f"{name}/weight"].T, weights[f"{name}/bias"]]
    stacked, bias = weights[f"{name}/linear_0/weight"], weights[f"{name}/linear_0/bias"]
    inputs = [(w.T.reshape(len(w), -1, HEAD), b.reshape(-1, HEAD))
              for w, b in zip(np.split(stacked, 3), np.split(bias, 3), strict=True)]  # fmt: skip
    output = weights[f"{name}/linear_1/weight"].T
    return [*(each for pair in inputs for each in pair), output.reshape(-1, HEAD, len(output)),
            weights[f"{name}/linear_1/bias"]]  # fmt: skip


def weights_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights of the encoder in a trained network, named as :class:`sernb.encoders.whisper.Whisper` does.

    Args:
        arrays: of the network by ``layer/variable``, in Keras's layout; those of other layers are left out
    """
    found = {}
    for path, values in arrays.items():
        layer, _, variable = path.partition("/")
        if depth_of(layer, 1) is None:
            continue
        name = _slashed(layer)
        if layer in ("conv1", "conv2") and variable == "kernel":
            found[f"{name}/weight"] = values.transpose(2, 1, 0)
        elif layer == CODES:
            found[f"{name}/encodings"] = values
        elif not layer.endswith("self_attention"):
            ends = {"kernel": "weight"}
            found[f"{name}/{ends.get(variable, variable)}"] = values.T if variable == "kernel" else values
    for name in {_slashed(path.partition("/")[0]) for path in arrays if "self_attention/query" in path}:
        at = name.replace("/", "_")
        parts = [(arrays[f"{at}/{part}/kernel"], arrays[f"{at}/{part}/bias"]) for part in ("query", "key", "value")]
        found[f"{name}/linear_0/weight"] = np.concatenate([kernel.reshape(len(kernel), -1).T for kernel, _ in parts])
        found[f"{name}/linear_0/bias"] = np.concatenate([bias.ravel() for _, bias in parts])
        kernel = arrays[f"{at}/attention_output/kernel"]
        found[f"{name}/linear_1/weight"] = kernel.reshape(-1, kernel.shape[-1]).T
        found[f"{name}/linear_1/bias"] = arrays[f"{at}/attention_output/bias"]
    return found


def _slashed(layer: str) -> str:
    """Return the name of a layer as the weights have it.

    Examples:
        >>> _slashed("layer_0_self_attention_layer_norm"), _slashed("conv1")
        ('layer_0/self_attention/layer_norm', 'conv1')
    """
    for part in ("self_attention", "ffn"):
        layer = layer.replace(f"_{part}", f"/{part}").replace(f"{part}_", f"{part}/")
    return layer
