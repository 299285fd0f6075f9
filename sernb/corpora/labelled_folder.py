"""A user's own recordings as a corpus: a folder with a table of labels, and no code.

The folder holds ``labels.csv`` and recordings anywhere below it. Columns: ``path`` (of the recording, from the
folder), ``speaker`` and ``emotion``; if known also ``clip`` (a name), ``gender``, ``age``, ``intensity``, ``sentence``,
``take``, ``fold`` (see the protocol own-folds), ``valence``, ``arousal``, ``dominance``. Any other column whose filled
cells are all numbers is read, too, as a target to predict; a clip with such a value needs no emotion. Name the folder
wherever a corpus is named. Tables of other programs do as well, see :mod:`sernb.corpora.label_tables`.

Folds with speakers apart are made by rule: at most five groups of speakers, as even in gender as can be, the next group
validates. The name of such a corpus ends in digits for the place of the folder and the contents of its labels, so that
corrected labels are another corpus, and no run of old labels is taken for one of new ones.
"""

import math
import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np

from sernb.audio.recordings import printable
from sernb.config import DataError, digest
from sernb.corpora.index import INDEX_COLUMNS
from sernb.corpora.label_tables import LABELS, find_home, list_tables, read_labels_table
from sernb.corpora.record import DIMENSIONS, EMOTIONS, Corpus, Labels, SpeakerFold
from sernb.runtime.files import checksum

NEEDED = ("path", "speaker", "emotion")
NUMBERS = ("age", *DIMENSIONS)
WORDS = ("clip", "gender", "intensity", "sentence", "take", "fold")
# Columns that mean something else, here or in tables of results.
RESERVED = {*INDEX_COLUMNS, *WORDS, "corpus", "truth", "prediction", "view", "origin", "part", "split"}
GROUPS = 5

SYNONYMS = {
    "happiness": "happy", "joy": "happy", "excitement": "excited", "sadness": "sad", "anger": "angry",
    "frustration": "frustrated", "fear": "fearful", "afraid": "fearful", "disgusted": "disgust",
    "surprise": "surprised", "boredom": "bored", "calmness": "calm",
    "neutrality": "neutral",
}  # fmt: skip
GENDERS = {"": "", "female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male"}


def corpus_from_table(table: Path) -> Corpus:
    """Return the record of recordings that a table labels, ``labels.csv`` in their folder or one of another program.

    Raises:
        DataError: naming each line of the labels that cannot be used, and why
    """
    table = table.resolve()
    rows = _rows(table)
    home = table.parent if table.name == LABELS else find_home(table, [row["path"] for _, row in rows])
    clips = _clips(table, rows, home)
    name = _name(table)
    genders = {str(clip["speaker"]): str(clip["gender"]) for clip in clips}
    emotions = {clip["emotion"] for clip in clips}
    return Corpus(
        name=name,
        title=printable(table.parent.name if table.name == LABELS else f"{table.parent.name}/{table.name}"),
        about=f"Own recordings: {len(clips)} clips of {len(genders)} speakers.",
        citation="not published",
        licence="as their owners decide",
        homepage=str(home),
        get=f"it is the folder {home}",
        pattern=r".+",
        describe=_nothing,
        emotions=tuple(emotion for emotion in EMOTIONS if emotion in emotions),
        clips=len(clips),
        speakers=len(genders),
        speaker_folds=deal_speakers({f"{name}-{speaker}": gender for speaker, gender in genders.items()}),
        unused=((r".+", f"not in {table.name}"),),
        columns=(
            *((("fold", str),) if any("fold" in clip for clip in clips) else ()),
            *((name, float) for name in sorted({name for clip in clips for name in clip} - RESERVED)),
        ),
        labels_at=tuple(each.relative_to(home).as_posix() for each in list_tables(table)),
        clips_of=partial(_clips_of, table=table, name=name),
        home=home,
    )


def _clips_of(folder: Path, *, table: Path, name: str) -> Iterable[Labels]:
    return [clip | {"speaker": f"{name}-{clip['speaker']}"} for clip in _clips(table, _rows(table), folder)]


def _nothing(match: re.Match) -> Labels:
    return {}


def _name(table: Path) -> str:
    folder = table.parent
    slug = re.sub(r"[^a-z0-9]+", "_", folder.name.casefold()).strip("_")[:32] or "recordings"
    if table.name == LABELS:
        return f"{slug}-{digest(str(folder), table.read_bytes().hex())[:8]}"
    return f"{slug}-{digest(str(table), *map(checksum, list_tables(table)))[:8]}"


def deal_speakers(genders: dict[str, str]) -> tuple[SpeakerFold, ...]:
    """Return folds of speakers, given the gender of each: five groups at most, even in gender as far as can be.

    The speakers of each gender are shuffled and dealt out; the next group validates if a third one is left.
    """
    count = min(len(genders), GROUPS)
    if count < 2:
        return ()
    rng = np.random.default_rng(0)
    dealt: list[str] = []
    for gender in sorted(set(genders.values())):
        alike = sorted(speaker for speaker, its in genders.items() if its == gender)
        dealt += [str(speaker) for speaker in rng.permutation(alike)]
    groups = [tuple(sorted(dealt[place::count])) for place in range(count)]
    return tuple(
        SpeakerFold(group, groups[(place + 1) % count] if count > 2 else ()) for place, group in enumerate(groups)
    )


def _clips(table: Path, rows: Sequence[tuple[int, dict[str, str]]], home: Path) -> list[Labels]:
    """Return the labels of a table, speakers under their own names."""
    problems, clips = [], []
    numbers = (*NUMBERS, *_numeric_columns(row for _, row in rows))
    for line, row in rows:
        try:
            clips.append(_clip(row, home, numbers))
        except ValueError as error:
            problems.append(f"{table}, line {line}: {error}")
    for column in ("path", "clip"):
        seen: dict[object, int] = {}
        for (line, _), clip in zip(rows, clips, strict=False) if not problems else ():
            if clip[column] in seen:
                first = seen[clip[column]]
                advice = "remove one" if column == "path" else "name them apart in a column clip"
                problems.append(f"{table}, line {line}: {column} {clip[column]!r} is in line {first}, too; {advice}")
            seen[clip[column]] = line
    if any("fold" in clip for clip in clips):
        unfolded = next((line for (line, _), clip in zip(rows, clips, strict=False) if "fold" not in clip), 0)
        if unfolded and not problems:
            problems.append(f"{table}, line {unfolded}: has no fold, but others have one; name it")
    genders: dict[object, object] = {}
    for clip in clips:
        if genders.setdefault(clip["speaker"], clip["gender"]) != clip["gender"]:
            problems.append(f"{table}: speaker {clip['speaker']!r} has two genders; correct the labels")
            break
    if not rows:
        problems.append(f"{table}: names no recordings; add a line for each")
    if problems:
        raise DataError.of_many(problems, "more like these")
    return clips


def _rows(table: Path) -> tuple[tuple[int, dict[str, str]], ...]:
    """Return line and cells of each filled line."""
    found = read_labels_table(table, (*NEEDED, *WORDS, *NUMBERS))
    if missing := [name for name in NEEDED if name not in found.columns]:
        raise DataError(
            f"{table}: has no column {' or '.join(missing)} (found: {', '.join(found.columns) or 'nothing'}); "
            f"needed are {', '.join(NEEDED)}; also known: {', '.join((*WORDS, *NUMBERS))}"
        )
    return found.rows


def _numeric_columns(rows: Iterable[dict[str, str]]) -> list[str]:
    """Return further columns whose filled cells are all numbers."""
    odd: dict[str, bool] = {}
    for row in rows:
        for name, cell in row.items():
            if cell and name not in RESERVED and not odd.get(name):
                odd[name] = _number(cell) is None
    return [name for name, is_odd in odd.items() if not is_odd]


def find_odd_numbers(table: Path, column: str, scale: tuple[float, float] | None = None) -> list[str]:
    """Return a line for each filled cell of a column that is no number, or lies outside of a scale."""
    odd = []
    for line, row in _rows(table):
        cell = row.get(column, "")
        value = _number(cell)
        if cell and value is None:
            odd.append(f"{table}, line {line}: {column} {cell!r} is no number; correct it or leave it empty")
        elif cell and scale and not scale[0] <= value <= scale[1]:
            said = f"{column} {cell!r} is outside of {scale[0]:g} to {scale[1]:g}"
            odd.append(f"{table}, line {line}: {said}; correct it or the scale")
    return odd


def _number(cell: str) -> float | None:
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _can_be_named(path: str) -> bool:
    """Return whether a file may have such a path: no zero byte, no half of a letter, no part of over 255 bytes."""
    try:
        return "\0" not in path and max(map(len, os.fsencode(path).split(b"/"))) <= 255
    except UnicodeEncodeError:
        return False


def _clip(row: dict[str, str], home: Path, numbers: Iterable[str]) -> Labels:
    """Return one line of the labels; a ValueError says what is wrong with it."""
    path = row["path"].replace("\\", "/").removeprefix(f"{home.as_posix()}/")
    if not path:
        raise ValueError("has no path; name the recording")
    drive = ":" in path and PureWindowsPath(path).drive  # asked seldom: 100,000 paths take their time
    if path.startswith("/") or drive or ".." in path.split("/"):
        raise ValueError(f"path {row['path']!r} leads out of the folder; put the recording into it")
    if not _can_be_named(path):
        raise ValueError(f"path {row['path']!r:.60} can be the name of no file; correct it")
    if not row["speaker"]:
        raise ValueError("has no speaker; name one, the same for all recordings of a person")
    word = row["emotion"].casefold()
    emotion = SYNONYMS.get(word, word)
    if emotion not in EMOTIONS and (word or not any(row.get(name) for name in numbers if name != "age")):
        raise ValueError(
            f"emotion {row['emotion']!r} is unknown; known: {', '.join(EMOTIONS)}; also: {', '.join(SYNONYMS)}"
        )
    gender = row.get("gender", "").casefold()
    if gender not in GENDERS:
        raise ValueError(f"gender {row['gender']!r} is unknown; known: female, male, or empty")
    path = posixpath.normpath(path)
    clip: Labels = {"clip": path.rpartition(".")[0].replace("/", "_") or path, "path": path}
    clip |= {name: row[name] for name in ("speaker", *WORDS) if row.get(name)}
    clip |= {"emotion": emotion, "gender": GENDERS[gender]}
    for name in numbers:
        if row.get(name):
            if (value := _number(row[name])) is None:
                raise ValueError(f"{name} {row[name]!r} is no number; correct it or leave it empty")
            clip[name] = value
    return clip
