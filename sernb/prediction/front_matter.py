"""What the hub reads of a model card: YAML front matter, in its flow style, which is JSON."""

import json
import re

from sernb.encoders.registry import ENCODERS
from sernb.prediction.model_card import OWN

# How the hub names licences: https://huggingface.co/docs/hub/repositories-licenses
LICENCES = {
    "CC0 1.0": "cc0-1.0", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0", "CC BY-NC-ND 4.0": "cc-by-nc-nd-4.0", "CC BY-ND 4.0": "cc-by-nd-4.0",
}  # fmt: skip
SCORE = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]")
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")  # which YAML wants to be escaped
METRICS = (("UAR", "recall"), ("WAR", "accuracy"))  # ours, and what the hub calls it


def write_front_matter(about: dict) -> str:
    """Return licence, data sets and scores with intervals and chance levels, between lines of three hyphens.

    Args:
        about: the content of ``model.json``
    """
    trained, figures = about["trained_on"], about["figures"]
    titles, kind = trained["title"], trained["corpus"]
    licence = LICENCES.get(trained["licence"].partition(" (")[0])
    bases = [ENCODERS[name].repository for name in trained["encoders"] if name in ENCODERS]
    results = []
    for name, of in (
        ("held-out speakers", "speakers that were not trained on"),
        ("held-out clips", "clips of the same speaker"),
    ):
        if name in figures:
            results.append(_result(titles, kind, of, figures[name]))
    if foreign := figures.get("foreign"):
        results.append(_result(foreign["corpus"], _slug(foreign["corpus"]), "another corpus", foreign))
    entries = {
        "license": licence or "other",
        **({} if licence else {"license_name": _slug(trained["licence"])}),
        "library_name": "sernb",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "audio", about["name"]],
        **({} if trained["licence"] == OWN else {"datasets": kind.split("+")}),
        **({"base_model": bases} if bases else {}),
        "metrics": [name for _, name in METRICS],
        "model-index": [{"name": about["name"], "results": results}],
    }
    lines = [f"{name}: {_flow(value)}" for name, value in entries.items()]
    return "\n".join(["---", *lines, "---", ""])


def _result(title: str, kind: str, of: str, found: dict) -> dict:
    metrics = []
    for name, theirs in METRICS:
        if not (match := SCORE.match(found.get(name, ""))):
            continue
        value, low, high = map(float, match.groups())
        floor = found[f"{name} floor"]
        metrics.append(
            {
                "type": theirs,
                "name": f"{name} in per cent, 95 % interval [{low:g}, {high:g}], chance level {floor}",
                "value": value,
                "args": {
                    "interval": [low, high],
                    "chance": float(floor),
                    "clips": found["clips"],
                    "speakers": found["speakers"],
                },
            }
        )
    return {
        "task": {"type": "audio-classification", "name": "speech emotion recognition"},
        "dataset": {"name": f"{title}: {of}", "type": kind},
        "metrics": metrics,
    }


def _flow(value: object) -> str:
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-") or "unknown"
