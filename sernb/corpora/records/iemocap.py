"""IEMOCAP: five sessions of scripted and improvised dialogues by one actress and one actor each; every turn was rated.

No checksums are published, so the index is not committed but built from the labels and recordings of the user's copy.
A label file, ``SessionN/dialog/EmoEvaluation/<dialogue>.txt``, has a block per turn, with fields separated by tabs::

    [6.2901 - 8.2357]   Ses01F_impro01_F000   neu   [2.5000, 2.5000, 2.5000]
    C-E2:   Neutral;    ()
    C-F1:   Neutral;    ()
    A-E3:   val 3; act 2; dom  2;   ()

The first line is the official label: the majority category of the raters E, or xxx, and the means of valence,
activation and dominance. The raters F and M are the actors rating themselves, which the official label ignores. The
letter after the session is the actor with the motion capture markers; the last part of the name gives the speaker.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError, is_hidden
from sernb.corpora.record import Corpus, Labels, SpeakerFold

if TYPE_CHECKING:
    import pandas as pd

# The official codes; "" for other, and for no agreement.
EMOTIONS = {
    "neu": "neutral", "hap": "happy", "exc": "excited", "sad": "sad", "ang": "angry", "fru": "frustrated",
    "fea": "fearful", "dis": "disgust", "sur": "surprised", "oth": "", "xxx": "",
}  # fmt: skip

# Category names of the raters; all others count as "other".
CATEGORIES = {
    "neutral": "neutral", "neutral state": "neutral", "happiness": "happy", "excited": "excited",
    "excitement": "excited", "sadness": "sad", "anger": "angry", "frustration": "frustrated", "fear": "fearful",
    "disgust": "disgust", "surprise": "surprised", "other": "",
}  # fmt: skip

SESSIONS = (1, 2, 3, 4, 5)

# Published counts (all turns by code; the four usual classes, excited with happy, by session).
PUBLISHED_TURNS = {
    "neu": 1708, "hap": 595, "exc": 1041, "sad": 1084, "ang": 1103, "fru": 1849, "fea": 40, "dis": 2, "sur": 107,
    "oth": 3, "xxx": 2507,
}  # fmt: skip
PUBLISHED_FOUR = {1: 1085, 2: 1023, 3: 1151, 4: 1031, 5: 1241}
FOUR = ("neu", "hap", "exc", "sad", "ang")

_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_TURN = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+(Ses\S+)\s+(\w+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]")
_CATEGORIES = re.compile(r"C-([EFM]\w*):\s*(.*?)\s*(?:\(.*)?")
_ATTRIBUTES = re.compile(r"A-([EFM]\w*):\s*val\s*([\d.]*)\s*;\s*act\s*([\d.]*)\s*;\s*dom\s*([\d.]*)\s*;?.*")

Attributes = tuple[float | None, float | None, float | None]  # valence, activation, dominance; None: blank


@dataclass(frozen=True)
class Turn:
    """One block of a label file."""

    name: str
    start: float  # seconds in the dialogue
    end: float
    code: str  # the official label
    means: tuple[float, float, float]  # official valence, activation, dominance
    categories: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (rater, category names), in the order of the file
    attributes: tuple[tuple[str, Attributes], ...] = ()  # (rater, valence, activation, dominance)


def read_turns(path: Path) -> list[Turn]:
    """Read a label file.

    Raises:
        DataError: if the line of a turn or of a rater is malformed
    """
    blocks: list[dict] = []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        line = line.strip()
        if match := _TURN.fullmatch(line):
            start, end, name, code, *means = match.groups()
            means = tuple(map(float, means))
            blocks.append({"name": name, "start": float(start), "end": float(end), "code": code, "means": means})
            blocks[-1] |= {"categories": (), "attributes": ()}
        elif blocks and (match := _CATEGORIES.fullmatch(line)):
            words = tuple(word.strip() for word in match[2].split(";") if word.strip())
            blocks[-1]["categories"] += ((match[1], words),)
        elif blocks and (match := _ATTRIBUTES.fullmatch(line)):
            ratings = tuple(float(rating) if rating else None for rating in match.groups()[1:])
            blocks[-1]["attributes"] += ((match[1], ratings),)
        elif line.startswith(("[", "C-", "A-")):  # other lines are the file header or continued remarks
            raise DataError(f"{path}, line {number}: {line[:60]!r} is not a label of IEMOCAP; get the file again")
    return [Turn(**block) for block in blocks]


def count_votes(turn: Turn, *, self_evaluations: bool) -> Counter[str]:
    """Count the votes for each emotion, ordered by first vote.

    Args:
        self_evaluations: include the actors' ratings of themselves
    """
    return Counter(
        CATEGORIES.get(word.casefold(), "")
        for rater, words in turn.categories
        if self_evaluations or rater.startswith("E")
        for word in words
    )


def majority(turn: Turn) -> str:
    """Return the emotion with most votes of the raters, without the actors; empty in a tie.

    The official label was made in this way; the label files contain it as well.
    """
    (first, count), *others = [*count_votes(turn, self_evaluations=False).most_common(2), ("", 0)][:2]
    return "" if others and others[0][1] == count else first


def tally(turn: Turn) -> Labels:
    """Return the labels of multitask-cnn: all votes count, including the actors', and ties go to the first vote.

    Valence, arousal and dominance are means over all raters rounded to 0.1, with blanks counted as 1.
    """
    votes = count_votes(turn, self_evaluations=True)
    ratings = [[1.0 if rating is None else rating for rating in attributes] for _, attributes in turn.attributes]
    means = [round(sum(column) / len(ratings), 1) for column in zip(*ratings, strict=True)] or list(turn.means)
    return {
        "tally": votes.most_common(1)[0][0] if votes else "",
        "tally_valence": means[0],
        "tally_arousal": means[1],
        "tally_dominance": means[2],
    }


def read_clips(folder: Path) -> Iterable[Labels]:
    """Read the labels of all turns from a copy, without the files of individual raters in the neighbouring folders."""
    for pattern in LABELS_AT:
        for path in sorted(folder.glob(pattern)):
            if is_hidden(path.name):
                continue
            for turn in read_turns(path):
                yield _make_labels(path, turn)


def _make_labels(path: Path, turn: Turn) -> Labels:
    relative = f"{path.parents[2].name}/sentences/wav/{path.stem}/{turn.name}.wav"
    match = re.fullmatch(CORPUS.pattern, relative)
    if not match:
        raise DataError(f"{path}: {turn.name!r} is not a turn of this dialogue; get the file again")
    if turn.code not in EMOTIONS:
        raise DataError(f"{path}: {turn.name}: {turn.code!r} is not a label of IEMOCAP; get the file again")
    valence, arousal, dominance = turn.means
    official = {"label": turn.code, "emotion": EMOTIONS[turn.code]}
    means = {"valence": valence, "arousal": arousal, "dominance": dominance}
    return {"clip": turn.name, "path": relative} | describe(match) | official | means | tally(turn)


def describe(match: re.Match) -> Labels:
    """Return the speaker and gender from a path."""
    return {
        "speaker": speaker(int(match["session"]), match["voice"]),
        "gender": {"F": "female", "M": "male"}[match["voice"]],
    }


def speaker(session: int, voice: str) -> str:
    """Return the name of a speaker in the index."""
    return f"iemocap-{session}{voice}"


def find_deviations(index: "pd.DataFrame") -> Iterator[str]:
    """Yield a message for each count of a copy that differs from the published one."""
    if len(index) != sum(PUBLISHED_TURNS.values()):
        yield f"has {len(index)} turns instead of {sum(PUBLISHED_TURNS.values())}; complete the copy"
    for code, published in PUBLISHED_TURNS.items():
        if (count := int((index.label == code).sum())) != published:
            yield f"has {count} turns labelled {code} instead of {published}; complete the copy"
    four = index[index.label.isin(FOUR)]
    for session, published in PUBLISHED_FOUR.items():
        if (count := int(four.path.str.startswith(f"Session{session}/").sum())) != published:
            yield f"has {count} turns of the four usual classes in session {session} instead of {published}"


def _pair(session: int) -> tuple[str, ...]:
    return speaker(session, "F"), speaker(session, "M")


LABELS_AT = tuple(f"Session{session}/dialog/EmoEvaluation/*.txt" for session in SESSIONS)

FOLDS = tuple(
    SpeakerFold(_pair(session), _pair(SESSIONS[place % 5])) for place, session in enumerate(SESSIONS, start=1)
)

CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    about="Interactive Emotional Dyadic Motion Capture Database: ten actors in five sessions of two, scripted and "
    "improvised dialogues, 10039 turns rated for category, valence, activation and dominance.",
    citation="Busso C, Bulut M, Lee CC, Kazemzadeh A, Mower E, Kim S, Chang JN, Lee S, Narayanan SS (2008). IEMOCAP: "
    "Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42(4): 335-359. "
    "doi:10.1007/s10579-008-9076-6",
    licence="for research, under an agreement with its owners",
    homepage="https://sail.usc.edu/iemocap/",
    get="IEMOCAP_full_release from its owners at sail.usc.edu/iemocap, unpacked into data/raw/iemocap",
    pattern=r"Session(?P<session>[1-5])/sentences/wav/(?P<dialogue>Ses0(?P=session)[FM]_(?:impro|script)\w+)"
    r"/(?P=dialogue)_(?P<voice>[FM])[\dX]+\.wav",
    describe=describe,
    emotions=tuple(emotion for emotion in EMOTIONS.values() if emotion),
    clips=10039,
    speakers=10,
    speaker_folds=FOLDS,
    emobox_folds=FOLDS,  # with the same test speakers
    unused=(
        (r"Session[1-5]/dialog/.*", "a complete dialogue; its turns are used"),
        (r"Session[1-5]/sentences/.*", "a turn without a label"),
    ),
    columns=(
        ("label", str),
        ("tally", str),
        ("tally_valence", float),
        ("tally_arousal", float),
        ("tally_dominance", float),
    ),
    label_files=LABELS_AT,
    read_clips=read_clips,
    find_deviations=find_deviations,
    on_request="request it at https://sail.usc.edu/iemocap/ and unpack it, so that "
    "data/raw/iemocap/Session1/dialog/EmoEvaluation and …/Session1/sentences/wav exist",
    quirks=(
        "No checksums are published: a check compares labels, recordings and counts with each other.",
        "2507 turns have no majority among the raters (xxx) and 3 are other (oth): they have no emotion label here.",
        "The letter after the session, as in Ses05M_script02_1_M030, is the actor with the markers; the last letter is "
        "the speaker.",
        "Folders beside the label files have files of individual raters with the same names: they are not read.",
        "The official label excludes the actors' ratings of themselves; `tally` includes them.",
        "Turns last from half a second to more than half a minute.",
    ),
)
