"""Views of a recording: what each changes, and that it changes nothing else."""

import numpy as np
import pytest

from sernb.audio.augmentation import (
    ORIGINAL,
    TEST_VIEWS,
    Chain,
    Gain,
    Mask,
    Noise,
    OneOf,
    PeakNoise,
    Pitch,
    PitchUp,
    Shift,
    Speed,
    Stretch,
    apply_view,
)
from sernb.config import digest
from sernb.features import FrameValues, LogMel, LogMelPicture
from sernb.features.extraction import extract_features

RATE = 16_000
MORE_VIEWS = (
    Stretch("stretch", 1.25),
    Pitch("pitch", -1.0),
    Mask("band-mask", axis=1),
    OneOf("either", (Gain("half", -6.0), Gain("double", 6.0))),
    Chain("both", (Gain("half", -6.0), Noise())),
    PeakNoise(),
    PitchUp(),
)
BY_NAME = {view.name: view for view in (*TEST_VIEWS, *MORE_VIEWS)}


@pytest.fixture
def signal(rng) -> np.ndarray:
    return (0.1 * rng.standard_normal(2 * RATE)).astype(np.float32)


def tone(frequency: float, seconds: float = 2.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def loudest_frequency(signal: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return np.argmax(power) * RATE / len(signal)


def decibels(signal: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(signal, dtype=float)))


def test_views_have_names_of_their_own_and_begin_with_the_original():
    assert TEST_VIEWS[0] == ORIGINAL
    assert len(BY_NAME) == len(TEST_VIEWS) + len(MORE_VIEWS)
    assert digest(*TEST_VIEWS) == "6fb7e9ebe53cfc37", "finished runs are named after these views"


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_a_view_is_mono_float32_of_finite_values_and_leaves_its_source_alone(signal, name):
    before = signal.copy()
    seen = apply_view("clip", BY_NAME[name], signal, RATE)
    assert (seen.ndim, seen.dtype) == (1, np.float32)
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize("name", BY_NAME)
def test_silence_stays_silence(name):
    assert not apply_view("clip", BY_NAME[name], np.zeros(RATE, np.float32), RATE).any()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_clip_has_the_same_view_at_every_call(signal, name):
    first, second = (apply_view("03-01", BY_NAME[name], signal, RATE) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["noise", "shift"])
def test_chance_differs_between_clips_and_between_views(signal, name):
    one = apply_view("03-01", BY_NAME[name], signal, RATE)
    other = apply_view("03-02", BY_NAME[name], signal, RATE)
    assert not np.array_equal(one, other)
    again = {"noise": Noise("hiss"), "shift": Shift("later")}[name]
    assert not np.array_equal(one, apply_view("03-01", again, signal, RATE))


def test_the_original_is_the_recording(signal):
    np.testing.assert_array_equal(apply_view("clip", ORIGINAL, signal, RATE), signal)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 20.0, 40.0])
@pytest.mark.parametrize("level", [0.001, 1.0])
def test_noise_has_the_ratio_asked_for_at_any_level(snr, level):
    clean = level * tone(300)
    noise = apply_view("clip", Noise(snr=snr), clean, RATE) - clean
    assert len(noise) == len(clean)
    assert decibels(clean) - decibels(noise) == pytest.approx(snr, abs=0.15)


def test_noise_is_white(signal):
    noise = apply_view("clip", Noise(snr=0), signal, RATE) - signal
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = [10 * np.log10(band.mean()) for band in np.array_split(power, 8)]
    assert np.ptp(bands) < 1
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(len(noise))


def test_a_shift_turns_the_recording_by_no_more_than_asked(signal):
    turns = set()
    for number in range(20):
        shifted = apply_view(f"clip {number}", Shift(most=0.2), signal, RATE)
        match = np.fft.irfft(np.fft.rfft(shifted) * np.conj(np.fft.rfft(signal)))  # peaks at the turn
        turn = int(np.argmax(match))
        np.testing.assert_array_equal(shifted, np.concatenate([signal[-turn:], signal[:-turn]]))
        turns.add(turn if turn < len(signal) / 2 else turn - len(signal))
    assert max(abs(turn) for turn in turns) <= 0.2 * RATE
    assert min(turns) < -0.05 * RATE
    assert max(turns) > 0.05 * RATE


@pytest.mark.parametrize("change", [-6.0, 3.0])
def test_gain_changes_the_level_alone(signal, change):
    louder = apply_view("clip", Gain("gain", change), signal, RATE)
    assert decibels(louder) - decibels(signal) == pytest.approx(change, abs=1e-3)
    assert np.corrcoef(louder, signal)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.05, 1.3])
def test_speed_changes_length_and_pitch_by_its_factor_and_not_the_level(factor):
    played = apply_view("clip", Speed("speed", factor), tone(1000), RATE)
    assert len(played) == pytest.approx(2 * RATE / factor, abs=1)
    assert loudest_frequency(played) == pytest.approx(1000 * factor, abs=1)
    middle = slice(RATE // 4, -RATE // 4)
    assert decibels(played[middle]) == pytest.approx(decibels(tone(1000)), abs=0.05)


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_stretch_changes_the_length_and_not_the_pitch(factor):
    stretched = apply_view("clip", Stretch("stretch", factor), tone(1000), RATE)
    assert len(stretched) == pytest.approx(2 * RATE / factor, abs=1)
    assert loudest_frequency(stretched) == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("semitones", [-1.0, 0.7, 1.0])
def test_pitch_changes_the_pitch_and_not_the_length(semitones):
    higher = apply_view("clip", Pitch("pitch", semitones), tone(1000), RATE)
    assert len(higher) == 2 * RATE
    assert loudest_frequency(higher) == pytest.approx(1000 * 2 ** (semitones / 12), abs=3)


def test_pitch_up_is_upwards_by_no_more_than_asked():
    raised = [loudest_frequency(apply_view(f"clip {n}", PitchUp(), tone(1000), RATE)) for n in range(12)]
    assert min(raised) > 995
    assert 1015 < max(raised) < 1000 * 2 ** (0.7 / 12) + 3


def test_peak_noise_is_a_share_of_the_peak_that_two_draws_make():
    clean = tone(300)
    levels = [(apply_view(f"clip {n}", PeakNoise(), clean, RATE) - clean).std() for n in range(400)]
    assert max(levels) < 0.075 * clean.max()
    assert np.mean(levels) == pytest.approx(0.075 * clean.max() / 4, rel=0.15)


def test_one_of_several_views_is_drawn_for_each_clip(signal):
    either = OneOf("either", (Gain("half", -6.0), Gain("double", 6.0)))
    changes = {round(decibels(apply_view(f"clip {n}", either, signal, RATE)) - decibels(signal)) for n in range(20)}
    assert changes == {-6, 6}


def test_a_chain_is_one_view_after_the_other(signal):
    chain = Chain("twice", (Gain("half", -6.0), Speed("slower", 0.8)))
    one = apply_view("clip", Gain("half", -6.0), signal, RATE)
    np.testing.assert_array_equal(
        apply_view("clip", chain, signal, RATE), apply_view("clip", Speed("s", 0.8), one, RATE)
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mask_silences_one_band_of_each_picture_and_nothing_else(signal, axis):
    mask = Mask("mask", axis, least=5, most=10, picture=50)
    features = LogMel()
    clean = features(signal)[:200]
    starts, sizes = set(), set()
    for number in range(60):
        masked = mask.on_features(clean, np.random.default_rng(number))
        for picture, before in zip(np.split(masked, 4), np.split(clean, 4), strict=True):
            changed = (picture != before).any(axis=1 - axis)
            band = np.flatnonzero(changed)
            assert len(band) == np.ptp(band) + 1, "one band"
            starts.add(band[0])
            sizes.add(len(band))
            assert (np.compress(changed, picture, axis) == clean.min()).all()
    assert sizes == {5, 6, 7, 8, 9, 10}
    assert min(starts) == 0
    assert max(starts) > clean.shape[1] * 0.6 if axis else max(starts) >= 40
    augmented = extract_features("clip", mask, signal, features)
    assert (augmented != features(signal)).any()
    np.testing.assert_array_equal(augmented, extract_features("clip", mask, signal, features))
    np.testing.assert_array_equal(apply_view("clip", mask, signal, RATE), signal)


def test_a_mask_larger_than_the_features_covers_all_of_them(signal):
    features = LogMel()(signal)[:3]
    assert (Mask("mask", axis=0).on_features(features, np.random.default_rng(0)) == features.min()).all()


def test_a_view_changes_the_section_that_the_features_hear(signal):
    """Noise is measured on the section: what is loud outside it must not matter."""
    features = FrameValues()
    loud_start = signal.copy()
    loud_start[: int(0.5 * features.sampling_rate)] *= 20
    augmented = [extract_features("clip", Noise(), source, features) for source in (signal, loud_start)]
    np.testing.assert_array_equal(*augmented)
    by_hand = features.compute(apply_view("clip", Noise(), features.preprocess(signal), features.sampling_rate))
    np.testing.assert_array_equal(augmented[0], by_hand)
    assert extract_features("clip", ORIGINAL, signal, LogMelPicture()).shape == (128, 128)
