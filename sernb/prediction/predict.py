"""Recordings of one's own → emotions over time, how sure the model is, and whether it can be trusted there at all.

A recording as short as the training clips is answered as a whole, as a run answers its test clips. A longer one is cut
into windows; those without voice are marked and not answered, the answer is the mean of the others. Of a recording only
some windows are held at a time, so that hours need no more memory than seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernb.audio.augmentation import TEST_VIEWS, Gain, Speed, View, apply_view
from sernb.audio.decoders import AudioError, Hertz, Seconds
from sernb.audio.reading import SHORTEST, Recording
from sernb.audio.recordings import Source, find_recordings, read_blocks, recording_of
from sernb.config import DataError
from sernb.prediction import domain_check
from sernb.prediction.domain_check import IN_DOMAIN, OUT_OF_DOMAIN, DomainCheck
from sernb.prediction.model import Model

WINDOW: Seconds = 3.0
STEP: Seconds = 1.5  # from window to window of a timeline
TOGETHER = 32  # windows that are answered at once
COVERAGE = 0.9
# As what a recording is heard once more when views are asked for; white noise is what the functionals bear least.
VIEWS: tuple[View, ...] = tuple(view for view in TEST_VIEWS if isinstance(view, Gain | Speed))
AGREED = 0.75  # of the views, with the recording itself, at least
NOT_SURE, NO_SPEECH = "not sure", "no speech"
ADAPTED = "adapted to a voice by {} clips; from which confidence on to be sure is not calibrated for adapted voices"

Scores = Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → (clips, classes)


@dataclass(frozen=True)
class Window:
    """A stretch of a recording and what the model says of it."""

    start: Seconds
    end: Seconds
    scores: np.ndarray | None  # probabilities, (classes,); None: there is no voice

    @property
    def voiced(self) -> bool:
        """Whether there is something to answer."""
        return self.scores is not None


@dataclass(frozen=True)
class Prediction:
    """What the model says of one recording."""

    path: Path
    seconds: Seconds
    classes: tuple[str, ...]
    scores: np.ndarray  # probabilities, (classes,)
    unsure_below: float
    threshold: float | None  # from this probability on an emotion belongs to the set; None: sets are not known
    readiness: DomainCheck | None  # None: the model does not know its training corpus
    windows: tuple[Window, ...] = ()  # of a timeline, or of a recording that is longer than training clips
    votes: float | None = None  # share of views that gave the answer of them all
    answered: int = 1  # windows that the answer is the mean of
    row: np.ndarray | None = field(default=None, repr=False)  # features of a recording that was answered as a whole
    notes: tuple[str, ...] = ()  # what is odd about the file and was read all the same
    model: str = ""  # by name
    speaker_clips: int = 0  # of the voice that the model was adapted to

    @property
    def best(self) -> str:
        """The likeliest emotion, sure or not."""
        return self.classes[int(self.scores.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of the likeliest emotion."""
        return float(self.scores.max())

    @property
    def answer(self) -> str:
        """The likeliest emotion, or "not sure"."""
        return NOT_SURE if self.doubts else self.best

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why there is no answer; empty where there is one."""
        found = []
        if self.readiness and self.readiness.verdict == OUT_OF_DOMAIN:
            found.append("the recording is too unlike the training corpus")
        if self.confidence < self.unsure_below:
            found.append(f"the likeliest emotion has {100 * self.confidence:.0f} % only")
        if self.votes is not None and self.votes < AGREED:
            found.append(f"only {100 * self.votes:.0f} % of the views agree")
        return tuple(found)

    @property
    def reliable(self) -> bool:
        """Whether the probabilities may be relied on, see :func:`is_reliable`."""
        return is_reliable(self.answer, self.readiness and self.readiness.verdict)

    @property
    def stated_set(self) -> tuple[str, ...]:
        """The prediction set, likeliest first; empty where its coverage is not known: no sets, or out of domain."""
        far = self.readiness and self.readiness.verdict == OUT_OF_DOMAIN
        return () if self.threshold is None or far else self.emotions

    @property
    def emotions(self) -> tuple[str, ...]:
        """The prediction set, likeliest first; never empty; without known sets the likeliest emotion."""
        order = np.argsort(-self.scores, kind="stable")
        if self.threshold is None:
            return (self.best,)
        kept = [self.classes[at] for at in order if self.scores[at] >= self.threshold]
        return tuple(kept) or (self.best,)

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the likeliest emotions with their probabilities."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.classes[at], float(self.scores[at])) for at in order]

    def said(self, window: Window) -> str:
        """Return what is said of a window: an emotion, "not sure" or "no speech"."""
        if window.scores is None:
            return NO_SPEECH
        sure = window.scores.max() >= self.unsure_below and not (
            self.readiness and self.readiness.verdict == OUT_OF_DOMAIN
        )
        return self.classes[int(window.scores.argmax())] if sure else NOT_SURE


def is_reliable(answer: str, verdict: str | None) -> bool:
    """Return whether an answer and its probabilities may be relied on: it is firm, and the recording in domain.

    Args:
        verdict: of the domain check; None: the model has none, so that nothing is known

    Examples:
        >>> is_reliable("sad", "in domain"), is_reliable("sad", "borderline"), is_reliable("not sure", "in domain")
        (True, False, False)
    """
    return answer not in (NOT_SURE, NO_SPEECH) and verdict == IN_DOMAIN


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording, its features and what was measured on it."""

    start: Seconds
    end: Seconds
    signal: np.ndarray = field(repr=False)
    features: np.ndarray = field(repr=False)  # (frames, width)
    measures: dict[str, float] | None


def predict(
    model: Model,
    recording: str | Path | Recording,
    *,
    timeline: bool = False,
    views: bool = False,
    coverage: float = COVERAGE,
    voice: tuple[Scores, int] | None = None,
) -> Prediction:
    """Say what the model hears in a recording.

    Args:
        recording: a file, or what was read of one or of an array
        timeline: answer for windows that overlap, too
        views: hear a recording that is answered as a whole quieter, slower and faster as well, and take the mean
        coverage: share of clips of new speakers, of the kind that the model was trained on, whose set holds the emotion
        voice: answers adapted to a voice, and to how many of its clips, as :func:`adapt_to_speaker` returns; by default
            the model's own

    Raises:
        DataError: if the recording cannot be used, has no voice, or the coverage is not known
    """
    if not isinstance(recording, Recording):
        recording = recording_of(Path(recording))
    path = recording.path
    scores, clips = voice or (model.scores, 0)
    threshold = model.threshold(coverage, clips=clips)
    known = {"classes": model.classes, "unsure_below": model.unsure, "threshold": threshold, "model": model.name}
    known |= {"speaker_clips": clips, "notes": (*recording.notes, *([ADAPTED.format(clips)] if clips else ()))}
    whole = model.longest is None or recording.seconds <= model.longest
    signals = read_blocks(recording, model.sampling_rate)
    if not whole:
        step = STEP if timeline else WINDOW
        return _of_windows(
            model, path, recording.seconds, cut_windows(signals, model.sampling_rate, step), scores, known
        )
    signal = np.concatenate(list(signals))
    piece = _piece(model, path, 0.0, recording.seconds, signal)
    if not _has_voice(model, piece.measures):
        raise no_speech(path)
    others = [apply_view(path.name, view, signal, model.sampling_rate) for view in (VIEWS if views else ())]
    each = scores([piece.features, *map(model.features, others)])
    found = each.mean(axis=0)
    votes = float((each.argmax(axis=1) == found.argmax()).mean()) if views else None
    windows: tuple[Window, ...] = ()
    if timeline:
        cut = cut_windows(iter([signal]), model.sampling_rate, STEP)
        windows = tuple(window for window, _ in _answered(model, path, cut, scores))
    checked = _readiness(model, piece.measures)
    return Prediction(
        path,
        recording.seconds,
        scores=found,
        readiness=checked,
        windows=windows,
        votes=votes,
        row=piece.features[0],
        **known,
    )


def predict_all(
    model: Model, sources: Iterable[Source], **options: object
) -> Iterator[tuple[Path, Prediction | DataError]]:
    """Yield what the model hears in each of some recordings; what is wrong with one does not keep the others from it.

    Args:
        sources: as :func:`sernb.audio.recordings.list_sources` returns them
        options: of :func:`predict`
    """
    for source in sources:
        yield source.path, source.use(lambda recording: predict(model, recording, **options))


def adapt_to_speaker(model: Model, folder: str | Path) -> tuple[Scores, int]:
    """Adapt a model to a voice by recordings of it, whose emotions nobody needs to know.

    Returns:
        the answers for that voice, and how many clips or windows were heard

    Raises:
        DataError: if the model cannot adapt, or no recording there has a voice
    """
    refuse_unadaptable(model)
    clips = [features for path in find_recordings([str(folder)]) for features in read_speaker_clips(model, path)]
    if not clips:
        raise DataError(f"{folder}: no speech is heard in its recordings; take others")
    return model.adaptation.to(clips), len(clips)


def refuse_unadaptable(model: Model) -> None:
    """Raise DataError where a model cannot adapt to voices."""
    if model.adaptation is None:
        raise DataError(f"{model.name}: does not adapt to voices; take the bundled model")


def read_speaker_clips(model: Model, path: Path) -> Iterator[np.ndarray]:
    """Yield the features, ``(1, values)``, of a recording, or of each window of a long one, that has a voice.

    Raises:
        AudioError: if it cannot be used
    """
    pieces = (_piece(model, path, *each) for each in cut_recording(model, recording_of(path)))
    yield from (piece.features for piece in pieces if _has_voice(model, piece.measures))


def cut_recording(model: Model, recording: Recording) -> Iterator[tuple[Seconds, Seconds, np.ndarray]]:
    """Yield start, end and signal: of the whole where it is as long as training clips, else of windows of 3 s."""
    signals = read_blocks(recording, model.sampling_rate)
    if model.longest is None or recording.seconds <= model.longest:
        yield 0.0, recording.seconds, np.concatenate(list(signals))
    else:
        yield from cut_windows(signals, model.sampling_rate, WINDOW)


def _of_windows(model: Model, path: Path, seconds: Seconds, cut: Iterator, scores: Scores, known: dict) -> Prediction:
    windows, measured, levels = [], [], []
    for window, piece in _answered(model, path, cut, scores):
        windows.append(window)
        levels.append(domain_check.frame_levels(piece.signal, model.sampling_rate))
        if window.voiced and piece.measures:
            measured.append(piece.measures)
    answered = [window.scores for window in windows if window.scores is not None]
    if not answered:
        raise no_speech(path)
    together = domain_check.join_checks(measured, np.concatenate(levels)) if measured else None
    return Prediction(
        path,
        seconds,
        scores=np.mean(answered, axis=0),
        readiness=_readiness(model, together),
        windows=tuple(windows),
        answered=len(answered),
        **known,
    )


def _answered(model: Model, path: Path, cut: Iterator, scores: Scores) -> Iterator[tuple[Window, Piece]]:
    """Yield windows with their answers, some at a time."""
    waiting: list[Piece] = []

    def answers() -> Iterator[tuple[Window, Piece]]:
        voiced = [piece for piece in waiting if _has_voice(model, piece.measures)]
        of = {}
        if voiced:
            of = dict(zip(map(id, voiced), scores([piece.features for piece in voiced]), strict=True))
        for piece in waiting:
            yield Window(piece.start, piece.end, of.get(id(piece))), piece

    for start, end, signal in cut:
        waiting.append(_piece(model, path, start, end, signal))
        if len(waiting) == TOGETHER:
            yield from answers()
            waiting = []
    yield from answers()


def cut_windows(
    signals: Iterable[np.ndarray], rate: Hertz, step: Seconds
) -> Iterator[tuple[Seconds, Seconds, np.ndarray]]:
    """Cut a recording, block by block, into windows: start, end, signal; the last one ends with the recording."""
    length, hop = round(WINDOW * rate), round(step * rate)
    held, at, ended = np.zeros(0, np.float32), 0, 0  # samples not yet left behind, where they begin, end of a window
    for signal in signals:
        held = np.concatenate([held, signal])
        while len(held) >= length + hop:  # one more may follow, so that the last is known as such
            yield at / rate, (at + length) / rate, held[:length]
            held, at, ended = held[hop:], at + hop, at + length
    while len(held) > length:
        yield at / rate, (at + length) / rate, held[:length]
        ended, beyond = at + length, len(held) - length
        moved = min(hop, beyond)
        held, at = held[moved:], at + moved
    if at + len(held) > ended and len(held) >= SHORTEST * rate:
        yield at / rate, (at + len(held)) / rate, held


def _piece(model: Model, path: Path, start: Seconds, end: Seconds, signal: np.ndarray) -> Piece:
    features = _features(model, path, signal)
    if "readiness" not in model.about:
        return Piece(start, end, signal, features, None)
    if model.reference:
        measures = model.reference.measure(signal)
    else:
        measures = domain_check.measure(signal, features[0], model.features, model.machine)
    return Piece(start, end, signal, features, measures)


def _features(model: Model, path: Path, signal: np.ndarray) -> np.ndarray:
    if getattr(model.features, "is_table", False):
        import pandas as pd

        clips = pd.DataFrame({"clip": [path.stem], "path": [str(path)]})
        return model.features.of_table(clips)[path.stem]
    return model.features(signal)


def no_speech(path: Path) -> AudioError:
    """Return the error of a recording in which there is no voice."""
    return AudioError(path, "no-speech", "no speech is heard in it", "record a voice, nearer and without music")


def _has_voice(model: Model, measures: dict[str, float] | None) -> bool:
    return measures is None or measures["voice"] >= model.about["readiness"]["voice"]["stop"]


def _readiness(model: Model, measures: dict[str, float] | None) -> DomainCheck | None:
    return None if measures is None else domain_check.check_domain(measures, model.about["readiness"])
