"""Corpora named by an expression: one, several, narrowed, incomplete; their clips, folds, features and results."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from sernb.audio.augmentation import Gain, Noise, Shift, Speed
from sernb.config import DataError
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import Part, Pool, folder_name, parse_pool, select_clips
from sernb.corpora.preparation import prepare
from sernb.corpora.record import Corpus, SpeakerFold
from sernb.corpora.registry import get_corpus
from sernb.features import LogMel, Mfcc, Statistics
from sernb.features.extraction import extract_features
from sernb.features.normalisation import Normaliser
from sernb.results.result import collect_results
from sernb.results.tables import caption, corpora_table, seeds_table
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.runtime.files import checksum

# -- What an expression names -- #


def test_one_whole_corpus_is_its_index_and_its_record():
    pool, corpus = parse_pool("ravdess"), get_corpus("ravdess")
    index = read_index(corpus)
    pd.testing.assert_frame_equal(pool.index[index.columns], index)
    for name in ("name", "title", "about", "licence", "citation", "evidence", "clips", "speakers", "speaker_folds"):
        assert getattr(pool, name) == getattr(corpus, name), name
    assert pool.folder == "ravdess"
    assert set(pool.emotions) == set(corpus.emotions)


def test_a_pool_of_several_has_unique_names_and_says_which_corpus():
    pool = parse_pool("ravdess + demo")
    assert pool.name == "ravdess+demo"
    assert pool.clips == len(pool.index) == 1440 + 240
    assert pool.index["clip"].is_unique, "the demo corpus uses RAVDESS's names"
    assert pool.index["clip"].iloc[0] == "ravdess/" + read_index(get_corpus("ravdess"))["clip"].iloc[0]
    assert pool.index.groupby("corpus").size().to_dict() == {"ravdess": 1440, "demo": 240}
    assert pool.speakers == 24 + 8
    assert not pool.evidence, "one part is synthetic"
    for part in pool.parts:
        assert part.corpus.citation in pool.citation
        assert part.corpus.licence in pool.licence
    assert not pool.index.select_dtypes(exclude="number").isna().any(axis=None)


def test_conditions_narrow_a_corpus():
    pool, index = parse_pool("ravdess: intensity=strong, gender=male "), read_index(get_corpus("ravdess"))
    expected = index[(index.gender == "male") & (index.intensity == "strong")]
    assert pool.index["clip"].tolist() == expected["clip"].tolist()
    assert pool.name == "ravdess:gender=male,intensity=strong", "however it is written"
    assert pool.title == "RAVDESS (gender=male, intensity=strong, 336 of 1440 clips)"
    assert pool == parse_pool(pool.name)
    assert folder_name(pool.name) == pool.folder == "ravdess_gender=male,intensity=strong"
    ages = parse_pool("crema_d:age=51").index.age
    assert set(ages) == {51}, "numbers are written as people write them"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("ravdess+libri", "ravdess"),
        ("ravdess+ravdess:gender=male", "named twice"),
        ("ravdess:sex=male", "columns: .*gender"),
        ("ravdess:gender=other", "there are female, male"),
        ("ravdess:gender", "not a condition such as"),
        ("ravdess:speaker=nobody", r"24 in all"),
        ("ravdess:emotion=neutral,intensity=strong", "no clip of RAVDESS is left"),
        ("ravdess+", "a corpus is missing"),
        ("", "a corpus is missing"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(expression, said):
    with pytest.raises(DataError, match=said) as caught:
        parse_pool(expression)
    assert len(caught.value.args) == 1


def test_a_folder_on_windows_is_no_condition():
    with pytest.raises(DataError, match=r"no corpus is named 'C:.*recordings'"):
        parse_pool(r"C:\my recordings")


def test_matching_agrees_with_pandas():
    index = read_index(get_corpus("crema_d"))
    found = select_clips(index, "gender=female,emotion=sad")
    pd.testing.assert_series_equal(found, (index.gender == "female") & (index.emotion == "sad"), check_names=False)


# -- Folds -- #


def made(name: str, folds: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> Part:
    """A part of a pool with one clip a speaker."""
    speakers = sorted({speaker for test, _ in folds for speaker in test})
    clips = pd.DataFrame({"clip": speakers, "speaker": speakers, "sha256": speakers})
    record = dict.fromkeys(("title", "about", "citation", "licence", "homepage", "get", "pattern"), "")
    corpus = Corpus(
        name=name, **record, describe=dict, emotions=(), clips=len(clips), speakers=len(clips),
        speaker_folds=tuple(SpeakerFold(*fold) for fold in folds),
    )  # fmt: skip
    return Part(corpus, "", name, len(clips), clips, clips)


def test_folds_of_parts_are_dealt_onto_the_folds_of_the_pool():
    few = made("few", [(("f0",), ()), (("f1",), ())])
    many = made("many", [((f"m{n}",), (f"m{(n + 5) % 7}",)) for n in range(7)])
    folds = Pool((few, many)).speaker_folds
    assert [fold.test for fold in folds] == [("f0", "m0", "m5"), ("f1", "m1", "m6"), ("m2",), ("m3",), ("m4",)]
    assert folds[0].validation == ("m3",), "m5, who would validate m0, is tested here"
    assert folds[2].validation == ("m0",)
    assert [fold.test for fold in Pool((few, made("two", [(("t0",), ()), (("t1",), ())]))).speaker_folds] == [
        ("f0", "t0"), ("f1", "t1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "expression", ["ravdess+tess+savee+crema_d+emodb", "tess+savee", "ravdess:gender=female+emodb"]
)
def test_every_speaker_of_a_pool_is_tested_once_and_validates_elsewhere(expression):
    pool = parse_pool(expression)
    tested = [speaker for fold in pool.speaker_folds for speaker in fold.test]
    assert sorted(tested) == sorted(set(pool.index.speaker))
    for fold in pool.speaker_folds:
        assert not set(fold.test) & set(fold.validation)
        assert set(pool.index.speaker) - set(fold.test) - set(fold.validation), "somebody trains"


# -- Recordings -- #


@pytest.fixture
def partial(demo_copy):
    """A copy of the demo corpus that lacks actors 7 and 8; its parent."""
    for actor in ("Actor_07", "Actor_08"):
        shutil.rmtree(demo_copy / actor)
    return demo_copy.parent


def test_an_incomplete_copy_is_refused_with_the_way_to_use_it(partial):
    with pytest.raises(DataError, match=r"60 of 240 clips .* such as Actor_07.* name demo:available") as caught:
        prepare(parse_pool("demo"), LogMel(), data=partial)
    assert len(caught.value.args) == 1


def test_what_is_available_is_used_and_counted(partial):
    pool = parse_pool("demo:available", partial)
    index = read_index(get_corpus("demo"))
    left = index[~index.path.str.contains("Actor_0[78]")]
    assert pool.index["clip"].tolist() == left["clip"].tolist()
    assert pool.title == "the demo corpus (180 of 240 clips)"
    assert pool.recordings != parse_pool("demo").recordings
    assert list(prepare(pool, LogMel(), data=partial)) == left["clip"].tolist()
    files = pool.files(partial)
    assert [checksum(path) for path in files[left["clip"]]] == left.sha256.tolist()
    experiments = plan(["majority"], "demo:available", ["speaker-independent"], data=partial)
    assert len(experiments) == 3, "a fold without test speakers is none"
    run_many(experiments, jobs=1, progress=False, data=partial)
    assert "The clips are those of the demo corpus (180 of 240 clips)." in caption(experiments)
    assert experiments[0].config["recordings"] == pool.recordings


def test_conditions_and_pools_share_the_cache_of_a_corpus(work):
    whole = prepare(get_corpus("demo"), LogMel())
    women = prepare(parse_pool("demo:gender=female"), LogMel())
    assert len(list((work / "cache" / "demo").iterdir())) == 1
    assert 0 < len(women) < len(whole)
    for clip, features in women.items():
        np.testing.assert_array_equal(features, whole[clip])
        assert isinstance(features, np.memmap), "nothing is read before it is used"


@pytest.mark.slow
def test_a_silent_recording_that_was_published_so_is_part_of_its_corpus(demo_copy, monkeypatch):
    """CREMA-D's 1076_MTI_SAD_XX: 41,108 samples of zero under the published checksum."""
    corpus, index = get_corpus("demo"), read_index(get_corpus("demo"))
    silent = demo_copy / index.path[3]
    soundfile.write(silent, np.zeros(41_108), 16_000)
    changed = index.copy()
    changed.loc[3, "sha256"] = checksum(silent)
    with pytest.raises(DataError, match="is pure silence"):
        prepare(corpus, LogMel(), data=demo_copy.parent)
    monkeypatch.setattr("sernb.corpora.preparation.read_index", lambda corpus, data=None: changed)
    for features in (LogMel(), Mfcc(), Statistics()):
        table = prepare(corpus, features, data=demo_copy.parent)
        quiet = table[index["clip"][3]]
        np.testing.assert_array_equal(quiet, features(np.zeros(round(41_108 * features.sampling_rate / 16_000), "f4")))
        assert np.isfinite(quiet).all()
        assert np.isfinite(Normaliser([quiet])(quiet)).all(), "a constant column does not divide by 0"


@pytest.mark.parametrize("view", [Noise(), Shift(), Gain("louder", 6.0), Speed("faster", 1.05)], ids=lambda v: v.name)
def test_views_of_silence_are_silence(view):
    silence = np.zeros(41_108, np.float32)
    features = extract_features("1076_MTI_SAD_XX", view, silence, LogMel())
    assert np.isfinite(features).all()
    assert len(np.unique(features)) == 1


def test_a_part_of_tess_that_lies_here_is_used(recordings, tess_recordings):
    if recordings != tess_recordings:
        pytest.skip("RAVDESS and TESS lie in different places")
    pool = parse_pool("ravdess+tess:available", recordings)
    there = {path.stem for path in (recordings / "tess").rglob("*.wav")}
    of_tess = pool.index[pool.index.corpus == "tess"]
    assert len(of_tess) == len(there)
    assert f"{len(there)} of 2800 clips" in pool.title or len(there) == 2800
    assert all(path.exists() for path in pool.files(recordings))
    assert len(pool.files(recordings)) == pool.clips


# -- Results -- #


def test_each_corpus_of_a_pool_has_its_row(monkeypatch, tmp_path):
    monkeypatch.setattr("sernb.runs.split_audit.audit_experiment", lambda experiment: [])  # RAVDESS may not be here
    monkeypatch.setattr("sernb.runs.runner.prepare_for", lambda *args, **options: None)
    experiments = plan(["majority"], "demo+savee", ["speaker-independent"], labels="six", seeds=[0, 1])
    run_many(experiments, jobs=1, progress=False)
    (first, _) = collect_results(experiments)
    table = corpora_table(experiments)
    assert table["Corpus"].tolist() == ["demo", "savee"] * 2
    clips = first.clips
    predicted = first.predictions[list(first.classes)].idxmax(axis=1)
    for row in table.head(2).itertuples():
        own = clips.corpus == row.Corpus
        assert own.sum() == row.Clips
        assert row.WAR.split()[0] == f"{100 * (predicted[own] == clips.truth[own]).mean():.1f}"
    assert {"emotion", "intensity", "sentence", "corpus"} <= set(clips)
    assert clips["clip"].tolist() == [clip for each in experiments if each.seed == 0 for clip in each.fold.test]
    (row,) = seeds_table(experiments).to_dict("records")
    assert row["UAR"].endswith("± 0.0 (2 seeds)"), "the majority does not depend on the seed"
