"""The first sections of a model card: its inputs, and what a user must know."""

import re

from sernb.prediction.loading import NETWORKS

UNSEEN = "unseen speakers"
SCORE = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]")  # value and interval


def summarise_card(metadata: dict) -> str:
    """Return scores on unseen speakers and another corpus, emotions that are hardly recognised, and terms of use.

    Args:
        metadata: the content of ``model.json``
    """
    figures, training = metadata["figures"], metadata["trained_on"]
    foreign = figures.get("foreign")
    tests = {
        f"{UNSEEN} of {training['title']}": figures.get("held-out speakers"),
        f"other clips of the one speaker of {training['title']}": figures.get("held-out clips"),
        f"another corpus, {foreign and foreign['corpus']}": foreign,
    }
    lines = [_describe_test(name, scores) for name, scores in tests.items() if scores]
    if foreign:
        lines[-1] += " Expect this performance on your recordings at best."
    else:
        lines.append("Not tested on another corpus: expect lower scores on your recordings.")
    if sure := (foreign or figures).get("sure"):
        given, right = (_as_percent(sure[name]) for name in ("given", "right"))
        tested = "that corpus" if foreign else UNSEEN
        lines.append(
            f'The answer is "not sure" unless the model is confident: it was for {given} of the clips of {tested}, '
            f"and right for {right} of these."
        )
    lines.append(f"Licence of the recordings: {training['licence']}. A prediction does not say what anybody feels.")
    return "\n".join(["## In short", "", *(f"- {line}" for line in lines), ""])


def describe_inputs(metadata: dict) -> str:
    """Return a sentence on the inputs of a model, and how to get the encoders that compute them."""
    if metadata["kind"] == "sernet":
        return "Its input is the log-mel spectrogram of the speech in a recording, computed with NumPy and SciPy."
    if metadata["kind"] in NETWORKS:
        return (
            f"Its input is the log-mel spectrogram that {', '.join(metadata['trained_on']['encoders'])} reads, "
            "computed with NumPy and SciPy;\nthe weights of the encoder, changed by training, are part of it."
        )
    functionals = "statistics of pitch, loudness, voice quality, spectrum and rhythm, computed with NumPy and SciPy."
    encoders = metadata["trained_on"].get("encoders") or []
    if not encoders:
        return f"Its inputs are {functionals}"
    sentence = f"Its inputs are the hidden states of {', '.join(encoders)}, whose weights are downloaded separately\n"
    commands = "; ".join(f"`sernb fetch {name}`" for name in encoders)
    return (
        f"{sentence}({commands}), and {functionals}"
        if "Functionals" in str(metadata["features"])
        else f"{sentence}({commands})."
    )


def _describe_test(name: str, scores: dict) -> str:
    recalls = {emotion: text for emotion, text in scores["recall by emotion"].items() if SCORE.match(text)}
    chance = 100 / max(len(recalls), 1)
    line = f"Tested on {name}: UAR {_as_percent(scores['UAR'])}, chance level {scores['UAR floor']} %."
    weak = [f"{emotion} {text}" for emotion, text in recalls.items() if float(SCORE.match(text)[2]) <= chance]
    if weak:
        return f"{line} **Hardly recognised (recall not shown to be above {chance:.1f} %): {', '.join(weak)}.**"
    lowest = min(recalls, key=lambda emotion: float(SCORE.match(recalls[emotion])[1]), default="")
    return f"{line} Lowest recall: {lowest}, {_as_percent(recalls[lowest])}." if lowest else line


def _as_percent(score: str) -> str:
    """Return a score with its per cent sign before a mark of the interval."""
    return score.replace("]", "] %", 1)
