"""Leaks: what each is worth, as the same system under the clean protocol and under one that has the leak."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, Noise
from sernb.config import Infeasible
from sernb.evaluation import Comparison, Interval, format_p, holm, paired_test, uar, unpaired_difference
from sernb.protocols.protocol import PROTOCOLS
from sernb.results.protocol_cards import SHARED
from sernb.results.result import Result
from sernb.results.summary import describe_result
from sernb.runs.experiment import Plan
from sernb.runs.planning import plan
from sernb.studies.differences import Variants, describe_difference, predictions_for, rows_by_clip

CLEAN = "speaker-independent"
COPY = Noise()  # of which copies are made, before or after the split


@dataclass(frozen=True)
class Leak:
    """One leak: the variant that has it, and the variant that differs from it in nothing else."""

    name: str
    leaky: str
    clean: str


LEAKS = (
    Leak("repeated take of the same utterance in training", "random", "random-twins-apart"),
    Leak("same speaker in training", "random-twins-apart", CLEAN),
    Leak("both, as in random folds", "random", CLEAN),
    Leak("statistics fitted on all clips", "leaky-statistics", CLEAN),
    Leak("copies made before the split", "leaky-augmentation, with copies", f"{CLEAN}, with copies"),
)


def plan_variants(system: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None) -> Variants:
    """List the experiments of a system by protocol, all folds of each: what is compared are the same test clips.

    Raises:
        Infeasible: if no leak can be measured
    """

    def every_fold(protocol: str, **options: object) -> Plan:
        given = {"seeds": [seed], "views": [ORIGINAL], "data": data, **options}
        folds = plan([system], corpus, [protocol], **given)[0].folds
        return plan([system], corpus, [protocol], profile=profile, folds=range(folds), **given)

    wanted = {protocol: (protocol, {}) for protocol in (CLEAN, "random", "random-twins-apart", "leaky-statistics")}
    copied = {"training_views": [COPY]}
    wanted |= {f"{protocol}, with copies": (protocol, copied) for protocol in (CLEAN, "leaky-augmentation")}
    variants = _feasible({name: partial(every_fold, protocol, **more) for name, (protocol, more) in wanted.items()})
    if not any(leak.leaky in variants and leak.clean in variants for leak in LEAKS):
        raise Infeasible(*variants.left_out)
    return variants


def _feasible(planned: Mapping[str, Callable[[], Plan]]) -> Variants:
    variants, left_out = Variants(), []
    for name, of_arm in planned.items():
        try:
            variants[name] = of_arm()
            left_out += variants[name].left_out
        except Infeasible as error:
            left_out += error.args
    variants.left_out = tuple(dict.fromkeys(left_out))
    return variants


def leak_effect(clean: Result, leaky: Result) -> Comparison | Interval:
    """Return by how much a leak raises UAR: a paired test where both tested the same clips, else an interval."""
    if set(rows_by_clip(clean)) == set(rows_by_clip(leaky)):
        clips = list(rows_by_clip(clean))
        return paired_test(uar, predictions_for(clean, clips), predictions_for(leaky, clips))
    return unpaired_difference(uar, clean.answers(), leaky.answers(), seed=clean.seed)


def leak_effects(variants: Mapping[str, Result]) -> dict[str, Comparison | Interval]:
    """Return what each leak is worth to a system, of those that were measured."""
    there = [leak for leak in LEAKS if leak.clean in variants and leak.leaky in variants]
    return {leak.name: leak_effect(variants[leak.clean], variants[leak.leaky]) for leak in there}


def difference_of(found: Comparison | Interval) -> Interval:
    """Return the difference, however it was tested."""
    return found.difference if isinstance(found, Comparison) else found


def _corrected(found: Mapping[str, Comparison | Interval]) -> dict[str, float]:
    """Return the p values of the paired tests among them, corrected by Holm's method."""
    tested = {name: each.p for name, each in found.items() if isinstance(each, Comparison)}
    return dict(zip(tested, holm(list(tested.values())).tolist(), strict=True)) if tested else {}


def leak_effects_table(variants: Mapping[str, Result], found: Mapping[str, Comparison | Interval]) -> pd.DataFrame:
    """Return what each leak is worth for reading; p corrected by Holm's method for the paired tests."""
    corrected = _corrected(found)
    rows = []
    for leak in (leak for leak in LEAKS if leak.name in found):
        leaky, clean = variants[leak.leaky], variants[leak.clean]
        rows.append(
            {
                "Leak": leak.name,
                "Effect (points)": str(difference_of(found[leak.name])),
                "p after Holm": format_p(corrected[leak.name]) if leak.name in corrected else "–",
                "UAR with it": str(leaky.metrics().uar),
                "UAR without": str(clean.metrics().uar),
                "Training clips": f"{training_clips(leaky)} / {training_clips(clean)}",
                "Test clips": f"{len(leaky.clips)} / {len(clean.clips)}",
                "Protocols": f"{leak.leaky} / {leak.clean}",
            }
        )
    return pd.DataFrame(rows)


def training_clips(result: Result) -> int:
    """Return how many recordings a fold learns from on average, copies not counted.

    A system that chooses no epoch learns from the validation clips, too, where speakers are kept apart.
    """
    joined = not result.system.chooses_epoch and not PROTOCOLS[result.protocol].shares_speakers
    return round(np.mean([len(each.fold.train) + joined * len(each.fold.validation) for each in result.experiments]))


def counts_table(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return what the audit counted: test clips that share something with training, by protocol, of how many."""
    rows = []
    for name, result in variants.items():
        row = {"Protocol": name, "Test clips": len(result.clips)} | dict.fromkeys(SHARED.values(), 0)
        for run in result.runs:
            for kind, count in run.metrics["shared by design"].items():
                row[SHARED[kind]] += count
        rows.append(row)
    table = pd.DataFrame(rows)
    shares = table.drop(columns=["Protocol", "Test clips"]).columns
    return table.drop(columns=[name for name in shares if not table[name].any()])


# -- Which epoch -- #

CHOSEN, BEST = "chosen on validation speakers", "best on the test part"
LAST = "last epoch"


def plan_epochs(network: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None) -> Variants:
    """List the trainings of a network watched on validation speakers, and again on the test part.

    Whatever watches does not touch the training: both go through the same weights, epoch by epoch. Without a network,
    or where the recordings do not allow it, there are none.
    """
    protocols = {CHOSEN: CLEAN, BEST: "leaky-choice"} if network else {}
    given = {"profile": profile, "seeds": [seed], "data": data}
    variants = _feasible({name: partial(plan, [network], corpus, [each], **given) for name, each in protocols.items()})
    if len(variants) < len(protocols):
        variants.clear()
    return variants


def epochs(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return accuracy by fold and epoch: fold, epoch, loss, validation (NaN without a validation part), test.

    Raises:
        ValueError: if the two trainings differ, so that their epochs cannot be compared
    """
    tables = []
    for ours, theirs in zip(variants[CHOSEN].runs, variants[BEST].runs, strict=True):
        watched, leaky = ours.history, theirs.history
        if len(watched) != len(leaky) or not np.allclose(watched.loss, leaky.loss, rtol=1e-5):
            fold = ours.config["fold"]
            raise ValueError(f"fold {fold}: the two trainings differ; take a system that watches nothing but epochs")
        validation = watched.get("validation_accuracy", pd.Series(np.nan, watched.index))
        tables.append(
            pd.DataFrame(
                {
                    "fold": ours.config["fold"],
                    "epoch": watched.epoch,
                    "loss": watched.loss,
                    "validation": validation,
                    "test": leaky.validation_accuracy,
                    "clips": theirs.metrics["clips"],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def selection_effects(found: pd.DataFrame) -> pd.DataFrame:
    """Return the epoch and the test accuracy of each way of choosing, by fold: fold, clips, choice, epoch, war."""
    rows = []
    for fold, part in found.groupby("fold"):
        last = part.index[-1]
        chosen = {
            LAST: last,
            CHOSEN: part.validation.idxmax() if part.validation.notna().any() else last,
            BEST: part.test.idxmax(),
        }
        for choice, row in chosen.items():
            about = {"fold": fold, "clips": part.clips.iloc[0], "choice": choice}
            rows.append(about | {"epoch": int(part.epoch[row]), "war": float(part.test[row])})
    return pd.DataFrame(rows)


def selection_effects_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return WAR by way of choosing, over all folds and for each; per cent."""
    rows = []
    for choice, part in found.groupby("choice", sort=False):
        folds = {f"Fold {row.fold + 1} (epoch)": f"{100 * row.war:.1f} ({row.epoch})" for row in part.itertuples()}
        rows.append({"Epoch": choice, "WAR": f"{100 * np.average(part.war, weights=part.clips):.1f}"} | folds)
    return pd.DataFrame(rows)


def answer(variants: Mapping[str, Result], found: Mapping[str, Comparison | Interval]) -> list[str]:
    """Return which leak is worth most, and what the system reaches without any."""
    sentences = conclusions(found)
    if not found:
        return ["No leak could be measured."]
    largest = max(range(len(found)), key=lambda row: difference_of(list(found.values())[row]).value)
    clean = [f"Without any leak: {describe_result(variants[CLEAN])}."] if CLEAN in variants else []
    return [f"Of {len(found)} leaks the largest effect: {_lower(sentences[largest])}", *clean]


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def conclusions(found: Mapping[str, Comparison | Interval], choice: Comparison | Interval | None = None) -> list[str]:
    """Return what was found, in sentences."""
    corrected = _corrected(found)
    said = [
        describe_difference(f"{name[0].upper()}{name[1:]}", difference_of(each), corrected.get(name))
        for name, each in found.items()
    ]
    return [*said, describe_difference("Best epoch on the test part", difference_of(choice))] if choice else said
