"""Files, folders, patterns, arrays → recordings → mono blocks at one rate: hours need no more memory than seconds."""

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
from sernb.audio.decoders import FASTEST, SLOWEST, AudioError, Hertz, Seconds
from sernb.audio.reading import Recording, fit_end
from sernb.config import DataError, expand_home, is_hidden

# What recordings are called; what they are, their content says.
KNOWN = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64",
    ".m4a", ".mp4", ".mov", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".3gp",
)  # fmt: skip
AT_ONCE: Seconds = 60.0  # recordings up to this length are read as clips of a corpus are
ANEW = "record or export it again"
ADVICE = {"see `sernb check`": "check its name", reading.AGAIN: ANEW, reading.SILENCE: ANEW}

Used = TypeVar("Used")


@dataclass(frozen=True)
class Source:
    """A recording that was asked for."""

    path: Path  # of an array: what messages call it
    read: Callable[[], Recording]  # raises DataError

    @property
    def name(self) -> str:
        """Return the path as text; bytes of names that are not UTF-8 in hexadecimal."""
        return printable(self.path)

    def use(self, what: Callable[[Recording], Used]) -> Used | DataError:
        """Return what is made of the recording, or what is wrong with it."""
        try:
            return what(self.read())
        except DataError as error:
            return error
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "it does not fit into memory"
            return DataError(f"{self.path}: cannot be read ({reason}); check it and try again")


def printable(value: object) -> str:
    """Return text that any file or program takes; bytes of names that are not UTF-8 in hexadecimal."""
    with contextlib.suppress(UnicodeEncodeError):
        return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")  # halves of letters, which name no file


def list_sources(given: object, sampling_rate: Hertz | None = None) -> list[Source]:
    """Return the recordings that are meant, in order, each as often as named; what is wrong with one is said later.

    Args:
        given: a file, folder or pattern, or an array of samples (:func:`sernb.audio.reading.examine_array`); or several
            of them, as in a list or a column of a table; or a table with a column ``file``, such as that of a corpus
        sampling_rate: of the arrays, hertz

    Raises:
        DataError: if there are arrays without a possible sampling rate, or something that is neither
    """
    if hasattr(given, "columns"):
        if "file" not in given.columns:
            raise DataError(f"a table with the columns {', '.join(map(str, given.columns)):.60}: has no column file")
        given = given["file"]
    if isinstance(given, str | bytes | os.PathLike) or _is_array(given):
        given = [given]
    elif not isinstance(given, Iterable) or isinstance(given, Mapping) or getattr(given, "ndim", 1) != 1:
        raise DataError(_neither(given))
    sources: list[Source] = []
    for number, each in enumerate(given):
        if _is_array(each):
            name, rate = f"array {number}", _possible(sampling_rate)
            sources.append(Source(Path(name), functools.partial(reading.examine_array, each, rate, name)))
        elif _is_gap(each):
            sources.append(_unusable(Path(f"recording {number}"), DataError(f"recording {number}: no file is named")))
        elif isinstance(each, str | bytes | os.PathLike):
            sources += _sources_of(os.fsdecode(each))
        else:
            raise DataError(_neither(each))
    return sources


def _is_array(given: object) -> bool:
    """Return whether these are samples: an array of numbers with an axis, and no column of a table."""
    kind = getattr(given, "dtype", "")
    kind = str(getattr(kind, "name", kind))  # "int16" in any order of bytes
    numbers = any(name in kind for name in ("float", "int", "complex", "bool"))
    return numbers and hasattr(given, "__array__") and bool(getattr(given, "shape", ())) and not hasattr(given, "index")


def _is_gap(given: object) -> bool:
    """Return whether a table names nothing here: None, "", NaN, or what pandas writes for nothing."""
    nothing = isinstance(given, str | bytes) and not given
    unknown = isinstance(given, float) and math.isnan(given)
    return given is None or nothing or unknown or type(given).__name__ in ("NAType", "NaTType")


def _neither(given: object) -> str:
    shown = " ".join(repr(given).split())
    return (
        f"{type(given).__name__} {shown:.40}: is neither the path of a recording nor a NumPy array of samples; give "
        "one of these, or a list of them"
    )


def _possible(rate: object) -> Hertz:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if not isinstance(rate, str | bytes) and rate == int(rate) and SLOWEST <= rate <= FASTEST:
            return int(rate)
    raise DataError(
        f"sampling_rate={rate!r:.40}: samples do not say how many make a second; give their rate in hertz, a whole "
        f"number from {SLOWEST} to {FASTEST}, such as sampling_rate=16000"
    )


def _sources_of(name: str) -> list[Source]:
    try:
        return [Source(path, functools.partial(recording_of, path)) for path in find_recordings([name])]
    except DataError as error:
        return [_unusable(Path(name), error)]
    except OSError as error:  # a name too long, a folder that may not be searched
        found = DataError(f"{name!r:.80}: cannot be read ({error.strerror}); check its name and rights")
        return [_unusable(Path(name), found)]


def _unusable(path: Path, error: DataError) -> Source:
    def read() -> Recording:
        raise error

    return Source(path, read)


def find_recordings(names: Sequence[str]) -> list[Path]:
    """Return the files that paths, folders and patterns such as ``takes/*.wav`` name, each once, in order.

    Raises:
        DataError: if a folder or pattern holds no recording; a file that is missing is reported when it is read
    """
    files: dict[Path, None] = {}
    for name in names:
        path = expand_home(name)
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


def recording_of(path: Path) -> Recording:
    """Look at a recording from its beginning to its end.

    Raises:
        AudioError: as :func:`sernb.audio.reading.examine`, with what helps with recordings of one's own
    """
    with _own():
        return reading.examine(path, held=AT_ONCE)


def read_blocks(recording: Recording, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield a recording as mono samples at ``sampling_rate``, float32; a short one in one block, as ``load`` reads it.

    Raises:
        AudioError: if the file has changed since it was looked at
    """
    import soxr

    if recording.signal is not None:
        yield reading.resample(recording.signal, original_rate=recording.sampling_rate, sampling_rate=sampling_rate)
        return
    change = soxr.ResampleStream(recording.sampling_rate, sampling_rate, 1, "float32")
    left, read = math.ceil(recording.samples * sampling_rate / recording.sampling_rate), 0
    with _own():
        for signal in reading.blocks(recording):
            read += len(signal)
            last = read >= recording.samples
            changed = change.resample_chunk(signal, last=last)
            changed = fit_end(changed, left) if last else changed[:left]
            left -= len(changed)
            yield changed


@contextlib.contextmanager
def _own() -> Iterator[None]:
    """Say what helps with recordings of one's own, which nobody can download again."""
    try:
        yield
    except AudioError as error:
        raise AudioError(error.path, error.kind, error.found, ADVICE.get(error.advice, error.advice)) from error
