"""One small CNN on each of five log-mel windows, then an LSTM (656,583 parameters).

maelfabien, Multimodal-Emotion-Recognition, 01-Audio (github.com/maelfabien/Multimodal-Emotion-Recognition). The
authors' neutral is RAVDESS's calm; its neutral is left out.

Text and picture say two LSTM cells, the code has one: ``cells``, and the variant ``…-two-cells``. Chosen here, where
the source does not say: the seed of the split (theirs is drawn anew each time; here it is the experiment's). Otherwise
than published: a batch of 64 is trained in four parts whose gradients are averaged, so batch normalisation sees 16
clips at a time; log-mel cells are not kept at half precision.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.augmentation import DrawnNoise
from sernb.features import LogMelWindows
from sernb.protocols.labels import CALM_AS_NEUTRAL
from sernb.systems.base import Fitted, PublishedScore, System, Task, scale_units


@dataclass(frozen=True)
class Settings:
    """The authors' network and training; ``width`` below 1 makes it narrower, for small computers."""

    filters: tuple[int, ...] = (64, 64, 128, 128)
    pools: tuple[int, ...] = (2, 4, 4, 4)
    frames: int = 128  # of a window
    units: int = 256  # of an LSTM cell
    cells: int = 1
    width: float = 1.0
    dropout: float = 0.2
    learning_rate: float = 0.01
    decay: float = 1e-6  # of the learning rate, by step
    momentum: float = 0.8
    batch: int = 64
    parts: int = 4  # of a batch, one after the other, so that training stays under 6 GB; theirs is 1
    epochs: int = 100
    patience: int = 30
    at_once: int = 16  # clips predicted together: a window of 128 × 128 takes 4 MB in the first layer


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: frames of all windows together and bands of the input, (640, 128) as published

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


def ready(settings: Settings, model):
    """Return the model, ready to be trained."""
    from sernb.systems.learning.training import compiled, keras

    rate = keras.optimizers.schedules.InverseTimeDecay(settings.learning_rate, 1, settings.decay)
    parts = settings.parts if settings.parts > 1 else None
    optimizer = keras.optimizers.SGD(rate, momentum=settings.momentum, gradient_accumulation_steps=parts)
    return compiled(model, optimizer, "categorical_crossentropy")


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on clips and their noisy copies; keep the epoch with the highest accuracy on the validation part."""
    from sernb.systems.learning.training import fit_network

    return fit_network(
        task,
        lambda shape, classes: ready(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch // settings.parts,
        patience=settings.patience,
        at_once=settings.at_once,
    )


def eighty_twenty(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One random split, 80 % for training; neither stratified nor by speaker."""
    from sklearn.model_selection import train_test_split

    yield tuple(train_test_split(np.arange(len(clips)), test_size=0.2, random_state=seed))


SYSTEM = System(
    name="timedistributed-cnn-lstm",
    title="Time-distributed CNN and LSTM",
    source="maelfabien, Multimodal-Emotion-Recognition (2019), 01-Audio",
    published_on=("ravdess",),
    about="Five overlapping log-mel windows of 128 × 128, four convolution blocks on each, an LSTM over the five.",
    labels=CALM_AS_NEUTRAL,
    features=LogMelWindows(),
    settings=Settings(),
    quick={"width": 0.0625, "parts": 1, "epochs": 6, "batch": 16},
    fit=fit,
    published_split=eighty_twenty,
    published_choice="best epoch on the test part itself",
    tests_choose=True,
    training_views=(DrawnNoise("noise 1"), DrawnNoise("noise 2")),
    reported=(
        PublishedScore(
            "war",
            0.766,
            "as-published",
            "README; its stored run reached 73.98 % at best (epoch 90, chosen on the test)",
        ),
    ),
    chooses_epoch=True,
    network=network,
)
_NARROW = Settings(width=0.125, parts=1, epochs=10, batch=32)
_VARIANTS = {
    "two-cells": ("two LSTM cells, as the text says", Settings(cells=2)),
    "narrow": ("an eighth of all widths, 10 epochs in batches of 32", _NARROW),
    "narrow-two-cells": ("as narrow, two LSTM cells", dataclasses.replace(_NARROW, cells=2)),
}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=tuple(SYSTEM.variant(name, what, settings=settings) for name, (what, settings) in _VARIANTS.items()),
)
