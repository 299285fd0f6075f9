"""Summaries of finished results: a sentence, and a table with one row per system and one column per protocol."""

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from sernb.evaluation import Metrics, NumberMetrics
from sernb.results.result import CLIPS, Result


def comparable_results(results: Sequence[Result]) -> list[Result]:
    """Return the largest group of results with the same protocol, classes and test clips; only these can be ranked.

    Systems that use audio and speaker-independent results take precedence. Of groups of equal size, the one with the
    most test clips is returned.
    """
    using = [result for result in results if result.system.features] or list(results)
    strict = [result for result in using if result.protocol == "speaker-independent"] or using
    groups: dict[tuple, list[Result]] = defaultdict(list)
    for result in strict:
        groups[result.protocol, result.classes, frozenset(result.clips["clip"])].append(result)
    return max(groups.values(), key=lambda group: (len(group), len(group[0].clips)), default=[])


def describe_result(result: Result) -> str:
    """Return the UAR of a result with interval, chance level, classes, clips, speakers and folds, without full stop."""
    metrics = result.metrics()
    return (
        f"{result.system.name}, {result.heading}: UAR {metrics.uar.as_percent()}, chance level "
        f"{100 * metrics.uar_floor:.1f} % ({_classes(result)}, {describe_tested(result, metrics)})"
    )


def _classes(result: Result) -> str:
    """Return the number of classes; UAR is the mean over those with test clips, so the others are named."""
    tested = set(result.clips.truth)
    absent = [name for name in result.classes if name not in tested]
    count = len(result.classes)
    if not absent:
        return f"{count} classes"
    return f"{count - len(absent)} of {count} classes: no test clip is {' or '.join(absent)}"


def describe_tested(result: Result, metrics: Metrics | NumberMetrics) -> str:
    """Return clips, speakers and folds that were tested, such as ``60 of 240 clips of 2 speakers, 2 of 10 folds``."""
    whole = len(result.experiments[0].clips)
    clips = f"{metrics.clips} clips" if metrics.clips == whole else f"{metrics.clips} of {whole} clips"
    done, _, folds = result.folds.partition(" of ")
    number = folds if done == folds else f"{done} of {folds}"
    return f"{clips} of {metrics.speakers} speakers, {number} fold{'s' * (folds != '1')}"


def _over_clips(results: Sequence[Result]) -> list[str]:
    """Return the protocols whose intervals are all over clips; the caption says so once instead of every cell."""
    units: dict[str, set[str]] = defaultdict(set)
    for result in results:
        units[result.protocol].add(result.metrics().resampled)
    return [protocol for protocol, resampled in units.items() if resampled == {"clips"}]


def describe_best(results: Sequence[Result]) -> str:
    """Return the headline of a report: the best of the comparable results, in a sentence."""
    group = comparable_results(results)
    if not group:
        return "Nothing was trained."
    best = max(group, key=lambda result: result.metrics().uar.value)
    among = f"Best of {len(group)} systems with the same classes and test clips: " if len(group) > 1 else ""
    return f"{among}{describe_result(best)}."


def summary_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per system, most classes first: UAR with interval under each protocol, chance level, classes."""
    rows, over_clips = [], _over_clips(results)
    protocols = list(dict.fromkeys(result.protocol for result in results))
    for key in dict.fromkeys((result.system.name, result.options, result.seed) for result in results):
        own = {each.protocol: each for each in results if (each.system.name, each.options, each.seed) == key}
        first, chances = next(iter(own.values())), [100 * each.metrics().uar_floor for each in own.values()]
        row = {"System": f"{key[0]} ({key[1]})" if key[1] else key[0]}
        for name in protocols:
            text = str(own[name].metrics().uar) if name in own else None
            row[f"UAR {name}"] = text.removesuffix(" (clips)") if text and name in over_clips else text
        low, high = (f"{extreme(chances):.1f}" for extreme in (min, max))
        rows.append(row | {"Chance level": low if low == high else f"{low}–{high}", "Classes": len(first.classes)})
    table = pd.DataFrame(rows)
    return table.sort_values("Classes", ascending=False, kind="stable", ignore_index=True) if rows else table


def summary_caption(results: Sequence[Result]) -> str:
    """Return the caption of the summary: units, chance level, and the tested clips under each protocol."""
    tested: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.system.features or len(results) == 1:
            tested[result.protocol].append(describe_tested(result, result.metrics()))
    each = "; ".join(f"{name} {' or '.join(dict.fromkeys(words))}" for name, words in tested.items())
    over_clips = _over_clips(results)
    narrow = f" Intervals of {', '.join(over_clips)} are over clips: {CLIPS}." if over_clips else ""
    return (
        "UAR in per cent with 95 % intervals, by protocol. Chance level: the best constant prediction. Systems with "
        f"different numbers of classes cannot be ranked by these scores. Tested: {each}.{narrow}"
    )
