"""Local web page: record or upload speech, see the model's prediction, and keep recordings only on request.

The server is that of the standard library. Gradio was considered, but its page loads a script and fonts from other
hosts unless its output is rewritten, and no audio may leave the computer. Only this computer can connect. A page of
another site open in the same browser cannot: it lacks the token, and its origin is rejected.
"""

import contextlib
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
from http.server import ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

from sernb.audio.decoders import Seconds
from sernb.audio.recordings import AUDIO_SUFFIXES
from sernb.colours import ACCENT, PALETTE
from sernb.config import DataError
from sernb.prediction.archive import LARGEST, RecordingArchive, RefusedRequest
from sernb.prediction.formats import UNRELIABLE
from sernb.prediction.handler import Handler, log_error
from sernb.prediction.model import Model
from sernb.prediction.model_card import MEANING, NOT_FOR
from sernb.prediction.predict import Prediction, predict
from sernb.prediction.speaker_enrolment import EnrolledSpeaker

HOST = "127.0.0.1"
CONNECTIONS = 128  # waiting to be accepted
UPLOAD_WAIT: Seconds = 60.0  # for which an upload waits while others use up the limit
TEMPORARY_PREFIX = "sernb-app-"


class App(ThreadingHTTPServer):
    """The server of the page."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, model: Model, folder: Path, port: int = 0):
        super().__init__((HOST, port), Handler)
        self.model, self.archive = model, RecordingArchive(folder)
        self.speaker = EnrolledSpeaker(model, self.archive)
        self.token = secrets.token_urlsafe(24)
        names = (HOST, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == 80:  # omitted by browsers
            self.hosts |= set(names)
        self.prediction_lock = threading.Lock()  # one prediction at a time: each may use all cores
        self.uploads, self.reserved = threading.Condition(), 0  # bytes of all uploads in progress

    def server_bind(self) -> None:
        """Bind without looking up the host name of this computer."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """Print one line on an error outside of a response; a client that disconnects is none."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log_error(error)

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    @contextlib.contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Reserve some bytes of the limit that all uploads share, waiting for others to finish.

        Raises:
            RefusedRequest: if the others take too long
        """
        with self.uploads:
            if not self.uploads.wait_for(lambda: self.reserved + size <= LARGEST, UPLOAD_WAIT):
                message = "too many recordings are being predicted; try again in a minute"
                raise RefusedRequest(HTTPStatus.SERVICE_UNAVAILABLE, message)
            self.reserved += size
        try:
            yield
        finally:
            with self.uploads:
                self.reserved -= size
                self.uploads.notify_all()

    def predict_upload(self, recording: Path, name: str) -> Prediction:
        """Predict the emotion in an uploaded recording.

        Args:
            recording: path of the uploaded file
            name: of the recording, for messages

        Raises:
            RefusedRequest: if the recording cannot be used
        """
        with self._exclusive(recording, name):
            return predict(self.model, recording, timeline=True, adapted=self.speaker.predictor)

    def enrol_upload(self, recording: Path, name: str) -> None:
        """Add an uploaded recording to the enrolled speaker.

        Args:
            recording: path of the uploaded file
            name: of the recording, for messages

        Raises:
            RefusedRequest: if the recording cannot be used
        """
        with self._exclusive(recording, name):
            self.speaker.add(recording)

    @contextlib.contextmanager
    def _exclusive(self, recording: Path, name: str) -> Iterator[None]:
        try:
            with self.prediction_lock:
                yield
        except DataError as error:
            message = " ".join(str(error).replace(str(recording), name).split())
            raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, message, getattr(error, "kind", "")) from error

    def page(self) -> tuple[bytes, str]:
        """Return the page, and the nonce of its script and style."""
        nonce = secrets.token_urlsafe(16)
        settings = {
            "token": self.token,
            "classes": self.model.classes,
            "colours": {name: PALETTE.get(name, ACCENT) for name in self.model.classes},
            "meaning": [MEANING, NOT_FOR],
            "model": self.model.introduction,
            "unreliable": UNRELIABLE,
            "folder": str(self.archive.folder),
            "accept": ",".join(AUDIO_SUFFIXES),
        }
        template = (files("sernb.prediction") / "page.html").read_text("utf-8")
        settings_json = json.dumps(settings).replace("<", "\\u003c")
        return template.replace("__NONCE__", nonce).replace("__SETUP__", settings_json).encode(), nonce


def serve(model: Model, folder: Path, port: int, *, announce) -> None:
    """Serve the page until Ctrl+C or a termination signal, then remove all temporary files.

    Args:
        model: predicts the recordings
        folder: of the kept recordings
        port: 0: any free port
        announce: gets lines for the user

    Raises:
        DataError: if the port is in use or privileged
    """
    advice = "choose another with --port, or 0 for any free port"
    try:
        app = App(model, folder, port)
    except PermissionError as error:
        raise DataError(f"port {port} requires privileges that you do not have; {advice}") from error
    except (OSError, OverflowError) as error:
        raise DataError(
            f"port {port} cannot be used ({getattr(error, 'strerror', None) or error}); {advice}"
        ) from error
    with contextlib.suppress(KeyboardInterrupt), _stop_on_signals(), app, _temporary_folder():
        announce(f"open {app.address}")
        announce("no data leaves this computer; stop with Ctrl+C")
        app.serve_forever()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl+C unless they are ignored."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}

    def stop(*_: object) -> None:
        for number in numbers:  # a second signal must not interrupt the cleanup
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        if handlers[number] is not signal.SIG_IGN:  # ignored under nohup
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, handlers[number] or signal.SIG_DFL)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[None]:
    """Put all temporary files into one folder, removed at the end; first remove those that killed servers left."""
    from sernb.runtime.locks import hold, is_held

    previous, parent = tempfile.tempdir, Path(tempfile.gettempdir())
    for lock in parent.glob(f"{TEMPORARY_PREFIX}*/lock"):
        if not lock.parent.is_symlink() and not is_held(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
    try:
        with hold(folder / "lock"):
            tempfile.tempdir = str(folder)
            yield
    finally:
        tempfile.tempdir = previous
        for _ in range(50):  # a running prediction may still write
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)
