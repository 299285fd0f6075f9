"""What the explore page computes, against librosa, scikit-learn and formulas."""

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sernb.audio import reading
from sernb.config import DataError
from sernb.corpora import index, local_index, registry
from sernb.corpora.availability import find_available
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.features import F0, Level, LogMel
from sernb.studies import exploration

DEMO = registry.get_corpus("demo")


@pytest.fixture
def clips():
    return local_index.read_index(DEMO).assign(corpus="demo")


def tone(hertz, *, seconds=1.0, sampling_rate=16_000, level=0.5, partials=1):
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    waves = [np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, partials + 1)]
    return (level * np.sum(waves, axis=0)).astype(np.float32)


# -- Pitch, level, silence -- #


@pytest.mark.parametrize("hertz", [85, 120, 210, 333, 550])
def test_f0_is_that_of_the_tone(hertz):
    f0 = F0()(tone(hertz, partials=6, level=0.2))
    voiced = f0[f0 > 0]
    assert len(voiced) > 0.9 * len(f0)
    assert np.median(voiced) == pytest.approx(hertz, rel=0.01)


def test_noise_and_silence_have_no_f0(rng):
    assert not F0()(0.1 * rng.standard_normal(16_000).astype(np.float32)).any()
    assert not F0()(np.zeros(16_000, np.float32)).any()


def test_level_is_that_of_librosa(clips):
    for path in clips.path[::60]:
        signal = reading.load(DEMO.home / path, 22_050)
        rms = librosa.feature.rms(y=signal, frame_length=2048, hop_length=512)[0]
        assert Level()(signal)[:, 0] == pytest.approx(20 * np.log10(np.maximum(rms, 1e-5)), abs=0.01)


@pytest.mark.parametrize(("level", "decibels"), [(1.0, -3.01), (0.1, -23.01)])
def test_loudness_is_that_of_the_sine_whatever_the_silence_around_it(level, decibels):
    settings = Level()
    sine = tone(1000, seconds=2, sampling_rate=settings.sampling_rate, level=level)
    silence = np.zeros(settings.sampling_rate, np.float32)
    assert exploration.loudness(settings(sine)) == pytest.approx(decibels, abs=0.1)
    assert exploration.loudness(settings(np.concatenate([silence, sine, silence]))) == pytest.approx(decibels, abs=0.2)


def test_trimming_is_that_of_librosa(clips):
    settings = Level()
    for path in clips.path[::20]:
        signal = reading.load(DEMO.home / path, settings.sampling_rate)
        spoken, _ = librosa.effects.trim(signal, top_db=40)
        found = exploration.trimmed(settings(signal), len(signal) / settings.sampling_rate, settings)
        assert found == pytest.approx(len(spoken) / settings.sampling_rate, abs=1e-6)


@pytest.mark.slow
def test_trimmed_ravdess_is_as_long_as_system_002_prints(recordings):
    settings, record = Level(), registry.get_corpus("ravdess")
    lengths = []
    for row in local_index.read_index(record).itertuples():
        signal = reading.load(recordings / "ravdess" / row.path, settings.sampling_rate)
        lengths.append(exploration.trimmed(settings(signal), row.seconds, settings))
    assert (round(min(lengths), 2), round(max(lengths), 2)) == (1.21, 4.40)


def test_voices_of_a_made_clip_and_of_silence():
    settings = Level()
    clips = pd.DataFrame({"clip": ["tone", "silence"], "seconds": [2.0, 1.0]}, index=[7, 3])
    signals = {
        "tone": (tone(200, seconds=2, partials=4, level=0.3), tone(200, seconds=2, sampling_rate=22_050, level=0.3)),
        "silence": (np.zeros(16_000, np.float32), np.zeros(22_050, np.float32)),
    }
    f0 = {name: F0()(signal) for name, (signal, _) in signals.items()}
    levels = {name: settings(signal) for name, (_, signal) in signals.items()}
    table = exploration.voices(clips, f0, levels, settings).set_index("clip")
    assert table.f0["tone"] == pytest.approx(200, rel=0.01)
    assert table.f0_range["tone"] < 0.5
    assert table.trimmed.tolist() == pytest.approx([2.0, 1.0], abs=0.01)
    assert table["level"]["tone"] == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.1)
    assert np.isnan(table.f0["silence"])
    assert table["level"]["silence"] == pytest.approx(-100)


# -- Which clips, and how many -- #


def test_one_clip_an_emotion_of_one_speaker_and_sentence(clips):
    chosen = exploration.one_clip_per_emotion(clips)
    assert chosen.emotion.tolist() == list(DEMO.emotions)
    assert len(set(chosen.speaker)) == len(set(chosen.sentence)) == 1


def test_where_no_sentence_is_in_all_emotions_others_of_the_speaker_step_in(clips):
    clips = clips[(clips.sentence == "02") | (clips.emotion == "sad")]
    clips = clips[(clips.sentence == "01") | (clips.emotion != "sad")]
    chosen = exploration.one_clip_per_emotion(clips).set_index("emotion")
    assert len(chosen) == 8
    assert len(set(chosen.speaker)) == 1
    assert chosen.sentence.drop("sad").tolist() == ["02"] * 7
    assert chosen.sentence["sad"] == "01"


def test_clips_are_drawn_in_order_and_again_the_same(clips):
    drawn = exploration.sample_clips(clips, 50, seed=3)
    assert len(drawn) == 50
    assert drawn.index.is_monotonic_increasing
    assert drawn.index.is_unique
    assert drawn.equals(exploration.sample_clips(clips, 50, seed=3))
    assert exploration.sample_clips(clips, 500) is clips


def test_rated_are_clips_with_all_three_dimensions(clips):
    assert exploration.rated(clips).empty
    assert exploration.rated(clips[["clip", "emotion"]]).empty
    some = clips.assign(valence=3.5, arousal=2.0, dominance=np.where(clips.emotion == "sad", np.nan, 1.0))
    assert len(exploration.rated(some)) == (clips.emotion != "sad").sum()


def test_counts_are_those_of_the_table_with_per_cents(clips):
    table = exploration.counts(clips, ["corpus", "gender", "intensity"]).set_index("emotion")
    for emotion in DEMO.emotions:
        mine = clips[clips.emotion == emotion]
        for gender in ("female", "male"):
            count = ((mine.gender == gender) & (mine.intensity == "strong")).sum()
            expected = f"{count} ({100 * count / 240:.1f} %)" if count else "0"
            assert table[f"{gender}, strong"][emotion] == expected
        assert table["all"][emotion].split()[0] == str(len(mine))
    assert table["all"]["all"] == "240 (100.0 %)"
    assert exploration.counts(clips, ["corpus"]).columns.tolist() == ["emotion", "all"]


def test_speakers_with_the_same_clips_share_a_line(clips):
    table = exploration.speakers_table(clips)
    assert table[["speakers", "gender", "clips per speaker"]].to_numpy().tolist() == [
        [4, "male", 30],
        [4, "female", 30],
    ]
    others = "calm, happy, sad, angry, fearful, disgust, surprised 4"
    assert table["clips per emotion"].tolist() == [f"neutral 2; {others}"] * 2
    assert [names.split() for names in table.names] == [["01", "…", "07"], ["02", "…", "08"]]
    minutes = clips.groupby("gender").seconds.sum() / 60
    assert table.minutes.tolist() == [f"{minutes['male']:.1f}", f"{minutes['female']:.1f}"]
    without_one = exploration.speakers_table(clips.drop(index=0))
    assert sorted(without_one.speakers) == [1, 3, 4]


# -- Who lies near whom -- #


@pytest.fixture
def cloud(rng):
    labels = rng.integers(0, 4, 120)
    return rng.standard_normal((120, 6)) + labels[:, None] * 0.4, np.array(list("abcd"))[labels]


def test_purity_is_the_share_scikit_learn_finds(cloud):
    values, labels = cloud
    nearest = NearestNeighbors(n_neighbors=11).fit(values).kneighbors(values, return_distance=False)[:, 1:]
    found, chance = exploration.purity(values, labels)
    assert found == pytest.approx((labels[nearest] == labels[:, None]).mean())
    sizes = np.unique(labels, return_counts=True)[1]
    assert chance == pytest.approx((sizes * (sizes - 1)).sum() / (120 * 119))


def test_purity_among_others_leaves_the_own_group_out(cloud, rng):
    values, labels = cloud
    groups = rng.integers(0, 5, 120)
    shares = []
    for row in range(120):
        others = np.flatnonzero(groups != groups[row])
        search = NearestNeighbors(n_neighbors=10).fit(values[others])
        nearest = others[search.kneighbors(values[[row]], return_distance=False)[0]]
        shares.append((labels[nearest] == labels[row]).mean())
    assert exploration.purity(values, labels, exclude=groups)[0] == pytest.approx(np.mean(shares))
    assert np.isnan(exploration.purity(values, labels, exclude=np.zeros(120))).all()


def test_standardised_by_group_is_scikit_learns_scaler_on_each(cloud, rng):
    values, labels = cloud
    values[:, 2] = 5.0
    result = exploration.standardise(values, labels)
    for label in set(labels):
        assert result[labels == label] == pytest.approx(StandardScaler().fit_transform(values[labels == label]))


def test_vectors_are_means_and_deviations_over_time(clips, rng):
    some = clips.head(30)
    pictures = {clip: rng.normal(-40, 9, (rng.integers(50, 90), 5)) for clip in some["clip"]}
    rows = [np.r_[np.mean(picture, axis=0), np.std(picture, axis=0)] for picture in pictures.values()]
    assert exploration.vectors(some, pictures) == pytest.approx(StandardScaler().fit_transform(rows))


def test_planes_are_scikit_learns_and_the_same_again(cloud):
    values, _ = cloud
    planes = exploration.project(values, seed=1)
    expected = PCA(2).fit_transform(values)
    assert np.abs(planes["PCA"]) == pytest.approx(np.abs(expected), abs=1e-8)
    assert planes["t-SNE"].shape == (120, 2)
    assert np.array_equal(planes["t-SNE"], exploration.project(values, seed=1)["t-SNE"])


@pytest.mark.slow
def test_speakers_are_found_in_the_demo_and_standardising_hides_them(clips):
    pictures = {row.clip: LogMel()(reading.load(DEMO.home / row.path, 16_000)) for row in clips.itertuples()}
    near = exploration.purities(clips, exploration.vectors(clips, pictures))
    speaker = near.loc["the same speaker"]
    assert speaker.measured > 2 * speaker.chance
    assert speaker.standardised < speaker.measured
    assert "the same corpus" not in near.index


# -- What is here -- #


def test_the_demo_is_here():
    here = find_available("demo")
    assert here.summary == "All 240 clips of the demo corpus are available."
    assert len(here.clips) == 240
    assert here.recordings == index.fingerprint_index(here.index)


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "demo"])
def test_what_is_not_here_is_said_with_the_next_step(name, tmp_path):
    here = find_available(name, tmp_path)
    assert here.pool is None
    assert here.recordings == "none"
    assert here.summary.splitlines()[1] == f"To get them: sernb fetch {name}"
    assert len(here.clips) == (here.corpus.clips if get_corpus(name).committed else 0)


def test_of_a_part_the_part_is_shown(demo_copy):
    for path in sorted(demo_copy.rglob("*.flac"))[:90]:
        path.unlink()
    here = find_available("demo", demo_copy.parent)
    assert here.summary.startswith("150 of 240 clips of the demo corpus are available")
    assert len(here.clips) == here.pool.clips == 150
    assert len(here.index) == 240


def test_an_unknown_corpus_is_an_error():
    with pytest.raises(DataError, match="no corpus is named"):
        find_available("none")
