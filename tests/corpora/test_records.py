"""Every corpus keeps the same contract, and has the counts, checksums and votes that were published."""

import csv
import dataclasses
import re
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from sernb.config import ROOT, DataError
from sernb.corpora.__main__ import main as write_index
from sernb.corpora.index import INDEX_COLUMNS, NUMBERS, build_index, fingerprint_index, index_of_manifest, write_table
from sernb.corpora.local_index import read_index
from sernb.corpora.record import EMOTIONS
from sernb.corpora.records import ravdess
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.runtime.files import checksum

SHARED = ROOT.parent / "shared" / "corpora"
DEMO, RAVDESS, TESS = get_corpus("demo"), get_corpus("ravdess"), get_corpus("tess")
A_CLIP = "Actor_03/03-01-05-02-02-01-03.flac"
COMMITTED = tuple(name for name in CORPORA if get_corpus(name).committed)
LABELS = {"speaker", "gender", "age", "emotion", "intensity", "sentence", "take"}

needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the lists of published checksums are not here")


@pytest.fixture(params=CORPORA)
def corpus(request):
    return get_corpus(request.param)


@pytest.fixture(params=COMMITTED)
def indexed(request):
    corpus = get_corpus(request.param)
    return corpus, read_index(corpus)


# The contract


def test_a_record_says_all_that_a_reader_needs(corpus):
    for field in ("name", "title", "about", "citation", "licence", "homepage", "get", "pattern"):
        value = getattr(corpus, field)
        assert value, field
        assert value == value.strip(), field
        assert "\n" not in value, field
    assert get_corpus(corpus.name) is corpus
    assert corpus.quirks
    assert set(corpus.emotions) <= set(EMOTIONS)
    assert all(re.compile(pattern) and what for pattern, what in corpus.unused)
    assert all(re.compile(pattern) for pattern, _ in corpus.spellings)
    assert corpus.index_path.exists() == corpus.committed, "an index is committed, or made from a copy"
    assert not (corpus.paths and corpus.read_clips)
    if corpus.evidence:
        assert re.search(r"doi:10\.\d+/", corpus.citation)
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.clips = 0


def test_an_index_has_the_columns_and_the_published_counts(indexed):
    corpus, index = indexed
    assert tuple(index.columns) == INDEX_COLUMNS + tuple(name for name, _ in corpus.columns)
    words = [name for name in index.columns if name not in NUMBERS and dict(corpus.columns).get(name) is not float]
    assert not index[words].isna().any(axis=None)
    assert all(isinstance(value, str) for name in words for value in index[name])
    assert not index[["bytes", "seconds", "sampling_rate", "channels"]].isna().any(axis=None)
    assert len(index) == corpus.clips
    assert index.speaker.nunique() == corpus.speakers
    assert set(index.emotion) == set(corpus.emotions)
    assert set(index.gender) <= {"female", "male"}
    assert len(index[["speaker", "gender", "age"]].drop_duplicates()) == corpus.speakers


def test_an_index_names_each_clip_once_in_order_of_path(indexed):
    _, index = indexed
    assert index["clip"].is_unique
    assert index.path.is_unique
    assert index.path.tolist() == sorted(index.path)


def test_an_index_holds_checksums_and_plausible_lengths(indexed):
    _, index = indexed
    assert index.sha256.str.fullmatch(r"[0-9a-f]{64}").all()
    assert (index.bytes > 1000).all()
    assert index.seconds.between(0.5, 60).all()
    assert index.sampling_rate.between(8000, 96_000).all()
    assert index.channels.isin([1, 2]).all()
    assert index.age.dropna().between(5, 110).all()


def test_a_path_spells_out_the_labels(indexed):
    corpus, index = indexed
    for row in index.itertuples():
        said = {"clip": Path(row.path).stem} | corpus.describe(re.fullmatch(corpus.pattern, row.path))
        assert said == {name: getattr(row, name) for name in said}
        assert {"speaker", "gender", "emotion"} <= set(said) <= LABELS | {"clip"}


def test_a_read_index_is_ones_own(indexed):
    corpus, index = indexed
    index["emotion"] = "calm"
    assert set(read_index(corpus).emotion) == set(corpus.emotions)


def test_each_speaker_is_tested_once_and_never_also_validates(corpus):
    if not corpus.speaker_folds:
        assert corpus.read_clips, "who speaks stands in the copy alone"
        return
    tested = Counter(speaker for fold in corpus.speaker_folds for speaker in fold.test)
    assert len(tested) == corpus.speakers
    assert set(tested.values()) == {1}
    for fold in corpus.speaker_folds:
        assert fold.validation or corpus.speakers == 2
        assert not set(fold.validation) & set(fold.test)
        assert set(fold.validation) < set(tested)
        assert len(fold.test) + len(fold.validation) < len(tested)


def test_folds_are_of_the_speakers_in_the_index(indexed):
    corpus, index = indexed
    assert {speaker for fold in corpus.speaker_folds for speaker in fold.test} == set(index.speaker)


def test_no_two_corpora_share_a_speaker_or_a_recording():
    for one, other in combinations([read_index(get_corpus(name)) for name in COMMITTED], 2):
        assert not set(one.speaker) & set(other.speaker)
        assert not set(one.sha256) & set(other.sha256)


def test_recordings_have_a_fingerprint_of_their_own():
    prints = {fingerprint_index(read_index(get_corpus(name))) for name in COMMITTED}
    assert len(prints) == len(COMMITTED)
    index = read_index(DEMO)
    changed = index.assign(sha256=["0" * 64, *index.sha256[1:]])
    assert fingerprint_index(changed) != fingerprint_index(index) == fingerprint_index(index.assign(emotion="calm"))


def test_finished_runs_keep_their_names():
    # Folders of runs are named by these digits since the first reference results.
    assert fingerprint_index(read_index(DEMO)) == "00493194153c1f64"
    assert fingerprint_index(read_index(RAVDESS)) == "0079f3f6b7d8d136"


def test_an_unknown_corpus_is_refused_with_the_known_ones():
    meant = r"and there is no such folder; did you mean tess\?"
    known = r"known: demo, ravdess, .*emozionalmente, or a folder with"
    with pytest.raises(DataError, match=rf"^no corpus is named 'tesss', {meant}; {known}"):
        get_corpus("tesss")


@pytest.mark.parametrize("name", ["", "~nobody/recordings", "../ravdess/nowhere"])
def test_no_name_and_no_folder_are_refused(name, tmp_path, monkeypatch):
    (tmp_path / "labels.csv").write_text("path,speaker,emotion\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no corpus is named"):
        get_corpus(name)


def test_a_missing_index_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sernb.config.INDEX", tmp_path)
    corpus = dataclasses.replace(DEMO, name="lost")
    with pytest.raises(DataError, match=r"lost\.csv: the index of lost is missing; restore"):
        read_index(corpus)


# Published counts

SEVENS = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
PUBLISHED_EMOTIONS = {
    "ravdess": dict.fromkeys(ravdess.EMOTIONS, 192) | {"neutral": 96},
    "crema_d": dict.fromkeys(("happy", "sad", "angry", "fearful", "disgust"), 1271) | {"neutral": 1087},
    "tess": dict.fromkeys(SEVENS, 400),
    "savee": dict.fromkeys(SEVENS, 60) | {"neutral": 120},
    "emodb": {
        "angry": 127, "bored": 81, "neutral": 79, "happy": 71, "fearful": 69, "sad": 62, "disgust": 46,
    },
}  # fmt: skip
# Clips of a speaker: the usual number, and who has another; those of EMO-DB are counted in its published list.
PUBLISHED_SPEAKERS = {
    "ravdess": (60, {}),
    "crema_d": (82, {"1002": 81, "1076": 81, "1008": 76, "1009": 76, "1019": 76}),
    "tess": (1400, {}),
    "savee": (120, {}),
}
PUBLISHED_HOURS = {"ravdess": 1.480, "crema_d": 5.257, "tess": 1.598, "savee": 0.512}
PUBLISHED_LENGTHS = {
    "ravdess": (2.9363, 5.2719, 3.7007),
    "crema_d": (1.268, 5.005, 2.543),
    "tess": (1.2541, 2.9848, 2.0551),
    "savee": (1.631, 7.139, 3.839),
    "emodb": (1.2255, 8.978, 2.780),
}
PUBLISHED_GENDERS = {"ravdess": (12, 12), "crema_d": (43, 48), "tess": (2, 0), "savee": (0, 4), "emodb": (5, 5)}


@pytest.mark.parametrize("name", PUBLISHED_EMOTIONS)
def test_counts_are_the_published_ones(name):
    index = read_index(get_corpus(name))
    assert Counter(index.emotion) == PUBLISHED_EMOTIONS[name]
    genders = Counter(index.drop_duplicates("speaker").gender)
    assert (genders["female"], genders["male"]) == PUBLISHED_GENDERS[name]
    if name in PUBLISHED_SPEAKERS:
        usual, others = PUBLISHED_SPEAKERS[name]
        for speaker, count in index.groupby("speaker").size().items():
            assert count == others.get(speaker.removeprefix(f"{name}-"), usual), speaker


@pytest.mark.parametrize("name", PUBLISHED_LENGTHS)
def test_lengths_are_the_published_ones_to_a_millisecond(name):
    seconds = read_index(get_corpus(name)).seconds
    assert (seconds.min(), seconds.max(), seconds.mean()) == pytest.approx(PUBLISHED_LENGTHS[name], abs=1e-3)
    if name in PUBLISHED_HOURS:
        assert seconds.sum() / 3600 == pytest.approx(PUBLISHED_HOURS[name], abs=5e-4)


def test_ravdess_says_neutral_at_one_intensity_alone():
    index = read_index(RAVDESS)
    assert Counter(index.intensity) == {"normal": 768, "strong": 672}
    assert set(index[index.emotion == "neutral"].intensity) == {"normal"}


def test_each_of_200_words_of_tess_is_there_once_an_emotion_and_woman():
    index = read_index(TESS)
    assert index.sentence.nunique() == 200
    assert set(index.groupby(["speaker", "emotion", "sentence"]).size()) == {1}
    assert dict(zip(index.speaker, index.age, strict=True)) == {"tess-YAF": 26, "tess-OAF": 64}


def test_each_man_of_savee_says_15_sentences_an_emotion_and_30_neutral_ones():
    counts = read_index(get_corpus("savee")).groupby(["speaker", "emotion"]).size()
    assert all(count == (30 if emotion == "neutral" else 15) for (_, emotion), count in counts.items())
    assert len(counts) == 28


def test_emodb_has_its_ten_speakers_and_ten_sentences():
    index = read_index(get_corpus("emodb"))
    assert set(index[index.gender == "male"].speaker) == {f"emodb-{voice}" for voice in ("03", "10", "11", "12", "15")}
    assert set(index.sentence) == {"a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10"}


# CREMA-D: actors and votes


@needs_shared
def test_ages_and_sexes_of_crema_d_are_those_of_its_publishers():
    with (SHARED / "metadata" / "VideoDemographics.csv").open(newline="") as file:
        published = {
            (f"crema_d-{row['ActorID']}", float(row["Age"]), row["Sex"].lower()) for row in csv.DictReader(file)
        }
    index = read_index(get_corpus("crema_d"))
    assert set(zip(index.speaker, index.age, index.gender, strict=True)) == published


@needs_shared
def test_clips_of_crema_d_are_those_of_its_publishers_list():
    with (SHARED / "metadata" / "SentenceFilenames.csv").open(newline="") as file:
        published = {row["Filename"] for row in csv.DictReader(file)}
    assert set(read_index(get_corpus("crema_d"))["clip"]) == published


def test_listeners_of_crema_d_heard_what_was_published():
    index = read_index(get_corpus("crema_d"))
    tie = index.perceived.str.contains(":")
    agrees = index.perceived == index.emotion
    assert (int(agrees.sum()), int(tie.sum()), int((~agrees & ~tie).sum())) == (3099, 644, 3699)
    assert int((index.perceived_audiovisual == index.emotion).sum()) == 5374
    row = index[index["clip"] == "1001_IEO_HAP_LO"].iloc[0]  # in the published table: voice N, face H, both H
    assert (row.perceived, row.perceived_face, row.perceived_audiovisual) == ("neutral", "happy", "happy")
    assert {part for votes in index.perceived for part in votes.split(":")} == set(get_corpus("crema_d").emotions)


def test_intensities_of_crema_d_are_stated_for_one_sentence():
    index = read_index(get_corpus("crema_d"))
    assert Counter(index.intensity) == {"unspecified": 6077, "low": 455, "medium": 455, "high": 455}
    assert set(index[index.intensity != "unspecified"].sentence) == {"IEO"}


def test_twenty_clips_of_crema_d_were_never_published():
    index = read_index(get_corpus("crema_d"))
    said = index.drop_duplicates(["sentence", "emotion", "intensity"])[["sentence", "emotion", "intensity"]]
    assert len(said) == 82
    everything = said.merge(index[["speaker"]].drop_duplicates(), how="cross")
    there = set(zip(index.speaker, index.sentence, index.emotion, index.intensity, strict=True))
    missing = [row for row in everything[["speaker", *said.columns]].itertuples(index=False) if tuple(row) not in there]
    assert Counter((row.speaker[-4:], row.sentence) for row in missing) == {
        ("1002", "TIE"): 1, ("1076", "ITS"): 1, ("1008", "WSI"): 6, ("1009", "MTI"): 6, ("1019", "ITH"): 6,
    }  # fmt: skip
    assert {row.emotion for row in missing if row.speaker[-4:] in ("1002", "1076")} == {"neutral"}


def test_groups_of_crema_d_are_even_in_size_and_gender():
    corpus = get_corpus("crema_d")
    gender = read_index(corpus).drop_duplicates("speaker").set_index("speaker").gender
    assert len(corpus.speaker_folds) == 6
    for place, fold in enumerate(corpus.speaker_folds):
        counts = Counter(gender[list(fold.test)])
        assert counts["male"] == 8
        assert counts["female"] in (7, 8)
        assert fold.validation == corpus.speaker_folds[(place + 1) % 6].test
    assert "crema_d-1001" in corpus.speaker_folds[0].test  # the first man
    assert {"crema_d-1002", "crema_d-1005"} & set(corpus.speaker_folds[1].test) == {"crema_d-1005"}  # the second man


# Names and labels


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


LABELLED = [
    ("crema_d", "AudioWAV/1064_IEO_DIS_MD.wav", "disgust", "crema_d-1064"),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", "neutral", "tess-OAF"),
    ("tess", "OAF_Pleasant_surprise/OAF_back_ps.wav", "surprised", "tess-OAF"),
    ("tess", "YAF_pleasant_surprised/YAF_back_ps.wav", "surprised", "tess-YAF"),
    ("tess", "OAF_Fear/OAF_calm_fear.wav", "fearful", "tess-OAF"),  # calm is a word here
    ("savee", "KL/sa01.wav", "sad", "savee-KL"),
    ("savee", "KL/su01.wav", "surprised", "savee-KL"),
    ("savee", "DC/a01.wav", "angry", "savee-DC"),
    ("emodb", "wav/03a01Wa.wav", "angry", "emodb-03"),  # Wut
    ("emodb", "wav/03a01Fa.wav", "happy", "emodb-03"),  # Freude
    ("emodb", "wav/08a01Ab.wav", "fearful", "emodb-08"),  # Angst
    ("emodb", "wav/16b10Lb.wav", "bored", "emodb-16"),  # Langeweile
    ("emodb", "wav/16b10Eb.wav", "disgust", "emodb-16"),  # Ekel
    ("emodb", "wav/16b10Td.wav", "sad", "emodb-16"),  # Trauer
    ("subesco", "F_10_FAHMEE_S_6_FEAR_5.wav", "fearful", "subesco-F10"),
    ("subesco", "M_10_EVAN_S_8_DISGUST_2.wav", "disgust", "subesco-M10"),
    ("subesco", "F_02_MONIKA_S_2_SURPRISE_3].wav", "surprised", "subesco-F02"),
    ("cafe", "Peur/Fort/12-P-2-5.wav", "fearful", "cafe-12"),
    ("cafe", "Colère/Faible/01-C-1-1.wav", "angry", "cafe-01"),
    ("cafe", "Neutre/03-N-1-6.wav", "neutral", "cafe-03"),
    ("esd", "0011/Angry/0011_000351.wav", "angry", "esd-0011"),
    ("esd", "0020/Surprise/0020_001750.wav", "surprised", "esd-0020"),
]


@pytest.mark.parametrize(("name", "path", "emotion", "speaker"), LABELLED)
def test_codes_that_mislead_are_read_as_their_publishers_mean_them(name, path, emotion, speaker):
    corpus = get_corpus(name)
    said = corpus.describe(re.fullmatch(corpus.pattern, path))
    assert (said["emotion"], said["speaker"]) == (emotion, speaker)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("crema_d", "AudioWAV/1040_ITH_SAD_X.wav"),
        ("crema_d", "AudioWAV/1092_IEO_SAD_XX.wav.flv"),
        ("tess", "OAF_neutral/OA_back_neutral.wav"),
        ("tess", "OAF_neutral/YAF_back_neutral.wav"),
        ("savee", "KL/s01.wav"),
        ("savee", "XX/a01.wav"),
        ("emodb", "wav/07a01Wa.wav"),
        ("emodb", "wav/03a01Xa.wav"),
        ("subesco", "F_11_FAHMEE_S_6_FEAR_5.wav"),
        ("subesco", "F_10_FAHMEE_S_11_FEAR_5.wav"),
        ("subesco", "F_10_FAHMEE_S_6_FEAR_5].wav"),
        ("cafe", "Peur/Fort/13-P-2-5.wav"),
        ("cafe", "Peur/12-P-2-5.wav"),
        ("esd", "0021/Angry/0021_000351.wav"),
        ("esd", "0011/Angry/0012_000351.wav"),
        ("esd", "0011/Surprise/0011_001751.wav"),
        ("esd", "0011/Neutral/0011_000000.wav"),
        ("emozionalmente", "audio/161306313208.wav"),
    ],
)
def test_what_was_never_published_is_no_name(name, path):
    assert not re.fullmatch(get_corpus(name).pattern, path)


def test_stems_that_repeat_from_speaker_to_speaker_make_no_clip_twice():
    index = read_index(get_corpus("savee"))
    assert index.path.map(lambda path: Path(path).stem).nunique() == 120
    assert {"DC_a01", "JE_a01"} < set(index["clip"])


# Recordings, manifests and index


@needs_shared
@pytest.mark.parametrize("name", PUBLISHED_EMOTIONS)
def test_checksums_are_the_published_ones(name):
    with (SHARED / "manifests" / f"{name}.csv").open(newline="") as file:
        published = {(row["path"], int(row["size"]), row["sha256"]) for row in csv.DictReader(file)}
    index = read_index(get_corpus(name))
    assert set(zip(index.path, index.bytes, index.sha256, strict=True)) == published


@needs_shared
@pytest.mark.parametrize("name", ["crema_d", "savee", "emodb"])
def test_an_index_follows_from_published_lists_alone(name, tmp_path, monkeypatch):
    monkeypatch.setattr("sernb.config.INDEX", tmp_path)
    corpus = get_corpus(name)
    write_index([name, "--manifest", str(SHARED / "manifests" / f"{name}.csv"), "--tables", str(SHARED / "metadata")])
    assert corpus.index_path == tmp_path / f"{name}.csv"
    assert corpus.index_path.read_bytes() == (ROOT / "sernb" / "corpora" / "indexes" / f"{name}.csv").read_bytes()


def test_votes_are_asked_for_where_an_index_needs_them(tmp_path):
    (tmp_path / "list.csv").write_text(f"path,size,sha256\nAudioWAV/1001_DFA_ANG_XX.wav,72862,{'0' * 64}\n")
    with pytest.raises(DataError, match="its index needs the publishers' tables; name their folder with --tables"):
        index_of_manifest(get_corpus("crema_d"), tmp_path / "list.csv")


@needs_shared
def test_the_index_of_tess_is_that_of_its_files_and_sizes(tess_recordings):
    manifest = SHARED / "manifests" / "tess.csv"
    assert_frame_equal(index_of_manifest(TESS, manifest, recordings=tess_recordings / "tess"), read_index(TESS))
    # What follows from sizes is what the files say, but for the three that are no usual files.
    by_size = index_of_manifest(TESS, manifest)
    differs = (by_size.seconds - read_index(TESS).seconds).abs() > 1e-3
    assert set(by_size["clip"][differs]) == {"OAF_food_fear"}
    assert set(by_size["clip"][by_size.sampling_rate != read_index(TESS).sampling_rate]) == {"OAF_food_fear"}


def test_the_index_of_the_demo_is_that_of_its_files():
    assert_frame_equal(build_index(DEMO, DEMO.home, tables=DEMO.home), read_index(DEMO))


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
    assert misnamed.startswith(f"{demo_copy / 'Actor_01' / 'holiday.wav'}: is not a file name of the demo corpus; ")
    assert cut.startswith(f"{spoiled}: is truncated or damaged")


def test_an_incomplete_copy_makes_no_index(demo_copy):
    shutil.rmtree(demo_copy / "Actor_08")
    with pytest.raises(DataError, match="210 clips of 7 speakers, but the demo corpus has 240 of 8"):
        build_index(DEMO, demo_copy, tables=demo_copy)


def test_an_index_is_written_as_it_is_read(indexed, tmp_path):
    corpus, index = indexed
    write_table(index, tmp_path / "index.csv")
    assert (tmp_path / "index.csv").read_bytes() == corpus.index_path.read_bytes()


def test_a_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-4, appendix B.1
    assert checksum(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
