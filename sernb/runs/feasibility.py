"""Find experiments that the recordings do not allow, and classes missing from training or test parts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sernb.config import DataError, Infeasible

if TYPE_CHECKING:
    from sernb.runs.experiment import Experiment

NAMED = 5  # speakers listed in a sentence


@dataclass(frozen=True)
class LeftOut:
    """A requested experiment that is not run."""

    system: str
    labels: str  # name of its label set
    protocol: str
    reason: str  # class, count and next step


def explain_left_out(left_out: Iterable[LeftOut]) -> tuple[str, ...]:
    """Return one sentence for each reason, with all systems and protocols affected by it.

    Examples:
        >>> explain_left_out([LeftOut("a", "eight", "random", "one clip"), LeftOut("b", "eight", "random", "one clip")])
        ('a, b (labels eight) under random: one clip',)
    """
    protocols: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for each in left_out:
        protocols[each.reason, each.labels, each.system][each.protocol] = None
    systems: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (reason, labels, system), under in protocols.items():
        systems[reason, ", ".join(under)][labels].append(system)
    sentences = []
    for (reason, under), by_labels in systems.items():
        affected = ", ".join(f"{', '.join(names)} (labels {labels})" for labels, names in by_labels.items())
        sentences.append(f"{affected} under {under}: {reason}")
    return tuple(sentences)


def refuse_infeasible(template: "Experiment") -> None:
    """Stop if no fold of a system can be run under a protocol.

    Raises:
        Infeasible: if only one class is left, or a speaker to be normalised has a single clip
        DataError: if an option required by the protocol is missing
    """
    system, protocol, labels, clips = template.system, template.protocol, template.labels, template.clips
    if protocol.introduced_leak == "augmentation" and not template.training_views:
        raise DataError(f"{system.name}, {protocol.name}: there are no augmented copies to leak; give training views")
    if protocol.introduced_leak == "choice" and not system.selects_epoch:
        raise DataError(f"{system.name}, {protocol.name}: it selects no epoch; use a system that trains by epochs")
    if len(labels.classes) == 1:
        raise Infeasible(
            f"all clips ({len(clips)}) are {labels.classes[0]}, so there is nothing to classify; add recordings of "
            "another emotion"
        )
    if protocol.transductive:
        refuse_single_clips(template)


def refuse_single_clips(experiment: "Experiment") -> None:
    """Stop if a speaker has a single clip, which would become 0 when standardised with itself.

    Raises:
        Infeasible: with the names of these speakers
    """
    counts = experiment.clips.speaker.value_counts(sort=False)
    if single := sorted(counts.index[counts == 1]):
        raise Infeasible(
            f"{len(single)} of {len(counts)} speakers have one clip only ({_some(single, experiment)}), but speaker "
            "normalisation needs two; add recordings of them, or leave them out"
        )


def find_obstacle(experiment: "Experiment", trained_classes: Sequence[str]) -> str:
    """Return the reason why a fold cannot be run; empty if it can.

    Args:
        trained_classes: classes of the training clips
    """
    fold, condition = experiment.fold, f" with {experiment.train_on}" * bool(experiment.train_on)
    if not fold.test or not fold.train:
        return "no clip is left to test" if not fold.test else f"no clip{condition} is left to train on"
    if len(trained_classes) < 2:
        return f"all {len(experiment.training_clips)} training clips{condition} are {trained_classes[0]}"
    return ""


def explain_skipped_folds(reasons: dict[int, str], folds: int) -> list[str]:
    """Return one sentence about the folds that are left out, or none.

    Args:
        reasons: number of a fold → reason
        folds: number of all folds
    """
    numbers: dict[str, list[str]] = defaultdict(list)
    for number, reason in reasons.items():
        numbers[reason].append(str(number + 1))
    parts = [f"fold {', '.join(skipped)} of {folds}: {reason}" for reason, skipped in numbers.items()]
    return [f"{'; '.join(parts)}; add recordings, or use another label set"] if parts else []


def remarks(experiments: Sequence["Experiment"]) -> list[str]:
    """Return one sentence for each oddity of the folds, such as a class without training or test clips."""
    groups: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        groups[experiment.protocol.name, experiment.system.name].append(experiment)
    systems_by_sentence: dict[str, list[str]] = defaultdict(list)
    for (protocol, system), folds in groups.items():
        for sentence in _remarks(folds):
            systems_by_sentence[f"{protocol}: {sentence}"].append(system)
    return [f"{', '.join(systems)}, {sentence}" for sentence, systems in systems_by_sentence.items()]


def _remarks(folds: Sequence["Experiment"]) -> Iterator[str]:
    clips, classes = folds[0].clips.set_index("clip"), folds[0].labels.classes
    test_counts: dict[str, int] = dict.fromkeys(classes, 0)
    untrained: dict[str, list[str]] = defaultdict(list)
    single_class = {}
    for each in folds:
        counts = clips.truth.loc[list(each.fold.test)].value_counts()
        test_counts |= {name: test_counts[name] + int(counts.get(name, 0)) for name in classes}
        for name in (name for name in classes if name not in each.trained_classes and counts.get(name)):
            untrained[name].append(f"fold {each.fold.number + 1}: {counts[name]} test clips")
        if len(counts) == 1:
            single_class[each.fold.number + 1] = counts.index[0]
    if untrained:
        listed = ", ".join(f"{name} ({'; '.join(where)})" for name, where in untrained.items())
        yield f"these classes have no training clips in a fold, are ranked last there and never predicted: {listed}."
    if absent := [name for name, count in test_counts.items() if not count]:
        yield f"no test clip is {' or '.join(absent)}; UAR is the mean over the other classes."
    if folds[0].protocol.split == "column":
        counts = clips.groupby("speaker").fold.nunique()
        shared = sorted(counts.index[counts > 1])
        listed = f" ({_some(shared, folds[0])}): seen speakers are tested" if shared else ""
        yield f"{len(shared)} of {len(counts)} speakers are in more than one fold of the column fold{listed}."
    if folds[0].protocol.shares_speakers:
        return
    if single_class:
        listed = ", ".join(f"fold {number} ({name})" for number, name in single_class.items())
        yield f"all test clips are of one class in {listed}: UAR is its recall there."
    test = clips.loc[sorted({clip for each in folds for clip in each.fold.test})]
    emotions = test.groupby("speaker").truth.nunique()
    if one_class := sorted(emotions.index[emotions == 1]):
        listed = _some(one_class, folds[0])
        yield f"{len(one_class)} of {len(emotions)} test speakers have clips of one class only ({listed})."


def _some(names: Sequence[str], experiment: "Experiment") -> str:
    """Return the first few speakers under the names of the label table."""
    shown = ", ".join(map(experiment.corpus.speaker_label, names[:NAMED]))
    return shown + f" and {len(names) - NAMED} more" * (len(names) > NAMED)
