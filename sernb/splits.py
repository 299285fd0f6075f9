"""Protocols: how clips become training, validation and test parts, and the audit that looks for leaks between them."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.config import DataError, Infeasible
from sernb.corpora import SpeakerFold
from sernb.pools import Pool

# Columns that two takes of one utterance share.
UTTERANCE = ["speaker", "emotion", "intensity", "sentence"]

# Kinds of leaks, as the audit names them.
CLIP = "clip also in training"
COPY = "copy or segment of a training clip"
SPEAKER = "speaker also in training"
TAKE = "other take of the same utterance in training"
SAME_FILE = "byte-identical sound in training"
SAME_SOUND = "near-identical sound in training"
CHOICE = "test clip chooses the epoch"
VALIDATION_SPEAKER = "speaker also in validation"
SHARED_VALIDATION = "validation speaker also in training"
STATISTICS = "test clip in fitted statistics"


@dataclass(frozen=True)
class Fold:
    """Names of the clips in each part of one fold; a validation part equal to the test part is no validation."""

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """What a figure means: who is shared between training and test, and which data chose and scaled."""

    name: str
    about: str
    split: str  # what is dealt onto the folds: "published", "clips", "utterances", "speakers" or "corpora"
    statistics: str  # what fits them, in words
    by_design: tuple[str, ...] = ()  # the kinds of leaks that it has; a report counts them
    transductive: bool = False  # each speaker's own clips fit the statistics, test clips too, without labels
    planted: str = ""  # "statistics", "augmentation" or "choice": the one leak put in to measure what it is worth
    published: str = ""  # whose folds of speakers are taken instead of the corpus's own
    develops: bool = False  # for choices between variants: test speakers stay out, validation speakers are scored

    @property
    def shares_speakers(self) -> bool:
        """Speakers are heard in training and in test."""
        return self.split not in ("speakers", "corpora")


# What every system is measured under: as its authors did, and as it should have been.
SIDE_BY_SIDE = ("as-published", "speaker-independent", "speaker-normalised")

ON_PURPOSE = (
    "LEAKS ON PURPOSE, no result: speaker-independent with one leak put in, to measure what that leak is worth: "
)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "as-published",
            "The split and the choice of epoch or settings that the system's authors used, slips included.",
            split="published",
            statistics="as the system's authors",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, CHOICE, VALIDATION_SPEAKER),
        ),
        Protocol(
            "random",
            "Five random folds with equal shares of each emotion; speakers and takes of one utterance are shared. A "
            "random tenth of the other clips validates, if any emotion has so many.",
            split="clips",
            statistics="training clips",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "random-twins-apart",
            "As random, but takes of one utterance, and byte-identical files, stay in one part.",
            split="utterances",
            statistics="training clips",
            by_design=(SPEAKER, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "speaker-independent",
            "No speaker of the test part is heard in training; other speakers choose epoch and settings.",
            split="speakers",
            statistics="training clips",
        ),
        Protocol(
            "speaker-normalised",
            "As speaker-independent, but every speaker's features are standardised with that speaker's own unlabelled "
            "clips, test speakers included (transductive).",
            split="speakers",
            statistics="each speaker's own clips",
            by_design=(STATISTICS,),
            transductive=True,
        ),
        Protocol(
            "development",
            "For choices between variants: the test speakers of speaker-independent stay out altogether, its "
            "validation speakers are scored, and further speakers choose epoch and settings.",
            split="speakers",
            statistics="training clips",
            develops=True,
        ),
        Protocol(
            "emobox",
            "EmoBox's published folds (Ma et al. 2024, arXiv:2406.07162) of the corpora whose speakers "
            "it keeps apart; validation speakers are ours: EmoBox validates on clips of training speakers.",
            split="speakers",
            statistics="training clips",
            published="EmoBox",
        ),
        Protocol(
            "corpus-independent",
            "Each corpus of a pool is tested by what was trained on the others.",
            split="corpora",
            statistics="training clips",
        ),
        Protocol(
            "leaky-statistics",
            f"{ON_PURPOSE}the system's scaling is fitted on all clips, test clips included.",
            split="speakers",
            statistics="all clips, test clips included",
            by_design=(STATISTICS,),
            planted="statistics",
        ),
        Protocol(
            "leaky-augmentation",
            f"{ON_PURPOSE}augmented copies of test clips are trained on, as when copies are made before the split.",
            split="speakers",
            statistics="training clips and copies of test clips",
            by_design=(COPY, SPEAKER, TAKE),
            planted="augmentation",
        ),
        Protocol(
            "leaky-choice",
            f"{ON_PURPOSE}the epoch is chosen on the test part.",
            split="speakers",
            statistics="training clips",
            by_design=(CHOICE, VALIDATION_SPEAKER),
            planted="choice",
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in PROTOCOLS:
        raise DataError(f"no protocol is named {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


# A published split: clips and seed → (train, test) or (train, validation, test) positions per fold.
PublishedSplit = Callable[[pd.DataFrame, int], Iterator[tuple[np.ndarray, ...]]]


RANDOM_FOLDS = 5
RANDOM_VALIDATION = 10  # one part in so many of the clips that are not tested


def folds_of(
    clips: pd.DataFrame, corpus: Pool, protocol: Protocol, *, published: PublishedSplit, seed: int, tests_choose: bool
) -> list[Fold]:
    """Return the folds of a protocol over these clips.

    Args:
        clips: rows of the index that the label set keeps, in order of path, with their class in ``truth``
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
                "savee and iemocap (those of emodb, crema_d and tess share speakers); take speaker-independent"
            )
        if protocol.published:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.emobox_folds)]
        elif protocol.develops:
            folds = list(_development_folds(clips, corpus))
        else:
            folds = [_speaker_fold(clips, number, fold) for number, fold in enumerate(corpus.speaker_folds)]
    else:
        apart = protocol.split == "utterances"
        folds = list(_random_folds(clips, utterances(clips) if apart else np.arange(len(clips)), seed))
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
        heard = set(left.speaker) - set(fold.validation)
        choosing = heard & set(folds[(number + 1) % len(folds)].validation)
        yield _speaker_fold(left, number, SpeakerFold(fold.validation, tuple(choosing) if choosing < heard else ()))


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

    names, truth = clips["clip"].to_numpy(), clips["truth"].to_numpy()
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


def _commonest(truth: np.ndarray) -> int:
    return int(np.unique(truth, return_counts=True)[1].max())


def utterances(clips: pd.DataFrame) -> np.ndarray:
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
