"""Downloads: one file over HTTP, resumed where it was interrupted, never more bytes than expected."""

import base64
import http.client
import json
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sernb import __version__
from sernb.config import DataError
from sernb.runtime.files import checksum
from sernb.runtime.progress import progress_bar, progress_line

BLOCK = 1 << 16
TRY_AGAIN = {408, 416, 425, 429}  # and all from 500 on
LONGEST_WAIT: float = 60.0  # that a server may ask for


@dataclass(frozen=True)
class Patience:
    """How long a silent server is waited for, and the pauses before each further try that gets no further."""

    timeout: float = 30.0
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


class _Interrupted(Exception):  # noqa: N818 - no error yet: the next try may succeed
    """The transfer broke off; ``wait`` is what the server asks for before the next try."""

    def __init__(self, found: str, wait: float = 0.0):
        super().__init__(found)
        self.wait = wait


LARGEST_FILE = 2 * 10**9  # bytes of a single file whose size is not published
PRIVATE = "token|key|sig|secret|pass|pwd|auth|credential"  # in the name of a parameter of an address

# Only HTTP: an address or a redirection such as file:///etc/passwd finds nobody who would open it.
OPENER = urllib.request.OpenerDirector()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but not from https down to http, where anybody on the way could answer."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme.lower() != "https":
            raise DataError(
                f"{shown_address(req.full_url)}: redirects from https to {shown_address(newurl)}; not followed, see "
                "whether it has moved, and give the new address with --url"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


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
    wait: Callable[[float], object] = time.sleep,
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
    part, furthest, pauses = partial_path(path), 0, iter(patience.pauses)
    name = shown_address(url)
    while True:
        try:
            _transfer(url, part, size=size, most=most, timeout=patience.timeout, reached=reached)
            break
        except _Interrupted as broken:
            if size_of_file(part) > furthest:
                furthest, pauses = size_of_file(part), iter(patience.pauses)
            pause = next(pauses, None)
            if pause is None:
                raise DataError(f"{name}: {broken}; later, the same command goes on from where it stopped") from broken
            pause = max(pause, broken.wait)
            progress_line(f"{name}: {broken}; trying again in {pause:.0f} s")
            if wait(pause):
                raise DataError(f"{name}: {broken}; stopped") from broken
    part.replace(path)
    _note(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, *, size: int | None, most: int, timeout: float, reached) -> None:
    kept, known, name = size_of_file(part), _read_note(part), shown_address(url)
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


def _answer(url: str, headers: dict[str, str], timeout: float, part: Path):
    name = shown_address(url)
    try:
        return OPENER.open(_request(url, headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        reported = f"the server answers {error.code} ({_hidden(' '.join(str(error.reason).split()))})"
        if error.code == 416:  # the part is longer than the file: it was of another one
            part.unlink(missing_ok=True)
        if error.code in TRY_AGAIN or error.code >= 500:
            wait = error.headers.get("Retry-After", "")
            raise _Interrupted(reported, min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0) from error
        raise DataError(f"{name}: {reported}; see whether it has moved, and give the new address with --url") from error
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


def _blocks(response, timeout: float) -> Iterator[bytes]:
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
    reported = partial if response.status == 206 else response.headers.get("Content-Length", "")
    return int(reported) if reported.isdecimal() else None


def partial_path(path: Path) -> Path:
    """Return where a download lies until it is whole."""
    return path.with_name(f"{path.name}.part")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> dict:
    try:
        return dict(json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def size_of_file(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def require_web_address(url: str, *, plain: bool) -> None:
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
    require_web_address(url, plain=given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = path.with_name(f".{path.name}.fetched")
        require_room(path.parent, max(0, (size or 0) - size_of_file(partial_path(stored))))
        with progress_bar(size, f"fetch {path.parent.name}", "B", shown=progress) as shown:
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


def require_room(folder: Path, needed: int) -> None:
    """Raise DataError where the disk of a folder has fewer bytes free than needed."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; free space or choose "
            "another folder with --into"
        )
