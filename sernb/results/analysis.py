"""One result in detail, from its predictions alone: groups, views, calibration, what is left out, errors, other tasks.

Nothing here needs a network or a recording, but :func:`recordings_of`, which says where recordings lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL
from sernb.config import DataError
from sernb.corpora.record import DIMENSIONS
from sernb.evaluation import (
    Interval,
    Metrics,
    Predictions,
    apply_temperature,
    bootstrap_interval,
    brier,
    calibration_error,
    ccc,
    coverage,
    evaluate,
    fit_temperature,
    log_loss,
    macro_f1,
    macro_precision,
    paired_difference,
    predict,
    rmse,
    uar,
    view_divergence,
    view_votes,
    war,
    weighted_f1,
    weighted_precision,
)
from sernb.protocols.labels import values_of
from sernb.results.result import MEAN_OF_VIEWS, Result
from sernb.results.summary import comparable_results
from sernb.systems.multitask_cnn import STRONG

# What is said of two in the predictions, as a probability or as 0 or 1 → the column that it is about, and both values.
NAMED = {
    "female": ("gender", ("male", "female")),
    "strong": ("intensity", ("normal", "strong")),
    "strong by arousal": ("intensity", ("normal", "strong")),
}
KEPT = (1.0, 0.8, 0.6, 0.4)  # shares of the clips


def best_result(results: Sequence[Result], system: str = "", protocol: str = "") -> Result:
    """Return the result to show in detail: of this system, under this protocol; where either is empty, the best.

    Best is the highest UAR among results that can be compared, see :func:`sernb.results.summary.comparable_results`.
    It chooses what a page shows and nothing else.

    Raises:
        DataError: if there is none of this name
    """
    found = [result for result in results if system in ("", result.system.name) and protocol in ("", result.protocol)]
    if not found:
        known = ", ".join(f"{result.system.name} under {result.protocol}" for result in results)
        raise DataError(f"no result of {system or 'any system'} under {protocol or 'any protocol'}; there are: {known}")
    return max(comparable_results(found), key=lambda result: result.metrics().uar.value)


# -- Groups -- #


def score_groups(result: Result, column: str) -> dict[str, Interval]:
    """Return the UAR of each group of clips, such as genders: ``female (n = 720)`` → value and interval.

    Clips of which the index does not say it are left out; nothing comes back where it says it of no clip.
    """
    if column not in result.clips:
        return {}
    values = result.clips[column].astype(str)
    groups = {}
    for name in sorted(set(values) - {"", "nan"}):
        mask = (values == name).to_numpy()
        groups[f"{name} (n = {mask.sum()})"] = result.metrics_where(mask).uar
    return groups


def recalls_table(result: Result) -> pd.DataFrame:
    """Return recall with interval, precision and F1 of each class, in per cent, with its number of clips."""
    from sernb.evaluation import per_class

    table = per_class(result.truth, result.scores(), result.classes)
    return pd.DataFrame(
        {
            "Emotion": table["class"],
            "Recall": [str(each) for each in result.metrics().recall],
            "Precision": [f"{100 * value:.1f}" for value in table.precision],
            "F1": [f"{100 * value:.1f}" for value in table.f1],
            "Clips": table.clips,
        }
    )


def averages_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return macro and weighted precision, recall and F1 of each result, in per cent; as scikit-learn averages them.

    Macro: the mean over classes. Weighted: each class counts by its number of clips; weighted recall is WAR.
    """
    columns = {
        "Macro precision": macro_precision,
        "Macro recall (UAR)": uar,
        "Macro F1": macro_f1,
        "Weighted precision": weighted_precision,
        "Weighted recall (WAR)": war,
        "Weighted F1": weighted_f1,
    }
    rows = []
    for result in results:
        truth, scores = result.truth, result.scores()
        row = {"System": result.system.name, "Protocol": result.heading}
        row |= {name: f"{100 * metric(truth, scores):.1f}" for name, metric in columns.items()}
        rows.append(row | {"Test clips": len(truth)})
    return pd.DataFrame(rows)


# -- Views -- #


def scores_by_view(result: Result) -> np.ndarray:
    """Return the scores of every view, shape ``(views, clips, classes)``, the recording itself first."""
    return np.stack([result.scores(view) for view in result.views])


def augmentation_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return what test-time augmentation gains each result that has several views, and what it costs."""
    rows = []
    for result in results:
        if len(result.views) < 2:
            continue
        alone, together = result.answers(), result.answers(result.averaged())
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.heading,
                "UAR alone": str(result.metrics().uar),
                "UAR of all views": str(result.metrics(MEAN_OF_VIEWS).uar),
                "Gain in UAR (points)": str(paired_difference(uar, alone, together)),
                "Gain in WAR (points)": str(paired_difference(war, alone, together)),
                "Predictions a clip": f"{len(result.views)} instead of 1",
                "Clips": len(result.clips),
            }
        )
    return pd.DataFrame(rows)


def agreement_table(result: Result) -> pd.DataFrame:
    """Return WAR of the mean of all views by how many of them agree with it."""
    scores = scores_by_view(result)
    votes = np.rint(view_votes(scores) * len(scores)).astype(int)
    divergence = view_divergence(scores)
    right = predict(result.averaged()) == result.truth
    answers = pd.DataFrame({"votes": votes, "right": right, "divergence": divergence})
    found = answers.groupby("votes").agg(
        clips=("right", "size"), right=("right", "mean"), divergence=("divergence", "median")
    )
    found = found.sort_index(ascending=False)
    return pd.DataFrame(
        {
            "Views that agree": [f"{count} of {len(scores)}" for count in found.index],
            "Clips": found.clips.to_numpy(),
            "WAR (%)": [f"{100 * value:.1f}" for value in found.right],
            "Divergence, median (bit)": [f"{value:.3f}" for value in found.divergence],
        }
    )


# -- Calibration -- #


@dataclass(frozen=True)
class Calibrated:
    """Scores after one temperature a fold, each fitted on that fold's validation clips."""

    scores: np.ndarray  # (clips, classes)
    temperatures: tuple[float, ...]
    clips: int  # validation clips of all folds


def calibrate(result: Result) -> Calibrated | None:
    """Return the scores with temperatures fitted on validation clips; nothing where a run kept none."""
    parts, temperatures, clips = [], [], 0
    for run in result.runs:
        held_out = run.validation
        if held_out.empty:
            return None
        classes = list(result.classes)
        truth = held_out.truth.map(result.classes.index).to_numpy(int)
        temperatures.append(fit_temperature(truth, held_out[classes].to_numpy(float)))
        clips += len(held_out)
        predictions = run.predictions
        scores = predictions[predictions["view"] == ORIGINAL.name][classes].to_numpy(float)
        parts.append(apply_temperature(scores, temperatures[-1]))
    return Calibrated(np.concatenate(parts), tuple(temperatures), clips)


def calibration_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return how far the probabilities of each result that listens can be trusted, before and after the temperature.

    Expected calibration error, log-loss (nats) and Brier score (0 … 2): all are better when lower; a constant answer of
    equal probabilities has a log-loss of ln(classes) and a Brier score of 1 - 1 / classes.
    """
    rows = []
    for result in results:
        if not result.system.features:
            continue
        after = calibrate(result)
        row = {
            "System": result.system.name,
            "Protocol": result.heading,
            **_calibration(result.truth, result.scores()),
            **dict.fromkeys(f"{name} after temperature" for name in _calibration(result.truth, result.scores())),
            "Temperature of each fold": None,
            "Fitted on": "no clips kept",
            "Test clips": len(result.clips),
        }
        if after:
            found = _calibration(result.truth, after.scores)
            row |= {
                **{f"{name} after temperature": value for name, value in found.items()},
                "Temperature of each fold": ", ".join(f"{value:.2f}" for value in after.temperatures),
                "Fitted on": f"{after.clips} validation clips",
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _calibration(truth: np.ndarray, scores: np.ndarray) -> dict[str, str]:
    return {
        "ECE (%)": f"{100 * calibration_error(truth, scores):.1f}",
        "Log-loss": f"{log_loss(truth, scores):.3f}",
        "Brier score": f"{brier(truth, scores):.3f}",
    }


# -- Leaving out -- #


def compute_coverages(result: Result) -> dict[str, pd.DataFrame]:
    """Return accuracy against the share of clips kept, by what says how sure an answer is."""
    curves = {"highest score": coverage(result.truth, result.scores())}
    if len(result.views) > 1:
        scores = scores_by_view(result)
        mean = result.averaged()
        curves["agreement of views"] = coverage(result.truth, mean, confidence=-view_divergence(scores))
    return curves


def coverage_table(result: Result) -> pd.DataFrame:
    """Return WAR of the most confident predictions only; at least as many are kept as the row says."""
    rows = []
    for share in KEPT:
        row = {"Clips answered": f"{100 * share:.0f} %"}
        for name, curve in compute_coverages(result).items():
            kept = curve[curve.coverage >= share - 1e-12].iloc[0]
            row[f"WAR by {name} (%)"] = f"{100 * kept.accuracy:.1f} (n = {kept.clips:.0f})"
        rows.append(row)
    return pd.DataFrame(rows)


# -- Single clips -- #


def most_confident_errors(result: Result, count: int = 5) -> pd.DataFrame:
    """Return the wrong answers with the highest scores: clip, speaker, truth, prediction, score; the surest first."""
    scores = result.scores()
    said = predict(scores)
    table = result.clips[["clip", "speaker", "truth"]].assign(
        prediction=np.array(result.classes)[said], score=scores.max(axis=1)
    )
    wrong = table[said != result.truth]
    return wrong.sort_values("score", ascending=False, kind="stable").head(count).reset_index(drop=True)


def sample_clips(result: Result, count: int = 4, *, seed: int = 0) -> pd.DataFrame:
    """Return test clips drawn at random, each of another class as far as there are classes."""
    rng = np.random.default_rng(seed)
    shuffled = result.clips.iloc[rng.permutation(len(result.clips))]
    return pd.concat([shuffled.drop_duplicates("truth"), shuffled]).drop_duplicates("clip").head(count)


def scores_of(result: Result, clips: Sequence[str]) -> pd.DataFrame:
    """Return the scores of some clips as recorded, one row a clip, one column a class."""
    first = result.predictions[result.predictions["view"] == ORIGINAL.name].set_index("clip")
    return first.loc[list(clips), list(result.classes)].astype(float)


def auxiliary_outputs(result: Result, clips: Sequence[str]) -> pd.DataFrame:
    """Return what a system says of these clips beside the emotion, such as gender or valence; empty where nothing."""
    names = _attributes(result)
    first = result.predictions[result.predictions["view"] == ORIGINAL.name].set_index("clip")
    return first.loc[list(clips), names].astype(float) if names else pd.DataFrame()


def attributes_table(result: Result) -> pd.DataFrame:
    """Return how well the other tasks are done: CCC and RMSE of dimensions, UAR and WAR of two; empty where none.

    Dimensions are held against what was trained: the authors' own means where these stand for them.
    """
    first = result.predictions[result.predictions["view"] == ORIGINAL.name]
    speakers = result.clips.speaker.to_numpy()
    rows = []
    for name in _attributes(result):
        if name in DIMENSIONS:
            tallied = getattr(result.experiments[0].settings, "tallied", False)
            truth = values_of(result.clips, name, tallied=tallied)
            known = ~np.isnan(truth)
            measured = {"CCC": ccc, "RMSE": rmse}
            answers = Predictions(truth[known], first[name].to_numpy(float)[known], speakers[known])
            found = (
                {label: bootstrap_interval(metric, answers) for label, metric in measured.items()}
                if known.any()
                else {}
            )
            words = {label: f"{each.value:.2f} [{each.low:.2f}, {each.high:.2f}]" for label, each in found.items()}
            rows += [{"Task": name, **words, "Clips": int(known.sum())}] if words else []
    for task, (metrics, _) in of_two(result).items():
        words = {"UAR (%)": str(metrics.uar), "WAR (%)": str(metrics.war)}
        rows.append(
            {"Task": task, **words, "WAR chance level (%)": f"{100 * metrics.war_floor:.1f}", "Clips": metrics.clips}
        )
    return pd.DataFrame(rows)


def of_two(result: Result, view: str = ORIGINAL.name) -> dict[str, tuple[Metrics, tuple[str, str]]]:
    """Return how well tasks with two answers are done, and the answers, by name: ``gender``, ``intensity by arousal``.

    Clips of which the index does not say it are left out; a task of which it says nothing is.

    Args:
        view: a view, or ``MEAN_OF_VIEWS``; arousal is averaged before it is called strong
    """
    found = {}
    for name, (column, two) in NAMED.items():
        values = result.clips.get(column, pd.Series("", result.clips.index)).astype(str)
        if name in result.predictions and values.isin(two).any():
            task = f"{column} {name.partition(' ')[2]}".strip()
            found[task] = _of_two(result, name, values, two, view), two
    return found


def _of_two(result: Result, name: str, values: pd.Series, two: tuple[str, str], view: str) -> Metrics:
    known = values.isin(two).to_numpy()
    by_arousal = name.endswith("arousal")
    said = _said(result, "arousal" if by_arousal else name, view)[known]
    scores = _two((said >= STRONG).astype(float) if by_arousal else said)
    truth = values[known].map(two.index).to_numpy(int)
    return evaluate(truth, scores, result.clips.speaker.to_numpy()[known], seed=result.seed)


def _said(result: Result, name: str, view: str) -> np.ndarray:
    """Return what a system says besides, in one view or in the mean of all, ``(clips,)``."""
    names = result.views if view == MEAN_OF_VIEWS else (view,)
    heard = [result.predictions.loc[result.predictions["view"] == each, name].to_numpy(float) for each in names]
    return np.mean(heard, axis=0)


def _attributes(result: Result) -> list[str]:
    known = {"clip", "speaker", "gender", "truth", "view", "prediction", *result.classes}
    return [name for name in result.predictions if name not in known]


def _two(probability: np.ndarray) -> np.ndarray:
    return np.stack([1 - probability, probability], axis=1)
