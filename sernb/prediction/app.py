"""A page on this computer alone: record or upload a voice, see what the model hears, keep it only when asked.

The server is the standard library's. Gradio was looked at: its page asks other hosts for a script and for fonts unless
what it serves is rewritten, and nothing of a voice may leave the computer. Only this computer can connect; a page of
another site that is open in the same browser cannot, since it does not know the token and is told apart by its origin.
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
from sernb.audio.recordings import KNOWN
from sernb.colours import ACCENT, PALETTE
from sernb.config import DataError
from sernb.prediction.archive import LARGEST, RecordingArchive, RefusedRequest
from sernb.prediction.formats import UNRELIABLE
from sernb.prediction.handler import Handler, log
from sernb.prediction.model import Model
from sernb.prediction.model_card import MEANING, NOT_FOR
from sernb.prediction.predict import Prediction, predict
from sernb.prediction.taught_voice import TaughtVoice

HOST = "127.0.0.1"
CONNECTIONS = 128  # that wait to be answered
TURN: Seconds = 60.0  # for which an upload waits until others leave room
SCRATCH = "sernb-app-"


class App(ThreadingHTTPServer):
    """The server of the page."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, model: Model, folder: Path, port: int = 0):
        super().__init__((HOST, port), Handler)
        self.model, self.keeper = model, RecordingArchive(folder)
        self.voice = TaughtVoice(model, self.keeper)
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
        with self._alone_with(recording, name):
            return predict(self.model, recording, timeline=True, voice=self.voice.answers)

    def teach(self, recording: Path, name: str) -> None:
        """Take an uploaded recording as a clip of the voice that answers adapt to.

        Raises:
            Refused: if it cannot be used
        """
        with self._alone_with(recording, name):
            self.voice.learn(recording)

    @contextlib.contextmanager
    def _alone_with(self, recording: Path, name: str) -> Iterator[None]:
        try:
            with self.busy:
                yield
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
            "model": self.model.introduction,
            "unreliable": UNRELIABLE,
            "folder": str(self.keeper.folder),
            "accept": ",".join(KNOWN),
        }
        text = (files("sernb.prediction") / "page.html").read_text("utf-8")
        inside = json.dumps(setup).replace("<", "\\u003c")
        return text.replace("__NONCE__", nonce).replace("__SETUP__", inside).encode(), nonce


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
