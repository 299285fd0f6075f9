"""YAML front matter of a model card for the Hugging Face Hub, in YAML's flow style, which is JSON."""

import json
import re

from sernb.encoders.registry import ENCODERS
from sernb.prediction.card_summary import SCORE
from sernb.prediction.model_card import OWN

# Identifiers of licences on the hub: https://huggingface.co/docs/hub/repositories-licenses
LICENCES = {
    "CC0 1.0": "cc0-1.0", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0", "CC BY-NC-ND 4.0": "cc-by-nc-nd-4.0", "CC BY-ND 4.0": "cc-by-nd-4.0",
}  # fmt: skip
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")  # must be escaped in YAML
METRICS = (("UAR", "recall"), ("WAR", "accuracy"))  # our name, and that of the hub


def write_front_matter(metadata: dict) -> str:
    """Return the front matter: licence, data sets, and scores with intervals and chance levels.

    Args:
        metadata: the content of ``model.json``
    """
    training, figures = metadata["trained_on"], metadata["figures"]
    titles, corpora = training["title"], training["corpus"]
    licence = LICENCES.get(training["licence"].partition(" (")[0])
    bases = [ENCODERS[name].repository for name in training["encoders"] if name in ENCODERS]
    results = []
    for name, subset in (
        ("held-out speakers", "speakers that were not trained on"),
        ("held-out clips", "clips of the same speaker"),
    ):
        if name in figures:
            results.append(_result(titles, corpora, subset, figures[name]))
    if foreign := figures.get("foreign"):
        results.append(_result(foreign["corpus"], _slug(foreign["corpus"]), "another corpus", foreign))
    entries = {
        "license": licence or "other",
        **({} if licence else {"license_name": _slug(training["licence"])}),
        "library_name": "sernb",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "audio", metadata["name"]],
        **({} if training["licence"] == OWN else {"datasets": corpora.split("+")}),
        **({"base_model": bases} if bases else {}),
        "metrics": [name for _, name in METRICS],
        "model-index": [{"name": metadata["name"], "results": results}],
    }
    lines = [f"{name}: {_flow(value)}" for name, value in entries.items()]
    return "\n".join(["---", *lines, "---", ""])


def _result(title: str, kind: str, subset: str, scores: dict) -> dict:
    metrics = []
    for name, hub_name in METRICS:
        if not (match := SCORE.match(scores.get(name, ""))):
            continue
        value, low, high = map(float, match.groups())
        floor = scores[f"{name} floor"]
        metrics.append(
            {
                "type": hub_name,
                "name": f"{name} in per cent, 95 % interval [{low:g}, {high:g}], chance level {floor}",
                "value": value,
                "args": {
                    "interval": [low, high],
                    "chance": float(floor),
                    "clips": scores["clips"],
                    "speakers": scores["speakers"],
                },
            }
        )
    return {
        "task": {"type": "audio-classification", "name": "speech emotion recognition"},
        "dataset": {"name": f"{title}: {subset}", "type": kind},
        "metrics": metrics,
    }


def _flow(value: object) -> str:
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-") or "unknown"
