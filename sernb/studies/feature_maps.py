"""What lies inside a trained network: filters, feature maps, attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.corpora.preparation import prepare
from sernb.results.result import Result
from sernb.systems import multitask_cnn

# -- Inside a network -- #


@dataclass(frozen=True)
class NetworkInterior:
    """What the multitask network sees in one clip of a validation speaker."""

    clip: str
    truth: str
    answer: str
    picture: np.ndarray  # (time, bands), as the network hears it
    seen: Mapping[str, np.ndarray]  # see :func:`sernb.systems.multitask_cnn.maps_of`, of this one picture


def inspect_network(result: Result, data: str | Path | None = None) -> NetworkInterior:
    """Rebuild the multitask network of the first fold, and show what it sees in the clip that it is surest of."""
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
