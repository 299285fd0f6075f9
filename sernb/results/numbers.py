"""Results of numeric targets, such as arousal, in separate tables from those of classes."""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from sernb.config import DataError
from sernb.evaluation import FEWEST_SPEAKERS, RESAMPLES, NumberMetrics, ccc, evaluate_numbers, pearson
from sernb.evaluation.numbers import bias, spread
from sernb.results.result import CLIPS, Result, collect_results, group_runs
from sernb.results.summary import describe_tested
from sernb.runs.experiment import Experiment

FEW = 3  # clips per speaker below which a correlation is meaningless
SPEAKER_SCORES = {"ccc": ccc, "pearson": pearson, "bias": bias, "spread": spread}


class NumericResult(Result):
    """Pooled predictions of a numeric target, from runs that differ only in their fold."""

    @property
    def target(self) -> str:
        """Name of the target column."""
        return self.experiments[0].labels.name

    @property
    def _own_labels(self) -> str:
        """Name of the target; it has its own table column and is not an option."""
        return self.target

    @property
    def truth(self) -> np.ndarray:
        """True values, shape ``(clips,)``."""
        return self.clips.truth.to_numpy(float)

    @cached_property
    def prediction(self) -> np.ndarray:
        """Predicted values of the original recordings, shape ``(clips,)``."""
        return self.predictions.prediction.to_numpy(float)

    @cached_property
    def metrics(self) -> NumberMetrics:
        """The metrics of all test clips."""
        return evaluate_numbers(self.truth, self.prediction, self.clips.speaker.to_numpy(), seed=self.seed)

    @property
    def missing(self) -> int:
        """Number of clips without a value, which are left out."""
        return sum(self.experiments[0].dropped.values())


def collect_numbers(experiments: Sequence[Experiment]) -> list[NumericResult]:
    """Pool the folds of finished experiments with numeric targets, in the order of their systems.

    Raises:
        DataError: if an experiment has not been run, or predicts classes
    """
    if not all(experiment.labels.numeric for experiment in experiments):
        raise DataError("these experiments predict classes, not numeric targets; use sernb.results.result")
    return [NumericResult(*pairs) for pairs in group_runs(experiments)]


def collect_either(experiments: Sequence[Experiment]) -> list[Result]:
    """Return the results of experiments that all predict classes or all predict numbers.

    Raises:
        DataError: as :func:`collect_numbers`
    """
    numeric = any(experiment.labels.numeric for experiment in experiments)
    return (collect_numbers if numeric else collect_results)(experiments)


def numbers_table(experiments: Sequence[Experiment], *, headings: bool = False) -> pd.DataFrame:
    """Return CCC, Pearson's correlation and RMSE with intervals, and the RMSE of a constant, one row per result.

    Args:
        headings: for pages, use :attr:`Result.heading`; files keep the protocol keys

    Raises:
        DataError: as :func:`collect_numbers`
    """
    results, rows = collect_numbers(experiments), []
    for result in results:
        metrics = result.metrics
        digits = _digits(metrics.rmse_floor)
        row = {"System": result.system.name, "Target": result.target}
        row |= {"Protocol": result.heading if headings else result.protocol}
        row |= {"Options": result.options} if any(each.options for each in results) else {}
        row |= {"Seed": result.seed} if len({each.seed for each in results}) > 1 else {}
        row |= {
            "CCC": metrics.ccc.as_number(),
            "Pearson": metrics.pearson.as_number(),
            "RMSE": metrics.rmse.as_number(digits),
            "RMSE of the mean": f"{metrics.rmse_floor:.{digits}f}",
            "Bias": f"{metrics.bias:+.{digits}f}",
            "Spread": f"{metrics.spread:.2f}",
            "Clips": metrics.clips,
            "Without value": result.missing,
            "Speakers": metrics.speakers,
            "Folds": result.folds,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def numbers_summary(results: Sequence[NumericResult]) -> pd.DataFrame:
    """Return one row per system: CCC with interval, and RMSE, under each protocol."""
    rows = {}
    for result in results:
        digits = _digits(result.metrics.rmse_floor)
        row = rows.setdefault((result.system.name, result.options, result.seed), {"System": result.system.name})
        row[f"CCC {result.protocol}"] = result.metrics.ccc.as_number(2)
        row[f"RMSE {result.protocol}"] = f"{result.metrics.rmse.value:.{digits}f}"
    table = pd.DataFrame(list(rows.values()))
    return table[["System", *sorted(table.columns[1:], key=lambda name: name.startswith("RMSE"))]]


def summary_caption(results: Sequence[NumericResult]) -> str:
    """Return the caption of the summary: target, chance level and tested clips under each protocol."""
    tested = {result.protocol: describe_tested(result, result.metrics) for result in results}
    deviations = sorted({f"{each.metrics.rmse_floor:.{_digits(each.metrics.rmse_floor)}f}" for each in results})
    listed = "; ".join(f"{name} {words}" for name, words in tested.items())
    return (
        f"CCC with 95 % intervals, and RMSE, for {results[0].target}. Chance level: CCC 0 for any constant; "
        f"RMSE {' to '.join(deviations)} for the mean of the truth. Tested: {listed}"
    )


def _digits(deviation: float) -> int:
    """Return the decimals of a value with this standard deviation: three significant digits."""
    return max(0, 2 - math.floor(math.log10(deviation))) if deviation > 0 else 3


def numbers_caption(experiments: Sequence[Experiment]) -> str:
    """Return the caption of the table: definitions, units and clips that were left out."""
    results = collect_numbers(experiments)
    metrics = [result.metrics for result in results]
    resampled = {each.resampled for each in metrics}
    how = "speakers" if resampled == {"speakers"} else f"clips, where there are fewer than {FEWEST_SPEAKERS} speakers"
    sentences = [
        "CCC is Lin's concordance correlation coefficient (1989); a constant prediction has a CCC of 0, predicting the "
        "mean of each fold's training clips can be below 0. RMSE, RMSE of the mean truth, and bias are in the unit of "
        "the target. Spread: standard deviation of the predictions divided by that of the truth. Folds are pooled; "
        f"95 % intervals from {RESAMPLES} resamplings of {how}.",
        *([f"Intervals over clips are marked (clips): {CLIPS}."] if "clips" in resampled else []),
        *(["nan: undefined, as truth or predictions are constant."] if any(map(_undefined, metrics)) else []),
        *_left_out(results),
        *(f"Left out: {sentence}." for sentence in getattr(experiments, "left_out", ())),
    ]
    return " ".join(sentences)


def _undefined(metrics: NumberMetrics) -> bool:
    return bool(np.isnan([metrics.ccc.value, metrics.pearson.value]).any())


def _left_out(results: Sequence[NumericResult]) -> Iterator[str]:
    for target, missing in dict.fromkeys((result.target, result.missing) for result in results):
        if missing:
            yield f"{missing} clips have no value of {target} and are left out."


def score_speakers(result: NumericResult) -> pd.DataFrame:
    """Return CCC, correlation, bias and spread of each test speaker with at least ``FEW`` clips, worst first.

    Returns:
        columns speaker, gender, clips, ccc, pearson, bias, spread; NaN where undefined
    """
    rows = []
    for speaker, clips in result.clips.groupby("speaker", sort=True):
        if len(clips) >= FEW:
            at = clips.index.to_numpy()
            scores = {name: score(result.truth[at], result.prediction[at]) for name, score in SPEAKER_SCORES.items()}
            rows.append({"speaker": speaker, "gender": clips.gender.iloc[0], "clips": len(clips), **scores})
    table = pd.DataFrame(rows, columns=["speaker", "gender", "clips", *SPEAKER_SCORES])
    return table.sort_values("ccc", ignore_index=True)
