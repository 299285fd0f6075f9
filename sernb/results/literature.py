"""Published scores whose protocol is known from code, split files or stored results, and how it differs from ours.

A published score is comparable with ours only if both have the same metric and card. Every difference is listed.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from sernb.results.result import Result


@dataclass(frozen=True)
class Card:
    """The properties of an evaluation that must agree for two scores to be comparable."""

    folds: str
    choice: str  # what epoch and settings were selected on
    statistics: str  # what the normalisation statistics were fitted on
    classes: int
    pretraining: str = "none"


@dataclass(frozen=True)
class Score:
    """One published score of one system on one corpus."""

    name: str
    corpus: str
    value: float
    card: Card
    source: str
    note: str = ""
    metric: str = "uar"  # or "war", which is accuracy


RANDOM = "random, speakers shared"
LUNA = "five of Luna-Jiménez et al. (2021), speaker-independent"
# The folds of our own speaker-independent protocol, by corpus; on other corpora no published score is comparable.
OURS = {"ravdess": LUNA, "savee": "leave one speaker out", "emodb": "leave one speaker out",
        "tess": "one woman against the other", "iemocap": "leave one session out"}  # fmt: skip
SIX = "six of EmoBox, speaker-independent"
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


def _keesing(name: str, corpus: str, folds: str, classes: int, own: float, inductive: float) -> tuple[Score, ...]:
    best = "best of nine classifiers by test clips"
    return (
        Score(f"{name}, own statistics", corpus, own, Card(folds, TEST, OWN, classes), KEESING),
        Score(name, corpus, inductive, Card(folds, f"{NESTED}, {best}", TRAINING, classes), KEESING),
    )


LITERATURE = (
    Score("TIM-Net, last epoch", "ravdess", 0.9004, Card(RANDOM, LAST, TRAINING, 8), TIMNET),
    Score("TIM-Net, best epoch", "ravdess", 0.9193, Card(RANDOM, TEST, TRAINING, 8), TIMNET),
    Score("GM-TCNet, last epoch", "ravdess", 0.8278, Card(RANDOM, LAST, TRAINING, 8), TIMNET),
    Score("ResLSTM-SER", "ravdess", 0.6232, Card(LUNA, "validation speakers; settings by test clips", ALL, 8),
          RESLSTM, "mean of ten runs"),
    Score("wav2vec 2.0 with augmentation, fine-tuned", "ravdess", 0.8229,
          Card(LUNA, NOT_KNOWN, TRAINING, 8, "wav2vec 2.0"), LUNA_SOURCE, metric="war"),
    Score("wav2vec 2.0, fine-tuned", "ravdess", 0.8182, Card(LUNA, NOT_KNOWN, TRAINING, 8, "53 languages"),
          LUNA_SOURCE, metric="war"),
    Score("CNN-14 (PANNs), fine-tuned", "ravdess", 0.7658, Card(LUNA, NOT_KNOWN, TRAINING, 8, "AudioSet"),
          LUNA_SOURCE, metric="war"),
    Score("Whisper-large-v3, frozen", "ravdess", 0.7532,
          Card(SIX, RANDOM_VALIDATION, NOT_KNOWN, 8, "Whisper"), EMOBOX),
    Score("WavLM-large, frozen", "ravdess", 0.72, Card(SIX, RANDOM_VALIDATION, NOT_KNOWN, 8, "WavLM"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "ravdess", GROUPS, 8, 0.69, 0.59),
    *_keesing("eGeMAPS functionals", "ravdess", GROUPS, 8, 0.61, 0.50),
    Score("Whisper-large-v3, frozen", "crema_d", 0.7675, Card(RANDOM, NOT_KNOWN, NOT_KNOWN, 6, "Whisper"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "crema_d", GROUPS, 6, 0.71, 0.61),
    *_keesing("eGeMAPS functionals", "crema_d", GROUPS, 6, 0.63, 0.54),
    Score("Whisper-large-v3, frozen", "tess", 0.9996, Card(RANDOM, NOT_KNOWN, NOT_KNOWN, 7, "Whisper"), EMOBOX),
    *_keesing("ComParE-2013 functionals", "tess", OURS["tess"], 7, 0.63, 0.47),
    *_keesing("eGeMAPS functionals", "tess", OURS["tess"], 7, 0.54, 0.33),
    Score("TIM-Net, last epoch", "savee", 0.7726, Card(RANDOM, LAST, TRAINING, 7), TIMNET),
    *_keesing("ComParE-2013 functionals", "savee", OURS["savee"], 7, 0.67, 0.47),
    *_keesing("eGeMAPS functionals", "savee", OURS["savee"], 7, 0.63, 0.39),
    Score("TIM-Net, last epoch", "emodb", 0.8919, Card(RANDOM, LAST, TRAINING, 7), TIMNET),
    *_keesing("ComParE-2013 functionals", "emodb", OURS["emodb"], 7, 0.87, 0.75),
    *_keesing("eGeMAPS functionals", "emodb", OURS["emodb"], 7, 0.80, 0.66),
    *_keesing("ComParE-2013 functionals", "iemocap", OURS["iemocap"], 4, 0.63, 0.60),
)  # fmt: skip


def make_card(result: "Result") -> Card | None:
    """Return the card of one of our results; None if nobody else uses its folds."""
    corpus = result.experiments[0].corpus.name
    folds = {"ravdess": SIX}.get(corpus, OURS.get(corpus)) if result.protocol == "emobox" else OURS.get(corpus)
    statistics = {"speaker-independent": TRAINING, "speaker-normalised": OWN, "emobox": TRAINING}.get(result.protocol)
    if folds is None or statistics is None or result.options:
        return None
    choice = VALIDATION if result.system.selects_epoch else LAST if result.system.network else NESTED
    encoders = ", ".join(result.system.encoders) or "none"
    return Card(folds, choice, statistics, len(result.classes), encoders)


def list_differences(theirs: Card, ours: Card) -> str:
    """List the differences between two cards; empty if there are none.

    Validation speakers and inner folds by speaker count as equal: both select on speakers outside the test part.
    """
    names = {"choice": "model selection", "statistics": "normalisation statistics"}
    differences = []
    for field in dataclasses.fields(Card):
        their, our = getattr(theirs, field.name), getattr(ours, field.name)
        same = their == our or (field.name == "choice" and {their, our} == {VALIDATION, NESTED})
        differences += [] if same else [f"{names.get(field.name, field.name)}: {their}"]
    return "; ".join(differences)


def literature_table(results: "list[Result]", corpus: str) -> pd.DataFrame:
    """Compare each published score on a corpus with our best result under the most similar protocol.

    The most similar protocol has the fewest differences; its best result is that in the metric of the published score.

    Returns:
        columns name, metric, value, comparable (our result has the same card), why (the differences, and a note), ours
        (our result with its protocol and interval), source
    """
    cards = [(card, result) for result in results if (card := make_card(result))]
    rows = []
    for score in LITERATURE:
        if score.corpus != corpus:
            continue
        compared = [(list_differences(score.card, card), result) for card, result in cards]
        fewest = min((text for text, _ in compared), key=lambda text: (text.count(";") + bool(text), text), default="")
        nearest = [result for text, result in compared if text == fewest]
        best = max(nearest, key=lambda result: getattr(result.metrics(), score.metric).value, default=None)
        why = "no result of ours" if best is None else fewest or "nothing"
        rows.append(
            {
                "name": score.name,
                "metric": score.metric,
                "value": score.value,
                "comparable": best is not None and not fewest,
                "why": why + f" ({score.note})" * bool(score.note),
                "ours": best and f"{best.system.name}, {best.heading}: {getattr(best.metrics(), score.metric)}",
                "source": score.source,
            }
        )
    return pd.DataFrame(rows, columns=["name", "metric", "value", "comparable", "why", "ours", "source"])
