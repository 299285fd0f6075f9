"""The `sernb` command as a user meets it: exit codes, one clear line a problem, nothing half done."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sernb import __version__
from sernb.__main__ import main
from sernb.cli.main import COMMANDS
from sernb.cli.main import sernb as group
from sernb.cli.options import KNOWN_PROTOCOLS
from sernb.config import NOTEBOOKS, ROOT
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.protocol import PROTOCOLS
from sernb.systems.registry import SYSTEMS

CLIP = min((ROOT / "data" / "demo").rglob("*.flac"))
HEAVY = {"tensorflow", "keras", "librosa", "pandas", "sklearn", "matplotlib", "numpy", "scipy", "soundfile", "joblib"}


def sernb(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    """Run the command in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "sernb", *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )
    assert "Traceback" not in process.stderr + process.stdout
    return process


def problems(process: subprocess.CompletedProcess) -> list[str]:
    """Lines of the error stream, each of which must be a problem."""
    assert process.returncode == 1
    lines = process.stderr.splitlines()
    assert lines
    assert all(line.startswith("sernb: ") for line in lines)
    return [line.removeprefix("sernb: ") for line in lines]


def kept(work: Path) -> list[Path]:
    """What is left in a work folder; lock files stay, empty or with a note."""
    left = [path for path in work.rglob("*") if path.is_file() or path.name.startswith(".")]
    return [path for path in left if not path.is_relative_to(work / "locks")]


# Without work


@pytest.mark.parametrize("statement", ["import sernb", "from sernb.__main__ import main; main(['--help'])"])
def test_nothing_heavy_is_imported_for_nothing(statement):
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        f"{statement}"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(process.stderr.split())
    assert "sernb" in imported
    assert not imported & HEAVY


def test_help_names_every_command_and_the_version_is_the_packages():
    shown = sernb("--help").stdout
    for name in ("corpora", "check", "prepare", "run", "report", "experiment"):
        assert f"\n  {name} " in shown
    assert sernb("--version").stdout == f"sernb {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_each_of_its_words(name, capsys):
    assert main([name, "-h"]) == main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: sernb {name} ")
    assert shown.isascii()
    for parameter in group.get_command(None, name).params:
        assert parameter.help
        assert (parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]) in shown


def test_help_names_every_protocol():
    assert sorted(KNOWN_PROTOCOLS.split(", ")) == sorted(PROTOCOLS)


def test_a_package_copied_by_pip_works_in_the_checkout_and_says_so_elsewhere(tmp_path):
    shutil.copytree(NOTEBOOKS.parent / "sernb", tmp_path / "packages" / "sernb")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "packages"), "SERNB_WORK": str(tmp_path)}
    assert "240 published clips" in sernb("check", "demo", env=environment, cwd=NOTEBOOKS).stdout
    (said,) = problems(sernb("report", env=environment, cwd=tmp_path))
    assert "in its checkout" in said


def test_corpora_are_listed_with_nothing_on_disk(tmp_path):
    process = sernb("corpora", env=os.environ | {"SERNB_DATA": str(tmp_path / "nowhere")})
    assert (process.returncode, process.stderr) == (0, "")
    for name in CORPORA:
        record = get_corpus(name)
        assert f"{name}: {record.clips} clips, {record.speakers} speakers" in process.stdout
        assert f"licence: {record.licence}" in process.stdout
    assert "on disk: data/demo" in process.stdout
    assert f"not on disk; run `sernb fetch ravdess`, or get {get_corpus('ravdess').get}" in process.stdout
    assert f"not on disk; get {get_corpus('savee').get}" in process.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "nosuch",
        "check",
        "check demo extra",
        "report --profile slow",
        "report --seed one",
        "experiment --systems majority --corpus demo",
        "experiment --systems , --corpus demo --protocol as-published",
        "experiment --systems majority --corpus demo --protocol as-published --folds 4-0",
        "experiment --systems majority --corpus demo --protocol as-published --folds 1-",
        "experiment --systems majority --corpus demo --protocol as-published --seeds -1",
        "experiment --systems majority --corpus demo --protocol as-published --jobs 0",
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    assert main(arguments.split()) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.startswith("Usage: sernb")
    assert errors.splitlines()[-1].startswith("sernb")
    assert ": error: " in errors.splitlines()[-1]


def test_wrong_usage_of_the_process_is_exit_code_2():
    process = sernb("report", "--profile", "slow")
    assert process.returncode == 2
    problem = "Invalid value for '--profile': 'slow' is not one of 'quick', 'full'"
    assert process.stderr.splitlines()[-1] == f"sernb report: error: {problem}; see `sernb report --help`"


NAMES = {
    "check nosuch": CORPORA,
    "prepare nosuch": CORPORA,
    "prepare demo --system nosuch": SYSTEMS,
    "report --corpus nosuch": CORPORA,
    "report --systems majority,nosuch": SYSTEMS,
    "experiment --systems nosuch --corpus demo --protocol as-published": SYSTEMS,
    "experiment --systems majority --corpus nosuch --protocol as-published": CORPORA,
    "experiment --systems majority --corpus demo --protocol nosuch": PROTOCOLS,
    "run nosuch": [path.stem for path in NOTEBOOKS.glob("*.ipynb")],
    "run 00_start_here -p nosuch 1": ["corpus", "data"],
}


@pytest.mark.parametrize("arguments", NAMES)
def test_an_unknown_name_is_refused_with_the_known_ones(arguments, capsys, work):
    assert main(arguments.split()) == 1
    _, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    assert "nosuch" in line
    for name in NAMES[arguments]:
        assert name in line
    assert kept(work) == []


def test_an_unknown_fold_is_refused_with_the_known_ones(capsys):
    what = ["--systems", "majority", "--corpus", "demo", "--protocol", "speaker-independent"]
    assert main(["experiment", *what, "--folds", "2-4"]) == 1
    assert capsys.readouterr().err == "sernb: majority under speaker-independent has no fold 4; it has 0 to 3\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prepare nosuch", "run nosuch", "report --systems majority,nosuch"])
def test_an_unknown_name_is_one_line_of_the_process(name):
    (line,) = problems(sernb(*name.split()))
    assert "known: " in line


@pytest.mark.parametrize("content", ["", "no notebook", "{}", "[]", '{"nbformat": 99, "cells": []}', "\0\xff"])
def test_a_file_that_is_no_notebook_is_named(tmp_path, capsys, content):
    path = tmp_path / "mine.ipynb"
    path.write_bytes(content.encode("latin-1"))
    assert main(["run", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sernb: {path}: is not a readable notebook; known: 00_start_here, ")


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for arguments in (["corpora"], ["--help"]):
        process = subprocess.run(
            [sys.executable, "-m", "sernb", *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, env=environment, check=False,
        )  # fmt: skip
        assert (process.returncode, process.stderr) == (0, "")
    os.close(writing)


def test_trouble_of_the_system_is_one_line(monkeypatch, capsys):
    def fail():
        raise PermissionError(13, "Permission denied", "/data/raw")

    monkeypatch.setattr("sernb.cli.recordings.corpora.callback", fail)
    assert main(["corpora"]) == 1
    assert capsys.readouterr().err == "sernb: /data/raw: Permission denied\n"


def test_a_fault_of_ours_is_one_line_too(monkeypatch, capsys):
    def fail():
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("sernb.cli.recordings.corpora.callback", fail)
    assert main(["corpora"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sernb: ZeroDivisionError: two lines (test_command.py:")


# Where the recordings are


def test_each_way_in_which_a_folder_is_not_the_corpus_has_its_line(tmp_path, capsys, work):
    (tmp_path / "empty").mkdir()
    (tmp_path / "archive.zip").write_bytes(b"PK")
    cases = {
        "nowhere": "nowhere: no such folder for the recordings of the demo corpus; get it (",
        "empty": "empty: is empty; get it (",
        "archive.zip": "archive.zip: is a file, not a folder with the recordings of the demo corpus; get it (",
    }
    for folder, expected in cases.items():
        for command in ("check", "prepare"):
            assert main([command, "demo", "--data", str(tmp_path / folder)]) == 1
            printed, errors = capsys.readouterr()
            (line,) = errors.splitlines()
            assert line.startswith(f"sernb: {tmp_path}/")
            assert expected in line
            assert printed == ""
    assert kept(work) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "prepare"])
def test_a_missing_folder_is_one_line_of_the_process(tmp_path, work, command):
    (line,) = problems(sernb(command, "ravdess", "--data", tmp_path / "nowhere"))
    assert line.startswith(f"{tmp_path / 'nowhere'}: no such folder for the recordings of RAVDESS; get it (")
    assert kept(work) == []


def test_the_working_directory_may_be_any_and_paths_relative_to_it(demo_copy, tmp_path):
    shutil.move(demo_copy.parent, tmp_path / "my räcordings")
    (tmp_path / "my räcordings" / "demo" / "Actor_05" / "03-01-01-01-01-01-05.flac").unlink()
    process = sernb("check", "demo", "--data", "my räcordings", cwd=tmp_path)
    assert process.returncode == 1
    assert process.stdout.endswith("demo: 240 published clips, problems: 1, notes: 0\n")


def test_notebooks_get_absolute_paths(tmp_path, monkeypatch):
    """They run in a folder of their own, where a relative path would lead elsewhere."""
    given = {}

    def note(source, page, parameters, *, progress):
        given.update(parameters, work=os.environ["SERNB_WORK"], recordings=os.environ["SERNB_DATA"])

    monkeypatch.setattr("sernb.reporting.execution.run", note)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERNB_WORK", "work here")
    monkeypatch.setenv("SERNB_DATA", "recordings here")
    assert main(["run", "00_start_here", "-p", "data", "raw"]) == 0
    assert given["data"] == str(tmp_path / "raw")
    assert given["work"] == str(tmp_path / "work here")
    assert given["recordings"] == str(tmp_path / "recordings here")


# Recordings that cannot be used


@pytest.mark.slow
def test_every_unusable_file_is_one_line_that_names_it_and_the_next_step(demo_copy, work):
    paths = [demo_copy / name for name in read_index(get_corpus("demo")).path[10::25]]
    paths[1].write_bytes(b"")
    paths[2].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 24274\n")
    paths[3].write_bytes(paths[3].read_bytes()[:5000])
    paths[4].write_text("404: not found\n")
    soundfile.write(paths[5], np.array([0.1, np.nan] * 4000, np.float32), 16_000, format="WAV", subtype="FLOAT")
    soundfile.write(paths[6], np.array([0.5]), 16_000)
    soundfile.write(paths[7], np.zeros(16_000), 16_000)
    soundfile.write(paths[8], 0.1 * np.ones(16_000), 16_000, format="WAV")
    paths[9].write_bytes(b"RIFF\xff\xff\0\0WAVEfmt ")
    steps = ["get", "download", "git lfs pull", *["download"] * 3, "leave it out", "leave it out", "get it", "download"]
    prepared = sernb("prepare", "demo", "--data", demo_copy.parent)
    assert prepared.stdout == ""
    lines = problems(prepared)
    assert [line.split(": ")[0] for line in lines] == list(map(str, paths[1:]))
    for line, step in zip(lines, steps[1:], strict=True):
        assert step in line.partition("; ")[2]
    assert kept(work) == []

    paths[0].unlink()
    (line,) = problems(sernb("prepare", "demo", "--data", demo_copy.parent))
    assert (
        f"1 of 240 clips of the demo corpus are missing, such as {paths[0].relative_to(demo_copy).as_posix()}; " in line
    )
    assert "demo:available" in line

    checked = sernb("check", "demo", "--data", demo_copy.parent)
    assert (checked.returncode, checked.stderr) == (1, "")
    *found, summary = checked.stdout.splitlines()
    assert [line.split(": ")[:2] for line in found] == [
        ["problem", path.relative_to(demo_copy).as_posix()] for path in paths
    ]
    for line, step in zip(found, steps, strict=True):
        assert step in line.partition("; ")[2]
    assert summary == "demo: 240 published clips, problems: 10, notes: 0"


def test_findings_can_be_read_by_programs(demo_copy, capsys):
    (demo_copy / "Actor_04" / "03-01-01-01-01-01-04.flac").write_bytes(b"")
    assert main(["check", "demo", "--data", str(demo_copy), "--json"]) == 1
    printed, errors = capsys.readouterr()
    assert errors == ""
    answer = json.loads(printed)
    assert (answer["corpus"], answer["clips"]) == ("demo", 240)
    (finding,) = answer["findings"]
    assert (finding["level"], finding["kind"]) == ("problem", "empty")
    assert finding["path"] == "Actor_04/03-01-01-01-01-01-04.flac"


@pytest.mark.slow
def test_ravdess_as_published_has_notes_and_no_problems(recordings, capsys):
    process = sernb("check", "ravdess", "--data", recordings)
    assert (process.returncode, process.stderr) == (0, "")
    *notes, summary = process.stdout.splitlines()
    assert summary == "ravdess: 1440 published clips, problems: 0, notes: 6"
    assert all(note.startswith("note: Actor_") for note in notes)
    assert sum("2 channels" in note for note in notes) == 5
    (twins,) = (note for note in notes if "byte-identical" in note)
    assert "Actor_07/03-01-03-01-02-01-07.wav" in twins
    assert "Actor_07/03-01-03-01-02-02-07.wav" in twins
    assert main(["check", "ravdess", "--data", str(recordings), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [f"note: {finding['path']}: {finding['detail']}" for finding in findings] == notes


# A disk that is full, a folder that cannot be written


def little_room() -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(work):
    process = sernb("prepare", "demo", preexec_fn=little_room)
    (line,) = problems(process)
    assert line.startswith(f"{work / 'cache' / 'demo'}/logmel-original-")
    assert "cannot be written (File too large): free space or choose another folder with SERNB_WORK" in line
    assert kept(work) == []


@pytest.mark.slow
def test_a_work_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    process = sernb("prepare", "demo", env=os.environ | {"SERNB_WORK": str(tmp_path / "file")})
    (line,) = problems(process)
    assert line.startswith(f"{tmp_path / 'file'}/")
    assert "cache/demo/logmel-original-" in line
    assert "cannot be written (Not a directory)" in line
    assert (tmp_path / "file").read_text() == "in the way"


def as_anybody() -> None:
    """Take from root, under Linux, the right to write where modes forbid it."""
    if sys.platform == "linux" and os.geteuid() == 0:
        import ctypes

        ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs modes of folders")
def test_a_read_only_work_folder_is_one_line(work):
    work.mkdir(mode=0o500)
    (line,) = problems(sernb("prepare", "demo", preexec_fn=as_anybody))
    assert "cannot be written (Permission denied)" in line
    assert list(work.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs modes of folders")
def test_read_only_recordings_are_read_and_a_finished_study_needs_no_writing(demo_copy, work):
    study = ["experiment", "--systems", "majority", "--corpus", "demo", "--protocol", "random", "--folds", "0"]
    study += ["--data", demo_copy.parent]
    for folder in (demo_copy, *filter(Path.is_dir, demo_copy.rglob("*"))):
        folder.chmod(0o500)
    first = sernb(*study, preexec_fn=as_anybody)
    assert first.returncode == 0, first.stderr
    for folder in (work, *filter(Path.is_dir, work.rglob("*"))):
        folder.chmod(0o500)
    again = sernb(*study, preexec_fn=as_anybody)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    for folder in (demo_copy, work, *filter(Path.is_dir, [*demo_copy.rglob("*"), *work.rglob("*")])):
        folder.chmod(0o700)  # so that they can be removed


@pytest.mark.slow
def test_an_experiment_prints_and_keeps_its_results(tmp_path):
    arguments = ["experiment", "--systems", "majority", "--corpus", "demo", "--protocol", "speaker-independent"]
    process = sernb(*arguments, "--folds", "0-1", "--dirty", "--csv", tmp_path / "results.csv")
    assert process.returncode == 0
    (row,) = csv.DictReader((tmp_path / "results.csv").open())
    assert (row["System"], row["Clips"], row["Folds"]) == ("majority", "120", "2 of 4")
    assert row["UAR"] == "12.5 [12.5, 12.5] (clips)", "two speakers"
    assert row["UAR"] in process.stdout
    assert process.stderr.count("majority · speaker-independent · fold") == 2, "one line for each run"
    assert "fold" not in sernb(*arguments, "--folds", "0-1").stderr, "nothing is done again"


def test_progress_goes_on_when_its_reader_has_gone(tmp_path):
    """As by `sernb report | head -1`."""
    code = "import sys, time; from sernb.cli.options import announce; announce('one'); time.sleep(0.5); "
    code += "announce('two'); announce('three'); open(sys.argv[1], 'w').close()"
    command = [sys.executable, "-c", code, str(tmp_path / "done")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"one\n"
        process.stdout.close()
        assert process.wait() == 0
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["predict", "--csv", "file/x.csv", CLIP], "--csv"),
        (["predict", "--textgrid", "file/x", CLIP], "--textgrid"),
        (["train", "demo", "--system", "functionals-ridge", "--to", "file/x"], "--to"),
        (["export", "bundled", "--format", "onnx", "--to", "file/x"], "--to"),
        (["prepare", "demo:speaker=demo-01", "--csv", "/dev/full"], "--csv"),
        (["prepare", "demo:speaker=demo-01"], "SERNB_WORK"),
    ],
)
def test_what_cannot_be_written_names_the_option_that_chose_it(arguments, option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setenv("SERNB_WORK", str(tmp_path / ("file/work" if option == "SERNB_WORK" else "work")))
    assert main(list(map(str, arguments))) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line
    assert line.endswith(f"choose another folder with {option}, then run the same command again")
