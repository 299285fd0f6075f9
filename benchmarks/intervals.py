"""Measure the coverage of our 95 % confidence intervals with few speakers, in a simulation of WAR.

``python -m benchmarks.intervals`` samples speakers whose accuracies are normally distributed around 60 % with a
standard deviation of 10 points, and 60 clips per speaker, correct with this probability. The true value is the mean
accuracy of the population of speakers, which a score on unseen speakers estimates. The intervals are bootstrap
intervals of :mod:`sernb.evaluation.intervals`, over speakers and over clips. Coverage in per cent, with seed 0 and 500
trials of 500 resamples (some minutes on one core):

    speakers  over speakers  over clips
           2             54          73
           3             75          69
           4             79          68
           5             83          72
          10             90          71
          24             93          72

With fewer than five speakers (``FEWEST_SPEAKERS``) neither is a 95 % interval. Intervals over clips are marked
"(clips)": they show how the score would vary with other clips of the same speakers.
"""

import argparse

import numpy as np

from sernb.evaluation import war
from sernb.evaluation.intervals import LEVEL, Predictions, copies_of, draw_resamples

SPEAKERS = (2, 3, 4, 5, 10, 24)
CLIPS, COPIES, SKILL, SPREAD = 60, 500, 0.6, 0.1


def measure_coverage(speakers: int, unit: str, trials: int, seed: int) -> float:
    """Return the share of trials whose interval contains the true value.

    Args:
        unit: resampled units, ``speakers`` or ``clips``
    """
    rng, hits = np.random.default_rng([seed, speakers]), 0
    names = np.repeat(np.arange(speakers), CLIPS)
    groups = names if unit == "speakers" else np.arange(len(names))
    for trial in range(trials):
        skill = np.clip(rng.normal(SKILL, SPREAD, speakers), 0, 1)
        right = rng.random(len(names)) < skill[names]
        predictions = Predictions(np.zeros(len(names), int), np.eye(2)[(~right).astype(int)], names)
        copies = copies_of(war, predictions, groups, draw_resamples(groups, COPIES, trial))
        low, high = np.percentile(copies, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        hits += low <= SKILL <= high
    return hits / trials


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intervals", description="Coverage of our intervals.")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("speakers  over speakers  over clips")
    for speakers in SPEAKERS:
        over_speakers, over_clips = (
            100 * measure_coverage(speakers, unit, options.trials, options.seed) for unit in ("speakers", "clips")
        )
        print(f"{speakers:8d}  {over_speakers:13.0f}  {over_clips:10.0f}", flush=True)


if __name__ == "__main__":
    main()
