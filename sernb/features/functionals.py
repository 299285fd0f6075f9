"""Functionals: statistics of low-level descriptors, rhythm and modulation in one row per clip.

An openly licensed counterpart of openSMILE's feature sets: the same families, but other formulas and values.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.features.base import Features
from sernb.features.descriptors import HOP, SAMPLING_RATE, SPECTRAL, VOCAL, Descriptors, compute_descriptors
from sernb.features.pitch import Pitch

STATISTICS = (
    "mean", "std", "p2", "p20", "p50", "p80", "p98", "p20 to p80", "p2 to p98", "skewness", "kurtosis",
    "slope", "curvature", "rest", "place of maximum", "place of minimum", "share in upper half",
    "rise", "fall", "change",
)  # fmt: skip
PARTS = (", all", ", Δ all", ", voiced", ", unvoiced", ", Δ voiced")  # frames that summarise spectral contours
STEP: Seconds = HOP / SAMPLING_RATE
MIN_FRAMES = 3  # for statistics; with fewer, all are 0
QUIET = 40.0  # dB below the third loudest frame, the threshold for trimming silence
PAUSE = 30.0  # dB below the loudest frame
SHORTEST_PAUSE: Seconds = 0.05

KINDS = ("voiced", "unvoiced", "pause")
RHYTHM = (
    "seconds",
    *(f"{kind} {of}" for kind in KINDS for of in ("a second", "mean length", "std of length", "share", "longest")),
    "peaks a second",
)  # fmt: skip
EDGES = (0.5, 1.5, 3, 5, 8, 13, 20, 35)  # of the modulation bands, hertz
MODULATED = ("loudness", *(f"mel {k}" for k in range(1, 27)), *(f"MFCC {k}" for k in range(1, 7)))
MODULATED_COLUMNS = [SPECTRAL.index(name) for name in MODULATED]
MODULATION_FRAMES = 512  # FFT size: the first 5.12 s of a clip


@dataclass(frozen=True)
class Functionals(Features):
    """Statistics of 86 contours and their deltas, rhythm and modulation spectrum: one row per clip.

    Silence at both ends is trimmed. Spectral contours and their deltas are summarised over all frames and over voiced
    frames, the contours also over unvoiced frames, and vocal contours over voiced frames.
    """

    sampling_rate: ClassVar[Hertz] = SAMPLING_RATE
    pitch: Pitch = field(default_factory=Pitch)

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
        contours = _trim_silence(compute_descriptors(signal, self.pitch))
        voiced, smooth = contours.voiced, _smooth(contours.spectral)
        delta, vocal_delta = _delta(contours.spectral), _delta(contours.vocal)
        # Deltas at the edges of voiced segments would include unvoiced frames.
        padded = np.pad(voiced, 2)
        inside = voiced & padded[:-4] & padded[4:]
        parts = [
            smooth, delta, smooth[voiced], smooth[~voiced], delta[voiced],
            contours.vocal[voiced], vocal_delta[inside],
        ]  # fmt: skip
        statistics = np.hstack([summarise(part) for part in parts])
        rows = [statistics.ravel(), compute_rhythm(contours), compute_modulation(smooth[:, MODULATED_COLUMNS]).ravel()]
        return np.concatenate(rows)[None].astype(np.float32)


def summarise(contours: np.ndarray) -> np.ndarray:
    """Summarise each column by 20 statistics in the order of ``STATISTICS``; 0 for fewer than 3 frames.

    Percentiles are nearest-rank. Slope and curvature are those of a parabola over time from -1 to 1, ``rest`` is the
    standard deviation of its residual. Places are relative to the length. Rise, fall and change are the mean absolute
    differences of successive frames upwards, downwards and in total.

    Args:
        contours: shape (frames, columns)

    Returns:
        shape (20, columns)
    """
    count = len(contours)
    if count < MIN_FRAMES:
        return np.zeros((len(STATISTICS), contours.shape[1]))
    rows = np.ascontiguousarray(contours.T)  # (columns, frames), contiguous in time
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
    parabola = line**2 - (line**2).mean()
    slope, curvature = rows @ line / (line @ line), rows @ parabola / (parabola @ parabola)
    explained = (slope**2 * (line @ line) + curvature**2 * (parabola @ parabola)) / count
    change = np.diff(rows, axis=1)
    total = np.abs(change).sum(axis=1)
    upwards = (total + change.sum(axis=1)) / 2
    rise = upwards / np.maximum((change > 0).sum(axis=1), 1)
    fall = (total - upwards) / np.maximum((change < 0).sum(axis=1), 1)
    return np.stack([
        mean, deviation, p2, p20, p50, p80, p98, p80 - p20, p98 - p2, skewness, kurtosis,
        slope, curvature, np.sqrt(np.maximum(variance - explained, 0)),
        rows.argmax(axis=1) / count, rows.argmin(axis=1) / count, (rows > ((p2 + p98) / 2)[:, None]).mean(axis=1),
        rise, fall, total / (count - 1),
    ])  # fmt: skip


def compute_rhythm(contours: Descriptors) -> np.ndarray:
    """Return rates, lengths and shares of voiced, unvoiced and silent segments in the order of ``RHYTHM``.

    Rates are per second of the clip, lengths in seconds. A loudness peak is a local maximum above 30 % of the highest.
    """
    level, loud = (contours.spectral[:, SPECTRAL.index(name)] for name in ("level", "loudness"))
    seconds, silent = len(level) * STEP, level < level.max() - PAUSE
    pauses = _run_lengths(silent)
    kinds = [_run_lengths(contours.voiced), _run_lengths(~contours.voiced & ~silent), pauses[pauses >= SHORTEST_PAUSE]]
    statistics = []
    for lengths in kinds:
        nonempty = lengths if len(lengths) else np.zeros(1)
        sums = nonempty.sum() / seconds
        statistics += [len(lengths) / seconds, nonempty.mean(), nonempty.std(), sums, nonempty.max()]
    inner = loud[1:-1]
    peaks = (inner > loud[:-2]) & (inner >= loud[2:]) & (inner > 0.3 * loud.max())
    return np.array([seconds, *statistics, peaks.sum() / seconds])


def compute_modulation(contours: np.ndarray) -> np.ndarray:
    """Return the log modulation spectrum of each column in seven bands between 0.5 and 35 Hz, (7, columns)."""
    spectrum = np.abs(np.fft.rfft(contours - contours.mean(axis=0), MODULATION_FRAMES, axis=0)) / len(contours)
    hertz = np.fft.rfftfreq(MODULATION_FRAMES, STEP)
    bands = [(hertz >= low) & (hertz < high) for low, high in pairwise(EDGES)]
    return np.log(np.stack([spectrum[band].mean(axis=0) for band in bands]) + 1e-4)


def _trim_silence(contours: Descriptors) -> Descriptors:
    level = contours.spectral[:, SPECTRAL.index("level")]
    audible = np.flatnonzero(level > np.sort(level)[-min(3, len(level))] - QUIET)
    return contours[audible[0] : audible[-1] + 1]


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    """Return the durations of the runs of True, in seconds."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return (edges[:, 1] - edges[:, 0]) * STEP


def _smooth(contours: np.ndarray) -> np.ndarray:
    """Return the moving average over three frames."""
    padded = np.pad(contours, ((1, 1), (0, 0)), mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def _delta(contours: np.ndarray) -> np.ndarray:
    """Return the least-squares slope over five frames (delta coefficients)."""
    padded = np.pad(contours, ((2, 2), (0, 0)), mode="edge")
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10
