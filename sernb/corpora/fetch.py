"""Download a corpus from its publishers: resumable, with every file verified.

Archives are not trusted. The committed index decides the path, size and checksum of each file: no name from an archive
is used as a path, and no file can exceed its published size.
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
from sernb.config import DataError, digest, expand_home, recordings_folder, work_folder
from sernb.corpora.files import find_files, list_names
from sernb.corpora.index import committed_index, list_clips
from sernb.corpora.record import Archive, Corpus
from sernb.runtime.archive import BadArchive, list_entries, unpack
from sernb.runtime.download import (
    LARGEST_FILE,
    RetryPolicy,
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
MOST_FAILURES = 5  # failed single files after which the download stops


def fetch(
    corpus: Corpus,
    into: str | Path | None = None,
    *,
    url: str = "",
    retry_policy: RetryPolicy = RetryPolicy(),
    announce: Callable[[str], None] = progress_line,
    progress: bool = False,
) -> Path:
    """Download the missing files of a corpus and verify each one against the index.

    Correct files that exist already are kept, and no file is ever overwritten. An interrupted download, even a killed
    one, resumes where it stopped; its state is in a hidden folder beside ``into``.

    Args:
        into: root folder of the paths in the index; default: ``<recordings>/<corpus>``
        url: another address of the archive (or, for CREMA-D, of the folder of files); then the size and checksum of
            the published archive are not checked, but those of each file are
        announce: receives progress messages, line by line

    Returns:
        the folder with the recordings

    Raises:
        DataError: if the corpus is available on request only, a file in ``into`` is not the published one, the download
            fails or is not what was published, or the disk is full
    """
    if corpus.home:
        announce(f"{corpus.name} is already in {corpus.home}: nothing to fetch")
        return corpus.home
    has_paths = corpus.index_path.exists() if corpus.committed else bool(corpus.paths or corpus.archive)
    if not has_paths or not (url or corpus.archive or corpus.files_url):
        raise DataError(f"{corpus.name}: cannot be fetched; {corpus.on_request or corpus.get}")
    for address in filter(None, (url, corpus.archive and corpus.archive.url, corpus.files_url)):
        require_web_address(address, plain=address == url)
    target = expand_home(into or recordings_folder() / corpus.name).absolute()
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is a file, not a folder; choose another folder with --into")
    work = target.parent / f".{target.name}.fetch"
    lock = work_folder() / "locks" / "fetch" / digest(str(target.resolve()))
    with hold(lock, note={"fetches": f"{corpus.name} into {target}"}):  # two processes must not fetch the same files
        missing = _fetch_missing(corpus, target, work, url, retry_policy, announce, progress)
    present = f", {corpus.clips - len(missing)} were there" if corpus.committed else ""
    announce(f"{corpus.name}: {len(missing)} files fetched{present}, in {target}")
    return target


def _fetch_missing(
    corpus, target: Path, work: Path, url: str, retry_policy, announce, progress: bool
) -> "pd.DataFrame":
    try:
        missing = _find_missing(corpus, target, progress)
        if len(missing):
            work.mkdir(parents=True, exist_ok=True)
            if corpus.files_url:
                _fetch_files(url or corpus.files_url, missing, target, work, retry_policy, progress)
            else:
                archive = Archive("archive.zip", url) if url else corpus.archive
                missing = _fetch_archive(corpus, archive, missing, target, work, retry_policy, announce, progress)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}): free space or choose another folder with "
            "--into, then run the same command again"
        ) from error
    finally:
        if not any(path.is_file() for path in work.rglob("*")):  # nothing left to resume from
            shutil.rmtree(work, ignore_errors=True)
    return missing


def _find_missing(corpus: Corpus, target: Path, progress: bool) -> "pd.DataFrame":
    """Return the rows of the index whose files are missing; refuse existing files that are not the published ones."""
    if not (corpus.committed or corpus.paths):
        return _find_missing_labelled(corpus, target)
    index = list_clips(corpus, target)
    if not target.exists():
        return index
    files = find_files(corpus, target, index)
    if not corpus.committed:
        return index[~index["clip"].isin(files)]

    def find_state(row) -> str:
        if not (file := files.get(row.clip)):
            return "missing"
        right = file.is_file() and file.stat().st_size == row.bytes and checksum(file) == row.sha256
        return "right" if right else "other"

    with (
        closing(map_in_order(find_state, index.itertuples())) as results,
        progress_bar(len(index), f"check {target.name}", "clip", shown=progress) as shown,
    ):
        states = []
        for state in results:
            states.append(state)
            shown.update()
    others = [str(files[clip]) for clip, state in zip(index["clip"], states, strict=True) if state == "other"]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise DataError(
            f"{others[0]}{more}: is there and is not the published file; nothing is overwritten: "
            "move it away, or choose another folder with --into"
        )
    return index[[state == "missing" for state in states]]


def _find_missing_labelled(corpus: Corpus, target: Path) -> "pd.DataFrame":
    """Return the missing files of a copy with its own labels; without any labels, only the label files are known."""
    import pandas as pd

    nothing = pd.DataFrame({"path": [], "sha256": []}, dtype=str)
    if not all(any(target.glob(pattern)) for pattern in corpus.label_files):
        return pd.DataFrame({"path": list(corpus.label_files), "sha256": ""})
    index = list_clips(corpus, target)
    return index[~index["clip"].isin(find_files(corpus, target, index))] if len(index) else nothing


# -- One archive -- #


def _fetch_archive(corpus, archive, missing, target, work, retry_policy, announce, progress) -> "pd.DataFrame":
    stored = work / f"{digest(archive.url)}-{archive.name}"
    published = int(missing.bytes.sum()) if corpus.committed else 0
    if not stored.exists():
        remaining = (archive.bytes or published) - size_of_file(partial_path(stored))
        require_room(work, max(0, remaining) + published)
        # A bound where no size is published: WAV files hardly shrink, and Kaggle archives contain everything twice.
        bound = 4 * int(committed_index(corpus).bytes.sum()) + 10_000_000 if corpus.committed else LARGEST_FILE
        most = archive.bytes or bound
        with progress_bar(archive.bytes, f"fetch {corpus.name}", "B", shown=progress) as shown:
            shown.unit_scale = True
            download(
                archive.url, stored, size=archive.bytes, most=most, retry_policy=retry_policy,
                reached=lambda position: shown.update(position - shown.n),
            )  # fmt: skip
    try:
        _verify(archive, stored)
        if not corpus.committed:
            missing = _listed(corpus, missing, stored)
            if not archive.checksum:
                announce(f"no checksum of {archive.name} is published: its file names are compared, not its bytes")
        unpacked = work / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            for line in unpack(stored, missing, unpacked, spellings=partial(list_names, corpus), progress=progress):
                announce(line)
            _move_into_place(unpacked, target)
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
    """Return the files to unpack; for a corpus with its own labels, these and all possible names of recordings."""
    import pandas as pd

    if corpus.paths:
        return missing
    patterns = "|".join(map(fnmatch.translate, corpus.label_files + corpus.extra_tables))
    matches = (re.fullmatch(rf"(?:.*/)?({corpus.pattern}|{patterns})", name) for name in list_entries(stored))
    return pd.DataFrame({"path": sorted({match[1] for match in matches if match}), "sha256": ""})


def _verify(archive: Archive, stored: Path) -> None:
    if archive.bytes is not None and stored.stat().st_size != archive.bytes:
        raise BadArchive(f"{stored.stat().st_size} bytes were received, but {archive.bytes} were published")
    if archive.checksum:
        method, _, expected = archive.checksum.partition(":")
        with stored.open("rb") as file:
            actual = hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()
        if actual != expected:
            raise BadArchive(f"its {method} is {actual}, but {expected} was published")


def _move_into_place(unpacked: Path, target: Path) -> None:
    """Move the unpacked files into place: as one folder or, if the target exists, file by file without overwriting."""
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


def _fetch_files(prefix: str, missing, target: Path, work: Path, retry_policy: RetryPolicy, progress: bool) -> None:
    require_room(work, int(missing.bytes.sum()))

    def get(row) -> None:
        place, stored = target / row.path, work / row.path
        address = f"{prefix.rstrip('/')}/{urllib.parse.quote(row.path)}"
        public_address = shown_address(address)
        stored.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(address, stored, size=None, most=row.bytes, retry_policy=retry_policy, wait=stopping.wait)
            with stored.open("rb") as file:
                is_pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
            if is_pointer:
                raise DataError(
                    f"{public_address}: is a Git LFS pointer, not the recording; --url must name the media folder"
                )
            if stored.stat().st_size != row.bytes or checksum(stored) != row.sha256:
                raise DataError(
                    f"{public_address}: is not the published file (sha256 differs); see where it has moved to"
                )
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
            for future in as_completed([threads.submit(get, row) for row in missing.itertuples()]):
                try:
                    future.result()
                except DataError as error:
                    failures += error.args
                    if len(failures) >= MOST_FAILURES:
                        break
                shown.update()
        finally:
            stopping.set()  # end the pauses between retries at once
            threads.shutdown(cancel_futures=True)
    if failures:
        raise DataError(*failures)
