"""Your recordings as a corpus: a folder with a table of labels, without any code.

The folder holds ``labels.csv`` and recordings anywhere below it. The columns are ``path`` (relative to the folder),
``speaker`` and ``emotion``; optionally ``clip`` (a name), ``gender``, ``age``, ``intensity``, ``sentence``, ``take``,
``fold`` (see the protocol own-folds), ``valence``, ``arousal``, ``dominance``. Any other column with only numbers is
read as a target for regression; a clip with such a value needs no emotion. The folder can be named wherever a corpus
can. Tables of other programs are read as well, see :mod:`sernb.corpora.label_tables`.

The speaker-independent folds have at most five groups of speakers, balanced by gender as far as possible; each next
group is the validation part. The name of such a corpus ends in a digest of the folder and the labels: corrected labels
make a new corpus, so that runs on old labels are never mistaken for runs on new ones.
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
from sernb.config import DataError, digest, suggest
from sernb.corpora.index import INDEX_COLUMNS
from sernb.corpora.label_tables import LABELS, find_root, list_tables, read_labels_table
from sernb.corpora.record import DIMENSIONS, EMOTIONS, Corpus, Labels, SpeakerFold
from sernb.runtime.files import checksum

NEEDED = ("path", "speaker", "emotion")
NUMBERS = ("age", *DIMENSIONS)
WORDS = ("clip", "gender", "intensity", "sentence", "take", "fold")
# Columns with another meaning, here or in tables of results.
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
    """Return the record of a user's corpus from its label table.

    Raises:
        DataError: with each unusable line of the table and the reason
    """
    table = table.resolve()
    rows = _read_rows(table)
    home = table.parent if table.name == LABELS else find_root(table, [row["path"] for _, row in rows])
    clips = _parse_clips(table, rows, home)
    name = _corpus_name(table)
    genders = {str(clip["speaker"]): str(clip["gender"]) for clip in clips}
    emotions = {clip["emotion"] for clip in clips}
    return Corpus(
        name=name,
        title=printable(table.parent.name if table.name == LABELS else f"{table.parent.name}/{table.name}"),
        about=f"Your recordings: {len(clips)} clips of {len(genders)} speakers.",
        citation="not published",
        licence="as their owners decide",
        homepage=str(home),
        get=f"it is the folder {home}",
        pattern=r".+",
        describe=_no_labels,
        emotions=tuple(emotion for emotion in EMOTIONS if emotion in emotions),
        clips=len(clips),
        speakers=len(genders),
        speaker_folds=make_speaker_folds({f"{name}-{speaker}": gender for speaker, gender in genders.items()}),
        unused=((r".+", f"not in {table.name}"),),
        columns=(
            *((("fold", str),) if any("fold" in clip for clip in clips) else ()),
            *((name, float) for name in sorted({name for clip in clips for name in clip} - RESERVED)),
        ),
        label_files=tuple(each.relative_to(home).as_posix() for each in list_tables(table)),
        read_clips=partial(_read_clips, table=table, name=name),
        home=home,
    )


def _read_clips(folder: Path, *, table: Path, name: str) -> Iterable[Labels]:
    return [clip | {"speaker": f"{name}-{clip['speaker']}"} for clip in _parse_clips(table, _read_rows(table), folder)]


def _no_labels(match: re.Match) -> Labels:
    return {}


def _corpus_name(table: Path) -> str:
    folder = table.parent
    slug = re.sub(r"[^a-z0-9]+", "_", folder.name.casefold()).strip("_")[:32] or "recordings"
    if table.name == LABELS:
        return f"{slug}-{digest(str(folder), table.read_bytes().hex())[:8]}"
    return f"{slug}-{digest(str(table), *map(checksum, list_tables(table)))[:8]}"


def make_speaker_folds(genders: dict[str, str]) -> tuple[SpeakerFold, ...]:
    """Return speaker-independent folds: at most five groups, balanced by gender as far as possible.

    The speakers of each gender are shuffled and distributed over the groups. With three or more groups, the next group
    is the validation part.

    Args:
        genders: speaker → gender
    """
    count = min(len(genders), GROUPS)
    if count < 2:
        return ()
    rng = np.random.default_rng(0)
    shuffled: list[str] = []
    for gender in sorted(set(genders.values())):
        speakers = sorted(speaker for speaker, value in genders.items() if value == gender)
        shuffled += [str(speaker) for speaker in rng.permutation(speakers)]
    groups = [tuple(sorted(shuffled[number::count])) for number in range(count)]
    return tuple(
        SpeakerFold(group, groups[(number + 1) % count] if count > 2 else ()) for number, group in enumerate(groups)
    )


def _parse_clips(table: Path, rows: Sequence[tuple[int, dict[str, str]]], home: Path) -> list[Labels]:
    """Return the labels of all rows, with the speaker names of the table."""
    odd: dict[str, list[int]] = {}  # problem → lines that have it
    clips = []
    numbers = (*NUMBERS, *_numeric_columns(row for _, row in rows))
    for line, row in rows:
        try:
            clips.append(_parse_clip(row, home, numbers))
        except ValueError as error:
            odd.setdefault(str(error), []).append(line)
    problems = _count_lines(table, odd)
    for column in ("path", "clip"):
        seen: dict[object, int] = {}
        for (line, _), clip in zip(rows, clips, strict=False) if not problems else ():
            if clip[column] in seen:
                first = seen[clip[column]]
                advice = "remove one" if column == "path" else "give them different names in a column clip"
                problems.append(f"{table}, line {line}: {column} {clip[column]!r} is also in line {first}; {advice}")
            seen[clip[column]] = line
    if any("fold" in clip for clip in clips):
        without_fold = next((line for (line, _), clip in zip(rows, clips, strict=False) if "fold" not in clip), 0)
        if without_fold and not problems:
            problems.append(f"{table}, line {without_fold}: has no fold, but other lines have one; add it")
    genders: dict[object, object] = {}
    for clip in clips:
        if genders.setdefault(clip["speaker"], clip["gender"]) != clip["gender"]:
            problems.append(f"{table}: speaker {clip['speaker']!r} has two genders; correct the labels")
            break
    if not rows:
        problems.append(f"{table}: lists no recordings; add a line for each")
    if problems:
        raise DataError.of_many(problems, "more like these")
    return clips


def _count_lines(table: Path, odd: dict[str, list[int]]) -> list[str]:
    """Return one message per problem, with its first line and the number of others; emotions are listed once."""
    problems = []
    for problem, lines in odd.items():
        others = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        problems.append(f"{table}, line {lines[0]}{others}: {problem}")
    first = next((number for number, problem in enumerate(odd) if problem.startswith("emotion ")), None)
    if first is not None:
        problems[first] += f"; known: {', '.join(EMOTIONS)}"
    return problems


def _read_rows(table: Path) -> tuple[tuple[int, dict[str, str]], ...]:
    """Return the line number and cells of each non-empty line."""
    labels = read_labels_table(table, (*NEEDED, *WORDS, *NUMBERS))
    if missing := [name for name in NEEDED if name not in labels.columns]:
        raise DataError(
            f"{table}: has no column {' or '.join(missing)} (found: {', '.join(labels.columns) or 'nothing'}); "
            f"required: {', '.join(NEEDED)}; optional: {', '.join((*WORDS, *NUMBERS))}"
        )
    return labels.rows


def _numeric_columns(rows: Iterable[dict[str, str]]) -> list[str]:
    """Return the other columns that hold only numbers."""
    has_text: dict[str, bool] = {}
    for row in rows:
        for name, cell in row.items():
            if cell and name not in RESERVED and not has_text.get(name):
                has_text[name] = _parse_number(cell) is None
    return [name for name, text in has_text.items() if not text]


def find_odd_numbers(table: Path, column: str, scale: tuple[float, float] | None = None) -> list[str]:
    """Return a message for each cell of a column that is not a number or is outside the scale."""
    problems = []
    for line, row in _read_rows(table):
        cell = row.get(column, "")
        value = _parse_number(cell)
        if cell and value is None:
            problems.append(
                f"{table}, line {line}: {column} {cell!r:.60} is not a number; correct it or leave it empty"
            )
        elif cell and scale and not scale[0] <= value <= scale[1]:
            problem = f"{column} {cell!r:.60} is outside {scale[0]:g} to {scale[1]:g}"
            problems.append(f"{table}, line {line}: {problem}; correct it or the scale")
    return problems


def _parse_number(cell: str) -> float | None:
    try:
        value = float(cell.replace(",", ".").replace("_", "?"))  # 1_0 is a name
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _can_be_named(path: str) -> bool:
    """Return whether a file can have this path: no NUL, valid Unicode, no part longer than 255 bytes."""
    try:
        return "\0" not in path and max(map(len, os.fsencode(path).split(b"/"))) <= 255
    except UnicodeEncodeError:
        return False


def _parse_clip(row: dict[str, str], home: Path, numbers: Iterable[str]) -> Labels:
    """Return the labels of one row; raise ValueError with the problem."""
    path = row["path"].replace("\\", "/").removeprefix(f"{home.as_posix()}/")
    if not path:
        raise ValueError("has no path; name the recording")
    drive = ":" in path and PureWindowsPath(path).drive  # the colon first: parsing 100,000 paths is slow
    if path.startswith("/") or drive or ".." in path.split("/"):
        raise ValueError(f"path {row['path']!r:.200} leads out of the folder; put the recording into it")
    if not _can_be_named(path):
        raise ValueError(f"path {row['path']!r:.60} can be the name of no file; correct it")
    if not row["speaker"]:
        raise ValueError("has no speaker; name one, the same for all recordings of a person")
    word = row["emotion"].casefold()
    emotion = SYNONYMS.get(word, word)
    if emotion not in EMOTIONS and (word or not any(row.get(name) for name in numbers if name != "age")):
        raise ValueError(f"emotion {row['emotion']!r:.60} is unknown{suggest(word, [*EMOTIONS, *SYNONYMS])}")
    gender = row.get("gender", "").casefold()
    if gender not in GENDERS:
        raise ValueError(f"gender {row['gender']!r:.60} is unknown; known: female, male, or empty")
    path = posixpath.normpath(path)
    clip: Labels = {"clip": path.rpartition(".")[0].replace("/", "_") or path, "path": path}
    clip |= {name: row[name] for name in ("speaker", *WORDS) if row.get(name)}
    clip |= {"emotion": emotion, "gender": GENDERS[gender]}
    for name in numbers:
        if row.get(name):
            if (value := _parse_number(row[name])) is None:
                raise ValueError(f"{name} {row[name]!r:.60} is not a number; correct it or leave it empty")
            clip[name] = value
    return clip
