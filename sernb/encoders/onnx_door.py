"""An encoder in an ONNX file: waveform in, one or several hidden states out; by onnxruntime, where it is installed.

``onnx:FILE`` reads 16 kHz; another rate is written behind the name, as in ``onnx:FILE@8000``. Where the exporter left a
``preprocessor_config.json`` beside the file, as Hugging Face's do, its sampling rate and normalisation count.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.config import DataError

LONGEST: Seconds = 30.0  # that is encoded at once
ROOM = 700 * 2**20  # bytes of memory, beside four times the file, that loading and one second of sound may take
PATIENCE: Seconds = 300.0
LARGEST_NOTE = 2**20


@dataclass(frozen=True)
class OnnxEncoder:
    """An ONNX graph that encodes speech; each output ``(1, positions, width)`` is a layer, in the order of the file."""

    name: str
    identity: str
    sampling_rate: Hertz
    normalised: bool  # every stretch to mean 0 and deviation 1, as some encoders were trained
    outputs: tuple[str, ...]
    width: int
    session: object = field(repr=False)

    @property
    def layers(self) -> int:
        """Hidden states that it returns."""
        return len(self.outputs)

    @property
    def card(self) -> str:
        """One sentence for a protocol card."""
        return f"{self.name}, frozen: what it was trained on is not known here; it may have heard this corpus."

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each 30 s of a signal, float32, ``(layers, positions, width)``."""
        for stretch in stretches(signal, self.sampling_rate):
            if self.normalised:
                stretch = (stretch - stretch.mean()) / np.sqrt(stretch.var() + 1e-7)
            (entrance, *_) = self.session.get_inputs()
            states = self.session.run(list(self.outputs), {entrance.name: stretch[None].astype(np.float32)})
            yield np.stack([each[0] for each in states]).astype(np.float32)


def stretches(signal: np.ndarray, sampling_rate: Hertz) -> Iterator[np.ndarray]:
    """Yield each 30 s of a signal; a rest of less than a tenth of a second is left out, a short clip is filled up."""
    size, least = int(LONGEST * sampling_rate), sampling_rate // 10
    signal = np.pad(signal, (0, max(0, least - len(signal))))
    for start in range(0, len(signal) - least + 1, size):
        yield signal[start : start + size]


def opened(what: str) -> OnnxEncoder:
    """Open an encoder.

    The file is tried in a process of its own first, whose memory is bounded: no file of anybody's can take more.

    Raises:
        DataError: naming the file and what is wrong with it
    """
    from sernb.encoders.loading import prove
    from sernb.runtime.files import checksum

    match = re.fullmatch(r"(.*?)(?:@(\d+))?", what)
    path, name = Path(os.path.expanduser(match[1])).absolute(), f"onnx:{what}"
    rate, normalised = _beside(path)
    rate = int(match[2] or rate)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; name an ONNX file as in onnx:FILE")
    found = _tried(path, rate)
    session = _session(path)
    encoder = OnnxEncoder(
        name, checksum(path)[:16], rate, normalised, tuple(found["outputs"]), found["width"], session,
    )  # fmt: skip
    prove(encoder, name)
    return encoder


def _beside(path: Path) -> tuple[Hertz, bool]:
    """Return rate and normalisation from the exporter's note, where there is one."""
    note = path.parent / "preprocessor_config.json"
    try:
        if note.stat().st_size > LARGEST_NOTE:
            return 16_000, False
        about = json.loads(note.read_text("utf-8"))
        rate = int(about.get("sampling_rate", 16_000))
        return rate if 4_000 <= rate <= 48_000 else 16_000, bool(about.get("do_normalize", False))
    except (OSError, ValueError, TypeError, AttributeError):
        return 16_000, False


def _tried(path: Path, rate: Hertz) -> dict:
    """Load the file and encode a second in a process whose memory is bounded; return outputs and width."""
    program = [sys.executable, "-c", "from sernb.encoders.onnx_door import trial; trial()", str(path), str(rate)]
    try:
        done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
        found = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{path}: does not encode a second of sound in {PATIENCE:.0f} s; take another file") from error
    except (ValueError, IndexError) as error:
        why = "needs too much memory, or ends the program that reads it"
        raise DataError(f"{path}: is no encoder that can be used ({why}); export it again") from error
    if "wrong" in found:
        raise DataError(f"{path}: {found['wrong']}")
    return found


def _session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def trial() -> None:
    """Try the file named on the command line, with bounded memory; print what was found as JSON."""
    path, rate = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps(_trial(path, rate)))


def _trial(path: Path, rate: Hertz) -> dict:
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
    again = "export it with the waveform, (1, samples), as its only input and hidden states as outputs"
    try:
        session = _session(path)
    except Exception as error:  # onnxruntime's errors have no base of their own
        return {"wrong": f"is no ONNX file that can be read ({_first_line(error)}); get or export it again"}
    needed = session.get_inputs()
    if len(needed) != 1 or needed[0].type != "tensor(float)" or len(needed[0].shape) != 2:
        given = ", ".join(f"{each.name} {each.type} {each.shape}" for each in needed[:4])
        return {"wrong": f"takes {given[:200] or 'nothing'}; {again}"}
    try:
        sound = np.random.default_rng(0).normal(0, 0.1, (1, rate)).astype(np.float32)
        results = session.run(None, {needed[0].name: sound})
    except Exception as error:
        return {"wrong": f"cannot encode a second of sound at {rate} Hz ({_first_line(error)}); {again}"}
    names = [each.name for each in session.get_outputs()]
    states = {name: each for name, each in zip(names, results, strict=True) if np.ndim(each) == 3 and len(each) == 1}
    shapes = {each.shape for each in states.values()}
    if len(shapes) != 1 or min(next(iter(shapes))) < 1 or next(iter(shapes))[1] < 2:
        shown = ", ".join(f"{name} {np.shape(each)}" for name, each in zip(names[:4], results[:4], strict=True))
        return {"wrong": f"returns {shown[:200]}, not hidden states of one shape, (1, positions, width); {again}"}
    return {"outputs": list(states), "width": next(iter(shapes))[2]}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
