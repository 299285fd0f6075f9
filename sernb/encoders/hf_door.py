"""An encoder of the Hugging Face hub or a folder in its layout, by transformers and torch, where a person has them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.config import DataError, digest
from sernb.encoders.onnx_door import stretches

BLOCK = 1 << 20


@dataclass(frozen=True)
class HfEncoder:
    """All hidden states of a speech model, the one before its first block included."""

    name: str
    identity: str
    sampling_rate: Hertz
    layers: int
    width: int
    model: object = field(repr=False)
    extractor: object = field(repr=False)

    @property
    def card(self) -> str:
        """One sentence for a protocol card."""
        return f"{self.name}, frozen: its model card says what it was trained on; it may have heard this corpus."

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each 30 s of a signal, float32, ``(layers, positions, width)``."""
        import torch

        for stretch in stretches(signal, self.sampling_rate):
            given = self.extractor(stretch, sampling_rate=self.sampling_rate, return_tensors="pt")
            with torch.inference_mode():
                output = self.model(**given, output_hidden_states=True)
            yield np.stack([each[0].float().numpy() for each in output.hidden_states])


def opened(what: str) -> HfEncoder:
    """Load a model: safetensors only, and none of its own code.

    Raises:
        DataError: if the packages are missing, or it cannot be loaded or used
    """
    from sernb.encoders.loading import prove

    try:
        import torch  # noqa: F401
        from transformers import AutoFeatureExtractor, AutoModel
    except ImportError as error:
        raise DataError(
            f"hf:{what}: needs the packages transformers and torch; run: pip install transformers torch"
        ) from error
    try:
        extractor = AutoFeatureExtractor.from_pretrained(what, trust_remote_code=False)
        model = AutoModel.from_pretrained(what, trust_remote_code=False, use_safetensors=True).eval()
        model = getattr(model, "encoder", model) if getattr(model.config, "is_encoder_decoder", False) else model
        layers, width = model.config.num_hidden_layers + 1, model.config.hidden_size
    except Exception as error:  # whatever transformers stumbles over: one line for all of it
        why = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise DataError(f"hf:{what}: cannot be used ({why}); name a speech model with safetensors weights") from error
    # Weights change under the same name: what they are is told by some of them.
    some = [(name, float(each.detach().float().abs().sum())) for name, each in model.named_parameters()]
    encoder = HfEncoder(f"hf:{what}", digest(some), extractor.sampling_rate, layers, width, model, extractor)
    prove(encoder, encoder.name)
    return encoder
