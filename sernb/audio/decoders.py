"""File → (samples, channels) float32 in blocks: with libsndfile, else with ffmpeg; whatever fails is about that file.

Content decides, never a name. Every way in which a file cannot be decoded has its own sentence.
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
from sernb.audio.containers import HEAD, Built, Mended, built
from sernb.config import DataError
from sernb.runtime.decoder_messages import divert_messages

if TYPE_CHECKING:
    import soundfile

Seconds = float
Hertz = int

SLOWEST: Hertz = 4_000
FASTEST: Hertz = 384_000
MOST_CHANNELS = 64
BLOCK: Seconds = 10.0
BLOCK_VALUES = 5_000_000  # samples × channels of a block
SILENT = 1e-4  # of the power of the loudest channel or track: 40 dB below it there is no second voice
LITTLE: Seconds = 0.01  # by which a header may be too long
LITTLE_BYTES = 64  # or by these: a header that counts itself
UNKNOWN = 1 << 62  # samples: from here on libsndfile means a length that nobody has filled in
NO_SEEK = 39  # libsndfile's code after it has read the end of such a file
AGAIN = "download it again"
DAMAGED = "some of its MP3 frames are damaged; they were left out or may sound wrong"
LFS_POINTER = b"version https://git-lfs"

# What libsndfile can tell from noise for certain; its further formats are guessed from a byte or two.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}
# How files begin that ffmpeg is likely to read: where, what.
KNOWN_TO_FFMPEG = (
    (4, b"ftyp"), (0, b"\x1a\x45\xdf\xa3"), (0, b"\x30\x26\xb2\x75"), (0, b"#!AMR"), (0, b"OggS"), (0, b"\xff\xf1"),
)  # fmt: skip


class AudioError(DataError):
    """A recording that cannot be used; ``kind`` is one word for tables, the message says what to do."""

    def __init__(self, path: Path, kind: str, found: str, advice: str):
        super().__init__(f"{path}: {found}; {advice}")
        self.path, self.kind, self.found, self.advice = path, kind, found, advice

    def __reduce__(self) -> tuple:
        """Return what makes it again in another process."""
        return AudioError, (self.path, self.kind, self.found, self.advice)


@dataclass(frozen=True)
class Decoder:
    """A recording that has been opened."""

    path: Path
    sampling_rate: Hertz
    channels: int
    named: int | None  # samples that its header names
    promised: bool  # whether they are a promise; else they are an estimate, and the end of the file is the end
    blocks: Iterator[np.ndarray]  # (samples, channels), float32
    notes: Sequence[str] = ()  # complete when all blocks are read


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Decoder]:
    """Open a recording: with libsndfile or, where that does not know it and ffmpeg is installed, with ffmpeg.

    Raises:
        AudioError: if the file is missing, no file, empty, a Git LFS pointer, text, truncated or not audio, if it has
            too many channels, or if no sound has the sampling rate that it names
    """
    path = Path(path)
    head, size = _beginning(path)
    structure = built(path, head, size)
    with contextlib.ExitStack() as stack:
        cut = structure.missing and not structure.length
        decoder, refused = (None, "") if cut else _by_libsndfile(path, structure, head, size, stack)
        if structure.missing and (decoder is None or not _is_little(structure, decoder)):
            found = f"is truncated: {structure.missing} bytes are missing at the end"
            raise AudioError(path, "truncated", found, AGAIN)
        if decoder is None:
            if _is_text(head):
                raise AudioError(path, "text", "is a text file, not a recording", AGAIN)
            decoder = _by_ffmpeg(path, head, refused, stack, structure)
        rate, channels = decoder.sampling_rate, decoder.channels
        if not SLOWEST <= rate <= FASTEST:
            found = f"names a sampling rate of {rate} Hz, not one from {SLOWEST} to {FASTEST} Hz"
            raise AudioError(path, "sampling-rate", found, AGAIN)
        if channels > MOST_CHANNELS:
            found = f"names {channels} channels, more than {MOST_CHANNELS}"
            raise AudioError(path, "channels", found, "convert it to mono")
        yield decoder


def _beginning(path: Path) -> tuple[bytes, int]:
    """Return the first bytes of a file and its size; what is no file is not opened, for a pipe would never answer."""
    try:
        kind = path.stat()
        if not (stat.S_ISREG(kind.st_mode) or stat.S_ISDIR(kind.st_mode)):
            raise AudioError(path, "missing", "is a pipe or a device, not a file", "copy its sound into a file")
        with path.open("rb") as file:
            head, size = file.read(HEAD), kind.st_size
    except OSError as error:
        raise AudioError(path, "missing", f"cannot be read ({error.strerror})", "see `sernb check`") from error
    except ValueError as error:  # a zero byte, half a letter
        raise AudioError(path, "missing", "cannot be read (no file can be called so)", "see `sernb check`") from error
    if not head:
        raise AudioError(path, "empty", "is empty (0 bytes)", AGAIN)
    if head.startswith(LFS_POINTER):
        raise AudioError(path, "lfs-pointer", "is a Git LFS pointer, not the recording", "run `git lfs pull` there")
    return head, size


def _is_little(structure: Built, decoder: Decoder) -> bool:
    """Return whether the bytes that a header names beyond the end are few, in a file of plain samples."""
    if not structure.length or structure.length <= LITTLE_BYTES:
        return False
    sound = decoder.named / decoder.sampling_rate / structure.length  # seconds a byte
    return structure.missing <= LITTLE_BYTES or structure.missing * sound < LITTLE


def _by_libsndfile(
    path: Path, structure: Built, head: bytes, size: int, stack: contextlib.ExitStack
) -> tuple[Decoder | None, str]:
    """Return what libsndfile opens; nothing, and why, where it does not know the file."""
    import soundfile

    source: object = os.fsencode(path) if os.name == "posix" else str(path)  # names need not be UTF-8
    if structure.unfilled is not None:
        length = min(size - structure.start, 0xFFFFFFFF).to_bytes(4, "little")
        source = stack.enter_context(contextlib.closing(Mended(path, structure.unfilled, length)))
    may_be_mp3 = head[:3] == b"ID3" or head[:1] == b"\xff" or not structure.counted
    try:
        with divert_messages() if may_be_mp3 else contextlib.nullcontext([]) as messages:
            recording = stack.enter_context(soundfile.SoundFile(source))
    except Exception:  # noqa: BLE001, RUF100 - whatever a decoder raises is about this file
        return None, "is no audio file that libsndfile knows"
    if recording.format == "MP3" and not _is_mpeg(path, structure.start) and ffmpeg.program():
        return None, "is no MP3, whatever its name says"  # by which libsndfile went
    if recording.format not in FORMATS:
        return None, f"looks like {recording.format}, a format not used here"
    known = 0 <= recording.frames < UNKNOWN
    named = recording.frames if known else None
    if recording.subtype == "GSM610" and structure.length:  # libsndfile takes a padding byte for a last block
        named = min(named, structure.length // 65 * 320)
    notes = []
    if structure.endless and recording.format == "OGG":
        notes.append("it lacks the mark of its end, and may be cut; it was read to its end")
    elif structure.endless or not known:
        notes.append("its header names no length; it was read to its end")
    if structure.missing:
        notes.append(f"its header names {structure.missing} bytes more than are there; it was read to its end")
    promised = known and structure.counted
    sound = _decoded(path, recording, named if promised else None, known)
    if recording.format == "MP3" or recording.subtype.startswith("MPEG"):
        sound = _without_messages(sound, messages, notes)
    return Decoder(path, recording.samplerate, recording.channels, named, promised, sound, notes), ""


def _without_messages(sound: Iterator[np.ndarray], messages: Iterable[bytes], notes: list[str]) -> Iterator[np.ndarray]:
    """Yield blocks of an MP3; what its decoder says about damage becomes a note."""
    while True:
        if DAMAGED not in notes and any(b"error" in message or b"Skipped" in message for message in messages):
            notes.append(DAMAGED)
        with divert_messages() as messages:
            block = next(sound, None)
        if block is None:
            return
        yield block


def _decoded(path: Path, recording: "soundfile.SoundFile", samples: int | None, known: bool) -> Iterator[np.ndarray]:
    """Yield what libsndfile decodes, to the end or to so many samples."""
    import soundfile

    most = max(1, min(int(BLOCK * recording.samplerate), BLOCK_VALUES // recording.channels))
    left = UNKNOWN if samples is None else samples
    while left:
        # Of a file of unknown length the last block is there when libsndfile fails to seek behind it: what it has not
        # written stays NaN, which no FLAC can hold.
        block = np.full((min(most, left), recording.channels), np.nan, np.float32)
        try:
            block = recording.read(dtype="float32", always_2d=True, out=block)
        except soundfile.LibsndfileError as error:
            if known or error.code != NO_SEEK:
                raise _damaged(path) from error
            block, left = block[~np.isnan(block[:, 0])], 0
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged(path) from error
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


def _damaged(path: Path) -> AudioError:
    return AudioError(path, "damaged", "is truncated or damaged: its sound cannot be decoded to the end", AGAIN)


def _by_ffmpeg(path: Path, head: bytes, refused: str, stack: contextlib.ExitStack, structure: Built) -> Decoder:
    likely = any(head.startswith(mark, at) for at, mark in KNOWN_TO_FFMPEG)
    likely = likely or bool(frames.kind_of(head)) or frames.is_transport(head)
    if ffmpeg.program() is None:
        if likely:
            found = "is of a format that needs the program ffmpeg, and that is not here"
            raise AudioError(path, "no-ffmpeg", found, "install ffmpeg, or convert the recording to WAV")
        raise AudioError(path, "unreadable", refused, "convert it to WAV" if "looks" in refused else AGAIN)
    try:
        track, tracks = ffmpeg.choose_track(path, SILENT)
        sound = stack.enter_context(ffmpeg.decoded(path, track))
    except ffmpeg.Undecodable as error:
        found = f"{refused}, and {error}" if likely else refused
        raise AudioError(
            path, "unreadable", found, "convert it to WAV" if likely or "looks" in refused else AGAIN
        ) from error
    notes = ["its last block is incomplete or not marked as the last: it may be cut; it was read to its end"]
    notes = notes if structure.endless else []
    if tracks > 1:
        before = (
            f", because {'that' if track == 1 else 'those'} before it is silent or cannot be decoded" if track else ""
        )
        notes.append(f"it has {tracks} audio tracks; track {track + 1} was taken{before}")
    return Decoder(path, sound.sampling_rate, sound.channels, None, False, _named(path, sound.blocks), tuple(notes))


def _named(path: Path, sound: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    try:
        yield from sound
    except ffmpeg.Undecodable as error:
        raise AudioError(path, "damaged", str(error), AGAIN) from error


def _is_text(head: bytes) -> bool:
    head = head.removeprefix(codecs.BOM_UTF8)
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start >= len(head) - 3 else "\0"
    return all(character.isprintable() or character.isspace() for character in text)
