"""Emozionalmente: 431 Italians record 18 sentences in seven emotions at home, and 829 name what they hear.

Names of files say nothing; who speaks what stands in ``metadata/samples.csv``, who that is in ``users.csv``, and what
about five listeners recognised in each clip in ``evaluations.csv``. No checksums of single files are published, so no
index is committed: it is made from the user's own copy.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import DataError
from sernb.corpora.record import EMOTIONS as ORDER
from sernb.corpora.record import Archive, Corpus, Labels

if TYPE_CHECKING:
    import pandas as pd

EMOTIONS = {
    "neutrality": "neutral", "joy": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful",
    "disgust": "disgust", "surprise": "surprised",
}  # fmt: skip
SAMPLES, USERS, EVALUATIONS = LABELS_AT = tuple(f"metadata/{name}.csv" for name in ("samples", "users", "evaluations"))
SPLIT = "metadata/split/*.csv"
GENDERS = {"female": "female", "f": "female", "male": "male", "m": "male"}
DIGITS = 8  # of the 64 that stand for a person; no two of the 431 begin alike

EACH_EMOTION = 986  # published clips
EVALUATED = 5  # times, each of them


def clips_of(folder: Path) -> Iterable[Labels]:
    """Return what the tables of a copy say of each clip.

    Raises:
        DataError: naming table and line, if a cell cannot be what was published
    """
    samples = list(_rows(folder / SAMPLES, "file_name", "actor", "emotion_expressed", "sentence"))
    users = {row["username"]: row for _, row in _rows(folder / USERS, "username", "gender", "age")}
    heard = _votes(folder)
    numbers = {text: f"{number:02d}" for number, text in enumerate(sorted({row["sentence"] for _, row in samples}), 1)}
    part = {
        row["file_name"]: table.stem for table in sorted(folder.glob(SPLIT)) for _, row in _rows(table, "file_name")
    }
    for where, row in samples:
        name, word, actor = row["file_name"], row["emotion_expressed"].casefold(), row["actor"]
        path = f"audio/{name}"
        if not re.fullmatch(CORPUS.pattern, path):
            raise DataError(f"{where}: {name!r} is no name of a recording; get the file again")
        if word not in EMOTIONS:
            raise DataError(f"{where}: {word!r} is no emotion of Emozionalmente; get the file again")
        if actor not in users:
            raise DataError(f"{where}: {actor!r} is not in {folder / USERS}; get the files again")
        votes = heard.get(name, Counter())
        yield {
            "clip": name.removesuffix(".wav"),
            "path": path,
            "speaker": speaker(actor),
            "gender": GENDERS.get(users[actor]["gender"].casefold(), ""),
            "emotion": EMOTIONS[word],
            "sentence": numbers[row["sentence"]],
            **({"age": float(users[actor]["age"])} if users[actor]["age"].isdecimal() else {}),
            **({"fold": part[name]} if name in part else {}),
            **_summary(votes, EMOTIONS[word]),
        }


def _votes(folder: Path) -> dict[str, Counter[str]]:
    """Return how often listeners recognised which emotion, by file."""
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for where, row in _rows(folder / EVALUATIONS, "file_name", "emotion_recognized"):
        word = row["emotion_recognized"].casefold()
        if word not in EMOTIONS:
            raise DataError(f"{where}: {word!r} is no emotion of Emozionalmente; get the file again")
        heard[row["file_name"]][EMOTIONS[word]] += 1
    return heard


def _summary(votes: Counter[str], intended: str) -> Labels:
    if not votes:
        return {}
    ordered = sorted(votes, key=ORDER.index)
    most = max(votes.values())
    return {
        "perceived": ":".join(emotion for emotion in ordered if votes[emotion] == most),
        "votes": ":".join(f"{emotion} {votes[emotion]}" for emotion in ordered),
        "agreement": round(votes[intended] / votes.total(), 4),
    }


def _rows(table: Path, *needed: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each line of a table is, and its cells."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := sorted(set(needed) - set(reader.fieldnames or ())):
                raise DataError(f"{table}: has no column {missing[0]}; get the file again")
            for row in reader:
                if any(row[name] is None for name in needed):
                    raise DataError(f"{table}, line {reader.line_num}: has too few cells; get the file again")
                yield f"{table}, line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read ({error}); get the file again") from error


def soft_labels(clips: "pd.DataFrame") -> "pd.DataFrame":
    """Return the shares of listeners who recognised each emotion.

    Args:
        clips: rows of the index, with the columns ``clip`` and ``votes``

    Returns:
        one row a clip, one column an emotion, each row sums to 1 (NaN where nobody listened)
    """
    import pandas as pd

    counts = [
        {word: int(count) for word, _, count in (vote.partition(" ") for vote in votes.split(":") if vote)}
        for votes in clips.votes
    ]
    table = pd.DataFrame(counts, index=clips["clip"], columns=list(CORPUS.emotions)).fillna(0.0)
    return table.div(table.sum(axis=1).where(lambda total: total > 0), axis=0)


def speaker(actor: str) -> str:
    """Return the name of a speaker in all tables."""
    return f"emozionalmente-{actor[:DIGITS]}"


def describe(match: re.Match) -> Labels:
    """Return what a path says: nothing."""
    return {}


def doubts(index: "pd.DataFrame") -> Iterator[str]:
    """Say where the counts of a copy are not the published ones."""
    if len(index) != CORPUS.clips:
        yield f"has {len(index)} clips, published are {CORPUS.clips}; complete the copy"
    if (speakers := index.speaker.nunique()) != CORPUS.speakers:
        yield f"has {speakers} speakers, published are {CORPUS.speakers}; complete the copy"
    for emotion in CORPUS.emotions:
        if (count := int((index.emotion == emotion).sum())) != EACH_EMOTION:
            yield f"has {count} {emotion} clips, published are {EACH_EMOTION}; complete the copy"
    unheard = int(index.agreement.isna().sum()) if "agreement" in index else len(index)
    if unheard:
        yield f"has {unheard} clips that nobody evaluated, published are about {EVALUATED} listeners for each"


CORPUS = Corpus(
    name="emozionalmente",
    title="Emozionalmente",
    about="Crowdsourced Italian corpus: 431 amateur speakers, 18 sentences, seven emotions, recorded with their own "
    "devices; about five of 829 listeners named the emotion of each clip.",
    citation="Catania F, Wilke JW, Garzotto F (2025). Emozionalmente: A Crowdsourced Corpus of Simulated Emotional "
    "Speech in Italian. IEEE Transactions on Audio, Speech and Language Processing 33: 1142-1155. "
    "doi:10.1109/TASLPRO.2025.3540662",
    licence="CC BY 4.0",
    homepage="https://zenodo.org/records/12616095",
    get="emozionalmente.zip from zenodo.org/records/12616095, unpacked into data/raw/emozionalmente",
    pattern=r"audio/\d{13}\.wav",
    describe=describe,
    emotions=tuple(EMOTIONS.values()),
    clips=6902,
    speakers=431,
    speaker_folds=(),  # who speaks stands in the copy alone: they are dealt by rule, as of one's own recordings
    rates=(16_000, 44_100),
    columns=(("fold", str), ("perceived", str), ("votes", str), ("agreement", float)),
    labels_at=LABELS_AT,
    beside=(SPLIT,),
    clips_of=clips_of,
    doubts=doubts,
    # Version 1.1 of 6569824, with md5 and a size of 558.9 MB as its page says them.
    archive=Archive(
        "emozionalmente.zip",
        "https://zenodo.org/records/12616095/files/emozionalmente.zip?download=1",
        checksum="md5:398c6502dd2b0e1e810f927c12897547",
    ),
    quirks=(
        "No checksums of single files are published: the index is made from the copy at hand, a check compares labels, "
        "recordings and counts with each other.",
        "Listeners recognised the intended emotion with a UAR of 66 %: that is the ceiling to compare a system with.",
        "Names of files are times; labels, speakers and votes stand in three tables.",
        "Recorded at home, with whatever was at hand: 150 files have 44,100 samples a second, the others 16,000.",
        "From one to more than a hundred clips of a speaker: EmoBox's split of it shares most speakers, so it is none "
        "of the protocol emobox. The publishers' own split is the column fold, under the protocol own-folds.",
    ),
)
