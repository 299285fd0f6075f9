"""Networks: graphs, inputs, and filters and activations of a trained network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb import figures
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.corpora.record import DIMENSIONS
from sernb.features import LogMelPicture
from sernb.results.result import Result
from sernb.systems import multitask_cnn
from sernb.systems.registry import get_system

# -- Graphs and inputs -- #


def plot_graphs(systems: Sequence[str]) -> Iterator[figures.Drawing]:
    """Plot the graph of each system's network at its full size."""
    from sernb.systems.inspection import build_network, list_steps

    for name in systems:
        yield figures.ablation.network_graph(list_steps(build_network(get_system(name))), name)


def plot_copies(pool: Pool, clip: str, *, data: str | Path | None = None) -> figures.Drawing:
    """Plot one clip and its augmented copies as inputs of the multitask network."""
    features = LogMelPicture()
    views = {view.name: prepare(pool, features, view=view, data=data)[clip] for view in multitask_cnn.VIEWS}
    return figures.ablation.augmented_copies({name: picture[: features.side] for name, picture in views.items()}, clip)


def auxiliary_labels(pool: Pool) -> list[str]:
    """Return the auxiliary labels of a pool that a multitask network can be trained on."""
    index = pool.index
    return [name for name in ("gender", *DIMENSIONS) if name in index and (index[name].astype(str) != "").any()]


# -- Inside a network -- #


@dataclass(frozen=True)
class NetworkInterior:
    """The multitask network's input, filters and activations for one clip of a validation speaker."""

    clip: str
    truth: str
    prediction: str
    picture: np.ndarray  # (time, bands), the input of the network
    arrays: Mapping[str, np.ndarray]  # for this input, see :func:`sernb.systems.multitask_cnn.compute_feature_maps`


def inspect_network(result: Result, data: str | Path | None = None) -> NetworkInterior:
    """Rebuild the multitask network of the first fold, with activations for its most confident prediction."""
    experiment, run = result.experiments[0], result.runs[0]
    predictions = run.predictions
    scores = predictions[list(result.classes)].to_numpy(float)
    row = int(scores.max(axis=1).argmax())
    clip = predictions["clip"][row]
    features = prepare(experiment.corpus, experiment.system.features, data=data)[clip]
    pictures, _ = multitask_cnn.split_pictures((features,))
    model = multitask_cnn.restore_network(experiment.settings, pictures[0].shape, len(result.classes), run.weights)
    maps = multitask_cnn.compute_feature_maps(model, pictures[0][None])
    arrays = {name: values if name.startswith("filters") else values[0] for name, values in maps.items()}
    return NetworkInterior(clip, predictions.truth[row], result.classes[int(scores[row].argmax())], pictures[0], arrays)


def plot_interior(interior: NetworkInterior) -> Iterator[figures.Drawing]:
    """Plot filters, the strongest feature maps of the first two convolutions, and attention."""
    yield figures.ablation.filters(interior, "Filters of the first convolution")
    for layer, name in ((1, "first"), (2, "second")):
        yield figures.ablation.feature_maps(interior, layer, f"The strongest feature maps of the {name} convolution")
    yield figures.ablation.attention(interior, "Attention")
