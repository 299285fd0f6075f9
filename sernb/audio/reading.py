"""File → mono float32 signal at one sampling rate; every way in which a file can be unusable has its own sentence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernb.audio.decoders import (
    AGAIN,
    BLOCK,
    LITTLE,
    MOST_CHANNELS,
    SILENT,
    AudioError,
    Decoder,
    Hertz,
    Seconds,
    opened,
)

SHORTEST: Seconds = 0.1
SILENCE = f"leave it out or {AGAIN}"
MOST_VALUES = 50_000_000  # samples × channels that are held at once, 200 MB: 17 minutes of mono at 48 kHz
LONGEST: Seconds = 24 * 3600.0  # of a recording that is read in blocks
MOST_STREAMED = 2 * 48_000 * LONGEST  # samples × channels of such a recording
LOUDEST = 100.0  # 40 dB above full scale: no float file of real sound is
FAINTEST = 1e-30  # 600 dB below it: what float32 can hardly make louder
# What may be given instead of a file: what it is called, its middle and its full scale.
WHOLE_NUMBERS = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}
ARRAYS = "(samples,) or (samples, channels) is expected: float from -1 to 1, or uint8, int16, int32 as in WAV files"
NOT_SOUND = {"not-finite": ARRAYS, "silent": "leave it out"}
CANCELLED = 0.25  # of the power that the mean of unrelated channels would have


@dataclass(frozen=True)
class Recording:
    """A recording that was decoded to its end and can be used."""

    path: Path
    sampling_rate: Hertz
    channels: int
    samples: int
    used: tuple[int, ...]  # the channels whose mean is taken
    notes: tuple[str, ...] = ()  # what is odd about the file and was read all the same
    signal: np.ndarray | None = None  # mono, (samples,); None: it is long, see :func:`blocks`

    @property
    def seconds(self) -> Seconds:
        """Its length."""
        return self.samples / self.sampling_rate


def read(path: Path) -> tuple[np.ndarray, Hertz]:
    """Read a recording as it is: mono, at its own rate.

    Channels are averaged, but for silent ones and those that cancel each other (:func:`examine`). Nothing is trimmed or
    made louder: level carries emotion.

    Args:
        path: WAV, FLAC, AIFF, OGG, MP3 and the like (``FORMATS``), or what ffmpeg knows, told by content, not by name

    Returns:
        samples in [-1, 1], float32, shape ``(samples,)``, and the sampling rate in Hz

    Raises:
        AudioError: as :func:`examine`, or if it is too long for memory
    """
    recording = examine(path)
    return recording.signal, recording.sampling_rate


def examine(path: Path, *, held: Seconds | None = None) -> Recording:
    """Decode a recording to its end, and look at its channels before any are averaged.

    Silent channels (40 dB below the loudest) are left out. Where the mean of the others has less than a quarter of the
    power that unrelated channels would leave, they are of opposite phase: then the loudest is taken. Both is noted, as
    is a length that the header does not know.

    Args:
        held: hold the signal up to this length only, and allow a day instead of what fits into memory

    Raises:
        AudioError: if the file is missing, no file, empty, a Git LFS pointer, text, truncated, damaged or not audio,
            if samples are not finite, far too large or all zero, if it is shorter than 0.1 s or too long, has too many
            channels, or if no sound has the sampling rate that it names
    """
    with opened(Path(path)) as decoder:
        if held is None:
            return _examined(decoder, MOST_VALUES)
        return _examined(decoder, MOST_STREAMED, held=min(held * decoder.sampling_rate, MOST_VALUES / decoder.channels))


def examine_array(samples: object, sampling_rate: Hertz, name: str) -> Recording:
    """Look at samples in memory as :func:`examine` does at a file.

    Args:
        samples: one signal, ``(samples,)`` or ``(samples, channels)`` as soundfile reads them: float from -1 to 1, or
            uint8, int16 or int32 over their whole range, as WAV files hold them
        sampling_rate: hertz
        name: what messages call it

    Raises:
        AudioError: if they are none of these, or cannot be used as :func:`examine` says

    Examples:
        >>> tone = np.round(20_000 * np.sin(np.arange(16_000))).astype(np.int16)
        >>> recording = examine_array(tone, 16_000, "a tone")
        >>> recording.seconds, round(float(recording.signal.max()), 3)
        (1.0, 0.61)
    """
    path = Path(name)
    try:
        values = np.asarray(samples)
    except Exception as error:  # whatever another library's tensors raise
        raise AudioError(path, "array", f"cannot be read as an array ({type(error).__name__})", ARRAYS) from error
    if values.dtype.kind != "f" and values.dtype.name not in WHOLE_NUMBERS:
        raise AudioError(path, "array", f"holds {values.dtype.name} values", ARRAYS)
    if values.ndim not in (1, 2) or 0 in values.shape[1:] or values.shape[1:] > (min(MOST_CHANNELS, len(values)),):
        raise AudioError(path, "array", f"has the shape {values.shape}", ARRAYS)
    if values.ndim == 1:
        values = values[:, None]
    middle, full = WHOLE_NUMBERS.get(values.dtype.name, (0, 1))
    step = max(1, int(BLOCK * sampling_rate))

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(values), step):
            with np.errstate(over="ignore"):  # what float32 cannot hold is too loud, and is refused
                yield (values[start : start + step].astype(np.float32) - np.float32(middle)) / np.float32(full)

    try:
        return _examined(Decoder(path, sampling_rate, values.shape[1], len(values), True, blocks()), MOST_STREAMED)
    except AudioError as error:
        raise AudioError(path, error.kind, error.found, NOT_SOUND.get(error.kind, error.advice)) from None


def _examined(decoder: Decoder, most: float, *, held: float = np.inf) -> Recording:
    """Return what was decoded.

    Args:
        most: values, samples × channels, that are allowed
        held: samples up to which the signal is kept
    """
    path, rate, channels = decoder.path, decoder.sampling_rate, decoder.channels
    most = min(most / channels, LONGEST * rate)
    if decoder.promised and decoder.named > most:  # a header may lie, and must not fill the memory
        raise _too_long(path, decoder.named, most, rate)
    kept: list[np.ndarray] | None = []
    samples, peak, looked = 0, 0.0, _Channels(channels)
    for block in decoder.blocks:
        samples += len(block)
        loudest = max(float(block.max()), -float(block.min()))  # NaN if any sample is
        if not loudest <= LOUDEST:
            found = "holds samples that are no sound (NaN, infinite or far too large)"
            raise AudioError(path, "not-finite", found, AGAIN)
        if samples > most:
            raise _too_long(path, samples, most, rate)
        peak = max(peak, loudest)
        looked.add(block)
        if kept is not None:
            kept.append(block)
            if samples > held:
                kept = None
    notes = [*decoder.notes]
    if not decoder.promised:
        if decoder.named not in (None, samples):
            notes.append("its header only estimates its length; it was read to its end")
    elif samples < decoder.named:
        if decoder.named - samples >= LITTLE * rate:
            found = f"is truncated: {samples} of {decoder.named} samples are there"
            raise AudioError(path, "truncated", found, AGAIN)
        notes.append(f"its header names {decoder.named - samples} samples more than are there; it was read to its end")
    if samples < SHORTEST * rate:
        count = f"{samples} sample" + ("s" if samples != 1 else "")
        raise AudioError(path, "too-short", f"holds {count}", f"at least {SHORTEST} s are needed: leave it out")
    if peak < FAINTEST:
        every = "every sample is 0" if peak == 0.0 else f"no sample is above {FAINTEST:g}"
        raise AudioError(path, "silent", f"is pure silence ({every})", SILENCE)
    used, note = looked.used()
    signal = None if kept is None else _joined(kept, used, samples)
    return Recording(path, rate, channels, samples, used, (*notes, *note), signal)


def blocks(recording: Recording) -> Iterator[np.ndarray]:
    """Yield the signal of a recording that was examined, in blocks: mono, at its own rate, float32.

    Raises:
        AudioError: if the file has changed since
    """
    if recording.signal is not None:
        yield recording.signal
        return
    left = recording.samples
    with opened(recording.path) as decoder:
        for block in decoder.blocks:
            if decoder.channels != recording.channels:
                break
            yield _mean(block[:left], recording.used)
            left -= min(left, len(block))
    if left:
        raise AudioError(recording.path, "changed", "was changed while it was read", "try again")


def describe(path: Path) -> tuple[int, Hertz, int]:
    """Return samples, sampling rate and channels of a recording; decoded where its header is not to be believed.

    Raises:
        AudioError: as :func:`opened`
    """
    with opened(path) as decoder:
        samples = decoder.named if decoder.promised else sum(map(len, decoder.blocks))
        return samples, decoder.sampling_rate, decoder.channels


def _too_long(path: Path, samples: float, most: float, rate: Hertz) -> AudioError:
    found = f"has a length of {samples} samples ({samples / rate / 3600:.1f} hours), more than can be read ({most:.0f})"
    return AudioError(path, "too-long", found, "cut it into clips")


class _Channels:
    """Power and likeness of channels, block by block."""

    def __init__(self, channels: int):
        self.count, self.sums, self.products = 0, np.zeros(channels), np.zeros((channels, channels))

    def add(self, block: np.ndarray) -> None:
        if len(self.sums) > 1:
            values = block.astype(np.float64)
            self.count += len(values)
            self.sums += values.sum(axis=0)
            self.products += values.T @ values

    def used(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the channels to take the mean of, and what is to be said about it."""
        channels = len(self.sums)
        every = tuple(range(channels))
        if channels == 1:
            return every, ()
        mean = self.sums / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        power = covariance.diagonal()
        loud = tuple(np.flatnonzero(power > SILENT * power.max()).tolist()) or every
        notes = []
        if len(loud) < channels:
            notes.append(f"{channels - len(loud)} of its {channels} channels are silent and were left out")
        among = covariance[np.ix_(loud, loud)]
        if len(loud) > 1 and among.sum() < CANCELLED * among.trace():
            loud = (int(power.argmax()),)
            notes.append(
                f"its channels cancel each other (opposite phase); channel {loud[0] + 1}, the loudest, was taken"
            )
        return loud, tuple(notes)


def _mean(block: np.ndarray, used: tuple[int, ...]) -> np.ndarray:
    if len(used) == 1:
        return np.ascontiguousarray(block[:, used[0]])
    return (block if len(used) == block.shape[1] else block[:, used]).mean(axis=1)


def _joined(kept: list[np.ndarray], used: tuple[int, ...], samples: int) -> np.ndarray:
    """Return the mean of the channels of all blocks; each block is let go when it has been copied."""
    if len(kept) == 1:
        return _mean(kept.pop(), used)
    signal, at = np.empty(samples, np.float32), samples
    while kept:
        block = _mean(kept.pop(), used)
        signal[at - len(block) : at] = block
        at -= len(block)
    return signal


def load(path: Path, sampling_rate: Hertz, *, resampling: str = "soxr") -> np.ndarray:
    """Read a recording as mono samples at ``sampling_rate``.

    Args:
        resampling: ``soxr``, or ``linear`` for systems whose authors did so (:func:`resample_linearly`)

    Returns:
        samples, nominally in [-1, 1], float32, shape ``(samples,)``

    Raises:
        AudioError: as :func:`read`
    """
    signal, original_rate = read(path)
    change = {"soxr": resample, "linear": resample_linearly}[resampling]
    return change(signal, original_rate=original_rate, sampling_rate=sampling_rate)


def resample_linearly(signal: np.ndarray, *, original_rate: float, sampling_rate: float) -> np.ndarray:
    """Change the sampling rate by joining samples with straight lines, to whole 16-bit steps, as pydub does.

    It adds aliases that soxr does not; some published features were computed on them.

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
    """Change the sampling rate with the soxr library (quality HQ).

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
    """Cut or zero-pad the end, so that ``samples`` remain."""
    return signal[:samples] if len(signal) >= samples else np.pad(signal, (0, samples - len(signal)))


def fit_centre(signal: np.ndarray, samples: int) -> np.ndarray:
    """Cut or zero-pad both ends alike, so that ``samples`` remain; an odd sample is padded at the end.

    Examples:
        >>> fit_centre(np.array([1.0, 2.0]), 5)
        array([0., 1., 2., 0., 0.])
    """
    spare = samples - len(signal)
    if spare < 0:
        return signal[-spare // 2 :][:samples]
    return np.pad(signal, (spare // 2, spare - spare // 2))


def find_problem(path: Path, look: Callable[[Path], object] = read) -> AudioError | None:
    """Return what is wrong with a recording, or nothing."""
    try:
        look(path)
    except AudioError as error:
        return error
    return None
