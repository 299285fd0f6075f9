"""Read a split from a CSV file and find the leaks between its parts, including checks that were not possible."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.similarity import SimilarRecordings, find_similar, fingerprint
from sernb.config import DataError
from sernb.corpora.csv_table import near_equal, read_csv_table
from sernb.corpora.files import explain_missing, list_names, locate, match_files, unique_names
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.protocols.folds import PARTS, Fold
from sernb.protocols.leak_audit import Leak, find_leaks
from sernb.protocols.protocol import SPEAKER, TAKE, VALIDATION_SPEAKER
from sernb.runtime.files import checksum

BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
# Columns filled from the index of a corpus, for its clips and for copies made from them.
OF_CLIP = ("sha256", "speaker", "emotion", "intensity", "sentence", "take")
OF_COPY = ("speaker", "emotion", "intensity", "sentence")
COLUMNS = ("clip", "path", "part", "fold", "origin", "segment", "statistics", *OF_CLIP)


NEAR_SPEAKERS = "speakers with nearly equal names"


@dataclass(frozen=True)
class ExternalSplit:
    """A split read from a file, with the available metadata of its clips."""

    clips: pd.DataFrame  # one row per clip; unknown cells are empty
    folds: dict[str, Fold]  # by their names in the file
    statistics: dict[str, tuple[str, ...]]  # clips used to fit normalisation statistics, by fold
    similar: SimilarRecordings  # among the available recordings
    unchecked: tuple[str, ...]  # checks that were not possible, with the reason
    near_speakers: tuple[tuple[str, ...], ...] = ()  # groups of names that may mean one person

    def leaks(self, *, allow_speakers: bool = False) -> list[tuple[str, Leak]]:
        """Return the leaks of all folds in order, each with the name of its fold.

        Args:
            allow_speakers: the split shares speakers by design: shared speakers and repetitions are ``allowed``
        """
        allowed = (SPEAKER, TAKE, VALIDATION_SPEAKER) if allow_speakers else ()
        return [
            (name, leak)
            for name, fold in self.folds.items()
            for leak in find_leaks(
                self.clips,
                fold,
                allowed=allowed,
                statistics_from=self.statistics[name],
                similar=self.similar,
            )
        ]


def read_split(
    file: Path, *, corpus: str | None = None, data: str | Path | None = None, progress: bool = False
) -> ExternalSplit:
    """Read a split from a CSV file with a header and one row per clip and fold.

    Columns: ``clip`` or ``path``; ``part`` (train, validation, test), or ``fold`` alone for cross-validation. Optional:
    speaker, emotion, intensity, sentence, take, sha256, origin (the source clip of an augmented copy or a segment),
    segment and statistics (yes or no: whether it is a segment, whether normalisation statistics were fitted on it).

    Args:
        corpus: corpus whose index fills empty cells
        data: folder of the recordings; by default paths are relative to the file
        progress: show a progress bar while recordings are read

    Raises:
        DataError: if the file cannot be read or parsed, with the line
    """
    rows, given = _read_table(file)
    if corpus:
        rows = _fill_from_index(corpus, rows, file, data)
        given |= {"origin"}  # every row that is not a clip of the corpus must name its source clip
    rows["origin"] = _resolve_origins(rows)
    parts = dict(_parse_folds(rows, file, given))
    clips = rows.drop_duplicates("clip", ignore_index=True)
    places, not_located = _locate_recordings(clips, file, corpus, data)
    checksums, fingerprints, not_compared = _read_recordings(clips, places, progress)
    clips["sha256"] = _fill(clips["sha256"], clips["clip"], checksums)
    return ExternalSplit(
        clips=clips if "segment" in given else clips.drop(columns="segment"),
        folds={name: fold for name, (fold, _) in parts.items()},
        statistics={name: statistics for name, (_, statistics) in parts.items()},
        similar=_compare(fingerprints),
        unchecked=(*_list_unchecked(clips, [fold for fold, _ in parts.values()], given), *not_compared, *not_located),
        near_speakers=tuple(map(tuple, near_equal(filter(None, clips["speaker"])))),
    )


def _read_table(file: Path) -> tuple[pd.DataFrame, set[str]]:
    """Read all columns with a meaning as text; also return the names of those in the file."""
    table = read_csv_table(file, COLUMNS)
    given = set(table.columns) & set(COLUMNS)
    if not given & {"clip", "path"} or not given & {"part", "fold"}:
        columns = ", ".join(table.columns) or "nothing"
        raise DataError(f"{file}: has the columns {columns}; required are clip or path, and part or fold")
    if not table.rows:
        raise DataError(f"{file}: has no rows; write one row per clip")
    lines, cells = zip(*table.rows, strict=True)
    rows = pd.DataFrame(cells, index=lines).reindex(columns=list(COLUMNS), fill_value="")  # indexed by line number
    rows["path"] = rows["path"].str.replace("\\", "/")
    rows["clip"] = rows["clip"].where(rows["clip"] != "", rows["path"])
    rows["part"] = _translate(rows["part"], PARTS, file, needed="part" in given)
    rows["sha256"] = rows["sha256"].str.lower()
    for name in ("segment", "statistics"):
        rows[name] = _translate(rows[name], BOOLEANS, file, needed=True).astype(bool)
    _refuse_rows(rows["clip"] == "", file, "names no clip")
    return rows, given


def _translate(column: pd.Series, meanings: dict, file: Path, *, needed: bool) -> pd.Series:
    if not needed:
        return column
    values = column.str.lower().map(meanings)
    known = ", ".join(filter(None, meanings))
    _refuse_rows(values.isna(), file, lambda row: f"{column.name} {column[row]!r} is none of {known}")
    return values


def _refuse_rows(wrong: pd.Series, file: Path, problem: str | Callable[[int], str]) -> None:
    """Stop if any row is wrong, with the line of the first one and the number of others."""
    if wrong.any():
        first = wrong.idxmax()
        others = f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else ""
        message = problem(first) if callable(problem) else problem
        raise DataError(f"{file}, line {first}: {message}{others}; correct it")


def _fill_from_index(corpus: str, rows: pd.DataFrame, file: Path, data: str | Path | None) -> pd.DataFrame:
    """Fill empty cells from the index of a corpus; for a copy, with the labels of its source clip."""
    index = read_index(get_corpus(corpus), data).set_index("clip", drop=False)
    clip_by_name = dict(zip(index["path"].map(_stem), index["clip"], strict=True))
    clip_by_name |= {clip: clip for clip in index["clip"]}
    names_by_row = zip(rows["clip"], rows["clip"].map(_stem), rows["path"].map(_stem), strict=True)
    clips = [next((clip_by_name[name] for name in names if name in clip_by_name), "") for names in names_by_row]
    clip = pd.Series(clips, rows.index)
    origin = _fill(pd.Series("", rows.index), rows["origin"].map(_stem), clip_by_name)
    _refuse_rows(
        (clip == "") & (origin == ""),
        file,
        lambda row: f"{rows['clip'][row]!r} is not a clip of {corpus}, and its column origin names none either",
    )
    rows = rows.assign(clip=clip.where(clip != "", rows["clip"]), origin=origin.where(origin != "", rows["origin"]))
    for column in OF_CLIP:
        values = index[column].astype(str).to_dict()
        rows[column] = _fill(rows[column], clip, values)
        if column in OF_COPY:
            rows[column] = _fill(rows[column], origin, values)
    rows["path"] = _fill(rows["path"], clip, index["path"].to_dict())
    return rows


def _fill(cells: pd.Series, keys: pd.Series, values: dict[str, str]) -> pd.Series:
    """Fill empty cells with the values of their keys."""
    return pd.Series(
        [cell or values.get(key, "") for cell, key in zip(cells, keys, strict=True)], cells.index, dtype=str
    )


def _stem(path: str) -> str:
    return Path(path).stem if path else ""


def _resolve_origins(rows: pd.DataFrame) -> pd.Series:
    """Return the source clip of each row, given as a clip name, a path, or a name with a suffix."""
    names = {_stem(path): clip for path, clip in zip(rows["path"], rows["clip"], strict=True)}
    names |= dict(zip(rows["path"], rows["clip"], strict=True)) | dict(zip(rows["clip"], rows["clip"], strict=True))
    names.pop("", None)  # from rows without a path
    clips = (names.get(origin) or names.get(_stem(origin)) or origin for origin in rows["origin"])
    return pd.Series(list(clips), rows.index, dtype=str)


def _parse_folds(rows: pd.DataFrame, file: Path, given: set[str]) -> Iterator[tuple[str, tuple[Fold, tuple[str, ...]]]]:
    """Yield name, clips and statistics clips of each fold."""
    for number, name in enumerate(rows["fold"].unique()):
        in_fold = rows["fold"] == name
        if "part" in given:
            masks = [in_fold & (rows["part"] == part) for part in ("train", "validation", "test")]
            statistics = in_fold & rows["statistics"]
        else:
            masks, statistics = [~in_fold, in_fold & False, in_fold], rows["statistics"]
        train, validation, test = (tuple(dict.fromkeys(rows["clip"][mask])) for mask in masks)
        if not train or not test:
            subject = f"fold {name}" if name else "the split"
            raise DataError(f"{file}: {subject} has no clips to {'test' if train else 'train on'}; complete it")
        yield name, (Fold(number, train, validation, test), tuple(rows["clip"][statistics]))


def _locate_recordings(
    clips: pd.DataFrame, file: Path, corpus: str | None, data: str | Path | None
) -> tuple[dict[str, Path], list[str]]:
    """Return the available recordings, and a message about the first one whose name matches several files."""
    record = get_corpus(corpus) if corpus else None
    folders = [Path(data) if data else file.parent]
    if record:
        with suppress(DataError):  # without recordings, the index still allows most checks
            folders.append(locate(record, data))
    paths = {clip: path for clip, path in zip(clips["clip"], clips["path"], strict=True) if path}
    places: dict[str, Path] = {}
    ambiguous: dict[str, list[str]] = {}
    for folder in folders:
        remaining = {clip: path for clip, path in paths.items() if clip not in places}
        places |= {clip: folder / path for clip, path in remaining.items() if (folder / path).is_file()}
        names = {
            clip: list_names(record, path) if record else [path]
            for clip, path in remaining.items()
            if clip not in places
        }
        unique = unique_names(record) if record else {}
        unique = {clip: unique.get(path, [] if "/" in path else [path]) for clip, path in remaining.items()}
        matched, unmatched = match_files(folder, names, lambda unique=unique: unique)
        places |= {clip: Path(place) for clip, place in matched.items()}
        ambiguous |= unmatched
    messages = [
        f"sound of {clip} ({explain_missing(ambiguous, clip)}; write its path)"
        for clip in ambiguous
        if clip not in places
    ]
    if data and not places:
        raise DataError(f"{data}: holds none of the recordings in {file}; correct --data or the column path")
    return places, messages[:1]


def _read_recordings(
    clips: pd.DataFrame, places: dict[str, Path], progress: bool
) -> tuple[dict[str, str], dict[str, np.ndarray], list[str]]:
    """Return checksum and fingerprint of each readable recording, and messages about clips that were not compared."""
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import load
    from sernb.features import LogMel
    from sernb.runtime.progress import progress_bar
    from sernb.runtime.threads import map_in_order

    log_mel = LogMel()

    def read_clip(item: tuple[str, Path]) -> tuple[str, str, np.ndarray] | AudioError:
        clip, place = item
        try:
            return clip, checksum(place), fingerprint(log_mel(load(place, log_mel.sampling_rate)))
        except AudioError as error:
            return error

    with (
        closing(map_in_order(read_clip, places.items())) as readings,
        progress_bar(len(places), "read recordings", "clip", shown=progress and bool(places)) as shown,
    ):
        results = []
        for result in readings:
            shown.update()
            results.append(result)
    errors = [str(result) for result in results if isinstance(result, AudioError)]
    readable = [result for result in results if not isinstance(result, AudioError)]
    messages = []
    if not places:
        messages.append("near-identical sound (no recordings found; name their folder with --data)")
    elif len(readable) < len(clips):
        messages.append(f"near-identical sound of {len(clips) - len(readable)} clips (not found, or unreadable)")
    checksums = {clip: sha256 for clip, sha256, _ in readable}
    return checksums, {clip: each for clip, _, each in readable}, [*messages, *errors[:1]]


def _compare(fingerprints: dict[str, np.ndarray]) -> SimilarRecordings:
    numbers = {clip: number for number, clip in enumerate(fingerprints)}
    return SimilarRecordings(
        numbers, find_similar(np.stack(list(fingerprints.values()))) if fingerprints else np.empty((0, 2), int)
    )


def _list_unchecked(clips: pd.DataFrame, folds: list[Fold], given: set[str]) -> Iterator[str]:
    for leak, needed in (
        ("shared speakers", ["speaker"]),
        ("other takes of an utterance", ["speaker", "emotion", "sentence"]),
        ("byte-identical files", ["sha256"]),
    ):
        if incomplete := int((clips[needed] == "").any(axis=1).sum()):
            yield f"{leak} ({incomplete} of {len(clips)} clips without {', '.join(needed)})"
    if "origin" not in given:
        yield "augmented copies and segments (no column origin)"
    if "statistics" not in given:
        yield "test clips in fitted statistics (no column statistics)"
    if not any(fold.validation for fold in folds):
        yield "test clips used to choose the epoch (no validation part)"
