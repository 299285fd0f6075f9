"""A clip as one row: how the contours of its voice lie, spread, rise and fall, with voice, without and over time.

The openly licensed counterpart of openSMILE's functional sets: the same families, other formulas and other values.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.features.descriptors import HOP, SAMPLING_RATE, SPECTRAL, VOCAL, Descriptors, compute_descriptors
from sernb.features.pitch import Pitch

STATISTICS = (
    "mean", "std", "p2", "p20", "p50", "p80", "p98", "p20 to p80", "p2 to p98", "skewness", "kurtosis",
    "slope", "curvature", "rest", "place of maximum", "place of minimum", "share in upper half",
    "rise", "fall", "change",
)  # fmt: skip
PARTS = (", all", ", Δ all", ", voiced", ", unvoiced", ", Δ voiced")  # what spectral contours are summed up over
STEP: Seconds = HOP / SAMPLING_RATE
SHORTEST = 3  # frames that statistics need; with fewer, all are 0
QUIET = 40.0  # dB below the third loudest frame: silence before and after the clip
PAUSE = 30.0  # dB below the loudest frame
SHORTEST_PAUSE: Seconds = 0.05

KINDS = ("voiced", "unvoiced", "pause")
RHYTHM = (
    "seconds",
    *(f"{kind} {of}" for kind in KINDS for of in ("a second", "mean length", "std of length", "share", "longest")),
    "peaks a second",
)  # fmt: skip
EDGES = (0.5, 1.5, 3, 5, 8, 13, 20, 35)  # hertz, of bands of modulation
MODULATED = ("loudness", *(f"mel {k}" for k in range(1, 27)), *(f"MFCC {k}" for k in range(1, 7)))
MODULATED_COLUMNS = [SPECTRAL.index(name) for name in MODULATED]
MODULATION_FRAMES = 512  # of the transform: the first 5.12 s of a clip


@dataclass(frozen=True)
class Functionals:
    """Statistics of 86 contours and their changes, of rhythm and of modulation: one row a clip.

    Silence before and after the voice is left out. Spectral contours and their changes count over all frames and over
    voiced ones, the contours over unvoiced ones as well; contours of the voice over voiced frames.
    """

    sampling_rate: ClassVar[Hertz] = SAMPLING_RATE
    resampling: ClassVar[str] = "soxr"
    pitch: Pitch = field(default_factory=Pitch)

    @property
    def width(self) -> int:
        """Columns of the result."""
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        spectral = [f"{each}{frames}" for frames in PARTS for each in SPECTRAL]
        vocal = [f"{prefix}{each}" for prefix in ("", "Δ ") for each in VOCAL]
        contours = [f"{each}: {statistic}" for statistic in STATISTICS for each in (*spectral, *vocal)]
        bands = [f"{low}-{high} Hz" for low, high in pairwise(EDGES)]
        return [*contours, *RHYTHM, *(f"{each} at {band}" for band in bands for each in MODULATED)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the statistics as one row, shape ``(1, width)``, float32."""
        contours = _without_silence(compute_descriptors(signal, self.pitch))
        voiced, smooth = contours.voiced, _smooth(contours.spectral)
        change, vocal_change = _change(contours.spectral), _change(contours.vocal)
        # The change at the edge of a run of voice would be that from or to nothing.
        around = np.pad(voiced, 2)
        inside = voiced & around[:-4] & around[4:]
        parts = [
            smooth, change, smooth[voiced], smooth[~voiced], change[voiced],
            contours.vocal[voiced], vocal_change[inside],
        ]  # fmt: skip
        statistics = np.hstack([summarise(part) for part in parts])
        rows = [statistics.ravel(), rhythm(contours), modulation(smooth[:, MODULATED_COLUMNS]).ravel()]
        return np.concatenate(rows)[None].astype(np.float32)


def summarise(contours: np.ndarray) -> np.ndarray:
    """Sum up each column by 20 statistics, in the order of ``STATISTICS``; 0 where there are fewer than 3 frames.

    Percentiles are the nearest frame's. Slope and curvature are those of a parabola over time from -1 to 1, ``rest``
    what it leaves (standard deviation). Places are shares of the length. Rise and fall are the means of all changes
    upwards and downwards a frame, change is that of both.

    Args:
        contours: shape (frames, columns)

    Returns:
        shape (20, columns)
    """
    count = len(contours)
    if count < SHORTEST:
        return np.zeros((len(STATISTICS), contours.shape[1]))
    rows = np.ascontiguousarray(contours.T)  # (columns, frames): a row lies together in memory
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    squared = centred**2
    variance = squared.mean(axis=1)
    deviation = np.sqrt(variance)
    unit = np.where(deviation > 1e-8, deviation, 1)
    skewness = np.einsum("ij,ij->i", squared, centred) / (count * unit**3)
    kurtosis = np.einsum("ij,ij->i", squared, squared) / (count * unit**4)
    ordered = np.sort(rows, axis=1)
    p2, p20, p50, p80, p98 = (ordered[:, round(share * (count - 1))] for share in (0.02, 0.2, 0.5, 0.8, 0.98))
    line = np.linspace(-1, 1, count)
    bow = line**2 - (line**2).mean()
    slope, curvature = rows @ line / (line @ line), rows @ bow / (bow @ bow)
    explained = (slope**2 * (line @ line) + curvature**2 * (bow @ bow)) / count
    change = np.diff(rows, axis=1)
    most = np.abs(change).sum(axis=1)
    upwards = (most + change.sum(axis=1)) / 2
    rise = upwards / np.maximum((change > 0).sum(axis=1), 1)
    fall = (most - upwards) / np.maximum((change < 0).sum(axis=1), 1)
    return np.stack([
        mean, deviation, p2, p20, p50, p80, p98, p80 - p20, p98 - p2, skewness, kurtosis,
        slope, curvature, np.sqrt(np.maximum(variance - explained, 0)),
        rows.argmax(axis=1) / count, rows.argmin(axis=1) / count, (rows > ((p2 + p98) / 2)[:, None]).mean(axis=1),
        rise, fall, most / (count - 1),
    ])  # fmt: skip


def rhythm(contours: Descriptors) -> np.ndarray:
    """Return lengths, rates and shares of voiced, unvoiced and silent stretches, in the order of ``RHYTHM``.

    Stretches are counted a second of the clip, lengths are in seconds. A peak of loudness is a frame above its
    neighbours and above three tenths of the highest.
    """
    level, loud = (contours.spectral[:, SPECTRAL.index(name)] for name in ("level", "loudness"))
    seconds, silent = len(level) * STEP, level < level.max() - PAUSE
    pauses = _lengths(silent)
    kinds = [_lengths(contours.voiced), _lengths(~contours.voiced & ~silent), pauses[pauses >= SHORTEST_PAUSE]]
    about = []
    for lengths in kinds:
        some = lengths if len(lengths) else np.zeros(1)
        about += [len(lengths) / seconds, some.mean(), some.std(), some.sum() / seconds, some.max()]
    middle = loud[1:-1]
    peaks = (middle > loud[:-2]) & (middle >= loud[2:]) & (middle > 0.3 * loud.max())
    return np.array([seconds, *about, peaks.sum() / seconds])


def modulation(contours: np.ndarray) -> np.ndarray:
    """Return the logarithm of how much each column swings in seven bands between 0.5 and 35 Hz, (7, columns)."""
    swings = np.abs(np.fft.rfft(contours - contours.mean(axis=0), MODULATION_FRAMES, axis=0)) / len(contours)
    hertz = np.fft.rfftfreq(MODULATION_FRAMES, STEP)
    bands = [(hertz >= low) & (hertz < high) for low, high in pairwise(EDGES)]
    return np.log(np.stack([swings[band].mean(axis=0) for band in bands]) + 1e-4)


def _without_silence(contours: Descriptors) -> Descriptors:
    level = contours.spectral[:, SPECTRAL.index("level")]
    audible = np.flatnonzero(level > np.sort(level)[-min(3, len(level))] - QUIET)
    return contours[audible[0] : audible[-1] + 1]


def _lengths(mask: np.ndarray) -> np.ndarray:
    """Return how long the runs of True are, in seconds."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return (edges[:, 1] - edges[:, 0]) * STEP


def _smooth(contours: np.ndarray) -> np.ndarray:
    """Return the mean of each frame and its two neighbours."""
    padded = np.pad(contours, ((1, 1), (0, 0)), mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def _change(contours: np.ndarray) -> np.ndarray:
    """Return the slope of the line through each frame and two on either side, a frame."""
    padded = np.pad(contours, ((2, 2), (0, 0)), mode="edge")
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10
