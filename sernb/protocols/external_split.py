"""Anyone's split, as a CSV file → clips, folds, the leaks between their parts, and what could not be looked for."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.similarity import SimilarRecordings, find_similar, fingerprint
from sernb.config import DataError
from sernb.corpora.csv_table import near_equal, read_csv_table
from sernb.corpora.files import bare_names, find_places, list_names, locate, why_missing
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.protocols.folds import PARTS, Fold
from sernb.protocols.leak_audit import Leak, find_leaks
from sernb.protocols.protocol import SPEAKER, TAKE, VALIDATION_SPEAKER
from sernb.runtime.files import checksum

ANSWERS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
# What the index of a corpus knows of a clip, and of whatever was made from it.
OF_CLIP = ("sha256", "speaker", "emotion", "intensity", "sentence", "take")
OF_COPY = ("speaker", "emotion", "intensity", "sentence")
COLUMNS = ("clip", "path", "part", "fold", "origin", "segment", "statistics", *OF_CLIP)


NEAR_SPEAKERS = "speakers whose names are nearly equal"


@dataclass(frozen=True)
class ExternalSplit:
    """A split that somebody made, as far as it is known."""

    clips: pd.DataFrame  # one row a clip; empty cells where something is not known
    folds: dict[str, Fold]  # by the name that the file gives them
    statistics: dict[str, tuple[str, ...]]  # the clips that fitted statistics, by fold
    alike: SimilarRecordings  # of the recordings that are here
    unchecked: tuple[str, ...]  # what could not be looked for, and why
    near_speakers: tuple[tuple[str, ...], ...] = ()  # names that may mean one person

    def leaks(self, *, allow_speakers: bool = False) -> list[tuple[str, Leak]]:
        """Return the name of the fold and the leak, of all folds in order.

        Args:
            allow_speakers: the split shares speakers on purpose: shared speakers and takes are ``allowed``
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
                alike=self.alike,
            )
        ]


def read_split(
    file: Path, *, corpus: str | None = None, data: str | Path | None = None, progress: bool = False
) -> ExternalSplit:
    """Read a split: one row a clip and fold, under a line of column names.

    Columns: ``clip`` or ``path``; ``part`` (train, validation, test), or ``fold`` alone: then each fold is tested by
    what the others train. Optional: speaker, emotion, intensity, sentence, take, sha256, origin (name of the clip that
    an augmented copy or a segment was made from), segment and statistics (yes or no: is it a segment, did it fit any
    statistic).

    Args:
        corpus: its index fills what the file leaves open
        data: folder of the recordings; by default paths are relative to the file
        progress: show a bar while recordings are read

    Raises:
        DataError: if the file cannot be read or understood, naming the line
    """
    rows, given = _read(file)
    if corpus:
        rows = _known_to(corpus, rows, file, data)
        given |= {"origin"}  # what is no clip of the corpus must name the clip it was made from
    rows["origin"] = _resolved(rows)
    parts = dict(_parts(rows, file, given))
    clips = rows.drop_duplicates("clip", ignore_index=True)
    places, doubled = _places(clips, file, corpus, data)
    sounds, wanting = _listen(clips, places, progress)
    clips["sha256"] = _filled(clips["sha256"], clips["clip"], {clip: digits for clip, (digits, _) in sounds.items()})
    return ExternalSplit(
        clips=clips if "segment" in given else clips.drop(columns="segment"),
        folds={name: fold for name, (fold, _) in parts.items()},
        statistics={name: statistics for name, (_, statistics) in parts.items()},
        alike=_alike({clip: picture for clip, (_, picture) in sounds.items()}),
        unchecked=(*_unknown(clips, [fold for fold, _ in parts.values()], given), *wanting, *doubled),
        near_speakers=tuple(map(tuple, near_equal(filter(None, clips["speaker"])))),
    )


def _read(file: Path) -> tuple[pd.DataFrame, set[str]]:
    """Read all columns that mean something, as text, and the names of those the file has."""
    table = read_csv_table(file, COLUMNS)
    given = set(table.columns) & set(COLUMNS)
    if not given & {"clip", "path"} or not given & {"part", "fold"}:
        found = ", ".join(table.columns) or "nothing"
        raise DataError(f"{file}: has the columns {found}; needed are clip or path, and part or fold")
    if not table.rows:
        raise DataError(f"{file}: has no rows; one row a clip is expected")
    lines, cells = zip(*table.rows, strict=True)
    rows = pd.DataFrame(cells, index=lines).reindex(columns=list(COLUMNS), fill_value="")  # found again by its line
    rows["path"] = rows["path"].str.replace("\\", "/")
    rows["clip"] = rows["clip"].where(rows["clip"] != "", rows["path"])
    rows["part"] = _meant(rows["part"], PARTS, file, needed="part" in given)
    rows["sha256"] = rows["sha256"].str.lower()
    for name in ("segment", "statistics"):
        rows[name] = _meant(rows[name], ANSWERS, file, needed=True).astype(bool)
    _refuse(rows["clip"] == "", file, "names no clip")
    return rows, given


def _meant(column: pd.Series, meanings: dict, file: Path, *, needed: bool) -> pd.Series:
    if not needed:
        return column
    meant = column.str.lower().map(meanings)
    known = ", ".join(filter(None, meanings))
    _refuse(meant.isna(), file, lambda row: f"{column.name} {column[row]!r} is none of {known}")
    return meant


def _refuse(wrong: pd.Series, file: Path, what: str | Callable[[int], str]) -> None:
    """Stop if any row is wrong, with the first one's line and how many there are."""
    if wrong.any():
        first = wrong.idxmax()
        others = f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else ""
        raise DataError(f"{file}, line {first}: {what(first) if callable(what) else what}{others}; correct it")


def _known_to(corpus: str, rows: pd.DataFrame, file: Path, data: str | Path | None) -> pd.DataFrame:
    """Fill empty cells from the index of a corpus; a copy gets what its origin has in common with it."""
    index = read_index(get_corpus(corpus), data).set_index("clip", drop=False)
    clip_of = dict(zip(index["path"].map(_stem), index["clip"], strict=True)) | {clip: clip for clip in index["clip"]}
    named = zip(rows["clip"], rows["clip"].map(_stem), rows["path"].map(_stem), strict=True)
    found = pd.Series([next((clip_of[name] for name in names if name in clip_of), "") for names in named], rows.index)
    origin = _filled(pd.Series("", rows.index), rows["origin"].map(_stem), clip_of)
    _refuse(
        (found == "") & (origin == ""),
        file,
        lambda row: f"{rows['clip'][row]!r} is no clip of {corpus}, nor made from one as its column origin would say",
    )
    rows = rows.assign(clip=found.where(found != "", rows["clip"]), origin=origin.where(origin != "", rows["origin"]))
    for column in OF_CLIP:
        known = index[column].astype(str).to_dict()
        rows[column] = _filled(rows[column], found, known)
        if column in OF_COPY:
            rows[column] = _filled(rows[column], origin, known)
    rows["path"] = _filled(rows["path"], found, index["path"].to_dict())
    return rows


def _filled(cells: pd.Series, keys: pd.Series, known: dict[str, str]) -> pd.Series:
    """Put what is known of the keys into empty cells."""
    return pd.Series(
        [cell or known.get(key, "") for cell, key in zip(cells, keys, strict=True)], cells.index, dtype=str
    )


def _stem(path: str) -> str:
    return Path(path).stem if path else ""


def _resolved(rows: pd.DataFrame) -> pd.Series:
    """Origins by the names of the clips, whether the file gives a name, a path, or a name with its suffix."""
    names = {_stem(path): clip for path, clip in zip(rows["path"], rows["clip"], strict=True)}
    names |= dict(zip(rows["path"], rows["clip"], strict=True)) | dict(zip(rows["clip"], rows["clip"], strict=True))
    names.pop("", None)  # of rows without a path
    found = (names.get(origin) or names.get(_stem(origin)) or origin for origin in rows["origin"])
    return pd.Series(list(found), rows.index, dtype=str)


def _parts(rows: pd.DataFrame, file: Path, given: set[str]) -> Iterator[tuple[str, tuple[Fold, tuple[str, ...]]]]:
    """Name, fold and clips that fitted statistics, fold by fold."""
    for number, name in enumerate(rows["fold"].unique()):
        own = rows["fold"] == name
        if "part" in given:
            masks = [own & (rows["part"] == part) for part in ("train", "validation", "test")]
            fitted = own & rows["statistics"]
        else:
            masks, fitted = [~own, own & False, own], rows["statistics"]
        train, validation, test = (tuple(dict.fromkeys(rows["clip"][mask])) for mask in masks)
        if not train or not test:
            which = f"fold {name}" if name else "the split"
            raise DataError(f"{file}: {which} has no clips to {'test' if train else 'train on'}; complete it")
        yield name, (Fold(number, train, validation, test), tuple(rows["clip"][fitted]))


def _places(
    clips: pd.DataFrame, file: Path, corpus: str | None, data: str | Path | None
) -> tuple[dict[str, Path], list[str]]:
    """Find the recordings that are here; and say of the first whose name several files have that it was not heard."""
    record = get_corpus(corpus) if corpus else None
    folders = [Path(data) if data else file.parent]
    if record:
        with suppress(DataError):  # not on disk: the index alone says much
            folders.append(locate(record, data))
    paths = {clip: path for clip, path in zip(clips["clip"], clips["path"], strict=True) if path}
    places: dict[str, Path] = {}
    doubles: dict[str, list[str]] = {}
    for folder in folders:
        left = {clip: path for clip, path in paths.items() if clip not in places}
        places |= {clip: folder / path for clip, path in left.items() if (folder / path).is_file()}
        names = {
            clip: list_names(record, path) if record else [path] for clip, path in left.items() if clip not in places
        }
        known = bare_names(record) if record else {}
        bare = {clip: known.get(path, [] if "/" in path else [path]) for clip, path in left.items()}
        found, more = find_places(folder, names, lambda bare=bare: bare)
        places |= {clip: Path(place) for clip, place in found.items()}
        doubles |= more
    told = [f"sound of {clip} ({why_missing(doubles, clip)}; write its path)" for clip in doubles if clip not in places]
    if data and not places:
        raise DataError(f"{data}: holds none of the recordings that {file} names; correct --data or the column path")
    return places, told[:1]


def _listen(
    clips: pd.DataFrame, places: dict[str, Path], progress: bool
) -> tuple[dict[str, tuple[str, np.ndarray]], list[str]]:
    """Return sha256 and fingerprint of each recording that is here and can be read, and what that leaves open."""
    from sernb.audio.decoders import AudioError
    from sernb.audio.reading import load
    from sernb.features import LogMel
    from sernb.runtime.progress import progress_bar
    from sernb.runtime.threads import map_in_order

    log_mel = LogMel()

    def read_clip(item: tuple[str, Path]) -> tuple[str, tuple[str, np.ndarray]] | AudioError:
        clip, place = item
        try:
            return clip, (checksum(place), fingerprint(log_mel(load(place, log_mel.sampling_rate))))
        except AudioError as error:
            return error

    with (
        closing(map_in_order(read_clip, places.items())) as readings,
        progress_bar(len(places), "listen", "clip", shown=progress and bool(places)) as shown,
    ):
        results = []
        for result in readings:
            shown.update()
            results.append(result)
    errors = [str(result) for result in results if isinstance(result, AudioError)]
    sounds = dict(result for result in results if not isinstance(result, AudioError))
    wanting = []
    if not places:
        wanting.append("near-identical sound (no recordings found; say where they are with --data)")
    elif len(sounds) < len(clips):
        wanting.append(f"near-identical sound of {len(clips) - len(sounds)} clips (not found, or unreadable)")
    return sounds, [*wanting, *errors[:1]]


def _alike(pictures: dict[str, np.ndarray]) -> SimilarRecordings:
    numbers = {clip: number for number, clip in enumerate(pictures)}
    return SimilarRecordings(
        numbers, find_similar(np.stack(list(pictures.values()))) if pictures else np.empty((0, 2), int)
    )


def _unknown(clips: pd.DataFrame, folds: list[Fold], given: set[str]) -> Iterator[str]:
    for what, needed in (
        ("shared speakers", ["speaker"]),
        ("other takes of an utterance", ["speaker", "emotion", "sentence"]),
        ("byte-identical files", ["sha256"]),
    ):
        if unknown := int((clips[needed] == "").any(axis=1).sum()):
            yield f"{what} ({unknown} of {len(clips)} clips without {', '.join(needed)})"
    if "origin" not in given:
        yield "augmented copies and segments (no column origin)"
    if "statistics" not in given:
        yield "test clips in fitted statistics (no column statistics)"
    if not any(fold.validation for fold in folds):
        yield "test clips that choose the epoch (no validation part)"
