"""Any recording → mono blocks at one rate, so that a recording of hours needs no more memory than one of seconds."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

import numpy as np

from sernb.audio import reading
from sernb.audio.decoders import AudioError, Hertz, Seconds
from sernb.audio.reading import Recording, fit_end
from sernb.config import DataError, is_hidden

# What recordings are called; what they are, their content says.
KNOWN = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64",
    ".m4a", ".mp4", ".mov", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".3gp",
)  # fmt: skip
AT_ONCE: Seconds = 60.0  # recordings up to this length are read as clips of a corpus are
ANEW = "record or export it again"
ADVICE = {"see `sernb check`": "check its name", reading.AGAIN: ANEW, reading.SILENCE: ANEW}


def find_recordings(names: Sequence[str]) -> list[Path]:
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
