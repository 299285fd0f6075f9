"""TESS: two women, one of 26 and one of 64 years, say 200 words in seven emotions, after "Say the word …".

A name is speaker, word, emotion, as in ``OAF_angry/OAF_back_angry.wav``; ``ps`` is pleasant surprise. Folders are named
without a rule (OAF_Fear, YAF_fear; OAF_Pleasant_surprise, YAF_pleasant_surprised): only the file name is read.
"""

import re

from sernb.corpora.record import Archive, Corpus, Labels, Pcm, SpeakerFold

EMOTIONS = {
    "neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry", "fear": "fearful", "disgust": "disgust",
    "ps": "surprised",
}  # fmt: skip
AGES = {"YAF": 26, "OAF": 64}


def describe(match: re.Match) -> Labels:
    """Return the labels that a file name spells out."""
    voice = "OAF" if match["voice"] == "OA" else match["voice"]
    return {
        "speaker": speaker(voice),
        "gender": "female",
        "age": AGES[voice],
        "emotion": EMOTIONS[match["emotion"]],
        "sentence": match["word"],
    }


def speaker(voice: str) -> str:
    """Return the name of a speaker in all tables."""
    return f"tess-{voice}"


CORPUS = Corpus(
    name="tess",
    title="TESS",
    about="Toronto emotional speech set: a younger and an older woman, 200 words, seven emotions. With two voices, "
    "speakers apart means trained on one woman and tested on the other.",
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
    # Packed by the server on request: no size or checksum of it can be published.
    archive=Archive(
        "tess.zip", "https://borealisdata.ca/api/access/dataset/:persistentId/?persistentId=doi:10.5683/SP2/E8H2MF"
    ),
    sound=Pcm(24_414, beside=((r"OAF_.*", 56),)),  # the older woman's files end in 12 bytes of metadata
    quirks=(
        "Two speakers, both women: no third voice is left to choose epoch or settings with.",
        "One recording is called OA_bite_neutral instead of OAF_bite_neutral: OA is no third speaker.",
        "YAF_germ_angry.wav and YAF_neat_fear.wav are AIFF files under a name that ends in wav.",
        "OAF_food_fear.wav has 96,000 samples a second, all others 24,414.",
        "All words are the same in all emotions and of both women: a random split shares speakers and words.",
    ),
)
