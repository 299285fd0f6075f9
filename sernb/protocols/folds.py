"""Make the folds of a protocol: the training, validation and test clips."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.config import Infeasible
from sernb.corpora.pool import Pool
from sernb.corpora.record import SpeakerFold
from sernb.protocols.protocol import UTTERANCE, Protocol
from sernb.protocols.targets import make_strata


@dataclass(frozen=True)
class Fold:
    """The clips in each part of one fold; if the validation part equals the test part, selection uses test clips."""

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


# A published split: clips and seed → positions of the clips in (train, test) or (train, validation, test) per fold.
PublishedSplit = Callable[[pd.DataFrame, int], Iterator[tuple[np.ndarray, ...]]]


# Usual names of the parts of a split.
PARTS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
RANDOM_FOLDS = 5
RANDOM_VALIDATION = 10  # one of so many parts of the remaining clips is the validation part


def make_folds(
    clips: pd.DataFrame, corpus: Pool, protocol: Protocol, *, published: PublishedSplit, seed: int, select_on_test: bool
) -> list[Fold]:
    """Return the folds of a protocol over these clips.

    Args:
        clips: rows of the index with a class or number in ``truth``, in order of path
        published: the split of the system's authors, for ``as-published``
        seed: for random folds, and for published splits without a fixed seed
        select_on_test: whether the authors selected the epoch on the test part, which then is the validation part too

    Raises:
        Infeasible: if there are too few clips, classes, speakers or corpora for the protocol
    """
    if protocol.split == "published":
        names, counts = clips["clip"].to_numpy(), clips["truth"].value_counts()
        try:
            folds = [
                Fold(number, tuple(names[train]), tuple(*(names[part] for part in selection)), tuple(names[test]))
                for number, (train, *validation, test) in enumerate(published(clips, seed))
                for selection in [[test] if select_on_test else validation]
            ]
        except ValueError as error:  # from scikit-learn; the requirements depend on the split
            raise Infeasible(
                f"its published split cannot be made from {len(clips)} clips in {len(counts)} classes, of which "
                f"{counts.index[-1]} has {counts.iloc[-1]}; add recordings, above all of {counts.index[-1]}"
            ) from error
    elif protocol.split == "corpora":
        if len(corpus.parts) == 1:
            raise Infeasible(f"{corpus.name}: {protocol.name} needs two or more corpora; join them with +")
        folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.corpus_folds)]
    elif protocol.split == "speakers":
        if not corpus.speaker_folds:
            raise Infeasible(
                f"{corpus.name}: has one speaker, too few for a speaker-independent test; use as-published or random, "
                "or add another speaker"
            )
        if protocol.published and not corpus.emobox_folds:
            raise Infeasible(
                f"{corpus.name}: {protocol.published} has no speaker-independent folds for it, only for ravdess, "
                "savee, iemocap, subesco, cafe and esd (those of emodb, crema_d, tess and emozionalmente share "
                "speakers); use speaker-independent"
            )
        if protocol.published:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.emobox_folds)]
        elif protocol.for_development:
            folds = list(_development_folds(clips, corpus))
        elif protocol.sentences:
            folds = list(_sentence_folds(clips, corpus))
        else:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.speaker_folds)]
    elif protocol.split == "column":
        folds = list(_column_folds(clips, corpus))
    else:
        groups = group_utterances(clips) if protocol.split == "utterances" else np.arange(len(clips))
        folds = list(_random_folds(clips, groups, seed))
    if protocol.introduced_leak == "choice":
        folds = [dataclasses.replace(fold, validation=fold.test) for fold in folds]
    return folds


def _speaker_fold(clips: pd.DataFrame, number: int, fold: SpeakerFold) -> Fold:
    test, validation = clips.speaker.isin(fold.test), clips.speaker.isin(fold.validation)
    parts = (clips["clip"][mask] for mask in (~test & ~validation, validation, test))
    return Fold(number, *(tuple(part) for part in parts))


def _development_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Exclude the test speakers, and score each group of validation speakers once.

    The validation part has the next group of validation speakers, if other training speakers remain.
    """
    folds = list({fold.validation: fold for fold in reversed(corpus.speaker_folds)}.values())[::-1]
    for number, fold in enumerate(folds):
        if not fold.validation:
            raise Infeasible(
                f"{corpus.name}: has no validation speakers to score during development; use another corpus, or join "
                "one with +"
            )
        remaining = clips[~clips.speaker.isin(fold.test)]
        training = set(remaining.speaker) - set(fold.validation)
        selection = training & set(folds[(number + 1) % len(folds)].validation)
        validation = tuple(selection) if selection < training else ()
        yield _speaker_fold(remaining, number, SpeakerFold(fold.validation, validation))


def _sentence_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Test each group of speakers on every second sentence, then on the others, and train on the untested sentences."""
    sentences = sorted(set(clips["sentence"]))
    if "" in sentences or len(sentences) < 2:
        problem = "some clips have no sentence label" if "" in sentences else "has a single sentence"
        raise Infeasible(f"{corpus.name}: {problem}; use speaker-independent")
    for number, fold in enumerate(corpus.speaker_folds):
        whole = _speaker_fold(clips, number, fold)
        for half in range(2):
            tested = set(clips["clip"][clips["sentence"].isin(sentences[half::2])])
            others = (tuple(clip for clip in part if clip not in tested) for part in (whole.train, whole.validation))
            yield Fold(2 * number + half, *others, tuple(clip for clip in whole.test if clip in tested))


def _column_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Make folds from the column ``fold``: each value is a test fold, or the values are names of parts."""
    missing = int((clips["fold"] == "").sum()) if "fold" in clips else len(clips)
    if missing or len(corpus.parts) > 1:
        problem = "several corpora have no folds in common" if len(corpus.parts) > 1 else (
            f"{missing} of {len(clips)} clips have no value in the column fold of its labels"
        )  # fmt: skip
        raise Infeasible(f"{corpus.name}: {problem}; complete them, or use speaker-independent")
    names, folds = clips["clip"].to_numpy(), clips["fold"].str.casefold()
    if set(folds) <= set(PARTS):
        parts = folds.map(PARTS)
        result = [Fold(0, *(tuple(names[parts == part]) for part in ("train", "validation", "test")))]
    else:
        values = sorted(
            set(folds), key=lambda value: (not value.isdecimal(), value.zfill(9) if value.isdecimal() else value)
        )
        count = len(values)
        next_values = [values[(place + 1) % count] if count > 2 else None for place in range(count)]
        result = [
            Fold(
                number, *(tuple(names[part]) for part in (~folds.isin([value, other]), folds == other, folds == value))
            )
            for number, (value, other) in enumerate(zip(values, next_values, strict=True))
        ]
    if not all(fold.train and fold.test for fold in result):
        raise Infeasible(
            f"{corpus.name}: its column fold does not give both training and test clips; name two or more folds"
        )
    yield from result


def _random_folds(clips: pd.DataFrame, groups: np.ndarray, seed: int) -> Iterator[Fold]:
    """Make stratified random folds of groups of clips.

    The number of folds is that of the groups of the most frequent class, at most five. If no class has ten groups left,
    there is no validation part.
    """
    from sklearn.model_selection import StratifiedKFold

    def split_stratified(count: int, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # may be missing from some folds
            return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(rows, group_truth[rows]))

    names, truth = clips["clip"].to_numpy(), make_strata(clips["truth"].to_numpy())
    group_numbers, first = np.unique(groups, return_index=True)
    group_truth = truth[first]
    count = min(RANDOM_FOLDS, _count_most_frequent(group_truth))
    if count < 2:
        raise Infeasible(f"none of {len(set(truth))} classes has two clips for random folds; add recordings")
    for number, (rest, test) in enumerate(split_stratified(count, np.arange(len(group_numbers)))):
        train, validation = np.arange(len(rest)), np.arange(0)
        if _count_most_frequent(group_truth[rest]) >= RANDOM_VALIDATION:
            train, validation = split_stratified(RANDOM_VALIDATION, rest)[0]
        parts = (rest[train], rest[validation], test)
        yield Fold(number, *(tuple(names[np.isin(groups, group_numbers[part])]) for part in parts))


def group_utterances(clips: pd.DataFrame) -> np.ndarray:
    """Number the utterances: repetitions of an utterance and byte-identical files share a number.

    Clips without a sentence label are utterances of their own.

    Returns:
        one number per clip, shape ``(clips,)``
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sentence = clips["sentence"].where(clips["sentence"] != "", clips["clip"])
    utterance = clips.assign(sentence=sentence).groupby(UTTERANCE).ngroup().to_numpy()
    file = clips.groupby("sha256").ngroup().to_numpy() + utterance.max() + 1
    nodes = file.max() + 1
    links = coo_array((np.ones(len(clips)), (utterance, file)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][utterance]


def _count_most_frequent(truth: np.ndarray) -> int:
    return int(np.unique(truth, return_counts=True)[1].max())
