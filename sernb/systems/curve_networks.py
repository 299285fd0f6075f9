"""Common parts of yousefkotp's networks: split, training copies, loss, and PyTorch's initialisation.

yousefkotp, Speech-Emotion-Recognition (2023), on CREMA-D (github.com/yousefkotp/Speech-Emotion-Recognition).

Each network ends in a softmax, and the loss applies a softmax again: with six classes it cannot fall below 1.044, and
learning is slow. The variants ``…-softmax-once`` correct this. The authors' text has 16 kHz and a hop of 128 samples,
their code 22,050 Hz and 160. The variants ``…-16khz`` follow the text, with the code's shift in samples.

Differences from the publication: Keras's Adam adds ε (1e-8 as in PyTorch) before the bias correction of the second
moment, which gives ε more weight in the first steps; corpora other than CREMA-D keep their own emotions, RAVDESS all
eight; the split has the authors' seed, but clips are in the order of their paths, which may differ from theirs.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd

from sernb.audio.augmentation import OneOf, Pitch, RandomGain, RandomStretch, Shift, SteadyNoise, View
from sernb.features import Curves
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems.base import REDUCED, Fitted, PublishedScore, System, Task, scale_units

SOURCE = "yousefkotp, Speech-Emotion-Recognition (2023)"
CHOICE = "best epoch on the validation clips (5 % of the rest), speakers shared"

CURVES = Curves()
AS_TEXT = Curves(16_000, samples=80_080, hop=128)  # 626 frames


def make_training_views(sampling_rate: int) -> tuple[View, ...]:
    """Return the augmented copies of each training clip; as published, pitch shifts include 0 and exclude +3."""
    return (
        SteadyNoise("steady noise"),
        RandomStretch("random stretch"),
        Shift("circular shift", most=5000 / sampling_rate),
        OneOf("random pitch", tuple(Pitch(f"{semitones:+d} semitones", semitones) for semitones in range(-3, 3))),
        RandomGain("random gain"),
    )


@dataclass(frozen=True)
class Settings:
    """Training of one network; ``width`` below 1 reduces all of its layers, for small computers."""

    learning_rate: float
    batch: int
    epochs: int
    parts: int = 1  # gradient accumulation steps per batch, to save memory
    weight_decay: float = 0.0  # as in PyTorch's Adam, not decoupled
    decay_after: int = 1000  # epochs until the learning rate is divided by ten
    softmax_twice: bool = True  # as published; False: the usual cross-entropy
    width: float = 1.0
    at_once: int = 8  # prediction batch: the first layer of a flattened mel spectrogram takes 57 MB per clip

    def scale(self, units: int) -> int:
        """Return the width of a layer with ``units`` as published."""
        return scale_units(units, self.width)


def pytorch_options(settings: Settings, inputs: int) -> dict:
    """Return PyTorch's initialisation, and weight decay, for a layer with ``inputs`` values per unit."""
    from sernb.systems.learning.training import keras

    bound = inputs**-0.5
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
        "kernel_regularizer": _weight_decay(settings),
        "bias_regularizer": _weight_decay(settings),
    }


def batch_normalisation(settings: Settings):
    """Return a layer of batch normalisation with PyTorch's constants."""
    from sernb.systems.learning.training import keras

    decay = _weight_decay(settings)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_regularizer=decay, beta_regularizer=decay)


def _weight_decay(settings: Settings):
    from sernb.systems.learning.training import keras

    return keras.regularizers.L2(settings.weight_decay / 2) if settings.weight_decay else None


def dense(settings: Settings, units: int, x, activation: str | None = None):
    """Apply a dense layer."""
    from sernb.systems.learning.training import keras

    return keras.layers.Dense(units, activation=activation, **pytorch_options(settings, x.shape[-1]))(x)


def softmax_and_cross_entropy(targets, probabilities):
    """Return the cross-entropy of a second softmax of probabilities; at least 1.044 for six classes."""
    from sernb.systems.learning.training import keras

    return -keras.ops.sum(targets * keras.ops.log_softmax(probabilities), axis=-1)


def compile_network(settings: Settings, model):
    """Compile a model with the authors' loss and optimizer."""
    from sernb.systems.learning.training import compile_model, keras

    loss = softmax_and_cross_entropy if settings.softmax_twice else "categorical_crossentropy"
    parts = settings.parts if settings.parts > 1 else None
    optimizer = keras.optimizers.Adam(settings.learning_rate, epsilon=1e-8, gradient_accumulation_steps=parts)
    return compile_model(model, optimizer, loss)


def fit(network: Callable, settings: Settings, task: Task) -> Fitted:
    """Train on clips and their five copies; keep the epoch with the highest validation accuracy."""
    from sernb.systems.learning.training import StepDecay, fit_network

    return fit_network(
        task,
        lambda shape, classes: compile_network(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch // settings.parts,
        schedule=StepDecay(settings.decay_after, 0.1),
        prediction_batch=settings.at_once,
    )


def split_stratified(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield one stratified split with the authors' seed: 30 % test, 5 % of the rest for validation.

    In small corpora, validation has at least as many clips as there are classes.
    """
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(clips)), train_size=0.7, random_state=42, stratify=clips.truth)
    size = max(len(rest) - int(0.95 * len(rest)), clips.truth.nunique())
    train, validation = train_test_split(rest, test_size=size, random_state=42, stratify=clips.truth.iloc[rest])
    yield train, validation, test


def make_system(
    name: str,
    title: str,
    description: str,
    *,
    network: Callable,
    settings: Settings,
    quick: dict[str, object],
    reported: tuple[PublishedScore, ...],
    narrow: dict[str, object],
) -> System:
    """Return the record of a network with its variants.

    Args:
        narrow: changes of the settings in the narrow variants
    """
    system = System(
        name=name,
        title=title,
        source=SOURCE,
        published_on=("crema_d",),
        description=description,
        labels=ALL_EIGHT,
        features=CURVES,
        settings=settings,
        quick=quick,
        fit=partial(fit, network),
        published_split=split_stratified,
        published_selection=CHOICE,
        training_views=make_training_views(CURVES.sampling_rate),
        reported=reported,
        selects_epoch=True,
        network=network,
        counts_moving_statistics=False,
        recipe=2,  # Adam's epsilon is that of PyTorch
    )
    once = {"softmax_twice": False}
    as_text = {"features": AS_TEXT, "training_views": make_training_views(AS_TEXT.sampling_rate)}
    reduced = dataclasses.replace(settings, **narrow)
    size = f"width {Fraction(narrow['width'])}, {narrow['epochs']} epochs"
    variants = (
        system.variant("softmax-once", "softmax once", settings=dataclasses.replace(settings, **once)),
        system.variant(REDUCED, size, settings=reduced),
        system.variant(
            f"{REDUCED}-softmax-once", f"{size}, softmax once", settings=dataclasses.replace(reduced, **once)
        ),
        system.variant("16khz", "16 kHz, hop of 128 samples", **as_text),
        system.variant(f"{REDUCED}-16khz", "as narrow, 16 kHz, hop of 128 samples", settings=reduced, **as_text),
    )
    return dataclasses.replace(system, variants=variants)


def published_scores(war: float, uar: float, caveat: str) -> tuple[PublishedScore, ...]:
    """Return the scores computed from a published confusion matrix of 2,233 test clips of CREMA-D."""
    caveat = f"2,233 test clips, one run; speakers shared; {caveat}"
    return tuple(
        PublishedScore(*each, "as-published", caveat, corpus="crema_d") for each in (("war", war), ("uar", uar))
    )
