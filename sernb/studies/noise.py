"""Noise: the stress test of a system, trained on clean and on noisy clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio import load
from sernb.augment import view_of
from sernb.evaluation import gain, uar
from sernb.experiment import Experiment, plan
from sernb.pools import Pool
from sernb.results import Result
from sernb.stress import TRAINED_ON, Condition, signal_to_noise
from sernb.studies import difference_in_words, shown

PROTOCOL = "speaker-independent"
CLEAN, NOISY = "trained as published", "trained with noisy copies"


def plan_arms(
    system: str,
    corpus: str,
    tried: Sequence[Condition],
    *,
    profile: str,
    seed: int = 0,
    data: str | Path | None = None,
) -> dict[str, list[Experiment]]:
    """List the experiments by how they are trained; each is tested under every condition."""
    views = [condition.view for condition in tried]
    given = {"profile": profile, "seeds": [seed], "views": views, "data": data}
    return {
        CLEAN: plan([system], corpus, [PROTOCOL], **given),
        NOISY: plan([system], corpus, [PROTOCOL], training_views=[TRAINED_ON], **given),
    }


def stressed(arms: Mapping[str, Result], tried: Sequence[Condition]) -> pd.DataFrame:
    """Return one row an arm and condition, the recordings as they are first (kind ``clean``).

    Returns:
        columns trained, condition, kind, strength, uar and change against the clean clips (intervals), floor, clips
    """
    rows = []
    for name, result in arms.items():
        clean = result.answers()
        about = {"trained": name, "floor": result.metrics().uar_floor, "clips": len(result.clips)}
        rows.append(about | {"condition": "clean", "kind": "clean", "strength": np.inf, "uar": result.metrics().uar})
        for condition in tried:
            view = condition.view.name
            rows.append(
                about
                | {
                    "condition": str(condition),
                    "kind": condition.kind,
                    "strength": condition.strength,
                    "uar": result.metrics(view).uar,
                    "change": gain(uar, clean, result.answers(result.scores(view)), seed=result.seed),
                }
            )
    return pd.DataFrame(rows)


def stress_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the conditions for reading, the two trainings side by side; per cent, changes in points."""
    rows = []
    for condition, part in found.groupby("condition", sort=False):
        row = {"Condition": condition}
        for each in part.itertuples():
            row |= {f"UAR, {each.trained}": str(each.uar), f"Change, {each.trained}": _text(each.change)}
        rows.append(row)
    return pd.DataFrame(rows)


def _text(change: object) -> str:
    return "–" if isinstance(change, float) else str(change)


def learned(arms: Mapping[str, Result], found: pd.DataFrame) -> list[str]:
    """Return what was found, in sentences."""
    said = []
    for name, part in found[found.kind != "clean"].groupby("trained", sort=False):
        worse = part[[shown(change) and change.value < 0 for change in part.change]]
        worst = min(part.itertuples(), key=lambda row: row.change.value)
        said.append(
            f"{name[0].upper()}{name[1:]}: under {len(worse)} of {len(part)} conditions the interval of the change is "
            f"below 0; UAR falls most under {worst.condition}, to {worst.uar} % (floor {100 * worst.floor:.1f} %)."
        )
    clean, noisy = arms[CLEAN], arms[NOISY]
    for view, condition in _views(found, clean).items():
        difference = gain(uar, clean.answers(clean.scores(view)), noisy.answers(noisy.scores(view)), seed=clean.seed)
        said.append(difference_in_words(f"Noisy copies in training, tested under {condition}", difference))
    return said


def _views(found: pd.DataFrame, result: Result) -> dict[str, str]:
    """Clean clips, and of each kind of condition the first strength."""
    first = found[found.kind != "clean"].drop_duplicates("condition").groupby("kind", sort=False).condition.first()
    names = dict(zip(found[found.kind != "clean"].condition.drop_duplicates(), result.views[1:], strict=True))
    return {"original": "clean clips"} | {names[condition]: condition for condition in first}


def measured_ratios(pool: Pool, condition: Condition, emotion: str, data: str | Path | None = None) -> np.ndarray:
    """Return the signal-to-noise ratio of each clip of an emotion under a condition that adds noise, in dB."""
    files, rate = pool.files(data), 22_050
    clips = pool.index["clip"][pool.index.emotion == emotion]
    signals = {clip: load(files[clip], rate) for clip in clips}
    return np.array([signal_to_noise(sig, view_of(clip, condition.view, sig, rate)) for clip, sig in signals.items()])
