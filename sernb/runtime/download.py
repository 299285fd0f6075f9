"""Download single files over HTTP: resumable, and never more bytes than expected."""

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
RETRIED = {408, 416, 425, 429}  # HTTP status codes, beside all from 500 on
LONGEST_WAIT: float = 60.0  # s, the longest Retry-After that is respected


@dataclass(frozen=True)
class RetryPolicy:
    """Timeout of a connection, and the pauses before successive retries without progress."""

    timeout: float = 30.0  # s
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)  # s


class _Interrupted(Exception):  # noqa: N818 - not an error yet: the next try may succeed
    """The transfer was interrupted; ``wait`` is the pause, in s, requested by the server."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


LARGEST_FILE = 2 * 10**9  # bytes of a single file without a published size
PRIVATE = "token|key|sig|secret|pass|pwd|auth|credential"  # in the name of a URL parameter

# HTTP only: an address or redirection such as file:///etc/passwd has no handler.
OPENER = urllib.request.OpenerDirector()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirections, except from https to http, where the connection could be intercepted."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme.lower() != "https":
            raise DataError(
                f"{shown_address(req.full_url)}: redirects from https to {shown_address(newurl)}; not followed: find "
                "out whether it has moved, and give the new address with --url"
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
    retry_policy: RetryPolicy,
    reached: Callable[[int], object] = lambda position: None,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Download one file; ``path`` exists only when the download is complete.

    Until then the data are in ``path.part``. A later call resumes from it if the server confirms that the file has not
    changed (If-Range: RFC 9110, section 13.1.5), else starts again. Interruptions, stalls and status codes from 500 on
    are retried.

    Args:
        size: published size in bytes, if known
        most: bytes after which the download is refused
        reached: called with the number of bytes received so far
        wait: pauses between two tries; returns true to cancel

    Raises:
        DataError: if the download fails or the file has another size
    """
    part, furthest, pauses = partial_path(path), 0, iter(retry_policy.pauses)
    name = shown_address(url)
    while True:
        try:
            _transfer(url, part, size=size, most=most, timeout=retry_policy.timeout, reached=reached)
            break
        except _Interrupted as reason:
            if size_of_file(part) > furthest:
                furthest, pauses = size_of_file(part), iter(retry_policy.pauses)
            pause = next(pauses, None)
            if pause is None:
                raise DataError(f"{name}: {reason}; run the same command again later to resume") from reason
            pause = max(pause, reason.wait)
            progress_line(f"{name}: {reason}; trying again in {pause:.0f} s")
            if wait(pause):
                raise DataError(f"{name}: {reason}; stopped") from reason
    part.replace(path)
    _metadata_path(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, *, size: int | None, most: int, timeout: float, reached) -> None:
    received, metadata, name = size_of_file(part), _read_metadata(part), shown_address(url)
    if received and received == (size or metadata.get("total")):
        return
    headers = {"User-Agent": f"sernb/{__version__}", "Accept-Encoding": "identity"}
    if received and metadata.get("version"):
        headers |= {"Range": f"bytes={received}-", "If-Range": metadata["version"]}
    with _request(url, headers, timeout, part) as response:
        version, total = _version(response), _total(response)
        if (coding := response.headers.get("Content-Encoding", "identity").strip().lower()) not in ("identity", ""):
            raise DataError(
                f"{name}: is sent compressed ({coding}), which was not requested; give another address with --url"
            )
        if response.status == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(received) or (version and version != metadata.get("version")):
                part.unlink(missing_ok=True)
                raise _Interrupted("the server sent a part of another file")
        else:
            received = 0
        if total is not None and size not in (None, total):
            raise DataError(f"{name}: has {total} bytes, but {size} were published; find out whether it has moved")
        if total is not None and total > most:
            raise DataError(f"{name}: has {total} bytes, more than the allowed {most}; find out whether it has moved")
        with part.open("ab" if received else "wb") as file:
            if not received:  # only after the old part is truncated: metadata must never describe another file's bytes
                _metadata_path(part).write_text(json.dumps({"version": version, "total": total}), encoding="utf-8")
            for block in _read_blocks(response, timeout):
                received += len(block)
                if received > most:
                    part.unlink()
                    raise DataError(f"{name}: sends more than the allowed {most} bytes; find out whether it has moved")
                file.write(block)
                reached(received)
    expected = size if total is None else total
    if expected is not None and received < expected:
        raise _Interrupted(f"the connection was cut off after {received} of {expected} bytes")
    if expected is not None and received > expected:
        part.unlink()
        raise _Interrupted(f"{received} bytes were received instead of {expected}")


def _request(url: str, headers: dict[str, str], timeout: float, part: Path):
    name = shown_address(url)
    try:
        return OPENER.open(_make_request(url, headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        status = f"the server answers {error.code} ({_hide_secrets(' '.join(str(error.reason).split()))})"
        if error.code == 416:  # the part is longer than the file, so it belongs to another one
            part.unlink(missing_ok=True)
        if error.code in RETRIED or error.code >= 500:
            wait = error.headers.get("Retry-After", "")
            raise _Interrupted(status, min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0) from error
        raise DataError(
            f"{name}: {status}; find out whether it has moved, and give the new address with --url"
        ) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DataError(
                f"{name}: its certificate cannot be verified ({error.reason.verify_message}); check the date of this "
                "computer and its root certificates"
            ) from error
        if not isinstance(error.reason, OSError):
            raise DataError(f"{name}: cannot be opened ({error.reason}); use http or https") from error
        raise _Interrupted(f"no connection ({error.reason.strerror or error.reason})") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DataError(f"{name}: is not a web address; write it with https:// and without spaces") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"no answer ({error or type(error).__name__})") from error


def _read_blocks(response, timeout: float) -> Iterator[bytes]:
    while True:
        try:
            block = response.read1(BLOCK)  # the available bytes only: an interruption loses none of them
        except TimeoutError as error:
            raise _Interrupted(f"no data for {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted("the connection was lost") from error
        if not block:
            return
        yield block


def _version(response) -> str:
    """Return the validator of a file version for If-Range; weak ETags are not allowed there."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _total(response) -> int | None:
    """Return the size of the complete file, if the server reports it."""
    partial = response.headers.get("Content-Range", "").rpartition("/")[2]
    size = partial if response.status == 206 else response.headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else None


def partial_path(path: Path) -> Path:
    """Return the path of an incomplete download."""
    return path.with_name(f"{path.name}.part")


def _metadata_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_metadata(part: Path) -> dict:
    try:
        return dict(json.loads(_metadata_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def size_of_file(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0


def require_web_address(url: str, *, plain: bool) -> None:
    """Refuse addresses other than https; http is allowed for this machine and, with ``plain``, for all."""
    try:
        parts = urllib.parse.urlsplit(url)
        allowed = parts.scheme == "https" or (
            parts.scheme == "http" and (plain or parts.hostname in ("127.0.0.1", "localhost"))
        )
    except ValueError:
        allowed = False
    if not allowed or not parts.hostname:
        name = shown_address(url)
        raise DataError(f"{name}: is not a web address for downloads; it must begin with https://")


def fetch_file(
    url: str,
    path: Path,
    *,
    size: int | None,
    sha256: str,
    given: bool = False,
    retry_policy: RetryPolicy = RetryPolicy(),
    progress: bool = False,
) -> None:
    """Download one file and verify its published checksum before moving it to ``path``.

    Args:
        size: published size in bytes, if known
        given: whether the user gave the address, in which case http is allowed

    Raises:
        DataError: if the download fails, the file is not the published one, or the disk is full
    """
    require_web_address(url, plain=given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = path.with_name(f".{path.name}.fetched")
        require_room(path.parent, max(0, (size or 0) - size_of_file(partial_path(stored))))
        with progress_bar(size, f"fetch {path.parent.name}", "B", shown=progress) as shown:
            shown.unit_scale = True
            download(
                url, stored, size=size, most=size or LARGEST_FILE, retry_policy=retry_policy,
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


def _make_request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """Return a request; credentials in the address are sent to its server only, not to the targets of redirections."""
    parts = urllib.parse.urlsplit(url)
    user, at, server = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=server).geturl(), headers=headers)  # noqa: S310 - HTTP only
    if at:
        basic = base64.b64encode(urllib.parse.unquote_to_bytes(user)).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    return request


def shown_address(url: str) -> str:
    """Return an address for messages: without passwords and without the values of keys and tokens.

    Examples:
        >>> shown_address("https://me:secret@a.org/b.zip?token=secret&file=c")
        'https://a.org/b.zip?token=…&file=c'
    """
    address = re.sub(r"//[^/?#]*@", "//", url.strip(), count=1)
    address = re.sub(r"//[^/?#:]*:(?![0-9]*(?:[/?#]|$))\S*@", "//", address)  # a password with / or ? in it
    return re.sub(rf"([?&;#][^=&;#]*(?:{PRIVATE})[^=&;#]*=)[^&;#]*", r"\1…", address, flags=re.IGNORECASE)


def _hide_secrets(text: str) -> str:
    return re.sub(r"[a-z][a-z0-9+.-]*://\S+", lambda match: shown_address(match[0]), text, flags=re.IGNORECASE)


def require_room(folder: Path, needed: int) -> None:
    """Raise DataError if the disk of a folder has too few free bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; free space or choose "
            "another folder with --into"
        )
