"""Emozionalmente: 431 Italian speakers recorded 18 sentences in seven emotions at home; 829 listeners labelled them.

File names carry no labels: sentence, emotion and speaker are in ``metadata/samples.csv``, speaker metadata in
``users.csv``, and the votes of about five listeners per clip in ``evaluations.csv``. No checksums of single files are
published, so the index is not committed but built from the user's copy.
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
DIGITS = 8  # of the 64 digits of a speaker identifier, enough to distinguish all 431

EACH_EMOTION = 986  # published clips per emotion
EVALUATED = 5  # listeners per clip


def read_clips(folder: Path) -> Iterable[Labels]:
    """Read the labels of all clips from the tables of a copy.

    Raises:
        DataError: with table and line, if a cell cannot be the published one
    """
    samples = list(_read_rows(folder / SAMPLES, "file_name", "actor", "emotion_expressed", "sentence"))
    users = {row["username"]: row for _, row in _read_rows(folder / USERS, "username", "gender", "age")}
    all_votes = _count_votes(folder)
    numbers = {text: f"{number:02d}" for number, text in enumerate(sorted({row["sentence"] for _, row in samples}), 1)}
    folds = {
        row["file_name"]: table.stem
        for table in sorted(folder.glob(SPLIT))
        for _, row in _read_rows(table, "file_name")
    }
    for where, row in samples:
        name, word, actor = row["file_name"], row["emotion_expressed"].casefold(), row["actor"]
        path = f"audio/{name}"
        if not re.fullmatch(CORPUS.pattern, path):
            raise DataError(f"{where}: {name!r} is not a recording of Emozionalmente; get the file again")
        if word not in EMOTIONS:
            raise DataError(f"{where}: {word!r} is not an emotion of Emozionalmente; get the file again")
        if actor not in users:
            raise DataError(f"{where}: {actor!r} is not in {folder / USERS}; get the files again")
        votes = all_votes.get(name, Counter())
        yield {
            "clip": name.removesuffix(".wav"),
            "path": path,
            "speaker": speaker(actor),
            "gender": GENDERS.get(users[actor]["gender"].casefold(), ""),
            "emotion": EMOTIONS[word],
            "sentence": numbers[row["sentence"]],
            **({"age": float(users[actor]["age"])} if users[actor]["age"].isdecimal() else {}),
            **({"fold": folds[name]} if name in folds else {}),
            **_summarise_votes(votes, EMOTIONS[word]),
        }


def _count_votes(folder: Path) -> dict[str, Counter[str]]:
    """Count the votes of the listeners for each emotion, by file."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for where, row in _read_rows(folder / EVALUATIONS, "file_name", "emotion_recognized"):
        word = row["emotion_recognized"].casefold()
        if word not in EMOTIONS:
            raise DataError(f"{where}: {word!r} is not an emotion of Emozionalmente; get the file again")
        votes[row["file_name"]][EMOTIONS[word]] += 1
    return votes


def _summarise_votes(votes: Counter[str], intended: str) -> Labels:
    if not votes:
        return {}
    ordered = sorted(votes, key=ORDER.index)
    most = max(votes.values())
    return {
        "perceived": ":".join(emotion for emotion in ordered if votes[emotion] == most),
        "votes": ":".join(f"{emotion} {votes[emotion]}" for emotion in ordered),
        "agreement": round(votes[intended] / votes.total(), 4),
    }


def _read_rows(table: Path, *needed: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the location (file and line) and the cells of each row of a table."""
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
    """Return soft labels: the share of listeners who recognised each emotion.

    Args:
        clips: rows of the index with the columns ``clip`` and ``votes``

    Returns:
        one row per clip, one column per emotion; rows sum to 1 (NaN for clips without listeners)
    """
    import pandas as pd

    counts = [
        {word: int(count) for word, _, count in (vote.partition(" ") for vote in votes.split(":") if vote)}
        for votes in clips.votes
    ]
    table = pd.DataFrame(counts, index=clips["clip"], columns=list(CORPUS.emotions)).fillna(0.0)
    return table.div(table.sum(axis=1).where(lambda total: total > 0), axis=0)


def speaker(actor: str) -> str:
    """Return the name of a speaker in the index."""
    return f"emozionalmente-{actor[:DIGITS]}"


def describe(match: re.Match) -> Labels:
    """Return no labels, because the paths have none."""
    return {}


def find_deviations(index: "pd.DataFrame") -> Iterator[str]:
    """Yield a message for each count of a copy that differs from the published one."""
    if len(index) != CORPUS.clips:
        yield f"has {len(index)} clips instead of {CORPUS.clips}; complete the copy"
    if (speakers := index.speaker.nunique()) != CORPUS.speakers:
        yield f"has {speakers} speakers instead of {CORPUS.speakers}; complete the copy"
    for emotion in CORPUS.emotions:
        if (count := int((index.emotion == emotion).sum())) != EACH_EMOTION:
            yield f"has {count} {emotion} clips instead of {EACH_EMOTION}; complete the copy"
    without_votes = int(index.agreement.isna().sum()) if "agreement" in index else len(index)
    if without_votes:
        yield f"has {without_votes} clips without votes; about {EVALUATED} per clip were published"


CORPUS = Corpus(
    name="emozionalmente",
    title="Emozionalmente",
    about="Crowdsourced Italian corpus: 431 amateur speakers, 18 sentences, seven emotions, recorded with their own "
    "devices; about five of 829 listeners labelled the emotion of each clip.",
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
    speaker_folds=(),  # speakers are known only from a copy: folds are made as for a user's recordings
    sampling_rates=(16_000, 44_100),
    columns=(("fold", str), ("perceived", str), ("votes", str), ("agreement", float)),
    label_files=LABELS_AT,
    extra_tables=(SPLIT,),
    read_clips=read_clips,
    find_deviations=find_deviations,
    # Version 1.1 of 6569824; the page gives the md5 and a size of 558.9 MB.
    archive=Archive(
        "emozionalmente.zip",
        "https://zenodo.org/records/12616095/files/emozionalmente.zip?download=1",
        checksum="md5:398c6502dd2b0e1e810f927c12897547",
    ),
    quirks=(
        "No checksums of single files are published: the index is built from the local copy; a check compares labels, "
        "recordings and counts with each other.",
        "Listeners recognised the intended emotion with a UAR of 66 %, a human reference for systems.",
        "File names are timestamps; labels, speakers and votes are in three tables.",
        "Recorded at home with the speakers' devices: 150 files are at 44.1 kHz, the others at 16 kHz.",
        "Speakers have from one to more than a hundred clips. EmoBox's split shares most speakers, so the protocol "
        "emobox excludes this corpus. The publishers' split is in the column fold, for the protocol own-folds.",
    ),
)
