"""MFCC of a clip that is scaled to its own loudness and cut at both ends of its range (Light-SERNet)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.filterbank import hann
from sernb.audio.reading import fit_centre

LOG_FLOOR = 1e-6


@dataclass(frozen=True)
class ClippedMfcc:
    """Cepstra of mel magnitudes, of a clip cut or padded alike at both ends; no frame reaches beyond the clip.

    The signal is divided by the ``loud`` percentile of its magnitude, so that peaks above it are clipped; coefficients
    are clipped too.
    """

    sampling_rate: Hertz = 16_000
    resampling: ClassVar[str] = "soxr"
    samples: int = 48_000
    loud: float = 99.9  # per cent of the samples are quieter
    window: int = 1024  # samples
    hop: int = 256  # samples
    bands: int = 128
    lowest: Hertz = 80
    highest: Hertz = 7_600
    coefficients: int = 40
    limit: float = 10.0  # of a coefficient, either side

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.coefficients

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
        # Every coefficient is scaled alike, the first too: an orthonormal transform would halve its square.
        cepstra = dct(np.log(mel + LOG_FLOOR), axis=1)[:, : self.coefficients] / np.sqrt(2 * self.bands)
        return np.clip(cepstra, -self.limit, self.limit).astype(np.float32)


@lru_cache
def _triangles(settings: ClippedMfcc) -> np.ndarray:
    """Triangles of equal height, straight on O'Shaughnessy's mel scale (1987); shape ``(1 + window // 2, bands)``."""

    def mels(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(mels(settings.lowest), mels(settings.highest), settings.bands + 2)
    bins = mels(np.fft.rfftfreq(settings.window, 1 / settings.sampling_rate))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
