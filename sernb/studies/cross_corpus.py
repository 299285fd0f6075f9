"""Foreign corpora: trained on one, tested on another, for every pair; and the zero-shot test of multitask-cnn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.config import Infeasible
from sernb.corpora.availability import find_available
from sernb.corpora.pool import Pool, parse_pool
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.evaluation import Metrics, evaluate
from sernb.protocols.labels import MULTITASK_EIGHT, LabelSet, get_label_set
from sernb.results.analysis import of_two
from sernb.results.result import MEAN_OF_VIEWS, collect_results
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.planning import plan
from sernb.systems import multitask_cnn

WITHIN, BETWEEN = "speaker-independent", "corpus-independent"


def add_other_corpora(corpus: str, data: str | Path | None = None) -> str:
    """Return a corpus joined with every other real one whose recordings are here.

    An expression of several corpora stays as it is, and so does a synthetic corpus: no figure on it would mean much.
    """
    pool = parse_pool(corpus, data)
    if len(pool.parts) > 1 or not pool.evidence:
        return corpus
    others = [find_available(name, data) for name in CORPORA if name != pool.parts[0].corpus.name]
    here = [other for other in others if other.pool and other.corpus.evidence]
    names = [other.corpus.name if other.pool.clips == other.corpus.clips else other.pool.name for other in here]
    return "+".join([corpus, *names])


def shared_labels(base: LabelSet, pool: Pool) -> LabelSet:
    """Return a label set without the classes that some corpus of a pool does not have.

    Raises:
        Infeasible: if fewer than two classes are left
    """
    had = [set(base.truths_of(part.clips).dropna()) for part in pool.parts]
    shared = set.intersection(*had)
    if len(shared) < 2:
        raise Infeasible(f"{pool.name}: of the classes of {base.name} fewer than two are in all; leave out a corpus")
    if shared == set(base.classes):
        return base
    kept = tuple((emotion, name) for emotion, name in base.becomes if name in shared)
    return replace(base, name=f"{base.name} that all have", becomes=kept)


def plan_matrix(
    systems: Sequence[str], corpus: str, *, labels: str, profile: str, seed: int = 0, data: str | Path | None = None
) -> Plan:
    """List the experiments of a matrix: within each corpus, between each two, and on all but one.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`; with one corpus, only what is within it
        labels: the label set; classes that some corpus does not have are left out for all
    """
    pool = parse_pool(corpus, data)
    given = {
        "labels": shared_labels(get_label_set(labels), pool),
        "profile": profile,
        "seeds": [seed],
        "views": [ORIGINAL],
        "data": data,
    }
    names = [part.name for part in pool.parts]
    wanted = [(part.name, WITHIN, None) for part in pool.parts if len(part.speaker_folds) > 1]
    pools = [[one, other] for row, one in enumerate(names) for other in names[row + 1 :]]
    pools += [names] if len(names) > 2 else []
    wanted += [("+".join(joined), BETWEEN, range(len(joined))) for joined in pools]
    planned, left_out = Plan(), []
    for name, protocol, folds in wanted:
        try:
            part = plan(systems, name, [protocol], folds=folds, **given)
        except Infeasible as error:
            left_out += error.args
        else:
            planned += part
            left_out += part.left_out
    planned.left_out = tuple(left_out)
    if not planned:
        raise Infeasible(*left_out)
    return planned


def cells(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return one row a system, training corpus and test corpus.

    Returns:
        columns system, trained (titles joined with +), tested (a title), metrics, training (clips, mean over folds)

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in collect_results(experiments):
        pool = result.experiments[0].corpus
        for number, part in enumerate(pool.parts):
            others = [other.corpus.title for other in pool.parts if other is not part] or [part.corpus.title]
            folds = [each.fold for each in result.experiments if len(pool.parts) == 1 or each.fold.number == number]
            if not folds:  # left out
                continue
            rows.append(
                {
                    "system": result.system.name,
                    "trained": " + ".join(others),
                    "tested": part.corpus.title,
                    "metrics": result.metrics_where((result.clips["corpus"] == part.corpus.name).to_numpy()),
                    "training": round(np.mean([len(fold.train) for fold in folds])),
                }
            )
    return pd.DataFrame(rows)


def cells_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the cells for reading: per cent, intervals in brackets."""
    rows = [
        {
            "System": row.system,
            "Trained on": row.trained if row.trained != row.tested else f"{row.trained}, other speakers",
            "Tested on": row.tested,
            "UAR": str(row.metrics.uar),
            "UAR chance level": f"{100 * row.metrics.uar_floor:.1f}",
            "WAR": str(row.metrics.war),
            "WAR chance level": f"{100 * row.metrics.war_floor:.1f}",
            "Training clips": row.training,
            "Test clips": row.metrics.clips,
            "Test speakers": row.metrics.speakers,
            "Drawn": row.metrics.resampled,
        }
        for row in found.itertuples()
    ]
    return pd.DataFrame(rows)


def answer(found: pd.DataFrame) -> list[str]:
    """Return what is left between corpora of what is reached within them, in a sentence or two."""
    within, between = found[found.trained == found.tested], found[found.trained != found.tested]
    said = [f"{row.system} within {row.tested}: {_described(row.metrics)}." for row in within.itertuples()]
    if len(between):
        over = [row.metrics.uar.low > row.metrics.uar_floor for row in between.itertuples()]
        best = max(between.itertuples(), key=lambda row: row.metrics.uar.value)
        first = (
            f"{sum(over)} of {len(over)} tests on another corpus are above chance; the best, {best.trained} to "
            f"{best.tested}: {_described(best.metrics)}."
        )
        return [first, *said]
    return [*conclusions(found), *said]


def _described(metrics: Metrics) -> str:
    return (
        f"UAR {metrics.uar} %, chance level {100 * metrics.uar_floor:.1f} % ({len(metrics.confusion)} classes, "
        f"{metrics.clips} clips of {metrics.speakers} speakers)"
    )


def conclusions(found: pd.DataFrame) -> list[str]:
    """Return what the cells show, in sentences."""
    said = []
    for row in found[found.trained != found.tested].itertuples():
        over = row.metrics.uar.low > row.metrics.uar_floor
        said.append(
            f"{row.system}, {row.trained} to {row.tested}: UAR {row.metrics.uar} %, "
            f"{'above' if over else 'not shown to be above'} the chance level of {100 * row.metrics.uar_floor:.1f} %"
            f"{', for these speakers alone' * (row.metrics.resampled == 'clips')}."
        )
    return said or ["There is one corpus only: how a system does on another one was not tested."]


# -- The zero-shot test of multitask-cnn -- #

# Accuracies that the authors report.
_OF_EMOTION = {each.metric: each.value for each in multitask_cnn.SYSTEM.reported if each.protocol == BETWEEN}
REPORTED = {
    "emotion": _OF_EMOTION["war"], "emotion, top-3": _OF_EMOTION["top3"], "gender": 0.8665,
    "intensity by arousal": 0.6572, "emotion with TTA": 0.2159, "gender with TTA": 0.8646,
    "intensity by arousal with TTA": 0.6695,
}  # fmt: skip
ABSENT = ("excited", "frustrated")  # of IEMOCAP's eight, those that nobody in RAVDESS was asked for


def drop_classes(
    scores: np.ndarray, classes: Sequence[str], absent: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return classes and scores without answers that the test corpus does not have: before the highest is taken.

    Scores are not made to sum to 1 again, as its authors do not.

    Examples:
        >>> drop_classes(np.array([[0.5, 0.2, 0.3]]), ("excited", "happy", "sad"), ("excited",))
        (('happy', 'sad'), array([[0.2, 0.3]]))
    """
    kept = [column for column, name in enumerate(classes) if name not in absent]
    return tuple(classes[column] for column in kept), np.asarray(scores)[:, kept]


def missing_corpora(data: str | Path | None = None) -> str:
    """Return which of the two corpora of the zero-shot test is not here, in words; empty if both are."""
    missing = [get_corpus(name).title for name in ("iemocap", "ravdess") if find_available(name, data).pool is None]
    return f"{' and '.join(missing)} not available: the zero-shot test of multitask-cnn was not run." if missing else ""


def plan_zero_shot(
    system: str = "multitask-cnn", *, profile: str, seed: int = 0, data: str | Path | None = None
) -> list[Experiment]:
    """List the zero-shot test: trained on all of IEMOCAP, tested on RAVDESS without calm and disgust.

    The classes of IEMOCAP are those of the authors' own tally; RAVDESS's are what its actors were asked for.
    """
    pools = [find_available(name, data).pool for name in ("iemocap", "ravdess")]
    return plan(
        [system],
        "+".join(pool.name for pool in pools),
        [BETWEEN],
        profile=profile,
        folds=[1],
        seeds=[seed],
        labels=MULTITASK_EIGHT,
        data=data,
    )


def zero_shot(experiments: Sequence[Experiment], view: str = ORIGINAL.name) -> Metrics:
    """Return what the zero-shot test is worth, with the answers that RAVDESS lacks struck out.

    Args:
        view: a view, or ``MEAN_OF_VIEWS``: averaged before answers are struck out

    Raises:
        DataError: if it has not been run
    """
    [result] = collect_results(experiments)
    classes, scores = drop_classes(result.scores(view), result.classes, ABSENT)
    truth = result.clips.truth.map(classes.index).to_numpy(int)
    return evaluate(truth, scores, result.clips.speaker.to_numpy(), seed=result.seed)


def zero_shot_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the zero-shot test beside what the system's authors report, and the chance levels; accuracies in per cent.

    Emotion, gender, and intensity by the predicted arousal; of the recording alone, and of the mean over all views.

    Raises:
        DataError: if it has not been run
    """
    [result] = collect_results(experiments)
    rows = []
    for view, answered in [(ORIGINAL.name, ""), (MEAN_OF_VIEWS, " with TTA")][: 1 + (len(result.views) > 1)]:
        found = zero_shot(experiments, view)
        tasks = {"emotion": found, "gender": None, "intensity by arousal": None}
        tasks |= {task: metrics for task, (metrics, _) in of_two(result, view).items() if task in tasks}
        measured = [(task, each.war, each.war_floor) for task, each in tasks.items() if each]
        measured += [] if answered else [("emotion, top-3", found.top3, found.top3_floor)]
        rows += [
            {
                "Task": f"{task}{answered}",
                "Here": str(here),
                "Chance level": f"{100 * floor:.1f}",
                "Clips": found.clips,
                "Reported": f"{100 * REPORTED[f'{task}{answered}']:.1f}",
            }
            for task, here, floor in measured
        ]
    return pd.DataFrame(rows)
