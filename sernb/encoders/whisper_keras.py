"""Whisper's encoder as a trainable Keras network on any backend, equivalent to :mod:`sernb.encoders.whisper`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sernb.encoders.whisper import BANDS, EPSILON, HEAD, Whisper

if TYPE_CHECKING:
    import keras


def build_network(encoder: Whisper) -> "keras.Model":
    """Build the encoder as a network with its weights; padding frames are masked.

    Inputs are padded log-mels, ``(clips, frames, 80)``, and their mask, ``(clips, frames)``, with 1 for real frames and
    0 for padding. Outputs are the hidden states of each layer, a list of ``(clips, positions, width)``.
    """
    import keras
    from keras import layers, ops

    width = encoder.width
    mel, real = keras.Input((None, BANDS), name="mel"), keras.Input((None,), name="real")
    keep = ops.expand_dims(real, -1)
    x = layers.Conv1D(width, 3, activation="gelu", name="conv1")(layers.ZeroPadding1D(1)(mel * keep))
    x = layers.Conv1D(width, 3, strides=2, activation="gelu", name="conv2")(layers.ZeroPadding1D(1)(x * keep))
    codes = layers.Embedding(*encoder.weights["position_encodings/encodings"].shape, name="position_encodings")
    positions = ops.cumsum(ops.ones_like(real[:, ::2]), axis=1) - 1  # 0, 1, 2 … for any number of frames
    x = x + codes(ops.cast(positions, "int32"))
    mask = ops.expand_dims(real[:, ::2], 1) > 0  # (clips, 1, positions)
    states = [x]
    for k in range(encoder.blocks):
        inner = layers.LayerNormalization(epsilon=EPSILON, name=f"layer_{k}_self_attention_layer_norm")(x)
        attention = layers.MultiHeadAttention(width // HEAD, HEAD, name=f"layer_{k}_self_attention")
        x = x + attention(inner, inner, attention_mask=mask)
        inner = layers.LayerNormalization(epsilon=EPSILON, name=f"layer_{k}_ffn_layer_norm")(x)
        inner = layers.Dense(4 * width, activation="gelu", name=f"layer_{k}_ffn_linear_0")(inner)
        x = x + layers.Dense(width, name=f"layer_{k}_ffn_linear_1")(inner)
        states.append(x)
    states[-1] = layers.LayerNormalization(epsilon=EPSILON, name="layer_norm")(x)
    model = keras.Model([mel, real], states)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_arrays(layer.name, encoder.weights))
    return model


def _arrays(name: str, weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the weights of a layer in Keras's order and layout."""
    for part in ("self_attention", "ffn"):
        name = name.replace(f"_{part}", f"/{part}").replace(f"{part}_", f"{part}/")
    if name.endswith("layer_norm"):
        return [weights[f"{name}/gamma"], weights[f"{name}/beta"]]
    if name == "position_encodings":
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
