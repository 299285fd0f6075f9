"""Read recordings as mono float32 signals at a given sampling rate, with one message per cause of failure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.audio.decoders import (
    BLOCK,
    DOWNLOAD_AGAIN,
    MAX_CHANNELS,
    SILENT_CHANNEL,
    TOLERANCE,
    AudioError,
    AudioStream,
    Hertz,
    Seconds,
    open_audio,
)

MIN_SECONDS: Seconds = 0.1
LEAVE_OUT = f"leave it out or {DOWNLOAD_AGAIN}"
MAX_VALUES = 50_000_000  # samples × channels that are held at once, 200 MB: 17 minutes of mono at 48 kHz
MAX_SECONDS: Seconds = 24 * 3600.0  # of a recording that is read in blocks
MAX_STREAMED = 2 * 48_000 * MAX_SECONDS  # samples × channels of such a recording
MAX_AMPLITUDE = 100.0  # 40 dB above full scale: no float file of real sound is
MIN_AMPLITUDE = 1e-30  # 600 dB below it: what float32 can hardly make louder
# What may be given instead of a file: what it is called, its middle and its full scale.
INTEGER_FORMATS = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}
EXPECTED = "(samples,) or (samples, channels) is expected: float from -1 to 1, or uint8, int16, int32 as in WAV files"
ARRAY_ADVICE = {"not-finite": EXPECTED, "silent": "leave it out"}
CANCELLATION = 0.25  # of the power that the mean of unrelated channels would have


@dataclass(frozen=True)
class Recording:
    """A valid recording that was decoded to its end."""

    path: Path
    sampling_rate: Hertz
    channels: int
    samples: int
    used: tuple[int, ...]  # channels that are averaged
    notes: tuple[str, ...] = ()  # irregularities of the file that were tolerated
    signal: np.ndarray | None = None  # mono, (samples,); None if too long, see :func:`blocks`

    @property
    def seconds(self) -> Seconds:
        """Duration."""
        return self.samples / self.sampling_rate


def read(path: Path) -> tuple[np.ndarray, Hertz]:
    """Read a recording as mono at its original sampling rate.

    Channels are averaged, except silent and cancelling ones (:func:`examine`). The signal is neither trimmed nor
    normalised: level carries emotion.

    Args:
        path: WAV, FLAC, AIFF, OGG, MP3 etc. (``FORMATS``), or a format of ffmpeg, detected from the content

    Returns:
        samples in [-1, 1], float32, shape ``(samples,)``, and the sampling rate in Hz

    Raises:
        AudioError: as :func:`examine`, or if it is too long for memory
    """
    recording = examine(path)
    return recording.signal, recording.sampling_rate


def examine(path: Path, *, keep_up_to: Seconds | None = None) -> Recording:
    """Decode a recording to its end, check it and select its channels.

    Silent channels (40 dB below the loudest) are omitted. If the mean of the others has less than a quarter of the
    power expected for uncorrelated channels, they have opposite phase, and only the loudest is used. The notes report
    both, and a length missing in the header.

    Args:
        keep_up_to: maximum duration of a signal that is kept in memory; longer recordings, up to a day, are allowed

    Raises:
        AudioError: if the file is missing, not a regular file, empty, a Git LFS pointer, text, truncated, damaged or
            not audio, has samples that are not finite, far too large or all zero, is shorter than 0.1 s or too long,
            or has too many channels or an unsupported sampling rate
    """
    with open_audio(Path(path)) as stream:
        if keep_up_to is None:
            return _decode(stream, MAX_VALUES)
        samples = min(keep_up_to * stream.sampling_rate, MAX_VALUES / stream.channels)
        return _decode(stream, MAX_STREAMED, keep_up_to=samples)


def examine_array(samples: object, sampling_rate: Hertz, name: str) -> Recording:
    """Check an array of samples as :func:`examine` checks a file.

    Args:
        samples: one signal, ``(samples,)`` or ``(samples, channels)`` as in soundfile: float from -1 to 1, or uint8,
            int16 or int32 over their full range, as in WAV files
        sampling_rate: hertz
        name: used in messages

    Raises:
        AudioError: if shape or type differ, or for invalid samples, see :func:`examine`

    Examples:
        >>> tone = np.round(20_000 * np.sin(np.arange(16_000))).astype(np.int16)
        >>> recording = examine_array(tone, 16_000, "a tone")
        >>> recording.seconds, round(float(recording.signal.max()), 3)
        (1.0, 0.61)
    """
    path = Path(name)
    try:
        values = np.asarray(samples)
    except Exception as error:  # of the tensors of any library
        raise AudioError(path, "array", f"cannot be read as an array ({type(error).__name__})", EXPECTED) from error
    if values.dtype.kind != "f" and values.dtype.name not in INTEGER_FORMATS:
        raise AudioError(path, "array", f"holds {values.dtype.name} values", EXPECTED)
    if values.ndim not in (1, 2) or 0 in values.shape[1:] or values.shape[1:] > (min(MAX_CHANNELS, len(values)),):
        raise AudioError(path, "array", f"has the shape {values.shape}", EXPECTED)
    if values.ndim == 1:
        values = values[:, None]
    zero, full_scale = INTEGER_FORMATS.get(values.dtype.name, (0, 1))
    step = max(1, int(BLOCK * sampling_rate))

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(values), step):
            with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused
                yield (values[start : start + step].astype(np.float32) - np.float32(zero)) / np.float32(full_scale)

    try:
        return _decode(AudioStream(path, sampling_rate, values.shape[1], len(values), True, blocks()), MAX_STREAMED)
    except AudioError as error:
        raise AudioError(path, error.kind, error.problem, ARRAY_ADVICE.get(error.kind, error.advice)) from None


def _decode(stream: AudioStream, max_values: float, *, keep_up_to: float = np.inf) -> Recording:
    """Decode and check a recording.

    Args:
        max_values: limit of samples × channels
        keep_up_to: maximum number of samples of a signal that is kept
    """
    path, rate, channels = stream.path, stream.sampling_rate, stream.channels
    longest = min(max_values / channels, MAX_SECONDS * rate)
    if stream.exact and stream.stated_samples > longest:  # a false header must not fill the memory
        raise _too_long(path, stream.stated_samples, longest, rate)
    blocks_kept: list[np.ndarray] | None = []
    samples, peak, statistics = 0, 0.0, _ChannelStatistics(channels)
    for block in stream.blocks:
        samples += len(block)
        loudest = max(float(block.max()), -float(block.min()))  # NaN if any sample is
        if not loudest <= MAX_AMPLITUDE:
            problem = "holds invalid samples (NaN, infinite or far too large)"
            raise AudioError(path, "not-finite", problem, DOWNLOAD_AGAIN)
        if samples > longest:
            raise _too_long(path, samples, longest, rate)
        peak = max(peak, loudest)
        statistics.update(block)
        if blocks_kept is not None:
            blocks_kept.append(block)
            if samples > keep_up_to:
                blocks_kept = None
    notes = [*stream.notes]
    if not stream.exact:
        if stream.stated_samples not in (None, samples):
            notes.append("its header only estimates its length; it was read to its end")
    elif samples < stream.stated_samples:
        missing = stream.stated_samples - samples
        if missing >= TOLERANCE * rate:
            problem = f"is truncated: {missing} of {stream.stated_samples} samples are missing"
            raise AudioError(path, "truncated", problem, DOWNLOAD_AGAIN)
        notes.append(f"its header states {missing} samples more than it has; it was read to its end")
    if samples < MIN_SECONDS * rate:
        count = f"{samples} sample" + ("s" if samples != 1 else "")
        raise AudioError(path, "too-short", f"holds {count}", f"at least {MIN_SECONDS} s are needed: leave it out")
    if peak < MIN_AMPLITUDE:
        detail = "every sample is 0" if peak == 0.0 else f"no sample is above {MIN_AMPLITUDE:g}"
        raise AudioError(path, "silent", f"is pure silence ({detail})", LEAVE_OUT)
    used, channel_notes = statistics.select()
    signal = None if blocks_kept is None else _concatenate(blocks_kept, used, samples)
    return Recording(path, rate, channels, samples, used, (*notes, *channel_notes), signal)


def blocks(recording: Recording) -> Iterator[np.ndarray]:
    """Yield the signal of a recording in blocks: mono, at its original rate, float32, ``(samples,)``.

    Raises:
        AudioError: if the file has changed since :func:`examine`
    """
    if recording.signal is not None:
        yield recording.signal
        return
    left = recording.samples
    with open_audio(recording.path) as stream:
        for block in stream.blocks:
            if stream.channels != recording.channels:
                break
            yield _downmix(block[:left], recording.used)
            left -= min(left, len(block))
    if left:
        raise AudioError(recording.path, "changed", "was changed while it was read", "try again")


def describe(path: Path) -> tuple[int, Hertz, int]:
    """Return samples, sampling rate and channels of a recording, which is decoded if its header is not exact.

    Raises:
        AudioError: as :func:`open_audio`
    """
    with open_audio(path) as stream:
        samples = stream.stated_samples if stream.exact else sum(map(len, stream.blocks))
        return samples, stream.sampling_rate, stream.channels


def _too_long(path: Path, samples: float, longest: float, rate: Hertz) -> AudioError:
    problem = f"has a length of {samples} samples ({samples / rate / 3600:.1f} hours), more than {longest:.0f}"
    return AudioError(path, "too-long", problem, "cut it into clips")


class _ChannelStatistics:
    """Covariance of the channels, accumulated over blocks."""

    def __init__(self, channels: int):
        self.count, self.sums, self.products = 0, np.zeros(channels), np.zeros((channels, channels))

    def update(self, block: np.ndarray) -> None:
        if len(self.sums) > 1:
            values = block.astype(np.float64)
            self.count += len(values)
            self.sums += values.sum(axis=0)
            self.products += values.T @ values

    def select(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the channels to average, and notes on the selection."""
        channels = len(self.sums)
        every = tuple(range(channels))
        if channels == 1:
            return every, ()
        mean = self.sums / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        power = covariance.diagonal()
        loud = tuple(np.flatnonzero(power > SILENT_CHANNEL * power.max()).tolist()) or every
        notes = []
        if len(loud) < channels:
            notes.append(f"{channels - len(loud)} of its {channels} channels are silent and were left out")
        audible = covariance[np.ix_(loud, loud)]
        if len(loud) > 1 and audible.sum() < CANCELLATION * audible.trace():
            loud = (int(power.argmax()),)
            notes.append(
                f"its channels cancel each other (opposite phase); only channel {loud[0] + 1} (the loudest) is used"
            )
        return loud, tuple(notes)


def _downmix(block: np.ndarray, used: tuple[int, ...]) -> np.ndarray:
    if len(used) == 1:
        return np.ascontiguousarray(block[:, used[0]])
    return (block if len(used) == block.shape[1] else block[:, used]).mean(axis=1)


def _concatenate(blocks_kept: list[np.ndarray], used: tuple[int, ...], samples: int) -> np.ndarray:
    """Return the mean of the channels of all blocks; each block is freed once it has been copied."""
    if len(blocks_kept) == 1:
        return _downmix(blocks_kept.pop(), used)
    signal, at = np.empty(samples, np.float32), samples
    while blocks_kept:
        block = _downmix(blocks_kept.pop(), used)
        signal[at - len(block) : at] = block
        at -= len(block)
    return signal


def load(path: Path, sampling_rate: Hertz, *, resampling: str = "soxr") -> np.ndarray:
    """Read a recording as mono samples at ``sampling_rate``.

    Args:
        resampling: ``soxr``, or ``linear`` as in some published systems (:func:`resample_linearly`)

    Returns:
        samples, nominally in [-1, 1], float32, shape ``(samples,)``

    Raises:
        AudioError: as :func:`read`
    """
    signal, original_rate = read(path)
    change = {"soxr": resample, "linear": resample_linearly}[resampling]
    return change(signal, original_rate=original_rate, sampling_rate=sampling_rate)


def resample_linearly(signal: np.ndarray, *, original_rate: float, sampling_rate: float) -> np.ndarray:
    """Resample by linear interpolation with 16-bit quantisation, as pydub does.

    It causes aliasing, which is part of some published features.

    Returns:
        float32, shape ``(ceil(samples * sampling_rate / original_rate),)``
    """
    if original_rate == sampling_rate:
        return signal
    count = int(np.ceil(len(signal) * sampling_rate / original_rate))
    at = np.arange(count) * (original_rate / sampling_rate)
    steps = np.interp(at, np.arange(len(signal)), signal) * 32_768
    return (np.trunc(steps) / 32_768).astype(np.float32)


def resample(signal: np.ndarray, *, original_rate: float, sampling_rate: float) -> np.ndarray:
    """Resample with the soxr library (quality HQ).

    Returns:
        float32, shape ``(ceil(samples * sampling_rate / original_rate),)``

    Examples:
        >>> len(resample(np.zeros(48_000, np.float32), original_rate=48_000, sampling_rate=22_050))
        22050
    """
    import soxr

    if original_rate == sampling_rate:
        return signal
    changed = soxr.resample(signal, original_rate, sampling_rate)
    return fit_end(changed, int(np.ceil(len(signal) * sampling_rate / original_rate)))


def fit_end(signal: np.ndarray, samples: int) -> np.ndarray:
    """Truncate or zero-pad the end to a length of ``samples``."""
    return signal[:samples] if len(signal) >= samples else np.pad(signal, (0, samples - len(signal)))


def fit_centre(signal: np.ndarray, samples: int) -> np.ndarray:
    """Truncate or zero-pad both ends equally to a length of ``samples``; an odd sample is padded at the end.

    Examples:
        >>> fit_centre(np.array([1.0, 2.0]), 5)
        array([0., 1., 2., 0., 0.])
    """
    padding = samples - len(signal)
    if padding < 0:
        return signal[-padding // 2 :][:samples]
    return np.pad(signal, (padding // 2, padding - padding // 2))


def find_problem(path: Path, check: Callable[[Path], object] = read) -> AudioError | None:
    """Return the error that a check of a recording raises, or None."""
    try:
        check(path)
    except AudioError as error:
        return error
    return None
