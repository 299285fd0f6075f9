"""RezoNet: eight convolutions along the time axis of a mel spectrogram (41,236,956 parameters).

After Deep-Net (Anvarjon, Mustaqeem and Kwon 2020, doi:10.3390/s20185212), whose figure has kernels along frequency; the
code has them along time. Almost all parameters are in one dense layer.

Not specified in the source, and chosen here: a ReLU follows each convolution. Training follows the authors' text; they
kept the weights of epoch 5 of 86. Narrow variants keep half of the filters: with a fifth, two in the first stages, all
ReLUs of a stage are inactive from the start.
"""

from sernb.systems.curve_networks import (
    Settings,
    batch_normalisation,
    dense,
    make_system,
    published_scores,
    pytorch_options,
)

# (filters, kernel size in frames) of each convolution, then size and stride of the pooling.
STAGES = (
    (((10, 9), (10, 5), (10, 3)), (3, 1)),
    (((20, 3), (20, 3)), (2, 2)),
    (((40, 13), (40, 1)), (2, 2)),
)


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: frames and columns of the input, (690, 42) as published; all but the last two are mel bands

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers

    def convolution(x, filters: int, frames: int):
        options = pytorch_options(settings, frames * x.shape[-1])
        return layers.Conv2D(settings.scale(filters), (1, frames), activation="relu", **options)(x)

    frames, bands = shape[0], shape[1] - 2
    curves = keras.Input(shape)
    x = layers.Reshape((bands, frames, 1))(layers.Permute((2, 1))(curves[:, :, :bands]))
    for convolutions, (pool, stride) in STAGES:
        for filters, frames in convolutions:
            x = convolution(x, filters, frames)
        x = batch_normalisation(settings)(layers.MaxPooling2D((1, pool), (1, stride))(x))
    x = layers.Flatten()(convolution(x, 80, 1))
    x = dense(settings, settings.scale(80), x, "relu")
    x = dense(settings, settings.scale(30), x)
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


SYSTEM = make_system(
    "rezonet",
    "RezoNet",
    "Convolutions along time over a mel spectrogram of 40 bands × 690 frames, and a large dense layer.",
    network=network,
    settings=Settings(learning_rate=1e-5, batch=16, epochs=86, weight_decay=0.01, decay_after=50, at_once=64),
    quick={"width": 0.1, "learning_rate": 1e-3, "batch": 16, "epochs": 3},
    reported=published_scores(0.4998, 0.4995, "epoch 5 of 86 kept; the interim run overfits (90.6 % on training)"),
    narrow={"width": 0.5, "learning_rate": 1e-4, "batch": 32, "epochs": 5},
)
