"""Attribution of a linear model's prediction to families of features, and comparison with the clips of a corpus."""

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

AUDIBLE = {  # properties that listeners perceive, and their functionals
    "pitch (semitones)": "F0: p50",
    "range of pitch (semitones)": "F0: p2 to p98",
    "level (dBFS)": "level, voiced: mean",
    "length (s)": "seconds",
    "loudness peaks (per second)": "peaks a second",
}
_FORMANT = re.compile(r"(bandwidth of |level of )?F[1-9]")


def family(name: str) -> str:
    """Return the family of a functional.

    Examples:
        >>> family("Δ F0: slope"), family("mel 3, voiced: p50"), family("level of F2: mean"), family("MFCC 1 at 3-5 Hz")
        ('pitch', 'mel bands', 'formants', 'modulation')
    """
    descriptor = re.split(r"[:,]", name.removeprefix("Δ "))[0]
    if name.startswith("layer "):
        return "pretrained encoder"
    if name in RHYTHM:
        return "rhythm"
    if " at " in descriptor:
        return "modulation"
    if descriptor == "F0":
        return "pitch"
    if _FORMANT.fullmatch(descriptor):
        return "formants"
    if descriptor in VOCAL:
        return "voice quality"
    if descriptor in ("loudness", "level"):
        return "loudness"
    return {"MFCC": "MFCC", "mel": "mel bands"}.get(descriptor.split()[0], "spectrum")


def attribute(model: Model, prediction: Prediction) -> pd.DataFrame:
    """Return the contribution of each family of features to the prediction, largest first.

    Args:
        model: a linear one
        prediction: of a recording predicted as a whole, without speaker adaptation

    Returns:
        columns family, moved (sum of its contributions to the log probability of the most probable emotion),
        functionals (how many), strongest (the functional with the largest contribution)

    Raises:
        ValueError: if the model is not linear, or the recording was predicted in windows
    """
    if model.classifier is None or prediction.features is None:
        raise ValueError("attribution needs a linear model and a recording predicted as a whole")
    names = model.features.names
    contributions = model.classifier.contributions(prediction.features, model.classes.index(prediction.best))
    table = pd.DataFrame({"family": [family(name) for name in names], "name": names, "moved": contributions})
    grouped = table.groupby("family")
    strongest = table.loc[grouped.moved.apply(lambda values: values.abs().idxmax()), ["family", "name"]]
    families = pd.DataFrame({"moved": grouped.moved.sum(), "functionals": grouped.size()})
    families["strongest"] = strongest.set_index("family").name
    return families.sort_values("moved", key=np.abs, ascending=False).reset_index()


def compare_with_clips(
    pool: Pool, emotion: str, prediction: Prediction, data: str | Path | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Return audible properties of a corpus's clips of an emotion, and of a recording.

    Args:
        pool: clips to compare with
        emotion: of these clips
        prediction: of the recording
        data: folder of the clips' recordings, by default ``$SERNB_DATA``

    Returns:
        a table with one row per clip and columns ``AUDIBLE``, empty if the corpus has no such clip; and the values of
        the recording
    """
    features = Functionals()  # without level normalisation, whatever the model uses
    columns = [features.names.index(name) for name in AUDIBLE.values()]
    table = prepare(pool, features, data=data)
    clips = pool.index[pool.index.emotion == emotion]["clip"]
    values = np.array([table[clip][0, columns] for clip in clips], float).reshape(-1, len(columns))
    row = features(load(prediction.path, features.sampling_rate))[0]
    recording = pd.Series(row[columns].astype(float), index=list(AUDIBLE))
    return pd.DataFrame(values, columns=list(AUDIBLE)), recording
