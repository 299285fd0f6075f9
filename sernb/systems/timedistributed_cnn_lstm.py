"""A time-distributed CNN on five log-mel windows, then an LSTM (656,583 parameters).

maelfabien, Multimodal-Emotion-Recognition, 01-Audio (github.com/maelfabien/Multimodal-Emotion-Recognition). The
authors' neutral is RAVDESS's calm; RAVDESS's neutral is omitted.

Text and figure have two LSTM layers, the code has one: ``cells``, and the variant ``…-two-cells``. Not specified in the
source: the seed of the split; here it is that of the experiment. Differences from the publication: a batch of 64 is
trained in four parts with averaged gradients, so that batch normalisation has 16 clips at a time; features are not
stored at half precision.
"""

import dataclasses
from dataclasses import dataclass

from sernb.audio.augmentation import DrawnNoise
from sernb.features import LogMelWindows
from sernb.protocols.labels import CALM_AS_NEUTRAL
from sernb.systems.base import Fitted, PublishedScore, System, Task, scale_units
from sernb.systems.splits import eighty_twenty


@dataclass(frozen=True)
class Settings:
    """The authors' network and training; ``width`` below 1 reduces it, for small computers."""

    filters: tuple[int, ...] = (64, 64, 128, 128)
    pools: tuple[int, ...] = (2, 4, 4, 4)
    frames: int = 128  # of a window
    units: int = 256  # of an LSTM layer
    cells: int = 1  # LSTM layers
    width: float = 1.0
    dropout: float = 0.2
    learning_rate: float = 0.01
    decay: float = 1e-6  # of the learning rate, per step
    momentum: float = 0.8
    batch: int = 64
    parts: int = 4  # gradient accumulation steps per batch, to stay under 6 GB; published: 1
    epochs: int = 100
    patience: int = 30
    at_once: int = 16  # prediction batch: a window of 128 × 128 takes 4 MB in the first layer


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: total frames of all windows and bands of the input, (640, 128) as published

    Returns:
        a Keras model: (clips, windows * frames, bands) → probabilities (clips, classes)
    """
    from sernb.systems.learning.layers import EachWindow
    from sernb.systems.learning.training import keras

    layers = keras.layers
    windows, bands = shape[0] // settings.frames, shape[1]

    image = keras.Input((settings.frames, bands, 1))
    x = image
    for filters, pool in zip(settings.filters, settings.pools, strict=True):
        x = layers.Conv2D(scale_units(filters, settings.width), 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ELU()(x)
        x = layers.MaxPooling2D(pool)(x)
        x = layers.Dropout(settings.dropout)(x)
    local = keras.Model(image, layers.Flatten()(x))  # (128,)

    log_mel = keras.Input(shape)
    x = layers.Reshape((windows, settings.frames, bands, 1))(log_mel)
    x = EachWindow(local, windows)(x)  # (5, 128)
    units = scale_units(settings.units, settings.width)
    for cell in range(settings.cells):
        last = cell == settings.cells - 1
        x = layers.LSTM(units, dropout=settings.dropout, return_sequences=not last)(x)
    return keras.Model(log_mel, layers.Dense(classes, activation="softmax")(x))


def compile_network(settings: Settings, model):
    """Compile a model with the authors' optimizer."""
    from sernb.systems.learning.training import compile_model, keras

    rate = keras.optimizers.schedules.InverseTimeDecay(settings.learning_rate, 1, settings.decay)
    parts = settings.parts if settings.parts > 1 else None
    optimizer = keras.optimizers.SGD(rate, momentum=settings.momentum, gradient_accumulation_steps=parts)
    return compile_model(model, optimizer, "categorical_crossentropy")


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on clips and their noisy copies; keep the epoch with the highest validation accuracy."""
    from sernb.systems.learning.training import fit_network

    return fit_network(
        task,
        lambda shape, classes: compile_network(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch // settings.parts,
        patience=settings.patience,
        prediction_batch=settings.at_once,
    )


SYSTEM = System(
    name="timedistributed-cnn-lstm",
    title="Time-distributed CNN and LSTM",
    source="maelfabien, Multimodal-Emotion-Recognition (2019), 01-Audio",
    published_on=("ravdess",),
    description="Five overlapping log-mel windows of 128 × 128, four convolution blocks on each, then an LSTM.",
    labels=CALM_AS_NEUTRAL,
    features=LogMelWindows(),
    settings=Settings(),
    quick={"width": 0.0625, "parts": 1, "epochs": 6, "batch": 16},
    fit=fit,
    published_split=eighty_twenty,
    published_selection="best epoch on the test part itself",
    selects_on_test=True,
    training_views=(DrawnNoise("noise 1"), DrawnNoise("noise 2")),
    reported=(
        PublishedScore(
            "war",
            0.766,
            "as-published",
            "README; its stored run has 73.98 % at best (epoch 90, selected on the test part)",
        ),
    ),
    selects_epoch=True,
    network=network,
)
_NARROW = Settings(width=0.125, parts=1, epochs=10, batch=32)
_VARIANTS = {
    "two-cells": ("two LSTM layers, as in the text", Settings(cells=2)),
    "narrow": ("an eighth of all widths, 10 epochs in batches of 32", _NARROW),
    "narrow-two-cells": ("as narrow, two LSTM layers", dataclasses.replace(_NARROW, cells=2)),
}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=tuple(SYSTEM.variant(name, what, settings=settings) for name, (what, settings) in _VARIANTS.items()),
)
