"""Finished runs → results: folds pooled, metrics with intervals, published figures beside. Reads run folders only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.augment import ORIGINAL
from sernb.config import digest
from sernb.evaluation import (
    FEWEST_SPEAKERS,
    RESAMPLES,
    Answers,
    Metrics,
    average_views,
    evaluate,
    gain,
    gap,
    over_seeds,
    uar,
    war,
)
from sernb.experiment import Experiment
from sernb.running import read_runs
from sernb.splits import (
    CHOICE,
    COPY,
    PROTOCOLS,
    SAME_FILE,
    SAME_SOUND,
    SPEAKER,
    STATISTICS,
    TAKE,
    UTTERANCE,
    VALIDATION_SPEAKER,
    Fold,
    Protocol,
)
from sernb.store import Run, read_table
from sernb.systems import Figure, System

ABOUT_CLIP = ("clip", "speaker", "gender", "truth", "view")

# What the audit found, in a word or two.
SHARED = {
    COPY: "augmented copy",
    SPEAKER: "speaker",
    TAKE: "take",
    SAME_FILE: "same file",
    SAME_SOUND: "same sound",
    CHOICE: "choice of epoch",
    VALIDATION_SPEAKER: "validation speaker",
    STATISTICS: "statistics",
}

MEAN_OF_VIEWS = "mean of all"
NEVER_VALIDATED = "UAR, never validated"
# By benchmarks/intervals.py, which must be run again where this is changed.
CLIPS = "they hold the score of other speakers in about 70 % of cases only, not in 95 %"
NAMES = {"war": "WAR", "uar": "UAR", "top3": "top-3"}


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
        """The protocol as tables name it: see :meth:`sernb.systems.System.heading`."""
        return self.system.heading(self.protocol, [part.corpus.name for part in self.experiments[0].corpus.parts])

    @property
    def seed(self) -> int:
        """Seed of the runs."""
        return self.experiments[0].seed

    @property
    def options(self) -> str:
        """What was asked for beyond the system's own recipe, in words; mostly nothing."""
        first = self.experiments[0]
        said = [f"trained on {first.train_on}" * bool(first.train_on)]
        said += [f"tested on {first.test_on}" * bool(first.test_on)]
        said += [f"{first.train_clips} training clips" * bool(first.train_clips)]
        said += [f"{first.sampling} sampling" * (first.sampling != "natural")]
        said += [f"labels {first.labels.name}" * (first.labels.name != self.system.labels.name)]
        said += [f"with copies of {first.added.emotion} ({first.added.view.name})"] if first.added else []
        if first.training_views != self.system.training_views:
            said += [f"training views {', '.join(view.name for view in first.training_views) or 'none'}"]
        return "; ".join(filter(None, said))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test clip and view, as in the run folders."""
        return _predictions(self._folders)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return tuple(run.folder for run in self.runs)

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
        return _metrics(self._folders, self.classes, view, self.seed)

    def metrics_where(self, mask: np.ndarray) -> Metrics:
        """Return the metrics of some of the test clips, shape ``(clips,)``, as recorded."""
        return evaluate(self.truth[mask], self.scores()[mask], self.clips.speaker.to_numpy()[mask], seed=self.seed)

    @cached_property
    def never_validated(self) -> Metrics | None:
        """Metrics of the test clips whose speakers validate in no fold of the protocol; None where it has no such ones.

        A design that looked at validation speakers looked at all others: each tests in one fold.
        """
        if PROTOCOLS[self.protocol].split != "speakers" or PROTOCOLS[self.protocol].develops:
            return None
        folds = self.experiments[0].corpus.speaker_folds
        validated = {speaker for fold in folds for speaker in fold.validation}
        mask = (~self.clips.speaker.isin(validated)).to_numpy()
        return self.metrics_where(mask) if validated and mask.any() else None

    def answers(self, scores: np.ndarray | None = None) -> Answers:
        """Return truths, scores and speakers, for comparing two results."""
        return Answers(self.truth, self.scores() if scores is None else scores, self.clips.speaker.to_numpy())

    def averaged(self) -> np.ndarray:
        """Return the mean scores over all views: test-time augmentation."""
        return self.scores(MEAN_OF_VIEWS)

    @property
    def folds(self) -> str:
        """How many of the protocol's folds were run, as ``2 of 10``."""
        return f"{len(self.runs)} of {self.runs[0].config['folds']}"

    @property
    def commits(self) -> str:
        """Commits of the workbook at which the folds were run; ``+``: with changes not committed."""
        return ", ".join(sorted({run.provenance["commit"] for run in self.runs}))

    @property
    def comparable(self) -> tuple[Figure, ...]:
        """What the authors report under this protocol; nothing where options or corpora are not theirs.

        Synthetic corpora show every figure, since they stand for any corpus.
        """
        pool = self.experiments[0].corpus
        ours = {part.corpus.name for part in pool.parts}
        figures = [figure for figure in self.system.reported if figure.protocol == self.protocol and not self.options]
        return tuple(figure for figure in figures if ours == set(figure.corpus.split("+")) or not pool.evidence)

    def reported(self, metric: str) -> Figure | None:
        """Return the authors' figure that ours can be compared with, if there is one."""
        return next((figure for figure in self.comparable if figure.metric == metric), None)


def _scores(predictions: pd.DataFrame, classes: tuple[str, ...], view: str) -> np.ndarray:
    if view == MEAN_OF_VIEWS:
        views = predictions["view"].unique()
        return average_views(np.stack([_scores(predictions, classes, each) for each in views]))
    return predictions[predictions["view"] == view][list(classes)].to_numpy(float)


# Pages ask for the same results many times; a run folder never changes.
@lru_cache(maxsize=32)
def _predictions(folders: tuple[Path, ...]) -> pd.DataFrame:
    return pd.concat([read_table(folder / "predictions.csv") for folder in folders], ignore_index=True)


@lru_cache(maxsize=256)
def _metrics(folders: tuple[Path, ...], classes: tuple[str, ...], view: str, seed: int) -> Metrics:
    predictions = _predictions(folders)
    original = predictions[predictions["view"] == ORIGINAL.name]
    truth = original.truth.map(classes.index).to_numpy(int)
    return evaluate(truth, _scores(predictions, classes, view), original.speaker.to_numpy(), seed=seed)


def results_of(experiments: Sequence[Experiment]) -> list[Result]:
    """Pool the folds of finished experiments, in the order of their systems.

    Raises:
        DataError: if one has not been run
    """
    grouped: dict[str, list[tuple[Experiment, Run]]] = {}
    for experiment, run in zip(experiments, read_runs(experiments), strict=True):
        alike = {name: value for name, value in experiment.config.items() if name not in ("fold", "clips")}
        grouped.setdefault(digest(alike), []).append((experiment, run))
    order = list(dict.fromkeys(experiment.system.name for experiment in experiments))
    results = [Result(*zip(*pairs, strict=True)) for pairs in grouped.values()]
    return sorted(results, key=lambda result: order.index(result.system.name))


def results_table(experiments: Sequence[Experiment], *, headings: bool = False) -> pd.DataFrame:
    """Return the results for reading: per cent, intervals in brackets, floors and published figures beside.

    Args:
        headings: name protocols as :attr:`Result.heading` does, for pages; files have their keys

    Raises:
        DataError: if an experiment has not been run
    """
    results = results_of(experiments)
    rows = []
    for result in results:
        metrics = result.metrics()
        row = {"System": result.system.name, "Protocol": result.heading if headings else result.protocol}
        row |= {"Options": result.options} if any(each.options for each in results) else {}
        row |= {"Seed": result.seed} if len({each.seed for each in results}) > 1 else {}
        row |= {
            "UAR": str(metrics.uar),
            "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        }
        row |= {NEVER_VALIDATED: _never_validated(result)} if any(map(_never_validated, results)) else {}
        row |= {
            "WAR": str(metrics.war),
            "WAR floor": f"{100 * metrics.war_floor:.1f}",
            "WAR reported": _reported(result, "war"),
            "Macro-F1": str(metrics.macro_f1),
            "Top-3": str(metrics.top3),
            "Top-3 floor": f"{100 * metrics.top3_floor:.1f}",
            "WAR with TTA": str(result.metrics(MEAN_OF_VIEWS).war) if len(result.views) > 1 else None,
            "Classes": len(result.classes),
            "Clips": metrics.clips,
            "Speakers": metrics.speakers,
            "Folds": result.folds,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _never_validated(result: Result) -> str | None:
    """Return UAR on the speakers that never validate, for systems whose design looked at validation speakers: ours."""
    ours = result.system.features and not result.system.published_on
    return str(result.never_validated.uar) if ours and result.never_validated else None


def caption(experiments: Sequence[Experiment]) -> str:
    """Return what a reader must know to read the results table."""
    results = results_of(experiments)
    resampled = {result.metrics().resampled for result in results}
    how = "speakers" if resampled == {"speakers"} else f"clips, as there are fewer than {FEWEST_SPEAKERS} speakers"
    if len(resampled) == 2:
        how = f"speakers where there are {FEWEST_SPEAKERS} or more, else clips"
    sentences = [
        f"Per cent, with 95 % intervals from {RESAMPLES} resamplings of {how}. UAR is the mean recall over emotions, "
        "WAR the share of clips rightly predicted. Floors are what one fixed answer (top-3: one fixed order) reaches "
        "on the same clips. TTA averages the scores over several views of each clip.",
        *_over_clips(resampled),
        *_unseen_by_design(results),
        *_partial(experiments),
        *_dropped(experiments),
        *_planted(results),
    ]
    return " ".join(sentences)


def _over_clips(resampled: set[str]) -> Iterator[str]:
    if "clips" in resampled:
        yield f"Intervals over clips are marked (clips): {CLIPS}."


def _unseen_by_design(results: Sequence[Result]) -> Iterator[str]:
    speakers = {each.never_validated.speakers for each in results if _never_validated(each)}
    if speakers:
        yield (
            f"{NEVER_VALIDATED} is of the {', '.join(map(str, sorted(speakers)))} test speakers that validate in no "
            "fold: the design of our own systems looked at the others."
        )


def _partial(experiments: Sequence[Experiment]) -> Iterator[str]:
    for pool in {experiment.corpus.name: experiment.corpus for experiment in experiments}.values():
        if any(len(part.clips) < part.published for part in pool.parts):
            yield f"The clips are those of {pool.title}."


def _dropped(experiments: Sequence[Experiment]) -> Iterator[str]:
    said: dict[str, list[str]] = {}
    for experiment in experiments:
        if dropped := experiment.dropped:
            systems = said.setdefault(f"{sum(dropped.values())} clips dropped ({_words(dropped)})", [])
            systems += [experiment.system.name] * (experiment.system.name not in systems)
    for what, systems in said.items():
        yield f"By the labels of {', '.join(systems)}: {what}."


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{emotion or 'without label'} {count}" for emotion, count in counts.items())


def _planted(results: Sequence[Result]) -> Iterator[str]:
    names = dict.fromkeys(result.protocol for result in results if PROTOCOLS[result.protocol].planted)
    if names:
        yield f"{', '.join(names)}: leaks on purpose, which measure what a leak is worth; no results."


def corpora_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results of each corpus of a pool by itself.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in results_of(experiments):
        for corpus in result.clips["corpus"].unique():
            metrics = result.metrics_where((result.clips["corpus"] == corpus).to_numpy())
            rows.append(
                {
                    "System": result.system.name,
                    "Protocol": result.heading,
                    "Corpus": corpus,
                    "UAR": str(metrics.uar),
                    "UAR floor": f"{100 * metrics.uar_floor:.1f}",
                    "WAR": str(metrics.war),
                    "WAR floor": f"{100 * metrics.war_floor:.1f}",
                    "Clips": metrics.clips,
                    "Speakers": metrics.speakers,
                }
            )
    return pd.DataFrame(rows)


def seeds_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return mean and standard deviation over seeds of what is otherwise alike.

    Raises:
        DataError: if an experiment has not been run
    """
    alike: dict[tuple[str, ...], list[Result]] = {}
    for result in results_of(experiments):
        alike.setdefault((result.system.name, result.heading, result.options), []).append(result)
    rows = []
    for (system, protocol, options), results in alike.items():
        row = {"System": system, "Protocol": protocol} | ({"Options": options} if options else {})
        for name in ("uar", "war"):
            values = [getattr(result.metrics(), name).value for result in results]
            row[name.upper()] = str(over_seeds(values))
        rows.append(row | {"Clips": results[0].metrics().clips})
    return pd.DataFrame(rows)


def comparison_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the results for drawing: system, protocol, heading, uar (an interval), floor, reported (a share)."""
    rows = []
    for result in results_of(experiments):
        metrics, figure = result.metrics(), result.reported("uar")
        rows.append(
            {
                "system": result.system.name,
                "protocol": result.protocol,
                "heading": result.heading,
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
    found = {
        (result.system.name, result.options, result.seed, result.protocol): result for result in results_of(experiments)
    }
    rows = []
    for alike in dict.fromkeys(key[:3] for key in found):
        pair = found.get((*alike, "as-published")), found.get((*alike, "speaker-independent"))
        if None not in pair and pair[0].system.features:
            published, independent = pair
            rows.append(
                {
                    "System": published.system.name,
                    "Speakers shared": published.heading,
                    "UAR, speakers shared": str(published.metrics().uar),
                    "UAR speaker-independent": str(independent.metrics().uar),
                    "Difference (points)": str(gap(uar, published.answers(), independent.answers())),
                    "UAR floor": f"{100 * independent.metrics().uar_floor:.1f}",
                    "Clips": f"{len(published.clips)} / {len(independent.clips)}",
                }
            )
    return pd.DataFrame(rows)


def reported_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return each published figure beside ours under the same protocol, and what to know when comparing.

    Where ours is of the authors' corpora and its interval leaves theirs out, the reason is given, if it was found.
    """
    rows = []
    for result in results_of(experiments):
        judged = result.experiments[0].corpus.evidence
        for figure in result.comparable:
            ours = getattr(result.metrics(), figure.metric)
            met = ours.low <= figure.value <= ours.high
            because = figure.missed_because or "the reason is not known"
            rows.append(
                {
                    "System": result.system.name,
                    "Metric": NAMES[figure.metric],
                    "Reported": f"{100 * figure.value:.1f}",
                    "Here": str(ours),
                    "Folds here": result.folds,
                    "Within our interval": None if not judged else "yes" if met else f"no: {because}",
                    "What to know": figure.caveat,
                }
            )
    return pd.DataFrame(rows)


def views_table(result: Result) -> pd.DataFrame:
    """Return WAR and UAR of each view alone and of the mean over all views, with the gain over the recording."""
    base = result.answers()
    rows = []
    for name in [*result.views, MEAN_OF_VIEWS]:
        metrics = result.metrics(name)
        gained = gain(war, base, result.answers(result.scores(name))) if name != ORIGINAL.name else None
        rows.append({"View": name, "WAR": str(metrics.war), "UAR": str(metrics.uar), "WAR gained (points)": gained})
    return pd.DataFrame(rows)


def protocol_cards(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return for each system that listens what its figures mean: whom and what it heard, what chose, what scaled.

    What is apart is counted in the folds as they were run. Heard is what trains and what validates; where the test part
    itself chooses, what trains.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in results_of(experiments):
        if not result.system.features:
            continue
        shared: dict[str, int] = {}
        for run in result.runs:
            for kind, count in run.metrics["shared by design"].items():
                shared[kind] = shared.get(kind, 0) + count
        trained = [len(experiment.fold.train) for experiment in result.experiments]
        validates = [0 if each.tests_choose else len(each.fold.validation) for each in result.experiments]
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.heading,
                "Speakers apart": _apart(result, ["speaker"]),
                "Sentences apart": _apart(result, ["sentence"]),
                "Twins apart": _apart(result, UTTERANCE),
                "What chose epoch or settings": _choice(result),
                "What fitted statistics": PROTOCOLS[result.protocol].statistics,
                "Training clips a fold": _range(trained),
                "Validation clips a fold": _range(validates),
                "Test clips": len(result.clips),
                "Test speakers": result.clips.speaker.nunique(),
                "Test clips that share": ", ".join(f"{SHARED[kind]} {count}" for kind, count in shared.items()) or "–",
            }
        )
    return pd.DataFrame(rows)


def _apart(result: Result, columns: list[str]) -> str:
    """Say whether test clips have values in these columns that no clip heard before has: takes, speakers, sentences."""
    shared = known = 0
    for experiment in result.experiments:
        clips = experiment.clips.set_index("clip", drop=False)
        if not set(columns) <= set(clips):
            return "not known"
        fold = experiment.fold
        also = () if experiment.tests_choose else fold.validation
        copied = fold.test if experiment.protocol.planted == "augmentation" else ()
        heard = clips.loc[list({*fold.train, *also, *copied})]
        test = clips.loc[list(fold.test)]
        needed = [column for column in columns if column != "intensity"]  # not every corpus has degrees
        test = test[(test[needed].astype(str) != "").all(axis=1)]
        keys = set(heard[columns].itertuples(index=False, name=None))
        shared += sum(key in keys for key in test[columns].itertuples(index=False, name=None))
        known += len(test)
    if not known:
        return "not known"
    return f"no: {shared} of {known} test clips" if shared else "yes"


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} … {max(counts)}"


def _choice(result: Result) -> str:
    protocol, folds = PROTOCOLS[result.protocol], [experiment.fold for experiment in result.experiments]
    if protocol.split == "published":
        return result.system.published_choice
    if protocol.planted == "choice":
        return "best epoch on the test part: a leak on purpose"
    members = result.system.members or (result.system,)
    return "; ".join(dict.fromkeys(_choice_of(member, protocol, folds) for member in members))


def _choice_of(system: System, protocol: Protocol, folds: Sequence[Fold]) -> str:
    if not system.chooses_epoch:
        inner = f"inner cross-validation, speakers {'shared' if protocol.shares_speakers else 'apart'}"
        return "the last epoch" if system.network else inner
    heard = "validation clips, speakers shared" if protocol.shares_speakers else "validation speakers"
    if all(fold.validation for fold in folds):
        return f"best epoch on {heard}"
    return (
        f"best epoch on {heard}, last epoch where there are none" if any(f.validation for f in folds) else "last epoch"
    )


def _reported(result: Result, metric: str) -> str | None:
    figure = result.reported(metric)
    return f"{100 * figure.value:.1f}" if figure else None
