"""A corpus from its publishers to the disk: a download that goes on where it stopped, every file checked.

Nothing in an archive is trusted. Where a file goes, how large it is and what it holds are read from the committed
index: no name in an archive reaches the disk, and no file grows beyond its published size.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import stat
import time
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sernb import __version__
from sernb.config import DataError, digest, recordings_folder, work_folder
from sernb.corpora.copies import files_of, names_of
from sernb.corpora.index import checksum, committed_index
from sernb.corpora.record import Archive, Corpus
from sernb.decoders import LFS_POINTER, Seconds
from sernb.locks import held
from sernb.progress import bar, line
from sernb.threads import in_order

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1 << 16
CONNECTIONS = 4  # for corpora of single files
MOST_ENTRIES = 100_000  # in an archive
LARGEST_FILE = 2 * 10**9  # bytes of a single file whose size is not published
MOST_FAILURES = 5  # single files that may fail before the rest is not tried
TRY_AGAIN = {408, 416, 425, 429}  # and all from 500 on
LONGEST_WAIT: Seconds = 60.0  # that a server may ask for


@dataclass(frozen=True)
class Patience:
    """How long a silent server is waited for, and the pauses before each further try that gets no further."""

    timeout: Seconds = 30.0
    pauses: tuple[Seconds, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


class _Interrupted(Exception):  # noqa: N818 - no error yet: the next try may succeed
    """The transfer broke off; ``wait`` is what the server asks for before the next try."""

    def __init__(self, found: str, wait: Seconds = 0.0):
        super().__init__(found)
        self.wait = wait


class _BadArchive(Exception):  # noqa: N818 - becomes a DataError that names the archive
    """The archive cannot be what was published."""


def fetch(
    corpus: Corpus,
    into: str | Path | None = None,
    *,
    url: str = "",
    patience: Patience = Patience(),
    announce: Callable[[str], None] = line,
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
    if not corpus.index_path.exists() or not (url or corpus.archive or corpus.files_at):
        raise DataError(f"{corpus.name}: cannot be fetched; {corpus.on_request or corpus.get}")
    for address in filter(None, (url, corpus.archive and corpus.archive.url, corpus.files_at)):
        _require_web_address(address, plain=address == url)
    target = Path(into or recordings_folder() / corpus.name).expanduser().absolute()
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is a file, not a folder; choose another folder with --into")
    work = target.parent / f".{target.name}.fetch"
    lock = work_folder() / "locks" / "fetch" / digest(str(target.resolve()))
    with held(lock, note={"fetches": f"{corpus.name} into {target}"}):  # two that fetch the same wait for each other
        missing = _fetch_missing(corpus, target, work, url, patience, announce, progress)
    announce(f"{corpus.name}: {len(missing)} files fetched, {corpus.clips - len(missing)} were there, in {target}")
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
                _fetch_archive(corpus, archive, missing, target, work, patience, announce, progress)
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


def fetch_file(
    url: str,
    path: Path,
    *,
    size: int | None,
    sha256: str,
    given: bool = False,
    patience: Patience = Patience(),
    progress: bool = False,
) -> None:
    """Download one file whose checksum is published; it is in its place when all of it has come and is right.

    Args:
        size: in bytes, where it is published
        given: the address was given by a person: then plain http will do

    Raises:
        DataError: if the server does not deliver, what it delivers is not what was published, or the disk is full
    """
    _require_web_address(url, plain=given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = path.with_name(f".{path.name}.fetched")
        _require_room(path.parent, max(0, (size or 0) - _size(_part(stored))))
        with bar(size, f"fetch {path.parent.name}", "B", shown=progress) as shown:
            shown.unit_scale = True
            download(
                url, stored, size=size, most=size or LARGEST_FILE, patience=patience,
                reached=lambda position: shown.update(position - shown.n),
            )  # fmt: skip
        if checksum(stored) != sha256:
            stored.unlink()
            raise DataError(
                f"{url}: is not the published file (sha256 differs); it was removed: see where it has moved to"
            )
        stored.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}): free space or choose another folder with --into, "
            "then run the same command again"
        ) from error


def _missing(corpus: Corpus, target: Path, progress: bool) -> "pd.DataFrame":
    """Return the rows of the index whose files are not there; a file that is there must be the published one."""
    index = committed_index(corpus)
    if not target.exists():
        return index
    there = files_of(corpus, target, index)

    def state(row) -> str:
        if not (file := there.get(row.clip)):
            return "missing"
        right = file.is_file() and file.stat().st_size == row.bytes and checksum(file) == row.sha256
        return "right" if right else "other"

    with (
        closing(in_order(state, index.itertuples())) as states,
        bar(len(index), f"look at {target.name}", "clip", shown=progress) as shown,
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


# -- One archive -- #


def _fetch_archive(corpus, archive, missing, target, work, patience, announce, progress) -> None:
    stored = work / f"{digest(archive.url)}-{archive.name}"
    published = int(missing.bytes.sum())
    if not stored.exists():
        left = (archive.bytes or published) - _size(_part(stored))
        _require_room(work, max(0, left) + published)
        # Where no size is published, WAV files hardly shrink and a Kaggle archive holds everything twice.
        most = archive.bytes or 4 * int(committed_index(corpus).bytes.sum()) + 10_000_000
        with bar(archive.bytes, f"fetch {corpus.name}", "B", shown=progress) as shown:
            shown.unit_scale = True
            download(
                archive.url, stored, size=archive.bytes, most=most, patience=patience,
                reached=lambda position: shown.update(position - shown.n),
            )  # fmt: skip
    try:
        _verify(archive, stored)
        unpacked = work / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            for said in unpack(corpus, stored, missing, unpacked, progress=progress):
                announce(said)
            _place(unpacked, target)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    except _BadArchive as error:
        shutil.rmtree(work, ignore_errors=True)
        raise DataError(
            f"{shown_address(archive.url)}: {error}; it was removed: run the same command again, or see "
            f"{corpus.homepage}"
        ) from error


def _verify(archive: Archive, stored: Path) -> None:
    if archive.bytes is not None and stored.stat().st_size != archive.bytes:
        raise _BadArchive(f"{stored.stat().st_size} bytes came, but {archive.bytes} were published")
    if archive.checksum:
        method, _, expected = archive.checksum.partition(":")
        with stored.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()
        if found != expected:
            raise _BadArchive(f"its {method} is {found}, but {expected} was published")


def unpack(corpus: Corpus, archive: Path, index: "pd.DataFrame", folder: Path, *, progress: bool = False) -> list[str]:
    """Take the files of an index out of a zip archive, wherever in it they lie; each must have its published sha256.

    Spellings of names are those the corpus knows. What the index does not list stays in the archive. If a file is in it
    more than once, the one nearest to the top is taken. The whole archive is refused for a name that leads outside, a
    link, a name used twice or encryption.

    Args:
        index: rows to take out, with ``path``, ``bytes`` and ``sha256``
        folder: a new folder, in which the paths of the index begin

    Returns:
        what there is to tell about files left in the archive and files not found in it
    """
    with _opened(archive) as opened:
        entries = opened.infolist()
        _refuse(entries)
        files = [entry for entry in entries if not entry.is_dir()]
        chosen, copies = _chosen(files, {path: names_of(corpus, path) for path in index.path})
        if not chosen:
            raise _BadArchive("holds none of the published recordings")
        rows = [row for row in index.itertuples() if row.path in chosen]
        with bar(len(rows), "unpack", "clip", shown=progress) as shown:
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
        raise _BadArchive("a web page came, not the archive" if page else "is no whole zip archive") from error
    with opened:
        yield opened


def _refuse(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that no honest publisher made."""
    if len(entries) > MOST_ENTRIES:
        raise _BadArchive(f"holds {len(entries)} files, more than any corpus")
    for entry in entries:
        name = entry.orig_filename
        outside = name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"
        if outside or "\\" in name or "\0" in name:
            raise _BadArchive(f"holds a name that leads outside its folder: {name!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _BadArchive(f"holds a link or device: {name!r}")
        if entry.flag_bits & 1:
            raise _BadArchive(f"is encrypted: {name!r}")
    # Two names that a Mac or Windows disk cannot tell apart are one name.
    names = Counter(unicodedata.normalize("NFC", entry.filename).casefold() for entry in entries)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise _BadArchive(f"holds {twice!r} twice")


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
    if entry.file_size != row.bytes:
        raise _BadArchive(f"{entry.filename} in it has {entry.file_size} bytes, but {row.bytes} were published")
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with path.open("wb") as file:
        for block in _content(archive, entry):
            found.update(block)
            file.write(block)
    if found.hexdigest() != row.sha256:
        raise _BadArchive(f"{entry.filename} in it is not the published file (sha256 differs)")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as source:  # never gives more than the declared size
            while block := source.read(BLOCK):
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        raise _BadArchive(f"{entry.filename} in it is damaged ({error})") from error


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


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


# -- Single files -- #


def _fetch_files(prefix: str, missing, target: Path, work: Path, patience: Patience, progress: bool) -> None:
    _require_room(work, int(missing.bytes.sum()))

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
        bar(len(missing), f"fetch {target.name}", "file", shown=progress) as shown,
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


# -- One file over HTTP -- #

PRIVATE = "token|key|sig|secret|pass|pwd|auth|credential"  # in the name of a parameter of an address


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but not from https down to http, where anybody on the way could answer."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme.lower() != "https":
            raise DataError(
                f"{shown_address(req.full_url)}: redirects from https to {shown_address(newurl)}; not followed, see "
                "whether it has moved, and give the new address with --url"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


# Only HTTP: an address or a redirection such as file:///etc/passwd finds nobody who would open it.
OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    _Redirects,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
):
    OPENER.add_handler(_handler())


def download(
    url: str,
    path: Path,
    *,
    size: int | None,
    most: int,
    patience: Patience,
    reached: Callable[[int], object] = lambda position: None,
    wait: Callable[[Seconds], object] = time.sleep,
) -> None:
    """Download one file; ``path`` appears when all of it has come.

    Until then it is ``path.part``; a later call goes on with it if the server says that the file is still the same one
    (If-Range: RFC 9110, section 13.1.5), else starts again. Cut-offs, stalls and answers from 500 on are tried again.

    Args:
        size: in bytes, where it is published
        most: bytes after which it cannot be the right file
        reached: told the number of bytes that are there
        wait: between two tries; true: there shall be no other

    Raises:
        DataError: if the server does not deliver, or the file has another size
    """
    part, furthest, pauses = _part(path), 0, iter(patience.pauses)
    name = shown_address(url)
    while True:
        try:
            _transfer(url, part, size=size, most=most, timeout=patience.timeout, reached=reached)
            break
        except _Interrupted as broken:
            if _size(part) > furthest:
                furthest, pauses = _size(part), iter(patience.pauses)
            pause = next(pauses, None)
            if pause is None:
                raise DataError(f"{name}: {broken}; later, the same command goes on from where it stopped") from broken
            pause = max(pause, broken.wait)
            line(f"{name}: {broken}; trying again in {pause:.0f} s")
            if wait(pause):
                raise DataError(f"{name}: {broken}; stopped") from broken
    part.replace(path)
    _note(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, *, size: int | None, most: int, timeout: Seconds, reached) -> None:
    kept, known, name = _size(part), _read_note(part), shown_address(url)
    if kept and kept == (size or known.get("total")):
        return
    headers = {"User-Agent": f"sernb/{__version__}", "Accept-Encoding": "identity"}
    if kept and known.get("version"):
        headers |= {"Range": f"bytes={kept}-", "If-Range": known["version"]}
    with _answer(url, headers, timeout, part) as response:
        version, total = _version(response), _total(response)
        if (coding := response.headers.get("Content-Encoding", "identity").strip().lower()) not in ("identity", ""):
            raise DataError(
                f"{name}: comes packed ({coding}), which was not asked for; give another address with --url"
            )
        if response.status == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(kept) or (version and version != known.get("version")):
                part.unlink(missing_ok=True)
                raise _Interrupted("the server sent a part of another file")
        else:
            kept = 0
        if total is not None and size not in (None, total):
            raise DataError(f"{name}: has {total} bytes, but {size} were published; see whether it has moved")
        if total is not None and total > most:
            raise DataError(f"{name}: has {total} bytes, more than the {most} it may have; see whether it has moved")
        with part.open("ab" if kept else "wb") as file:
            if not kept:  # only now, when the old part is gone: a note must never belong to another file's bytes
                _note(part).write_text(json.dumps({"version": version, "total": total}), encoding="utf-8")
            for block in _blocks(response, timeout):
                kept += len(block)
                if kept > most:
                    part.unlink()
                    raise DataError(f"{name}: sends more than the {most} bytes it may have; see whether it has moved")
                file.write(block)
                reached(kept)
    expected = size if total is None else total
    if expected is not None and kept < expected:
        raise _Interrupted(f"the connection was cut off after {kept} of {expected} bytes")
    if expected is not None and kept > expected:
        part.unlink()
        raise _Interrupted(f"{kept} bytes came instead of {expected}")


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """Return a request; a name and password in the address go to its server alone, not on to where it redirects."""
    parts = urllib.parse.urlsplit(url)
    user, at, server = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=server).geturl(), headers=headers)  # noqa: S310 - HTTP only
    if at:
        basic = base64.b64encode(urllib.parse.unquote_to_bytes(user)).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    return request


def shown_address(url: str) -> str:
    """Return an address as messages name it: without password, and without the values of keys and tokens.

    Examples:
        >>> shown_address("https://me:secret@a.org/b.zip?token=secret&file=c")
        'https://a.org/b.zip?token=…&file=c'
    """
    address = re.sub(r"//[^/?#]*@", "//", url.strip(), count=1)
    address = re.sub(r"//[^/?#:]*:(?![0-9]*(?:[/?#]|$))\S*@", "//", address)  # a password with / or ? in it
    return re.sub(rf"([?&;#][^=&;#]*(?:{PRIVATE})[^=&;#]*=)[^&;#]*", r"\1…", address, flags=re.IGNORECASE)


def _hidden(text: str) -> str:
    return re.sub(r"[a-z][a-z0-9+.-]*://\S+", lambda match: shown_address(match[0]), text, flags=re.IGNORECASE)


def _answer(url: str, headers: dict[str, str], timeout: Seconds, part: Path):
    name = shown_address(url)
    try:
        return OPENER.open(_request(url, headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        said = f"the server answers {error.code} ({_hidden(' '.join(str(error.reason).split()))})"
        if error.code == 416:  # the part is longer than the file: it was of another one
            part.unlink(missing_ok=True)
        if error.code in TRY_AGAIN or error.code >= 500:
            wait = error.headers.get("Retry-After", "")
            raise _Interrupted(said, min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0) from error
        raise DataError(f"{name}: {said}; see whether it has moved, and give the new address with --url") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DataError(
                f"{name}: its certificate cannot be verified ({error.reason.verify_message}); check the date of this "
                "computer and its root certificates"
            ) from error
        if not isinstance(error.reason, OSError):
            raise DataError(f"{name}: cannot be opened ({error.reason}); only http and https can") from error
        raise _Interrupted(f"no connection ({error.reason.strerror or error.reason})") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DataError(f"{name}: is no address; write it with https:// and without spaces") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"no answer ({error or type(error).__name__})") from error


def _blocks(response, timeout: Seconds) -> Iterator[bytes]:
    while True:
        try:
            block = response.read1(BLOCK)  # what is there: nothing of it is lost when the next one does not come
        except TimeoutError as error:
            raise _Interrupted(f"nothing came for {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted("the connection broke") from error
        if not block:
            return
        yield block


def _version(response) -> str:
    """Return what names this version of a file in If-Range; a weak ETag may not."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _total(response) -> int | None:
    """Return the size of the whole file, where the server says it."""
    partial = response.headers.get("Content-Range", "").rpartition("/")[2]
    said = partial if response.status == 206 else response.headers.get("Content-Length", "")
    return int(said) if said.isdecimal() else None


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> dict:
    try:
        return dict(json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_web_address(url: str, *, plain: bool) -> None:
    """Refuse all but https; plain http is for this machine, and for whoever names such an address."""
    try:
        parts = urllib.parse.urlsplit(url)
        allowed = parts.scheme == "https" or (
            parts.scheme == "http" and (plain or parts.hostname in ("127.0.0.1", "localhost"))
        )
    except ValueError:
        allowed = False
    if not allowed or not parts.hostname:
        name = shown_address(url)
        raise DataError(f"{name}: is no web address that can be fetched from; it must begin with https://")


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; free space or choose "
            "another folder with --into"
        )
