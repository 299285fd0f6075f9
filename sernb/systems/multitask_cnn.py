"""A convolutional network with attention on log-mel pictures; emotion, gender and dimensions at once.

MohammadUmarAsif, speech-emotion-recognition (2022): "Arch 8" with multitask learning, 126,041,745 parameters, four of
them weights of the losses. Trained on IEMOCAP, tested on IEMOCAP and on RAVDESS.

Chosen here, where the source does not say: the length of segments (see :class:`sernb.features.LogMelPicture`), the
shares of the split, the number of epochs, the patience of the learning-rate schedule, and the weight of the fixed
combination of losses. Where a corpus lacks a label, the label's loss is left out, and with it its learned weight.

The labels of IEMOCAP are the authors' own tally: of all votes, the actors' own too, the emotion named most often, ties
to the first named, so that turns without agreement have one as well; valence, arousal and dominance are means over the
same raters, a blank counting as 1. Scores are against what was trained. The variants ``…-official`` have the corpus's
own labels. Corpora without votes have one label anyway.

Otherwise than published: segments of a clip share its part of the split and are averaged to one prediction a clip;
batches are drawn anew in each epoch, and the last is not filled up; validation reads each clip as recorded only;
valence, arousal (the authors' activation) and dominance are scaled by the training clips' extremes, not by the
corpus's. The head for intensity is ours; it is off.
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
from sernb.systems.multitask_losses import COMBINATIONS, PAIRS, loss_of, output_columns, ranges_of, targets

STRONG = 3.5  # arousal from which the authors call an emotion strong
AT_ONCE = 64  # pictures that are predicted together: at full width 2 MB each


@dataclass(frozen=True)
class Settings:
    """The authors' network and training."""

    width: float = 1.0  # share of the filters and of the dense layer; below 1 for small computers
    filters: tuple[int, int] = (32, 64)
    kernels: tuple[int, int] = (7, 5)
    pools: tuple[int, int] = (4, 3)
    stride: int = 2  # of the pools
    attention: float | None = 1e-4  # λ; None: no attention
    dense: int = 2048
    dropout: float = 0.8
    relu_dimensions: bool = True  # as published: an output below 0 gives no gradient; False: linear
    intensity: bool = False  # a head more
    combination: str = "weighted"  # of the losses, see COMBINATIONS
    fixed: float = 0.5  # weight of all tasks but emotion in the combination "fixed"
    tallied: bool = True  # dimensions as the authors count them, where the index has it: the actors' own votes included
    label_range: tuple[float, float] | None = None  # of the dimensions; None: the extremes of the training clips
    learning_rate: float = 0.01
    batch: int = 32
    epochs: int = 30
    decay: float = 0.8  # of the learning rate when the validation loss stands still
    patience: int = 3  # epochs

    def __post_init__(self):
        """Refuse an unknown combination."""
        if self.combination not in COMBINATIONS:
            raise DataError(f"combination: {self.combination!r} is none of {', '.join(COMBINATIONS)}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of targets and outputs; the weights of the losses have this order, too."""
        return ("emotion", "gender", *DIMENSIONS, *(["intensity"] if self.intensity else []))

    @property
    def weighed(self) -> tuple[str, ...]:
        """Tasks whose loss has a learned weight."""
        return self.tasks if self.combination == "log-variance" else self.tasks[1:]


def network(settings: Settings, shape: tuple[int, int], classes: int):
    """Build the network.

    All weights are drawn as in the authors' library: uniform, up to one over the root of a unit's inputs.

    Args:
        shape: rows and columns of a picture, (128, 128) as published

    Returns:
        a Keras model: (pictures, rows, columns) → ``answers`` (pictures, …), see
        :func:`sernb.systems.multitask_losses.output_columns`, and ``emotion``, the logarithms of the probabilities of
        the classes (pictures, classes), once more
    """
    from sernb.systems.learning.training import keras

    layers = keras.layers
    start = {"kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")}

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
            **start,
        )(x)
        x = layers.MaxPool2D(pool, settings.stride)(x)  # (63, 63, 32), then (31, 31, 64)
    if settings.attention is not None:
        gate = layers.Activation("sigmoid", name="attention")(energy(x, settings.attention))
        x = layers.Multiply(name="attended")([x, gate])
    x = layers.Flatten()(x)
    x = layers.Dropout(settings.dropout)(x)
    x = layers.Dense(scale_units(settings.dense, settings.width), activation="relu", **start)(x)
    x = layers.Dropout(settings.dropout)(x)
    heads = []
    for task in settings.tasks:
        if task in DIMENSIONS:
            heads.append(layers.Dense(1, "relu" if settings.relu_dimensions else None, name=task, **start)(x))
        else:
            units = classes if task == "emotion" else 2
            heads.append(layers.Dense(units, "log_softmax", name=task, **start)(x))
    # The weights of the losses belong to no picture; this way they are trained and kept with the others.
    one = keras.ops.ones_like(heads[0][:, :1])
    weights = layers.Dense(len(settings.weighed), use_bias=False, kernel_initializer="zeros", name="loss_weights")(one)
    return keras.Model(picture, {"emotion": heads[0], "answers": layers.Concatenate(name="answers")([*heads, weights])})


def energy(x, constant: float):
    """Return SimAM's inverse energy of each cell: how far it stands out from its feature map.

    Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module", ICML 2021.

    Args:
        x: feature maps, (pictures, rows, columns, channels)
        constant: λ, added to the variance
    """
    from sernb.systems.learning.training import keras

    ops = keras.ops
    distance = ops.square(x - ops.mean(x, axis=(1, 2), keepdims=True))
    variance = ops.sum(distance, axis=(1, 2), keepdims=True) / (x.shape[1] * x.shape[2] - 1)
    return distance / (4 * (variance + constant)) + 0.5


def pictures_of(clips: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the square pictures of all clips, views into the clips, and the number of the clip of each."""
    pictures = [clip[at : at + clip.shape[1]] for clip in clips for at in range(0, len(clip), clip.shape[1])]
    return pictures, np.repeat(np.arange(len(clips)), [len(clip) // clip.shape[1] for clip in clips])


def fit(settings: Settings, task: Task) -> Fitted:
    """Train on the pictures of all views; keep the weights of the epoch with the lowest loss on the validation part."""
    from sernb.systems.learning.training import Plateau, compiled, keras, predictions, seed_everything, train

    seed_everything(task.seed)
    classes = len(task.classes)
    examples = task.training_examples
    pictures, owner = pictures_of(examples.features)
    held_out, held_out_owner = pictures_of(task.validation.features)
    ranges = ranges_of(settings, task.statistics or task.train)
    known = ~np.isnan(targets(settings, task.train, ranges)).all(axis=0)
    trained = tuple(
        name
        for name, some in zip(settings.tasks, known, strict=True)
        if some and (name not in DIMENSIONS or name in ranges)
    )
    model = network(settings, pictures[0].shape, classes)
    compiled(
        model,
        keras.optimizers.SGD(settings.learning_rate),
        {"answers": loss_of(settings, classes, trained)},
        accuracy={"emotion": keras.metrics.SparseCategoricalAccuracy("accuracy")},
    )
    fitted = train(
        model,
        pictures,
        {"answers": targets(settings, examples, ranges)[owner], "emotion": examples.truth[owner]},
        held_out,
        task.validation.truth[held_out_owner],
        epochs=settings.epochs,
        batch=settings.batch,
        seed=task.seed,
        checkpoint=task.checkpoint,
        validation_targets={
            "answers": targets(settings, task.validation, ranges)[held_out_owner],
            "emotion": task.validation.truth[held_out_owner],
        },
        emotion="emotion",
        schedule=Plateau(settings.patience, settings.decay),
        best_by="validation_loss",
        at_once=AT_ONCE,
    )

    def outputs_of(clips: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        """Mean over the pictures of each clip of the outputs of the network: probabilities, or values."""
        several, number = pictures_of(clips)
        output = predictions(model, several, at_once=AT_ONCE)["answers"]
        count = np.bincount(number)[:, None]
        outputs = {}
        for name, columns in output_columns(settings, classes).items():
            values = output[:, columns] if name in DIMENSIONS else np.exp(output[:, columns])
            outputs[name] = np.stack([np.bincount(number, column) for column in values.T], axis=1) / count
        return outputs

    def attributes(clips: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        outputs, found = outputs_of(clips), {}
        for name in trained[1:]:
            if name in DIMENSIONS:
                low, high = ranges[name]
                found[name] = low + outputs[name][:, 0] * (high - low)
            else:
                found[PAIRS[name][1]] = outputs[name][:, 1]
        if "arousal" in found:
            found["strong by arousal"] = (found["arousal"] >= STRONG).astype(float)
        return found

    return dataclasses.replace(fitted, scores=lambda clips: outputs_of(clips)["emotion"], attributes=attributes)


def restored(settings: Settings, shape: tuple[int, int], classes: int, weights: dict[str, np.ndarray]):
    """Build the network with the weights of a finished run (``weights.npz``), to look inside."""
    model = network(settings, shape, classes)
    for variable, name in zip(model.weights, sorted(weights), strict=True):  # names begin with their number
        variable.assign(weights[name])
    return model


def maps_of(model, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the network sees in pictures: filters, feature maps and attention.

    Args:
        pictures: shape ``(pictures, rows, columns)``

    Returns:
        ``filters 1`` and ``filters 2`` (rows, columns, channels before, channels); ``feature maps 1`` and
        ``feature maps 2``, ``attention`` (gate, between 0.5 and 1) and ``attended``, each (pictures, rows, columns,
        channels)
    """
    from sernb.systems.learning.training import keras

    names = {
        "convolution_1": "feature maps 1",
        "convolution_2": "feature maps 2",
        "attention": "attention",
        "attended": "attended",
    }
    inside = keras.Model(model.input, [model.get_layer(name).output for name in names])
    seen = inside.predict(pictures, verbose=0)
    filters = {f"filters {n}": keras.ops.convert_to_numpy(model.get_layer(f"convolution_{n}").kernel) for n in (1, 2)}
    return filters | dict(zip(names.values(), seen, strict=True))


def stratified(clips: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One random split with equal shares of each class, 80 % training, 10 % validation, 10 % test; not by speaker."""
    from sklearn.model_selection import train_test_split

    every, truth = np.arange(len(clips)), clips["truth"].to_numpy()
    train, rest = train_test_split(every, test_size=0.2, stratify=truth, random_state=seed)
    yield train, *train_test_split(rest, test_size=0.5, stratify=truth[rest], random_state=seed)


# The authors' six versions of a clip, for training and at test time.
VIEWS = (
    ORIGINAL,
    Noise("noise-22.5dB", snr=-20 * np.log10(0.075)),  # deviation 0.075 of the signal's
    OneOf("stretch", (Stretch("slower", 0.75), Stretch("faster", 1.25))),
    OneOf("pitch", (Pitch("lower", -1.0), Pitch("higher", 1.0))),
    # Theirs are 10 to 20 of 256 points.
    Mask("frequency-mask", axis=1, least=5, most=10, picture=128),
    Mask("time-mask", axis=0, least=5, most=10, picture=128),
)

SYSTEM = System(
    name="multitask-cnn",
    title="Multitask CNN with attention",
    source="MohammadUmarAsif, speech-emotion-recognition (2022)",
    published_on=("iemocap",),
    about="Log-mel pictures of 128 × 128 points, two convolutions, attention without parameters, heads for emotion, "
    "gender, valence, arousal and dominance.",
    labels=MULTITASK_EIGHT,
    features=LogMelPicture(),
    settings=Settings(),
    quick={"width": 0.125, "epochs": 3},
    fit=fit,
    published_split=stratified,
    published_choice="epoch with the lowest loss on a validation part",
    tests_choose=False,
    views=VIEWS,
    training_views=VIEWS[1:],
    reported=(
        PublishedScore(
            "war",
            0.4200,
            "as-published",
            "segments scored one by one, and some of a clip may have trained; random split, ten speakers shared; the "
            "largest class alone gives about 29 %",
            corpus="iemocap",
        ),
        PublishedScore(
            "top3",
            0.8101,
            "as-published",
            "as the 42.0 %; always naming the three largest classes gives about 60 to 65 %",
            corpus="iemocap",
        ),
        PublishedScore(
            "war",
            0.2140,
            "corpus-independent",
            "trained on IEMOCAP; 1,056 clips, excited and frustrated struck from the classes; the largest class alone "
            "gives 18.2 %",
        ),
        PublishedScore(
            "top3",
            0.5900,
            "corpus-independent",
            "as the 21.4 %; three of six classes: chance is 50 %, always naming the same three gives 54.5 %",
        ),
    ),
    chooses_epoch=True,
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
