"""Is a recording like those that the model learned from? Looked at before any answer is believed.

Every bound comes from the training corpus (:mod:`sernb.prediction.training`); nothing here is a matter of taste but
what is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.filterbank import hann, mel_bands
from sernb.features import Functionals, Joined, LevelledFunctionals
from sernb.features.descriptors import BANDS, HERTZ, HOP, WINDOW
from sernb.features.levelled import gain_to
from sernb.systems.learning.linear_classifier import LinearClassifier

IN_DOMAIN, BORDERLINE, OUT_OF_DOMAIN = VERDICTS = ("in domain", "borderline", "out of domain")
NEAR_PEAK = 0.97  # of the highest amplitude
HEARD = 60.0  # dB below the strongest mel band: what lies lower is not there
FLOOR = 1e-10  # power
FRAME: Seconds = 0.02
LOUD = 98  # percentile of the frames in a band
QUIETEST = 5  # per cent of the frames that are taken for background

_COLUMN = {name: number for number, name in enumerate(Functionals().names)}


@dataclass(frozen=True)
class Measure:
    """Something measured on a recording, and what it means where it is beyond its bounds."""

    unit: str
    low: str = ""  # in words; empty: it cannot be too low
    high: str = ""
    scale: float = 1.0  # from the value to what people read


DEVIATION = 1e-8  # of a value that never changes, at most: it is left as it is


@dataclass(frozen=True)
class Reference:
    """What a model that reads no functionals compares recordings with: functionals over its training clips."""

    features: Functionals
    classifier: LinearClassifier  # of which mean and deviation count

    def measure(self, signal: np.ndarray) -> dict[str, float]:
        """Measure one clip, see :func:`measure`."""
        return measure(signal, self.features(signal)[0], self.features, self.classifier)


def reference_of(features: Functionals, mean: np.ndarray, deviation: np.ndarray) -> Reference:
    """Return the reference that mean and deviation of the functionals of training clips make."""
    deviation = np.where(deviation > DEVIATION, deviation, 1.0)
    return Reference(features, LinearClassifier(mean, deviation, np.zeros((1, len(mean)))))


MEASURES = {
    "voice": Measure("s of voice", low="there is hardly any voice"),
    "level": Measure("dBFS", low="it is quiet", high="it is loud"),
    "clipping": Measure("% of samples at the peak", high="it is overdriven", scale=100),
    "bandwidth": Measure("Hz", low="high frequencies are missing"),
    "SNR": Measure("dB from voice to background", low="there is noise behind the voice"),
    "pitch": Measure("Hz in the middle", low="the voice is low", high="the voice is high"),
    "distance": Measure("standard deviations", high="it sounds unlike the training corpus"),
}


@dataclass(frozen=True)
class DomainCheck:
    """What the check found."""

    verdict: str  # of VERDICTS
    reasons: tuple[str, ...]
    measures: Mapping[str, float]


def measure(
    signal: np.ndarray, row: np.ndarray, features: Functionals | Joined, classifier: LinearClassifier
) -> dict[str, float]:
    """Measure one clip, or one window of a longer recording.

    Args:
        signal: samples, shape ``(samples,)``
        row: its features, shape ``(values,)``
        features: of what kind they are: functionals, or functionals beside others
        classifier: whose mean and deviation are those of the training corpus
    """
    sampling_rate, far = features.sampling_rate, distance(row, classifier)
    if isinstance(features, Joined):
        row, features = row[features.columns(Functionals)], features.part(Functionals)
    levels, peak = frame_levels(signal, sampling_rate), np.abs(signal).max()
    voiced = float(row[_COLUMN["voiced share"]] * row[_COLUMN["seconds"]])
    level = float(row[_COLUMN["level, voiced: mean"]]) if voiced else float(levels.max())
    if voiced and isinstance(features, LevelledFunctionals):
        level -= gain_to(signal, sampling_rate, features.level)
    return {
        "voice": voiced,
        "level": level,
        "clipping": float((np.abs(signal) >= NEAR_PEAK * peak).mean()),
        "bandwidth": measure_bandwidth(signal, sampling_rate),
        "SNR": level - background(levels),
        "pitch": float(27.5 * 2 ** (row[_COLUMN["F0: p50"]] / 12)),
        "distance": far,
    }


def distance(row: np.ndarray, classifier: LinearClassifier) -> float:
    """Return how far a clip lies from the mean of the training clips: root mean square over all features."""
    return float(np.sqrt(np.mean(classifier.standardised(row[None]) ** 2)))


def frame_levels(signal: np.ndarray, sampling_rate: Hertz) -> np.ndarray:
    """Return the level of frames of 20 ms in decibels relative to full scale; digital silence is at -100 dB."""
    length = max(1, int(FRAME * sampling_rate))
    frames = signal[: max(1, len(signal) // length) * length].astype(np.float64)
    frames = frames.reshape(-1, min(length, len(frames)))
    return 10 * np.log10((frames**2).mean(axis=1) + FLOOR)


def background(levels: np.ndarray) -> float:
    """Return the level of what is heard between words, in decibels."""
    return float(np.percentile(levels, QUIETEST))


def measure_bandwidth(signal: np.ndarray, sampling_rate: Hertz) -> float:
    """Return the upper edge, in hertz, of the highest mel band that is heard in the loudest frames."""
    padded = np.pad(signal, (0, max(0, WINDOW - len(signal)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * hann(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ mel_bands(sampling_rate, WINDOW, BANDS)
    levels = 10 * np.log10(np.percentile(power, LOUD, axis=0) + FLOOR)
    return float(band_edges(sampling_rate)[np.flatnonzero(levels > levels.max() - HEARD)[-1]])


@lru_cache
def band_edges(sampling_rate: Hertz) -> np.ndarray:
    """Return where each mel band of the functionals ends, in hertz."""
    bands = mel_bands(sampling_rate, WINDOW, BANDS) > 0
    return np.array([HERTZ[np.flatnonzero(band)[-1]] for band in bands.T])


def join_checks(parts: Sequence[Mapping[str, float]], levels: np.ndarray) -> dict[str, float]:
    """Return the measures of a long recording: of its windows with voice, and of the background between all words."""
    middle = {name: float(np.median([part[name] for part in parts])) for name in MEASURES}
    return middle | {"SNR": middle["level"] - background(levels)}


def check_domain(measures: Mapping[str, float], bounds: Mapping[str, Mapping[str, float | None]]) -> DomainCheck:
    """Compare a recording with the bounds of the training corpus.

    Args:
        bounds: by measure ``low`` and ``high``, beyond which it is borderline, and for some ``stop``, beyond which it
            is out of domain
    """
    reasons, verdict = [], IN_DOMAIN
    for name, about in MEASURES.items():
        value, bound = measures[name], bounds[name]
        low, high, stop = (bound.get(which) for which in ("low", "high", "stop"))
        below, above = low is not None and value < low, high is not None and value > high
        if not (below or above):
            continue
        stopped = stop is not None and (value < stop if below else value > stop)
        verdict = OUT_OF_DOMAIN if stopped or verdict == OUT_OF_DOMAIN else BORDERLINE
        limit, comparison = (low, "or more") if below else (high, "or less")
        reasons.append(
            f"{about.low if below else about.high}: {_three(value * about.scale)} {about.unit}, where training clips "
            f"have {_three(limit * about.scale)} {comparison}"
        )
    return DomainCheck(verdict, tuple(reasons), dict(measures))


def _three(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"  # three digits that count, and no exponent before the million


def bounds_of(
    measured: Sequence[Mapping[str, float]], *, any_level: bool = False
) -> dict[str, dict[str, float | None]]:
    """Return the bounds that clips of the training corpus give, each measured as a clip of an unseen speaker.

    Borderline is what lies beyond the outer hundredth of the clips, and of distances beyond the outer twentieth. Out of
    domain is what has less voice than any clip, or is farther away than all but one in two hundred of them.

    Args:
        any_level: the model brings every recording to one level, so that its level says nothing
    """

    def of(name: str, share: float) -> float:
        return float(np.quantile([each[name] for each in measured], share))

    found = {
        name: {"low": of(name, 0.01) if about.low else None, "high": of(name, 0.99) if about.high else None}
        for name, about in MEASURES.items()
    }
    if any_level:
        found["level"] = {"low": None, "high": None}
    found["voice"]["stop"] = of("voice", 0.0)
    found["distance"] |= {"high": of("distance", 0.95), "stop": of("distance", 0.995)}
    return found
