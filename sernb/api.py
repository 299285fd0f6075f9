"""The public API: predictions and embeddings of a model, a corpus as a table, evaluation of predictions.

``import sernb; table = sernb.load().predict(["one.wav", "two.mp3"])``: the package exports these names.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sernb.audio.decoders import Hertz
from sernb.audio.reading import Recording
from sernb.audio.recordings import list_sources, read_blocks
from sernb.config import DataError
from sernb.features import Embedding, Joined
from sernb.features.tables import has_frames, make_table, require_encoders
from sernb.prediction.formats import NUMBERS, recording_rows, window_rows
from sernb.prediction.loading import load_model
from sernb.prediction.model import MODELS, Model
from sernb.prediction.predict import COVERAGE, adapt_to_speaker, cut_recording, predict_all
from sernb.runtime.environment import advise_install

if TYPE_CHECKING:
    import pandas as pd

    from sernb.features import Features


def load(name_or_path: str | Path | None = None) -> "Classifier":
    """Load a model.

    Args:
        name_or_path: a bundled model (``functionals-ridge``, ``embedding-functionals``), or the folder of a model or of
            a finished run; by default ``embedding-functionals`` if its encoder was downloaded by ``sernb fetch
            whisper-tiny.en``, else ``functionals-ridge``

    Raises:
        DataError: if there is no such model, its folder is damaged or of another version, or the weights of its encoder
            or a package are missing

    Examples:
        >>> load("functionals-ridge").classes[:3]
        ('neutral', 'happy', 'sad')
    """
    bundled = sorted(each.name for each in MODELS.iterdir() if (each / "model.json").is_file())
    folder = MODELS / name_or_path if name_or_path in bundled else name_or_path
    if folder is not None and not isinstance(folder, str | Path):
        raise DataError(f"{folder!r:.60}: the name of a bundled model or the path of a folder is expected")
    if isinstance(folder, str) and not os.path.exists(folder):
        raise DataError(f"{folder}: is neither a folder nor a bundled model; bundled: {', '.join(bundled)}")
    try:
        model = load_model(folder)
        require_encoders(model.features)
    except ModuleNotFoundError as error:
        raise DataError(f"{folder}: {advise_install(error)}") from error
    return Classifier(model)


@dataclass(frozen=True, repr=False)
class Classifier:
    """A loaded model: predicts emotions, and returns the features that it uses."""

    model: Model

    def __repr__(self) -> str:
        """Return its name, its classes and its sampling rate."""
        return f"<{self.name}: {', '.join(self.classes)}; {self.sampling_rate} Hz>"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that it predicts, in the order of its scores."""
        return self.model.classes

    @property
    def sampling_rate(self) -> Hertz:
        """Sampling rate of its input, hertz; recordings are resampled to it."""
        return self.model.sampling_rate

    @property
    def metadata(self) -> dict:
        """Content of ``model.json``: training data, licence, scores; of a run, its config."""
        return self.model.metadata

    def only(self, classes: Sequence[str]) -> "Classifier":
        """Return a model restricted to some of its classes; it has no prediction sets.

        Raises:
            DataError: if a class is unknown, or there are fewer than two
        """
        return replace(self, model=self.model.only(classes))

    def predict(
        self,
        recordings: object,
        sampling_rate: Hertz | None = None,
        *,
        timeline: bool = False,
        views: bool = False,
        coverage: float = COVERAGE,
        speaker_clips: str | Path | None = None,
    ) -> "pd.DataFrame":
        """Predict the emotion in recordings.

        Args:
            recordings: a file, folder or pattern, or an array of samples, or several of them; or a table with a column
                ``file``, such as that of :func:`corpus`. An array is one signal,
                ``(samples,)`` or ``(samples, channels)``: float from -1 to 1, or uint8, int16 or int32 as in WAV files
            sampling_rate: of the arrays, hertz; files have their own
            timeline: return a row for each window of 3 s, every 1.5 s, instead of one for each recording
            views: test-time augmentation: average over quieter, slower and faster copies of short recordings
            coverage: of the prediction sets: 0.8, 0.9 or 0.95
            speaker_clips: folder of unlabelled recordings of the same speaker, to adapt to

        Returns:
            a row for each recording, in order, with the columns of ``sernb predict --csv``: ``file``, ``seconds`` (of
            windows ``start`` and ``end``), ``answer`` (an emotion or "not sure"), ``set`` (separated by spaces; empty
            if there is none; windows have none), ``recording`` (in domain, borderline, out of domain), ``reliable``
            (the answer is an emotion and the recording in domain), ``prediction`` (the most probable emotion, whatever
            its confidence), ``confidence`` (its probability) and a column of probabilities for each class; moreover
            ``notes`` (reasons for doubt, and remarks on the file) and ``error`` (why there is no prediction)

        Raises:
            DataError: if an item is neither path nor array, arrays have no sampling rate, or the model has no sets of
                the coverage. An error of a single recording is reported in its row
        """
        import pandas as pd

        self.model.threshold(coverage)
        sources = list_sources(recordings, sampling_rate)
        adapted = adapt_to_speaker(self.model, speaker_clips) if speaker_clips else None
        options = {"timeline": timeline, "views": views, "coverage": coverage, "adapted": adapted}
        make_rows = partial(window_rows if timeline else recording_rows, classes=self.classes)
        rows = [row for each in predict_all(self.model, sources, **options) for row in make_rows(*each)]
        columns = ["file", *(("start", "end") if timeline else ("seconds",))]
        columns += ["answer", *(() if timeline else ("set",)), "recording", "reliable", "prediction", "confidence"]
        columns += ["notes", "error", *self.classes]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(NUMBERS & {*columns} | {*self.classes}, float))

    def embed(self, recordings: object, sampling_rate: Hertz | None = None, *, frames: bool = False) -> "pd.DataFrame":
        """Return the features that the model uses: embeddings, functionals, or both.

        Args:
            recordings: as for :meth:`predict`
            sampling_rate: of the arrays, hertz
            frames: return one row for each position of the encoder (of Whisper: 20 ms, from the first non-silent one)

        Returns:
            float32, one column per feature. The index holds file, start and end in seconds, and the number of a frame;
            there is one row for each recording or, if it is longer than the training clips, for each window of 3 s. A
            recording that cannot be read gives a row of NaN and a warning

        Raises:
            DataError: if frames are requested of a model without them, or the other way round; else as :meth:`predict`
        """
        features = _framed(self.model) if frames else self.model.features

        def compute(recording: Recording) -> list:
            if frames:
                signal = np.concatenate(list(read_blocks(recording, features.sampling_rate)))
                return [(0.0, recording.seconds, features(signal))]
            return [(start, end, features(signal)) for start, end, signal in cut_recording(self.model, recording)]

        sources = list_sources(recordings, sampling_rate)
        results = ((source.name, source.use(compute)) for source in sources)
        rows = (
            (name, *segment)
            for name, segments in results
            for segment in (segments if isinstance(segments, list) else [(0.0, np.nan, segments)])
        )
        return make_table(rows, features.names, frames=frames)


def _framed(model: Model) -> "Features":
    features = model.features
    if isinstance(features, Joined) and any(isinstance(part, Embedding) for part in features.parts):
        features = features.part(Embedding)
    if isinstance(features, Embedding) and not features.is_table:
        return replace(features, pooling="frames")
    if has_frames(features):
        return features
    raise DataError(
        f"{model.name}: uses one row of features per recording, not frames; use a model with an encoder, such as "
        "embedding-functionals, or sernb.features(recordings, 'log-mel')"
    )


class CorpusTable(NamedTuple):
    """The clips and metadata of a corpus: ``clips, metadata = sernb.corpus("ravdess")``."""

    clips: "pd.DataFrame"
    metadata: dict[str, object]


def corpus(name: str, data: str | Path | None = None) -> CorpusTable:
    """Return the clips of a corpus as a table, and its metadata.

    Args:
        name: a corpus, several as ``ravdess+tess``, some clips as ``ravdess:gender=female`` or ``tess:available``, or a
            folder with recordings and a ``labels.csv``
        data: folder of the recordings, by default ``$SERNB_DATA``

    Returns:
        ``clips``: one row per clip with clip, file (missing if the recording is not on this machine), speaker, gender,
        emotion, sentence and further columns of its publishers; ``metadata``: name, title, about, licence, citation,
        emotions, clips, speakers, and whether the recordings are of people, not synthetic (``evidence``)

    Raises:
        DataError: if the name is unknown, or no clip matches

    Examples:
        >>> clips, metadata = corpus("ravdess")
        >>> len(clips), clips.speaker.nunique(), metadata["licence"]
        (1440, 24, 'CC BY-NC-SA 4.0')
    """
    from sernb.corpora.pool import find_recordings, parse_pool
    from sernb.corpora.record import EMOTIONS

    pool = parse_pool(name, data)
    clips, metadata = pool.index, {key: getattr(pool, key) for key in ("name", "title", "about", "licence", "citation")}
    files = find_recordings(pool, clips["clip"].tolist(), data)
    clips = clips.assign(file=[str(files[clip]) if clip in files else None for clip in clips["clip"]])
    first = ["clip", "file", "corpus"]
    emotions = set(clips["emotion"])
    metadata |= {"emotions": tuple(each for each in EMOTIONS if each in emotions), "evidence": pool.evidence}
    metadata |= {"clips": len(clips), "speakers": clips["speaker"].nunique()}
    return CorpusTable(clips[[*first, *(column for column in clips if column not in first)]], metadata)


def evaluate(
    truth: Sequence[str], scores: object, *, classes: Sequence[str] | None = None, speakers: Sequence | None = None
) -> "pd.DataFrame":
    """Evaluate predictions: UAR, WAR, macro F1, top 3, with intervals and chance levels.

    UAR is the mean recall over the classes that occur, WAR is accuracy. Intervals are 95 % bootstrap intervals, from
    2000 resamplings of speakers; of clips, if speakers are unknown or fewer than five, and then too narrow for new
    speakers.

    Args:
        truth: the class of each clip, ``(clips,)``: names, or indices into ``classes``
        scores: the table of :meth:`Classifier.predict` for the same clips; or an array, ``(clips, classes)``; or the
            names of the predicted classes, ``(clips,)``, without top-3 accuracy
        classes: names of the columns of ``scores``; of an array in their order, of a table those to use
        speakers: of the clips, ``(clips,)``

    Returns:
        a row for each metric; columns: value, low, high (0 … 1), chance (score of the best constant prediction on these
        clips), clips, speakers, resampled ("speakers" or "clips")

    Raises:
        DataError: if lengths differ, a truth is not among the classes, or a score is missing

    Examples:
        >>> print(evaluate(["sad", "sad", "angry"], ["sad", "angry", "angry"])[["value", "chance", "clips"]].round(3))
                  value  chance  clips
        UAR       0.750   0.500      3
        WAR       0.667   0.667      3
        macro F1  0.667   0.400      3
    """
    import pandas as pd

    from sernb.evaluation import evaluate as measure

    truth = np.asarray(truth)
    if truth.ndim != 1:
        raise DataError(f"truth has the shape {truth.shape}; one class per clip is expected, (clips,)")
    names, values, has_top3 = _scores(truth, scores, classes)
    speakers = np.zeros(len(truth)) if speakers is None else np.asarray(speakers)
    if speakers.ndim != 1 or pd.isna(speakers).any():
        raise DataError("speakers: one name per clip is expected, none missing; omit speakers= if they are unknown")
    speakers = speakers.astype(str) if speakers.dtype == object else speakers  # mixed types
    if not len(truth) == len(values) == len(speakers) or not len(truth):
        raise DataError(f"{len(truth)} truths, {len(values)} rows of scores, {len(speakers)} speakers: lengths differ")
    if (missing := int((~np.isfinite(values)).any(axis=1).sum())) > 0:
        raise DataError(
            f"{missing} of {len(values)} clips have no scores, as for recordings that could not be read; leave them "
            "out of truth and scores, and report their number"
        )
    if truth.dtype.kind in "iu":
        truth = np.asarray([names[k] if 0 <= k < len(names) else k for k in truth.tolist()], object)
    class_index = {name: number for number, name in enumerate(names)}
    if unknown := [each for each in truth.tolist() if each not in class_index]:
        raise DataError(
            f"{unknown[0]!r:.60} is none of the classes of the scores, {', '.join(map(str, names))}; leave such clips "
            "out of truth and scores, or map them, and report it"
        )
    metrics = measure(np.array([class_index[each] for each in truth.tolist()]), values, speakers)
    attributes = {"UAR": "uar", "WAR": "war", "macro F1": "macro_f1", **({"top 3": "top3"} if has_top3 else {})}
    intervals = [getattr(metrics, name) for name in attributes.values()]
    return pd.DataFrame(
        {
            "value": [each.value for each in intervals],
            "low": [each.low for each in intervals],
            "high": [each.high for each in intervals],
            "chance": [getattr(metrics, f"{name}_floor") for name in attributes.values()],
            "clips": metrics.clips,
            "speakers": metrics.speakers if len(set(speakers.tolist())) > 1 else None,
            "resampled": metrics.resampled,
        },
        index=list(attributes),
    )


def _scores(truth: np.ndarray, scores: object, classes: Sequence[str] | None) -> tuple[list, np.ndarray, bool]:
    """Return class names, scores, ``(clips, classes)``, and whether top-3 accuracy is defined for them."""
    if hasattr(scores, "columns"):
        numeric = scores.select_dtypes("number").columns
        names = list(classes) if classes is not None else [each for each in numeric if each not in NUMBERS]
        if absent := [each for each in names if each not in numeric]:
            known = ", ".join(map(str, numeric))
            raise DataError(f"{absent[0]!r:.60}: is not a numeric column of the scores; known: {known}")
        if len(set(names)) < len(names) or scores[names].shape[1] != len(names):
            raise DataError("the scores have a class twice; remove one of its columns")
        values = scores[names].to_numpy(float)
        if classes is None and not np.allclose(values[np.isfinite(values).all(axis=1)].sum(axis=1), 1, atol=1e-3):
            raise DataError(
                f"the columns {', '.join(map(str, names))} of the scores do not sum to 1, so some of them are not "
                "classes; name the classes, as classes=model.classes"
            )
        return names, values, len(names) > 3
    values = np.asarray(scores)
    if values.ndim == 1 and values.dtype.kind in "OUST":
        names = list(classes) if classes is not None else sorted({*values.tolist(), *truth.tolist()}, key=str)
        if absent := [each for each in values.tolist() if each not in names]:
            raise DataError(f"{absent[0]!r:.60}: is predicted, but not a class; classes: {', '.join(map(str, names))}")
        return names, np.array([[each == name for name in names] for each in values.tolist()], float), False
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(
            f"scores of shape {values.shape} and type {values.dtype}: a table of Classifier.predict, an array (clips, "
            "classes) or the names of predicted classes are expected"
        )
    names = list(range(values.shape[1])) if classes is None else list(classes)
    if len(names) != values.shape[1] or len(set(names)) < len(names):
        raise DataError(f"{len(names)} classes for {values.shape[1]} columns of scores: each needs its own name")
    return names, values.astype(float), len(names) > 3
