"""Encoders from the Hugging Face hub or a local folder in its layout; needs transformers and torch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.config import DataError, digest
from sernb.encoders.onnx_door import split_segments

BLOCK = 1 << 20


@dataclass(frozen=True)
class HfEncoder:
    """All hidden states of a speech model, including the input of its first block."""

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
        return f"{self.name}, frozen: see its model card for the training data, which may include this corpus."

    def __call__(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each 30 s of a signal, float32, ``(layers, positions, width)``."""
        import torch

        for segment in split_segments(signal, self.sampling_rate):
            inputs = self.extractor(segment, sampling_rate=self.sampling_rate, return_tensors="pt")
            with torch.inference_mode():
                output = self.model(**inputs, output_hidden_states=True)
            yield np.stack([each[0].float().numpy() for each in output.hidden_states])


def open_encoder(location: str) -> HfEncoder:
    """Load a model from safetensors, without running any code of the model repository.

    Args:
        location: name on the hub, or folder

    Raises:
        DataError: if the packages are missing, or the model cannot be loaded or used
    """
    from sernb.encoders.loading import verify_encoder

    try:
        import torch  # noqa: F401
        from transformers import AutoFeatureExtractor, AutoModel
    except ImportError as error:
        raise DataError(
            f"hf:{location}: needs the packages transformers and torch; run: pip install transformers torch"
        ) from error
    try:
        extractor = AutoFeatureExtractor.from_pretrained(location, trust_remote_code=False)
        model = AutoModel.from_pretrained(location, trust_remote_code=False, use_safetensors=True).eval()
        model = getattr(model, "encoder", model) if getattr(model.config, "is_encoder_decoder", False) else model
        layers, width = model.config.num_hidden_layers + 1, model.config.hidden_size
    except Exception as error:  # transformers raises many kinds of errors; all become one line
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise DataError(
            f"hf:{location}: cannot be used ({reason}); name a speech model with safetensors weights"
        ) from error
    # The weights of a name can change on the hub, so they are identified by the sums of their parameters.
    sums = [(name, float(each.detach().float().abs().sum())) for name, each in model.named_parameters()]
    encoder = HfEncoder(f"hf:{location}", digest(sums), extractor.sampling_rate, layers, width, model, extractor)
    verify_encoder(encoder, encoder.name)
    return encoder
