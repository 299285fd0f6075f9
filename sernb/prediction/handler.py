"""One request of the page → its answer: who may ask, what is uploaded, and one line for whatever goes wrong."""

import contextlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from sernb.audio.decoders import Seconds
from sernb.audio.recordings import KNOWN
from sernb.config import fault_line
from sernb.prediction.archive import LARGEST, RefusedRequest
from sernb.prediction.formats import as_data, kept_as_csv, kept_as_html

if TYPE_CHECKING:
    from sernb.prediction.app import App

LONGEST_NAME = 80  # characters
BLOCK = 2**16
SILENCE: Seconds = 30.0  # after which a connection is closed
LONGEST_UPLOAD: Seconds = 300.0


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: "App"
    server_version, sys_version = "sernb", ""
    default_request_version = "HTTP/1.0"  # so that a request without any is answered with a status, too
    timeout = SILENCE
    answered = False

    def do_GET(self) -> None:
        """Answer for the page, its worklet, what was kept."""
        self._answer({"/": self._page, "/recorder.js": self._recorder, "/kept": self._kept,
                      "/kept.csv": self._csv, "/kept.json": self._kept, "/kept.html": self._html,
                      "/sound": self._sound, "/voice": self._voice})  # fmt: skip

    def do_POST(self) -> None:
        """Predict, keep, delete, learn a voice or forget it."""
        self._answer({"/predict": self._predict, "/keep": self._keep, "/delete": self._delete,
                      "/delete-one": self._delete_one, "/teach": self._teach, "/keep-voice": self._keep_voice,
                      "/forget": self._forget})  # fmt: skip

    def _answer(self, known: dict) -> None:
        try:
            try:
                self._parse()
                self._check()
                if self.path_ not in known:
                    raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such page")
                known[self.path_]()
            except (RefusedRequest, ConnectionError):
                raise
            except Exception as error:
                log(error)
                said = "something went wrong here; the terminal in which sernb runs says what"
                raise RefusedRequest(HTTPStatus.INTERNAL_SERVER_ERROR, said) from error
        except RefusedRequest as refused:
            self._refuse(refused)
        except ConnectionError:
            self.close_connection = True

    def _refuse(self, refused: RefusedRequest) -> None:
        self.close_connection = True  # what was sent may not have been read
        if not self.answered:
            with contextlib.suppress(OSError):  # of somebody who has gone
                said = {"error": str(refused), "kind": refused.kind}
                self._send(json.dumps(said).encode(), status=refused.status)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is none, or of an unknown kind, as every other that is refused."""
        self._refuse(RefusedRequest(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _parse(self) -> None:
        try:
            parts = urlsplit(self.path)
            self.path_, self.query = parts.path, parse_qs(parts.query)
        except ValueError as error:
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, "this is no address of a page") from error

    def _check(self) -> None:
        """Refuse whoever is not the page itself.

        Raises:
            Refused: if the request is for another host, from another site, or without the token
        """
        origin = self.headers.get("Origin")
        foreign = self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
        if self.headers.get("Host") not in self.server.hosts:
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "this host is not known here")
        if (origin is not None and _host(origin) not in self.server.hosts) or (foreign and self.path_ != "/"):
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "this is for the page of this server only")
        given = self.query.get("token", [""])[0] if self.path_ == "/" else self.headers.get("X-Sernb-Token", "")
        if self.path_ != "/recorder.js" and not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "open the address that `sernb app` has printed")

    def _page(self) -> None:
        body, nonce = self.server.page()
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}' 'self'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "media-src blob:; worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._send(body, "text/html; charset=utf-8", {"Content-Security-Policy": policy})

    def _recorder(self) -> None:
        self._send((files("sernb.prediction") / "recorder.js").read_bytes(), "text/javascript; charset=utf-8")

    def _kept(self) -> None:
        self._send(json.dumps(self.server.keeper.all(), indent=1).encode())

    def _csv(self) -> None:
        text = kept_as_csv(self.server.keeper.all(), self.server.model.classes)
        self._send(text.encode("utf-8", "replace"), "text/csv; charset=utf-8")

    def _html(self) -> None:
        text = kept_as_html(self.server.keeper.all())
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        self._send(text.encode("utf-8", "replace"), "text/html; charset=utf-8", policy)

    def _voice(self) -> None:
        self._send(json.dumps(self.server.voice.state).encode())

    def _sound(self) -> None:
        self._send(self.server.keeper.sound(self.query.get("key", [""])[0]), "application/octet-stream")

    def _predict(self) -> None:
        with self._upload() as (name, recording):
            said = as_data(self.server.heard(recording, name))
        self._send(json.dumps({**said, "file": name}).encode())

    def _keep(self) -> None:
        with self._upload() as (name, recording):
            self.server.keeper.add(name, recording, as_data(self.server.heard(recording, name)))
        self._kept()

    def _delete(self) -> None:
        if self.server.voice.kept:
            self.server.voice.forget()
        self._send(json.dumps({"deleted": self.server.keeper.clear()}).encode())

    def _delete_one(self) -> None:
        self.server.keeper.remove(self.query.get("key", [""])[0])
        self._kept()

    def _teach(self) -> None:
        with self._upload() as (name, recording):
            self.server.teach(recording, name)
        self._voice()

    def _keep_voice(self) -> None:
        self.server.voice.keep()
        self._voice()

    def _forget(self) -> None:
        self.server.voice.forget()
        self._voice()

    @contextlib.contextmanager
    def _upload(self) -> Iterator[tuple[str, Path]]:
        """Give the name of what was sent and the file that it lies in for this moment only.

        Raises:
            Refused: if it is too large, its length is not said, or not all of it comes
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise RefusedRequest(HTTPStatus.LENGTH_REQUIRED, "the length of the recording is missing")
        if len(length) > 12 or int(length) > LARGEST:
            limit = f"{LARGEST // 2**20} MB"
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit}: use `sernb predict` for such files"
            )
        name = self.query.get("name", ["recording.wav"])[0].replace("\\", "/").rpartition("/")[2]
        name = "".join(each if each.isprintable() else " " for each in name).strip()[-LONGEST_NAME:] or "recording.wav"
        with (
            self.server.room_for(int(length)),
            tempfile.TemporaryDirectory(prefix="sernb-", ignore_cleanup_errors=True) as folder,
        ):
            recording = Path(folder) / f"recording{suffix_of(name)}"
            self._receive(recording, int(length))
            yield name, recording

    def _receive(self, path: Path, length: int) -> None:
        ends = time.monotonic() + LONGEST_UPLOAD
        try:
            with path.open("wb") as file:
                while length:
                    block = self._block(min(BLOCK, length)) if time.monotonic() < ends else b""
                    if not block:
                        raise RefusedRequest(HTTPStatus.BAD_REQUEST, "the recording broke off on its way")
                    file.write(block)
                    length -= len(block)
        except ConnectionError:
            raise
        except OSError as error:
            said = f"the recording cannot be written ({error.strerror}); free space in {path.parents[1]}"
            raise RefusedRequest(HTTPStatus.INSUFFICIENT_STORAGE, said) from error

    def _block(self, size: int) -> bytes:
        try:
            return self.rfile.read1(size)
        except TimeoutError:
            return b""

    def _send(
        self,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self.answered = True
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: names of recordings are nobody's business."""


def suffix_of(name: str) -> str:
    """Return the ending of a recording's name, if it is a known one.

    Examples:
        >>> suffix_of("me.MP3"), suffix_of("me.exe")
        ('.mp3', '.wav')
    """
    suffix = Path(name).suffix.lower()
    return suffix if suffix in KNOWN else ".wav"


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def log(error: BaseException) -> None:
    """Print one line about an error that nobody foresaw."""
    with contextlib.suppress(OSError):
        print(f"sernb: {fault_line(error)}", file=sys.stderr)
