"""Finished runs → results: folds pooled, metrics with intervals, published figures beside. Reads run folders only."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sernb.augment import ORIGINAL
from sernb.evaluation import Answers, Metrics, average_views, evaluate, gain, gap, uar, war
from sernb.experiment import Experiment, read_runs
from sernb.splits import PROTOCOLS
from sernb.store import Run
from sernb.systems import Figure, System, system_named

ABOUT_CLIP = ("clip", "speaker", "gender", "truth", "view")

# What the audit found, in a word or two.
SHARED = {
    "speaker also in training": "speaker",
    "other take of the same utterance in training": "take",
    "byte-identical sound in training": "same file",
    "near-identical sound in training": "same sound",
    "test clip chooses the epoch": "choice of epoch",
    "speaker also in validation": "validation speaker",
    "test clip in fitted statistics": "statistics",
}


@dataclass(frozen=True)
class Result:
    """One system under one protocol with one seed: the predictions of all its folds, pooled."""

    system: System
    protocol: str
    seed: int
    runs: tuple[Run, ...]

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test clip and view, as in the run folders."""
        return pd.concat([run.predictions for run in self.runs], ignore_index=True)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the scores."""
        return tuple(column for column in self.predictions.columns if column not in ABOUT_CLIP)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that were predicted; the recording itself first."""
        return tuple(self.predictions["view"].unique())

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Test clips, one row each: clip, speaker, gender, truth, view."""
        return self.predictions[self.predictions["view"] == ORIGINAL.name].reset_index(drop=True)[list(ABOUT_CLIP)]

    @property
    def truth(self) -> np.ndarray:
        """Class numbers, shape ``(clips,)``."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    def scores(self, view: str = ORIGINAL.name) -> np.ndarray:
        """Return the scores of one view, shape ``(clips, classes)``."""
        part = self.predictions[self.predictions["view"] == view]
        return part[list(self.classes)].to_numpy(float)

    def metrics(self, scores: np.ndarray | None = None) -> Metrics:
        """Return the metrics of the recordings themselves, or of other scores for the same clips."""
        given = self.scores() if scores is None else scores
        return evaluate(self.truth, given, self.clips.speaker.to_numpy(), seed=self.seed)

    def answers(self, scores: np.ndarray | None = None) -> Answers:
        """Return truths, scores and speakers, for comparing two results."""
        return Answers(self.truth, self.scores() if scores is None else scores, self.clips.speaker.to_numpy())

    def averaged(self) -> np.ndarray:
        """Return the mean scores over all views: test-time augmentation."""
        return average_views(np.stack([self.scores(view) for view in self.views]))

    @property
    def folds(self) -> str:
        """How many of the protocol's folds were run, as ``2 of 10``."""
        return f"{len(self.runs)} of {self.runs[0].config['folds']}"

    @property
    def commits(self) -> str:
        """Commits of the workbook at which the folds were run; ``+``: with changes not committed."""
        return ", ".join(sorted({run.provenance["commit"] for run in self.runs}))

    def reported(self, metric: str) -> Figure | None:
        """Return the authors' figure under this protocol, if they report one."""
        return next((f for f in self.system.reported if (f.metric, f.protocol) == (metric, self.protocol)), None)


def results_of(experiments: Sequence[Experiment]) -> list[Result]:
    """Pool the folds of finished experiments, in the order of their systems.

    Raises:
        DataError: if one has not been run
    """
    runs = read_runs(experiments)
    grouped: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.config["system"], run.config["protocol"], run.config["seed"]), []).append(run)
    order = list(dict.fromkeys(experiment.system.name for experiment in experiments))
    keys = sorted(grouped, key=lambda key: order.index(key[0]))
    return [
        Result(system_named(name), protocol, seed, tuple(grouped[name, protocol, seed]))
        for name, protocol, seed in keys
    ]


def results_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results for reading: per cent, intervals in brackets, floors and published figures beside.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in results_of(experiments):
        metrics = result.metrics()
        row = {
            "System": result.system.name,
            "Protocol": result.protocol,
            "UAR": str(metrics.uar),
            "UAR floor": f"{100 * metrics.uar_floor:.1f}",
            "WAR": str(metrics.war),
            "WAR floor": f"{100 * metrics.war_floor:.1f}",
            "WAR reported": _reported(result, "war"),
            "Macro-F1": str(metrics.macro_f1),
            "Top-3": str(metrics.top3),
            "Top-3 floor": f"{100 * metrics.top3_floor:.1f}",
            "WAR with TTA": str(result.metrics(result.averaged()).war) if len(result.views) > 1 else None,
            "Classes": len(result.classes),
            "Clips": metrics.clips,
            "Speakers": metrics.speakers,
            "Folds": result.folds,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def caption(experiments: Sequence[Experiment]) -> str:
    """Return what a reader must know to read the results table."""
    resampled = {result.metrics().resampled for result in results_of(experiments)}
    how = "speakers" if resampled == {"speakers"} else "clips, as there are fewer than eight speakers"
    if len(resampled) == 2:
        how = "speakers where there are eight or more, else clips"
    return (
        f"Per cent, with 95 % intervals from 2000 resamplings of {how}. UAR is the mean recall over emotions, WAR the "
        "share of clips rightly predicted. Floors are what one fixed answer (top-3: one fixed order) reaches on the "
        "same clips. TTA averages the scores over several views of each clip."
    )


def comparison_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results for drawing: system, protocol, uar (an interval), floor, reported (a share, or NaN)."""
    rows = []
    for result in results_of(experiments):
        metrics, figure = result.metrics(), result.reported("uar")
        rows.append(
            {
                "system": result.system.name,
                "protocol": result.protocol,
                "uar": metrics.uar,
                "floor": metrics.uar_floor,
                "reported": figure.value if figure else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def gaps(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return what keeping speakers apart costs each system that listens: UAR under both protocols, and the gap.

    Raises:
        DataError: if an experiment has not been run
    """
    found = {(result.system.name, result.protocol): result for result in results_of(experiments)}
    rows = []
    for name in dict.fromkeys(system for system, _ in found):
        pair = found.get((name, "as-published")), found.get((name, "speaker-independent"))
        if None not in pair and pair[0].system.features:
            published, independent = pair
            rows.append(
                {
                    "System": name,
                    "UAR as published": str(published.metrics().uar),
                    "UAR speaker-independent": str(independent.metrics().uar),
                    "Difference (points)": str(gap(uar, published.answers(), independent.answers())),
                    "UAR floor": f"{100 * independent.metrics().uar_floor:.1f}",
                    "Clips": f"{len(published.clips)} / {len(independent.clips)}",
                }
            )
    return pd.DataFrame(rows)


def reported_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return each published figure beside ours under the same protocol, and what to know when comparing."""
    rows = []
    for result in results_of(experiments):
        ours = {"war": result.metrics().war, "uar": result.metrics().uar}
        rows += [
            {
                "System": result.system.name,
                "Metric": figure.metric.upper(),
                "Reported": f"{100 * figure.value:.1f}",
                "Here": str(ours[figure.metric]),
                "Folds here": result.folds,
                "What to know": figure.caveat,
            }
            for figure in result.system.reported
            if figure.protocol == result.protocol
        ]
    return pd.DataFrame(rows)


def views_table(result: Result) -> pd.DataFrame:
    """Return WAR and UAR of each view alone and of the mean over all views, with the gain over the recording."""
    base = result.answers()
    rows = []
    for name, scores in [*((view, result.scores(view)) for view in result.views), ("mean of all", result.averaged())]:
        metrics = result.metrics(scores)
        gained = gain(war, base, result.answers(scores)) if name != ORIGINAL.name else None
        rows.append({"View": name, "WAR": str(metrics.war), "UAR": str(metrics.uar), "WAR gained (points)": gained})
    return pd.DataFrame(rows)


def protocol_cards(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return for each system that listens who was heard, what chose, what scaled, and what the audit counted.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in results_of(experiments):
        if not result.system.features:
            continue
        protocol = PROTOCOLS[result.protocol]
        shared: dict[str, int] = {}
        for run in result.runs:
            for kind, count in run.metrics["shared by design"].items():
                shared[kind] = shared.get(kind, 0) + count
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.protocol,
                "What chose epoch or settings": _choice(result, apart=not protocol.shares_speakers),
                "What fitted statistics": protocol.statistics,
                "Test clips that share": ", ".join(f"{SHARED[kind]} {count}" for kind, count in shared.items()) or "–",
            }
        )
    return pd.DataFrame(rows)


def _choice(result: Result, *, apart: bool) -> str:
    if not apart:
        return result.system.published_choice
    if result.system.epochs:
        return "best epoch on validation speakers"
    return "inner cross-validation, speakers apart"


def _reported(result: Result, metric: str) -> str | None:
    figure = result.reported(metric)
    return f"{100 * figure.value:.1f}" if figure else None
