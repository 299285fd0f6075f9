"""Example clips to see and hear: one speaker in every emotion, and augmented copies of one clip."""

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

RATE = 16_000  # Hz, for playback
COPIES: tuple[View, ...] = (
    *TEST_VIEWS,
    Stretch("stretched", 0.85),
    Pitch("higher pitch", 2.0),
    Mask("frames masked", axis=0, least=20, most=40),
    Mask("bands masked", axis=1),
)
Sound = tuple[np.ndarray, int, str]  # samples, sampling rate in Hz, caption


def plot_waveforms(pool: Pool, clips: pd.DataFrame, data: str | Path | None = None) -> figures.Drawing:
    """Plot the waveforms of clips of one speaker, one per emotion, on one scale."""
    files = pool.files(data)
    signals = {row.emotion: load(files[row.clip], RATE) for row in clips.itertuples()}
    return figures.waveforms(signals, RATE, f"{clips.speaker.iloc[0]} in {len(clips)} emotions")


def plot_log_mels(clips: pd.DataFrame, log_mels: Mapping[str, np.ndarray]) -> figures.Drawing:
    """Plot the log-mel spectrograms of clips of one speaker, one per emotion."""
    pictures = {row.emotion: log_mels[row.clip] for row in clips.itertuples()}
    return figures.spectrograms(pictures, LogMel(), f"{clips.speaker.iloc[0]} in {len(clips)} emotions")


def plot_mfcc(pool: Pool, clips: pd.DataFrame, data: str | Path | None = None) -> figures.Drawing:
    """Plot the MFCC of clips, one per emotion."""
    files, features = pool.files(data), Mfcc()
    mfcc = {row.emotion: features(load(files[row.clip], features.sampling_rate)) for row in clips.itertuples()}
    return figures.cepstra(mfcc, features, "The same clips as MFCC, the input of multiscale-cnn")


def sounds(pool: Pool, clips: pd.DataFrame, data: str | Path | None = None) -> Iterator[Sound]:
    """Yield clips to play."""
    files = pool.files(data)
    for row in clips.itertuples():
        yield load(files[row.clip], RATE), RATE, f"{row.speaker}, {row.emotion}, {row.seconds:.1f} s ({row.clip})"


def plot_augmented(pool: Pool, clip: str, data: str | Path | None = None) -> figures.Drawing:
    """Plot the log-mel spectrograms of a clip and its augmented copies."""
    signal = load(pool.files(data)[clip], RATE)
    pictures = {view.name: extract_features(clip, view, signal, LogMel()) for view in COPIES}
    return figures.spectrograms(pictures, LogMel(), f"{clip}, original and augmented copies")


def augmented_sounds(pool: Pool, clip: str, data: str | Path | None = None) -> Iterator[Sound]:
    """Yield a clip and its augmented copies to play, except masks, which change the spectrogram only."""
    signal = load(pool.files(data)[clip], RATE)
    for view in COPIES:
        if not isinstance(view, Mask):
            yield apply_view(clip, view, signal, RATE), RATE, f"{clip}, {view.name}"
