"""HTTP requests of the page → responses: access checks, uploads, and one-line error messages."""

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
from sernb.audio.recordings import AUDIO_SUFFIXES
from sernb.config import fault_line
from sernb.prediction.archive import LARGEST, RefusedRequest
from sernb.prediction.formats import archive_as_csv, archive_as_html, as_dict

if TYPE_CHECKING:
    from sernb.prediction.app import App

LONGEST_NAME = 80  # characters
BLOCK = 2**16
IDLE_TIMEOUT: Seconds = 30.0  # idle time after which a connection is closed
UPLOAD_TIMEOUT: Seconds = 300.0


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: "App"
    server_version, sys_version = "sernb", ""
    default_request_version = "HTTP/1.0"  # so that a request without a version gets a status line, too
    timeout = IDLE_TIMEOUT
    response_started = False

    def do_GET(self) -> None:
        """Serve the page, its audio worklet, the kept recordings and the enrolment state."""
        self._respond({"/": self._page, "/recorder.js": self._recorder, "/kept": self._list_kept,
                       "/kept.csv": self._export_csv, "/kept.json": self._list_kept, "/kept.html": self._export_html,
                       "/sound": self._send_recording, "/voice": self._speaker_state})  # fmt: skip

    def do_POST(self) -> None:
        """Predict, keep or delete recordings; enrol a speaker or delete the enrolment."""
        self._respond({"/predict": self._predict, "/keep": self._keep, "/delete": self._delete,
                       "/delete-one": self._delete_one, "/teach": self._enrol, "/keep-voice": self._save_speaker,
                       "/forget": self._clear_speaker})  # fmt: skip

    def _respond(self, routes: dict) -> None:
        try:
            try:
                self._parse()
                self._check()
                if self.route not in routes:
                    raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such page")
                routes[self.route]()
            except (RefusedRequest, ConnectionError):
                raise
            except Exception as error:
                log_error(error)
                message = "internal error, see the terminal in which sernb is running"
                raise RefusedRequest(HTTPStatus.INTERNAL_SERVER_ERROR, message) from error
        except RefusedRequest as refused:
            self._refuse(refused)
        except ConnectionError:
            self.close_connection = True

    def _refuse(self, refused: RefusedRequest) -> None:
        self.close_connection = True  # the request body may not have been read
        if not self.response_started:
            with contextlib.suppress(OSError):  # the client has disconnected
                entry = {"error": str(refused), "kind": refused.kind}
                self._send(json.dumps(entry).encode(), status=refused.status)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a malformed request, or one of an unknown method, like any other."""
        self._refuse(RefusedRequest(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _parse(self) -> None:
        try:
            parts = urlsplit(self.path)
            self.route, self.query = parts.path, parse_qs(parts.query)
        except ValueError as error:
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, "the address is not valid") from error

    def _check(self) -> None:
        """Accept requests of the page only.

        Raises:
            RefusedRequest: if the request names another host, comes from another site, or lacks the token
        """
        origin = self.headers.get("Origin")
        is_cross_site = self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
        if self.headers.get("Host") not in self.server.hosts:
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "this host name is not allowed")
        if (origin is not None and _host(origin) not in self.server.hosts) or (is_cross_site and self.route != "/"):
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "only the page of this server may send requests")
        token = self.query.get("token", [""])[0] if self.route == "/" else self.headers.get("X-Sernb-Token", "")
        if self.route != "/recorder.js" and not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "open the address printed by `sernb app`")

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

    def _list_kept(self) -> None:
        self._send(json.dumps(self.server.archive.list_entries(), indent=1).encode())

    def _export_csv(self) -> None:
        text = archive_as_csv(self.server.archive.list_entries(), self.server.model.classes)
        self._send(text.encode("utf-8", "replace"), "text/csv; charset=utf-8")

    def _export_html(self) -> None:
        text = archive_as_html(self.server.archive.list_entries())
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        self._send(text.encode("utf-8", "replace"), "text/html; charset=utf-8", policy)

    def _speaker_state(self) -> None:
        self._send(json.dumps(self.server.speaker.state).encode())

    def _send_recording(self) -> None:
        self._send(self.server.archive.read_recording(self.query.get("key", [""])[0]), "application/octet-stream")

    def _predict(self) -> None:
        with self._upload() as (name, recording):
            entry = as_dict(self.server.predict_upload(recording, name))
        self._send(json.dumps({**entry, "file": name}).encode())

    def _keep(self) -> None:
        with self._upload() as (name, recording):
            self.server.archive.add(name, recording, as_dict(self.server.predict_upload(recording, name)))
        self._list_kept()

    def _delete(self) -> None:
        if self.server.speaker.is_saved:
            self.server.speaker.clear()
        self._send(json.dumps({"deleted": self.server.archive.delete_all()}).encode())

    def _delete_one(self) -> None:
        self.server.archive.delete(self.query.get("key", [""])[0])
        self._list_kept()

    def _enrol(self) -> None:
        with self._upload() as (name, recording):
            self.server.enrol_upload(recording, name)
        self._speaker_state()

    def _save_speaker(self) -> None:
        self.server.speaker.save()
        self._speaker_state()

    def _clear_speaker(self) -> None:
        self.server.speaker.clear()
        self._speaker_state()

    @contextlib.contextmanager
    def _upload(self) -> Iterator[tuple[str, Path]]:
        """Yield the name of the upload and the path of a temporary file with its content.

        Raises:
            RefusedRequest: if the upload is too large, states no length, or is incomplete
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise RefusedRequest(HTTPStatus.LENGTH_REQUIRED, "the request states no length")
        if len(length) > 12 or int(length) > LARGEST:
            limit = f"{LARGEST // 2**20} MB"
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"larger than {limit}; use `sernb predict` for such files"
            )
        name = self.query.get("name", ["recording.wav"])[0].replace("\\", "/").rpartition("/")[2]
        name = "".join(char if char.isprintable() else " " for char in name).strip()[-LONGEST_NAME:] or "recording.wav"
        with (
            self.server.reserve(int(length)),
            tempfile.TemporaryDirectory(prefix="sernb-", ignore_cleanup_errors=True) as folder,
        ):
            recording = Path(folder) / f"recording{suffix_of(name)}"
            self._receive(recording, int(length))
            yield name, recording

    def _receive(self, path: Path, length: int) -> None:
        deadline = time.monotonic() + UPLOAD_TIMEOUT
        try:
            with path.open("wb") as file:
                while length:
                    block = self._block(min(BLOCK, length)) if time.monotonic() < deadline else b""
                    if not block:
                        raise RefusedRequest(HTTPStatus.BAD_REQUEST, "the upload was interrupted; try again")
                    file.write(block)
                    length -= len(block)
        except ConnectionError:
            raise
        except OSError as error:
            message = f"the recording cannot be written ({error.strerror}); free disk space in {path.parents[1]}"
            raise RefusedRequest(HTTPStatus.INSUFFICIENT_STORAGE, message) from error

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
        self.response_started = True
        self.send_response(status)
        defaults = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in (defaults | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: the names of recordings are private."""


def suffix_of(name: str) -> str:
    """Return the suffix of a recording's name if it is a known audio format, else ``.wav``.

    Examples:
        >>> suffix_of("me.MP3"), suffix_of("me.exe")
        ('.mp3', '.wav')
    """
    suffix = Path(name).suffix.lower()
    return suffix if suffix in AUDIO_SUFFIXES else ".wav"


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def log_error(error: BaseException) -> None:
    """Print one line on an unexpected error."""
    with contextlib.suppress(OSError):
        print(f"sernb: {fault_line(error)}", file=sys.stderr)
