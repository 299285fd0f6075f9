"""Streams of frames that were cut are named truncated, whole ones are read; ffmpeg makes them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sernb.audio import ffmpeg, frames
from sernb.audio.containers import HEADER_BYTES, read_structure
from sernb.audio.reading import examine, find_problem
from sernb.config import ROOT

CLIP = min((ROOT / "data" / "demo").rglob("*.flac"))
needs_ffmpeg = pytest.mark.skipif(not ffmpeg.find_program(), reason="needs the program ffmpeg")

STREAMS = {
    "a.ac3": (), "a.eac3": (), "a.dts": ("-c:a", "dca", "-strict", "-2", "-ar", "48000"), "a.mp2": (),
    "a.flv": ("-ar", "44100"),
    "a.ts": (), "a.voc": (), "a.mpg": ("-c:a", "mp2"), "a.wv": (), "a.latm": ("-c:a", "aac"), "a.sox": (), "a.aac": (),
    "low.mp2": ("-ar", "22050"), "44.ac3": ("-ar", "44100"), "32.ac3": ("-ar", "32000", "-b:a", "96k"),
    "a.mp3": ("-write_xing", "0", "-ar", "44100"), "low.mp3": ("-write_xing", "0", "-ar", "22050", "-b:a", "40k"),
    "lowest.mp3": ("-write_xing", "0", "-ar", "11025"),
}  # fmt: skip
READ = "a.ac3", "a.dts", "a.mp2", "a.flv", "a.ts", "a.voc"


def missing(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    return read_structure(path, content[:HEADER_BYTES], len(content)).missing


@needs_ffmpeg
def test_cut_streams_are_truncated_and_whole_ones_are_not(tmp_path):
    """All are cut to half a frame; the count is that of the bytes to the end of a frame or of the file."""
    outputs = [part for name, how in STREAMS.items() for part in (*how, tmp_path / name)]
    subprocess.run(["ffmpeg", "-v", "error", "-i", CLIP, *outputs], check=True)
    seconds = soundfile.info(CLIP).duration
    for name in STREAMS:
        path = tmp_path / name
        content = path.read_bytes()
        assert missing(path, content) == 0, name
        if name in READ:
            found = examine(path)
            assert found.seconds == pytest.approx(seconds, abs=0.15), name
            assert not [note for note in found.notes if "cut" in note], name
        assert missing(path, content + b"TAG" + bytes(125)) == 0 or name in ("a.ts", "a.voc"), name
        for share in (0.617, 0.8731, 0.97):
            length = int(len(content) * share)
            length += length % frames.PACKET == 0 or missing(path, content[:length]) == 0
            assert missing(path, content[:length]) > 0, (name, share)
            assert find_problem(path).kind == "truncated", (name, share)
            assert "bytes are missing at the end" in str(find_problem(path))
        filled = length + missing(path, content[:length])
        assert filled <= len(content), name
        assert missing(path, content[:filled]) == 0, name


@pytest.mark.parametrize(
    "text", ["Hello, this is no recording. ".encode("utf-16"), "Völker, hört die Signale ".encode("latin-1")]
)
def test_text_that_begins_like_a_frame_is_no_truncated_recording(tmp_path, text):
    path = tmp_path / "notes.mp3"
    path.write_bytes(20 * text)
    assert find_problem(path).kind != "truncated"


@pytest.mark.parametrize(
    "mark", [*frames.MARKS, b".SoX", b"XoS.", b"OggS", b"RIFF", b"fLaC", b"caff", b"FORM", b".snd", b"\xff\xfb"]
)
def test_a_file_of_nothing_but_its_mark_is_refused_in_one_line(tmp_path, mark):
    for length in range(1, 2 * len(mark) + 1):
        path = tmp_path / "a.wav"
        path.write_bytes((mark + bytes(16))[:length])
        assert "\n" not in str(find_problem(path))


@needs_ffmpeg
def test_a_transport_stream_cut_between_packets_is_noted(tmp_path):
    path = tmp_path / "a.ts"
    subprocess.run(["ffmpeg", "-v", "error", "-i", CLIP, path], check=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10 // frames.PACKET * frames.PACKET])
    assert "it may be cut" in examine(path).notes[0]


@pytest.mark.parametrize(("mark", "mode", "length"), [(b"#!AMR\n", 7, 32), (b"#!AMR-WB\n", 8, 61)])
def test_amr_frames_have_the_lengths_of_rfc_4867(tmp_path, mark, mode, length):
    frame = bytes([mode << 3 | 4]) + bytes(length - 1)
    silence = bytes([(8 if length == 32 else 9) << 3 | 4]) + bytes(5)  # a comfort noise frame
    whole = mark + frame * 9 + silence + frame
    assert missing(tmp_path / "a.amr", whole) == 0
    assert missing(tmp_path / "a.amr", whole[:-3]) == 3


def test_a_hole_after_an_ogg_is_not_searched(tmp_path):
    """The decoder would search 100 GB for five minutes."""
    path = tmp_path / "voice.ogg"
    soundfile.write(path, *soundfile.read(CLIP), format="OGG", subtype="VORBIS")
    with path.open("r+b") as file:
        file.truncate(100_000_000_000)
    assert find_problem(path).kind == "truncated"


def tracks(folder: Path, name: str, *first: str) -> Path:
    """Make a file of two audio tracks, of which the second is the clip."""
    maps = ["-map", "0:a", "-map", "1:a", "-c:a", "alac" if name.endswith(("mov", "mp4")) else "flac"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *first, "-i", CLIP, *maps, folder / name], check=True)
    return folder / name


SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=1")


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mkv"])
def test_of_several_tracks_the_first_with_sound_is_taken(tmp_path, name):
    speech = soundfile.read(CLIP, dtype="float32")[0]
    found = examine(tracks(tmp_path, name, *SILENCE))
    np.testing.assert_array_equal(found.signal, speech)
    because = "because that before it is silent or cannot be decoded"
    assert found.notes == (f"it has 2 audio tracks; track 2 was taken, {because}",)
    found = examine(tracks(tmp_path, name, "-i", str(CLIP)))
    np.testing.assert_array_equal(found.signal, speech)
    assert found.notes == ("it has 2 audio tracks; track 1 was taken",)


@needs_ffmpeg
def test_a_track_that_cannot_be_decoded_is_passed_over(tmp_path):
    path = tracks(tmp_path, "a.mp4", "-i", str(CLIP))
    path.write_bytes(path.read_bytes().replace(b"alac", b"zzzz", 2))  # its coding, twice
    assert "track 2 was taken" in examine(path).notes[0]
    made = ["ffmpeg", "-v", "error", *SILENCE, *SILENCE, "-map", "0", "-map", "1", tmp_path / "b.mkv"]
    subprocess.run(made, check=True)
    assert find_problem(tmp_path / "b.mkv").kind == "silent"
