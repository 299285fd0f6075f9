"""A one-dimensional convolutional network on 880 values of a clip (2,534,535 parameters).

The authors of "Speech-Emotion-Recognition using Convolutional Neural Networks" (2023) pool four corpora: CREMA-D,
RAVDESS, TESS and SAVEE, 12,162 clips. Their network is described in words; neither it nor its training is kept.

Chosen here, where the source does not say: that RAVDESS's calm is neutral (seven classes and the number of clips leave
no other place for it); the kernels of the second to fifth block, as in the public template that it resembles (all 5
gives 2,731,143 parameters); pools of 5 by 2 in all blocks; the learning rate, 0.001 as Keras's Adam has it; when it
falls and when training ends; that the weights of the lowest validation loss are kept; and that the pitch is drawn
twice, for the copy that is shifted and for the one that gets noise as well. Its text announces copies shifted in time
and stretched; its code defines them and does not make them: the variants ``…-text-copies`` do. A copy that stretching
made longer is cut to 2.5 s, so that a clip keeps its 880 values. The split has the authors' seed, but its clips stand
in the order of their paths, which need not be theirs.

Precision, recall and F1 are watched batch by batch as the authors did, over all classes together, where a probability
is above a half; they are not those of the tables.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.augmentation import TEST_VIEWS, Chain, PeakNoise, PitchUp, Shift, Stretch
from sernb.features import FrameValues
from sernb.features.normalisation import Normaliser
from sernb.protocols.labels import SEVEN
from sernb.systems.base import Fitted, PublishedScore, System, Task, scale_units

EPSILON = 1e-7  # Keras's, against division by zero


@dataclass(frozen=True)
class Settings:
    """The authors' network and training."""

    width: float = 1.0  # share of the filters and of the dense layer; below 1 for small computers
    filters: tuple[int, ...] = (256, 512, 256, 256, 128)
    kernels: tuple[int, ...] = (5, 5, 5, 3, 3)
    pool: int = 5
    stride: int = 2  # of the pools
    dropout: float = 0.2
    dense: int = 256
    dense_dropout: float = 0.5
    learning_rate: float = 0.001
    batch: int = 64
    epochs: int = 10
    decay: float = 0.4  # of the learning rate when the validation loss stands still
    decay_patience: int = 2  # epochs
    smallest_rate: float = 1e-7
    patience: int = 4  # epochs without a lower validation loss that end the training


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: one row and its values, (1, 880) as published

    Returns:
        a Keras model: (clips, 1, values) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers

    values = keras.Input(shape)
    x = layers.Reshape((shape[1], 1))(values)
    for filters, kernel in zip(settings.filters, settings.kernels, strict=True):
        x = layers.Conv1D(scale_units(filters, settings.width), kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Dropout(settings.dropout)(x)
        x = layers.MaxPooling1D(settings.pool, settings.stride, padding="same")(x)  # 440, 220, 110, 55, 28 steps
    x = layers.Dense(scale_units(settings.dense, settings.width), activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(settings.dense_dropout)(layers.BatchNormalization()(x))
    return keras.Model(values, layers.Dense(classes, activation="softmax")(x))


def ready(settings: Settings, model):
    """Return the model ready to train; precision, recall and F1 of its batches are watched as the authors did."""
    from sernb.systems.learning.training import compiled, keras

    optimizer = keras.optimizers.Adam(settings.learning_rate)
    return compiled(model, optimizer, "categorical_crossentropy", precision, recall, f1)


def precision(targets, probabilities):
    """Return the precision of a batch as the authors count it, over all classes together.

    A class is predicted where its probability rounds to 1; of a clip whose highest probability is below a half, none.
    """
    return _right(targets, probabilities) / (_named(probabilities) + EPSILON)


def recall(targets, probabilities):
    """Return the recall of a batch, counted as :func:`precision`."""
    return _right(targets, probabilities) / (_named(targets) + EPSILON)


def f1(targets, probabilities):
    """Return the harmonic mean of :func:`precision` and :func:`recall` of a batch."""
    exact, complete = precision(targets, probabilities), recall(targets, probabilities)
    return 2 * exact * complete / (exact + complete + EPSILON)


def _right(targets, probabilities):
    return _named(targets * probabilities)


def _named(values):
    from sernb.systems.learning.training import keras

    return keras.ops.sum(keras.ops.round(keras.ops.clip(values, 0, 1)))


def fit(settings: Settings, task: Task) -> Fitted:
    """Standardise each value over the training clips and their copies; train; keep the lowest validation loss."""
    from sernb.systems.learning.training import Plateau, fit_network, one_hot

    return fit_network(
        task,
        lambda shape, classes: ready(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch,
        prepare=Normaliser((task.statistics or task.training_examples).features),
        validation_targets=one_hot(task.validation.truth, len(task.classes)),
        schedule=Plateau(settings.decay_patience, settings.decay, settings.smallest_rate),
        best_by="validation_loss",
        patience=settings.patience,
    )


def eighty_twenty(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One random split by the authors' seed: 20 % test, of the rest 10 % validation; not by class, not by speaker."""
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(clips)), test_size=0.2, random_state=42)
    train, validation = train_test_split(rest, test_size=0.1, random_state=42)
    yield train, validation, test


SYSTEM = System(
    name="feature-cnn",
    title="CNN on 880 values",
    source="Speech-Emotion-Recognition using Convolutional Neural Networks (2023)",
    published_on=("ravdess+crema_d+tess+savee",),
    about="Zero-crossing rate, RMS and 20 MFCC of 40 frames in one row, five blocks of convolution and pooling.",
    labels=SEVEN,
    features=FrameValues(),
    settings=Settings(),
    quick={"width": 0.125, "epochs": 3},
    fit=fit,
    published_split=eighty_twenty,
    published_choice="epoch with the lowest loss on a validation part",
    tests_choose=False,
    views=TEST_VIEWS,
    training_views=(PeakNoise(), PitchUp(), Chain("pitch-up-peak-noise", (PitchUp(), PeakNoise()))),
    reported=(
        PublishedScore(
            "war",
            0.5906,
            "as-published",
            "2,433 clips of four corpora; speakers and takes shared; TESS has two speakers, SAVEE four",
            corpus="ravdess+crema_d+tess+savee",
        ),
        PublishedScore(
            "uar",
            0.62,
            "as-published",
            "macro recall, printed to two places; the other caveats of the 59.06 %",
            corpus="ravdess+crema_d+tess+savee",
        ),
    ),
    chooses_epoch=True,
    network=network,
)
# What the text announces beside: shifted by up to 5,000 samples in a circle, played at 0.8 of its speed.
TEXT_COPIES = (
    *SYSTEM.training_views,
    Shift("time-shift", most=5000 / SYSTEM.features.sampling_rate),
    Stretch("stretch", 0.8),
)
_NARROW = Settings(width=0.5)
_VARIANTS = {
    "narrow": ("half of all widths", {"settings": _NARROW}),
    "narrow-right-rate": ("as narrow, the right rate for the MFCC", {"features": FrameValues(mfcc_sampling_rate=8025)}),
    "narrow-aligned": ("as narrow, each kind of values padded by itself", {"features": FrameValues(aligned=True)}),
    "narrow-no-copies": ("as narrow, without augmented copies", {"training_views": ()}),
    "narrow-text-copies": ("as narrow, copies shifted and stretched as well", {"training_views": TEXT_COPIES}),
    "text-copies": ("copies shifted and stretched as well", {"settings": Settings(), "training_views": TEXT_COPIES}),
}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=tuple(
        SYSTEM.variant(name, what, **({"settings": _NARROW} | changes)) for name, (what, changes) in _VARIANTS.items()
    ),
)
