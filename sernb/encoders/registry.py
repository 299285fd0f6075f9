"""The registry of pretrained speech encoders: metadata, sources, and known embeddings."""

import os
from dataclasses import dataclass
from pathlib import Path

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DATA, DataError, expand_home

WEIGHTS = "model.bin"
DEFAULT = "whisper-tiny.en"
LONGEST: Seconds = 30.0  # input of an encoder: longer signals are divided into windows


@dataclass(frozen=True)
class Record:
    """Metadata of an encoder; ``known`` is its embedding of a demo clip, which verifies weights and code."""

    name: str
    title: str
    repository: str  # source of the file on the hub
    revision: str
    bytes: int | None  # size of the file; None: not published
    sha256: str
    blocks: int
    width: int
    known: tuple[float, ...] = ()  # see :func:`sernb.encoders.loading.embed_clip`; empty: not tested
    publisher: str = "OpenAI; converted by Systran"
    licence: str = "MIT"
    sampling_rate: Hertz = 16_000
    trained_on: str = "680,000 hours of transcribed speech from the web, not published"
    seen_corpora: str = "unknown"  # corpora of this workbook in the training data: their names, or "unknown"

    @property
    def layers(self) -> int:
        """Number of hidden states."""
        return self.blocks + 1

    @property
    def url(self) -> str:
        """The download address of the file."""
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{WEIGHTS}"

    @property
    def path(self) -> Path:
        """The path of the file on this machine."""
        return encoders_folder() / self.name / WEIGHTS

    @property
    def card(self) -> str:
        """One sentence for a protocol card: its training data, and whether they may include the corpus."""
        seen = f"whether these include this corpus: {self.seen_corpora}"
        return f"{self.name} was trained by {self.publisher.split(';')[0]} on {self.trained_on}; {seen}."


def _whisper(size: str, blocks: int, width: int, revision: str, count: int | None, sha256: str, known=()) -> Record:
    hours = {"trained_on": "the English part of 680,000 hours of transcribed speech from the web, not published"}
    english = hours if size.endswith(".en") else {}
    title = f"Whisper {size}, encoder (Radford et al. 2023, arXiv:2212.04356)"
    return Record(
        f"whisper-{size}", title, f"Systran/faster-whisper-{size}", revision, count, sha256, blocks, width, known,
        **english,
    )  # fmt: skip


ENCODERS = {
    record.name: record
    for record in (
        _whisper(
            "tiny.en", 4, 384, "0d3d19a32d3338f10357c0889762bd8d64bbdeba", 75_537_502,
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            (-0.0602, 0.1719, 0.2968, 0.6356, 0.3232, 0.367, 0.2028, 0.2702, -0.3925, -0.0775),
        ),
        _whisper(
            "base", 6, 512, "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", 145_217_532,
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            (
                -0.1059, -0.1362, 0.4036, 0.6282, 0.4393, 0.5598, 0.3618, 0.6597, 0.0926, 0.99, 1.2946, 0.644,
                -0.028, -0.1066,
            ),
        ),
        _whisper(
            "tiny", 4, 384, "d90ca5fe260221311c53c58e660288d3deb8d356", 75_538_270,
            "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
        ),
        _whisper("base.en", 6, 512, "main", None, "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef"),
        _whisper(
            "small", 12, 768, "536b0662742c02347bc0e980a01041f333bce120", 483_546_902,
            "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
        ),
    )
}  # fmt: skip


def encoders_folder() -> Path:
    """Return the folder of the weights: ``$SERNB_ENCODERS``, else ``data/encoders``."""
    return expand_home(os.environ.get("SERNB_ENCODERS") or DATA / "encoders")


def record_of(name: str) -> Record:
    """Return the record of an encoder.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in ENCODERS:
        raise DataError(
            f"no encoder is named {name!r}; known: {', '.join(ENCODERS)}, or your own as onnx:FILE, table:FILE or "
            "hf:NAME"
        )
    return ENCODERS[name]
