"""Feature extraction from a clip or an augmented copy."""

import numpy as np

from sernb.audio.augmentation import Mask, View, apply_view, make_rng
from sernb.features.base import Features


def extract_features(clip: str, view: View, signal: np.ndarray, features: Features) -> np.ndarray:
    """Return the features of a view of a clip, with the same result in each call; ``(frames, width)``, float32.

    A mask transforms the features, any other view the signal, after ``features.preprocess`` if there is one.
    """
    if isinstance(view, Mask):
        return view.on_features(features(signal), make_rng(clip, view))
    if not hasattr(features, "preprocess"):
        return features(apply_view(clip, view, signal, features.sampling_rate))
    return features.compute(apply_view(clip, view, features.preprocess(signal), features.sampling_rate))
