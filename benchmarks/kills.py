"""Kill the commands of the workbook at random moments: whatever is begun again must end as if nothing had happened.

``python -m benchmarks.kills --kills 100 --seed 0`` leads prepare, train, experiment and report through many lives on
the demo corpus. In each life every command is killed, with all its processes, at random moments, and given again until
it ends by itself. After each kill every finished file must be that of an undisturbed life; when a command has ended,
no file may be missing, changed, or left over. With ``--into FOLDER`` it can be killed itself: the same command goes on
after the last whole life.
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
SPARED = ("locks",)  # they stay, held or not
MOMENT = ("seconds", "finished", "made")  # what files say of when they were made, and how long that took
TALLY = "tally.json"


@dataclass
class Life:
    """One work folder, from empty to finished."""

    work: Path
    kills: dict[str, int] = field(default_factory=dict)

    def start(self, command: str) -> subprocess.Popen:
        """Start a command with a process group of its own."""
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
        """Let a command end by itself; return the seconds that took."""
        started = time.perf_counter()
        _end(self.start(command), command)
        return time.perf_counter() - started

    def kill(self, command: str, after: float) -> bool:
        """Start a command and kill it with all its processes; return whether it was still at work."""
        process = self.start(command)
        try:
            _end(process, command, timeout=after)
        except subprocess.TimeoutExpired:
            _kill(process)
            self.kills[command] = self.kills.get(command, 0) + 1
            return True
        return False

    def files(self) -> dict[str, str]:
        """Return what every finished file holds, in digits, by its name."""
        return {path.relative_to(self.work).as_posix(): digits(path) for path in self._paths()}

    def leftovers(self) -> list[str]:
        """Return the names of what only an unfinished command may have left."""
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
    """Kill a process and all below it, also those that lead a session of their own, as kernels do."""
    with contextlib.suppress(psutil.NoSuchProcess):
        there = psutil.Process(process.pid)
        family = [there, *there.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family[1:], timeout=10)
    process.communicate()


def digits(path: Path) -> str:
    """Return digits that stand for what a file says, without when and how long."""
    content = path.read_bytes()
    with contextlib.suppress(ValueError, TypeError, LookupError, zipfile.BadZipFile):  # of one that is cut
        content = _said(path, content)
    return hashlib.sha256(content).hexdigest()[:16]


def _said(path: Path, content: bytes) -> bytes:
    if path.name == CONTENTS and "files" in (told := json.loads(content)):  # of a run: all but the moment's own
        told["files"].pop("provenance.json")
        return json.dumps(told["files"]).encode()
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
    """Return what a page or notebook is made of: pictures and seconds in it depend on the moment."""
    if suffix == ".ipynb":
        notebook = json.loads(text)
        failed = [output for cell in notebook["cells"] for output in cell.get("outputs", ()) if "ename" in output]
        return ["".join(cell["source"]) for cell in notebook["cells"]] + [str(failed)]
    if not text.rstrip().endswith("</html>"):
        return ["cut"]
    return re.findall(r"<h[1-6][^>]*>.*?</h[1-6]>", text, re.DOTALL)


def undisturbed(folder: Path, commands: list[str]) -> dict[str, dict]:
    """Run the commands one after the other; return the seconds of each, and what all files hold when it has ended."""
    life, told = Life(folder), {}
    for command in commands:
        told[command] = {"seconds": life.finish(command), "files": life.files()}
        print(f"undisturbed: {command} in {told[command]['seconds']:.0f} s, {len(life.files())} files", flush=True)
    return told


def problems_of(life: Life, expected: dict[str, dict], each: int, rng: np.random.Generator) -> list[str]:
    """Lead a life of kills; return what is not as in an undisturbed one."""
    found = []
    for command, told in expected.items():
        for number in range(each):
            started = time.perf_counter()
            if not life.kill(command, rng.uniform(0, told["seconds"])):
                if number == 0:  # the machine is quicker than it was
                    told["seconds"] = time.perf_counter() - started
                break
            halves = [name for name, what in life.files().items() if told["files"].get(name) != what]
            found += [f"{command}, after a kill: {name} is half-written" for name in halves]
        else:
            life.finish(command)
        ended = life.files()
        found += [f"{command}: {name} is missing" for name in sorted(set(told["files"]) - set(ended))]
        found += [f"{command}: {name} differs" for name in ended if ended[name] != told["files"].get(name)]
        found += [f"{command}: {name} is left over" for name in life.leftovers()]
    return found


def main() -> int:
    """Run lives until there were as many kills as asked for; print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="default: all")
    parser.add_argument("--each", type=int, default=4, help="kills of each command in a life")
    parser.add_argument("--into", type=Path, help="folder to go on in, and to keep (default: a temporary one)")
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
            found = problems_of(
                life, tally["expected"], options.each, np.random.default_rng([options.seed, len(lives)])
            )
            lives.append({"kills": life.kills, "problems": found})
            with atomic(folder / TALLY) as unfinished:
                unfinished.write_text(json.dumps(tally), "utf-8")
            told = ", ".join(
                f"{sum(each['kills'].get(name, 0) for each in lives)} × {name}" for name in tally["expected"]
            )
            print(f"life {len(lives)}: {len(found)} problems; kills so far: {told}", flush=True)
            for problem in found:
                print(f"    {problem}", flush=True)
    problems = sum(len(life["problems"]) for life in lives)
    print(f"{sum(sum(life['kills'].values()) for life in lives)} kills in {len(lives)} lives, {problems} problems")
    return 1 if problems else 0


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
