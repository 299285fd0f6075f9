"""Window and filter bank for mel spectrograms; importing those of scipy.signal and librosa takes seconds."""

from functools import lru_cache

import numpy as np

from sernb.audio.reading import Hertz


@lru_cache
def hann(samples: int) -> np.ndarray:
    """Return the periodic Hann window, ``(samples,)``, float32."""
    return (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, samples + 1)[:-1])).astype(np.float32)


@lru_cache
def mel_bands(sampling_rate: Hertz, window: int, bands: int) -> np.ndarray:
    """Return triangular filters of equal area on the mel scale of Slaney (1998), as librosa's default.

    Returns:
        shape ``(1 + window // 2, bands)``, float32
    """
    # Slaney's scale: 15 linear steps up to 1 kHz, then 27 logarithmic steps per factor of 6.4.
    growth = np.log(6.4) / 27
    mels = np.linspace(0, 15 + np.log(sampling_rate / 2 / 1000) / growth, bands + 2)
    edges = np.where(mels < 15, mels * (200 / 3), 1000 * np.exp(growth * (mels - 15)))  # hertz
    ramps = edges[:, None] - np.fft.rfftfreq(window, 1 / sampling_rate)
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(np.float32)
    areas = (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.ascontiguousarray((triangles * areas).astype(np.float32).T)
