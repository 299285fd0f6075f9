"""No traceback reaches a user: every command with bad inputs and machines, one line each and the right exit code."""

import io
import json
import os
import re
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sernb.__main__ import main
from sernb.config import ROOT
from sernb.corpora.availability import find_available
from sernb.corpora.pool import parse_pool

FAILING = ROOT.parent / "shared" / "failing" / "tables"
DEMO = sorted((ROOT / "data" / "demo").rglob("*.flac"))
LONG = "a" * 5000
STUDY = "experiment --systems majority --corpus demo --protocol random"
HEAD = "path,speaker,emotion\n"

TABLES = {  # own recordings: labels.csv of a folder → what is said of it
    "empty": ("", "has no column path or speaker or emotion (found: nothing)"),
    "head alone": (HEAD, "lists no recordings"),
    "other columns": ("sound,who,what\na,b,c\n", "has no column path or speaker or emotion (found: sound, who, what)"),
    "column twice": ("path,speaker,emotion,speaker\na.wav,A,sad,B\n", "has the column speaker 2 times"),
    "open quote": (HEAD + '"a.wav,A,sad\nb.wav,B,sad\n', "a quote is not closed"),
    "too many cells": (HEAD + "a.wav,A,sad,,x\n", "has more cells than the header"),
    "cp1252": ((HEAD + "a.wav,Zoë,sad\n").encode("cp1252"), "is not UTF-8 text"),
    "UTF-16 without a mark": (HEAD.encode("utf-16-le"), "is binary, not text"),
    "binary": (bytes(range(256)), "is not UTF-8 text"),
    "leads out": (HEAD + "../../etc/passwd,A,sad\n", "leads out of the folder"),
    "unknown emotion": (HEAD + "a.wav,A,$hungry$\n", "emotion '$hungry$' is unknown"),
    "missing": (HEAD + "a.wav,A,sad\n", "a.wav: is missing; put it there or remove it from the labels"),
    "in two places": (HEAD + "twice.wav,A,sad\n", "its name is 2 times elsewhere"),
    "no sound": (HEAD + "no.wav,A,sad\n", "record or export it again"),
    "infinite age": ("path,speaker,emotion,age\na.wav,A,sad,inf\n", "age 'inf' is not a number"),
    "two genders": ("path,speaker,emotion,gender\na.wav,A,sad,f\nb.wav,A,sad,m\n", "has two genders"),
}
SPLITS = {  # splits for `sernb audit`
    "empty.csv": (b"", "has the columns nothing"),
    "binary.csv": (bytes(range(256)), "is not UTF-8 text"),
    "quote.csv": (b'path,part\n"a.wav,train\n', "a quote is not closed"),
    "twice.csv": (b"path,part,part\na.wav,train,test\n", "has the column part 2 times"),
    "cells.csv": (b"path,part\na.wav,train,test\n", "has more cells than the header"),
    "part.csv": (b"path,part\na.wav,both\n", "line 2: part 'both' is none of train"),
    "train.csv": (b"path,part\na.wav,train\n", "has no clips to test"),
    "latin.csv": ("path,part\nZoë,train\n".encode("latin-1"), "is not UTF-8 text"),
    "circle.csv": (b"clip,part,origin\na,train,b\nb,test,a\n", "its origin was made from it"),
    "table.xlsx": (b"PK\3\4\0\0", "is binary, not text"),
}
MODELS = {"nothing": {}, "json": {"model.json": "{"}, "list": {"model.json": "[]"}, "other": {"model.json": "{}"}}

PROBLEMS = {  # exit code 1: arguments, with {bad} for the folder of bad things → a part of the line
    "check nosuch": "no corpus is named 'nosuch'",
    f"check {LONG}": "",
    "check demo --data {bad}/nowhere": "no such folder",
    "check demo --data {bad}/file": "is a file, not a folder",
    "check demo --data {bad}/void": "is empty",
    "check {bad}/void": "has no labels.csv",
    "prepare demo+": "a corpus is missing before or after a +",
    "prepare demo+demo": "is named twice",
    "prepare demo:gender": "is not a condition such as gender=female",
    "prepare demo:gender=other": "no clip has gender 'other'",
    "prepare demo --system nosuch": "nosuch",
    "prepare demo --system majority --csv {bad}/x.csv": "majority",
    "run {bad}/void": "no such notebook",
    "run {bad}/no.ipynb": "is not a readable notebook",
    "run 00_start_here -p nosuch 1": "has no parameter nosuch",
    "run 40_test -p seed -1": "parameter seed needs a whole number from 0 to 4294967295, not '-1'",
    "run 40_test -p seed 4294967296": "parameter seed needs a whole number from 0",
    "run 40_test -p corpus +": "a corpus is missing before or after a +",
    "run 90_try_your_voice -p coverage nan": "parameter coverage needs a number that is finite",
    "run 40_test -p corpus {bad}/void": "has no labels.csv",
    "report --corpus nosuch": "no corpus is named 'nosuch'",
    "report --systems nosuch": "nosuch",
    "status --systems majority": "needs --systems, --corpus and --protocol together",
    f"{STUDY} --folds 999": "has no fold",
    f"{STUDY} --labels nosuch": "nosuch",
    f"{STUDY} --sampling nosuch": "nosuch",
    f"{STUDY} --train-on nosuch=1": "nosuch",
    f"{STUDY} --test-on gender=other": "other",
    "verify nosuch speaker-independent": "nosuch",
    "verify majority nosuch": "nosuch",
    "fetch nosuch": "no corpus is named 'nosuch'",
    "fetch savee": "cannot be fetched",
    "fetch ravdess --url file:///etc/passwd": "must begin with https://",
    "fetch ravdess --url https://me:geheim@": "https://: is not a web address",
    "fetch ravdess --into {bad}/file": "is a file, not a folder",
    "audit {bad}/nowhere.csv": "no such file",
    "audit {bad}/void": "is not a regular file",
    "audit {bad}/good.csv --corpus nosuch": "no corpus is named 'nosuch'",
    "audit {bad}/good.csv --corpus demo": "is not a clip of demo",
    "audit {bad}/good.csv --data {bad}/void": "holds none of the recordings",
    "predict {bad}/nowhere.wav": "nowhere.wav",
    "predict {bad}/void": "holds no recording",
    "predict {bad}/*.nothing": "",
    "predict {bad}/no.wav": "no.wav: ",
    "predict {bad}/empty.wav": "empty.wav: is empty",
    "predict {bad}/cut.wav": "cut.wav: is truncated",
    "predict {bad}/silent.wav": "silent.wav: is pure silence",
    "predict {bad}/nan.wav": "nan.wav: holds invalid samples",
    "predict {bad}/good.flac --model {bad}/nowhere": "no such folder",
    "predict {bad}/good.flac --model {bad}/file": "no such folder",
    "predict {bad}/good.flac --coverage 0.77": "has no sets of coverage 0.77",
    "predict {bad}/good.flac --speaker-clips {bad}/void": "holds no recording",
    "app --port {taken}": "Address already in use",
    "app --model {bad}/void": "contains neither model.json nor config.json",
    **{f"check {{bad}}/labels/{number}": said for number, (_, said) in enumerate(TABLES.values())},
    **{f"audit {{bad}}/{name}": said for name, (_, said) in SPLITS.items()},
    **{f"predict {{bad}}/good.flac --model {{bad}}/models/{name}": "" for name in MODELS},
}
USAGE = {  # exit code 2
    "": "Missing command", "nosuch": "nosuch", "reportt": "report", "check": "Missing argument 'CORPUS'",
    "check demo more": "more", "check demo --nosuch": "--nosuch", "check demo --jsn": "Did you mean '--json'",
    "check demo --data": "requires an argument", "check demo --json=1": "does not take a value",
    "check demo --data --json": "DIR is expected, not '--json'", f"{STUDY} --csv -x": "FILE is expected",
    "experiment": "Missing option '--systems'",
    "report --seed one": "'one' is not a seed", "report --seed -1": "--seed", "report --seed 4294967296": "not a seed",
    "report --systems ,": "contains no name", "report --profile slow": "slow",
    f"{STUDY} --systems=": "contains no name", f"{STUDY} --folds 4-0": "'4-0' is not a number or a range",
    f"{STUDY} --folds 0-999999999": "more than 1000 numbers", f"{STUDY} --folds 0-{'9' * 5000}": "not a number",
    f"{STUDY} --folds ²": "not a number or a range", f"{STUDY} --seeds 1,,2": "'' is not a number or a range",
    f"{STUDY} --seeds 9999999999": "not a seed", f"{STUDY} --jobs 0": "not a number of processes",
    f"{STUDY} --jobs ٣": "not a number of processes", f"{STUDY} --train-clips 0": "not a number of clips",
    f"{STUDY} --csv=": "a name is expected", "verify majority random --tolerance nan": "not a number of points",
    "verify majority random --tolerance -1": "--tolerance", "predict": "Missing argument",
    "predict a.wav --coverage 1.5": "not a share", "predict a.wav --coverage nan": "not a share",
    "predict a.wav --csv=": "a name is expected", "app --port 65536": "not a port", "app --port -1": "--port",
    "app --port http": "not a port", "app --keep=": "a name is expected", "audit": "Missing argument 'SPLIT.csv'",
}  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    """A folder of everything that is wrong."""
    folder = tmp_path_factory.mktemp("bad $x_{ ü")
    (folder / "void").mkdir()
    (folder / "file").write_text("mine")
    (folder / "good.csv").write_text("path,part\na.wav,train\nb.wav,test\n")
    (folder / "good.flac").write_bytes(DEMO[0].read_bytes())
    (folder / "no.wav").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    (folder / "no.ipynb").write_text("{")
    (folder / "empty.wav").touch()
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(folder / "whole.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:9000])
    for name, (content, _) in SPLITS.items():
        (folder / name).write_bytes(content)
    for number, (text, _) in enumerate(TABLES.values()):
        own = folder / "labels" / str(number)
        (own / "one").mkdir(parents=True)
        (own / "two").mkdir()
        for place in ("one", "two"):
            (own / place / "twice.wav").write_bytes((folder / "whole.wav").read_bytes())
        (own / "no.wav").write_bytes((folder / "no.wav").read_bytes())
        (own / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, files in MODELS.items():
        (folder / "models" / name).mkdir(parents=True)
        for file, text in files.items():
            (folder / "models" / name / file).write_text(text)
    return folder


@pytest.fixture(scope="module")
def taken():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def filled(arguments: str, bad: Path, taken: int = 0) -> list[str]:
    return [word.replace("{bad}", str(bad)).replace("{taken}", str(taken)) for word in arguments.split()]


def lines(text: str) -> list[str]:
    assert "Traceback" not in text
    return text.splitlines()


@pytest.mark.parametrize("arguments", PROBLEMS, ids=lambda text: text[:60])
def test_bad_input_is_one_line_and_exit_code_1(arguments, bad, taken, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "raw"))
    before = sorted(bad.rglob("*"))
    assert main(filled(arguments, bad, taken)) == 1
    out, errors = capsys.readouterr()
    told = lines(errors)
    if "labels" in arguments and not told:  # what a check finds stands on its page
        told = [f"sernb: {line.removeprefix('problem: ')}" for line in lines(out) if line.startswith("problem: ")]
    (line,) = told
    assert line.startswith("sernb: ")
    assert PROBLEMS[arguments] in line
    assert "geheim" not in out + errors
    assert sorted(bad.rglob("*")) == before, "nothing is half done"


@pytest.mark.parametrize("arguments", USAGE, ids=lambda text: text[:60] or "nothing")
def test_wrong_usage_is_said_in_one_line_and_is_exit_code_2(arguments, capsys):
    assert main(arguments.split()) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in lines(errors) if ": error: " in line]
    assert USAGE[arguments] in line


# Batches


def test_one_bad_file_ends_no_batch(bad, capsys, tmp_path):
    names = ["no.wav", "good.flac", "empty.wav", "nowhere.wav", "silent.wav", "cut.wav", "whole.wav"]
    code = main(["predict", *(str(bad / name) for name in names), "--json", "--csv", str(tmp_path / "said.csv")])
    out, errors = capsys.readouterr()
    found = json.loads(out)
    assert code == 1
    assert [Path(each["file"]).name for each in found] == names
    errors_of = [Path(each["file"]).name for each in found if "error" in each]
    assert "good.flac" not in errors_of
    assert {"no.wav", "empty.wav", "nowhere.wav", "silent.wav", "cut.wav"} <= set(errors_of)
    assert len(lines(errors)) == len(errors_of)
    assert "good.flac" in (tmp_path / "said.csv").read_text()


# Machines


@pytest.mark.parametrize("variable", ["SERNB_WORK", "SERNB_DATA"])
@pytest.mark.parametrize(
    "arguments", ["prepare ravdess", "experiment --systems majority --corpus ravdess --protocol random"]
)
def test_a_file_instead_of_a_folder_is_one_line(variable, arguments, bad, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SERNB_DATA", str(tmp_path / "raw"))
    monkeypatch.setenv(variable, str(bad / "file"))
    assert main(arguments.split()) == 1
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("sernb: ")


class Terminal(io.TextIOWrapper):
    """A stream that knows few letters, as under PYTHONIOENCODING=ascii or in an old console."""

    def __init__(self, encoding: str):
        super().__init__(io.BytesIO(), encoding, write_through=True)

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "utf-8"])
def test_no_letter_stops_a_command(encoding, tmp_path, monkeypatch):
    name, bytes_ = "Zoë 感情 🙂.flac", os.fsdecode(b"\xff\xfe.wav")
    (tmp_path / name).write_bytes(DEMO[0].read_bytes())
    for arguments in (["corpora"], ["predict", str(tmp_path)], ["predict", str(tmp_path), "--json"],
                      ["predict", str(tmp_path / f"ü{bytes_}")], ["audit", str(tmp_path / f"ü{bytes_}")]):  # fmt: skip
        out, errors = Terminal(encoding), Terminal(encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", errors)
        code = main([*arguments, *(["--csv", str(tmp_path / "said.csv")] if "--json" in arguments else [])])
        assert code == int("ü" in arguments[-1]), errors.text
        if "--json" in arguments:
            assert [Path(each["file"]).name for each in json.loads(out.text)] == [name]
    assert "Zoë" in (tmp_path / "said.csv").read_text("utf-8")


def test_no_stdout_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["corpora"]) == 0
    assert main(["check", "nosuch"]) == 1


@pytest.mark.parametrize("more", [["--csv", "said.csv"], ["--csv", "said.csv", "--json"], ["--labels", "."], []])
def test_predictions_are_written_whole_when_the_reader_goes(more, bad, monkeypatch, tmp_path):
    """As by `sernb predict … | head -1`."""
    monkeypatch.chdir(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        assert main(["predict", str(bad / "good.flac"), str(DEMO[1]), str(DEMO[2]), *more]) == 0
    if "--csv" in more:
        assert len((tmp_path / "said.csv").read_text().splitlines()) == 4
    if "--labels" in more:
        assert len(list(tmp_path.glob("*.txt"))) == 3


# Names of folders


@pytest.mark.parametrize("name", ["a+b", "a:b", "a+b:c=d", "demo+x", "$5 $x_{", "né", "-p", "x:available", "a+"])
def test_any_name_of_a_folder_is_a_folder(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    for number, clip in enumerate(DEMO[:4]):
        (folder / f"{number}.flac").write_bytes(clip.read_bytes())
    rows = [
        f"{number}.flac,S{number % 2},{emotion},f" for number, emotion in enumerate(("sad", "sad", "angry", "angry"))
    ]
    (folder / "labels.csv").write_text("path,speaker,emotion,gender\n" + "\n".join(rows))
    assert main(["check", str(folder)]) == 0
    out, errors = capsys.readouterr()
    assert lines(errors) == []
    assert parse_pool(str(folder)).clips == 4
    assert parse_pool(f"{folder}:gender=female").clips == 4
    two = parse_pool(f"demo+{folder}:emotion=sad")
    assert [part.corpus.title for part in two.parts] == ["the demo corpus", name]
    assert [len(part.clips) for part in parse_pool(f"{name}:emotion=sad+demo").parts] == [2, 240]
    assert "sernb fetch" not in out + find_available(str(folder)).summary


@pytest.mark.skipif(not FAILING.is_dir(), reason="the small failing inputs are not here")
@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("trailing.csv", 0, "2 clips, leaks: 0, notes: 0"),
        ("semi.csv", 0, "2 clips, leaks: 0, notes: 0"),
        ("spk_case.csv", 0, "note: speakers with nearly equal names: Spk1, spk1 count as 2 people"),
    ],
)
def test_splits_that_failed(name, code, words, capsys):
    assert main(["audit", str(FAILING / name)]) == code
    assert words in capsys.readouterr().out


def test_a_zip_instead_of_a_table_is_one_line(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "split.csv", "w") as archive:
        archive.writestr("a", "b")
    assert main(["audit", str(tmp_path / "split.csv")]) == 1
    assert len(lines(capsys.readouterr().err)) == 1


# Names that no file can have, and names that a command must not write over


def test_a_name_that_no_file_can_have_ends_no_batch(bad, capsys):
    names = ["~nosuchuser/a.wav", "y" * 300 + ".wav", "a\0b.wav", "\ud800.wav"]
    assert main(["predict", *names, str(bad / "good.flac"), "--json"]) == 1
    out, errors = capsys.readouterr()
    assert ["error" in each for each in json.loads(out)] == [True] * 4 + [False]
    assert len(lines(errors)) == 4
    assert "fault of sernb" not in errors


def test_no_table_is_written_over_a_recording(tmp_path, capsys, monkeypatch):
    """As by `sernb predict --csv *.wav`."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.FLAC"):
        Path(name).write_bytes(DEMO[0].read_bytes())
        assert main(["predict", "a.wav", "--csv", name]) == 2
        assert "name a table" in capsys.readouterr().err
        assert Path(name).read_bytes() == DEMO[0].read_bytes()
    assert main(["predict", "a.wav", "--csv", "~nosuchuser/x.csv"]) == 0  # nobody's home is a name as any other
    assert Path("~nosuchuser", "x.csv").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("option", "suffix"), [("--labels", "txt"), ("--textgrid", "TextGrid")])
def test_timelines_are_written_over_timelines_alone(option, suffix, tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(DEMO[0].read_bytes())
    transcript = tmp_path / f"a.{suffix}"
    transcript.write_text("what is said: kids are talking by the door\n")
    assert main(["predict", str(tmp_path / "a.wav"), option, str(tmp_path)]) == 1
    assert "choose another folder" in capsys.readouterr().err
    assert transcript.read_text().startswith("what is said")
    transcript.unlink()
    command = ["predict", str(tmp_path / "a.wav"), option, str(tmp_path)]
    assert [main(command) for _ in range(2)] == [0, 0]
    by_hand = re.sub(r'(text = "|\d\t)[a-z ]+', r"\1a sigh", transcript.read_text())
    transcript.write_text(by_hand)
    assert main(command) == 1
    assert transcript.read_text() == by_hand


@pytest.mark.slow
def test_an_empty_corpus_of_a_notebook_is_that_of_the_session(capsys):
    assert main(["run", "40_test", "-p", "corpus", ""]) == 1
    *progress, line = lines(capsys.readouterr().err)
    assert all(each.startswith("40_test: ") for each in progress)
    assert "runs of this page are missing" in line
    assert "-p corpus demo" in line


def test_a_name_breaks_no_line_and_colours_no_terminal(tmp_path, capsys):
    odd = "a\nsernb: \x1b[31m\u202egone.wav"
    (tmp_path / odd).write_bytes(DEMO[0].read_bytes())
    assert main(["predict", str(tmp_path), str(tmp_path / f"no{odd}")]) == 1
    out, errors = capsys.readouterr()
    assert "\\nsernb: \\x1b[31m\\u202egone.wav  0:0" in out
    assert not set("\x1b\u202e") & set(out + errors)
    assert len(lines(errors)) == 1
