"""The splits of experiments, audited for leaks before anything trains."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from sernb.config import DataError
from sernb.corpora.similar_recordings import find_similar_recordings, shared_between
from sernb.protocols.leak_audit import Leak, audit, refuse_leaks
from sernb.protocols.protocol import COPY, SAME_FILE, SAME_SOUND
from sernb.runs.experiment import Experiment


def audit_experiment(experiment: Experiment) -> list[Leak]:
    """Audit the split of an experiment, by name and by sound."""
    clips, fold, protocol = experiment.clips, experiment.fold, experiment.protocol
    if experiment.added and protocol.split == "published":
        protocol = replace(protocol, by_design=(*protocol.by_design, COPY))
    everything = protocol.transductive or protocol.planted == "statistics"
    statistics_from = tuple(clips["clip"]) if everything else fold.train
    if protocol.planted == "augmentation":
        tested = clips[clips["clip"].isin(fold.test)]
        copies = tested.assign(origin=tested["clip"], clip=tested["clip"] + " (copy)", sha256="")
        clips = pd.concat([clips.assign(origin=clips["clip"]), copies], ignore_index=True)
        fold = replace(fold, train=(*fold.train, *copies["clip"]))
    return audit(
        clips, fold, protocol, statistics_from=statistics_from, alike=find_similar_recordings(experiment.corpus)
    )


def refuse_leaky(experiment: Experiment) -> list[Leak]:
    """Return the leaks that the protocol has by design.

    Raises:
        DataError: if there are others; of speakers who share recordings it names the pairs
    """
    leaks = audit_experiment(experiment)
    corpus, fold, advice = experiment.corpus, experiment.fold, {}
    if any(leak.kind in (SAME_FILE, SAME_SOUND) and not leak.allowed for leak in leaks):
        speaker = dict(zip(experiment.clips["clip"], experiment.clips.speaker, strict=True))
        shared: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for pair in find_similar_recordings(corpus).pairs_between(fold.test, fold.train):
            shared.setdefault((speaker[pair[0]], speaker[pair[1]]), []).append(pair)
        own = len(corpus.parts) == 1 and corpus.parts[0].corpus.own
        said = [
            shared_between(tuple(corpus.labelled(each) for each in names), len(pairs), pairs[0], own=own)
            for names, pairs in shared.items()
            if names[0] != names[1]
        ]
        advice = dict.fromkeys((SAME_FILE, SAME_SOUND), "; ".join(said[:3])) if said else {}
    refuse_leaks(leaks, where=str(experiment), advice=advice)
    return leaks


def refuse_leaks_of(experiments: Sequence[Experiment]) -> None:
    """Stop before anything trains if a split leaks; each is looked at once. Features must be prepared.

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
    if lines := [line for found in problems.values() for line in found]:
        raise DataError.of_many(lines, "more like these")
