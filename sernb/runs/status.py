"""How far a study is: which runs are done, running, failed, broken off or left, and how long the rest will take."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sernb.runs.run_folder import SET_ASIDE, count_epochs, open_run, sibling
from sernb.runtime.files import Damaged
from sernb.runtime.locks import is_held, lock_path

STATES = ("done", "running", "failed", "broken off", "damaged", "left")


@dataclass(frozen=True)
class Progress:
    """How far one run is."""

    corpus: str
    system: str
    protocol: str
    run: str  # name of its folder
    # One of ``STATES``. Broken off: its training goes on when the same command is given again; damaged: it is made
    # again then
    state: str
    seconds: float | None = None  # that it took
    epochs: int = 0  # that are behind it
    of: int = 0  # epochs to train, as far as they are known
    pace: float | None = None  # seconds an epoch, of one that is running
    reason: str = ""  # why it failed, or what is damaged
    set_aside: tuple[str, ...] = ()  # names of what could not be used

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return 1.0 if self.state == "done" else self.epochs / self.of if self.of else 0.0


def read_progress(run: Path, work: Path) -> Progress:
    """Return how far a run is, by what lies in its folder and beside it.

    Args:
        run: its folder, which is there when it is done
        work: the work folder that holds it
    """
    *_, corpus, system, protocol, name = run.parts
    lock, checkpoint, failure = lock_path(run, work), sibling(run, "training"), sibling(run, "failed")
    note, epochs = _read(lock), count_epochs(checkpoint)
    aside = tuple(sorted(path.name for path in run.parent.glob(f"{name}.*{SET_ASIDE}-*")))
    said = partial(Progress, corpus, system, protocol, name, epochs=epochs, of=note.get("epochs", 0), set_aside=aside)
    damage = ""
    try:
        if finished := open_run(run):
            return said("done", seconds=finished.provenance.get("seconds"))
    except Damaged as error:
        damage = str(error)
    if is_held(lock):
        trained = epochs - note.get("begun", 0)
        with contextlib.suppress(FileNotFoundError, ZeroDivisionError):
            span = (checkpoint / "epochs.txt").stat().st_mtime - lock.stat().st_mtime
            return said("running", pace=span / trained if span > 0 else None)  # a clock that was set back tells none
        return said("running")
    if damage:
        return said("damaged", reason=damage)
    with contextlib.suppress(FileNotFoundError):
        return said("failed", reason=failure.read_text("utf-8"))
    return said("broken off" if checkpoint.exists() else "left")


def find_runs(work: Path) -> list[Path]:
    """Return the runs that a work folder knows of: finished, begun or failed."""
    told = {path.with_name(path.name.partition(".")[0]) for path in (work / "runs").glob("*/*/*/fold-*")}
    locks = (work / "locks" / "runs").glob("*/*/*/fold-*")  # of runs without epochs nothing else is there yet
    return sorted(told | {work / lock.relative_to(work / "locks") for lock in locks if is_held(lock)})


def estimate_seconds_left(progress: Sequence[Progress]) -> float | None:
    """Return how many seconds of one process the unfinished runs will take, by what runs of their system took.

    Runs under the same protocol count, else those of the same system; before one is finished, the pace of their epochs.

    Returns:
        None where nothing is known of a system yet
    """
    total = 0.0
    for run in progress:
        if run.state == "done":
            continue
        alike = [other for other in progress if (other.system, other.corpus) == (run.system, run.corpus)]
        near = [other for other in alike if other.protocol == run.protocol]
        whole = next((taken for group in (near, alike) if (taken := _mean_seconds(group)) is not None), None)
        if whole is None:
            return None
        total += whole * (1 - run.share)
    return total


def _mean_seconds(runs: Iterable[Progress]) -> float | None:
    runs = list(runs)
    for taken in (
        [run.seconds for run in runs if run.seconds is not None],
        [run.pace * run.of for run in runs if run.pace and run.of],
    ):
        if taken:
            return float(np.mean(taken))
    return None


def summarise(progress: Sequence[Progress]) -> dict:
    """Return everything that is known, as JSON: counts, time to go, runs that are not done."""
    running = sum(run.state == "running" for run in progress)
    left = estimate_seconds_left(progress)
    return {
        "runs": {state: sum(run.state == state for run in progress) for state in STATES},
        "seconds to go": left if left is None else round(left / max(running, 1)),
        "side by side": max(running, 1),
        "unfinished": [
            {name: value for name, value in dataclasses.asdict(run).items() if value not in (None, "", 0, ())}
            for run in progress
            if run.state not in ("done", "left")
        ],
        "set aside": [
            f"{run.system} · {run.corpus} · {run.protocol} · {name}" for run in progress for name in run.set_aside
        ],
    }


def format_progress(progress: Sequence[Progress]) -> list[str]:
    """Return what to print: one line for each system and protocol, then the runs that need a word."""
    import pandas as pd

    if not progress:
        return ["no runs yet; `sernb experiment` or `sernb report` makes some"]
    about = pd.DataFrame([dataclasses.asdict(run) for run in progress])
    counted = pd.crosstab([about.corpus, about.system, about.protocol], about.state)
    shown = [state for state in STATES if state in counted]
    lines = counted[shown].rename_axis(columns=None).reset_index().to_string(index=False).splitlines()
    for run in progress:
        name = f"{run.system} · {run.corpus} · {run.protocol} · {run.run}"
        if run.state in ("running", "broken off"):
            lines.append(f"{run.state}: {name}" + f", {run.epochs} of {run.of} epochs" * bool(run.of))
        elif run.reason:
            lines.append(f"{run.state}: {name}: {run.reason}")
    whole = summarise(progress)
    counts = ", ".join(f"{count} {state}" for state, count in whole["runs"].items() if count)
    lines += [f"set aside, not used: {name}" for name in whole["set aside"]]
    return [*lines, f"{len(progress)} runs: {counts}{_to_go(whole)}"]


def _to_go(whole: dict) -> str:
    if not any(count for state, count in whole["runs"].items() if state != "done"):
        return ""
    seconds, at_once = whole["seconds to go"], whole["side by side"]
    if seconds is None:
        return "; time to go is not known before a first run or epoch of each system"
    hours, minutes = divmod(round(seconds / 60), 60)
    time = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "less than a minute"
    return f"; about {time} to go with {at_once} at a time"


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
