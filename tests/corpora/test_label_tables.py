"""Tables of labels that other programs wrote are read as they are, and what they lack is named."""

import json
import os
from pathlib import Path

import pytest
import soundfile
from miniatures import sound

from sernb.__main__ import main
from sernb.config import DataError
from sernb.corpora.check import check
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import parse_pool
from sernb.corpora.registry import get_corpus
from sernb.protocols.folds import make_folds
from sernb.protocols.protocol import get_protocol
from sernb.runs.feasibility import remarks
from sernb.runs.planning import plan

CLIPS = [(f"{speaker}{number}", speaker, emotion) for speaker in ("anna", "ben", "cleo")
         for number, emotion in enumerate(("happy", "sad"))]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Six recordings of three people."""
    (tmp_path / "own" / "wav").mkdir(parents=True)
    for seed, (name, _, _) in enumerate(CLIPS):
        soundfile.write(tmp_path / "own" / "wav" / f"{name}.wav", sound(seed), 16_000)
    return tmp_path / "own"


def audiofolder(folder: Path) -> Path:
    rows = [f"wav/{name}.wav,{speaker},{emotion}" for name, speaker, emotion in CLIPS]
    (folder / "metadata.csv").write_text("\n".join(["file_name,speaker_id,label", *rows]))
    return folder


def audiofolder_lines(folder: Path) -> Path:
    rows = [
        {"file_name": f"wav/{name}.wav", "speaker": speaker, "emotion": emotion} for name, speaker, emotion in CLIPS
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return folder


def nkululeko(folder: Path, *, fold=lambda name, speaker: speaker) -> Path:
    rows = [
        f"{folder / 'wav' / name}.wav,{speaker},{ {'happy': 'happiness'}.get(emotion, emotion) },{fold(name, speaker)}"
        for name, speaker, emotion in CLIPS
    ]
    (folder / "train.csv").write_text("\n".join(["file,speaker,emotion,fold", *rows]))
    return folder / "train.csv"


def emobox(folder: Path, *, folds=3, stm=True) -> Path:
    """Lay out tables as EmoBox does, two folders below the recordings' own."""
    data = folder / "data" / "own"
    data.mkdir(parents=True)
    lines = {
        name: json.dumps(
            {"key": f"own-{name}", "dataset": "own", "wav": f"wav/{name}.wav", "emo": emotion[0], "channel": 1}
        )
        for name, _, emotion in CLIPS
    }
    (data / "own.jsonl").write_text("\n".join(lines.values()))
    (data / "label_map.json").write_text('{"h": "Happy", "s": "Sad"}')
    if stm:
        (data / "data.seg.wrd.stm").write_text("\n".join(f"own-{name} 1 {who} 0 1.0 <> x" for name, who, _ in CLIPS))
    people = ("anna", "ben", "cleo")
    for number in range(1, folds + 1):
        place = data / f"fold_{number}"
        place.mkdir()
        for part in ("train", "test"):
            own = [line for name, line in lines.items() if name.startswith(people[number - 1]) is (part == "test")]
            (place / f"own_{part}_fold_{number}.jsonl").write_text("\n".join(own))
    return data / "own.jsonl"


@pytest.mark.parametrize("write", [audiofolder, audiofolder_lines, nkululeko, emobox])
def test_a_table_of_another_program_is_a_corpus(write, folder):
    corpus = get_corpus(str(write(folder)))
    index = read_index(corpus)
    assert (corpus.clips, corpus.speakers, corpus.home, corpus.own) == (6, 3, folder, True)
    assert index.path.tolist() == sorted(f"wav/{name}.wav" for name, _, _ in CLIPS)
    assert index.emotion.tolist() == ["happy", "sad"] * 3
    assert [name.rpartition("-")[2] for name in index.speaker] == [speaker for _, speaker, _ in CLIPS]
    assert not [finding for finding in check(corpus, folder) if finding.level == "problem"]
    assert get_corpus(corpus.name).label_files == corpus.label_files  # by the name that it got, from anywhere
    assert parse_pool(f"{folder / corpus.label_files[0]}:emotion=sad").clips == 3


@pytest.mark.parametrize("write", [nkululeko, emobox])
def test_a_column_or_files_of_folds_are_a_protocol(write, folder, work):
    table = write(folder)
    index = read_index(get_corpus(str(table)))
    assert index.fold.tolist() == (
        ["anna", "anna", "ben", "ben", "cleo", "cleo"] if write is nkululeko else [*"112233"]
    )
    planned = plan(["majority"], str(table), ["own-folds"])
    assert [sorted(each.fold.test) for each in planned] == [sorted(clips) for _, clips in index.groupby("fold")["clip"]]
    assert remarks(planned)[-1].endswith("0 of 3 speakers are in more than one fold of the column fold.")


def test_a_speaker_in_two_folds_is_named(folder):
    table = nkululeko(folder, fold=lambda name, speaker: 2 if name == "ben1" else 1 if speaker == "ben" else 3)
    planned = plan(["majority"], str(table), ["own-folds"])
    assert any(
        "1 of 3 speakers are in more than one fold of the column fold (ben): seen speakers are tested" in sentence
        for sentence in remarks(planned)
    )


def test_one_fold_of_emobox_is_its_parts_and_unknown_speakers_are_one(folder):
    pool = parse_pool(str(emobox(folder, folds=1, stm=False)))
    assert pool.speakers == 1
    (fold,) = make_folds(
        pool.index.assign(truth=pool.index.emotion), pool, get_protocol("own-folds"), published=None, seed=0,
        select_on_test=False,
    )  # fmt: skip
    assert set(fold.test) == {"own-anna0", "own-anna1"}
    assert len(fold.train) == 4


@pytest.mark.slow
def test_an_experiment_runs_on_folds_of_ones_own(folder, capsys):
    table = str(nkululeko(folder))
    assert main(["experiment", "--systems", "majority", "--corpus", table, "--protocol", "own-folds"]) == 0
    printed = capsys.readouterr().out
    assert "own-folds" in printed
    assert "0 of 3 speakers are in more than one fold" in printed


@pytest.mark.parametrize(
    ("write", "file", "old", "new", "told"),
    [
        (nkululeko, "train.csv", ",anna\n", ",\n", "train.csv, line 2: has no fold, but other lines have one"),
        (nkululeko, "train.csv", "happiness", "glee", "train.csv, line 2: emotion 'glee' is unknown"),
        (audiofolder, "metadata.csv", "file_name", "sound", "metadata.csv: has no column path"),
        (audiofolder, "metadata.csv", "wav/anna0", "../anna0", "metadata.csv, line 2: path '../anna0.wav' leads out"),
        (audiofolder_lines, "metadata.jsonl", '{"file', '["file', "metadata.jsonl, line 1: is not a JSON object"),
        (audiofolder_lines, "metadata.jsonl", '{"file', '{"FILE_name": "x", "file', "each name once"),
        (audiofolder_lines, "metadata.jsonl", '{"file', '{"emotion": "sad", "file', "each name once"),
        (audiofolder, "metadata.csv", ",happy", f",{'x' * 9999}", "xxxx is unknown"),
        (emobox, "data/own/own.jsonl", '"emo": "s"', '"emo": "x"', "own.jsonl, line 2: emotion 'x' is unknown"),
        (emobox, "data/own/label_map.json", "{", "[", "label_map.json: is not a label map"),
        (emobox, "data/own/fold_2/own_test_fold_2.jsonl", "own-ben0", "own-bob", "line 1: 'own-bob' is not in"),
        (emobox, "data/own/fold_2/own_test_fold_2.jsonl", "own-ben0", "own-anna0", "own-anna0 is also in 1"),
        (emobox, "data/own/fold_2/own_test_fold_2.jsonl", '"key": "own-ben0"', '"key": "own-ben1"', "ben0 is in no"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_file_and_line(write, file, old, new, told, folder):
    table = write(folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        get_corpus(str(table))
    assert told in caught.value.args[0]
    assert "\n" not in caught.value.args[0]
    assert len(caught.value.args[0]) < 999


def test_a_change_of_what_lies_beside_a_table_makes_another_corpus(folder):
    table = emobox(folder)
    before = get_corpus(str(table))
    read_index(before)
    (table.parent / "label_map.json").write_text('{"h": "Sad", "s": "Happy"}')
    assert get_corpus(str(table)).name != before.name
    with pytest.raises(DataError, match="have changed; name that folder instead"):
        get_corpus(before.name)


def test_lines_need_no_key_and_may_hold_what_ends_lines_elsewhere(folder):
    table = folder / "metadata.jsonl"
    rows = [{"wav": path.relative_to(folder).as_posix(), "emo": "sad", "text": "a\u2028b\x85c"}
            for path in sorted(folder.rglob("*.wav"))]  # fmt: skip
    table.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert get_corpus(str(table)).clips == len(rows)
    table.write_text(json.dumps({"wav": rows[0]["wav"], "key": "a"}), "utf-8")
    with pytest.raises(DataError, match="line 1: emotion '' is unknown"):
        get_corpus(str(table))


@pytest.mark.parametrize("path", ["y" * 300, "a\0b.wav", "\ud800.wav"])
def test_a_path_that_no_file_can_have_is_named_with_its_line(path, folder):
    table = folder / "metadata.jsonl"
    table.write_text(json.dumps({"wav": path, "emo": "sad"}), "utf-8")
    with pytest.raises(DataError, match=r"line 1: path .* can be the name of no file"):
        get_corpus(str(table))


def test_the_name_of_a_folder_need_not_be_utf_8(folder):
    own = folder.parent / os.fsdecode(b"gr\xfc\xdfe")
    folder.rename(own)
    sound_of = sorted(own.rglob("*.wav"))[0].relative_to(own).as_posix()
    (own / "labels.csv").write_text(f"path,speaker,emotion\n{sound_of},A,sad\n")
    corpus = get_corpus(str(own))
    assert corpus.title == "gr\\xfc\\xdfe"
    read_index(corpus)


def test_names_are_compared_composed_in_json_as_well(folder):
    table = emobox(folder)
    for file in folder.rglob("*.[sj]*"):
        if file.suffix in (".jsonl", ".stm"):
            form = "e\u0301" if "fold" in file.name else "\\u00e9" if file.suffix == ".jsonl" else "\u00e9"
            file.write_text(file.read_text().replace("own-anna", f"own-{form}"), "utf-8")
    clips = parse_pool(str(table)).index
    assert sorted(clips["clip"])[-2:] == ["own-\u00e90", "own-\u00e91"]
    assert clips.fold.value_counts().tolist() == [2, 2, 2]


def test_json_lines_with_ever_new_names_are_refused(folder):
    rows = [{"file_name": "x.wav", "speaker": "s", "emotion": "sad", f"c{number}": 1} for number in range(10_001)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="has 10004 columns and 10001 rows, more than can be read"):
        get_corpus(str(folder))
