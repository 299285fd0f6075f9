"""A corpus from its publishers to the disk: a download that goes on where it stopped, every file checked.

Nothing in an archive is trusted. Where a file goes, how large it is and what it holds are read from the committed
index: no name in an archive reaches the disk, and no file grows beyond its published size.
"""

import fnmatch
import hashlib
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sernb.audio.decoders import LFS_POINTER
from sernb.config import DataError, digest, recordings_folder, work_folder
from sernb.corpora.files import find_files, list_names
from sernb.corpora.index import committed_index, list_clips
from sernb.corpora.record import Archive, Corpus
from sernb.runtime.archive import BadArchive, list_entries, unpack
from sernb.runtime.download import (
    LARGEST_FILE,
    Patience,
    download,
    partial_path,
    require_room,
    require_web_address,
    shown_address,
    size_of_file,
)
from sernb.runtime.files import checksum
from sernb.runtime.locks import hold
from sernb.runtime.progress import progress_bar, progress_line
from sernb.runtime.threads import map_in_order

if TYPE_CHECKING:
    import pandas as pd

CONNECTIONS = 4  # for corpora of single files
MOST_FAILURES = 5  # single files that may fail before the rest is not tried


def fetch(
    corpus: Corpus,
    into: str | Path | None = None,
    *,
    url: str = "",
    patience: Patience = Patience(),
    announce: Callable[[str], None] = progress_line,
    progress: bool = False,
) -> Path:
    """Download what is missing of a corpus, check every file against the index, put it into place.

    Files that are there and right are kept and not fetched again. No file is ever overwritten. A download that was
    stopped, even by force, goes on where it stopped; what it needs lies in a hidden folder beside ``into``.

    Args:
        into: folder in which the paths of the index begin; default: ``<recordings>/<corpus>``
        url: where to get the archive (or, for CREMA-D, the folder of files) instead; then the size and checksum of the
            published archive do not apply, but those of each file do
        announce: what is told on the way, line by line

    Returns:
        the folder with the recordings

    Raises:
        DataError: if the corpus is handed out on request only, a file in ``into`` is not the published one, the server
            does not deliver, what it delivers is not what was published, or the disk is full
    """
    if corpus.home:
        announce(f"{corpus.name} is there, in {corpus.home}: nothing to fetch")
        return corpus.home
    known = corpus.index_path.exists() if corpus.committed else bool(corpus.paths or corpus.archive)
    if not known or not (url or corpus.archive or corpus.files_at):
        raise DataError(f"{corpus.name}: cannot be fetched; {corpus.on_request or corpus.get}")
    for address in filter(None, (url, corpus.archive and corpus.archive.url, corpus.files_at)):
        require_web_address(address, plain=address == url)
    target = Path(os.path.expanduser(into or recordings_folder() / corpus.name)).absolute()
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is a file, not a folder; choose another folder with --into")
    work = target.parent / f".{target.name}.fetch"
    lock = work_folder() / "locks" / "fetch" / digest(str(target.resolve()))
    with hold(lock, note={"fetches": f"{corpus.name} into {target}"}):  # two that fetch the same wait for each other
        missing = _fetch_missing(corpus, target, work, url, patience, announce, progress)
    there = f", {corpus.clips - len(missing)} were there" if corpus.committed else ""
    announce(f"{corpus.name}: {len(missing)} files fetched{there}, in {target}")
    return target


def _fetch_missing(corpus, target: Path, work: Path, url: str, patience, announce, progress: bool) -> "pd.DataFrame":
    try:
        missing = _missing(corpus, target, progress)
        if len(missing):
            work.mkdir(parents=True, exist_ok=True)
            if corpus.files_at:
                _fetch_files(url or corpus.files_at, missing, target, work, patience, progress)
            else:
                archive = Archive("archive.zip", url) if url else corpus.archive
                missing = _fetch_archive(corpus, archive, missing, target, work, patience, announce, progress)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}): free space or choose another folder with "
            "--into, then run the same command again"
        ) from error
    finally:
        if not any(path.is_file() for path in work.rglob("*")):  # nothing that the next call could go on with
            shutil.rmtree(work, ignore_errors=True)
    return missing


def _missing(corpus: Corpus, target: Path, progress: bool) -> "pd.DataFrame":
    """Return the rows of the index whose files are not there; a file that is there must be the published one."""
    if not (corpus.committed or corpus.paths):
        return _missing_labelled(corpus, target)
    index = list_clips(corpus, target)
    if not target.exists():
        return index
    there = find_files(corpus, target, index)
    if not corpus.committed:
        return index[~index["clip"].isin(there)]

    def state(row) -> str:
        if not (file := there.get(row.clip)):
            return "missing"
        right = file.is_file() and file.stat().st_size == row.bytes and checksum(file) == row.sha256
        return "right" if right else "other"

    with (
        closing(map_in_order(state, index.itertuples())) as states,
        progress_bar(len(index), f"look at {target.name}", "clip", shown=progress) as shown,
    ):
        found = []
        for each in states:
            found.append(each)
            shown.update()
    others = [str(there[clip]) for clip, each in zip(index["clip"], found, strict=True) if each == "other"]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise DataError(
            f"{others[0]}{more}: is there and is not the published file; nothing is overwritten: "
            "move it away, or choose another folder with --into"
        )
    return index[[each == "missing" for each in found]]


def _missing_labelled(corpus: Corpus, target: Path) -> "pd.DataFrame":
    """Return what is missing of a copy that brings its own labels: of none at all it is not known before it came."""
    import pandas as pd

    nothing = pd.DataFrame({"path": [], "sha256": []}, dtype=str)
    if not all(any(target.glob(pattern)) for pattern in corpus.labels_at):
        return pd.DataFrame({"path": list(corpus.labels_at), "sha256": ""})
    index = list_clips(corpus, target)
    return index[~index["clip"].isin(find_files(corpus, target, index))] if len(index) else nothing


# -- One archive -- #


def _fetch_archive(corpus, archive, missing, target, work, patience, announce, progress) -> "pd.DataFrame":
    stored = work / f"{digest(archive.url)}-{archive.name}"
    published = int(missing.bytes.sum()) if corpus.committed else 0
    if not stored.exists():
        left = (archive.bytes or published) - size_of_file(partial_path(stored))
        require_room(work, max(0, left) + published)
        # Where no size is published, WAV files hardly shrink and a Kaggle archive holds everything twice.
        known = 4 * int(committed_index(corpus).bytes.sum()) + 10_000_000 if corpus.committed else LARGEST_FILE
        most = archive.bytes or known
        with progress_bar(archive.bytes, f"fetch {corpus.name}", "B", shown=progress) as shown:
            shown.unit_scale = True
            download(
                archive.url, stored, size=archive.bytes, most=most, patience=patience,
                reached=lambda position: shown.update(position - shown.n),
            )  # fmt: skip
    try:
        _verify(archive, stored)
        if not corpus.committed:
            missing = _listed(corpus, missing, stored)
            if not archive.checksum:
                announce(f"no checksum of {archive.name} is known here: names in it are compared, its bytes are not")
        unpacked = work / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            for said in unpack(stored, missing, unpacked, spellings=partial(list_names, corpus), progress=progress):
                announce(said)
            _place(unpacked, target)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    except BadArchive as error:
        shutil.rmtree(work, ignore_errors=True)
        raise DataError(
            f"{shown_address(archive.url)}: {error}; it was removed: run the same command again, or see "
            f"{corpus.homepage}"
        ) from error
    return missing


def _listed(corpus: Corpus, missing: "pd.DataFrame", stored: Path) -> "pd.DataFrame":
    """Return what is to be taken out: of a corpus that brings its labels along, these and all that it could name."""
    import pandas as pd

    if corpus.paths:
        return missing
    wanted = rf"(?:.*/)?({corpus.pattern}|{'|'.join(map(fnmatch.translate, corpus.labels_at + corpus.beside))})"
    found = (re.fullmatch(wanted, name) for name in list_entries(stored))
    return pd.DataFrame({"path": sorted({match[1] for match in found if match}), "sha256": ""})


def _verify(archive: Archive, stored: Path) -> None:
    if archive.bytes is not None and stored.stat().st_size != archive.bytes:
        raise BadArchive(f"{stored.stat().st_size} bytes came, but {archive.bytes} were published")
    if archive.checksum:
        method, _, expected = archive.checksum.partition(":")
        with stored.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()
        if found != expected:
            raise BadArchive(f"its {method} is {found}, but {expected} was published")


def _place(unpacked: Path, target: Path) -> None:
    """Move what was unpacked to where nothing is yet: as one folder, or file by file into one that is there."""
    if not target.exists():
        unpacked.rename(target)
        return
    for path in sorted(path for path in unpacked.rglob("*") if path.is_file()):
        _move(path, target / path.relative_to(unpacked))


def _move(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(place):
        path.rename(place)


# -- Single files -- #


def _fetch_files(prefix: str, missing, target: Path, work: Path, patience: Patience, progress: bool) -> None:
    require_room(work, int(missing.bytes.sum()))

    def get(row) -> None:
        place, stored = target / row.path, work / row.path
        address = f"{prefix.rstrip('/')}/{urllib.parse.quote(row.path)}"
        shown_as = shown_address(address)
        stored.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(address, stored, size=None, most=row.bytes, patience=patience, wait=stopping.wait)
            with stored.open("rb") as file:
                pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
            if pointer:
                raise DataError(
                    f"{shown_as}: is a Git LFS pointer, not the recording; --url must name the media folder"
                )
            if stored.stat().st_size != row.bytes or checksum(stored) != row.sha256:
                raise DataError(f"{shown_as}: is not the published file (sha256 differs); see where it has moved to")
            _move(stored, place)
        finally:
            stored.unlink(missing_ok=True)

    failures: list[str] = []
    stopping = Event()
    with (
        ThreadPoolExecutor(CONNECTIONS) as threads,
        progress_bar(len(missing), f"fetch {target.name}", "file", shown=progress) as shown,
    ):
        try:
            for done in as_completed([threads.submit(get, row) for row in missing.itertuples()]):
                try:
                    done.result()
                except DataError as error:
                    failures += error.args
                    if len(failures) >= MOST_FAILURES:
                        break
                shown.update()
        finally:
            stopping.set()  # whoever stops here need not wait until all tries are over
            threads.shutdown(cancel_futures=True)
    if failures:
        raise DataError(*failures)
