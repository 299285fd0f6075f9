"""Finished runs → results: folds pooled, metrics with intervals, published figures beside. Reads run folders only."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.config import DataError, digest
from sernb.evaluation import (
    Metrics,
    Predictions,
    average_views,
    evaluate,
)
from sernb.protocols.protocol import (
    PROTOCOLS,
)
from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import Run
from sernb.runs.runner import read_runs
from sernb.runtime.provenance import provenance_columns
from sernb.systems.base import PublishedScore, System

ABOUT_CLIP = ("clip", "speaker", "gender", "truth", "view")

MEAN_OF_VIEWS = "mean of all"
NEVER_VALIDATED = "UAR, never validated"
# By benchmarks/intervals.py, which must be run again where this is changed.
CLIPS = "they hold the score of other speakers in about 70 % of cases only, not in 95 %"


@dataclass(frozen=True)
class Result:
    """Runs that differ in their fold only: the predictions of all folds, pooled."""

    experiments: tuple[Experiment, ...]
    runs: tuple[Run, ...]

    @property
    def system(self) -> System:
        """What was trained."""
        return self.experiments[0].system

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return self.experiments[0].protocol.name

    @property
    def heading(self) -> str:
        """The protocol as tables name it: see :meth:`sernb.systems.base.System.heading`."""
        return self.system.heading(self.protocol, [part.corpus.name for part in self.experiments[0].corpus.parts])

    @property
    def seed(self) -> int:
        """Seed of the runs."""
        return self.experiments[0].seed

    @property
    def options(self) -> str:
        """What was asked for beyond the system's own recipe, in words; mostly nothing."""
        return "; ".join(self._asked)

    @property
    def _asked(self) -> list[str]:
        first = self.experiments[0]
        said = [f"trained on {first.train_on}" * bool(first.train_on)]
        said += [f"tested on {first.test_on}" * bool(first.test_on)]
        said += [f"{first.train_clips} training clips" * bool(first.train_clips)]
        said += [f"{first.sampling} sampling" * (first.sampling != "natural")]
        said += [f"labels {first.labels.name}" * (first.labels.name != self._own_labels)]
        said += [f"with copies of {first.added.emotion} ({first.added.view.name})"] if first.added else []
        if first.training_views != self.system.training_views:
            said += [f"training views {', '.join(view.name for view in first.training_views) or 'none'}"]
        return list(filter(None, said))

    @property
    def _own_labels(self) -> str:
        """Name of the label set that the system has here unless told otherwise."""
        return self.system.labels.on(self.experiments[0].corpus.index).name

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test clip and view, as in the run folders."""
        return _predictions(self.runs)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the scores."""
        return self.experiments[0].labels.classes

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that were predicted; the recording itself first."""
        return tuple(self.predictions["view"].unique())

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Test clips, one row each: what was predicted for, with all that the index says of it."""
        first = self.predictions[self.predictions["view"] == ORIGINAL.name][list(ABOUT_CLIP)]
        index = self.experiments[0].clips.set_index("clip")
        more = index.drop(columns=[column for column in ABOUT_CLIP if column in index])
        return first.join(more, on="clip").reset_index(drop=True)

    @property
    def truth(self) -> np.ndarray:
        """Class numbers, shape ``(clips,)``."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    def scores(self, view: str = ORIGINAL.name) -> np.ndarray:
        """Return the scores of one view, or of ``MEAN_OF_VIEWS``, shape ``(clips, classes)``."""
        return _scores(self.predictions, self.classes, view)

    def metrics(self, view: str = ORIGINAL.name) -> Metrics:
        """Return the metrics of one view, or of ``MEAN_OF_VIEWS``; computed once from the same run folders."""
        return _metrics(self.runs, self.classes, view, self.seed)

    def metrics_where(self, mask: np.ndarray) -> Metrics:
        """Return the metrics of some of the test clips, shape ``(clips,)``, as recorded."""
        return evaluate(self.truth[mask], self.scores()[mask], self.clips.speaker.to_numpy()[mask], seed=self.seed)

    @cached_property
    def never_validated(self) -> Metrics | None:
        """Metrics of the test clips whose speakers validate in no fold of the protocol; None where it has no such ones.

        A design that looked at validation speakers looked at all others: each tests in one fold.
        """
        if PROTOCOLS[self.protocol].split != "speakers" or PROTOCOLS[self.protocol].for_development:
            return None
        folds = self.experiments[0].corpus.speaker_folds
        validated = {speaker for fold in folds for speaker in fold.validation}
        mask = (~self.clips.speaker.isin(validated)).to_numpy()
        return self.metrics_where(mask) if validated and mask.any() else None

    def answers(self, scores: np.ndarray | None = None) -> Predictions:
        """Return truths, scores and speakers, for comparing two results."""
        return Predictions(self.truth, self.scores() if scores is None else scores, self.clips.speaker.to_numpy())

    def averaged(self) -> np.ndarray:
        """Return the mean scores over all views: test-time augmentation."""
        return self.scores(MEAN_OF_VIEWS)

    @property
    def folds(self) -> str:
        """How many of the protocol's folds were run, as ``2 of 10``."""
        return f"{len(self.runs)} of {self.runs[0].config['folds']}"

    @property
    def made(self) -> dict[str, object]:
        """What made the runs, as columns of a row; a commit that ends in ``+`` is not all the code that ran."""
        columns = provenance_columns([run.provenance for run in self.runs])
        return {"Recipe": self.system.recipe, "Backend": self.runs[0].config.get("backend", ""), **columns}

    @property
    def comparable(self) -> tuple[PublishedScore, ...]:
        """What the authors report under this protocol; nothing where options, corpora or labels are not theirs.

        Their label set may be one that is asked for. Synthetic corpora show every figure, since they stand for any
        corpus.
        """
        pool, labels = self.experiments[0].corpus, self.experiments[0].labels.name
        if not pool.evidence:
            return tuple(each for each in self.system.reported if each.protocol == self.protocol and not self.options)
        if any(not asked.startswith("labels ") for asked in self._asked):
            return ()
        here = self.protocol, {part.corpus.name for part in pool.parts}, labels
        return tuple(
            each
            for each in self.system.reported
            if here == (each.protocol, set(each.corpus.split("+")), each.labels or self._own_labels)
        )

    def reported(self, metric: str) -> PublishedScore | None:
        """Return the authors' figure that ours can be compared with, if there is one."""
        return next((figure for figure in self.comparable if figure.metric == metric), None)


def _scores(predictions: pd.DataFrame, classes: tuple[str, ...], view: str) -> np.ndarray:
    if view == MEAN_OF_VIEWS:
        views = predictions["view"].unique()
        return average_views(np.stack([_scores(predictions, classes, each) for each in views]))
    return predictions[predictions["view"] == view][list(classes)].to_numpy(float)


# Pages ask for the same results many times; a run folder never changes.
@lru_cache(maxsize=32)
def _predictions(runs: tuple[Run, ...]) -> pd.DataFrame:
    return pd.concat([run.predictions for run in runs], ignore_index=True)


@lru_cache(maxsize=256)
def _metrics(runs: tuple[Run, ...], classes: tuple[str, ...], view: str, seed: int) -> Metrics:
    predictions = _predictions(runs)
    original = predictions[predictions["view"] == ORIGINAL.name]
    truth = original.truth.map(classes.index).to_numpy(int)
    return evaluate(truth, _scores(predictions, classes, view), original.speaker.to_numpy(), seed=seed)


def collect_results(experiments: Sequence[Experiment]) -> list[Result]:
    """Pool the folds of finished experiments, in the order of their systems.

    Raises:
        DataError: if one has not been run, or predicts numbers
    """
    if any(experiment.labels.numeric for experiment in experiments):
        raise DataError("numbers were predicted, which have no place among classes; see sernb.results.numbers")
    return [Result(*pairs) for pairs in group_runs(experiments)]


def group_runs(experiments: Sequence[Experiment]) -> list[tuple[tuple[Experiment, ...], tuple[Run, ...]]]:
    """Return finished experiments and their runs; those that differ in their fold only are together.

    Raises:
        DataError: if one has not been run
    """
    grouped: dict[str, list[tuple[Experiment, Run]]] = {}
    for experiment, run in zip(experiments, read_runs(experiments), strict=True):
        alike = {name: value for name, value in experiment.config.items() if name not in ("fold", "clips")}
        grouped.setdefault(digest(alike), []).append((experiment, run))
    order = list(dict.fromkeys(experiment.system.name for experiment in experiments))
    results = [tuple(zip(*pairs, strict=True)) for pairs in grouped.values()]
    return sorted(results, key=lambda pairs: order.index(pairs[0][0].system.name))
