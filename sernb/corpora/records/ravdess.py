"""RAVDESS, speech part: 24 actors from Canada, two sentences in eight emotions, most of them at two intensities.

File names have seven numbers, as in ``Actor_12/03-01-06-01-02-01-12.wav``: modality (03, audio only), channel (01,
speech), emotion, intensity, sentence, repetition, actor. Odd actors are male, even ones female. Neutral has no strong
intensity.
"""

import re

from sernb.corpora.record import Archive, Corpus, Labels, SpeakerFold, fold_groups

# In the order of their codes, 01 to 08.
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name."""
    actor = int(match["actor"])
    return {
        "speaker": speaker(actor),
        "gender": "male" if actor % 2 else "female",
        "emotion": EMOTIONS[int(match["emotion"]) - 1],
        "intensity": {"01": "normal", "02": "strong"}[match["intensity"]],
        "sentence": match["sentence"],
        "take": match["take"],
    }


def speaker(actor: int) -> str:
    """Return the speaker name of an actor."""
    return f"ravdess-{actor:02d}"


EMOBOX = ({1, 11, 20, 21}, {4, 10, 12, 14}, {8, 9, 19, 23}, {3, 5, 7, 24}, {2, 15, 16, 18}, {6, 13, 17, 22})


def _fold(test: set[int], validation: set[int]) -> SpeakerFold:
    return SpeakerFold(tuple(map(speaker, sorted(test))), tuple(map(speaker, sorted(validation))))


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    about="Ryerson Audio-Visual Database of Emotional Speech and Song: 24 professional actors, two sentences, "
    "eight emotions, studio recordings at 48 kHz. The speech part is used.",
    citation="Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song "
    "(RAVDESS). PLoS ONE 13(5): e0196391. doi:10.1371/journal.pone.0196391",
    licence="CC BY-NC-SA 4.0",
    homepage="https://zenodo.org/records/1188976",
    get="Audio_Speech_Actors_01-24.zip from zenodo.org/records/1188976, unpacked into data/raw/ravdess",
    pattern=r"Actor_(?P<folder>\d\d)/03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<sentence>0[12])-(?P<take>0[12])-(?P<actor>(?P=folder))\.wav",
    describe=describe,
    emotions=EMOTIONS,
    clips=1440,
    speakers=24,
    # Test actors: Luna-Jiménez et al. (2021), doi:10.3390/s21227665; validation actors are those of ResLSTM-SER.
    speaker_folds=(
        _fold({2, 5, 14, 15, 16}, {3, 6}),
        _fold({3, 6, 7, 13, 18}, {10, 11}),
        _fold({10, 11, 12, 19, 20}, {8, 17}),
        _fold({8, 17, 21, 23, 24}, {1, 14}),
        _fold({1, 4, 9, 22}, {2, 5}),
    ),
    # Test actors: Ma et al. (2024), arXiv:2406.07162; validation actors: the first two of the next fold.
    emobox_folds=fold_groups([tuple(map(speaker, sorted(test))) for test in EMOBOX], lambda group: group[:2]),
    near_duplicates_known=True,  # only the one byte-identical pair
    unused=((r"(.*/)?Actor_\d\d/03-02-[\d-]+\.wav", "a song; only the speech part of RAVDESS is used"),),
    archive=Archive(
        "Audio_Speech_Actors_01-24.zip",
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
        208_468_073,
        "md5:bc696df654c87fed845eb13823edef8a",
    ),
    quirks=(
        "Five files are stereo with identical channels; all others are mono.",
        "The two repetitions of one happy clip by actor 7 are the same file: a split by clips can leak it.",
        "Each file has about 50 kB of metadata before or after the samples; headers are not 44 bytes long.",
        "Many clips are very quiet (the quietest has an RMS of 0.00065): do not drop clips by a level threshold.",
        "Every sentence was recorded twice: a random split can put one repetition into training and one into the test.",
    ),
)
