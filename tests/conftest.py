"""What several test modules need: a work folder of their own, seeded chance, made and real recordings."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sernb.config import ROOT
from sernb.runtime.garbage_collection import collect_less
from sernb.runtime.locks import hold

SHARED = ROOT.parent / "shared" / "corpora"
collect_less()
# Ignored in the background and under nohup, and so in all child processes. Windows has no SIGHUP.
for _name, _handler in {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}.items():
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)
# Files, the one that takes most time first.
LONGEST = ("test_report.py", "test_experiment.py", "test_studies.py", "test_kills.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: a worker that came to one last would work on while the other has nothing to do."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work folder, so that no test reads or writes ``data/cache`` and ``data/runs``."""
    monkeypatch.setenv("SERNB_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("SERNB_ENCODERS", str(tmp_path / "encoders"))  # none
    monkeypatch.delenv("SERNB_DATA", raising=False)
    return tmp_path / "work"


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """What tests write need not outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_in_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A work folder for fixtures of a module or of all tests, which are made before ``work`` is set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERNB_WORK", str(tmp_path_factory.mktemp("work")))
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all processes of this test run have together."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def share_features(shared_folder: Path) -> Callable[[Path], Path]:
    """Give a work folder the features of the demo corpus that other tests have computed, in any process."""
    shared = shared_folder / "demo_features"
    shared.mkdir(exist_ok=True)

    def share(work: Path) -> Path:
        for place in (work / "cache", work / "locks" / "cache"):
            (shared / place.relative_to(work)).mkdir(parents=True, exist_ok=True)
            place.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # without the right to make links, each computes its own
                (place / "demo").symlink_to(shared / place.relative_to(work))
        return work

    return share


@pytest.fixture
def prepared(work: Path, share_features: Callable[[Path], Path]) -> Path:
    """The work folder, with shared features of the demo corpus: for tests of what is done with them."""
    return share_features(work)


@pytest.fixture
def rng() -> np.random.Generator:
    """Chance that is the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The package, built as pip builds it."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "sernb", folder / "sernb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, capture_output=True, check=True)
    (path,) = (folder / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="session")
def recordings(shared_folder: Path) -> Path:
    """A folder that holds the real recordings in ``ravdess/``; without them the test is skipped."""
    return _folder_with("ravdess", "Actor_01", shared_folder)


@pytest.fixture(scope="session")
def tess_recordings(shared_folder: Path) -> Path:
    """A folder that holds real recordings of TESS, 490 or all, in ``tess/``; without them the test is skipped."""
    return _folder_with("tess", "OAF_angry", shared_folder)


# Before `work` hides them.
ENCODERS = [os.environ.get("SERNB_ENCODERS"), ROOT / "data" / "encoders"]


@pytest.fixture(scope="session")
def weights(shared_folder: Path) -> Path:
    """A folder that holds the weights of the two encoders that are made use of; without them the test is skipped."""
    for folder in filter(None, ENCODERS):
        if all((Path(folder) / name / "model.bin").is_file() for name in ("whisper-tiny.en", "whisper-base")):
            return Path(folder)
    restore = SHARED.parent / "encoders" / "restore.py"
    if not restore.exists():
        pytest.skip("no encoder is here: run `sernb fetch whisper-tiny.en` and whisper-base, or set SERNB_ENCODERS")
    return _restore(restore, shared_folder / "encoders")


@pytest.fixture
def encoders(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights, where the workbook looks for them."""
    monkeypatch.setenv("SERNB_ENCODERS", str(weights))
    return weights


_encoder_tests = {"passed": 0, "failed": 0, "skipped": 0}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count tests that need an encoder."""
    if "encoder" in report.keywords and (report.when == "call" or report.outcome == "skipped"):
        _encoder_tests[report.outcome] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where encoders must be there and all of their tests were skipped."""
    tests = _encoder_tests
    lost = tests["skipped"] and not tests["passed"] + tests["failed"]
    if os.environ.get("SERNB_CI") and lost and not hasattr(session.config, "workerinput"):
        print(f"\nall {tests['skipped']} tests that need a pretrained encoder were skipped: this run proves nothing")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _restore(script: Path, folder: Path, *what: str) -> Path:
    """Restore what is shared into a folder, once in a test run; → the folder."""
    name = "-".join([folder.name, *what])
    with hold(folder.with_name(f"{name}.lock")):
        done = folder.with_name(f"{name}.done")
        if not done.exists():
            subprocess.run([sys.executable, script, folder, *what], check=True, capture_output=True)
            done.touch()
    return folder


def _folder_with(corpus: str, inside: str, shared_folder: Path) -> Path:
    for folder in (os.environ.get("SERNB_DATA"), ROOT / "data" / "raw"):
        if folder and (Path(folder) / corpus / inside).is_dir():
            return Path(folder)
    if (SHARED / "restore.py").exists() and shutil.which("flac"):
        return _restore(SHARED / "restore.py", shared_folder / "recordings", corpus)
    pytest.skip(f"{corpus} is not here: put it into data/raw/{corpus}, or name its parent folder in SERNB_DATA")


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """A maker of recordings: a tone of 440 Hz, in each channel at half the level of the one before."""

    def make(
        name: str = "tone.wav",
        *,
        seconds: float = 1.0,
        sampling_rate: int = 16_000,
        channels: int = 1,
        level: float = 0.5,
        **form: str,
    ) -> Path:
        time = np.arange(round(seconds * sampling_rate)) / sampling_rate
        tone = np.round(level * np.sin(2 * np.pi * 440 * time) * 32768) / 32768  # every container writes the same
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone[:, None] / 2 ** np.arange(channels), sampling_rate, **form)
        return path

    return make


@pytest.fixture
def demo_copy(tmp_path: Path) -> Path:
    """A copy of the demo corpus to spoil; give its parent as ``data``."""
    folder = tmp_path / "recordings" / "demo"
    shutil.copytree(ROOT / "data" / "demo", folder)
    return folder
