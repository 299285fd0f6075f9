"""Light-SERNet: three views of the MFCC, then small convolutions (463,431 parameters on seven emotions).

Aftab et al. (2022), doi:10.1109/ICASSP43922.2022.9746679, and its code. Its authors test each speaker of EMO-DB and
IEMOCAP in turn and keep the epoch that is best on that speaker; here the speakers of any corpus. EMO-DB's seven
emotions are the label set ``seven-bored``, which shows the authors' figures beside ours. Their 300 epochs take hours of
a core: the variant ``…-short`` has 40, a learning rate ten times as high, and lets it fall nearly as often.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.features import ClippedMfcc
from sernb.protocols.labels import ALL_EIGHT, SEVEN_BORED
from sernb.systems.base import Fitted, PublishedScore, System, Task


@dataclass(frozen=True)
class Settings:
    """The authors' network and training."""

    branches: tuple[tuple[int, int], ...] = ((11, 1), (1, 9), (3, 3))  # frames × coefficients
    branch_filters: int = 32
    filters: tuple[int, ...] = (64, 96, 128, 160)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 1), (2, 1))
    last: int = 320
    dropout: float = 0.3
    l2: float = 1e-6
    learning_rate: float = 1e-4
    decay: float = math.exp(-0.15)  # of the learning rate
    decay_first: int = 50  # epochs
    decay_after: int = 20  # epochs, then on
    batch: int = 32
    epochs: int = 300


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: frames and coefficients of the input, (184, 40) as published

    Returns:
        a Keras model: (clips, frames, coefficients) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    small = keras.regularizers.L2(settings.l2)

    def convolved(x, filters: int, kernel: tuple[int, int], *, bias: bool = False):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=bias, kernel_regularizer=small)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    mfcc = keras.Input(shape)
    image = layers.Reshape((*shape, 1))(mfcc)
    views = [
        layers.AveragePooling2D(2)(convolved(image, settings.branch_filters, kernel, bias=True))
        for kernel in settings.branches
    ]
    x = layers.Concatenate()(views)  # (92, 20, 96)
    for filters, pool in zip(settings.filters, settings.pools, strict=True):
        x = layers.AveragePooling2D(pool)(convolved(x, filters, (3, 3)))  # …, (5, 5, 160)
    x = layers.GlobalAveragePooling2D()(convolved(x, settings.last, (1, 1)))
    x = layers.Dropout(settings.dropout)(x)
    return keras.Model(mfcc, layers.Dense(classes, activation="softmax")(x))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train; keep the weights of the epoch with the highest accuracy on the validation part."""
    from sernb.systems.learning.training import StepDecay, compiled, fit_network, keras

    def build(shape: tuple[int, int], classes: int):
        model = network(settings, shape, classes)
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        return compiled(model, optimizer, "categorical_crossentropy")

    schedule = StepDecay(settings.decay_after, settings.decay, settings.decay_first)
    return fit_network(task, build, epochs=settings.epochs, batch=settings.batch, schedule=schedule)


def each_speaker(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each speaker tests once, all others train."""
    from sklearn.model_selection import LeaveOneGroupOut

    yield from LeaveOneGroupOut().split(clips, groups=clips.speaker)


_CAVEAT = "cross-entropy; best epoch chosen on the speaker who is tested"
SYSTEM = System(
    name="light-sernet",
    title="Light-SERNet",
    source="Aftab et al. (2022), doi:10.1109/ICASSP43922.2022.9746679, and code",
    published_on=("emodb", "iemocap"),
    about="40 MFCC of 3 s, convolutions along time, along the coefficients and over both, then five more.",
    labels=ALL_EIGHT,
    features=ClippedMfcc(),
    settings=Settings(),
    quick={"epochs": 10},
    fit=fit,
    published_split=each_speaker,
    published_choice="best epoch on the test part itself",
    tests_choose=True,
    reported=(
        PublishedScore("war", 0.9421, "as-published", _CAVEAT, corpus="emodb", labels=SEVEN_BORED.name),
        PublishedScore("uar", 0.9415, "as-published", _CAVEAT, corpus="emodb", labels=SEVEN_BORED.name),
    ),
    chooses_epoch=True,
    network=network,
)
SHORT = SYSTEM.variant(
    "short", "40 epochs", settings=Settings(learning_rate=1e-3, decay_first=8, decay_after=3, epochs=40)
)
SYSTEM = dataclasses.replace(SYSTEM, variants=(SHORT,))
