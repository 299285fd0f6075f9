"""The page of numeric targets, such as arousal: which one, by which systems, and what was found."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sernb import figures
from sernb.config import DataError
from sernb.corpora.pool import Pool
from sernb.corpora.record import DIMENSIONS
from sernb.protocols.targets import find_numeric_columns
from sernb.results.numbers import (
    NumericResult,
    collect_numbers,
    numbers_caption,
    numbers_table,
    score_speakers,
)
from sernb.runs.experiment import Plan
from sernb.runs.planning import plan

SYSTEMS = ("training-mean", "functionals-ridge-regression", "functionals-svr")
PROTOCOLS = ("speaker-independent", "speaker-normalised")
__all__ = [
    "best_result",
    "choose_target",
    "collect_numbers",
    "conclusions",
    "numbers_caption",
    "numbers_table",
    "plan_numbers",
    "plot",
    "speakers_table",
]


def choose_target(pool: Pool, asked: str = "") -> str:
    """Return the target of a page: what is asked for, else a rated dimension, else another number but age.

    Raises:
        DataError: if the corpora have none
    """
    if asked:
        return asked
    known = [name for name in find_numeric_columns(pool.index) if name != "age"]
    if not known:
        raise DataError(f"{pool.name}: has no numeric labels; add a column such as arousal to a labels.csv")
    return next((name for name in ("arousal", *DIMENSIONS) if name in known), known[-1])


def plan_numbers(
    pool: Pool, target: str, systems: Sequence[str] = (), protocols: Sequence[str] = (), **options: object
) -> Plan:
    """List the experiments of the page; options as of :func:`sernb.runs.planning.plan`."""
    return plan(systems or SYSTEMS, pool.name, protocols or PROTOCOLS, targets=[target], **options)


def best_result(results: Sequence[NumericResult]) -> NumericResult:
    """Return the speaker-independent result with the highest CCC, for figures of detail; else the best there is."""
    strict = [each for each in results if each.protocol == "speaker-independent"] or list(results)
    return max(strict, key=lambda each: np.nan_to_num(each.metrics.ccc.value, nan=-2))


def plot(result: NumericResult) -> Iterator[figures.Drawing]:
    """Plot a result against the truth, and by speaker."""
    title = f"{result.system.name}, {result.heading}"
    yield figures.predicted_numbers(result.truth, result.prediction, result.target, title)
    if len(speakers := score_speakers(result).dropna()):
        yield figures.numbers_by_speaker(speakers, title)


def speakers_table(result: NumericResult) -> pd.DataFrame:
    """Return the scores of each test speaker, formatted for display."""
    return score_speakers(result).round(3).rename(columns=str.capitalize).rename(columns={"Ccc": "CCC"})


def conclusions(results: Sequence[NumericResult]) -> list[str]:
    """Return what was found, in sentences: the best speaker-independent result, its range, and its speakers."""
    best = best_result(results)
    metrics, speakers = best.metrics, score_speakers(best)
    folds = f"{metrics.clips} clips of {metrics.speakers} speakers, folds {best.folds}"
    sentences = [
        f"{best.target}: {best.system.name}, {best.heading}, CCC {metrics.ccc.as_number()}, chance level 0 ({folds}).",
        f"Pearson's correlation is {metrics.pearson.as_number()}: what CCC lacks to it is bias and range. Predictions "
        f"have {metrics.spread:.2f} times the standard deviation of the truth.",
    ]
    if len(speakers) > 1 and speakers.ccc.notna().any():
        sentences.append(f"CCC of single speakers: {speakers.ccc.min():.2f} to {speakers.ccc.max():.2f}.")
    return sentences
