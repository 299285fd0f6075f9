"""One result in detail, from its predictions: groups, TTA, calibration, selective prediction, errors, auxiliary tasks.

Nothing here needs a network or a recording.
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

# Auxiliary output (a probability, or 0 and 1) → the column of its labels, and their two values.
BINARY_OUTPUTS = {
    "female": ("gender", ("male", "female")),
    "strong": ("intensity", ("normal", "strong")),
    "strong by arousal": ("intensity", ("normal", "strong")),
}
COVERAGES = (1.0, 0.8, 0.6, 0.4)  # shares of the clips


def best_result(results: Sequence[Result], system: str = "", protocol: str = "") -> Result:
    """Return the best result of a system under a protocol; an empty name matches all.

    The best has the highest UAR among comparable results, see :func:`sernb.results.summary.comparable_results`. The
    choice only decides what a page shows in detail.

    Raises:
        DataError: if no result matches
    """
    matching = [
        result for result in results if system in ("", result.system.name) and protocol in ("", result.protocol)
    ]
    if not matching:
        names = ", ".join(f"{result.system.name} under {result.protocol}" for result in results)
        raise DataError(f"no result of {system or 'any system'} under {protocol or 'any protocol'}; there are: {names}")
    return max(comparable_results(matching), key=lambda result: result.metrics().uar.value)


# -- Groups -- #


def score_groups(result: Result, column: str) -> dict[str, Interval]:
    """Return the UAR of each group of clips, such as each gender: ``female (n = 720)`` → value and interval.

    Clips without a value in the column are left out; without any value the result is empty.
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
    """Return recall with interval, precision, F1 (per cent) and number of clips of each class."""
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
    """Return macro and weighted precision, recall and F1 of each result, in per cent, averaged as in scikit-learn.

    Macro: the mean over classes. Weighted: each class is weighted by its number of clips; weighted recall is WAR.
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


# -- Test-time augmentation -- #


def scores_by_view(result: Result) -> np.ndarray:
    """Return the scores of every TTA view, the original first, shape ``(views, clips, classes)``."""
    return np.stack([result.scores(view) for view in result.views])


def augmentation_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return gain and cost of test-time augmentation for each result with several views."""
    rows = []
    for result in results:
        if len(result.views) < 2:
            continue
        original, augmented = result.to_predictions(), result.to_predictions(MEAN_OF_VIEWS)
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.heading,
                "UAR without TTA": str(result.metrics().uar),
                "UAR with TTA": str(result.metrics(MEAN_OF_VIEWS).uar),
                "Gain in UAR (points)": str(paired_difference(uar, original, augmented)),
                "Gain in WAR (points)": str(paired_difference(war, original, augmented)),
                "Predictions per clip": f"{len(result.views)} instead of 1",
                "Clips": len(result.clips),
            }
        )
    return pd.DataFrame(rows)


def agreement_table(result: Result) -> pd.DataFrame:
    """Return WAR with TTA by the number of views that agree with the mean over views."""
    scores = scores_by_view(result)
    votes = np.rint(view_votes(scores) * len(scores)).astype(int)
    divergence = view_divergence(scores)
    correct = predict(result.scores(MEAN_OF_VIEWS)) == result.truth
    predictions = pd.DataFrame({"votes": votes, "correct": correct, "divergence": divergence})
    by_votes = predictions.groupby("votes").agg(
        clips=("correct", "size"), war=("correct", "mean"), divergence=("divergence", "median")
    )
    by_votes = by_votes.sort_index(ascending=False)
    return pd.DataFrame(
        {
            "Views that agree": [f"{count} of {len(scores)}" for count in by_votes.index],
            "Clips": by_votes.clips.to_numpy(),
            "WAR (%)": [f"{100 * value:.1f}" for value in by_votes.war],
            "Median divergence (bits)": [f"{value:.3f}" for value in by_votes.divergence],
        }
    )


# -- Calibration -- #


@dataclass(frozen=True)
class CalibratedScores:
    """Scores after temperature scaling, with one temperature per fold fitted on its validation clips."""

    scores: np.ndarray  # (clips, classes)
    temperatures: tuple[float, ...]
    clips: int  # validation clips of all folds


def calibrate(result: Result) -> CalibratedScores | None:
    """Apply temperatures fitted on validation clips; return None if a run has no validation scores."""
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
    return CalibratedScores(np.concatenate(parts), tuple(temperatures), clips)


def calibration_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return the calibration of each result that uses audio, before and after temperature scaling.

    Expected calibration error, log-loss (nats) and Brier score (0 … 2); lower is better. Equal probabilities for all
    classes have a log-loss of ln(classes) and a Brier score of 1 - 1 / classes.
    """
    rows = []
    for result in results:
        if not result.system.features:
            continue
        calibrated = calibrate(result)
        row = {
            "System": result.system.name,
            "Protocol": result.heading,
            **_calibration_scores(result.truth, result.scores()),
            **dict.fromkeys(f"{name} after temperature" for name in _calibration_scores(result.truth, result.scores())),
            "Temperature of each fold": None,
            "Fitted on": "no validation clips",
            "Test clips": len(result.clips),
        }
        if calibrated:
            scores = _calibration_scores(result.truth, calibrated.scores)
            row |= {
                **{f"{name} after temperature": value for name, value in scores.items()},
                "Temperature of each fold": ", ".join(f"{value:.2f}" for value in calibrated.temperatures),
                "Fitted on": f"{calibrated.clips} validation clips",
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _calibration_scores(truth: np.ndarray, scores: np.ndarray) -> dict[str, str]:
    return {
        "ECE (%)": f"{100 * calibration_error(truth, scores):.1f}",
        "Log-loss": f"{log_loss(truth, scores):.3f}",
        "Brier score": f"{brier(truth, scores):.3f}",
    }


# -- Selective prediction -- #


def compute_coverages(result: Result) -> dict[str, pd.DataFrame]:
    """Return accuracy against coverage for each measure of confidence."""
    curves = {"highest score": coverage(result.truth, result.scores())}
    if len(result.views) > 1:
        confidence = -view_divergence(scores_by_view(result))
        curves["agreement of views"] = coverage(result.truth, result.scores(MEAN_OF_VIEWS), confidence=confidence)
    return curves


def coverage_table(result: Result) -> pd.DataFrame:
    """Return WAR of the most confident predictions at several coverages; each is a lower bound."""
    rows = []
    for share in COVERAGES:
        row = {"Coverage": f"{100 * share:.0f} %"}
        for name, curve in compute_coverages(result).items():
            kept = curve[curve.coverage >= share - 1e-12].iloc[0]
            row[f"WAR by {name} (%)"] = f"{100 * kept.accuracy:.1f} (n = {kept.clips:.0f})"
        rows.append(row)
    return pd.DataFrame(rows)


# -- Single clips -- #


def most_confident_errors(result: Result, count: int = 5) -> pd.DataFrame:
    """Return the errors with the highest scores, in descending order: clip, speaker, truth, prediction, score."""
    scores = result.scores()
    predicted = predict(scores)
    table = result.clips[["clip", "speaker", "truth"]].assign(
        prediction=np.array(result.classes)[predicted], score=scores.max(axis=1)
    )
    wrong = table[predicted != result.truth]
    return wrong.sort_values("score", ascending=False, kind="stable").head(count).reset_index(drop=True)


def sample_clips(result: Result, count: int = 4, *, seed: int = 0) -> pd.DataFrame:
    """Sample test clips at random, from as many classes as possible."""
    rng = np.random.default_rng(seed)
    shuffled = result.clips.iloc[rng.permutation(len(result.clips))]
    return pd.concat([shuffled.drop_duplicates("truth"), shuffled]).drop_duplicates("clip").head(count)


def clip_scores(result: Result, clips: Sequence[str]) -> pd.DataFrame:
    """Return the scores of some clips without augmentation, one row per clip, one column per class."""
    first = result.predictions[result.predictions["view"] == ORIGINAL.name].set_index("clip")
    return first.loc[list(clips), list(result.classes)].astype(float)


def auxiliary_outputs(result: Result, clips: Sequence[str]) -> pd.DataFrame:
    """Return the outputs of a system other than the emotion, such as gender or valence; empty if there are none."""
    names = _auxiliary_names(result)
    first = result.predictions[result.predictions["view"] == ORIGINAL.name].set_index("clip")
    return first.loc[list(clips), names].astype(float) if names else pd.DataFrame()


def attributes_table(result: Result) -> pd.DataFrame:
    """Score the auxiliary outputs: CCC and RMSE of dimensions, UAR and WAR of binary tasks; empty if there are none.

    Dimensions are compared with the training targets: with the authors' own means where the system is trained on them.
    """
    first = result.predictions[result.predictions["view"] == ORIGINAL.name]
    speakers = result.clips.speaker.to_numpy()
    rows = []
    for name in _auxiliary_names(result):
        if name in DIMENSIONS:
            tallied = getattr(result.experiments[0].settings, "tallied", False)
            truth = values_of(result.clips, name, tallied=tallied)
            labelled = ~np.isnan(truth)
            if not labelled.any():
                continue
            predictions = Predictions(truth[labelled], first[name].to_numpy(float)[labelled], speakers[labelled])
            row = {"Task": name}
            for label, metric in {"CCC": ccc, "RMSE": rmse}.items():
                score = bootstrap_interval(metric, predictions)
                row[label] = f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
            rows.append(row | {"Clips": int(labelled.sum())})
    for task, (metrics, _) in score_binary_tasks(result).items():
        row = {"Task": task, "UAR (%)": str(metrics.uar), "WAR (%)": str(metrics.war)}
        rows.append(row | {"WAR chance level (%)": f"{100 * metrics.war_floor:.1f}", "Clips": metrics.clips})
    return pd.DataFrame(rows)


def score_binary_tasks(result: Result, view: str = ORIGINAL.name) -> dict[str, tuple[Metrics, tuple[str, str]]]:
    """Return metrics and classes of each binary auxiliary task, such as ``gender`` and ``intensity by arousal``.

    Clips without a label are left out, and so are tasks without any label.

    Args:
        view: a view, or ``MEAN_OF_VIEWS``; arousal is averaged over views before the threshold of strong is applied
    """
    tasks = {}
    for name, (column, classes) in BINARY_OUTPUTS.items():
        labels = result.clips.get(column, pd.Series("", result.clips.index)).astype(str)
        if name in result.predictions and labels.isin(classes).any():
            task = f"{column} {name.partition(' ')[2]}".strip()
            tasks[task] = _score_binary_task(result, name, labels, classes, view), classes
    return tasks


def _score_binary_task(result: Result, name: str, labels: pd.Series, classes: tuple[str, str], view: str) -> Metrics:
    labelled = labels.isin(classes).to_numpy()
    by_arousal = name.endswith("arousal")
    output = _auxiliary_output(result, "arousal" if by_arousal else name, view)[labelled]
    scores = _binary_scores((output >= STRONG).astype(float) if by_arousal else output)
    truth = labels[labelled].map(classes.index).to_numpy(int)
    return evaluate(truth, scores, result.clips.speaker.to_numpy()[labelled], seed=result.seed)


def _auxiliary_output(result: Result, name: str, view: str) -> np.ndarray:
    """Return an auxiliary output in one view, or its mean over all views, shape ``(clips,)``."""
    names = result.views if view == MEAN_OF_VIEWS else (view,)
    outputs = [result.predictions.loc[result.predictions["view"] == each, name].to_numpy(float) for each in names]
    return np.mean(outputs, axis=0)


def _auxiliary_names(result: Result) -> list[str]:
    others = {"clip", "speaker", "gender", "truth", "view", "prediction", *result.classes}
    return [name for name in result.predictions if name not in others]


def _binary_scores(probability: np.ndarray) -> np.ndarray:
    return np.stack([1 - probability, probability], axis=1)
