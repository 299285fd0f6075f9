"""Weights of networks, drawn at random: nothing has to be trained to try what reads them."""

import numpy as np

from sernb.encoders.whisper import Whisper, variable_shapes
from sernb.features import SpeechMel
from sernb.systems.sernet import SYSTEM
from sernb.systems.whisper_numpy import FinetunedNetwork


def random_encoder(rng: np.random.Generator, *, width: int = 64, blocks: int = 2) -> Whisper:
    """Return an encoder of the right shapes that nobody trained."""
    shapes = variable_shapes(width, blocks)
    weights = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    return Whisper(weights)


def finetuned_network(classes: int) -> FinetunedNetwork:
    """Return a fine-tuned encoder of the smallest size that nobody trained."""
    rng, width, units, hidden, heads = np.random.default_rng(2), 64, 16, 8, 2
    head = {"mixture/kernel": rng.normal(0, 1, (1, 3)), "pooled_norm/gamma": rng.uniform(0.5, 1.5, 2 * heads * units)}
    head["pooled_norm/beta"] = rng.normal(0, 0.1, 2 * heads * units)
    for name, into, out in (
        ("projection", width, units),
        ("attention", units, hidden),
        ("level", hidden, heads),
        ("emotion", 2 * heads * units, classes),
    ):
        head |= {f"{name}/kernel": rng.normal(0, into**-0.5, (into, out)), f"{name}/bias": rng.normal(0, 0.1, out)}
    return FinetunedNetwork(random_encoder(rng), {name: each.astype(np.float32) for name, each in head.items()})


def sernet_arrays(classes: int) -> dict[str, np.ndarray]:
    """Return the arrays of sernet as a run keeps them, by name; names begin with their number."""
    rng, settings, width = np.random.default_rng(1), SYSTEM.settings, SpeechMel().width

    def normalised(size: int) -> list[np.ndarray]:
        return [
            rng.uniform(0.5, 1.5, size),
            rng.normal(0, 0.1, size),
            rng.normal(0, 0.1, size),
            rng.uniform(0.5, 2, size),
        ]

    def convolution(frames: int, into: int, out: int) -> list[np.ndarray]:
        return [rng.normal(0, (frames * into) ** -0.5, (frames, into, out)), *normalised(out)]

    arrays = [rng.normal(-40, 5, width), rng.uniform(100, 300, width)]
    arrays += convolution(settings.first_kernel, width, settings.filters)
    for _ in settings.dilations:
        arrays += convolution(settings.kernel, settings.filters, settings.filters)
    arrays += convolution(1, settings.filters, settings.pooled)
    for into, out in ((settings.pooled, settings.attention), (settings.attention, settings.pooled)):
        arrays += [rng.normal(0, into**-0.5, (into, out)), rng.normal(0, 0.1, out)]
    pooled = 2 * settings.pooled
    arrays += [*normalised(pooled), rng.normal(0, 0.3, (pooled, classes)), rng.normal(0, 0.1, classes)]
    return {f"{number:03d} weight": values.astype(np.float32) for number, values in enumerate(arrays)}
