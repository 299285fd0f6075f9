"""DummyNet: three convolutions over one long curve (4,265,350 to 114,464,134 parameters).

The curve is the zero-crossing rate, the energy, both concatenated, or a flattened mel spectrogram. Training settings
are those of the authors' interim notebook, with 38.4, 41.4, 42.7 and 48.4 %; the final ones are not documented. The
notebook calls both curves together better, but in the final report they have 40.9 % and energy alone 41.5 %.
"""

from functools import partial

from sernb.systems.base import System
from sernb.systems.curve_networks import Settings, dense, make_system, published_scores, pytorch_options

FILTERS = (512, 512, 128)


def network(settings: Settings, shape: tuple[int, int], classes: int, *, columns: slice):
    """Build the network.

    Args:
        shape: frames and columns of the input, (690, 42) as published
        columns: input of the network

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    curves = keras.Input(shape)
    x = layers.Reshape((-1, 1))(layers.Permute((2, 1))(curves[:, :, columns]))  # concatenated columns
    for filters in FILTERS:
        options = pytorch_options(settings, 5 * x.shape[-1])
        x = layers.Conv1D(settings.scale(filters), 5, activation="relu", **options)(x)
        x = layers.MaxPooling1D(5, 2)(x)
    x = dense(settings, settings.scale(256), layers.Flatten()(x), "relu")
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


def _make_system(
    name: str, what: str, columns: slice, settings: Settings, quick: dict, narrow: dict, reported
) -> System:
    return make_system(
        f"dummynet-{name}",
        f"DummyNet on {what}",
        f"Three convolutions over {what} of a clip padded to 5 s.",
        network=partial(network, columns=columns),
        settings=settings,
        quick=quick,
        reported=reported,
        narrow=narrow,
    )


_CURVE = Settings(learning_rate=1e-4, batch=256, epochs=20, at_once=64)
_QUICK = {"width": 1 / 16, "learning_rate": 1e-3, "batch": 32, "epochs": 4}
_NARROW = {"width": 1 / 8, "learning_rate": 1e-3, "batch": 64, "epochs": 10}

SYSTEMS = (
    _make_system(
        "zcr", "the zero-crossing rate", slice(40, 41), _CURVE, _QUICK, _NARROW,
        published_scores(0.4066, 0.4075, "43 of 381 fearful clips found"),
    ),
    _make_system(
        "energy", "the energy", slice(41, 42), _CURVE, _QUICK, _NARROW,
        published_scores(0.4151, 0.4172, "57 of 381 fearful clips found"),
    ),
    _make_system(
        "zcr-energy", "zero-crossing rate and energy", slice(40, 42), _CURVE, _QUICK, _NARROW,
        published_scores(0.4089, 0.3989, "never predicts neutral"),
    ),
    _make_system(
        "mel", "a flattened mel spectrogram", slice(40),
        Settings(learning_rate=1e-3, batch=1, epochs=5),
        {"width": 1 / 64, "batch": 16, "epochs": 3},
        {"width": 1 / 32, "batch": 16, "epochs": 4},
        published_scores(0.5092, 0.5074, "epoch selected on 261 clips"),
    ),
)  # fmt: skip
