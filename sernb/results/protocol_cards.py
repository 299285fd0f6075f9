"""Protocol cards: how training, model selection and test were separated, in words and counts."""

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

# Short names of the leaks that the audit finds.
SHARED = {
    COPY: "augmented copy",
    SPEAKER: "speaker",
    TAKE: "repeated take",
    SAME_FILE: "same file",
    SAME_SOUND: "same sound",
    CHOICE: "model selection",
    VALIDATION_SPEAKER: "validation speaker",
    STATISTICS: "normalisation statistics",
}


def protocol_cards(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the protocol card of each system that uses audio: overlap, model selection, normalisation statistics.

    Counts are over the folds that were run. Test clips are compared with training and validation clips; if the model is
    selected on the test part itself, with training clips only.

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
        training = [len(experiment.fold.train) for experiment in result.experiments]
        validation = [0 if each.selects_on_test else len(each.fold.validation) for each in result.experiments]
        rows.append(
            {
                "System": result.system.name,
                "Protocol": result.heading,
                "Speaker-disjoint": _is_disjoint(result, ["speaker"]),
                "Sentence-disjoint": _is_disjoint(result, ["sentence"]),
                "Repetitions disjoint": _is_disjoint(result, UTTERANCE),
                "Model selection": _model_selection(result),
                "Normalisation statistics": PROTOCOLS[result.protocol].statistics,
                "Training clips per fold": _range(training),
                "Validation clips per fold": _range(validation),
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


def _is_disjoint(result: Result, columns: list[str]) -> str:
    """Return, as text, whether test clips share these columns (speaker, sentence …) with no training clip."""
    shared = labelled = 0
    for experiment in result.experiments:
        clips = experiment.clips.set_index("clip", drop=False)
        if not set(columns) <= set(clips):
            return "not known"
        fold = experiment.fold
        validation = () if experiment.selects_on_test else fold.validation
        copied = fold.test if experiment.protocol.introduced_leak == "augmentation" else ()
        training = clips.loc[list({*fold.train, *validation, *copied})]
        test = clips.loc[list(fold.test)]
        required = [column for column in columns if column != "intensity"]  # not every corpus has degrees
        test = test[(test[required].astype(str) != "").all(axis=1)]
        keys = set(training[columns].itertuples(index=False, name=None))
        shared += sum(key in keys for key in test[columns].itertuples(index=False, name=None))
        labelled += len(test)
    if not labelled:
        return "not known"
    return f"no: {shared} of {labelled} test clips" if shared else "yes"


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} … {max(counts)}"


def _model_selection(result: Result) -> str:
    protocol, folds = PROTOCOLS[result.protocol], [experiment.fold for experiment in result.experiments]
    if protocol.split == "published":
        return result.system.published_selection
    if protocol.introduced_leak == "choice":
        return "best epoch on the test part: a deliberately introduced leak"
    members = result.system.members or (result.system,)
    return "; ".join(dict.fromkeys(_member_selection(member, protocol, folds) for member in members))


def _member_selection(system: System, protocol: Protocol, folds: Sequence[Fold]) -> str:
    if not system.selects_epoch:
        inner = f"{'' if protocol.shares_speakers else 'speaker-independent '}inner cross-validation"
        inner += ", speakers shared" * protocol.shares_speakers
        return "last epoch" if system.network else inner
    if not any(fold.validation for fold in folds):
        return "last epoch"
    validation = "validation clips, speakers shared" if protocol.shares_speakers else "validation speakers"
    some = "" if all(fold.validation for fold in folds) else ", last epoch in folds without any"
    return f"best epoch on {validation}{some}"
