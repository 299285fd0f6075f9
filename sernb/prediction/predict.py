"""Your recordings → emotion probabilities, over time if wanted, with a confidence and a domain check.

A recording no longer than the training clips is predicted as a whole, like the test clips of a run. A longer one is cut
into windows: windows without voice are marked and skipped, the probabilities of the others are averaged. Windows are
read and predicted in batches, so that memory does not grow with the length of the recording.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernb.audio.augmentation import TEST_VIEWS, Gain, Speed, View, apply_view
from sernb.audio.decoders import AudioError, Hertz, Seconds
from sernb.audio.reading import MIN_SECONDS, Recording
from sernb.audio.recordings import Source, examine_recording, find_recordings, read_blocks
from sernb.config import DataError
from sernb.prediction import domain_check
from sernb.prediction.domain_check import IN_DOMAIN, OUT_OF_DOMAIN, DomainCheck
from sernb.prediction.model import Model

WINDOW: Seconds = 3.0
STEP: Seconds = 1.5  # from window to window of a timeline
BATCH = 32  # windows per batch
COVERAGE = 0.9
# Test-time augmentation; without white noise, to which the functionals are most sensitive.
TTA_VIEWS: tuple[View, ...] = tuple(view for view in TEST_VIEWS if isinstance(view, Gain | Speed))
LEAST_AGREEMENT = 0.75  # least share of views, the recording itself included, that predict the same class
NOT_SURE, NO_SPEECH = "not sure", "no speech"
ADAPTED_NOTE = 'adapted to the speaker with {} clips; the confidence threshold of "not sure" is not calibrated for this'

Predictor = Callable[[Sequence[np.ndarray]], np.ndarray]  # features of clips → probabilities, (clips, classes)


@dataclass(frozen=True)
class Window:
    """A window of a recording and its probabilities."""

    start: Seconds
    end: Seconds
    scores: np.ndarray | None  # probabilities, (classes,); None: no voice

    @property
    def has_voice(self) -> bool:
        """Whether the window contains voice and was predicted."""
        return self.scores is not None


@dataclass(frozen=True)
class Prediction:
    """The prediction for one recording."""

    path: Path
    seconds: Seconds
    classes: tuple[str, ...]
    scores: np.ndarray  # probabilities, (classes,)
    unsure_below: float
    threshold: float | None  # least probability of an emotion in the prediction set; None: the model has no sets
    domain_check: DomainCheck | None  # None: the model has no domain bounds
    windows: tuple[Window, ...] = ()  # of a timeline, or of a recording longer than the training clips
    agreement: float | None = None  # share of TTA views whose most probable emotion is that of their mean
    windows_predicted: int = 1  # windows that the probabilities are the mean of
    features: np.ndarray | None = field(default=None, repr=False)  # (values,); None: predicted in windows
    notes: tuple[str, ...] = ()  # remarks on the file, which was read nevertheless
    model: str = ""  # its name
    speaker_clips: int = 0  # number of clips used for speaker adaptation

    @property
    def best(self) -> str:
        """The most probable emotion, whatever its confidence."""
        return self.classes[int(self.scores.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of the most probable emotion."""
        return float(self.scores.max())

    @property
    def answer(self) -> str:
        """The most probable emotion, or "not sure"."""
        return NOT_SURE if self.doubts else self.best

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the answer is "not sure"; empty otherwise."""
        reasons = []
        if self.domain_check and self.domain_check.verdict == OUT_OF_DOMAIN:
            reasons.append("the recording is out of domain")
        if self.confidence < self.unsure_below:
            reasons.append(f"the most probable emotion has only {100 * self.confidence:.0f} %")
        if self.agreement is not None and self.agreement < LEAST_AGREEMENT:
            reasons.append(f"only {100 * self.agreement:.0f} % of the TTA views agree")
        return tuple(reasons)

    @property
    def reliable(self) -> bool:
        """Whether the prediction is reliable, see :func:`is_reliable`."""
        return is_reliable(self.answer, self.domain_check and self.domain_check.verdict)

    @property
    def prediction_set(self) -> tuple[str, ...]:
        """The prediction set, most probable first; empty without sets, or out of domain."""
        is_out_of_domain = self.domain_check and self.domain_check.verdict == OUT_OF_DOMAIN
        return () if self.threshold is None or is_out_of_domain else self.emotions

    @property
    def emotions(self) -> tuple[str, ...]:
        """The prediction set, most probable first; without sets the most probable emotion."""
        order = np.argsort(-self.scores, kind="stable")
        if self.threshold is None:
            return (self.best,)
        emotions = [self.classes[at] for at in order if self.scores[at] >= self.threshold]
        return tuple(emotions) or (self.best,)

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the most probable emotions with their probabilities."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.classes[at], float(self.scores[at])) for at in order]

    def label_window(self, window: Window) -> str:
        """Return the label of a window: an emotion, "not sure" or "no speech"."""
        if window.scores is None:
            return NO_SPEECH
        is_sure = window.scores.max() >= self.unsure_below and not (
            self.domain_check and self.domain_check.verdict == OUT_OF_DOMAIN
        )
        return self.classes[int(window.scores.argmax())] if is_sure else NOT_SURE


def is_reliable(answer: str, verdict: str | None) -> bool:
    """Return whether a prediction is reliable: an emotion, for a recording in domain.

    Args:
        answer: an emotion, "not sure" or "no speech"
        verdict: of the domain check; None: the model has no domain bounds, so no prediction is reliable

    Examples:
        >>> is_reliable("sad", "in domain"), is_reliable("sad", "borderline"), is_reliable("not sure", "in domain")
        (True, False, False)
    """
    return answer not in (NOT_SURE, NO_SPEECH) and verdict == IN_DOMAIN


@dataclass(frozen=True)
class Segment:
    """A segment of a recording with its features and domain measures."""

    start: Seconds
    end: Seconds
    signal: np.ndarray = field(repr=False)
    features: np.ndarray = field(repr=False)  # (frames, width)
    measures: dict[str, float] | None  # None: the model has no domain bounds


def predict(
    model: Model,
    recording: str | Path | Recording,
    *,
    timeline: bool = False,
    views: bool = False,
    coverage: float = COVERAGE,
    adapted: tuple[Predictor, int] | None = None,
) -> Prediction:
    """Predict the emotion in a recording.

    Args:
        model: predicts the recording
        recording: a path, or a recording that was already opened
        timeline: also predict overlapping windows of 3 s, every 1.5 s
        views: test-time augmentation: average over the recording and quieter, slower and faster copies of it; only for
            recordings predicted as a whole
        coverage: share of clips of new speakers, recorded like the training clips, whose prediction set contains the
            emotion
        adapted: predictor adapted to a speaker and the number of clips used, see :func:`adapt_to_speaker`; by default
            the model without adaptation

    Raises:
        DataError: if the recording cannot be read, contains no voice, or the model has no sets of this coverage
    """
    if not isinstance(recording, Recording):
        recording = examine_recording(Path(recording))
    path = recording.path
    predictor, adapted_clips = adapted or (model.scores, 0)
    threshold = model.threshold(coverage, clips=adapted_clips)
    common = {"classes": model.classes, "unsure_below": model.unsure_below, "threshold": threshold, "model": model.name}
    notes = (*recording.notes, *([ADAPTED_NOTE.format(adapted_clips)] if adapted_clips else ()))
    common |= {"speaker_clips": adapted_clips, "notes": notes}
    is_short = model.longest is None or recording.seconds <= model.longest
    signals = read_blocks(recording, model.sampling_rate)
    if not is_short:
        step = STEP if timeline else WINDOW
        return _predict_windows(
            model, path, recording.seconds, cut_windows(signals, model.sampling_rate, step), predictor, common
        )
    signal = np.concatenate(list(signals))
    segment = _make_segment(model, path, 0.0, recording.seconds, signal)
    if not _has_voice(model, segment.measures):
        raise no_speech_error(path)
    copies = [apply_view(path.name, view, signal, model.sampling_rate) for view in (TTA_VIEWS if views else ())]
    view_scores = predictor([segment.features, *map(model.features, copies)])
    mean_scores = view_scores.mean(axis=0)
    agreement = float((view_scores.argmax(axis=1) == mean_scores.argmax()).mean()) if views else None
    windows: tuple[Window, ...] = ()
    if timeline:
        cuts = cut_windows(iter([signal]), model.sampling_rate, STEP)
        windows = tuple(window for window, _ in _score_windows(model, path, cuts, predictor))
    domain = _check_domain(model, segment.measures)
    return Prediction(
        path,
        recording.seconds,
        scores=mean_scores,
        domain_check=domain,
        windows=windows,
        agreement=agreement,
        features=segment.features[0],
        **common,
    )


def predict_all(
    model: Model, sources: Iterable[Source], **options: object
) -> Iterator[tuple[Path, Prediction | DataError]]:
    """Predict recordings one by one; one that fails yields its error.

    Args:
        model: predicts every recording
        sources: as returned by :func:`sernb.audio.recordings.list_sources`
        options: passed to :func:`predict`
    """
    for source in sources:
        yield source.path, source.use(lambda recording: predict(model, recording, **options))


def adapt_to_speaker(model: Model, folder: str | Path) -> tuple[Predictor, int]:
    """Adapt a model to a speaker with unlabelled recordings.

    Args:
        model: one with parameters for adaptation
        folder: recordings of one speaker

    Returns:
        a predictor for that speaker, and the number of clips or windows used

    Raises:
        DataError: if the model does not support adaptation, or no recording contains voice
    """
    require_adaptation(model)
    clips = [features for path in find_recordings([str(folder)]) for features in read_speaker_clips(model, path)]
    if not clips:
        raise DataError(f"{folder}: its recordings contain no speech; use other recordings")
    return model.adaptation.adapt(clips), len(clips)


def require_adaptation(model: Model) -> None:
    """Raise DataError if a model does not support speaker adaptation."""
    if model.adaptation is None:
        raise DataError(f"{model.name}: does not support speaker adaptation; use the bundled model")


def read_speaker_clips(model: Model, path: Path) -> Iterator[np.ndarray]:
    """Yield features, ``(1, values)``, of a recording, or of a long one's windows, with voice.

    Raises:
        AudioError: if the recording cannot be read
    """
    segments = (_make_segment(model, path, *each) for each in cut_recording(model, examine_recording(path)))
    yield from (piece.features for piece in segments if _has_voice(model, piece.measures))


def cut_recording(model: Model, recording: Recording) -> Iterator[tuple[Seconds, Seconds, np.ndarray]]:
    """Yield start, end and signal of a short recording, or of each 3-s window of a long one."""
    signals = read_blocks(recording, model.sampling_rate)
    if model.longest is None or recording.seconds <= model.longest:
        yield 0.0, recording.seconds, np.concatenate(list(signals))
    else:
        yield from cut_windows(signals, model.sampling_rate, WINDOW)


def _predict_windows(
    model: Model, path: Path, seconds: Seconds, cuts: Iterator, predictor: Predictor, common: dict
) -> Prediction:
    windows, measures, levels = [], [], []
    for window, segment in _score_windows(model, path, cuts, predictor):
        windows.append(window)
        levels.append(domain_check.frame_levels(segment.signal, model.sampling_rate))
        if window.has_voice and segment.measures:
            measures.append(segment.measures)
    window_scores = [window.scores for window in windows if window.scores is not None]
    if not window_scores:
        raise no_speech_error(path)
    recording_measures = domain_check.combine_measures(measures, np.concatenate(levels)) if measures else None
    return Prediction(
        path,
        seconds,
        scores=np.mean(window_scores, axis=0),
        domain_check=_check_domain(model, recording_measures),
        windows=tuple(windows),
        windows_predicted=len(window_scores),
        **common,
    )


def _score_windows(model: Model, path: Path, cuts: Iterator, predictor: Predictor) -> Iterator[tuple[Window, Segment]]:
    """Yield windows with their probabilities, predicted in batches."""
    batch: list[Segment] = []

    def score_batch() -> Iterator[tuple[Window, Segment]]:
        voiced = [segment for segment in batch if _has_voice(model, segment.measures)]
        scores_of = {}
        if voiced:
            scores_of = dict(zip(map(id, voiced), predictor([segment.features for segment in voiced]), strict=True))
        for segment in batch:
            yield Window(segment.start, segment.end, scores_of.get(id(segment))), segment

    for start, end, signal in cuts:
        batch.append(_make_segment(model, path, start, end, signal))
        if len(batch) == BATCH:
            yield from score_batch()
            batch = []
    yield from score_batch()


def cut_windows(
    signals: Iterable[np.ndarray], rate: Hertz, step: Seconds
) -> Iterator[tuple[Seconds, Seconds, np.ndarray]]:
    """Yield start, end and signal of the windows of a signal given in blocks, up to its end."""
    length, hop = round(WINDOW * rate), round(step * rate)
    # samples still needed, their position, end of the last window
    buffer, position, last_end = np.zeros(0, np.float32), 0, 0
    for signal in signals:
        buffer = np.concatenate([buffer, signal])
        while len(buffer) >= length + hop:  # a window is yielded only when another full one follows it
            yield position / rate, (position + length) / rate, buffer[:length]
            buffer, position, last_end = buffer[hop:], position + hop, position + length
    while len(buffer) > length:
        yield position / rate, (position + length) / rate, buffer[:length]
        last_end, excess = position + length, len(buffer) - length
        shift = min(hop, excess)
        buffer, position = buffer[shift:], position + shift
    if position + len(buffer) > last_end and len(buffer) >= MIN_SECONDS * rate:
        yield position / rate, (position + len(buffer)) / rate, buffer


def _make_segment(model: Model, path: Path, start: Seconds, end: Seconds, signal: np.ndarray) -> Segment:
    features = _compute_features(model, path, signal)
    if "readiness" not in model.metadata:
        return Segment(start, end, signal, features, None)
    if model.reference:
        measures = model.reference.measure(signal)
    else:
        measures = domain_check.measure(signal, features[0], model.features, model.classifier)
    return Segment(start, end, signal, features, measures)


def _compute_features(model: Model, path: Path, signal: np.ndarray) -> np.ndarray:
    if getattr(model.features, "is_table", False):
        import pandas as pd

        clips = pd.DataFrame({"clip": [path.stem], "path": [str(path)]})
        return model.features.from_table(clips)[path.stem]
    return model.features(signal)


def no_speech_error(path: Path) -> AudioError:
    """Return the error for a recording without voice."""
    return AudioError(
        path, "no-speech", "contains no speech", "record again, closer to the microphone and without music"
    )


def _has_voice(model: Model, measures: dict[str, float] | None) -> bool:
    return measures is None or measures["voice"] >= model.metadata["readiness"]["voice"]["stop"]


def _check_domain(model: Model, measures: dict[str, float] | None) -> DomainCheck | None:
    return None if measures is None else domain_check.check_domain(measures, model.metadata["readiness"])
