"""Stress conditions: each against a measurement of its own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import welch

from sernb.audio.augmentation import Noise, SteadyNoise, apply_view
from sernb.audio.degradation import Babble, Bank, Clipping, Cut, Room, Telephone, Tilt, signal_to_noise
from sernb.config import DataError, digest
from sernb.corpora.pool import parse_pool
from sernb.runs.planning import plan
from sernb.studies.noise import NOISY_COPY, RATIOS, list_conditions

RATE = 16_000
TONES = {"a": 500.0, "b": 1000.0, "c": 2000.0}


@pytest.fixture
def noise(rng) -> np.ndarray:
    return (0.1 * rng.standard_normal(8 * RATE)).astype(np.float32)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Three speakers, each of whom says one tone."""
    paths = []
    for speaker, frequency in TONES.items():
        path = tmp_path / f"{speaker}.wav"
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE), RATE)
        paths.append((speaker, path))
    return Bank({f"clip of {speaker}": speaker for speaker in TONES}, tuple(paths))


def decibels(signal: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(signal, dtype=float)))


def level_at(signal: np.ndarray, frequency: float) -> float:
    frequencies, power = welch(signal, RATE, nperseg=2048)
    return 10 * np.log10(power[np.argmin(np.abs(frequencies - frequency))])


@pytest.mark.parametrize("snr", [20.0, -5.0])
def test_noise_and_babble_have_the_ratio_they_name(snr, noise, bank):
    babble = Babble("babble", snr, "made", "x", bank=bank)
    for view in (Noise("white", snr), babble):
        augmented = apply_view("clip of a", view, noise, RATE)
        assert decibels(noise) - decibels(augmented.astype(float) - noise) == pytest.approx(snr, abs=0.05)
        assert signal_to_noise(noise, augmented) == pytest.approx(snr, abs=0.05)
        assert augmented.dtype == np.float32


def test_nobody_babbles_over_themselves(noise, bank):
    for own, frequency in TONES.items():
        view = Babble("babble", 0.0, "made", "x", talkers=40, bank=bank)
        crowd = apply_view(f"clip of {own}", view, noise, RATE) - noise
        others = [other for other in TONES.values() if other != frequency]
        assert min(level_at(crowd, other) for other in others) > level_at(crowd, frequency) + 30


def test_babble_needs_another_speaker(noise, bank):
    alone = Bank(bank.speakers, bank.paths[:1])
    with pytest.raises(DataError, match="only speaker"):
        apply_view("clip of a", Babble("babble", 0.0, "made", "x", bank=alone), noise, RATE)


def test_where_recordings_lie_is_no_part_of_a_babble(bank):
    here, there = (Babble("babble", 0.0, "made", "x", bank=each) for each in (bank, Bank({}, ())))
    assert here == there
    assert digest(here) == digest(there)


@pytest.mark.parametrize("t60", [0.3, 1.2])
def test_a_room_rings_as_long_as_it_says(t60, rng):
    """Reverberation time by backward integration: Schroeder (1965), doi:10.1121/1.1909343."""
    response = Room("room", t60).response(RATE, rng)
    direct, tail = response[0] ** 2, np.sum(response[1:] ** 2)
    assert 10 * np.log10(direct / tail) == pytest.approx(0, abs=1e-9)
    decay = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1] / tail)
    part = np.flatnonzero((decay < -5) & (decay > -35))
    slope = np.polyfit(part / RATE, decay[part], 1)[0]
    assert -60 / slope == pytest.approx(t60, rel=0.08)


def test_a_telephone_passes_its_band_only(noise, rng):
    augmented = Telephone()(noise, RATE, rng)
    assert len(augmented) == len(noise)
    for frequency in (500, 1000, 2500):
        assert level_at(augmented, frequency) == pytest.approx(level_at(noise, frequency), abs=1)
    for frequency in (60, 5000, 7000):
        assert level_at(augmented, frequency) < level_at(noise, frequency) - 30
    low = Telephone()(noise, 8025, rng)
    assert len(low) == pytest.approx(len(noise), abs=2)


def test_clipping_cuts_what_is_above_its_limit_and_nothing_else(noise, rng):
    clipped = Clipping("clipped", 20.0)(noise, RATE, rng)
    limit = np.abs(noise).max() / 10
    assert np.abs(clipped).max() == pytest.approx(limit, rel=1e-5)
    np.testing.assert_array_equal(clipped[np.abs(noise) < limit * 0.999], noise[np.abs(noise) < limit * 0.999])


def test_a_tilt_is_so_many_decibels_an_octave(noise, rng):
    duller = Tilt("duller", -3.0)(noise, RATE, rng)
    assert decibels(duller) == pytest.approx(decibels(noise), abs=0.01)
    lost = [level_at(duller, frequency) - level_at(noise, frequency) for frequency in (500, 1000, 2000, 4000)]
    assert np.diff(lost) == pytest.approx([-3, -3, -3], abs=0.1)


def test_a_cut_is_one_piece_of_the_clip(noise, rng):
    part = Cut("cut", 0.25)(noise, RATE, rng)
    assert len(part) == len(noise) // 4
    start = np.flatnonzero(noise == part[0])[0]
    np.testing.assert_array_equal(part, noise[start : start + len(part)])


HURTS = (Room("room", 0.5), Telephone(), Clipping("clipped", 10.0), Tilt("tilt", 3.0), Cut("cut", 0.5), Noise("n", 0.0))


@pytest.mark.parametrize("view", HURTS)
def test_silence_stays_silence(view):
    augmented = apply_view("a", view, np.zeros(RATE, np.float32), RATE)
    assert len(augmented)
    assert not augmented.any()
    np.testing.assert_array_equal(augmented, apply_view("a", view, np.zeros(RATE, np.float32), RATE))


def test_noise_of_deviation_one_is_what_it_was():
    quiet = np.full(RATE, 0.01, np.float32)
    augmented = apply_view("a", SteadyNoise("deviation 1", 1.0), quiet, RATE)
    assert signal_to_noise(quiet, augmented) == pytest.approx(-40, abs=0.2)


def test_the_conditions_have_names_of_their_own_and_can_be_planned():
    conditions = list_conditions(parse_pool("demo"))
    names = [condition.view.name for condition in conditions]
    assert len(set(names)) == len({str(condition) for condition in conditions}) == len(conditions)
    assert [condition.strength for condition in conditions if condition.kind == "babble"] == list(RATIOS)
    planned = plan(["majority"], "demo", ["speaker-independent"], views=[condition.view for condition in conditions])
    assert [view.name for view in planned[0].views] == ["original", *names]
    bank = conditions[len(RATIOS)].view._bank
    assert {speaker for speaker, _ in bank.paths} == set(parse_pool("demo").index.speaker)
    assert len(bank.paths) == 8 * 4
    assert NOISY_COPY.name not in names


def test_babble_of_several_corpora_is_refused():
    with pytest.raises(DataError, match="one corpus"):
        list_conditions(parse_pool("demo+ravdess"))
