"""whisper-finetuned: Whisper's encoder, fine-tuned with a small head.

Ours. The encoder (Radford et al., 2023, arXiv:2212.04356) reads the real frames of a clip only. Its layers, each
normalised, are mixed by learned shares that sum to 1 (Peters et al., 2018, doi:10.18653/v1/N18-1202); attentive
statistics pooling (Okabe et al., 2018, doi:10.21437/Interspeech.2018-993) with several heads weighs the positions. The
deeper a layer lies, the less it is changed (Howard and Ruder, 2018, doi:10.18653/v1/P18-1031); which blocks are trained
is a setting. Gender and intensity are predicted beside the emotion, where the corpus says them. In each epoch a clip is
read as it was recorded or as one of its copies: other speeds, noise, rooms, telephones, microphones. Batches are made
louder or quieter, masked (Park et al., 2019, doi:10.21437/Interspeech.2019-2680) and mixed (Zhang et al., 2018,
arXiv:1710.09412). No epoch is chosen: rates rise, then fall to almost nothing, and the weights of the last epochs are
averaged (Izmailov et al., 2018, arXiv:1803.05407), so that validation speakers train, too.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.augmentation import OneOf, Speed, draw_band
from sernb.config import DataError
from sernb.encoders.registry import DEFAULT, ENCODERS, record_of
from sernb.encoders.whisper import BANDS, POWER_FLOOR
from sernb.encoders.whisper_keras import CODES, depth_of, fill, hidden_states
from sernb.features import WhisperMel
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems import sernet
from sernb.systems.base import Fitted, System, Task
from sernb.systems.majority import tenfold_split
from sernb.systems.multitask_losses import PAIRS, pair_targets
from sernb.systems.on_encoder import on_all_encoders
from sernb.systems.robust import COPIES, with_variant
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE
from sernb.systems.whisper_numpy import FinetunedNetwork, network_from_arrays

if TYPE_CHECKING:
    import keras

EMOTION = "emotion"
BUCKET = 50  # frames: batches are as long as a multiple of it, so that few lengths occur and programs are reused
together = partial(sernet.together, multiple=BUCKET)
DECADES = 4  # of power in a unit of the log-mel
LEAST = (np.log10(POWER_FLOOR) + 4) / DECADES  # value of a cell
FAR = 1e4  # taken from the level of positions that are not there, before the softmax


@dataclass(frozen=True)
class Settings:
    """Encoder, head, training, and how clips are altered in training."""

    encoder: str = DEFAULT  # of the registry
    trained: int | None = None  # blocks, from the top: 0 none, None all and the convolutions
    projected: int = 128
    attention: int = 64  # units
    heads: int = 4  # of the pooling
    dropout: float = 0.1  # of the mixed layers
    last_dropout: float = 0.3

    originals: float = 0.5  # share of clips that are read as recorded; the others as one of their copies
    gain: float = 20.0  # most decibels, either way
    masked_bands: int = 12  # most
    masked_frames: int = 40  # most
    mixup: float = 0.2  # both parameters of the beta distribution; 0: no mixing
    smoothing: float = 0.1
    auxiliary: float = 0.2  # weight of the loss of gender, and of intensity

    epochs: int = 16
    batch: int = 16
    learning_rate: float = 1e-3  # of the head
    encoder_learning_rate: float = 1e-4  # of the last block
    falling: float = 0.75  # factor of the rate from block to block downwards
    warm_up: float = 0.1  # share of the steps
    weight_decay: float = 1e-2
    averaged: int = 3  # last epochs
    at_once: int = 32  # clips that are predicted together

    def __post_init__(self):
        """Refuse an encoder that cannot be trained on."""
        if self.encoder not in ENCODERS:
            raise DataError(f"encoder {self.encoder!r}: only these can be trained on: {', '.join(ENCODERS)}")


# -- Input -- #


def arranged(settings: Settings, lengths: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw a version of each clip, and put clips of like length into one batch.

    A rest that fills no batch is left out, another one in each epoch. The longest batch comes first and the shortest
    second: Keras takes an axis for one of any length when it differs between the first two.

    Args:
        lengths: of the clips, of each of their copies, of leaked copies if any, and of clips without copies; all are
            numbered on and on

    Returns:
        their numbers, ``(clips,)``
    """
    begin = np.cumsum([0, *map(len, lengths)])
    count = len(lengths[0])
    copies = [part for part in range(1, len(lengths) - 1) if len(lengths[part]) == count]
    alone = [part for part in range(1, len(lengths)) if part not in copies]  # leaked copies of test clips, too
    version = rng.choice(copies, count) if copies else np.zeros(count, int)
    version[rng.uniform(size=count) < settings.originals] = 0
    others = (np.arange(begin[part], begin[part + 1]) for part in alone)
    drawn = np.concatenate([begin[version] + np.arange(count), *others])
    size = min(settings.batch, len(drawn))
    drawn = rng.permutation(drawn)[: len(drawn) // size * size]
    batches = drawn[np.argsort(-np.concatenate(lengths)[drawn], kind="stable")].reshape(-1, size)
    inner = batches[1:-1]
    return np.concatenate([batches[:1], batches[1:][-1:], inner[rng.permutation(len(inner))]]).ravel()


def altered(
    settings: Settings, rng: np.random.Generator, batch: np.ndarray, targets: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Make each clip of a batch louder or quieter, mask and mix it.

    A gain adds to all cells above the least power, as Whisper's input follows the loudest one. Masks have the mean of
    the clip. Of the other clip, what lies within the clip is mixed in, the smaller share of the two.

    Args:
        batch: what :func:`together` gives
        targets: by output, ``(clips, values)``
    """
    batch = batch.copy()
    for clip, gain in zip(batch, rng.uniform(-settings.gain, settings.gain, len(batch)), strict=True):
        frames = int(clip[:, -1].sum())
        cells = clip[:frames, :-1]
        np.maximum(cells + gain / 10 / DECADES, LEAST, out=cells)
        mean = cells.mean()
        cells[:, draw_band(BANDS, 0, settings.masked_bands, rng)] = mean
        cells[draw_band(frames, 0, min(settings.masked_frames, frames // 4), rng)] = mean
    if not settings.mixup:
        return batch, targets
    share = rng.beta(settings.mixup, settings.mixup, len(batch)).astype(np.float32)
    share, partner = np.minimum(share, 1 - share), rng.permutation(len(batch))
    both = batch[..., -1:] * batch[partner, :, -1:] * share[:, None, None]
    batch[..., :-1] += both * (batch[partner, :, :-1] - batch[..., :-1])
    return batch, {name: each + share[:, None] * (each[partner] - each) for name, each in targets.items()}


# -- Network and training -- #


def network(settings: Settings, shape: tuple[int | None, int], classes: int) -> "keras.Model":
    """Build the network, without the encoder's weights.

    Args:
        shape: frames and bands of a clip; frames None for clips of any length

    Returns:
        a Keras model: (clips, frames, bands + 1), as :func:`together` gives → by output probabilities, ``emotion``
        (clips, classes), ``gender`` and ``intensity`` (clips, 2)
    """
    from sernb.systems.learning.training import keras

    layers, ops = keras.layers, keras.ops
    record = record_of(settings.encoder)
    batch = keras.Input((shape[0], shape[1] + 1))
    real = batch[..., -1]
    states = hidden_states(batch[..., :-1], real, record.width, record.blocks)
    # The shares belong to no clip: a layer that reads a 1 has them.
    shares = layers.Dense(len(states), "softmax", use_bias=False, kernel_initializer="zeros", name="mixture")
    share = shares(ops.expand_dims(ops.ones_like(real[:, 0]), -1))
    plain = [layers.LayerNormalization(center=False, scale=False)(each) for each in states]
    x = sum(share[:, k, None, None] * each for k, each in enumerate(plain))
    x = layers.Dense(settings.projected, "gelu", name="projection")(layers.Dropout(settings.dropout)(x))
    level = layers.Dense(settings.heads, name="level")(layers.Dense(settings.attention, "tanh", name="attention")(x))
    weight = ops.softmax(level + (ops.expand_dims(real[:, ::2], -1) - 1) * FAR, axis=1)
    weight = ops.transpose(weight, (0, 2, 1))  # (clips, heads, positions)
    mean = ops.matmul(weight, x)
    spread = ops.sqrt(ops.maximum(ops.matmul(weight, x * x) - mean * mean, SMALLEST_VARIANCE))
    x = layers.Flatten()(layers.Concatenate()([mean, spread]))
    x = layers.Dropout(settings.last_dropout)(layers.LayerNormalization(name="pooled_norm")(x))
    heads = {EMOTION: classes, **{name: len(words) for name, words in PAIRS.items()}}
    return keras.Model(batch, {name: layers.Dense(units, "softmax", name=name)(x) for name, units in heads.items()})


def rate_factor(settings: Settings, layer: str) -> float:
    """Return the rate of a layer's variables as a share of the head's; 0 where it is not trained.

    Position codes are constants of the published encoder.

    Examples:
        >>> names = "emotion", "layer_3_ffn_linear_0", "layer_1_ffn_linear_0", "conv1"
        >>> [rate_factor(Settings(trained=3, falling=0.5), name) for name in names]
        [1.0, 0.1, 0.025, 0.0]
    """
    blocks = record_of(settings.encoder).blocks
    depth = depth_of(layer, blocks)
    if depth is None:
        return 1.0
    if layer == CODES or (settings.trained is not None and depth <= blocks - settings.trained):
        return 0.0
    return settings.encoder_learning_rate / settings.learning_rate * settings.falling ** (blocks - depth)


def start(settings: Settings, model: "keras.Model") -> None:
    """Give the network the encoder's published weights; DataError says how to get them where they are not on disk."""
    from sernb.encoders.loading import load_encoder

    fill(model, load_encoder(settings.encoder).weights)


def ready(settings: Settings, model: "keras.Model", steps: int) -> "keras.Model":
    """Return the network ready to train: each layer at its rate, or not at all."""
    from sernb.systems.learning.layerwise import layerwise_adamw
    from sernb.systems.learning.training import compiled, keras

    warm_up = round(settings.warm_up * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, alpha=0.01, warmup_target=settings.learning_rate, warmup_steps=warm_up
    )
    factor_of = partial(rate_factor, settings)
    optimizer = layerwise_adamw(model, factor_of, rate, decay=settings.weight_decay, global_clipnorm=5.0)
    loss = dict.fromkeys(PAIRS, "categorical_crossentropy")
    loss[EMOTION] = keras.losses.CategoricalCrossentropy(label_smoothing=settings.smoothing)
    return compiled(model, optimizer, loss, accuracy={EMOTION: keras.metrics.CategoricalAccuracy("accuracy")})


def fit(settings: Settings, task: Task) -> Fitted:
    """Train for all epochs; where speakers are kept apart, validation speakers train, too."""
    from sernb.systems.learning.training import fit_network, one_hot, predictions

    examples, parts = task.fitting_examples, (task.train, *task.copies)
    lengths = [np.array([len(clip) for clip in part.features]) for part in parts]
    counted = sum(map(len, parts))
    lengths.append(np.array([len(clip) for clip in examples.features[counted:]], int))
    steps = settings.epochs * max(1, (len(task.train) + len(lengths[-1])) // settings.batch)
    targets = {EMOTION: one_hot(examples.truth, len(task.classes)), **pair_targets(examples, settings.auxiliary)}
    models = []

    def build(shape: tuple[int, int], classes: int) -> "keras.Model":
        model = network(settings, (None, shape[1]), classes)
        start(settings, model)
        models.append(ready(settings, model, steps))
        return model

    fitted = fit_network(
        dataclasses.replace(task, train=examples, copies=(), validation=examples[:0]),
        build,
        epochs=settings.epochs,
        batch=settings.batch,
        together=together,
        altered=partial(altered, settings),
        arranged=partial(arranged, settings, lengths),
        averaged=settings.averaged,
        targets=targets,
        emotion=EMOTION,
        at_once=settings.at_once,
    )

    def attributes(features: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        outputs = predictions(models[0], features, together=together, at_once=settings.at_once)
        return {words[1]: outputs[name][:, 1] for name, words in PAIRS.items() if targets[name].any()}

    return dataclasses.replace(fitted, attributes=attributes)


def light(settings: Settings, weights: dict[str, np.ndarray]) -> FinetunedNetwork:
    """Return the network of a run without Keras.

    Raises:
        DataError, KeyError, ValueError: if the weights are not those of this network
    """
    known, network = record_of(settings.encoder), network_from_arrays(weights)
    if (network.encoder.blocks, network.encoder.width) != (known.blocks, known.width):
        raise ValueError(f"the weights are not those of {known.name}")
    return network


_SYSTEM = System(
    name="whisper-finetuned",
    title="Whisper's encoder, fine-tuned",
    source="ours; encoder by Radford et al. (2023), arXiv:2212.04356",
    about="Whisper's encoder fine-tuned, with a mixture of its layers, multi-head attentive statistics "
    "pooling, and outputs for gender and intensity; copies at other speeds, in noise, rooms and telephones.",
    labels=ALL_EIGHT,
    features=WhisperMel(),
    settings=Settings(),
    quick={"epochs": 4, "trained": 1, "averaged": 1},
    fit=fit,
    published_split=tenfold_split,
    published_choice="the last epoch",
    tests_choose=False,
    training_views=(
        OneOf("speed", tuple(Speed(f"speed {factor:g}", factor) for factor in (0.85, 0.92, 1.08, 1.17))),
        *COPIES,
    ),
    network=network,
    together=together,
    light=light,
)
_TRAINED = {"frozen": (0, "encoder frozen"), "top": (2, "the upper two blocks trained")}
SYSTEM = on_all_encoders(_SYSTEM)
for _end, (_blocks, _what) in _TRAINED.items():
    _settings = dataclasses.replace(_SYSTEM.settings, trained=_blocks)
    SYSTEM = with_variant(
        SYSTEM, _SYSTEM.variant(_end, _what, settings=_settings, quick={**_SYSTEM.quick, "trained": _blocks})
    )
