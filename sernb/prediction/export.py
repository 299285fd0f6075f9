"""A model → a file for another runtime, with what a reader needs to use and to prove it.

The folder holds the model, a known answer (a clip of the demo corpus, what the model is given of it, what it must say)
and a README. What the file reads is the waveform where sernb's features can be part of it: log-mels and Whisper's
encoder. Functionals and the features of other encoders are computed before, by the line of code that the file names.
"""

import dataclasses
import json
from pathlib import Path
from types import ModuleType

import numpy as np

from sernb import __version__
from sernb.audio.reading import load
from sernb.config import ROOT, DataError
from sernb.encoders.loading import load_encoder
from sernb.encoders.registry import ENCODERS
from sernb.features import Embedding, Features, Joined, SpeechMel
from sernb.prediction import exported_parts
from sernb.prediction.front_matter import write_front_matter
from sernb.prediction.model import CalibratedNetwork, Model
from sernb.prediction.model_card import write_card
from sernb.prediction.model_folder import refuse_taken
from sernb.runtime.files import atomic
from sernb.systems.sernet_numpy import DilatedNetwork

COMMAND = "sernb export"
NEEDED = {"onnx": ("onnx", "onnxruntime"), "litert": ("tensorflow", "ai_edge_litert")}
FORMATS = tuple(NEEDED)
ANSWER, ABOUT, WAVEFORM = "known-answer", "about.json", "waveform"
CLIP = ROOT / "data" / "demo" / "Actor_01" / "03-01-05-01-01-01-01.flac"
TOLERANCE = 1e-4  # between a probability of the workbook and that of the file
BITS = 2**15


def export_model(model: Model, form: str, folder: Path, *, replace: bool = False) -> dict:
    """Write the folder of an exported model, after its file gave the known answer.

    Args:
        form: of FORMATS
        replace: an earlier export there is replaced

    Raises:
        DataError: if the folder is taken, a package is missing, the model cannot be exported, or the file answers
            otherwise than the workbook

    Returns:
        what the file carries in its notes, values as JSON knows them
    """
    name = f"model.{'onnx' if form == 'onnx' else 'tflite'}"
    files = (name, ABOUT, "README.md", f"{ANSWER}.npz", f"{ANSWER}.wav")
    refuse_taken(folder, replace=replace, files=files, made_by=COMMAND)
    if not CLIP.is_file():
        raise DataError(f"{CLIP}: the demo corpus is not here, whose clip is the known answer; give this command in a "
                        "checkout")  # fmt: skip
    backend, parts = _backend(form), _parts(model)
    notes = describe(model)
    given = known_inputs(model)
    expected = model.scores([model.features(_signal())])
    with atomic(folder.resolve()) as unfinished:
        unfinished.mkdir()
        backend.write(_build(model, parts, backend, notes), unfinished / name)
        answered = backend.answer(unfinished / name, given)
        off = float(np.abs(answered - expected).max())
        if not off <= TOLERANCE:
            raise DataError(f"{model.folder}: the exported file answers otherwise by {off:.2g}; please report this")
        np.savez_compressed(unfinished / f"{ANSWER}.npz", **given, probabilities=expected.astype(np.float32))
        _write_wav(unfinished / f"{ANSWER}.wav")
        about = {"made_by": COMMAND, "file": name, "off_at_most": off, **notes}
        (unfinished / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (unfinished / "README.md").write_text(_readme(model, name, notes), "utf-8")
    return about


def describe(model: Model) -> dict[str, object]:
    """Return what a reader of the file must know, as it stands in its notes."""
    inputs = {}
    for part in _parts(model):
        if _is_inside(part):
            shape = "(1, samples): mono, float, one clip of 0.1 to 30 s"
            inputs[WAVEFORM] = {"shape": shape, "sampling_rate": part.sampling_rate}
        else:
            inputs[_input_name(part)] = {
                "shape": f"(1, {part.width})" if len(_parts(model)) > 1 else f"(clips, {part.width})",
                "sampling_rate": part.sampling_rate,
                "made_by": f"import sernb.features; sernb.features.{_code(part)}(signal)",
                "names": part.names,
            }
    trained, known = model.about.get("trained_on", {}), model.about
    return {
        "name": model.name,
        "sernb": __version__,
        "classes": list(model.classes),
        "inputs": inputs,
        "licence": trained.get("licence", "that of the recordings it was trained on"),
        "trained_on": trained.get("title", str(known.get("corpus", ""))),
        "unsure_below": model.unsure,
        "sets": known.get("sets", {}).get("as_heard", {}),
    }


def known_inputs(model: Model) -> dict[str, np.ndarray]:
    """Return what an exported model is given of the known clip, float32, by the names of its inputs."""
    signal, given = _signal(), {}
    for part in _parts(model):
        if _is_inside(part):
            given[WAVEFORM] = signal[None]
        else:
            given[_input_name(part)] = part(signal).astype(np.float32)
    return given


def _build(model: Model, parts: tuple[Features, ...], backend: ModuleType, notes: dict) -> object:
    def program(ops: exported_parts.Operations, given: dict) -> object:
        signal = ops.reshape(given[WAVEFORM], (-1,)) if WAVEFORM in given else None
        if isinstance(parts[0], SpeechMel):
            network, temperature = _network(model)
            return exported_parts.dilated(ops, exported_parts.speech_mel(ops, signal, parts[0]), network, temperature)
        rows = [
            exported_parts.embedding(ops, signal, part, load_encoder(part.encoder))
            if _is_inside(part)
            else given[_input_name(part)]
            for part in parts
        ]
        return exported_parts.linear(ops, rows[0] if len(rows) == 1 else ops.concat(rows, 1), model.machine)

    clips = 1 if len(parts) > 1 or _is_inside(parts[0]) else "clips"
    shapes = {WAVEFORM: (1, "samples")} if any(map(_is_inside, parts)) else {}
    shapes |= {_input_name(part): (clips, part.width) for part in parts if not _is_inside(part)}
    return backend.build(program, shapes, (clips, len(model.classes)), notes)


def _network(model: Model) -> tuple[DilatedNetwork, float]:
    network, temperature = model.network, 1.0
    if isinstance(network, CalibratedNetwork):
        network, temperature = network.network, network.temperature
    return network, temperature


def _parts(model: Model) -> tuple[Features, ...]:
    """Return the kinds of features that a model reads.

    Raises:
        DataError: if it cannot be exported
    """
    if model.machine is None and not isinstance(_network(model)[0], DilatedNetwork):
        raise DataError(f"{model.name}: cannot be exported; those that can: sernet, and systems that end in -ridge or "
                        "join such, as `sernb train` makes them")  # fmt: skip
    return model.features.parts if isinstance(model.features, Joined) else (model.features,)


def _is_inside(part: Features) -> bool:
    """Return whether features are computed by the file itself."""
    inside = isinstance(part, Embedding) and part.encoder in ENCODERS and part.trimmed and not part.padded
    return isinstance(part, SpeechMel) or (inside and part.pooling != "frames")


def _input_name(part: Features) -> str:
    return "embedding" if isinstance(part, Embedding) else "functionals"


def _code(part: Features) -> str:
    """Return the line of code that makes a kind of features: its class, and the settings that are not its defaults."""
    changed = [
        f"{field.name}={getattr(part, field.name)!r}"
        for field in dataclasses.fields(part)
        if field.name != "weights" and not _is_default(field, getattr(part, field.name))
    ]
    return f"{type(part).__name__}({', '.join(changed)})"


def _is_default(field: dataclasses.Field, value: object) -> bool:
    made = field.default_factory
    return value == (field.default if made is dataclasses.MISSING else made())


def _signal() -> np.ndarray:
    """Return the known clip at 16 kHz, in 16 bits, ``(samples,)``, float32."""
    return (np.round(load(CLIP, 16_000) * BITS) / BITS).clip(-1, 1 - 1 / BITS).astype(np.float32)


def _write_wav(path: Path) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.round(_signal() * BITS).astype("<i2").tobytes())


def _backend(form: str) -> ModuleType:
    import importlib
    from importlib.util import find_spec

    if form not in FORMATS:
        raise DataError(f"no format is named {form!r}; known: {', '.join(FORMATS)}")
    if missing := [name for name in NEEDED[form] if find_spec(name) is None]:
        raise DataError(f"{form}: needs the package {missing[0].replace('_', '-')}; run: pip install 'sernb[{form}]'")
    return importlib.import_module(f"sernb.prediction.{form}_operations")


def _readme(model: Model, name: str, notes: dict) -> str:
    about = model.about
    whole = "figures" in about and "trained_on" in about
    reads = "\n".join(
        f"- `{each}`, {what['shape']}, of sound at {what['sampling_rate']} Hz"
        + (f": `{what['made_by']}`" if "made_by" in what else "")
        for each, what in notes["inputs"].items()
    )
    if name.endswith("onnx"):
        run = f"""\
import numpy, onnxruntime

known = numpy.load("{ANSWER}.npz")
session = onnxruntime.InferenceSession("{name}")
said = session.run(["probabilities"], {{each.name: known[each.name] for each in session.get_inputs()}})[0]
assert abs(said - known["probabilities"]).max() < 1e-4
print(session.get_modelmeta().custom_metadata_map["classes"], said)"""
    else:
        run = f"""\
import numpy
from ai_edge_litert.interpreter import Interpreter

known = numpy.load("{ANSWER}.npz")
run = Interpreter("{name}").get_signature_runner()
said = run(**{{each: known[each] for each in known.files if each != "probabilities"}})["probabilities"]
assert abs(said - known["probabilities"]).max() < 1e-4"""
    card = f"{write_front_matter(about)}{write_card(about)}\n" if whole else f"# {model.name}\n\n"
    return f"""{card}## This file

`{name}` was made by `{COMMAND}` (sernb {notes["sernb"]}). It reads

{reads}

and returns `probabilities` of {", ".join(notes["classes"])}, as they are without adaptation to a voice. A longer
recording is to be cut into windows. Neither the domain check nor "not sure" is part of it. `{ABOUT}` says what the
notes in the file say. `{ANSWER}.wav` is a clip of sernb's demo corpus (synthetic speech, CC0); `{ANSWER}.npz` holds
what the model is given of it, and what it must answer:

```python
{run}
```
"""
