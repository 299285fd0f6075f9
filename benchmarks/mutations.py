"""Read thousands of corrupted recordings: each must give a valid signal or one clear error.

``python -m benchmarks.mutations`` prints the outcomes. The exit code is 1 if a file crashed or blocked the reader,
exceeded the limits on time or memory, left a file or a process behind, or gave anything but a valid signal or a
one-line error with the name of the file. ``--through predict`` uses the bundled model, and also formats that need
ffmpeg.
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

from sernb.audio.decoders import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE, AudioError
from sernb.audio.reading import MAX_AMPLITUDE, MIN_SECONDS, read
from sernb.config import ROOT, recordings_folder
from sernb.prediction.formats import as_json
from sernb.prediction.loading import load_model
from sernb.prediction.predict import predict

LONGEST_SECONDS = {"read": 1.0, "predict": 30.0}  # of processor time per file, which does not depend on other load
MOST_BYTES = 500_000_000
HANGS_AFTER = {"read": 20.0, "predict": 120.0}  # seconds of wall-clock time
MOST_SAMPLES_A_BYTE = 8192  # a FLAC frame of silence: 65,535 samples in some 14 bytes

MADE = (
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("WAV", "IMA_ADPCM"),
    ("WAV", "ULAW"), ("WAVEX", "PCM_16"), ("WAVEX", "FLOAT"), ("W64", "PCM_16"), ("RF64", "PCM_16"), ("AU", "PCM_16"),
    ("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
)  # fmt: skip
REAL = (
    "ravdess/Actor_12/03-01-06-01-02-01-12.wav",  # chunks before and after the samples
    "ravdess/Actor_01/03-01-02-01-01-02-01.wav",  # stereo
    "tess/YAF_angry/YAF_germ_angry.wav",  # AIFF
    "tess/OAF_Fear/OAF_food_fear.wav",  # 96 kHz
)
BY_FFMPEG = (  # output name and options; files from a pipe do not declare their length
    ("a.m4a", "aac"), ("fast.m4a", "aac -movflags +faststart"), ("parts.mp4", "aac -movflags frag_keyframe+empty_moov"),
    ("a.mov", "aac"), ("a.aac", "aac"), ("a.m4a", "alac"), ("a.webm", "libopus -ar 48000"), ("a.mka", "libvorbis"),
    ("pipe.webm", "libopus -ar 48000"), ("a.ogg", "flac"), ("a.spx", "libspeex"), ("a.wma", "wmav2"), ("a.ac3", "ac3"),
    ("pipe.mp3", "libmp3lame"), ("pipe.flac", "flac"), ("pipe.wav", "pcm_s16le"), ("a.wav", "libmp3lame"),
    ("a.wav", "adpcm_ms"), ("a.wav", "adpcm_g726 -ar 8000"), ("a.wav", "libgsm_ms -ar 8000"), ("a.flv", "aac"),
)  # fmt: skip
SUFFIXES = (".wav", ".m4a", ".mp3", ".ogg", ".webm", ".aac", ".flac", ".mov")  # must not matter
NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4000, 65_535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def seeds(data: Path) -> dict[str, bytes]:
    """Return intact recordings: one of the demo corpus, one of each container, and available real ones."""
    demo = min((ROOT / "data" / "demo").rglob("*.flac"))
    originals = {"demo": demo.read_bytes()}
    time_ = np.arange(8000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_) + 0.01 * np.random.default_rng(0).standard_normal(8000)
    for container, subtype in MADE:
        for channels in (1, 2):
            file = io.BytesIO()
            soundfile.write(file, np.tile(tone[:, None], channels), 16_000, format=container, subtype=subtype)
            originals[f"{container} {subtype} {channels}"] = file.getvalue()
    return originals | {name: (data / name).read_bytes() for name in REAL if (data / name).exists()}


def seeds_by_ffmpeg(folder: Path) -> dict[str, bytes]:
    """Return recordings written by ffmpeg in the formats that it supports here; empty if it is not installed."""
    program, originals = shutil.which("ffmpeg"), {}
    demo = min((ROOT / "data" / "demo").rglob("*.flac"))
    for name, options in BY_FFMPEG if program else ():
        codec, *more = options.split()
        path = folder / name
        target = ["-f", path.suffix[1:], "pipe:1"] if name.startswith("pipe.") else [str(path)]
        command = [program, "-v", "error", "-y", "-i", demo, "-vn", "-t", "1", "-c:a", codec, *more, *target]
        process = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        if not process.returncode:
            originals[f"{name} {options}"] = process.stdout if name.startswith("pipe.") else path.read_bytes()
        path.unlink(missing_ok=True)
    return originals


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the recording with one to three mutations, most of them in its header."""
    mutated = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        mutation = MUTATIONS[rng.integers(len(MUTATIONS))]
        mutation(mutated, rng)
    return bytes(mutated)


def _flip_in_header(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        if content:
            content[rng.integers(min(len(content), 128))] ^= 1 << rng.integers(8)


def _flip_anywhere(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 33)):
        if content:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def _number_in_header(content: bytearray, rng: np.random.Generator) -> None:
    """Replace a length, sampling rate or number of channels by 0, a huge or an odd number."""
    start = int(rng.integers(max(1, min(len(content), 128))))
    _put_number(content, start, rng)


def _number_after_name(content: bytearray, rng: np.random.Generator) -> None:
    """Replace the length of a chunk anywhere in the file."""
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
    """Swap two parts of the file."""
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
            return _predict(path)
        signal, sampling_rate = read(path)
    except AudioError as error:
        clear = len(error.args) == 1 and "\n" not in str(error) and str(error).startswith(f"{path}: ")
        return error.kind if clear and error.kind else f"VIOLATION: no clear error: {error!r}"
    except BaseException as error:  # noqa: BLE001, RUF100 - any other error is a violation
        return f"VIOLATION: {type(error).__name__}: {error}"
    size = path.stat().st_size
    checks = {
        "float32": signal.dtype == np.float32,
        "one channel": signal.ndim == 1,
        "finite": bool(np.isfinite(signal).all()),
        "not too loud": bool((np.abs(signal) <= MAX_AMPLITUDE).all()),
        "sampling rate": MIN_SAMPLING_RATE <= sampling_rate <= MAX_SAMPLING_RATE,
        "long enough": len(signal) >= MIN_SECONDS * sampling_rate,
        "not longer than its bytes": len(signal) <= MOST_SAMPLES_A_BYTE * size,
    }
    failed = [name for name, passed in checks.items() if not passed]
    return f"VIOLATION: no valid signal: not {', '.join(failed)}" if failed else "valid"


def _predict(path: Path) -> str:
    prediction = predict(_bundled(), path, timeline=True)
    scores = prediction.scores
    is_valid = np.isfinite(scores).all() and abs(scores.sum() - 1) < 1e-6 and prediction.seconds >= MIN_SECONDS
    json.loads(as_json([(path, prediction)]))
    return "valid" if is_valid else f"VIOLATION: no valid prediction: {scores}"


_bundled = cache(load_model)


@dataclass(frozen=True)
class Reading:
    """The outcome of reading one corrupted recording."""

    seed: str
    number: int
    outcome: str
    seconds: float
    peak: int  # bytes, peak memory of the reading process so far


def run(files: int, seed: int, data: Path, through: str = "read") -> list[Reading]:
    """Corrupt and read ``files`` recordings in a separate process, which is replaced if it dies or hangs.

    Args:
        through: ``read`` for the reader alone, ``predict`` for the bundled model
    """
    readings: list[Reading] = []
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        originals = (seeds_by_ffmpeg(Path(folder)) if through == "predict" else {}) | seeds(data)
        while len(readings) < files:
            receiver, sender = context.Pipe(duplex=False)
            first = len(readings)
            process = context.Process(
                target=_work, args=(sender, originals, seed, first, files, folder, through), daemon=True
            )
            process.start()
            sender.close()
            try:
                while len(readings) < files:
                    received = receiver.poll(HANGS_AFTER[through])
                    readings.append(receiver.recv() if received else _lost(originals, len(readings), "hangs"))
                    if not received:
                        break
            except EOFError:
                process.join()
                readings.append(_lost(originals, len(readings), f"the process ended with {process.exitcode}"))
            process.kill()
            process.join()
    return readings


def _lost(originals: dict[str, bytes], number: int, problem: str) -> Reading:
    return Reading(list(originals)[number % len(originals)], number, f"VIOLATION: {problem}", math.inf, 0)


def _work(connection, originals: dict[str, bytes], seed: int, first: int, last: int, folder: str, through: str) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libsndfile's decoders write warnings to standard error
    names, temporary = list(originals), Path(folder) / "temporary"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    for number in range(first, last):
        name = names[number % len(names)]
        path = Path(folder) / f"spoiled{SUFFIXES[number % len(SUFFIXES)]}"
        path.write_bytes(mutate(originals[name], np.random.default_rng([seed, number])))
        started = _processor_time()
        result = outcome(path, through)
        seconds = _processor_time() - started
        path.unlink()
        peak = _peak_memory()
        if seconds > LONGEST_SECONDS[through]:
            result = f"VIOLATION: took {seconds:.1f} s"
        if peak > MOST_BYTES:
            result = f"VIOLATION: took {peak / 1e6:.0f} MB"
        if any(temporary.iterdir()) or _has_children():
            result = f"VIOLATION: left {[each.name for each in temporary.iterdir()] or 'a process'} behind"
        connection.send(Reading(name, number, result, seconds, peak))


def _processor_time() -> float:
    """Return the processor time, in s, of this process and its children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _has_children() -> bool:
    if os.name != "posix":
        return False
    try:
        return os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        return False


def _peak_memory() -> int:
    """Return the peak memory, in bytes, of this process or one of its children."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():  # getrusage would include the memory of the parent when it started this process
        own = 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text("utf-8"))[1])
        return max(own, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    """Corrupt and read recordings, and print the outcomes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description="Read corrupted recordings.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--through", choices=list(HANGS_AFTER), default="read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder with real recordings")
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
