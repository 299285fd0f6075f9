"""whisper-finetuned: Whisper's encoder, fine-tuned with a small head.

Ours. The encoder (Radford et al., 2023, arXiv:2212.04356) has the real frames of a clip only as input. Its normalised
layers are averaged with learned weights (Peters et al., 2018, doi:10.18653/v1/N18-1202), then pooled by multi-head
attentive statistics pooling (Okabe et al., 2018, doi:10.21437/Interspeech.2018-993). Learning rates decrease towards
the input (Howard and Ruder, 2018, doi:10.18653/v1/P18-1031); the number of trained blocks is a setting. Gender and
intensity are auxiliary outputs, if the corpus has them. In each epoch, a clip is the original or an augmented copy:
other speeds, noise, rooms, telephones, microphones. Further augmentation: gain, SpecAugment (Park et al., 2019,
doi:10.21437/Interspeech.2019-2680) and mixup (Zhang et al., 2018, arXiv:1710.09412). There is no model selection: the
learning rate warms up and decays to almost 0, and the weights of the last epochs are averaged (Izmailov et al., 2018,
arXiv:1803.05407), so that validation speakers train, too.

Under speaker-normalised, the input stays as in pretraining, and the log scores of each speaker are normalised instead
(:func:`sernb.features.normalisation.normalise_scores`). A fold of RAVDESS with two trained blocks of whisper-tiny.en
(``-top``) takes about 15 minutes on one core.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.augmentation import draw_band
from sernb.config import DataError
from sernb.encoders.registry import DEFAULT, ENCODERS, record_of
from sernb.encoders.whisper import BANDS, POWER_FLOOR
from sernb.encoders.whisper_keras import CODES, depth_of, fill, hidden_states
from sernb.features import WhisperMel
from sernb.protocols.labels import ALL_EIGHT
from sernb.systems import sernet
from sernb.systems.base import Fitted, System, Task
from sernb.systems.multitask_losses import PAIRS, make_pair_targets
from sernb.systems.on_encoder import on_all_encoders
from sernb.systems.robust import COPIES, SPEEDS, with_variant
from sernb.systems.sernet_numpy import SMALLEST_VARIANCE
from sernb.systems.whisper_numpy import FinetunedNetwork, network_from_arrays

if TYPE_CHECKING:
    import keras

EMOTION = "emotion"
BUCKET = 50  # frames: batches are padded to a multiple of it, so that few shapes need compilation
collate = partial(sernet.collate, multiple=BUCKET)
DECADES = 4  # of power, per unit of the log-mel
LEAST = (np.log10(POWER_FLOOR) + 4) / DECADES  # minimum of the log-mel
FAR = 1e4  # subtracted from the attention logits of padding


@dataclass(frozen=True)
class Settings:
    """Encoder, head, training and augmentation."""

    encoder: str = DEFAULT  # of the registry
    trained: int | None = None  # number of trained blocks from the top; None: all blocks and the convolutions
    projected: int = 128
    attention: int = 64  # units
    heads: int = 4  # of the pooling
    dropout: float = 0.1  # of the averaged layers
    last_dropout: float = 0.3

    originals: float = 0.5  # fraction of original clips in an epoch; the others are augmented copies
    gain: float = 20.0  # maximum in decibels, positive or negative
    masked_bands: int = 12  # maximum
    masked_frames: int = 40  # maximum
    mixup: float = 0.2  # both parameters of the beta distribution; 0: no mixup
    smoothing: float = 0.1
    auxiliary: float = 0.2  # weight of each auxiliary loss

    epochs: int = 16
    batch: int = 16
    learning_rate: float = 1e-3  # of the head
    encoder_learning_rate: float = 1e-4  # of the last block
    falling: float = 0.75  # factor of the learning rate per block towards the input
    warm_up: float = 0.1  # fraction of the steps
    weight_decay: float = 1e-2
    averaged: int = 3  # last epochs
    at_once: int = 32  # prediction batch

    def __post_init__(self):
        """Check the encoder."""
        if self.encoder not in ENCODERS:
            raise DataError(f"encoder {self.encoder!r}: only these can be fine-tuned: {', '.join(ENCODERS)}")


# -- Input -- #


def sample_epoch(settings: Settings, lengths: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Choose the original or a copy of each clip at random, and batch clips of similar length.

    An incomplete batch of random clips is dropped. The longest batch is first and the shortest second: Keras infers
    that an axis is dynamic if it differs between the first two batches.

    Args:
        lengths: in frames, of the clips, of each of their copies, of leaked copies if any, and of clips without copies

    Returns:
        positions in the concatenation of all these, ``(clips,)``
    """
    offset = np.cumsum([0, *map(len, lengths)])
    count = len(lengths[0])
    copies = [part for part in range(1, len(lengths) - 1) if len(lengths[part]) == count]
    single = [part for part in range(1, len(lengths)) if part not in copies]  # includes leaked copies of test clips
    version = rng.choice(copies, count) if copies else np.zeros(count, int)
    version[rng.uniform(size=count) < settings.originals] = 0
    others = (np.arange(offset[part], offset[part + 1]) for part in single)
    drawn = np.concatenate([offset[version] + np.arange(count), *others])
    size = min(settings.batch, len(drawn))
    drawn = rng.permutation(drawn)[: len(drawn) // size * size]
    batches = drawn[np.argsort(-np.concatenate(lengths)[drawn], kind="stable")].reshape(-1, size)
    inner = batches[1:-1]
    return np.concatenate([batches[:1], batches[1:][-1:], inner[rng.permutation(len(inner))]]).ravel()


def augment(
    settings: Settings, rng: np.random.Generator, batch: np.ndarray, targets: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Apply gain, masks and mixup to the clips of a batch.

    The gain is added to the log-mel above its floor. Masks have the mean of the clip. Mixup uses frames that both clips
    have, with a weight of at most 0.5 for the other clip.

    Args:
        batch: from :func:`collate`
        targets: by output, ``(clips, values)``
    """
    batch = batch.copy()
    for clip, gain in zip(batch, rng.uniform(-settings.gain, settings.gain, len(batch)), strict=True):
        frames = int(clip[:, -1].sum())
        log_mel = clip[:frames, :-1]
        np.maximum(log_mel + gain / 10 / DECADES, LEAST, out=log_mel)
        mean = log_mel.mean()
        log_mel[:, draw_band(BANDS, 0, settings.masked_bands, rng)] = mean
        log_mel[draw_band(frames, 0, min(settings.masked_frames, frames // 4), rng)] = mean
    if not settings.mixup:
        return batch, targets
    weight = rng.beta(settings.mixup, settings.mixup, len(batch)).astype(np.float32)
    weight, partner = np.minimum(weight, 1 - weight), rng.permutation(len(batch))
    mask = batch[..., -1:] * batch[partner, :, -1:] * weight[:, None, None]
    batch[..., :-1] += mask * (batch[partner, :, :-1] - batch[..., :-1])
    return batch, {name: each + weight[:, None] * (each[partner] - each) for name, each in targets.items()}


# -- Network and training -- #


def network(settings: Settings, shape: tuple[int | None, int], classes: int) -> "keras.Model":
    """Build the network, without the encoder's weights.

    Args:
        shape: frames and bands of a clip; frames None for clips of any length

    Returns:
        a Keras model: (clips, frames, bands + 1) from :func:`collate` → probabilities by output, ``emotion``
        (clips, classes), ``gender`` and ``intensity`` (clips, 2)
    """
    from sernb.systems.learning.training import keras

    layers, ops = keras.layers, keras.ops
    record = record_of(settings.encoder)
    batch = keras.Input((shape[0], shape[1] + 1))
    mask = batch[..., -1]
    states = hidden_states(batch[..., :-1], mask, record.width, record.blocks)
    # The layer weights do not depend on the input: they are a layer on the constant 1.
    mixture = layers.Dense(len(states), "softmax", use_bias=False, kernel_initializer="zeros", name="mixture")
    layer_weights = mixture(ops.expand_dims(ops.ones_like(mask[:, 0]), -1))
    normalised = [layers.LayerNormalization(center=False, scale=False)(each) for each in states]
    x = sum(layer_weights[:, k, None, None] * each for k, each in enumerate(normalised))
    x = layers.Dense(settings.projected, "gelu", name="projection")(layers.Dropout(settings.dropout)(x))
    logits = layers.Dense(settings.heads, name="level")(layers.Dense(settings.attention, "tanh", name="attention")(x))
    weight = ops.softmax(logits + (ops.expand_dims(mask[:, ::2], -1) - 1) * FAR, axis=1)
    weight = ops.transpose(weight, (0, 2, 1))  # (clips, heads, positions)
    mean = ops.matmul(weight, x)
    spread = ops.sqrt(ops.maximum(ops.matmul(weight, x * x) - mean * mean, SMALLEST_VARIANCE))
    x = layers.Flatten()(layers.Concatenate()([mean, spread]))
    x = layers.Dropout(settings.last_dropout)(layers.LayerNormalization(name="pooled_norm")(x))
    heads = {EMOTION: classes, **{name: len(words) for name, words in PAIRS.items()}}
    return keras.Model(batch, {name: layers.Dense(units, "softmax", name=name)(x) for name, units in heads.items()})


def learning_rate_factor(settings: Settings, layer: str) -> float:
    """Return the learning rate of a layer relative to that of the head; 0 if it is not trained.

    Position encodings are constants of the published encoder.

    Examples:
        >>> names = "emotion", "layer_3_ffn_linear_0", "layer_1_ffn_linear_0", "conv1"
        >>> [learning_rate_factor(Settings(trained=3, falling=0.5), name) for name in names]
        [1.0, 0.1, 0.025, 0.0]
    """
    blocks = record_of(settings.encoder).blocks
    depth = depth_of(layer, blocks)
    if depth is None:
        return 1.0
    if layer == CODES or (settings.trained is not None and depth <= blocks - settings.trained):
        return 0.0
    return settings.encoder_learning_rate / settings.learning_rate * settings.falling ** (blocks - depth)


def load_encoder_weights(settings: Settings, model: "keras.Model") -> None:
    """Load the published weights of the encoder; raise DataError with advice if they are not available."""
    from sernb.encoders.loading import load_encoder

    fill(model, load_encoder(settings.encoder).weights)


def compile_network(settings: Settings, model: "keras.Model", steps: int) -> "keras.Model":
    """Compile a model with layer-wise learning rates."""
    from sernb.systems.learning.layerwise import make_layerwise_adamw
    from sernb.systems.learning.training import compile_model, keras

    warm_up = round(settings.warm_up * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, alpha=0.01, warmup_target=settings.learning_rate, warmup_steps=warm_up
    )
    factor_of = partial(learning_rate_factor, settings)
    optimizer = make_layerwise_adamw(model, factor_of, rate, decay=settings.weight_decay, global_clipnorm=5.0)
    loss = dict.fromkeys(PAIRS, "categorical_crossentropy")
    loss[EMOTION] = keras.losses.CategoricalCrossentropy(label_smoothing=settings.smoothing)
    return compile_model(model, optimizer, loss, accuracy={EMOTION: keras.metrics.CategoricalAccuracy("accuracy")})


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on ``task.fitting_examples`` for all epochs."""
    from sernb.systems.learning.training import fit_network, one_hot, predictions

    examples, parts = task.fitting_examples, (task.train, *task.copies)
    lengths = [np.array([len(clip) for clip in part.features]) for part in parts]
    without_copies = examples.features[sum(map(len, parts)) :]
    lengths.append(np.array([len(clip) for clip in without_copies], int))
    steps = settings.epochs * max(1, (len(task.train) + len(lengths[-1])) // settings.batch)
    targets = {EMOTION: one_hot(examples.truth, len(task.classes)), **make_pair_targets(examples, settings.auxiliary)}
    models = []

    def build(shape: tuple[int, int], classes: int) -> "keras.Model":
        model = network(settings, (None, shape[1]), classes)
        load_encoder_weights(settings, model)
        models.append(compile_network(settings, model, steps))
        return model

    fitted = fit_network(
        dataclasses.replace(task, train=examples, copies=(), validation=examples[:0]),
        build,
        epochs=settings.epochs,
        batch=settings.batch,
        collate=collate,
        augment=partial(augment, settings),
        sample_epoch=partial(sample_epoch, settings, lengths),
        average_last=settings.averaged,
        targets=targets,
        emotion=EMOTION,
        prediction_batch=settings.at_once,
    )

    def auxiliary_outputs(features: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        outputs = predictions(models[0], features, collate=collate, prediction_batch=settings.at_once)
        return {words[1]: outputs[name][:, 1] for name, words in PAIRS.items() if targets[name].any()}

    return dataclasses.replace(fitted, auxiliary_outputs=auxiliary_outputs)


def to_numpy(settings: Settings, weights: dict[str, np.ndarray]) -> FinetunedNetwork:
    """Return the network of a run in NumPy.

    Raises:
        DataError, KeyError, ValueError: if the weights are not those of this network
    """
    known, network = record_of(settings.encoder), network_from_arrays(weights)
    if (network.encoder.blocks, network.encoder.width) != (known.blocks, known.width):
        raise ValueError(f"the weights are not those of {known.name}")
    return network


_SYSTEM = System(
    name="whisper-finetuned",
    title="Fine-tuned Whisper encoder",
    source="ours; encoder by Radford et al. (2023), arXiv:2212.04356",
    description="Fine-tuned Whisper encoder with weighted layers, multi-head attentive statistics pooling, and "
    "auxiliary outputs for gender and intensity; augmentation by speed, noise, rooms and telephones.",
    labels=ALL_EIGHT,
    features=WhisperMel(),
    settings=Settings(),
    quick={"epochs": 4, "trained": 1, "averaged": 1},
    fit=fit,
    published_selection="the last epoch",
    training_views=(SPEEDS, *COPIES),
    network=network,
    collate=collate,
    to_numpy=to_numpy,
    normalised="scores",
)


def _with_trained(blocks: int, end: str, what: str) -> System:
    settings = dataclasses.replace(_SYSTEM.settings, trained=blocks)
    return _SYSTEM.variant(end, what, settings=settings, quick={**_SYSTEM.quick, "trained": blocks})


FROZEN, TOP = _with_trained(0, "frozen", "frozen encoder"), _with_trained(2, "top", "upper two blocks trained")
SYSTEM = with_variant(with_variant(on_all_encoders(_SYSTEM), FROZEN), TOP)
