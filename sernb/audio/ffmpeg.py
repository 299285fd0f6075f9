"""What libsndfile does not know, decoded by the program ffmpeg where it is installed: a process that is kept short.

It may read this one file and nothing else: no playlist, no list of images, no network (``DEMUXERS``, files as the only
protocol). It may take as much processor time as its bytes explain, and no allocation over ``LARGEST``. It writes into
a pipe and nothing on disk; when whoever reads ends, even by being killed, its next write fails and it ends as well, on
Linux, macOS and Windows alike. The limit on processor time, which ends one that never writes, is not there on Windows.
"""

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

DEMUXERS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts", "dtshd", "eac3", "flac",
    "flv", "loas", "matroska", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "ogg", "rm", "sox", "tak", "tta", "voc",
    "w64", "wav", "webm", "wv",
)  # fmt: skip
STALLED = 20.0  # seconds for a block of sound
PROCESSOR = 20, 10  # seconds, and seconds for each megabyte of the file
LARGEST = 2**27  # bytes of one allocation
HEADER = 24  # bytes of AU: mark, where the sound begins, its length, coding, rate, channels
BLOCK = 2**18  # values at a time
NO_SOUND = "holds no sound that ffmpeg can decode"
LISTING = 2**20  # bytes of what ffmpeg says about a file
MOST_TRACKS = 8  # that are looked at
LOOKED_AT = 3600.0  # seconds of each


class Undecodable(Exception):  # noqa: N818
    """What ffmpeg cannot decode, or not in time; the message completes "the recording …"."""


@dataclass(frozen=True)
class Decoded:
    """What ffmpeg makes of a file."""

    sampling_rate: int
    channels: int
    blocks: Iterator[np.ndarray]  # (samples, channels), float32; raises Undecodable


def program() -> str | None:
    """Return where ffmpeg is installed, or nothing."""
    return shutil.which("ffmpeg")


def choose_track(path: Path, silent: float) -> tuple[int, int]:
    """Return the number of the first audio track that can be decoded and is not silent, from 0, and how many there are.

    Args:
        path: a regular file
        silent: share of the power of the loudest track up to which another one is silent

    Raises:
        Undecodable: if ffmpeg is not here, or finds no track
    """
    with _started([*_command(path), "-hide_banner", "-v", "info"], stderr=subprocess.STDOUT) as process:
        listed = _read(process, LISTING)
    count = len(re.findall(rb"^ +Stream #0:\d+[^\n]*: Audio:", listed, re.MULTILINE))
    if not count:
        raise Undecodable(NO_SOUND)
    if count == 1:
        return 0, 1
    powers = [_power(path, track) for track in range(min(count, MOST_TRACKS))]
    return next(track for track, power in enumerate(powers) if power >= silent * max(powers)), count


def _power(path: Path, track: int) -> float:
    """Return the power of a track without its offset; 0 if it cannot be decoded."""
    count, total, squares = 0, 0.0, 0.0
    try:
        with decoded(path, track) as sound:
            for block in sound.blocks:
                values = block.astype(np.float64)
                count, total, squares = count + values.size, total + values.sum(), squares + np.square(values).sum()
                if count > LOOKED_AT * sound.sampling_rate * sound.channels:
                    break
    except Undecodable:
        return 0.0
    return max(0.0, squares / count - (total / count) ** 2) if count else 0.0


def _command(path: Path) -> list:
    """Return how ffmpeg is called to open a file."""
    if (ffmpeg := program()) is None:
        raise Undecodable("needs the program ffmpeg, and that is not here")
    seconds, more = PROCESSOR
    limit = seconds + more * path.stat().st_size // 10**6
    command = [ffmpeg, "-nostdin", "-v", "quiet", "-timelimit", str(limit), "-max_alloc", str(LARGEST)]
    command += ["-threads", "1", "-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS)]
    source = b"file:" + os.fsencode(path.resolve()) if os.name == "posix" else f"file:{path.resolve()}"
    return [*command, "-vn", "-sn", "-dn", "-i", source]


@contextlib.contextmanager
def _started(command: list, *, stderr: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
    """Start ffmpeg; it has ended when the block ends."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def decoded(path: Path, track: int = 0) -> Iterator[Decoded]:
    """Decode an audio track of a regular file, by default the first; the process has ended when the block ends.

    Raises:
        Undecodable: if ffmpeg is not here, or finds no sound
    """
    command = [*_command(path), "-map", f"0:a:{track}", "-map_metadata", "-1", "-max_error_rate", "0.05"]
    command += ["-threads", "1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    with _started(command) as process:
        header = _read(process, HEADER)
        start, _, _, rate, channels = (int.from_bytes(header[at : at + 4], "big") for at in range(4, HEADER, 4))
        if len(header) < HEADER or header[:4] != b".snd" or not channels:
            raise Undecodable(NO_SOUND)
        _read(process, start - HEADER)
        yield Decoded(rate, channels, _blocks(process, channels))


def _blocks(process: subprocess.Popen, channels: int) -> Iterator[np.ndarray]:
    length = max(1, BLOCK // channels)
    while content := _read(process, 4 * channels * length):
        values = np.frombuffer(content, ">f4", len(content) // 4)
        yield values[: len(values) // channels * channels].reshape(-1, channels).astype(np.float32)
    if process.wait(STALLED):
        raise Undecodable("is truncated or damaged: its sound cannot be decoded to the end")


def _read(process: subprocess.Popen, count: int) -> bytes:
    """Return so many bytes, fewer at the end; a process that does not write in time is ended."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(STALLED, stop)
    timer.daemon = True
    timer.start()
    try:
        stream: IO[bytes] = process.stdout
        content = stream.read(count)
    finally:
        timer.cancel()
    if late.is_set():
        raise Undecodable(f"is not decoded in time ({STALLED:g} s without sound)")
    return content
