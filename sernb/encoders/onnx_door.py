"""Encoders in an ONNX file, from a waveform to one or several hidden states; needs onnxruntime.

``onnx:FILE`` expects 16 kHz; another sampling rate follows the name, as in ``onnx:FILE@8000``. The sampling rate and
normalisation in a ``preprocessor_config.json`` beside the file, as exported by Hugging Face, are used.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DataError, expand_home
from sernb.encoders.registry import LONGEST

ROOM = 700 * 2**20  # bytes of memory, beside four times the file size, for loading and encoding one second
TIMEOUT: Seconds = 300.0
LARGEST_CONFIG = 2**20


@dataclass(frozen=True)
class OnnxEncoder:
    """An ONNX graph that encodes speech; each output, ``(1, positions, width)``, is a layer."""

    name: str
    identity: str
    sampling_rate: Hertz
    normalised: bool  # whether segments are standardised to mean 0 and variance 1, as some encoders expect
    outputs: tuple[str, ...]
    width: int
    session: object = field(repr=False)

    @property
    def layers(self) -> int:
        """Number of hidden states."""
        return len(self.outputs)

    @property
    def card(self) -> str:
        """One sentence for a protocol card."""
        return f"{self.name}, frozen: its training data are unknown and may include this corpus."

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each 30 s of a signal, float32, ``(layers, positions, width)``."""
        for segment in split_segments(signal, self.sampling_rate):
            if self.normalised:
                segment = (segment - segment.mean()) / np.sqrt(segment.var() + 1e-7)
            (waveform, *_) = self.session.get_inputs()
            states = self.session.run(list(self.outputs), {waveform.name: segment[None].astype(np.float32)})
            yield np.stack([each[0] for each in states]).astype(np.float32)


def split_segments(signal: np.ndarray, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield segments of 30 s; pad clips shorter than 0.1 s, and drop a final segment shorter than that."""
    size, least = int(LONGEST * sampling_rate), sampling_rate // 10
    signal = np.pad(signal, (0, max(0, least - len(signal))))
    for start in range(0, len(signal) - least + 1, size):
        yield signal[start : start + size]


def open_encoder(location: str) -> OnnxEncoder:
    """Open an encoder.

    The file is first tried in a separate process with bounded memory, because it is untrusted.

    Args:
        location: path of the file, optionally followed by ``@`` and the sampling rate in Hz

    Raises:
        DataError: with the file and the problem
    """
    from sernb.encoders.loading import verify_encoder
    from sernb.runtime.files import checksum

    match = re.fullmatch(r"(.*?)(?:@(\d+))?", location)
    path, name = expand_home(match[1]).absolute(), f"onnx:{location}"
    rate, normalised = _read_config(path)
    rate = int(match[2] or rate)
    if not path.is_file():
        raise DataError(f"{path}: no such file; name an ONNX file as in onnx:FILE")
    graph = _try_in_process(path, rate)
    session = _open_session(path)
    encoder = OnnxEncoder(
        name, checksum(path)[:16], rate, normalised, tuple(graph["outputs"]), graph["width"], session,
    )  # fmt: skip
    verify_encoder(encoder, name)
    return encoder


def _read_config(path: Path) -> tuple[Hertz, bool]:
    """Return sampling rate and normalisation from the configuration beside the file, else the defaults."""
    file = path.parent / "preprocessor_config.json"
    try:
        if file.stat().st_size > LARGEST_CONFIG:
            return 16_000, False
        config = json.loads(file.read_text("utf-8"))
        rate = int(config.get("sampling_rate", 16_000))
        return rate if 4_000 <= rate <= 48_000 else 16_000, bool(config.get("do_normalize", False))
    except (OSError, ValueError, TypeError, AttributeError):
        return 16_000, False


def _try_in_process(path: Path, rate: Hertz) -> dict:
    """Load the file and encode one second in a process with bounded memory; return outputs and width."""
    program = [sys.executable, "-c", "from sernb.encoders.onnx_door import trial; trial()", str(path), str(rate)]
    try:
        process = subprocess.run(program, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603
        graph = json.loads(process.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{path}: does not encode a second of sound in {TIMEOUT:.0f} s; use another file") from error
    except (ValueError, IndexError) as error:
        reason = "needs too much memory, or crashes the process that reads it"
        raise DataError(f"{path}: is not a usable encoder ({reason}); export it again") from error
    if "wrong" in graph:
        raise DataError(f"{path}: {graph['wrong']}")
    return graph


def _open_session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def trial() -> None:
    """Try the file named on the command line with bounded memory; print outputs and width, or the problem, as JSON."""
    path, rate = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps(_inspect(path, rate)))


def _inspect(path: Path, rate: Hertz) -> dict:
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return {"wrong": "needs the package onnxruntime; run: pip install onnxruntime"}
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        most = ROOM + 4 * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    advice = "export it with the waveform, (1, samples), as its only input and hidden states as outputs"
    try:
        session = _open_session(path)
    except Exception as error:  # onnxruntime's errors have no common base class
        return {"wrong": f"is not a readable ONNX file ({_first_line(error)}); get or export it again"}
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        listed = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs[:4])
        return {"wrong": f"takes {listed[:200] or 'nothing'}; {advice}"}
    try:
        sound = np.random.default_rng(0).normal(0, 0.1, (1, rate)).astype(np.float32)
        results = session.run(None, {inputs[0].name: sound})
    except Exception as error:
        return {"wrong": f"cannot encode a second of sound at {rate} Hz ({_first_line(error)}); {advice}"}
    names = [each.name for each in session.get_outputs()]
    states = {name: each for name, each in zip(names, results, strict=True) if np.ndim(each) == 3 and len(each) == 1}
    shapes = {each.shape for each in states.values()}
    if len(shapes) != 1 or min(next(iter(shapes))) < 1 or next(iter(shapes))[1] < 2:
        shown = ", ".join(f"{name} {np.shape(each)}" for name, each in zip(names[:4], results[:4], strict=True))
        return {"wrong": f"returns {shown[:200]}, not hidden states of one shape, (1, positions, width); {advice}"}
    return {"outputs": list(states), "width": next(iter(shapes))[2]}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
