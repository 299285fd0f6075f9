"""Global statistics of short-term features (statistics-svm)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.features.base import Features

EPSILON = np.finfo(np.float64).eps
BLOCKS = 10
SHORT_TERM = (
    "zero-crossing rate", "energy", "entropy of energy",
    "centroid", "spread", "spectral entropy", "flux", "roll-off",
    *(f"MFCC {k}" for k in range(1, 13)),
)  # fmt: skip
STATISTICS = ("mean", "std", "median", "kurtosis", "skewness", "p1", "p99", "min", "max", "range")


@dataclass(frozen=True)
class Statistics(Features):
    """Ten statistics of each of twenty short-term features: 200 values (statistics-svm).

    Short-term: zero-crossing rate, energy, entropy of energy, spectral centroid, spread, entropy, flux and roll-off,
    MFCC 1 … 12, on 25 ms Hamming windows every 10 ms. Statistics: mean, standard deviation, median, kurtosis,
    skewness, 1st and 99th percentile, minimum, maximum, and the range between the two percentiles.

    Definitions follow the published code including its errors: MFCC use only the first ``mfcc_window`` samples of each
    frame, and pre-emphasis and differences, mentioned in the text, are off (0).
    """

    sampling_rate: Hertz = 44_100
    resampling: str = "linear"  # that of pydub; on RAVDESS it changes the prediction of one test clip in twenty
    frame: Seconds = 0.025
    step: Seconds = 0.010
    pre_emphasis: float = 0.0
    differences: int = 0  # 1 adds the first differences of the short-term features: 400 values
    mfcc_window: int = 512
    bands: int = 40
    full_scale: float = 32_768.0  # 16-bit amplitudes

    @property
    def names(self) -> list[str]:
        """Names of the columns, ``feature statistic``."""
        short_term = [prefix + name for prefix in ["", "Δ "][: 1 + self.differences] for name in SHORT_TERM]
        return [f"{name} {statistic}" for statistic in STATISTICS for name in short_term]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the statistics as one row, shape ``(1, width)``, float32."""
        return summarise(self.short_term(signal))[None].astype(np.float32)

    def short_term(self, signal: np.ndarray) -> np.ndarray:
        """Return the short-term features, shape ``(frames, 20 or 40)``, float64."""
        signal = signal.astype(np.float64) * self.full_scale
        if self.pre_emphasis:
            signal = np.append(signal[0], signal[1:] - self.pre_emphasis * signal[:-1])
        length, step = int(self.frame * self.sampling_rate), int(self.step * self.sampling_rate)
        if len(signal) < length:
            signal = np.pad(signal, (0, length - len(signal)))
        frames = np.lib.stride_tricks.sliding_window_view(signal, length)[::step] * np.hamming(length)
        columns = np.column_stack([*_waveform_columns(frames), *_spectrum_columns(frames), *self._mfcc(frames).T])
        if self.differences:
            columns = np.hstack([columns, np.diff(columns, axis=0, prepend=columns[:1])])
        return columns

    def _mfcc(self, frames: np.ndarray) -> np.ndarray:
        from scipy.fft import dct

        power = np.abs(np.fft.rfft(frames, self.mfcc_window)) ** 2 / self.mfcc_window
        mel = power @ _triangles(self.sampling_rate, self.mfcc_window, self.bands).T
        decibels = 20 * np.log10(np.where(mel > 0, mel, EPSILON))
        return dct(decibels, axis=1, norm="ortho")[:, 1:13]


def _waveform_columns(frames: np.ndarray) -> list[np.ndarray]:
    length = frames.shape[1]
    crossings = np.abs(np.diff(np.sign(frames), axis=1)).sum(axis=1) / 2 / (length - 1)
    energy = (frames**2).mean(axis=1)
    return [crossings, energy, _block_entropy(frames)]


def _spectrum_columns(frames: np.ndarray) -> list[np.ndarray]:
    bins = frames.shape[1] // 2
    magnitude = np.abs(np.fft.rfft(frames, axis=1))[:, :bins] / bins
    frequency = np.arange(1, bins + 1) / bins  # 1: the Nyquist frequency
    weight = magnitude / np.maximum(magnitude.sum(axis=1, keepdims=True), EPSILON)
    centroid = weight @ frequency
    spread = np.sqrt((weight * (frequency - centroid[:, None]) ** 2).sum(axis=1))
    flux = (np.diff(weight, axis=0, prepend=weight[:1]) ** 2).sum(axis=1)
    energy = np.cumsum(magnitude**2, axis=1)
    roll_off = (energy <= 0.9 * energy[:, -1:]).sum(axis=1) / bins
    return [centroid, spread, _block_entropy(magnitude), flux, roll_off]


def _block_entropy(values: np.ndarray) -> np.ndarray:
    """Return the entropy in bits of the energy distribution of each row over ten blocks: 0 … log2(10)."""
    length = values.shape[1] // BLOCKS
    energy = (values[:, : length * BLOCKS].reshape(-1, BLOCKS, length) ** 2).sum(axis=2)
    share = energy / ((values**2).sum(axis=1, keepdims=True) + EPSILON)
    return -(share * np.log2(share + EPSILON)).sum(axis=1)


@lru_cache
def _triangles(sampling_rate: Hertz, window: int, bands: int) -> np.ndarray:
    """Return triangular filters of height 1 with edges at FFT bins, on O'Shaughnessy's mel scale; (bands, bins)."""
    highest = 2595 * np.log10(1 + sampling_rate / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, highest, bands + 2) / 2595) - 1)
    edges = np.floor((window + 1) * hertz / sampling_rate)[:, None]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(window // 2 + 1)
    rising = (bins - low) / np.maximum(peak - low, 1)
    falling = (high - bins) / np.maximum(high - peak, 1)
    return np.where(bins < peak, np.maximum(rising, 0), np.maximum(falling, 0)) * (bins >= low)


def summarise(short_term: np.ndarray) -> np.ndarray:
    """Summarise each column by ten statistics in the order of ``STATISTICS``.

    Kurtosis is Fisher's (0 for a normal distribution); both moments are 0 for a constant column.

    Returns:
        shape ``(10 * columns,)``: all means, then all standard deviations, …
    """
    mean, deviation = short_term.mean(axis=0), short_term.std(axis=0)
    standard = (short_term - mean) / np.where(deviation > 0, deviation, 1)
    skewness = (standard**3).mean(axis=0)
    kurtosis = np.where(deviation > 0, (standard**4).mean(axis=0) - 3, 0)
    low, median, high = np.percentile(short_term, [1, 50, 99], axis=0)
    extremes = short_term.min(axis=0), short_term.max(axis=0)
    return np.concatenate([mean, deviation, median, kurtosis, skewness, low, high, *extremes, high - low])
