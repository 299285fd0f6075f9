"""How often do our 95 % intervals hold the truth, when there are few speakers? A simulation of WAR.

``python -m benchmarks.intervals`` draws speakers whose skill is normally distributed around 60 % with a standard
deviation of 10 points, and 60 clips of each, right or wrong by that skill. The truth is the mean skill of all speakers
that could have been drawn, which is what a score on speakers never seen before is meant to estimate. Intervals are
those of :func:`sernb.evaluation.bootstrap_interval`, over speakers and over clips. Seed 0, 500 trials of 500 copies,
some minutes of one core; per cent of trials whose interval holds the truth:

    speakers  over speakers  over clips
           2             54          73
           3             75          69
           4             79          68
           5             83          72
          10             90          71
          24             93          72

With fewer than five speakers (``FEWEST_SPEAKERS``) neither is a 95 % interval. Those over clips are printed with
"(clips)" beside them: they tell how the score would vary with other clips of the same speakers.
"""

import argparse

import numpy as np

from sernb.evaluation import war
from sernb.evaluation.intervals import LEVEL, Predictions, copies_of, draw_resamples

SPEAKERS = (2, 3, 4, 5, 10, 24)
CLIPS, COPIES, SKILL, SPREAD = 60, 500, 0.6, 0.1


def held(speakers: int, unit: str, trials: int, seed: int) -> float:
    """Return in which share of the trials the interval holds the truth.

    Args:
        unit: what is resampled, ``speakers`` or ``clips``
    """
    rng, hits = np.random.default_rng([seed, speakers]), 0
    names = np.repeat(np.arange(speakers), CLIPS)
    groups = names if unit == "speakers" else np.arange(len(names))
    for trial in range(trials):
        skill = np.clip(rng.normal(SKILL, SPREAD, speakers), 0, 1)
        right = rng.random(len(names)) < skill[names]
        answers = Predictions(np.zeros(len(names), int), np.eye(2)[(~right).astype(int)], names)
        copies = copies_of(war, answers, groups, draw_resamples(groups, COPIES, trial))
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
        found = [100 * held(speakers, unit, options.trials, options.seed) for unit in ("speakers", "clips")]
        print(f"{speakers:8d}  {found[0]:13.0f}  {found[1]:10.0f}", flush=True)


if __name__ == "__main__":
    main()
