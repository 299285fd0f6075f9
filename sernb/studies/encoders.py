"""A frozen speech encoder layer by layer: what it represents of emotions and speakers, and at what cost."""

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
    """Return the encoders of the registry whose weights are on disk."""
    return [record.name for record in ENCODERS.values() if record.path.is_file()]


def questions_of(encoder: str, *, profile: str) -> tuple[Question, ...]:
    """Return what is asked of an encoder; padding to 30 s takes ten times as long and is left to the full profile."""
    system, mean = f"embedding-ridge@{encoder}", Embedding(encoder, pooling="mean")
    lengths = {"trimmed, real frames": {}, "not trimmed": {"trimmed": False}}
    if profile == "full" and encoder in ENCODERS:
        lengths["trimmed, padded to 30 s"] = {"padded": True}
    layers = (
        Variant("mixture chosen inside the fold", system),
        Variant("all alike", system, {"layers": "all"}),
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
    """Return what the nearest neighbour of a clip shares with it, by layer; nothing is trained.

    Nearest by cosine of standardised rows. The same speaker is looked for among all other clips, the same emotion among
    those of other speakers. Chance level: a neighbour drawn at random from the same clips.

    Returns:
        columns layer, speaker, emotion, speaker chance, emotion chance; shares of 1
    """
    table, clips = prepare(corpus, features, data=data), corpus.index
    values = np.concatenate([table[clip] for clip in clips["clip"]]).astype(np.float64)
    speaker, emotion = clips.speaker.to_numpy(), clips.emotion.to_numpy()
    itself, same_voice = np.eye(len(clips), dtype=bool), speaker[:, None] == speaker
    same_emotion = emotion[:, None] == emotion
    chance = {
        "speaker chance": (same_voice & ~itself).sum() / (~itself).sum(),
        "emotion chance": (same_emotion & ~same_voice).sum() / max(1, (~same_voice).sum()),
    }
    rows = []
    for place, layer in enumerate(features.numbers):
        part = values[:, place * features.parts : (place + 1) * features.parts]
        part = (part - part.mean(axis=0)) / np.maximum(part.std(axis=0), 1e-8)
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-8)
        alike = part @ part.T
        nearest = np.where(itself, -np.inf, alike).argmax(axis=1)
        stranger = np.where(same_voice, -np.inf, alike).argmax(axis=1)
        found = {"speaker": (speaker[nearest] == speaker).mean(), "emotion": (emotion[stranger] == emotion).mean()}
        rows.append({"layer": layer, **found, **chance})
    return pd.DataFrame(rows)


def costs(corpus: Pool, variants: Mapping[str, Result], *, data: str | Path | None = None) -> pd.DataFrame:
    """Return what each system needs a clip on one core, and what it reaches, formatted for display."""
    from threadpoolctl import threadpool_limits

    files = corpus.files(data)
    chosen = files.iloc[np.linspace(0, len(files) - 1, min(TIMED, len(files))).astype(int)]
    rows = []
    for name, result in variants.items():
        kinds = {each.features for each in result.system.members or (result.system,)}
        seconds = 0.0
        with threadpool_limits(1):
            for features in kinds:
                signals = [load(path, features.sampling_rate) for path in chosen]
                features(signals[0])  # weights are read once
                started = time.perf_counter()
                for signal in signals:
                    features(signal)
                seconds += (time.perf_counter() - started) / len(signals)
        rows.append({"System": name, "UAR": str(result.metrics().uar), "A clip (ms)": f"{1000 * seconds:.0f}"})
    return pd.DataFrame(rows)


def finding(results: Mapping[str, Mapping[str, Result]], encoder: str) -> str:
    """Return the finding of the page in one sentence."""
    uars = {name: 100 * result.metrics().uar.value for name, result in results["layers"].items()}
    single = {name: value for name, value in uars.items() if name.startswith("layer ")}
    best, last = max(single, key=single.get), list(single)[-1]
    mixture = next(iter(results["layers"].values()))
    metrics = mixture.metrics()
    return (
        f"{encoder}, frozen: the mixture of its layers has {metrics.uar} % UAR, its best layer alone "
        f"{single[best]:.1f} ({best} of 0 to {len(single) - 1}), its last {single[last]:.1f}; chance level "
        f"{100 * metrics.uar_floor:.1f} % ({metrics.clips} clips of {metrics.speakers} validation "
        f"speakers, {mixture.folds} folds)."
    )


def neighbours_table(corpus: Pool, encoder: str, *, data: str | Path | None = None) -> pd.DataFrame:
    """Return the nearest neighbours by layer in per cent, formatted for display."""
    table = neighbours(corpus, Embedding(encoder), data=data)
    return table.assign(**{name: (100 * table[name]).map("{:.1f}".format) for name in table.columns if name != "layer"})
