"""Corpora: records of what was published, the committed index of every clip, and the check of a copy against it."""

import hashlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from sernb.config import INDEX, DataError, digest, recordings_folder

# The one order of emotions in every table and figure.
EMOTIONS = (
    "neutral", "calm", "happy", "excited", "sad", "angry", "frustrated", "fearful", "disgust", "surprised", "bored",
)  # fmt: skip

AUDIO_SUFFIXES = {".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"}

ODD = ("silent", "too-short")  # what a published recording may be and still be whole

INDEX_COLUMNS = (
    "clip", "path", "sha256", "bytes", "seconds", "sampling_rate", "channels",
    "speaker", "gender", "emotion", "intensity", "sentence", "take",
)  # fmt: skip


@dataclass(frozen=True)
class SpeakerFold:
    """Who is tested and who validates in one speaker-independent fold; all others train."""

    test: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """One file that holds a whole corpus, as its publishers hand it out."""

    name: str
    url: str
    bytes: int | None = None  # None: not published
    checksum: str = ""  # "md5:…" or "sha256:…"; empty: not published
    inside: str = ""  # folder in the archive in which the paths of the index begin


@dataclass(frozen=True)
class Corpus:
    """What its publishers say of a corpus, and how its files are named."""

    name: str
    title: str
    about: str
    citation: str
    licence: str
    homepage: str
    get: str  # one line: how to come by the recordings
    pattern: str  # regular expression over the path, with named groups for `describe`
    describe: Callable[[re.Match], dict[str, str]]  # → speaker, gender, emotion, intensity, sentence, take
    emotions: tuple[str, ...]
    clips: int
    speakers: int
    speaker_folds: tuple[SpeakerFold, ...]
    quirks: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()  # published with it and left out: pattern over the path, what they are
    evidence: bool = True  # False: synthetic; its figures say nothing about people
    home: Path | None = None  # where it lies when it comes with the workbook
    archive: Archive | None = None
    files_at: str = ""  # address below which each path of the index can be had by itself
    on_request: str = ""  # whom to ask for it, and where the files then must lie, where owners hand it out themselves

    @cached_property
    def index_path(self) -> Path:
        """The committed index."""
        return INDEX / f"{self.name}.csv"


CORPORA = ("demo", "ravdess")


def corpus_named(name: str) -> Corpus:
    """Return the record of a corpus.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in CORPORA:
        raise DataError(f"no corpus is named {name!r}; known: {', '.join(CORPORA)}")
    return importlib.import_module(f"sernb.corpora.{name}").CORPUS


def read_index(corpus: Corpus):
    """Return the committed index as a table: one row a clip, columns ``INDEX_COLUMNS``, in order of path.

    Raises:
        DataError: if the index is missing
    """
    import pandas as pd

    if not corpus.index_path.exists():
        raise DataError(f"{corpus.index_path}: the index of {corpus.name} is missing; restore it with git")
    return pd.read_csv(corpus.index_path, dtype={"sentence": str, "take": str}, keep_default_na=False)


def build_index(corpus: Corpus, folder: Path):
    """Make the index of a corpus anew from its recordings.

    Returns:
        a table with the columns ``INDEX_COLUMNS``, in order of path

    Raises:
        DataError: if a file is unusable or misnamed, or counts are not the published ones
    """
    import pandas as pd
    import soundfile

    from sernb.audio import problem_of

    rows, problems = [], []
    for path in sorted(_audio_files(folder)):
        relative = path.relative_to(folder).as_posix()
        if _unused(corpus, relative):
            continue
        match = re.fullmatch(corpus.pattern, relative)
        if not match:
            problems.append(f"{path}: no name that {corpus.title} uses; remove the file or correct its name")
            continue
        if (problem := problem_of(path)) and problem.kind not in ODD:
            problems.append(str(problem))
            continue
        info = soundfile.info(path)
        rows.append(
            {
                "clip": path.stem,
                "path": relative,
                "sha256": checksum(path),
                "bytes": path.stat().st_size,
                "seconds": round(info.frames / info.samplerate, 4),
                "sampling_rate": info.samplerate,
                "channels": info.channels,
                **corpus.describe(match),
            }
        )
    if problems:
        raise DataError(*problems)
    index = pd.DataFrame(rows, columns=list(INDEX_COLUMNS))
    if (len(index), index.speaker.nunique()) != (corpus.clips, corpus.speakers):
        raise DataError(
            f"{folder}: {len(index)} clips of {index.speaker.nunique()} speakers, "
            f"but {corpus.title} has {corpus.clips} of {corpus.speakers}; complete the folder"
        )
    return index


def locate(corpus: Corpus, data: str | Path | None = None) -> Path:
    """Find the folder in which the paths of the index begin.

    Looked at: ``data/<corpus>``, then ``data`` itself; ``data`` defaults to ``$SERNB_DATA``, then ``data/raw``.

    Raises:
        DataError: if there is no such folder, it is empty, its layout is not the published one, or a second copy
            lies inside it (as in archives that hold everything twice)
    """
    if corpus.home and not data:
        return corpus.home
    parent = recordings_folder(data)
    paths = read_index(corpus).path.tolist()
    candidates = [parent / corpus.name, parent]
    for folder in candidates:
        if _holds(folder, paths):
            if copy := _nested(folder, paths):
                raise DataError(
                    f"{copy}: a second copy of {corpus.title} inside the first; delete one of the two, "
                    "so that no recording is there twice"
                )
            return folder
    for folder in candidates:
        if deeper := _nested(folder, paths):
            raise DataError(
                f"{folder}: {corpus.title} lies one level deeper, in {deeper.name}; "
                f"pass --data '{deeper}' or move its contents up"
            )
    advice = f"get it ({corpus.get}), or say where it is with --data DIR or SERNB_DATA"
    if not parent.exists():
        raise DataError(f"{parent}: no such folder for the recordings of {corpus.title}; {advice}")
    if not parent.is_dir():
        raise DataError(f"{parent}: is a file, not a folder with the recordings of {corpus.title}; {advice}")
    folder = next(candidate for candidate in candidates if candidate.is_dir())
    found = "is empty" if not any(folder.iterdir()) else f"holds no recordings of {corpus.title}"
    raise DataError(f"{folder}: {found}; {advice}")


@dataclass(frozen=True)
class Finding:
    """Something to say about one file of a corpus; a problem must be mended, a note need not."""

    level: str  # "problem" or "note"
    kind: str  # missing, changed, unexpected, empty, truncated, …; stereo, duplicate
    path: str
    detail: str


def check(corpus: Corpus, folder: Path, *, progress: bool = False) -> list[Finding]:
    """Compare every file of a copy with the published checksums.

    Problems: missing, misnamed, changed or unreadable (with the reason), unexpected. Notes: known quirks of the
    published files, such as stereo sound and byte-identical pairs, and files that are left out.

    Returns:
        problems first, then notes; empty if all is as published and nothing is odd
    """
    from sernb.progress import bar
    from sernb.threads import in_order

    index = read_index(corpus)
    findings = []
    with (
        closing(in_order(partial(_check_file, folder), index.itertuples())) as checked,
        bar(len(index), f"check {corpus.name}", "clip", shown=progress) as shown,
    ):
        for finding in checked:
            shown.update()
            if finding:
                findings.append(finding)
    known = {spelling for path in index.path for spelling in _spellings(path)}
    others = sorted({path.relative_to(folder).as_posix() for path in _audio_files(folder)} - known)
    findings += [
        Finding("problem", "unexpected", path, f"is not part of {corpus.title}; remove it")
        for path in others
        if not _unused(corpus, path)
    ]
    wrong = {finding.path for finding in findings if finding.level == "problem"}
    findings += [note for note in _notes(index) if note.path not in wrong]
    findings += _unused_notes(corpus, others)
    return sorted(findings, key=lambda finding: finding.level != "problem")


def _check_file(folder: Path, row) -> Finding | None:
    from sernb.audio import problem_of

    path = folder / row.path
    if not path.exists():
        if other := next((name for name in _spellings(row.path) if (folder / name).exists()), None):
            return Finding("problem", "misnamed", row.path, f"is there as {other}; rename that file")
        return Finding("problem", "missing", row.path, "is missing; get the corpus again")
    problem = problem_of(path)
    if problem and problem.kind == "missing":  # it is there and cannot be opened
        return Finding("problem", "unreadable", row.path, "cannot be opened; look at its rights and kind")
    if checksum(path) == row.sha256:
        # A published file can itself be odd: that is for everyone to know, and nobody's to mend.
        return Finding("note", problem.kind, row.path, f"as published: {problem}") if problem else None
    if problem:
        return Finding("problem", problem.kind, row.path, str(problem).removeprefix(f"{path}: "))
    return Finding("problem", "changed", row.path, "is not the published file (sha256 differs); get it again")


def _notes(index) -> Iterator[Finding]:
    usual = index.channels.mode()[0]
    for row in index[index.channels != usual].itertuples():
        yield Finding("note", "stereo", row.path, f"has {row.channels} channels; they are averaged")
    for _, group in index.groupby("sha256", sort=False):
        if len(group) > 1:
            first, *others = group.itertuples()
            same = "same" if len(set(group.emotion)) == 1 else "CONTRADICTORY"
            twins = ", ".join(other.path for other in others)
            yield Finding("note", "duplicate", first.path, f"is byte for byte {twins} ({same} emotion)")


def _unused(corpus: Corpus, path: str) -> str | None:
    """Return what a file is that was published with the corpus and is left out, or nothing."""
    return next((what for pattern, what in corpus.unused if re.fullmatch(pattern, path)), None)


def _unused_notes(corpus: Corpus, paths: list[str]) -> Iterator[Finding]:
    for _, what in corpus.unused:
        if found := [path for path in paths if _unused(corpus, path) == what]:
            alike = f", with {len(found) - 1} more like it" if len(found) > 1 else ""
            yield Finding("note", "unused", found[0], f"is not used{alike}: {what}")


def fingerprint_of(index) -> str:
    """Return 16 digits that stand for the recordings of an index: equal recordings, equal digits."""
    return digest(index["sha256"].tolist())


def checksum(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _audio_files(folder: Path) -> Iterator[Path]:
    """Find recordings; hidden files are none, such as the ``._name.wav`` that macOS puts beside copied files."""
    return (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _spellings(path: str) -> tuple[str, str]:
    """Return a path as published, and with the suffix in capitals, as some programs write it."""
    stem, dot, suffix = path.rpartition(".")
    return path, f"{stem}{dot}{suffix.upper()}"


def _holds(folder: Path, paths: list[str]) -> bool:
    return any(os.path.exists(f"{folder}/{spelling}") for path in paths for spelling in _spellings(path))


def _nested(folder: Path, paths: list[str]) -> Path | None:
    """Return the child folder that holds the published layout, one level deeper."""
    children = sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []
    return next((child for child in children if _holds(child, paths)), None)
