"""Speakers: how results spread over them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sernb.evaluation import per_group
from sernb.results import Result


def by_speaker(result: Result) -> pd.DataFrame:
    """Return speaker, gender, UAR, WAR and clips, one row a test speaker, the best recognised first."""
    found = per_group(result.truth, result.scores(), result.clips.speaker.to_numpy())
    found = found.rename(columns={"group": "speaker"})
    found.insert(1, "gender", found.speaker.map(result.clips.groupby("speaker").gender.first()))
    return found.sort_values(["uar", "speaker"], ascending=[False, True], ignore_index=True)


def spread(found: pd.DataFrame) -> dict[str, float]:
    """Return how WAR varies between speakers: standard deviations, as shares.

    ``observed`` is the sample deviation; ``by clips`` what so few clips of each would show if all speakers were
    alike, the root of the mean of p (1 - p) / (n - 1); ``between`` is what is left, 0 if nothing is.

    Args:
        found: of :func:`by_speaker`
    """
    observed = found.war.var(ddof=1)
    by_clips = (found.war * (1 - found.war) / (found.clips - 1)).mean()
    return {
        "observed": float(np.sqrt(observed)),
        "by clips": float(np.sqrt(by_clips)),
        "between": float(np.sqrt(max(observed - by_clips, 0))),
    }


def spread_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return the spread of each system for reading: per cent and points."""
    rows = []
    for result in results:
        found = by_speaker(result)
        deviation = spread(found)
        means = found.groupby("gender").war.mean()
        rows.append(
            {
                "System": result.system.name,
                "WAR, mean of speakers": f"{100 * found.war.mean():.1f}",
                "worst": f"{100 * found.war.min():.1f}",
                "best": f"{100 * found.war.max():.1f}",
                **{f"mean {gender}": f"{100 * mean:.1f}" for gender, mean in means.items()},
                "s.d. (points)": f"{100 * deviation['observed']:.1f}",
                "by few clips": f"{100 * deviation['by clips']:.1f}",
                "between speakers": f"{100 * deviation['between']:.1f}",
                "WAR floor": f"{100 * result.metrics().war_floor:.1f}",
                "Speakers": len(found),
                "Clips": len(result.clips),
            }
        )
    return pd.DataFrame(rows)


def learned(results: Sequence[Result]) -> list[str]:
    """Return what was found, in sentences."""
    said = []
    for result in results:
        deviation = {name: f"{100 * value:.1f}" for name, value in spread(by_speaker(result)).items()}
        said.append(
            f"{result.system.name}: WAR of the test speakers has a standard deviation of {deviation['observed']} "
            f"points; if all were alike, so few clips of each would show {deviation['by clips']}."
        )
    return said
