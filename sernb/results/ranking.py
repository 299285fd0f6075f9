"""All systems side by side, from their predictions: one table, ranks, paired tests, costs."""

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
    "UAR is the mean over the trainings there are (seeds), and p is conditional on them: it says what other speakers "
    "might do, not other trainings. Where the systems of a pair were trained on different numbers of speakers, part of "
    "the difference may be due to that."
)


def name_result(result: Result) -> str:
    """Return the system's name, with what was asked for beyond its recipe."""
    return f"{result.system.name} ({result.options})" if result.options else result.system.name


def overview(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row a system: what its authors report, UAR under each protocol with interval, size and time.

    A column of which no system has anything is left out: figures of the authors under a protocol that was not run.
    """
    rows = []
    for name in dict.fromkeys(map(name_result, results)):
        own = [result for result in results if name_result(result) == name]
        figures = dict.fromkeys(_published(figure, result) for result in own for figure in result.system.reported
                                if figure.protocol == result.protocol)  # fmt: skip
        row = {"System": name, "Published": ", ".join(figures) or None}
        for protocol in dict.fromkeys([*COMPARED, *(result.protocol for result in results)]):
            found = next((result for result in own if result.protocol == protocol), None)
            row |= {"Its as-published is": found.heading if found else None} if protocol == "as-published" else {}
            row[f"UAR {protocol}"] = str(found.metrics().uar) if found else None
        size, seconds = network_size(own[0]), np.mean([training_seconds(result) for result in own])
        row |= {
            "UAR chance level": f"{100 * max(result.metrics().uar_floor for result in own):.1f}",
            "Parameters": f"{size['parameters']:,}" if "parameters" in size else None,
            "Multiply-adds a clip": f"{size['multiply_adds']:,}" if "multiply_adds" in size else None,
            "Training a fold (s)": f"{seconds:.0f}",
            "Classes": len(own[0].classes),
            "Test clips": " / ".join(str(len(result.clips)) for result in own),
        }
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _published(figure: PublishedScore, result: Result) -> str:
    elsewhere = f" on {figure.corpus}{f', labels {figure.labels}' * bool(figure.labels)}"
    elsewhere = elsewhere * (figure not in result.comparable)
    return f"{NAMES[figure.metric]} {100 * figure.value:.1f}{elsewhere}"


def network_size(result: Result) -> dict[str, int]:
    """Return ``parameters`` and ``multiply_adds`` as the first run counted them; empty where it did not."""
    return result.runs[0].metrics.get("size", {})


def training_seconds(result: Result) -> float:
    """Return the mean time of a run: training and prediction of all views, on one core."""
    return float(np.mean([run.provenance["seconds"] for run in result.runs]))


def costs_table(results: Sequence[Result], cost: str = "seconds") -> pd.DataFrame:
    """Return for drawing what each result that listens costs; those that did not count it are left out.

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


# -- The same clips -- #


@dataclass(frozen=True)
class ComparableGroup:
    """Systems that answered the same clips under one protocol, their answers in one order of clips and classes."""

    protocol: str
    labels: LabelSet
    answers: dict[str, tuple[Predictions, ...]]  # by name of the system, one for each seed
    trained: dict[str, str]  # how many speakers a fold trained on

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
        return next(iter(self.answers.values()))[0]

    def stacked(self, names: Sequence[str]) -> list[Predictions]:
        """Return the answers of some systems, all seeds one after another: their UAR is the mean over seeds.

        The unit of resampling stays the speaker or, where there are fewer than ``FEWEST_SPEAKERS``, the clip, which is
        then named in the place of its speaker.
        """
        times = math.lcm(*(len(self.answers[name]) for name in names))
        units = self._any.speakers if self.speakers >= FEWEST_SPEAKERS else np.arange(self.clips).astype(str)
        found = []
        for name in names:
            seeds = self.answers[name] * (times // len(self.answers[name]))
            truth, scores = (np.concatenate([getattr(each, what) for each in seeds]) for what in ("truth", "scores"))
            found.append(Predictions(truth, scores, np.tile(units, times)))
        return found


def finished(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Return the experiments of those systems, protocols and seeds that have been run in full."""
    groups: dict[tuple, list[Experiment]] = {}
    for each in experiments:
        groups.setdefault((each.system.name, each.protocol.name, each.seed), []).append(each)
    whole = [group for group in groups.values() if all(each.folder.is_dir() for each in group)]
    return [each for group in whole for each in group if read_run(each.folder)]


def training_speakers(result: Result) -> str:
    """Return how many speakers a fold trained on; a system that chooses an epoch keeps others for that.

    Of a system that joins others the fewest and the most of any member.
    """
    counts = set()
    for experiment in result.experiments:
        speaker = experiment.clips.set_index("clip").speaker
        for each in experiment.members or (experiment,):
            learns = experiment.protocol.shares_speakers or each.system.chooses_epoch or each.tests_choose
            counts.add(speaker[[*each.fold.train, *(() if learns else each.fold.validation)]].nunique())
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} … {max(counts)}"


def comparable_groups(results: Sequence[Result]) -> list[ComparableGroup]:
    """Return for each protocol the systems that can be compared on the same clips; two or more each.

    Systems that listen, under protocols whose splits are not the authors' own. Where label sets differ, each of them
    makes a field of all systems whose answers can be reduced to it; a field whose systems all are in another is left
    out.
    """
    found = []
    for protocol in dict.fromkeys(result.protocol for result in results):
        if PROTOCOLS[protocol].split == "published" or PROTOCOLS[protocol].introduced_leak:
            continue
        there = [result for result in results if result.protocol == protocol and result.system.features]
        sets = sorted(dict.fromkeys(map(find_label_set, there)), key=lambda labels: -len(labels.classes))
        groups = {labels: [each for each in there if _follows(labels, find_label_set(each))] for labels in sets}
        kept: list[set[str]] = []
        for labels in sorted(sets, key=lambda labels: -len(groups[labels])):  # the largest first
            names = set(map(name_result, groups[labels]))
            if len(names) > 1 and not any(names <= other for other in kept):
                kept.append(names)
                if answers := _aligned(groups[labels], labels):
                    trained = {name_result(result): training_speakers(result) for result in groups[labels]}
                    found.append(ComparableGroup(protocol, labels, answers, trained))
    return found


def find_label_set(result: Result) -> LabelSet:
    """Return the labels of a result."""
    return result.experiments[0].labels


def _follows(labels: LabelSet, finer: LabelSet) -> bool:
    """Every class of ``labels`` can be read off a class of ``finer``."""
    if labels.column != finer.column:
        return False
    coarse, fine = dict(labels.becomes), dict(finer.becomes)
    if not set(coarse) <= set(fine):
        return False
    known: dict[str, str | None] = {}
    return all(known.setdefault(fine[emotion], coarse.get(emotion)) == coarse.get(emotion) for emotion in fine)


def reduce_labels(result: Result, labels: LabelSet) -> pd.DataFrame:
    """Return a result's scores on the classes of a coarser label set, one row a clip that it keeps.

    Scores of classes that become one are summed; a class that the coarser set drops is no answer.

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


def _aligned(results: Sequence[Result], labels: LabelSet) -> dict[str, tuple[Predictions, ...]]:
    tables = [(name_result(result), reduce_labels(result, labels)) for result in results]
    clips = sorted(set.intersection(*(set(table.index) for _, table in tables))) if tables else []
    answers: dict[str, tuple[Predictions, ...]] = {}
    for name, table in tables:
        same = table.loc[clips]
        truth = same.truth.map(labels.classes.index).to_numpy(int)
        one = Predictions(truth, same[list(labels.classes)].to_numpy(float), same.speaker.to_numpy())
        answers[name] = (*answers.get(name, ()), one)
    return answers if clips else {}


def ranking(field: ComparableGroup) -> pd.DataFrame:
    """Return the systems of a field by UAR, with the 95 % intervals of their ranks: see `sernb.evaluation.rank`."""
    return rank(uar, dict(zip(field.answers, field.stacked(list(field.answers)), strict=True)))


def tests_table(field: ComparableGroup) -> pd.DataFrame:
    """Return for each pair how much the second is better, p by speaker-wise exchange, and what could be seen at all.

    All seeds count, see :meth:`Field.stacked`; what p then means is told by ``CONDITIONS``. p is corrected for the
    number of pairs (Holm). The smallest difference is the true one that so many speakers show with a power of 80 %,
    from how the pair differs between speakers; nothing where clips are exchanged.
    """
    few = field.speakers < FEWEST_SPEAKERS
    pairs = list(combinations(field.answers, 2))
    answers = [field.stacked(pair) for pair in pairs]
    found = [paired_test(uar, *each) for each in answers]
    corrected = holm([each.p for each in found])
    rows = []
    for (first, second), each, test, p in zip(pairs, answers, found, corrected, strict=True):
        unit, seen = ("clips" if few else "speakers"), None
        if not few:
            differences = speaker_differences(uar, *each)
            seen = f"{100 * smallest_detectable_difference(float(differences.std(ddof=1)), len(differences)):.1f}"
        rows.append(
            {
                "First": first,
                "Second": second,
                "Second better by (points of UAR)": str(replace(test.difference, unit=unit)),
                "p": format_p(test.p),
                "p (Holm)": format_p(p),
                "Exchanged": f"{test.units} {unit}",
                "Smallest difference that shows (points)": seen,
                "Seeds": " / ".join(str(len(field.answers[name])) for name in (first, second)),
                "Training speakers a fold": " / ".join(dict.fromkeys(field.trained[name] for name in (first, second))),
            }
        )
    return pd.DataFrame(rows)
