"""Download the weights of an encoder, and list the available encoders."""

from collections.abc import Callable
from pathlib import Path

from sernb.config import ROOT, expand_home
from sernb.encoders.loading import load_encoder, require_file
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
    """Download the weights of an encoder if they are missing, verify their sha256, and encode a demo clip.

    Args:
        into: folder for the file; default: the folder of encoders
        url: another address of the same file

    Returns:
        the file

    Raises:
        DataError: if another file is in its place, the download fails, or the embedding differs from the known one
    """
    path = expand_home(into).absolute() / WEIGHTS if into else record.path
    if path.exists():
        if path == record.path:
            require_file(record)
        announce(f"{record.name}: is already in {path.parent}")
    else:
        fetch_file(url or record.url, path, size=record.bytes, sha256=record.sha256, given=bool(url), progress=progress)
        announce(f"{record.name}: fetched into {path.parent}, sha256 as published")
    if path == record.path:
        load_encoder(record.name)
        outcome = "reproduces its known embedding" if record.known else "works; no reference embedding is known"
        announce(f"{record.name}: {outcome}")
    return path


def format_encoders() -> list[str]:
    """Format the metadata of each encoder, and whether it is on disk, as lines."""
    lines = []
    for record in ENCODERS.values():
        path, size = record.path, f"{record.bytes / 1e6:.0f} MB" if record.bytes else "size not published"
        place = path.parent.relative_to(ROOT) if path.is_relative_to(ROOT) else path.parent
        state = f"not on disk; run `sernb fetch {record.name}`"
        if path.is_file():
            right_size = record.bytes in (None, path.stat().st_size)
            state = f"on disk: {place}" if right_size else f"on disk, but with a wrong size: {place}"
        tested = "" if record.known else " (not tested here)"
        shape = f"{record.layers} layers of {record.width} values, {record.sampling_rate // 1000} kHz"
        lines += [
            f"{record.name}: {shape}, {size}{tested}",
            f"    {record.title}",
            f"    trained on {record.trained_on}; corpora of this workbook in its training data: {record.seen_corpora}",
            f"    licence: {record.licence}; from {record.repository} at {record.revision[:12]}",
            f"    {state}",
        ]
    lines.append("others: onnx:FILE (waveform in, states out), hf:NAME (transformers), table:FILE (embeddings)")
    return lines


def hint() -> str:
    """Return advice if no encoder is on disk, otherwise an empty text."""
    if any(record.path.is_file() for record in ENCODERS.values()):
        return ""
    return "no pretrained encoder is on disk: `sernb fetch whisper-tiny.en` (76 MB) adds embedding-ridge and others"
