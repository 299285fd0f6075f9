"""What to know of recordings before modelling: counts, speech without its silence, voices, who lies near whom.

Everywhere: ``clips`` is an index or a part of it, one row a clip; features come as a mapping from the name of a clip.
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


# -- Which clips -- #


def measure(pool: Pool, data: str | Path | None = None) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the labelled clips of a pool with pitch, level and trimmed duration, and all log-mel spectrograms.

    Features are computed once and then read; columns as of :func:`voices`.
    """
    spectrograms, f0, levels = (prepare(pool, kind, data=data) for kind in (LogMel(), F0(), Level()))
    return voices(pool.index[pool.index.emotion != ""], f0, levels, Level()), spectrograms


def one_clip_per_emotion(clips: pd.DataFrame) -> pd.DataFrame:
    """Return one clip an emotion, of one speaker and, as far as there is one, of one sentence, in order of emotions.

    The speaker is the first whose one sentence is there in the most emotions.
    """
    spread = clips.groupby(["speaker", "sentence"], sort=False).emotion.nunique()
    speaker, sentence = spread.idxmax()
    own = clips[clips.speaker == speaker]
    first = own.assign(other=own.sentence != sentence).sort_values("other", kind="stable").drop_duplicates("emotion")
    return first.drop(columns="other").sort_values("emotion", key=lambda column: column.map(EMOTIONS.index))


def sample_clips(clips: pd.DataFrame, most: int = MOST_MAPPED, *, seed: int = 0) -> pd.DataFrame:
    """Return all clips, or ``most`` of them drawn at random, in their order."""
    if len(clips) <= most:
        return clips
    rows = np.random.default_rng(seed).choice(len(clips), most, replace=False)
    return clips.iloc[np.sort(rows)]


def rated(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips with ratings of valence, arousal and dominance, as numbers; none where a corpus has none."""
    ratings = clips.reindex(columns=list(DIMENSIONS)).apply(pd.to_numeric, errors="coerce")
    return clips.assign(**ratings).dropna(subset=list(DIMENSIONS))


# -- Counts -- #


def counts(clips: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return clips by emotion and the values of other columns, as text with per cents of all, with totals.

    Of the other columns, those with one value only are left out.

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
    """Return one row for all speakers of a gender with the same clips of each emotion, those with most clips first."""
    if clips.empty:
        return pd.DataFrame()
    by_emotion = pd.crosstab(clips.speaker, clips.emotion)
    by_emotion = by_emotion[[emotion for emotion in EMOTIONS if emotion in by_emotion]]
    about = clips.groupby("speaker").agg(gender=("gender", "first"), seconds=("seconds", "sum"))
    rows = []
    for (gender, *alike), group in about.join(by_emotion).groupby(["gender", *by_emotion.columns], sort=False):
        names = [name.partition("-")[2] for name in group.index]  # without the corpus
        who = ", ".join(names) if len(names) <= 2 else f"{names[0]}\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}{names[-1]}"
        row = {"speakers": len(names), "who": who, "gender": gender, "clips each": sum(alike)}
        row |= {"minutes": f"{group.seconds.sum() / 60:.1f}"}
        row |= {"of each emotion": _of_each(dict(zip(by_emotion.columns, alike, strict=True)))}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("clips each", ascending=False, kind="stable", ignore_index=True)


def _of_each(counts: Mapping[str, int]) -> str:
    """Say counts in words, equal ones together, the commonest count last.

    Examples:
        >>> _of_each({"neutral": 4, "calm": 8, "sad": 8}), _of_each({"calm": 8, "sad": 8})
        ('neutral 4; calm, sad 8', '8')
    """
    names: dict[int, list[str]] = {}
    for name, count in counts.items():
        names.setdefault(count, []).append(name)
    if len(names) == 1:
        return str(next(iter(names)))
    return "; ".join(f"{', '.join(each)} {count}" for count, each in sorted(names.items(), key=lambda it: len(it[1])))


def extremes(values: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return number, least, mean and greatest of named values, as text with two places."""
    rows = [
        {"": name, "n": len(column), **{word: f"{column.agg(word):.2f}" for word in ("min", "mean", "max")}}
        for name, column in values.items()
    ]
    return pd.DataFrame(rows)


# -- Silence, pitch, loudness -- #


def active_part(levels: np.ndarray, *, below: float = TRIM) -> np.ndarray:
    """Return which frames are less than ``below`` decibels under the loudest; ``levels`` as of :class:`Level`."""
    return levels[:, 0] > levels.max() - below


def trimmed(levels: np.ndarray, seconds: Seconds, settings: Level) -> Seconds:
    """Return how long a clip is from its first to its last sounding frame, as ``librosa.effects.trim`` cuts it."""
    frames = np.flatnonzero(active_part(levels))
    samples = min((frames[-1] + 1) * settings.hop, round(seconds * settings.sampling_rate)) - frames[0] * settings.hop
    return samples / settings.sampling_rate


def loudness(levels: np.ndarray) -> float:
    """Return the level of a clip: decibels of the mean power of its sounding frames."""
    return float(10 * np.log10(np.mean(10 ** (levels[active_part(levels), 0].astype(np.float64) / 10))))


def voices(
    clips: pd.DataFrame, pitches: Mapping[str, np.ndarray], levels: Mapping[str, np.ndarray], settings: Level
) -> pd.DataFrame:
    """Return the clips with four more columns, one value a clip.

    ``f0``: median over the voiced frames in Hz, NaN without any; ``f0_range``: semitones from their 10th to their 90th
    percentile; ``level``: see :func:`loudness`; ``trimmed``: seconds without the silence at both ends.
    """
    rows = []
    for clip, seconds in zip(clips["clip"], clips.seconds, strict=True):
        f0, level = pitches[clip], levels[clip]
        low, middle, high = np.percentile(f0[f0 > 0], [10, 50, 90]) if (f0 > 0).any() else [np.nan] * 3
        rows.append((middle, 12 * np.log2(high / low), loudness(level), trimmed(level, seconds, settings)))
    columns = ["f0", "f0_range", "level", "trimmed"]
    return clips.assign(**pd.DataFrame(rows, columns=columns, index=clips.index).to_dict("series"))


# -- Who lies near whom -- #


def vectors(clips: pd.DataFrame, spectrograms: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return mean and standard deviation over time of each band, standardised over the clips.

    Returns:
        shape ``(clips, 2 * bands)``, float64
    """
    pictures = (spectrograms[clip] for clip in clips["clip"])
    rows = [np.concatenate([picture.mean(axis=0), picture.std(axis=0)]) for picture in pictures]
    return standardise(np.array(rows, np.float64))


def standardise(values: np.ndarray, groups: Sequence[str] | None = None) -> np.ndarray:
    """Return columns of mean 0 and standard deviation 1, over all rows or over the rows of each group by itself."""
    groups = np.zeros(len(values)) if groups is None else np.asarray(groups)
    result = np.empty_like(values)
    for group in np.unique(groups):
        rows = values[groups == group]
        deviation = rows.std(axis=0)
        result[groups == group] = (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return result


def project(values: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Return two ways to lay the rows into a plane, ``PCA`` and ``t-SNE``, each of shape ``(rows, 2)``.

    PCA keeps large distances; t-SNE (van der Maaten and Hinton, 2008) keeps near rows near and nothing else.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    components = PCA(min(50, *values.shape), random_state=seed).fit_transform(values)
    with threadpool_limits(1):
        near = TSNE(perplexity=min(30, (len(values) - 1) / 3), init="pca", random_state=seed).fit_transform(components)
    return {"PCA": components[:, :2], "t-SNE": near}


def purity(
    values: np.ndarray, labels: Sequence[str], *, apart: Sequence[str] | None = None, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Return the share of each row's nearest rows that have its label, and what chance would give.

    Args:
        values: shape ``(rows, columns)``; near is by Euclidean distance
        labels: one a row
        apart: one a row; rows that share it are not counted as neighbours
        neighbours: how many of the nearest rows

    Returns:
        two shares; NaN if a row has fewer possible neighbours than that
    """
    from scipy.spatial.distance import cdist

    labels = np.asarray(labels)
    possible = ~np.eye(len(labels), dtype=bool)
    if apart is not None:
        possible &= np.asarray(apart)[:, None] != np.asarray(apart)
    if possible.sum(axis=1).min() < neighbours:
        return np.nan, np.nan
    alike = labels[:, None] == labels
    nearest = np.argpartition(np.where(possible, cdist(values, values), np.inf), neighbours - 1)[:, :neighbours]
    chance = (alike & possible).sum(axis=1) / possible.sum(axis=1)
    return float(np.take_along_axis(alike, nearest, axis=1).mean()), float(chance.mean())


def conclusions(near: pd.DataFrame, clips: pd.DataFrame) -> list[str]:
    """Return what nearest neighbours share, in sentences; ``near`` as of :func:`purities`."""
    if clips.speaker.nunique() < 2 or near.isna().any(axis=None):
        return [f"{len(clips)} clips of {clips.speaker.nunique()} speakers: too few to count neighbours."]
    speaker, emotion = near.loc["the same speaker"], near.loc["the same emotion"]
    other = near.loc["the same emotion, other speakers only"]
    return [
        f"Of a clip's ten nearest neighbours {speaker.measured:.1f} % are of the same speaker, by chance "
        f"{speaker.chance:.1f} %; {emotion.measured:.1f} % have the same emotion, by chance {emotion.chance:.1f} %, "
        f"and {other.measured:.1f} % where they must be other speakers, by chance {other.chance:.1f} % ({len(clips)} "
        f"clips of {clips.speaker.nunique()} speakers, nothing trained).",
        f"Speaker-normalised, it is {speaker.standardised:.1f} % for the speaker and {other.standardised:.1f} % for "
        "the emotion among other speakers.",
    ]


def purities(clips: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Return how often a clip and its nearest ones agree, in per cent, beside chance.

    Args:
        clips: columns emotion, speaker and corpus
        values: of :func:`vectors`

    Returns:
        one row a question; columns ``measured``, ``standardise`` (each speaker by itself) and ``chance``
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
    for question, (label, apart) in questions.items():
        others = None if apart is None else clips[apart]
        measured, chance = purity(values, clips[label], apart=others)
        rows.append((question, measured, purity(per_speaker, clips[label], apart=others)[0], chance))
    table = pd.DataFrame(rows, columns=["question", "measured", "standardised", "chance"]).set_index("question")
    return 100 * table
