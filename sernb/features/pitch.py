"""Voice over time: F0 along the smoothest path, how periodic it is, and the single pulses of the glottis."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from sernb.audio.decoders import Hertz, Seconds

TINY = 1e-10
WIDEST = 0.2  # a pulse is looked for so far, in periods, from where F0 expects it
BLOCK = 32  # frames whose autocorrelation is computed together: they fit the cache of a core
MOST_CHANGE = 1.3  # two periods in a row that differ more are no neighbours (Praat's maximum period factor)


@dataclass(frozen=True)
class Track:
    """Voice in frames; where there is none, all are 0."""

    f0: np.ndarray  # hertz, (frames,)
    strength: np.ndarray  # autocorrelation one period later, 0 … 1, (frames,)

    @property
    def voiced(self) -> np.ndarray:
        """Where there is voice, (frames,)."""
        return self.f0 > 0

    @property
    def harmonicity(self) -> np.ndarray:
        """Harmonics-to-noise ratio in decibels, from -20 to 40, (frames,)."""
        share = np.clip(self.strength, 0.01, 0.9999)
        return 10 * np.log10(share / (1 - share))


@dataclass(frozen=True)
class Pulses:
    """The largest peak of each period of voice."""

    times: np.ndarray  # seconds, (pulses,)
    heights: np.ndarray  # amplitude, (pulses,)
    run: np.ndarray  # which run of voiced frames it belongs to, (pulses,)

    @property
    def jitter(self) -> np.ndarray:
        """Change from one period to the next, relative to the mean of both: times and values, (2, pairs of periods)."""
        periods = np.diff(self.times)
        first, second = periods[:-1], periods[1:]
        inside = (self.run[2:] == self.run[:-2]) & (np.maximum(first, second) < MOST_CHANGE * np.minimum(first, second))
        return self._timed(np.abs(second - first) / ((first + second) / 2 + TINY), inside)

    @property
    def shimmer(self) -> np.ndarray:
        """Change from one pulse's height to the next's, relative to the mean of both: times and values, (2, pairs)."""
        first, second = self.heights[1:-1], self.heights[2:]
        inside = self.run[2:] == self.run[:-2]
        return self._timed(np.abs(second - first) / ((first + second) / 2 + TINY), inside)

    def _timed(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        return np.stack([self.times[1:-1], values])[:, inside]


@dataclass(frozen=True)
class Pitch:
    """F0 by autocorrelation and the best path through its candidates (Boersma, 1993, as in Praat).

    In each frame every peak of the autocorrelation, freed of the window's, is a candidate; the path pays for jumps, for
    each change between voice and none, and for candidates that are weak.
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
    resampling: ClassVar[str] = "soxr"

    def track(self, signal: np.ndarray) -> Track:
        """Return the voice of a signal in ``1 + samples // hop`` centred frames."""
        frequency, strength, unvoiced = self._candidates(signal)
        path = self._path(frequency, strength, unvoiced)
        taken = np.arange(len(path)), np.minimum(path, self.candidates - 1)
        voiced = path < self.candidates  # the last state is no voice
        return Track(np.where(voiced, frequency[taken], 0.0), np.where(voiced, np.clip(strength[taken], 0, 1), 0.0))

    def pulses(self, signal: np.ndarray, track: Track) -> Pulses:
        """Return the pulses of all voiced frames: from the highest peak of each run outwards, a period at a time."""
        signal = signal.astype(np.float64)
        signal = signal if signal.max(initial=0) >= -signal.min(initial=0) else -signal
        step = self.hop * self.sampling_rate
        edges = np.flatnonzero(np.diff(track.voiced.astype(int), prepend=0, append=0)).reshape(-1, 2)
        places, runs = [], []
        for run, (first, end) in enumerate(edges):
            start, stop = int(max((first - 0.5) * step, 0)), int(min((end - 0.5) * step, len(signal)))
            if stop - start < 3:
                continue
            periods = self.sampling_rate / track.f0[first:end]
            found = _peaks(signal[start:stop], periods, step)
            places.append(found + start)
            runs.append(np.full(len(found), run))
        if not places:
            return Pulses(*np.zeros((2, 0)), np.zeros(0, int))
        places = np.concatenate(places)
        low, peak, high = (signal[np.clip(places + shift, 0, len(signal) - 1)] for shift in (-1, 0, 1))
        shift, height = _vertex(low, peak, high)
        return Pulses((places + shift) / self.sampling_rate, height, np.concatenate(runs))

    def _candidates(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return frequency and strength of the candidates, (frames, candidates), and the strength of no voice."""
        samples = int(3 * self.sampling_rate / self.lowest)  # three periods of the lowest pitch
        padded = np.pad(signal.astype(np.float64), samples // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, samples)[:: round(self.hop * self.sampling_rate)]
        blocks = [self._candidates_of(frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)]
        frequency, height, amplitude = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        loud = amplitude / max(amplitude.max(), TINY)
        unvoiced = self.voicing + np.maximum(0, 2 - loud * (1 + self.voicing) / self.silence)
        return frequency, height, unvoiced

    def _candidates_of(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return frequency and strength of the candidates of some frames, and the amplitude of each frame."""
        shortest, longest = int(self.sampling_rate / self.highest), int(np.ceil(self.sampling_rate / self.lowest))
        frames = frames - frames.mean(axis=1, keepdims=True)
        amplitude = np.maximum(frames.max(axis=1), -frames.min(axis=1))
        window, of_window = _window(frames.shape[1], longest + 2)
        frames *= window
        strength = _autocorrelation(frames, longest + 2) / of_window
        before, here, after = strength[:, :-2], strength[:, 1:-1], strength[:, 2:]  # lags 1 … longest
        lags = np.arange(1, longest + 1)
        peaks = (here > before) & (here >= after) & (lags >= shortest)
        rank = np.where(peaks, here - self.octave_cost * np.log2(lags * self.lowest / self.sampling_rate), -np.inf)
        rows, best = np.arange(len(frames)), np.empty((self.candidates, len(frames)), int)
        for place in best:
            place[:] = rank.argmax(axis=1)
            rank[rows, place] = -np.inf
        shift, height = _vertex(*(part[rows, best] for part in (before, here, after)))
        real = peaks[rows, best]  # there may be fewer peaks than candidates
        return (self.sampling_rate / (lags[best] + shift)).T, np.where(real, height, -np.inf).T, amplitude

    def _path(self, frequency: np.ndarray, strength: np.ndarray, unvoiced: np.ndarray) -> np.ndarray:
        """Return the state of each frame: the number of a candidate, or ``candidates`` for no voice (Viterbi, 1967)."""
        octave = np.log2(frequency / self.lowest)
        local = np.column_stack([strength + self.octave_cost * octave, unvoiced])
        pace = 0.01 / self.hop  # Praat's costs are for steps of 10 ms
        jump = np.full((len(octave) - 1, self.candidates + 1, self.candidates + 1), self.voicing_cost * pace)
        jump[:, :-1, :-1] = self.octave_jump_cost * pace * np.abs(octave[1:, :, None] - octave[:-1, None, :])
        jump[:, -1, -1] = 0  # (frames, to, from)
        total = local  # becomes that of the best path to each state
        for before, here, cost in zip(total, total[1:], jump, strict=False):
            here += np.maximum.reduce(before - cost, axis=1)
        came = (total[:-1, None, :] - jump).argmax(axis=2).tolist()
        path = [int(total[-1].argmax())]
        for states in reversed(came):
            path.append(states[path[-1]])
        return np.array(path[::-1])


@lru_cache
def _window(samples: int, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Hann's window and its autocorrelation."""
    window = np.hanning(samples)
    return window, _autocorrelation(window, lags)


def _autocorrelation(frames: np.ndarray, lags: int) -> np.ndarray:
    """Return the autocorrelation of each row at lags from 0, relative to that at 0."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(frames.shape[-1] + lags, real=True)
    spectrum = rfft(frames, size)
    found = irfft(spectrum.real**2 + spectrum.imag**2, size)[..., :lags]
    return found / np.maximum(found[..., :1], TINY)


def _peaks(signal: np.ndarray, periods: np.ndarray, step: float) -> np.ndarray:
    """Return where the pulses lie in a voiced run; ``periods`` in samples, one a frame of ``step`` samples."""
    first, last, periods = int(signal.argmax()), len(periods) - 1, periods.tolist()
    found = [first]
    for direction in (1, -1):
        at = first
        while True:
            expected = at + direction * periods[min(int(at / step), last)]
            aside = WIDEST * abs(expected - at)
            low, high = round(expected - aside), round(expected + aside) + 1
            if low < 0 or high > len(signal):
                break
            at = low + int(signal[low:high].argmax())
            found.append(at)
    return np.sort(found)


def _vertex(low: np.ndarray, peak: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return place (-0.5 … 0.5 from the middle) and height of the parabola through three points."""
    curve = np.minimum(low - 2 * peak + high, -TINY)
    shift = np.clip(0.5 * (low - high) / curve, -0.5, 0.5)
    return shift, peak - 0.25 * (low - high) * shift
