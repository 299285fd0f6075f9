"""Unpack the files listed in an index from an untrusted archive, safely and within bounds."""

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

MOST_ENTRIES = 100_000  # per archive
LARGEST_ENTRY = 50 * 2**20  # bytes of a file without a published size


class BadArchive(Exception):  # noqa: N818 - becomes a DataError that names the archive
    """The archive cannot be the published one."""


def unpack(
    archive: Path,
    index: "pd.DataFrame",
    folder: Path,
    *,
    spellings: Callable[[str], list[str]],
    progress: bool = False,
) -> list[str]:
    """Extract the files of an index from any folder of a zip archive and verify each published sha256.

    Files that are not in the index are not extracted. Of several copies of a file, the one closest to the root is used.
    A file without a published checksum may not exceed ``LARGEST_ENTRY``, and the disk must have room for all of them.
    The archive is refused if a name points outside the folder, for links, duplicate names and encryption.

    Args:
        index: files to extract, with ``path``, ``bytes`` and ``sha256`` (empty if unpublished)
        folder: a new folder, the root of the paths in the index
        spellings: returns the possible names of a path in the index

    Returns:
        messages about files left in the archive and files missing from it
    """
    with _open(archive) as opened:
        entries = opened.infolist()
        _refuse_unsafe(entries)
        files = [entry for entry in entries if not entry.is_dir()]
        matched, copies = _match_entries(files, {path: spellings(path) for path in index.path})
        if not matched:
            raise BadArchive("holds none of the published recordings")
        rows = [row for row in index.itertuples() if row.path in matched]
        require_room(archive.parent, sum(matched[row.path].file_size for row in rows if not row.sha256))
        with progress_bar(len(rows), "unpack", "clip", shown=progress) as shown:
            for row in rows:
                _extract(opened, matched[row.path], row, folder / row.path)
                shown.update()
    used = {entry.filename for entry in matched.values()}.union(copies)
    messages = {
        "second copies of files were left in the archive": copies,
        "other files were left in the archive": [entry.filename for entry in files if entry.filename not in used],
        "files are not in the archive": [path for path in index.path if path not in matched],
    }
    return [f"{len(names)} {message}: {_some(names)}" for message, names in messages.items() if names]


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        with archive.open("rb") as file:
            is_page = file.read(100).lstrip()[:1] == b"<"
        problem = "is a web page instead of the archive" if is_page else "is not a complete zip archive"
        raise BadArchive(problem) from error
    with opened:
        yield opened


def list_entries(archive: Path) -> list[str]:
    """Return the names of the files in an archive.

    Raises:
        BadArchive: if it cannot be the published one
    """
    with _open(archive) as opened:
        _refuse_unsafe(opened.infolist())
        return [entry.filename for entry in opened.infolist() if not entry.is_dir()]


def _refuse_unsafe(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that no honest publisher would have made."""
    if len(entries) > MOST_ENTRIES:
        raise BadArchive(f"holds {len(entries)} files, more than any corpus")
    for entry in entries:
        name = entry.orig_filename
        outside = name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"
        if outside or "\\" in name or "\0" in name:
            raise BadArchive(f"holds a name that points outside its folder: {name!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadArchive(f"holds a link or device: {name!r}")
        if entry.flag_bits & 1:
            raise BadArchive(f"is encrypted: {name!r}")
    # Names that are the same file on a Mac or Windows disk count as duplicates.
    names = Counter(unicodedata.normalize("NFC", entry.filename).casefold() for entry in entries)
    if repeated := next((name for name, count in names.items() if count > 1), None):
        raise BadArchive(f"holds {repeated!r} twice")


def _match_entries(
    files: list[zipfile.ZipInfo], spellings: dict[str, list[str]]
) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Return the archive entry of each path in the index, and the names of further copies."""
    by_name = defaultdict(set)
    for path, names in spellings.items():
        for name in names:
            by_name[name.rpartition("/")[2].casefold()].add((f"/{name}".casefold(), path))
    candidates = defaultdict(list)
    for entry in files:
        name = f"/{entry.filename}".casefold()
        same_name = by_name[name.rpartition("/")[2]]
        by_path = {path for spelling, path in same_name if name.endswith(spelling)}
        # Some archives are flat: a unique file name suffices, because the sha256 is verified in the end.
        by_unique_name = {path for _, path in same_name} if len({path for _, path in same_name}) == 1 else ()
        for path in by_path or by_unique_name:
            candidates[path].append((not by_path, name.count("/"), entry.filename, entry))
    ranked = {
        path: [entry for *_, entry in sorted(entries, key=lambda candidate: candidate[:3])]
        for path, entries in candidates.items()
    }
    matched = {path: first for path, (first, *_) in ranked.items()}
    return matched, [entry.filename for _, *rest in ranked.values() for entry in rest]


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, row, path: Path) -> None:
    if not row.sha256 and entry.file_size > LARGEST_ENTRY:
        raise BadArchive(f"{entry.filename} in it has {entry.file_size} bytes, more than any recording")
    if row.sha256 and entry.file_size != row.bytes:
        raise BadArchive(f"{entry.filename} in it has {entry.file_size} bytes, but {row.bytes} were published")
    path.parent.mkdir(parents=True, exist_ok=True)
    actual = hashlib.sha256()
    with path.open("wb") as file:
        for block in _read_blocks(archive, entry):
            actual.update(block)
            file.write(block)
    if row.sha256 and actual.hexdigest() != row.sha256:
        raise BadArchive(f"{entry.filename} in it is not the published file (sha256 differs)")


def _read_blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as source:  # never yields more than the declared size
            while block := source.read(BLOCK):
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        raise BadArchive(f"{entry.filename} in it is damaged ({error})") from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
