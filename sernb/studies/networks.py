"""Networks: what they are made of, what their input looks like, and what lies inside a trained one."""

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

# -- What goes in, and through what -- #


def plot_graphs(systems: Sequence[str]) -> Iterator[figures.Drawing]:
    """Plot the graph of each system's network at its full size."""
    from sernb.systems.inspection import build_network, list_steps

    for name in systems:
        yield figures.ablation.network_graph(list_steps(build_network(get_system(name))), name)


def plot_copies(pool: Pool, clip: str, *, data: str | Path | None = None) -> figures.Drawing:
    """Plot one clip and its augmented copies as the multitask network gets them."""
    features = LogMelPicture()
    views = {view.name: prepare(pool, features, view=view, data=data)[clip] for view in multitask_cnn.VIEWS}
    return figures.ablation.versions({name: picture[: features.side] for name, picture in views.items()}, clip)


def auxiliary_labels(pool: Pool) -> list[str]:
    """Return which labels besides the emotion a multitask network can learn here."""
    index = pool.index
    return [name for name in ("gender", *DIMENSIONS) if name in index and (index[name].astype(str) != "").any()]


# -- Inside a network -- #


@dataclass(frozen=True)
class NetworkInterior:
    """The multitask network's input, filters and activations for one clip of a validation speaker."""

    clip: str
    truth: str
    answer: str
    picture: np.ndarray  # (time, bands), the input of the network
    seen: Mapping[str, np.ndarray]  # see :func:`sernb.systems.multitask_cnn.maps_of`, of this one picture


def inspect_network(result: Result, data: str | Path | None = None) -> NetworkInterior:
    """Rebuild the multitask network of the first fold; its activations for the clip that it is most confident of."""
    experiment, run = result.experiments[0], result.runs[0]
    predictions = run.predictions
    scores = predictions[list(result.classes)].to_numpy(float)
    row = int(scores.max(axis=1).argmax())
    clip = predictions["clip"][row]
    heard = prepare(experiment.corpus, experiment.system.features, data=data)[clip]
    pictures, _ = multitask_cnn.pictures_of((heard,))
    model = multitask_cnn.restored(experiment.settings, pictures[0].shape, len(result.classes), run.weights)
    maps = multitask_cnn.maps_of(model, pictures[0][None])
    seen = {name: values if name.startswith("filters") else values[0] for name, values in maps.items()}
    return NetworkInterior(clip, predictions.truth[row], result.classes[int(scores[row].argmax())], pictures[0], seen)


def plot_interior(interior: NetworkInterior) -> Iterator[figures.Drawing]:
    """Plot filters, the strongest feature maps of the first two convolutions, and attention."""
    yield figures.ablation.filters(interior, "Filters of the first convolution")
    for layer, name in ((1, "first"), (2, "second")):
        yield figures.ablation.feature_maps(interior, layer, f"The strongest feature maps of the {name} convolution")
    yield figures.ablation.attention(interior, "Attention")
