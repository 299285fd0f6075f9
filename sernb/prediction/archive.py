"""What the page keeps when a person asks for it: recordings and what was said of them, for nobody else to read."""

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

from sernb.audio.recordings import KNOWN
from sernb.config import DataError
from sernb.prediction.predict import is_reliable
from sernb.runtime.bounded import arrays_in

LARGEST = 200 * 2**20  # bytes of a recording, and of all uploads that are at work together
LONGEST_ENTRY = 2**20  # bytes of what was said of a recording
KEPT = re.compile(r"sernb-\d{8}-\d{6}-[0-9a-f]{8}")  # names of what the page keeps; nothing else is listed or deleted
VOICE = "sernb-voice.npz"


class RefusedRequest(Exception):  # noqa: N818
    """A request that is not answered: status, and one line for the page."""

    def __init__(self, status: HTTPStatus, reason: str, kind: str = ""):
        super().__init__(reason)
        self.status, self.kind = status, kind


class RecordingArchive:
    """The recordings that the person chose to keep, in a folder that is made when the first one is kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, name: str, recording: Path, said: dict) -> None:
        """Keep a recording and what was said of it; nobody else on this computer may read it.

        Raises:
            Refused: if it cannot be written
        """
        key = f"sernb-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        try:
            self._write(f"{key}{recording.suffix}", lambda path: shutil.copyfile(recording, path))
            text = json.dumps({**said, "file": name}, indent=1)
            self._write(f"{key}.json", lambda path: path.write_text(text, "utf-8"))
        except RefusedRequest:
            self._delete(key)
            raise

    def keep_voice(self, model: str, rows: np.ndarray) -> None:
        """Keep features of clips of a voice, ``(clips, values)``, under the name of the model that they are for.

        Raises:
            Refused: if they cannot be written
        """

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **{model: rows})

        self._write(VOICE, write)

    def voice(self, model: str) -> np.ndarray | None:
        """Return what :meth:`keep_voice` kept for a model; None where there is nothing of the kind."""
        path = self.folder / VOICE
        try:
            rows = arrays_in(path).get(model) if _is_plain(path, LARGEST) else None
        except DataError:
            return None
        odd = rows is None or rows.ndim != 2 or rows.dtype != np.float32 or not np.isfinite(rows).all()
        return None if odd else rows

    def forget_voice(self) -> None:
        """Delete a kept voice.

        Raises:
            Refused: if it is still there
        """
        self._refuse_left(*self._delete(re.escape(VOICE), whole=True))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        from sernb.runtime.files import atomic

        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic(self.folder / name) as unfinished:
                unfinished.touch(mode=0o600)
                write(unfinished)
        except (OSError, DataError) as error:
            reason = getattr(error.__cause__ or error, "strerror", None) or error
            advice = "free space, or choose another folder with --keep"
            raise RefusedRequest(
                HTTPStatus.INSUFFICIENT_STORAGE, f"{self.folder}: cannot be written ({reason}); {advice}"
            ) from error

    def all(self) -> list[dict]:
        """Return what was said of each kept recording, oldest first, with its key; odd entries are passed over."""
        paths = (path for path in sorted(self.folder.glob("sernb-*.json")) if KEPT.fullmatch(path.stem))
        return [{**said, "key": path.stem} for path in paths if (said := _entry(path))]

    def sound(self, key: str) -> bytes:
        """Return a kept recording.

        Raises:
            Refused: if there is none
        """
        for suffix in KNOWN if KEPT.fullmatch(key) else ():
            path = self.folder / f"{key}{suffix}"
            if _is_plain(path, LARGEST):
                return path.read_bytes()
        raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such recording")

    def clear(self) -> int:
        """Delete everything that was kept, what was left unfinished too, and the folder if nothing else is in it.

        Returns:
            how many recordings

        Raises:
            Refused: if something is still there
        """
        self.forget_voice()
        keys, left = self._delete(KEPT.pattern)
        self._refuse_left(keys, left)
        return len(keys)

    def remove(self, key: str) -> None:
        """Delete one recording and what was said of it.

        Raises:
            Refused: if there is none, or it is still there
        """
        keys, left = self._delete(key) if KEPT.fullmatch(key) else (set(), 0)
        self._refuse_left(keys, left)
        if not keys:
            raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such recording")

    def _refuse_left(self, keys: set[str], left: int) -> None:
        if left:
            said = f"{self.folder}: {left} files of {len(keys) + left} could not be deleted; delete them there"
            raise RefusedRequest(HTTPStatus.INTERNAL_SERVER_ERROR, said)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _delete(self, key: str, *, whole: bool = False) -> tuple[set[str], int]:
        """Delete files of a key, a pattern, with any known ending, or with none where it is a ``whole`` name."""
        from sernb.runtime.files import TEMPORARY

        suffixes = "" if whole else "|".join(map(re.escape, (*KNOWN, ".json")))
        begun = "-" if whole else r"\."
        ours = re.compile(rf"(?:({key})(?:{suffixes})|{re.escape(TEMPORARY)}({key}){begun}.*)")
        keys, left = set(), 0
        for path in list(self.folder.glob("*")):  # hidden ones too
            if (match := ours.fullmatch(path.name)) and (path.is_symlink() or not path.is_dir()):
                try:
                    path.unlink(missing_ok=True)
                    keys.add(match[1] or match[2])
                except OSError:
                    left += 1
        return keys, left


def _is_plain(path: Path, largest: int) -> bool:
    """Return whether there is an ordinary file, neither a link nor a pipe, of at most some bytes."""
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size <= largest
    except OSError:
        return False


def _entry(path: Path) -> dict | None:
    """Return what was said of a kept recording; nothing where this page has not written it so.

    Whether it may be relied on follows from answer and verdict, as it did when it was said.
    """
    try:
        said = json.loads(path.read_text("utf-8")) if _is_plain(path, LONGEST_ENTRY) else {}
        emotions, verdict = said["set"] and said["set"]["emotions"], said["recording"] and said["recording"]["verdict"]
        reasons = (said["recording"] or {}).get("reasons", [])
        shares, seconds = dict(said["probabilities"]), float(said["seconds"])
        model, notes, clips = said.get("model", ""), said.get("notes", []), int(said.get("speaker_clips", 0))
        coverage = float(said["set"].get("coverage", 0)) if emotions else 0.0
        texts = [said["file"], said["answer"], *said["not_sure_because"], *(emotions or ()), *filter(None, [verdict])]
        texts += [model, *notes, *reasons]
        whole = all(isinstance(text, str) for text in texts) and 0 <= seconds < float("inf")
        if not (whole and shares and all(0 <= float(share) <= 1 for share in shares.values())):
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return {
        "file": said["file"].encode("utf-8", "replace").decode(),
        "seconds": seconds,
        "model": model,
        "answer": said["answer"],
        "not_sure_because": list(said["not_sure_because"]),
        "reliable": is_reliable(said["answer"], verdict),
        "speaker_clips": clips,
        "probabilities": {str(name): float(share) for name, share in shares.items()},
        "set": {"coverage": coverage, "emotions": list(emotions)} if emotions else None,
        "recording": {"verdict": verdict, "reasons": list(reasons)} if verdict else None,
        "notes": list(notes),
    }
