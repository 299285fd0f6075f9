"""ExpoNet: five convolutions over all that DummyNet reads (61,648,774 parameters).

One curve of 28,980 values: the mel spectrogram band after band, the zero-crossing rate, the energy. The authors' text
names the reverse order. A batch of 8 is trained in two parts, so that training stays under 6 GB: batch normalisation
sees 4 clips at a time. Where pools pad, Keras's windows lie one value later than PyTorch's.
"""

from sernb.systems.curve_networks import Settings, dense, figures, normalisation, pytorch, record

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
    x = layers.Reshape((-1, 1))(layers.Permute((2, 1))(curves))  # one column after the other
    for filters, kernel, pool in BLOCKS:
        options = pytorch(settings, kernel * x.shape[-1])
        x = layers.Conv1D(settings.of(filters), kernel, padding="same", activation="relu", **options)(x)
        x = layers.MaxPooling1D(pool, 2, padding="same")(normalisation(settings)(x))
    x = dense(settings, settings.of(512), layers.Flatten()(x), "relu")
    x = normalisation(settings)(x)
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


_NARROW = {"width": 1 / 32, "parts": 1, "learning_rate": 1e-3, "batch": 16, "epochs": 4}

SYSTEM = record(
    "exponet",
    "ExpoNet",
    "Five convolutions over mel bands, zero-crossing rate and energy in one row.",
    network=network,
    settings=Settings(learning_rate=1e-5, batch=8, parts=2, epochs=10, weight_decay=0.001),
    quick={"width": 1 / 64, "parts": 1, "learning_rate": 1e-3, "batch": 16, "epochs": 3},
    reported=figures(0.5795, 0.5824, "the best of the authors' models; epoch chosen on 261 clips"),
    variants={
        "softmax-once": ("softmax once", {"softmax_twice": False}),
        "narrow": ("width 1/32, 4 epochs", _NARROW),
        "narrow-softmax-once": ("width 1/32, 4 epochs, softmax once", {**_NARROW, "softmax_twice": False}),
    },
)
