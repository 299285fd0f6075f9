"""Features against librosa, SciPy and plain loops over the published definitions."""

import librosa
import numpy as np
import pytest
import scipy.stats

from sernb.audio.reading import fit_centre, load
from sernb.features import LogMel, Mfcc, Statistics
from sernb.features.normalisation import Normaliser
from sernb.features.statistics import EPSILON, SHORT_TERM, STATISTICS, summarise
from sernb.systems.base import LazyArrays


@pytest.fixture
def signal(rng):
    """A second of a gliding tone with noise and a silent start."""
    time = np.arange(22_050) / 22_050
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time) + 0.01 * rng.standard_normal(len(time))
    tone[:3000] = 0
    return tone.astype(np.float32)


@pytest.mark.parametrize("settings", [LogMel(), LogMel(sampling_rate=22_050, window=1024, hop=256, bands=40)])
def test_log_mel_is_librosas(signal, settings):
    power = librosa.feature.melspectrogram(
        y=signal, sr=settings.sampling_rate, n_fft=settings.window, hop_length=settings.hop, n_mels=settings.bands
    )
    expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80).T
    features = settings(signal)
    assert features.dtype == np.float32
    assert features.shape == (1 + len(signal) // settings.hop, settings.width)
    np.testing.assert_allclose(features, expected, atol=2e-3)


@pytest.mark.parametrize("seconds", [0.2, 1.0, 7.0])
def test_mfcc_are_librosas(rng, seconds):
    settings = Mfcc()
    signal = (0.1 * rng.standard_normal(int(seconds * settings.sampling_rate))).astype(np.float32)
    fitted = fit_centre(signal, settings.samples)
    expected = librosa.feature.mfcc(y=fitted, sr=settings.sampling_rate, n_mfcc=settings.coefficients).T
    features = settings(signal)
    assert features.shape == (215, 39)
    np.testing.assert_allclose(features, expected, atol=5e-3)


def test_mfcc_of_a_recording_are_those_of_librosas_own_loader(recordings):
    path = recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav"
    settings = Mfcc()
    theirs, rate = librosa.load(path)
    expected = librosa.feature.mfcc(y=fit_centre(theirs, settings.samples), sr=rate, n_mfcc=39).T
    np.testing.assert_allclose(settings(load(path, settings.sampling_rate)), expected, atol=0.05)


def test_short_term_features_follow_their_definitions(signal):
    """One frame after the other, each formula written out."""
    settings = Statistics(sampling_rate=22_050)
    features = settings.short_term(signal)
    amplitude = signal.astype(float) * 32_768
    length, step = 551, 220
    expected, before = [], None
    for start in range(0, len(signal) - length + 1, step):
        frame = amplitude[start : start + length] * np.hamming(length)
        spectrum = np.abs(np.fft.fft(frame))[: length // 2] / (length // 2)
        share = spectrum / max(spectrum.sum(), EPSILON)
        bins = np.arange(1, length // 2 + 1) / (length // 2)
        centroid = np.sum(bins * share)
        row = [
            np.sum(np.abs(np.diff(np.sign(frame)))) / 2 / (length - 1),
            np.mean(frame**2),
            entropy_of_blocks(frame),
            centroid,
            np.sqrt(np.sum((bins - centroid) ** 2 * share)),
            entropy_of_blocks(spectrum),
            0.0 if before is None else np.sum((share - before) ** 2),
            sum(np.cumsum(spectrum**2) <= 0.9 * np.sum(spectrum**2)) / (length // 2),
        ]
        expected.append(row)
        before = share
    assert features.shape == (len(expected), len(SHORT_TERM))
    np.testing.assert_allclose(features[:, :8], expected, rtol=1e-9, atol=1e-9)


def entropy_of_blocks(values):
    total = np.sum(values**2) + EPSILON
    size = len(values) // 10
    shares = [np.sum(values[k * size : (k + 1) * size] ** 2) / total for k in range(10)]
    return -sum(share * np.log2(share + EPSILON) for share in shares)


def test_short_term_mfcc_follow_their_definition(signal):
    features = Statistics(sampling_rate=22_050).short_term(signal)[:, 8:]
    frame = signal[40 * 220 : 40 * 220 + 551].astype(float) * 32_768 * np.hamming(551)
    power = np.abs(np.fft.rfft(frame[:512], 512)) ** 2 / 512
    highest = 2595 * np.log10(1 + 22_050 / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, highest, 42) / 2595) - 1)
    edges = np.floor(513 * hertz / 22_050)
    energies = []
    for band in range(1, 41):
        weights = np.zeros(257)
        for k in range(int(edges[band - 1]), int(edges[band])):
            weights[k] = (k - edges[band - 1]) / (edges[band] - edges[band - 1])
        for k in range(int(edges[band]), int(edges[band + 1])):
            weights[k] = (edges[band + 1] - k) / (edges[band + 1] - edges[band])
        energies.append(weights @ power)
    decibels = 20 * np.log10(np.where(np.array(energies) > 0, energies, EPSILON))
    k = np.arange(1, 13)[:, None]
    cosine = np.sqrt(2 / 40) * np.cos(np.pi * k * (2 * np.arange(40) + 1) / 80)
    np.testing.assert_allclose(features[40], cosine @ decibels, rtol=1e-8)


def test_summary_statistics_are_scipys(rng):
    columns = rng.standard_normal((300, 3)) ** 3
    summary = summarise(columns).reshape(len(STATISTICS), 3)
    expected = {
        "mean": columns.mean(axis=0),
        "std": columns.std(axis=0),
        "median": np.median(columns, axis=0),
        "kurtosis": scipy.stats.kurtosis(columns),
        "skewness": scipy.stats.skew(columns),
        "p1": np.percentile(columns, 1, axis=0),
        "p99": np.percentile(columns, 99, axis=0),
        "min": columns.min(axis=0),
        "max": columns.max(axis=0),
        "range": np.percentile(columns, 99, axis=0) - np.percentile(columns, 1, axis=0),
    }
    for name, row in zip(STATISTICS, summary, strict=True):
        np.testing.assert_allclose(row, expected[name], rtol=1e-9, err_msg=name)


def test_statistics_of_a_clip_are_200_finite_values_with_names(signal):
    settings = Statistics()
    assert settings(signal).shape == (1, 200)
    assert len(settings.names) == 200
    assert np.isfinite(settings(signal)).all()
    assert np.isfinite(settings(np.zeros(3000, np.float32))).all(), "silence must not give NaN"


def test_first_differences_and_pre_emphasis_are_settings(signal):
    settings = Statistics(differences=1)
    features = settings.short_term(signal)
    assert settings(signal).shape == (1, settings.width) == (1, 400)
    np.testing.assert_allclose(features[5, 20:], features[5, :20] - features[4, :20])
    emphasised = Statistics(pre_emphasis=0.97).short_term(signal)
    by_hand = np.append(signal[0], signal[1:] - 0.97 * signal[:-1].astype(float))
    np.testing.assert_allclose(emphasised, Statistics().short_term(by_hand), rtol=1e-4, atol=1e-3)


def test_normaliser_gives_mean_0_and_deviation_1_over_its_clips(rng):
    clips = [rng.normal(5, 3, (20, 4)).astype(np.float32) for _ in range(3)]
    clips = [np.hstack([clip, np.full((20, 1), 7, np.float32)]) for clip in clips]  # a constant column
    normalised = np.concatenate([Normaliser(clips)(clip) for clip in clips])
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), [1, 1, 1, 1, 0], atol=1e-5)


def test_normaliser_reads_clip_by_clip_what_one_array_of_all_would_give(rng):
    clips = [rng.normal(5, 3, (frames, 4)).astype(np.float32) for frames in (1, 300, 20)]
    reads = []
    found = Normaliser(LazyArrays(lambda clip=clip: reads.append(len(clip)) or clip for clip in clips))
    rows = np.concatenate(clips).astype(np.float64)
    np.testing.assert_array_equal((found.mean, found.deviation), (rows.mean(axis=0), rows.std(axis=0)))
    assert reads == [1, 300, 20] * 2
