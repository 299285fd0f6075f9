"""An encoder's weights from the hub to the disk, and what is known of each encoder."""

import os
from collections.abc import Callable
from pathlib import Path

from sernb.config import ROOT
from sernb.encoders.loading import encoder_named, require_file
from sernb.encoders.registry import ENCODERS, WEIGHTS, Record
from sernb.runtime.download import fetch_file
from sernb.runtime.progress import progress_line


def fetch_encoder(
    record: Record,
    into: str | Path | None = None,
    *,
    url: str = "",
    announce: Callable[[str], None] = progress_line,
    progress: bool = False,
) -> Path:
    """Download the weights of an encoder where they are missing, check their sha256, and have a demo clip encoded.

    Args:
        into: folder for the file; default: where encoders are looked for
        url: another address of the same file

    Returns:
        the file

    Raises:
        DataError: if a file is there that is another one, the server does not deliver, or the embedding is another
    """
    path = Path(os.path.expanduser(into)).absolute() / WEIGHTS if into else record.path
    if path.exists():
        if path == record.path:
            require_file(record)
        announce(f"{record.name}: is there, in {path.parent}")
    else:
        fetch_file(url or record.url, path, size=record.bytes, sha256=record.sha256, given=bool(url), progress=progress)
        announce(f"{record.name}: fetched into {path.parent}, sha256 as published")
    if path == record.path:
        encoder_named(record.name)
        proof = "reproduces its known embedding" if record.known else "works; no embedding of it is known"
        announce(f"{record.name}: {proof}")
    return path


def lines_of_encoders() -> list[str]:
    """Return what is known of each encoder, and whether it is on disk, for people to read."""
    lines = []
    for record in ENCODERS.values():
        path, size = record.path, f"{record.bytes / 1e6:.0f} MB" if record.bytes else "size not published"
        place = path.parent.relative_to(ROOT) if path.is_relative_to(ROOT) else path.parent
        state = f"not on disk; run `sernb fetch {record.name}`"
        if path.is_file():
            whole = record.bytes in (None, path.stat().st_size)
            state = f"on disk: {place}" if whole else f"on disk, but of another size: {place}"
        tried = "" if record.known else " (not tried here)"
        shape = f"{record.layers} layers of {record.width} values, {record.sampling_rate // 1000} kHz"
        lines += [
            f"{record.name}: {shape}, {size}{tried}",
            f"    {record.title}",
            f"    trained on {record.trained_on}; heard corpora of this workbook: {record.heard}",
            f"    licence: {record.licence}; from {record.repository} at {record.revision[:12]}",
            f"    {state}",
        ]
    lines.append("others: onnx:FILE (waveform in, states out), hf:NAME (transformers), table:FILE (made elsewhere)")
    return lines


def hint() -> str:
    """Return the sentence for those who have no encoder on disk; nothing where one is."""
    if any(record.path.is_file() for record in ENCODERS.values()):
        return ""
    return "no pretrained encoder is on disk: `sernb fetch whisper-tiny.en` (76 MB) adds the systems named embedding-…"
