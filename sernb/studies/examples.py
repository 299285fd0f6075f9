"""A few clips to look at and to listen to: one speaker in every emotion, and augmented copies of one clip."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import figures
from sernb.audio.augmentation import TEST_VIEWS, Mask, Pitch, Stretch, View, apply_view
from sernb.audio.reading import load
from sernb.corpora.pool import Pool
from sernb.features import LogMel, Mfcc
from sernb.features.extraction import extract_features

RATE = 16_000  # Hz, of what is played
COPIES: tuple[View, ...] = (
    *TEST_VIEWS,
    Stretch("stretched", 0.85),
    Pitch("higher pitch", 2.0),
    Mask("frames masked", axis=0, least=20, most=40),
    Mask("bands masked", axis=1),
)
Sound = tuple[np.ndarray, int, str]  # samples, sampling rate in Hz, caption


def plot_waveforms(pool: Pool, chosen: pd.DataFrame, data: str | Path | None = None) -> figures.Drawing:
    """Plot the waveforms of clips of one speaker, one an emotion, on one scale."""
    files = pool.files(data)
    signals = {row.emotion: load(files[row.clip], RATE) for row in chosen.itertuples()}
    return figures.waveforms(signals, RATE, f"{chosen.speaker.iloc[0]} in {len(chosen)} emotions")


def plot_log_mels(chosen: pd.DataFrame, log_mels: Mapping[str, np.ndarray]) -> figures.Drawing:
    """Plot the log-mel spectrograms of clips of one speaker, one an emotion."""
    pictures = {row.emotion: log_mels[row.clip] for row in chosen.itertuples()}
    return figures.spectrograms(pictures, LogMel(), f"{chosen.speaker.iloc[0]} in {len(chosen)} emotions")


def plot_mfcc(pool: Pool, chosen: pd.DataFrame, data: str | Path | None = None) -> figures.Drawing:
    """Plot the cepstra of clips, one an emotion."""
    files, features = pool.files(data), Mfcc()
    found = {row.emotion: features(load(files[row.clip], features.sampling_rate)) for row in chosen.itertuples()}
    return figures.cepstra(found, features, "The same clips as MFCC, the input of multiscale-cnn")


def sounds(pool: Pool, chosen: pd.DataFrame, data: str | Path | None = None) -> Iterator[Sound]:
    """Return clips to play."""
    files = pool.files(data)
    for row in chosen.itertuples():
        yield load(files[row.clip], RATE), RATE, f"{row.speaker}, {row.emotion}, {row.seconds:.1f} s ({row.clip})"


def plot_augmented(pool: Pool, clip: str, data: str | Path | None = None) -> figures.Drawing:
    """Plot the log-mel spectrograms of a clip and of its augmented copies."""
    signal = load(pool.files(data)[clip], RATE)
    pictures = {view.name: extract_features(clip, view, signal, LogMel()) for view in COPIES}
    return figures.spectrograms(pictures, LogMel(), f"{clip}, as recorded and changed")


def augmented_sounds(pool: Pool, clip: str, data: str | Path | None = None) -> Iterator[Sound]:
    """Return a clip and its augmented copies to play; masks change the spectrogram only."""
    signal = load(pool.files(data)[clip], RATE)
    for view in COPIES:
        if not isinstance(view, Mask):
            yield apply_view(clip, view, signal, RATE), RATE, f"{clip}, {view.name}"
