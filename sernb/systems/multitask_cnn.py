"""Multitask CNN with attention on log-mel images: emotion, gender and dimensions.

MohammadUmarAsif, speech-emotion-recognition (2022): "Arch 8" with multitask learning, 126,041,745 parameters, four of
them weights of the losses. Trained on IEMOCAP, tested on IEMOCAP and RAVDESS.

Not specified in the source, and chosen here: the length of segments (see :class:`sernb.features.LogMelPicture`), the
proportions of the split, the number of epochs, the patience of the learning-rate schedule, and the weight of the fixed
combination of losses. The loss of a label that a corpus lacks is omitted with its learned weight.

The authors compute IEMOCAP's labels from all votes, including the actors': the most frequent emotion, in ties the first
named, also for turns without agreement; valence, arousal and dominance are means over the same raters, with blanks as
1. These are the labels for training and test; the variants ``…-official`` have the labels of the corpus.

Differences from the publication: the segments of a clip are in the same part of the split, and their predictions are
averaged; batches are reshuffled in each epoch, and the last is not filled up; validation uses the original clips only;
valence, arousal (the authors' activation) and dominance are min-max scaled by the training clips, not by the corpus.
The head for intensity is ours, and off by default.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, Mask, Noise, OneOf, Pitch, Stretch
from sernb.config import DataError
from sernb.corpora.record import DIMENSIONS
from sernb.features import LogMelPicture
from sernb.protocols.labels import MULTITASK_EIGHT, MULTITASK_EIGHT_OFFICIAL
from sernb.systems.base import Fitted, PublishedScore, System, Task, scale_units
from sernb.systems.multitask_losses import COMBINATIONS, PAIRS, find_ranges, make_loss, make_targets, output_columns

STRONG = 3.5  # arousal from which an emotion is strong, according to the authors
AT_ONCE = 64  # prediction batch: at full width 2 MB per image


@dataclass(frozen=True)
class Settings:
    """The authors' network and training."""

    width: float = 1.0  # factor for filters and dense units; below 1 for small computers
    filters: tuple[int, int] = (32, 64)
    kernels: tuple[int, int] = (7, 5)
    pools: tuple[int, int] = (4, 3)
    stride: int = 2  # of the pooling
    attention: float | None = 1e-4  # λ; None: no attention
    dense: int = 2048
    dropout: float = 0.8
    relu_dimensions: bool = True  # as published, without gradient below 0; False: linear
    intensity: bool = False  # an additional head
    combination: str = "weighted"  # of the losses, see COMBINATIONS
    fixed: float = 0.5  # weight of all tasks but emotion in the combination "fixed"
    tallied: bool = True  # dimensions include the actors' votes as published, if the index has them
    label_range: tuple[float, float] | None = None  # of the dimensions; None: that of the training clips
    learning_rate: float = 0.01
    batch: int = 32
    epochs: int = 30
    decay: float = 0.8  # factor of the learning rate on a plateau of the validation loss
    patience: int = 3  # epochs

    def __post_init__(self):
        """Refuse an unknown combination."""
        if self.combination not in COMBINATIONS:
            raise DataError(f"combination: {self.combination!r} is none of {', '.join(COMBINATIONS)}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of targets, outputs and loss weights."""
        return ("emotion", "gender", *DIMENSIONS, *(["intensity"] if self.intensity else []))

    @property
    def weighed(self) -> tuple[str, ...]:
        """Tasks with a learned loss weight."""
        return self.tasks if self.combination == "log-variance" else self.tasks[1:]


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    Initialisation is PyTorch's: uniform, bounded by the inverse square root of the number of inputs.

    Args:
        shape: rows and columns of an image, (128, 128) as published

    Returns:
        a Keras model: (images, rows, columns) → ``answers`` (images, …), all outputs and loss weights, see
        :func:`sernb.systems.multitask_losses.output_columns`, and ``emotion``, log probabilities (images, classes)
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    initial = {"kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")}

    picture = keras.Input(shape)
    x = layers.Reshape((*shape, 1))(picture)
    for number, (filters, kernel, pool) in enumerate(
        zip(settings.filters, settings.kernels, settings.pools, strict=True), start=1
    ):
        x = layers.Conv2D(
            scale_units(filters, settings.width),
            kernel,
            padding="same",
            activation="relu",
            name=f"convolution_{number}",
            **initial,
        )(x)
        x = layers.MaxPool2D(pool, settings.stride)(x)  # (63, 63, 32), then (31, 31, 64)
    if settings.attention is not None:
        gate = layers.Activation("sigmoid", name="attention")(simam_energy(x, settings.attention))
        x = layers.Multiply(name="attended")([x, gate])
    x = layers.Flatten()(x)
    x = layers.Dropout(settings.dropout)(x)
    x = layers.Dense(scale_units(settings.dense, settings.width), activation="relu", **initial)(x)
    x = layers.Dropout(settings.dropout)(x)
    heads = []
    for task in settings.tasks:
        if task in DIMENSIONS:
            heads.append(layers.Dense(1, "relu" if settings.relu_dimensions else None, name=task, **initial)(x))
        else:
            units = classes if task == "emotion" else 2
            heads.append(layers.Dense(units, "log_softmax", name=task, **initial)(x))
    # The loss weights do not depend on the input; as a layer on a constant, they are trained and stored like others.
    one = keras.ops.ones_like(heads[0][:, :1])
    weights = layers.Dense(len(settings.weighed), use_bias=False, kernel_initializer="zeros", name="loss_weights")(one)
    return keras.Model(picture, {"emotion": heads[0], "answers": layers.Concatenate(name="answers")([*heads, weights])})


def simam_energy(x, constant: float):
    """Return SimAM's inverse energy of each element of a feature map.

    Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module", ICML 2021.

    Args:
        x: feature maps, (images, rows, columns, channels)
        constant: λ, added to the variance
    """
    from sernb.systems.learning.training import keras

    ops = keras.ops
    distance = ops.square(x - ops.mean(x, axis=(1, 2), keepdims=True))
    variance = ops.sum(distance, axis=(1, 2), keepdims=True) / (x.shape[1] * x.shape[2] - 1)
    return distance / (4 * (variance + constant)) + 0.5


def split_pictures(clips: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the square images of all clips, as views of the arrays, and the number of the clip of each."""
    pictures = [clip[at : at + clip.shape[1]] for clip in clips for at in range(0, len(clip), clip.shape[1])]
    return pictures, np.repeat(np.arange(len(clips)), [len(clip) // clip.shape[1] for clip in clips])


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on the images of all views; keep the epoch with the lowest validation loss."""
    from sernb.systems.learning.training import Plateau, compile_model, keras, predictions, seed_everything, train

    seed_everything(task.seed)
    classes = len(task.classes)
    examples = task.training_examples
    pictures, clip = split_pictures(examples.features)
    validation, validation_clip = split_pictures(task.validation.features)
    ranges = find_ranges(settings, task.statistics or task.train)
    has_labels = ~np.isnan(make_targets(settings, task.train, ranges)).all(axis=0)
    trained = tuple(
        name
        for name, labelled in zip(settings.tasks, has_labels, strict=True)
        if labelled and (name not in DIMENSIONS or name in ranges)
    )
    model = network(settings, pictures[0].shape, classes)
    compile_model(
        model,
        keras.optimizers.SGD(settings.learning_rate),
        {"answers": make_loss(settings, classes, trained)},
        accuracy={"emotion": keras.metrics.SparseCategoricalAccuracy("accuracy")},
    )
    fitted = train(
        model,
        pictures,
        {"answers": make_targets(settings, examples, ranges)[clip], "emotion": examples.truth[clip]},
        validation,
        task.validation.truth[validation_clip],
        epochs=settings.epochs,
        batch=settings.batch,
        seed=task.seed,
        checkpoint=task.checkpoint,
        validation_targets={
            "answers": make_targets(settings, task.validation, ranges)[validation_clip],
            "emotion": task.validation.truth[validation_clip],
        },
        emotion="emotion",
        schedule=Plateau(settings.patience, settings.decay),
        best_by="validation_loss",
        prediction_batch=AT_ONCE,
    )

    def predict(clips: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        """Return the outputs, probabilities or values, averaged over the images of each clip."""
        pictures, number = split_pictures(clips)
        output = predictions(model, pictures, prediction_batch=AT_ONCE)["answers"]
        count = np.bincount(number)[:, None]
        outputs = {}
        for name, columns in output_columns(settings, classes).items():
            values = output[:, columns] if name in DIMENSIONS else np.exp(output[:, columns])
            outputs[name] = np.stack([np.bincount(number, column) for column in values.T], axis=1) / count
        return outputs

    def auxiliary_outputs(clips: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        outputs, auxiliary = predict(clips), {}
        for name in trained[1:]:
            if name in DIMENSIONS:
                low, high = ranges[name]
                auxiliary[name] = low + outputs[name][:, 0] * (high - low)
            else:
                auxiliary[PAIRS[name][1]] = outputs[name][:, 1]
        if "arousal" in auxiliary:
            auxiliary["strong by arousal"] = (auxiliary["arousal"] >= STRONG).astype(float)
        return auxiliary

    return dataclasses.replace(
        fitted, scores=lambda clips: predict(clips)["emotion"], auxiliary_outputs=auxiliary_outputs
    )


def restore_network(settings: Settings, shape: tuple[int, int], classes: int, weights: dict[str, np.ndarray]):
    """Build the network with the weights of a finished run (``weights.npz``)."""
    from sernb.systems.learning.training import set_weights

    return set_weights(network(settings, shape, classes), weights)


def compute_feature_maps(model, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Return filters, feature maps and attention of the network for some images.

    Args:
        pictures: shape ``(images, rows, columns)``

    Returns:
        ``filters 1`` and ``filters 2`` (rows, columns, input channels, channels); ``feature maps 1`` and
        ``feature maps 2``, ``attention`` (gate, between 0.5 and 1) and ``attended``, each (images, rows, columns,
        channels)
    """
    from sernb.systems.learning.training import keras

    names = {
        "convolution_1": "feature maps 1",
        "convolution_2": "feature maps 2",
        "attention": "attention",
        "attended": "attended",
    }
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    maps = inner.predict(pictures, verbose=0)
    filters = {f"filters {n}": keras.ops.convert_to_numpy(model.get_layer(f"convolution_{n}").kernel) for n in (1, 2)}
    return filters | dict(zip(names.values(), maps, strict=True))


def split_stratified(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield one stratified random split: 80 % training, 10 % validation, 10 % test; it ignores speakers."""
    from sklearn.model_selection import train_test_split

    every, truth = np.arange(len(clips)), clips["truth"].to_numpy()
    train, rest = train_test_split(every, test_size=0.2, stratify=truth, random_state=seed)
    yield train, *train_test_split(rest, test_size=0.5, stratify=truth[rest], random_state=seed)


# The authors' six views of a clip, for training and test.
VIEWS = (
    ORIGINAL,
    Noise("noise-22.5dB", snr=-20 * np.log10(0.075)),  # 0.075 times the signal's standard deviation
    OneOf("stretch", (Stretch("slower", 0.75), Stretch("faster", 1.25))),
    OneOf("pitch", (Pitch("lower", -1.0), Pitch("higher", 1.0))),
    # The authors' masks have 10 to 20 of 256 pixels.
    Mask("frequency-mask", axis=1, least=5, most=10, picture=128),
    Mask("time-mask", axis=0, least=5, most=10, picture=128),
)

SYSTEM = System(
    name="multitask-cnn",
    title="Multitask CNN with attention",
    source="MohammadUmarAsif, speech-emotion-recognition (2022)",
    published_on=("iemocap",),
    description="Log-mel images of 128 × 128 pixels, two convolutions, parameter-free attention, heads for emotion, "
    "gender, valence, arousal and dominance.",
    labels=MULTITASK_EIGHT,
    features=LogMelPicture(),
    settings=Settings(),
    quick={"width": 0.125, "epochs": 3},
    fit=fit,
    published_split=split_stratified,
    published_selection="epoch with the lowest loss on a validation part",
    views=VIEWS,
    training_views=VIEWS[1:],
    reported=(
        PublishedScore(
            "war",
            0.4200,
            "as-published",
            "scores of segments, of which others of the same clip may have trained; random split, ten speakers shared; "
            "majority baseline about 29 %",
            corpus="iemocap",
        ),
        PublishedScore(
            "top3",
            0.8101,
            "as-published",
            "as the 42.0 %; always predicting the three largest classes gives about 60 to 65 %",
            corpus="iemocap",
        ),
        PublishedScore(
            "war",
            0.2140,
            "corpus-independent",
            "trained on IEMOCAP; 1,056 clips, without the classes excited and frustrated; majority baseline 18.2 %",
        ),
        PublishedScore(
            "top3",
            0.5900,
            "corpus-independent",
            "as the 21.4 %; three of six classes: chance level 50 %, always predicting the same three gives 54.5 %",
        ),
    ),
    selects_epoch=True,
    network=network,
)
_NARROW = {"width": 0.25, "epochs": 20}
_VARIANTS = {
    "narrow": ("a quarter of all widths, 20 epochs", {}),
    "narrow-intensity": ("as narrow, a head for intensity", {"intensity": True}),
    "narrow-linear": ("as narrow, dimensions without ReLU", {"relu_dimensions": False}),
    **{
        f"narrow-{combination}": (f"as narrow, combination of losses: {combination}", {"combination": combination})
        for combination in COMBINATIONS
        if combination != Settings().combination
    },
}
_OFFICIAL = {"labels": MULTITASK_EIGHT_OFFICIAL, "settings": Settings(tallied=False)}
SYSTEM = dataclasses.replace(
    SYSTEM,
    variants=(
        *(
            SYSTEM.variant(name, what, settings=dataclasses.replace(SYSTEM.settings, **_NARROW, **changes))
            for name, (what, changes) in _VARIANTS.items()
        ),
        SYSTEM.variant("official", "official labels of IEMOCAP", **_OFFICIAL),
        SYSTEM.variant(
            "narrow-official",
            "as narrow, official labels of IEMOCAP",
            **_OFFICIAL | {"settings": Settings(tallied=False, **_NARROW)},
        ),
    ),
)
