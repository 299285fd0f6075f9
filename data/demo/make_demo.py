"""Make the built-in corpus: 240 clips of synthetic speech in eight acted manners.

Nobody spoke these clips. eSpeak NG, a rule-based synthesiser, says RAVDESS's two sentences in eight made-up voices, and
the table ``EMOTIONS`` below says how: faster or slower, higher or lower, livelier or flatter, louder or softer, bright
or dull, breathy, trembling, rough, with or without a pause. What eSpeak NG cannot do to a voice (spectral tilt, breath,
tremor, roughness) is done to its samples afterwards.

The numbers come from common descriptions of emotional speech, not from measurements. Whatever a classifier reaches on
these clips tells how well it reads this table back. **The corpus is synthetic and no evidence about emotion**; it is
here so that every step of the workbook runs at once, without a download.

Two things keep the task from being trivial, as in real corpora. Every voice has its own way of acting: it exaggerates
or holds back, and it deviates from the table in its own direction, so that what was learned from some voices fits
another one only in part. And no two clips of a voice are quite alike.

Every clip depends on its own name alone, and is spoken in a process of its own, because eSpeak NG carries state from
one utterance to the next. So the files are the same bytes whenever they are made with the same versions of
espeakng-loader (0.2.4), NumPy, SciPy, soxr and soundfile; other versions may differ in the last bit.

    python data/demo/make_demo.py [--into DIR] [--settings]

Beside the clips a table is written, ``settings.csv``: rate, pitch, range and loudness that each clip was made with.
"""

import argparse
import csv
import ctypes
import multiprocessing
import os
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
import soundfile
import soxr
from tqdm import tqdm

SAMPLING_RATE = 16_000  # of the clips [Hz]
SENTENCES = {1: ("Kids are talking", "by the door"), 2: ("Dogs are sitting", "by the door")}
DEGREES = {1: 0.75, 2: 1.3}  # intensity: share of the emotion's manner


class Voice(NamedTuple):
    """One made-up speaker and how it speaks when nothing moves it."""

    name: str  # eSpeak NG language + variant
    rate: float  # words a minute
    pitch: float  # eSpeak NG's scale, 0 to 100
    range: float  # eSpeak NG's scale, 0 to 100
    level: float  # of the speech [dB re full scale, RMS]
    tilt: float  # colour of voice and microphone [dB per octave]
    size: float  # stretches all resonances: below 1 a larger head
    expressiveness: float  # how much of an emotion's manner it shows


class Manner(NamedTuple):
    """What changes in a voice, each value a difference from neutral."""

    rate: float  # percent
    pitch: float  # steps on eSpeak NG's scale
    range: float  # steps on eSpeak NG's scale
    level: float  # dB
    tilt: float  # dB per octave: above 0 bright and pressed, below 0 dull and soft
    breath: float  # noise, share of the voice's amplitude
    tremor: float  # depth of the wavering in pitch and amplitude, 0 to 1
    rough: float  # depth of the irregular amplitude, 0 to 1
    pause: float  # before the last words [s]


# RAVDESS's rule: odd is male, even is female.
VOICES = {
    #          name                rate pitch range level tilt  size expressiveness
    1: Voice("en-us+m3",            168,  45,  48, -39,  0.0, 1.00, 1.00),
    2: Voice("en-us+f2",            176,  48,  52, -40,  0.3, 1.00, 1.15),
    3: Voice("en+max",              158,  38,  40, -42, -0.8, 0.95, 0.80),
    4: Voice("en+linda",            166,  42,  45, -38, -0.4, 0.98, 0.90),
    5: Voice("en-us+m7",            187,  55,  55, -41,  0.6, 1.04, 1.20),
    6: Voice("en-gb-x-rp+f5",       158,  55,  50, -43,  0.8, 1.05, 0.75),
    7: Voice("en-gb-scotland+Reed", 173,  50,  42, -38,  0.2, 0.97, 0.95),
    8: Voice("en-us+Annie",         184,  45,  48, -41, -0.6, 1.03, 1.05),
}  # fmt: skip

# RAVDESS's emotion code: name, how the sentence ends, manner.
EMOTIONS = {
    #                         rate pitch range level  tilt breath tremor rough pause
    1: ("neutral",   ".", Manner( 0,   0,   0,  0.0,  0.0,  0.00,  0.00, 0.00, 0.00)),
    2: ("calm",      ".", Manner(-10, -3,  -8, -2.5, -1.0,  0.06,  0.00, 0.00, 0.06)),
    3: ("happy",     "!", Manner(12,  14,  22,  3.5,  1.0,  0.00,  0.00, 0.00, 0.00)),
    4: ("sad",       ".", Manner(-20, -6, -20, -5.0, -2.6,  0.20,  0.30, 0.00, 0.16)),
    5: ("angry",     "!", Manner(10,   7,  12,  7.5,  2.4,  0.00,  0.00, 0.40, 0.00)),
    6: ("fearful",   ".", Manner(24,  18, -10,  0.5,  0.4,  0.20,  0.60, 0.05, 0.10)),
    7: ("disgust",   ".", Manner(-18, -9,  10,  0.5,  1.0,  0.05,  0.00, 0.40, 0.08)),
    8: ("surprised", "?", Manner( 4,  16,  32,  2.5,  0.6,  0.10,  0.00, 0.00, 0.00)),
}  # fmt: skip

# Standard deviations: of a voice's own way with an emotion, and of one clip from the next.
#                   rate pitch range level tilt breath tremor rough pause
OWN_WAY = Manner(     5,   4,   7,   1.6, 0.7,  0.05,  0.12, 0.10, 0.05)  # fmt: skip
NEXT_CLIP = Manner(   3,   2,   4,   1.0, 0.4,  0.03,  0.05, 0.04, 0.03)  # fmt: skip


class Clip(NamedTuple):
    """The parts of a RAVDESS file name that vary here."""

    emotion: int
    intensity: int
    statement: int
    actor: int

    @property
    def name(self) -> str:
        """File name without folder and ending."""
        return f"03-01-{self.emotion:02}-{self.intensity:02}-{self.statement:02}-01-{self.actor:02}"


def all_clips() -> list[Clip]:
    """The 30 clips of every voice: neutral has no strong intensity."""
    return [
        Clip(emotion, intensity, statement, actor)
        for actor in VOICES
        for emotion in EMOTIONS
        for intensity in ((1,) if emotion == 1 else (1, 2))
        for statement in SENTENCES
    ]


def seeded(key: str) -> np.random.Generator:
    """A random generator that depends on the key alone."""
    return np.random.default_rng(zlib.crc32(key.encode()))


def manner_of(clip: Clip, rng: np.random.Generator) -> Manner:
    """The table's manner, in this voice's own way, at this intensity, with the chance of the clip."""
    _, _, manner = EMOTIONS[clip.emotion]
    own_way = seeded(f"voice {clip.actor} emotion {clip.emotion}").standard_normal(len(manner)) * OWN_WAY
    chance = rng.standard_normal(len(manner)) * NEXT_CLIP
    degree = DEGREES[clip.intensity] * VOICES[clip.actor].expressiveness
    values = Manner(*(degree * (np.array(manner) + own_way) + chance))
    return values._replace(
        breath=np.clip(values.breath, 0, 0.5),
        tremor=np.clip(values.tremor, 0, 1),
        rough=np.clip(values.rough, 0, 0.8),
        pause=np.clip(values.pause, 0, 0.5),
    )


def settings_of(clip: Clip, manner: Manner) -> dict[str, float]:
    """What the synthesiser is asked for, within its limits.

    Rate in words a minute, pitch and range on eSpeak NG's scale (0 to 100), loudness as the level of the speech [dB re
    full scale, RMS].
    """
    voice = VOICES[clip.actor]
    return {
        "rate": float(np.clip(voice.rate * (1 + manner.rate / 100), 80, 400)),
        "pitch": float(np.clip(voice.pitch + manner.pitch, 0, 99)),
        "range": max(float(voice.range + manner.range), 0.0),
        "loudness": float(voice.level + manner.level),
    }


def write_settings(folder: Path) -> None:
    """Write the settings of all clips as a table."""
    with (folder / "settings.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["clip", "rate", "pitch", "range", "loudness"])
        for clip in all_clips():
            settings = settings_of(clip, manner_of(clip, seeded(clip.name)))
            rows.writerow([clip.name, *(f"{value:.2f}" for value in settings.values())])


def speak(ssml: str, voice: str, rate: float, pitch: float, pitch_range: float) -> tuple[np.ndarray, int]:
    """Let eSpeak NG say a text: samples in [-1, 1], shape ``(samples,)``, and their sampling rate [Hz]."""
    import espeakng_loader

    # The numbers are those of espeak-ng/speak_lib.h.
    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    sampling_rate = espeak.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)  # 2: synchronous
    if sampling_rate <= 0:
        raise RuntimeError(f"eSpeak NG did not start (code {sampling_rate}); reinstall espeakng-loader")
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # otherwise the clock seeds the breath of some voices
    pieces = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def keep(samples, count, _events):
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    espeak.espeak_SetSynthCallback(keep)
    if espeak.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"eSpeak NG has no voice {voice!r}; the voices here come with espeakng-loader 0.2.4")
    # Parameter 1 is the rate, 2 the volume (well below clipping: the level is set later), 3 the pitch, 4 its range.
    for parameter, value in ((1, np.clip(rate, 80, 400)), (2, 60), (3, np.clip(pitch, 0, 99)), (4, pitch_range)):
        espeak.espeak_SetParameter(parameter, round(max(value, 0)), 0)
    text = ssml.encode()
    espeak.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, 1 | 0x10, None, None)  # UTF-8, SSML
    speech = np.concatenate(pieces) / 32768
    loud = np.flatnonzero(np.abs(speech) > 0.002)
    speech = speech[loud[0] : loud[-1] + 1]
    speech *= scipy.signal.windows.tukey(len(speech), 0.02)  # no click at the ends
    return np.pad(speech, sampling_rate // 100), sampling_rate


def wavering(count: int, sampling_rate: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Noise between two frequencies [Hz], standard deviation 1, shape ``(count,)``."""
    band = scipy.signal.butter(2, (low, high), "bandpass", fs=sampling_rate, output="sos")
    noise = scipy.signal.sosfilt(band, rng.standard_normal(count))
    return noise / noise.std()


def colour(speech: np.ndarray, sampling_rate: int, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Tremor, roughness, breath and spectral tilt: what eSpeak NG has no parameter for. Shape as given."""
    count = len(speech)
    time = np.arange(count)
    tremble = wavering(count, sampling_rate, 4, 7, rng)
    # Reading the samples up to a millisecond early or late bends the pitch by some percent.
    speech = np.interp(time + manner.tremor * 0.001 * sampling_rate * tremble, time, speech)
    speech *= np.maximum(1 + 0.5 * manner.tremor * tremble, 0)
    speech *= np.maximum(1 - manner.rough * np.abs(wavering(count, sampling_rate, 30, 90, rng)), 0)

    follow = scipy.signal.butter(2, 30, fs=sampling_rate, output="sos")
    envelope = np.maximum(scipy.signal.sosfiltfilt(follow, np.abs(speech)), 0)
    speech += manner.breath * envelope * wavering(count, sampling_rate, 1000, 5000, rng)

    frequencies = np.clip(np.fft.rfftfreq(count, 1 / sampling_rate), 125, 8000)
    tilted = np.fft.rfft(speech) * (frequencies / 1000) ** (manner.tilt / 6.02)
    return np.fft.irfft(tilted, count)


def record(clip: Clip) -> np.ndarray:
    """One clip as a microphone would take it: samples in [-1, 1] at ``SAMPLING_RATE``, shape ``(samples,)``."""
    rng = seeded(clip.name)
    voice, manner = VOICES[clip.actor], manner_of(clip, rng)
    start, end = SENTENCES[clip.statement]
    # eSpeak NG ends the phrase at a break, however short: so none where there is nothing to hear.
    pause = f'<break time="{round(1000 * manner.pause)}ms"/> ' if manner.pause > 0.03 else ""
    asked = settings_of(clip, manner)
    speech, native_rate = speak(
        f"<speak>{start} {pause}{end}{EMOTIONS[clip.emotion][1]}</speak>",
        voice=voice.name,
        rate=asked["rate"] / voice.size,
        pitch=asked["pitch"],
        pitch_range=asked["range"],
    )
    speech = colour(speech, native_rate, manner._replace(tilt=voice.tilt + manner.tilt), rng)
    microphone = scipy.signal.butter(6, 5200, fs=native_rate, output="sos")
    speech = scipy.signal.sosfilt(microphone, speech)
    speech = soxr.resample(speech, native_rate * voice.size, SAMPLING_RATE)
    speech *= 10 ** (asked["loudness"] / 20) / speech.std()

    lead, tail = (rng.uniform(0.12, 0.36, 2) * SAMPLING_RATE).astype(int)
    room = rng.standard_normal(lead + len(speech) + tail) * 10 ** (rng.uniform(-90, -86) / 20)
    room[lead : lead + len(speech)] += speech
    return 0.97 * np.tanh(room / 0.97)  # a soft ceiling; linear at ordinary levels


def write(clip: Clip, folder: Path) -> Path:
    """Write one clip whole or not at all: through a temporary sibling."""
    path = folder / f"Actor_{clip.actor:02}" / f"{clip.name}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    soundfile.write(temporary, record(clip), SAMPLING_RATE, "PCM_16", format="FLAC", compression_level=1.0)
    os.replace(temporary, path)
    return path


def write_task(task: tuple[Clip, Path]) -> Path:
    """``write`` with its arguments in one, as a pool wants it."""
    return write(*task)


def main() -> None:
    """Make all clips, one process each."""
    parser = argparse.ArgumentParser(description="Make the built-in corpus of synthetic speech.")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--settings", action="store_true", help="write the table of settings alone")
    options = parser.parse_args()
    folder = options.into
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder)
    if options.settings:
        return
    try:
        import espeakng_loader  # noqa: F401
    except ImportError:
        sys.exit("make_demo: espeakng-loader is missing; say: pip install espeakng-loader")

    tasks = [(clip, folder) for clip in all_clips()]
    with multiprocessing.Pool(min(4, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        for _ in tqdm(pool.imap(write_task, tasks, chunksize=1), total=len(tasks), unit="clip", desc="demo corpus"):
            pass


if __name__ == "__main__":
    main()
