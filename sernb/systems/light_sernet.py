"""Light-SERNet: three parallel convolutions of the MFCC, then small convolutions (463,431 parameters, seven emotions).

Aftab et al. (2022), doi:10.1109/ICASSP43922.2022.9746679, and its code. The authors use leave-one-speaker-out on EMO-DB
and IEMOCAP, and keep the best epoch on the test speaker; here the same for any corpus. The label set ``seven-bored`` is
that of EMO-DB, with the published scores. The published 300 epochs take hours of CPU time: the variant ``…-short`` has
40, a learning rate ten times as high, and nearly as many decay steps.
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
    decay_after: int = 20  # further epochs
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

    def convolve(x, filters: int, kernel: tuple[int, int], *, bias: bool = False):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=bias, kernel_regularizer=small)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    mfcc = keras.Input(shape)
    image = layers.Reshape((*shape, 1))(mfcc)
    branches = [
        layers.AveragePooling2D(2)(convolve(image, settings.branch_filters, kernel, bias=True))
        for kernel in settings.branches
    ]
    x = layers.Concatenate()(branches)  # (92, 20, 96)
    for filters, pool in zip(settings.filters, settings.pools, strict=True):
        x = layers.AveragePooling2D(pool)(convolve(x, filters, (3, 3)))  # …, (5, 5, 160)
    x = layers.GlobalAveragePooling2D()(convolve(x, settings.last, (1, 1)))
    x = layers.Dropout(settings.dropout)(x)
    return keras.Model(mfcc, layers.Dense(classes, activation="softmax")(x))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train, and keep the epoch with the highest validation accuracy."""
    from sernb.systems.learning.training import StepDecay, compile_model, fit_network, keras

    def build(shape: tuple[int, int], classes: int):
        model = network(settings, shape, classes)
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        return compile_model(model, optimizer, "categorical_crossentropy")

    schedule = StepDecay(settings.decay_after, settings.decay, settings.decay_first)
    return fit_network(task, build, epochs=settings.epochs, batch=settings.batch, schedule=schedule)


def leave_one_speaker_out(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield one fold per test speaker: (train, test) positions."""
    from sklearn.model_selection import LeaveOneGroupOut

    yield from LeaveOneGroupOut().split(clips, groups=clips.speaker)


_CAVEAT = "cross-entropy; best epoch selected on the test speaker"
SYSTEM = System(
    name="light-sernet",
    title="Light-SERNet",
    source="Aftab et al. (2022), doi:10.1109/ICASSP43922.2022.9746679, and code",
    published_on=("emodb", "iemocap"),
    description="40 MFCC of 3 s, convolutions along time, along the coefficients and over both, then five more.",
    labels=ALL_EIGHT,
    features=ClippedMfcc(),
    settings=Settings(),
    quick={"epochs": 10},
    fit=fit,
    published_split=leave_one_speaker_out,
    published_selection="best epoch on the test part itself",
    selects_on_test=True,
    reported=(
        PublishedScore("war", 0.9421, "as-published", _CAVEAT, corpus="emodb", labels=SEVEN_BORED.name),
        PublishedScore("uar", 0.9415, "as-published", _CAVEAT, corpus="emodb", labels=SEVEN_BORED.name),
    ),
    selects_epoch=True,
    network=network,
)
SHORT = SYSTEM.variant(
    "short", "40 epochs", settings=Settings(learning_rate=1e-3, decay_first=8, decay_after=3, epochs=40)
)
SYSTEM = dataclasses.replace(SYSTEM, variants=(SHORT,))
