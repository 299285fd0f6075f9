"""EMO-DB: ten German actors, ten sentences in seven emotions; only clips that listeners recognised were published.

File names have speaker, sentence, emotion and version, as in ``wav/03a01Fa.wav``. The emotion is a German initial:
W Wut (anger), L Langeweile (boredom), E Ekel (disgust), A Angst (fear), F Freude (happiness), T Trauer (sadness), N
neutral.
"""

import re

from sernb.corpora.record import Archive, Corpus, Labels, Pcm, SpeakerFold

EMOTIONS = {
    "N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fearful", "E": "disgust", "L": "bored",
}  # fmt: skip

# Published ages.
MEN = {"03": 31, "10": 32, "11": 26, "12": 30, "15": 25}
WOMEN = {"08": 34, "09": 21, "13": 32, "14": 35, "16": 31}


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name, and the speaker's age and gender."""
    voice = match["voice"]
    return {
        "speaker": speaker(voice),
        "gender": "male" if voice in MEN else "female",
        "age": (MEN | WOMEN)[voice],
        "emotion": EMOTIONS[match["emotion"]],
        "sentence": match["sentence"],
        "take": match["take"],
    }


def speaker(voice: str) -> str:
    """Return the name of a speaker in the index."""
    return f"emodb-{voice}"


def _speaker_folds() -> tuple[SpeakerFold, ...]:
    """Leave one speaker out; the next man and the next woman are the validation speakers."""
    folds = []
    for voice in sorted(MEN | WOMEN):
        place = list(MEN if voice in MEN else WOMEN).index(voice) + 1
        validation = (list(group)[place % len(group)] for group in (MEN, WOMEN))
        folds.append(SpeakerFold((speaker(voice),), tuple(sorted(map(speaker, validation)))))
    return tuple(folds)


CORPUS = Corpus(
    name="emodb",
    title="EMO-DB",
    about="Berlin Database of Emotional Speech: ten actors, ten German sentences, seven emotions. Of about 800 "
    "recordings, the 535 that listeners recognised and rated as natural were published.",
    citation="Burkhardt F, Paeschke A, Rolfes M, Sendlmeier W, Weiss B (2005). A Database of German Emotional Speech. "
    "Proc. Interspeech 2005, 1517-1520. doi:10.21437/Interspeech.2005-446",
    licence="free of charge; published without a licence text",
    homepage="http://emodb.bilderbar.info/",
    get="emodb.zip from zenodo.org/records/7447302, unpacked into data/raw/emodb",
    pattern=r"wav/(?P<voice>0[389]|1[0-6])(?P<sentence>a0[12457]|b0[1239]|b10)(?P<emotion>[NFTWAEL])(?P<take>[a-f])\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=535,
    speakers=10,
    speaker_folds=_speaker_folds(),
    spellings=((r"wav/", ""),),
    sound=Pcm(16_000, headers=((r"wav/14a07(Wc|Aa|Fd|Na)\.wav", 44 + 4096),)),
    # Version 1.3.0 in Zenodo; the older address, http://emodb.bilderbar.info/download/
    # download.zip, has no https and no published checksum.
    archive=Archive(
        "emodb.zip",
        "https://zenodo.org/records/7447302/files/emodb.zip?download=1",
        39_981_818,
        "md5:9d21362dbc5676ef3ab4745d83ced0db",
    ),
    quirks=(
        "The letters are German: A is Angst (fear) and F is Freude (happiness); a label list that circulates with some "
        "copies has 186 of 535 labels wrong.",
        "Four files of speaker 14 have 4096 bytes of padding before the samples.",
        "Every file is normalised to full scale: level differences between clips mean nothing, and all look clipped.",
        "Clips that listeners did not recognise were not published: all scores are scores on easy clips.",
    ),
)
