"""Protocols: how clips are split into training, validation and test parts, and which leaks are allowed."""

from dataclasses import dataclass

from sernb.config import DataError

# Columns shared by all repetitions of an utterance.
UTTERANCE = ["speaker", "emotion", "intensity", "sentence"]

# Kinds of leaks in audits and stored results.
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
    """An evaluation protocol: the split, the data for normalisation and model selection, and the allowed leaks."""

    name: str
    about: str
    split: str  # units that are split: "published", "clips", "utterances", "speakers", "corpora" or "column"
    statistics: str  # description of the data for normalisation statistics
    by_design: tuple[str, ...] = ()  # kinds of leaks that are allowed; reports show their counts
    transductive: bool = False  # each speaker is normalised with all own unlabelled clips, test clips included
    introduced_leak: str = ""  # "statistics", "augmentation" or "choice": a deliberate leak whose effect is measured
    published: str = ""  # source of the speaker folds, instead of those of the corpus
    sentences: bool = False  # test sentences do not occur in training or validation
    for_development: bool = False  # to compare variants: test speakers are excluded, validation speakers are scored

    @property
    def shares_speakers(self) -> bool:
        """Whether training and test part may share speakers."""
        return self.split not in ("speakers", "corpora")


# The default protocols of comparisons: as published, and two speaker-independent ones.
COMPARED = ("as-published", "speaker-independent", "speaker-normalised")

WITH_LEAKS = "DELIBERATE LEAK, not a result: speaker-independent with one leak introduced to measure its effect: "

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "as-published",
            "The split and the selection of epoch or settings of the system's authors, including their mistakes.",
            split="published",
            statistics="as the system's authors",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, CHOICE, VALIDATION_SPEAKER),
        ),
        Protocol(
            "random",
            "Five random folds stratified by emotion; parts share speakers and repetitions of utterances. A random "
            "tenth of the training clips is the validation part, if there are enough clips.",
            split="clips",
            statistics="training clips",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "random-twins-apart",
            "As random, but all repetitions of an utterance, and byte-identical files, are in the same part.",
            split="utterances",
            statistics="training clips",
            by_design=(SPEAKER, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "speaker-independent",
            "The test part shares no speaker with training and validation; epoch and settings are selected on "
            "validation speakers.",
            split="speakers",
            statistics="training clips",
        ),
        Protocol(
            "speaker-normalised",
            "As speaker-independent, but the features of each speaker, test speakers included, are standardised with "
            "that speaker's unlabelled clips (transductive); for fine-tuned encoders the log scores instead.",
            split="speakers",
            statistics="each speaker's own clips",
            by_design=(STATISTICS,),
            transductive=True,
        ),
        Protocol(
            "development",
            "For comparing variants during development: the test speakers of speaker-independent are excluded, its "
            "validation speakers are scored, and epoch and settings are selected on further speakers.",
            split="speakers",
            statistics="training clips",
            for_development=True,
        ),
        Protocol(
            "emobox",
            "EmoBox's published folds (Ma et al. 2024, arXiv:2406.07162) of those corpora for which they are "
            "speaker-independent, with our own validation speakers: EmoBox validates on clips of training speakers.",
            split="speakers",
            statistics="training clips",
            published="EmoBox",
        ),
        Protocol(
            "sentence-independent",
            "As speaker-independent, but training and test also share no sentence: each group of test speakers is "
            "tested on one half of the sentences after training on the other half, and vice versa.",
            split="speakers",
            statistics="training clips",
            sentences=True,
        ),
        Protocol(
            "own-folds",
            "The column fold of the labels: each fold is tested in turn, with the next as validation part if there are "
            "three or more; or the parts train, validation and test. Speakers shared by folds are counted.",
            split="column",
            statistics="training clips",
            by_design=(SPEAKER, TAKE, SAME_FILE, SAME_SOUND, VALIDATION_SPEAKER),
        ),
        Protocol(
            "corpus-independent",
            "Each corpus of a pool is tested after training on the others.",
            split="corpora",
            statistics="training clips",
        ),
        Protocol(
            "leaky-statistics",
            f"{WITH_LEAKS}normalisation statistics are fitted on all clips, including test clips.",
            split="speakers",
            statistics="all clips, test clips included",
            by_design=(STATISTICS,),
            introduced_leak="statistics",
        ),
        Protocol(
            "leaky-augmentation",
            f"{WITH_LEAKS}augmented copies of test clips are in training, as when augmentation precedes the split.",
            split="speakers",
            statistics="training clips and copies of test clips",
            by_design=(COPY, SPEAKER, TAKE),
            introduced_leak="augmentation",
        ),
        Protocol(
            "leaky-choice",
            f"{WITH_LEAKS}the epoch is selected on the test part.",
            split="speakers",
            statistics="training clips",
            by_design=(CHOICE, VALIDATION_SPEAKER),
            introduced_leak="choice",
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
