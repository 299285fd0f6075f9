"""Frozen speech encoders by layer: emotion and speaker information, and cost."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.reading import load
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.encoders.loading import get_metadata
from sernb.encoders.registry import ENCODERS
from sernb.features import Embedding
from sernb.results.result import Result
from sernb.studies.ablation import Question, Variant

TIMED = 8  # clips


def available_encoders() -> list[str]:
    """Return the registered encoders whose weights are available."""
    return [record.name for record in ENCODERS.values() if record.path.is_file()]


def list_questions(encoder: str, *, profile: str) -> tuple[Question, ...]:
    """List the questions on an encoder; padding to 30 s is ten times slower and needs the full profile."""
    system, mean = f"embedding-ridge@{encoder}", Embedding(encoder, pooling="mean")
    lengths = {"trimmed, not padded": {}, "not trimmed": {"trimmed": False}}
    if profile == "full" and encoder in ENCODERS:
        lengths["trimmed, padded to 30 s"] = {"padded": True}
    layers = (
        Variant("layer weights selected within the fold", system),
        Variant("equal weights for all layers", system, {"layers": "all"}),
        *(Variant(f"layer {k}", system, {"layers": str(k)}) for k in range(get_metadata(encoder).layers)),
    )
    encoders = (
        Variant("functionals, no encoder", "functionals-ridge"),
        *(Variant(name, f"embedding-ridge@{name}") for name in available_encoders()),
        Variant(f"{encoder} × functionals", f"embedding-functionals@{encoder}"),
    )
    return (
        Question("layers", layers),
        Question("pooling", (Variant("mean and deviation", system), Variant("mean", system, features=mean))),
        Question(
            "length", tuple(Variant(name, system, features=Embedding(encoder, **k)) for name, k in lengths.items())
        ),
        Question("encoders", encoders),
    )


def neighbours(corpus: Pool, features: Embedding, *, data: str | Path | None = None) -> pd.DataFrame:
    """Return how often a clip's nearest neighbour has the same speaker or emotion, by layer, without training.

    Similarity is the cosine of standardised embeddings. The nearest neighbour for the speaker is among all other clips,
    that for the emotion among clips of other speakers. Chance level: a random neighbour from the same clips.

    Returns:
        columns layer, speaker, emotion, speaker chance, emotion chance; shares from 0 to 1
    """
    table, clips = prepare(corpus, features, data=data), corpus.index
    values = np.concatenate([table[clip] for clip in clips["clip"]]).astype(np.float64)
    speaker, emotion = clips.speaker.to_numpy(), clips.emotion.to_numpy()
    same_clip, same_speaker = np.eye(len(clips), dtype=bool), speaker[:, None] == speaker
    same_emotion = emotion[:, None] == emotion
    chance = {
        "speaker chance": (same_speaker & ~same_clip).sum() / (~same_clip).sum(),
        "emotion chance": (same_emotion & ~same_speaker).sum() / max(1, (~same_speaker).sum()),
    }
    rows = []
    for position, layer in enumerate(features.layer_numbers):
        part = values[:, position * features.layer_width : (position + 1) * features.layer_width]
        part = (part - part.mean(axis=0)) / np.maximum(part.std(axis=0), 1e-8)
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-8)
        similarity = part @ part.T
        nearest = np.where(same_clip, -np.inf, similarity).argmax(axis=1)
        nearest_other = np.where(same_speaker, -np.inf, similarity).argmax(axis=1)
        agreement = {
            "speaker": (speaker[nearest] == speaker).mean(),
            "emotion": (emotion[nearest_other] == emotion).mean(),
        }
        rows.append({"layer": layer, **agreement, **chance})
    return pd.DataFrame(rows)


def costs(corpus: Pool, variants: Mapping[str, Result], *, data: str | Path | None = None) -> pd.DataFrame:
    """Return feature extraction time per clip on one core, and UAR, of each system, formatted for display."""
    from threadpoolctl import threadpool_limits

    files = corpus.files(data)
    sample = files.iloc[np.linspace(0, len(files) - 1, min(TIMED, len(files))).astype(int)]
    rows = []
    for name, result in variants.items():
        kinds = {each.features for each in result.system.members or (result.system,)}
        seconds = 0.0
        with threadpool_limits(1):
            for features in kinds:
                signals = [load(path, features.sampling_rate) for path in sample]
                features(signals[0])  # loads the weights, which is not timed
                started = time.perf_counter()
                for signal in signals:
                    features(signal)
                seconds += (time.perf_counter() - started) / len(signals)
        rows.append({"System": name, "UAR": str(result.metrics().uar), "Time per clip (ms)": f"{1000 * seconds:.0f}"})
    return pd.DataFrame(rows)


def headline(results: Mapping[str, Mapping[str, Result]], encoder: str) -> list[str]:
    """Compare the weighted layers with the best and the last layer, in a sentence."""
    uars = {name: 100 * result.metrics().uar.value for name, result in results["layers"].items()}
    single = {name: value for name, value in uars.items() if name.startswith("layer ")}
    best, last = max(single, key=single.get), list(single)[-1]
    weighted = next(iter(results["layers"].values()))
    metrics = weighted.metrics()
    return [
        f"{encoder}, frozen: UAR {metrics.uar.as_percent()} with weighted layers, {single[best]:.1f} % with the best "
        f"layer only ({best} of 0 to {len(single) - 1}), {single[last]:.1f} % with the last; chance level "
        f"{100 * metrics.uar_floor:.1f} % ({metrics.clips} clips of {metrics.speakers} validation speakers, "
        f"{weighted.folds} folds)."
    ]


def neighbours_table(corpus: Pool, encoder: str, *, data: str | Path | None = None) -> pd.DataFrame:
    """Return the :func:`neighbours` by layer in per cent, formatted for display."""
    table = neighbours(corpus, Embedding(encoder), data=data)
    return table.assign(**{name: (100 * table[name]).map("{:.1f}".format) for name in table.columns if name != "layer"})
