"""A page on this computer alone: record or upload a voice, see what the model hears, keep it only when asked.

The server is the standard library's. Gradio was looked at: its page asks other hosts for a script and for fonts unless
what it serves is rewritten, and nothing of a voice may leave the computer. Only this computer can connect; a page of
another site that is open in the same browser cannot, since it does not know the token and is told apart by its origin.
"""

import contextlib
import hmac
import json
import re
import secrets
import socket
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from sernb.config import DataError
from sernb.own_voice.card import MEANING, NOT_FOR
from sernb.own_voice.model import Model
from sernb.own_voice.output import as_csv, as_data
from sernb.own_voice.recordings import KNOWN
from sernb.predict import Prediction, predict

HOST = "127.0.0.1"
LARGEST = 200 * 2**20  # bytes of an upload
LONGEST_NAME = 80  # characters
KEPT = re.compile(r"sernb-\d{8}-\d{6}-[0-9a-f]{8}")  # names of what the page keeps; nothing else is listed or deleted


class Refused(Exception):  # noqa: N818
    """A request that is not answered: status, and one line for the page."""

    def __init__(self, status: HTTPStatus, reason: str, kind: str = ""):
        super().__init__(reason)
        self.status, self.kind = status, kind


class Keeper:
    """The recordings that the person chose to keep, in a folder that is made when the first one is kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, name: str, sound: bytes, suffix: str, said: dict) -> None:
        """Keep a recording and what was said of it."""
        from sernb.store import atomic

        key = f"sernb-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        for path, content in (
            (f"{key}{suffix}", sound),
            (f"{key}.json", json.dumps({**said, "file": name}, indent=1, ensure_ascii=False).encode()),
        ):
            with atomic(self.folder / path) as unfinished:
                unfinished.write_bytes(content)

    def all(self) -> list[dict]:
        """Return what was said of each kept recording, oldest first, with its key."""
        found = []
        for path in sorted(self.folder.glob("sernb-*.json")):
            if KEPT.fullmatch(path.stem):
                with contextlib.suppress(OSError, ValueError):
                    found.append({**json.loads(path.read_text("utf-8")), "key": path.stem})
        return found

    def sound(self, key: str) -> bytes:
        """Return a kept recording.

        Raises:
            Refused: if there is none
        """
        if KEPT.fullmatch(key):
            for suffix in KNOWN:
                with contextlib.suppress(FileNotFoundError):
                    return (self.folder / f"{key}{suffix}").read_bytes()
        raise Refused(HTTPStatus.NOT_FOUND, "there is no such recording")

    def clear(self) -> int:
        """Delete everything that was kept, and the folder if nothing else is in it; return how many recordings."""
        count = 0
        for path in self.folder.glob("sernb-*"):
            if KEPT.fullmatch(path.stem):
                path.unlink(missing_ok=True)
                count += path.suffix == ".json"
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return count


class App(ThreadingHTTPServer):
    """The server of the page."""

    daemon_threads = True

    def __init__(self, model: Model, folder: Path, port: int = 0):
        super().__init__((HOST, port), Handler)
        self.model, self.keeper = model, Keeper(folder)
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.busy = threading.Lock()  # one prediction at a time: each may use all cores

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def heard(self, sound: bytes, name: str) -> Prediction:
        """Return what the model hears; the sound lies on disk for that moment only."""
        with tempfile.TemporaryDirectory(prefix="sernb-") as folder, self.busy:
            path = Path(folder) / f"recording{suffix_of(name)}"
            path.write_bytes(sound)
            try:
                return predict(self.model, path, timeline=True)
            except DataError as error:
                said = str(error).replace(str(path), name)
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, said, getattr(error, "kind", "")) from error

    def page(self) -> tuple[bytes, str]:
        """Return the page, and the nonce of its script and style."""
        from sernb.figures.style import PALETTE

        nonce = secrets.token_urlsafe(16)
        setup = {
            "token": self.token,
            "classes": self.model.classes,
            "colours": {name: PALETTE[name] for name in self.model.classes},
            "meaning": [MEANING, NOT_FOR],
            "model": self.model.name,
            "folder": str(self.keeper.folder),
            "accept": ",".join(KNOWN),
        }
        text = (files("sernb.own_voice") / "page.html").read_text("utf-8")
        inside = json.dumps(setup).replace("<", "\\u003c")
        return text.replace("__NONCE__", nonce).replace("__SETUP__", inside).encode(), nonce


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: App
    server_version, sys_version = "sernb", ""

    def do_GET(self) -> None:
        """Answer for the page, its worklet, what was kept."""
        self._answer({"/": self._page, "/recorder.js": self._recorder, "/kept": self._kept,
                      "/kept.csv": self._csv, "/sound": self._sound})  # fmt: skip

    def do_POST(self) -> None:
        """Predict, keep or delete."""
        self._answer({"/predict": self._predict, "/keep": self._keep, "/delete": self._delete})

    def _answer(self, known: dict) -> None:
        try:
            self.path_, self.query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            self._check()
            if self.path_ not in known:
                raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")
            known[self.path_]()
        except Refused as refused:
            self.close_connection = True  # what was sent may not have been read
            self._send(json.dumps({"error": str(refused), "kind": refused.kind}).encode(), status=refused.status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _check(self) -> None:
        """Refuse whoever is not the page itself.

        Raises:
            Refused: if the request is for another host, from another site, or without the token
        """
        origin = self.headers.get("Origin")
        foreign = self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this host is not known here")
        if (origin is not None and urlsplit(origin).netloc not in self.server.hosts) or (foreign and self.path_ != "/"):
            raise Refused(HTTPStatus.FORBIDDEN, "this is for the page of this server only")
        given = self.query.get("token", [""])[0] if self.path_ == "/" else self.headers.get("X-Sernb-Token", "")
        if self.path_ != "/recorder.js" and not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the address that `sernb app` has printed")

    def _page(self) -> None:
        body, nonce = self.server.page()
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}' 'self'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "media-src blob:; worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._send(body, "text/html; charset=utf-8", {"Content-Security-Policy": policy})

    def _recorder(self) -> None:
        self._send((files("sernb.own_voice") / "recorder.js").read_bytes(), "text/javascript; charset=utf-8")

    def _kept(self) -> None:
        self._send(json.dumps(self.server.keeper.all()).encode())

    def _csv(self) -> None:
        classes = self.server.model.classes
        rows = [
            Prediction(
                Path(str(each["file"])),
                float(each["seconds"]),
                classes,
                np.array([float(each["probabilities"][name]) for name in classes]),
                self.server.model.unsure,
                self.server.model.threshold(0.9),
                None,
            )
            for each in self.server.keeper.all()
            if set(each.get("probabilities", ())) == set(classes)
        ]
        self._send(as_csv(rows).encode(), "text/csv; charset=utf-8")

    def _sound(self) -> None:
        self._send(self.server.keeper.sound(self.query.get("key", [""])[0]), "application/octet-stream")

    def _predict(self) -> None:
        name, sound = self._upload()
        self._send(json.dumps({**as_data(self.server.heard(sound, name)), "file": name}).encode())

    def _keep(self) -> None:
        name, sound = self._upload()
        said = as_data(self.server.heard(sound, name))
        try:
            self.server.keeper.add(name, sound, suffix_of(name), said)
        except DataError as error:
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, str(error)) from error
        self._kept()

    def _delete(self) -> None:
        self._send(json.dumps({"deleted": self.server.keeper.clear()}).encode())

    def _upload(self) -> tuple[str, bytes]:
        """Return the name and the bytes of what was sent.

        Raises:
            Refused: if it is too large, or its length is not said
        """
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length of the recording is missing")
        if int(length) > LARGEST:
            limit = f"{LARGEST // 2**20} MB"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit}: use `sernb predict` for such files")
        name = self.query.get("name", ["recording.wav"])[0].replace("\\", "/").rpartition("/")[2]
        name = "".join(each if each.isprintable() else " " for each in name).strip()[-LONGEST_NAME:]
        sound = self.rfile.read(int(length))
        if len(sound) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the recording broke off on its way")
        return name or "recording.wav", sound

    def _send(
        self,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
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


def serve(model: Model, folder: Path, port: int, *, announce) -> None:
    """Serve the page until Ctrl+C.

    Raises:
        DataError: if the port is taken
    """
    try:
        app = App(model, folder, port)
    except (OSError, OverflowError, socket.gaierror) as error:
        raise DataError(f"port {port} cannot be used ({error}); give another with --port, or 0 for any") from error
    with app:
        announce(f"open {app.address}")
        announce("nothing leaves this computer; stop with Ctrl+C")
        with contextlib.suppress(KeyboardInterrupt):
            app.serve_forever()
