"""Occlusion: the importance of a time-frequency cell is the drop of the predicted class's score without the cell.

A cell is a time span in one mel band. Occluded cells are attenuated to the clip's own background level, so that each
version of the clip is still a signal, and any system that uses audio can be explained. The maps are tested as well:
removing cells (deletion) and restoring them (insertion) in order of importance must change the score more than in
random order (Petsiuk, Das and Saenko, 2018, arXiv:1806.07421).
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

BACKGROUND = 10  # background level: this percentile over the frames, for each frequency
RANDOM_ORDERS = 5
STEPS = 10  # of the curves
MOST_WORK = 2e12  # multiply-adds per page: minutes on one core
TOLERANCE = 0.01  # between the scores of a rebuilt network and those of its run

Scores = Callable[[Sequence[np.ndarray]], np.ndarray]  # signals → (signals, classes)


# -- Cells of a signal -- #


@dataclass(frozen=True)
class Grid:
    """Size of the cells."""

    span: Seconds = 0.25
    bands: int = 8  # of equal width on the mel scale
    window: int = 1024  # samples
    hop: int = 256  # samples


@dataclass(frozen=True)
class Cut:
    """A signal divided into cells, numbered by span and then by band."""

    signal: np.ndarray  # (samples,)
    sampling_rate: Hertz
    grid: Grid = Grid()

    @property
    def shape(self) -> tuple[int, int]:
        """Number of spans and of bands."""
        return max(1, round(len(self.signal) / self.sampling_rate / self.grid.span)), self.grid.bands

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def edges(self) -> np.ndarray:
        """Band edges in Hz, shape ``(bands + 1,)``, on O'Shaughnessy's mel scale."""
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
    def _background(self) -> np.ndarray:
        level = np.abs(self._spectrum)
        background = np.percentile(level, BACKGROUND, axis=1, keepdims=True)
        return self._spectrum * np.minimum(1, background / np.maximum(level, 1e-12))

    @cached_property
    def _cell(self) -> np.ndarray:
        """Cell number of each bin of the spectrogram."""
        times = self._transform.t(len(self.signal))
        spans = np.clip(times / (len(self.signal) / self.sampling_rate) * self.shape[0], 0, self.shape[0] - 1)
        bands = np.clip(np.searchsorted(self.edges, self._transform.f, side="right") - 1, 0, self.grid.bands - 1)
        return spans.astype(int)[None, :] * self.grid.bands + bands[:, None]

    def keep_cells(self, kept: np.ndarray) -> np.ndarray:
        """Return the signal with all other cells attenuated to the background; ``kept`` is a mask ``(cells,)``."""
        spectrum = np.where(np.asarray(kept, bool)[self._cell], self._spectrum, self._background)
        return self._transform.istft(spectrum, k1=len(self.signal)).astype(np.float32)


# -- Importance, and its test -- #


def importance(scores: Scores, cut: Cut, target: int) -> np.ndarray:
    """Return the drop in the score of a class when each cell is occluded, shape ``(spans, bands)``."""
    occluded = [cut.keep_cells(np.arange(cut.cells) != cell) for cell in range(cut.cells)]
    original, *lower = scores([cut.signal, *occluded])[:, target]
    return (original - np.array(lower)).reshape(cut.shape)


@dataclass(frozen=True)
class Curves:
    """Score of the predicted class by share of cells removed (deletion) or restored (insertion); first axis: orders."""

    shares: np.ndarray  # (steps,), 0 … 1
    deletion: np.ndarray  # (orders, steps)
    insertion: np.ndarray  # (orders, steps)

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each curve, shape ``(orders,)``; low if the cells removed first are important."""
        return np.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each curve, shape ``(orders,)``; high if the cells restored first are important."""
        return np.trapezoid(self.insertion, self.shares, axis=1)


def perturbation_curves(
    scores: Scores, cut: Cut, orders: Sequence[np.ndarray], target: int, *, steps: int = STEPS
) -> Curves:
    """Remove and restore cells in each of these orders, with the same number of cells per step in all orders."""
    counts = np.rint(np.linspace(0, cut.cells, steps + 1)).astype(int)
    signals = []
    for order in orders:
        position = np.argsort(order)  # of each cell
        signals += [cut.keep_cells(position >= count) for count in counts]
        signals += [cut.keep_cells(position < count) for count in counts]
    values = scores(signals)[:, target].reshape(len(orders), 2, len(counts))
    return Curves(counts / cut.cells, values[:, 0], values[:, 1])


# -- Networks of finished runs -- #


@dataclass(frozen=True)
class RebuiltNetwork:
    """The network of a finished run, rebuilt from its weights to predict any signal."""

    experiment: Experiment
    classes: tuple[str, ...]
    multiply_adds: int  # per prediction; 0 if the run did not count them
    predict: Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → (clips, classes)

    def scorer_for(self, speaker: str) -> Scores:
        """Return a function from signals of a speaker, at the features' sampling rate, to scores."""
        features, normalisers = self.experiment.system.features, fit_normalisers(self.experiment)

        def scores(signals: Sequence[np.ndarray]) -> np.ndarray:
            inputs = [extract_features("", ORIGINAL, signal, features) for signal in signals]
            return self.predict([normalisers[speaker](each) for each in inputs] if normalisers else inputs)

        return scores


def rebuild_network(result: Result, fold: int, data: str | Path | None = None) -> RebuiltNetwork:
    """Rebuild the network of one run of a result from its weights.

    Its predictions for a few test clips must be those of the run.

    Raises:
        DataError: if the system is not a network, or its weights do not reproduce the predictions
    """
    experiment, run = result.experiments[fold], result.runs[fold]
    system = experiment.system
    if not (system.is_network and run.has("weights.npz")):
        raise DataError(f"{system.name}: its run has no weights of a network; choose a network, or another protocol")
    from sernb.systems.inspection import restore_network

    network = restore_network(experiment, run.weights)

    def predict_features(clips: Sequence[np.ndarray]) -> np.ndarray:
        return mask_scores(network(clips), experiment)

    table = prepare(experiment.corpus, system.features, data=data)
    normalisers = fit_normalisers(experiment)
    recorded = run.predictions
    recorded = recorded[recorded["view"] == ORIGINAL.name].head(8)
    inputs = [table[clip] for clip in recorded["clip"]]
    if normalisers:
        inputs = [normalisers[speaker](each) for speaker, each in zip(recorded.speaker, inputs, strict=True)]
    try:
        scores = predict_features(inputs)
    except (ValueError, TypeError, LookupError):
        scores = np.full((len(inputs), 0), np.nan)
    expected = recorded[list(result.classes)].to_numpy(float)
    if np.shape(scores) != expected.shape or not np.allclose(scores, expected, atol=TOLERANCE):
        raise DataError(
            f"{system.name}: the weights do not reproduce the run's predictions (its input is scaled or cut in "
            "training); choose another system"
        )
    multiply_adds = run.metrics.get("size", {}).get("multiply_adds", 0)
    return RebuiltNetwork(experiment, result.classes, multiply_adds, predict_features)


def rebuild_best_network(results: Sequence[Result], data: str | Path | None = None) -> RebuiltNetwork:
    """Rebuild the network of the first fold of the best result whose network can be rebuilt.

    Raises:
        DataError: if no network can be rebuilt; one line per network, with the reason
    """
    networks = [result for result in results if result.system.is_network]
    reasons = []
    for result in sorted(networks, key=lambda result: -result.metrics().uar.value):
        try:
            return rebuild_network(result, 0, data)
        except DataError as error:
            reasons.append(str(error))
    raise DataError(*(reasons or ["None of these systems is a network: there are no weights to rebuild."]))


@dataclass(frozen=True)
class Explanation:
    """The prediction for one clip and the importance of each cell."""

    clip: str
    speaker: str
    truth: str
    prediction: str
    cut: Cut
    importance: np.ndarray  # (spans, bands)
    curves: Curves  # first order: by importance, the others random

    @property
    def log_mel(self) -> np.ndarray:
        """Log-mel spectrogram of the clip in dB, shape ``(frames, bands)``."""
        return LogMel(self.cut.sampling_rate, window=1024, hop=256)(self.cut.signal)

    def most_important(self, share: float) -> np.ndarray:
        """Return the signal with only the most important share of the cells; the others are attenuated."""
        count = max(1, round(share * self.cut.cells))
        kept = np.zeros(self.cut.cells, bool)
        kept[np.argsort(-self.importance.ravel(), kind="stable")[:count]] = True
        return self.cut.keep_cells(kept)


def explain(
    network: RebuiltNetwork, *, clips: int = 8, grid: Grid | None = None, data: str | None = None, seed: int = 0
) -> list[Explanation]:
    """Explain the predictions for test clips of the network's fold, sampled at random and balanced over speakers.

    The predicted class is explained, whether it is correct or not. Large networks get fewer clips (see ``MOST_WORK``),
    but at least one.

    Raises:
        DataError: if no recording of the fold's test clips is available
    """
    experiment = network.experiment
    rng = np.random.default_rng(seed)
    table = experiment.clips[experiment.clips["clip"].isin(experiment.fold.test)]
    table = table.iloc[rng.permutation(len(table))]
    turn = table.groupby("speaker").cumcount()
    sampled = table.assign(turn=turn).sort_values("turn", kind="stable").head(clips)
    files = find_recordings(experiment.corpus, sampled["clip"].tolist(), data)
    if not files:
        raise DataError(f"{experiment.corpus.title}: no recording is available; occlusion needs the recordings")
    features = experiment.system.features
    explained, spent = [], 0
    for row in sampled[sampled["clip"].isin(files)].itertuples():
        signal = load(files[row.clip], features.sampling_rate, resampling=features.resampling)
        cut = Cut(signal, features.sampling_rate, grid or Grid())
        spent += network.multiply_adds * (cut.cells + 2 * (STEPS + 1) * (RANDOM_ORDERS + 1))
        if explained and spent > MOST_WORK:
            break
        scores = network.scorer_for(row.speaker)
        target = int(predict(scores([signal]))[0])
        map_ = importance(scores, cut, target)
        orders = [np.argsort(-map_.ravel(), kind="stable")]
        orders += [rng.permutation(cut.cells) for _ in range(RANDOM_ORDERS)]
        curves = perturbation_curves(scores, cut, orders, target)
        explained.append(Explanation(row.clip, row.speaker, row.truth, network.classes[target], cut, map_, curves))
    return explained


def areas_table(clips: Sequence[Explanation]) -> pd.DataFrame:
    """Return the areas under the curves by importance and at random, with the interval of the difference."""
    rows = []
    for name, better in (("deletion", "lower"), ("insertion", "higher")):
        areas = np.array([getattr(each.curves, f"{name}_area") for each in clips])  # (clips, orders)
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


def time_views(network: RebuiltNetwork, clips: Sequence[Explanation]) -> pd.DataFrame:
    """Measure the cost of each TTA view on this machine: feature extraction and prediction."""
    import time

    features = network.experiment.system.features
    rows = []
    for view in network.experiment.views:
        started = time.perf_counter()
        inputs = [extract_features(each.clip, view, each.cut.signal, features) for each in clips]
        extracted = time.perf_counter()
        network.predict(inputs)
        predicted = time.perf_counter()
        rows.append(
            {
                "View": view.name,
                "Features (ms per clip)": f"{1000 * (extracted - started) / len(clips):.1f}",
                "Prediction (ms per clip)": f"{1000 * (predicted - extracted) / len(clips):.1f}",
            }
        )
    return pd.DataFrame(rows)
