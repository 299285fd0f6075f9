"""sernet: a small dilated convolutional network on the log-mel spectrogram of the speech in a clip.

Ours. Clips are read in full, whatever their length; the ends of shorter ones are masked. Attentive statistics pooling
(Okabe et al., 2018, doi:10.21437/Interspeech.2018-993) weighs the frames. In training each clip is stretched in time
and along the mel axis (vocal tract length perturbation: Jaitly and Hinton, 2013), masked (Park et al., 2019,
doi:10.21437/Interspeech.2019-2680) and mixed with another (Zhang et al., 2018, arXiv:1710.09412), anew in each epoch.
No epoch is chosen: the learning rate falls to almost nothing, and the last epoch counts, so that validation speakers
train, too. What was tried, and what each thing gave, is on the page ``23_develop_sernet``.
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
from sernb.systems.majority import tenfold_split
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE, DilatedNetwork, network_from_arrays

STANDARDISED = "standardised"
FAR = 1e4  # taken from the level of frames that are not there, before the softmax


@dataclass(frozen=True)
class Settings:
    """Network, training, and how clips are altered in training."""

    filters: int = 64
    first_kernel: int = 5  # frames; the first convolution takes every second place
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    pooled: int = 128
    attention: int = 32  # units; 0: all frames weigh alike
    dropout: float = 0.1
    last_dropout: float = 0.4

    frames: int = 160  # of a clip in training, 2.56 s: a section of a longer one; afterwards all of it is read
    stretch: float = 0.15  # most, along time
    warp: float = 0.1  # most, along the mel axis
    masked_bands: int = 10  # most
    masked_frames: int = 16  # most
    mixup: float = 0.3  # both parameters of the beta distribution; 0: no mixing
    smoothing: float = 0.1

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


# -- Input -- #


def together(clips: Sequence[np.ndarray], multiple: int = 2) -> np.ndarray:
    """Put clips of different lengths into one array, ``(clips, frames, bands + 1)``, float32.

    The last column is 1 where the clip has a frame, and all is 0 after its end. Frames are as many as the longest clip
    has, or some more: an even number, so that a first convolution with a stride of 2 reads the same frames of a clip
    whatever stands beside it.

    Args:
        multiple: of which the number of frames is one; an even one

    Examples:
        >>> together([np.ones((1, 2)), np.ones((2, 2))])[0].tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    longest = max(map(len, clips))
    batch_input = np.zeros((len(clips), -(-longest // multiple) * multiple, clips[0].shape[1] + 1), np.float32)
    for row, clip in zip(batch_input, clips, strict=True):
        row[: len(clip), :-1] = clip
        row[: len(clip), -1] = 1
    return batch_input


def altered(
    settings: Settings, rng: np.random.Generator, batch_input: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stretch, warp, mask and mix the clips of a batch, each as it departs from the mean of the batch, band by band.

    Args:
        batch_input: what :func:`together` gives
        targets: ``(clips, classes)``

    Returns:
        both, changed; the mean stands where a mask lies and after the end of a clip
    """
    mean = np.append(batch_input[..., :-1].sum(axis=(0, 1)) / batch_input[..., -1].sum(), 0).astype(np.float32)
    bent = _bent(settings, rng, batch_input - mean * batch_input[..., -1:])
    for clip in bent:
        clip[:, draw_band(clip.shape[1] - 1, 0, settings.masked_bands, rng)] = 0
        clip[draw_band(len(clip), 0, settings.masked_frames, rng), :-1] = 0
    mixed, targets = _mixed(settings, rng, bent, targets) if settings.mixup else (bent, targets)
    return mixed + mean, targets


def _mixed(
    settings: Settings, rng: np.random.Generator, bent: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add a random other clip to each, the smaller share of the two; the longer one's end counts."""
    share = rng.beta(settings.mixup, settings.mixup, len(bent)).astype(np.float32)
    share, partner = np.maximum(share, 1 - share), rng.permutation(len(bent))
    mixed = share[:, None, None] * bent + (1 - share)[:, None, None] * bent[partner]
    mixed[..., -1] = np.maximum(bent[..., -1], bent[partner, :, -1])
    return mixed, share[:, None] * targets + (1 - share)[:, None] * targets[partner]


def _bent(settings: Settings, rng: np.random.Generator, batch_input: np.ndarray) -> np.ndarray:
    """Stretch each clip along time and its bands along the mel axis, by linear interpolation; all get equally long."""
    count, _, width = batch_input.shape
    bent = np.zeros((count, settings.frames, width), np.float32)
    factors = 1 + rng.uniform(-1, 1, (count, 2)) * (settings.stretch, settings.warp)
    for clip, result, (longer, higher), start in zip(batch_input, bent, factors, rng.uniform(size=count), strict=True):
        frames = int(clip[:, -1].sum())
        stretched = max(1, round(frames * longer))
        kept = min(stretched, settings.frames)
        first = int(start * (stretched - kept + 1))
        place = np.linspace(0, frames - 1, stretched, dtype=np.float32)[first : first + kept]
        below = place.astype(int)
        over = (place - below)[:, None]
        rows = clip[below, :-1] * (1 - over) + clip[np.minimum(below + 1, frames - 1), :-1] * over
        result[:kept, :-1] = rows @ _moved(width - 1, higher)
        result[:kept, -1] = 1
    return bent


def _moved(bands: int, factor: float) -> np.ndarray:
    """Return the matrix that puts at band k what was at band ``factor`` k, ``(from, to)``, float32."""
    place = np.minimum(np.arange(bands) * factor, bands - 1)
    return np.maximum(0, 1 - np.abs(np.arange(bands)[:, None] - place)).astype(np.float32)


# -- Network and training -- #


def network(settings: Settings, shape: tuple[int | None, int], classes: int):
    """Build the network.

    Args:
        shape: frames and bands of a clip; frames None for clips of any length

    Returns:
        a Keras model: (clips, frames, bands + 1), as :func:`together` gives → probabilities (clips, classes); without
        classes one number, (clips, 1)
    """
    from sernb.systems.learning.training import keras

    layers, ops = keras.layers, keras.ops

    def convolved(x, filters: int, kernel: int, **how: int):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, **how)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    frames_in = keras.Input((shape[0], shape[1] + 1))
    inside = frames_in[..., -1:]
    # Holds mean and deviation of the bands over the training clips, which training leaves alone.
    x = layers.BatchNormalization(center=False, scale=False, trainable=False, name=STANDARDISED)(frames_in[..., :-1])
    x = convolved(x * inside, settings.filters, settings.first_kernel, strides=2)
    inside = layers.MaxPooling1D(2, padding="same")(inside)
    x = x * inside
    for dilation in settings.dilations:
        y = convolved(x, settings.filters, settings.kernel, dilation_rate=dilation)
        x = (x + layers.SpatialDropout1D(settings.dropout)(y)) * inside
    x = convolved(x, settings.pooled, 1)
    weight = inside
    if settings.attention:
        level = layers.Dense(settings.pooled)(layers.Dense(settings.attention, activation="tanh")(x))
        weight = ops.softmax(level + (inside - 1) * FAR, axis=1)
    weight = weight / ops.sum(weight, axis=1, keepdims=True)
    mean = ops.sum(weight * x, axis=1)
    spread = ops.sqrt(ops.maximum(ops.sum(weight * x * x, axis=1) - mean * mean, SMALLEST_VARIANCE))
    x = layers.BatchNormalization()(layers.Concatenate()([mean, spread]))
    x = layers.Dropout(settings.last_dropout)(x)
    return keras.Model(frames_in, layers.Dense(classes or 1, activation="softmax" if classes else None)(x))


def fit(settings: Settings, task: Task) -> Fitted:
    """Train for all epochs; where speakers are kept apart, validation speakers train, too.

    A number is learned standardised by the training clips, by squared errors; mixed clips have the mixed number.
    """
    from sernb.systems.learning.training import compiled, fit_network, keras

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
            watched = [keras.metrics.RootMeanSquaredError("rmse")]
            return compiled(model, optimizer, keras.losses.MeanSquaredError(), accuracy=watched)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings.smoothing)
        return compiled(model, optimizer, loss)

    mean, deviation, options = 0.0, 1.0, {}
    if not task.classes:
        mean, deviation = float(examples.truth.mean()), float(examples.truth.std())
        options = {"targets": ((examples.truth - mean) / deviation)[:, None].astype(np.float32)}
    fitted = fit_network(
        replace(task, train=examples, copies=(), validation=examples[:0]),
        build,
        epochs=settings.epochs,
        batch=settings.batch,
        together=together,
        altered=partial(altered, settings),
        **options,
    )
    if task.classes:
        return fitted
    chosen = fitted.chosen | {"mean": mean, "deviation": deviation}
    return replace(fitted, scores=lambda clips: mean + deviation * fitted.scores(clips)[:, 0], chosen=chosen)


def light(settings: Settings, weights: dict[str, np.ndarray]) -> DilatedNetwork:
    """Return the network of a run without Keras.

    Raises:
        ValueError: if the weights are not those of this network
    """
    return network_from_arrays(weights, settings.dilations, attention=bool(settings.attention))


SYSTEM = System(
    name="sernet",
    title="sernet",
    source="ours",
    about="Log-mel spectrogram of the speech in a clip, dilated convolutions with skip connections, attentive "
    "statistics pooling; clips stretched, warped, masked and mixed in training.",
    labels=ALL_EIGHT,
    features=SpeechMel(),
    settings=Settings(),
    quick={"epochs": 20},
    fit=fit,
    published_split=tenfold_split,
    published_choice="the last epoch",
    tests_choose=False,
    network=network,
    together=together,
    light=light,
)
REGRESSION = replace(
    SYSTEM,
    name="sernet-regression",
    title="sernet on numbers",
    about="As sernet, with one number instead of classes at its end, learned by squared errors.",
    labels=NumericTarget(""),
    light=None,
)
SYSTEMS = (SYSTEM, REGRESSION)
