"""What is kept is kept whole: writing, reading back, and everything that may come between."""

import contextlib
import copy
import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice, permutations
from pathlib import Path

import numpy as np
import pytest

from sernb.config import DataError
from sernb.corpora import feature_cache
from sernb.corpora.feature_cache import read_features, write_features, write_part
from sernb.runtime.files import TEMPORARY, Damaged, atomic, unwritable


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(f"{TEMPORARY}*"))


def write_folder(path: Path, content: str = "new") -> None:
    with atomic(path) as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text(content)


def fail_halfway(path: Path, error: BaseException) -> None:
    with atomic(path) as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text("half")
        raise error


@pytest.fixture(scope="module")
def over() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# Whole or not at all


def test_a_file_appears_only_when_it_is_finished(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic(path) as unfinished:
        unfinished.write_text("whole")
        assert not path.exists()
        assert unfinished.suffix == ".txt"
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_what_was_there(tmp_path, error):
    write_folder(tmp_path / "folder", "old")
    with pytest.raises(error):
        fail_halfway(tmp_path / "folder", error())
    assert (tmp_path / "folder" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_replaces_a_filled_one(tmp_path):
    for content in ("old", "new"):
        write_folder(tmp_path / "folder", content)
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_is_said_in_one_line_with_what_to_do(tmp_path, reason):
    path = tmp_path / "folder"
    with pytest.raises(DataError) as caught:
        fail_halfway(path, OSError(reason, os.strerror(reason)))
    (line,) = caught.value.args
    assert line.startswith(f"{path}: cannot be written ({os.strerror(reason)}): free space or choose another folder")
    assert os.listdir(tmp_path) == []


def test_the_advice_names_the_setting_that_chose_the_path_or_none(tmp_path, monkeypatch):
    monkeypatch.setenv("SERNB_WORK", str(tmp_path / "work"))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    inside, outside = unwritable(tmp_path / "work" / "cache", full), unwritable(tmp_path / "table.csv", full)
    assert "another folder with SERNB_WORK, then" in str(inside)
    assert "another folder, then" in str(outside)
    for error in (inside, outside, outside.named_by("--csv")):
        assert str(copy.copy(error)) == str(error)


@pytest.mark.parametrize("inner", ["out", "out/deeper"])
def test_a_file_in_the_place_of_a_folder_is_said(tmp_path, inner):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        write_folder(tmp_path / inner / "folder")
    assert (tmp_path / "out").read_text() == "a file"


def test_all_of_it_is_on_the_disk_before_it_has_its_name_and_then_the_name(tmp_path, monkeypatch):
    path, flushed = tmp_path / "folder", []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append((os.fstat(number).st_ino, path.exists())))
    with atomic(path) as unfinished:
        (unfinished / "inner").mkdir(parents=True)
        (unfinished / "inner" / "file").write_text("whole")
    inner, file = path / "inner", path / "inner" / "file"
    before = {place.stat().st_ino for place in (path, inner, file)}
    assert {number for number, named in flushed if not named} == before
    assert flushed[-1] == (tmp_path.stat().st_ino, True)
    flushed.clear()
    with atomic(tmp_path / "file") as unfinished:
        unfinished.write_text("whole")
    assert [number for number, _ in flushed] == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize(("reason", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_cannot_write_is_told_from_one_that_need_not(tmp_path, monkeypatch, reason, fails):
    def fsync(number: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DataError, match="cannot be written") if fails else contextlib.nullcontext():
        write_folder(tmp_path / "folder")
    assert os.listdir(tmp_path) == ([] if fails else ["folder"])


@pytest.mark.parametrize("name", ["table", "page [1]*?.html", "spaces and ü"])
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path, monkeypatch, over, name):
    path = tmp_path / name
    monkeypatch.setattr(os, "getpid", lambda: over)
    with contextlib.suppress(ValueError), atomic(path) as unfinished:
        write_folder(unfinished / "half")
        unfinished.rename(unfinished.with_name(f"{unfinished.name}.kept"))  # as if nobody had tidied up
        raise ValueError
    monkeypatch.undo()
    assert left_in(tmp_path)
    with atomic(path) as unfinished:
        unfinished.write_text("whole")
    assert os.listdir(tmp_path) == [name]


def test_what_a_living_process_or_another_machine_is_writing_is_let_be(tmp_path, monkeypatch, over):
    path = tmp_path / "folder"
    with atomic(path) as mine:
        mine.mkdir()
        write_folder(path)
        assert mine.is_dir()
    monkeypatch.setattr("platform.node", lambda: "another machine")
    monkeypatch.setattr(os, "getpid", lambda: over)
    with atomic(path) as theirs:
        theirs.mkdir()
        monkeypatch.undo()
        write_folder(path)
        assert theirs.is_dir()


def test_many_may_write_the_same_folder_at_once(tmp_path):
    path = tmp_path / "folder"

    def write(content: int) -> None:
        for _ in range(40):
            write_folder(path, str(content))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert int((path / "file").read_text()) in range(8)
    assert os.listdir(tmp_path) == ["folder"]


# Feature tables


@pytest.fixture
def values(rng) -> dict[str, np.ndarray]:
    return {
        f"clip {number}": rng.standard_normal((length, 5)).astype(np.float32)
        for number, length in enumerate([7, 1, 12, 3])
    }


def write_table(folder: Path, clips, about: dict, part: int = 3) -> None:
    """Write a table in parts of so many clips."""

    def parts(unfinished: Path):
        left = iter(clips)
        for number in count():
            some = list(islice(left, part))
            if not some:
                return
            yield write_part(unfinished / f"part-{number}", some)

    write_features(folder, parts, about=about)


@pytest.fixture
def table(tmp_path, values) -> Path:
    write_table(tmp_path / "cache" / "table", values.items(), about={"corpus": "demo"})
    return tmp_path / "cache" / "table"


def test_a_table_gives_back_what_was_written(table, values):
    read = read_features(table)
    assert list(read.position) == list(values)
    assert len(read) == 4
    for clip, frames in values.items():
        np.testing.assert_array_equal(read[clip], frames)
        assert read[clip].dtype == np.float32
    assert json.loads((table / "contents.json").read_text())["about"] == {"corpus": "demo"}


def test_a_table_is_mapped_not_loaded(table, values):
    frames = read_features(table).frames
    assert isinstance(frames.base, np.memmap)
    assert not frames.flags.writeable


def test_a_table_can_be_written_again(table, values):
    write_table(table, list(values.items())[:2], about={})
    assert list(read_features(table).position) == ["clip 0", "clip 1"]


def test_a_table_is_the_same_in_every_byte_however_it_is_parted(table, values, tmp_path):
    write_table(tmp_path / "again", values.items(), part=1, about={"corpus": "demo"})
    for name in ("values.f32", "contents.json"):
        assert (tmp_path / "again" / name).read_bytes() == (table / name).read_bytes()


def test_an_error_while_computing_leaves_no_table(tmp_path, values):
    def failing():
        yield "clip 0", values["clip 0"]
        raise DataError("the second clip is unusable")

    with pytest.raises(DataError, match="second clip"):
        write_table(tmp_path / "cache" / "table", failing(), about={}, part=1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_table_is_no_error(tmp_path):
    assert read_features(tmp_path / "nowhere") is None
    (tmp_path / "file").write_text("")
    assert read_features(tmp_path / "file") is None


def test_a_flipped_bit_is_noticed_wherever_it_is(table, rng):
    for name in ("values.f32", "contents.json"):
        whole = (table / name).read_bytes()
        for position in rng.choice(len(whole), 40, replace=False):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << rng.integers(8)
            (table / name).write_bytes(damaged)
            assert read_features(table) is None, (name, position)
        (table / name).write_bytes(whole)
    assert read_features(table) is not None


def test_in_a_large_table_a_flipped_bit_is_noticed_when_its_clip_is_read(table, values, rng, monkeypatch):
    monkeypatch.setattr(feature_cache, "CHECKED_AT_ONCE", 0)
    whole = (table / "values.f32").read_bytes()
    contents = (table / "contents.json").read_bytes()
    for position in rng.choice(len(whole), 20, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        (table / "values.f32").write_bytes(damaged)
        read, noticed = read_features(table), []
        for clip, frames in values.items():
            try:
                np.testing.assert_array_equal(read[clip], frames)
            except Damaged as error:
                noticed.append(str(error))
        (line,) = noticed
        assert line.startswith(f"{table}: is damaged at clip ")
        assert read_features(table) is None, "it will be made again"
        (table / "contents.json").write_bytes(contents)


def test_a_cut_file_is_noticed_wherever_it_ends(table):
    for name in ("values.f32", "contents.json"):
        whole = (table / name).read_bytes()
        for length in {0, 1, 2, 4, 20, len(whole) // 2, len(whole) - 4, len(whole) - 1}:
            (table / name).write_bytes(whole[:length])
            assert read_features(table) is None, (name, length)
        (table / name).write_bytes(whole + whole[-20:])
        assert read_features(table) is None, name
        (table / name).unlink()
        assert read_features(table) is None, name
        (table / name).write_bytes(whole)
    assert read_features(table) is not None


def test_swapped_or_reordered_contents_are_noticed(table):
    contents = json.loads((table / "contents.json").read_text())
    for first, second in permutations(contents, 2):
        swapped = contents | {first: contents[second], second: contents[first]}
        (table / "contents.json").write_text(json.dumps(swapped))
        assert read_features(table) is None, (first, second)
    for field in ("clips", "lengths"):
        (table / "contents.json").write_text(json.dumps(contents | {field: contents[field][::-1]}))
        assert read_features(table) is None, field
    for field in contents:
        (table / "contents.json").write_text(json.dumps({key: contents[key] for key in contents if key != field}))
        assert read_features(table) is None, field


@pytest.mark.parametrize("text", ["", "[]", "null", "3", '"text"', "{}", '{"lengths": 3}', "\0\0\0\0", "\xff"])
def test_contents_of_another_kind_are_noticed(table, text):
    (table / "contents.json").write_bytes(text.encode("latin-1"))
    assert read_features(table) is None
