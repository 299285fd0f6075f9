"""Speakers: how results spread over them."""

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
    """List the speaker-independent experiments of some systems; options as of :func:`sernb.runs.planning.plan`.

    Args:
        systems: names; empty: ``SHOWN``, a published system and one of ours that take seconds
    """
    return plan(systems or SHOWN, corpus, ["speaker-independent"], **options)


def read_results(experiments: Sequence[Experiment]) -> list[Result]:
    """Return the results of the systems that use audio.

    Raises:
        DataError: if an experiment has not been run
    """
    return [result for result in collect_results(experiments) if result.system.features]


def score_speakers(result: Result) -> pd.DataFrame:
    """Return speaker, gender, UAR, WAR and clips, one row a test speaker, the best recognised first."""
    found = per_group(result.truth, result.scores(), result.clips.speaker.to_numpy())
    found = found.rename(columns={"group": "speaker"})
    found.insert(1, "gender", found.speaker.map(result.clips.groupby("speaker").gender.first()))
    return found.sort_values(["uar", "speaker"], ascending=[False, True], ignore_index=True)


def summarise_spread(found: pd.DataFrame) -> dict[str, float]:
    """Return how WAR varies between speakers: standard deviations, as shares.

    ``observed`` is the sample deviation; ``by clips`` what so few clips of each would show if all speakers were
    alike, the root of the mean of p (1 - p) / (n - 1) over those with two or more; ``between`` is what is left, 0 if
    nothing is. NaN where there are too few speakers or clips to tell.

    Args:
        found: of :func:`score_speakers`
    """
    observed = found.war.var(ddof=1)
    several = found[found.clips > 1]
    by_clips = (several.war * (1 - several.war) / (several.clips - 1)).mean()
    return {
        "observed": float(np.sqrt(observed)),
        "by clips": float(np.sqrt(by_clips)),
        "between": float(np.sqrt(np.maximum(observed - by_clips, 0))),
    }


def spread_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return the spread of each system for reading, one column a system: per cent and points."""
    rows = []
    for result in results:
        found = score_speakers(result)
        deviation = summarise_spread(found)
        means = found.groupby("gender").war.mean()
        rows.append(
            {
                "System": result.system.name,
                "WAR, mean of speakers": f"{100 * found.war.mean():.1f}",
                "worst": f"{100 * found.war.min():.1f}",
                "best": f"{100 * found.war.max():.1f}",
                **{f"mean {gender}": f"{100 * mean:.1f}" for gender, mean in means.items()},
                "s.d. (points)": _points(deviation["observed"]),
                "by few clips": _points(deviation["by clips"]),
                "between speakers": _points(deviation["between"]),
                "WAR chance level": f"{100 * result.metrics().war_floor:.1f}",
                "Speakers": len(found),
                "Clips": len(result.clips),
            }
        )
    return pd.DataFrame(rows).set_index("System").T.rename_axis("", axis="index")


def _points(deviation: float) -> str:
    return "–" if np.isnan(deviation) else f"{100 * deviation:.1f}"


def answer(results: Sequence[Result]) -> list[str]:
    """Return for whom each system works best and worst, and on what."""
    said = []
    for result in results:
        found = score_speakers(result)
        best, worst = found.iloc[0], found.iloc[-1]
        said.append(
            f"{describe_result(result)}; by speaker from {100 * worst.uar:.1f} % ({worst.speaker}, {worst.clips} clips)"
            f" to {100 * best.uar:.1f} % ({best.speaker})."
        )
    return said or ["No system was measured."]


def conclusions(results: Sequence[Result]) -> list[str]:
    """Return what was found, in sentences."""
    said = []
    for result in results:
        deviation = {name: _points(value) for name, value in summarise_spread(score_speakers(result)).items()}
        if "–" in deviation.values():
            said.append(f"{result.system.name}: too few speakers or clips of each to tell how speakers differ.")
            continue
        said.append(
            f"{result.system.name}: WAR of the test speakers has a standard deviation of {deviation['observed']} "
            f"points; if all were alike, so few clips of each would show {deviation['by clips']}."
        )
    return said
