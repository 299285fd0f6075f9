"""Report the progress of a study: runs that are done, running, failed, interrupted or left, and the remaining time."""

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

STATES = ("done", "running", "failed", "interrupted", "damaged", "left")


@dataclass(frozen=True)
class Progress:
    """The progress of one run."""

    corpus: str
    system: str
    protocol: str
    run: str  # name of its folder
    state: str  # one of ``STATES``; the same command resumes interrupted runs and repeats damaged ones
    seconds: float | None = None  # computing time of a finished run
    epochs: int = 0  # finished epochs
    of: int = 0  # epochs to train, if known
    pace: float | None = None  # seconds per epoch of a running training
    reason: str = ""  # of a failure or damage
    set_aside: tuple[str, ...] = ()  # names of unusable files and folders

    @property
    def share(self) -> float:
        """The finished share of the run, from 0 to 1."""
        return 1.0 if self.state == "done" else self.epochs / self.of if self.of else 0.0


def read_progress(run: Path, work: Path) -> Progress:
    """Return the progress of a run from its folder and the files beside it.

    Args:
        run: folder of the run, which exists only when the run is finished
        work: the work folder that contains it
    """
    *_, corpus, system, protocol, name = run.parts
    lock, checkpoint, failure = lock_path(run, work), sibling(run, "training"), sibling(run, "failed")
    note, epochs = _read(lock), count_epochs(checkpoint)
    aside = tuple(sorted(path.name for path in run.parent.glob(f"{name}.*{SET_ASIDE}-*")))
    make = partial(Progress, corpus, system, protocol, name, epochs=epochs, of=note.get("epochs", 0), set_aside=aside)
    damage = ""
    try:
        if finished := open_run(run):
            return make("done", seconds=finished.provenance.get("seconds"))
    except Damaged as error:
        damage = str(error)
    if is_held(lock):
        trained = epochs - note.get("begun", 0)
        with contextlib.suppress(FileNotFoundError, ZeroDivisionError):
            span = (checkpoint / "epochs.txt").stat().st_mtime - lock.stat().st_mtime
            return make("running", pace=span / trained if span > 0 else None)  # not if the clock was set back
        return make("running")
    if damage:
        return make("damaged", reason=damage)
    with contextlib.suppress(FileNotFoundError):
        return make("failed", reason=failure.read_text("utf-8"))
    return make("interrupted" if checkpoint.exists() else "left")


def find_runs(work: Path) -> list[Path]:
    """Return the folders of all runs in a work folder: finished, started or failed."""
    runs = {path.with_name(path.name.partition(".")[0]) for path in (work / "runs").glob("*/*/*/fold-*")}
    locks = (work / "locks" / "runs").glob("*/*/*/fold-*")  # the only file of a running system without epochs
    return sorted(runs | {work / lock.relative_to(work / "locks") for lock in locks if is_held(lock)})


def estimate_seconds_left(progress: Sequence[Progress]) -> float | None:
    """Estimate the seconds that one process needs for the unfinished runs.

    The estimate is based on finished runs of the same system under the same protocol, else under any protocol, else on
    the time per epoch of running ones.

    Returns:
        None if a system has no data yet
    """
    total = 0.0
    for run in progress:
        if run.state == "done":
            continue
        same_system = [other for other in progress if (other.system, other.corpus) == (run.system, run.corpus)]
        same_protocol = [other for other in same_system if other.protocol == run.protocol]
        estimates = (_mean_seconds(group) for group in (same_protocol, same_system))
        estimate = next((seconds for seconds in estimates if seconds is not None), None)
        if estimate is None:
            return None
        total += estimate * (1 - run.share)
    return total


def _mean_seconds(runs: Iterable[Progress]) -> float | None:
    runs = list(runs)
    for seconds in (
        [run.seconds for run in runs if run.seconds is not None],
        [run.pace * run.of for run in runs if run.pace and run.of],
    ):
        if seconds:
            return float(np.mean(seconds))
    return None


def summarise(progress: Sequence[Progress]) -> dict:
    """Summarise the progress as JSON: counts, estimated time, unfinished runs."""
    running = sum(run.state == "running" for run in progress)
    remaining = estimate_seconds_left(progress)
    return {
        "runs": {state: sum(run.state == state for run in progress) for state in STATES},
        "seconds to go": remaining if remaining is None else round(remaining / max(running, 1)),
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
    """Format the progress as lines: one per system and protocol, then the runs that need attention."""
    import pandas as pd

    if not progress:
        return ["no runs yet; `sernb experiment` or `sernb report` makes some"]
    table = pd.DataFrame([dataclasses.asdict(run) for run in progress])
    counts = pd.crosstab([table.corpus, table.system, table.protocol], table.state)
    columns = [state for state in STATES if state in counts]
    lines = counts[columns].rename_axis(columns=None).reset_index().to_string(index=False).splitlines()
    for run in progress:
        name = f"{run.system} · {run.corpus} · {run.protocol} · {run.run}"
        if run.state in ("running", "interrupted"):
            lines.append(f"{run.state}: {name}" + f", {run.epochs} of {run.of} epochs" * bool(run.of))
        elif run.reason:
            lines.append(f"{run.state}: {name}: {run.reason}")
    summary = summarise(progress)
    total = ", ".join(f"{count} {state}" for state, count in summary["runs"].items() if count)
    lines += [f"set aside, not used: {name}" for name in summary["set aside"]]
    return [*lines, f"{len(progress)} runs: {total}{_format_remaining(summary)}"]


def _format_remaining(summary: dict) -> str:
    if not any(count for state, count in summary["runs"].items() if state != "done"):
        return ""
    seconds, parallel = summary["seconds to go"], summary["side by side"]
    if seconds is None:
        return "; the remaining time is unknown before the first run or epoch of each system"
    hours, minutes = divmod(round(seconds / 60), 60)
    time = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "less than a minute"
    return f"; about {time} remaining with {parallel} at a time"


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
