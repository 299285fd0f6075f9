"""CREMA-D: 91 actors aged 20 to 74, twelve sentences in six emotions, with crowd-sourced ratings of voice and face.

File names have actor, sentence, emotion and intensity, as in ``AudioWAV/1001_IEO_ANG_HI.wav``. Only the sentence IEO
was recorded at low, medium and high intensity; XX means unspecified.
"""

import csv
import re
from pathlib import Path

from sernb.corpora.record import Corpus, Labels, Pcm, SpeakerFold

EMOTIONS = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fearful", "DIS": "disgust"}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
FIRST_ACTOR = 1001

# Age and gender of the actors 1001 to 1091, from the publishers' VideoDemographics.csv.
_AGE_AND_SEX = """
    51M 21F 21F 42F 29M 58F 38F 46F 24F 27F 32M 23F 22F 24M 32M 61M 42M 25F 29M 61F 30F 22M 22M
    59F 48F 33M 44M 57F 33F 42F 31M 30M 31M 74M 48M 49M 45F 21M 51M 42M 42M 37M 25F 40M 22M 22F
    22F 38M 25F 62M 56M 33F 35F 36F 57F 52F 25M 36F 21M 28F 51F 56M 33F 53M 38M 25M 66M 34M 27M
    25M 41M 33F 24F 31F 40F 25F 20M 21F 21F 21M 30M 20F 45M 46F 34M 33M 62M 23M 24F 50M 29F
"""
ACTORS = tuple(_AGE_AND_SEX.split())

# Column of the index → column of the publishers' summaryTable.csv, with one letter per vote, several in a tie.
VOTES = {"perceived": "VoiceVote", "perceived_face": "FaceVote", "perceived_audiovisual": "MultiModalVote"}


def describe(match: re.Match) -> Labels:
    """Return the labels in a file name, and the actor's age and gender."""
    actor = int(match["actor"])
    return {
        "speaker": speaker(actor),
        "gender": _gender(actor),
        "age": int(ACTORS[actor - FIRST_ACTOR][:-1]),
        "emotion": EMOTIONS[match["emotion"]],
        "intensity": INTENSITIES[match["intensity"]],
        "sentence": match["sentence"],
    }


def read_votes(folder: Path) -> dict[str, Labels]:
    """Return the majority vote of the raters on each clip: for voice, face, and both.

    Args:
        folder: folder with ``summaryTable.csv``

    Returns:
        clip → the columns ``VOTES``: an emotion, or several tied ones joined with ``:``
    """
    emotions = {code[0]: emotion for code, emotion in EMOTIONS.items()}
    with (folder / "summaryTable.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["FileName"]: {
                column: ":".join(emotions[letter] for letter in row[vote].split(":")) for column, vote in VOTES.items()
            }
            for row in csv.DictReader(file)
        }


def speaker(actor: int) -> str:
    """Return the speaker name of an actor."""
    return f"crema_d-{actor}"


def _gender(actor: int) -> str:
    return {"F": "female", "M": "male"}[ACTORS[actor - FIRST_ACTOR][-1]]


def _speaker_folds(count: int = 6) -> tuple[SpeakerFold, ...]:
    """Distribute women and men, in order of number, over the groups; the next group is the validation part."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for gender in ("female", "male"):
        actors = [FIRST_ACTOR + place for place in range(len(ACTORS)) if _gender(FIRST_ACTOR + place) == gender]
        for place, actor in enumerate(actors):
            groups[place % count].append(speaker(actor))
    return tuple(
        SpeakerFold(tuple(sorted(group)), tuple(sorted(groups[(place + 1) % count])))
        for place, group in enumerate(groups)
    )


CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    about="Crowd-sourced Emotional Multimodal Actors Dataset: 91 actors, twelve sentences, six emotions, and votes of "
    "about ten raters per clip on voice, face and both. Either the intended or the perceived emotion can be the label.",
    citation="Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014). CREMA-D: Crowd-sourced Emotional "
    "Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4): 377-390. doi:10.1109/TAFFC.2014.2336244",
    licence="ODbL 1.0, contents DbCL 1.0",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    get="the folder AudioWAV of github.com/CheyneyComputerScience/CREMA-D (with git lfs), into data/raw/crema_d",
    pattern=r"AudioWAV/(?P<actor>10\d\d)_(?P<sentence>[A-Z]{3})_(?P<emotion>NEU|HAP|SAD|ANG|FEA|DIS)"
    r"_(?P<intensity>LO|MD|HI|XX)\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=7442,
    speakers=91,
    speaker_folds=_speaker_folds(),
    spellings=(
        (r"AudioWAV/1040_ITH_SAD_XX", "AudioWAV/1040_ITH_SAD_X"),
        (r"AudioWAV/", ""),
        (r"AudioWAV/1040_ITH_SAD_XX", "1040_ITH_SAD_X"),
    ),
    columns=tuple((column, str) for column in VOTES),
    tables=read_votes,
    sound=Pcm(16_000),
    files_url="https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master/",
    quirks=(
        "1076_MTI_SAD_XX is digital silence: its level and its standard deviation are 0, so never divide by them.",
        "Three pairs of files are the same recording with two emotion labels: 1006_TIE happy and neutral, 1013_WSI "
        "disgust and sad, 1017_IWW angry and fearful.",
        "In copies made before 2022, 1040_ITH_SAD_XX is named 1040_ITH_SAD_X; it is the same file.",
        "Twenty of 7462 clips were never published: all of actor 1008's WSI, 1009's MTI and 1019's ITH, 1002_TIE_NEU "
        "and 1076_ITS_NEU.",
        "Audio-only raters chose the intended emotion for 3099 of 7442 clips; 644 clips have a tie of two or more.",
        "A checkout without git lfs has small text files (pointers) in place of the recordings.",
    ),
)
