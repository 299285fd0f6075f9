"""Audit the splits of experiments for leaks before training."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from sernb.config import DataError
from sernb.corpora.similar_recordings import describe_shared, find_similar_recordings
from sernb.protocols.leak_audit import Leak, audit, refuse_leaks
from sernb.protocols.protocol import COPY, SAME_FILE, SAME_SOUND
from sernb.runs.experiment import Experiment


def audit_experiment(experiment: Experiment) -> list[Leak]:
    """Audit the split of an experiment by names and by near-duplicate audio."""
    clips, fold, protocol = experiment.clips, experiment.fold, experiment.protocol
    if experiment.added and protocol.split == "published":
        protocol = replace(protocol, by_design=(*protocol.by_design, COPY))
    all_clips = protocol.transductive or protocol.introduced_leak == "statistics"
    statistics_from = tuple(clips["clip"]) if all_clips else fold.train
    if protocol.introduced_leak == "augmentation":
        test = clips[clips["clip"].isin(fold.test)]
        copies = test.assign(origin=test["clip"], clip=test["clip"] + " (copy)", sha256="")
        clips = pd.concat([clips.assign(origin=clips["clip"]), copies], ignore_index=True)
        fold = replace(fold, train=(*fold.train, *copies["clip"]))
    return audit(
        clips, fold, protocol, statistics_from=statistics_from, similar=find_similar_recordings(experiment.corpus)
    )


def refuse_leaky(experiment: Experiment) -> list[Leak]:
    """Return the leaks that the protocol allows by design.

    Raises:
        DataError: if there are others; for speakers who share recordings, with the pairs
    """
    leaks = audit_experiment(experiment)
    corpus, fold, advice = experiment.corpus, experiment.fold, {}
    if any(leak.kind in (SAME_FILE, SAME_SOUND) and not leak.allowed for leak in leaks):
        speaker = dict(zip(experiment.clips["clip"], experiment.clips.speaker, strict=True))
        shared: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for pair in find_similar_recordings(corpus).pairs_between(fold.test, fold.train):
            shared.setdefault((speaker[pair[0]], speaker[pair[1]]), []).append(pair)
        own = len(corpus.parts) == 1 and corpus.parts[0].corpus.own
        messages = [
            describe_shared(tuple(corpus.speaker_label(each) for each in names), len(pairs), pairs[0], own=own)
            for names, pairs in shared.items()
            if names[0] != names[1]
        ]
        advice = dict.fromkeys((SAME_FILE, SAME_SOUND), "; ".join(messages[:3])) if messages else {}
    refuse_leaks(leaks, where=str(experiment), advice=advice)
    return leaks


def refuse_leaks_of(experiments: Sequence[Experiment]) -> None:
    """Stop if any split leaks, checking each split once. Features must be cached already.

    Raises:
        DataError: as :func:`refuse_leaky`
    """
    problems: dict[tuple[str, str], tuple[str, ...]] = {}
    for experiment in experiments:
        key = experiment.protocol.name, experiment.config["clips"]
        if key not in problems:
            problems[key] = ()
            try:
                refuse_leaky(experiment)
            except DataError as error:
                problems[key] = error.args
    if lines := [line for messages in problems.values() for line in messages]:
        raise DataError.of_many(lines, "more like these")
