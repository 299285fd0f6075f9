"""What libmpg123 prints becomes a note; what others print meanwhile is kept."""

import os
import subprocess
import sys
import threading

import numpy as np
import soundfile

from sernb.audio.decoders import DAMAGED_FRAMES
from sernb.audio.reading import examine
from sernb.runtime.stderr import divert_messages


def test_a_damaged_mp3_prints_nothing_and_is_noted(tmp_path, rng, capfd):
    path = tmp_path / "voice.mp3"
    soundfile.write(path, rng.normal(0, 0.1, 32_000), 16_000)
    whole = path.read_bytes()
    for place in rng.integers(600, len(whole), 200):
        content = bytearray(whole)
        content[place : place + 3] = rng.bytes(3)
        path.write_bytes(content)
        with path.open("rb") as file, soundfile.SoundFile(file) as sound:
            sound.read()
        if b"error" in capfd.readouterr().err.encode():  # what soundfile alone lets through
            break
    else:
        raise AssertionError("no change made the decoder print")
    assert examine(path).notes == (DAMAGED_FRAMES,)
    path.write_bytes(whole + b"APETAGEX" + bytes(2000))
    assert examine(path).notes == ()
    assert capfd.readouterr().err == ""


def test_what_other_threads_print_meanwhile_follows(capfd):
    def say(number: int) -> None:
        for each in range(50):
            with divert_messages() as messages:
                os.write(2, f"thread {number} line {each}\n".encode())
                os.write(2, b"Note: Trying to resync...\n")
            assert len(messages) == 1

    threads = [threading.Thread(target=say, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines) == sorted(f"thread {number} line {each}" for number in range(4) for each in range(50))


def test_a_process_without_stderr_reads_all_the_same(tmp_path):
    path = tmp_path / "voice.mp3"
    soundfile.write(path, np.sin(np.arange(16_000) / 9), 16_000)
    code = "import os, sys; os.close(2); from sernb.audio.reading import read; print(len(read(sys.argv[1])[0]))"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "16000\n"
