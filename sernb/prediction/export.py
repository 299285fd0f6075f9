"""Export a model to a file for another runtime, with a test example and a README.

The test example is a clip of the demo corpus with the model's input and expected output. The input of the exported
model is the waveform if the features can be part of the file: log-mel spectrograms and embeddings of Whisper's encoder.
Functionals and embeddings of other encoders must be computed beforehand; the metadata of the file gives the code.
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
from sernb.features import Embedding, Features, Joined, SpeechMel, WhisperMel
from sernb.prediction import exported_parts
from sernb.prediction.front_matter import write_front_matter
from sernb.prediction.model import CalibratedNetwork, Model
from sernb.prediction.model_card import write_card
from sernb.prediction.model_folder import refuse_taken
from sernb.runtime.files import atomic
from sernb.systems.sernet_numpy import DilatedNetwork
from sernb.systems.whisper_numpy import FinetunedNetwork

COMMAND = "sernb export"
REQUIRED_PACKAGES = {"onnx": ("onnx", "onnxruntime"), "litert": ("tensorflow", "ai_edge_litert")}
FORMATS = tuple(REQUIRED_PACKAGES)
EXAMPLE, METADATA, WAVEFORM = "known-answer", "about.json", "waveform"
CLIP = ROOT / "data" / "demo" / "Actor_01" / "03-01-05-01-01-01-01.flac"
TOLERANCE = 1e-4  # absolute, between a probability of the model and of the exported file
BITS = 2**15


def export_model(model: Model, form: str, folder: Path, *, replace: bool = False) -> dict:
    """Export a model, check the file on the test example, and write the folder.

    Args:
        model: a linear model, sernet or a fine-tuned encoder
        form: one of ``FORMATS``
        folder: new or empty
        replace: replace an earlier export in the folder

    Returns:
        metadata of the file, as JSON values

    Raises:
        DataError: if the folder is in use, a package is missing, the model cannot be exported, or the output of the
            file differs from the model's by more than ``TOLERANCE``
    """
    file_name = f"model.{'onnx' if form == 'onnx' else 'tflite'}"
    files = (file_name, METADATA, "README.md", f"{EXAMPLE}.npz", f"{EXAMPLE}.wav")
    refuse_taken(folder, replace=replace, files=files, made_by=COMMAND)
    if not CLIP.is_file():
        raise DataError(f"{CLIP}: the clip for the test example is missing; give this command in a checkout")
    backend, parts = _backend(form), _feature_parts(model)
    metadata = make_metadata(model)
    inputs = compute_inputs(model)
    expected = model.scores([model.features(_read_clip())])
    with atomic(folder.resolve()) as unfinished:
        unfinished.mkdir()
        backend.write(_build_backend_model(model, parts, backend, metadata), unfinished / file_name)
        output = backend.run(unfinished / file_name, inputs)
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE:
            raise DataError(
                f"{model.folder}: the output of the exported file differs by {difference:.2g}; please report this"
            )
        np.savez_compressed(unfinished / f"{EXAMPLE}.npz", **inputs, probabilities=expected.astype(np.float32))
        _write_wav(unfinished / f"{EXAMPLE}.wav")
        record = {"made_by": COMMAND, "file": file_name, "off_at_most": difference, **metadata}
        (unfinished / METADATA).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (unfinished / "README.md").write_text(_readme(model, file_name, metadata), "utf-8")
    return record


def make_metadata(model: Model) -> dict[str, object]:
    """Return the metadata of an exported file: classes, inputs, licence, thresholds and more."""
    inputs = {}
    for part in _feature_parts(model):
        if _is_inside(part):
            shape = "(1, samples): mono, float, one clip of 0.1 to 30 s"
            inputs[WAVEFORM] = {"shape": shape, "sampling_rate": part.sampling_rate}
        else:
            inputs[_input_name(part)] = {
                "shape": f"(1, {part.width})" if len(_feature_parts(model)) > 1 else f"(clips, {part.width})",
                "sampling_rate": part.sampling_rate,
                "made_by": f"import sernb.features; sernb.features.{_constructor_code(part)}(signal)",
                "names": part.names,
            }
    training, model_metadata = model.metadata.get("trained_on", {}), model.metadata
    return {
        "name": model.name,
        "sernb": __version__,
        "classes": list(model.classes),
        "inputs": inputs,
        "licence": training.get("licence", "that of the recordings it was trained on"),
        "trained_on": training.get("title", str(model_metadata.get("corpus", ""))),
        "unsure_below": model.unsure_below,
        "sets": model_metadata.get("sets", {}).get("as_heard", {}),
    }


def compute_inputs(model: Model) -> dict[str, np.ndarray]:
    """Return the inputs of the exported model for the test clip by name, float32."""
    signal, inputs = _read_clip(), {}
    for part in _feature_parts(model):
        if _is_inside(part):
            inputs[WAVEFORM] = signal[None]
        else:
            inputs[_input_name(part)] = part(signal).astype(np.float32)
    return inputs


def _build_backend_model(model: Model, parts: tuple[Features, ...], backend: ModuleType, metadata: dict) -> object:
    def program(ops: exported_parts.Operations, values: dict) -> object:
        signal = ops.reshape(values[WAVEFORM], (-1,)) if WAVEFORM in values else None
        network, temperature = _unwrap_network(model)
        if isinstance(network, DilatedNetwork):
            return exported_parts.dilated(ops, exported_parts.speech_mel(ops, signal, parts[0]), network, temperature)
        if isinstance(network, FinetunedNetwork):
            mel = exported_parts.whisper_mel(ops, exported_parts.trim_silence(ops, signal))
            return exported_parts.finetuned(ops, mel, network, temperature)
        inputs = [
            exported_parts.embedding(ops, signal, part, load_encoder(part.encoder))
            if _is_inside(part)
            else values[_input_name(part)]
            for part in parts
        ]
        return exported_parts.linear(ops, inputs[0] if len(inputs) == 1 else ops.concat(inputs, 1), model.classifier)

    clips = 1 if len(parts) > 1 or _is_inside(parts[0]) else "clips"
    shapes = {WAVEFORM: (1, "samples")} if any(map(_is_inside, parts)) else {}
    shapes |= {_input_name(part): (clips, part.width) for part in parts if not _is_inside(part)}
    return backend.build(program, shapes, (clips, len(model.classes)), metadata)


def _unwrap_network(model: Model) -> tuple[DilatedNetwork | FinetunedNetwork, float]:
    network, temperature = model.network, 1.0
    if isinstance(network, CalibratedNetwork):
        network, temperature = network.network, network.temperature
    return network, temperature


def _feature_parts(model: Model) -> tuple[Features, ...]:
    """Return the kinds of features that a model uses.

    Raises:
        DataError: if the model cannot be exported
    """
    if model.classifier is None and not isinstance(_unwrap_network(model)[0], DilatedNetwork | FinetunedNetwork):
        raise DataError(
            f"{model.name}: cannot be exported; only sernet, whisper-finetuned, systems ending in -ridge and their "
            "ensembles, as trained by `sernb train`"
        )
    return model.features.parts if isinstance(model.features, Joined) else (model.features,)


def _is_inside(part: Features) -> bool:
    """Return whether the exported file computes these features itself."""
    is_supported_embedding = (
        isinstance(part, Embedding) and part.encoder in ENCODERS and part.trimmed and not part.padded
    )
    return isinstance(part, SpeechMel | WhisperMel) or (is_supported_embedding and part.pooling != "frames")


def _input_name(part: Features) -> str:
    return "embedding" if isinstance(part, Embedding) else "functionals"


def _constructor_code(part: Features) -> str:
    """Return the code that constructs a kind of features: its class and its non-default settings."""
    changed = [
        f"{field.name}={getattr(part, field.name)!r}"
        for field in dataclasses.fields(part)
        if field.name != "weights" and not _is_default(field, getattr(part, field.name))
    ]
    return f"{type(part).__name__}({', '.join(changed)})"


def _is_default(field: dataclasses.Field, value: object) -> bool:
    factory = field.default_factory
    return value == (field.default if factory is dataclasses.MISSING else factory())


def _read_clip() -> np.ndarray:
    """Return the test clip at 16 kHz, quantised to 16 bits, ``(samples,)``, float32."""
    return (np.round(load(CLIP, 16_000) * BITS) / BITS).clip(-1, 1 - 1 / BITS).astype(np.float32)


def _write_wav(path: Path) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.round(_read_clip() * BITS).astype("<i2").tobytes())


def _backend(form: str) -> ModuleType:
    import importlib
    from importlib.util import find_spec

    if form not in FORMATS:
        raise DataError(f"unknown format {form!r}; known: {', '.join(FORMATS)}")
    if missing := [name for name in REQUIRED_PACKAGES[form] if find_spec(name) is None]:
        raise DataError(f"{form}: needs the package {missing[0].replace('_', '-')}; run: pip install 'sernb[{form}]'")
    return importlib.import_module(f"sernb.prediction.{form}_operations")


def _readme(model: Model, name: str, file_metadata: dict) -> str:
    metadata = model.metadata
    has_card = "figures" in metadata and "trained_on" in metadata
    input_lines = "\n".join(
        f"- `{input_name}`, {properties['shape']}, sampling rate {properties['sampling_rate']} Hz"
        + (f": `{properties['made_by']}`" if "made_by" in properties else "")
        for input_name, properties in file_metadata["inputs"].items()
    )
    if name.endswith("onnx"):
        code = f"""\
import numpy, onnxruntime

example = numpy.load("{EXAMPLE}.npz")
session = onnxruntime.InferenceSession("{name}")
inputs = {{each.name: example[each.name] for each in session.get_inputs()}}
probabilities = session.run(["probabilities"], inputs)[0]
assert abs(probabilities - example["probabilities"]).max() < 1e-4
print(session.get_modelmeta().custom_metadata_map["classes"], probabilities)"""
    else:
        code = f"""\
import numpy
from ai_edge_litert.interpreter import Interpreter

example = numpy.load("{EXAMPLE}.npz")
run = Interpreter("{name}").get_signature_runner()
probabilities = run(**{{each: example[each] for each in example.files if each != "probabilities"}})["probabilities"]
assert abs(probabilities - example["probabilities"]).max() < 1e-4"""
    section = f"""## This folder

`{name}` was exported by `{COMMAND}` (sernb {file_metadata["sernb"]}). Its input is

{input_lines}

and its output `probabilities` of {", ".join(file_metadata["classes"])}, without speaker adaptation.
Cut longer recordings into windows. The thresholds of "not sure" and of the prediction sets are in `{METADATA}`, which
repeats the metadata of the file; the domain check and speaker adaptation are left to sernb. `{EXAMPLE}.wav` is a clip
of sernb's demo corpus (synthetic speech, CC0); `{EXAMPLE}.npz` contains the input for this clip and the expected
output:

```python
{code}
```
"""
    if not has_card:
        return f"# {model.name}\n\n{section}"
    return f"{write_front_matter(metadata)}{write_card(metadata, section)}"
