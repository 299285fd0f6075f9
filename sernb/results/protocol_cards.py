"""Protocol cards: how training, selection and test were kept apart, in words and counts."""

from collections.abc import Sequence

import pandas as pd

from sernb.protocols.folds import Fold
from sernb.protocols.protocol import (
    CHOICE,
    COPY,
    PROTOCOLS,
    SAME_FILE,
    SAME_SOUND,
    SPEAKER,
    STATISTICS,
    TAKE,
    UTTERANCE,
    VALIDATION_SPEAKER,
    Protocol,
)
from sernb.results.numbers import collect_either
from sernb.results.result import Result
from sernb.runs.experiment import Experiment
from sernb.systems.base import System

# What the audit found, in a word or two.
SHARED = {
    COPY: "augmented copy",
    SPEAKER: "speaker",
    TAKE: "take",
    SAME_FILE: "same file",
    SAME_SOUND: "same sound",
    CHOICE: "choice of epoch",
    VALIDATION_SPEAKER: "validation speaker",
    STATISTICS: "statistics",
}


def protocol_cards(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return for each system that uses audio what its scores mean: what is disjoint, model selection, statistics.

    Counted in the folds as they were run: test clips against what trains and what validates; where model selection is
    on the test part itself, against what trains.

    Raises:
        DataError: if an experiment has not been run
    """
    rows = []
    for result in collect_either(experiments):
        if not result.system.features:
            continue
        shared: dict[str, int] = {}
        for run in result.runs:
            for kind, count in run.metrics["shared by design"].items():
                shared[kind] = shared.get(kind, 0) + count
        trained = [len(experiment.fold.train) for experiment in result.experiments]
        validates = [0 if each.tests_choose else len(each.fold.validation) for each in result.experiments]
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.heading,
                "Speaker-disjoint": _apart(result, ["speaker"]),
                "Sentence-disjoint": _apart(result, ["sentence"]),
                "Repetitions disjoint": _apart(result, UTTERANCE),
                "Model selection": _choice(result),
                "Normalisation statistics": PROTOCOLS[result.protocol].statistics,
                "Training clips a fold": _range(trained),
                "Validation clips a fold": _range(validates),
                "Test clips": len(result.clips),
                "Test speakers": result.clips.speaker.nunique(),
                "Test clips that share": ", ".join(f"{SHARED[kind]} {count}" for kind, count in shared.items()) or "–",
            }
        )
        if result.system.encoders:
            from sernb.encoders.loading import get_metadata

            rows[-1]["Pretraining"] = " ".join(get_metadata(name).card for name in result.system.encoders)
    cards = pd.DataFrame(rows)
    return cards.fillna({"Pretraining": "none"}) if "Pretraining" in cards else cards


def _apart(result: Result, columns: list[str]) -> str:
    """Say whether test clips have values in these columns that no clip heard before has: takes, speakers, sentences."""
    shared = known = 0
    for experiment in result.experiments:
        clips = experiment.clips.set_index("clip", drop=False)
        if not set(columns) <= set(clips):
            return "not known"
        fold = experiment.fold
        also = () if experiment.tests_choose else fold.validation
        copied = fold.test if experiment.protocol.introduced_leak == "augmentation" else ()
        heard = clips.loc[list({*fold.train, *also, *copied})]
        test = clips.loc[list(fold.test)]
        needed = [column for column in columns if column != "intensity"]  # not every corpus has degrees
        test = test[(test[needed].astype(str) != "").all(axis=1)]
        keys = set(heard[columns].itertuples(index=False, name=None))
        shared += sum(key in keys for key in test[columns].itertuples(index=False, name=None))
        known += len(test)
    if not known:
        return "not known"
    return f"no: {shared} of {known} test clips" if shared else "yes"


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} … {max(counts)}"


def _choice(result: Result) -> str:
    protocol, folds = PROTOCOLS[result.protocol], [experiment.fold for experiment in result.experiments]
    if protocol.split == "published":
        return result.system.published_choice
    if protocol.introduced_leak == "choice":
        return "best epoch on the test part: a deliberately introduced leak"
    members = result.system.members or (result.system,)
    return "; ".join(dict.fromkeys(_choice_of(member, protocol, folds) for member in members))


def _choice_of(system: System, protocol: Protocol, folds: Sequence[Fold]) -> str:
    if not system.chooses_epoch:
        inner = f"inner cross-validation, speakers {'shared' if protocol.shares_speakers else 'apart'}"
        return "the last epoch" if system.network else inner
    heard = "validation clips, speakers shared" if protocol.shares_speakers else "validation speakers"
    if all(fold.validation for fold in folds):
        return f"best epoch on {heard}"
    return (
        f"best epoch on {heard}, last epoch where there are none" if any(f.validation for f in folds) else "last epoch"
    )
