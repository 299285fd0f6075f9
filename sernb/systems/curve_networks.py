"""What the networks of yousefkotp share: label order, split, training copies, loss, and PyTorch's ways.

yousefkotp, Speech-Emotion-Recognition (2023), on CREMA-D (github.com/yousefkotp/Speech-Emotion-Recognition).

Each network ends in a softmax, and the loss takes a softmax again: with six classes it cannot fall below 1.044, and
learning is slow. ``softmax_twice=False`` puts that right; the variants ``…-softmax-once`` have it. Their text says that
clips are brought to 16 kHz and read every 128 samples; their code reads them at 22,050 Hz, every 160. The variants
``…-16khz`` follow the text; they shift copies by as many samples as the code.

Otherwise than published: Keras's Adam adds ε (1e-8, as PyTorch's) before it corrects the bias of the second moment, so
that ε weighs more in the first steps; a corpus other than CREMA-D keeps its own emotions, RAVDESS all eight. The split
has their seed, but its clips stand in the order of their paths, which need not be theirs.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


def copies_at(sampling_rate: int) -> tuple[View, ...]:
    """Return what is made once from each training clip, at its padded length.

    The draw of the pitch leaves +3 out and may be 0.
    """
    return (
        SteadyNoise("steady noise"),
        RandomStretch("random stretch"),
        Shift("circular shift", most=5000 / sampling_rate),
        OneOf("random pitch", tuple(Pitch(f"{semitones:+d} semitones", semitones) for semitones in range(-3, 3))),
        RandomGain("random gain"),
    )


@dataclass(frozen=True)
class Settings:
    """Training of one network; ``width`` below 1 makes each of its layers narrower, for small computers."""

    learning_rate: float
    batch: int
    epochs: int
    parts: int = 1  # of a batch, one after the other, where memory is short; their gradients are averaged
    weight_decay: float = 0.0  # as in PyTorch's Adam: part of the gradient
    decay_after: int = 1000  # epochs after which the learning rate falls to a tenth
    softmax_twice: bool = True  # as published; False: the usual cross-entropy
    width: float = 1.0
    at_once: int = 8  # clips predicted together: the first layer of a flattened mel spectrogram takes 57 MB a clip

    def of(self, units: int) -> int:
        """Return the width of a layer that has ``units`` as published."""
        return scale_units(units, self.width)


def pytorch(settings: Settings, inputs: int) -> dict:
    """Return how PyTorch fills and decays the weights of a layer whose units each see ``inputs`` values."""
    from sernb.systems.learning.training import keras

    reach = inputs**-0.5
    decay = keras.regularizers.L2(settings.weight_decay / 2) if settings.weight_decay else None
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-reach, reach),
        "bias_initializer": keras.initializers.RandomUniform(-reach, reach),
        "kernel_regularizer": decay,
        "bias_regularizer": decay,
    }


def normalisation(settings: Settings):
    """Return a layer of batch normalisation with PyTorch's constants."""
    from sernb.systems.learning.training import keras

    decay = keras.regularizers.L2(settings.weight_decay / 2) if settings.weight_decay else None
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_regularizer=decay, beta_regularizer=decay)


def dense(settings: Settings, units: int, x, activation: str | None = None):
    """Apply a dense layer."""
    from sernb.systems.learning.training import keras

    return keras.layers.Dense(units, activation=activation, **pytorch(settings, x.shape[-1]))(x)


def softmax_and_cross_entropy(targets, probabilities):
    """Return the cross-entropy of the softmax of what is a softmax already; at least 1.044 for six classes."""
    from sernb.systems.learning.training import keras

    return -keras.ops.sum(targets * keras.ops.log_softmax(probabilities), axis=-1)


def ready(settings: Settings, model):
    """Return the model, ready to be trained."""
    from sernb.systems.learning.training import compiled, keras

    loss = softmax_and_cross_entropy if settings.softmax_twice else "categorical_crossentropy"
    parts = settings.parts if settings.parts > 1 else None
    optimizer = keras.optimizers.Adam(settings.learning_rate, epsilon=1e-8, gradient_accumulation_steps=parts)
    return compiled(model, optimizer, loss)


def fit(network: Callable, settings: Settings, task: Task) -> Fitted:
    """Train on clips and their five copies; keep the epoch with the highest accuracy on the validation part."""
    from sernb.systems.learning.training import StepDecay, fit_network

    return fit_network(
        task,
        lambda shape, classes: ready(settings, network(settings, shape, classes)),
        epochs=settings.epochs,
        batch=settings.batch // settings.parts,
        schedule=StepDecay(settings.decay_after, 0.1),
        at_once=settings.at_once,
    )


def split(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One random split with the authors' seed: 30 % tests, 5 % of the rest validates; stratified, not by speaker.

    In a corpus so small that 5 % are fewer clips than there are classes, one clip of each class validates.
    """
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(clips)), train_size=0.7, random_state=42, stratify=clips.truth)
    chosen = max(len(rest) - int(0.95 * len(rest)), clips.truth.nunique())
    train, validation = train_test_split(rest, test_size=chosen, random_state=42, stratify=clips.truth.iloc[rest])
    yield train, validation, test


def record(
    name: str,
    title: str,
    about: str,
    *,
    network: Callable,
    settings: Settings,
    quick: dict[str, object],
    reported: tuple[PublishedScore, ...],
    variants: dict[str, tuple[str, dict[str, object]]],
) -> System:
    """Return the record of a network and of its variants, ``16khz`` and ``narrow-16khz`` among them.

    Args:
        variants: end of the name → what differs, in words and as settings; ``narrow`` is one
    """
    system = System(
        name=name,
        title=title,
        source=SOURCE,
        published_on=("crema_d",),
        about=about,
        labels=ALL_EIGHT,
        features=CURVES,
        settings=settings,
        quick=quick,
        fit=partial(fit, network),
        published_split=split,
        published_choice=CHOICE,
        tests_choose=False,
        training_views=copies_at(CURVES.sampling_rate),
        reported=reported,
        chooses_epoch=True,
        network=network,
        counts_statistics=False,
        recipe=2,  # Adam's epsilon is that of PyTorch
    )
    as_text = {"features": AS_TEXT, "training_views": copies_at(AS_TEXT.sampling_rate)}
    others = [
        system.variant(end, what, settings=dataclasses.replace(settings, **changes))
        for end, (what, changes) in variants.items()
    ]
    narrow = {each.name: each for each in others}[f"{name}-{REDUCED}"]
    others += [
        system.variant("16khz", "16 kHz, every 128 samples", **as_text),
        system.variant(f"{REDUCED}-16khz", "as narrow, 16 kHz, every 128 samples", settings=narrow.settings, **as_text),
    ]
    return dataclasses.replace(system, variants=tuple(others))


def figures(war: float, uar: float, caveat: str) -> tuple[PublishedScore, ...]:
    """Return the two figures that follow from a published confusion matrix of 2,233 test clips of CREMA-D."""
    caveat = f"2,233 test clips, one run; speakers shared; {caveat}"
    return tuple(
        PublishedScore(*each, "as-published", caveat, corpus="crema_d") for each in (("war", war), ("uar", uar))
    )
