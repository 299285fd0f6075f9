"""Features of a clip, or of an augmented copy of it."""

from typing import TYPE_CHECKING

import numpy as np

from sernb.audio.augmentation import Mask, View, apply_view, make_rng

if TYPE_CHECKING:
    from sernb.features import Features


def extract_features(clip: str, view: View, signal: np.ndarray, features: "Features") -> np.ndarray:
    """Return the features of one view of a clip, the same at every call; shape ``(frames, width)``, float32.

    A mask changes the features; any other view changes the signal, or the section of it that the features read.
    """
    if isinstance(view, Mask):
        return view.on_features(features(signal), make_rng(clip, view))
    if not hasattr(features, "section"):
        return features(apply_view(clip, view, signal, features.sampling_rate))
    return features.of_section(apply_view(clip, view, features.section(signal), features.sampling_rate))
