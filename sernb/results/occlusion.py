"""Where a network looked: cells of a clip's sound are taken away, and what its answer loses is their importance.

Cells are spans of time times bands of the mel scale. What is taken away falls to the clip's own background level, so
that every version of the clip can be heard, and any system that hears a waveform can be asked. Maps are tested, not
only drawn: taking cells away (deletion) and giving them back (insertion) by importance must move the answer more than
doing so at random (Petsiuk, Das and Saenko, 2018, arXiv:1806.07421).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.audio.decoders import Hertz, Seconds
from sernb.audio.reading import load
from sernb.config import DataError
from sernb.corpora.pool import find_recordings
from sernb.corpora.preparation import prepare
from sernb.evaluation import Interval, Predictions, bootstrap_interval, predict
from sernb.features import LogMel
from sernb.features.extraction import extract_features
from sernb.results.result import Result
from sernb.runs.experiment import Experiment
from sernb.runs.runner import fit_normalisers, mask_scores

BACKGROUND = 10  # the level that this per cent of the frames do not exceed, for each frequency by itself
RANDOM_ORDERS = 5
STEPS = 10  # of the curves
MOST_WORK = 2e12  # multiply-adds that a page may cost: minutes of one core
TOLERANCE = 0.01  # between a score of a rebuilt network and the recorded one

Scores = Callable[[Sequence[np.ndarray]], np.ndarray]  # signals → (signals, classes)


# -- Cells of a sound -- #


@dataclass(frozen=True)
class Grid:
    """How a sound is cut."""

    span: Seconds = 0.25
    bands: int = 8  # equally wide on the mel scale
    window: int = 1024  # samples
    hop: int = 256  # samples


@dataclass(frozen=True)
class Cut:
    """A clip's sound as cells, numbered through all bands of a span, then the next span."""

    signal: np.ndarray  # (samples,)
    sampling_rate: Hertz
    grid: Grid = Grid()

    @property
    def shape(self) -> tuple[int, int]:
        """Spans and bands."""
        return max(1, round(len(self.signal) / self.sampling_rate / self.grid.span)), self.grid.bands

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def edges(self) -> np.ndarray:
        """Bounds of the bands in hertz, shape ``(bands + 1,)``, on O'Shaughnessy's mel scale."""
        highest = 2595 * np.log10(1 + self.sampling_rate / 2 / 700)
        return 700 * (10 ** (np.linspace(0, highest, self.grid.bands + 1) / 2595) - 1)

    @cached_property
    def _transform(self):
        from scipy.signal import ShortTimeFFT
        from scipy.signal.windows import hann

        return ShortTimeFFT(hann(self.grid.window, sym=False), self.grid.hop, self.sampling_rate)

    @cached_property
    def _spectrum(self) -> np.ndarray:
        return self._transform.stft(self.signal)  # (frequencies, frames)

    @cached_property
    def _quiet(self) -> np.ndarray:
        level = np.abs(self._spectrum)
        background = np.percentile(level, BACKGROUND, axis=1, keepdims=True)
        return self._spectrum * np.minimum(1, background / np.maximum(level, 1e-12))

    @cached_property
    def _cell(self) -> np.ndarray:
        """Number of the cell of each point of the spectrum."""
        times = self._transform.t(len(self.signal))
        spans = np.clip(times / (len(self.signal) / self.sampling_rate) * self.shape[0], 0, self.shape[0] - 1)
        bands = np.clip(np.searchsorted(self.edges, self._transform.f, side="right") - 1, 0, self.grid.bands - 1)
        return spans.astype(int)[None, :] * self.grid.bands + bands[:, None]

    def keeping(self, kept: np.ndarray) -> np.ndarray:
        """Return the sound with only these cells, shape ``(cells,)`` of booleans; the others fall to the background."""
        spectrum = np.where(np.asarray(kept, bool)[self._cell], self._spectrum, self._quiet)
        return self._transform.istft(spectrum, k1=len(self.signal)).astype(np.float32)


# -- Importance, and its test -- #


def importance(scores: Scores, cut: Cut, target: int) -> np.ndarray:
    """Return by how much the score of a class falls without each cell, shape ``(spans, bands)``."""
    without = [cut.keeping(np.arange(cut.cells) != cell) for cell in range(cut.cells)]
    whole, *less = scores([cut.signal, *without])[:, target]
    return (whole - np.array(less)).reshape(cut.shape)


@dataclass(frozen=True)
class Curves:
    """Score of the answer while cells go (deletion) or come (insertion), by share of cells; first axis: orders."""

    shares: np.ndarray  # (steps,), 0 … 1
    deletion: np.ndarray  # (orders, steps)
    insertion: np.ndarray  # (orders, steps)

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each curve, shape ``(orders,)``; low where the cells that go first matter."""
        return np.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each curve, shape ``(orders,)``; high where the cells that come first matter."""
        return np.trapezoid(self.insertion, self.shares, axis=1)


def perturbation_curves(
    scores: Scores, cut: Cut, orders: Sequence[np.ndarray], target: int, *, steps: int = STEPS
) -> Curves:
    """Take cells away, and give them back, in each of these orders; as many cells at each step in all of them."""
    counts = np.rint(np.linspace(0, cut.cells, steps + 1)).astype(int)
    versions = []
    for order in orders:
        place = np.argsort(order)  # of each cell
        versions += [cut.keeping(place >= count) for count in counts] + [cut.keeping(place < count) for count in counts]
    found = scores(versions)[:, target].reshape(len(orders), 2, len(counts))
    return Curves(counts / cut.cells, found[:, 0], found[:, 1])


# -- Finished runs -- #


@dataclass(frozen=True)
class Listener:
    """A finished run's network, ready to hear any sound."""

    experiment: Experiment
    classes: tuple[str, ...]
    work: int  # multiply-adds an answer; 0 where the run did not count them
    network: Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → (clips, classes)

    def hearing(self, speaker: str) -> Scores:
        """Return what answers for signals at the sampling rate of the features, as if this speaker spoke."""
        features, normalisers = self.experiment.system.features, fit_normalisers(self.experiment)

        def scores(signals: Sequence[np.ndarray]) -> np.ndarray:
            heard = [extract_features("", ORIGINAL, signal, features) for signal in signals]
            return self.network([normalisers[speaker](each) for each in heard] if normalisers else heard)

        return scores


def listener(result: Result, fold: int, data: str | Path | None = None) -> Listener:
    """Rebuild the network of one run of a result from its weights.

    It is asked for a few test clips once more, and must say what the run recorded.

    Raises:
        DataError: if there is no network, or weights alone do not make it again
    """
    experiment, run = result.experiments[fold], result.runs[fold]
    system = experiment.system
    if not system.is_network:
        raise DataError(f"{system.name}: is no network, and its run keeps no weights; take a system that is one")
    from sernb.systems.inspection import restore_network

    rebuilt = restore_network(experiment, run.weights)

    def network(clips: Sequence[np.ndarray]) -> np.ndarray:
        return mask_scores(rebuilt(clips), experiment)

    table = prepare(experiment.corpus, system.features, data=data)
    normalisers = fit_normalisers(experiment)
    recorded = run.predictions
    recorded = recorded[recorded["view"] == ORIGINAL.name].head(8)
    heard = [table[clip] for clip in recorded["clip"]]
    if normalisers:
        heard = [normalisers[speaker](each) for speaker, each in zip(recorded.speaker, heard, strict=True)]
    try:
        said = network(heard)
    except (ValueError, TypeError, LookupError):
        said = np.full((len(heard), 0), np.nan)
    expected = recorded[list(result.classes)].to_numpy(float)
    if np.shape(said) != expected.shape or not np.allclose(said, expected, atol=TOLERANCE):
        raise DataError(
            f"{system.name}: the weights alone do not make its answers again (what it hears is scaled or cut in "
            "training); take another system"
        )
    return Listener(experiment, result.classes, run.metrics.get("size", {}).get("multiply_adds", 0), network)


def best_listener(results: Sequence[Result], data: str | Path | None = None) -> Listener:
    """Return the network of the first fold of the best result whose network can be rebuilt.

    Raises:
        DataError: if there is none; one line for each network, saying why
    """
    networks = [result for result in results if result.system.is_network]
    reasons = []
    for result in sorted(networks, key=lambda result: -result.metrics().uar.value):
        try:
            return listener(result, 0, data)
        except DataError as error:
            reasons.append(str(error))
    raise DataError(
        "\n".join(reasons or ["No network is among these systems: there are no weights to be asked again."])
    )


@dataclass(frozen=True)
class Explanation:
    """One clip, what was said of it, and where the network looked."""

    clip: str
    speaker: str
    truth: str
    prediction: str
    cut: Cut
    importance: np.ndarray  # (spans, bands)
    tested: Curves  # orders: by importance, then random ones

    @property
    def log_mel(self) -> np.ndarray:
        """Log-mel of the clip, decibels, shape ``(frames, bands)``."""
        return LogMel(self.cut.sampling_rate, window=1024, hop=256)(self.cut.signal)

    def most_important(self, share: float) -> np.ndarray:
        """Return the sound of the most important share of the cells; the others fall to the background."""
        count = max(1, round(share * self.cut.cells))
        kept = np.zeros(self.cut.cells, bool)
        kept[np.argsort(-self.importance.ravel(), kind="stable")[:count]] = True
        return self.cut.keeping(kept)


def explain(
    network: Listener, *, clips: int = 8, grid: Grid | None = None, data: str | None = None, seed: int = 0
) -> list[Explanation]:
    """Explain the answers to some test clips of the network's fold, drawn at random, as many of each speaker.

    What is explained is the answer, right or wrong. Of networks that compute much there are fewer clips (see
    ``MOST_WORK``), but one.

    Raises:
        DataError: if no recording of the fold's test clips is here
    """
    experiment = network.experiment
    rng = np.random.default_rng(seed)
    table = experiment.clips[experiment.clips["clip"].isin(experiment.fold.test)]
    table = table.iloc[rng.permutation(len(table))]
    turn = table.groupby("speaker").cumcount()
    chosen = table.assign(turn=turn).sort_values("turn", kind="stable").head(clips)
    files = find_recordings(experiment.corpus, chosen["clip"].tolist(), data)
    if not files:
        raise DataError(f"{experiment.corpus.title}: no recording is here; without them no network can be asked again")
    features = experiment.system.features
    found, spent = [], 0
    for row in chosen[chosen["clip"].isin(files)].itertuples():
        signal = load(files[row.clip], features.sampling_rate, resampling=features.resampling)
        cut = Cut(signal, features.sampling_rate, grid or Grid())
        spent += network.work * (cut.cells + 2 * (STEPS + 1) * (RANDOM_ORDERS + 1))
        if found and spent > MOST_WORK:
            break
        scores = network.hearing(row.speaker)
        target = int(predict(scores([signal]))[0])
        map_ = importance(scores, cut, target)
        orders = [np.argsort(-map_.ravel(), kind="stable")]
        orders += [rng.permutation(cut.cells) for _ in range(RANDOM_ORDERS)]
        tested = perturbation_curves(scores, cut, orders, target)
        found.append(Explanation(row.clip, row.speaker, row.truth, network.classes[target], cut, map_, tested))
    return found


def areas_table(clips: Sequence[Explanation]) -> pd.DataFrame:
    """Return the areas under the curves, by importance and at random, and their difference with its interval."""
    rows = []
    for name, better in (("deletion", "lower"), ("insertion", "higher")):
        areas = np.array([getattr(each.tested, f"{name}_area") for each in clips])  # (clips, orders)
        ours, random = areas[:, 0], areas[:, 1:].mean(axis=1)
        difference = _mean(ours - random, [each.speaker for each in clips])
        rows.append(
            {
                "Curve": f"{name} ({better} is better)",
                "Area by importance": f"{ours.mean():.3f}",
                "Area at random": f"{random.mean():.3f}",
                "Difference": f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]",
                "Clips": len(clips),
                "Speakers": len({each.speaker for each in clips}),
            }
        )
    return pd.DataFrame(rows)


def _mean(values: np.ndarray, speakers: Sequence[str]) -> Interval:
    return bootstrap_interval(
        lambda truth, scores: float(scores.mean()), Predictions(values, values, np.array(speakers))
    )


def seconds_of_views(network: Listener, clips: Sequence[Explanation]) -> pd.DataFrame:
    """Measure what each view of a clip costs on this machine: its features and its answer."""
    import time

    features = network.experiment.system.features
    rows = []
    for view in network.experiment.views:
        started = time.perf_counter()
        heard = [extract_features(each.clip, view, each.cut.signal, features) for each in clips]
        made = time.perf_counter()
        network.network(heard)
        done = time.perf_counter()
        rows.append(
            {
                "View": view.name,
                "Features (ms a clip)": f"{1000 * (made - started) / len(clips):.1f}",
                "Answer (ms a clip)": f"{1000 * (done - made) / len(clips):.1f}",
            }
        )
    return pd.DataFrame(rows)
