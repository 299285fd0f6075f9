"""The demo corpus of the workbook: synthetic speech, so that everything runs without a download.

Eight eSpeak NG voices speak the two sentences of RAVDESS with eight emotional settings, under RAVDESS's file names. The
rate, pitch, range and loudness settings of each clip are numeric labels, in place of rated dimensions.
"""

import csv
import re
from pathlib import Path

from sernb.config import ROOT
from sernb.corpora.record import Corpus, Labels, SpeakerFold
from sernb.corpora.records import ravdess

SETTINGS = ("rate", "pitch", "range", "loudness")


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name."""
    return ravdess.describe(match) | {"speaker": speaker(int(match["actor"]))}


def read_settings(folder: Path) -> dict[str, Labels]:
    """Return the synthesis settings of each clip."""
    with (folder / "settings.csv").open(newline="", encoding="utf-8") as file:
        return {row["clip"]: {name: float(row[name]) for name in SETTINGS} for row in csv.DictReader(file)}


def speaker(voice: int) -> str:
    """Return the speaker name of a voice."""
    return f"demo-{voice:02d}"


def _fold(test: tuple[int, int], validation: tuple[int, int]) -> SpeakerFold:
    return SpeakerFold(tuple(map(speaker, test)), tuple(map(speaker, validation)))


CORPUS = Corpus(
    name="demo",
    title="the demo corpus",
    about="240 clips of synthetic speech: eight eSpeak NG voices, two sentences, eight emotional settings. It shows "
    "how the workbook works and is no evidence about emotion.",
    citation="Made by data/demo/make_demo.py of this workbook with eSpeak NG.",
    licence="CC0 1.0 (the clips)",
    homepage="data/demo/README.md",
    get="it is part of the workbook, in data/demo",
    pattern=ravdess.CORPUS.pattern.replace("wav", "flac"),
    describe=describe,
    emotions=ravdess.EMOTIONS,
    clips=240,
    speakers=8,
    speaker_folds=(
        _fold((1, 2), (3, 4)),
        _fold((3, 4), (5, 6)),
        _fold((5, 6), (7, 8)),
        _fold((7, 8), (1, 2)),
    ),
    columns=tuple((name, float) for name in SETTINGS),
    tables=read_settings,
    quirks=("The voices are synthetic and each emotion is a set of parameters: a network can learn the parameters.",),
    evidence=False,
    home=ROOT / "data" / "demo",
)
