"""Kill the commands of the workbook at random moments: whatever is begun again must end as if nothing had happened.

``python -m benchmarks.kills --kills 100 --seed 0`` leads prepare, train, experiment and report through many lives on
the demo corpus. In each life every command is killed, with all its processes, at random moments, and given again until
it ends by itself. After each kill every finished file must be that of an undisturbed life; when a command has ended,
no file may be missing, changed, or left over.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernb.store import TEMPORARY

SYSTEM = "dummynet-zcr-narrow"
COMMANDS = {
    "prepare": ("prepare", "demo"),
    "train": ("experiment", "--systems", SYSTEM, "--corpus", "demo", "--protocol", "speaker-independent",
              "--profile", "quick", "--folds", "0"),
    "experiment": ("experiment", "--systems", "majority,statistics-svm", "--corpus", "demo",
                   "--protocol", "as-published,speaker-independent", "--profile", "quick", "--csv", "{work}/study.csv"),
    "report": ("report", "--systems", "majority", "--out", "{work}/report"),
}  # fmt: skip
UNFINISHED = (TEMPORARY, ".training", ".failed")
SPARED = ("locks",)  # they stay, held or not


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
        process = self.start(command)
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}: {errors}")
        return time.perf_counter() - started

    def kill(self, command: str, after: float) -> bool:
        """Start a command and kill it with all its processes; return whether it was still at work."""
        process = self.start(command)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
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


def digits(path: Path) -> str:
    """Return digits that stand for what a file says, without when and how long."""
    content = path.read_bytes()
    if path.name == "provenance.json":
        content = json.dumps({**json.loads(content), "seconds": 0, "finished": ""}).encode()
    elif path.suffix == ".npz":
        with np.load(io.BytesIO(content)) as arrays:
            content = b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))
    elif path.suffix in (".html", ".ipynb"):
        content = str(_outline(path.suffix, content.decode())).encode()
    elif path.suffix == ".csv":
        content = json.dumps(list(csv.reader(io.StringIO(content.decode())))).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _outline(suffix: str, text: str) -> list[str]:
    """Return what a page or notebook is made of: pictures and seconds in it depend on the moment."""
    if suffix == ".ipynb":
        notebook = json.loads(text)
        failed = [output for cell in notebook["cells"] for output in cell.get("outputs", ()) if "ename" in output]
        return [cell["id"] for cell in notebook["cells"]] + [str(failed)]
    if not text.rstrip().endswith("</html>"):
        return ["cut"]
    return re.findall(r"<h[1-6][^>]*>.*?</h[1-6]>", text, re.DOTALL)


def main() -> int:
    """Run lives until there were as many kills as asked for; print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="default: all")
    parser.add_argument("--each", type=int, default=3, help="kills of each command in a life")
    options = parser.parse_args()
    rng, commands = np.random.default_rng(options.seed), options.commands.split(",")
    kills, problems, lives = dict.fromkeys(commands, 0), [], 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, seconds, expected = Life(Path(folder) / "undisturbed"), {}, {}
        for command in commands:
            seconds[command] = undisturbed.finish(command)
            expected[command] = undisturbed.files()
            print(f"undisturbed: {command} in {seconds[command]:.0f} s, {len(expected[command])} files", flush=True)
        while sum(kills.values()) < options.kills:
            lives += 1
            life, found = Life(Path(folder) / f"life-{lives}"), []
            for command in commands:
                for _ in range(options.each):
                    if not life.kill(command, rng.uniform(0, seconds[command])):
                        break
                    kills[command] += 1
                    halves = [name for name, what in life.files().items() if expected[command].get(name) != what]
                    found += [f"{command}, after a kill: {name} is half-written" for name in halves]
                life.finish(command)
                ended = life.files()
                found += [f"{command}: {name} is missing" for name in sorted(set(expected[command]) - set(ended))]
                found += [f"{command}: {name} differs" for name in ended if ended[name] != expected[command].get(name)]
                found += [f"{command}: {name} is left over" for name in life.leftovers()]
            problems += found
            told = ", ".join(f"{count} × {command}" for command, count in kills.items())
            print(f"life {lives}: {len(found)} problems; kills so far: {told}", flush=True)
            for problem in found:
                print(f"    {problem}", flush=True)
    print(f"{sum(kills.values())} kills in {lives} lives, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
