"""Archives from elsewhere: bounded, safe unpacking of what an index lists."""

import contextlib
import hashlib
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.runtime.download import BLOCK, require_room
from sernb.runtime.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

MOST_ENTRIES = 100_000  # in an archive
LARGEST_ENTRY = 50 * 2**20  # bytes, where no size is published


class BadArchive(Exception):  # noqa: N818 - becomes a DataError that names the archive
    """The archive cannot be what was published."""


def unpack(
    archive: Path,
    index: "pd.DataFrame",
    folder: Path,
    *,
    spellings: Callable[[str], list[str]],
    progress: bool = False,
) -> list[str]:
    """Take the files of an index out of a zip archive, wherever in it they lie; each must have its published sha256.

    What the index does not list stays in the archive. If a file is in it more than once, the one nearest to the top
    is taken. Of files whose checksums are not published, none may be larger than ``LARGEST_ENTRY``, and all must find
    room. The whole archive is refused for a name that leads outside, a link, a name used twice or encryption.

    Args:
        index: rows to take out, with ``path``, ``bytes`` and ``sha256``; this is empty where it is not published
        folder: a new folder, in which the paths of the index begin
        spellings: path of the index → names that the file may have

    Returns:
        what there is to tell about files left in the archive and files not found in it
    """
    with _opened(archive) as opened:
        entries = opened.infolist()
        _refuse(entries)
        files = [entry for entry in entries if not entry.is_dir()]
        chosen, copies = _chosen(files, {path: spellings(path) for path in index.path})
        if not chosen:
            raise BadArchive("holds none of the published recordings")
        rows = [row for row in index.itertuples() if row.path in chosen]
        require_room(archive.parent, sum(chosen[row.path].file_size for row in rows if not row.sha256))
        with progress_bar(len(rows), "unpack", "clip", shown=progress) as shown:
            for row in rows:
                _take_out(opened, chosen[row.path], row, folder / row.path)
                shown.update()
    taken = {entry.filename for entry in chosen.values()}.union(copies)
    told = {
        "second copies of files were left in the archive": copies,
        "other files were left in the archive": [entry.filename for entry in files if entry.filename not in taken],
        "files are not in the archive": [path for path in index.path if path not in chosen],
    }
    return [f"{len(names)} {what}: {_some(names)}" for what, names in told.items() if names]


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        with archive.open("rb") as file:
            page = file.read(100).lstrip()[:1] == b"<"
        raise BadArchive("a web page came, not the archive" if page else "is no whole zip archive") from error
    with opened:
        yield opened


def list_entries(archive: Path) -> list[str]:
    """Return the names of the files in an archive.

    Raises:
        BadArchive: if it cannot be what was published
    """
    with _opened(archive) as opened:
        _refuse(opened.infolist())
        return [entry.filename for entry in opened.infolist() if not entry.is_dir()]


def _refuse(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that no honest publisher made."""
    if len(entries) > MOST_ENTRIES:
        raise BadArchive(f"holds {len(entries)} files, more than any corpus")
    for entry in entries:
        name = entry.orig_filename
        outside = name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"
        if outside or "\\" in name or "\0" in name:
            raise BadArchive(f"holds a name that leads outside its folder: {name!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadArchive(f"holds a link or device: {name!r}")
        if entry.flag_bits & 1:
            raise BadArchive(f"is encrypted: {name!r}")
    # Two names that a Mac or Windows disk cannot tell apart are one name.
    names = Counter(unicodedata.normalize("NFC", entry.filename).casefold() for entry in entries)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise BadArchive(f"holds {twice!r} twice")


def _chosen(
    files: list[zipfile.ZipInfo], spellings: dict[str, list[str]]
) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Return the entry for each path of the index that is there, and the names of further copies."""
    by_name = defaultdict(set)
    for path, names in spellings.items():
        for name in names:
            by_name[name.rpartition("/")[2].casefold()].add((f"/{name}".casefold(), path))
    offers = defaultdict(list)
    for entry in files:
        name = f"/{entry.filename}".casefold()
        alike = by_name[name.rpartition("/")[2]]
        ending = {path for spelling, path in alike if name.endswith(spelling)}
        # Some archives are flat: a name that only one path has is enough, as the sha256 decides in the end.
        bare = {path for _, path in alike}
        for path in ending or (bare if len(bare) == 1 else ()):
            offers[path].append((not ending, name.count("/"), entry.filename, entry))
    ranked = {path: [entry for *_, entry in sorted(found, key=lambda each: each[:3])] for path, found in offers.items()}
    chosen = {path: first for path, (first, *_) in ranked.items()}
    return chosen, [entry.filename for _, *rest in ranked.values() for entry in rest]


def _take_out(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, row, path: Path) -> None:
    if not row.sha256 and entry.file_size > LARGEST_ENTRY:
        raise BadArchive(f"{entry.filename} in it has {entry.file_size} bytes, more than any recording")
    if row.sha256 and entry.file_size != row.bytes:
        raise BadArchive(f"{entry.filename} in it has {entry.file_size} bytes, but {row.bytes} were published")
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with path.open("wb") as file:
        for block in _content(archive, entry):
            found.update(block)
            file.write(block)
    if row.sha256 and found.hexdigest() != row.sha256:
        raise BadArchive(f"{entry.filename} in it is not the published file (sha256 differs)")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as source:  # never gives more than the declared size
            while block := source.read(BLOCK):
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        raise BadArchive(f"{entry.filename} in it is damaged ({error})") from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
