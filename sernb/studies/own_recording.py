"""The page on one of your recordings: the prediction of the bundled model, and its explanation."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sernb import figures
from sernb.audio.reading import load
from sernb.corpora.pool import Pool, find_recordings
from sernb.prediction import attribution
from sernb.prediction import figures as prediction_figures
from sernb.prediction.model import Model
from sernb.prediction.predict import Prediction
from sernb.studies.examples import Sound


def find_recording(recording: str, pool: Pool, clip: int = 0, data: str | Path | None = None) -> tuple[Path, str]:
    """Return path and name of a recording or, without one, of a clip of the corpus by number."""
    if recording:
        return Path(recording), Path(recording).name
    row = pool.index.iloc[clip]
    return find_recordings(pool, [row["clip"]], data)[row["clip"]], f"{row['clip']}, {row.emotion}"


def read_sound(path: Path, model: Model, name: str) -> Sound:
    """Read a recording to play, at the sampling rate of the model."""
    return load(path, model.sampling_rate), model.sampling_rate, name


def headline(prediction: Prediction, name: str, coverage: float, model: Model) -> list[str]:
    """State the prediction with confidence and doubts, and the outcome of the domain check, in sentences."""
    emotion, probability = prediction.top()[0]
    doubts = f" ({'; '.join(prediction.doubts)})" if prediction.doubts else ""
    check, stated = prediction.domain_check, ", ".join(prediction.prediction_set)
    unreliable = "" if prediction.answer == emotion else ", not reliable"
    among = f"one of {stated} at {100 * coverage:g} % coverage" if stated else "no prediction set"
    domain = "Domain check: not possible, as the model has no statistics of its training recordings."
    if check:
        domain = f"Domain check: {check.verdict}{': ' + '; '.join(check.reasons) if check.reasons else ''}."
    chance = 1 / len(prediction.classes)
    return [
        f"{name}: {prediction.answer}{doubts}. Most probable of {len(prediction.classes)} emotions: {emotion}, "
        f"{100 * probability:.0f} % (chance {100 * chance:.0f} %){unreliable}; {among}, by {model.name}.",
        domain,
    ]


def top_table(prediction: Prediction) -> pd.DataFrame:
    """Return the three most probable emotions."""
    rows = [(emotion, f"{100 * probability:.0f} %") for emotion, probability in prediction.top()]
    return pd.DataFrame(rows, columns=["Emotion", "Probability"])


def plot_timeline(prediction: Prediction, sound: Sound) -> figures.Drawing:
    """Plot the waveform and the probabilities over time."""
    return prediction_figures.plot_recording(prediction, *sound)


def contributions(model: Model, prediction: Prediction) -> pd.DataFrame:
    """Return the contribution of each family of functionals; empty for a recording predicted in windows."""
    return attribution.attribute(model, prediction) if prediction.features is not None else pd.DataFrame()


def contributions_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the :func:`contributions`, formatted for display."""
    return table.assign(moved=table.moved.map("{:+.2f}".format)).rename(columns=str.capitalize) if len(table) else table


def plot_contributions(table: pd.DataFrame, prediction: Prediction, name: str) -> Iterator[figures.Drawing]:
    """Plot the :func:`contributions` to the most probable emotion; nothing if they are empty."""
    if len(table):
        title = f"{name}: contributions to {prediction.best}"
        yield prediction_figures.plot_attribution(table, prediction.best, title)


def plot_among_clips(
    pool: Pool, prediction: Prediction, name: str, data: str | Path | None = None
) -> Iterator[figures.Drawing]:
    """Plot the recording among the corpus's clips of the most probable emotion; nothing without such clips."""
    if prediction.features is not None:
        clips, own = attribution.compare_with_clips(pool, prediction.best, prediction, data)
        if len(clips):
            title = f"{name} among {len(clips)} clips of {pool.title}, {prediction.best}"
            yield prediction_figures.plot_among_clips(clips, own, title)
