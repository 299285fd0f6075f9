"""Published scores whose protocol is known from code, split files or stored results, and what differs from ours.

A score stands beside ours as an equal only if metric and card are those of ours. Everything that differs is named.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from sernb.results.result import Result


@dataclass(frozen=True)
class Card:
    """What must be alike for two figures to be compared."""

    folds: str
    choice: str  # of epoch and settings
    statistics: str  # what fitted them
    classes: int
    pretraining: str = "none"


@dataclass(frozen=True)
class Reported:
    """One published score of one system on one corpus."""

    name: str
    corpus: str
    value: float
    card: Card
    source: str
    note: str = ""
    metric: str = "uar"  # or "war", which is accuracy


RANDOM = "random, speakers shared"
LUNA = "five of Luna-Jiménez et al. (2021), speakers apart"
# The folds of our own speaker-independent protocol, by corpus; elsewhere no figure is alike.
OURS = {"ravdess": LUNA, "savee": "leave one speaker out", "emodb": "leave one speaker out",
        "tess": "one woman against the other", "iemocap": "leave one session out"}  # fmt: skip
SIX = "six of EmoBox, speakers apart"
VALIDATION = "validation speakers"
RANDOM_VALIDATION = "random clips of training speakers"
NESTED = "inner folds by speaker"
TEST = "test clips"
LAST = "last epoch"
NOT_KNOWN = "not known"
TRAINING, OWN, ALL = "training clips", "each speaker's own clips", "all clips"

KEESING = "Keesing et al. (2021), github.com/Strong-AI-Lab/emotion, papers/interspeech2021, two digits"
TIMNET = "github.com/Jiaxin-Ye/TIM-Net_SER, README"
LUNA_SOURCE = "accuracies of Luna-Jiménez et al. (2021, 2022), quoted in github.com/Mak-Sim/ResLSTM-SER, README"
RESLSTM = "github.com/Mak-Sim/ResLSTM-SER, stored results"
EMOBOX = "EmoBox, github.com/emo-box/EmoBox, docs and split files"
GROUPS = "six groups of speakers"


def _keesing(name: str, corpus: str, folds: str, classes: int, own: float, inductive: float) -> tuple[Reported, ...]:
    best = "best of nine classifiers by test clips"
    return (
        Reported(f"{name}, own statistics", corpus, own, Card(folds, TEST, OWN, classes), KEESING),
        Reported(name, corpus, inductive, Card(folds, f"{NESTED}, {best}", TRAINING, classes), KEESING),
    )


LITERATURE = (
    Reported("TIM-Net, last epoch", "ravdess", 0.9004, Card(RANDOM, LAST, TRAINING, 8), TIMNET),
    Reported("TIM-Net, best epoch", "ravdess", 0.9193, Card(RANDOM, TEST, TRAINING, 8), TIMNET),
    Reported("GM-TCNet, last epoch", "ravdess", 0.8278, Card(RANDOM, LAST, TRAINING, 8), TIMNET),
    Reported("ResLSTM-SER", "ravdess", 0.6232, Card(LUNA, "validation speakers; settings by test clips", ALL, 8),
             RESLSTM, "mean of ten runs"),
    Reported("wav2vec 2.0 with augmentation, fine-tuned", "ravdess", 0.8229,
             Card(LUNA, NOT_KNOWN, TRAINING, 8, "wav2vec 2.0"), LUNA_SOURCE, metric="war"),
    Reported("wav2vec 2.0, fine-tuned", "ravdess", 0.8182, Card(LUNA, NOT_KNOWN, TRAINING, 8, "53 languages"),
             LUNA_SOURCE, metric="war"),
    Reported("CNN-14 (PANNs), fine-tuned", "ravdess", 0.7658, Card(LUNA, NOT_KNOWN, TRAINING, 8, "AudioSet"),
             LUNA_SOURCE, metric="war"),
    Reported("Whisper-large-v3, frozen", "ravdess", 0.7532,
             Card(SIX, RANDOM_VALIDATION, NOT_KNOWN, 8, "Whisper"), EMOBOX),
    Reported("WavLM-large, frozen", "ravdess", 0.72, Card(SIX, RANDOM_VALIDATION, NOT_KNOWN, 8, "WavLM"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "ravdess", GROUPS, 8, 0.69, 0.59),
    *_keesing("eGeMAPS functionals", "ravdess", GROUPS, 8, 0.61, 0.50),
    Reported("Whisper-large-v3, frozen", "crema_d", 0.7675, Card(RANDOM, NOT_KNOWN, NOT_KNOWN, 6, "Whisper"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "crema_d", GROUPS, 6, 0.71, 0.61),
    *_keesing("eGeMAPS functionals", "crema_d", GROUPS, 6, 0.63, 0.54),
    Reported("Whisper-large-v3, frozen", "tess", 0.9996, Card(RANDOM, NOT_KNOWN, NOT_KNOWN, 7, "Whisper"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "tess", OURS["tess"], 7, 0.63, 0.47),
    *_keesing("eGeMAPS functionals", "tess", OURS["tess"], 7, 0.54, 0.33),
    Reported("TIM-Net, last epoch", "savee", 0.7726, Card(RANDOM, LAST, TRAINING, 7), TIMNET),
    *_keesing("ComParE-2013 functionals", "savee", OURS["savee"], 7, 0.67, 0.47),
    *_keesing("eGeMAPS functionals", "savee", OURS["savee"], 7, 0.63, 0.39),
    Reported("TIM-Net, last epoch", "emodb", 0.8919, Card(RANDOM, LAST, TRAINING, 7), TIMNET),
    *_keesing("ComParE-2013 functionals", "emodb", OURS["emodb"], 7, 0.87, 0.75),
    *_keesing("eGeMAPS functionals", "emodb", OURS["emodb"], 7, 0.80, 0.66),
    *_keesing("ComParE-2013 functionals", "iemocap", OURS["iemocap"], 4, 0.63, 0.60),
)  # fmt: skip


def make_card(result: "Result") -> Card | None:
    """Return the card of a result of ours; nothing where its folds are none that others use."""
    corpus = result.experiments[0].corpus.name
    folds = {"ravdess": SIX}.get(corpus, OURS.get(corpus)) if result.protocol == "emobox" else OURS.get(corpus)
    statistics = {"speaker-independent": TRAINING, "speaker-normalised": OWN, "emobox": TRAINING}.get(result.protocol)
    if folds is None or statistics is None or result.options:
        return None
    choice = VALIDATION if result.system.chooses_epoch else LAST if result.system.network else NESTED
    encoders = ", ".join(result.system.encoders) or "none"
    return Card(folds, choice, statistics, len(result.classes), encoders)


def list_differences(theirs: Card, ours: Card) -> str:
    """Say what differs; an empty text if nothing does.

    Validation speakers and inner folds by speaker count as one: both choose on speakers that no test clip has.
    """
    words = []
    for field in dataclasses.fields(Card):
        their, our = getattr(theirs, field.name), getattr(ours, field.name)
        alike = their == our or (field.name == "choice" and {their, our} == {VALIDATION, NESTED})
        words += [] if alike else [f"{field.name}: {their}"]
    return "; ".join(words)


def literature_table(results: "list[Result]", corpus: str) -> pd.DataFrame:
    """Return the published scores on a corpus, the best of ours that is nearest, and what differs between the two.

    Nearest is the protocol of ours with the fewest differences; the best of it is taken in the metric of the score.

    Returns:
        columns name, metric, value, alike (the nearest of ours has the same card), why (what differs from it, and a
        note), ours (its name, protocol and interval), source
    """
    cards = [(card, result) for result in results if (card := make_card(result))]
    rows = []
    for score in LITERATURE:
        if score.corpus != corpus:
            continue
        found = [(list_differences(score.card, card), result) for card, result in cards]
        words = min(
            (words for words, _ in found), key=lambda words: (words.count(";") + bool(words), words), default=""
        )
        nearest = [getattr(result.metrics(), score.metric) for said, result in found if said == words]
        names = [f"{result.system.name}, {result.heading}" for said, result in found if said == words]
        best = max(range(len(nearest)), key=lambda at: nearest[at].value, default=None)
        why = "no result of ours" if best is None else words or "nothing"
        rows.append(
            {
                "name": score.name,
                "metric": score.metric,
                "value": score.value,
                "alike": best is not None and not words,
                "why": why + f" ({score.note})" * bool(score.note),
                "ours": None if best is None else f"{names[best]}: {nearest[best]}",
                "source": score.source,
            }
        )
    return pd.DataFrame(rows, columns=["name", "metric", "value", "alike", "why", "ours", "source"])
