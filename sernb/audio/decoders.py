"""Decode audio files into blocks of float32 samples with libsndfile, or else with ffmpeg.

The format is detected from the content, not the file name. Each cause of failure has its own message.
"""

import codecs
import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernb.audio import ffmpeg, frames
from sernb.audio.containers import HEADER_BYTES, PatchedFile, Structure, read_structure
from sernb.config import DataError
from sernb.runtime.stderr import divert_messages

if TYPE_CHECKING:
    import soundfile

Seconds = float
Hertz = int

MIN_SAMPLING_RATE: Hertz = 4_000
MAX_SAMPLING_RATE: Hertz = 384_000
MAX_CHANNELS = 64
BLOCK: Seconds = 10.0
BLOCK_VALUES = 5_000_000  # samples × channels of a block
SILENT_CHANNEL = 1e-4  # of the power of the loudest channel or track: 40 dB below it there is no second voice
TOLERANCE: Seconds = 0.01  # by which a header may be too long
TOLERANCE_BYTES = 64  # or by these: a header that counts itself
UNKNOWN_LENGTH = 1 << 62  # samples: from here on libsndfile means a length that nobody has filled in
SEEK_ERROR = 39  # libsndfile's code after it has read the end of such a file
DOWNLOAD_AGAIN = "download it again"
DAMAGED_FRAMES = "some of its MP3 frames are damaged; they were left out or may sound wrong"
LFS_POINTER = b"version https://git-lfs"

# Formats that libsndfile identifies reliably; others it guesses from a byte or two.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}
# Signatures of further formats that ffmpeg decodes: position, bytes.
FFMPEG_SIGNATURES = (
    (4, b"ftyp"), (0, b"\x1a\x45\xdf\xa3"), (0, b"\x30\x26\xb2\x75"), (0, b"#!AMR"), (0, b"OggS"), (0, b"\xff\xf1"),
)  # fmt: skip


class AudioError(DataError):
    """A recording that cannot be used; ``kind`` is one word for tables, ``advice`` says what to do."""

    def __init__(self, path: Path, kind: str, problem: str, advice: str):
        super().__init__(f"{path}: {problem}; {advice}")
        self.path, self.kind, self.problem, self.advice = path, kind, problem, advice

    def __reduce__(self) -> tuple:
        """Return the constructor and its arguments, for pickling."""
        return AudioError, (self.path, self.kind, self.problem, self.advice)


@dataclass(frozen=True)
class AudioStream:
    """An open recording."""

    path: Path
    sampling_rate: Hertz
    channels: int
    stated_samples: int | None  # according to the header
    exact: bool  # whether this number is exact; an estimate is ignored
    blocks: Iterator[np.ndarray]  # (samples, channels), float32
    notes: Sequence[str] = ()  # complete when all blocks are read


@contextlib.contextmanager
def open_audio(path: Path) -> Iterator[AudioStream]:
    """Open a recording with libsndfile or, if it does not support the format, with ffmpeg if that is installed.

    Raises:
        AudioError: if the file is missing, not a regular file, empty, a Git LFS pointer, text, truncated or not audio,
            or has too many channels or an unsupported sampling rate
    """
    path = Path(path)
    head, size = _read_header(path)
    structure = read_structure(path, head, size)
    with contextlib.ExitStack() as stack:
        cut = structure.missing and not structure.length
        decoder, refused = (None, "") if cut else _open_with_libsndfile(path, structure, head, size, stack)
        if structure.missing and (decoder is None or not _is_tolerable(structure, decoder)):
            found = f"is truncated: {structure.missing} bytes are missing at the end"
            raise AudioError(path, "truncated", found, DOWNLOAD_AGAIN)
        if decoder is None:
            if _is_text(head):
                raise AudioError(path, "text", "is a text file, not a recording", DOWNLOAD_AGAIN)
            decoder = _open_with_ffmpeg(path, head, refused, stack, structure)
        rate, channels = decoder.sampling_rate, decoder.channels
        if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
            found = f"has a sampling rate of {rate} Hz, not one from {MIN_SAMPLING_RATE} to {MAX_SAMPLING_RATE} Hz"
            raise AudioError(path, "sampling-rate", found, DOWNLOAD_AGAIN)
        if channels > MAX_CHANNELS:
            found = f"has {channels} channels, more than {MAX_CHANNELS}"
            raise AudioError(path, "channels", found, "convert it to mono")
        yield decoder


def _read_header(path: Path) -> tuple[bytes, int]:
    """Return the first bytes of a file and its size; refuse pipes, which might block."""
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise AudioError(path, "missing", "is a pipe or a device, not a file", "copy its content into a file")
        with path.open("rb") as file:
            head, size = file.read(HEADER_BYTES), status.st_size
    except OSError as error:
        raise AudioError(path, "missing", f"cannot be read ({error.strerror})", "see `sernb check`") from error
    except ValueError as error:  # a null byte or a lone surrogate
        raise AudioError(path, "missing", "cannot be read (invalid file name)", "see `sernb check`") from error
    if not head:
        raise AudioError(path, "empty", "is empty (0 bytes)", DOWNLOAD_AGAIN)
    if head.startswith(LFS_POINTER):
        raise AudioError(path, "lfs-pointer", "is a Git LFS pointer, not the recording", "run `git lfs pull` there")
    return head, size


def _is_tolerable(structure: Structure, stream: AudioStream) -> bool:
    """Return whether few bytes are missing from a file of uncompressed samples."""
    if not structure.length or structure.length <= TOLERANCE_BYTES:
        return False
    seconds = stream.stated_samples / stream.sampling_rate / structure.length  # per byte
    return structure.missing <= TOLERANCE_BYTES or structure.missing * seconds < TOLERANCE


def _open_with_libsndfile(
    path: Path, structure: Structure, head: bytes, size: int, stack: contextlib.ExitStack
) -> tuple[AudioStream | None, str]:
    """Return the stream, or None and the reason if libsndfile does not support the file."""
    import soundfile

    source: object = os.fsencode(path) if os.name == "posix" else str(path)  # names need not be UTF-8
    if structure.empty_length_at is not None:
        length = min(size - structure.start, 0xFFFFFFFF).to_bytes(4, "little")
        source = stack.enter_context(contextlib.closing(PatchedFile(path, structure.empty_length_at, length)))
    may_be_mp3 = head[:3] == b"ID3" or head[:1] == b"\xff" or not structure.exact
    try:
        with divert_messages() if may_be_mp3 else contextlib.nullcontext([]) as messages:
            recording = stack.enter_context(soundfile.SoundFile(source))
    except Exception:  # noqa: BLE001, RUF100 - whatever a decoder raises is about this file
        return None, "is not an audio file that libsndfile can read"
    if recording.format == "MP3" and not _is_mpeg(path, structure.start) and ffmpeg.find_program():
        return None, "is not an MP3 file, despite its name"  # by which libsndfile went
    if recording.format not in FORMATS:
        return None, f"looks like {recording.format}, an unsupported format"
    known = 0 <= recording.frames < UNKNOWN_LENGTH
    named = recording.frames if known else None
    if recording.subtype == "GSM610" and structure.length:  # libsndfile takes a padding byte for a last block
        named = min(named, structure.length // 65 * 320)
    notes = []
    if structure.unterminated and recording.format == "OGG":
        notes.append("it has no end marker and may be truncated; it was read to its end")
    elif structure.unterminated or not known:
        notes.append("its header has no length; it was read to its end")
    if structure.missing:
        notes.append(f"its header states {structure.missing} bytes more than it has; it was read to its end")
    promised = known and structure.exact
    sound = _decode(path, recording, named if promised else None, known)
    if recording.format == "MP3" or recording.subtype.startswith("MPEG"):
        sound = _without_messages(sound, messages, notes)
    return AudioStream(path, recording.samplerate, recording.channels, named, promised, sound, notes), ""


def _without_messages(sound: Iterator[np.ndarray], messages: Iterable[bytes], notes: list[str]) -> Iterator[np.ndarray]:
    """Yield blocks of an MP3; what its decoder says about damage becomes a note."""
    while True:
        if DAMAGED_FRAMES not in notes and any(b"error" in message or b"Skipped" in message for message in messages):
            notes.append(DAMAGED_FRAMES)
        with divert_messages() as messages:
            block = next(sound, None)
        if block is None:
            return
        yield block


def _decode(path: Path, recording: "soundfile.SoundFile", samples: int | None, known: bool) -> Iterator[np.ndarray]:
    """Yield the blocks that libsndfile decodes, up to ``samples`` or to the end."""
    import soundfile

    longest = max(1, min(int(BLOCK * recording.samplerate), BLOCK_VALUES // recording.channels))
    left = UNKNOWN_LENGTH if samples is None else samples
    while left:
        # At the end of a file of unknown length, libsndfile fails to seek after it has filled part of the last block:
        # the rest stays NaN, a value that FLAC cannot represent.
        block = np.full((min(longest, left), recording.channels), np.nan, np.float32)
        try:
            block = recording.read(dtype="float32", always_2d=True, out=block)
        except soundfile.LibsndfileError as error:
            if known or error.code != SEEK_ERROR:
                raise _damaged_error(path) from error
            block, left = block[~np.isnan(block[:, 0])], 0
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged_error(path) from error
        if not len(block):
            return
        yield block
        left -= min(left, len(block))


def _is_mpeg(path: Path, start: int) -> bool:
    """Return whether a frame of MPEG audio begins at a place: eleven bits, and a layer, which ADTS does not name."""
    with path.open("rb") as file:
        file.seek(start)
        mark = int.from_bytes(file.read(2), "big")
    return mark & 0xFFE0 == 0xFFE0 and mark & 6 != 0


def _damaged_error(path: Path) -> AudioError:
    return AudioError(path, "damaged", ffmpeg.DAMAGED, DOWNLOAD_AGAIN)


def _open_with_ffmpeg(
    path: Path, head: bytes, refused: str, stack: contextlib.ExitStack, structure: Structure
) -> AudioStream:
    likely = any(head.startswith(mark, at) for at, mark in FFMPEG_SIGNATURES)
    likely = likely or bool(frames.kind_of(head)) or frames.is_transport(head)
    if ffmpeg.find_program() is None:
        if likely:
            found = "is of a format that needs the program ffmpeg, and that is not here"
            raise AudioError(path, "no-ffmpeg", found, "install ffmpeg, or convert the recording to WAV")
        raise AudioError(path, "unreadable", refused, "convert it to WAV" if "looks" in refused else DOWNLOAD_AGAIN)
    try:
        track, tracks = ffmpeg.choose_track(path, SILENT_CHANNEL)
        sound = stack.enter_context(ffmpeg.decode(path, track))
    except ffmpeg.DecodingError as error:
        found = f"{refused}, and {error}" if likely else refused
        raise AudioError(
            path, "unreadable", found, "convert it to WAV" if likely or "looks" in refused else DOWNLOAD_AGAIN
        ) from error
    notes = ["its last block is incomplete or not marked as the last: it may be cut; it was read to its end"]
    notes = notes if structure.unterminated else []
    if tracks > 1:
        before = (
            f", because {'that' if track == 1 else 'those'} before it is silent or cannot be decoded" if track else ""
        )
        notes.append(f"it has {tracks} audio tracks; track {track + 1} was taken{before}")
    return AudioStream(
        path, sound.sampling_rate, sound.channels, None, False, _as_audio_errors(path, sound.blocks), tuple(notes)
    )


def _as_audio_errors(path: Path, sound: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    try:
        yield from sound
    except ffmpeg.DecodingError as error:
        raise AudioError(path, "damaged", str(error), DOWNLOAD_AGAIN) from error


def _is_text(head: bytes) -> bool:
    head = head.removeprefix(codecs.BOM_UTF8)
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start >= len(head) - 3 else "\0"
    return all(character.isprintable() or character.isspace() for character in text)
