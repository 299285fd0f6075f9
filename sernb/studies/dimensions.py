"""The page on numeric targets, such as arousal: choice of target and systems, figures, headline."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sernb import figures
from sernb.config import DataError
from sernb.corpora.pool import Pool
from sernb.corpora.record import DIMENSIONS
from sernb.protocols.targets import find_numeric_columns
from sernb.results.emotions_from_numbers import classifier_for
from sernb.results.numbers import NumericResult, score_speakers
from sernb.results.summary import describe_tested
from sernb.runs.experiment import Plan
from sernb.runs.planning import plan

SYSTEMS = ("training-mean", "functionals-ridge-regression", "functionals-svr")
PROTOCOLS = ("speaker-independent", "speaker-normalised")


def choose_target(pool: Pool, target: str = "") -> str:
    """Return the target of a page: the named one, or else a rated dimension, or any numeric column except age.

    Raises:
        DataError: if the corpora have no numeric column
    """
    if target:
        return target
    columns = [name for name in find_numeric_columns(pool.index) if name != "age"]
    if not columns:
        raise DataError(f"{pool.name}: has no numeric labels; add a column such as arousal to a labels.csv")
    return next((name for name in ("arousal", *DIMENSIONS) if name in columns), columns[-1])


def plan_numbers(
    pool: Pool, target: str, systems: Sequence[str] = (), protocols: Sequence[str] = (), **options: object
) -> Plan:
    """List the experiments of the page; options as of :func:`sernb.runs.planning.plan`."""
    return plan(systems or SYSTEMS, pool.name, protocols or PROTOCOLS, targets=[target], **options)


def plan_classifiers(experiments: Plan, **options: object) -> Plan:
    """List experiments that predict emotions from the same features and folds as those of regression systems.

    Args:
        options: as of :func:`sernb.runs.planning.plan`; targets and label set are ignored
    """
    names = dict.fromkeys(classifier_for(each.system).name for each in experiments)
    own = ("systems", "encoder", "corpus", "protocol", "targets", "labels")
    return plan(
        [*names],
        experiments[0].corpus.name,
        [*dict.fromkeys(each.protocol.name for each in experiments)],
        **{name: value for name, value in options.items() if name not in own},
    )


def best_result(results: Sequence[NumericResult]) -> NumericResult:
    """Return the result with the highest CCC, speaker-independent if possible, to show in detail."""
    strict = [each for each in results if each.protocol == "speaker-independent"] or list(results)
    return max(strict, key=lambda each: np.nan_to_num(each.metrics.ccc.value, nan=-2))


def plot(result: NumericResult) -> Iterator[figures.Drawing]:
    """Plot predictions against truth, and scores by speaker."""
    title = f"{result.system.name}, {result.heading}"
    yield figures.predicted_numbers(result.truth, result.prediction, result.target, title)
    if len(speakers := score_speakers(result).dropna()):
        yield figures.numbers_by_speaker(speakers, title)


def speakers_table(result: NumericResult) -> pd.DataFrame:
    """Return the scores of each test speaker, formatted for display."""
    return score_speakers(result).round(3).rename(columns=str.capitalize).rename(columns={"Ccc": "CCC"})


def headline(results: Sequence[NumericResult]) -> list[str]:
    """State the best speaker-independent result, its spread and its range over speakers, in sentences."""
    best = best_result(results)
    metrics, speakers = best.metrics, score_speakers(best)
    tested = describe_tested(best, metrics)
    sentences = [
        f"Target {best.target}: {best.system.name}, {best.heading}, CCC {metrics.ccc.as_number()}, chance level 0 "
        f"({tested}).",
        f"Pearson's correlation is {metrics.pearson.as_number()}: bias and range account for its difference from CCC. "
        f"The predictions have {metrics.spread:.2f} times the standard deviation of the truth.",
    ]
    if len(speakers) > 1 and speakers.ccc.notna().any():
        sentences.append(f"CCC by speaker: {speakers.ccc.min():.2f} to {speakers.ccc.max():.2f}.")
    return sentences
