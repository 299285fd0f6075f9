"""What other programs call: a model's predictions and embeddings, a corpus as a table, the worth of predictions.

``import sernb; found = sernb.load().predict(["one.wav", "two.mp3"])``: the package's own namespace holds these names.
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
from sernb.features.tables import as_table, has_frames, require_encoders
from sernb.prediction.formats import NUMBERS, rows_of, window_rows
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
            a finished run; by default the better bundled model, if ``sernb fetch whisper-tiny.en`` was given, else
            ``functionals-ridge``

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
        raise DataError(f"{folder}: is neither a folder nor a bundled model; bundled are {', '.join(bundled)}")
    try:
        model = load_model(folder)
        require_encoders(model.features)
    except ModuleNotFoundError as error:
        raise DataError(f"{folder}: {advise_install(error)}") from error
    return Classifier(model)


@dataclass(frozen=True, repr=False)
class Classifier:
    """A model that was loaded: it predicts, and gives the features that it reads."""

    model: Model

    def __repr__(self) -> str:
        """Return its name, its classes and its sampling rate."""
        return f"<{self.name}: {', '.join(self.classes)}; {self.sampling_rate} Hz>"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.name

    @property
    def classes(self) -> tuple[str, ...]:
        """What it can predict, in the order of its scores."""
        return self.model.classes

    @property
    def sampling_rate(self) -> Hertz:
        """The rate to which recordings are brought, hertz."""
        return self.model.sampling_rate

    @property
    def metadata(self) -> dict:
        """What its folder says of it: training data, licence, measured scores."""
        return self.model.about

    def only(self, classes: Sequence[str]) -> "Classifier":
        """Return a model that chooses among some classes only; of its prediction sets nothing is known then.

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
            recordings: a file, folder or pattern, or an array of samples, or several of them. An array is one signal,
                ``(samples,)`` or ``(samples, channels)``: float from -1 to 1, or uint8, int16 or int32 as in WAV files
            sampling_rate: of the arrays, hertz; files have their own
            timeline: a row for each window of 3 s, every 1.5 s, instead of one for each recording
            views: use quieter, slower and faster copies of short recordings too
            coverage: of the prediction sets: 0.8, 0.9 or 0.95
            speaker_clips: folder of recordings of the same voice, emotions unknown, to adapt to

        Returns:
            a row for each recording, in order, with the columns of ``sernb predict --csv``: ``file``, ``seconds`` (of
            windows ``start`` and ``end``), ``answer`` (an emotion or "not sure"), ``set`` (with spaces between; empty
            where none is known), ``recording`` (in domain, borderline, out of domain), ``reliable`` (the answer is firm
            and the recording in domain); then ``prediction`` (the likeliest emotion, sure or not), ``confidence`` (its
            probability), ``notes`` (reasons for doubt, and what is odd about the file), ``error`` (why there is no
            prediction; else empty) and a column of probabilities for each class

        Raises:
            DataError: if something is neither path nor array, arrays have no sampling rate, or an option is unknown.
                What is wrong with one recording becomes its row
        """
        import pandas as pd

        self.model.threshold(coverage)
        sources = list_sources(recordings, sampling_rate)
        voice = adapt_to_speaker(self.model, speaker_clips) if speaker_clips else None
        options = {"timeline": timeline, "views": views, "coverage": coverage, "voice": voice}
        make = partial(window_rows if timeline else rows_of, classes=self.classes)
        rows = [row for each in predict_all(self.model, sources, **options) for row in make(*each)]
        columns = ["file", *(("start", "end") if timeline else ("seconds",))]
        columns += [
            "answer",
            "set",
            "recording",
            "reliable",
            "prediction",
            "confidence",
            "notes",
            "error",
            *self.classes,
        ]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(NUMBERS & {*columns} | {*self.classes}, float))

    def embed(self, recordings: object, sampling_rate: Hertz | None = None, *, frames: bool = False) -> "pd.DataFrame":
        """Return what the model reads of recordings: embeddings of its encoder, functionals, or both side by side.

        Args:
            recordings: as :meth:`predict` takes them
            sampling_rate: of the arrays, hertz
            frames: one row for each position of the encoder (of Whisper: 20 ms, from the first that is not silent)

        Returns:
            float32, a column a feature. The index says file, start and end in seconds, and of frames their number: a
            row for each recording or, where it is longer than the training clips, for each window of 3 s. What cannot
            be read is a row of NaN, and a warning says why

        Raises:
            DataError: if the model reads no frames but they are wanted, or the other way round; as :meth:`predict`
        """
        features = _framed(self.model) if frames else self.model.features

        def of(recording: Recording) -> list:
            if frames:
                signal = np.concatenate(list(read_blocks(recording, features.sampling_rate)))
                return [(0.0, recording.seconds, features(signal))]
            return [(start, end, features(signal)) for start, end, signal in cut_recording(self.model, recording)]

        sources = list_sources(recordings, sampling_rate)
        found = ((source.name, source.use(of)) for source in sources)
        rows = (
            (name, *piece)
            for name, pieces in found
            for piece in (pieces if isinstance(pieces, list) else [(0.0, np.nan, pieces)])
        )
        return as_table(rows, features.names, frames=frames)


def _framed(model: Model) -> "Features":
    features = model.features
    if isinstance(features, Joined) and any(isinstance(part, Embedding) for part in features.parts):
        features = features.part(Embedding)
    if isinstance(features, Embedding) and not features.is_table:
        return replace(features, pooling="frames")
    if has_frames(features):
        return features
    raise DataError(
        f"{model.name}: reads one row a recording, so that it has no frames; take a model with an encoder, as "
        "embedding-functionals, or sernb.features(recordings, 'log-mel')"
    )


class CorpusTable(NamedTuple):
    """The clips of a corpus, and what is known of it: ``clips, metadata = sernb.corpus("ravdess")``."""

    clips: "pd.DataFrame"
    metadata: dict[str, object]


def corpus(name: str, data: str | Path | None = None) -> CorpusTable:
    """Return the clips of a corpus as a table, and what is known of the corpus.

    Args:
        name: a corpus, several as ``ravdess+tess``, some clips as ``ravdess:gender=female`` or ``tess:available``, or a
            folder with recordings and a ``labels.csv``
        data: folder of the recordings, by default ``$SERNB_DATA``

    Returns:
        ``clips``: a row a clip with clip, file (missing where the recording is not on this machine), speaker, gender,
        emotion, sentence and what else its publishers say; ``metadata``: name, title, about, licence, citation,
        emotions, clips, speakers, and whether its recordings are of people (``evidence``)

    Raises:
        DataError: if the name is unknown, or no clip is left

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
    said = set(clips["emotion"])
    metadata |= {"emotions": tuple(each for each in EMOTIONS if each in said), "evidence": pool.evidence}
    metadata |= {"clips": len(clips), "speakers": clips["speaker"].nunique()}
    return CorpusTable(clips[[*first, *(column for column in clips if column not in first)]], metadata)


def evaluate(
    truth: Sequence[str], scores: object, *, classes: Sequence[str] | None = None, speakers: Sequence | None = None
) -> "pd.DataFrame":
    """Return what predictions are worth: UAR, WAR, macro F1 and top 3, with intervals and chance levels.

    UAR is the mean recall over the classes that occur, WAR is accuracy. Intervals are the 95 % of 2000 resamplings of
    speakers; with fewer than five, or unknown ones, of clips, and then too narrow for other speakers.

    Args:
        truth: the class of each clip, ``(clips,)``: names, or numbers of ``classes``
        scores: what :meth:`Classifier.predict` returned for the same clips; or an array, ``(clips, classes)``; or the
            names of the predicted classes, ``(clips,)``, which have no top 3
        classes: names of the columns of ``scores``; of an array in their order, of a table those to use
        speakers: who speaks, ``(clips,)``

    Returns:
        a row for each metric; columns: value, low, high (0 … 1), chance (what the best fixed answer reaches on these
        clips), clips, speakers, resampled ("speakers" or "clips")

    Raises:
        DataError: if lengths differ, a truth is none of the classes, or a score is missing

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
        raise DataError(f"truth of the shape {truth.shape}: one class a clip is expected, (clips,)")
    names, values, top = _scores(truth, scores, classes)
    speakers = np.zeros(len(truth)) if speakers is None else np.asarray(speakers)
    if speakers.ndim != 1 or pd.isna(speakers).any():
        raise DataError("speakers: one name a clip is expected, (clips,), none missing; leave speakers= out if unknown")
    speakers = speakers.astype(str) if speakers.dtype == object else speakers  # names and numbers beside each other
    if not len(truth) == len(values) == len(speakers) or not len(truth):
        raise DataError(f"{len(truth)} truths, {len(values)} rows of scores, {len(speakers)} speakers: one each a clip")
    if (missing := int((~np.isfinite(values)).any(axis=1).sum())) > 0:
        raise DataError(
            f"{missing} of {len(values)} clips have no scores, as where a recording could not be used; leave them out "
            "of truth and scores, and say how many they are"
        )
    if truth.dtype.kind in "iu":
        truth = np.asarray([names[at] if 0 <= at < len(names) else at for at in truth.tolist()], object)
    at = {name: number for number, name in enumerate(names)}
    if unknown := [each for each in truth.tolist() if each not in at]:
        raise DataError(
            f"{unknown[0]!r:.60} is none of the classes of the scores, {', '.join(map(str, names))}; leave such clips "
            "out of truth and scores, or map them, and say so"
        )
    found = measure(np.array([at[each] for each in truth.tolist()]), values, speakers)
    kept = {"UAR": "uar", "WAR": "war", "macro F1": "macro_f1", **({"top 3": "top3"} if top else {})}
    intervals = [getattr(found, name) for name in kept.values()]
    return pd.DataFrame(
        {
            "value": [each.value for each in intervals],
            "low": [each.low for each in intervals],
            "high": [each.high for each in intervals],
            "chance": [getattr(found, f"{name}_floor") for name in kept.values()],
            "clips": found.clips,
            "speakers": found.speakers if len(set(speakers.tolist())) > 1 else None,
            "resampled": found.resampled,
        },
        index=list(kept),
    )


def _scores(truth: np.ndarray, scores: object, classes: Sequence[str] | None) -> tuple[list, np.ndarray, bool]:
    """Return the names of classes, scores of each clip and class, and whether they rank the classes."""
    if hasattr(scores, "columns"):
        numbers = scores.select_dtypes("number").columns
        names = list(classes) if classes is not None else [each for each in numbers if each not in NUMBERS]
        if absent := [each for each in names if each not in numbers]:
            raise DataError(
                f"{absent[0]!r:.60}: is no column of numbers in the scores; there are {', '.join(map(str, numbers))}"
            )
        if len(set(names)) < len(names) or scores[names].shape[1] != len(names):
            raise DataError("a class is there twice in the scores; leave each once")
        values = scores[names].to_numpy(float)
        if classes is None and not np.allclose(values[np.isfinite(values).all(axis=1)].sum(axis=1), 1, atol=1e-3):
            raise DataError(
                f"scores: the columns {', '.join(map(str, names))} do not sum to 1, so that some are no classes; name "
                "those that are, as classes=model.classes"
            )
        return names, values, len(names) > 3
    values = np.asarray(scores)
    if values.ndim == 1 and values.dtype.kind in "OUST":
        names = list(classes) if classes is not None else sorted({*values.tolist(), *truth.tolist()}, key=str)
        if absent := [each for each in values.tolist() if each not in names]:
            raise DataError(f"{absent[0]!r:.60}: is predicted, but none of the classes {', '.join(map(str, names))}")
        return names, np.array([[each == name for name in names] for each in values.tolist()], float), False
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(
            f"scores of shape {values.shape} and type {values.dtype}: a table of Classifier.predict, an array (clips, "
            "classes) or the names of predicted classes are expected"
        )
    names = list(range(values.shape[1])) if classes is None else list(classes)
    if len(names) != values.shape[1] or len(set(names)) < len(names):
        raise DataError(f"{len(names)} classes for {values.shape[1]} columns of scores: one different name each")
    return names, values.astype(float), len(names) > 3
