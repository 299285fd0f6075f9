"""Small corpora of one's own that are unlike published ones, from clips of the demo corpus."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sernb.config import ROOT
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus

TWO = ("happy", "sad")
THREE = ("happy", "sad", "angry")


def rows(speakers: int, emotions: Sequence[str], each: int) -> list[tuple[str, str]]:
    """Return speaker and emotion of clips: every speaker has so many of every emotion."""
    return [(f"s{number}", emotion) for number in range(1, speakers + 1) for emotion in emotions for _ in range(each)]


# Speaker and emotion of each clip. Speakers of odd number are men, the others women.
ODD = {
    "two speakers with three clips each": rows(2, THREE, 1),
    "six clips of one speaker": rows(1, THREE, 2),
    "one class": rows(3, ("happy",), 2),
    "one class beside neutral": rows(3, ("happy", "neutral"), 2),
    "one clip of a rare label": [*rows(4, TWO, 4), ("s1", "surprised")],
    "one clip a speaker": [(f"s{n + 1}", TWO[n % 2]) for n in range(8)],
    "one speaker with one clip": [*rows(4, TWO, 3), ("s5", "happy")],
    "one emotion a speaker": [(f"s{n}", emotion) for n, emotion in enumerate(THREE, 1) for _ in range(4)],
    "one speaker has an emotion alone": [*rows(4, TWO, 2), *[("s4", "fearful")] * 3],
    "each class once": [("s1", "happy"), ("s1", "sad"), ("s2", "angry"), ("s2", "fearful")],
    "one gender": [row for row in rows(8, THREE, 2) if int(row[0][1]) % 2],
    "one clip": [("s1", "happy")],
}  # fmt: skip


def odd_corpus(folder: Path, clips: Sequence[tuple[str, str]], *, gender: bool = True) -> Path:
    """Make a folder with ``labels.csv`` and recordings of these speakers and emotions; return it.

    Args:
        clips: speaker (s1 … s8) and emotion of each; the demo corpus has four clips of each, two of neutral
        gender: whether the labels say it
    """
    index, taken = read_index(get_corpus("demo")), Counter()
    lines = ["path,speaker,emotion,gender"]
    folder.mkdir(parents=True)
    for number, (speaker, emotion) in enumerate(clips):
        own = index[(index.speaker == f"demo-{int(speaker[1:]):02d}") & (index.emotion == emotion)]
        clip = own.iloc[taken[speaker, emotion]]
        taken[speaker, emotion] += 1
        os.link(ROOT / "data" / "demo" / clip.path, folder / f"{number:02d}.flac")
        lines.append(f"{number:02d}.flac,{speaker},{emotion},{clip.gender if gender else ''}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder
