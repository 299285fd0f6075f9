"""Exploration of recordings before modelling: counts, trimmed durations, pitch and level, nearest neighbours.

Throughout, ``clips`` is an index or a part of it with one row per clip, and features are a mapping by clip name.
Nothing here draws or prints.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.decoders import Seconds
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import prepare
from sernb.corpora.record import DIMENSIONS, EMOTIONS
from sernb.features import F0, Level, LogMel

TRIM = 40.0  # dB below the loudest frame, as in multitask-cnn
MOST_MAPPED = 2000  # clips; distances and t-SNE grow with the square
NEIGHBOURS = 10


# -- Clips -- #


def measure(pool: Pool, data: str | Path | None = None) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the labelled clips of a pool with pitch, level and trimmed duration, and all log-mel spectrograms.

    Features are computed once and cached; the columns are those of :func:`voices`.
    """
    spectrograms, f0, levels = (prepare(pool, kind, data=data) for kind in (LogMel(), F0(), Level()))
    return voices(pool.index[pool.index.emotion != ""], f0, levels, Level()), spectrograms


def one_clip_per_emotion(clips: pd.DataFrame) -> pd.DataFrame:
    """Return one clip per emotion, of one speaker and, where possible, of one sentence, in order of emotions.

    Speaker and sentence are the first pair with the most emotions.
    """
    spread = clips.groupby(["speaker", "sentence"], sort=False).emotion.nunique()
    speaker, sentence = spread.idxmax()
    own = clips[clips.speaker == speaker]
    first = own.assign(other=own.sentence != sentence).sort_values("other", kind="stable").drop_duplicates("emotion")
    return first.drop(columns="other").sort_values("emotion", key=lambda column: column.map(EMOTIONS.index))


def sample_clips(clips: pd.DataFrame, most: int = MOST_MAPPED, *, seed: int = 0) -> pd.DataFrame:
    """Return all clips, or a random sample of ``most`` clips in the original order."""
    if len(clips) <= most:
        return clips
    rows = np.random.default_rng(seed).choice(len(clips), most, replace=False)
    return clips.iloc[np.sort(rows)]


def rated(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips with numeric ratings of valence, arousal and dominance; empty if the corpus has none."""
    ratings = clips.reindex(columns=list(DIMENSIONS)).apply(pd.to_numeric, errors="coerce")
    return clips.assign(**ratings).dropna(subset=list(DIMENSIONS))


# -- Counts -- #


def counts(clips: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Cross-tabulate clips by emotion and other columns, as text with percentages of all clips, and totals.

    Columns with a single value are left out.

    Examples:
        >>> table = counts(pd.DataFrame({"emotion": ["sad", "sad"], "gender": ["female", "male"]}), ["gender"])
        >>> table.to_numpy().tolist()
        [['sad', '1 (50.0 %)', '1 (50.0 %)', '2 (100.0 %)'], ['all', '1 (50.0 %)', '1 (50.0 %)', '2 (100.0 %)']]
    """
    parted = [column for column in columns if len(set(clips[column])) > 1]
    groups = clips[parted].astype(str).replace("", "not given").agg(", ".join, axis=1)
    table = pd.crosstab(clips.emotion, groups) if parted else clips.groupby("emotion").size().to_frame("all")
    table = table.reindex([emotion for emotion in EMOTIONS if emotion in table.index])
    table["all"] = table.sum(axis=1)
    table.loc["all"] = table.sum()
    shown = table.map(lambda count: f"{count} ({100 * count / len(clips):.1f} %)" if count else "0")
    return shown.rename_axis(columns=None).reset_index()


def speakers_table(clips: pd.DataFrame) -> pd.DataFrame:
    """Return one row for all speakers with the same gender and number of clips per emotion, most clips first."""
    if clips.empty:
        return pd.DataFrame()
    by_emotion = pd.crosstab(clips.speaker, clips.emotion)
    by_emotion = by_emotion[[emotion for emotion in EMOTIONS if emotion in by_emotion]]
    by_speaker = clips.groupby("speaker").agg(gender=("gender", "first"), seconds=("seconds", "sum"))
    rows = []
    for (gender, *numbers), group in by_speaker.join(by_emotion).groupby(["gender", *by_emotion.columns], sort=False):
        names = [name.partition("-")[2] for name in group.index]  # without the corpus
        listed = ", ".join(names) if len(names) <= 2 else f"{names[0]}\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}{names[-1]}"
        row = {"speakers": len(names), "names": listed, "gender": gender, "clips per speaker": sum(numbers)}
        row |= {"minutes": f"{group.seconds.sum() / 60:.1f}"}
        row |= {"clips per emotion": _format_counts(dict(zip(by_emotion.columns, numbers, strict=True)))}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("clips per speaker", ascending=False, kind="stable", ignore_index=True)


def _format_counts(counts: Mapping[str, int]) -> str:
    """Format counts as text, grouping equal ones, with the most frequent count last.

    Examples:
        >>> _format_counts({"neutral": 4, "calm": 8, "sad": 8}), _format_counts({"calm": 8, "sad": 8})
        ('neutral 4; calm, sad 8', '8')
    """
    names: dict[int, list[str]] = {}
    for name, count in counts.items():
        names.setdefault(count, []).append(name)
    if len(names) == 1:
        return str(next(iter(names)))
    return "; ".join(f"{', '.join(each)} {count}" for count, each in sorted(names.items(), key=lambda it: len(it[1])))


def extremes(values: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return number, minimum, mean and maximum of named values, as text with two decimals."""
    rows = [
        {"": name, "n": len(column), **{word: f"{column.agg(word):.2f}" for word in ("min", "mean", "max")}}
        for name, column in values.items()
    ]
    return pd.DataFrame(rows)


# -- Silence, pitch, level -- #


def active_part(levels: np.ndarray, *, below: float = TRIM) -> np.ndarray:
    """Return a mask of the frames less than ``below`` dB below the loudest; ``levels`` as of :class:`Level`."""
    return levels[:, 0] > levels.max() - below


def trimmed(levels: np.ndarray, seconds: Seconds, settings: Level) -> Seconds:
    """Return the duration from the first to the last active frame, as trimmed by ``librosa.effects.trim``."""
    frames = np.flatnonzero(active_part(levels))
    samples = min((frames[-1] + 1) * settings.hop, round(seconds * settings.sampling_rate)) - frames[0] * settings.hop
    return samples / settings.sampling_rate


def loudness(levels: np.ndarray) -> float:
    """Return the level of a clip in dB: the mean power of its active frames."""
    return float(10 * np.log10(np.mean(10 ** (levels[active_part(levels), 0].astype(np.float64) / 10))))


def voices(
    clips: pd.DataFrame, pitches: Mapping[str, np.ndarray], levels: Mapping[str, np.ndarray], settings: Level
) -> pd.DataFrame:
    """Add four columns to the clips.

    ``f0``: median over the voiced frames in Hz, NaN without any; ``f0_range``: semitones from the 10th to the 90th
    percentile; ``level``: see :func:`loudness`; ``trimmed``: seconds without leading and trailing silence.
    """
    rows = []
    for clip, seconds in zip(clips["clip"], clips.seconds, strict=True):
        f0, level = pitches[clip], levels[clip]
        low, middle, high = np.percentile(f0[f0 > 0], [10, 50, 90]) if (f0 > 0).any() else [np.nan] * 3
        rows.append((middle, 12 * np.log2(high / low), loudness(level), trimmed(level, seconds, settings)))
    columns = ["f0", "f0_range", "level", "trimmed"]
    return clips.assign(**pd.DataFrame(rows, columns=columns, index=clips.index).to_dict("series"))


# -- Nearest neighbours -- #


def vectors(clips: pd.DataFrame, spectrograms: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return mean and standard deviation of each band over time, standardised over the clips.

    Returns:
        shape ``(clips, 2 * bands)``, float64
    """
    pictures = (spectrograms[clip] for clip in clips["clip"])
    rows = [np.concatenate([picture.mean(axis=0), picture.std(axis=0)]) for picture in pictures]
    return standardise(np.array(rows, np.float64))


def standardise(values: np.ndarray, groups: Sequence[str] | None = None) -> np.ndarray:
    """Standardise columns to mean 0 and standard deviation 1, over all rows or within each group."""
    groups = np.zeros(len(values)) if groups is None else np.asarray(groups)
    result = np.empty_like(values)
    for group in np.unique(groups):
        rows = values[groups == group]
        deviation = rows.std(axis=0)
        result[groups == group] = (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return result


def project(values: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Project the rows into two dimensions by ``PCA`` and ``t-SNE``, each of shape ``(rows, 2)``.

    PCA preserves large distances; t-SNE (van der Maaten and Hinton, 2008) preserves neighbourhoods only.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    components = PCA(min(50, *values.shape), random_state=seed).fit_transform(values)
    with threadpool_limits(1):
        near = TSNE(perplexity=min(30, (len(values) - 1) / 3), init="pca", random_state=seed).fit_transform(components)
    return {"PCA": components[:, :2], "t-SNE": near}


def purity(
    values: np.ndarray, labels: Sequence[str], *, exclude: Sequence[str] | None = None, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Return the share of each row's nearest neighbours with the same label, and the chance level.

    Args:
        values: shape ``(rows, columns)``, compared by Euclidean distance
        labels: one per row
        exclude: a group for each row; rows of the same group are not neighbours
        neighbours: number of nearest rows

    Returns:
        two shares; NaN if a row has fewer possible neighbours
    """
    from scipy.spatial.distance import cdist

    labels = np.asarray(labels)
    possible = ~np.eye(len(labels), dtype=bool)
    if exclude is not None:
        possible &= np.asarray(exclude)[:, None] != np.asarray(exclude)
    if possible.sum(axis=1).min() < neighbours:
        return np.nan, np.nan
    same = labels[:, None] == labels
    nearest = np.argpartition(np.where(possible, cdist(values, values), np.inf), neighbours - 1)[:, :neighbours]
    chance = (same & possible).sum(axis=1) / possible.sum(axis=1)
    return float(np.take_along_axis(same, nearest, axis=1).mean()), float(chance.mean())


def conclusions(near: pd.DataFrame, clips: pd.DataFrame) -> list[str]:
    """State how often nearest neighbours share speaker and emotion, in sentences; ``near`` as of :func:`purities`."""
    if clips.speaker.nunique() < 2 or near.isna().any(axis=None):
        return [f"{len(clips)} clips of {clips.speaker.nunique()} speakers: too few to count neighbours."]
    speaker, emotion = near.loc["the same speaker"], near.loc["the same emotion"]
    other = near.loc["the same emotion, other speakers only"]
    return [
        f"Of a clip's ten nearest neighbours, {speaker.measured:.1f} % have the same speaker (chance level "
        f"{speaker.chance:.1f} %) and {emotion.measured:.1f} % the same emotion ({emotion.chance:.1f} %); among other "
        f"speakers, {other.measured:.1f} % have the same emotion ({other.chance:.1f} %). {len(clips)} clips of "
        f"{clips.speaker.nunique()} speakers, without training.",
        f"After speaker normalisation, {speaker.standardised:.1f} % have the same speaker and, among other speakers, "
        f"{other.standardised:.1f} % the same emotion.",
    ]


def purities(clips: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Return how often a clip and its nearest neighbours agree, in per cent, with the chance level.

    Args:
        clips: columns emotion, speaker and corpus
        values: of :func:`vectors`

    Returns:
        one row per question; columns ``measured``, ``standardised`` (speaker-normalised) and ``chance``
    """
    per_speaker = standardise(values, clips.speaker)
    questions = {
        "the same emotion": ("emotion", None),
        "the same emotion, other speakers only": ("emotion", "speaker"),
        "the same speaker": ("speaker", None),
    }
    if len(set(clips.corpus)) > 1:
        questions["the same emotion, other corpora only"] = ("emotion", "corpus")
        questions["the same corpus"] = ("corpus", None)
    rows = []
    for question, (label, exclude) in questions.items():
        others = None if exclude is None else clips[exclude]
        measured, chance = purity(values, clips[label], exclude=others)
        rows.append((question, measured, purity(per_speaker, clips[label], exclude=others)[0], chance))
    table = pd.DataFrame(rows, columns=["question", "measured", "standardised", "chance"]).set_index("question")
    return 100 * table
