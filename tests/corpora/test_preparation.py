"""Features are computed once from verified recordings; whatever disturbs the work, the cache is whole or not there."""

import errno
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sernb.__main__ import main
from sernb.audio.augmentation import TEST_VIEWS, Noise, Speed, apply_view
from sernb.audio.reading import load
from sernb.config import REPORTED, ROOT, DataError
from sernb.corpora import export
from sernb.corpora.export import column_names, write_csv
from sernb.corpora.local_index import read_index
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import cache_folder, prepare
from sernb.corpora.registry import get_corpus
from sernb.features import FrameValues, LogMel, Mfcc
from sernb.runtime.files import TEMPORARY
from sernb.systems.registry import SYSTEMS, get_system

DEMO = get_corpus("demo")
NOWHERE = ROOT / "no such folder"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left_in(work: Path) -> list[Path]:
    files = [path for path in work.rglob("*") if path.is_file() or path.name.startswith(TEMPORARY)]
    return [path for path in files if not path.is_relative_to(work / "locks")]


def where(features=LogMel(), view=TEST_VIEWS[0]) -> Path:  # noqa: B008
    return cache_folder(DEMO, features, view, read_index(DEMO))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    """The cache that preparing the demo leaves when nothing happens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(tmp_path_factory.mktemp("undisturbed")))
        prepare(DEMO, LogMel())
        return contents(where())


# What is computed


@pytest.mark.slow
@pytest.mark.parametrize("features", [LogMel(), Mfcc()], ids=["log-mel", "mfcc"])
@pytest.mark.parametrize("view", [TEST_VIEWS[0], Noise(snr=10), Speed("faster", 1.05)], ids=lambda view: view.name)
def test_the_cache_holds_the_features_of_each_clip(features, view, rng):
    table = prepare(DEMO, features, view=view)
    index = read_index(DEMO)
    assert list(table.position) == index["clip"].tolist()
    for row in index.iloc[rng.choice(len(index), 4, replace=False)].itertuples():
        signal = load(DEMO.home / row.path, features.sampling_rate)
        expected = features(apply_view(row.clip, view, signal, features.sampling_rate))
        np.testing.assert_allclose(table[row.clip], expected, rtol=1e-5, atol=1e-3)  # BLAS threads round otherwise


def test_what_is_cached_needs_no_recordings(undisturbed):
    first = prepare(DEMO, LogMel())
    again = prepare(DEMO, LogMel(), data=NOWHERE)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert contents(where()) == undisturbed


def test_other_settings_views_and_recordings_have_other_names():
    index = read_index(DEMO)
    changed = index.assign(sha256=["0" * 64, *index.sha256[1:]])
    folders = [
        where(),
        where(LogMel(bands=40)),
        where(Mfcc()),
        *(where(view=view) for view in TEST_VIEWS[1:]),
        where(view=Noise(snr=10)),
        cache_folder(DEMO, LogMel(), TEST_VIEWS[0], changed),
        cache_folder(DEMO, LogMel(), TEST_VIEWS[0], index[::-1]),
    ]
    assert len(set(folders)) == len(folders)


def test_a_copy_elsewhere_gives_the_same_cache(demo_copy, undisturbed):
    prepare(DEMO, LogMel(), data=demo_copy.parent)
    assert contents(where()) == undisturbed


# Recordings that cannot be used


def test_every_unusable_recording_is_one_line_and_nothing_is_left(demo_copy, work):
    names = read_index(DEMO).path[3::30].tolist()
    paths = [demo_copy / name for name in names]
    paths[0].rename(demo_copy / "elsewhere")
    with pytest.raises(DataError, match=f"demo: 1 of 240 clips .* missing, such as {names[0]}; .* demo:available"):
        prepare(DEMO, LogMel(), data=demo_copy.parent)
    (demo_copy / "elsewhere").rename(paths[0])
    paths[0].write_bytes(paths[0].read_bytes() + b"more")
    paths[1].write_bytes(b"")
    paths[2].write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    paths[3].write_bytes(paths[3].read_bytes()[:5000])
    paths[4].write_text("<html>not found</html>")
    soundfile.write(paths[5], np.array([0.1, np.nan] * 4000, np.float32), 16_000, format="WAV", subtype="FLOAT")
    soundfile.write(paths[6], np.zeros(16_000), 16_000)
    soundfile.write(paths[7], 0.1 * np.ones(16_000), 16_000)
    reasons = ["sha256 differs", "is empty", "Git LFS", "truncated", "text file", "NaN", "silence", "sha256 differs"]
    with pytest.raises(DataError) as caught:
        prepare(DEMO, LogMel(), data=demo_copy.parent)
    lines = caught.value.args
    assert len(lines) == len(paths)
    for line, path, reason in zip(lines, paths, reasons, strict=True):
        assert line.startswith(f"{path}: ")
        assert reason in line
        assert "; " in line
        assert "\n" not in line
    assert left_in(work) == []


def test_of_many_unusable_recordings_the_first_are_named_and_the_others_counted(demo_copy):
    for path in (demo_copy / "Actor_02").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        prepare(DEMO, LogMel(), data=demo_copy)
    assert len(caught.value.args) == REPORTED + 1
    assert caught.value.args[-1] == f"… and {30 - REPORTED} more; see `sernb check`"


def test_a_recording_under_the_name_of_another_is_refused(demo_copy, work):
    first, second = sorted((demo_copy / "Actor_03").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match=rf"{first.name}: is not the published file \(sha256 differs\); "):
        prepare(DEMO, LogMel(), data=demo_copy)
    assert left_in(work) == []


def test_recordings_that_are_not_there_are_named(tmp_path, work):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        prepare(DEMO, LogMel(), data=tmp_path / "nowhere")
    assert left_in(work) == []


# A cache that was damaged, a disk that is full


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def swap(path: Path) -> None:
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"clips": known["lengths"], "lengths": known["clips"]}))


def reorder(path: Path) -> None:
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"clips": known["clips"][::-1]}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("values.f32", cut),
        ("values.f32", flip),
        ("values.f32", Path.unlink),
        ("contents.json", cut),
        ("contents.json", flip),
        ("contents.json", swap),
        ("contents.json", reorder),
    ],
)
def test_a_damaged_cache_is_made_again(work, undisturbed, name, damage):
    where().mkdir(parents=True)
    for file, content in undisturbed.items():
        (where() / file).write_bytes(content)
    damage(where() / name)
    prepare(DEMO, LogMel())
    assert contents(where()) == undisturbed
    assert os.listdir(where().parent) == [where().name]


def test_a_cache_that_cannot_be_read_back_is_said(monkeypatch):
    monkeypatch.setattr("sernb.corpora.preparation.read_features", lambda folder: None)
    monkeypatch.setattr("sernb.corpora.preparation.write_features", lambda folder, clips, about: None)
    with pytest.raises(DataError, match="cannot be read back; check the disk"):
        prepare(DEMO, LogMel())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("room", [0, 5_000_000])
def test_a_full_disk_is_said_and_leaves_nothing(monkeypatch, work, room):
    opened = Path.open

    class Full:
        def __init__(self, file):
            self.file, self.room = file, room

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, block):
            self.room -= memoryview(block).nbytes
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(block)

    def open_(path, mode="r", *arguments, **options):
        file = opened(path, mode, *arguments, **options)
        return Full(file) if "w" in mode else file

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\): free space"):
        prepare(DEMO, LogMel())
    assert left_in(work) == []


# Other processes


def start(work: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "sernb", "prepare", "demo"],
        env=os.environ | {"SERNB_WORK": str(work)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen, work: Path, written: int) -> None:
    """Wait until a process has written so many bytes of a cache that is not finished."""
    for _ in range(60_000):
        if sum(path.stat().st_size for path in work.rglob(f"{TEMPORARY}*/values.f32")) >= written:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    raise AssertionError("nothing was written for a minute")


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_finishes_the_work(work, undisturbed, rng):
    size = len(undisturbed["values.f32"])
    for written in rng.integers(1, 0.8 * size, 2):
        process = start(work)
        wait_for(process, work, written)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not where().exists()
    process = start(work)
    printed, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert "240 clips" in printed
    assert contents(where()) == undisturbed
    assert [path.name for path in where().parent.iterdir()] == [where().name]


@pytest.mark.slow
def test_interrupted_it_stops_in_one_line_and_leaves_nothing(work):
    process = start(work)
    wait_for(process, work, 100_000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "sernb: interrupted; finished work is kept, the same command resumes it"
    assert left_in(work) == []


@pytest.mark.slow
def test_two_processes_may_prepare_the_same_at_once(work, undisturbed):
    where().mkdir(parents=True)
    (where() / "contents.json").write_text("damaged")
    both = [start(work) for _ in range(2)]
    for process in both:
        printed, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        assert "240 clips" in printed
    assert contents(where()) == undisturbed
    assert [path.name for path in where().parent.iterdir()] == [where().name]


# For work elsewhere


@pytest.mark.slow
@pytest.mark.parametrize("features", [FrameValues(), LogMel()], ids=["row", "frames"])
def test_csv_holds_the_cached_values_under_the_names_of_the_features(features, tmp_path):
    pool = parse_pool("demo:speaker=demo-03")
    path = tmp_path / "features.csv"
    table = prepare(pool, features)
    size = write_csv(path, pool, features)
    written = pd.read_csv(path, dtype={"clip": str})
    assert list(written.columns[:3]) == ["clip", "speaker", "emotion"]
    for column in written.columns[:3]:
        assert written[column].tolist() == pool.index[column].tolist()
    names = written.columns[3:]
    assert size == (30, len(names))
    assert len(set(names)) == len(names) == features.width * max(map(len, table.values()))
    for row in written.itertuples(index=False):
        values = table[row.clip].ravel()
        np.testing.assert_array_equal(np.array(row[3:], np.float32)[: len(values)], values)
        assert np.isnan(np.array(row[3:], float)[len(values) :]).all(), "frames that a clip does not have are empty"


@pytest.mark.slow
def test_csv_names_say_which_frame_a_value_is_of(tmp_path):
    pool = parse_pool("demo:speaker=demo-03")
    table = prepare(pool, Mfcc())
    write_csv(tmp_path / "mfcc.csv", pool, Mfcc())
    written = pd.read_csv(tmp_path / "mfcc.csv").set_index("clip")
    expected = [table[clip][12, 3] for clip in written.index]
    np.testing.assert_array_equal(written["mfcc_03_t012"].to_numpy(np.float32), expected)


@pytest.mark.parametrize("name", SYSTEMS)
def test_names_of_features_are_as_many_as_columns_and_each_once(name):
    features = get_system(name).features
    if features:
        names = column_names(features, 1)
        assert len(set(names)) == len(names) == features.width
        assert all(re.fullmatch(r"[a-z0-9_]+", each) for each in names)


def test_csv_is_compressed_where_its_name_says_so(tmp_path):
    pool = parse_pool("demo:speaker=demo-03")
    written = []
    for name in ("plain.csv", "packed.csv.gz", "again.csv.gz"):
        write_csv(tmp_path / name, pool, FrameValues())
        written.append((tmp_path / name).read_bytes())
    assert gzip.decompress(written[1]) == written[0]
    assert written[1] == written[2]
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == ["again.csv.gz", "packed.csv.gz", "plain.csv"]


def test_csv_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(path, *, compressed):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "_text", full)
    with pytest.raises(DataError, match=r"features\.csv: cannot be written"):
        write_csv(tmp_path / "features.csv", parse_pool("demo:speaker=demo-03"), FrameValues())
    assert not list(tmp_path.glob("*features*"))


def test_command_writes_csv_or_says_why_not(tmp_path, capsys):
    path = tmp_path / "features.csv.gz"
    assert main(["prepare", "demo:speaker=demo-03", "--system", "feature-cnn", "--csv", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: FrameValues of 30 clips, 880 values each\n"
    assert main(["prepare", "demo", "--system", "majority", "--csv", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "sernb: majority: ignores its input, so there are no features to write; name another system"
    ]
