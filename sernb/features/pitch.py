"""Pitch tracking: F0 by autocorrelation and dynamic programming, harmonicity, and glottal pulses."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz, Seconds

TINY = 1e-10
SEARCH_RANGE = 0.2  # around the expected position of a pulse, in periods
BLOCK = 32  # frames per block, to fit the CPU cache
MAX_PERIOD_FACTOR = 1.3  # larger ratios of successive periods are ignored, as in Praat


@dataclass(frozen=True)
class Track:
    """Pitch contour; 0 in unvoiced frames."""

    f0: np.ndarray  # hertz, (frames,)
    strength: np.ndarray  # autocorrelation at a lag of one period, 0 … 1, (frames,)

    @property
    def voiced(self) -> np.ndarray:
        """Mask of voiced frames, (frames,)."""
        return self.f0 > 0

    @property
    def harmonicity(self) -> np.ndarray:
        """Harmonics-to-noise ratio in decibels, from -20 to 40, (frames,)."""
        share = np.clip(self.strength, 0.01, 0.9999)
        return 10 * np.log10(share / (1 - share))


@dataclass(frozen=True)
class Pulses:
    """Glottal pulses: the largest peak of each period."""

    times: np.ndarray  # seconds, (pulses,)
    heights: np.ndarray  # amplitude, (pulses,)
    run: np.ndarray  # number of the voiced segment, (pulses,)

    @property
    def jitter(self) -> np.ndarray:
        """Relative difference of successive periods: times and values, (2, pairs of periods)."""
        periods = np.diff(self.times)
        ratio = np.maximum(periods[:-1], periods[1:]) < MAX_PERIOD_FACTOR * np.minimum(periods[:-1], periods[1:])
        return self._relative_differences(periods[:-1], periods[1:], ratio)

    @property
    def shimmer(self) -> np.ndarray:
        """Relative difference of the heights of successive pulses: times and values, (2, pairs)."""
        return self._relative_differences(self.heights[1:-1], self.heights[2:], True)

    def _relative_differences(self, first: np.ndarray, second: np.ndarray, valid: np.ndarray | bool) -> np.ndarray:
        values = np.abs(second - first) / ((first + second) / 2 + TINY)
        return np.stack([self.times[1:-1], values])[:, (self.run[2:] == self.run[:-2]) & valid]


@dataclass(frozen=True)
class Pitch:
    """F0 by autocorrelation and the best path through its candidates (Boersma, 1993, as in Praat).

    Candidates are the peaks of the autocorrelation divided by that of the window. The path has costs for octave jumps
    and voicing transitions, and prefers strong candidates. Parameters are named as in Praat.
    """

    sampling_rate: Hertz = 16_000
    lowest: Hertz = 75
    highest: Hertz = 600
    hop: Seconds = 0.010
    voicing: float = 0.45
    silence: float = 0.03
    octave_cost: float = 0.01
    octave_jump_cost: float = 0.35
    voicing_cost: float = 0.14
    candidates: int = 5

    def track(self, signal: np.ndarray) -> Track:
        """Return the pitch contour of a signal in ``1 + samples // hop`` centred frames."""
        frequency, strength, unvoiced = self._candidates(signal)
        path = self._path(frequency, strength, unvoiced)
        best = np.arange(len(path)), np.minimum(path, self.candidates - 1)
        voiced = path < self.candidates  # the last state is unvoiced
        return Track(np.where(voiced, frequency[best], 0.0), np.where(voiced, np.clip(strength[best], 0, 1), 0.0))

    def find_pulses(self, signal: np.ndarray, track: Track) -> Pulses:
        """Find the glottal pulses of each voiced segment, from its highest peak outwards in steps of one period."""
        signal = signal.astype(np.float64)
        signal = signal if signal.max(initial=0) >= -signal.min(initial=0) else -signal
        step = self.hop * self.sampling_rate
        edges = np.flatnonzero(np.diff(track.voiced.astype(int), prepend=0, append=0)).reshape(-1, 2)
        positions, runs = [], []
        for run, (first, end) in enumerate(edges):
            start, stop = int(max((first - 0.5) * step, 0)), int(min((end - 0.5) * step, len(signal)))
            if stop - start < 3:
                continue
            periods = self.sampling_rate / track.f0[first:end]
            peaks = _find_peaks(signal[start:stop], periods, step)
            positions.append(peaks + start)
            runs.append(np.full(len(peaks), run))
        if not positions:
            return Pulses(*np.zeros((2, 0)), np.zeros(0, int))
        positions = np.concatenate(positions)
        low, peak, high = (signal[np.clip(positions + shift, 0, len(signal) - 1)] for shift in (-1, 0, 1))
        shift, height = _interpolate_peak(low, peak, high)
        return Pulses((positions + shift) / self.sampling_rate, height, np.concatenate(runs))

    def _candidates(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return frequency and strength of the candidates, (frames, candidates), and that of the unvoiced state."""
        samples = int(3 * self.sampling_rate / self.lowest)  # three periods of the lowest pitch
        padded = np.pad(signal.astype(np.float64), samples // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, samples)[:: round(self.hop * self.sampling_rate)]
        blocks = [self._candidates_in_block(frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)]
        frequency, height, amplitude = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        loud = amplitude / max(amplitude.max(), TINY)
        unvoiced = self.voicing + np.maximum(0, 2 - loud * (1 + self.voicing) / self.silence)
        return frequency, height, unvoiced

    def _candidates_in_block(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return frequency and strength of the candidates in some frames, and the amplitude of each frame."""
        shortest, longest = int(self.sampling_rate / self.highest), int(np.ceil(self.sampling_rate / self.lowest))
        frames = frames - frames.mean(axis=1, keepdims=True)
        amplitude = np.maximum(frames.max(axis=1), -frames.min(axis=1))
        window, window_autocorrelation = _window(frames.shape[1], longest + 2)
        frames *= window
        strength = _autocorrelation(frames, longest + 2) / window_autocorrelation
        before, here, after = strength[:, :-2], strength[:, 1:-1], strength[:, 2:]  # lags 1 … longest
        lags = np.arange(1, longest + 1)
        peaks = (here > before) & (here >= after) & (lags >= shortest)
        rank = np.where(peaks, here - self.octave_cost * np.log2(lags * self.lowest / self.sampling_rate), -np.inf)
        rows, best = np.arange(len(frames)), np.empty((self.candidates, len(frames)), int)
        for lag in best:
            lag[:] = rank.argmax(axis=1)
            rank[rows, lag] = -np.inf
        shift, height = _interpolate_peak(*(part[rows, best] for part in (before, here, after)))
        exists = peaks[rows, best]  # there may be fewer peaks than candidates
        return (self.sampling_rate / (lags[best] + shift)).T, np.where(exists, height, -np.inf).T, amplitude

    def _path(self, frequency: np.ndarray, strength: np.ndarray, unvoiced: np.ndarray) -> np.ndarray:
        """Return the state of each frame: the number of a candidate, or ``candidates`` for unvoiced (Viterbi, 1967)."""
        octave = np.log2(frequency / self.lowest)
        local = np.column_stack([strength + self.octave_cost * octave, unvoiced])
        scale = 0.01 / self.hop  # Praat's costs refer to steps of 10 ms
        jump = np.full((len(octave) - 1, self.candidates + 1, self.candidates + 1), self.voicing_cost * scale)
        jump[:, :-1, :-1] = self.octave_jump_cost * scale * np.abs(octave[1:, :, None] - octave[:-1, None, :])
        jump[:, -1, -1] = 0  # (frames, to, from)
        total = local  # becomes the score of the best path to each state
        for before, here, cost in zip(total, total[1:], jump, strict=False):
            here += np.maximum.reduce(before - cost, axis=1)
        predecessors = (total[:-1, None, :] - jump).argmax(axis=2).tolist()
        path = [int(total[-1].argmax())]
        for states in reversed(predecessors):
            path.append(states[path[-1]])
        return np.array(path[::-1])


@lru_cache
def _window(samples: int, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hann window and its autocorrelation."""
    window = np.hanning(samples)
    return window, _autocorrelation(window, lags)


def _autocorrelation(frames: np.ndarray, lags: int) -> np.ndarray:
    """Return the autocorrelation of each row at lags from 0, normalised to 1 at lag 0."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(frames.shape[-1] + lags, real=True)
    spectrum = rfft(frames, size)
    correlation = irfft(spectrum.real**2 + spectrum.imag**2, size)[..., :lags]
    return correlation / np.maximum(correlation[..., :1], TINY)


def _find_peaks(signal: np.ndarray, periods: np.ndarray, step: float) -> np.ndarray:
    """Return the positions of the pulses in a voiced segment; ``periods`` in samples, per frame of ``step`` samples."""
    first, last, periods = int(signal.argmax()), len(periods) - 1, periods.tolist()
    peaks = [first]
    for direction in (1, -1):
        at = first
        while True:
            expected = at + direction * periods[min(int(at / step), last)]
            margin = SEARCH_RANGE * abs(expected - at)
            low, high = round(expected - margin), round(expected + margin) + 1
            if low < 0 or high > len(signal):
                break
            at = low + int(signal[low:high].argmax())
            peaks.append(at)
    return np.sort(peaks)


def _interpolate_peak(low: np.ndarray, peak: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position (-0.5 … 0.5 from the middle) and height of the vertex of a parabola through three points."""
    curve = np.minimum(low - 2 * peak + high, -TINY)
    shift = np.clip(0.5 * (low - high) / curve, -0.5, 0.5)
    return shift, peak - 0.25 * (low - high) * shift
