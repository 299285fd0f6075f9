"""MFCC of an amplitude-normalised and clipped signal, with clipped coefficients (Light-SERNet)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.filterbank import hann
from sernb.audio.reading import fit_centre
from sernb.features.base import Features

LOG_FLOOR = 1e-6


@dataclass(frozen=True)
class ClippedMfcc(Features):
    """MFCC from mel magnitudes of a clip of fixed length, truncated or zero-padded equally at both ends.

    Frames are not centred. The signal is divided by the ``loud`` percentile of its magnitude and clipped to ±1.
    """

    sampling_rate: Hertz = 16_000
    samples: int = 48_000
    loud: float = 99.9  # percentile of the magnitude
    window: int = 1024  # samples
    hop: int = 256  # samples
    bands: int = 128
    lowest: Hertz = 80
    highest: Hertz = 7_600
    coefficients: int = 40
    limit: float = 10.0  # of the absolute value of a coefficient

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [f"MFCC {k:02d}" for k in range(self.coefficients)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return coefficients, shape ``(1 + (samples - window) // hop, coefficients)``, float32."""
        from scipy.fft import dct, rfft

        loud = np.percentile(np.abs(signal), self.loud) or 1.0
        fitted = fit_centre(np.clip(signal / loud, -1, 1).astype(np.float32), self.samples)
        frames = np.lib.stride_tricks.sliding_window_view(fitted, self.window)[:: self.hop]
        mel = np.abs(rfft(frames * hann(self.window), axis=1)) @ _triangles(self)
        # All coefficients have the same scale; in an orthonormal transform, the first would be smaller by √2.
        cepstra = dct(np.log(mel + LOG_FLOOR), axis=1)[:, : self.coefficients] / np.sqrt(2 * self.bands)
        return np.clip(cepstra, -self.limit, self.limit).astype(np.float32)


@lru_cache
def _triangles(settings: ClippedMfcc) -> np.ndarray:
    """Return filters of equal height, triangular in O'Shaughnessy's mels (1987), ``(1 + window // 2, bands)``."""

    def mels(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(mels(settings.lowest), mels(settings.highest), settings.bands + 2)
    bins = mels(np.fft.rfftfreq(settings.window, 1 / settings.sampling_rate))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
