"""SUBESCO, CaFE, ESD and Emozionalmente: what is known without checksums is compared, and what differs is named."""

import os
import re
from collections import Counter

import pytest
import soundfile
from miniatures import EMOZIONALMENTE_ACTORS, by_rule, emozionalmente, sound
from sklearn.metrics import balanced_accuracy_score

from sernb.config import DataError
from sernb.corpora.availability import find_available
from sernb.corpora.check import check
from sernb.corpora.files import locate
from sernb.corpora.index import INDEX_COLUMNS, list_clips
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import parse_pool
from sernb.corpora.records.emozionalmente import soft_labels
from sernb.corpora.registry import get_corpus
from sernb.runtime.files import checksum

SUBESCO, CAFE, ESD, ITALIAN = map(get_corpus, ("subesco", "cafe", "esd", "emozionalmente"))
SOME = {
    "subesco": r"[FM]_0[18]_.*_S_1_.*_1\.wav",
    "cafe": r"/0[129]-.*-5\.wav",
    "esd": r"00[01]1_00(0001|0350|0351|0701|1051|1401|1750)\.wav",
}
RULED = [SUBESCO, CAFE, ESD]


def said(corpus, folder, level="problem"):
    return {(finding.kind, finding.path): finding.detail for finding in check(corpus, folder) if finding.level == level}


@pytest.fixture(params=RULED, ids=lambda corpus: corpus.name)
def copy(request, tmp_path):
    folder = tmp_path / "data" / request.param.name
    return by_rule(request.param, folder, SOME[request.param.name]), folder


# What is published, from names alone


@pytest.mark.parametrize(
    ("corpus", "emotions", "each_speaker", "genders"),
    [
        (SUBESCO, dict.fromkeys(SUBESCO.emotions, 1000), 350, (10, 10)),
        (CAFE, dict.fromkeys(CAFE.emotions, 144) | {"neutral": 72}, 78, (6, 6)),
        (ESD, dict.fromkeys(ESD.emotions, 7000), 1750, (10, 10)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_published_names_have_the_published_counts(corpus, emotions, each_speaker, genders, tmp_path):
    clips = list_clips(corpus, tmp_path)
    assert (len(clips), clips.speaker.nunique()) == (corpus.clips, corpus.speakers)
    assert Counter(clips.emotion) == emotions
    assert set(clips.groupby("speaker").size()) == {each_speaker}
    counts = Counter(clips.drop_duplicates("speaker").gender)
    assert (counts["female"], counts["male"]) == genders
    assert clips["clip"].is_unique
    assert {speaker for fold in corpus.speaker_folds for speaker in fold.test} == set(clips.speaker)


def test_numbers_of_esd_say_emotion_and_sentence():
    clips = list_clips(ESD, None).set_index("clip")
    assert clips.sentence.nunique() == 700
    for number, emotion, sentence in (
        (1, "neutral", "001"), (350, "neutral", "350"), (351, "angry", "001"), (1050, "happy", "350"),
        (1051, "sad", "001"), (1401, "surprised", "001"), (1750, "surprised", "350"),
    ):  # fmt: skip
        assert tuple(clips.loc[f"0011_{number:06d}", ["emotion", "sentence"]]) == (emotion, f"en{sentence}")
        assert clips.sentence[f"0010_{number:06d}"] == f"zh{sentence}"


def test_cafe_has_two_intensities_of_all_but_neutral():
    assert Counter(list_clips(CAFE, None).intensity) == {"mild": 432, "strong": 432, "": 72}


# A copy


def test_a_whole_copy_has_no_problems_and_its_index_is_what_it_holds(copy):
    corpus, folder = copy
    assert locate(corpus, folder.parent) == folder
    assert said(corpus, folder) == {}
    assert ("no checksums", corpus.name) in said(corpus, folder, "note")
    index = read_index(corpus, folder)
    assert tuple(index.columns) == INDEX_COLUMNS
    assert (len(index), index.speaker.nunique()) == (corpus.clips, corpus.speakers)
    assert set(index.emotion) == set(corpus.emotions)
    assert index.sha256.tolist() == [checksum(folder / path) for path in index.path]


def test_a_clip_that_is_left_out_is_named(copy):
    corpus, folder = copy
    path = list(corpus.paths())[3]
    (folder / path).unlink()
    assert said(corpus, folder) == {
        ("missing", path): f"is missing; get the corpus again, or name {corpus.name}:available to use what is there"
    }
    with pytest.raises(DataError, match=re.escape(f"{folder / path}: is missing; ")):
        read_index(corpus, folder)
    assert len(read_index(corpus, folder, available=True)) == corpus.clips - 1


def test_a_clip_of_another_name_is_named_with_the_name_it_should_have(copy):
    corpus, folder = copy
    path = list(corpus.paths())[3]
    (folder / path).rename((folder / path).with_name("holiday.wav"))
    assert set(said(corpus, folder)) == {
        ("missing", path),
        ("unexpected", path.replace(path.split("/")[-1], "holiday.wav")),
    }


def test_recordings_of_another_release_are_named_by_their_rate(copy):
    corpus, folder = copy
    path = list(corpus.paths())[3]
    soundfile.write(folder / path, sound(3, sampling_rate=96_000), 96_000)
    (((kind, named), detail),) = said(corpus, folder).items()
    assert (kind, named) == ("release", path)
    assert detail.startswith(f"has 96000 Hz, not the published {corpus.sampling_rates[0]}")


def test_two_layouts_of_esd_are_read_and_their_mixture_is_named(tmp_path):
    corpus = by_rule(ESD, tmp_path / "esd", SOME["esd"])
    paths = list(corpus.paths())
    for path in paths:
        (voice, emotion, name), part = path.split("/"), ("train", "test")[int(path[-5]) % 2]
        place = tmp_path / "parted" / voice / emotion / part / name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "esd" / path, place)
    assert said(corpus, tmp_path / "parted") == {}
    moved = tmp_path / "esd" / paths[5]
    (moved.parent / "train").mkdir()
    moved.rename(moved.parent / "train" / moved.name)
    (((kind, named), detail),) = said(corpus, tmp_path / "esd").items()
    assert (kind, named) == ("mixed layouts", paths[0])
    assert "1 others are not, such as 0001/Surprise/train/0001_001401.wav" in detail


def test_accents_that_unpacking_spoiled_do_not_matter(tmp_path):
    corpus = by_rule(CAFE, tmp_path / "cafe", SOME["cafe"])
    (tmp_path / "cafe" / "Colère").rename(tmp_path / "cafe" / "ColŠre")
    assert said(corpus, tmp_path / "cafe") == {}
    assert len(read_index(corpus, tmp_path / "cafe")) == corpus.clips


def test_the_name_with_a_bracket_and_without_it_is_one_clip(tmp_path):
    corpus = by_rule(SUBESCO, tmp_path / "subesco", "F_02_MONIKA_S_2_SURPRISE_")
    (path,) = (tmp_path / "subesco").glob("*].wav")
    assert said(corpus, tmp_path / "subesco") == {}
    path.rename(path.with_name("F_02_MONIKA_S_2_SURPRISE_3.wav"))
    assert said(corpus, tmp_path / "subesco") == {}
    assert "F_02_MONIKA_S_2_SURPRISE_3" in set(read_index(corpus, tmp_path / "subesco")["clip"])


def test_what_is_there_of_a_corpus_can_be_named_and_counted(tmp_path, monkeypatch):
    by_rule(CAFE, tmp_path / "cafe", r"(Neutre|Joie).*-1\.wav")
    monkeypatch.setenv("SERNB_DATA", str(tmp_path))
    pool = parse_pool("cafe:available")
    assert (pool.clips, pool.speakers, pool.title) == (36, 12, "CaFE (36 of 936 clips)")
    assert [len(fold.test) for fold in pool.speaker_folds] == [4, 4, 4]
    assert find_available("cafe").summary.startswith("36 of 936 clips of CaFE are available")
    with pytest.raises(DataError, match="is missing; get the corpus again, or name cafe:available"):
        parse_pool("cafe")


# Emozionalmente


@pytest.fixture
def italian(tmp_path):
    return emozionalmente(tmp_path / "data" / "emozionalmente")


def test_tables_of_emozionalmente_say_who_speaks_and_what_listeners_recognised(italian):
    index = read_index(ITALIAN, italian)
    assert tuple(index.columns) == (*INDEX_COLUMNS, "fold", "perceived", "votes", "agreement")
    assert (len(index), index.speaker.nunique(), set(index.sentence)) == (42, 3, {"01", "02"})
    assert Counter(index.emotion) == dict.fromkeys(ITALIAN.emotions, 6)
    row = index.set_index("clip").loc["1613000000000"]
    assert (row.speaker, row.gender, row.age, row.emotion) == ("emozionalmente-aaaaaaaa", "female", 31, "neutral")
    assert (row.perceived, row.votes, row.agreement, row.fold) == ("neutral", "neutral 3:happy 2", 0.6, "train")
    assert index.age.isna().sum() == 14
    assert set(parse_pool("emozionalmente", italian.parent).speaker_folds[0].test) < set(index.speaker)


def test_soft_labels_are_the_shares_of_listeners_and_human_recall_is_that_of_single_votes(italian):
    index = read_index(ITALIAN, italian)
    soft = soft_labels(index)
    assert soft.to_numpy().sum(axis=1) == pytest.approx(1)
    assert soft.loc["1613000000010", ["happy", "sad"]].tolist() == [0.6, 0.4]
    truth = [ITALIAN.emotions.index(emotion) for emotion in index.emotion for _ in range(5)]
    heard = [
        ITALIAN.emotions.index(word) for votes in index.votes for vote in votes.split(":")
        for word, count in [vote.split()] for _ in range(int(count))
    ]  # fmt: skip
    assert index.groupby("emotion").agreement.mean().mean() == pytest.approx(balanced_accuracy_score(truth, heard))


def test_a_tie_of_listeners_names_both(italian):
    table = italian / "metadata" / "evaluations.csv"
    table.write_text(table.read_text().replace("1613000000000.wav,4,good,joy", "1613000000000.wav,4,good,fear")
                     .replace("1613000000000.wav,2,good,neutrality", "1613000000000.wav,2,good,fear"))  # fmt: skip
    row = read_index(ITALIAN, italian).iloc[0]
    assert (row.perceived, row.votes, row.agreement) == ("neutral:fearful", "neutral 2:happy 1:fearful 2", 0.4)


def test_counts_of_emozionalmente_are_compared_and_what_lacks_is_named(italian):
    problems = said(ITALIAN, italian)
    assert {kind for kind, _ in problems} == {"counts"}
    (italian / "audio" / "1613000000000.wav").unlink()
    assert ("missing", "audio/1613000000000.wav") in said(ITALIAN, italian)
    soundfile.write(italian / "audio" / "1613999999999.wav", sound(9), 16_000)
    assert ("unexpected", "audio/1613999999999.wav") in said(ITALIAN, italian)
    details = [finding.detail for finding in check(ITALIAN, italian) if finding.kind == "counts"]
    assert details[:3] == [
        "has 42 clips instead of 6902; complete the copy",
        "has 3 speakers instead of 431; complete the copy",
        "has 6 neutral clips instead of 986; complete the copy",
    ]


@pytest.mark.parametrize(
    ("table", "old", "new", "told"),
    [
        ("samples.csv", ",joy\n", ",gioia\n", "samples.csv, line 4: 'gioia' is not an emotion of Emozionalmente"),
        ("samples.csv", "1613000000000.wav", "../evil.wav", "samples.csv, line 2: '../evil.wav' is not a recording"),
        ("samples.csv", "emotion_expressed", "emotion", "samples.csv: has no column emotion_expressed"),
        ("users.csv", EMOZIONALMENTE_ACTORS["carlo"], "carla", "is not in .*users.csv; get the files again"),
        ("evaluations.csv", ",good,anger", "", "evaluations.csv, line .*: has too few cells"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_published_is_named_with_its_line(italian, table, old, new, told):
    file = italian / "metadata" / table
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=told) as caught:
        read_index(ITALIAN, italian)
    assert "\n" not in str(caught.value)


def test_without_its_tables_nothing_is_known(tmp_path):
    (tmp_path / "emozionalmente" / "metadata").mkdir(parents=True)
    with pytest.raises(DataError, match=r"samples\.csv: cannot be read"):
        read_index(ITALIAN, tmp_path)
