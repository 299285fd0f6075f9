"""SAVEE: four men, students and researchers at the University of Surrey, 120 sentences each in seven emotions.

File names have speaker, emotion and number, as in ``DC/sa01.wav``; the letters are a, d, f, h, n, sa, su. Stems are
repeated for each speaker, so clips are named by speaker and stem: ``DC_sa01``.
"""

import re

from sernb.corpora.record import Corpus, Labels, Pcm, SpeakerFold

EMOTIONS = {
    "n": "neutral", "h": "happy", "sa": "sad", "a": "angry", "f": "fearful", "d": "disgust", "su": "surprised",
}  # fmt: skip
VOICES = ("DC", "JE", "JK", "KL")


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name."""
    sentence = match["emotion"] + match["number"]
    return {
        "clip": f"{match['voice']}_{sentence}",
        "speaker": speaker(match["voice"]),
        "gender": "male",
        "emotion": EMOTIONS[match["emotion"]],
        "sentence": sentence,  # a code is the same sentence for all four speakers
    }


def speaker(voice: str) -> str:
    """Return the name of a speaker in the index."""
    return f"savee-{voice}"


FOLDS = tuple(SpeakerFold((speaker(voice),), (speaker(VOICES[(place + 1) % 4]),)) for place, voice in enumerate(VOICES))

CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    about="Surrey Audio-Visual Expressed Emotion: four English men, 120 sentences each, seven emotions, studio "
    "recordings.",
    citation="Haq S, Jackson PJB (2010). Multimodal Emotion Recognition. In: Wang W (ed.), Machine Audition: "
    "Principles, Algorithms and Systems. IGI Global, 398-423. doi:10.4018/978-1-61520-919-4.ch017",
    licence="for research, after registration with its owners",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    get="AudioData from its owners after registration at kahlan.eps.surrey.ac.uk/savee, into data/raw/savee",
    pattern=r"(?P<voice>DC|JE|JK|KL)/(?P<emotion>sa|su|a|d|f|h|n)(?P<number>\d\d)\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=480,
    speakers=4,
    speaker_folds=FOLDS,
    emobox_folds=FOLDS,  # with the same test speakers
    spellings=((r"(DC|JE|JK|KL)/", r"ALL/\1_"), (r"(DC|JE|JK|KL)/", r"\1_")),
    sound=Pcm(44_100),
    on_request="register at http://kahlan.eps.surrey.ac.uk/savee/ and unpack AudioData, so that "
    "data/raw/savee/DC/a01.wav exists; the flat layout ALL/DC_a01.wav is read as well",
    quirks=(
        "Each speaker has 30 neutral clips and 15 of each other emotion; the publishers' notes say 15 of each.",
        "The letters sa and su are sad and surprised: the first letter alone is not enough.",
        "Two layouts exist: DC/a01.wav and, in one folder, DC_a01.wav.",
        "Four men: no finding has been tested on women's voices.",
    ),
)
