"""Kill the commands of the workbook at random moments and check that repeating them gives undisturbed results.

``python -m benchmarks.kills --kills 100 --seed 0`` runs prepare, train, experiment and report in many lives (work
folders) on the demo corpus. In each life, every command is killed with all its processes at random moments, and
repeated until it finishes. After each kill, every finished file must equal that of an undisturbed life; after a
command has finished, no file may be missing, changed, or left over. With ``--into FOLDER`` the benchmark itself can be
interrupted: the same command resumes after the last complete life.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from sernb.corpora.feature_cache import CONTENTS
from sernb.runtime.files import TEMPORARY, atomic

QUICK = ("--corpus", "demo", "--profile", "quick", "--train-clips", "64")
COMMANDS = {
    "prepare": ("prepare", "demo"),
    "train": ("experiment", "--systems", "light-sernet", "--protocol", "speaker-independent", "--folds", "0", *QUICK),
    "experiment": ("experiment", "--systems", "majority,statistics-svm", "--protocol",
                   "as-published,speaker-independent", "--csv", "{work}/study.csv", "--dirty", *QUICK),
    "report": ("report", "--systems", "majority", "--out", "{work}/report"),
}  # fmt: skip
UNFINISHED = (TEMPORARY, ".training", ".failed")
SPARED = ("locks",)  # lock files are never removed
MOMENT = ("seconds", "finished", "made")  # keys with the time of creation and the computing time
TALLY = "tally.json"


@dataclass
class Life:
    """One work folder, from empty to finished."""

    work: Path
    kills: dict[str, int] = field(default_factory=dict)

    def start(self, command: str) -> subprocess.Popen:
        """Start a command in a separate process group."""
        arguments = [argument.format(work=self.work) for argument in COMMANDS[command]]
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "sernb", *arguments],
            env=os.environ | {"SERNB_WORK": str(self.work)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, command: str) -> float:
        """Run a command to its end; return the seconds that it took."""
        started = time.perf_counter()
        _end(self.start(command), command)
        return time.perf_counter() - started

    def kill(self, command: str, after: float) -> bool:
        """Start a command and kill it with all its processes; return whether it was still running."""
        process = self.start(command)
        try:
            _end(process, command, timeout=after)
        except subprocess.TimeoutExpired:
            _kill(process)
            self.kills[command] = self.kills.get(command, 0) + 1
            return True
        return False

    def files(self) -> dict[str, str]:
        """Return a digest of the content of every finished file, by name."""
        return {path.relative_to(self.work).as_posix(): digits(path) for path in self._paths()}

    def leftovers(self) -> list[str]:
        """Return the names of files that only an unfinished command may have left."""
        names = (path.relative_to(self.work).as_posix() for path in self.work.rglob("*"))
        return sorted(name for name in names if any(mark in name for mark in UNFINISHED))

    def _paths(self) -> Iterator[Path]:
        for path in sorted(self.work.rglob("*")):
            name = path.relative_to(self.work).as_posix()
            if path.is_file() and not name.startswith(SPARED) and not any(mark in name for mark in UNFINISHED):
                yield path


def _end(process: subprocess.Popen, command: str, timeout: float | None = None) -> None:
    _, errors = process.communicate(timeout=timeout)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {errors}")


def _kill(process: subprocess.Popen) -> None:
    """Kill a process and all its descendants, including those in separate sessions, such as kernels."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        family = [root, *root.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family[1:], timeout=10)
    process.communicate()


def digits(path: Path) -> str:
    """Return a digest of the content of a file, without times and durations."""
    content = path.read_bytes()
    with contextlib.suppress(ValueError, TypeError, LookupError, zipfile.BadZipFile):  # raised for truncated files
        content = _without_times(path, content)
    return hashlib.sha256(content).hexdigest()[:16]


def _without_times(path: Path, content: bytes) -> bytes:
    if path.name == CONTENTS and "files" in (listed := json.loads(content)):  # of a run: its provenance has times
        listed["files"].pop("provenance.json")
        return json.dumps(listed["files"]).encode()
    if path.suffix == ".json":
        return json.dumps({**json.loads(content), **dict.fromkeys(MOMENT)}).encode()
    if path.suffix == ".npz":
        with np.load(io.BytesIO(content)) as arrays:
            return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))
    if path.suffix in (".html", ".ipynb"):
        return str(_outline(path.suffix, content.decode())).encode()
    if path.suffix == ".csv":
        return json.dumps(list(csv.reader(io.StringIO(content.decode())))).encode()
    return content


def _outline(suffix: str, text: str) -> list[str]:
    """Return the structure of a page or notebook, without images and durations, which vary."""
    if suffix == ".ipynb":
        notebook = json.loads(text)
        failed = [output for cell in notebook["cells"] for output in cell.get("outputs", ()) if "ename" in output]
        return ["".join(cell["source"]) for cell in notebook["cells"]] + [str(failed)]
    if not text.rstrip().endswith("</html>"):
        return ["cut"]
    return re.findall(r"<h[1-6][^>]*>.*?</h[1-6]>", text, re.DOTALL)


def undisturbed(folder: Path, commands: list[str]) -> dict[str, dict]:
    """Run the commands one after the other; return the seconds of each, and the digests of all files after it."""
    life, results = Life(folder), {}
    for command in commands:
        results[command] = {"seconds": life.finish(command), "files": life.files()}
        print(f"undisturbed: {command} in {results[command]['seconds']:.0f} s, {len(life.files())} files", flush=True)
    return results


def find_problems(life: Life, expected: dict[str, dict], each: int, rng: np.random.Generator) -> list[str]:
    """Run a life with kills; return all differences from the undisturbed one."""
    problems = []
    for command, result in expected.items():
        for number in range(each):
            started = time.perf_counter()
            if not life.kill(command, rng.uniform(0, result["seconds"])):
                if number == 0:  # the machine is faster than before
                    result["seconds"] = time.perf_counter() - started
                break
            different = [name for name, digest in life.files().items() if result["files"].get(name) != digest]
            problems += [f"{command}, after a kill: {name} is half-written" for name in different]
        else:
            life.finish(command)
        files = life.files()
        problems += [f"{command}: {name} is missing" for name in sorted(set(result["files"]) - set(files))]
        problems += [f"{command}: {name} differs" for name in files if files[name] != result["files"].get(name)]
        problems += [f"{command}: {name} is left over" for name in life.leftovers()]
    return problems


def main() -> int:
    """Run lives until the requested number of kills is reached; print the outcome."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="default: all")
    parser.add_argument("--each", type=int, default=4, help="kills of each command in a life")
    parser.add_argument("--into", type=Path, help="folder to keep and to resume from (default: a temporary one)")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.into or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = folder.absolute()
        if (folder / TALLY).exists():
            tally = json.loads((folder / TALLY).read_text("utf-8"))
        else:
            tally = {"expected": undisturbed(_empty(folder / "undisturbed"), options.commands.split(",")), "lives": []}
        lives = tally["lives"]
        while sum(sum(life["kills"].values()) for life in lives) < options.kills:
            life = Life(_empty(folder / "life"))
            problems = find_problems(
                life, tally["expected"], options.each, np.random.default_rng([options.seed, len(lives)])
            )
            lives.append({"kills": life.kills, "problems": problems})
            with atomic(folder / TALLY) as unfinished:
                unfinished.write_text(json.dumps(tally), "utf-8")
            kills = ", ".join(
                f"{sum(each['kills'].get(name, 0) for each in lives)} × {name}" for name in tally["expected"]
            )
            print(f"life {len(lives)}: {len(problems)} problems; kills so far: {kills}", flush=True)
            for problem in problems:
                print(f"    {problem}", flush=True)
    count = sum(len(life["problems"]) for life in lives)
    print(f"{sum(sum(life['kills'].values()) for life in lives)} kills in {len(lives)} lives, {count} problems")
    return 1 if count else 0


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
