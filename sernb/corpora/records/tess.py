"""TESS: two women aged 26 and 64, 200 words in seven emotions in the carrier phrase "Say the word …".

File names have speaker, word and emotion, as in ``OAF_angry/OAF_back_angry.wav``; ``ps`` is pleasant surprise. Folder
names are inconsistent (OAF_Fear, YAF_fear; OAF_Pleasant_surprise, YAF_pleasant_surprised), so only file names are read.
"""

import re

from sernb.corpora.record import Archive, Corpus, Labels, Pcm, SpeakerFold

EMOTIONS = {
    "neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry", "fear": "fearful", "disgust": "disgust",
    "ps": "surprised",
}  # fmt: skip
AGES = {"YAF": 26, "OAF": 64}


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name."""
    voice = "OAF" if match["voice"] == "OA" else match["voice"]
    return {
        "speaker": speaker(voice),
        "gender": "female",
        "age": AGES[voice],
        "emotion": EMOTIONS[match["emotion"]],
        "sentence": match["word"],
    }


def speaker(voice: str) -> str:
    """Return the name of a speaker in the index."""
    return f"tess-{voice}"


CORPUS = Corpus(
    name="tess",
    title="TESS",
    about="Toronto emotional speech set: a younger and an older woman, 200 words, seven emotions. With two speakers, "
    "speaker-independent means trained on one woman and tested on the other.",
    citation="Pichora-Fuller MK, Dupuis K (2020). Toronto emotional speech set (TESS). Borealis. "
    "doi:10.5683/SP2/E8H2MF",
    licence="CC BY-NC-ND 4.0",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    get="all files from doi.org/10.5683/SP2/E8H2MF, unpacked into data/raw/tess",
    pattern=r"(?P<folder>[OY]AF)_\w+/(?P<voice>(?P=folder)|OA(?=_bite_neutral))_(?P<word>[a-z]+)"
    r"_(?P<emotion>neutral|happy|sad|angry|fear|disgust|ps)\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=2800,
    speakers=2,
    speaker_folds=(SpeakerFold((speaker("YAF"),), ()), SpeakerFold((speaker("OAF"),), ())),
    spellings=(
        (r"OAF_Pleasant_surprise/", "OAF_Pleasant_surprised/"),
        (r"YAF_pleasant_surprised/", "YAF_pleasant_surprise/"),
        (r"OAF_neutral/OA_bite_neutral", "OAF_neutral/OAF_bite_neutral"),
    ),
    # The server builds the archive on request, so it has no published size or checksum.
    archive=Archive(
        "tess.zip", "https://borealisdata.ca/api/access/dataset/:persistentId/?persistentId=doi:10.5683/SP2/E8H2MF"
    ),
    sound=Pcm(24_414, headers=((r"OAF_.*", 56),)),  # the older woman's files end in 12 bytes of metadata
    quirks=(
        "Two speakers, both women: there is no third speaker for validation.",
        "One recording is named OA_bite_neutral instead of OAF_bite_neutral: OA is not a third speaker.",
        "YAF_germ_angry.wav and YAF_neat_fear.wav are AIFF files despite their names.",
        "The sampling rate of OAF_food_fear.wav is 96,000 Hz, that of all others 24,414 Hz.",
        "Both women speak the same words in all emotions: a random split shares speakers and words.",
    ),
)
