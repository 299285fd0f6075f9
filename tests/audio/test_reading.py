"""Recordings are read as they are, or refused with the reason."""

import hashlib
import struct
import subprocess
import sys
import wave
from fractions import Fraction
from math import ceil
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import soxr
from scipy.io import wavfile

from benchmarks import mutations
from sernb.audio.decoders import AudioError
from sernb.audio.reading import examine, find_problem, fit_centre, fit_end, load, read, resample, resample_linearly
from sernb.config import ROOT

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f3c\nsize 375720\n"


def decoded(path: Path) -> np.ndarray:
    """Samples of a 16-bit WAV file, shape (samples, channels), by the standard library."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()) / 32768


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def form(sampling_rate: int = 16_000, *, extra: bytes = b"") -> bytes:
    fields = struct.pack("<HHIIHH", 1, 1, sampling_rate, 2 * sampling_rate, 2, 16)
    return chunk(b"fmt ", fields + extra)


# What is read


def test_samples_are_those_of_the_file(wav):
    path = wav(sampling_rate=48_000)
    signal, sampling_rate = read(path)
    assert sampling_rate == 48_000
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal, decoded(path)[:, 0])


@pytest.mark.parametrize("channels", [2, 3])
def test_channels_are_averaged(wav, channels):
    path = wav(channels=channels)
    np.testing.assert_allclose(read(path)[0], decoded(path).mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("container", ["AIFF", "FLAC"])
def test_a_file_is_told_by_its_content_not_by_its_name(wav, container):
    path = wav("named.wav", format=container, subtype="PCM_16")
    assert path.read_bytes()[:4] in (b"FORM", b"fLaC")
    np.testing.assert_array_equal(read(path)[0], read(wav("same.wav"))[0])


def test_metadata_around_the_sound_is_neither_sound_nor_a_lack_of_it(wav, tmp_path):
    tone = (decoded(wav()) * 32768).astype("<i2").tobytes()
    path = tmp_path / "tagged.wav"
    before, after = [chunk(b"FLLR", bytes(4044)), chunk(b"odd ", b"abc")], [chunk(b"_PMX", b"<" * 50_001)]
    path.write_bytes(riff(form(), *before, chunk(b"data", tone), *after))
    np.testing.assert_array_equal(read(path)[0], decoded(path)[:, 0])
    path.write_bytes(path.read_bytes()[:-20_000])  # the metadata is cut, the sound is whole
    assert len(read(path)[0]) == 16_000


@pytest.mark.parametrize(
    "before",
    [[form()], [form(), chunk(b"PAD ", bytes(4088))], [form(extra=b"\0\0")], [form(), chunk(b"fact", b"abcd")]],
    ids=["44 bytes", "PAD chunk, as in EMO-DB", "46 bytes", "fact chunk"],
)
def test_a_header_of_any_length_is_passed_over(before, wav, tmp_path):
    tone = (decoded(wav()) * 32768).astype("<i2").tobytes()
    path = tmp_path / "clip.wav"
    path.write_bytes(riff(*before, chunk(b"data", tone)))
    np.testing.assert_array_equal(read(path)[0], decoded(path)[:, 0])
    path.write_bytes(path.read_bytes()[:-2])
    assert examine(path).samples == 15_999
    path.write_bytes(path.read_bytes()[:-318])
    assert find_problem(path).kind == "truncated"


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_length_that_was_never_filled_in_is_no_truncation(wav, length):
    path = wav()
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", length)
    path.write_bytes(content)
    assert len(read(path)[0]) == 16_000


def test_the_quietest_sound_is_sound(tmp_path):
    samples = np.zeros(1600, np.int16)
    samples[800] = 1
    soundfile.write(tmp_path / "quiet.wav", samples, 16_000)
    signal, _ = read(tmp_path / "quiet.wav")
    assert signal[800] == np.float32(1 / 32768)
    assert np.count_nonzero(signal) == 1


def test_a_tenth_of_a_second_is_enough(wav):
    assert len(read(wav(seconds=0.1))[0]) == 1600


# What is refused


def truncated(share: float):
    return lambda path: path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * share)])


def holding(content: bytes):
    return lambda path: path.write_bytes(content)


def samples(values, *, container: str = "WAV", subtype: str = "FLOAT"):
    return lambda path: soundfile.write(path, np.array(values, np.float32), 16_000, subtype, format=container)


def overwritten(place: int, number: int):
    """Four bytes of the header as this number."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place : place + 4] = struct.pack("<I", number)
        path.write_bytes(content)

    return spoil


def flac_of_length(length: int):
    """The number of samples in STREAMINFO, 36 bits (RFC 9639, section 8.2)."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[21] = content[21] & 0xF0 | length >> 32
        content[22:26] = struct.pack(">I", length & 0xFFFFFFFF)
        path.write_bytes(content)

    return spoil


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


TONE = np.sin(np.arange(4000) * 0.1)
SPOILED = {
    "gone": ("wav", Path.unlink, "missing", "No such file"),
    "folder": ("wav", folder, "missing", "directory"),
    "empty": ("wav", holding(b""), "empty", "0 bytes"),
    "empty FLAC": ("flac", holding(b""), "empty", "0 bytes"),
    "pointer": ("wav", holding(POINTER), "lfs-pointer", "git lfs pull"),
    "pointer FLAC": ("flac", holding(POINTER), "lfs-pointer", "git lfs pull"),
    "web page": ("wav", holding(b"<!DOCTYPE html>\n" + b"<p>403</p>\n" * 400), "text", "text file"),
    "text with a mark": ("flac", holding("\ufeffnot a recording".encode()), "text", "text file"),
    "text cut inside a letter": ("wav", holding(b"a" * 1023 + "é".encode() * 9), "text", "text file"),
    "zeros": ("wav", holding(bytes(5000)), "unreadable", "not an audio file"),
    "nearly all": ("wav", truncated(0.99), "truncated", "321 bytes are missing"),
    "half": ("wav", truncated(0.5), "truncated", "16022 bytes are missing"),
    "header alone": ("wav", truncated(44 / 32044), "truncated", "32000 bytes are missing"),
    "half a header": ("wav", truncated(30 / 32044), "truncated", "32014 bytes are missing"),
    "half an AIFF": ("aiff", truncated(0.5), "truncated", "bytes are missing"),
    "half a W64": ("w64", truncated(0.5), "truncated", "bytes are missing"),
    "half an RF64": ("rf64", truncated(0.5), "truncated", "bytes are missing"),
    "half an AU": ("au", truncated(0.5), "truncated", "bytes are missing"),
    "half a CAF": ("caf", truncated(0.5), "truncated", "bytes are missing"),
    "half a FLAC": ("flac", truncated(0.5), "damaged", "truncated or damaged"),
    "end of a FLAC": ("flac", truncated(0.98), "damaged", "truncated or damaged"),
    "NaN": ("wav", samples([*TONE, np.nan]), "not-finite", "NaN"),
    "infinite": ("wav", samples([-np.inf, *TONE]), "not-finite", "infinite"),
    "huge": ("wav", samples([3e30, *TONE]), "not-finite", "too large"),
    "large": ("wav", samples([1e4, *TONE]), "not-finite", "too large"),
    "infinite both ways": ("wav", samples([[np.inf, -np.inf], [0.1, 0.1]] * 2000), "not-finite", "infinite"),
    "no rate of sound": ("wav", overwritten(24, 3), "sampling-rate", "a sampling rate of 3 Hz"),
    "rate of no sound": ("wav", overwritten(24, 0x7FFF0000), "sampling-rate", "not one from 4000 to 384000 Hz"),
    "FLAC with a huge length": ("flac", flac_of_length((1 << 36) - 1), "too-long", "a length of 68719476735 samples"),
    "NaN on one side": ("wav", samples([[0.1, 0.1], [0.1, np.nan]] * 2000), "not-finite", "NaN"),
    "no sample": ("wav", samples([]), "too-short", "0 samples"),
    "one sample": ("wav", samples([0.5]), "too-short", "1 sample;"),
    "one sample FLAC": ("flac", samples([0.5], container="FLAC", subtype="PCM_16"), "too-short", "1 sample;"),
    "just too short": ("wav", samples(TONE[:1599]), "too-short", "1599 samples"),
    "silence": ("wav", samples(np.zeros(4000)), "silent", "pure silence"),
    "silence FLAC": ("flac", samples(np.zeros(4000), container="FLAC", subtype="PCM_16"), "silent", "pure silence"),
    "silence on both sides": ("wav", samples(np.zeros((4000, 2))), "silent", "pure silence"),
}


@pytest.mark.parametrize("case", SPOILED)
@pytest.mark.filterwarnings("error")
def test_an_unusable_file_is_named_with_the_reason_and_the_next_step(wav, case):
    suffix, spoil, kind, words = SPOILED[case]
    path = wav(f"clip.{suffix}", subtype="PCM_16")
    spoil(path)
    with pytest.raises(AudioError) as caught:
        read(path)
    message = str(caught.value)
    assert caught.value.kind == kind
    assert words in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.rpartition("; ")[2].split()[0] in {
        "download",
        "leave",
        "run",
        "see",
        "at",
        "cut",
        "convert",
    }  # what to do
    assert find_problem(path).kind == kind


@pytest.mark.parametrize("bit", range(5))
def test_a_flipped_bit_in_a_flac_does_not_pass(wav, bit, rng):
    path = wav("clip.flac", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[rng.integers(200 * (bit + 1), len(content))] ^= 1 << bit
    path.write_bytes(content)
    assert find_problem(path).kind == "damaged"


def test_a_good_file_has_no_problem(wav):
    assert find_problem(wav()) is None


def test_a_clip_of_pure_zeros_is_named_silent_and_is_the_published_one(tmp_path):
    """CREMA-D's 1076_MTI_SAD_XX.wav, made anew; the digest is the one in its publishers' repository."""
    path = tmp_path / "1076_MTI_SAD_XX.wav"
    path.write_bytes(riff(form(), chunk(b"data", bytes(2 * 41_108))))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == "2759bb80ce3ac9a64f18aa386ed436fc38e8dbf0568ef3d8957a24ab66e9317c"
    assert find_problem(path).kind == "silent"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory by the resource module")
def test_spoiled_files_end_in_a_signal_or_in_one_clear_error(tmp_path):
    readings = mutations.run(300, 20, tmp_path)
    assert [reading for reading in readings if reading.outcome.startswith("VIOLATION")] == []
    assert len(readings) == 300
    assert {"valid", "unreadable", "truncated", "damaged"} <= {reading.outcome for reading in readings}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory by the resource module")
def test_spoiled_files_end_in_an_answer_or_in_one_clear_error(tmp_path):
    readings = mutations.run(12, 3, tmp_path, "predict")
    assert [reading for reading in readings if reading.outcome.startswith("VIOLATION")] == []
    assert len({reading.outcome for reading in readings}) > 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs processes of POSIX")
def test_a_process_that_is_left_behind_is_noticed():
    code = (
        "import subprocess, sys; from benchmarks.mutations import _has_children as left\n"
        "print(left()); subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE); print(left())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (lambda path: 1 / 0, "ZeroDivisionError"),
        (lambda path: (np.zeros(0, np.float32), 16_000), "not long enough"),
        (lambda path: (np.full(10_000, np.nan, np.float32), 3), "not finite, not too loud, sampling rate"),
        (lambda path: (np.ones(10_000, np.float32), 16_000), "not longer than its bytes"),
    ],
)
def test_a_reader_that_fails_is_noticed(reader, words, wav, monkeypatch):
    monkeypatch.setattr(mutations, "read", reader)
    monkeypatch.setattr(mutations, "MOST_SAMPLES_A_BYTE", 1)
    assert words in mutations.outcome(wav(seconds=0.1)).removeprefix("VIOLATION: ")


# Sampling rates


@pytest.mark.parametrize(
    ("original", "wanted"), [(48_000, 16_000), (44_100, 16_000), (24_414, 22_050), (8_000, 44_100)]
)
def test_resampling_agrees_with_soxr_and_librosa(rng, original, wanted):
    signal = rng.standard_normal(original // 2).astype(np.float32)
    changed = resample(signal, original_rate=original, sampling_rate=wanted)
    assert changed.dtype == np.float32
    count = len(changed)
    np.testing.assert_allclose(
        soxr.resample(signal, original, wanted, quality="HQ")[:count], changed[:count], atol=1e-6
    )
    by_librosa = librosa.resample(signal, orig_sr=original, target_sr=wanted, res_type="soxr_hq")
    np.testing.assert_allclose(changed, by_librosa, atol=1e-6)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_linear_resampling_is_pydubs(rng):
    """pydub hands the work to the standard library's audioop, which Python 3.13 no longer has."""
    audioop = pytest.importorskip("audioop", exc_type=ImportError)
    steps = (3000 * rng.standard_normal(48_000)).astype(np.int16)
    theirs = np.frombuffer(audioop.ratecv(steps.tobytes(), 2, 1, 48_000, 44_100, None)[0], np.int16)
    ours = resample_linearly(steps.astype(np.float32) / 32_768, original_rate=48_000, sampling_rate=44_100) * 32_768
    assert abs(len(ours) - len(theirs)) <= 1
    assert np.abs(ours[: len(theirs)] - theirs).max() <= 1, "within one step: theirs is integer arithmetic"
    assert (ours == np.round(ours)).all()


def test_a_tone_is_the_same_tone_at_any_rate():
    def tone(sampling_rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 1000 * np.arange(sampling_rate) / sampling_rate).astype(np.float32)

    for rate in (16_000, 22_050, 44_100):
        changed = resample(tone(48_000), original_rate=48_000, sampling_rate=rate)
        np.testing.assert_allclose(changed[rate // 10 : -rate // 10], tone(rate)[rate // 10 : -rate // 10], atol=1e-3)


def test_the_length_is_rounded_up(rng):
    for _ in range(50):
        count, original, wanted = (int(rng.integers(low, 50_000)) for low in (1000, 8000, 8000))
        changed = resample(np.ones(count, np.float32), original_rate=original, sampling_rate=wanted)
        assert len(changed) == ceil(Fraction(count * wanted, original))


def test_loading_resamples_only_where_rates_differ(wav):
    path = wav(seconds=0.5, sampling_rate=44_100)
    assert len(load(path, 16_000)) == 8000
    np.testing.assert_array_equal(load(path, 44_100), decoded(path)[:, 0])


# Lengths


@pytest.mark.parametrize("count", range(9))
def test_lengths_are_fitted_as_librosa_does(count):
    signal = np.arange(1, count + 1, dtype=np.float32)
    for wanted in range(12):
        np.testing.assert_array_equal(fit_end(signal, wanted), librosa.util.fix_length(signal, size=wanted))
        if wanted >= count:
            np.testing.assert_array_equal(fit_centre(signal, wanted), librosa.util.pad_center(signal, size=wanted))
            continue
        middle = fit_centre(signal, wanted)
        assert len(middle) == wanted
        if wanted:
            before, after = middle[0] - signal[0], signal[-1] - middle[-1]
            np.testing.assert_array_equal(np.diff(middle), 1)
            assert abs(before - after) <= 1


# The recordings themselves

STEREO = (
    "Actor_01/03-01-02-01-01-02-01",
    "Actor_01/03-01-08-01-02-02-01",
    "Actor_05/03-01-02-01-02-02-05",
    "Actor_20/03-01-03-01-02-01-20",
    "Actor_20/03-01-06-01-01-02-20",
)


@pytest.mark.parametrize("name", STEREO)
def test_a_stereo_recording_with_like_sides_reads_as_either(recordings, name):
    path = recordings / "ravdess" / f"{name}.wav"
    sides = decoded(path)
    assert sides.shape[1] == 2
    for side in sides.T:
        np.testing.assert_array_equal(read(path)[0], side)


def test_the_quietest_recording_is_not_called_silent(recordings):
    path = recordings / "ravdess" / "Actor_09" / "03-01-04-01-01-01-09.wav"
    signal, _ = read(path)
    assert np.sqrt(np.mean(signal**2)) == pytest.approx(0.00065, abs=5e-6)
    assert np.abs(signal).max() == pytest.approx(0.0083, abs=5e-5)


@pytest.mark.filterwarnings("ignore:Chunk .non-data. not understood")
def test_metadata_of_a_recording_is_no_sound(recordings):
    path = recordings / "ravdess" / "Actor_12" / "03-01-06-01-02-01-12.wav"
    signal, sampling_rate = read(path)
    rate, by_scipy = wavfile.read(path)
    assert sampling_rate == rate == 48_000
    np.testing.assert_array_equal(signal, by_scipy / 32768)
    assert path.stat().st_size - 2 * len(signal) > 40_000


def test_a_recording_that_lacks_its_last_sample_is_noted_and_one_that_lacks_its_end_refused(recordings, tmp_path):
    content = (recordings / "ravdess" / "Actor_12" / "03-01-06-01-02-01-12.wav").read_bytes()
    start = content.index(b"data")
    end = start + 8 + struct.unpack("<I", content[start + 4 : start + 8])[0]
    path = tmp_path / "cut.wav"
    path.write_bytes(content[: end - 960])
    assert find_problem(path).kind == "truncated"
    path.write_bytes(content[: end - 2])
    assert examine(path).notes == ("its header states 2 bytes more than it has; it was read to its end",)
    path.write_bytes(content[:end])
    assert examine(path).notes == ()


# TESS


@pytest.fixture
def tess(tess_recordings) -> Path:
    return tess_recordings / "tess"


@pytest.mark.parametrize("name", ["YAF_angry/YAF_germ_angry", "YAF_fear/YAF_neat_fear"])
def test_two_recordings_of_tess_are_aiff_under_another_name(name, tess):
    content = (tess / f"{name}.wav").read_bytes()
    assert (content[:4], content[8:12]) == (b"FORM", b"AIFF")
    start = content.index(b"SSND")
    length = struct.unpack(">I", content[start + 4 : start + 8])[0] - 8  # the sound begins after offset and block size
    signal, sampling_rate = read(tess / f"{name}.wav")
    np.testing.assert_array_equal(signal, np.frombuffer(content, ">i2", length // 2, start + 16) / 32768)
    assert sampling_rate == 24_414


@pytest.mark.parametrize(
    ("name", "sampling_rate", "count"),
    [("OAF_Fear/OAF_food_fear", 96_000, 145_172), ("OAF_neutral/OA_bite_neutral", 24_414, None)],
)
def test_recordings_of_tess_are_read_at_their_own_rate(name, sampling_rate, count, tess):
    path = tess / f"{name}.wav"
    signal, rate = read(path)
    assert rate == sampling_rate
    assert len(signal) == (count or len(decoded(path)))
    np.testing.assert_array_equal(signal, decoded(path)[:, 0])
