"""Paths, profiles, the errors of the package, and digests that name caches and runs after their settings."""

import dataclasses
import hashlib
import json
import os
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self


def find_checkout(package: Path) -> Path:
    """Return the checkout with the notebooks and data of a package.

    The folder around the package comes first, then the current folder and its parents, for a package installed by
    ``pip install .``. Without a checkout, the folder around the package is returned.
    """
    package_parent = package.resolve().parent
    current = Path.cwd()
    for folder in (package_parent, current, *current.parents):
        if _is_checkout(folder):
            return folder
    return package_parent


def _is_checkout(folder: Path) -> bool:
    return (folder / "notebooks" / "00_start_here.ipynb").is_file() and (folder / "data" / "demo").is_dir()


ROOT = find_checkout(Path(__file__).parent)
# Without a checkout, nothing is written beside installed packages.
DATA = ROOT / "data" if _is_checkout(ROOT) else Path("~/sernb-data")
INDEX = Path(__file__).resolve().parent / "corpora" / "indexes"
NOTEBOOKS = ROOT / "notebooks"
REPORTS = ROOT / "reports"

PROFILES = ("quick", "full")
LARGEST_SEED = 2**32 - 1
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
REPORTED = 10  # problems listed in one error


class DataError(Exception):
    """The data cannot be used; each argument is one line with the problem and the next step."""

    def __str__(self) -> str:
        """Return the problems, one per line."""
        return "\n".join(str(line) for line in self.args)

    def _render_traceback_(self) -> list[str]:
        """Return the lines a notebook shows instead of a traceback (IPython calls this method)."""
        return [f"{type(self).__name__}: {line}" for line in map(str, self.args)]

    @classmethod
    def of_many(cls, problems: Sequence[str], more: str) -> Self:
        """Return an error with the first ten problems and a last line that counts the rest, followed by ``more``.

        >>> print(DataError.of_many([f"clip {number}: is missing" for number in range(12)], "more").args[-1])
        … and 2 more
        """
        others = [f"… and {len(problems) - REPORTED} {more}"] if len(problems) > REPORTED else []
        return cls(*problems[:REPORTED], *others)


def in_one_line(text: object) -> str:
    r"""Return text in which nothing breaks a line, colours a terminal or turns the direction of reading, as names may.

    Examples:
        >>> in_one_line("a\nb")
        'a\\nb'
    """
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def fault_line(error: BaseException) -> str:
    """Return one line about an unexpected error: its class, its message, the place in the code."""
    *_, place = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


class Infeasible(DataError):  # noqa: N818
    """The recordings do not allow the requested experiment: it is skipped, all others are run."""


class MissingRuns(DataError):  # noqa: N818
    """A page needs runs that are missing: there is nothing to show."""


def expand_home(name: str | Path) -> Path:
    """Return a path with ``~`` expanded; unlike :meth:`pathlib.Path.expanduser`, an unknown user is no error."""
    return Path(os.path.expanduser(name))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the closest known name, as part of a message; nothing if none is close.

    Examples:
        >>> suggest("ravdes", ["ravdess", "tess"]), suggest("x", ["ravdess"])
        ('; did you mean ravdess?', '')
    """
    import difflib  # for errors only

    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def recordings_folder(data: str | Path | None = None) -> Path:
    """Return the folder that holds the corpora: ``data``, else ``$SERNB_DATA``, else ``data/raw``."""
    return expand_home(data or os.environ.get("SERNB_DATA") or DATA / "raw")


def work_folder() -> Path:
    """Return the folder for results that can be recomputed (``cache/``, ``runs/``): ``$SERNB_WORK``, else ``data``."""
    return expand_home(os.environ.get("SERNB_WORK") or DATA)


def is_hidden(name: str) -> bool:
    """Return whether a name is that of a hidden or system file, such as those left beside copied files.

    Examples:
        >>> [is_hidden(name) for name in ("._a.wav", ".DS_Store", "Thumbs.db", "__MACOSX", "a.wav")]
        [True, True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in ("thumbs.db", "desktop.ini", "__macosx")


def plain(value: object) -> object:
    """Convert ``value`` to JSON types: dataclasses to ``{"type": name, field: …}``, tuples to lists."""
    if isinstance(value, str | int | float):  # first, for lists of 100,000 clip names
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def digest(*values: object) -> str:
    """Return 16 hexadecimal digits that identify ``values``: equal settings give equal names.

    Examples:
        >>> digest({"bands": 64}) == digest({"bands": 64}) != digest({"bands": 40})
        True
    """
    text = json.dumps([plain(value) for value in values], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]  # names need not be UTF-8
