"""How a recording's file is built: what it promises beyond its end, without decoding anything.

Decoders stop in silence where a file was cut, and some take an estimated length for a promise. What is looked at here
is the structure alone: chunks (WAV, AIFF, W64, CAF, AU), pages (Ogg, RFC 3533), boxes (MP4, QuickTime),
elements (WebM, Matroska: RFC 8794), the count of frames in an MP3; of streams of frames see :mod:`sernb.audio.frames`.
"""

import io
import mmap
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sernb.audio import frames

HEADER_BYTES = 1024  # read from the start of each file


@dataclass(frozen=True)
class ChunkFormat:
    """Chunk layout of an uncompressed container: each chunk has a name, a length and that many bytes."""

    byte_order: Literal["little", "big"]
    start: int  # of the first chunk
    audio: bytes  # name of the chunk with the samples
    name_bytes: int = 4
    length_bytes: int = 4
    alignment: int = 2  # of chunks, in bytes
    header_bytes: int = 0  # name and length, if they are included in the length


CONTAINERS = {
    b"RIFF": ChunkFormat("little", 12, b"data"),
    b"RIFX": ChunkFormat("big", 12, b"data"),
    b"RF64": ChunkFormat("little", 12, b"data"),
    b"FORM": ChunkFormat("big", 12, b"SSND"),  # AIFF
    b"riff": ChunkFormat("little", 40, b"data", name_bytes=16, length_bytes=8, alignment=8, header_bytes=24),  # W64
    b"caff": ChunkFormat("big", 8, b"data", length_bytes=8, alignment=1),
}
MAX_CHUNKS = 1000  # real files have less than ten
# A program that writes into a pipe cannot fill the length in at the end; it leaves 0 or a number from here on.
UNKNOWN_LENGTH, UNKNOWN_LONG_LENGTH = 0x7FFF0000, 1 << 62
MP3_IN_WAV = 0x50, 0x55  # codings of a WAV file
OGG_PAGE_BYTES = 27 + 255 + 255 * 255  # bytes at most
OGG_LAST_PAGE = 4  # flag of the last page
EBML, SEGMENT, CLUSTER = b"\x1a\x45\xdf\xa3", 0x18538067, 0x1F43B675
ASF, ASF_FILE = b"\x30\x26\xb2\x75", bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
AUDIO_BOXES = b"mdat", b"moov", b"moof"


@dataclass(frozen=True)
class Structure:
    """Position and length of the audio data in a file, in bytes."""

    missing: int = 0  # stated in the header, but beyond the end of the file
    start: int = 0  # of the audio data
    length: int | None = None  # of the available audio data; None: unknown
    empty_length_at: int | None = None  # position of a WAV length field that is 0 although audio data follow
    unterminated: bool = False  # no length is stated, or the end marker is missing
    exact: bool = True  # whether the number of samples that decoders report is exact, not estimated


def read_structure(path: Path, head: bytes, size: int) -> Structure:
    """Read the structure of a file.

    Args:
        head: its first ``HEADER_BYTES`` bytes
        size: of the file, in bytes
    """
    if head[:4] == b".snd":  # AU: one header, then the samples
        start, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return _from_length(start, length, size, UNKNOWN_LENGTH)
    if chunks := CONTAINERS.get(head[:4]):
        return _read_chunks(path, chunks, head, size)
    if head[:4] == b"OggS":
        return _read_ogg(path, size)
    if head[:4] == ASF and (at := head.find(ASF_FILE)) >= 0:  # GUID, length and another GUID precede the size
        streamed = head[at + 88 : at + 89] != b"\2"
        return Structure(0 if streamed else max(0, int.from_bytes(head[at + 40 : at + 48], "little") - size))
    if head[:4] in (b".SoX", b"XoS."):  # its header, then samples of 4 bytes
        order = "little" if head[:1] == b"." else "big"
        start = 4 + int.from_bytes(head[4:8], order)
        return _from_length(start, 4 * int.from_bytes(head[8:16], order), size, UNKNOWN_LONG_LENGTH)
    kind, is_transport = frames.kind_of(head), frames.is_transport(head)
    if kind or is_transport or head[4:8] in BOXES or head[:4] == EBML or head[:3] == b"ID3" or head[:1] == b"\xff":
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if kind:
                return Structure(frames.count_missing(content, kind.start(head), kind))
            if is_transport:
                missing, is_within = frames.last_packet(content)
                return Structure(missing, unterminated=is_within)
            if head[4:8] in BOXES:
                return Structure(_missing_in_mp4(content))
            if head[:4] == EBML:
                return Structure(_missing_in_matroska(content))
            start = _skip_tags(content)
            if frames.is_adts(content[start : start + 2]):
                return Structure(frames.count_missing(content, start, frames.ADTS), start)
            count, named = _read_mp3_header(content[start : start + HEADER_BYTES])
            missing = named - size if count or named else frames.count_missing(content, start, frames.MPEG)
            return Structure(max(0, missing), start, exact=count > 0)
    return Structure(exact=head[:4] == b"fLaC")


def _from_length(start: int, length: int, size: int, unknown: int) -> Structure:
    if 0 < length < unknown:
        return Structure(max(0, start + length - size), start, min(length, max(0, size - start)))
    return Structure(start=start, length=max(0, size - start), unterminated=True)


def _read_chunks(path: Path, chunks: ChunkFormat, head: bytes, size: int) -> Structure:
    unknown = UNKNOWN_LENGTH if chunks.length_bytes == 4 else UNKNOWN_LONG_LENGTH
    with path.open("rb") as file:
        start, length, code = _find_audio(file, chunks, head, size)
        if head[:4] == b"RF64" and length == 0xFFFFFFFF:  # the ds64 chunk has the 64-bit length
            length, unknown = int.from_bytes(head[28:36], "little"), UNKNOWN_LONG_LENGTH
        if length == 0 and head[:4] == b"RIFF" and start < size and not _has_only_chunks(file, chunks, start, size):
            return Structure(0, start, size - start, empty_length_at=start - 4, unterminated=True)
    if length == 0:
        return Structure(0, start, 0)
    exact = code not in MP3_IN_WAV  # the number of samples of MP3 in WAV is an estimate
    return replace(_from_length(start, length, size, unknown), exact=exact)


def _find_audio(file: io.BufferedIOBase, chunks: ChunkFormat, head: bytes, size: int) -> tuple[int, int, int]:
    """Return start and length of the audio chunk (of the whole file if there is none), and the WAV format code."""
    position, code = chunks.start, 0
    for _ in range(MAX_CHUNKS):
        if position + chunks.name_bytes + chunks.length_bytes > size:
            break
        file.seek(position)
        name = file.read(chunks.name_bytes)
        length = int.from_bytes(file.read(chunks.length_bytes), chunks.byte_order) - chunks.header_bytes
        if name == b"fmt ":
            code = int.from_bytes(file.read(2), chunks.byte_order)
        position += chunks.name_bytes + chunks.length_bytes
        if name.startswith(chunks.audio):
            return position, length, code
        position += -(-max(0, length) // chunks.alignment) * chunks.alignment
    return 8, int.from_bytes(head[4:8], chunks.byte_order) if chunks.length_bytes == 4 else 0, code


def _has_only_chunks(file: io.BufferedIOBase, chunks: ChunkFormat, position: int, size: int) -> bool:
    """Return whether the rest of a file consists of further chunks, without audio data."""
    for _ in range(MAX_CHUNKS):
        if position >= size:
            return True
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(4), chunks.byte_order)
        if len(name) < 4 or not all(32 <= character < 127 for character in name):
            return False
        position += 8 + length + length % 2
    return False


def _read_ogg(path: Path, size: int) -> Structure:
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * OGG_PAGE_BYTES))
        end = file.read()
    at = end.rfind(b"OggS")
    if at < 0:  # a hole, which decoders would search to its end
        return Structure(missing=27)
    header = end[at : at + 27]
    segments = end[at + 27 : at + 27 + header[26]] if len(header) == 27 else b""
    if len(header) < 27 or len(segments) < header[26]:
        return Structure(missing=27 + (header[26] if len(header) == 27 else 0) - (len(end) - at))
    beyond = at + 27 + len(segments) + sum(segments) - len(end)
    if beyond < 0 and b"OggS".startswith(end[beyond:]):  # truncated within the capture pattern of the next page
        return Structure(missing=27 + beyond)
    return Structure(missing=max(0, beyond), unterminated=not header[5] & OGG_LAST_PAGE)


def _skip_tags(content: mmap.mmap) -> int:
    start = 0
    for _ in range(MAX_CHUNKS):
        if content[start : start + 3] != b"ID3" or start + 10 > len(content):
            break
        size = 0
        for byte in content[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size
    return start


def _missing_in_mp4(content: mmap.mmap) -> int:
    """Return the missing bytes of MP4 and QuickTime (ISO 14496-12): boxes with 32- or 64-bit lengths; 0 is open."""
    at, size, names = 0, len(content), set()
    for _ in range(frames.MAX_FRAMES):
        if at + 8 > size:
            break
        length, header, name = int.from_bytes(content[at : at + 4], "big"), 8, content[at + 4 : at + 8]
        if length == 1:
            length, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        names.add(name)
        if at + length > size and name in AUDIO_BOXES:  # anything may follow the audio data
            return min(at + length - size, UNKNOWN_LONG_LENGTH)
        if length < header or at + length > size:
            break
        at += length
    return 8 if b"mdat" in names and not names & {b"moov", b"moof"} else 0  # the sample table is missing


def _missing_in_matroska(content: mmap.mmap) -> int:
    """Return the missing bytes of WebM and Matroska; streaming recorders leave the length of some elements open."""
    at, size = 0, len(content)
    for _ in range(frames.MAX_FRAMES):
        if at >= size:
            break
        width = 9 - content[at].bit_length()
        name, at = int.from_bytes(content[at : at + width], "big"), at + width
        if width > 4 or at >= size:
            return 1 if width <= 4 else 0
        width = 9 - content[at].bit_length()
        if width > 8:
            return 0
        unknown = (1 << 7 * width) - 1
        length = int.from_bytes(content[at : at + width], "big") & unknown
        at += width
        if length == unknown and name in (SEGMENT, CLUSTER):
            continue  # with its content
        if at + length > size or name == SEGMENT:  # there is only one
            return max(0, at + length - size)
        at += length
    return 0


def _read_mp3_header(frame: bytes) -> tuple[int, int]:
    """Return the numbers of frames and bytes in the header of an MP3 (Xing, Info or VBRI), or 0."""
    if (at := frame.find(b"VBRI")) >= 0:
        return int.from_bytes(frame[at + 14 : at + 18], "big"), int.from_bytes(frame[at + 10 : at + 14], "big")
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or not frame[at + 7 : at + 8]:
        return 0, 0
    flags, numbers = frame[at + 7], (int.from_bytes(frame[at + k : at + k + 4], "big") for k in (8, 12))
    count = next(numbers) if flags & 1 else 0
    return count, next(numbers) if flags & 2 else 0


class PatchedFile(io.RawIOBase):
    """A file of which some bytes are replaced while reading."""

    def __init__(self, path: Path, at: int, content: bytes):
        super().__init__()
        self.file, self.at, self.content = path.open("rb"), at, content

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self.file.tell()

    def readinto(self, buffer) -> int:
        """Read from the current position."""
        position = self.file.tell()
        content = bytearray(self.file.read(len(buffer)))
        first, last = max(position, self.at), min(position + len(content), self.at + len(self.content))
        if first < last:
            content[first - position : last - position] = self.content[first - self.at : last - self.at]
        buffer[: len(content)] = bytes(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()
