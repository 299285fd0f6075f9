"""Speakers: the spread of results over test speakers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sernb.evaluation import per_group
from sernb.results.result import Result, collect_results
from sernb.results.summary import describe_result
from sernb.runs.experiment import Experiment, Plan
from sernb.runs.planning import plan

SHOWN = ("statistics-svm", "functionals-ridge")


def plan_systems(systems: Sequence[str], corpus: str, **options: object) -> Plan:
    """List the speaker-independent experiments of some systems; options as in :func:`sernb.runs.planning.plan`.

    Args:
        systems: names; empty: ``SHOWN``, a published system and one of ours, both fast
    """
    return plan(systems or SHOWN, corpus, ["speaker-independent"], **options)


def read_results(experiments: Sequence[Experiment]) -> list[Result]:
    """Return the results of the systems that use audio.

    Raises:
        DataError: if an experiment has not been run
    """
    return [result for result in collect_results(experiments) if result.system.features]


def score_speakers(result: Result) -> pd.DataFrame:
    """Return speaker, gender, UAR, WAR and clips of each test speaker, in descending order of UAR."""
    scores = per_group(result.truth, result.scores(), result.clips.speaker.to_numpy())
    scores = scores.rename(columns={"group": "speaker"})
    scores.insert(1, "gender", scores.speaker.map(result.clips.groupby("speaker").gender.first()))
    return scores.sort_values(["uar", "speaker"], ascending=[False, True], ignore_index=True)


def summarise_spread(scores: pd.DataFrame) -> dict[str, float]:
    """Return standard deviations of WAR over speakers, as shares: observed, by clips and between.

    ``observed`` is the sample standard deviation. ``by clips`` is the deviation expected from the limited number of
    clips if all speakers were alike: the root mean of p (1 - p) / (n - 1) over speakers with two or more clips.
    ``between`` is the remaining deviation, at least 0. NaN if there are too few speakers or clips.

    Args:
        scores: of :func:`score_speakers`
    """
    observed = scores.war.var(ddof=1)
    several = scores[scores.clips > 1]
    by_clips = (several.war * (1 - several.war) / (several.clips - 1)).mean()
    return {
        "observed": float(np.sqrt(observed)),
        "by clips": float(np.sqrt(by_clips)),
        "between": float(np.sqrt(np.maximum(observed - by_clips, 0))),
    }


def spread_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return the spread formatted for display, one column per system: per cent and points."""
    rows = []
    for result in results:
        scores = score_speakers(result)
        deviation = summarise_spread(scores)
        means = scores.groupby("gender").war.mean()
        rows.append(
            {
                "System": result.system.name,
                "WAR, mean over speakers": f"{100 * scores.war.mean():.1f}",
                "worst": f"{100 * scores.war.min():.1f}",
                "best": f"{100 * scores.war.max():.1f}",
                **{f"mean {gender}": f"{100 * mean:.1f}" for gender, mean in means.items()},
                "s.d. (points)": _points(deviation["observed"]),
                "due to few clips": _points(deviation["by clips"]),
                "between speakers": _points(deviation["between"]),
                "WAR chance level": f"{100 * result.metrics().war_floor:.1f}",
                "Speakers": len(scores),
                "Clips": len(result.clips),
            }
        )
    return pd.DataFrame(rows).set_index("System").T.rename_axis("", axis="index")


def _points(deviation: float) -> str:
    return "–" if np.isnan(deviation) else f"{100 * deviation:.1f}"


def headline(results: Sequence[Result]) -> list[str]:
    """State the score of each system, with its best and its worst speaker, in sentences."""
    sentences = []
    for result in results:
        scores = score_speakers(result)
        best, worst = scores.iloc[0], scores.iloc[-1]
        sentences.append(
            f"{describe_result(result)}; by speaker from {100 * worst.uar:.1f} % ({worst.speaker}, {worst.clips} clips)"
            f" to {100 * best.uar:.1f} % ({best.speaker})."
        )
    return sentences or ["No system was measured."]


def conclusions(results: Sequence[Result]) -> list[str]:
    """Compare the observed spread over speakers with the spread due to few clips, in sentences."""
    sentences = []
    for result in results:
        deviation = {name: _points(value) for name, value in summarise_spread(score_speakers(result)).items()}
        if "–" in deviation.values():
            sentences.append(f"{result.system.name}: too few speakers, or clips per speaker, to measure the spread.")
            continue
        sentences.append(
            f"{result.system.name}: WAR of the test speakers has a standard deviation of {deviation['observed']} "
            f"points; the limited number of clips alone would cause {deviation['by clips']} points."
        )
    return sentences
