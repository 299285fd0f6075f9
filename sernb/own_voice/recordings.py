"""Any recording → mono blocks at one rate, so that a recording of hours needs no more memory than one of seconds."""

import contextlib
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import numpy as np

from sernb.audio import LOUDEST, AudioError, Hertz, Seconds, fit_end, load, opened
from sernb.config import DataError, is_hidden

BY_FFMPEG = (".m4a", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".3gp")
KNOWN = (
    ".wav",
    ".wave",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".caf",
    ".w64",
    ".rf64",
    *BY_FFMPEG,
)
AT_ONCE: Seconds = 60.0  # recordings up to this length are read as clips of a corpus are
BLOCK: Seconds = 10.0
LONGEST: Seconds = 24 * 3600.0  # a header may lie


@dataclass(frozen=True)
class Recording:
    """What a file says of itself."""

    path: Path
    sampling_rate: Hertz
    channels: int
    seconds: Seconds


def files_named(names: Sequence[str]) -> list[Path]:
    """Return the files that paths, folders and patterns such as ``takes/*.wav`` name, each once, in order.

    Raises:
        DataError: if a folder or pattern holds no recording; a file that is missing is reported when it is read
    """
    files: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.suffix.lower() in KNOWN and each.is_file())
            found = [each for each in found if not any(map(is_hidden, each.relative_to(path).parts))]
        elif has_magic(name) and not path.exists():
            found = sorted(Path(each) for each in glob(str(path), recursive=True) if Path(each).is_file())
        else:
            found = [path]
        if not found:
            raise DataError(f"{name}: holds no recording; known are {' '.join(KNOWN)}")
        files |= dict.fromkeys(found)
    return list(files)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Give the file itself, or what ffmpeg makes of a format that libsndfile does not know; gone after the block.

    Raises:
        AudioError: if ffmpeg is needed and not here, or knows no better
    """
    if path.suffix.lower() not in BY_FFMPEG or not path.is_file() or path.stat().st_size == 0:
        yield path
        return
    program = shutil.which("ffmpeg")
    if program is None:
        found = f"is {path.suffix[1:]}, which needs the program ffmpeg, and that is not here"
        raise AudioError(path, "no-ffmpeg", found, "install ffmpeg, or convert the recording to WAV")
    with tempfile.TemporaryDirectory(prefix="sernb-") as folder:
        decoded = Path(folder) / "decoded.flac"
        # No protocol but files: a playlist in disguise must not fetch anything.
        command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-i", f"file:{path.resolve()}"]
        command += ["-map", "0:a:0", "-vn", "-ac", "1", "-t", str(LONGEST), "-c:a", "flac", str(decoded)]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        if done.returncode or not decoded.is_file() or decoded.stat().st_size == 0:
            raise AudioError(path, "unreadable", "holds no sound that ffmpeg can decode", "convert it to WAV")
        yield decoded


def about(path: Path, shown: Path) -> Recording:
    """Return what a file says of itself.

    Args:
        path: to be read
        shown: as which it is named in errors

    Raises:
        AudioError: as :func:`sernb.audio.opened`, or if it names more than 24 hours
    """
    with _named(shown), opened(path) as file:
        recording = Recording(shown, file.samplerate, file.channels, file.frames / file.samplerate)
    if recording.seconds > LONGEST:
        found = f"names a length of {recording.seconds / 3600:.0f} hours"
        raise AudioError(shown, "too-long", found, "cut it into parts of a day at most")
    return recording


def blocks(path: Path, recording: Recording, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield a recording as mono samples at ``sampling_rate``, float32; a short one in one block, as ``load`` reads it.

    Raises:
        AudioError: as :func:`sernb.audio.read`, also after some blocks where a file is damaged further on
    """
    with _named(recording.path):
        if recording.seconds <= AT_ONCE:
            yield load(path, sampling_rate)
        else:
            yield from _stream(path, sampling_rate)


def _stream(path: Path, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    import soundfile
    import soxr

    with opened(path) as file:
        expected, read, peak = file.frames, 0, 0.0
        change = soxr.ResampleStream(file.samplerate, sampling_rate, 1, "float32")
        left = math.ceil(expected * sampling_rate / file.samplerate)
        while read < expected:
            try:
                samples = file.read(int(BLOCK * file.samplerate), dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError, OSError) as error:
                at = f"is truncated or damaged after {read / file.samplerate:.1f} s"
                raise AudioError(path, "damaged", at, "record or export it again") from error
            if not len(samples):
                at = f"is truncated: {read} of {expected} samples are there"
                raise AudioError(path, "truncated", at, "record or export it again")
            read += len(samples)
            with np.errstate(over="ignore", invalid="ignore"):
                signal = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
            loudest = max(float(signal.max()), -float(signal.min()))
            if not loudest <= LOUDEST:
                found = f"holds samples that are no sound (NaN, infinite or far too large) after {read} samples"
                raise AudioError(path, "not-finite", found, "record or export it again")
            peak = max(peak, loudest)
            changed = change.resample_chunk(signal, last=read >= expected)
            changed = fit_end(changed, left) if read >= expected else changed[:left]
            left -= len(changed)
            yield changed
        if peak == 0.0:
            raise AudioError(path, "silent", "is pure silence (every sample is 0)", "record or export it again")


@contextlib.contextmanager
def _named(shown: Path) -> Iterator[None]:
    """Name the person's own file, not one that ffmpeg made of it, and say what helps with recordings of one's own."""
    try:
        yield
    except AudioError as error:
        found = str(error).partition(": ")[2].rpartition("; ")[0]
        advice = "check its name" if error.kind == "missing" else "record or export it again"
        raise AudioError(shown, error.kind, found, advice) from error
