"""How a recording's file is built: what it promises beyond its end, without decoding anything.

Decoders stop in silence where a file was cut, and some take an estimated length for a promise. What is looked at here
is the structure alone: chunks (WAV, AIFF, W64, CAF, AU), pages (Ogg, RFC 3533), boxes (MP4, QuickTime),
elements (WebM, Matroska: RFC 8794), the count of frames in an MP3; of streams of frames see :mod:`sernb.audio.frames`.
"""

import io
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sernb.audio import frames

HEAD = 1024  # bytes of a file's beginning that are looked at first


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
    b"RIFX": Chunks("big", 12, b"data"),
    b"RF64": Chunks("little", 12, b"data"),
    b"FORM": Chunks("big", 12, b"SSND"),  # AIFF
    b"riff": Chunks("little", 40, b"data", name=16, length=8, align=8, own=24),  # W64
    b"caff": Chunks("big", 8, b"data", length=8, align=1),
}
MOST_CHUNKS = 1000  # real files have less than ten
# A program that writes into a pipe cannot fill the length in at the end; it leaves 0 or a number from here on.
NO_LENGTH, NO_LONG_LENGTH = 0x7FFF0000, 1 << 62
MP3_IN_WAV = 0x50, 0x55  # codings of a WAV file
OGG_PAGE = 27 + 255 + 255 * 255  # bytes at most
OGG_END = 4  # flag of the last page
EBML, SEGMENT, CLUSTER = b"\x1a\x45\xdf\xa3", 0x18538067, 0x1F43B675
ASF, ASF_FILE = b"\x30\x26\xb2\x75", bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
SOUND_BOXES = b"mdat", b"moov", b"moof"


@dataclass(frozen=True)
class Built:
    """What the structure of a file holds."""

    missing: int = 0  # bytes that it names and that are not there
    start: int = 0  # where the sound begins
    length: int | None = None  # bytes of sound that are there; None: not known
    unfilled: int | None = None  # where a WAV file names no bytes of sound, though sound follows
    endless: bool = False  # it names no length, or lacks the mark of its end
    counted: bool = True  # the number of samples, as decoders tell it, is a promise and no estimate


def built(path: Path, head: bytes, size: int) -> Built:
    """Look at the structure of a file.

    Args:
        head: its first ``HEAD`` bytes
        size: bytes of the whole
    """
    if head[:4] == b".snd":  # AU: one header, then the sound
        start, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return _promised(start, length, size, NO_LENGTH)
    if chunks := CONTAINERS.get(head[:4]):
        return _chunked(path, chunks, head, size)
    if head[:4] == b"OggS":
        return _ogg(path, size)
    if head[:4] == ASF and (at := head.find(ASF_FILE)) >= 0:  # its size stands behind GUID, length and another GUID
        streamed = head[at + 88 : at + 89] != b"\2"
        return Built(0 if streamed else max(0, int.from_bytes(head[at + 40 : at + 48], "little") - size))
    if head[:4] == b".SoX":  # its header, then samples of 4 bytes
        order = "little" if head[4] else "big"
        start = 4 + int.from_bytes(head[4:8], order)
        return _promised(start, 4 * int.from_bytes(head[8:16], order), size, NO_LONG_LENGTH)
    kind, is_transport = frames.kind_of(head), frames.is_transport(head)
    if kind or is_transport or head[4:8] in BOXES or head[:4] == EBML or head[:3] == b"ID3" or head[:1] == b"\xff":
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if kind:
                return Built(frames.count_missing(content, kind.start(head), kind))
            if is_transport:
                missing, is_within = frames.last_packet(content)
                return Built(missing, endless=is_within)
            if head[4:8] in BOXES:
                return Built(_beyond_boxes(content))
            if head[:4] == EBML:
                return Built(_beyond_elements(content))
            start = _after_tags(content)
            if frames.is_adts(content[start : start + 2]):
                return Built(frames.count_missing(content, start, frames.ADTS), start)
            count, named = _mp3(content[start : start + HEAD])
            missing = named - size if count or named else frames.count_missing(content, start, frames.MPEG)
            return Built(max(0, missing), start, counted=count > 0)
    return Built(counted=head[:4] == b"fLaC")


def _promised(start: int, length: int, size: int, longest: int) -> Built:
    if 0 < length < longest:
        return Built(max(0, start + length - size), start, min(length, max(0, size - start)))
    return Built(start=start, length=max(0, size - start), endless=True)


def _chunked(path: Path, chunks: Chunks, head: bytes, size: int) -> Built:
    longest = NO_LENGTH if chunks.length == 4 else NO_LONG_LENGTH
    with path.open("rb") as file:
        start, length, code = _sound(file, chunks, head, size)
        if head[:4] == b"RF64" and length == 0xFFFFFFFF:  # the true length, of 8 bytes, stands in front
            length, longest = int.from_bytes(head[28:36], "little"), NO_LONG_LENGTH
        counted = code not in MP3_IN_WAV  # MP3 in WAV: the number of samples is an estimate
        if length == 0 and head[:4] == b"RIFF" and start < size and not _only_chunks(file, chunks, start, size):
            return Built(0, start, size - start, unfilled=start - 4, endless=True)
    if length == 0:
        return Built(0, start, 0)
    found = _promised(start, length, size, longest)
    return Built(found.missing, start, found.length, endless=found.endless, counted=counted)


def _sound(file: io.BufferedIOBase, chunks: Chunks, head: bytes, size: int) -> tuple[int, int, int]:
    """Return where the sound begins, how long it is (of the whole file, where known, if it holds none), its coding."""
    position, code = chunks.first, 0
    for _ in range(MOST_CHUNKS):
        if position + chunks.name + chunks.length > size:
            break
        file.seek(position)
        name = file.read(chunks.name)
        length = int.from_bytes(file.read(chunks.length), chunks.order) - chunks.own
        if name == b"fmt ":
            code = int.from_bytes(file.read(2), chunks.order)
        position += chunks.name + chunks.length
        if name.startswith(chunks.sound):
            return position, length, code
        position += -(-max(0, length) // chunks.align) * chunks.align
    return 8, int.from_bytes(head[4:8], chunks.order) if chunks.length == 4 else 0, code


def _only_chunks(file: io.BufferedIOBase, chunks: Chunks, position: int, size: int) -> bool:
    """Return whether further chunks, and no sound, fill the rest of a file."""
    for _ in range(MOST_CHUNKS):
        if position >= size:
            return True
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(4), chunks.order)
        if len(name) < 4 or not all(32 <= letter < 127 for letter in name):
            return False
        position += 8 + length + length % 2
    return False


def _ogg(path: Path, size: int) -> Built:
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * OGG_PAGE))
        end = file.read()
    at = end.rfind(b"OggS")
    if at < 0:  # a hole, which decoders would search to its end
        return Built(missing=27)
    header = end[at : at + 27]
    segments = end[at + 27 : at + 27 + header[26]] if len(header) == 27 else b""
    if len(header) < 27 or len(segments) < header[26]:
        return Built(missing=27 + (header[26] if len(header) == 27 else 0) - (len(end) - at))
    beyond = at + 27 + len(segments) + sum(segments) - len(end)
    if beyond < 0 and b"OggS".startswith(end[beyond:]):  # cut inside the mark of the next page
        return Built(missing=27 + beyond)
    return Built(missing=max(0, beyond), endless=not header[5] & OGG_END)


def _after_tags(content: mmap.mmap) -> int:
    start = 0
    for _ in range(MOST_CHUNKS):
        if content[start : start + 3] != b"ID3" or start + 10 > len(content):
            break
        size = 0
        for byte in content[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size
    return start


def _beyond_boxes(content: mmap.mmap) -> int:
    """MP4 and QuickTime (ISO 14496-12): boxes of 32 or 64 bits of length; 0 reaches to the end."""
    at, size, names = 0, len(content), set()
    for _ in range(frames.MOST_FRAMES):
        if at + 8 > size:
            break
        length, header, name = int.from_bytes(content[at : at + 4], "big"), 8, content[at + 4 : at + 8]
        if length == 1:
            length, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        names.add(name)
        if at + length > size and name in SOUND_BOXES:  # what else lies behind the sound may be anything
            return min(at + length - size, NO_LONG_LENGTH)
        if length < header or at + length > size:
            break
        at += length
    return 8 if b"mdat" in names and not names & {b"moov", b"moof"} else 0  # the table of its sound was to follow


def _beyond_elements(content: mmap.mmap) -> int:
    """WebM and Matroska: elements, of which a recorder that streams leaves the length of some open."""
    at, size = 0, len(content)
    for _ in range(frames.MOST_FRAMES):
        if at >= size:
            break
        width = 9 - content[at].bit_length()
        name, at = int.from_bytes(content[at : at + width], "big"), at + width
        if width > 4 or at >= size:
            return 1 if width <= 4 else 0
        width = 9 - content[at].bit_length()
        if width > 8:
            return 0
        open_ = (1 << 7 * width) - 1
        length = int.from_bytes(content[at : at + width], "big") & open_
        at += width
        if length == open_ and name in (SEGMENT, CLUSTER):
            continue  # what is inside follows
        if at + length > size or name == SEGMENT:  # there is one
            return max(0, at + length - size)
        at += length
    return 0


def _mp3(frame: bytes) -> tuple[int, int]:
    """Return how many frames and bytes the first frame of an MP3 names (Xing, Info, VBRI); 0: none."""
    if (at := frame.find(b"VBRI")) >= 0:
        return int.from_bytes(frame[at + 14 : at + 18], "big"), int.from_bytes(frame[at + 10 : at + 14], "big")
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or not frame[at + 7 : at + 8]:
        return 0, 0
    flags, numbers = frame[at + 7], (int.from_bytes(frame[at + k : at + k + 4], "big") for k in (8, 12))
    count = next(numbers) if flags & 1 else 0
    return count, next(numbers) if flags & 2 else 0


class Mended(io.RawIOBase):
    """A file, to be read as if some of its bytes were others."""

    def __init__(self, path: Path, at: int, content: bytes):
        super().__init__()
        self.file, self.at, self.content = path.open("rb"), at, content

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that any place of it can be read."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self.file.tell()

    def readinto(self, buffer) -> int:
        """Read from the place on."""
        place = self.file.tell()
        content = bytearray(self.file.read(len(buffer)))
        first, last = max(place, self.at), min(place + len(content), self.at + len(self.content))
        if first < last:
            content[first - place : last - place] = self.content[first - self.at : last - self.at]
        buffer[: len(content)] = bytes(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()
