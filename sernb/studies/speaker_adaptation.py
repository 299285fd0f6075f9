"""Speaker adaptation: the number of unlabelled enrolment clips that a new speaker needs.

The system is trained on speaker-normalised features. For a new speaker with n available clips, the normalisation
statistics are a weighted mean: n / (n + k) times the mean and variance of these clips plus k / (n + k) times those of
the average training speaker. Each fold selects k on its validation speakers.
"""

import contextlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.config import Infeasible, digest, work_folder
from sernb.corpora.preparation import prepare
from sernb.evaluation import FEWEST_SPEAKERS, Interval, Predictions, bootstrap_interval, paired_difference, uar
from sernb.features.normalisation import SHRINKAGES, Moments, average_moments, compute_moments, shrink, standardise
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.feasibility import refuse_single_clips
from sernb.runs.planning import plan
from sernb.runs.runner import prepare_for
from sernb.runtime.files import atomic
from sernb.runtime.workers import run_on_cores
from sernb.studies.differences import describe_difference
from sernb.systems.base import Examples, Task

PROTOCOL = "speaker-independent"
CLIP_COUNTS = (0, 1, 2, 4, 8, 16, 32)  # available clips; followed by all clips of the speaker
DRAWS = 10


def plan_folds(system: str, corpus: str, **options: object) -> Plan:
    """List the folds for speaker adaptation; ``left_out`` gives the reason where the recordings do not allow any.

    Args:
        options: of :func:`sernb.runs.planning.plan`
    """
    feasible = Plan()
    try:
        planned = plan([system], corpus, [PROTOCOL], views=[ORIGINAL], **options)
        refuse_single_clips(planned[0])
    except Infeasible as error:
        feasible.left_out = tuple(f"speaker adaptation: {reason}" for reason in error.args)
        return feasible
    truth = planned[0].clips.set_index("clip").truth
    # Validation speakers select k and are excluded from training; the remaining speakers must cover two classes.
    feasible += [each for each in planned if len(set(truth[list(each.fold.train)])) > 1]
    feasible.left_out, numbers = planned.left_out, {each.fold.number for each in feasible}
    if missing := [str(each.fold.number + 1) for each in planned if each.fold.number not in numbers]:
        feasible.left_out += (
            f"speaker adaptation: in fold {', '.join(missing)} the training clips without validation speakers are of "
            "one class; add recordings",
        )
    return feasible


@dataclass(frozen=True)
class Enrolment:
    """Predictions with a number of available clips per test speaker; all draws are concatenated."""

    count: int | None  # available clips; None: all clips of the speaker
    predictions: Predictions
    clips: np.ndarray  # clip names
    available: np.ndarray  # whether each clip was available for adaptation

    @property
    def resampled(self) -> Predictions:
        """Predictions whose ``speakers`` are the resampling units: speakers or, if there are too few, clips."""
        return self.predictions if self.unit == "speakers" else replace(self.predictions, speakers=self.clips)

    @property
    def unit(self) -> str:
        """The resampling unit of intervals: ``speakers`` or ``clips``."""
        return "speakers" if len(set(self.predictions.speakers)) >= FEWEST_SPEAKERS else "clips"


def concatenate_enrolments(parts: Sequence[Enrolment]) -> Enrolment:
    """Concatenate the predictions of several folds or draws."""
    predictions = Predictions(
        truth=np.concatenate([part.predictions.truth for part in parts]),
        scores=np.concatenate([part.predictions.scores for part in parts]),
        speakers=np.concatenate([part.predictions.speakers for part in parts]),
    )
    clips, available = (np.concatenate([getattr(part, name) for part in parts]) for name in ("clips", "available"))
    return Enrolment(parts[0].count, predictions, clips, available)


class AdaptedSystem:
    """A system trained on speaker-normalised features of one fold."""

    def __init__(self, experiment: Experiment):
        system, fold = experiment.system, experiment.fold
        self.classes, self.seed = experiment.labels.classes, experiment.seed
        self.index = experiment.clips.set_index("clip", drop=False)
        self.features = prepare(experiment.corpus, system.features)
        moments = self._speaker_moments(fold.train)
        self.average = average_moments(list(moments.values()))
        # A system that selects no epoch would train on the validation speakers, which are needed to select k.
        validation = fold.validation if system.selects_epoch else ()
        task = Task(
            train=self._examples(fold.train, moments),
            validation=self._examples(validation, self._speaker_moments(validation)),
            classes=self.classes,
            speaker_independent=True,
            times_trained=np.ones(len(fold.train), int),
            seed=self.seed,
        )
        self.scores = system.fit(experiment.settings, task).scores

    def _speaker_moments(self, clips: Sequence[str]) -> dict[str, Moments]:
        speakers = self.index.loc[list(clips)].groupby("speaker")["clip"]
        return {name: compute_moments([self.features[clip] for clip in group]) for name, group in speakers}

    def _examples(self, clips: Sequence[str], moments: Mapping[str, Moments]) -> Examples:
        part = self.index.loc[list(clips)]
        features = (standardise(self.features[row.Index], moments[row.speaker]) for row in part.itertuples())
        return Examples(tuple(features), self._truth(part), part.reset_index(drop=True))

    def _truth(self, part: pd.DataFrame) -> np.ndarray:
        return part.truth.map(self.classes.index).to_numpy(int)

    def enrol(self, clips: Sequence[str], count: int | None, ks: Sequence[float], draws: int) -> list[Enrolment]:
        """Predict these clips after adaptation; return one enrolment for each k, all with the same available clips."""
        part = self.index.loc[list(clips)]
        speakers = {name: group.to_numpy() for name, group in part.groupby("speaker")["clip"]}
        rng = np.random.default_rng([self.seed, count or 0])
        enrolments: list[list[Enrolment]] = [[] for _ in ks]
        for _ in range(draws):
            sampled = {
                name: group if count is None else rng.choice(group, count, replace=False)
                for name, group in speakers.items()
            }
            available = part["clip"].isin(np.concatenate(list(sampled.values()))).to_numpy()
            for parts, k in zip(enrolments, ks, strict=True):
                moments = {name: self._adapted_moments(group, k) for name, group in sampled.items()}
                scores = self.scores(self._examples(clips, moments).features)
                predictions = Predictions(self._truth(part), scores, part.speaker.to_numpy(str))
                parts.append(Enrolment(count, predictions, part["clip"].to_numpy(str), available))
        return [concatenate_enrolments(parts) for parts in enrolments]

    def _adapted_moments(self, clips: np.ndarray, k: float) -> Moments:
        if not len(clips):
            return self.average
        return shrink(compute_moments([self.features[clip] for clip in clips]), self.average, len(clips), k)


def measure_adaptation(experiment: Experiment, *, draws: int = DRAWS) -> tuple[float, list[Enrolment]]:
    """Train one fold, select k on its validation speakers and enrol its test speakers; the outcome is cached on disk.

    Args:
        experiment: speaker-independent; its features must be prepared
        draws: number of random samples of available clips

    Returns:
        k, and one enrolment for each number in ``CLIP_COUNTS`` below the clips of every test speaker, then for all
    """
    file = _file(experiment, draws)
    if cached := _read(file):
        return cached
    system, fold = AdaptedSystem(experiment), experiment.fold
    k = select_k(system, fold.validation, draws=max(draws // 2, 1))
    enrolments = []
    for count in [*clip_counts(system, fold.test), None]:
        # With no clip or all clips there is nothing to sample; repeating the predictions keeps the draws aligned.
        [enrolment] = system.enrol(fold.test, count, [k], draws if count else 1)
        enrolments.append(enrolment if count else concatenate_enrolments([enrolment] * draws))
    _write(file, k, enrolments)
    return k, enrolments


def _file(experiment: Experiment, draws: int) -> Path:
    return work_folder() / "enrolment" / f"{digest(experiment.config, draws, CLIP_COUNTS, SHRINKAGES)}.npz"


def _write(file: Path, k: float, enrolments: list[Enrolment]) -> None:
    values = {"k": np.array(k), "enrolments": np.array(len(enrolments))}
    for number, each in enumerate(enrolments):
        fields = {
            "count": -1 if each.count is None else each.count,
            "truth": each.predictions.truth,
            "scores": each.predictions.scores,
            "speakers": each.predictions.speakers.astype(str),
            "clips": each.clips.astype(str),
            "at_hand": each.available,
        }
        values |= {f"{number} {name}": np.array(value) for name, value in fields.items()}
    with atomic(file) as unfinished:
        np.savez(unfinished, **values)


def _read(file: Path) -> tuple[float, list[Enrolment]] | None:
    """Return k and the enrolments in a file; None if it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), np.load(file) as saved:
        enrolments = []
        for number in range(int(saved["enrolments"])):
            count, truth, scores, speakers, clips, available = (
                saved[f"{number} {name}"] for name in ("count", "truth", "scores", "speakers", "clips", "at_hand")
            )
            predictions = Predictions(truth=truth, scores=scores, speakers=speakers)
            enrolments.append(Enrolment(int(count) if count >= 0 else None, predictions, clips, available))
        return float(saved["k"]), enrolments
    return None


def clip_counts(system: AdaptedSystem, clips: Sequence[str]) -> list[int]:
    """Return the numbers in ``CLIP_COUNTS`` below the smallest number of clips per speaker."""
    fewest = system.index.loc[list(clips)].groupby("speaker").size().min()
    return [count for count in CLIP_COUNTS if count < fewest]


def select_k(system: AdaptedSystem, clips: Sequence[str], *, draws: int) -> float:
    """Return the k with the highest mean UAR on validation clips; the middle one if a speaker has fewer than two."""
    if not len(clips):
        return SHRINKAGES[len(SHRINKAGES) // 2]
    by_count = [system.enrol(clips, count, SHRINKAGES, draws) for count in clip_counts(system, clips) if count]
    if not by_count:
        return SHRINKAGES[len(SHRINKAGES) // 2]
    uars = [[uar(each.predictions.truth, each.predictions.scores) for each in enrolments] for enrolments in by_count]
    return SHRINKAGES[int(np.mean(uars, axis=0).argmax())]


def adaptation_curve(
    experiments: Sequence[Experiment], *, draws: int = DRAWS, jobs: int = -1, data: str | Path | None = None
) -> tuple[list[float], pd.DataFrame]:
    """Return UAR by number of available clips, over all folds.

    Args:
        experiments: folds of one system under ``speaker-independent``
        draws: number of random samples of available clips
        jobs: number of processes; -1: one per core
        data: the folder of the recordings, for features that are not prepared yet

    Returns:
        the k of each fold, and one row for each number of available clips: count (None: all), uar over all test clips,
        gain over no available clip, and unseen, the UAR over the clips that were not available; all are intervals
    """
    if missing := [experiment for experiment in experiments if _read(_file(experiment, draws)) is None]:
        prepare_for(missing, data=data)
        list(run_on_cores(partial(measure_adaptation, draws=draws), missing, jobs=jobs))
    folds = [measure_adaptation(experiment, draws=draws) for experiment in experiments]  # read from the cache
    by_count: dict[int | None, list[Enrolment]] = {}
    for each in (each for _, enrolments in folds for each in enrolments):
        by_count.setdefault(each.count, []).append(each)
    complete = [concatenate_enrolments(parts) for parts in by_count.values() if len(parts) == len(folds)]
    baseline = complete[0]
    rows = []
    for each in sorted(complete, key=lambda each: np.inf if each.count is None else each.count):
        rows.append(
            {
                "count": each.count,
                "uar": _interval(each),
                "gain": replace(paired_difference(uar, baseline.resampled, each.resampled), unit=each.unit),
                "unseen": None if each.available.all() else _interval(each, ~each.available),
            }
        )
    return [k for k, _ in folds], pd.DataFrame(rows, dtype=object)


def _interval(each: Enrolment, mask: np.ndarray | slice = slice(None)) -> Interval:
    predictions = each.resampled
    part = Predictions(predictions.truth[mask], predictions.scores[mask], predictions.speakers[mask])
    return replace(bootstrap_interval(uar, part), unit=each.unit)


def adaptation_table(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the curve formatted for display: UAR in per cent, gains in points."""
    rows = [
        {
            "Available clips": "all" if row["count"] is None else row["count"],
            "UAR": str(row.uar),
            "Gain over none (points)": "–" if row["count"] == 0 else str(row.gain),
            "UAR of unavailable clips": "–" if row.unseen is None else str(row.unseen),
        }
        for _, row in curve.iterrows()
    ]
    return pd.DataFrame(rows)


def conclusions(curve: pd.DataFrame) -> list[str]:
    """Return the conclusions from the curve, in sentences."""
    full = curve.iloc[-1].gain
    sentences = [describe_difference("All clips of a speaker available, compared with none", full)]
    sufficient = [row for _, row in curve.iterrows() if row["count"] and row.gain.low > 0]
    if not sufficient or full.value <= 0:
        return [*sentences, "No number of clips shows a gain."]
    share = 100 * sufficient[0].gain.value / full.value
    return [
        *sentences,
        f"The smallest number of unlabelled clips that shows a gain is {sufficient[0]['count']}, with {share:.0f} % of "
        "the gain of all clips.",
    ]
