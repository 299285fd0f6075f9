"""Enrolment: how many unlabelled clips of a new speaker it takes to adapt.

A system is trained on speakers who are each standardised with their own clips. A new speaker of whom only n clips are
at hand is standardised with a mixture: n / (n + k) parts the mean and variance of these clips, k / (n + k) parts those
of the average training speaker. The k of each fold is the one that does best on its validation speakers.
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
ENROLLED = (0, 1, 2, 4, 8, 16, 32)  # clips; then all of a speaker's own
DRAWS = 10


def plan_folds(system: str, corpus: str, **options: object) -> Plan:
    """List the folds that enrol speakers; none where the recordings do not allow it, and what keeps them from it.

    Args:
        options: of :func:`sernb.runs.planning.plan`
    """
    enrolled = Plan()
    try:
        planned = plan([system], corpus, [PROTOCOL], views=[ORIGINAL], **options)
        refuse_single_clips(planned[0])
    except Infeasible as error:
        enrolled.left_out = tuple(f"enrolment of speakers: {reason}" for reason in error.args)
        return enrolled
    truth = planned[0].clips.set_index("clip").truth
    # Validation speakers choose k and do not train here: what is left must still hold two classes.
    enrolled += [each for each in planned if len(set(truth[list(each.fold.train)])) > 1]
    enrolled.left_out, numbers = planned.left_out, {each.fold.number for each in enrolled}
    if missing := [str(each.fold.number + 1) for each in planned if each.fold.number not in numbers]:
        enrolled.left_out += (
            f"enrolment of speakers: in fold {', '.join(missing)} the clips that train without validation speakers are "
            "of one class; add recordings",
        )
    return enrolled


@dataclass(frozen=True)
class Enrolment:
    """The answers when so many clips of each test speaker were at hand, all draws one below the other."""

    count: int | None  # clips; None: all of a speaker's own
    answers: Predictions
    clips: np.ndarray  # names
    at_hand: np.ndarray  # whether a clip was among those that were at hand

    @property
    def grouped(self) -> Predictions:
        """The answers by what is drawn for intervals: speakers, or where they are too few clips, with all draws."""
        return self.answers if self.unit == "speakers" else replace(self.answers, speakers=self.clips)

    @property
    def unit(self) -> str:
        """What is drawn for intervals."""
        return "speakers" if len(set(self.answers.speakers)) >= FEWEST_SPEAKERS else "clips"


def join_enrolments(parts: Sequence[Enrolment]) -> Enrolment:
    """Return the answers of several folds, or draws, one below the other."""
    answers = Predictions(
        truth=np.concatenate([part.answers.truth for part in parts]),
        scores=np.concatenate([part.answers.scores for part in parts]),
        speakers=np.concatenate([part.answers.speakers for part in parts]),
    )
    clips, at_hand = (np.concatenate([getattr(part, name) for part in parts]) for name in ("clips", "at_hand"))
    return Enrolment(parts[0].count, answers, clips, at_hand)


class AdaptedSystem:
    """A system trained on one fold whose training speakers were each standardised with their own clips."""

    def __init__(self, experiment: Experiment):
        system, fold = experiment.system, experiment.fold
        self.classes, self.seed = experiment.labels.classes, experiment.seed
        self.index = experiment.clips.set_index("clip", drop=False)
        self.features = prepare(experiment.corpus, system.features)
        own = self._own(fold.train)
        self.others = average_moments(list(own.values()))
        # A system that chooses no epoch would learn from the validation speakers, who are wanted for choosing k.
        validation = fold.validation if system.chooses_epoch else ()
        task = Task(
            train=self._examples(fold.train, own),
            validation=self._examples(validation, self._own(validation)),
            classes=self.classes,
            speakers_apart=True,
            times_trained=np.ones(len(fold.train), int),
            seed=self.seed,
        )
        self.scores = system.fit(experiment.settings, task).scores

    def _own(self, clips: Sequence[str]) -> dict[str, Moments]:
        speakers = self.index.loc[list(clips)].groupby("speaker")["clip"]
        return {name: compute_moments([self.features[clip] for clip in of_one]) for name, of_one in speakers}

    def _examples(self, clips: Sequence[str], moments: Mapping[str, Moments]) -> Examples:
        part = self.index.loc[list(clips)]
        features = (standardise(self.features[row.Index], moments[row.speaker]) for row in part.itertuples())
        return Examples(tuple(features), self._truth(part), part.reset_index(drop=True))

    def _truth(self, part: pd.DataFrame) -> np.ndarray:
        return part.truth.map(self.classes.index).to_numpy(int)

    def enrolments(self, clips: Sequence[str], count: int | None, ks: Sequence[float], draws: int) -> list[Enrolment]:
        """Return the answers for these clips, one enrolment for each k, all with the same clips at hand."""
        part = self.index.loc[list(clips)]
        speakers = {name: of_one.to_numpy() for name, of_one in part.groupby("speaker")["clip"]}
        rng = np.random.default_rng([self.seed, count or 0])
        found: list[list[Enrolment]] = [[] for _ in ks]
        for _ in range(draws):
            drawn = {
                name: of_one if count is None else rng.choice(of_one, count, replace=False)
                for name, of_one in speakers.items()
            }
            at_hand = part["clip"].isin(np.concatenate(list(drawn.values()))).to_numpy()
            for of_k, k in zip(found, ks, strict=True):
                mixed = {name: self._mixed(of_one, k) for name, of_one in drawn.items()}
                scores = self.scores(self._examples(clips, mixed).features)
                answers = Predictions(self._truth(part), scores, part.speaker.to_numpy(str))
                of_k.append(Enrolment(count, answers, part["clip"].to_numpy(str), at_hand))
        return [join_enrolments(of_k) for of_k in found]

    def _mixed(self, clips: np.ndarray, k: float) -> Moments:
        if not len(clips):
            return self.others
        return shrink(compute_moments([self.features[clip] for clip in clips]), self.others, len(clips), k)


def measure_adaptation(experiment: Experiment, *, draws: int = DRAWS) -> tuple[float, list[Enrolment]]:
    """Train one fold, choose k on its validation speakers, and enrol its test speakers; done once, then read.

    Args:
        experiment: speaker-independent; its features must be prepared
        draws: how often the clips at hand are drawn anew

    Returns:
        k, and one enrolment for each number in ``ENROLLED`` that is below the clips of every test speaker, then for all
    """
    file = _file(experiment, draws)
    if kept := _read(file):
        return kept
    trained, fold = AdaptedSystem(experiment), experiment.fold
    k = best_k(trained, fold.validation, draws=max(draws // 2, 1))
    found = []
    for count in [*clip_counts(trained, fold.test), None]:
        # With none at hand, or all, there is nothing to draw; the same answers again keep the draws aligned.
        [enrolled] = trained.enrolments(fold.test, count, [k], draws if count else 1)
        found.append(enrolled if count else join_enrolments([enrolled] * draws))
    _write(file, k, found)
    return k, found


def _file(experiment: Experiment, draws: int) -> Path:
    return work_folder() / "enrolment" / f"{digest(experiment.config, draws, ENROLLED, SHRINKAGES)}.npz"


def _write(file: Path, k: float, found: list[Enrolment]) -> None:
    values = {"k": np.array(k), "enrolments": np.array(len(found))}
    for number, each in enumerate(found):
        fields = {
            "count": -1 if each.count is None else each.count,
            "truth": each.answers.truth,
            "scores": each.answers.scores,
            "speakers": each.answers.speakers.astype(str),
            "clips": each.clips.astype(str),
            "at_hand": each.at_hand,
        }
        values |= {f"{number} {name}": np.array(value) for name, value in fields.items()}
    with atomic(file) as unfinished:
        np.savez(unfinished, **values)


def _read(file: Path) -> tuple[float, list[Enrolment]] | None:
    """Return what was kept, or nothing where there is none or it is damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), np.load(file) as saved:
        found = []
        for number in range(int(saved["enrolments"])):
            count, truth, scores, speakers, clips, at_hand = (
                saved[f"{number} {name}"] for name in ("count", "truth", "scores", "speakers", "clips", "at_hand")
            )
            answers = Predictions(truth=truth, scores=scores, speakers=speakers)
            found.append(Enrolment(int(count) if count >= 0 else None, answers, clips, at_hand))
        return float(saved["k"]), found
    return None


def clip_counts(trained: AdaptedSystem, clips: Sequence[str]) -> list[int]:
    """Return the numbers in ``ENROLLED`` that are below the clips of each speaker."""
    fewest = trained.index.loc[list(clips)].groupby("speaker").size().min()
    return [count for count in ENROLLED if count < fewest]


def best_k(trained: AdaptedSystem, clips: Sequence[str], *, draws: int) -> float:
    """Return the k with the highest mean UAR on clips of validation speakers; without two of each, the middle one."""
    if not len(clips):
        return SHRINKAGES[len(SHRINKAGES) // 2]
    tried = [trained.enrolments(clips, count, SHRINKAGES, draws) for count in clip_counts(trained, clips) if count]
    if not tried:
        return SHRINKAGES[len(SHRINKAGES) // 2]
    reached = [[uar(each.answers.truth, each.answers.scores) for each in of_count] for of_count in tried]
    return SHRINKAGES[int(np.mean(reached, axis=0).argmax())]


def adaptation_curve(
    experiments: Sequence[Experiment], *, draws: int = DRAWS, jobs: int = -1, data: str | Path | None = None
) -> tuple[list[float], pd.DataFrame]:
    """Return the enrolment curve over all folds.

    Args:
        experiments: folds of one system under ``speaker-independent``
        draws: how often the clips at hand are drawn anew
        jobs: processes; -1: as many as there are cores
        data: the folder of the recordings, for features that are not prepared yet

    Returns:
        the k of each fold, and one row for each number of clips at hand: count (None: all), uar over all test clips,
        gained over none at hand, and unseen, the UAR over the clips that were not at hand; intervals
    """
    if left := [experiment for experiment in experiments if _read(_file(experiment, draws)) is None]:
        prepare_for(left, data=data)
        list(run_on_cores(partial(measure_adaptation, draws=draws), left, jobs=jobs))
    folds = [measure_adaptation(experiment, draws=draws) for experiment in experiments]  # by now all are kept
    by_count: dict[int | None, list[Enrolment]] = {}
    for each in (each for _, enrolments in folds for each in enrolments):
        by_count.setdefault(each.count, []).append(each)
    complete = [join_enrolments(parts) for parts in by_count.values() if len(parts) == len(folds)]
    none = complete[0]
    rows = []
    for each in sorted(complete, key=lambda each: np.inf if each.count is None else each.count):
        rows.append(
            {
                "count": each.count,
                "uar": _interval(each),
                "gained": replace(paired_difference(uar, none.grouped, each.grouped), unit=each.unit),
                "unseen": None if each.at_hand.all() else _interval(each, ~each.at_hand),
            }
        )
    return [k for k, _ in folds], pd.DataFrame(rows, dtype=object)


def _interval(each: Enrolment, mask: np.ndarray | slice = slice(None)) -> Interval:
    answers = each.grouped
    part = Predictions(answers.truth[mask], answers.scores[mask], answers.speakers[mask])
    return replace(bootstrap_interval(uar, part), unit=each.unit)


def adaptation_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the curve for reading: per cent, gains in points."""
    rows = [
        {
            "Available clips": "all" if row["count"] is None else row["count"],
            "UAR": str(row.uar),
            "Gain over none (points)": "–" if row["count"] == 0 else str(row.gained),
            "UAR of clips not available": "–" if row.unseen is None else str(row.unseen),
        }
        for _, row in found.iterrows()
    ]
    return pd.DataFrame(rows)


def conclusions(found: pd.DataFrame) -> list[str]:
    """Return what was found, in sentences."""
    full = found.iloc[-1].gained
    said = [describe_difference("All own clips available instead of none", full)]
    enough = [row for _, row in found.iterrows() if row["count"] and row.gained.low > 0]
    if not enough or full.value <= 0:
        return [*said, "No number of clips that was tried shows a gain."]
    share = 100 * enough[0].gained.value / full.value
    return [
        *said,
        f"The fewest unlabelled clips tried whose gain is shown: {enough[0]['count']}, with {share:.0f} % of the gain "
        "of all.",
    ]
