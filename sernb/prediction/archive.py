"""Archive of the app: recordings that the user chose to keep and their predictions, readable by that user only."""

import contextlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import numpy as np

from sernb.audio.recordings import AUDIO_SUFFIXES
from sernb.config import DataError
from sernb.prediction.predict import is_reliable
from sernb.runtime.bounded import arrays_in

LARGEST = 200 * 2**20  # bytes of one recording, and of all uploads in progress together
LONGEST_ENTRY = 2**20  # bytes of a stored prediction
KEY = re.compile(r"sernb-\d{8}-\d{6}-[0-9a-f]{8}")  # file names of kept recordings; no other file is listed or deleted
SPEAKER_FILE = "sernb-voice.npz"


class RefusedRequest(Exception):  # noqa: N818
    """A refused request: HTTP status, and one line for the page."""

    def __init__(self, status: HTTPStatus, reason: str, kind: str = ""):
        super().__init__(reason)
        self.status, self.kind = status, kind


class RecordingArchive:
    """The kept recordings, in a folder that is created when the first one is added."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, name: str, recording: Path, prediction: dict) -> None:
        """Store a recording and its prediction, readable by the current user only.

        Args:
            name: of the recording, as shown to the user
            recording: path of the uploaded file, which is copied
            prediction: as returned by :func:`sernb.prediction.formats.as_dict`

        Raises:
            RefusedRequest: if the folder is not writable
        """
        key = f"sernb-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        try:
            self._write(f"{key}{recording.suffix}", lambda path: shutil.copyfile(recording, path))
            text = json.dumps({**prediction, "file": name}, indent=1)
            self._write(f"{key}.json", lambda path: path.write_text(text, "utf-8"))
        except RefusedRequest:
            self._delete(key)
            raise

    def save_speaker(self, model: str, rows: np.ndarray) -> None:
        """Store the features of a speaker's clips.

        Args:
            model: SHA-256 of the model's weights: features are valid for that model only
            rows: shape ``(clips, values)``

        Raises:
            RefusedRequest: if the folder is not writable
        """

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **{model: rows})

        self._write(SPEAKER_FILE, write)

    def read_speaker(self, model: str) -> np.ndarray | None:
        """Return the features stored by :meth:`save_speaker`; None if missing or invalid."""
        path = self.folder / SPEAKER_FILE
        try:
            rows = arrays_in(path).get(model) if _is_plain(path, LARGEST) else None
        except DataError:
            return None
        is_invalid = rows is None or rows.ndim != 2 or rows.dtype != np.float32 or not np.isfinite(rows).all()
        return None if is_invalid else rows

    def delete_speaker(self) -> None:
        """Delete the stored features of a speaker.

        Raises:
            RefusedRequest: if the file could not be deleted
        """
        self._raise_if_left(*self._delete(re.escape(SPEAKER_FILE), is_file_name=True))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        from sernb.runtime.files import atomic

        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic(self.folder / name) as unfinished:
                unfinished.touch(mode=0o600)
                write(unfinished)
        except (OSError, DataError) as error:
            reason = getattr(error.__cause__ or error, "strerror", None) or error
            advice = "free disk space, or choose another folder with --keep"
            raise RefusedRequest(
                HTTPStatus.INSUFFICIENT_STORAGE, f"{self.folder}: is not writable ({reason}); {advice}"
            ) from error

    def list_entries(self) -> list[dict]:
        """Return the valid predictions of kept recordings with their keys, oldest first."""
        paths = (path for path in sorted(self.folder.glob("sernb-*.json")) if KEY.fullmatch(path.stem))
        return [{**entry, "key": path.stem} for path in paths if (entry := _read_entry(path))]

    def read_recording(self, key: str) -> bytes:
        """Return the content of a kept recording.

        Raises:
            RefusedRequest: if no recording has this key
        """
        for suffix in AUDIO_SUFFIXES if KEY.fullmatch(key) else ():
            path = self.folder / f"{key}{suffix}"
            if _is_plain(path, LARGEST):
                return path.read_bytes()
        raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such recording")

    def delete_all(self) -> int:
        """Delete everything that the app stored, and the folder if it is then empty.

        Returns:
            number of deleted recordings

        Raises:
            RefusedRequest: if a file could not be deleted
        """
        self.delete_speaker()
        keys, left = self._delete(KEY.pattern)
        self._raise_if_left(keys, left)
        return len(keys)

    def delete(self, key: str) -> None:
        """Delete one recording and its prediction.

        Raises:
            RefusedRequest: if no recording has this key, or a file could not be deleted
        """
        keys, left = self._delete(key) if KEY.fullmatch(key) else (set(), 0)
        self._raise_if_left(keys, left)
        if not keys:
            raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such recording")

    def _raise_if_left(self, keys: set[str], left: int) -> None:
        if left:
            message = f"{self.folder}: {left} of {len(keys) + left} files could not be deleted; delete them by hand"
            raise RefusedRequest(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _delete(self, key: str, *, is_file_name: bool = False) -> tuple[set[str], int]:
        """Delete the files of a key, temporary ones too.

        Args:
            key: a regular expression
            is_file_name: the key is a complete file name; otherwise one of the known suffixes follows it

        Returns:
            the keys of deleted files, and the number of files that could not be deleted
        """
        from sernb.runtime.files import TEMPORARY

        suffixes = "" if is_file_name else "|".join(map(re.escape, (*AUDIO_SUFFIXES, ".json")))
        separator = "-" if is_file_name else r"\."
        pattern = re.compile(rf"(?:({key})(?:{suffixes})|{re.escape(TEMPORARY)}({key}){separator}.*)")
        keys, left = set(), 0
        for path in list(self.folder.glob("*")):  # includes hidden files
            if (match := pattern.fullmatch(path.name)) and (path.is_symlink() or not path.is_dir()):
                try:
                    path.unlink(missing_ok=True)
                    keys.add(match[1] or match[2])
                except OSError:
                    left += 1
        return keys, left


def _is_plain(path: Path, largest: int) -> bool:
    """Return whether a path is a regular file, neither a link nor a pipe, of at most ``largest`` bytes."""
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size <= largest
    except OSError:
        return False


def _read_entry(path: Path) -> dict | None:
    """Return the stored prediction of a kept recording; None if the file is not valid.

    Whether the prediction is reliable is derived from answer and verdict, as when it was made.
    """
    try:
        entry = json.loads(path.read_text("utf-8")) if _is_plain(path, LONGEST_ENTRY) else {}
        emotions = entry["set"] and entry["set"]["emotions"]
        verdict = entry["recording"] and entry["recording"]["verdict"]
        reasons = (entry["recording"] or {}).get("reasons", [])
        probabilities, seconds = dict(entry["probabilities"]), float(entry["seconds"])
        model, notes, clips = entry.get("model", ""), entry.get("notes", []), int(entry.get("speaker_clips", 0))
        coverage = float(entry["set"].get("coverage", 0)) if emotions else 0.0
        texts = [entry["file"], entry["answer"], *entry["not_sure_because"], *(emotions or ())]
        texts += [*filter(None, [verdict]), model, *notes, *reasons]
        is_valid = all(isinstance(text, str) for text in texts) and 0 <= seconds < float("inf")
        if not (is_valid and probabilities and all(0 <= float(each) <= 1 for each in probabilities.values())):
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return {
        "file": entry["file"].encode("utf-8", "replace").decode(),
        "seconds": seconds,
        "model": model,
        "answer": entry["answer"],
        "not_sure_because": list(entry["not_sure_because"]),
        "reliable": is_reliable(entry["answer"], verdict),
        "speaker_clips": clips,
        "probabilities": {str(name): float(probability) for name, probability in probabilities.items()},
        "set": {"coverage": coverage, "emotions": list(emotions)} if emotions else None,
        "recording": {"verdict": verdict, "reasons": list(reasons)} if verdict else None,
        "notes": list(notes),
    }
