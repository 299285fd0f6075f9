"""The test page: figures, tables and sounds for one result in detail."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import evaluation, figures
from sernb.audio.reading import load
from sernb.config import DataError
from sernb.corpora.pool import Pool, find_recordings
from sernb.features import LogMel
from sernb.results import analysis, occlusion
from sernb.results.occlusion import areas_table, time_views
from sernb.results.result import Result
from sernb.results.summary import describe_best, describe_result
from sernb.results.tables import corpora_table, views_table
from sernb.studies.examples import RATE, Sound

__all__ = [
    "areas_table",
    "conclusions",
    "corpora_table",
    "error_recordings",
    "errors_table",
    "explain",
    "explanation_sounds",
    "headline",
    "name",
    "plot_errors",
    "plot_explanations",
    "plot_groups",
    "plot_predictions",
    "plot_reliability",
    "plot_top3",
    "plot_two_classes",
    "time_views",
    "views_table",
]

PLAYED = 0.25, 0.1  # shares of the most important cells


def headline(results: Sequence[Result], chosen: Result) -> list[str]:
    """State the best result, the one shown in detail, and its most frequent confusion, in sentences."""
    confusion = chosen.metrics().confusion
    errors = confusion - np.diag(np.diag(confusion))
    row, column = np.unravel_index(errors.argmax(), errors.shape)
    best, detail = describe_best(results), f"{describe_result(chosen)}."
    sentences = [best] if best.endswith(detail) else [best, f"In detail: {detail}"]
    return [
        *sentences,
        f"Most frequent confusion of {chosen.system.name}: {chosen.classes[row]} predicted as "
        f"{chosen.classes[column]}, {errors[row, column]} of {confusion[row].sum()} clips.",
    ]


def conclusions(chosen: Result) -> list[str]:
    """Return the range over speakers, the top-3 accuracy and the confident errors of one result, in sentences."""
    metrics, scores = chosen.metrics(), chosen.scores()
    speakers = [100 * each.value for each in analysis.score_groups(chosen, "speaker").values()]
    wrong = scores.argmax(axis=1) != chosen.truth
    confident = (scores.max(axis=1) > 0.5) & wrong
    spread = f"UAR by speaker ranges from {min(speakers):.1f} to {max(speakers):.1f} %; " if speakers else ""
    return [
        f"{name(chosen)}: {spread}top-3 accuracy {metrics.top3.as_percent()}, chance level (constant ranking) "
        f"{100 * metrics.top3_floor:.1f} %.",
        f"{confident.sum()} of its {wrong.sum()} errors have a score above one half.",
    ]


def plot_groups(result: Result) -> Iterator[figures.Drawing]:
    """Plot UAR by gender, intensity and speaker, where the corpus has these labels."""
    for column in ("gender", "intensity", "speaker"):
        if groups := analysis.score_groups(result, column):
            title, chance = f"By {column}: {name(result)}", result.metrics().uar_floor
            yield figures.values_with_intervals(groups, title, "UAR (%)", floor=chance)


def name(result: Result) -> str:
    """Return system and protocol, for titles."""
    return f"{result.system.name}, {result.heading}"


def plot_top3(results: Sequence[Result]) -> Iterator[figures.Drawing]:
    """Plot top-3 accuracy of the systems that use audio, with the highest chance level."""
    using = [result for result in results if result.system.features]
    if rows := {name(result): result.metrics().top3 for result in using}:
        chance = max(result.metrics().top3_floor for result in using)
        yield figures.values_with_intervals(rows, "Top-3, and the highest chance level", "top-3 (%)", floor=chance)


def plot_reliability(result: Result) -> figures.Drawing:
    """Plot the reliability diagram of a result, before and, if possible, after temperature scaling."""
    scores = {"as predicted": result.scores()}
    if calibrated := analysis.calibrate(result):
        scores["after temperature"] = calibrated.scores
    curves = {label: evaluation.reliability(result.truth, each) for label, each in scores.items()}
    errors = {label: evaluation.calibration_error(result.truth, each) for label, each in scores.items()}
    return figures.reliability(curves, errors, name(result))


# -- Single clips -- #


def errors_table(result: Result) -> pd.DataFrame:
    """Return the most confident errors, formatted for display."""
    wrong = analysis.most_confident_errors(result)
    return wrong.assign(score=[f"{100 * value:.1f} %" for value in wrong.score]).rename(columns=str.capitalize)


def error_recordings(result: Result, pool: Pool, data: str | Path | None = None) -> list[tuple[str, Sound]]:
    """Return title and sound of the most confident errors whose recordings are available."""
    errors = analysis.most_confident_errors(result)
    files = find_recordings(pool, errors["clip"], data)
    recordings = []
    for row in (row for row in errors.itertuples() if row.clip in files):
        caption = f"{1 + row.Index}. {row.clip}: {row.truth}, predicted {row.prediction}"
        title = f"{1 + row.Index}. {row.truth},\npredicted {row.prediction}"
        recordings.append((title, (load(files[row.clip], RATE), RATE, caption)))
    return recordings


def plot_errors(recordings: Sequence[tuple[str, Sound]]) -> Iterator[figures.Drawing]:
    """Plot the log-mel spectrograms of :func:`error_recordings`; nothing without recordings."""
    if pictures := {title: LogMel()(signal) for title, (signal, _, _) in recordings}:
        yield figures.spectrograms(pictures, LogMel(), "The most confident errors, in the order of the table")


def plot_predictions(result: Result, sampled: pd.DataFrame) -> figures.Drawing:
    """Plot the scores of some clips; ``sampled`` as of :func:`sernb.results.analysis.sample_clips`."""
    scores = analysis.clip_scores(result, sampled["clip"])
    return figures.predictions(scores, sampled.truth.tolist(), name(result))


def plot_two_classes(result: Result) -> Iterator[figures.Drawing]:
    """Plot the confusion matrices of binary auxiliary tasks, such as gender."""
    for task, (metrics, classes) in analysis.score_binary_tasks(result).items():
        yield figures.confusion(metrics, classes, task)


# -- Occlusion -- #


def explain(
    result: Result, results: Sequence[Result], *, clips: int, seed: int = 0, data: str = ""
) -> tuple[occlusion.RebuiltNetwork | None, list[occlusion.Explanation]]:
    """Explain predictions of a result's network, or else of the best network under the same protocol.

    Returns:
        the network and the explained clips; None and nothing, with the reasons printed, if no network can be rebuilt
    """
    same_protocol = [each for each in results if each.protocol == result.protocol]
    try:
        network = occlusion.rebuild_best_network([result] if result.system.is_network else same_protocol, data)
        explained = occlusion.explain(network, clips=clips, data=data, seed=seed)
    except DataError as error:
        print(error)
        return None, []
    print(network.experiment)
    return network, explained


def plot_explanations(explained: Sequence[occlusion.Explanation]) -> Iterator[figures.Drawing]:
    """Plot deletion and insertion curves, and the occlusion maps of the first two clips."""
    if explained:
        yield figures.deletion_and_insertion(explained, "Deletion and insertion of cells")
        yield figures.occlusion_maps(explained[:2], "Drop in score without each cell")


def explanation_sounds(explained: Sequence[occlusion.Explanation]) -> Iterator[Sound]:
    """Yield the first two clips in full, and their most important cells only, to play."""
    for each in explained[:2]:
        rate, caption = each.cut.sampling_rate, f"{each.clip}, {each.truth} predicted {each.prediction}"
        yield each.cut.signal, rate, f"{caption}: the full clip"
        for share in PLAYED:
            yield each.most_important(share), rate, f"{caption}: the most important {100 * share:.0f} % of the cells"
