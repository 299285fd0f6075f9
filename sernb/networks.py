"""Networks: how large they are and how much they compute, and the one layer that Keras lacks.

Importing this module imports Keras.
"""

from collections.abc import Callable
from math import prod

import numpy as np

from sernb.config import DataError
from sernb.systems import System
from sernb.training import PREDICTION_BATCH, keras, predictions


def unfilled(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a network without memory for its weights: it can be measured, not used."""
    with keras.StatelessScope(initialize_variables=False):
        return build()


def network_of(system: System, *, classes: int | None = None, profile: str = "full") -> keras.Model | None:
    """Return the unfilled network of a system, or nothing where it has none.

    Args:
        classes: outputs; by default as many as its label set has
    """
    if system.network is None:
        return None
    second = np.random.default_rng(0).standard_normal(system.features.sampling_rate).astype(np.float32)
    shape = system.features(second).shape
    settings = system.settings_for(profile)
    return unfilled(lambda: system.network(settings, shape, classes or len(system.labels.classes)))


def restored(system: System, classes: int, weights: dict[str, np.ndarray]) -> Callable:
    """Return what a network with the weights of a finished run answers: features of clips → (clips, classes).

    Raises:
        DataError: if the weights are not those of this network
    """
    second = np.random.default_rng(0).standard_normal(system.features.sampling_rate).astype(np.float32)
    model = system.network(system.settings, system.features(second).shape, classes)
    values = [weights[name] for name in sorted(weights)]  # names begin with their number
    if [value.shape for value in values] != [tuple(variable.shape) for variable in model.weights]:
        raise DataError(f"{system.name}: the run's weights do not fit its network; run it again")
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
    at_once = getattr(system.settings, "at_once", PREDICTION_BATCH)
    return lambda clips: predictions(model, clips, at_once=at_once)


def parameters_of(system: System, *, classes: int | None = None, profile: str = "full") -> int | None:
    """Return the number of parameters as the system's authors count, or nothing where there is no network.

    Authors who work with Keras count the moving statistics of batch normalisation, those who work with PyTorch do not.
    """
    if (network := network_of(system, classes=classes, profile=profile)) is None:
        return None
    counted = network.weights if system.counts_statistics else network.trainable_weights
    return sum(prod(weight.shape) for weight in counted)


def multiply_adds(model: keras.Model) -> int:
    """Return the multiply-adds for one clip, of convolutions, dense and recurrent layers.

    Not counted: biases, normalisation, activations, pooling, and what has no weights.

    Raises:
        TypeError: if a layer with a matrix of weights is of a kind whose work is not known here
    """
    return sum(map(_multiply_adds, model.layers))


def _multiply_adds(layer: keras.Layer) -> int:
    layers = keras.layers
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    if isinstance(layer, EachWindow):
        return layer.windows * _multiply_adds(layer.layer)
    if isinstance(layer, layers.LSTM):
        return layer.input.shape[1] * (prod(layer.cell.kernel.shape) + prod(layer.cell.recurrent_kernel.shape))
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Dense):
        return prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape)
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise TypeError(f"{layer.name}: the multiply-adds of {type(layer).__name__} are not known")
    return 0


@keras.saving.register_keras_serializable("sernb")
class EachWindow(keras.layers.Wrapper):
    """One model for every window of a clip: ``(clips, windows, …)`` → ``(clips, windows, outputs)``.

    All windows of all clips go through at once, as in Keras 2; Keras 3's TimeDistributed takes one after the other, and
    batch normalisation would see one window at a time.
    """

    def __init__(self, layer: keras.Model, windows: int, **options):
        super().__init__(layer, **options)
        self.windows = windows

    def call(self, inputs, training=None):
        """Apply the model to each window."""
        flat = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
        outputs = self.layer(flat, training=training)
        return keras.ops.reshape(outputs, (-1, self.windows, *outputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (input_shape[0], self.windows, *self.layer.output_shape[1:])

    def get_config(self):
        """Return what makes the layer again."""
        return {**super().get_config(), "windows": self.windows}
