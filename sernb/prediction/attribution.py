"""What moved an answer: the functionals by family, and where they lie among clips of the training kind."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.reading import load
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.features import Functionals
from sernb.features.descriptors import VOCAL
from sernb.features.functionals import RHYTHM
from sernb.prediction.model import Model
from sernb.prediction.predict import Prediction

AUDIBLE = {  # what a listener can hear, too
    "pitch (semitones)": "F0: p50",
    "range of pitch (semitones)": "F0: p2 to p98",
    "level (dBFS)": "level, voiced: mean",
    "length (s)": "seconds",
    "loudness peaks (a second)": "peaks a second",
}
_FORMANT = re.compile(r"(bandwidth of |level of )?F[1-9]")


def family(name: str) -> str:
    """Return what a functional is about.

    Examples:
        >>> family("Δ F0: slope"), family("mel 3, voiced: p50"), family("level of F2: mean"), family("MFCC 1 at 3-5 Hz")
        ('pitch', 'mel bands', 'formants', 'modulation')
    """
    about = re.split(r"[:,]", name.removeprefix("Δ "))[0]
    if name.startswith("layer "):
        return "pretrained encoder"
    if name in RHYTHM:
        return "rhythm"
    if " at " in about:
        return "modulation"
    if about == "F0":
        return "pitch"
    if _FORMANT.fullmatch(about):
        return "formants"
    if about in VOCAL:
        return "voice quality"
    if about in ("loudness", "level"):
        return "loudness"
    return {"MFCC": "MFCC", "mel": "mel bands"}.get(about.split()[0], "spectrum")


def attribute(model: Model, prediction: Prediction) -> pd.DataFrame:
    """Return by how much each family of functionals moved the answer, largest first.

    Args:
        prediction: of a recording that was answered as a whole, not adapted to a voice

    Returns:
        columns family, moved (what its functionals add to the logarithm of the likeliest emotion's probability),
        functionals (how many), strongest (the functional that moved most)

    Raises:
        ValueError: if the model is no linear machine, or the recording was cut into windows
    """
    if model.machine is None or prediction.row is None:
        raise ValueError("reasons are known of a linear machine's answer to a whole recording only")
    names = model.features.names
    moved = model.machine.reasons(prediction.row, model.classes.index(prediction.best))
    table = pd.DataFrame({"family": [family(name) for name in names], "name": names, "moved": moved})
    grouped = table.groupby("family")
    strongest = table.loc[grouped.moved.apply(lambda values: values.abs().idxmax()), ["family", "name"]]
    found = pd.DataFrame({"moved": grouped.moved.sum(), "functionals": grouped.size()})
    found["strongest"] = strongest.set_index("family").name
    return found.sort_values("moved", key=np.abs, ascending=False).reset_index()


def place_among_clips(
    pool: Pool, emotion: str, prediction: Prediction, data: str | Path | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Return what can be heard of a corpus's clips of an emotion, and the same of a recording.

    Returns:
        one row a clip, columns ``AUDIBLE``; empty where the corpus has no such clip; and one value a column
    """
    features = Functionals()  # at the recording's own level, whatever the model reads
    columns = [features.names.index(name) for name in AUDIBLE.values()]
    table = prepare(pool, features, data=data)
    clips = pool.index[pool.index.emotion == emotion]["clip"]
    values = np.array([table[clip][0, columns] for clip in clips], float).reshape(-1, len(columns))
    row = features(load(prediction.path, features.sampling_rate))[0]
    own = pd.Series(row[columns].astype(float), index=list(AUDIBLE))
    return pd.DataFrame(values, columns=list(AUDIBLE)), own
