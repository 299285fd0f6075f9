"""RezoNet: eight convolutions along the time of a mel spectrogram (41,236,956 parameters).

After Deep-Net (Anvarjon, Mustaqeem and Kwon 2020, doi:10.3390/s20185212), whose picture has its kernels along
frequency; the code has them along time. Almost all parameters lie in one dense layer.

Chosen here, where the source does not say: a rectifier follows each convolution. Trained as the authors' text
says; they kept the weights of epoch 5 of 86. Narrow variants keep half of the filters: of a fifth, two, all rectifiers
of a stage are shut from the start.
"""

from sernb.systems.curve_networks import Settings, dense, figures, normalisation, pytorch, record

# (filters, frames of the kernel) of each convolution, then frames and stride of the pool.
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
        options = pytorch(settings, frames * x.shape[-1])
        return layers.Conv2D(settings.of(filters), (1, frames), activation="relu", **options)(x)

    frames, bands = shape[0], shape[1] - 2
    curves = keras.Input(shape)
    x = layers.Reshape((bands, frames, 1))(layers.Permute((2, 1))(curves[:, :, :bands]))
    for convolutions, (pool, stride) in STAGES:
        for filters, frames in convolutions:
            x = convolution(x, filters, frames)
        x = normalisation(settings)(layers.MaxPooling2D((1, pool), (1, stride))(x))
    x = layers.Flatten()(convolution(x, 80, 1))
    x = dense(settings, settings.of(80), x, "relu")
    x = dense(settings, settings.of(30), x)
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


_NARROW = {"width": 0.5, "learning_rate": 1e-4, "batch": 32, "epochs": 5}

SYSTEM = record(
    "rezonet",
    "RezoNet",
    "Convolutions along time over a mel spectrogram of 40 × 690 cells, and a large dense layer.",
    network=network,
    settings=Settings(learning_rate=1e-5, batch=16, epochs=86, weight_decay=0.01, decay_after=50, at_once=64),
    quick={"width": 0.1, "learning_rate": 1e-3, "batch": 16, "epochs": 3},
    reported=figures(0.4998, 0.4995, "epoch 5 of 86 kept; its interim run overfits (90.6 % of training clips)"),
    variants={
        "softmax-once": ("softmax once", {"softmax_twice": False}),
        "narrow": ("width 0.5, 5 epochs", _NARROW),
        "narrow-softmax-once": ("width 0.5, 5 epochs, softmax once", {**_NARROW, "softmax_twice": False}),
    },
)
