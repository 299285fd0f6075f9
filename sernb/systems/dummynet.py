"""DummyNet: three convolutions over one long curve: 4,265,350 to 114,464,134 parameters.

The curve is the zero-crossing rate, the energy, one after the other, or a mel spectrogram band after band. Training
settings are those of the authors' interim notebook, which gives 38.4, 41.4, 42.7 and 48.4 %; the final ones are not
documented. Their notebook calls both curves together better; the final report has 40.9 % against 41.5 % for energy.
"""

from functools import partial

from sernb.systems.base import System
from sernb.systems.curve_networks import Settings, dense, figures, pytorch, record

FILTERS = (512, 512, 128)


def network(settings: Settings, shape: tuple[int, int], classes: int, *, columns: slice):
    """Build the network.

    Args:
        shape: frames and columns of the input, (690, 42) as published
        columns: those that the network reads

    Returns:
        a Keras model: (clips, frames, columns) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    curves = keras.Input(shape)
    x = layers.Reshape((-1, 1))(layers.Permute((2, 1))(curves[:, :, columns]))  # one column after the other
    for filters in FILTERS:
        x = layers.Conv1D(settings.of(filters), 5, activation="relu", **pytorch(settings, 5 * x.shape[-1]))(x)
        x = layers.MaxPooling1D(5, 2)(x)
    x = dense(settings, settings.of(256), layers.Flatten()(x), "relu")
    return keras.Model(curves, dense(settings, classes, x, "softmax"))


def _on(name: str, what: str, columns: slice, settings: Settings, quick: dict, narrow: dict, reported) -> System:
    return record(
        f"dummynet-{name}",
        f"DummyNet on {what}",
        f"Three convolutions over {what} of a clip padded to 5 s.",
        network=partial(network, columns=columns),
        settings=settings,
        quick=quick,
        reported=reported,
        variants={
            "softmax-once": ("softmax once", {"softmax_twice": False}),
            "narrow": (f"width {narrow['width']:g}, {narrow['epochs']} epochs", narrow),
            "narrow-softmax-once": (
                f"width {narrow['width']:g}, {narrow['epochs']} epochs, softmax once",
                {**narrow, "softmax_twice": False},
            ),
        },
    )


_CURVE = Settings(learning_rate=1e-4, batch=256, epochs=20, at_once=64)
_QUICK = {"width": 1 / 16, "learning_rate": 1e-3, "batch": 32, "epochs": 4}
_NARROW = {"width": 1 / 8, "learning_rate": 1e-3, "batch": 64, "epochs": 10}

SYSTEMS = (
    _on(
        "zcr", "the zero-crossing rate", slice(40, 41), _CURVE, _QUICK, _NARROW,
        figures(0.4066, 0.4075, "43 of 381 fearful clips found"),
    ),
    _on(
        "energy", "the energy", slice(41, 42), _CURVE, _QUICK, _NARROW,
        figures(0.4151, 0.4172, "57 of 381 fearful clips found"),
    ),
    _on(
        "zcr-energy", "zero-crossing rate and energy", slice(40, 42), _CURVE, _QUICK, _NARROW,
        figures(0.4089, 0.3989, "never predicts neutral"),
    ),
    _on(
        "mel", "a flattened mel spectrogram", slice(40),
        Settings(learning_rate=1e-3, batch=1, epochs=5),
        {"width": 1 / 64, "batch": 16, "epochs": 3},
        {"width": 1 / 32, "batch": 16, "epochs": 4},
        figures(0.5092, 0.5074, "chosen among few epochs on 261 clips"),
    ),
)  # fmt: skip
