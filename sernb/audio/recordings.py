"""Find the recordings that files, folders, patterns or arrays denote, and read them in blocks of bounded memory."""

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TypeVar

import numpy as np

from sernb.audio import reading
from sernb.audio.decoders import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE, AudioError, Hertz, Seconds
from sernb.audio.reading import Recording, fit_end
from sernb.config import DataError, expand_home, is_hidden

# Recordings are found by suffix; their format is detected from the content.
AUDIO_SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64",
    ".m4a", ".mp4", ".mov", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".3gp",
)  # fmt: skip
MAX_SECONDS_IN_MEMORY: Seconds = 60.0
RECORD = "record or export it again"
OWN_ADVICE = {"see `sernb check`": "check its name", reading.DOWNLOAD_AGAIN: RECORD, reading.LEAVE_OUT: RECORD}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Source:
    """A recording given as file or array."""

    path: Path  # of an array: its name in messages
    read: Callable[[], Recording]  # raises DataError

    @property
    def name(self) -> str:
        """Return the path as text; bytes of names that are not UTF-8 in hexadecimal."""
        return printable(self.path)

    def use(self, function: Callable[[Recording], Result]) -> Result | DataError:
        """Read the recording and return the result of a function of it, or the error."""
        try:
            return function(self.read())
        except DataError as error:
            return error
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "it does not fit into memory"
            return DataError(f"{self.path}: cannot be read ({reason}); check it and try again")


def printable(value: object) -> str:
    """Return valid UTF-8 text; bytes of names that are not UTF-8 in hexadecimal."""
    with contextlib.suppress(UnicodeEncodeError):
        return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates


def list_sources(given: object, sampling_rate: Hertz | None = None) -> list[Source]:
    """Return the given recordings in order; repeated ones are kept, and unusable ones raise their error when read.

    Args:
        given: a file, folder or pattern, or an array of samples (:func:`sernb.audio.reading.examine_array`); or several
            of them, such as a list or a column of a table; or a table with a column ``file``, such as that of a corpus
        sampling_rate: of the arrays, hertz

    Raises:
        DataError: if arrays have no valid sampling rate, or an item is neither path nor array
    """
    if hasattr(given, "columns"):
        if "file" not in given.columns:
            raise DataError(f"a table with the columns {', '.join(map(str, given.columns)):.60}: has no column file")
        given = given["file"]
    if isinstance(given, str | bytes | os.PathLike) or _is_array(given):
        given = [given]
    elif not isinstance(given, Iterable) or isinstance(given, Mapping) or getattr(given, "ndim", 1) != 1:
        raise DataError(_describe_unusable(given))
    sources: list[Source] = []
    for number, each in enumerate(given):
        if _is_array(each):
            name, rate = f"array {number}", _check_rate(sampling_rate)
            sources.append(Source(Path(name), functools.partial(reading.examine_array, each, rate, name)))
        elif _is_missing(each):
            sources.append(_unusable(Path(f"recording {number}"), DataError(f"recording {number}: no file is named")))
        elif isinstance(each, str | bytes | os.PathLike):
            sources += _list_files(os.fsdecode(each))
        else:
            raise DataError(_describe_unusable(each))
    return sources


def _is_array(given: object) -> bool:
    """Return whether this is a numeric array with at least one axis, not a column of a table."""
    dtype = getattr(given, "dtype", "")
    dtype = str(getattr(dtype, "name", dtype))  # "int16" in any byte order
    numeric = any(name in dtype for name in ("float", "int", "complex", "bool"))
    return numeric and hasattr(given, "__array__") and bool(getattr(given, "shape", ())) and not hasattr(given, "index")


def _is_missing(given: object) -> bool:
    """Return whether this is a missing value: None, "", NaN, or those of pandas."""
    empty = isinstance(given, str | bytes) and not given
    nan = isinstance(given, float) and math.isnan(given)
    return given is None or empty or nan or type(given).__name__ in ("NAType", "NaTType")


def _describe_unusable(given: object) -> str:
    shown = " ".join(repr(given).split())
    return (
        f"{type(given).__name__} {shown:.40}: is neither the path of a recording nor a NumPy array of samples; give "
        "one of these, or a list of them"
    )


def _check_rate(rate: object) -> Hertz:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if not isinstance(rate, str | bytes) and rate == int(rate) and MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
            return int(rate)
    raise DataError(
        f"sampling_rate={rate!r:.40}: arrays need their sampling rate in hertz, an integer from {MIN_SAMPLING_RATE} to "
        f"{MAX_SAMPLING_RATE}; give it, for example as sampling_rate=16000"
    )


def _list_files(name: str) -> list[Source]:
    try:
        return [Source(path, functools.partial(examine_recording, path)) for path in find_recordings([name])]
    except DataError as error:
        return [_unusable(Path(name), error)]
    except OSError as error:  # the name is too long, or the folder must not be searched
        problem = DataError(f"{name!r:.80}: cannot be read ({error.strerror}); check its name and rights")
        return [_unusable(Path(name), problem)]


def _unusable(path: Path, error: DataError) -> Source:
    def read() -> Recording:
        raise error

    return Source(path, read)


def find_recordings(names: Sequence[str]) -> list[Path]:
    """Return the files of paths, folders and patterns such as ``recordings/*.wav``, each once, in order.

    Raises:
        DataError: if a folder or pattern holds no recording; a missing file is reported when it is read
    """
    files: dict[Path, None] = {}
    for name in names:
        path = expand_home(name)
        if path.is_dir():
            paths = sorted(each for each in path.rglob("*") if each.suffix.lower() in AUDIO_SUFFIXES and each.is_file())
            paths = [each for each in paths if not any(map(is_hidden, each.relative_to(path).parts))]
        elif has_magic(name) and not path.exists():
            paths = sorted(Path(each) for each in glob(str(path), recursive=True) if Path(each).is_file())
        else:
            paths = [path]
        if not paths:
            raise DataError(f"{name}: holds no recording; known are {' '.join(AUDIO_SUFFIXES)}")
        files |= dict.fromkeys(paths)
    return list(files)


def examine_recording(path: Path) -> Recording:
    """Decode and check a recording of the user.

    Raises:
        AudioError: as :func:`sernb.audio.reading.examine`, with advice for the user's own recordings
    """
    with _with_own_advice():
        return reading.examine(path, keep_up_to=MAX_SECONDS_IN_MEMORY)


def read_blocks(recording: Recording, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield a recording as mono samples at ``sampling_rate``, float32; a short one in one block, equal to ``load``.

    Raises:
        AudioError: if the file has changed since it was examined
    """
    import soxr

    if recording.signal is not None:
        yield reading.resample(recording.signal, original_rate=recording.sampling_rate, sampling_rate=sampling_rate)
        return
    resampler = soxr.ResampleStream(recording.sampling_rate, sampling_rate, 1, "float32")
    left, read = math.ceil(recording.samples * sampling_rate / recording.sampling_rate), 0
    with _with_own_advice():
        for signal in reading.blocks(recording):
            read += len(signal)
            last = read >= recording.samples
            resampled = resampler.resample_chunk(signal, last=last)
            resampled = fit_end(resampled, left) if last else resampled[:left]
            left -= len(resampled)
            yield resampled


@contextlib.contextmanager
def _with_own_advice() -> Iterator[None]:
    """Replace advice to download again, which does not apply to the user's own recordings."""
    try:
        yield
    except AudioError as error:
        raise AudioError(error.path, error.kind, error.problem, OWN_ADVICE.get(error.advice, error.advice)) from error
