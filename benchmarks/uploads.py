"""Upload corrupted recordings to the app: each must get a one-line response, and no file may be left over.

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


def corrupt(content: bytes, rng: np.random.Generator) -> bytes:
    """Truncate or extend the content, or change some bytes, mostly near its beginning."""
    corrupted = bytearray(content)
    for position in (rng.random(rng.integers(1, 30)) ** 3 * len(corrupted)).astype(int):
        corrupted[position] = rng.integers(256)
    end = int(rng.integers(1, len(corrupted))) if rng.random() < 0.3 else len(corrupted)
    return bytes(corrupted[:end]) + rng.bytes(rng.integers(0, 1000) if rng.random() < 0.2 else 0)


def as_wav(path: Path) -> bytes:
    """Return a recording as WAV, which is more often readable after corruption than FLAC."""
    wav = io.BytesIO()
    soundfile.write(wav, *soundfile.read(path), format="WAV")
    return wav.getvalue()


def post(app: App, path: str, body: bytes, declared_length: int) -> tuple[int, bytes]:
    """Send a request with the given Content-Length; return status and content of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", app.server_port, timeout=120)
    connection.putrequest("POST", path)
    for name, value in (("X-Sernb-Token", app.token), ("Content-Length", str(declared_length))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body)
    if declared_length > len(body):
        connection.sock.shutdown(1)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def main() -> int:
    """Send the recordings; return 1 if any check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, counts, faults = np.random.default_rng(options.seed), collections.Counter(), []
    clips = sorted((ROOT / "data" / "demo").rglob("*.flac"))[:10]
    sounds = [content for path in clips for content in (path.read_bytes(), as_wav(path))]
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        with App(load_model(), Path(folder) / "kept") as app:
            threading.Thread(target=app.serve_forever, daemon=True).start()
            for number in range(options.files):
                body = corrupt(sounds[number % len(sounds)], rng)
                declared_length = len(body) + int(rng.integers(-5, 6)) * (rng.random() < 0.1)
                name = quote(NAMES[number % len(NAMES)])
                path = "/keep" if number % 7 == 0 else "/teach" if number % 7 == 1 else "/predict"
                status, content = post(app, f"{path}?name={name}", body, max(0, declared_length))
                counts[status] += 1
                response = json.loads(content)
                if status not in (200, 400, 409, 422) or ("error" in response and "\n" in response["error"]):
                    faults.append((number, status, content[:200]))
            deleted, _ = post(app, "/delete", b"", 0)
            app.shutdown()
        tempfile.tempdir = None
        leftovers = [path.name for path in Path(folder).rglob("*")]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.files} uploads: {dict(counts)}; delete {deleted}; left over {leftovers}; at most {memory:.0f} MB")
    for fault in faults:
        print("fault:", *fault)
    return int(bool(faults or leftovers or deleted != 200 or memory > 500))


if __name__ == "__main__":
    sys.exit(main())
