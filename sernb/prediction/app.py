"""A page on this computer alone: record or upload a voice, see what the model hears, keep it only when asked.

The server is the standard library's. Gradio was looked at: its page asks other hosts for a script and for fonts unless
what it serves is rewritten, and nothing of a voice may leave the computer. Only this computer can connect; a page of
another site that is open in the same browser cannot, since it does not know the token and is told apart by its origin.
"""

import contextlib
import hmac
import json
import secrets
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sernb.audio.decoders import Seconds
from sernb.audio.recordings import KNOWN
from sernb.colours import ACCENT, PALETTE
from sernb.config import DataError, fault_line
from sernb.prediction.archive import LARGEST, RecordingArchive, RefusedRequest
from sernb.prediction.formats import as_data, kept_as_csv
from sernb.prediction.model import Model
from sernb.prediction.model_card import MEANING, NOT_FOR
from sernb.prediction.predict import Prediction, predict

HOST = "127.0.0.1"
LONGEST_NAME = 80  # characters
BLOCK = 2**16
CONNECTIONS = 128  # that wait to be answered
SILENCE: Seconds = 30.0  # after which a connection is closed
LONGEST_UPLOAD: Seconds = 300.0
TURN: Seconds = 60.0  # for which an upload waits until others leave room
SCRATCH = "sernb-app-"


class App(ThreadingHTTPServer):
    """The server of the page."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, model: Model, folder: Path, port: int = 0):
        super().__init__((HOST, port), Handler)
        self.model, self.keeper = model, RecordingArchive(folder)
        self.token = secrets.token_urlsafe(24)
        names = (HOST, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == 80:  # which browsers leave out
            self.hosts |= set(names)
        self.busy = threading.Lock()  # one prediction at a time: each may use all cores
        self.room, self.taken = threading.Condition(), 0  # bytes of all uploads at work

    def server_bind(self) -> None:
        """Bind without asking anybody what this computer is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong outside of an answer; who has gone is no error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log(error)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    @contextlib.contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Let an upload in when all together are not too large.

        Raises:
            Refused: if the others take too long
        """
        with self.room:
            if not self.room.wait_for(lambda: self.taken + size <= LARGEST, TURN):
                said = "too many recordings are being heard at once; try again in a minute"
                raise RefusedRequest(HTTPStatus.SERVICE_UNAVAILABLE, said)
            self.taken += size
        try:
            yield
        finally:
            with self.room:
                self.taken -= size
                self.room.notify_all()

    def heard(self, recording: Path, name: str) -> Prediction:
        """Return what the model hears in an uploaded recording.

        Raises:
            Refused: if it cannot be used
        """
        try:
            with self.busy:
                return predict(self.model, recording, timeline=True)
        except DataError as error:
            said = " ".join(str(error).replace(str(recording), name).split())
            raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, said, getattr(error, "kind", "")) from error

    def page(self) -> tuple[bytes, str]:
        """Return the page, and the nonce of its script and style."""
        nonce = secrets.token_urlsafe(16)
        setup = {
            "token": self.token,
            "classes": self.model.classes,
            "colours": {name: PALETTE.get(name, ACCENT) for name in self.model.classes},
            "meaning": [MEANING, NOT_FOR],
            "model": self.model.name,
            "folder": str(self.keeper.folder),
            "accept": ",".join(KNOWN),
        }
        text = (files("sernb.prediction") / "page.html").read_text("utf-8")
        inside = json.dumps(setup).replace("<", "\\u003c")
        return text.replace("__NONCE__", nonce).replace("__SETUP__", inside).encode(), nonce


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: App
    server_version, sys_version = "sernb", ""
    default_request_version = "HTTP/1.0"  # so that a request without any is answered with a status, too
    timeout = SILENCE
    answered = False

    def do_GET(self) -> None:
        """Answer for the page, its worklet, what was kept."""
        self._answer({"/": self._page, "/recorder.js": self._recorder, "/kept": self._kept,
                      "/kept.csv": self._csv, "/sound": self._sound})  # fmt: skip

    def do_POST(self) -> None:
        """Predict, keep or delete."""
        self._answer({"/predict": self._predict, "/keep": self._keep, "/delete": self._delete})

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
        self._send(json.dumps(self.server.keeper.all()).encode())

    def _csv(self) -> None:
        text = kept_as_csv(self.server.keeper.all(), self.server.model.classes)
        self._send(text.encode(), "text/csv; charset=utf-8")

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
        self._send(json.dumps({"deleted": self.server.keeper.clear()}).encode())

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


def serve(model: Model, folder: Path, port: int, *, announce) -> None:
    """Serve the page until Ctrl+C, or until the process is asked to end; then nothing temporary is left.

    Raises:
        DataError: if the port is taken, or not for everybody
    """
    another = "give another with --port, or 0 for any"
    try:
        app = App(model, folder, port)
    except PermissionError as error:
        raise DataError(f"port {port} needs rights that you do not have; {another}") from error
    except (OSError, OverflowError) as error:
        raise DataError(
            f"port {port} cannot be used ({getattr(error, 'strerror', None) or error}); {another}"
        ) from error
    with contextlib.suppress(KeyboardInterrupt), _ended_by_signals(), app, _scratch():
        announce(f"open {app.address}")
        announce("nothing leaves this computer; stop with Ctrl+C")
        app.serve_forever()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, where nobody ignores them, end what Ctrl+C ends."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(*_: object) -> None:
        for number in numbers:  # a second one must not disturb the tidying up
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number] or signal.SIG_DFL)


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """Let everything temporary lie in one folder, gone at the end; what killed servers left goes at the beginning."""
    from sernb.runtime.locks import hold, is_held

    before, parent = tempfile.tempdir, Path(tempfile.gettempdir())
    for lock in parent.glob(f"{SCRATCH}*/lock"):
        if not lock.parent.is_symlink() and not is_held(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=parent))
    try:
        with hold(folder / "lock"):
            tempfile.tempdir = str(folder)
            yield
    finally:
        tempfile.tempdir = before
        for _ in range(50):  # a prediction under way may still write
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)
