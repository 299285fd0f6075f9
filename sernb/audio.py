"""File → mono float32 signal at one sampling rate; every way in which a file can be unusable has its own sentence."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from sernb.config import DataError

if TYPE_CHECKING:
    import soundfile

Seconds = float
Hertz = int

SHORTEST: Seconds = 0.1
SLOWEST: Hertz = 4_000
FASTEST: Hertz = 384_000
MOST_VALUES = 50_000_000  # samples × channels, 200 MB: 17 minutes of mono at 48 kHz
LOUDEST = 100.0  # 40 dB above full scale: no float file of real sound is
AGAIN = "download it again"
LFS_POINTER = b"version https://git-lfs"

# What libsndfile can tell from noise for certain; its further formats are guessed from a byte or two.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}


@dataclass(frozen=True)
class Chunks:
    """How an uncompressed container is divided: each chunk is a name, a length and that many bytes."""

    order: Literal["little", "big"]
    first: int  # where the first chunk begins
    sound: bytes  # name of the chunk with the sound
    name: int = 4  # bytes of a name
    length: int = 4  # bytes of a length
    align: int = 2  # a chunk fills up to a multiple of it
    own: int = 0  # bytes of its own name and length that a length counts


CONTAINERS = {
    b"RIFF": Chunks("little", 12, b"data"),
    b"RF64": Chunks("little", 12, b"data"),
    b"FORM": Chunks("big", 12, b"SSND"),  # AIFF
    b"riff": Chunks("little", 40, b"data", name=16, length=8, align=8, own=24),  # W64
    b"caff": Chunks("big", 8, b"data", length=8, align=1),
}
MOST_CHUNKS = 1000  # real files have less than ten
# A program that writes into a pipe cannot fill the length in at the end; it leaves 0 or a number from here on.
NO_LENGTH = 0x7FFF0000


class AudioError(DataError):
    """A recording that cannot be used; ``kind`` is one word for tables, the message says what to do."""

    def __init__(self, path: Path, kind: str, found: str, advice: str):
        super().__init__(f"{path}: {found}; {advice}")
        self.kind = kind


def read(path: Path) -> tuple[np.ndarray, Hertz]:
    """Read a recording as it is: mono, at its own rate.

    Channels are averaged. Nothing is trimmed or made louder: level carries emotion.

    Args:
        path: WAV, FLAC, AIFF, OGG, MP3 and the like (``FORMATS``), told apart by content, not by name

    Returns:
        samples in [-1, 1], float32, shape ``(samples,)``, and the sampling rate in Hz

    Raises:
        AudioError: if the file is missing, empty, a Git LFS pointer, text, truncated, damaged or not audio,
            if samples are not finite, far too large or all zero, if it is shorter than 0.1 s or too long for memory, or
            if no sound has the sampling rate that it names
    """
    import soundfile

    path = Path(path)
    with opened(path) as recording:
        expected, sampling_rate = recording.frames, recording.samplerate
        if expected * recording.channels > MOST_VALUES:  # a header may lie, and must not fill the memory
            found = f"names a length of {expected} samples, more than can be read at once ({MOST_VALUES})"
            raise AudioError(path, "too-long", found, "cut it into clips or download it again")
        try:
            samples = recording.read(dtype="float32", always_2d=True)  # (samples, channels)
        except (soundfile.SoundFileError, RuntimeError) as error:
            found = "is truncated or damaged: its sound cannot be decoded to the end"
            raise AudioError(path, "damaged", found, AGAIN) from error
    if len(samples) < expected:
        raise AudioError(path, "truncated", f"is truncated: {len(samples)} of {expected} samples are there", AGAIN)
    if len(samples) < SHORTEST * sampling_rate:
        count = f"{len(samples)} sample" + ("s" if len(samples) != 1 else "")
        raise AudioError(path, "too-short", f"holds {count}", f"at least {SHORTEST} s are needed: leave it out")
    with np.errstate(over="ignore", invalid="ignore"):
        signal = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    peak = max(float(signal.max()), -float(signal.min()))  # NaN if any sample is
    if not peak <= LOUDEST:
        raise AudioError(path, "not-finite", "holds samples that are no sound (NaN, infinite or far too large)", AGAIN)
    if peak == 0.0:
        raise AudioError(path, "silent", "is pure silence (every sample is 0)", "leave it out or download it again")
    return signal, sampling_rate


def opened(path: Path) -> "soundfile.SoundFile":
    """Open a recording, to be read as a whole or in blocks; close it after.

    Raises:
        AudioError: if the file is missing, empty, a Git LFS pointer, text, truncated or not audio, or if no sound has
            the sampling rate that it names
    """
    import soundfile

    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise AudioError(path, "missing", f"cannot be read ({error.strerror})", "see `sernb check`") from error
    if size == 0:
        raise AudioError(path, "empty", "is empty (0 bytes)", AGAIN)
    if head.startswith(LFS_POINTER):
        raise AudioError(path, "lfs-pointer", "is a Git LFS pointer, not the recording", "run `git lfs pull` there")
    if missing := _missing_bytes(path, head, size):
        raise AudioError(path, "truncated", f"is truncated: {missing} bytes are missing at the end", AGAIN)
    try:
        recording = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        if _is_text(head):
            raise AudioError(path, "text", "is a text file, not a recording", AGAIN) from error
        raise AudioError(path, "unreadable", "is no audio file that libsndfile knows", AGAIN) from error
    sampling_rate, container = recording.samplerate, recording.format
    try:
        if container not in FORMATS:
            raise AudioError(path, "unreadable", f"looks like {container}, a format not used here", "convert it to WAV")
        if not SLOWEST <= sampling_rate <= FASTEST:
            found = f"names a sampling rate of {sampling_rate} Hz, not one from {SLOWEST} to {FASTEST} Hz"
            raise AudioError(path, "sampling-rate", found, AGAIN)
    except AudioError:
        recording.close()
        raise
    return recording


def load(path: Path, sampling_rate: Hertz, *, resampling: str = "soxr") -> np.ndarray:
    """Read a recording as mono samples at ``sampling_rate``.

    Args:
        resampling: ``soxr``, or ``linear`` for systems whose authors did so (:func:`resample_linearly`)

    Returns:
        samples, nominally in [-1, 1], float32, shape ``(samples,)``

    Raises:
        AudioError: as :func:`read`
    """
    signal, original_rate = read(path)
    change = {"soxr": resample, "linear": resample_linearly}[resampling]
    return change(signal, original_rate=original_rate, sampling_rate=sampling_rate)


def resample_linearly(signal: np.ndarray, *, original_rate: float, sampling_rate: float) -> np.ndarray:
    """Change the sampling rate by joining samples with straight lines, to whole 16-bit steps, as pydub does.

    It adds aliases that soxr does not; some published features were computed on them.

    Returns:
        float32, shape ``(ceil(samples * sampling_rate / original_rate),)``
    """
    if original_rate == sampling_rate:
        return signal
    count = int(np.ceil(len(signal) * sampling_rate / original_rate))
    at = np.arange(count) * (original_rate / sampling_rate)
    steps = np.interp(at, np.arange(len(signal)), signal) * 32_768
    return (np.trunc(steps) / 32_768).astype(np.float32)


def resample(signal: np.ndarray, *, original_rate: float, sampling_rate: float) -> np.ndarray:
    """Change the sampling rate with the soxr library (quality HQ).

    Returns:
        float32, shape ``(ceil(samples * sampling_rate / original_rate),)``

    Examples:
        >>> len(resample(np.zeros(48_000, np.float32), original_rate=48_000, sampling_rate=22_050))
        22050
    """
    import soxr

    if original_rate == sampling_rate:
        return signal
    changed = soxr.resample(signal, original_rate, sampling_rate)
    return fit_end(changed, int(np.ceil(len(signal) * sampling_rate / original_rate)))


def fit_end(signal: np.ndarray, samples: int) -> np.ndarray:
    """Cut or zero-pad the end, so that ``samples`` remain."""
    return signal[:samples] if len(signal) >= samples else np.pad(signal, (0, samples - len(signal)))


def fit_centre(signal: np.ndarray, samples: int) -> np.ndarray:
    """Cut or zero-pad both ends alike, so that ``samples`` remain; an odd sample is padded at the end.

    Examples:
        >>> fit_centre(np.array([1.0, 2.0]), 5)
        array([0., 1., 2., 0., 0.])
    """
    spare = samples - len(signal)
    if spare < 0:
        return signal[-spare // 2 :][:samples]
    return np.pad(signal, (spare // 2, spare - spare // 2))


def problem_of(path: Path, look: Callable[[Path], object] = read) -> AudioError | None:
    """Return what is wrong with a recording, or nothing."""
    try:
        look(path)
    except AudioError as error:
        return error
    return None


def _missing_bytes(path: Path, head: bytes, size: int) -> int:
    """Return how many bytes an uncompressed file promises beyond its end; libsndfile would not complain."""
    if head[:4] == b".snd":  # AU: one header, then the sound
        start, length, longest = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big"), NO_LENGTH
    elif chunks := CONTAINERS.get(head[:4]):
        start, length = _sound(path, chunks, head, size)
        longest = NO_LENGTH if chunks.length == 4 else 1 << 63
    else:
        return 0
    if head[:4] == b"RF64" and length == 0xFFFFFFFF:  # the true length, of 8 bytes, stands in front
        length, longest = int.from_bytes(head[28:36], "little"), 1 << 63
    return max(0, start + length - size) if 0 < length < longest else 0


def _sound(path: Path, chunks: Chunks, head: bytes, size: int) -> tuple[int, int]:
    """Return where the sound begins and how long it is; those of the whole file, where known, if it holds none."""
    position = chunks.first
    with path.open("rb") as file:
        for _ in range(MOST_CHUNKS):
            if position + chunks.name + chunks.length > size:
                break
            file.seek(position)
            name = file.read(chunks.name)
            length = int.from_bytes(file.read(chunks.length), chunks.order) - chunks.own
            position += chunks.name + chunks.length
            if name.startswith(chunks.sound):
                return position, length
            position += -(-max(0, length) // chunks.align) * chunks.align
    return 8, int.from_bytes(head[4:8], chunks.order) if chunks.length == 4 else 0


def _is_text(head: bytes) -> bool:
    head = head.removeprefix(codecs.BOM_UTF8)
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start >= len(head) - 3 else "\0"
    return all(character.isprintable() or character.isspace() for character in text)
