"""The environment: what is declared, pinned and used agree, and `make env` says plainly what it misses."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from sources import ROOT, imports

from sernb.corpora.registry import get_corpus

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCK = "".join(re.findall(r"^[^#].*\n", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE))
LOCKED = [line.split(" --hash=") for line in re.sub(r" \\\n +", " ", LOCK).splitlines()]
PINS = [Requirement(pin) for pin, *_ in LOCKED]

OPTIONAL = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in SETTINGS["project"]["optional-dependencies"].items()
}
LIGHT = [Requirement(line) for line in SETTINGS["project"]["dependencies"]]
RUNTIME, DEVELOPMENT = LIGHT + OPTIONAL["workbook"], OPTIONAL["dev"]
SUPPORTED = ("3.11", "3.12", "3.13")

EXTRAS = [each for extra, of in OPTIONAL.items() if extra not in ("dev", "workbook") for each in of]
# No line imports these; where they are used instead.
NOT_IMPORTED = {
    "codespell": ("Makefile", "-m codespell_lib"),
    "import-linter": ("Makefile", "from importlinter.cli import"),
    "jupyterlab": ("Makefile", "-m jupyterlab "),
    "nbstripout": (".pre-commit-config.yaml", "-m nbstripout "),
    "pre-commit": ("CONTRIBUTING.md", "-m pre_commit "),
    "pytest-xdist": ("Makefile", "--numprocesses="),
    "ruff": ("Makefile", "-m ruff "),
    "uv": ("Makefile", "-m uv "),
}
DISTRIBUTIONS = packages_distributions()


def used(*folders: str) -> set[str]:
    """Distributions that these folders import. One that is not installed is taken to be named as its module."""
    modules = {name.partition(".")[0] for folder in folders for name in imports(folder)}
    ours = {"sernb", "tests", "benchmarks", "tools"} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
    modules -= ours | set(sys.stdlib_module_names)
    return {canonicalize_name(name) for module in modules for name in DISTRIBUTIONS.get(module, [module])}


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def pins_for(name: str, python: str) -> list[Requirement]:
    """Pins of a package on Linux under one Python."""
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
    }
    return [
        pin
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(surroundings))
    ]


# -- the lock --


def test_lock_names_no_place():
    for pin, *_ in LOCKED:
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s/:@]+( ; [^/:@]+)?", pin), f"not a plain pin: {pin}"


def test_every_pin_has_hashes():
    for pin, *hashes in LOCKED:
        assert hashes, f"run `make lock`: {pin} has no hash"
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), f"not plain SHA-256: {pin} {hashes}"


def test_every_way_to_install_requires_hashes():
    for name in ("Makefile", "CONTRIBUTING.md", "README.md", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text.count("-r requirements.lock") == text.count("--require-hashes -r requirements.lock"), name
    assert "--extra workbook --extra dev" in MAKEFILE  # what the lock is made of
    assert MAKEFILE.count("--require-hashes -r") == 3  # uv, by pip; all else by uv, or by pip


@pytest.mark.parametrize("python", SUPPORTED)
@pytest.mark.parametrize("requirement", RUNTIME + DEVELOPMENT, ids=lambda requirement: requirement.name)
def test_every_dependency_has_one_pin_for_every_python(requirement, python):
    pins = pins_for(requirement.name, python)
    assert len(pins) == 1, f"run `make lock`: {requirement.name} has {len(pins)} pins under Python {python}"
    version = next(iter(pins[0].specifier)).version
    assert requirement.specifier.contains(version), f"run `make lock`: {requirement} is pinned at {version}"


def test_lock_brings_what_builds_the_package():
    # `make env` installs the package without build isolation, so nothing is downloaded beside the lock.
    for requirement in map(Requirement, SETTINGS["build-system"]["requires"]):
        for python in SUPPORTED:
            (pin,) = pins_for(requirement.name, python)
            assert requirement.specifier.contains(next(iter(pin.specifier)).version)


def test_declared_pythons_agree():
    allowed = Requirement(f"python{SETTINGS['project']['requires-python']}").specifier
    everywhere = [f"3.{minor}" for minor in range(8, 20) if allowed.contains(Version(f"3.{minor}.9"))]
    assert tuple(everywhere) == SUPPORTED
    assert " | ".join(SUPPORTED) in MAKEFILE
    assert f"--python-version {SUPPORTED[0]} " in MAKEFILE
    assert f"python={SUPPORTED[1]}" in (ROOT / "environment.yml").read_text(encoding="utf-8")


# -- what is declared and what is used --


@pytest.mark.parametrize(
    ("folders", "declared"),
    [
        (("sernb", "notebooks"), names(RUNTIME + EXTRAS)),
        (("tests", "benchmarks", "tools", "data/demo"), names(RUNTIME + EXTRAS + DEVELOPMENT)),
    ],
    ids=["package", "development"],
)
def test_every_import_is_declared(folders, declared):
    assert used(*folders) <= declared, f"declare in pyproject.toml: {sorted(used(*folders) - declared)}"


@pytest.mark.parametrize(
    ("folders", "declared"),
    [
        (("sernb", "notebooks"), names(RUNTIME)),
        (("sernb", "tests"), names(EXTRAS)),  # tests: jax, which the package names only as a word for Keras
        (("sernb", "tests", "benchmarks", "tools", "data/demo"), names(DEVELOPMENT)),
    ],
    ids=["package", "extras", "development"],
)
def test_every_dependency_is_used(folders, declared):
    unused = declared - used(*folders)
    for name in sorted(unused & set(NOT_IMPORTED)):
        file, word = NOT_IMPORTED[name]
        assert word in (ROOT / file).read_text(encoding="utf-8"), f"{name} is declared, but {file} no longer uses it"
    assert unused <= set(NOT_IMPORTED), f"nothing imports {sorted(unused - set(NOT_IMPORTED))}: take it out"


def test_exceptions_are_declared_and_not_imported():
    assert set(NOT_IMPORTED) <= names(RUNTIME + DEVELOPMENT)
    assert not set(NOT_IMPORTED) & used("sernb", "notebooks", "tests", "benchmarks", "tools")


def test_every_notebook_asks_for_the_kernel_of_its_environment():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"]
        assert kernel == "python3", f"{path.name} asks for the kernel {kernel!r}"


def test_every_package_folder_is_installed():
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "sernb").rglob("__init__.py")}
    assert folders == set(SETTINGS["tool"]["setuptools"]["packages"])


def test_wheel_holds_the_whole_package(wheel):
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sernb").rglob("*") if path.is_file()}
    built = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert built == {name for name in files if "__pycache__" not in name}


def test_licence_names_code_and_weights(wheel):
    (about,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = email.message_from_bytes(wheel.read(about))
    assert metadata["License-Expression"] == "MIT AND CC-BY-NC-SA-4.0"
    for name in metadata.get_all("License-File"):
        held = wheel.read(f"{about.removesuffix('METADATA')}licenses/{name}")
        assert held == (ROOT / name).read_bytes()
    assert b"Permission is hereby granted, free of charge" in (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("model", sorted((ROOT / "sernb/prediction/models").iterdir()), ids=lambda model: model.name)
def test_bundled_model_has_the_licence_of_its_recordings(model):
    licence = get_corpus("ravdess").licence
    assert licence == "CC BY-NC-SA 4.0"
    assert json.loads((model / "model.json").read_text(encoding="utf-8"))["trained_on"]["licence"] == licence
    assert f"Licence of the recordings: {licence}." in (model / "README.md").read_text(encoding="utf-8")
    text = (model / "LICENSE.txt").read_text(encoding="utf-8")
    assert text.startswith("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International\n")
    assert re.findall(r"^Section (\d) –", text, flags=re.MULTILINE) == list("12345678")


def test_readme_links_the_licence_of_bundled_weights():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (path,) = re.findall(r"\[CC BY-NC-SA 4\.0\]\((.+?/LICENSE\.txt)\)", readme)
    assert (ROOT / path).parent.parent == ROOT / "sernb/prediction/models"
    assert (ROOT / path).exists()


# -- the other doors --


def test_conda_uses_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *packages, pip = environment["dependencies"]
    assert packages == ["python=3.12", "pip"], "packages come from PyPI, never from both"
    assert pip == {"pip": ["-r requirements.lock"]}, "pip takes no folder where hashes are required"


def test_commit_hooks_are_local():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]


def test_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="sernb")
    assert command.value == SETTINGS["project"]["scripts"]["sernb"]


def test_python3_is_the_kernel_of_this_environment():
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    assert manager.format_kernel_cmd()[0] == sys.executable


# -- make --

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands in for Python: notes each call, makes environments that hold copies of itself, and fails where told.
STAND_IN = """#!/bin/sh
echo "$*" >>"{log}"
case "$*" in
  *ensurepip*) exit {no_venv} ;;
  *version_info*) echo {version} ;;
  *_base_executable*) echo "$0" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m uv "*) [ ! -e "{folder}/uv-fails" ] ;;
  "-m pip install"*) case "$*" in *"uv.lock"*) ;; *) [ ! -e "{folder}/pip-fails" ] ;; esac ;;
esac
"""


class Checkout:
    """A bare copy of the files `make env` reads, in a folder with a space and an umlaut in its name."""

    def __init__(self, folder: Path):
        self.folder = folder / "my chëckout"
        self.folder.mkdir()
        self.log = folder / "calls"
        self.python = folder / "stand in"
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        self.write_python()

    def write_python(self, version: str = "3.12", no_venv: int = 0):
        text = STAND_IN.format(log=self.log, folder=self.folder, version=version, no_venv=no_venv)
        self.python.write_text(text, encoding="utf-8")
        self.python.chmod(0o755)

    def make(self, *words: str, python: str | None = None, programs: Path | None = None) -> subprocess.CompletedProcess:
        self.log.write_text("", encoding="utf-8")
        words = ["make", *words, f"PYTHON={python or self.python}"]
        environment = {**os.environ, "PATH": str(programs)} if programs else None
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, env=environment)

    @property
    def installed(self) -> bool:
        return "pip install" in self.log.read_text(encoding="utf-8")

    @property
    def made(self) -> bool:
        return "-m venv" in self.log.read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def complaint(done: subprocess.CompletedProcess) -> str:
    """The one line a failed call leaves beside make's own."""
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not re.match(r"g?make(\[\d+\])?:", line)]
    assert len(lines) == 1, lines
    return lines[0]


@needs_make
def test_help_lists_every_target(checkout):
    listed = checkout.make().stdout
    phony = re.search(r"^\.PHONY:(.*)$", MAKEFILE, flags=re.MULTILINE)[1].split()
    for target in set(phony) - {"ready"}:  # the step that all targets share
        assert re.search(rf"^  {target} +\w", listed, flags=re.MULTILINE), f"`make help` leaves out {target}"


@needs_make
@pytest.mark.parametrize("version", ["2.7", "3.10", "3.14"])
def test_unfit_python_is_named_in_one_line(checkout, version):
    checkout.write_python(version=version)
    line = complaint(checkout.make("env"))
    assert f"is {version}." in line
    assert "make env PYTHON=" in line
    assert ("TensorFlow has no release for Python 3.14 yet." in line) == (version == "3.14")
    assert not (checkout.folder / ".venv").exists()


@needs_make
@pytest.mark.parametrize(
    ("python_there", "uv", "next_step"),
    [
        ("python3.13", None, "Run: make env PYTHON='python3.13'"),
        ("python3.13", "exit 2", "Run: make env PYTHON='python3.13'"),
        (None, 'echo "$here/python by uv"', "Run: make env PYTHON='{programs}/python by uv'"),
        (None, "exit 2", 'Run: uv python install 3.12 && make env PYTHON="$(uv python find --managed-python 3.12)"'),
        (None, None, "uv python install 3.12. Then run: make env PYTHON=python3.12"),
    ],
    ids=["another", "another and uv", "one of uv", "only uv", "nothing"],
)
def test_unfit_python_is_told_with_a_next_step_that_works(checkout, tmp_path, python_there, uv, next_step):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("make", "cat", "find", "sed", "uname"):  # and nothing else of this machine
        (programs / name).symlink_to(shutil.which(name))
    texts = {"python by uv": "echo 3.12", **({python_there: "echo 3.13"} if python_there else {})}
    texts |= {"uv": f'here="{programs}"; {uv}'} if uv else {}
    for name, text in texts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    checkout.write_python(version="3.14")
    line = complaint(checkout.make("env", programs=programs))
    assert line.endswith(next_step.format(programs=programs))


@needs_make
def test_absent_python_is_named_in_one_line(checkout):
    line = complaint(checkout.make("env", python="no-such-python"))
    assert "no-such-python is not a Python that runs" in line


@needs_make
def test_python_without_venv_is_told_in_one_line(checkout):
    checkout.write_python(no_venv=1)
    line = complaint(checkout.make("env"))
    assert "apt install python3.12-venv" in line
    assert not (checkout.folder / ".venv").exists()


@needs_make
def test_environment_is_made_once(checkout):
    done = checkout.make("env")
    assert done.returncode == 0, done.stderr
    assert checkout.made
    assert checkout.make("env").returncode == 0
    assert not checkout.made
    assert not checkout.installed


@needs_make
def test_newer_lock_updates_the_environment(checkout):
    checkout.make("env")
    done = (checkout.folder / ".venv" / ".ready").stat().st_mtime
    # Set, not touched: two files touched within one tick of the file system's clock are equally old.
    os.utime(checkout.folder / "requirements.lock", (done + 1, done + 1))
    assert checkout.make("env").returncode == 0
    assert checkout.installed
    assert not checkout.made


@needs_make
def test_pip_takes_over_from_uv(checkout):
    (checkout.folder / "uv-fails").touch()
    assert checkout.make("env").returncode == 0
    assert "-m pip install --quiet --require-hashes -r requirements.lock" in checkout.log.read_text(encoding="utf-8")


@needs_make
def test_unfinished_environment_is_made_anew(checkout):
    for name in ("uv-fails", "pip-fails"):
        (checkout.folder / name).touch()
    failed = checkout.make("env")
    assert failed.returncode != 0
    assert "run the same command again" in failed.stderr
    for name in ("uv-fails", "pip-fails"):
        (checkout.folder / name).unlink()
    assert checkout.make("env").returncode == 0
    assert checkout.made


@needs_make
@pytest.mark.parametrize("harm", ["moved", "python gone"])
def test_environment_that_no_longer_works_is_made_anew(checkout, harm):
    checkout.make("env")
    if harm == "moved":
        checkout.folder = checkout.folder.rename(checkout.folder.with_name("elsewhere"))
    else:
        (checkout.folder / ".venv/bin/python").unlink()
    assert checkout.make("env").returncode == 0
    assert checkout.made
