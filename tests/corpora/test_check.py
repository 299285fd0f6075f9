"""A copy is checked file by file: what must be mended is a problem, what is odd as published is a note."""

import dataclasses
import json
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from miniatures import commit, iemocap, miniature, sound

from sernb.__main__ import main
from sernb.audio.reading import read
from sernb.corpora.check import Finding, check, findings_table, format_findings
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus
from sernb.runtime.files import checksum

DEMO, RAVDESS = get_corpus("demo"), get_corpus("ravdess")
A_CLIP = "Actor_03/03-01-05-02-02-01-03.flac"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A maker of small corpora: names of a corpus and of clips → record and folder."""

    def make(name: str, *clips: str):
        folder = tmp_path / "data" / name
        return miniature(get_corpus(name), folder, list(clips), monkeypatch, index_folder=tmp_path / "index"), folder

    return make


def problems_of(folder: Path, corpus=DEMO) -> dict[str, Finding]:
    return {finding.path: finding for finding in check(corpus, folder) if finding.level == "problem"}


def kinds_of(findings) -> list[tuple[str, str, str]]:
    return [(finding.level, finding.kind, finding.path) for finding in findings]


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
    (demo_copy / "Actor_01" / "extra.wav").write_bytes(b"")
    found = problems_of(demo_copy)
    kinds = ["missing", "empty", "lfs-pointer", "damaged", "text", "not-finite", "too-short", "silent", "changed"]
    expected = dict(zip(names, [*kinds, "unreadable"], strict=False))
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


def test_songs_among_the_speech_are_a_note(tmp_path):
    for take in ("01", "02"):
        song = tmp_path / "Actor_05" / f"03-02-06-01-02-{take}-05.wav"
        song.parent.mkdir(parents=True, exist_ok=True)
        song.touch()
    others = [finding for finding in check(RAVDESS, tmp_path) if finding.kind != "missing"]
    assert kinds_of(others) == [("note", "unused", "Actor_05/03-02-06-01-02-01-05.wav")]
    assert "not used, like 1 more files: a song" in others[0].detail


def test_a_file_that_was_published_odd_is_a_note(small, monkeypatch, tmp_path):
    corpus, folder = small("emodb", "03a01Fa", "03a01Nc")
    soundfile.write(folder / "wav/03a01Fa.wav", np.zeros(16_000), 16_000)
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    (finding,) = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "silent", "wav/03a01Fa.wav")]
    assert finding.detail.startswith("as published: is pure silence")


def test_channels_are_told_where_they_are_not_as_in_other_files(small, monkeypatch, tmp_path):
    corpus, folder = small("emodb", "03a01Fa", "03a01Nc", "03a01Wa")
    soundfile.write(folder / "wav/03a01Fa.wav", np.stack([sound(7)] * 2, axis=1), 16_000)
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    (finding,) = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "stereo", "wav/03a01Fa.wav")]
    assert "2 channels; they are averaged" in finding.detail


# Twice the same


@pytest.mark.parametrize(
    ("clips", "agreement"),
    [(("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"), "CONTRADICTORY"), (("1006_TIE_HAP_XX", "1006_TSI_HAP_XX"), "same")],
)
def test_byte_identical_clips_are_a_note_that_says_whether_labels_agree(small, monkeypatch, tmp_path, clips, agreement):
    corpus, folder = small("crema_d", *clips, "1006_WSI_SAD_XX")
    first, second = (f"AudioWAV/{clip}.wav" for clip in clips)
    shutil.copy(folder / first, folder / second)
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    (finding,) = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "duplicate", first)]
    assert finding.detail == f"is byte-identical to {second} ({agreement} emotion)"


COPIES = {
    "quieter": lambda signal: 0.1 * signal,
    "later": lambda signal: np.concatenate([np.zeros(800), signal]),
    "of other bits": lambda signal: np.round(signal * 127) / 127,
}


@pytest.mark.parametrize("how", COPIES)
def test_the_same_sound_in_other_bytes_is_found(small, monkeypatch, tmp_path, how):
    corpus, folder = small("crema_d", "1013_WSI_DIS_XX", "1013_WSI_SAD_XX", "1014_WSI_SAD_XX", "1013_TIE_SAD_XX")
    original = sound(5, seconds=2)
    soundfile.write(folder / "AudioWAV/1013_WSI_DIS_XX.wav", original, 16_000)
    soundfile.write(folder / "AudioWAV/1013_WSI_SAD_XX.wav", COPIES[how](original), 16_000)
    soundfile.write(folder / "AudioWAV/1014_WSI_SAD_XX.wav", 0.2 * original, 16_000)
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    finding, other = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "alike", "AudioWAV/1013_WSI_DIS_XX.wav")]
    assert kinds_of([other]) == [("note", "shared", "AudioWAV/1013_WSI_DIS_XX.wav")], "nobody's to mend"
    assert "speakers 1013 and 1014 share 2 near-identical recording(s)" in other.detail
    assert finding.detail == "is a near-duplicate of AudioWAV/1013_WSI_SAD_XX.wav (CONTRADICTORY emotion)"


def test_speakers_of_one_fold_who_share_recordings_leak_nothing(small, monkeypatch, tmp_path):
    """1001 and 1002 are tested in the same fold, 1003 in another one."""
    corpus, folder = small("crema_d", "1001_DFA_SAD_XX", "1002_DFA_SAD_XX", "1003_IEO_SAD_HI", "1003_DFA_SAD_XX")
    soundfile.write(folder / "AudioWAV/1002_DFA_SAD_XX.wav", 0.5 * sound(1), 16_000)
    for clip in ("1001_DFA_SAD_XX", "1003_IEO_SAD_HI"):
        soundfile.write(folder / f"AudioWAV/{clip}.wav", sound(1), 16_000, subtype="PCM_24")
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    details = {each.detail[9:22]: each.detail for each in check(corpus, folder) if each.kind == "shared"}
    assert len(details) == 3
    assert details["1001 and 1002"].endswith("they are tested in the same fold, so none is in training and in test")
    assert details["1001 and 1003"].endswith("use a protocol that shares speakers, such as random")


def test_of_iemocap_only_recordings_shared_between_sessions_are_a_problem(tmp_path):
    folder = iemocap(tmp_path / "iemocap")
    clips = {path.stem: path for path in folder.rglob("Ses*_[FM]0*.wav")}
    shutil.copy(clips["Ses01F_impro01_F000"], clips["Ses01F_impro01_M000"])
    shutil.copy(clips["Ses01F_impro01_F001"], clips["Ses05M_script02_1_M030"])
    found = [each for each in check(get_corpus("iemocap"), folder) if each.kind in ("shared", "duplicate")]
    assert [(each.level, each.kind, "1F and 1M" in each.detail) for each in found] == [
        ("problem", "duplicate", False),
        ("problem", "duplicate", False),
        ("problem", "shared", False),
        ("note", "shared", True),
    ]
    assert "get these files again" in found[0].detail
    assert "labels.csv" not in "".join(each.detail for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 2, 3, 1024])
def test_all_pairs_are_compared_however_many_at_once(small, monkeypatch, tmp_path, block):
    clips = [f"1013_{sentence}_SAD_XX" for sentence in ("DFA", "IOM", "ITH", "MTI", "TAI")]
    corpus, folder = small("crema_d", *clips)
    for clip, level in zip(clips, (0.9, 0.1, None, 0.5, None), strict=True):
        if level:
            soundfile.write(folder / f"AudioWAV/{clip}.wav", level * sound(5, seconds=2), 16_000)
    commit(corpus, folder, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    monkeypatch.setattr("sernb.audio.similarity.BLOCK", block)
    pairs = {(finding.path[14:17], finding.detail.split("1013_")[1][:3]) for finding in check(corpus, folder)}
    assert pairs == {("DFA", "IOM"), ("DFA", "MTI"), ("IOM", "MTI")}


# Copies as they are around


def test_a_second_copy_inside_the_first_is_one_note(small):
    corpus, folder = small("savee", "DC_a01", "KL_su01")
    shutil.copytree(folder, folder.parent / "inner")
    shutil.move(folder.parent / "inner", folder / "AudioData")
    (finding,) = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "second copy", "AudioData/DC/a01.wav")]
    assert "a second copy in AudioData; its 2 file(s) are not read" in finding.detail


def test_other_names_of_files_are_one_note(small):
    corpus, folder = small("savee", "DC_a01", "KL_su01", "KL_sa01")
    (folder / "ALL").mkdir()
    (folder / "KL/su01.wav").rename(folder / "ALL/KL_su01.wav")
    (folder / "KL/sa01.wav").rename(folder / "KL/sa01.WAV")
    (finding,) = check(corpus, folder)
    assert kinds_of([finding]) == [("note", "spelling", "KL/sa01.wav")]
    assert finding.detail == "was found as KL/sa01.WAV, and 1 more have other names; read all the same"


def test_a_name_with_one_x_is_the_published_file(small):
    corpus, folder = small("crema_d", "1040_ITH_SAD_XX", "1040_ITH_ANG_XX")
    (folder / "AudioWAV/1040_ITH_SAD_XX.wav").rename(folder / "AudioWAV/1040_ITH_SAD_X.wav")
    assert kinds_of(check(corpus, folder)) == [("note", "spelling", "AudioWAV/1040_ITH_SAD_XX.wav")]


def test_a_checkout_without_lfs_is_said_to_be_one(small):
    corpus, folder = small("crema_d", "1040_ITH_SAD_XX")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:6d369d9d\nsize 87598\n"
    (folder / "AudioWAV/1040_ITH_SAD_XX.wav").write_text(pointer)
    (finding,) = check(corpus, folder)
    assert (finding.level, finding.kind) == ("problem", "lfs-pointer")
    assert "git lfs pull" in finding.detail


def test_a_partial_copy_is_summed_up_and_listed_in_full_as_json(demo_copy, capsys):
    for path in sorted(demo_copy.glob("Actor_0[345]/*.flac")):
        path.unlink()
    assert main(["check", "demo", "--data", str(demo_copy.parent)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("problem: 90 of 240 clips are missing; the first: Actor_03/")
    assert main(["check", "demo", "--data", str(demo_copy.parent), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 90


def test_few_findings_are_printed_one_by_one():
    findings = [Finding("problem", "missing", f"{n}.wav", "is missing; get it") for n in range(10)]
    assert format_findings(findings, 20) == [f"problem: {n}.wav: is missing; get it" for n in range(10)]
    assert len(format_findings([*findings, findings[0]], 20)) == 1


def test_findings_are_a_table_as_well(demo_copy):
    (demo_copy / A_CLIP).unlink()
    table = findings_table(check(DEMO, demo_copy))
    assert table.to_dict("records") == [
        {"level": "problem", "kind": "missing", "path": A_CLIP, "detail": "is missing; get the corpus again"}
    ]
    assert findings_table([]).columns.tolist() == ["level", "kind", "path", "detail"]


# Oddities of published files: on the files themselves where they are at hand


@pytest.mark.slow
def test_all_is_said_of_ravdess_that_is_odd_in_it(recordings):
    findings = check(dataclasses.replace(RAVDESS, near_duplicates_known=False), recordings / "ravdess")
    assert findings == check(RAVDESS, recordings / "ravdess"), "what its record says was heard"
    assert {(finding.level, finding.kind) for finding in findings} == {("note", "stereo"), ("note", "duplicate")}
    stereo = {finding.path for finding in findings if finding.kind == "stereo"}
    assert stereo == {
        "Actor_01/03-01-02-01-01-02-01.wav",
        "Actor_01/03-01-08-01-02-02-01.wav",
        "Actor_05/03-01-02-01-02-02-05.wav",
        "Actor_20/03-01-03-01-02-01-20.wav",
        "Actor_20/03-01-06-01-01-02-20.wav",
    }
    for path in stereo:
        left, right = soundfile.read(recordings / "ravdess" / path)[0].T
        assert np.array_equal(left, right)
    (twins,) = [finding for finding in findings if finding.kind == "duplicate"]
    assert twins.path == "Actor_07/03-01-03-01-02-01-07.wav"
    assert twins.detail == "is byte-identical to Actor_07/03-01-03-01-02-02-07.wav (same emotion)"


def test_lengths_of_ravdess_are_those_of_its_sound_not_of_its_files(recordings):
    row = read_index(RAVDESS).iloc[0]
    path = recordings / "ravdess" / row.path
    content = path.read_bytes()
    assert content[36:40] == b"FLLR"
    assert {b"data", b"LIST", b"bext", b"_PMX"} <= {content[at : at + 4] for at in _chunks(content)}
    assert abs((row.bytes - 44) / 2 / 48_000 - row.seconds) > 0.5  # what a reader of 44-byte headers would say
    signal, rate = read(path)
    assert len(signal) / rate == pytest.approx(row.seconds, abs=1e-4)


def test_the_quietest_clip_of_ravdess_is_no_silence(recordings):
    signal, _ = read(recordings / "ravdess" / "Actor_09/03-01-04-01-01-01-09.wav")
    assert np.sqrt(np.mean(signal**2)) == pytest.approx(0.00065, abs=5e-6)
    assert np.abs(signal).max() == pytest.approx(0.0083, abs=5e-5)


@pytest.mark.slow
def test_nothing_is_wrong_with_the_recordings_of_tess_but_that_most_are_missing(tess_recordings):
    tess = get_corpus("tess")
    findings = check(tess, tess_recordings / "tess")
    there = len(list((tess_recordings / "tess").glob("*/*.wav")))
    assert [finding.kind for finding in findings if finding.level == "problem"] == ["missing"] * (2800 - there)
    assert not [finding for finding in findings if finding.kind in ("duplicate", "stereo", "spelling")]


@pytest.mark.parametrize("path", ["YAF_angry/YAF_germ_angry.wav", "YAF_fear/YAF_neat_fear.wav"])
def test_aiff_under_the_name_of_wav_is_read(tess_recordings, path):
    file = tess_recordings / "tess" / path
    assert (file.read_bytes()[:4], file.read_bytes()[8:12]) == (b"FORM", b"AIFF")
    row = read_index(get_corpus("tess")).set_index("path").loc[path]
    signal, rate = read(file)
    assert (rate, row.sampling_rate) == (24_414, 24_414)
    assert len(signal) / rate == pytest.approx(row.seconds, abs=1e-4)


def test_one_recording_of_tess_has_another_rate(tess_recordings):
    index = read_index(get_corpus("tess"))
    odd = index[index.sampling_rate != 24_414]
    assert odd["clip"].tolist() == ["OAF_food_fear"]
    signal, rate = read(tess_recordings / "tess" / odd.path.iloc[0])
    assert (len(signal), rate) == (145_172, 96_000)
    assert odd.seconds.iloc[0] == 1.5122


def test_the_silent_file_of_crema_d_is_the_published_one(tmp_path):
    samples = bytes(2 * 41_108)
    header = (
        b"RIFF"
        + struct.pack("<I", 36 + len(samples))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    )
    (tmp_path / "AudioWAV").mkdir()
    path = tmp_path / "AudioWAV" / "1076_MTI_SAD_XX.wav"
    path.write_bytes(header + b"data" + struct.pack("<I", len(samples)) + samples)
    corpus = get_corpus("crema_d")
    row = read_index(corpus).set_index("clip").loc["1076_MTI_SAD_XX"]
    assert checksum(path) == row.sha256
    assert (path.stat().st_size, row.seconds) == (row.bytes, 2.5692)
    notes = [finding for finding in check(corpus, tmp_path) if finding.kind != "missing"]
    assert kinds_of(notes) == [("note", "silent", "AudioWAV/1076_MTI_SAD_XX.wav")]


def test_three_pairs_of_crema_d_are_the_same_file_under_two_emotions():
    index = read_index(get_corpus("crema_d"))
    pairs = [group for _, group in index.groupby("sha256") if len(group) > 1]
    assert {tuple(pair["clip"]) for pair in pairs} == {
        ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"),
        ("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
        ("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
    }
    assert all(pair.emotion.nunique() == 2 for pair in pairs)


@pytest.mark.parametrize("name", ["savee", "emodb", "tess"])
def test_others_hold_no_recording_twice(name):
    assert read_index(get_corpus(name)).sha256.is_unique


@pytest.mark.parametrize("padding", [b"", b"PAD " + struct.pack("<I", 4088) + bytes(4088)])
def test_padding_before_the_sound_is_no_sound(tmp_path, padding):
    # As in four files of EMO-DB; a header of 44 bytes would be taken for 4096 bytes of sound more.
    samples = (32_000 * sound(3)).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    chunks = b"WAVE" + form + padding + b"data" + struct.pack("<I", len(samples)) + samples
    path = tmp_path / "14a07Wc.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    signal, rate = read(path)
    assert (len(signal), rate) == (16_000, 16_000)
    seconds = get_corpus("emodb").sound.seconds(
        "wav/14a07Wc.wav" if padding else "wav/14a05Wa.wav", path.stat().st_size
    )
    assert seconds == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("beside", [0, 2])
def test_a_header_of_two_more_bytes_is_read(tmp_path, beside):
    samples = (32_000 * sound(4)).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16 + beside, 1, 1, 16_000, 32_000, 2, 16) + bytes(beside)
    chunks = b"WAVE" + form + b"data" + struct.pack("<I", len(samples)) + samples
    path = tmp_path / "DC_a01.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    assert len(read(path)[0]) == 16_000


def _chunks(content: bytes):
    at = 12
    while at + 8 <= len(content):
        yield at
        length = struct.unpack("<I", content[at + 4 : at + 8])[0]
        at += 8 + length + length % 2


def test_of_emodb_the_cut_copy_that_circulates_is_named_and_its_tables_are_let_be(tmp_path, monkeypatch):
    """One published clip at full scale, as all are; one resampled and cut to two seconds; tables of wrong labels."""
    names = ["03a01Fa", "08a01Ab"]
    corpus = miniature(get_corpus("emodb"), tmp_path, names, monkeypatch, index_folder=tmp_path / "index")
    loud = sound(5) / np.abs(sound(5)).max()
    soundfile.write(tmp_path / "wav" / "03a01Fa.wav", loud, 16_000)
    commit(corpus, tmp_path, read_index(corpus), monkeypatch, index_folder=tmp_path / "index")
    (tmp_path / "audio_labels.csv").write_text("file,label\n03a01Fa.wav,disgust\n", "utf-8")
    (tmp_path / "erkennung.txt").write_bytes("03a01Fa\xa065,00\n".encode("latin-1"))
    assert check(corpus, tmp_path) == []
    assert read_index(corpus).set_index("clip").emotion["03a01Fa"] == "happy"
    soundfile.write(tmp_path / "wav" / "08a01Ab.wav", np.pad(sound(1, sampling_rate=22_050), (0, 22_050)), 22_050)
    (finding,) = check(corpus, tmp_path)
    assert (finding.level, finding.kind, finding.path) == ("problem", "changed", "wav/08a01Ab.wav")
