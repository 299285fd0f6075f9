"""Domain check: compare a recording with the training corpus before relying on its prediction.

Every bound is a quantile of measurements on the training corpus (:mod:`sernb.prediction.training`); only the choice of
measures is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.filterbank import hann, mel_bands
from sernb.features import Functionals, Joined, LevelledFunctionals
from sernb.features.descriptors import BANDS, HERTZ, HOP, WINDOW
from sernb.features.levelled import compute_gain
from sernb.systems.learning.linear_classifier import LinearClassifier

IN_DOMAIN, BORDERLINE, OUT_OF_DOMAIN = VERDICTS = ("in domain", "borderline", "out of domain")
NEAR_PEAK = 0.97  # of the peak amplitude: samples above count as clipped
BAND_RANGE = 60.0  # dB below the strongest mel band: weaker bands count as missing
POWER_FLOOR = 1e-10  # power
FRAME: Seconds = 0.02
LOUD_PERCENTILE = 98  # percentile of the frames of a mel band
BACKGROUND_PERCENTILE = 5  # percentile of the frame levels, taken as the background level

_COLUMN = {name: number for number, name in enumerate(Functionals().names)}


@dataclass(frozen=True)
class Measure:
    """A measure of the domain check, with its description when out of bounds."""

    unit: str
    low: str = ""  # description of a value that is too low; empty: no lower bound
    high: str = ""  # description of a value that is too high; empty: no upper bound
    scale: float = 1.0  # from the value to the displayed number


SMALLEST_DEVIATION = 1e-8  # standard deviation up to which a feature counts as constant and is not scaled


@dataclass(frozen=True)
class Reference:
    """Training statistics of functionals, for a model that does not use functionals itself."""

    features: Functionals
    classifier: LinearClassifier  # holds mean and deviation; its weights are not used

    def measure(self, signal: np.ndarray) -> dict[str, float]:
        """Measure one clip, see :func:`measure`."""
        return measure(signal, self.features(signal)[0], self.features, self.classifier)


def make_reference(features: Functionals, mean: np.ndarray, deviation: np.ndarray) -> Reference:
    """Make a reference from the training clips' mean and standard deviation, ``(values,)``."""
    deviation = np.where(deviation > SMALLEST_DEVIATION, deviation, 1.0)
    return Reference(features, LinearClassifier(mean, deviation, np.zeros((1, len(mean)))))


MEASURES = {
    "voice": Measure("s of voice", low="too little voice"),
    "level": Measure("dBFS", low="low level", high="high level"),
    "clipping": Measure("% of samples at the peak", high="clipped", scale=100),
    "bandwidth": Measure("Hz", low="high frequencies missing"),
    "SNR": Measure("dB SNR", low="background noise"),
    "pitch": Measure("Hz median F0", low="low pitch", high="high pitch"),
    "distance": Measure("standard deviations", high="unlike the training corpus"),
}


@dataclass(frozen=True)
class DomainCheck:
    """The result of the domain check."""

    verdict: str  # one of VERDICTS
    reasons: tuple[str, ...]  # one for each measure out of bounds
    measures: Mapping[str, float]


def measure(
    signal: np.ndarray, row: np.ndarray, features: Functionals | Joined, classifier: LinearClassifier
) -> dict[str, float]:
    """Measure one clip, or one window of a longer recording.

    Args:
        signal: samples, shape ``(samples,)``
        row: its features, shape ``(values,)``
        features: their kind: functionals, alone or concatenated with others
        classifier: holds mean and standard deviation of the training corpus

    Returns:
        a value for each of ``MEASURES``: seconds, dBFS, share of samples, hertz, decibels, hertz, standard deviations
    """
    sampling_rate, far = features.sampling_rate, distance(row, classifier)
    if isinstance(features, Joined):
        row, features = row[features.columns(Functionals)], features.part(Functionals)
    levels, peak = frame_levels(signal, sampling_rate), np.abs(signal).max()
    voiced = float(row[_COLUMN["voiced share"]] * row[_COLUMN["seconds"]])
    level = float(row[_COLUMN["level, voiced: mean"]]) if voiced else float(levels.max())
    if voiced and isinstance(features, LevelledFunctionals):
        level -= compute_gain(signal, sampling_rate, features.level)
    return {
        "voice": voiced,
        "level": level,
        "clipping": float((np.abs(signal) >= NEAR_PEAK * peak).mean()),
        "bandwidth": measure_bandwidth(signal, sampling_rate),
        "SNR": level - background_level(levels),
        "pitch": float(27.5 * 2 ** (row[_COLUMN["F0: p50"]] / 12)),
        "distance": far,
    }


def distance(row: np.ndarray, classifier: LinearClassifier) -> float:
    """Return the root mean square of a clip's standardised features."""
    return float(np.sqrt(np.mean(classifier.standardise(row[None]) ** 2)))


def frame_levels(signal: np.ndarray, sampling_rate: Hertz) -> np.ndarray:
    """Return the level of frames of 20 ms, dBFS; digital silence is at -100 dBFS."""
    length = max(1, int(FRAME * sampling_rate))
    frames = signal[: max(1, len(signal) // length) * length].astype(np.float64)
    frames = frames.reshape(-1, min(length, len(frames)))
    return 10 * np.log10((frames**2).mean(axis=1) + POWER_FLOOR)


def background_level(levels: np.ndarray) -> float:
    """Return the level between words, a low percentile of the frame levels, decibels."""
    return float(np.percentile(levels, BACKGROUND_PERCENTILE))


def measure_bandwidth(signal: np.ndarray, sampling_rate: Hertz) -> float:
    """Return the upper edge of the highest mel band with energy in the loudest frames, hertz."""
    padded = np.pad(signal, (0, max(0, WINDOW - len(signal)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * hann(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ mel_bands(sampling_rate, WINDOW, BANDS)
    levels = 10 * np.log10(np.percentile(power, LOUD_PERCENTILE, axis=0) + POWER_FLOOR)
    return float(band_edges(sampling_rate)[np.flatnonzero(levels > levels.max() - BAND_RANGE)[-1]])


@lru_cache
def band_edges(sampling_rate: Hertz) -> np.ndarray:
    """Return the upper edge of each mel band of the functionals, hertz."""
    bands = mel_bands(sampling_rate, WINDOW, BANDS) > 0
    return np.array([HERTZ[np.flatnonzero(band)[-1]] for band in bands.T])


def combine_measures(measured: Sequence[Mapping[str, float]], levels: np.ndarray) -> dict[str, float]:
    """Return the measures of a long recording: medians over windows; SNR from all frames.

    Args:
        measured: measures of the windows with voice
        levels: of all frames of the recording, dBFS
    """
    medians = {name: float(np.median([part[name] for part in measured])) for name in MEASURES}
    return medians | {"SNR": medians["level"] - background_level(levels)}


def check_domain(measures: Mapping[str, float], bounds: Mapping[str, Mapping[str, float | None]]) -> DomainCheck:
    """Compare the measures of a recording with the bounds of the training corpus.

    Args:
        measures: as returned by :func:`measure`
        bounds: for each measure ``low`` and ``high``, beyond which the recording is borderline; for some also ``stop``,
            beyond which it is out of domain
    """
    reasons, verdict = [], IN_DOMAIN
    for name, kind in MEASURES.items():
        value, bound = measures[name], bounds[name]
        low, high, stop = (bound.get(which) for which in ("low", "high", "stop"))
        below, above = low is not None and value < low, high is not None and value > high
        if not (below or above):
            continue
        stopped = stop is not None and (value < stop if below else value > stop)
        verdict = OUT_OF_DOMAIN if stopped or verdict == OUT_OF_DOMAIN else BORDERLINE
        limit, comparison = (low, "or more") if below else (high, "or less")
        reasons.append(
            f"{kind.low if below else kind.high}: {_three_digits(value * kind.scale)} {kind.unit} "
            f"(training clips: {_three_digits(limit * kind.scale)} {comparison})"
        )
    return DomainCheck(verdict, tuple(reasons), dict(measures))


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"  # three significant digits, no exponent below a million


def compute_bounds(
    measured: Sequence[Mapping[str, float]], *, any_level: bool = False
) -> dict[str, dict[str, float | None]]:
    """Compute the bounds of the domain check from clips of the training corpus.

    Borderline is beyond the 1st or 99th percentile of the clips, for distances beyond the 95th. Out of domain is less
    voice than any clip, or a distance beyond the 99.5th percentile.

    Args:
        measured: measures of the clips, each measured as a clip of an unseen speaker
        any_level: set no bounds on the level, because the model normalises it
    """

    def quantile(name: str, share: float) -> float:
        return float(np.quantile([each[name] for each in measured], share))

    bounds = {
        name: {"low": quantile(name, 0.01) if about.low else None, "high": quantile(name, 0.99) if about.high else None}
        for name, about in MEASURES.items()
    }
    if any_level:
        bounds["level"] = {"low": None, "high": None}
    bounds["voice"]["stop"] = quantile("voice", 0.0)
    bounds["distance"] |= {"high": quantile("distance", 0.95), "stop": quantile("distance", 0.995)}
    return bounds
