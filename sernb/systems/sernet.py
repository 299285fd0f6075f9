"""sernet: a small dilated convolutional network on log-mel spectrograms of any length.

Ours. Padding is masked, and frames are weighted by attentive statistics pooling (Okabe et al., 2018,
doi:10.21437/Interspeech.2018-993). Augmentation in each epoch: time stretching, warping of the mel axis (vocal tract
length perturbation: Jaitly and Hinton, 2013), SpecAugment (Park et al., 2019, doi:10.21437/Interspeech.2019-2680) and
mixup (Zhang et al., 2018, arXiv:1710.09412). There is no model selection: the learning rate decays to almost 0, and the
last epoch is used, so that validation speakers train, too. The ablation is on the page ``23_develop_sernet``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sernb.audio.augmentation import draw_band
from sernb.features import SpeechMel
from sernb.features.normalisation import Normaliser
from sernb.protocols.labels import ALL_EIGHT
from sernb.protocols.targets import NumericTarget
from sernb.systems.base import Fitted, System, Task
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE, DilatedNetwork, network_from_arrays

STANDARDISED = "standardised"
FAR = 1e4  # subtracted from the attention logits of padding


@dataclass(frozen=True)
class Settings:
    """Network, training and augmentation."""

    filters: int = 64
    first_kernel: int = 5  # frames; the first convolution has stride 2
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    pooled: int = 128
    attention: int = 32  # units; 0: uniform weights
    dropout: float = 0.1
    last_dropout: float = 0.4

    frames: int = 160  # in training, 2.56 s: random sections of longer clips; predictions use the whole clip
    stretch: float = 0.15  # maximum, along time
    warp: float = 0.1  # maximum, along the mel axis
    masked_bands: int = 10  # maximum
    masked_frames: int = 16  # maximum
    mixup: float = 0.3  # both parameters of the beta distribution; 0: no mixup
    smoothing: float = 0.1

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


# -- Input -- #


def collate(clips: Sequence[np.ndarray], multiple: int = 2) -> np.ndarray:
    """Zero-pad clips of different lengths to one batch, ``(clips, frames, bands + 1)``, float32.

    The last column is the mask: 1 for frames of the clip. The number of frames is that of the longest clip, rounded up
    to an even number, so that the padding of a convolution with stride 2 does not depend on the batch.

    Args:
        multiple: even number to whose multiple the number of frames is rounded up

    Examples:
        >>> collate([np.ones((1, 2)), np.ones((2, 2))])[0].tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    longest = max(map(len, clips))
    batch_input = np.zeros((len(clips), -(-longest // multiple) * multiple, clips[0].shape[1] + 1), np.float32)
    for row, clip in zip(batch_input, clips, strict=True):
        row[: len(clip), :-1] = clip
        row[: len(clip), -1] = 1
    return batch_input


def augment(
    settings: Settings, rng: np.random.Generator, batch_input: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stretch, warp, mask and mix the clips of a batch, after subtraction of the mean of the batch in each band.

    Args:
        batch_input: from :func:`collate`
        targets: ``(clips, classes)``

    Returns:
        augmented inputs and targets; masks and padding have the value of the mean
    """
    mean = np.append(batch_input[..., :-1].sum(axis=(0, 1)) / batch_input[..., -1].sum(), 0).astype(np.float32)
    warped = _stretch_and_warp(settings, rng, batch_input - mean * batch_input[..., -1:])
    for clip in warped:
        clip[:, draw_band(clip.shape[1] - 1, 0, settings.masked_bands, rng)] = 0
        clip[draw_band(len(clip), 0, settings.masked_frames, rng), :-1] = 0
    mixed, targets = _mix(settings, rng, warped, targets) if settings.mixup else (warped, targets)
    return mixed + mean, targets


def _mix(
    settings: Settings, rng: np.random.Generator, clips: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Apply mixup with a weight of at least 0.5 for the clip itself; the mask is that of the longer clip."""
    weight = rng.beta(settings.mixup, settings.mixup, len(clips)).astype(np.float32)
    weight, partner = np.maximum(weight, 1 - weight), rng.permutation(len(clips))
    mixed = weight[:, None, None] * clips + (1 - weight)[:, None, None] * clips[partner]
    mixed[..., -1] = np.maximum(clips[..., -1], clips[partner, :, -1])
    return mixed, weight[:, None] * targets + (1 - weight)[:, None] * targets[partner]


def _stretch_and_warp(settings: Settings, rng: np.random.Generator, batch_input: np.ndarray) -> np.ndarray:
    """Stretch each clip in time and warp its mel axis by linear interpolation, with the same length for all."""
    count, _, width = batch_input.shape
    warped = np.zeros((count, settings.frames, width), np.float32)
    factors = 1 + rng.uniform(-1, 1, (count, 2)) * (settings.stretch, settings.warp)
    for clip, result, (stretch, warp), start in zip(batch_input, warped, factors, rng.uniform(size=count), strict=True):
        frames = int(clip[:, -1].sum())
        stretched = max(1, round(frames * stretch))
        kept = min(stretched, settings.frames)
        first = int(start * (stretched - kept + 1))
        position = np.linspace(0, frames - 1, stretched, dtype=np.float32)[first : first + kept]
        below = position.astype(int)
        fraction = (position - below)[:, None]
        rows = clip[below, :-1] * (1 - fraction) + clip[np.minimum(below + 1, frames - 1), :-1] * fraction
        result[:kept, :-1] = rows @ _warp_matrix(width - 1, warp)
        result[:kept, -1] = 1
    return warped


def _warp_matrix(bands: int, factor: float) -> np.ndarray:
    """Return the matrix that moves band ``factor * k`` to band k, ``(from, to)``, float32."""
    position = np.minimum(np.arange(bands) * factor, bands - 1)
    return np.maximum(0, 1 - np.abs(np.arange(bands)[:, None] - position)).astype(np.float32)


# -- Network and training -- #


def network(settings: Settings, shape: tuple[int | None, int], classes: int):
    """Build the network.

    Args:
        shape: frames and bands of a clip; frames None for clips of any length

    Returns:
        a Keras model: (clips, frames, bands + 1) from :func:`collate` → probabilities (clips, classes), or a number
        (clips, 1) without classes
    """
    from sernb.systems.learning.training import keras

    layers, ops = keras.layers, keras.ops

    def convolve(x, filters: int, kernel: int, **options: int):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, **options)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    frames_in = keras.Input((shape[0], shape[1] + 1))
    mask = frames_in[..., -1:]
    # Has the mean and standard deviation of the bands over the training clips, and is not trained.
    x = layers.BatchNormalization(center=False, scale=False, trainable=False, name=STANDARDISED)(frames_in[..., :-1])
    x = convolve(x * mask, settings.filters, settings.first_kernel, strides=2)
    mask = layers.MaxPooling1D(2, padding="same")(mask)
    x = x * mask
    for dilation in settings.dilations:
        y = convolve(x, settings.filters, settings.kernel, dilation_rate=dilation)
        x = (x + layers.SpatialDropout1D(settings.dropout)(y)) * mask
    x = convolve(x, settings.pooled, 1)
    weight = mask
    if settings.attention:
        logits = layers.Dense(settings.pooled)(layers.Dense(settings.attention, activation="tanh")(x))
        weight = ops.softmax(logits + (mask - 1) * FAR, axis=1)
    weight = weight / ops.sum(weight, axis=1, keepdims=True)
    mean = ops.sum(weight * x, axis=1)
    spread = ops.sqrt(ops.maximum(ops.sum(weight * x * x, axis=1) - mean * mean, SMALLEST_VARIANCE))
    x = layers.BatchNormalization()(layers.Concatenate()([mean, spread]))
    x = layers.Dropout(settings.last_dropout)(x)
    return keras.Model(frames_in, layers.Dense(classes or 1, activation="softmax" if classes else None)(x))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on ``task.fitting_examples`` for all epochs.

    Numeric targets are standardised by the training clips; the loss is the squared error.
    """
    from sernb.systems.learning.training import compile_model, fit_network, keras

    examples = task.fitting_examples
    scale = Normaliser((task.statistics or examples).features)
    steps = -(-len(examples) // settings.batch) * settings.epochs

    def build(shape: tuple[int, int], classes: int):
        model = network(settings, (None, shape[1]), classes)
        standardised = model.get_layer(STANDARDISED)
        standardised.moving_mean.assign(scale.mean)
        standardised.moving_variance.assign(scale.deviation**2)
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate / 20,
            steps - steps // 10,
            alpha=0.01,
            warmup_target=settings.learning_rate,
            warmup_steps=steps // 10,
        )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, clipnorm=5.0)
        if not classes:
            metrics = [keras.metrics.RootMeanSquaredError("rmse")]
            return compile_model(model, optimizer, keras.losses.MeanSquaredError(), accuracy=metrics)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings.smoothing)
        return compile_model(model, optimizer, loss)

    mean, deviation, options = 0.0, 1.0, {}
    if not task.classes:
        mean, deviation = float(examples.truth.mean()), float(examples.truth.std())
        options = {"targets": ((examples.truth - mean) / deviation)[:, None].astype(np.float32)}
    fitted = fit_network(
        replace(task, train=examples, copies=(), validation=examples[:0]),
        build,
        epochs=settings.epochs,
        batch=settings.batch,
        collate=collate,
        augment=partial(augment, settings),
        **options,
    )
    if task.classes:
        return fitted
    chosen = fitted.chosen | {"mean": mean, "deviation": deviation}
    return replace(fitted, scores=lambda clips: mean + deviation * fitted.scores(clips)[:, 0], chosen=chosen)


def to_numpy(settings: Settings, weights: dict[str, np.ndarray]) -> DilatedNetwork:
    """Return the network of a run in NumPy.

    Raises:
        ValueError: if the weights are not those of this network
    """
    return network_from_arrays(weights, settings.dilations, attention=bool(settings.attention))


SYSTEM = System(
    name="sernet",
    title="sernet",
    source="ours",
    description="Log-mel spectrogram of the speech, dilated convolutions with skip connections, attentive statistics "
    "pooling; augmentation by stretching, warping, masking and mixup.",
    labels=ALL_EIGHT,
    features=SpeechMel(),
    settings=Settings(),
    quick={"epochs": 20},
    fit=fit,
    published_selection="the last epoch",
    network=network,
    collate=collate,
    to_numpy=to_numpy,
)
REGRESSION = replace(
    SYSTEM,
    name="sernet-regression",
    title="sernet, numeric",
    description="As sernet, with one numeric output and squared error.",
    labels=NumericTarget(""),
    to_numpy=None,
)
SYSTEMS = (SYSTEM, REGRESSION)
