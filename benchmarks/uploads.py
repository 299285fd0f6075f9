"""Spoiled recordings through the page for one's own voice: each is answered in one line, and nothing is left.

python -m benchmarks.uploads [--files 200] [--seed 0]
"""

import argparse
import collections
import http.client
import io
import json
import resource
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from sernb.config import ROOT
from sernb.prediction.app import App
from sernb.prediction.loading import load_model

NAMES = ("a.wav", "a.flac", "a.mp3", "a.ogg", "a.m4a", "a.webm", "../../a.exe", "a\0b.wav", "é\u202e.wav", "")


def spoil(content: bytes, rng: np.random.Generator) -> bytes:
    """Return content cut, lengthened, or with some bytes changed, mostly near its beginning."""
    spoiled = bytearray(content)
    for place in (rng.random(rng.integers(1, 30)) ** 3 * len(spoiled)).astype(int):
        spoiled[place] = rng.integers(256)
    cut = int(rng.integers(1, len(spoiled))) if rng.random() < 0.3 else len(spoiled)
    return bytes(spoiled[:cut]) + rng.bytes(rng.integers(0, 1000) if rng.random() < 0.2 else 0)


def as_wav(path: Path) -> bytes:
    """Return a recording as WAV, of which more survives than of FLAC."""
    written = io.BytesIO()
    soundfile.write(written, *soundfile.read(path), format="WAV")
    return written.getvalue()


def ask(app: App, path: str, body: bytes, said: int) -> tuple[int, bytes]:
    """Return status and content of an answer; ``said`` is the length that the request names."""
    connection = http.client.HTTPConnection("127.0.0.1", app.server_port, timeout=120)
    connection.putrequest("POST", path)
    for name, value in (("X-Sernb-Token", app.token), ("Content-Length", str(said))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body)
    if said > len(body):
        connection.sock.shutdown(1)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def main() -> int:
    """Send them; return 1 if anything was not as it must be."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    rng, counts, faults = np.random.default_rng(given.seed), collections.Counter(), []
    clips = sorted((ROOT / "data" / "demo").rglob("*.flac"))[:10]
    sounds = [content for path in clips for content in (path.read_bytes(), as_wav(path))]
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        with App(load_model(), Path(folder) / "kept") as app:
            threading.Thread(target=app.serve_forever, daemon=True).start()
            for number in range(given.files):
                body = spoil(sounds[number % len(sounds)], rng)
                said = len(body) + int(rng.integers(-5, 6)) * (rng.random() < 0.1)
                name = quote(NAMES[number % len(NAMES)])
                path = "/keep" if number % 7 == 0 else "/teach" if number % 7 == 1 else "/predict"
                status, content = ask(app, f"{path}?name={name}", body, max(0, said))
                counts[status] += 1
                told = json.loads(content)
                if status not in (200, 400, 409, 422) or ("error" in told and "\n" in told["error"]):
                    faults.append((number, status, content[:200]))
            deleted, _ = ask(app, "/delete", b"", 0)
            app.shutdown()
        tempfile.tempdir = None
        left = [path.name for path in Path(folder).rglob("*")]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{given.files} uploads: {dict(counts)}; delete {deleted}; left {left}; at most {memory:.0f} MB")
    for fault in faults:
        print("fault:", *fault)
    return int(bool(faults or left or deleted != 200 or memory > 500))


if __name__ == "__main__":
    sys.exit(main())
