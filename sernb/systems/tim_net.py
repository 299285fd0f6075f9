"""TIM-Net: gated dilated convolutions in forward and backward direction (107,032 parameters).

Ye et al. (2023), Temporal modeling matters, doi:10.1109/ICASSP49357.2023.10096370. In the latest code of its
repository, the last of 500 epochs is used. MFCC have librosa's defaults as in the code; the README has other windows.
"""

import dataclasses
from dataclasses import dataclass

from sernb.audio.augmentation import TEST_VIEWS
from sernb.features import Mfcc
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems import multiscale_cnn
from sernb.systems.base import Fitted, PublishedScore, System, Task


@dataclass(frozen=True)
class Settings(multiscale_cnn.Settings):
    """The authors' network and training."""

    filters: int = 39
    smoothing_accumulates: bool = False
    epochs: int = 500


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Args:
        shape: frames and coefficients of the input, (215, 39) as published

    Returns:
        a Keras model: (clips, frames, coefficients) → probabilities (clips, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    mfcc = keras.Input(shape)
    directions = (mfcc, keras.ops.flip(mfcc, axis=1))
    streams = [multiscale_cnn.build_scales(settings, direction) for direction in directions]
    levels = [layers.GlobalAveragePooling1D()(layers.Add()(both)) for both in zip(*streams, strict=True)]
    stacked = keras.ops.stack(levels, axis=-1)  # (39, 8)
    weighted = layers.Dense(1, use_bias=False, kernel_initializer="random_uniform", name="level_weights")(stacked)
    return keras.Model(mfcc, layers.Dense(classes, activation="softmax")(layers.Flatten()(weighted)))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train, and keep the epoch with the highest validation accuracy, or the last without validation part."""
    return multiscale_cnn.train(network, settings, task)


SYSTEM = System(
    name="tim-net",
    title="TIM-Net",
    source="Ye et al. (2023), doi:10.1109/ICASSP49357.2023.10096370; code, 2023-08",
    published_on=("ravdess", "emodb", "savee", "iemocap"),
    description="39 MFCC of a clip of 4.99 s, eight gated blocks of dilated convolutions in both directions, a learned "
    "weight for each scale.",
    labels=ALL_EIGHT,
    features=Mfcc(),
    settings=Settings(),
    quick={"epochs": 25, "batch": 16},
    fit=fit,
    published_split=multiscale_cnn.AUTHORS_FOLDS,
    published_selection="the last epoch",
    views=TEST_VIEWS,
    reported=(
        PublishedScore(
            "war", 0.9007, "as-published", "speakers and repetitions shared; the seed of the split selected by corpus"
        ),
        PublishedScore("uar", 0.9004, "as-published", "as the 90.07 %"),
    ),
    selects_epoch=True,
    network=network,
)
SYSTEM = dataclasses.replace(
    SYSTEM, variants=(SYSTEM.variant("short", "100 epochs", settings=Settings(epochs=100), reported=SYSTEM.reported),)
)
