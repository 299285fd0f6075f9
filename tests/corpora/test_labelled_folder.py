"""A folder of one's own recordings is a corpus, by a table of labels alone."""

import dataclasses
import os
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from miniatures import sound

from sernb.__main__ import main
from sernb.config import DataError
from sernb.corpora.availability import find_available
from sernb.corpora.check import check
from sernb.corpora.files import find_files, locate
from sernb.corpora.index import INDEX_COLUMNS, fingerprint_index
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.protocols.targets import find_numeric_columns, parse_target
from sernb.runs.planning import plan
from sernb.runtime.files import checksum

ROWS = [
    ("anna/1.wav", "Anna", "happiness", "f"),
    ("anna/2.wav", "Anna", "Sadness", "f"),
    ("ben/1.wav", "Ben", "anger", "m"),
    ("ben/2.wav", "Ben", "bored", "m"),
    ("cleo/1.wav", "Cleo", "neutral", ""),
    ("cleo/2.wav", "Cleo", "surprise", ""),
]


@pytest.fixture
def own(tmp_path):
    """A maker of folders with recordings and the labels given, by default those of ``ROWS``."""

    def make(text: str = "", *, name: str = "my recordings", encoding: str = "utf-8") -> Path:
        folder = tmp_path / name
        for seed, (path, *_) in enumerate(ROWS):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, sound(seed), 16_000)
        text = text or "\n".join(["path,speaker,emotion,gender", *map(",".join, ROWS)])
        (folder / "labels.csv").write_bytes(text.encode(encoding))
        return folder

    return make


def refused(folder: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        get_corpus(str(folder))
    assert not [line for line in caught.value.args if "\n" in line]
    return caught.value.args


def test_a_folder_with_labels_is_a_corpus(own):
    folder = own()
    corpus = get_corpus(str(folder))
    index = read_index(corpus)
    assert tuple(index.columns) == INDEX_COLUMNS
    assert locate(corpus) == folder
    assert (corpus.clips, corpus.speakers, corpus.title) == (6, 3, "my recordings")
    assert corpus.emotions == ("neutral", "happy", "sad", "angry", "surprised", "bored")
    assert index["clip"].tolist() == ["anna_1", "anna_2", "ben_1", "ben_2", "cleo_1", "cleo_2"]
    assert index.emotion.tolist() == ["happy", "sad", "angry", "bored", "neutral", "surprised"]
    assert index.gender.tolist() == ["female"] * 2 + ["male"] * 2 + [""] * 2
    assert index.sha256.tolist() == [checksum(folder / path) for path in index.path]
    assert index.seconds.tolist() == [1.0] * 6
    assert index.age.isna().all()
    assert (index.intensity == "").all()
    assert find_files(corpus, folder, index)["ben_1"] == folder / "ben" / "1.wav"


def test_its_name_is_safe_its_own_and_stays(own, tmp_path):
    names = [get_corpus(str(own(name=name))).name for name in ("Gefühle: 1", "Gefühle 1", "感情")]
    assert len(set(names)) == 3
    assert all(name.isascii() and name.replace("_", "").replace("-", "").isalnum() for name in names)
    assert get_corpus(str(tmp_path / "Gefühle 1")).name == names[1]
    index = read_index(get_corpus(str(tmp_path / "Gefühle 1")))
    assert index.speaker.str.startswith(f"{names[1]}-").all()
    assert get_corpus(names[1]).home == tmp_path / "Gefühle 1"  # known by its name, once its index is made


def test_corrected_labels_are_another_corpus(own):
    folder = own()
    before = get_corpus(str(folder))
    read_index(before)
    labels = folder / "labels.csv"
    labels.write_text(labels.read_text().replace("happiness", "fear"))
    assert get_corpus(str(folder)).name != before.name
    assert "fearful" in set(read_index(get_corpus(str(folder))).emotion)
    with pytest.raises(DataError, match=r"the labels in .* have changed; name that folder instead"):
        get_corpus(before.name)


def test_a_changed_recording_makes_the_index_anew(own):
    corpus = get_corpus(str(own()))
    before = read_index(corpus)
    file = corpus.home / before.path[0]
    soundfile.write(file, sound(99, seconds=2), 16_000)
    os.utime(file, (5, 5))
    after = read_index(corpus)
    assert fingerprint_index(after) != fingerprint_index(before)
    assert after.seconds[0] == 2.0


@pytest.mark.parametrize("name", ["index.csv", "copy.json"])
def test_a_damaged_index_is_made_again(own, work, name):
    corpus = get_corpus(str(own()))
    before = read_index(corpus)
    kept = work / "index" / corpus.name / name
    whole = kept.read_bytes()
    at = whole.index(b"happy" if name == "index.csv" else b"state")
    for damaged in (b"", whole[:-3], whole[:at] + b"HA" + whole[at + 2 :]):
        kept.write_bytes(damaged)
        pd.testing.assert_frame_equal(read_index(corpus), before)
        assert kept.read_bytes() == whole


def test_labels_that_are_corrected_after_the_clock_was_set_back_are_seen(own):
    folder = own()
    for path in folder.rglob("*.*"):
        os.utime(path, (2**31 - 1, 2**31 - 1))
    before = read_index(get_corpus(str(folder)))
    labels = folder / "labels.csv"
    labels.write_text(labels.read_text().replace("neutral", "fearful"))
    soundfile.write(folder / before.path[0], sound(99), 16_000)
    after = read_index(get_corpus(str(folder)))
    assert (before.emotion[4], after.emotion[4]) == ("neutral", "fearful")
    assert after.sha256[0] != before.sha256[0]


def test_all_columns_that_are_given_are_kept(own):
    head = "clip,path,speaker,emotion,gender,age,intensity,sentence,take,valence,arousal,dominance,remark"
    row = "one,anna/1.wav,7,joy,Woman,31,strong,dogs,2,4.5,3,2.5,from the kitchen"
    (index,) = read_index(get_corpus(str(own(f"{head}\n{row}\n")))).to_dict("records")
    assert index["speaker"].endswith("-7")
    assert {name: index[name] for name in head.split(",")[3:-1]} | {"clip": index["clip"]} == {
        "clip": "one", "emotion": "happy", "gender": "female", "age": 31, "intensity": "strong", "sentence": "dogs",
        "take": "2", "valence": 4.5, "arousal": 3, "dominance": 2.5,
    }  # fmt: skip


ODD_TABLES = {
    "byte order mark": ("path,speaker,emotion\nanna/1.wav,A,sad\nben/1.wav,B,sad\n", "utf-8-sig"),
    "semicolons": ("path;speaker;emotion;age\nanna/1.wav;A;sad;31,5\nben/1.wav;B;sad;\n", "utf-8"),
    "tabs": ("path\tspeaker\temotion\nanna/1.wav\tA\tsad\nben/1.wav\tB\tsad\n", "utf-8"),
    "backslashes": ("path,speaker,emotion\nanna\\1.wav,A,sad\n.\\ben\\1.wav,B,sad\n", "utf-8"),
    "capitals, spaces, empty lines": (
        "Path , Speaker,EMOTION\r\n\r\n anna/1.wav,A ,SAD\r\n,,\r\nben/1.wav,B,Sad\r\n",
        "utf-8",
    ),
    "other capitals in names": ("path,speaker,emotion\nAnna/1.WAV,A,sad\nBen/1.wav,B,sad\n", "utf-8"),
}


@pytest.mark.parametrize("form", ODD_TABLES)
def test_tables_are_read_as_programs_write_them(own, form):
    text, encoding = ODD_TABLES[form]
    index = read_index(get_corpus(str(own(text, encoding=encoding))))
    assert index.emotion.tolist() == ["sad", "sad"]
    assert [name[-2:] for name in index.speaker] == ["-A", "-B"]


LINES = {
    "anna/1.wav,A,hungry": "line 2: emotion 'hungry' is unknown; did you mean angry\\?; known: neutral, calm, ",
    "anna/1.wav,A,sad,diverse": "line 2: gender 'diverse' is unknown; known: female, male, or empty",
    "anna/1.wav,,sad": "line 2: has no speaker; name one",
    ",A,sad": "line 2: has no path; name the recording",
    "../1.wav,A,sad": r"line 2: path '\.\./1\.wav' leads out of the folder; put the recording into it",
    "/etc/1.wav,A,sad": "line 2: path '/etc/1.wav' leads out of the folder",
    "C:\\\\1.wav,A,sad": "line 2: path .* leads out of the folder",
    "anna/1.wav,A,sad,f,old": "line 2: age 'old' is not a number; correct it or leave it empty",
    "anna/1.wav,A,sad\n./anna/1.wav,A,sad": "line 3: path 'anna/1.wav' is also in line 2; remove one",
    "anna/1.wav,A,sad\nanna_1.wav,A,sad": "line 3: clip 'anna_1' is also in line 2; "
    "give them different names in a column clip",
    "anna/1.wav,A,sad,f\nanna/2.wav,A,sad,m": "speaker 'A' has two genders; correct the labels",
    "anna/1.wav,A,sad,f,3,4,5": "line 2: has more cells than the header",
    "": "lists no recordings; add a line for each",
}


@pytest.mark.parametrize("lines", LINES)
def test_a_line_that_cannot_be_used_is_named_with_the_reason(own, lines):
    folder = own(f"path,speaker,emotion,gender,age\n{lines}\n")
    (line,) = refused(folder)
    assert line.startswith(f"{folder / 'labels.csv'}")
    assert re.search(LINES[lines], line)


def test_many_bad_lines_are_counted(own):
    lines = refused(own("path,speaker,emotion\n" + "".join(f"anna/1.wav,A,word{number:03}\n" for number in range(30))))
    assert len(lines) == 11
    assert lines[-1] == "… and 20 more like these"


def test_a_misspelt_emotion_is_named_once_with_its_count_and_the_known_one(own):
    folder = own("path,speaker,emotion\nanna/1.wav,A,sad\n" + "anna/1.wav,A,hapy\n" * 30 + "ben/1.wav,B,angrey\n" * 2)
    first, second = refused(folder)
    place = folder / "labels.csv"
    hapy = f"{place}, line 3 and 29 more: emotion 'hapy' is unknown; did you mean happy?; known: neutral, "
    assert first.startswith(hapy)
    assert second == f"{place}, line 33 and 1 more: emotion 'angrey' is unknown; did you mean angry?"
    assert len(first) < len(str(place)) + 250


def test_missing_columns_are_named(own):
    (line,) = refused(own("sound,emotion\n1.wav,sad\n"))
    assert "has no column path or speaker (found: sound, emotion); required: path, speaker, emotion; optional: " in line


def test_a_table_in_another_coding_is_refused(own):
    (line,) = refused(own("path,speaker,emotion\nanna/1.wav,Zoë,sad\n", encoding="latin-1"))
    assert line.endswith("is not UTF-8 text; save it as CSV with UTF-8")


def test_a_folder_without_labels_says_what_to_write(tmp_path):
    (line,) = refused(tmp_path)
    assert line == f"{tmp_path}: has no labels.csv; write one with the columns path, speaker, emotion"


def test_a_missing_recording_is_named(own):
    folder = own()
    (folder / "ben" / "2.wav").unlink()
    with pytest.raises(DataError, match=r"ben.2\.wav: is missing; put it there or remove it from the labels"):
        read_index(get_corpus(str(folder)))
    assert [finding.kind for finding in check(get_corpus(str(folder)), folder)] == ["missing"]


# Names and places


def test_bare_names_are_found_where_one_file_alone_has_them(own):
    folder = own("path,speaker,emotion\nbare.wav,A,sad\nben/1.wav,B,sad\n")
    (folder / "deep" / "er").mkdir(parents=True)
    soundfile.write(folder / "deep" / "er" / "bare.wav", sound(7), 16_000)
    (folder / "._bare.wav").write_bytes(b"\0\5\x16\7")
    corpus = get_corpus(str(folder))
    index = read_index(corpus)
    assert index.sha256[0] == checksum(folder / "deep" / "er" / "bare.wav")
    spelt = [finding.detail for finding in check(corpus, folder) if finding.kind == "spelling"]
    assert spelt == ["was found as deep/er/bare.wav; read all the same"]


def test_a_bare_name_that_two_files_have_is_refused(own):
    folder = own("path,speaker,emotion\n1.wav,A,sad\nben/1.wav,B,sad\n")
    with pytest.raises(DataError) as caught:
        read_index(get_corpus(str(folder)))
    (line,) = caught.value.args
    places = f"as {folder / 'anna' / '1.wav'} and as {folder / 'cleo' / '1.wav'}"
    assert line == (
        f"{folder / '1.wav'}: is missing, and its name is 2 times elsewhere, {places}; put it there or remove it from "
        "the labels"
    )


def test_a_table_that_names_a_folder_means_this_folder(own):
    folder = own("path,speaker,emotion\nelsewhere/2.wav,A,sad\n")
    (folder / "anna" / "2.wav").rename(folder / "only.wav")
    with pytest.raises(DataError, match=r"elsewhere.2\.wav: is missing; put it there"):
        read_index(get_corpus(str(folder)))


def test_names_are_the_same_however_letters_are_composed(own):
    composed, apart = "é.wav", "e\u0301.wav"
    for written, on_disk in ((composed, apart), (apart, composed)):
        folder = own(f"path,speaker,emotion\n{written},Zoe\u0308,sad\nben/1.wav,Zoë,sad\n")
        soundfile.write(folder / on_disk, sound(7), 16_000)
        corpus = get_corpus(str(folder))
        assert corpus.speakers == 1
        assert read_index(corpus).path.tolist() == ["ben/1.wav", composed]
        (folder / on_disk).unlink()


def test_speakers_with_nearly_equal_names_are_noted(own):
    folder = own("path,speaker,emotion\nanna/1.wav,Spk1,sad\nanna/2.wav,spk_01,sad\nben/1.wav,Spk2,sad\n")
    noted = [finding for finding in check(get_corpus(str(folder)), folder) if finding.kind == "near speakers"]
    assert [(finding.level, finding.detail) for finding in noted] == [
        ("note", "speakers Spk1, spk_01 count as 2 people; if they are one, use one spelling")
    ]


def test_advice_for_downloads_is_not_given(own):
    folder = own()
    (folder / "anna" / "1.wav").write_bytes(b"")
    (folder / "anna" / "2.wav").write_bytes((folder / "ben" / "1.wav").read_bytes()[:5000])
    with pytest.raises(DataError) as caught:
        read_index(get_corpus(str(folder)))
    details = [finding.detail for finding in check(get_corpus(str(folder)), folder)]
    for said in (*caught.value.args, *details):
        assert said.endswith("; record or export it again")
    assert "sernb fetch" not in find_available(str(folder)).summary


# Folds


def folds(own, speakers: int) -> tuple:
    genders = ["f", "m", "m"]
    rows = [f"{n}.wav,S{n:02d},sad,{genders[n % 3]}" for n in range(speakers)]
    return get_corpus(str(own("\n".join(["path,speaker,emotion,gender", *rows])))).speaker_folds


def test_one_speaker_makes_no_folds(own):
    assert folds(own, 1) == ()


@pytest.mark.parametrize("speakers", [2, 3, 4, 5, 6, 23])
def test_speakers_are_dealt_onto_at_most_five_folds(own, speakers):
    made = folds(own, speakers)
    assert len(made) == min(speakers, 5)
    tested = [speaker for fold in made for speaker in fold.test]
    assert len(tested) == len(set(tested)) == speakers
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= 1
    for place, fold in enumerate(made):
        assert fold.validation == (() if speakers == 2 else made[(place + 1) % len(made)].test)
    assert made == folds(own, speakers)


def test_folds_are_even_in_gender(own):
    for fold in folds(own, 30):  # ten women, twenty men
        women = sum(int(speaker[-2:]) % 3 == 0 for speaker in fold.test)
        assert (women, len(fold.test)) == (2, 6)


# The same commands


def test_it_is_checked_by_the_same_command(own, capsys):
    folder = own()
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(": 6 clips, problems: 0, notes: 0")


def test_what_is_said_twice_with_two_labels_is_a_problem(own):
    folder = own()
    (folder / "anna/2.wav").write_bytes((folder / "anna/1.wav").read_bytes())
    soundfile.write(folder / "extra.wav", sound(50), 16_000)
    findings = check(get_corpus(str(folder)), folder)
    assert Counter((finding.level, finding.kind) for finding in findings) == {
        ("problem", "duplicate"): 1, ("note", "unused"): 1,
    }  # fmt: skip
    assert (
        findings[0].detail
        == "is byte-identical to anna/2.wav (CONTRADICTORY emotion); correct the labels, or remove one"
    )
    assert findings[1].detail == "is not used: not in labels.csv"


def test_it_is_prepared_by_the_same_command(own, work, capsys):
    assert main(["prepare", str(own())]) == 0
    assert "6 clips" in capsys.readouterr().out
    assert list((work / "cache").glob("my_recordings-*"))


RATED = "path,speaker,emotion,gender,arousal,Stress,note\n" + "\n".join(
    ",".join((*row, *more))
    for row, more in zip(
        ROWS,
        [("1", "0,5", "7"), ("5", "2", "x"), ("", "", ""), ("3", "7", ""), ("2", "1", ""), ("4", "3.5", "")],
        strict=True,
    )
).replace("0,5", '"0,5"')


def test_columns_of_numbers_are_found_and_those_of_words_left(own):
    folder = own(RATED)
    index = read_index(get_corpus(str(folder)))
    assert index.stress.tolist()[:2] == [0.5, 2]
    assert index.stress.isna().sum() == 1
    assert "note" not in index
    assert find_numeric_columns(index) == ["arousal", "stress"]
    assert parse_target("Stress").dropped(index) == {"": 1}
    told = [each.detail for each in check(get_corpus(str(folder)), folder) if each.kind == "numbers"]
    assert told == ["arousal: 5 of 6 clips, 1 to 5; a target", "stress: 5 of 6 clips, 0.5 to 7; a target"]


def test_an_index_of_an_earlier_version_is_made_anew_for_its_numbers(own):
    corpus = get_corpus(str(own(RATED)))
    read_index(dataclasses.replace(corpus, columns=()))
    assert "stress" in read_index(corpus)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("stress:0..5", ["line 5: stress '7' is outside 0 to 5; correct it or the scale"]),
        ("note", ["line 3: note 'x' is not a number; correct it or leave it empty"]),
        ("mood", ["'mood' is not a numeric column of these corpora; give --target with a column", "arousal, stress"]),
    ],
)
def test_values_that_cannot_be_predicted_are_named_by_file_and_line(own, target, named):
    folder = own(RATED)
    with pytest.raises(DataError) as caught:
        plan(["training-mean"], str(folder), ["random"], targets=[target])
    (line,) = caught.value.args
    assert all(words in line for words in named)
    assert line.startswith(str(folder / "labels.csv") if "line" in named[0] else "target")


def test_a_clip_with_a_number_needs_no_emotion(own):
    index = read_index(get_corpus(str(own(RATED.replace("happiness", "")))))
    assert index.emotion.tolist()[0] == ""
    assert "emotion '' is unknown" in refused(own(RATED.replace("anger", "")))[0], "this one has no number"


def test_one_speaker_missing_values_and_constants_are_said(own):
    """Clips without a value are left out and counted; of one speaker nothing speaker-independent can be planned."""
    folder = own(RATED)
    experiments = plan(["training-mean"], str(folder), ["random", "speaker-independent"], targets=["stress"])
    assert {each.labels.name for each in experiments} == {"stress"}
    assert len(experiments[0].clips) == 5
    assert experiments[0].dropped == {"": 1}
    alone = own(RATED.replace("Ben", "Anna").replace("Cleo", "Anna").replace(",f,", ",,").replace(",m,", ",,"))
    with pytest.raises(DataError, match="has one speaker"):
        plan(["training-mean"], str(alone), ["speaker-independent"], targets=["stress"])
    constant = own(re.sub(r',(1|5|3|2|4),("0,5"|2|7|1|3\.5),', r",\1,2,", RATED))
    with pytest.raises(DataError, match="training clips are 2"):
        plan(["training-mean"], str(constant), ["random"], targets=["stress"])
