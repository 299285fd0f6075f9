"""Comparison of systems from their predictions: overview, ranks, paired tests, costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from sernb.evaluation import (
    FEWEST_SPEAKERS,
    Predictions,
    format_p,
    holm,
    paired_test,
    rank,
    smallest_detectable_difference,
    speaker_differences,
    uar,
)
from sernb.protocols.labels import LabelSet
from sernb.protocols.protocol import COMPARED, PROTOCOLS
from sernb.results.result import Result
from sernb.results.tables import NAMES
from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import read_run
from sernb.systems.base import PublishedScore

CONDITIONS = (
    "UAR is the mean over all trainings (seeds), and p is conditional on them: it covers variation between speakers, "
    "not between trainings. If the systems of a pair were trained on different numbers of speakers, part of the "
    "difference may be due to that."
)


def name_result(result: Result) -> str:
    """Return the system's name with its options, if any."""
    return f"{result.system.name} ({result.options})" if result.options else result.system.name


def overview(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per system: published scores, UAR with interval under each protocol, size and training time.

    Published scores are shown only for protocols that were run. Columns without any value are left out.
    """
    rows = []
    for name in dict.fromkeys(map(name_result, results)):
        own = [result for result in results if name_result(result) == name]
        published = dict.fromkeys(_format_published(score, result) for result in own
                                  for score in result.system.reported if score.protocol == result.protocol)  # fmt: skip
        row = {"System": name, "Published": ", ".join(published) or None}
        for protocol in dict.fromkeys([*COMPARED, *(result.protocol for result in results)]):
            match = next((result for result in own if result.protocol == protocol), None)
            row |= {"Its as-published is": match.heading if match else None} if protocol == "as-published" else {}
            row[f"UAR {protocol}"] = str(match.metrics().uar) if match else None
        size, seconds = network_size(own[0]), np.mean([training_seconds(result) for result in own])
        row |= {
            "UAR chance level": f"{100 * max(result.metrics().uar_floor for result in own):.1f}",
            "Parameters": f"{size['parameters']:,}" if "parameters" in size else None,
            "Multiply-adds per clip": f"{size['multiply_adds']:,}" if "multiply_adds" in size else None,
            "Training per fold (s)": f"{seconds:.0f}",
            "Classes": len(own[0].classes),
            "Test clips": " / ".join(str(len(result.clips)) for result in own),
        }
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _format_published(score: PublishedScore, result: Result) -> str:
    text = f"{NAMES[score.metric]} {100 * score.value:.1f}"
    if score in result.comparable:
        return text
    return f"{text} on {score.corpus}{f', labels {score.labels}' * bool(score.labels)}"


def network_size(result: Result) -> dict[str, int]:
    """Return ``parameters`` and ``multiply_adds`` of the first run; empty if it did not count them."""
    return result.runs[0].metrics.get("size", {})


def training_seconds(result: Result) -> float:
    """Return the mean duration of a run: training and prediction of all TTA views, on one core."""
    return float(np.mean([run.provenance["seconds"] for run in result.runs]))


def costs_table(results: Sequence[Result], cost: str = "seconds") -> pd.DataFrame:
    """Return the cost of each result that uses audio, as plot data; results without a count are left out.

    Args:
        cost: ``seconds``, ``parameters`` or ``multiply_adds``

    Returns:
        columns system, protocol, uar (an interval), cost
    """
    rows = []
    for result in results:
        value = training_seconds(result) if cost == "seconds" else network_size(result).get(cost)
        if result.system.features and value:
            rows.append((name_result(result), result.protocol, result.metrics().uar, value))
    return pd.DataFrame(rows, columns=["system", "protocol", "uar", "cost"])


# -- Comparison on the same clips -- #


@dataclass(frozen=True)
class ComparableGroup:
    """Predictions of several systems under one protocol, for the same clips and classes in the same order."""

    protocol: str
    labels: LabelSet
    predictions: dict[str, tuple[Predictions, ...]]  # by system, one for each seed
    training_speakers: dict[str, str]  # by system, number of training speakers per fold

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self._any.truth)

    @property
    def speakers(self) -> int:
        """Number of speakers."""
        return len(set(self._any.speakers))

    @property
    def _any(self) -> Predictions:
        return next(iter(self.predictions.values()))[0]

    def stack_seeds(self, names: Sequence[str]) -> list[Predictions]:
        """Concatenate the seeds of each of these systems, so that its UAR is the mean over seeds.

        The resampling unit is still the speaker or, with fewer than ``FEWEST_SPEAKERS``, the clip, whose name then
        replaces its speaker's.
        """
        times = math.lcm(*(len(self.predictions[name]) for name in names))
        units = self._any.speakers if self.speakers >= FEWEST_SPEAKERS else np.arange(self.clips).astype(str)
        stacked = []
        for name in names:
            seeds = self.predictions[name] * (times // len(self.predictions[name]))
            truth, scores = (np.concatenate([getattr(each, array) for each in seeds]) for array in ("truth", "scores"))
            stacked.append(Predictions(truth, scores, np.tile(units, times)))
        return stacked


def select_finished(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Select the experiments of systems, protocols and seeds with all folds run."""
    groups: dict[tuple, list[Experiment]] = {}
    for each in experiments:
        groups.setdefault((each.system.name, each.protocol.name, each.seed), []).append(each)
    complete = [group for group in groups.values() if all(each.folder.is_dir() for each in group)]
    return [each for group in complete for each in group if read_run(each.folder)]


def training_speakers(result: Result) -> str:
    """Return the number of training speakers per fold; systems that select an epoch keep others for validation.

    For an ensemble, the smallest and the largest number of its members.
    """
    counts = set()
    for experiment in result.experiments:
        speaker = experiment.clips.set_index("clip").speaker
        for each in experiment.trained:
            train_only = experiment.protocol.shares_speakers or each.system.selects_epoch or each.selects_on_test
            counts.add(speaker[[*each.fold.train, *(() if train_only else each.fold.validation)]].nunique())
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} … {max(counts)}"


def comparable_groups(results: Sequence[Result]) -> list[ComparableGroup]:
    """Return groups of two or more systems that can be compared on the same clips under the same protocol.

    Only systems that use audio are compared, and no protocol with the authors' own splits or a deliberate leak. Each
    label set forms a group of all systems whose predictions can be reduced to it, unless another group contains them
    all.
    """
    comparable = []
    for protocol in dict.fromkeys(result.protocol for result in results):
        if PROTOCOLS[protocol].split == "published" or PROTOCOLS[protocol].introduced_leak:
            continue
        eligible = [result for result in results if result.protocol == protocol and result.system.features]
        sets = sorted(dict.fromkeys(map(find_label_set, eligible)), key=lambda labels: -len(labels.classes))
        groups = {labels: [each for each in eligible if _is_coarser(labels, find_label_set(each))] for labels in sets}
        kept: list[set[str]] = []
        for labels in sorted(sets, key=lambda labels: -len(groups[labels])):  # the largest first
            names = set(map(name_result, groups[labels]))
            if len(names) > 1 and not any(names <= other for other in kept):
                kept.append(names)
                if predictions := _align(groups[labels], labels):
                    speakers = {name_result(result): training_speakers(result) for result in groups[labels]}
                    comparable.append(ComparableGroup(protocol, labels, predictions, speakers))
    return comparable


def find_label_set(result: Result) -> LabelSet:
    """Return the label set of a result."""
    return result.experiments[0].labels


def _is_coarser(labels: LabelSet, finer: LabelSet) -> bool:
    """Return whether every class of ``finer`` belongs to at most one class of ``labels``."""
    if labels.column != finer.column:
        return False
    coarse, fine = dict(labels.becomes), dict(finer.becomes)
    if not set(coarse) <= set(fine):
        return False
    merged: dict[str, str | None] = {}
    return all(merged.setdefault(fine[emotion], coarse.get(emotion)) == coarse.get(emotion) for emotion in fine)


def reduce_labels(result: Result, labels: LabelSet) -> pd.DataFrame:
    """Reduce a result's scores to the classes of a coarser label set, one row for each clip that the set keeps.

    Scores of merged classes are summed; classes that the coarser set drops are never predicted.

    Returns:
        index clip; columns truth, speaker, then the classes
    """
    fine, coarse = dict(find_label_set(result).becomes), dict(labels.becomes)
    scores = pd.DataFrame(result.scores(), columns=list(result.classes))
    table = pd.DataFrame(0.0, result.clips["clip"], list(labels.classes))
    for label in result.classes:
        become = next((coarse.get(emotion) for emotion in fine if fine[emotion] == label), None)
        if become:
            table[become] += scores[label].to_numpy()
    truth = labels.truths_of(result.clips).to_numpy()
    table.insert(0, "truth", truth)
    table.insert(1, "speaker", result.clips.speaker.to_numpy())
    return table[table.truth.notna()]


def _align(results: Sequence[Result], labels: LabelSet) -> dict[str, tuple[Predictions, ...]]:
    tables = [(name_result(result), reduce_labels(result, labels)) for result in results]
    clips = sorted(set.intersection(*(set(table.index) for _, table in tables))) if tables else []
    predictions: dict[str, tuple[Predictions, ...]] = {}
    for name, table in tables:
        shared = table.loc[clips]
        truth = shared.truth.map(labels.classes.index).to_numpy(int)
        aligned = Predictions(truth, shared[list(labels.classes)].to_numpy(float), shared.speaker.to_numpy())
        predictions[name] = (*predictions.get(name, ()), aligned)
    return predictions if clips else {}


def rank_systems(group: ComparableGroup) -> pd.DataFrame:
    """Rank the systems of a group by UAR, with 95 % intervals of the ranks, see `sernb.evaluation.rank`."""
    names = list(group.predictions)
    return rank(uar, dict(zip(names, group.stack_seeds(names), strict=True)))


def tests_table(group: ComparableGroup) -> pd.DataFrame:
    """Return a paired test of UAR for each pair of systems: difference, p and the smallest detectable difference.

    The test flips speakers, over all seeds (see :meth:`ComparableGroup.stack_seeds`); ``CONDITIONS`` states how to read
    p. p is corrected for the number of pairs (Holm). The smallest detectable difference is the true difference that a
    test over the same number of speakers finds with a power of 80 %; it is missing where clips are flipped.
    """
    few = group.speakers < FEWEST_SPEAKERS
    pairs = list(combinations(group.predictions, 2))
    predictions = [group.stack_seeds(pair) for pair in pairs]
    tests = [paired_test(uar, *pair) for pair in predictions]
    corrected = holm([test.p for test in tests])
    rows = []
    for (first, second), pair, test, p in zip(pairs, predictions, tests, corrected, strict=True):
        unit, detectable = ("clips" if few else "speakers"), None
        if not few:
            differences = speaker_differences(uar, *pair)
            detectable = f"{100 * smallest_detectable_difference(float(differences.std(ddof=1)), len(differences)):.1f}"
        speakers = dict.fromkeys(group.training_speakers[name] for name in (first, second))
        rows.append(
            {
                "First": first,
                "Second": second,
                "Second better by (points of UAR)": str(replace(test.difference, unit=unit)),
                "p": format_p(test.p),
                "p (Holm)": format_p(p),
                "Flipped": f"{test.units} {unit}",
                "Smallest detectable difference (points)": detectable,
                "Seeds": " / ".join(str(len(group.predictions[name])) for name in (first, second)),
                "Training speakers per fold": " / ".join(speakers),
            }
        )
    return pd.DataFrame(rows)
