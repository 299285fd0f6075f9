"""What libsndfile does not know, decoded by the program ffmpeg where it is installed: a process that is kept short.

It may read this one file and nothing else: no playlist, no list of images, no network (``DEMUXERS``, files as the only
protocol). It may take as much processor time as its bytes explain, and no allocation over ``LARGEST``. It writes into
a pipe and nothing on disk; when whoever reads ends, even by being killed, its next write fails and it ends as well, on
Linux, macOS and Windows alike. The limit on processor time, which ends one that never writes, is not there on Windows.
"""

import contextlib
import os
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


@contextlib.contextmanager
def decoded(path: Path) -> Iterator[Decoded]:
    """Decode a regular file; the process has ended when the block ends.

    Raises:
        Undecodable: if ffmpeg is not here, or finds no sound
    """
    if (ffmpeg := program()) is None:
        raise Undecodable("needs the program ffmpeg, and that is not here")
    seconds, more = PROCESSOR
    limit = seconds + more * path.stat().st_size // 10**6
    command = [ffmpeg, "-nostdin", "-v", "quiet", "-timelimit", str(limit), "-max_alloc", str(LARGEST)]
    command += ["-threads", "1", "-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS)]
    source = b"file:" + os.fsencode(path.resolve()) if os.name == "posix" else f"file:{path.resolve()}"
    command += ["-vn", "-sn", "-dn", "-i", source, "-map", "0:a:0", "-map_metadata", "-1", "-max_error_rate", "0.05"]
    command += ["-threads", "1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603
        try:
            header = _read(process, HEADER)
            start, _, _, rate, channels = (int.from_bytes(header[at : at + 4], "big") for at in range(4, HEADER, 4))
            if len(header) < HEADER or header[:4] != b".snd" or not channels:
                raise Undecodable("holds no sound that ffmpeg can decode")
            _read(process, start - HEADER)
            yield Decoded(rate, channels, _blocks(process, channels))
        finally:
            process.kill()


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
