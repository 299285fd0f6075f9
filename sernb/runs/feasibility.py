"""What recordings do not allow, found while planning and said in a sentence each, and what to know of what is done."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sernb.config import DataError, Infeasible

if TYPE_CHECKING:
    from sernb.runs.experiment import Experiment

NAMED = 5  # speakers that a sentence names


@dataclass(frozen=True)
class LeftOut:
    """What was asked for and is not done."""

    system: str
    labels: str  # name of its label set
    protocol: str
    reason: str  # class, count and next step


def sentences(left_out: Iterable[LeftOut]) -> tuple[str, ...]:
    """Return one sentence for each reason, naming all systems and protocols that it keeps from being done.

    Examples:
        >>> sentences([LeftOut("a", "eight", "random", "one clip"), LeftOut("b", "eight", "random", "one clip")])
        ('a, b (labels eight) under random: one clip',)
    """
    protocols: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for each in left_out:
        protocols[each.reason, each.labels, each.system][each.protocol] = None
    systems: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (reason, labels, system), under in protocols.items():
        systems[reason, ", ".join(under)][labels].append(system)
    said = []
    for (reason, under), by_labels in systems.items():
        who = ", ".join(f"{', '.join(names)} (labels {labels})" for labels, names in by_labels.items())
        said.append(f"{who} under {under}: {reason}")
    return tuple(said)


def refuse_infeasible(template: "Experiment") -> None:
    """Stop if no fold of a system can be done under a protocol.

    Raises:
        Infeasible: if the label set leaves one class, or a speaker has no second clip to be standardised with
        DataError: if an option that the protocol needs is not given
    """
    system, protocol, labels, clips = template.system, template.protocol, template.labels, template.clips
    if protocol.planted == "augmentation" and not template.training_views:
        raise DataError(f"{system.name}, {protocol.name}: there are no augmented copies to leak; give training views")
    if protocol.planted == "choice" and not system.chooses_epoch:
        raise DataError(f"{system.name}, {protocol.name}: it chooses no epoch; take a system that trains by epochs")
    if len(labels.classes) == 1:
        raise Infeasible(
            f"all clips ({len(clips)}) are {labels.classes[0]}, and there is nothing to tell apart; add recordings of "
            "another emotion"
        )
    if protocol.transductive:
        refuse_single_clips(template)


def refuse_single_clips(experiment: "Experiment") -> None:
    """Stop if a speaker has one clip only: standardised with itself it is 0 throughout.

    Raises:
        Infeasible: naming the speakers
    """
    counts = experiment.clips.speaker.value_counts(sort=False)
    if single := sorted(counts.index[counts == 1]):
        raise Infeasible(
            f"{len(single)} of {len(counts)} speakers have one clip only ({_some(single, experiment)}), and to "
            "standardise a speaker takes two; add recordings of them, or leave them out"
        )


def why_not(experiment: "Experiment", learned: Sequence[str]) -> str:
    """Return why a fold cannot be done, empty where it can.

    Args:
        learned: classes of the clips that train
    """
    fold, narrowed = experiment.fold, f" with {experiment.train_on}" * bool(experiment.train_on)
    if not fold.test or not fold.train:
        return "no clip is left to test" if not fold.test else f"no clip{narrowed} is left to train on"
    if len(learned) < 2:
        return f"all {len(experiment.trained)} training clips{narrowed} are {learned[0]}"
    return ""


def without(reasons: dict[int, str], folds: int) -> list[str]:
    """Return what to say of folds that are left out, of so many: one sentence, or none."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for number, reason in reasons.items():
        numbers[reason].append(str(number + 1))
    said = [f"fold {', '.join(which)} of {folds}: {reason}" for reason, which in numbers.items()]
    return [f"{'; '.join(said)}; add recordings, or take another label set"] if said else []


def remarks(experiments: Sequence["Experiment"]) -> list[str]:
    """Return what to know of experiments whose training or test lacks a class, a sentence each."""
    alike: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        alike[experiment.protocol.name, experiment.system.name].append(experiment)
    said: dict[str, list[str]] = defaultdict(list)
    for (protocol, system), folds in alike.items():
        for sentence in _remarks(folds):
            said[f"{protocol}: {sentence}"].append(system)
    return [f"{', '.join(systems)}, {sentence}" for sentence, systems in said.items()]


def _remarks(folds: Sequence["Experiment"]) -> Iterator[str]:
    clips, classes = folds[0].clips.set_index("clip"), folds[0].labels.classes
    tested: dict[str, int] = dict.fromkeys(classes, 0)
    unlearned: dict[str, list[str]] = defaultdict(list)
    single = {}
    for each in folds:
        counts = clips.truth.loc[list(each.fold.test)].value_counts()
        tested |= {name: tested[name] + int(counts.get(name, 0)) for name in classes}
        for name in (name for name in classes if name not in each.learned and counts.get(name)):
            unlearned[name].append(f"fold {each.fold.number + 1}: {counts[name]} test clips")
        if len(counts) == 1:
            single[each.fold.number + 1] = counts.index[0]
    if unlearned:
        which = ", ".join(f"{name} ({'; '.join(where)})" for name, where in unlearned.items())
        yield f"no training clip of the fold has these classes, which are ranked last there and never right: {which}."
    if absent := [name for name, count in tested.items() if not count]:
        yield f"no clip that is tested is {' or '.join(absent)}; UAR is the mean over the other classes."
    if folds[0].protocol.split == "column":
        counts = clips.groupby("speaker").fold.nunique()
        shared = sorted(counts.index[counts > 1])
        named = f" ({_some(shared, folds[0])}): known speakers are tested" if shared else ""
        yield f"{len(shared)} of {len(counts)} speakers are in more than one fold of the column fold{named}."
    if folds[0].protocol.shares_speakers:
        return
    if single:
        which = ", ".join(f"fold {number} ({name})" for number, name in single.items())
        yield f"all test clips are of one class in {which}: UAR is its recall there."
    test = clips.loc[sorted({clip for each in folds for clip in each.fold.test})]
    emotions = test.groupby("speaker").truth.nunique()
    if alone := sorted(emotions.index[emotions == 1]):
        named = _some(alone, folds[0])
        yield f"{len(alone)} of {len(emotions)} test speakers have clips of one class only ({named})."


def _some(names: Sequence[str], experiment: "Experiment") -> str:
    """Return speakers as a table of labels names them, the first few."""
    shown = ", ".join(map(experiment.corpus.labelled, names[:NAMED]))
    return shown + f" and {len(names) - NAMED} more" * (len(names) > NAMED)
