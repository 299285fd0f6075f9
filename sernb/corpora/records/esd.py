"""ESD: ten speakers of English and ten of Mandarin, 350 sentences each in five emotions.

File names have speaker and number, as in ``0011/Angry/0011_000351.wav``. The number encodes emotion and sentence: 1 to
350 are neutral, 351 to 700 angry, 701 to 1050 happy, 1051 to 1400 sad, 1401 to 1750 surprised, and the number modulo
350 is the sentence. Speakers 0001 to 0010 speak Mandarin, the others English. Some copies split each emotion into the
folders ``evaluation``, ``test`` and ``train``; files are found there by name.
"""

import re
from collections.abc import Iterator

from sernb.corpora.record import Corpus, Labels, fold_groups

# In the order of their numbers.
EMOTIONS = {"Neutral": "neutral", "Angry": "angry", "Happy": "happy", "Sad": "sad", "Surprise": "surprised"}
SENTENCES = 350
MEN = {4, 5, 6, 8, 10, 11, 12, 13, 14, 20}
VOICES = range(1, 21)
FIRST_ENGLISH = 11

# Test speakers: Ma et al. (2024), arXiv:2406.07162; validation speakers: the first two of the next fold.
EMOBOX = ((5, 11, 16, 18), (12, 14, 15, 19), (3, 4, 6, 9), (7, 8, 13, 20), (1, 2, 10, 17))


def list_paths() -> Iterator[str]:
    """Return every published path."""
    for voice in VOICES:
        for place, word in enumerate(EMOTIONS):
            for number in range(place * SENTENCES + 1, (place + 1) * SENTENCES + 1):
                yield f"{voice:04d}/{word}/{voice:04d}_{number:06d}.wav"


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name and the speaker's gender; the number determines the emotion, not the folder."""
    voice, (place, sentence) = int(match["voice"]), divmod(int(match["number"]) - 1, SENTENCES)
    return {
        "speaker": speaker(voice),
        "gender": "male" if voice in MEN else "female",
        "emotion": tuple(EMOTIONS.values())[place],
        # A number is a different sentence in the other language.
        "sentence": f"{'en' if voice >= FIRST_ENGLISH else 'zh'}{sentence + 1:03d}",
    }


def speaker(voice: int) -> str:
    """Return the name of a speaker in the index."""
    return f"esd-{voice:04d}"


FOLDS = fold_groups([tuple(map(speaker, test)) for test in EMOBOX], lambda group: group[:2])

CORPUS = Corpus(
    name="esd",
    title="ESD",
    about="Emotional Speech Database: ten native speakers of English and ten of Mandarin, 350 sentences in each "
    "language, five emotions, indoor recordings at 16 kHz, made for voice conversion.",
    citation="Zhou K, Sisman B, Liu R, Li H (2021). Seen and Unseen Emotional Style Transfer for Voice Conversion with "
    "a New Emotional Speech Dataset. Proc. ICASSP 2021, 920-924. doi:10.1109/ICASSP39728.2021.9413391",
    licence="for research, under an agreement with its owners",
    homepage="https://github.com/HLTSingapore/Emotional-Speech-Data",
    get="the dataset from its owners at github.com/HLTSingapore/Emotional-Speech-Data, unpacked into data/raw/esd",
    pattern=r"(?P<voice>00(?:0[1-9]|1\d|20))/(?:Neutral|Angry|Happy|Sad|Surprise)"
    r"/(?P=voice)_(?P<number>00(?!0000)(?:0\d{3}|1[0-6]\d\d|17[0-4]\d|1750))\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=35_000,
    speakers=20,
    speaker_folds=FOLDS,
    emobox_folds=FOLDS,
    paths=list_paths,
    sampling_rates=(16_000,),
    on_request="sign the licence at https://github.com/HLTSingapore/Emotional-Speech-Data, which says where to send it "
    "and where the archive is, and unpack it, so that data/raw/esd/0011/Angry/0011_000351.wav exists",
    quirks=(
        "No checksums are published: the index is built from the local copy; a check compares names, counts and "
        "sampling rates.",
        "The number of a clip encodes emotion and sentence; its folder repeats the emotion.",
        "Some copies split each emotion into the folders evaluation, test and train by sentence: they share all "
        "speakers, so this split does not test unseen speakers.",
        "All speakers of a language speak the same 350 sentences in all emotions: speaker-independent training data "
        "include every test sentence; the protocol sentence-independent separates sentences as well.",
        "Two languages: pool with care, or filter by speaker.",
    ),
)
