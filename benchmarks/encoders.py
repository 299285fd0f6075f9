"""Speed of our Whisper encoder relative to CTranslate2's, which encodes each clip padded to 30 s as published."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sernb.corpora.preparation import prepare
from sernb.encoders.loading import load_encoder
from sernb.encoders.registry import DEFAULT, Record, record_of
from sernb.encoders.whisper import SAMPLES, log_mel
from sernb.features import Embedding

CLIPS = 16
WORDS = ("<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>", "<|transcribe|>")


def open_reference(record: Record, folder: Path, *, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return CTranslate2's encoder of the same weights.

    Args:
        record: of the registry, its weights on disk
        folder: empty, for links to the weights and a vocabulary, whose words the encoder does not use
        threads: of one call

    Returns:
        function from a log-mel of 30 s, ``(3000, 80)``, to the final layer, ``(1500, width)``
    """
    import ctranslate2

    for name in ("model.bin", "config.json"):
        (folder / name).symlink_to(record.path.with_name(name))
    count = 51_864 if record.name.endswith(".en") else 51_865
    (folder / "vocabulary.json").write_text(json.dumps([*map(str, range(count - len(WORDS))), *WORDS]))
    model = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=threads)

    def encode(mel: np.ndarray) -> np.ndarray:
        given = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.T[None]))
        return np.array(model.encode(given, to_cpu=True))[0]

    return encode


def pairs(
    corpus, data: str | None, signals: list[np.ndarray], folder: Path, cold: Callable[[Callable], Callable]
) -> Iterator[tuple[str, Callable[[], object], str, Callable[[], object]]]:
    """Yield name and function, reference name and function: of one layer after the other, and of a whole corpus.

    Args:
        corpus: its clips are embedded
        data: folder with its recordings
        signals: of some clips at 16 kHz
        folder: empty
        cold: makes a function that empties the cache first
    """
    encoder, features = load_encoder(DEFAULT), Embedding()
    reference = open_reference(record_of(DEFAULT), folder, threads=1)

    def encode() -> None:
        for signal in signals[:CLIPS]:
            encoder.states(log_mel(signal))

    def encode_padded() -> None:
        for signal in signals[:CLIPS]:
            encoder.states(log_mel(np.pad(signal, (0, SAMPLES - len(signal)))))

    def encode_with_reference() -> None:
        for signal in signals[:CLIPS]:
            reference(log_mel(np.pad(signal, (0, SAMPLES - len(signal)))))

    theirs = f"CTranslate2's encoder, {CLIPS} clips padded to 30 s"
    yield f"{DEFAULT}, {CLIPS} clips, real frames", encode, theirs, encode_with_reference
    yield f"{DEFAULT}, {CLIPS} clips padded to 30 s", encode_padded, theirs, encode_with_reference
    embed = cold(lambda: prepare(corpus, features, data=data))
    yield f"prepare, cold: embeddings of {DEFAULT}, {corpus.clips} clips", embed, theirs, encode_with_reference
