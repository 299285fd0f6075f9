"""Files that decoders stumble over are read as ffmpeg reads them, or refused in one line and within bounds."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_reading import chunk, riff

from sernb.__main__ import main
from sernb.audio import decoders, ffmpeg, reading
from sernb.audio.decoders import AudioError
from sernb.audio.reading import describe, examine, find_problem
from sernb.config import ROOT

FAILING = ROOT.parent / "shared" / "failing" / "audio"
CLIP = min((ROOT / "data" / "demo").rglob("*.flac"))
RATE = 16_000
needs_ffmpeg = pytest.mark.skipif(not ffmpeg.find_program(), reason="needs the program ffmpeg")
on_posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes and signals of POSIX")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """A clip of speech in 16-bit steps."""
    return soundfile.read(CLIP, dtype="float32")[0]


def by_ffmpeg(*paths: Path) -> list[np.ndarray]:
    """Return what ffmpeg decodes of each file, (samples,), channels averaged by us."""
    inputs = [part for path in paths for part in ("-i", f"file:{path}")]
    outputs = [part for n, path in enumerate(paths) for part in ("-map", f"{n}:a", "-f", "f32le", f"{path}.raw")]
    subprocess.run(["ffmpeg", "-v", "quiet", "-y", *inputs, *outputs], check=True)
    return [np.fromfile(f"{path}.raw", "<f4") for path in paths]


def made(folder: Path, *how: str) -> Path:
    """Make one file of the clip with ffmpeg; the last word is its name."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", CLIP, *how[:-1], folder / how[-1]], check=True)
    return folder / how[-1]


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


# -- Lengths -- #


def wav_of(speech: np.ndarray, *, named: int = 0, after: bytes = b"", before: bytes = b"") -> bytes:
    """A 16-bit WAV file whose header names so many bytes of sound more than there are."""
    sound = (speech * 32768).astype("<i2").tobytes()
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    content = riff(form, before, chunk(b"data", sound)) + after
    return content.replace(b"data" + struct.pack("<I", len(sound)), b"data" + struct.pack("<I", len(sound) + named))


@pytest.mark.parametrize("named", [2, 16, 44, 62, 318])
def test_a_header_that_is_a_little_too_long_is_noted(tmp_path, speech, named):
    (tmp_path / "long.wav").write_bytes(wav_of(speech, named=named))
    found = examine(tmp_path / "long.wav")
    np.testing.assert_array_equal(found.signal, speech)
    assert found.notes == (f"its header states {named} bytes more than it has; it was read to its end",)


def test_a_header_that_is_much_too_long_is_a_truncated_file(tmp_path, speech):
    (tmp_path / "long.wav").write_bytes(wav_of(speech, named=322))
    assert find_problem(tmp_path / "long.wav").kind == "truncated"


def test_a_data_size_of_0_is_no_length_where_sound_follows(tmp_path, speech):
    path = tmp_path / "zero.wav"
    path.write_bytes(wav_of(speech, named=-2 * len(speech)))
    found = examine(path)
    np.testing.assert_array_equal(found.signal, speech)
    assert found.notes == ("its header has no length; it was read to its end",)
    assert describe(path) == (len(speech), RATE, 1)
    path.write_bytes(wav_of(speech[:0], after=chunk(b"LIST", bytes(5000))))
    assert find_problem(path).kind == "too-short", "other chunks are no sound"


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path, speech):
    path = tmp_path / "pipe.flac"
    for signal_ in (speech, np.tile(speech, 9), np.tile(speech[:, None], (9, 2))):
        soundfile.write(path, signal_, RATE)
        content = bytearray(path.read_bytes())
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # RFC 9639, section 8.2
        path.write_bytes(content)
        found = examine(path)
        np.testing.assert_array_equal(found.signal, signal_ if signal_.ndim == 1 else signal_[:, 0])
        assert found.notes == ("its header has no length; it was read to its end",)
    assert find_problem(cut(path, 0.6)).kind == "damaged"


@needs_ffmpeg
def test_an_mp3_without_a_count_of_frames_is_no_truncated_one(tmp_path):
    paths = [
        made(tmp_path, "-write_xing", "0", "pipe.mp3"),
        made(tmp_path, "-c:a", "libmp3lame", "inside.wav"),
        made(tmp_path, "whole.mp3"),
    ]
    for path, expected in zip(paths, by_ffmpeg(*paths), strict=True):
        np.testing.assert_allclose(examine(path).signal, expected, atol=1e-4)
    assert find_problem(cut(paths[1], 0.6)).kind == find_problem(cut(paths[2], 0.6)).kind == "truncated"


TELEPHONE = (
    "GSM610",
    "G721_32",
    "NMS_ADPCM_16",
    "NMS_ADPCM_24",
    "NMS_ADPCM_32",
    "IMA_ADPCM",
    "MS_ADPCM",
    "ULAW",
    "ALAW",
)


@pytest.mark.parametrize("subtype", TELEPHONE)
def test_codings_of_telephones_are_read_or_the_files_own_error(tmp_path, speech, subtype):
    path = tmp_path / "call.wav"
    soundfile.write(path, speech, 8000, subtype=subtype)
    found = examine(path)
    assert np.corrcoef(found.signal[: len(speech)], speech[: len(found.signal)])[0, 1] > 0.95
    assert abs(len(found.signal) - len(speech)) < 600  # whole blocks
    assert find_problem(cut(path, 0.5)).kind == "truncated"


@pytest.mark.parametrize("subtype", ["G721_32", "G723_24", "G723_40"])
def test_g72x_in_au(tmp_path, speech, subtype):
    soundfile.write(tmp_path / "call.au", speech, 8000, subtype=subtype)
    assert np.corrcoef(examine(tmp_path / "call.au").signal[: len(speech)], speech)[0, 1] > 0.9


@pytest.mark.parametrize("form", [("OGG", "VORBIS"), ("OGG", "OPUS")])
@pytest.mark.parametrize("share", [0.34, 0.6, 0.99])
def test_a_cut_ogg_is_truncated(tmp_path, speech, form, share):
    path = tmp_path / "cut.wav"
    soundfile.write(path, speech, RATE, format=form[0], subtype=form[1])
    assert examine(path).notes == ()
    content = path.read_bytes()
    assert find_problem(cut(path, share)).kind == "truncated"
    path.write_bytes(content[: content.rindex(b"OggS") + 2])
    assert find_problem(path).kind == "truncated", "inside the mark of the last page"


def test_an_ogg_that_lacks_its_last_page_is_noted(tmp_path, speech):
    path = tmp_path / "cut.ogg"
    soundfile.write(path, np.tile(speech, 3), RATE, format="OGG", subtype="VORBIS")
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert "has no end marker" in examine(path).notes[0]


def test_blocks_of_a_long_recording_are_what_is_read_at_once(tmp_path, speech, monkeypatch):
    monkeypatch.setattr(decoders, "BLOCK", 0.5)
    long = np.tile(speech, 2)
    for form, subtype in (("WAV", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")):
        path = tmp_path / form
        soundfile.write(path, np.column_stack([long, long]), RATE, format=form, subtype=subtype)
        found = examine(path, keep_up_to=1.0)
        assert found.signal is None
        expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
        np.testing.assert_allclose(np.concatenate(list(reading.blocks(found))), expected, atol=1e-6)


# -- Oddities of WAV files -- #


def form_of(code: int, bits: int, channels: int, *, extra: bytes = b"", align: int = 0, rate: int = 0) -> bytes:
    align = align or channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, RATE, rate or RATE * align, align, bits) + extra)


def extensible(code: int, valid: int, mask: int) -> bytes:
    guid = struct.pack("<H", code) + bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<HHI", 22, valid, mask) + guid


def oddities(speech: np.ndarray) -> dict[str, bytes]:
    """WAV files that are right and rare."""
    steps = np.round(speech * 32767)
    pcm = {
        8: (np.round(speech * 127) + 128).astype("u1").tobytes(),
        16: steps.astype("<i2").tobytes(),
        24: b"".join((int(step) << 8).to_bytes(3, "little", signed=True) for step in steps),
        32: (steps.astype("<i4") << 16).tobytes(),
    }
    both = np.column_stack([steps, steps // 2]).astype("<i2").tobytes()
    data, plain = chunk(b"data", pcm[16]), form_of(1, 16, 1)
    single, double = speech.astype("<f4").tobytes(), speech.astype("<f8").tobytes()
    found = {f"{bits} bits": riff(form_of(1, bits, 1), chunk(b"data", pcm[bits])) for bits in pcm}
    return found | {
        "two channels": riff(form_of(1, 16, 2), chunk(b"data", both)),
        "float": riff(form_of(3, 32, 1), chunk(b"data", single)),
        "double": riff(form_of(3, 64, 1), chunk(b"data", double)),
        "float with an extra size": riff(form_of(3, 32, 1, extra=b"\0\0"), chunk(b"data", single)),
        "extensible": riff(form_of(0xFFFE, 16, 1, extra=extensible(1, 16, 4)), data),
        "extensible without places": riff(form_of(0xFFFE, 16, 1, extra=extensible(1, 16, 0)), data),
        "extensible float": riff(form_of(0xFFFE, 32, 1, extra=extensible(3, 32, 4)), chunk(b"data", single)),
        "float with peaks": riff(form_of(3, 32, 1), chunk(b"PEAK", bytes(16)), chunk(b"data", single)),
        "fact of 0": riff(plain, chunk(b"fact", bytes(4)), data),
        "extensible, 24 bits": riff(form_of(0xFFFE, 24, 1, extra=extensible(1, 24, 4)), chunk(b"data", pcm[24])),
        "extensible, two channels": riff(form_of(0xFFFE, 16, 2, extra=extensible(1, 16, 3)), chunk(b"data", both)),
        "format of 18 bytes": riff(form_of(1, 16, 1, extra=b"\0\0"), data),
        "format of 40 bytes": riff(form_of(1, 16, 1, extra=bytes(24)), data),
        "wrong byte rate": riff(form_of(1, 16, 1, rate=1), data),
        "LIST before": riff(plain, chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 4) + b"abc\0"), data),
        "LIST after": riff(plain, data, chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 4) + b"abc\0")),
        "odd chunk before": riff(plain, chunk(b"note", b"abc"), data),
        "empty chunk before": riff(plain, chunk(b"note", b""), data),
        "JUNK before the format": riff(chunk(b"JUNK", bytes(28)), plain, data),
        "bext": riff(chunk(b"bext", bytes(602)), plain, data),
        "fact": riff(plain, chunk(b"fact", struct.pack("<I", len(steps))), data),
        "cue after": riff(plain, data, chunk(b"cue ", bytes(28))),
        "id3 after": riff(plain, data, chunk(b"id3 ", b"ID3" + bytes(20))),
        "long padding": riff(plain, chunk(b"FLLR", bytes(4044)), data),
        "garbage after": riff(plain, data) + bytes(range(256)),
        "an odd number of bytes": riff(form_of(1, 8, 1), chunk(b"data", pcm[8][: len(pcm[8]) // 2 * 2 - 1])),
        "RIFF size 0": b"RIFF\0\0\0\0" + riff(plain, data)[8:],
        "RIFF size of no end": b"RIFF\xff\xff\xff\xff" + riff(plain, data)[8:],
        "data size of no end": riff(plain, b"data\xff\xff\xff\xff" + pcm[16]),
        "data size 0": riff(plain, b"data\0\0\0\0" + pcm[16]),
        "data size a little too long": riff(plain, b"data" + struct.pack("<I", len(pcm[16]) + 36) + pcm[16]),
        "A-law": riff(form_of(6, 8, 1), chunk(b"data", pcm[8])),
        "mu-law": riff(form_of(7, 8, 1, extra=b"\0\0"), chunk(b"data", pcm[8])),
        "96 kHz": riff(plain, data).replace(struct.pack("<II", RATE, 2 * RATE), struct.pack("<II", 96_000, 192_000)),
        "8 channels": riff(form_of(1, 16, 8), chunk(b"data", np.tile(steps[:, None], 8).astype("<i2").tobytes())),
    }


@needs_ffmpeg
def test_odd_wav_files_are_read_as_ffmpeg_reads_them(tmp_path, speech):
    files = {name: tmp_path / f"{number}.wav" for number, name in enumerate(oddities(speech))}
    for name, content in oddities(speech).items():
        files[name].write_bytes(content)
    assert len(files) >= 35
    for (name, path), expected in zip(files.items(), by_ffmpeg(*files.values()), strict=True):
        found = examine(path)
        expected = expected.reshape(-1, found.channels).mean(axis=1)
        np.testing.assert_allclose(found.signal, expected[: len(found.signal)], atol=1e-6, err_msg=name)
        assert len(expected) - len(found.signal) in (0, 1), name  # half a sample that garbage ends in


def test_big_endian_wav_files_are_whole_or_truncated(tmp_path, speech):
    """ffmpeg 5.1 takes their samples for little-endian ones."""
    sound = (speech * 32768).astype(">i2").tobytes()
    form = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    content = b"WAVE" + form + b"data" + struct.pack(">I", len(sound)) + sound
    (tmp_path / "big.wav").write_bytes(b"RIFX" + struct.pack(">I", len(content)) + content)
    np.testing.assert_array_equal(examine(tmp_path / "big.wav").signal, speech)
    assert find_problem(cut(tmp_path / "big.wav", 0.6)).kind == "truncated"


# -- ffmpeg -- #

FORMATS = (
    ("-c:a", "aac", "a.m4a"), ("-c:a", "aac", "a.mov"), ("-c:a", "aac", "a.aac"), ("-c:a", "libopus", "a.webm"),
    ("-c:a", "flac", "flac.ogg"), ("-c:a", "alac", "alac.m4a"), ("-c:a", "wmav2", "a.wma"),
)  # fmt: skip


@needs_ffmpeg
def test_content_and_not_the_suffix_decides_and_what_is_cut_is_truncated(tmp_path):
    paths = [made(tmp_path, *how) for how in FORMATS]
    for path, expected in zip(paths, by_ffmpeg(*paths), strict=True):
        named = path.rename(path.with_name(f"{path.name}.wav"))
        found = examine(named)
        np.testing.assert_array_equal(found.signal, expected)
        assert found.notes == ()
        named.write_bytes(named.read_bytes() + b"TAG behind all" * 9)
        np.testing.assert_array_equal(examine(named).signal[: len(expected)], expected)
        assert find_problem(cut(named, 0.6)).kind == "truncated"


@needs_ffmpeg
def test_a_browsers_recording_without_lengths_is_read_and_cut_ones_are_named(tmp_path):
    content = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", CLIP, "-c:a", "libopus", "-f", "webm", "pipe:1"],
        capture_output=True,
        check=True,
    ).stdout
    path = tmp_path / "live.webm"
    path.write_bytes(content)
    assert examine(path).seconds == pytest.approx(examine(CLIP).seconds, abs=0.05)
    assert find_problem(cut(path, 0.6)).kind == "truncated"


PLAYLISTS = {
    "hls": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\nsecret.wav\n",
    "concat": b"ffconcat version 1.0\nfile secret.wav\n",
    "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic"></MPD>',
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@needs_ffmpeg
@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("disguise", [b"", b"\xff\x00\n\n\n\n"])
def test_no_playlist_is_followed_whatever_it_is_called(tmp_path, wav, kind, disguise):
    wav("secret.wav")
    path = tmp_path / "voice.m4a"
    path.write_bytes(PLAYLISTS[kind] + disguise)
    assert find_problem(path).kind == ("unreadable" if disguise else "text")
    with pytest.raises(ffmpeg.DecodingError), ffmpeg.decode(path):
        pass


def program(folder: Path, lines: str) -> None:
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{lines}\n")
    (folder / "ffmpeg").chmod(0o700)


@on_posix
def test_a_decoder_that_hangs_is_ended_and_is_the_files_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(ffmpeg, "TIMEOUT", 0.2)
    program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    path = tmp_path / "voice.m4a"
    path.write_bytes(b"\0\0\0\x0cftypM4A ")
    assert "not decoded in time" in str(find_problem(path))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@on_posix
@needs_ffmpeg
def test_ffmpeg_ends_with_whoever_reads(tmp_path):
    path = made(tmp_path, "-af", "aloop=-1:28000", "-t", "30", "-c:a", "alac", "long.m4a")
    code = "import pathlib, sys; from sernb.audio import ffmpeg\nwith ffmpeg.decode(pathlib.Path(sys.argv[1])): input()"
    process = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE)

    def running() -> bool:
        listed = subprocess.run(["ps", "-ewwo", "stat,args"], capture_output=True, text=True, check=True).stdout
        return any(f"file:{path}" in line and not line.startswith("Z") for line in listed.splitlines())

    def becomes(state: bool) -> bool:
        return any(running() == state or time.sleep(0.1) for _ in range(600))

    assert becomes(True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert becomes(False)


# -- Channels -- #


def channels_of(tmp_path: Path, *channels: np.ndarray) -> reading.Recording:
    soundfile.write(tmp_path / "channels.wav", np.column_stack(channels), RATE, subtype="FLOAT")
    return examine(tmp_path / "channels.wav")


@pytest.mark.parametrize("factor", [-1.0, -0.9, -0.6])
def test_of_opposite_channels_the_loudest_is_taken(tmp_path, speech, factor):
    found = channels_of(tmp_path, np.float32(factor) * speech, speech)
    expected = speech if abs(factor) < 1 else -speech
    np.testing.assert_array_equal(found.signal, expected)
    assert "cancel each other" in found.notes[0]


@pytest.mark.parametrize("level", [0.0, 1e-3])
def test_a_silent_channel_is_left_out(tmp_path, speech, rng, level):
    hiss = (level * np.abs(speech).max() * rng.standard_normal(len(speech)) + 0.2).astype(np.float32)  # with an offset
    found = channels_of(tmp_path, hiss, speech)
    np.testing.assert_array_equal(found.signal, speech)
    assert found.notes == ("1 of its 2 channels are silent and were left out",)
    found = channels_of(tmp_path, speech, hiss, speech[::-1])
    np.testing.assert_allclose(found.signal, (speech + speech[::-1]) / 2, atol=1e-7)


def test_channels_that_belong_together_are_averaged(tmp_path, speech, rng):
    noise = (0.1 * rng.standard_normal((8, len(speech)))).astype(np.float32)
    for channels in ((speech, speech), (speech, speech / 2), noise, (speech, noise[0]), (speech, np.roll(speech, 40))):
        found = channels_of(tmp_path, *channels)
        np.testing.assert_allclose(found.signal, np.mean(channels, axis=0, dtype=np.float32), atol=1e-6)
        assert found.notes == ()


def test_channels_of_a_long_recording_are_looked_at_to_its_end(tmp_path, speech):
    opposite = np.column_stack([np.concatenate([speech * 0, speech]), np.concatenate([speech * 0, -speech])])
    soundfile.write(tmp_path / "long.wav", opposite, RATE, subtype="FLOAT")
    found = examine(tmp_path / "long.wav", keep_up_to=0.5)
    np.testing.assert_array_equal(np.concatenate(list(reading.blocks(found))), opposite[:, 0])
    assert "cancel" in found.notes[0]


# -- Limits -- #


def test_what_channels_and_samples_would_fill_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "many.wav", np.full((2000, decoders.MAX_CHANNELS + 1), 0.1), RATE)
    assert find_problem(tmp_path / "many.wav").kind == "channels"
    monkeypatch.setattr(reading, "MAX_VALUES", 5000)
    soundfile.write(tmp_path / "long.wav", np.full((3000, 2), 0.1), RATE)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("was decoded"))
    assert find_problem(tmp_path / "long.wav").kind == "too-long"


@on_posix
@pytest.mark.parametrize("look", [reading.read, lambda path: examine(path, keep_up_to=60.0), describe])
def test_pipes_and_devices_are_not_opened(tmp_path, look):
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
        with pytest.raises(AudioError, match="is a pipe or a device"):
            look(path)


@on_posix
def test_a_batch_survives_names_and_files_of_every_kind(tmp_path):
    shutil.copy(CLIP, tmp_path / "good.flac")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.flac")
    try:
        shutil.copy(CLIP, odd)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "list.m4a").write_bytes(PLAYLISTS["hls"])
    (tmp_path / "noise.m4a").write_bytes(np.random.default_rng(0).bytes(9000))
    names = [odd, *(tmp_path / name for name in ("pipe.wav", "list.m4a", "noise.m4a", "good.flac"))]
    done = subprocess.run(
        [sys.executable, "-m", "sernb", "predict", "--json", *names], capture_output=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 3
    first, *_, last = json.loads(done.stdout)
    assert first["probabilities"] == last["probabilities"]


# -- The inputs on which it failed -- #

RIGHT = {
    "aac_named.wav": 67_584, "data0.wav": 66_150, "ffpipe.mp3": 67_392, "flac_pipe.flac": 196_997,
    "gsm610.wav": 32_960, "mp3_in_wav.wav": 67_392, "plus16.wav": 66_150,
}  # fmt: skip
REFUSED = {
    "cat_rel.m4a": "is a text file", "hls_live.m4a": "is a text file", "trunc.ogg": "is truncated",
    "ogg_255ch_61s_uses_4GB.ogg": "has 255 channels",
}  # fmt: skip


@needs_ffmpeg
@pytest.mark.skipif(not FAILING.is_dir(), reason="needs the collected inputs")
def test_the_collected_files_are_answered_as_their_sound_in_a_clean_wav_or_refused(tmp_path, capsys):
    clean = []
    for name, samples in RIGHT.items():
        rate = {"gsm610.wav": 8000, "flac_pipe.flac": 48_000}.get(name, 22_050)
        copied = shutil.copy(FAILING / name, tmp_path / name)
        [sound] = by_ffmpeg(Path(copied))
        assert len(sound) == samples
        clean.append(tmp_path / f"clean-{name}.wav")
        soundfile.write(clean[-1], sound, rate, subtype="FLOAT")
    names = [FAILING / name for name in RIGHT]
    assert main(["predict", "--json", *map(str, [*names, *clean])]) == 0
    found = json.loads(capsys.readouterr().out)
    for odd, plain in zip(found[: len(names)], found[len(names) :], strict=True):
        assert odd["seconds"] == plain["seconds"]
        assert odd["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-3)
    assert main(["predict", *(str(FAILING / name) for name in REFUSED)]) == 1
    lines = capsys.readouterr().err.splitlines()
    for line, (name, words) in zip(lines, REFUSED.items(), strict=True):
        assert f"{name}: {words}" in line


@needs_ffmpeg
def test_own_corpora_may_hold_what_ffmpeg_knows(tmp_path, capsys, work):
    folder = tmp_path / "own"
    folder.mkdir()
    rows = ["path,speaker,emotion"]
    for number, clip in enumerate(sorted((ROOT / "data" / "demo").rglob("*.flac"))[:2]):
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c:a", "alac", folder / f"{number}.m4a"], check=True)
        rows.append(f"{number}.m4a,{number},{('happy', 'sad')[number]}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    assert main(["check", str(folder)]) == 0, capsys.readouterr()
    assert main(["prepare", str(folder)]) == 0, capsys.readouterr()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not here")
@pytest.mark.parametrize("codec", [("aac", "adts"), ("aac", "mpegts"), ("pcm_s32le", "sox")])
def test_content_decides_under_the_name_of_an_mp3(codec, tmp_path):
    path = tmp_path / "voice.mp3"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=1:r=22050:a=0.3"]
    made += ["-c:a", codec[0], "-f", codec[1]]
    subprocess.run([*made, str(path)], check=True)
    assert reading.examine(path).seconds == pytest.approx(1, abs=0.15)


def test_what_is_too_faint_to_be_sound_is_silence(tmp_path):
    rng = np.random.default_rng(0)
    for faint, silent in ((1e-42, True), (1e-20, False)):
        soundfile.write(tmp_path / "faint.wav", rng.normal(0, 1, 16_000) * faint, 16_000, subtype="DOUBLE")
        problem = reading.find_problem(tmp_path / "faint.wav")
        assert (problem is not None and problem.kind == "silent") == silent
