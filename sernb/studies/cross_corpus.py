"""Cross-corpus tests: training on one corpus and testing on another, and the zero-shot test of multitask-cnn."""

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
from sernb.results.analysis import score_binary_tasks
from sernb.results.result import MEAN_OF_VIEWS, collect_results
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.planning import plan
from sernb.systems import multitask_cnn

WITHIN, BETWEEN = "speaker-independent", "corpus-independent"


def add_other_corpora(corpus: str, data: str | Path | None = None) -> str:
    """Return an expression of a corpus and all other real corpora whose recordings are available.

    An expression of several corpora is returned unchanged, and so is a synthetic corpus, which is no evidence.
    """
    pool = parse_pool(corpus, data)
    if len(pool.parts) > 1 or not pool.evidence:
        return corpus
    others = [find_available(name, data) for name in CORPORA if name != pool.parts[0].corpus.name]
    usable = [other for other in others if other.pool and other.corpus.evidence]
    names = [other.corpus.name if other.pool.clips == other.corpus.clips else other.pool.name for other in usable]
    return "+".join([corpus, *names])


def shared_labels(base: LabelSet, pool: Pool) -> LabelSet:
    """Return a label set restricted to the classes that all corpora of a pool have.

    Raises:
        Infeasible: if fewer than two classes are left
    """
    shared = set.intersection(*(set(base.truths_of(part.clips).dropna()) for part in pool.parts))
    if len(shared) < 2:
        raise Infeasible(f"{pool.name}: the corpora share fewer than two classes of {base.name}; leave out a corpus")
    if shared == set(base.classes):
        return base
    kept = tuple((emotion, name) for emotion, name in base.becomes if name in shared)
    return replace(base, name=f"{base.name} that all have", becomes=kept)


def plan_matrix(
    systems: Sequence[str], corpus: str, *, labels: str, profile: str, seed: int = 0, data: str | Path | None = None
) -> Plan:
    """List the experiments of a matrix: within each corpus, between each pair, and from all other corpora to one.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`; a single corpus is tested within itself only
        labels: the label set; only classes that all corpora have are used
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


def score_cells(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return one row per system, training corpus and test corpus.

    Returns:
        columns system, trained (titles joined with +), tested (a title), metrics, training (mean number of clips),
        folds (such as 2 of 5; "" between corpora, where all clips are tested)

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
                    "folds": result.folds if len(pool.parts) == 1 else "",
                }
            )
    return pd.DataFrame(rows)


def summary_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return UAR, chance level and test part of each cell, formatted for display."""
    rows = [
        {
            "Trained on": _describe_training(row),
            "Tested on": row.tested,
            "UAR": str(row.metrics.uar),
            "Chance level": f"{100 * row.metrics.uar_floor:.1f}",
            "Clips": row.metrics.clips,
            "Speakers": row.metrics.speakers,
        }
        for row in cells.itertuples()
    ]
    return pd.DataFrame(rows)


def _describe_training(row: tuple) -> str:
    return row.trained if row.trained != row.tested else f"{row.trained}, other speakers, {row.folds} folds"


def cells_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return WAR and the training part of each cell, formatted for display."""
    rows = [
        {
            "Trained on": _describe_training(row),
            "Tested on": row.tested,
            "WAR": str(row.metrics.war),
            "WAR chance level": f"{100 * row.metrics.war_floor:.1f}",
            "Training clips": row.training,
        }
        for row in cells.itertuples()
    ]
    return pd.DataFrame(rows)


def headline(cells: pd.DataFrame) -> list[str]:
    """Summarise the scores between and within corpora, in sentences."""
    within, between = cells[cells.trained == cells.tested], cells[cells.trained != cells.tested]
    sentences = [
        f"{row.system} within {row.tested}: {_describe_metrics(row.metrics, f', {row.folds} folds')}."
        for row in within.itertuples()
    ]
    if not len(between):
        return [*conclusions(cells), *sentences]
    above = [row.metrics.uar.low > row.metrics.uar_floor for row in between.itertuples()]
    best = max(between.itertuples(), key=lambda row: row.metrics.uar.value)
    first = (
        f"{sum(above)} of {len(above)} tests on another corpus are above chance; the best, {best.trained} to "
        f"{best.tested}: {_describe_metrics(best.metrics)}."
    )
    return [first, *sentences]


def _describe_metrics(metrics: Metrics, folds: str = "") -> str:
    return (
        f"UAR {metrics.uar.as_percent()}, chance level {100 * metrics.uar_floor:.1f} % "
        f"({len(metrics.confusion)} classes, {metrics.clips} clips of {metrics.speakers} speakers{folds})"
    )


def conclusions(cells: pd.DataFrame) -> list[str]:
    """Compare each score on another corpus with the chance level, in sentences."""
    sentences = []
    for row in cells[cells.trained != cells.tested].itertuples():
        above = row.metrics.uar.low > row.metrics.uar_floor
        sentences.append(
            f"{row.system}, {row.trained} to {row.tested}: UAR {row.metrics.uar.as_percent()}, "
            f"{'above' if above else 'not shown to be above'} the chance level of {100 * row.metrics.uar_floor:.1f} %"
            f"{', for these speakers only' * (row.metrics.resampled == 'clips')}."
        )
    return sentences or ["Only one corpus: no cross-corpus test was run."]


# -- The zero-shot test of multitask-cnn -- #

# Accuracies published by the authors.
_EMOTION = {each.metric: each.value for each in multitask_cnn.SYSTEM.reported if each.protocol == BETWEEN}
REPORTED = {
    "emotion": _EMOTION["war"], "emotion, top-3": _EMOTION["top3"], "gender": 0.8665,
    "intensity by arousal": 0.6572, "emotion with TTA": 0.2159, "gender with TTA": 0.8646,
    "intensity by arousal with TTA": 0.6695,
}  # fmt: skip
ABSENT = ("excited", "frustrated")  # the classes of IEMOCAP's eight that RAVDESS does not have


def drop_classes(
    scores: np.ndarray, classes: Sequence[str], absent: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Drop the classes that the test corpus does not have, before the highest score is taken.

    As in the authors' code, the remaining scores are not normalised to sum to 1.

    Examples:
        >>> drop_classes(np.array([[0.5, 0.2, 0.3]]), ("excited", "happy", "sad"), ("excited",))
        (('happy', 'sad'), array([[0.2, 0.3]]))
    """
    kept = [column for column, name in enumerate(classes) if name not in absent]
    return tuple(classes[column] for column in kept), np.asarray(scores)[:, kept]


def missing_corpora(data: str | Path | None = None) -> str:
    """Name the corpora of the zero-shot test that are not available, in a sentence; empty if both are."""
    missing = [get_corpus(name).title for name in ("iemocap", "ravdess") if find_available(name, data).pool is None]
    return f"{' and '.join(missing)} not available: the zero-shot test of multitask-cnn was not run." if missing else ""


def plan_zero_shot(
    system: str = "multitask-cnn", *, profile: str, seed: int = 0, data: str | Path | None = None
) -> list[Experiment]:
    """List the experiments of the zero-shot test: all of IEMOCAP to RAVDESS without calm and disgust.

    IEMOCAP's classes follow the authors' own tally of the ratings; RAVDESS's are the intended emotions.
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
    """Return the metrics of the zero-shot test, without the classes that RAVDESS does not have.

    Args:
        view: a view, or ``MEAN_OF_VIEWS``, which is averaged before classes are dropped

    Raises:
        DataError: if it has not been run
    """
    [result] = collect_results(experiments)
    classes, scores = drop_classes(result.scores(view), result.classes, ABSENT)
    truth = result.clips.truth.map(classes.index).to_numpy(int)
    return evaluate(truth, scores, result.clips.speaker.to_numpy(), seed=result.seed)


def zero_shot_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Compare the zero-shot test with the published accuracies and the chance levels; per cent.

    The tasks are emotion, gender, and intensity from the predicted arousal, each without and with TTA.

    Raises:
        DataError: if it has not been run
    """
    [result] = collect_results(experiments)
    rows = []
    for view, suffix in [(ORIGINAL.name, ""), (MEAN_OF_VIEWS, " with TTA")][: 1 + (len(result.views) > 1)]:
        emotion = zero_shot(experiments, view)
        tasks = {"emotion": emotion, "gender": None, "intensity by arousal": None}
        tasks |= {task: metrics for task, (metrics, _) in score_binary_tasks(result, view).items() if task in tasks}
        scores = [(task, each.war, each.war_floor) for task, each in tasks.items() if each]
        scores += [] if suffix else [("emotion, top-3", emotion.top3, emotion.top3_floor)]
        rows += [
            {
                "Task": f"{task}{suffix}",
                "Ours": str(ours),
                "Chance level": f"{100 * floor:.1f}",
                "Clips": emotion.clips,
                "Published": f"{100 * REPORTED[f'{task}{suffix}']:.1f}",
            }
            for task, ours, floor in scores
        ]
    return pd.DataFrame(rows)
