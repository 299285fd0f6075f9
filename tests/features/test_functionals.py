"""Pitch, descriptors and functionals against made signals, librosa and scipy; their machine against sklearn's."""

import librosa
import numpy as np
import pandas as pd
import pytest
from scipy import signal as filters
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sernb.audio.reading import load
from sernb.config import DataError
from sernb.features import Functionals
from sernb.features.descriptors import MFCC, SPECTRAL, VOCAL, Descriptors, compute_descriptors, estimate_formants
from sernb.features.functionals import EDGES, RHYTHM, STATISTICS, compute_modulation, compute_rhythm, summarise
from sernb.features.pitch import Pitch, Pulses
from sernb.systems.base import Examples, Task
from sernb.systems.functionals_svm import SYSTEM, Settings, fit

RATE = 16_000
TIME = np.arange(RATE) / RATE
EDGE = slice(5, -5)  # frames that no end of the signal touches


def voice(f0, *, harmonics=5):
    """A tone with falling harmonics; ``f0`` is one number or one a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, TIME.shape)) / RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))


def spectral(signal, name):
    return compute_descriptors(signal, Pitch()).spectral[:, SPECTRAL.index(name)]


def vocal(signal, name):
    found = compute_descriptors(signal, Pitch())
    return found.vocal[found.voiced, VOCAL.index(name)]


@pytest.mark.parametrize("f0", [80, 131.3, 220, 440, 590])
def test_f0_of_a_steady_voice(f0):
    np.testing.assert_allclose(Pitch().track(voice(f0)).f0[EDGE], f0, rtol=0.005)


def test_f0_of_a_pure_tone():
    np.testing.assert_allclose(Pitch().track(np.sin(2 * np.pi * 200 * TIME)).f0[EDGE], 200, rtol=0.005)


def test_f0_of_a_sweep():
    f0 = 120 * 3**TIME  # 120 to 360 Hz
    np.testing.assert_allclose(Pitch().track(voice(f0)).f0[EDGE], f0[::160][5:96], rtol=0.01)


def test_noise_has_no_pitch(rng):
    assert Pitch().track(rng.standard_normal(RATE)).voiced.mean() < 0.05


def test_the_path_passes_over_an_octave_that_one_frame_suggests():
    frequency = np.tile([100.0, 200.0], (10, 1))
    strength = np.tile([0.9, 0.6], (10, 1))
    strength[5] = [0.7, 0.8]
    path = Pitch(candidates=2)._path(frequency, strength, np.full(10, 0.45))
    np.testing.assert_array_equal(frequency[0][path], 100)


@pytest.mark.parametrize("decibels", [5, 10, 20])
def test_harmonics_to_noise_ratio_of_a_tone_in_noise(rng, decibels):
    noise = rng.standard_normal(RATE) * np.sqrt(0.5 / 10 ** (decibels / 10))
    track = Pitch().track(np.sin(2 * np.pi * 200 * TIME) + noise)
    assert track.voiced.all()
    assert track.harmonicity.mean() == pytest.approx(decibels, abs=1)


def test_jitter_and_shimmer_of_a_disturbed_pulse_train(rng):
    times = 0.05 + np.cumsum(0.008 * (1 + 0.01 * rng.standard_normal(110)))
    heights = 0.5 * (1 + 0.03 * rng.standard_normal(110))
    train = sum(height * np.exp(-0.5 * ((TIME - at) / 0.0004) ** 2) for at, height in zip(times, heights, strict=True))
    pitch = Pitch()
    pulses = pitch.find_pulses(train, pitch.track(train))
    assert len(pulses.times) >= 105
    periods = np.diff(times)
    assert pulses.jitter[1].mean() == pytest.approx(np.abs(np.diff(periods)).mean() / periods.mean(), rel=0.1)
    assert pulses.shimmer[1].mean() == pytest.approx(np.abs(np.diff(heights)).mean() / heights.mean(), rel=0.1)
    nearest = np.abs(times[:, None] - pulses.times).min(axis=0)
    assert nearest.max() < 0.3 / RATE, "between samples, too"


def test_an_even_pulse_train_has_no_jitter():
    train = (np.arange(RATE) % 100 == 50) * 0.5
    pitch = Pitch()
    pulses = pitch.find_pulses(train, pitch.track(train))
    assert len(pulses.times) > 150
    np.testing.assert_allclose(np.diff(pulses.times), 100 / RATE, atol=1e-9)
    assert pulses.jitter[1].max() < 1e-6
    assert pulses.shimmer[1].max() < 1e-6


def test_runs_and_leaps_do_not_count_as_jitter():
    pulses = Pulses(np.array([0, 0.01, 0.02, 0.5, 0.51, 0.53]), np.ones(6), np.array([0, 0, 0, 1, 1, 1]))
    times, values = pulses.jitter
    np.testing.assert_allclose(times, [0.01])
    np.testing.assert_allclose(values, [0], atol=1e-12)


def test_ten_decibels_more_sound_twice_as_loud():
    quiet, loud = voice(200), voice(200) * 10**0.5
    assert np.median(spectral(loud, "loudness") / spectral(quiet, "loudness")) == pytest.approx(10**0.3, rel=1e-4)
    np.testing.assert_allclose(spectral(loud, "level") - spectral(quiet, "level"), 10, atol=1e-4)
    assert spectral(np.sin(2 * np.pi * 250 * TIME), "level")[EDGE].mean() == pytest.approx(-3.01, abs=0.01)


@pytest.mark.slow
def test_descriptors_that_librosa_has(recordings):
    signal = load(recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav", RATE)
    frame = {"n_fft": 512, "hop_length": 160, "pad_mode": "constant"}
    power = np.abs(librosa.stft(signal, **frame)) ** 2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=40), top_db=80)
    found = compute_descriptors(signal, Pitch()).spectral.T
    first = SPECTRAL.index("MFCC 1")
    np.testing.assert_allclose(found[first : first + MFCC], librosa.feature.mfcc(S=mel, n_mfcc=MFCC + 1)[1:], atol=2e-2)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=26), top_db=80)
    np.testing.assert_allclose(found[SPECTRAL.index("mel 1") :], mel, atol=2e-2)
    heard = power.sum(axis=0) > 1e-4
    theirs = librosa.feature.spectral_centroid(S=power, sr=RATE)[0]
    np.testing.assert_allclose(found[SPECTRAL.index("centroid")][heard], theirs[heard], rtol=1e-3)
    theirs = librosa.feature.spectral_bandwidth(S=power, sr=RATE)[0]
    np.testing.assert_allclose(found[SPECTRAL.index("spread")][heard], theirs[heard] + 1, rtol=1e-3)
    rms = librosa.feature.rms(y=signal, frame_length=512, hop_length=160)[0]
    loud = rms > 1e-3
    np.testing.assert_allclose(found[SPECTRAL.index("level")][loud], 20 * np.log10(rms[loud]), atol=0.01)
    rolled = librosa.feature.spectral_rolloff(S=power, sr=RATE, roll_percent=0.75)[0]
    assert (np.abs(found[SPECTRAL.index("roll-off 75")] - rolled)[heard] < 1).mean() > 0.99


def test_ratios_of_two_tones():
    """Tones of 500 Hz and, 20 dB weaker, 2,250 Hz: both on bins of the transform."""
    signal = 0.5 * np.sin(2 * np.pi * 500 * TIME) + 0.05 * np.sin(2 * np.pi * 2250 * TIME)
    assert spectral(signal, "alpha ratio")[EDGE].mean() == pytest.approx(-20, abs=0.05)
    assert spectral(signal, "Hammarberg index")[EDGE].mean() == pytest.approx(20, abs=0.05)
    assert spectral(signal, "share 1000-4000")[EDGE].mean() == pytest.approx(-20.04, abs=0.05)
    assert spectral(signal, "zero-crossing rate")[EDGE].mean() == pytest.approx(2 * 500 / RATE, rel=0.02)


def test_slope_of_a_tilted_spectrum():
    """One pulse through a filter that loses 6 dB a kHz."""
    hertz = np.arange(0, 8001, 250)
    tilted = filters.firwin2(401, hertz, 10 ** (-6 * hertz / 1000 / 20), fs=RATE)
    signal = np.zeros(RATE)
    signal[8000 - 200 : 8000 + 201] = tilted
    for name in ("slope 500-1500", "slope 100-8000"):
        assert spectral(signal, name)[50] == pytest.approx(-6, abs=0.2)


def test_flux_is_the_change_of_the_spectrum():
    steady, changing = voice(200), np.where(TIME < 0.5, voice(200), voice(300))
    assert spectral(changing, "flux of shape")[45:56].max() > 10 * spectral(steady, "flux of shape")[45:56].max()


def test_harmonics_differ_as_they_were_made():
    signal = 0.2 * np.sin(2 * np.pi * 200 * TIME) + 0.1 * np.sin(2 * np.pi * 400 * TIME + 1)
    signal += 0.02 * np.sin(2 * np.pi * 600 * TIME + 2)
    assert np.median(vocal(signal, "H1-H2")) == pytest.approx(20 * np.log10(2), abs=0.3)
    assert np.median(vocal(signal, "H1-H3")) == pytest.approx(20, abs=0.3)
    assert np.median(vocal(signal, "H1-highest")) == pytest.approx(0, abs=0.01)


def test_formants_are_the_resonances():
    """A noise-free vowel: an impulse through three resonators, lip radiation against the pre-emphasis."""
    impulse = np.zeros(512)
    impulse[100] = 1
    vowel = filters.lfilter([1], [1, -0.97], impulse)
    for frequency, bandwidth in ((500, 80), (1500, 100), (2500, 120)):
        radius = np.exp(-np.pi * bandwidth / RATE)
        vowel = filters.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], vowel)
    frequencies, bandwidths = estimate_formants(np.abs(np.fft.rfft(vowel))[None] ** 2)
    np.testing.assert_allclose(frequencies[0], [500, 1500, 2500], rtol=0.03)
    assert (bandwidths < 400).all()


def test_statistics_are_those_of_numpy_and_scipy(rng):
    contours = rng.gamma(2, 1, (101, 4)).cumsum(axis=0) * 0.1 + rng.normal(0, 1, (101, 4))
    found = dict(zip(STATISTICS, summarise(contours), strict=True))
    line = np.linspace(-1, 1, 101)
    fits = np.polynomial.polynomial.polyfit(line, contours, 2)
    change = np.diff(contours, axis=0)
    expected = {
        "mean": contours.mean(axis=0),
        "std": contours.std(axis=0),
        "skewness": stats.skew(contours),
        "kurtosis": stats.kurtosis(contours, fisher=False),
        "slope": fits[1],
        "curvature": fits[2],
        "rest": (contours - np.polynomial.polynomial.polyval(line, fits).T).std(axis=0),
        "place of maximum": contours.argmax(axis=0) / 101,
        "place of minimum": contours.argmin(axis=0) / 101,
        "rise": [column[column > 0].mean() for column in change.T],
        "fall": [-column[column < 0].mean() for column in change.T],
        "change": np.abs(change).mean(axis=0),
    } | {f"p{p}": np.percentile(contours, p, axis=0, method="nearest") for p in (2, 20, 50, 80, 98)}
    expected["p20 to p80"] = expected["p80"] - expected["p20"]
    expected["p2 to p98"] = expected["p98"] - expected["p2"]
    expected["share in upper half"] = (contours > (expected["p2"] + expected["p98"]) / 2).mean(axis=0)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_rhythm_of_two_words_and_a_pause():
    """Half a second of voice, a pause of three tenths, half a second of voice, two tenths of a loud hiss."""
    level = np.repeat([-20.0, -70, -20, -30], [50, 30, 50, 20])
    voiced = np.repeat([True, False, True, False], [50, 30, 50, 20])
    contours = np.zeros((150, len(SPECTRAL)))
    contours[:, SPECTRAL.index("level")] = level
    contours[[10, 30, 90], SPECTRAL.index("loudness")] = [1, 0.5, 0.2]
    found = dict(zip(RHYTHM, compute_rhythm(Descriptors(contours, np.zeros((150, len(VOCAL))), voiced)), strict=True))
    expected = {
        "seconds": 1.5, "voiced a second": 2 / 1.5, "voiced mean length": 0.5, "voiced std of length": 0,
        "voiced share": 1 / 1.5, "voiced longest": 0.5, "unvoiced a second": 1 / 1.5, "unvoiced mean length": 0.2,
        "pause a second": 1 / 1.5, "pause mean length": 0.3, "pause share": 0.2, "peaks a second": 2 / 1.5,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("hertz", [1, 2, 4, 6, 10, 16, 25])
def test_modulation_finds_the_rate_of_a_swing(hertz):
    contour = np.sin(2 * np.pi * hertz * np.arange(400) / 100)[:, None]
    band = compute_modulation(contour)[:, 0].argmax()
    assert EDGES[band] <= hertz < EDGES[band + 1]


def test_columns_have_names():
    names = Functionals().names
    assert len(set(names)) == len(names) == Functionals().width
    row = Functionals()(voice(220))
    assert row.shape == (1, Functionals().width)
    assert row.dtype == np.float32
    named = dict(zip(names, row[0], strict=True))
    assert named["F0: p50"] == pytest.approx(36, abs=0.1), "220 Hz lies three octaves above 27.5 Hz"
    assert named["F0: std"] < 0.1
    assert named["voiced share"] > 0.95
    assert named["level, voiced: p50"] == pytest.approx(10 * np.log10(np.mean(voice(220) ** 2)), abs=0.1)
    assert named["Δ F0: p50"] == pytest.approx(0, abs=0.01)


def test_silence_around_a_clip_changes_nothing():
    word = np.concatenate([np.zeros(1600), voice(150 + 50 * TIME), np.zeros(1600)]).astype(np.float32)
    longer = np.pad(word, (8000, 4800))
    np.testing.assert_allclose(Functionals()(longer), Functionals()(word), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("samples", [1, 159, 800, 16_000])
@pytest.mark.parametrize("kind", ["zeros", "constant", "noise", "tone"])
def test_any_signal_has_finite_functionals(rng, samples, kind):
    signal = {
        "zeros": np.zeros(samples),
        "constant": np.full(samples, 0.3),
        "noise": rng.normal(0, 0.1, samples),
        "tone": voice(200)[:samples],
    }[kind]
    row = Functionals()(signal.astype(np.float32))
    assert row.shape == (1, Functionals().width)
    assert np.isfinite(row).all()


def task(rng, *, clips=72, speakers=6, apart=True, classes=3, columns=30):
    truth = np.arange(clips) % classes
    shift = np.eye(classes, columns)[truth] * 2.0
    features = tuple((row + rng.normal(0, 1, columns))[None].astype(np.float32) for row in shift)
    about = pd.DataFrame({"speaker": [f"s{n // classes % speakers}" for n in range(clips)], "gender": "female"})
    names = tuple(f"class {n}" for n in range(classes))
    examples = Examples(features, truth, about)
    none = Examples((), np.zeros(0, int), about[:0])
    return Task(examples, none, names, apart, np.ones(clips, int), seed=0)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_machine_is_that_of_sklearn(rng, kernel, classes):
    given, unseen = task(rng, classes=classes), task(rng, classes=classes).train
    fitted = fit(Settings(kernel=kernel), given)
    columns = 30
    penalty, gamma = fitted.chosen["C"], fitted.chosen.get("gamma", 1) / columns
    if kernel == "linear":
        penalty /= columns
    theirs = make_pipeline(
        StandardScaler(), SVC(kernel=kernel, C=penalty, gamma=gamma, decision_function_shape="ovr", break_ties=True)
    ).fit(np.concatenate(given.train.features).astype(float), given.train.truth)
    rows = np.concatenate(unseen.features).astype(float)
    scores = fitted.scores(unseen.features)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == theirs.predict(rows)).mean() > 0.98
    decision = theirs.decision_function(rows)
    gap = decision[:, 0] - decision[:, 1] if classes == 3 else -2 * decision
    ours = np.log(scores[:, 0] / scores[:, 1]) * fitted.chosen["temperature"]
    np.testing.assert_allclose(ours, gap, atol=0.02)


@pytest.mark.parametrize(
    ("speakers", "apart", "expected"), [(6, True, "by speaker"), (1, True, "by clip"), (6, False, "by clip")]
)
def test_inner_folds_keep_speakers_apart_where_there_are_enough(rng, speakers, apart, expected):
    fitted = fit(Settings(penalties=(1,)), task(rng, speakers=speakers, apart=apart))
    assert fitted.chosen["inner folds"] == expected
    assert 0.6 < fitted.chosen["inner UAR"] <= 1
    assert (fitted.chosen["temperature"] == 1) == (apart and speakers == 1)


def test_the_penalty_with_the_highest_inner_uar_is_chosen(rng):
    given = task(rng)
    alone = {c: fit(Settings(penalties=(c,)), given).chosen["inner UAR"] for c in (1e-4, 0.1, 1)}
    chosen = fit(Settings(penalties=(1e-4, 0.1, 1)), given).chosen
    assert chosen["inner UAR"] == max(alone.values())
    assert alone[chosen["C"]] == max(alone.values())


def test_a_class_never_heard_comes_last(rng):
    given = task(rng)
    wider = Task(given.train, given.validation, ("unheard", *given.classes), True, given.times_trained, 0)
    shifted = Examples(given.train.features, given.train.truth + 1, given.train.clips)
    fitted = fit(Settings(penalties=(1,)), Task(shifted, *list(vars(wider).values())[1:]))
    assert (fitted.scores(given.train.features).argmin(axis=1) == 0).all()


def test_an_unknown_kernel_is_refused():
    with pytest.raises(DataError, match="linear, rbf"):
        Settings(kernel="cosine")


def test_the_variant_differs_in_its_kernel():
    (variant,) = SYSTEM.variants
    assert (SYSTEM.settings.kernel, variant.settings.kernel) == ("linear", "rbf")
    assert variant.features == SYSTEM.features
