"""Figures of one recording: its sound, what is heard in it over time, and why."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sernb.audio.decoders import Hertz
from sernb.features import LogMel
from sernb.figures.style import ACCENT, FLOOR, PALETTE, WIDTH, Drawing, canvas, styled
from sernb.prediction.predict import Prediction


@styled
def heard(prediction: Prediction, signal: np.ndarray, sampling_rate: Hertz, title: str) -> Drawing:
    """Waveform, log-mel spectrogram, and the probability of each emotion over time, one above the other."""
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    wave, mel, emotions = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.5, 2))
    seconds = len(signal) / sampling_rate
    step = max(1, len(signal) // 4000)
    wave.plot(np.arange(len(signal))[::step] / sampling_rate, signal[::step], color=ACCENT, linewidth=0.5)
    wave.set_ylabel("amplitude")
    settings = LogMel(sampling_rate)
    picture = settings(signal)
    extent = (0, seconds, 0, settings.bands)
    image = mel.imshow(picture.T, origin="lower", aspect="auto", cmap="magma", extent=extent, vmin=picture.max() - 80)
    mel.set_ylabel("mel band")
    figure.colorbar(image, ax=mel, label="dB")
    said = []
    for row, name in enumerate(prediction.classes[::-1]):
        for window in prediction.windows:
            share = 0 if window.scores is None else window.scores[prediction.classes.index(name)]
            emotions.barh(
                row,
                window.end - window.start,
                left=window.start,
                height=0.85,
                color=PALETTE.get(name, ACCENT),
                alpha=float(share),
            )
    for window in prediction.windows:
        said.append(f"{window.start:.1f} to {window.end:.1f} s {prediction.said(window)}")
        if not window.voiced:
            emotions.text((window.start + window.end) / 2, -0.9, "no speech", ha="center", fontsize=8)
    emotions.set_yticks(range(len(prediction.classes)), prediction.classes[::-1])
    emotions.set(xlabel="s", xlim=(0, seconds), ylim=(-1.2, len(prediction.classes) - 0.4))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(
        figure,
        f"Waveform and log-mel spectrogram of {seconds:.1f} s of sound, and below it the probability of each emotion, "
        f"the more colour the higher. {'; '.join(said)}.",
    )


@styled
def why(found: pd.DataFrame, emotion: str, title: str) -> Drawing:
    """Bars: by how much each family of functionals moved the answer.

    Args:
        found: from :func:`sernb.prediction.attribution.attribute`
    """
    figure, axes = canvas(height=0.32 * len(found) + 1.2)
    rows = found.iloc[::-1]
    axes.barh(rows.family, rows.moved, color=[ACCENT if moved > 0 else FLOOR for moved in rows.moved])
    for place, moved in enumerate(rows.moved):
        axes.annotate(f"{moved:+.2f}", (moved, place), (3 if moved > 0 else -3, 0), textcoords="offset points",
                      va="center", ha="left" if moved > 0 else "right", fontsize=8)  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.6)
    axes.margins(x=0.15)
    axes.set(xlabel=f"added to the logarithm of the probability of {emotion}", title=title)
    listed = "; ".join(f"{row.family} {row.moved:+.2f}" for row in found.itertuples())
    return Drawing(figure, f"How far each family of functionals moved the answer {emotion}: {listed}.")


@styled
def among_clips(values: pd.DataFrame, own: pd.Series, title: str) -> Drawing:
    """Where a recording lies among the clips of an emotion: a panel a measure, clips as points, itself as a line.

    Args:
        values: one row a clip, one column a measure, names with units
        own: the same measures of the recording
    """
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    words = []
    for axes, name in zip(figure.subplots(1, len(own)), own.index, strict=True):
        column = values[name].to_numpy(float)
        spread = np.linspace(-0.3, 0.3, len(column))
        axes.plot(spread, column, ".", color=ACCENT, alpha=0.5)
        axes.axhline(own[name], color=FLOOR, linewidth=2)
        axes.set(xticks=[], xlim=(-0.6, 0.6), title=name.replace(" (", "\n("))
        axes.title.set_fontsize(8)
        below = 100 * float((column < own[name]).mean())
        words.append(f"{name}: {own[name]:.3g}, above {below:.0f} % of the clips")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, f"Measures of {len(values)} clips as points, this recording as a line. {'; '.join(words)}.")
