"""Inspection of networks: number of parameters, multiply-adds, graph, and restoring them from a run.

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
from sernb.systems.learning.training import PREDICTION_BATCH, keras, predictions, set_weights

if TYPE_CHECKING:
    from sernb.runs.experiment import Experiment

SECONDS = 3  # duration of the input of networks for clips of any length: an acted sentence


def build_without_weights(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a network without allocating its weights, for inspection only."""
    with keras.StatelessScope(initialize_variables=False):
        return build()


def build_network(system: System, *, classes: int | None = None, profile: str = "full") -> keras.Model | None:
    """Return the network of a system without weights, or None.

    Args:
        classes: number of outputs; by default that of the label set
    """
    if system.network is None:
        return None
    settings, shape = system.settings_for(profile), _input_shape(system)
    return build_without_weights(lambda: system.network(settings, shape, classes or len(system.labels.classes)))


def _input_shape(system: System) -> tuple[int, int]:
    """Return frames and columns of a clip, or of ``SECONDS`` if lengths differ."""
    samples = SECONDS * system.features.sampling_rate
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    return system.features(noise).shape


def restore_network(experiment: "Experiment", weights: dict[str, np.ndarray]) -> Callable:
    """Return the predictor of a finished run: features of clips → (clips, classes).

    Raises:
        DataError: if the weights do not fit the network
    """
    system, settings = experiment.system, experiment.settings
    frames, width = _input_shape(system)
    model = system.network(settings, (None if system.collate else frames, width), len(experiment.labels.classes))
    try:
        set_weights(model, weights)
    except ValueError as error:
        raise DataError(f"{system.name}: the run's weights do not fit its network; run it again") from error
    batch = getattr(settings, "at_once", PREDICTION_BATCH)

    def scores(clips: Sequence[np.ndarray]) -> np.ndarray:
        outputs = predictions(model, clips, collate=system.collate or np.stack, prediction_batch=batch)
        return outputs["emotion"] if isinstance(outputs, dict) else outputs

    return scores


def count_parameters(system: System, *, classes: int | None = None, profile: str = "full") -> int | None:
    """Return the number of parameters as the authors count them, or None without a network.

    The moving statistics of batch normalisation count in Keras, but not in PyTorch.
    """
    if (network := build_network(system, classes=classes, profile=profile)) is None:
        return None
    counted = network.weights if system.counts_moving_statistics else network.trainable_weights
    return sum(prod(weight.shape) for weight in counted)


def count_multiply_adds(model: keras.Model) -> int:
    """Return the multiply-adds per clip of convolutions, dense and recurrent layers.

    Biases, normalisation, activations, pooling and operations without weights are not counted.

    Raises:
        TypeError: if a layer with a weight matrix is of an unsupported kind
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


# -- Graph -- #


@dataclass(frozen=True)
class Step:
    """A sequence of layers without branches, of which only the first may have a weight matrix."""

    layers: str  # in words
    shape: tuple[int, ...]  # of the output for one clip
    parameters: int
    multiply_adds: int
    inputs: tuple[int, ...]  # numbers of the preceding steps


def list_steps(model: keras.Model) -> list[Step]:
    """Return the graph of a network, with nested models expanded, in the order of computation.

    Raises:
        TypeError: as :func:`count_multiply_adds`
    """
    steps: list[Step] = []
    _add_steps(model, (), 1, "", steps)
    return steps


def _add_steps(model: keras.Model, sources: tuple[int, ...], times: int, prefix: str, steps: list[Step]) -> int:
    """Add the steps of a model that is applied ``times`` times per clip; return the number of its last step."""
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
            label = f"each of {windows} windows: " if windows > 1 else f"{operation.name.replace('_', ' ')}: "
            at[operation] = last = _add_steps(inner, inputs, times * windows, label, steps)
            continue
        if isinstance(operation, keras.layers.InputLayer) and sources:
            at[operation] = last = sources[0]
            continue
        shape = tuple(size for size in _outputs(operation)[0].shape if size is not None)
        weights = getattr(operation, "weights", [])
        parameters = sum(prod(weight.shape) for weight in weights)
        matrix = any(len(weight.shape) > 1 for weight in weights)
        if matrix or len(parents) != 1 or consumers[parents[0]] != 1 or inputs[0] != len(steps) - 1:
            work = times * _multiply_adds(operation) if isinstance(operation, keras.Layer) else 0
            steps.append(Step(prefix + _describe(operation), shape, parameters, work, inputs or sources))
        else:
            before = steps[-1]
            layers = f"{before.layers}, {_describe(operation)}"
            steps[-1] = replace(before, layers=layers, shape=shape, parameters=before.parameters + parameters)
        at[operation] = last = len(steps) - 1
    return last


def _parents(operation: object) -> list[object]:
    # There is no public way; keras.utils.plot_model does the same.
    return [node.operation for node in operation._inbound_nodes[0].parent_nodes]


def _outputs(operation: object) -> list:
    return keras.tree.flatten(operation._inbound_nodes[0].outputs)


def _describe(operation: object) -> str:
    kind, config = type(operation).__name__, operation.get_config() if isinstance(operation, keras.Layer) else {}
    text = kind if kind != "Activation" else config["activation"]
    if "kernel_size" in config:
        text += f" {' × '.join(map(str, config['kernel_size']))}"
        dilation = max(config["dilation_rate"])
        text += f" dilated by {dilation}" if dilation > 1 else ""
    if kind != "Activation" and config.get("activation") not in (None, "linear"):
        text += f" {config['activation']}"
    automatic = re.sub(r"[_\d]", "", operation.name) == re.sub(r"\d", "", kind).lower()
    return text if automatic else f"{text} ({operation.name.replace('_', ' ')})"
