"""Plots of one recording: its signal, the predictions over time, their attribution, and comparison with a corpus."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sernb.audio.decoders import Hertz
from sernb.features import LogMel
from sernb.figures.style import ACCENT, FLOOR, PALETTE, WIDTH, Drawing, canvas, styled
from sernb.prediction.predict import Prediction


@styled
def plot_recording(prediction: Prediction, signal: np.ndarray, sampling_rate: Hertz, title: str) -> Drawing:
    """Plot waveform, log-mel spectrogram and the probability of each emotion over time.

    Args:
        prediction: with windows
        signal: shape ``(samples,)``
        sampling_rate: of the signal, hertz
        title: of the plot
    """
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    wave, mel, emotions = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.5, 2))
    seconds = len(signal) / sampling_rate
    step = max(1, len(signal) // 4000)
    wave.plot(np.arange(len(signal))[::step] / sampling_rate, signal[::step], color=ACCENT, linewidth=0.5)
    wave.set_ylabel("amplitude")
    log_mel = LogMel(sampling_rate)
    spectrogram = log_mel(signal)
    extent = (0, seconds, 0, log_mel.bands)
    image = mel.imshow(
        spectrogram.T, origin="lower", aspect="auto", cmap="magma", extent=extent, vmin=spectrogram.max() - 80
    )
    mel.set_ylabel("mel band")
    figure.colorbar(image, ax=mel, label="dB")
    labels = []
    for row, name in enumerate(prediction.classes[::-1]):
        for window in prediction.windows:
            probability = 0 if window.scores is None else window.scores[prediction.classes.index(name)]
            emotions.barh(
                row,
                window.end - window.start,
                left=window.start,
                height=0.85,
                color=PALETTE.get(name, ACCENT),
                alpha=float(probability),
            )
    for window in prediction.windows:
        labels.append(f"{window.start:.1f} to {window.end:.1f} s {prediction.label_window(window)}")
        if not window.has_voice:
            emotions.text((window.start + window.end) / 2, -0.9, "no speech", ha="center", fontsize=8)
    emotions.set_yticks(range(len(prediction.classes)), prediction.classes[::-1])
    emotions.set(xlabel="s", xlim=(0, seconds), ylim=(-1.2, len(prediction.classes) - 0.4))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(
        figure,
        f"Waveform and log-mel spectrogram of a recording of {seconds:.1f} s; below, the probability of each emotion "
        f"over time as opacity. {'; '.join(labels)}.",
    )


@styled
def plot_attribution(attribution: pd.DataFrame, emotion: str, title: str) -> Drawing:
    """Plot the contribution of each family of features to the prediction as bars.

    Args:
        attribution: as returned by :func:`sernb.prediction.attribution.attribute`
        emotion: the most probable one
        title: of the plot
    """
    figure, axes = canvas(height=0.32 * len(attribution) + 1.2)
    rows = attribution.iloc[::-1]
    axes.barh(rows.family, rows.moved, color=[ACCENT if moved > 0 else FLOOR for moved in rows.moved])
    for place, moved in enumerate(rows.moved):
        axes.annotate(f"{moved:+.2f}", (moved, place), (3 if moved > 0 else -3, 0), textcoords="offset points",
                      va="center", ha="left" if moved > 0 else "right", fontsize=8)  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.6)
    axes.margins(x=0.15)
    axes.set(xlabel=f"contribution to the log probability of {emotion}", title=title)
    summary = "; ".join(f"{row.family} {row.moved:+.2f}" for row in attribution.itertuples())
    return Drawing(figure, f"Contribution of each family of features to the prediction {emotion}: {summary}.")


@styled
def plot_among_clips(values: pd.DataFrame, recording: pd.Series, title: str) -> Drawing:
    """Plot a recording as a line among the clips of an emotion as points, one panel per measure.

    Args:
        values: one row per clip, one column per measure, names with units
        recording: the same measures of the recording
        title: of the plot
    """
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    summaries = []
    for axes, name in zip(figure.subplots(1, len(recording)), recording.index, strict=True):
        column = values[name].to_numpy(float)
        spread = np.linspace(-0.3, 0.3, len(column))
        axes.plot(spread, column, ".", color=ACCENT, alpha=0.5)
        axes.axhline(recording[name], color=FLOOR, linewidth=2)
        axes.set(xticks=[], xlim=(-0.6, 0.6), title=name.replace(" (", "\n("))
        axes.title.set_fontsize(8)
        below = 100 * float((column < recording[name]).mean())
        summaries.append(f"{name}: {recording[name]:.3g}, above {below:.0f} % of the clips")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(
        figure, f"Measures of {len(values)} clips as points, the recording as a line. {'; '.join(summaries)}."
    )
