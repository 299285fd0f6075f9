"""The folder of a finished run: written atomically, and verified on each read."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.corpora.feature_cache import CONTENTS
from sernb.runtime.bounded import json_in
from sernb.runtime.files import Damaged, atomic, checksum, unwritable

SET_ASIDE = "set-aside"
NEVER_LEARNED = "never learned, score 0"  # key, in `chosen`, of the classes without training clips
RUN_FILES = ("config", "provenance", "metrics")
JUST_NOW = 3.0  # s within which a second change of a file may leave its timestamps unchanged
WRONG = "has changed since it was written"
# Text columns: a clip may be named 007, and an empty cell is an empty string.
WORDS = dict.fromkeys(("clip", "speaker", "gender", "truth", "view", "prediction"), str)


@dataclass(frozen=True)
class Run:
    """One finished run, read from its folder; changed files raise :class:`Damaged`."""

    folder: Path
    files: tuple[tuple[str, int | None, str], ...]  # name, rows of a table, SHA-256
    config: dict = field(compare=False)
    provenance: dict = field(compare=False)
    metrics: dict = field(compare=False)

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per test clip and view: clip, speaker, gender, truth, view, prediction, then a score per class."""
        return self._table("predictions")

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch; empty for systems without epochs."""
        return self._table("history")

    @property
    def validation(self) -> pd.DataFrame:
        """As ``predictions``, for validation clips that were not used to train weights; empty if there are none."""
        return self._table("validation")

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Arrays of the trained network by name; empty for other systems."""
        if not self.has("weights.npz"):
            return {}
        _refuse_changed(self.folder, self.files)
        with np.load(self.folder / "weights.npz") as saved:
            return dict(saved)

    def has(self, name: str) -> bool:
        """Return whether the run has a file of this name."""
        return any(name == each for each, *_ in self.files)

    def _table(self, name: str) -> pd.DataFrame:
        if not self.has(f"{name}.csv"):
            return pd.DataFrame()
        _refuse_changed(self.folder, self.files)
        return pd.read_csv(self.folder / f"{name}.csv", keep_default_na=False, dtype=WORDS)


def write_run(
    folder: Path,
    *,
    config: dict,
    provenance: dict,
    metrics: dict,
    tables: dict[str, pd.DataFrame],
    weights: dict[str, np.ndarray] | None = None,
) -> Run:
    """Write the folder of a run atomically; ``contents.json`` lists rows and SHA-256 of each file.

    Args:
        tables: ``predictions`` and, for systems with epochs, ``history`` and ``validation``
        weights: arrays of the trained network by name
    """
    with atomic(folder) as unfinished:
        unfinished.mkdir()
        for name, content in {"config": config, "provenance": provenance, "metrics": metrics}.items():
            (unfinished / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        for name, table in tables.items():
            table.to_csv(unfinished / f"{name}.csv", index=False, float_format="%.7g", lineterminator="\n")
        if weights:
            np.savez(unfinished / "weights.npz", **weights)
        rows = {f"{name}.csv": len(table) for name, table in tables.items()}
        written = sorted(path.name for path in unfinished.iterdir())
        files = tuple((name, rows.get(name), _sha256(unfinished / name)) for name in written)
        (unfinished / CONTENTS).write_text(_contents(files), "utf-8")
    return open_run(folder)


def _contents(files: tuple[tuple[str, int | None, str], ...]) -> str:
    listed = {name: {"rows": rows, "sha256": checksum} for name, rows, checksum in files}
    whole = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return json.dumps({"files": listed, "sha256": whole}, indent=1) + "\n"


def open_run(folder: Path) -> Run | None:
    """Read a finished run; return None if there is none.

    Raises:
        Damaged: if a file has changed since it was written
        DataError: if a file cannot be read
    """
    if not folder.is_dir():
        return None
    try:
        text = (folder / CONTENTS).read_bytes().decode()
        listed = json_in(folder / CONTENTS)["files"]
        files = tuple((name, each["rows"], each["sha256"]) for name, each in listed.items())
        needed = {f"{name}.json" for name in RUN_FILES} | {"predictions.csv"}
        if text != _contents(files) or not needed <= set(listed) or any(Path(name).name != name for name in listed):
            raise ValueError
    except (FileNotFoundError, IsADirectoryError, DataError, ValueError, LookupError, TypeError) as error:
        raise Damaged(f"{folder}: {CONTENTS} {WRONG}") from error
    except OSError as error:
        raise DataError(f"{folder / CONTENTS}: cannot be read ({error.strerror or error})") from error
    _refuse_changed(folder, files)
    return Run(folder, files, *(json_in(folder / f"{name}.json") for name in RUN_FILES))


def read_run(folder: Path) -> Run | None:
    """Read a finished run; return None if there is none or it is damaged."""
    try:
        return open_run(folder)
    except Damaged:
        return None


def _refuse_changed(folder: Path, files: tuple[tuple[str, int | None, str], ...]) -> None:
    for name, _, written in files:
        if not written or _sha256(folder / name) != written:
            raise Damaged(f"{folder}: {name} {WRONG}")


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file, cached as long as it does not change; empty if there is no file."""
    try:
        if not path.is_file():
            return ""
        status = path.stat()
        compute = _cached_sha256 if abs(time.time() - status.st_ctime) > JUST_NOW else _cached_sha256.__wrapped__
        return compute(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


@lru_cache(maxsize=2**14)
def _cached_sha256(path: Path, *state: int) -> str:
    return checksum(path)


def sibling(run: Path, ending: str) -> Path:
    """Return a path beside the folder of a run: ``training`` (the checkpoint) or ``failed`` (the reason)."""
    return run.with_name(f"{run.name}.{ending}")


def set_aside(path: Path) -> Path:
    """Rename an unusable file or folder, so that it can be inspected; return its new path."""
    number = 1
    while (place := sibling(path, f"{SET_ASIDE}-{number}")).exists():
        number += 1
    try:
        path.rename(place)
    except OSError as error:
        raise unwritable(path, error) from error
    return place


def count_epochs(checkpoint: Path) -> int:
    """Return the number of finished epochs of an interrupted training."""
    try:
        return int((checkpoint / "epochs.txt").read_text("utf-8"))
    except (OSError, ValueError):
        return 0
