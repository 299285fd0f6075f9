"""ExpoNet: five convolutions over all inputs of DummyNet (61,648,774 parameters).

One curve of 28,980 values: flattened mel spectrogram, zero-crossing rate, energy (in reverse order in the text). A
batch of 8 is trained in two parts to stay under 6 GB, so that batch normalisation has 4 clips at a time. With padding,
Keras's pooling windows start one value later than PyTorch's.
"""

from sernb.systems.curve_networks import (
    Settings,
    batch_normalisation,
    dense,
    make_system,
    published_scores,
    pytorch_options,
)

BLOCKS = ((512, 5, 5), (512, 5, 5), (256, 5, 5), (256, 3, 5), (128, 3, 3))  # filters, kernel, pool


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: frames and columns of the input, (690, 42) as published

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    curves = keras.Input(shape)
    x = layers.Reshape((-1, 1))(layers.Permute((2, 1))(curves))  # concatenated columns
    for filters, kernel, pool in BLOCKS:
        options = pytorch_options(settings, kernel * x.shape[-1])
        x = layers.Conv1D(settings.scale(filters), kernel, padding="same", activation="relu", **options)(x)
        x = layers.MaxPooling1D(pool, 2, padding="same")(batch_normalisation(settings)(x))
    x = dense(settings, settings.scale(512), layers.Flatten()(x), "relu")
    x = batch_normalisation(settings)(x)
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


SYSTEM = make_system(
    "exponet",
    "ExpoNet",
    "Five convolutions over concatenated mel bands, zero-crossing rate and energy.",
    network=network,
    settings=Settings(learning_rate=1e-5, batch=8, parts=2, epochs=10, weight_decay=0.001),
    quick={"width": 1 / 64, "parts": 1, "learning_rate": 1e-3, "batch": 16, "epochs": 3},
    reported=published_scores(0.5795, 0.5824, "the best of the authors' models; epoch selected on 261 clips"),
    narrow={"width": 1 / 32, "parts": 1, "learning_rate": 1e-3, "batch": 16, "epochs": 4},
)
