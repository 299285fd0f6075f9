"""Low-level descriptors in frames of 10 ms: loudness, spectrum, pitch, voice quality and formants.

The set follows the families of GeMAPS (Eyben et al., 2016, doi:10.1109/TAFFC.2015.2457417), implemented from the
formulas; values are close, but not equal, to those of openSMILE and Praat.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.filterbank import mel_bands
from sernb.features.mel import decibels
from sernb.features.pitch import Pitch, Track

SAMPLING_RATE: Hertz = 16_000
HOP = 160  # samples, 10 ms
WINDOW = 512  # samples, 32 ms
LONG_WINDOW = 1024  # samples, 64 ms: resolves the harmonics of low voices
FINE = 2048  # FFT size for harmonics, at most 4 Hz from a bin
TINY = 1e-10  # power
LOUDNESS_EXPONENT = 0.3  # of power (Stevens, 1957)
BANDS = 26
MFCC = 20
BLOCK = 32  # frames per block, to fit the CPU cache
FORMANTS = 3
FORMANT_RANGE: Hertz = 5000
PREDICTOR = 10  # order of linear prediction: two poles per formant, five formants below 5 kHz
HARMONIC_FLOOR = -200.0  # dB, if there is no harmonic

HERTZ = np.arange(WINDOW // 2 + 1) * SAMPLING_RATE / WINDOW

SPECTRAL = (
    "loudness", "level", "zero-crossing rate",
    "centroid", "spread", "spectral skewness", "spectral kurtosis", "spectral entropy",
    "roll-off 25", "roll-off 50", "roll-off 75", "roll-off 90",
    "flux", "flux of shape", "sharpness",
    "alpha ratio", "Hammarberg index", "slope 0-500", "slope 500-1500", "slope 100-8000",
    "share 250-650", "share 1000-4000", "share 5000-8000",
    *(f"MFCC {k}" for k in range(1, MFCC + 1)),
    *(f"mel {k}" for k in range(1, BANDS + 1)),
)  # fmt: skip
VOCAL = (
    "F0", "autocorrelation", "harmonics-to-noise ratio", "jitter", "shimmer",
    "H1-H2", "H1-H3", "H1-highest",
    *(f"{name}{k}" for name in ("F", "bandwidth of F", "level of F") for k in range(1, FORMANTS + 1)),
)  # fmt: skip


@dataclass(frozen=True)
class Descriptors:
    """Low-level descriptor contours of a clip."""

    spectral: np.ndarray  # in the order of SPECTRAL, (frames, 69)
    vocal: np.ndarray  # in the order of VOCAL, 0 in unvoiced frames, (frames, 17)
    voiced: np.ndarray  # (frames,), bool

    def __getitem__(self, frames: slice) -> "Descriptors":
        """Return a section."""
        return Descriptors(self.spectral[frames], self.vocal[frames], self.voiced[frames])


def compute_descriptors(signal: np.ndarray, pitch: Pitch) -> Descriptors:
    """Return the descriptors of a signal at 16 kHz, in ``1 + samples // 160`` centred and zero-padded frames."""
    signal = signal.astype(np.float64)
    frames = _frames(signal, WINDOW)
    power = np.concatenate([_power_spectra(frames[part], WINDOW) for part in _blocks(len(frames))])  # (frames, 257)
    mel = _mel_power(power, BANDS)
    loudness = mel**LOUDNESS_EXPONENT
    # Each block also has the preceding frame, for the flux of its first frame.
    spectra = [
        _spectral(*(each[max(part.start - 1, 0) : part.stop] for each in (power, loudness)))[min(part.start, 1) :]
        for part in _blocks(len(frames))
    ]
    columns = [loudness.sum(axis=1), *_waveform(frames), np.concatenate(spectra), _cepstral(power, mel)]
    track = pitch.track(signal)
    voiced = track.voiced
    vocal = np.zeros((len(frames), len(VOCAL)))
    if voiced.any():
        centres = np.arange(len(frames)) * HOP / SAMPLING_RATE
        pulses = pitch.find_pulses(signal, track)
        changes = [np.interp(centres[voiced], *_smooth_changes(change)) for change in (pulses.jitter, pulses.shimmer)]
        semitones = 12 * np.log2(track.f0[voiced] / 27.5)
        periodic = [semitones, track.strength[voiced], track.harmonicity[voiced]]
        vocal[voiced] = np.column_stack([*periodic, *changes, _harmonic(signal, power[voiced], track)])
    return Descriptors(np.column_stack(columns), vocal, voiced)


def estimate_formants(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the first three formants by selective linear prediction below 5 kHz (Makhoul, 1975).

    Args:
        power: power spectra, (frames, 257)

    Returns:
        frequencies and bandwidths in hertz, (frames, 3); NaN for missing formants
    """
    below = HERTZ[HERTZ <= FORMANT_RANGE]
    pre_emphasis = 1 + 0.97**2 - 2 * 0.97 * np.cos(2 * np.pi * below / SAMPLING_RATE)
    predictor = _linear_prediction(power[:, : len(below)] * pre_emphasis)
    companion = np.zeros((len(power), PREDICTOR, PREDICTOR))
    companion[:, 0] = -predictor
    companion[:, np.arange(1, PREDICTOR), np.arange(PREDICTOR - 1)] = 1
    roots = np.linalg.eigvals(companion)
    frequency = np.angle(roots) * FORMANT_RANGE / np.pi
    bandwidth = -np.log(np.maximum(np.abs(roots), TINY)) * 2 * FORMANT_RANGE / np.pi
    real = (frequency > 200) & (frequency < 4800) & (bandwidth < 800)
    lowest = np.argsort(np.where(real, frequency, np.inf), axis=1)[:, :FORMANTS]
    return tuple(np.take_along_axis(np.where(real, each, np.nan), lowest, axis=1) for each in (frequency, bandwidth))


def _frames(signal: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(np.pad(signal, window // 2), window)[::HOP]


@lru_cache
def _hann(samples: int) -> np.ndarray:
    # Periodic; that of sernb.audio.filterbank is float32.
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)


def _blocks(frames: int) -> list[slice]:
    return [slice(at, min(at + BLOCK, frames)) for at in range(0, frames, BLOCK)]


def _power_spectra(frames: np.ndarray, samples: int) -> np.ndarray:
    """Return the power spectra of frames that are zero-padded to ``samples``."""
    spectrum = np.fft.rfft(frames * _hann(frames.shape[1]), samples, axis=1)  # scipy.fft copies what it pads
    return spectrum.real**2 + spectrum.imag**2


def _mel_power(power: np.ndarray, bands: int) -> np.ndarray:
    return power @ mel_bands(SAMPLING_RATE, WINDOW, bands)


def _row_sums(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the scalar product of each pair of rows."""
    return np.einsum("ij,ij->i", left, right)


def _waveform(frames: np.ndarray) -> list[np.ndarray]:
    negative = np.signbit(frames[:, (WINDOW - 400) // 2 : (WINDOW + 400) // 2])  # 25 ms
    crossings = (negative[:, 1:] != negative[:, :-1]).mean(axis=1)
    return [10 * np.log10(_row_sums(frames, frames) / WINDOW + TINY), crossings]


def _spectral(power: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """Return the columns of ``SPECTRAL`` from centroid to the last share, from power spectra and mel-band loudness."""
    whole, below, above, *parts = (power @ _range_masks()).T + TINY
    share = power / whole[:, None]
    centroid = share @ HERTZ
    distance = HERTZ - centroid[:, None]
    squared = distance**2
    weighted = share * squared
    spread = np.sqrt(weighted.sum(axis=1)) + 1  # 1 Hz: no division by 0
    skewness = _row_sums(weighted, distance) / spread**3
    kurtosis = np.log1p(_row_sums(weighted, squared) / spread**4)
    entropy = -_row_sums(share, np.log2(share + TINY))
    cumulative = np.cumsum(share, axis=1)
    cumulative[:, -1] = 1  # also for silence
    roll_off = [HERTZ[(cumulative >= part).argmax(axis=1)] for part in (0.25, 0.5, 0.75, 0.9)]

    magnitude = np.sqrt(power)
    shape = magnitude / np.maximum(magnitude.sum(axis=1, keepdims=True), TINY)
    fluxes = np.log(_flux(magnitude) + 1e-3), _flux(shape)
    sharpness = loudness @ np.arange(1, BANDS + 1) / (loudness.sum(axis=1) + TINY)  # loudness-weighted mean band

    level = 10 * np.log10(power + TINY)
    alpha = 10 * np.log10(above / below)
    low, high = (HERTZ.searchsorted(edge) for edge in (2000, 5000))
    hammarberg = level[:, :low].max(axis=1) - level[:, low:high].max(axis=1)
    shares = [10 * np.log10(part / whole) for part in parts]
    return np.column_stack([
        centroid, spread, skewness, kurtosis, entropy, *roll_off,
        *fluxes, sharpness, alpha, hammarberg, level @ _slope_weights(), *shares,
    ])  # fmt: skip


@lru_cache
def _range_masks() -> np.ndarray:
    """Return masks of the whole spectrum, the two ranges of the alpha ratio and those of the shares, (257, 6)."""
    ranges = [(0, 8001), (50, 1000), (1000, 5000), (250, 650), (1000, 4000), (5000, 8001)]
    return np.column_stack([(low <= HERTZ) & (high > HERTZ) for low, high in ranges]).astype(float)


@lru_cache
def _slope_weights() -> np.ndarray:
    """Return the weights for least-squares slopes of levels in three ranges, dB per kHz, (257, 3)."""
    slopes = np.zeros((len(HERTZ), 3))
    for column, (low, high) in enumerate([(0, 500), (500, 1500), (100, 8000)]):
        inside = (low <= HERTZ) & (high >= HERTZ)
        kilohertz = HERTZ[inside] / 1000 - HERTZ[inside].mean() / 1000
        slopes[inside, column] = kilohertz / (kilohertz @ kilohertz)
    return slopes


def _flux(spectrum: np.ndarray) -> np.ndarray:
    change = spectrum[1:] - spectrum[:-1]
    return np.concatenate([[0], np.sqrt(_row_sums(change, change))])


def _cepstral(power: np.ndarray, mel: np.ndarray) -> np.ndarray:
    """Return MFCC 1 … 20 and 26 log-mel bands, (frames, 46)."""
    from scipy.fft import dct

    cepstrum = dct(decibels(_mel_power(power, 40)), axis=1, norm="ortho")[:, 1 : MFCC + 1]
    return np.hstack([cepstrum, decibels(mel)])


def _harmonic(signal: np.ndarray, power: np.ndarray, track: Track) -> np.ndarray:
    """Return harmonic differences in decibels, formants and their levels for voiced frames."""
    frequency, bandwidth = map(_interpolate, estimate_formants(power))
    frames, f0 = _frames(signal, LONG_WINDOW), track.f0[track.voiced]
    voiced, targets = np.flatnonzero(track.voiced), np.column_stack([f0, 2 * f0, 3 * f0, frequency])
    levels = [_harmonic_levels(frames[voiced[part]], f0[part], targets[part]) for part in _blocks(len(voiced))]
    levels = np.concatenate(levels)
    first, second, third, highest = levels[:, 0], levels[:, 1], levels[:, 2], levels[:, -1]
    differences = [first - second, first - third, first - highest]
    return np.column_stack([*differences, frequency, np.log1p(bandwidth), levels[:, 3:-1] - first[:, None]])


def _harmonic_levels(frames: np.ndarray, f0: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the levels of the harmonics nearest to the target frequencies, and of the strongest one; decibels."""
    power = _power_spectra(frames - frames.mean(axis=1, keepdims=True), FINE)
    step, bins = SAMPLING_RATE / FINE, power.shape[1]
    first = np.ceil((targets - f0[:, None] / 2) / step).clip(0).astype(int)  # (frames, targets)
    end = np.minimum(np.floor((targets + f0[:, None] / 2) / step).astype(int) + 1, bins)
    rows = np.arange(len(power))[:, None] * bins
    edges = np.stack([rows + np.minimum(first, bins), rows + end], axis=-1).ravel()
    # Every second interval is a target, the others are the gaps. The appended value allows an end at the last bin.
    peaks = np.maximum.reduceat(np.append(power, 0), edges)[::2].reshape(targets.shape)
    levels = np.where(first < end, 10 * np.log10(peaks + TINY), HARMONIC_FLOOR)
    return np.column_stack([levels, 10 * np.log10(power.max(axis=1) + TINY)])


def _linear_prediction(power: np.ndarray) -> np.ndarray:
    """Return predictor coefficients by the Levinson recursion, without the leading 1; (frames, PREDICTOR)."""
    from scipy.fft import irfft

    correlation = irfft(power, axis=1)[:, : PREDICTOR + 1]
    correlation /= np.maximum(correlation[:, :1], TINY)
    correlation[:, 0] = 1 + 1e-6  # white noise correction: no pole on the unit circle
    predictor = np.zeros((len(power), PREDICTOR + 1))
    predictor[:, 0] = 1
    error = correlation[:, 0].copy()
    for order in range(1, PREDICTOR + 1):
        reflection = -(predictor[:, :order] * correlation[:, order:0:-1]).sum(axis=1) / error
        predictor[:, 1 : order + 1] += reflection[:, None] * predictor[:, order - 1 :: -1][:, :order]
        error *= 1 - reflection**2
    return predictor[:, 1:]


def _interpolate(contours: np.ndarray) -> np.ndarray:
    """Return contours with missing values interpolated linearly; 0 if a contour has none."""
    frames, complete = np.arange(len(contours)), np.zeros_like(contours)
    for column in range(contours.shape[1]):
        known = np.isfinite(contours[:, column])
        if known.any():
            complete[:, column] = np.interp(frames, frames[known], contours[known, column])
    return complete


def _smooth_changes(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times and the moving average over five values, or a single zero if there are none."""
    times, values = change
    if not len(times):
        return np.zeros(1), np.zeros(1)
    width = np.convolve(np.ones(len(values)), np.ones(5), "same")[: len(values)]
    return times, np.convolve(values, np.ones(5), "same")[: len(values)] / width
