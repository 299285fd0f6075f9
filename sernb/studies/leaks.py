"""Effect of leaks: the same system under a clean protocol and under one with a leak."""

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
COPY = Noise()  # augmented copies, made before or after the split


@dataclass(frozen=True)
class Leak:
    """A leak: the variant with it, and the variant that is identical except for the leak."""

    name: str
    leaky: str
    clean: str


LEAKS = (
    Leak("repeated take of the same utterance in training", "random", "random-twins-apart"),
    Leak("same speaker in training", "random-twins-apart", CLEAN),
    Leak("both, as in random folds", "random", CLEAN),
    Leak("normalisation statistics fitted on all clips", "leaky-statistics", CLEAN),
    Leak("augmented copies made before the split", "leaky-augmentation, with copies", f"{CLEAN}, with copies"),
)


def plan_variants(system: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None) -> Variants:
    """List the experiments of a system by protocol, with all folds, so that the test clips are the same.

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
    for name, plan_variant in planned.items():
        try:
            variants[name] = plan_variant()
            left_out += variants[name].left_out
        except Infeasible as error:
            left_out += error.args
    variants.left_out = tuple(dict.fromkeys(left_out))
    return variants


def leak_effect(clean: Result, leaky: Result) -> Comparison | Interval:
    """Return the UAR with a leak minus that without: a paired test on the same clips, otherwise an interval."""
    if set(rows_by_clip(clean)) == set(rows_by_clip(leaky)):
        clips = list(rows_by_clip(clean))
        return paired_test(uar, predictions_for(clean, clips), predictions_for(leaky, clips))
    return unpaired_difference(uar, clean.to_predictions(), leaky.to_predictions(), seed=clean.seed)


def leak_effects(variants: Mapping[str, Result]) -> dict[str, Comparison | Interval]:
    """Return the effect of each leak that was measured."""
    measured = [leak for leak in LEAKS if leak.clean in variants and leak.leaky in variants]
    return {leak.name: leak_effect(variants[leak.clean], variants[leak.leaky]) for leak in measured}


def get_difference(effect: Comparison | Interval) -> Interval:
    """Return the difference, paired or not."""
    return effect.difference if isinstance(effect, Comparison) else effect


def _correct(effects: Mapping[str, Comparison | Interval]) -> dict[str, float]:
    """Return the p values of the paired tests, corrected by Holm's method."""
    p = {name: each.p for name, each in effects.items() if isinstance(each, Comparison)}
    return dict(zip(p, holm(list(p.values())).tolist(), strict=True)) if p else {}


def leak_effects_table(variants: Mapping[str, Result], effects: Mapping[str, Comparison | Interval]) -> pd.DataFrame:
    """Return the effects formatted for display, with p of the paired tests corrected by Holm's method."""
    corrected = _correct(effects)
    rows = []
    for leak in (leak for leak in LEAKS if leak.name in effects):
        leaky, clean = variants[leak.leaky], variants[leak.clean]
        rows.append(
            {
                "Leak": leak.name,
                "Effect (points)": str(get_difference(effects[leak.name])),
                "p (Holm)": format_p(corrected[leak.name]) if leak.name in corrected else "–",
                "UAR with leak": str(leaky.metrics().uar),
                "UAR without leak": str(clean.metrics().uar),
                "Training clips": f"{training_clips(leaky)} / {training_clips(clean)}",
                "Test clips": f"{len(leaky.clips)} / {len(clean.clips)}",
                "Protocols": f"{leak.leaky} / {leak.clean}",
            }
        )
    return pd.DataFrame(rows)


def training_clips(result: Result) -> int:
    """Return the mean number of training recordings per fold, without augmented copies.

    Under speaker-independent protocols, a system that selects no epoch is trained on the validation clips too.
    """
    validation = not result.system.selects_epoch and not PROTOCOLS[result.protocol].shares_speakers
    counts = [len(each.fold.train) + validation * len(each.fold.validation) for each in result.experiments]
    return round(np.mean(counts))


def counts_table(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return the audit's counts of test clips that share something with training, by protocol."""
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


# -- Selection of the epoch -- #

SELECTED, BEST = "selected on validation speakers", "best on the test part"
LAST = "last epoch"


def plan_epochs(network: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None) -> Variants:
    """List the trainings of a network monitored on validation speakers, and on the test part.

    Monitoring does not affect the training, so that both have the same weights after each epoch. Empty without a
    network, or if the recordings do not allow it.
    """
    protocols = {SELECTED: CLEAN, BEST: "leaky-choice"} if network else {}
    given = {"profile": profile, "seeds": [seed], "data": data}
    variants = _feasible({name: partial(plan, [network], corpus, [each], **given) for name, each in protocols.items()})
    if len(variants) < len(protocols):
        variants.clear()
    return variants


def accuracy_by_epoch(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return accuracy by fold and epoch: fold, epoch, loss, validation (NaN without a validation part), test, clips.

    Raises:
        ValueError: if the two trainings differ, so that their epochs cannot be compared
    """
    tables = []
    for clean, leaky in zip(variants[SELECTED].runs, variants[BEST].runs, strict=True):
        fold, history, leaky_history = clean.config["fold"], clean.history, leaky.history
        if len(history) != len(leaky_history) or not np.allclose(history.loss, leaky_history.loss, rtol=1e-5):
            raise ValueError(f"fold {fold}: the two trainings differ; choose a system that monitors epochs only")
        tables.append(
            pd.DataFrame(
                {
                    "fold": fold,
                    "epoch": history.epoch,
                    "loss": history.loss,
                    "validation": history.get("validation_accuracy", pd.Series(np.nan, history.index)),
                    "test": leaky_history.validation_accuracy,
                    "clips": leaky.metrics["clips"],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def selection_effects(history: pd.DataFrame) -> pd.DataFrame:
    """Return epoch and test accuracy by fold and selection: fold, clips, selection, epoch, war.

    Args:
        history: of :func:`accuracy_by_epoch`
    """
    rows = []
    for fold, part in history.groupby("fold"):
        last = part.index[-1]
        selected = {
            LAST: last,
            SELECTED: part.validation.idxmax() if part.validation.notna().any() else last,
            BEST: part.test.idxmax(),
        }
        for selection, row in selected.items():
            common = {"fold": fold, "clips": part.clips.iloc[0], "selection": selection}
            rows.append(common | {"epoch": int(part.epoch[row]), "war": float(part.test[row])})
    return pd.DataFrame(rows)


def selection_effects_table(selected: pd.DataFrame) -> pd.DataFrame:
    """Return WAR by selection of the epoch, over all folds and by fold; per cent."""
    rows = []
    for selection, part in selected.groupby("selection", sort=False):
        folds = {f"Fold {row.fold + 1} (epoch)": f"{100 * row.war:.1f} ({row.epoch})" for row in part.itertuples()}
        rows.append({"Epoch": selection, "WAR": f"{100 * np.average(part.war, weights=part.clips):.1f}"} | folds)
    return pd.DataFrame(rows)


def headline(variants: Mapping[str, Result], effects: Mapping[str, Comparison | Interval]) -> list[str]:
    """State the largest effect of a leak and the score without any leak, in sentences."""
    if not effects:
        return ["No leak could be measured."]
    values = [get_difference(each).value for each in effects.values()]
    largest = conclusions(effects)[int(np.argmax(values))]
    clean = [f"Without any leak: {describe_result(variants[CLEAN])}."] if CLEAN in variants else []
    return [f"Largest effect of {len(effects)} leaks: {largest[0].lower()}{largest[1:]}", *clean]


def conclusions(
    effects: Mapping[str, Comparison | Interval], selection: Comparison | Interval | None = None
) -> list[str]:
    """Describe the effect of each leak and, if measured, of selecting the best epoch on the test part, in sentences."""
    corrected = _correct(effects)
    sentences = [
        describe_difference(f"{name[0].upper()}{name[1:]}", get_difference(each), corrected.get(name))
        for name, each in effects.items()
    ]
    if selection:
        sentences.append(describe_difference("Best epoch on the test part", get_difference(selection)))
    return sentences
