"""Networks: how large they are, how much they compute, what follows what; and the one layer that Keras lacks.

Importing this module imports Keras.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sernb.config import DataError
from sernb.systems.base import System
from sernb.systems.learning.layers import EachWindow
from sernb.systems.learning.training import PREDICTION_BATCH, keras, predictions

if TYPE_CHECKING:
    from sernb.runs.experiment import Experiment

SECONDS = 3  # of a clip that a network is measured on, where lengths differ: an acted sentence


def without_weights(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a network without memory for its weights: it can be measured, not used."""
    with keras.StatelessScope(initialize_variables=False):
        return build()


def build_network(system: System, *, classes: int | None = None, profile: str = "full") -> keras.Model | None:
    """Return the unfilled network of a system, or nothing where it has none.

    Args:
        classes: outputs; by default as many as its label set has
    """
    if system.network is None:
        return None
    settings, shape = system.settings_for(profile), _shape_of(system)
    return without_weights(lambda: system.network(settings, shape, classes or len(system.labels.classes)))


def _shape_of(system: System) -> tuple[int, int]:
    """Return frames and columns of a clip; where lengths differ, of ``SECONDS``."""
    samples = SECONDS * system.features.sampling_rate
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    return system.features(noise).shape


def restore_network(experiment: "Experiment", weights: dict[str, np.ndarray]) -> Callable:
    """Return the predictor of a finished run: features of clips → (clips, classes).

    Args:
        weights: what the run kept

    Raises:
        DataError: if the weights are not those of this network
    """
    system, settings = experiment.system, experiment.settings
    frames, width = _shape_of(system)
    model = system.network(settings, (None if system.together else frames, width), len(experiment.labels.classes))
    values = [weights[name] for name in sorted(weights)]  # names begin with their number
    if [value.shape for value in values] != [tuple(variable.shape) for variable in model.weights]:
        raise DataError(f"{system.name}: the run's weights do not fit its network; run it again")
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
    at_once = getattr(settings, "at_once", PREDICTION_BATCH)

    def scores(clips: Sequence[np.ndarray]) -> np.ndarray:
        outputs = predictions(model, clips, together=system.together or np.stack, at_once=at_once)
        return outputs["emotion"] if isinstance(outputs, dict) else outputs

    return scores


def count_parameters(system: System, *, classes: int | None = None, profile: str = "full") -> int | None:
    """Return the number of parameters as the system's authors count, or nothing where there is no network.

    Authors who work with Keras count the moving statistics of batch normalisation, those who work with PyTorch do not.
    """
    if (network := build_network(system, classes=classes, profile=profile)) is None:
        return None
    counted = network.weights if system.counts_statistics else network.trainable_weights
    return sum(prod(weight.shape) for weight in counted)


def count_multiply_adds(model: keras.Model) -> int:
    """Return the multiply-adds for one clip, of convolutions, dense and recurrent layers.

    Not counted: biases, normalisation, activations, pooling, and what has no weights.

    Raises:
        TypeError: if a layer with a matrix of weights is of a kind whose work is not known here
    """
    return sum(map(_multiply_adds, model.layers))


def _multiply_adds(layer: keras.Layer) -> int:
    layers = keras.layers
    if isinstance(layer, keras.Model):
        return count_multiply_adds(layer)
    if isinstance(layer, EachWindow):
        return layer.windows * _multiply_adds(layer.layer)
    if isinstance(layer, layers.LSTM):
        return layer.input.shape[1] * (prod(layer.cell.kernel.shape) + prod(layer.cell.recurrent_kernel.shape))
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Dense):
        return prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape)
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise TypeError(f"{layer.name}: the multiply-adds of {type(layer).__name__} are not known")
    return 0


# -- What follows what -- #


@dataclass(frozen=True)
class Step:
    """Layers of a network that follow each other without a branch; only the first may have a matrix of weights."""

    what: str  # the layers, in words
    shape: tuple[int, ...]  # of the output for one clip
    parameters: int
    multiply_adds: int
    inputs: tuple[int, ...]  # numbers of the steps whose outputs it takes


def list_steps(model: keras.Model) -> list[Step]:
    """Return the graph of a network, models inside it opened, in the order in which it computes.

    Raises:
        TypeError: as :func:`count_multiply_adds`
    """
    steps: list[Step] = []
    _add_steps(model, (), 1, "", steps)
    return steps


def _add_steps(model: keras.Model, fed: tuple[int, ...], times: int, where: str, steps: list[Step]) -> int:
    """Add the steps of a model that is applied to so many parts of a clip; return the number of its last step."""
    consumers: dict[object, int] = {}
    for operation in model.operations:
        for parent in _parents(operation):
            consumers[parent] = consumers.get(parent, 0) + 1
    at: dict[object, int] = {}  # number of the step that each operation belongs to
    last = -1
    for operation in model.operations:
        parents = _parents(operation)
        inputs = tuple(dict.fromkeys(at[parent] for parent in parents))
        inner = getattr(operation, "layer", operation)
        if isinstance(inner, keras.Model):
            windows = getattr(operation, "windows", 1)
            inside = f"each of {windows} windows: " if windows > 1 else f"{operation.name.replace('_', ' ')}: "
            at[operation] = last = _add_steps(inner, inputs, times * windows, inside, steps)
            continue
        if isinstance(operation, keras.layers.InputLayer) and fed:
            at[operation] = last = fed[0]
            continue
        shape = tuple(size for size in _outputs(operation)[0].shape if size is not None)
        weights = getattr(operation, "weights", [])
        parameters = sum(prod(weight.shape) for weight in weights)
        matrix = any(len(weight.shape) > 1 for weight in weights)
        alone = matrix or len(parents) != 1 or consumers[parents[0]] != 1 or inputs[0] != len(steps) - 1
        if alone:
            steps.append(Step(where + _words(operation), shape, parameters, times * _work(operation), inputs or fed))
        else:
            before = steps[-1]
            what = f"{before.what}, {_words(operation)}"
            steps[-1] = replace(before, what=what, shape=shape, parameters=before.parameters + parameters)
        at[operation] = last = len(steps) - 1
    return last


def _parents(operation: object) -> list[object]:
    # Keras tells it in no other way; keras.utils.plot_model reads the same.
    return [node.operation for node in operation._inbound_nodes[0].parent_nodes]


def _outputs(operation: object) -> list:
    return keras.tree.flatten(operation._inbound_nodes[0].outputs)


def _work(operation: object) -> int:
    return _multiply_adds(operation) if isinstance(operation, keras.Layer) else 0


def _words(operation: object) -> str:
    kind, config = type(operation).__name__, operation.get_config() if isinstance(operation, keras.Layer) else {}
    kind_of_layer = kind if kind != "Activation" else config["activation"]
    if "kernel_size" in config:
        kind_of_layer += f" {' × '.join(map(str, config['kernel_size']))}"
        dilation = max(config["dilation_rate"])
        kind_of_layer += f" dilated by {dilation}" if dilation > 1 else ""
    if kind != "Activation" and config.get("activation") not in (None, "linear"):
        kind_of_layer += f" {config['activation']}"
    automatic = re.sub(r"[_\d]", "", operation.name) == re.sub(r"\d", "", kind).lower()
    return kind_of_layer if automatic else f"{kind_of_layer} ({operation.name.replace('_', ' ')})"
