"""SUBESCO: ten women and ten men, ten Bangla sentences in seven emotions with five repetitions.

File names have gender, number and name of the speaker, sentence, emotion and repetition, as in
``F_10_FAHMEE_S_6_FEAR_5.wav``. Women and men are numbered separately: F_10 and M_10 are two people. Names follow a
rule, so all published paths are known; checksums of single files are not published.
"""

import re
from collections.abc import Iterator, Sequence

from sernb.corpora.record import Archive, Corpus, Labels, fold_groups

EMOTIONS = {
    "NEUTRAL": "neutral", "HAPPY": "happy", "SAD": "sad", "ANGRY": "angry", "FEAR": "fearful", "DISGUST": "disgust",
    "SURPRISE": "surprised",
}  # fmt: skip
VOICES = {
    "F": ("OISHI", "MONIKA", "SMITA", "SWARNALI", "MOUNI", "SIMI", "TITHI", "JOYEETA", "CHAITY", "FAHMEE"),
    "M": ("BASHIR", "NIPUN", "ILIAS", "BIBHAS", "DURANTO", "SHUKANTO", "SIBLY", "PRASUN", "SHUMANTA", "EVAN"),
}
MISSPELT = "F_02_MONIKA_S_2_SURPRISE_3"  # in the archive, a bracket follows this name

# Test speakers: Ma et al. (2024), arXiv:2406.07162; validation speakers: the first woman and man of the next fold.
EMOBOX = ("F03 M03 M08 M09", "F01 F04 F10 M07", "F06 F08 M05 M06", "F05 F07 F09 M04", "F02 M01 M02 M10")


def list_paths() -> Iterator[str]:
    """Return every published path."""
    for sex, names in VOICES.items():
        for number, name in enumerate(names, start=1):
            for sentence in range(1, 11):
                for emotion in EMOTIONS:
                    for take in range(1, 6):
                        stem = f"{sex}_{number:02d}_{name}_S_{sentence}_{emotion}_{take}"
                        yield f"{stem}{']' * (stem == MISSPELT)}.wav"


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name."""
    return {
        "clip": match["stem"],
        "speaker": speaker(match["sex"] + match["number"]),
        "gender": {"F": "female", "M": "male"}[match["sex"]],
        "emotion": EMOTIONS[match["emotion"]],
        "sentence": match["sentence"],
        "take": match["take"],
    }


def speaker(voice: str) -> str:
    """Return the name of a speaker in the index."""
    return f"subesco-{voice}"


def _woman_and_man(group: Sequence[str]) -> tuple[str, ...]:
    return tuple(next(each for each in group if f"-{sex}" in each) for sex in "FM")


FOLDS = fold_groups([tuple(map(speaker, voices.split())) for voices in EMOBOX], _woman_and_man)

CORPUS = Corpus(
    name="subesco",
    title="SUBESCO",
    about="SUST Bangla Emotional Speech Corpus: twenty professional actors, half of them women, ten sentences, seven "
    "emotions, five repetitions of each.",
    citation="Sultana S, Rahman MS, Selim MR, Iqbal MZ (2021). SUST Bangla Emotional Speech Corpus (SUBESCO): An "
    "audio-only emotional speech corpus for Bangla. PLoS ONE 16(4): e0250173. doi:10.1371/journal.pone.0250173",
    licence="CC BY 4.0",
    homepage="https://zenodo.org/records/4526477",
    get="SUBESCO.zip from zenodo.org/records/4526477, unpacked into data/raw/subesco",
    pattern=r"(?P<stem>(?P<sex>[FM])_(?P<number>0[1-9]|10)_[A-Z]+_S_(?P<sentence>10|[1-9])"
    r"_(?P<emotion>ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_(?P<take>[1-5]))"
    rf"(?:(?<={MISSPELT})\])?\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=7000,
    speakers=20,
    speaker_folds=FOLDS,
    emobox_folds=FOLDS,
    spellings=((r"\]\.wav$", ".wav"),),
    paths=list_paths,
    sampling_rates=(44_100, 48_000),
    # Size and md5 are from a public preparation script that verifies them, not from the publishers' page.
    archive=Archive(
        "SUBESCO.zip",
        "https://zenodo.org/records/4526477/files/SUBESCO.zip?download=1",
        1_664_512_929,
        "md5:13d702cf944bf54d70d66bffc036ed7a",
    ),
    quirks=(
        "No checksums of single files are published: the index is built from the local copy; a check compares names, "
        "counts and sampling rates.",
        "Women and men share numbers: a loader that reads the number alone merges F_10 and M_10.",
        f"One name in the archive ends in a bracket, {MISSPELT}].wav; copies often lack it.",
        "Recordings are at 44.1 or 48 kHz; four speakers have both.",
        "Every sentence was recorded five times in every emotion: a random split puts repetitions into both parts.",
    ),
)
