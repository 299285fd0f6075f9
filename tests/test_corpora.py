"""Every corpus keeps the same contract; copies of it are found, and checked file by file."""

import csv
import dataclasses
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pandas.testing import assert_frame_equal

from sernb.config import ROOT, DataError
from sernb.corpora import (
    CORPORA,
    EMOTIONS,
    INDEX_COLUMNS,
    Finding,
    build_index,
    check,
    checksum,
    corpus_named,
    fingerprint_of,
    locate,
    ravdess,
    read_index,
)

MANIFEST = ROOT.parent / "shared" / "corpora" / "manifests" / "ravdess.csv"
DEMO, RAVDESS = corpus_named("demo"), corpus_named("ravdess")
A_CLIP = "Actor_03/03-01-05-02-02-01-03.flac"


@pytest.fixture(params=CORPORA)
def corpus(request):
    return corpus_named(request.param)


@pytest.fixture
def index(corpus):
    return read_index(corpus)


# The contract


def test_a_record_says_all_that_a_reader_needs(corpus):
    for field in ("name", "title", "about", "citation", "licence", "homepage", "get", "pattern"):
        value = getattr(corpus, field)
        assert value, field
        assert value == value.strip(), field
        assert "\n" not in value, field
    assert corpus_named(corpus.name) is corpus
    assert set(corpus.emotions) <= set(EMOTIONS)
    assert all(re.compile(pattern) and what for pattern, what in corpus.unused)
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.clips = 0


def test_an_index_has_the_columns_and_the_published_counts(corpus, index):
    assert tuple(index.columns) == INDEX_COLUMNS
    assert not index.isna().any(axis=None)
    assert len(index) == corpus.clips
    assert index.speaker.nunique() == corpus.speakers
    assert set(index.emotion) == set(corpus.emotions)
    assert set(index.gender) <= {"female", "male"}
    assert len(index[["speaker", "gender"]].drop_duplicates()) == corpus.speakers


def test_an_index_names_each_clip_once_in_order_of_path(index):
    assert index["clip"].is_unique
    assert index.path.is_unique
    assert index.path.tolist() == sorted(index.path)
    assert index["clip"].tolist() == [Path(path).stem for path in index.path]


def test_an_index_holds_checksums_and_plausible_lengths(index):
    assert index.sha256.str.fullmatch(r"[0-9a-f]{64}").all()
    assert (index.bytes > 1000).all()
    assert index.seconds.between(0.5, 60).all()
    assert index.sampling_rate.between(8000, 96_000).all()
    assert index.channels.isin([1, 2]).all()


def test_a_path_spells_out_the_labels(corpus, index):
    for row in index.itertuples():
        said = corpus.describe(re.fullmatch(corpus.pattern, row.path))
        assert said == {name: getattr(row, name) for name in said}
        assert set(said) == {"speaker", "gender", "emotion", "intensity", "sentence", "take"}


def test_each_speaker_is_tested_once_and_never_also_validates(corpus, index):
    tested = Counter(speaker for fold in corpus.speaker_folds for speaker in fold.test)
    assert set(tested) == set(index.speaker)
    assert set(tested.values()) == {1}
    for fold in corpus.speaker_folds:
        assert fold.validation
        assert not set(fold.validation) & set(fold.test)
        assert set(fold.validation) < set(tested)
        assert len(fold.test) + len(fold.validation) < len(tested)


def test_recordings_have_a_fingerprint_of_their_own():
    prints = {fingerprint_of(read_index(corpus_named(name))) for name in CORPORA}
    assert len(prints) == len(CORPORA)
    index = read_index(DEMO)
    changed = index.assign(sha256=["0" * 64, *index.sha256[1:]])
    assert fingerprint_of(changed) != fingerprint_of(index) == fingerprint_of(index.assign(emotion="calm"))


def test_an_unknown_corpus_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"^no corpus is named 'tesss'; known: demo, ravdess$"):
        corpus_named("tesss")


def test_a_missing_index_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sernb.corpora.INDEX", tmp_path)
    corpus = dataclasses.replace(DEMO, name="lost")
    with pytest.raises(DataError, match=r"lost\.csv: the index of lost is missing; restore"):
        read_index(corpus)


# RAVDESS as published: 24 actors, eight emotions, neutral at one intensity, 60 clips an actor


def test_ravdess_has_the_published_counts():
    index = read_index(RAVDESS)
    assert Counter(index.emotion) == {emotion: 96 if emotion == "neutral" else 192 for emotion in ravdess.EMOTIONS}
    assert set(index.groupby("speaker").size()) == {60}
    assert Counter(index.intensity) == {"normal": 768, "strong": 672}
    assert set(index[index.emotion == "neutral"].intensity) == {"normal"}
    assert Counter(index.gender) == {"female": 720, "male": 720}
    assert index.seconds.sum() / 3600 == pytest.approx(1.480, abs=5e-4)
    assert (index.seconds.min(), index.seconds.max()) == (2.9363, 5.2719)


def test_labels_of_a_name_are_those_its_publishers_define():
    match = re.fullmatch(RAVDESS.pattern, "Actor_12/03-01-06-01-02-01-12.wav")  # the example on the publishers' page
    assert RAVDESS.describe(match) == {
        "speaker": "ravdess-12",
        "gender": "female",
        "emotion": "fearful",
        "intensity": "normal",
        "sentence": "02",
        "take": "01",
    }


@pytest.mark.parametrize(
    "name",
    [
        "Actor_12/03-02-06-01-02-01-12.wav",  # a song
        "Actor_12/01-01-06-01-02-01-12.wav",  # the sound of a video
        "Actor_12/03-01-09-01-02-01-12.wav",
        "Actor_12/03-01-06-01-02-01-11.wav",  # not this actor
        "Actor_12/03-01-06-01-02-01-12.wav.wav",
        "03-01-06-01-02-01-12.wav",
    ],
)
def test_other_names_are_no_clips_of_ravdess(name):
    assert not re.fullmatch(RAVDESS.pattern, name)


@pytest.mark.skipif(not MANIFEST.exists(), reason="the list of published checksums is not here")
def test_checksums_of_ravdess_are_the_published_ones():
    with MANIFEST.open(newline="") as file:
        published = {(row["path"], int(row["size"]), row["sha256"]) for row in csv.DictReader(file)}
    index = read_index(RAVDESS)
    assert set(zip(index.path, index.bytes, index.sha256, strict=True)) == published


# Recordings and index


def test_the_index_of_the_demo_is_that_of_its_files():
    assert_frame_equal(build_index(DEMO, DEMO.home), read_index(DEMO))


@pytest.mark.slow
def test_the_index_of_ravdess_is_that_of_its_files(recordings):
    assert_frame_equal(build_index(RAVDESS, recordings / "ravdess"), read_index(RAVDESS))


def test_an_index_is_made_of_whole_well_named_files_alone(demo_copy):
    (demo_copy / "Actor_01" / "holiday.wav").write_bytes(b"RIFF")
    (demo_copy / "Actor_02" / "._03-01-01-01-01-01-02.flac").write_bytes(b"\0\5\x16\7")
    spoiled = demo_copy / A_CLIP
    spoiled.write_bytes(spoiled.read_bytes()[:3000])
    with pytest.raises(DataError) as caught:
        build_index(DEMO, demo_copy)
    misnamed, cut = caught.value.args
    assert misnamed.startswith(f"{demo_copy / 'Actor_01' / 'holiday.wav'}: no name that the demo corpus uses; ")
    assert cut.startswith(f"{spoiled}: is truncated or damaged")


def test_an_incomplete_copy_makes_no_index(demo_copy):
    shutil.rmtree(demo_copy / "Actor_08")
    with pytest.raises(DataError, match="210 clips of 7 speakers, but the demo corpus has 240 of 8"):
        build_index(DEMO, demo_copy)


# Where a copy lies


@pytest.fixture
def laid_out(tmp_path):
    """A maker of folders with the names of RAVDESS's files and nothing in them."""

    def make(folder: str, clips: int = 3) -> Path:
        for name in read_index(RAVDESS).path[:clips]:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / folder

    return make


def refused(data: Path, corpus=RAVDESS) -> str:
    with pytest.raises(DataError) as caught:
        locate(corpus, data)
    (line,) = caught.value.args
    assert "\n" not in line
    return line


def test_a_copy_is_found_in_the_folder_or_under_its_name(laid_out, tmp_path):
    copy = laid_out("data/ravdess")
    assert locate(RAVDESS, tmp_path / "data") == copy
    assert locate(RAVDESS, str(copy)) == copy


def test_the_environment_names_the_folder_and_an_argument_comes_first(laid_out, tmp_path, monkeypatch):
    laid_out("one/ravdess")
    laid_out("two/ravdess")
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "one"))
    assert locate(RAVDESS) == tmp_path / "one" / "ravdess"
    assert locate(RAVDESS, tmp_path / "two") == tmp_path / "two" / "ravdess"


@pytest.mark.parametrize("folder", ["with spaces", "Gefühle 感情", "a'quote", "[brackets] {braces}"])
def test_any_name_of_a_folder_will_do(laid_out, tmp_path, folder):
    copy = laid_out(f"{folder}/ravdess")
    assert locate(RAVDESS, tmp_path / folder) == copy


def test_a_link_to_a_copy_is_followed(laid_out, tmp_path):
    copy = laid_out("elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ravdess").symlink_to(copy, target_is_directory=True)
    assert locate(RAVDESS, tmp_path / "data") == tmp_path / "data" / "ravdess"


def test_the_home_of_the_demo_is_used_unless_a_folder_is_named(demo_copy, monkeypatch, tmp_path):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "nowhere"))
    assert locate(DEMO) == ROOT / "data" / "demo"
    assert locate(DEMO, "") == ROOT / "data" / "demo"
    assert locate(DEMO, demo_copy.parent) == demo_copy


def test_a_missing_folder_is_named_with_the_way_to_get_the_corpus(tmp_path):
    line = refused(tmp_path / "nowhere")
    assert line.startswith(f"{tmp_path / 'nowhere'}: no such folder for the recordings of RAVDESS; get it (")
    assert "zenodo.org/records/1188976" in line
    assert "--data" in line


@pytest.mark.parametrize("inner", ["", "ravdess"])
def test_an_empty_folder_is_called_empty(tmp_path, inner):
    (tmp_path / "data" / inner).mkdir(parents=True)
    line = refused(tmp_path / "data")
    assert line.startswith(f"{tmp_path / 'data' / inner}: is empty; get it (")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "ravdess.zip").write_bytes(b"PK")
    line = refused(tmp_path / "ravdess.zip")
    assert line.startswith(f"{tmp_path / 'ravdess.zip'}: is a file, not a folder with the recordings of RAVDESS; ")


def test_a_folder_of_other_things_holds_no_recordings(tmp_path):
    (tmp_path / "data" / "Actor_01").mkdir(parents=True)
    (tmp_path / "data" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    line = refused(tmp_path / "data")
    assert line.startswith(f"{tmp_path / 'data'}: holds no recordings of RAVDESS; get it (")


def test_one_corpus_is_not_taken_for_another_with_the_same_folders(laid_out, tmp_path):
    laid_out("data/ravdess")
    assert "holds no recordings of the demo corpus" in refused(tmp_path / "data", DEMO)
    assert "holds no recordings of the demo corpus" in refused(tmp_path / "data" / "ravdess", DEMO)


@pytest.mark.parametrize("outer", ["data", "data/ravdess"])
def test_a_copy_one_level_deeper_is_named_with_the_way_to_use_it(laid_out, tmp_path, outer):
    deeper = laid_out(f"{outer}/audio_speech_actors_01-24")
    line = refused(tmp_path / "data")
    assert line.startswith(f"{tmp_path / outer}: RAVDESS lies one level deeper, in audio_speech_actors_01-24; ")
    assert f"--data '{deeper}'" in line
    assert locate(RAVDESS, deeper) == deeper


def test_a_second_copy_inside_the_first_is_named(laid_out, tmp_path):
    laid_out("data/ravdess")
    second = laid_out("data/ravdess/audio_speech_actors_01-24")
    assert refused(tmp_path / "data").startswith(f"{second}: a second copy of RAVDESS inside the first; delete one")


def test_what_macos_adds_to_an_archive_is_no_second_copy(laid_out, tmp_path):
    copy = laid_out("data/ravdess")
    shadow = copy / "__MACOSX" / "Actor_01" / "._03-01-01-01-01-01-01.wav"
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(b"\0\5\x16\7")
    assert locate(RAVDESS, tmp_path / "data") == copy
    assert not [finding for finding in check(RAVDESS, copy) if "MACOSX" in finding.path]


# The check of a copy


def problems_of(folder: Path, corpus=DEMO) -> dict[str, Finding]:
    return {finding.path: finding for finding in check(corpus, folder) if finding.level == "problem"}


def test_nothing_is_said_of_a_whole_copy(demo_copy):
    assert check(DEMO, demo_copy) == []


def test_every_kind_of_spoiled_file_is_found(demo_copy):
    names = read_index(DEMO).path[5::20].tolist()
    paths = [demo_copy / name for name in names]
    paths[0].unlink()
    paths[1].write_bytes(b"")
    paths[2].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 24274\n")
    paths[3].write_bytes(paths[3].read_bytes()[:5000])
    paths[4].write_text("<html>not found</html>")
    soundfile.write(paths[5], np.array([0.1, np.nan] * 4000, np.float32), 16_000, format="WAV", subtype="FLOAT")
    soundfile.write(paths[6], np.array([0.5]), 16_000)
    soundfile.write(paths[7], np.zeros(16_000), 16_000)
    paths[8].write_bytes(paths[9].read_bytes())
    paths[9].unlink()
    paths[9].mkdir()
    paths[10].rename(paths[10].with_suffix(".FLAC"))
    (demo_copy / "Actor_01" / "extra.wav").write_bytes(b"")
    found = problems_of(demo_copy)
    kinds = ["missing", "empty", "lfs-pointer", "damaged", "text", "not-finite", "too-short", "silent", "changed"]
    expected = dict(zip(names, [*kinds, "unreadable", "misnamed"], strict=False))
    assert {path: finding.kind for path, finding in found.items()} == expected | {"Actor_01/extra.wav": "unexpected"}
    for finding in found.values():
        assert re.search("; .+", finding.detail), "the next step"
        assert str(demo_copy) not in finding.detail
        assert "\n" not in finding.detail


def test_problems_come_first(demo_copy):
    (demo_copy / A_CLIP).unlink()
    odd = dataclasses.replace(DEMO, unused=((r"Actor_\d\d/song.*", "songs"),))
    (demo_copy / "Actor_01" / "song.wav").touch()
    (demo_copy / "Actor_08" / "other.wav").touch()
    assert [finding.kind for finding in check(odd, demo_copy)] == ["missing", "unexpected", "unused"]


@pytest.mark.parametrize(
    "name", [".DS_Store", "Actor_01/._03-01-01-01-01-01-01.flac", "notes.txt", "Actor_01/cover.png"]
)
def test_files_that_are_no_recordings_are_let_be(demo_copy, name):
    (demo_copy / name).write_bytes(b"\0\5\x16\7")
    assert check(DEMO, demo_copy) == []


def test_songs_among_the_speech_are_a_note(laid_out):
    copy = laid_out("ravdess", clips=0)
    for take in ("01", "02"):
        song = copy / "Actor_05" / f"03-02-06-01-02-{take}-05.wav"
        song.parent.mkdir(parents=True, exist_ok=True)
        song.touch()
    others = [finding for finding in check(RAVDESS, copy) if finding.kind != "missing"]
    assert [(note.level, note.kind, note.path) for note in others if note.kind == "unused"] == [
        ("note", "unused", "Actor_05/03-02-06-01-02-01-05.wav")
    ]
    assert "not used, with 1 more like it: songs" in others[-1].detail
    assert all(finding.level == "note" for finding in others)


def test_a_file_that_was_published_odd_is_a_note(demo_copy, tmp_path, monkeypatch):
    soundfile.write(demo_copy / A_CLIP, np.zeros(16_000), 16_000)
    index = read_index(DEMO)
    index.loc[index.path == A_CLIP, "sha256"] = checksum(demo_copy / A_CLIP)
    index.to_csv(tmp_path / "silent.csv", index=False)
    monkeypatch.setattr("sernb.corpora.INDEX", tmp_path)
    (finding,) = check(dataclasses.replace(DEMO, name="silent"), demo_copy)
    assert (finding.level, finding.kind, finding.path) == ("note", "silent", A_CLIP)


def test_byte_identical_clips_are_a_note_that_says_whether_labels_agree(demo_copy, tmp_path, monkeypatch):
    index = read_index(DEMO)
    same, other = index.path[0], index[index.emotion != index.emotion[0]].path.iloc[0]
    shutil.copy(demo_copy / same, demo_copy / other)
    index.loc[index.path == other, "sha256"] = index.sha256[0]
    index.to_csv(tmp_path / "twins.csv", index=False)
    monkeypatch.setattr("sernb.corpora.INDEX", tmp_path)
    (finding,) = check(dataclasses.replace(DEMO, name="twins"), demo_copy)
    assert (finding.kind, finding.path) == ("duplicate", same)
    assert other in finding.detail
    assert "CONTRADICTORY" in finding.detail


def test_a_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-4, appendix B.1
    assert checksum(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
