"""What somebody else's model says of itself is checked, bounded, and refused in one line."""

import io
import json
import os
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sernb.__main__ import main
from sernb.config import ROOT, DataError
from sernb.prediction.loading import BUNDLED
from sernb.runs.run_folder import write_run
from sernb.runtime import bounded
from sernb.runtime.bounded import arrays_in, json_in, words

FAILING = ROOT.parent / "shared" / "failing" / "models"
CLIP = min((ROOT / "data" / "demo").rglob("*.flac"))
WEIGHTS = (BUNDLED / "weights.npz").read_bytes()
ABOUT = json.loads((BUNDLED / "model.json").read_text("utf-8"))


def model(folder: Path, about: str | dict) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "weights.npz").write_bytes(WEIGHTS)
    (folder / "model.json").write_text(about if isinstance(about, str) else json.dumps(about), "utf-8")
    return folder


def line_of(folder: Path, capsys: pytest.CaptureFixture) -> str:
    """Return the one line in which a prediction with a model ends."""
    assert main(["predict", "--model", str(folder), str(CLIP)]) == 1
    printed, errors = capsys.readouterr()
    assert printed == ""
    [line] = errors.splitlines()
    return line


def changed(*keys: str, to: object) -> dict:
    about = json.loads(json.dumps(ABOUT))
    place = about
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return about


NONE = {name: dict.fromkeys(("low", "high", "stop")) for name in ABOUT["readiness"]}
ODD = {
    "nested": ("[" * 100_000, "cannot be read as JSON"),
    "nested objects": ('{"a":' * 100_000, "cannot be read as JSON"),
    "cut": (json.dumps(ABOUT)[:500], "cannot be read as JSON"),
    "a key twice": (json.dumps(ABOUT)[:-1] + ', "kind": "ridge"}', "cannot be read as JSON"),
    "a long number": (json.dumps(changed("longest", to=0)).replace('"longest": 0', '"longest": ' + "9" * 9000), "JSON"),
    "longest as text": (changed("longest", to="3.5"), "longest: a number from 0 to 3600"),
    "longest true": (changed("longest", to=True), "longest: a number from 0 to 3600"),
    "longest endless": (json.dumps(changed("longest", to=float("inf"))), "longest: a number from 0 to 3600"),
    "thresholds as text": (changed("sets", "as_heard", "0.9", to="0.1"), "sets: thresholds: a number from 0 to 1"),
    "sets as text": (changed("sets", to="0.1"), "is not valid"),
    "coverage of no number": (changed("sets", "as_heard", to={"a\nb": 0.1}), "is not valid"),
    "no bounds": (changed("readiness", to=NONE), "readiness: voice: stop: a number is expected"),
    "bounds as text": (changed("readiness", "pitch", "low", to="low"), "readiness: pitch: low: a number is expected"),
    "temperature 0": (changed("temperatures", "as_heard", to=1e-320), "temperatures: a number from 0.001 to 1000"),
    "temperatures as list": (changed("temperatures", to=[1]), "is not valid"),
    "classes as text": (changed("classes", to="neutral"), "classes: a list of 1 to 1000 words"),
    "classes twice": (changed("classes", to=["sad"] * 8), "classes: a word is repeated"),
    "classes of numbers": (changed("classes", to=list(range(8))), "classes: 0 is not a word"),
    "kind of many words": (changed("kind", to=["\n" * 9] * 9), "update the workbook"),
    "name of two lines": (changed("name", to="a\nb"), "name: one line of text is expected"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_model_is_one_line_and_exit_code_1(tmp_path, capsys, case):
    about, words_ = ODD[case]
    assert words_ in line_of(model(tmp_path / "model", about), capsys)


@pytest.mark.parametrize("name", ["json_nested", "longest_str", "ready_none", "sets_str"])
@pytest.mark.skipif(not FAILING.is_dir(), reason="needs the collected inputs")
def test_the_collected_models_are_one_line_and_exit_code_1(tmp_path, capsys, name):
    text = (FAILING / name / "model.json").read_text("utf-8")
    assert line_of(model(tmp_path / "model", text), capsys)
    if text.startswith("{"):
        ours = {name: ABOUT[name] for name in ("classes", "features", "weights_sha256")}
        about = json.loads(text) | ours
        assert "a number" in line_of(model(tmp_path / "model", about), capsys)


@pytest.mark.parametrize(
    "name", ["=cmd", "a\tb", "a\nb", "\u202esad", "a_b", "", " sad", "<b>", "a" * 41, "-1", "\x1b[0m"]
)
def test_names_of_classes_are_words(name):
    with pytest.raises(ValueError, match="is not a word"):
        words(["sad", name])
    assert words(["traurig", "très-triste", "悲しい", "not sure", "9 o'clock"])


def npz(path: Path, **arrays: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in arrays.items():
            packed.writestr(f"{name}.npy", content)
    return path


def npy(shape: str, sound: bytes, kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + sound


def test_arrays_are_those_that_numpy_reads(tmp_path, rng):
    arrays = {
        "a": rng.standard_normal((3, 4)), "b": np.float32([1, 2]), "c": np.asfortranarray(rng.standard_normal((4, 5))),
        "d": np.array(7), "e": np.array(["x", "yz"]), "f": np.zeros((0, 3)),
    }  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = arrays_in(tmp_path / "a.npz")
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    "content",
    [
        npy("(1000000000000,)", bytes(8)),
        npy("(-1, -8)", bytes(64)),
        npy("(2,)", bytes(24)),
        npy("(10000000000,)", b"", "|V0"),
        npy("(" * 5000, b""),
        npy("'a'", bytes(8)),
        b"\x93NUMPY\3\0" + bytes(100),
        b"no array",
        b"",
    ],
)
def test_an_array_is_as_large_as_its_bytes_and_no_larger(tmp_path, content):
    with pytest.raises(DataError, match="is damaged"):
        arrays_in(npz(tmp_path / "a.npz", a=content))


def test_many_and_doubled_arrays_and_odd_archives_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    monkeypatch.setattr(bounded, "MOST_ARRAYS", 5)
    with pytest.raises(DataError, match="more than 5 arrays"):
        arrays_in(npz(path, **{f"a{number}": npy("(1,)", bytes(8)) for number in range(6)}))
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.npy", npy("(1,)", bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("a.npy", npy("(1,)", bytes(8)))
    with pytest.raises(DataError, match="holds two arrays of one name"):
        arrays_in(path)
    with pytest.raises(DataError, match="larger than 0 MB"):
        bounded.content_of(path, 10)


def test_a_flipped_byte_is_a_damaged_file_or_the_same_array(tmp_path):
    path = tmp_path / "a.npz"
    whole, refused = npz(path, a=npy("(100,)", bytes(800))).read_bytes(), []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = arrays_in(path)
        except DataError as error:
            refused.append(str(error))
        else:
            assert all(array.shape == (100,) and not array.any() for array in found.values())
    assert len(refused) > len(whole) / 2
    assert not any("\n" in line for line in refused)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes of POSIX")
def test_pipes_in_the_place_of_a_models_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "model.json")
    for read in (json_in, arrays_in):
        with pytest.raises(DataError, match="is not a regular file"):
            read(tmp_path / "model.json")


@pytest.mark.parametrize("table", ["config", "metrics", "provenance"])
@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", "null", '{"system": {}, "labels": 3}', "\0"])
def test_an_odd_run_is_one_line(tmp_path, capsys, table, content):
    for name in ("config", "metrics", "provenance"):
        (tmp_path / f"{name}.json").write_text(content if name == table else "{}", "utf-8")
    (tmp_path / "predictions.csv").write_text("clip\n")
    shutil.copy(BUNDLED / "weights.npz", tmp_path)
    assert str(tmp_path) in line_of(tmp_path, capsys)


def test_what_a_run_says_of_answers_is_no_word_of_a_model(tmp_path, capsys):
    labels = {"becomes": [[name, name] for name in ABOUT["classes"]]}
    config = {"system": "functionals-ridge", "protocol": "speaker-independent", "labels": labels, "longest": "3.5"}
    config |= {
        "features": ABOUT["features"],
        "features_version": ABOUT["features_version"],
        "readiness": 3,
        "sets": "x",
    }
    with np.load(io.BytesIO(WEIGHTS)) as arrays:
        weights = {name: arrays[name] for name in ("mean", "deviation", "planes")}
    folder = tmp_path / "run"
    write_run(
        folder,
        config=config,
        provenance={},
        metrics={"chosen": {"temperature": 1.0}},
        tables={"predictions": pd.DataFrame({"clip": []})},
        weights=weights,
    )
    assert main(["predict", "--model", str(folder), str(CLIP)]) == 0, capsys.readouterr()
