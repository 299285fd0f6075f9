"""Protocols: how clips become training, validation and test parts, and the audit that looks for leaks between them."""

from dataclasses import dataclass

from sernb.config import DataError

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
class Protocol:
    """What a figure means: who is shared between training and test, and which data chose and scaled."""

    name: str
    about: str
    split: str  # what is dealt onto the folds: "published", "clips", "utterances", "speakers", "corpora" or "column"
    statistics: str  # what fits them, in words
    by_design: tuple[str, ...] = ()  # the kinds of leaks that it has; a report counts them
    transductive: bool = False  # each speaker's own clips fit the statistics, test clips too, without labels
    planted: str = ""  # "statistics", "augmentation" or "choice": the one leak introduced to measure its effect
    published: str = ""  # whose folds of speakers are taken instead of the corpus's own
    sentences: bool = False  # no sentence that is tested is heard in training or validation
    develops: bool = False  # for choices between variants: test speakers stay out, validation speakers are scored

    @property
    def shares_speakers(self) -> bool:
        """Speakers are in training and test."""
        return self.split not in ("speakers", "corpora")


# What every system is measured under: as its authors did, and as it should have been.
COMPARED = ("as-published", "speaker-independent", "speaker-normalised")

WITH_LEAKS = (
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
            "No speaker of the test part is in the training part; other speakers choose epoch and settings.",
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
            "sentence-independent",
            "As speaker-independent, but neither speaker nor sentence of the test part is heard in training: each fold "
            "of speakers is tested in two halves by what learned from the other half of the sentences.",
            split="speakers",
            statistics="training clips",
            sentences=True,
        ),
        Protocol(
            "own-folds",
            "The folds of the column fold of one's own labels: each is tested, the next validates where there are "
            "three or more; or their parts train, validation and test. Speakers who are in several are counted.",
            split="column",
            statistics="training clips",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "corpus-independent",
            "Each corpus of a pool is tested by what was trained on the others.",
            split="corpora",
            statistics="training clips",
        ),
        Protocol(
            "leaky-statistics",
            f"{WITH_LEAKS}the system's scaling is fitted on all clips, test clips included.",
            split="speakers",
            statistics="all clips, test clips included",
            by_design=(STATISTICS,),
            planted="statistics",
        ),
        Protocol(
            "leaky-augmentation",
            f"{WITH_LEAKS}augmented copies of test clips are trained on, as when copies are made before the split.",
            split="speakers",
            statistics="training clips and copies of test clips",
            by_design=(COPY, SPEAKER, TAKE),
            planted="augmentation",
        ),
        Protocol(
            "leaky-choice",
            f"{WITH_LEAKS}the epoch is chosen on the test part.",
            split="speakers",
            statistics="training clips",
            by_design=(CHOICE, VALIDATION_SPEAKER),
            planted="choice",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        DataError: if the name is unknown; the message lists the known ones
    """
    if name not in PROTOCOLS:
        raise DataError(f"no protocol is named {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
