"""Decoding with the program ffmpeg, if it is installed, in a subprocess with limited rights, time and memory.

It can read this one file only: no playlists, image lists or network (``DEMUXERS``, ``file`` as the only protocol). Its
CPU time is limited by the size of the file, each allocation by ``MAX_ALLOCATION``. It writes to a pipe, not to disk: if
the reading process ends or is killed, the next write fails and ffmpeg ends, too. Windows has no limit on CPU time.
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
TIMEOUT = 20.0  # seconds for a block of sound
CPU_SECONDS = 20, 10  # seconds, and seconds for each megabyte of the file
MAX_ALLOCATION = 2**27  # bytes of one allocation
HEADER_BYTES = 24  # bytes of AU: mark, where the sound begins, its length, coding, rate, channels
BLOCK_VALUES = 2**18  # values at a time
NO_SOUND = "holds no sound that ffmpeg can decode"
LISTING = 2**20  # bytes of what ffmpeg says about a file
MOST_TRACKS = 8  # that are looked at
LOOKED_AT = 3600.0  # seconds of each
DAMAGED = "is truncated or damaged: it cannot be decoded to the end"


class DecodingError(Exception):
    """What ffmpeg cannot decode, or not in time; the message completes "the recording …"."""


@dataclass(frozen=True)
class DecodedAudio:
    """What ffmpeg makes of a file."""

    sampling_rate: int
    channels: int
    blocks: Iterator[np.ndarray]  # (samples, channels), float32; raises DecodingError


def find_program() -> str | None:
    """Return the path of ffmpeg, or None."""
    return shutil.which("ffmpeg")


def choose_track(path: Path, silent: float) -> tuple[int, int]:
    """Return the number of the first audio track that can be decoded and is not silent, from 0, and how many there are.

    Args:
        path: a regular file
        silent: share of the power of the loudest track up to which another one is silent

    Raises:
        DecodingError: if ffmpeg is not here, or finds no track
    """
    with _started([*_command(path), "-hide_banner", "-v", "info"], stderr=subprocess.STDOUT) as process:
        listed = _read(process, LISTING)
    count = len(re.findall(rb"^ +Stream #0:\d+[^\n]*: Audio:", listed, re.MULTILINE))
    if not count:
        raise DecodingError(NO_SOUND)
    if count == 1:
        return 0, 1
    powers = [_power(path, track) for track in range(min(count, MOST_TRACKS))]
    return next(track for track, power in enumerate(powers) if power >= silent * max(powers)), count


def _power(path: Path, track: int) -> float:
    """Return the power of a track without its offset; 0 if it cannot be decoded."""
    count, total, squares = 0, 0.0, 0.0
    try:
        with decode(path, track) as sound:
            for block in sound.blocks:
                values = block.astype(np.float64)
                count, total, squares = count + values.size, total + values.sum(), squares + np.square(values).sum()
                if count > LOOKED_AT * sound.sampling_rate * sound.channels:
                    break
    except DecodingError:
        return 0.0
    return max(0.0, squares / count - (total / count) ** 2) if count else 0.0


def _command(path: Path) -> list:
    """Return how ffmpeg is called to open a file."""
    if (ffmpeg := find_program()) is None:
        raise DecodingError("needs the program ffmpeg, which is not installed")
    base, per_megabyte = CPU_SECONDS
    limit = base + per_megabyte * path.stat().st_size // 10**6
    command = [ffmpeg, "-nostdin", "-v", "quiet", "-timelimit", str(limit), "-max_alloc", str(MAX_ALLOCATION)]
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
def decode(path: Path, track: int = 0) -> Iterator[DecodedAudio]:
    """Decode an audio track of a regular file, by default the first; the process has ended when the block ends.

    Raises:
        DecodingError: if ffmpeg is not here, or finds no sound
    """
    command = [*_command(path), "-map", f"0:a:{track}", "-map_metadata", "-1", "-max_error_rate", "0.05"]
    command += ["-threads", "1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    with _started(command) as process:
        header = _read(process, HEADER_BYTES)
        start, _, _, rate, channels = (int.from_bytes(header[at : at + 4], "big") for at in range(4, HEADER_BYTES, 4))
        if len(header) < HEADER_BYTES or header[:4] != b".snd" or not channels:
            raise DecodingError(NO_SOUND)
        _read(process, start - HEADER_BYTES)
        yield DecodedAudio(rate, channels, _blocks(process, channels))


def _blocks(process: subprocess.Popen, channels: int) -> Iterator[np.ndarray]:
    length = max(1, BLOCK_VALUES // channels)
    while content := _read(process, 4 * channels * length):
        values = np.frombuffer(content, ">f4", len(content) // 4)
        yield values[: len(values) // channels * channels].reshape(-1, channels).astype(np.float32)
    if process.wait(TIMEOUT):
        raise DecodingError(DAMAGED)


def _read(process: subprocess.Popen, count: int) -> bytes:
    """Return ``count`` bytes, fewer at the end; kill a process that does not write in time."""
    timed_out = threading.Event()

    def stop() -> None:
        timed_out.set()
        process.kill()

    timer = threading.Timer(TIMEOUT, stop)
    timer.daemon = True
    timer.start()
    try:
        stream: IO[bytes] = process.stdout
        content = stream.read(count)
    finally:
        timer.cancel()
    if timed_out.is_set():
        raise DecodingError(f"was not decoded in time (no output for {TIMEOUT:g} s)")
    return content
