"""Speed of our Whisper encoder relative to CTranslate2's, which encodes each clip padded to 30 s as published."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from sernb.encoders.loading import load_encoder
from sernb.encoders.registry import DEFAULT, Record, record_of
from sernb.encoders.whisper import SAMPLES, log_mel

WORDS = ("<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>", "<|transcribe|>")


def open_reference(record: Record, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return CTranslate2's encoder of the same weights, on one thread.

    Args:
        record: of the registry, its weights on disk
        folder: empty, for links to the weights and a vocabulary, whose words the encoder does not use

    Returns:
        function from a log-mel of 30 s, ``(3000, 80)``, to the final layer, ``(1500, width)``
    """
    import ctranslate2

    for name in ("model.bin", "config.json"):
        (folder / name).symlink_to(record.path.with_name(name))
    count = 51_864 if record.name.endswith(".en") else 51_865
    (folder / "vocabulary.json").write_text(json.dumps([*map(str, range(count - len(WORDS))), *WORDS]))
    model = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=1)

    def encode(mel: np.ndarray) -> np.ndarray:
        given = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.T[None]))
        return np.array(model.encode(given, to_cpu=True))[0]

    return encode


def pairs(
    signals: list[np.ndarray], folder: Path
) -> Iterator[tuple[str, Callable[[], object], str, Callable[[], object]]]:
    """Yield name and function, reference name and function.

    Args:
        signals: of some clips at 16 kHz
        folder: empty
    """
    encoder, reference = load_encoder(DEFAULT), open_reference(record_of(DEFAULT), folder)
    padded = [np.pad(signal, (0, SAMPLES - len(signal))) for signal in signals]

    def encode(clips: list[np.ndarray]) -> None:
        for signal in clips:
            encoder.states(log_mel(signal))

    def encode_with_reference() -> None:
        for signal in padded:
            reference(log_mel(signal))

    ours, theirs = f"{DEFAULT}, {len(signals)} clips", "CTranslate2's encoder, padded to 30 s"
    yield f"{ours}, real frames", partial(encode, signals), theirs, encode_with_reference
    yield f"{ours}, padded to 30 s", partial(encode, padded), theirs, encode_with_reference
