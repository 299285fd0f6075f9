"""Folds: training, validation and test clips of each fold of a protocol."""

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
    """Names of the clips in each part of one fold; a validation part equal to the test part is no validation."""

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


# A published split: clips and seed → (train, test) or (train, validation, test) positions per fold.
PublishedSplit = Callable[[pd.DataFrame, int], Iterator[tuple[np.ndarray, ...]]]


# What the parts of a split are called.
PARTS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
RANDOM_FOLDS = 5
RANDOM_VALIDATION = 10  # one part in so many of the clips that are not tested


def make_folds(
    clips: pd.DataFrame, corpus: Pool, protocol: Protocol, *, published: PublishedSplit, seed: int, tests_choose: bool
) -> list[Fold]:
    """Return the folds of a protocol over these clips.

    Args:
        clips: rows of the index that the label set keeps, in order of path, with their class or number in ``truth``
        published: the split of the system's authors, for ``as-published``
        seed: for random folds, and for systems whose authors fixed none
        tests_choose: the authors chose the epoch on the test part: it serves as validation part as well

    Raises:
        Infeasible: if there are too few clips, classes, speakers or corpora for the protocol
    """
    if protocol.split == "published":
        names, counts = clips["clip"].to_numpy(), clips["truth"].value_counts()
        try:
            folds = [
                Fold(number, tuple(names[train]), tuple(*(names[part] for part in chooses)), tuple(names[test]))
                for number, (train, *validation, test) in enumerate(published(clips, seed))
                for chooses in [[test] if tests_choose else validation]
            ]
        except ValueError as error:  # as scikit-learn says it; what each split needs is its own
            raise Infeasible(
                f"its published split cannot be cut from {len(clips)} clips in {len(counts)} classes, of which "
                f"{counts.index[-1]} has {counts.iloc[-1]}; add recordings, above all of {counts.index[-1]}"
            ) from error
    elif protocol.split == "corpora":
        if len(corpus.parts) == 1:
            raise Infeasible(f"{corpus.name}: {protocol.name} needs two corpora or more; join them with +")
        folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.corpus_folds)]
    elif protocol.split == "speakers":
        if not corpus.speaker_folds:
            raise Infeasible(
                f"{corpus.name}: has one speaker, and none to test with speakers apart; take as-published or random, "
                "or add another speaker"
            )
        if protocol.published and not corpus.emobox_folds:
            raise Infeasible(
                f"{corpus.name}: {protocol.published} has no folds of it that keep speakers apart, as of ravdess, "
                "savee, iemocap, subesco, cafe and esd (those of emodb, crema_d, tess and emozionalmente share "
                "speakers); take speaker-independent"
            )
        if protocol.published:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.emobox_folds)]
        elif protocol.develops:
            folds = list(_development_folds(clips, corpus))
        elif protocol.sentences:
            folds = list(_sentence_folds(clips, corpus))
        else:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.speaker_folds)]
    elif protocol.split == "column":
        folds = list(_own_folds(clips, corpus))
    else:
        apart = protocol.split == "utterances"
        folds = list(_random_folds(clips, group_utterances(clips) if apart else np.arange(len(clips)), seed))
    if protocol.planted == "choice":
        folds = [dataclasses.replace(fold, validation=fold.test) for fold in folds]
    return folds


def _speaker_fold(clips: pd.DataFrame, number: int, fold: SpeakerFold) -> Fold:
    test, validation = clips.speaker.isin(fold.test), clips.speaker.isin(fold.validation)
    parts = (clips["clip"][mask] for mask in (~test & ~validation, validation, test))
    return Fold(number, *(tuple(part) for part in parts))


def _development_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Leave test speakers out, score the validation speakers, once each; the next ones choose, if others then train."""
    folds = list({fold.validation: fold for fold in reversed(corpus.speaker_folds)}.values())[::-1]
    for number, fold in enumerate(folds):
        if not fold.validation:
            raise Infeasible(
                f"{corpus.name}: has no validation speakers, and so none to score while a system is developed; take "
                "another corpus, or join one with +"
            )
        left = clips[~clips.speaker.isin(fold.test)]
        training = set(left.speaker) - set(fold.validation)
        choosing = training & set(folds[(number + 1) % len(folds)].validation)
        yield _speaker_fold(left, number, SpeakerFold(fold.validation, tuple(choosing) if choosing < training else ()))


def _sentence_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Test each fold of speakers on every second sentence, then on the others; neither is learned from meanwhile."""
    sentences = sorted(set(clips["sentence"]))
    if "" in sentences or len(sentences) < 2:
        told = "does not say of every clip which sentence it is" if "" in sentences else "says one sentence alone"
        raise Infeasible(f"{corpus.name}: {told}; take speaker-independent")
    for number, fold in enumerate(corpus.speaker_folds):
        whole = _speaker_fold(clips, number, fold)
        for half in range(2):
            tested = set(clips["clip"][clips["sentence"].isin(sentences[half::2])])
            learned = (tuple(clip for clip in part if clip not in tested) for part in (whole.train, whole.validation))
            yield Fold(2 * number + half, *learned, tuple(clip for clip in whole.test if clip in tested))


def _own_folds(clips: pd.DataFrame, corpus: Pool) -> Iterator[Fold]:
    """Take the column ``fold``: each value is tested, or its values are the names of parts."""
    missing = int((clips["fold"] == "").sum()) if "fold" in clips else len(clips)
    if missing or len(corpus.parts) > 1:
        told = "several corpora have no folds in common" if len(corpus.parts) > 1 else (
            f"{missing} of {len(clips)} clips have no fold in its labels, in the column fold"
        )  # fmt: skip
        raise Infeasible(f"{corpus.name}: {told}; complete them, or take speaker-independent")
    names, folds = clips["clip"].to_numpy(), clips["fold"].str.casefold()
    if set(folds) <= set(PARTS):
        parts = folds.map(PARTS)
        made = [Fold(0, *(tuple(names[parts == part]) for part in ("train", "validation", "test")))]
    else:
        values = sorted(
            set(folds), key=lambda value: (not value.isdecimal(), value.zfill(9) if value.isdecimal() else value)
        )
        count = len(values)
        after = [values[(place + 1) % count] if count > 2 else None for place in range(count)]
        made = [
            Fold(
                number, *(tuple(names[part]) for part in (~folds.isin([value, other]), folds == other, folds == value))
            )
            for number, (value, other) in enumerate(zip(values, after, strict=True))
        ]
    if not all(fold.train and fold.test for fold in made):
        raise Infeasible(
            f"{corpus.name}: its column fold names no clips to train on and others to test; name two folds"
        )
    yield from made


def _random_folds(clips: pd.DataFrame, groups: np.ndarray, seed: int) -> Iterator[Fold]:
    """Deal groups of clips onto folds, each with about equal shares of every class.

    There are as many folds as the commonest class has groups, five at most. Where no class has ten groups left, no clip
    validates.
    """
    from sklearn.model_selection import StratifiedKFold

    def stratified(count: int, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # is missing from some folds: no fault
            return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(rows, of_group[rows]))

    names, truth = clips["clip"].to_numpy(), make_strata(clips["truth"].to_numpy())
    known, first = np.unique(groups, return_index=True)
    of_group = truth[first]
    count = min(RANDOM_FOLDS, _commonest(of_group))
    if count < 2:
        raise Infeasible(f"none of {len(set(truth))} classes has two clips to deal onto random folds; add recordings")
    for number, (rest, test) in enumerate(stratified(count, np.arange(len(known)))):
        train, validation = np.arange(len(rest)), np.arange(0)
        if _commonest(of_group[rest]) >= RANDOM_VALIDATION:
            train, validation = stratified(RANDOM_VALIDATION, rest)[0]
        parts = (rest[train], rest[validation], test)
        yield Fold(number, *(tuple(names[np.isin(groups, known[part])]) for part in parts))


def group_utterances(clips: pd.DataFrame) -> np.ndarray:
    """Number the utterances: takes of one, and files that are byte for byte alike, have the same number.

    Where a corpus does not say which sentence is spoken, each clip is an utterance.

    Returns:
        one number a clip, shape ``(clips,)``
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sentence = clips["sentence"].where(clips["sentence"] != "", clips["clip"])
    utterance = clips.assign(sentence=sentence).groupby(UTTERANCE).ngroup().to_numpy()
    file = clips.groupby("sha256").ngroup().to_numpy() + utterance.max() + 1
    nodes = file.max() + 1
    links = coo_array((np.ones(len(clips)), (utterance, file)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][utterance]


def _commonest(truth: np.ndarray) -> int:
    return int(np.unique(truth, return_counts=True)[1].max())
