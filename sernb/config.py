"""Where things lie, and how a setting becomes a name: paths, the profile of a run, digests."""

import dataclasses
import hashlib
import json
import os
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Self


def find_checkout(package: Path) -> Path:
    """Return the checkout whose notebooks and data belong to a package: around it, else around the current folder.

    The second is for a package that was copied into an environment by ``pip install .``; where there is no checkout at
    all, the folder around the package is returned.
    """
    around = package.resolve().parent
    here = Path.cwd()
    for folder in (around, here, *here.parents):
        if _is_checkout(folder):
            return folder
    return around


def _is_checkout(folder: Path) -> bool:
    return (folder / "notebooks" / "00_start_here.ipynb").is_file() and (folder / "data" / "demo").is_dir()


ROOT = find_checkout(Path(__file__).parent)
# Where there is no checkout, nothing is put beside installed packages.
DATA = ROOT / "data" if _is_checkout(ROOT) else Path("~/sernb-data")
INDEX = Path(__file__).resolve().parent / "corpora" / "indexes"
NOTEBOOKS = ROOT / "notebooks"
REPORTS = ROOT / "reports"

PROFILES = ("quick", "full")
LARGEST_SEED = 2**32 - 1
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
REPORTED = 10  # problems that an error names


class DataError(Exception):
    """The data cannot be used as it is; each argument is one line that names it and the next step."""

    def __str__(self) -> str:
        """Return the problems, one a line."""
        return "\n".join(str(line) for line in self.args)

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows of it: the lines, and no traceback (read by IPython under this name)."""
        return [f"{type(self).__name__}: {line}" for line in map(str, self.args)]

    @classmethod
    def of_many(cls, problems: Sequence[str], more: str) -> Self:
        """Return an error of the first ten problems; a last line counts the others, ``more`` says where they are.

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
    """Return one line about an error that nobody foresaw: its class, its text, the place in the code."""
    *_, place = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


class Infeasible(DataError):  # noqa: N818
    """These recordings do not allow what was asked for: it is left out, and all else is done."""


def recordings_folder(data: str | Path | None = None) -> Path:
    """Return the folder that holds the corpora: ``data``, else ``$SERNB_DATA``, else ``data/raw``."""
    return Path(os.path.expanduser(data or os.environ.get("SERNB_DATA") or DATA / "raw"))


def work_folder() -> Path:
    """Return the folder for what can be made again (``cache/``, ``runs/``): ``$SERNB_WORK``, else ``data``."""
    return Path(os.path.expanduser(os.environ.get("SERNB_WORK") or DATA))


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is none of the user's: what systems put beside copied files.

    Examples:
        >>> [is_hidden(name) for name in ("._a.wav", ".DS_Store", "Thumbs.db", "__MACOSX", "a.wav")]
        [True, True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in ("thumbs.db", "desktop.ini", "__macosx")


def plain(value: object) -> object:
    """Return ``value`` as JSON knows it: dataclasses as ``{"type": name, field: …}``, tuples as lists."""
    if isinstance(value, str | int | float):  # first, as names of 100,000 clips are
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
    """Return 16 hexadecimal digits that stand for ``values``: equal settings, equal name.

    Examples:
        >>> digest({"bands": 64}) == digest({"bands": 64}) != digest({"bands": 40})
        True
    """
    text = json.dumps([plain(value) for value in values], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]  # names need not be UTF-8
