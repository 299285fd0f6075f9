"""Results: finished runs pooled over folds, with metrics, intervals and published scores. Reads run folders only."""

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
# Measured by benchmarks/intervals.py; run it again before changing this.
CLIPS = "for new speakers they contain the score in only about 70 % of cases, not in 95 %"


@dataclass(frozen=True)
class Result:
    """Pooled predictions of runs that differ only in their fold."""

    experiments: tuple[Experiment, ...]
    runs: tuple[Run, ...]

    @property
    def system(self) -> System:
        """The system that was trained."""
        return self.experiments[0].system

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return self.experiments[0].protocol.name

    @property
    def heading(self) -> str:
        """The protocol's name in tables, see :meth:`sernb.systems.base.System.name_protocol`."""
        return self.system.name_protocol(self.protocol, [part.corpus.name for part in self.experiments[0].corpus.parts])

    @property
    def seed(self) -> int:
        """Seed of the runs."""
        return self.experiments[0].seed

    @property
    def options(self) -> str:
        """The options that change the system's own recipe, as text; empty in most results."""
        return "; ".join(self._option_texts)

    @property
    def _option_texts(self) -> list[str]:
        first = self.experiments[0]
        options = [f"trained on {first.train_on}" * bool(first.train_on)]
        options += [f"tested on {first.test_on}" * bool(first.test_on)]
        options += [f"{first.train_clips} training clips" * bool(first.train_clips)]
        options += [f"{first.sampling} sampling" * (first.sampling != "natural")]
        options += [f"labels {first.labels.name}" * (first.labels.name != self._own_labels)]
        options += [f"with copies of {first.added.emotion} ({first.added.view.name})"] if first.added else []
        if first.training_views != self.system.training_views:
            options += [f"training views {', '.join(view.name for view in first.training_views) or 'none'}"]
        return list(filter(None, options))

    @property
    def _own_labels(self) -> str:
        """Name of the label set that the system uses here by default."""
        return self.system.labels.on(self.experiments[0].corpus.index).name

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row for each test clip and view, as in the run folders."""
        return _predictions(self.runs)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the scores."""
        return self.experiments[0].labels.classes

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the TTA views with predictions; the original recording comes first."""
        return tuple(self.predictions["view"].unique())

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The test clips, one row each, with the columns of the index."""
        first = self.predictions[self.predictions["view"] == ORIGINAL.name][list(ABOUT_CLIP)]
        index = self.experiments[0].clips.set_index("clip")
        more = index.drop(columns=[column for column in ABOUT_CLIP if column in index])
        return first.join(more, on="clip").reset_index(drop=True)

    @property
    def truth(self) -> np.ndarray:
        """Class numbers, shape ``(clips,)``."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    def scores(self, view: str = ORIGINAL.name) -> np.ndarray:
        """Return the scores of one view or of ``MEAN_OF_VIEWS`` (TTA), shape ``(clips, classes)``."""
        return _scores(self.predictions, self.classes, view)

    def metrics(self, view: str = ORIGINAL.name) -> Metrics:
        """Return the metrics of one view or of ``MEAN_OF_VIEWS``; cached for the same run folders."""
        return _metrics(self.runs, self.classes, view, self.seed)

    def metrics_where(self, mask: np.ndarray) -> Metrics:
        """Return the metrics of the test clips in a mask of shape ``(clips,)``, without augmentation."""
        return evaluate(self.truth[mask], self.scores()[mask], self.clips.speaker.to_numpy()[mask], seed=self.seed)

    @cached_property
    def never_validated(self) -> Metrics | None:
        """Metrics of the test speakers that are validation speakers in no fold; None if there are none.

        Designing a system on validation speakers exposes every other speaker, as each is tested in one fold.
        """
        if PROTOCOLS[self.protocol].split != "speakers" or PROTOCOLS[self.protocol].for_development:
            return None
        folds = self.experiments[0].corpus.speaker_folds
        validated = {speaker for fold in folds for speaker in fold.validation}
        mask = (~self.clips.speaker.isin(validated)).to_numpy()
        return self.metrics_where(mask) if validated and mask.any() else None

    def to_predictions(self, view: str = ORIGINAL.name) -> Predictions:
        """Return truth, scores and speakers of one view or of ``MEAN_OF_VIEWS``, for comparing results."""
        return Predictions(self.truth, self.scores(view), self.clips.speaker.to_numpy())

    @property
    def folds(self) -> str:
        """The number of folds run and of folds in the protocol, such as ``2 of 10``."""
        return f"{len(self.runs)} of {self.runs[0].config['folds']}"

    @property
    def provenance(self) -> dict[str, object]:
        """Provenance of the runs, as columns; a commit that ends in ``+`` had uncommitted changes."""
        columns = provenance_columns([run.provenance for run in self.runs])
        return {"Recipe": self.system.recipe, "Backend": self.runs[0].config.get("backend", ""), **columns}

    @property
    def comparable(self) -> tuple[PublishedScore, ...]:
        """The authors' scores under this protocol, if options, corpora and labels are also theirs.

        Their label set may be an option. On synthetic corpora every published score is shown, since such a corpus
        stands for any other.
        """
        pool, labels = self.experiments[0].corpus, self.experiments[0].labels.name
        if not pool.evidence:
            return tuple(each for each in self.system.reported if each.protocol == self.protocol and not self.options)
        if any(not option.startswith("labels ") for option in self._option_texts):
            return ()
        here = self.protocol, {part.corpus.name for part in pool.parts}, labels
        return tuple(
            each
            for each in self.system.reported
            if here == (each.protocol, set(each.corpus.split("+")), each.labels or self._own_labels)
        )

    def reported(self, metric: str) -> PublishedScore | None:
        """Return the published score that ours can be compared with, if there is one."""
        return next((score for score in self.comparable if score.metric == metric), None)


def _scores(predictions: pd.DataFrame, classes: tuple[str, ...], view: str) -> np.ndarray:
    if view == MEAN_OF_VIEWS:
        views = predictions["view"].unique()
        return average_views(np.stack([_scores(predictions, classes, each) for each in views]))
    return predictions[predictions["view"] == view][list(classes)].to_numpy(float)


# Pages read the same results many times, and a run folder never changes.
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
        DataError: if an experiment has not been run, or has a numeric target
    """
    if any(experiment.labels.numeric for experiment in experiments):
        raise DataError("these experiments have numeric targets, not classes; use sernb.results.numbers")
    return [Result(*pairs) for pairs in group_runs(experiments)]


def group_runs(experiments: Sequence[Experiment]) -> list[tuple[tuple[Experiment, ...], tuple[Run, ...]]]:
    """Group finished experiments, with their runs, that differ only in their fold.

    Raises:
        DataError: if an experiment has not been run
    """
    grouped: dict[str, list[tuple[Experiment, Run]]] = {}
    for experiment, run in zip(experiments, read_runs(experiments), strict=True):
        settings = {name: value for name, value in experiment.config.items() if name not in ("fold", "clips")}
        grouped.setdefault(digest(settings), []).append((experiment, run))
    order = list(dict.fromkeys(experiment.system.name for experiment in experiments))
    results = [tuple(zip(*pairs, strict=True)) for pairs in grouped.values()]
    return sorted(results, key=lambda pairs: order.index(pairs[0][0].system.name))
