"""A one-dimensional CNN on 880 values of a clip (2,534,535 parameters).

The authors of "Speech-Emotion-Recognition using Convolutional Neural Networks" (2023) pool four corpora: CREMA-D,
RAVDESS, TESS and SAVEE, 12,162 clips. Their network is described in words; neither network nor training log is
available.

Not specified in the source, and chosen here: RAVDESS's calm is neutral (the only option with seven classes and this
number of clips); the kernels of the second to fifth block, as in the public template that it resembles (all 5 gives
2,731,143 parameters); pooling of size 5 and stride 2 in all blocks; the learning rate 0.001, Keras's default for Adam;
its schedule and early stopping; the weights with the lowest validation loss; separate random pitch shifts for the copy
with and the copy without noise. Its text mentions time-shifted and stretched copies, which its code defines but does
not use: the variants ``…-text-copies`` have them. Stretched copies are truncated to 2.5 s, so that a clip keeps its 880
values. The split has the authors' seed, but clips are in the order of their paths, which may differ from theirs.

As in the authors' code, precision, recall and F1 are monitored batch by batch, over all classes and for probabilities
above 0.5; they are not those of the tables.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial

from sernb.audio.augmentation import TEST_VIEWS, Chain, PeakNoise, PitchUp, Shift, Stretch
from sernb.features import FrameValues
from sernb.features.normalisation import Normaliser
from sernb.protocols.labels import SEVEN
from sernb.systems.base import Fitted, PublishedScore, System, Task, scale_units
from sernb.systems.splits import eighty_twenty

EPSILON = 1e-7  # Keras's, against division by zero


@dataclass(frozen=True)
class Settings:
    """The authors' network and training."""

    width: float = 1.0  # factor for all filters and dense units; below 1 for small computers
    filters: tuple[int, ...] = (256, 512, 256, 256, 128)
    kernels: tuple[int, ...] = (5, 5, 5, 3, 3)
    pool: int = 5
    stride: int = 2  # of the pooling
    dropout: float = 0.2
    dense: int = 256
    dense_dropout: float = 0.5
    learning_rate: float = 0.001
    batch: int = 64
    epochs: int = 10
    decay: float = 0.4  # factor of the learning rate on a plateau of the validation loss
    decay_patience: int = 2  # epochs
    smallest_rate: float = 1e-7
    patience: int = 4  # of early stopping on the validation loss, in epochs


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: of the features, (1, 880) as published

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


def compile_network(settings: Settings, model):
    """Compile a model with the authors' metrics."""
    from sernb.systems.learning.training import compile_model, keras

    optimizer = keras.optimizers.Adam(settings.learning_rate)
    return compile_model(model, optimizer, "categorical_crossentropy", precision, recall, f1)


def precision(targets, probabilities):
    """Return the authors' micro-averaged precision of a batch, with a threshold of 0.5 for each probability."""
    return _count(targets * probabilities) / (_count(probabilities) + EPSILON)


def recall(targets, probabilities):
    """Return the recall of a batch, with the same definitions as :func:`precision`."""
    return _count(targets * probabilities) / (_count(targets) + EPSILON)


def f1(targets, probabilities):
    """Return the harmonic mean of :func:`precision` and :func:`recall` of a batch."""
    p, r = precision(targets, probabilities), recall(targets, probabilities)
    return 2 * p * r / (p + r + EPSILON)


def _count(values):
    from sernb.systems.learning.training import keras

    return keras.ops.sum(keras.ops.round(keras.ops.clip(values, 0, 1)))


def fit(settings: Settings, task: Task) -> Fitted:
    """Standardise over the training clips and their copies, train, and keep the epoch of lowest validation loss."""
    from sernb.systems.learning.training import Plateau, fit_network, one_hot

    return fit_network(
        task,
        lambda shape, classes: compile_network(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch,
        prepare=Normaliser((task.statistics or task.training_examples).features),
        validation_targets=one_hot(task.validation.truth, len(task.classes)),
        schedule=Plateau(settings.decay_patience, settings.decay, settings.smallest_rate),
        best_by="validation_loss",
        patience=settings.patience,
    )


SYSTEM = System(
    name="feature-cnn",
    title="CNN on 880 values",
    source="Speech-Emotion-Recognition using Convolutional Neural Networks (2023)",
    published_on=("ravdess+crema_d+tess+savee",),
    description="Zero-crossing rate, RMS and 20 MFCC of 40 frames in one row, five blocks of convolution and pooling.",
    labels=SEVEN,
    features=FrameValues(),
    settings=Settings(),
    quick={"width": 0.125, "epochs": 3},
    fit=fit,
    published_split=partial(eighty_twenty, fixed_seed=42, validation=0.1),
    published_selection="epoch with the lowest loss on a validation part",
    views=TEST_VIEWS,
    training_views=(PeakNoise(), PitchUp(), Chain("pitch-up-peak-noise", (PitchUp(), PeakNoise()))),
    reported=(
        PublishedScore(
            "war",
            0.5906,
            "as-published",
            "2,433 clips of four corpora; speakers and repetitions shared; TESS has two speakers, SAVEE four",
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
    selects_epoch=True,
    network=network,
)
# The further copies in the text: a circular shift of up to 5,000 samples, and 0.8 times the speed.
TEXT_COPIES = (
    *SYSTEM.training_views,
    Shift("time-shift", most=5000 / SYSTEM.features.sampling_rate),
    Stretch("stretch", 0.8),
)
_NARROW = Settings(width=0.5)
_VARIANTS = {
    "narrow": ("half of all widths", {"settings": _NARROW}),
    "narrow-right-rate": ("as narrow, correct MFCC", {"features": FrameValues(mfcc_sampling_rate=8025)}),
    "narrow-aligned": ("as narrow, features padded separately", {"features": FrameValues(aligned=True)}),
    "narrow-no-copies": ("as narrow, without augmented copies", {"training_views": ()}),
    "narrow-text-copies": ("as narrow, also shifted and stretched copies", {"training_views": TEXT_COPIES}),
    "text-copies": ("also shifted and stretched copies", {"settings": Settings(), "training_views": TEXT_COPIES}),
}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=tuple(
        SYSTEM.variant(name, what, **({"settings": _NARROW} | changes)) for name, (what, changes) in _VARIANTS.items()
    ),
)
