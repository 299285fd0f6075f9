"""What streams of frames promise beyond the end of a file: each frame, tag, block or packet names its own length.

ADTS and LOAS (ISO 14496-3), MPEG audio (ISO 11172-3), AC-3 and E-AC-3 (ETSI TS 102 366), the core of DTS (ETSI TS
102 114), AMR (RFC 4867), WavPack, FLV (Adobe, version 10.1), Creative VOC, MPEG program and transport streams (ISO
13818-1). A file that was cut exactly between two frames looks whole.
"""

import mmap
from collections.abc import Callable
from dataclasses import dataclass

MAX_FRAMES = 5_000_000  # a day has four million of 20 ms
PACKET = 188  # bytes of a transport stream
TAIL = 20_000  # packets at its end that are looked at
AC3_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)  # kbit/s
MPEG_RATES = {  # kbit/s; by version (1: MPEG-1) and layer
    (1, 1): (*range(0, 449, 32),),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MPEG_SAMPLING_RATES = 44_100, 48_000, 32_000
AMR_NARROW = 13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1  # bytes; 0: no such mode
AMR_WIDE = 18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1


def is_adts(header: bytes) -> bool:
    """Return whether a frame of AAC begins here."""
    return len(header) > 1 and header[0] == 0xFF and header[1] & 0xF6 == 0xF0


def _adts(header: bytes) -> int:
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return max(7, length) if is_adts(header) else 0


def _mpeg(header: bytes) -> int:
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # versions: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5
    rate, sampling_rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if header[0] != 0xFF or header[1] < 0xE0 or version == 1 or layer == 4 or rate in (0, 15) or sampling_rate == 3:
        return 0
    low = version < 3
    hertz = MPEG_SAMPLING_RATES[sampling_rate] >> (0, 1, 2)[low + (version == 0)]
    bits = 1000 * MPEG_RATES[1 + low, min(layer, 2) if low else layer][rate]
    if layer == 1:
        return 4 * (12 * bits // hertz + padding)
    return (72 if low and layer == 3 else 144) * bits // hertz + padding


def _ac3(header: bytes) -> int:
    if header[:2] != b"\x0b\x77":
        return 0
    if header[5] >> 3 > 10:  # E-AC-3
        return 2 * ((header[2] & 7) << 8 | header[3]) + 2
    rate, code = header[4] >> 6, header[4] & 63
    if rate == 3 or code >> 1 >= len(AC3_RATES):
        return 0
    kilobits = AC3_RATES[code >> 1]
    return 2 * (2 * kilobits, 320 * kilobits // 147 + (code & 1), 3 * kilobits)[rate]


def _dts(header: bytes) -> int:
    length = (header[5] & 3) << 12 | header[6] << 4 | header[7] >> 4
    return length + 1 if header[:4] == b"\x7f\xfe\x80\x01" else 0


def _loas(header: bytes) -> int:
    return 3 + ((header[1] & 31) << 8 | header[2]) if header[0] == 0x56 and header[1] & 0xE0 == 0xE0 else 0


def _wavpack(header: bytes) -> int:
    return 8 + int.from_bytes(header[4:8], "little") if header[:4] == b"wvpk" else 0


def _flv(header: bytes) -> int:
    return 15 + int.from_bytes(header[1:4], "big") if header[0] & 31 in (8, 9, 18) else 0


def _voc(header: bytes) -> int:
    return 4 + int.from_bytes(header[1:4], "little") if 0 < header[0] < 10 else 0  # 0 is the mark of the end


def _program(header: bytes) -> int:
    if header[:3] != b"\0\0\1" or header[3] < 0xBA:
        return 0
    if header[3] == 0xBA:  # a pack, of MPEG-1 or MPEG-2
        return 12 if header[4] >> 4 == 2 else 14 + (header[13] & 7)
    return 6 + int.from_bytes(header[4:6], "big")


def _amr(lengths: tuple[int, ...]) -> Callable[[bytes], int]:
    return lambda header: lengths[header[0] >> 3 & 15] if not header[0] & 0x83 else 0


@dataclass(frozen=True)
class Kind:
    """A stream of frames."""

    length: Callable[[bytes], int]  # bytes of the frame that begins with a header; 0: none begins so
    header: int  # bytes that are needed to tell
    start: Callable[[bytes], int] = lambda head: 0  # of the first frame
    frequent: bool = False  # texts may begin like a frame: only a second one is proof


# How their files begin; those of MPEG audio and AAC may follow tags.
ADTS, MPEG = Kind(_adts, 7, frequent=True), Kind(_mpeg, 4, frequent=True)
MARKS = {
    b"\x0b\x77": Kind(_ac3, 6),
    b"\x7f\xfe\x80\x01": Kind(_dts, 8),
    b"\x56": Kind(_loas, 3, frequent=True),
    b"wvpk": Kind(_wavpack, 8),
    b"FLV\1": Kind(_flv, 4, lambda head: 4 + int.from_bytes(head[5:9], "big")),
    b"Creative Voice File\x1a": Kind(_voc, 4, lambda head: int.from_bytes(head[20:22], "little")),
    b"\0\0\1\xba": Kind(_program, 14),
    b"#!AMR\n": Kind(_amr(AMR_NARROW), 1, lambda head: 6),
    b"#!AMR-WB\n": Kind(_amr(AMR_WIDE), 1, lambda head: 9),
}


def kind_of(head: bytes) -> Kind | None:
    """Return the stream of frames that begins so."""
    for mark, kind in MARKS.items():
        if head.startswith(mark) and kind.length(head[kind.start(head) :][:16].ljust(16, b"\0")):
            return kind
    return None


def count_missing(content: mmap.mmap, at: int, kind: Kind) -> int:
    """Return how many bytes of its last frame a file lacks; 0 as well where something else follows the frames.

    Args:
        at: where the first frame begins
    """
    size, first = len(content), content[at : at + 16]
    for number in range(MAX_FRAMES):
        header = content[at : at + 16]
        if not any(header) or not (length := kind.length((header + first[len(header) :]).ljust(16, b"\0"))):
            return 0
        if (end := at + (length if len(header) >= kind.header else kind.header)) > size:
            return 0 if kind.frequent and not number else end - size
        at += length
    return 0


def is_transport(head: bytes) -> bool:
    """Return whether a file is an MPEG transport stream."""
    return head[: 4 * PACKET + 1 : PACKET] == b"GGGGG"


def last_packet(content: mmap.mmap) -> tuple[int, bool]:
    """Return how many bytes the last packet of a transport stream lacks, and whether a stream ends within a block."""
    missing = -len(content) % PACKET
    end, seen = len(content) // PACKET, {}
    for number in range(end - 1, max(-1, end - TAIL), -1):
        packet = content[PACKET * number : PACKET * (number + 1)]
        if packet[0] != 0x47:
            return 0, False  # something else lies behind it
        stream = (packet[1] & 31) << 8 | packet[2]
        if seen.get(stream, 0) is None or not packet[3] & 0x10:
            continue
        payload = packet[4 + (1 + packet[4] if packet[3] & 0x20 else 0) :]
        seen[stream] = seen.get(stream, 0) + len(payload)
        if packet[1] & 0x40:
            named = int.from_bytes(payload[4:6], "big") if payload[:3] == b"\0\0\1" else 0  # 0: not named
            if named and 6 + named > seen[stream]:
                return missing, True
            seen[stream] = None
    return missing, False
