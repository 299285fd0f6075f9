"""IEMOCAP: five sessions, in each an actress and an actor play scripts and improvise; listeners rated every turn.

No checksums are published, so no index is committed: it is made from the labels and recordings of the user's own copy.
A label file, ``SessionN/dialog/EmoEvaluation/<dialogue>.txt``, has a block for each turn, fields parted by tabs::

    [6.2901 - 8.2357]   Ses01F_impro01_F000   neu   [2.5000, 2.5000, 2.5000]
    C-E2:   Neutral;    ()
    C-F1:   Neutral;    ()
    A-E3:   val 3; act 2; dom  2;   ()

The first line is the official label: the category that most of the raters E chose, or xxx, and the means of valence,
activation and dominance. F and M among the raters are the actors who rate themselves, which the official label leaves
out. The letter behind the session is who wore the motion capture markers; the last part of the name is who speaks.
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

# The official codes; "" for what is none of our emotions: other, and no agreement.
EMOTIONS = {
    "neu": "neutral", "hap": "happy", "exc": "excited", "sad": "sad", "ang": "angry", "fru": "frustrated",
    "fea": "fearful", "dis": "disgust", "sur": "surprised", "oth": "", "xxx": "",
}  # fmt: skip

# The words of the raters; any other counts as "other".
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

Attributes = tuple[float | None, float | None, float | None]  # valence, activation, dominance; None: left blank


@dataclass(frozen=True)
class Turn:
    """One block of a label file."""

    name: str
    start: float  # seconds in the dialogue
    end: float
    code: str  # the official label
    means: tuple[float, float, float]  # official valence, activation, dominance
    categories: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (rater, words), in the order of the file
    attributes: tuple[tuple[str, Attributes], ...] = ()  # (rater, valence, activation, dominance)


def turns(path: Path) -> list[Turn]:
    """Read a label file.

    Raises:
        DataError: if the line of a turn or a rater is not as it should be
    """
    found: list[dict] = []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        line = line.strip()
        if match := _TURN.fullmatch(line):
            start, end, name, code, *means = match.groups()
            means = tuple(map(float, means))
            found.append({"name": name, "start": float(start), "end": float(end), "code": code, "means": means})
            found[-1] |= {"categories": (), "attributes": ()}
        elif found and (match := _CATEGORIES.fullmatch(line)):
            words = tuple(word.strip() for word in match[2].split(";") if word.strip())
            found[-1]["categories"] += ((match[1], words),)
        elif found and (match := _ATTRIBUTES.fullmatch(line)):
            marks = tuple(float(mark) if mark else None for mark in match.groups()[1:])
            found[-1]["attributes"] += ((match[1], marks),)
        elif line.startswith(("[", "C-", "A-")):  # all else is the head of the file or the rest of a remark
            raise DataError(f"{path}, line {number}: {line[:60]!r} is no line of IEMOCAP's labels; get the file again")
    return [Turn(**turn) for turn in found]


def votes(turn: Turn, *, self_evaluations: bool) -> Counter[str]:
    """Count how often each emotion was named, in the order in which they were first named.

    Args:
        self_evaluations: count the actors' ratings of themselves as well
    """
    return Counter(
        CATEGORIES.get(word.casefold(), "")
        for rater, words in turn.categories
        if self_evaluations or rater.startswith("E")
        for word in words
    )


def majority(turn: Turn) -> str:
    """Return the emotion that the raters, without the actors, named most often; empty in a tie.

    This is how the official label came about, which the label files give as well.
    """
    (first, count), *others = [*votes(turn, self_evaluations=False).most_common(2), ("", 0)][:2]
    return "" if others and others[0][1] == count else first


def tally(turn: Turn) -> Labels:
    """Return the labels of multitask-cnn: all votes count, the actors' own too, and the first of a tie wins.

    Valence, arousal and dominance are means over all raters, a blank counting as 1, rounded to 0.1.
    """
    counted = votes(turn, self_evaluations=True)
    marks = [[1.0 if mark is None else mark for mark in given] for _, given in turn.attributes]
    means = [round(sum(column) / len(marks), 1) for column in zip(*marks, strict=True)] or list(turn.means)
    return {
        "tally": counted.most_common(1)[0][0] if counted else "",
        "tally_valence": means[0],
        "tally_arousal": means[1],
        "tally_dominance": means[2],
    }


def clips_of(folder: Path) -> Iterable[Labels]:
    """Return what the label files of a copy say of each turn; the folders beside them hold single raters' files."""
    for pattern in LABELS_AT:
        for path in sorted(folder.glob(pattern)):
            if is_hidden(path.name):
                continue
            for turn in turns(path):
                yield _clip(path, turn)


def _clip(path: Path, turn: Turn) -> Labels:
    relative = f"{path.parents[2].name}/sentences/wav/{path.stem}/{turn.name}.wav"
    match = re.fullmatch(CORPUS.pattern, relative)
    if not match:
        raise DataError(f"{path}: {turn.name!r} is no turn of this dialogue; get the file again")
    if turn.code not in EMOTIONS:
        raise DataError(f"{path}: {turn.name}: {turn.code!r} is no label of IEMOCAP; get the file again")
    valence, arousal, dominance = turn.means
    official = {"label": turn.code, "emotion": EMOTIONS[turn.code]}
    means = {"valence": valence, "arousal": arousal, "dominance": dominance}
    return {"clip": turn.name, "path": relative} | describe(match) | official | means | tally(turn)


def describe(match: re.Match) -> Labels:
    """Return what a path says: who speaks."""
    return {
        "speaker": speaker(int(match["session"]), match["voice"]),
        "gender": {"F": "female", "M": "male"}[match["voice"]],
    }


def speaker(session: int, voice: str) -> str:
    """Return the name of a speaker in all tables."""
    return f"iemocap-{session}{voice}"


def doubts(index: "pd.DataFrame") -> Iterator[str]:
    """Say where the counts of a copy are not the published ones."""
    if len(index) != sum(PUBLISHED_TURNS.values()):
        yield f"has {len(index)} turns, published are {sum(PUBLISHED_TURNS.values())}; complete the copy"
    for code, published in PUBLISHED_TURNS.items():
        if (count := int((index.label == code).sum())) != published:
            yield f"has {count} turns labelled {code}, published are {published}; complete the copy"
    four = index[index.label.isin(FOUR)]
    for session, published in PUBLISHED_FOUR.items():
        if (count := int(four.path.str.startswith(f"Session{session}/").sum())) != published:
            yield f"has {count} turns of the four usual classes in session {session}, published are {published}"


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
    emobox_folds=FOLDS,  # the same speakers are tested together
    unused=(
        (r"Session[1-5]/dialog/.*", "whole dialogues; their turns are"),
        (r"Session[1-5]/sentences/.*", "turns without a label"),
    ),
    columns=(
        ("label", str),
        ("tally", str),
        ("tally_valence", float),
        ("tally_arousal", float),
        ("tally_dominance", float),
    ),
    labels_at=LABELS_AT,
    clips_of=clips_of,
    doubts=doubts,
    on_request="ask for it at https://sail.usc.edu/iemocap/ and unpack it, so that "
    "data/raw/iemocap/Session1/dialog/EmoEvaluation and …/Session1/sentences/wav are there",
    quirks=(
        "No checksums are published: a check compares labels, recordings and counts with each other.",
        "2507 turns have no majority among the raters (xxx) and 3 are other (oth): they have no emotion here.",
        "The letter behind the session, as in Ses05M_script02_1_M030, is who wore the markers; the last letter speaks.",
        "Folders beside the label files hold files of single raters, of the same names: they are not read.",
        "The official label leaves the actors' ratings of themselves out; `tally` is the label with them in.",
        "Turns last from half a second to more than half a minute.",
    ),
)
