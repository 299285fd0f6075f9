"""IEMOCAP's labels in their real layout; the index is made from a user's copy, and made anew when it changes."""

import os
import re
from collections import Counter

import numpy as np
import pytest
import soundfile
from miniatures import IEMOCAP_TURNS, iemocap, sound

from sernb.config import DataError
from sernb.corpora.check import check
from sernb.corpora.files import find_files, locate
from sernb.corpora.index import INDEX_COLUMNS, fingerprint_index
from sernb.corpora.local_index import read_index
from sernb.corpora.records import iemocap as record
from sernb.corpora.registry import get_corpus
from sernb.protocols.labels import get_label_set
from sernb.runs.planning import plan
from sernb.runtime.files import checksum

IEMOCAP = get_corpus("iemocap")
FIRST = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


@pytest.fixture
def copy(tmp_path):
    """The miniature, under its name in the folder ``data``."""
    return iemocap(tmp_path / "data" / "iemocap")


@pytest.fixture
def index(copy):
    return read_index(IEMOCAP, copy).set_index("clip")


@pytest.fixture
def first(copy):
    return {turn.name: turn for turn in record.read_turns(copy / FIRST)}


# Label lines


def test_a_block_is_read_as_it_stands(first):
    turn = first["Ses01F_impro01_M000"]
    assert (turn.start, turn.end, turn.code, turn.means) == (10.01, 11.3925, "xxx", (3.0, 2.5, 3.0))
    assert turn.categories == (
        ("E2", ("Frustration",)),
        ("E3", ("Neutral",)),
        ("E4", ("Anger", "Frustration")),
        ("M1", ("Neutral", "Frustration", "Neutral")),
    )
    assert turn.attributes == (("E3", (3, 2, 3)), ("E4", (3, 3, 3)), ("M1", (None, 2, 2)))


def test_votes_are_counted_with_and_without_those_of_the_actors(first):
    turn = first["Ses01F_impro01_M000"]
    assert record.count_votes(turn, self_evaluations=False) == Counter(frustrated=2, neutral=1, angry=1)
    assert record.count_votes(turn, self_evaluations=True) == Counter(frustrated=3, neutral=3, angry=1)


def test_a_tie_is_no_majority_and_goes_to_the_first_named_in_the_tally(first):
    assert record.majority(first["Ses01F_impro01_M000"]) == "frustrated"
    assert record.tally(first["Ses01F_impro01_M000"])["tally"] == "frustrated"  # 3 : 3 with the actor's own
    tied = record.Turn(
        "x", 0, 1, "xxx", (3, 3, 3), (("E1", ("Fear",)), ("E2", ("Disgust",)), ("F1", ("Disgust", "Fear")))
    )
    assert record.majority(tied) == ""
    assert record.tally(tied)["tally"] == "fearful"


def test_the_actors_own_votes_can_turn_a_label(first):
    turn = first["Ses01F_impro01_F001"]
    assert record.majority(turn) == record.EMOTIONS[turn.code] == "excited"
    assert record.count_votes(turn, self_evaluations=True) == Counter(excited=3, happy=3)
    assert record.tally(turn)["tally"] == "excited"  # named first


def test_marks_are_averaged_over_all_raters_and_a_blank_counts_as_one(first):
    # (3 + 3 + 1) / 3, (2 + 3 + 2) / 3, (3 + 3 + 2) / 3
    assert record.tally(first["Ses01F_impro01_M000"]) == {
        "tally": "frustrated", "tally_valence": 2.3, "tally_arousal": 2.3, "tally_dominance": 2.7,
    }  # fmt: skip
    # Without a blank the official means are those of the raters E.
    assert first["Ses01F_impro01_F001"].means == (4.5, 3.5, 3.5)
    assert record.tally(first["Ses01F_impro01_F001"])["tally_valence"] == 4.5


def test_every_word_of_raters_and_every_code_has_its_emotion():
    assert set(record.CATEGORIES.values()) == set(record.EMOTIONS.values())
    assert set(record.PUBLISHED_TURNS) == set(record.EMOTIONS)


def test_published_counts_add_up():
    assert sum(record.PUBLISHED_TURNS.values()) == IEMOCAP.clips == 10039
    assert sum(record.PUBLISHED_TURNS[code] for code in record.FOUR) == sum(record.PUBLISHED_FOUR.values()) == 5531
    assert [record.PUBLISHED_TURNS[code] for code in ("neu", "ang", "sad", "exc", "hap")] == [
        1708,
        1103,
        1084,
        1041,
        595,
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("C-E2;\tNeutral;\t()", "is not a label of IEMOCAP"),
        (
            "[6.3 - 8.2]\tSes01F_impro02_F000\tneu\t[2.5, 2.5, 2.5]",
            "'Ses01F_impro02_F000' is not a turn of this dialogue",
        ),
        ("[6.3 - 8.2]\tSes01F_impro01_F009\tnix\t[2.5, 2.5, 2.5]", "'nix' is not a label of IEMOCAP"),
    ],
)
def test_a_line_that_is_none_is_named(copy, line, told):
    with (copy / FIRST).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError) as caught:
        read_index(IEMOCAP, copy)
    (error,) = caught.value.args
    assert error.startswith(str(copy / FIRST))
    assert told in error
    assert error.endswith("get the file again")


# The index of a copy


def test_the_index_holds_the_turns_with_official_labels_and_tally(copy, index):
    assert tuple(index.reset_index().columns) == INDEX_COLUMNS + tuple(name for name, _ in IEMOCAP.columns)
    assert index.label.to_dict() == {
        "Ses01F_impro01_F000": "neu", "Ses01F_impro01_F001": "exc", "Ses01F_impro01_M000": "xxx",
        "Ses05M_script02_1_F027": "oth", "Ses05M_script02_1_M030": "sad",
    }  # fmt: skip
    assert index.emotion.tolist() == ["neutral", "excited", "", "", "sad"]
    assert index.tally.tolist() == ["neutral", "excited", "frustrated", "", "sad"]
    row = index.loc["Ses01F_impro01_F000"]
    assert (row.valence, row.arousal, row.dominance) == (2.5, 2.5, 2.5)
    assert (row.tally_valence, row.tally_arousal, row.tally_dominance) == (2.7, 2.3, 2.0)
    for clip, row in index.iterrows():
        assert row.sha256 == checksum(copy / row.path)
        assert row.seconds == pytest.approx(IEMOCAP_TURNS[clip], abs=1e-3)
        said = IEMOCAP.describe(re.fullmatch(IEMOCAP.pattern, row.path))
        assert said == {"speaker": row.speaker, "gender": row.gender}


def test_who_speaks_is_in_the_last_part_of_a_name(index):
    assert index.speaker["Ses05M_script02_1_M030"] == "iemocap-5M"
    assert index.speaker["Ses05M_script02_1_F027"] == "iemocap-5F"  # he wears the markers, she speaks
    assert index.gender["Ses05M_script02_1_F027"] == "female"
    assert set(index.speaker) < {name for fold in IEMOCAP.speaker_folds for name in fold.test}


def test_a_fold_leaves_a_session_out_and_the_next_one_validates():
    assert [fold.test for fold in IEMOCAP.speaker_folds] == [
        (f"iemocap-{n}F", f"iemocap-{n}M") for n in (1, 2, 3, 4, 5)
    ]
    assert [fold.validation[0] for fold in IEMOCAP.speaker_folds] == [f"iemocap-{n}F" for n in (2, 3, 4, 5, 1)]


def test_turns_without_an_emotion_are_dropped_and_counted(index):
    four, own = get_label_set("four"), get_label_set("multitask-eight")
    assert four.truths_of(index).dropna().tolist() == ["neutral", "happy", "sad"]
    assert four.dropped(index) == {"": 2}
    assert own.truths_of(index).dropna().tolist() == ["neutral", "excited", "frustrated", "sad"]
    assert own.dropped(index) == {"": 1}


def test_the_copy_is_found_and_remembered(copy, work, tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "data"))
    assert locate(IEMOCAP) == copy
    assert len(read_index(IEMOCAP)) == 5
    monkeypatch.delenv("SERNB_DATA")
    monkeypatch.setattr("sernb.config.DATA", tmp_path / "nowhere")
    assert len(read_index(IEMOCAP)) == 5  # once made, it is known where from …
    copy.rename(tmp_path / "elsewhere")
    assert len(read_index(IEMOCAP)) == 5  # … and kept when the recordings have gone: features are cached
    with pytest.raises(DataError, match="no such folder for the recordings of IEMOCAP; get it"):
        read_index(IEMOCAP, tmp_path / "nowhere")


def test_a_damaged_index_of_recordings_that_have_gone_is_said(copy, work, tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "nothing"))
    read_index(IEMOCAP, copy.parent)
    copy.rename(tmp_path / "elsewhere")
    kept = work / "index" / "iemocap"
    (kept / "index.csv").write_bytes((kept / "index.csv").read_bytes()[:-3])
    with pytest.raises(DataError, match=f"{kept}: is damaged, and its source {copy} no longer exists"):
        read_index(IEMOCAP)


def test_without_a_copy_there_is_no_index(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no such folder for the recordings of IEMOCAP; get it"):
        read_index(IEMOCAP)


def test_an_index_is_made_once_and_again_when_the_copy_changes(copy, work):
    kept = work / "index" / "iemocap" / "index.csv"
    before = read_index(IEMOCAP, copy)
    made = kept.stat().st_ino
    assert read_index(IEMOCAP, copy).equals(before)
    assert kept.stat().st_ino == made
    text = (copy / FIRST).read_text().replace("\tneu\t", "\tfru\t")
    (copy / FIRST).write_text(text)
    os.utime(copy / FIRST, (1, 1))
    assert Counter(read_index(IEMOCAP, copy).label) == Counter(fru=1, exc=1, xxx=1, sad=1, oth=1)
    file = copy / before.path[0]
    soundfile.write(file, 0.5 * sound(77, seconds=1.9), 16_000)
    os.utime(file, (2, 2))
    assert fingerprint_index(read_index(IEMOCAP, copy)) != fingerprint_index(before)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), "is missing; get the corpus again, or name iemocap:available"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
)
def test_no_index_is_made_of_a_spoiled_copy(copy, work, spoil, told):
    file = copy / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    spoil(file)
    with pytest.raises(DataError, match=told) as caught:
        read_index(IEMOCAP, copy)
    assert str(file) in str(caught.value)
    assert not list((work / "index").glob("*"))


# The check of a copy


def test_a_check_compares_labels_recordings_and_counts(copy):
    findings = check(IEMOCAP, copy)
    kinds = Counter((finding.level, finding.kind) for finding in findings)
    assert kinds == {("note", "unused"): 2, ("note", "no checksums"): 1, ("problem", "counts"): 1 + 11 + 5 - 0}
    told = [finding.detail for finding in findings if finding.kind == "counts"]
    assert told[0] == "has 5 turns instead of 10039; complete the copy"
    assert "has 1 turns labelled neu instead of 1708; complete the copy" in told
    assert "has 2 turns of the four usual classes in session 1 instead of 1085" in told
    assert [finding.path for finding in findings if finding.kind == "unused"] == [
        "Session1/dialog/wav/Ses01F_impro01.wav",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_MXX0.wav",
    ]


def test_a_check_names_turns_without_a_whole_recording(copy):
    wav = copy / "Session1/sentences/wav/Ses01F_impro01"
    (wav / "Ses01F_impro01_F000.wav").unlink()
    (wav / "Ses01F_impro01_M000.wav").write_bytes(b"")
    soundfile.write(wav / "Ses01F_impro01_F001.wav", np.zeros(16_000), 16_000)
    found = {finding.path[-8:]: finding.kind for finding in check(IEMOCAP, copy) if finding.path.endswith(".wav")}
    assert {"F000.wav": "missing", "M000.wav": "empty", "F001.wav": "silent"}.items() <= found.items()


def test_counts_as_published_are_no_finding():
    import pandas as pd

    rows, left = [], dict(record.PUBLISHED_TURNS)
    for session, count in record.PUBLISHED_FOUR.items():
        codes = [code for code in record.FOUR for _ in range(left[code])][:count]
        for code in codes:
            left[code] -= 1
        rows += [(code, f"Session{session}/x.wav") for code in codes]
    rows += [(code, "Session1/x.wav") for code, count in left.items() for _ in range(count)]
    table = pd.DataFrame(rows, columns=["label", "path"])
    assert list(record.find_deviations(table)) == []
    assert len(list(record.find_deviations(table[1:]))) == 3


def test_files_of_turns_are_found_one_level_deeper(tmp_path):
    deeper = iemocap(tmp_path / "data" / "iemocap" / "IEMOCAP_full_release")
    assert locate(IEMOCAP, tmp_path / "data") == deeper
    assert len(find_files(IEMOCAP, deeper, read_index(IEMOCAP, tmp_path / "data"))) == 5


def test_ratings_are_targets_of_all_turns(copy, work):
    """Turns without a majority have ratings, too; the means are those of the label files."""
    for target, column in (("arousal:1..5", "arousal"), ("tally_arousal", "tally_arousal")):
        experiments = plan(["training-mean"], "iemocap", ["random"], targets=[target], data=copy.parent)
        clips, index = experiments[0].clips, read_index(IEMOCAP, copy)
        assert len(clips) == len(index) > len(index[index.emotion != ""])
        assert clips.truth.tolist() == index[column].tolist()
        assert experiments[0].dropped == {}
