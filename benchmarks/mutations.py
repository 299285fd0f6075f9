"""Read thousands of spoiled recordings: each must end in a valid signal or in one clear error.

``python -m benchmarks.mutations`` prints what came out. It ends with 1 if a file crashed or stopped the reader, took
more time or memory than it may, left a file or a process behind, or ended in anything else than a valid signal or one
line that names the file. ``--through predict`` asks the bundled model, of formats that need ffmpeg as well.
"""

import argparse
import io
import json
import math
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from sernb.audio.decoders import FASTEST, SLOWEST, AudioError
from sernb.audio.reading import LOUDEST, SHORTEST, read
from sernb.config import ROOT, recordings_folder
from sernb.prediction.formats import as_json
from sernb.prediction.loading import load_model
from sernb.prediction.predict import predict

LONGEST_SECONDS = {"read": 1.0, "predict": 30.0}  # of one file, in processor time: it does not depend on other work
MOST_BYTES = 500_000_000
HANGS_AFTER = {"read": 20.0, "predict": 120.0}  # seconds on the clock
MOST_SAMPLES_A_BYTE = 8192  # a FLAC frame of silence: 65,535 samples in some 14 bytes

MADE = (
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("WAV", "IMA_ADPCM"),
    ("WAV", "ULAW"), ("WAVEX", "PCM_16"), ("WAVEX", "FLOAT"), ("W64", "PCM_16"), ("RF64", "PCM_16"), ("AU", "PCM_16"),
    ("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
)  # fmt: skip
REAL = (
    "ravdess/Actor_12/03-01-06-01-02-01-12.wav",  # chunks before and after the sound
    "ravdess/Actor_01/03-01-02-01-01-02-01.wav",  # stereo
    "tess/YAF_angry/YAF_germ_angry.wav",  # AIFF
    "tess/OAF_Fear/OAF_food_fear.wav",  # 96 kHz
)
BY_FFMPEG = (  # what it writes, and how; from a pipe: a length is nowhere named
    ("a.m4a", "aac"), ("fast.m4a", "aac -movflags +faststart"), ("parts.mp4", "aac -movflags frag_keyframe+empty_moov"),
    ("a.mov", "aac"), ("a.aac", "aac"), ("a.m4a", "alac"), ("a.webm", "libopus -ar 48000"), ("a.mka", "libvorbis"),
    ("pipe.webm", "libopus -ar 48000"), ("a.ogg", "flac"), ("a.spx", "libspeex"), ("a.wma", "wmav2"), ("a.ac3", "ac3"),
    ("pipe.mp3", "libmp3lame"), ("pipe.flac", "flac"), ("pipe.wav", "pcm_s16le"), ("a.wav", "libmp3lame"),
    ("a.wav", "adpcm_ms"), ("a.wav", "adpcm_g726 -ar 8000"), ("a.wav", "libgsm_ms -ar 8000"), ("a.flv", "aac"),
)  # fmt: skip
SUFFIXES = (".wav", ".m4a", ".mp3", ".ogg", ".webm", ".aac", ".flac", ".mov")  # which must not matter
NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4000, 65_535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def seeds(data: Path) -> dict[str, bytes]:
    """Return whole recordings to spoil: one of the demo corpus, one of each container, real ones that are there."""
    demo = min((ROOT / "data" / "demo").rglob("*.flac"))
    found = {"demo": demo.read_bytes()}
    time_ = np.arange(8000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_) + 0.01 * np.random.default_rng(0).standard_normal(8000)
    for container, subtype in MADE:
        for channels in (1, 2):
            made = io.BytesIO()
            soundfile.write(made, np.tile(tone[:, None], channels), 16_000, format=container, subtype=subtype)
            found[f"{container} {subtype} {channels}"] = made.getvalue()
    return found | {name: (data / name).read_bytes() for name in REAL if (data / name).exists()}


def seeds_by_ffmpeg(folder: Path) -> dict[str, bytes]:
    """Return recordings as ffmpeg writes them, of the formats that it has here; none where it is not installed."""
    program, found = shutil.which("ffmpeg"), {}
    demo = min((ROOT / "data" / "demo").rglob("*.flac"))
    for name, how in BY_FFMPEG if program else ():
        codec, *more = how.split()
        path = folder / name
        target = ["-f", path.suffix[1:], "pipe:1"] if name.startswith("pipe.") else [str(path)]
        command = [program, "-v", "error", "-y", "-i", demo, "-vn", "-t", "1", "-c:a", codec, *more, *target]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        if not done.returncode:
            found[f"{name} {how}"] = done.stdout if name.startswith("pipe.") else path.read_bytes()
        path.unlink(missing_ok=True)
    return found


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the recording with one to three things spoiled, most of them in its header."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        change = MUTATIONS[rng.integers(len(MUTATIONS))]
        change(changed, rng)
    return bytes(changed)


def _flip_in_header(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        if content:
            content[rng.integers(min(len(content), 128))] ^= 1 << rng.integers(8)


def _flip_anywhere(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 33)):
        if content:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def _number_in_header(content: bytearray, rng: np.random.Generator) -> None:
    """A length, sampling rate or number of channels that is 0, huge or odd."""
    start = int(rng.integers(max(1, min(len(content), 128))))
    _put_number(content, start, rng)


def _number_after_name(content: bytearray, rng: np.random.Generator) -> None:
    """The length of a chunk, wherever in the file the chunk is."""
    names = [match.end() for match in re.finditer(rb"[A-Za-z_.][A-Za-z0-9_ ]{3}", bytes(content[:6000]))]
    if names:
        _put_number(content, names[rng.integers(len(names))], rng)


def _put_number(content: bytearray, start: int, rng: np.random.Generator) -> None:
    value = NUMBERS[rng.integers(len(NUMBERS))] if rng.random() < 0.7 else int(rng.integers(1 << 32))
    width = int(rng.choice([2, 4, 8]))
    number = (value % (1 << 8 * width)).to_bytes(width, "big" if rng.random() < 0.5 else "little")
    content[start : start + width] = number


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(len(content) * rng.random() ** 2) :]


def _append(content: bytearray, rng: np.random.Generator) -> None:
    content += rng.bytes(int(rng.integers(1, 5000)))


def _remove(content: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(content) + 1))
    del content[start : start + int(rng.integers(1, 200))]


def _insert(content: bytearray, rng: np.random.Generator) -> None:
    start = int(min(len(content), 200) * rng.random())
    content[start:start] = bytes(int(rng.integers(1, 200))) if rng.random() < 0.5 else rng.bytes(50)


def _swap(content: bytearray, rng: np.random.Generator) -> None:
    """Chunks in another order."""
    first, second, third = sorted(int(place) for place in rng.integers(min(len(content), 6000) + 1, size=3))
    content[first:third] = content[second:third] + content[first:second]


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(min(len(content), 200) + 1))
    content[start:start] = content[start : start + int(rng.integers(1, 300))]


def _blank(content: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(content) + 1))
    width = min(int(rng.integers(1, 4000)), len(content) - start)
    content[start : start + width] = bytes([int(rng.choice([0, 255]))]) * width


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip_in_header, _flip_in_header, _number_in_header, _number_in_header, _number_after_name, _number_after_name,
    _flip_anywhere, _cut, _append, _remove, _insert, _swap, _repeat, _blank,
)  # fmt: skip


def outcome(path: Path, through: str = "read") -> str:
    """Return ``valid``, the kind of the error, or ``VIOLATION: …``."""
    try:
        if through == "predict":
            return _answer(path)
        signal, sampling_rate = read(path)
    except AudioError as error:
        clear = len(error.args) == 1 and "\n" not in str(error) and str(error).startswith(f"{path}: ")
        return error.kind if clear and error.kind else f"VIOLATION: no clear error: {error!r}"
    except BaseException as error:  # noqa: BLE001, RUF100 - whatever it is: the reader must not let it through
        return f"VIOLATION: {type(error).__name__}: {error}"
    size = path.stat().st_size
    sane = {
        "float32": signal.dtype == np.float32,
        "one channel": signal.ndim == 1,
        "finite": bool(np.isfinite(signal).all()),
        "not too loud": bool((np.abs(signal) <= LOUDEST).all()),
        "sampling rate": SLOWEST <= sampling_rate <= FASTEST,
        "long enough": len(signal) >= SHORTEST * sampling_rate,
        "not longer than its bytes": len(signal) <= MOST_SAMPLES_A_BYTE * size,
    }
    wrong = [name for name, holds in sane.items() if not holds]
    return f"VIOLATION: no valid signal: not {', '.join(wrong)}" if wrong else "valid"


def _answer(path: Path) -> str:
    found = predict(_bundled(), path, timeline=True)
    sane = np.isfinite(found.scores).all() and abs(found.scores.sum() - 1) < 1e-6 and found.seconds >= SHORTEST
    json.loads(as_json([(path, found)]))
    return "valid" if sane else f"VIOLATION: no valid answer: {found.scores}"


_bundled = cache(load_model)


@dataclass(frozen=True)
class Reading:
    """What became of one spoiled recording."""

    seed: str
    number: int
    outcome: str
    seconds: float
    peak: int  # bytes of memory that the reading process has held at most, up to now


def run(files: int, seed: int, data: Path, through: str = "read") -> list[Reading]:
    """Spoil and read ``files`` recordings in a process of their own; one that dies or hangs is replaced.

    Args:
        through: ``read`` for the reader alone, ``predict`` for the answer of the bundled model
    """
    readings: list[Reading] = []
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        originals = (seeds_by_ffmpeg(Path(folder)) if through == "predict" else {}) | seeds(data)
        while len(readings) < files:
            here, there = context.Pipe(duplex=False)
            first = len(readings)
            process = context.Process(
                target=_work, args=(there, originals, seed, first, files, folder, through), daemon=True
            )
            process.start()
            there.close()
            try:
                while len(readings) < files:
                    waited = here.poll(HANGS_AFTER[through])
                    readings.append(here.recv() if waited else _lost(originals, len(readings), "hangs"))
                    if not waited:
                        break
            except EOFError:
                process.join()
                readings.append(_lost(originals, len(readings), f"the process ended with {process.exitcode}"))
            process.kill()
            process.join()
    return readings


def _lost(originals: dict[str, bytes], number: int, how: str) -> Reading:
    return Reading(list(originals)[number % len(originals)], number, f"VIOLATION: {how}", math.inf, 0)


def _work(connection, originals: dict[str, bytes], seed: int, first: int, last: int, folder: str, through: str) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libsndfile's decoders complain there
    names, left = list(originals), Path(folder) / "temporary"
    left.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(left)
    for number in range(first, last):
        name = names[number % len(names)]
        path = Path(folder) / f"spoiled{SUFFIXES[number % len(SUFFIXES)]}"
        path.write_bytes(mutated(originals[name], np.random.default_rng([seed, number])))
        started = _processor_time()
        found = outcome(path, through)
        seconds = _processor_time() - started
        path.unlink()
        peak = _most_memory()
        if seconds > LONGEST_SECONDS[through]:
            found = f"VIOLATION: took {seconds:.1f} s"
        if peak > MOST_BYTES:
            found = f"VIOLATION: took {peak / 1e6:.0f} MB"
        if any(left.iterdir()) or _has_children():
            found = f"VIOLATION: left {[each.name for each in left.iterdir()] or 'a process'} behind"
        connection.send(Reading(name, number, found, seconds, peak))


def _processor_time() -> float:
    """Return the seconds that this process and those that it started have taken."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _has_children() -> bool:
    if os.name != "posix":
        return False
    try:
        return os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        return False


def _most_memory() -> int:
    """Return the most bytes of memory that this process, or one that it started, has held."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it made this process
        own = 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text("utf-8"))[1])
        return max(own, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    """Spoil, read, print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description="Read spoiled recordings.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--through", choices=list(HANGS_AFTER), default="read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder with the recordings, for real ones beside the made ones")
    options = parser.parse_args()
    readings = run(options.files, options.seed, options.data or recordings_folder(), options.through)
    counts = Counter(reading.outcome.partition(":")[0] for reading in readings)
    print(pd.Series(dict(counts.most_common()), name="files").to_string())
    slowest = max(readings, key=lambda reading: reading.seconds)
    violations = [reading for reading in readings if reading.outcome.startswith("VIOLATION")]
    print(f"{len(readings)} files, seed {options.seed}, made from {len({reading.seed for reading in readings})}")
    print(f"slowest: {slowest.seconds:.3f} s of processor time (file {slowest.number}, from {slowest.seed})")
    print(f"most memory: {max(reading.peak for reading in readings) / 1e6:.0f} MB")
    print(f"violations: {len(violations)}")
    for reading in violations[:20]:
        print(f"    file {reading.number}, from {reading.seed}: {reading.outcome}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
