"""A committed result, made again from the recordings and compared: what ``sernb verify`` does."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sernb.config import DataError, work_folder
from sernb.results.committed import read_rows
from sernb.results.tables import results_table
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan
from sernb.runs.runner import run_many
from sernb.runtime.environment import backend
from sernb.systems.registry import get_system

COMPARED = ("UAR", "WAR", "Top-3", "Clips")
SAME_BACKEND, OTHER_BACKEND = 0.5, 1.0  # points


@dataclass(frozen=True)
class Reproduced:
    """One figure of a row: as it is committed, and as it was made again."""

    name: str
    committed: float
    again: float

    @property
    def difference(self) -> float:
        """What was made again above what is committed."""
        return round(self.again - self.committed, 6)


def find_row(system: str, protocol: str, corpus: str, seed: int = 0) -> pd.Series:
    """Return a committed row.

    Raises:
        DataError: if there is none; the message lists those that there are
    """
    every = read_rows()
    there = every[(every.System == system) & (every.Corpus == corpus)]
    found = there[(there.Protocol == protocol) & (there.Seed == str(seed))]
    if len(found):
        return found.iloc[0]
    known = there if len(there) else every[every.Corpus == corpus]
    what = sorted({f"{row.System} {row.Protocol}" for row in known.itertuples()}) or sorted(set(every.Corpus))
    asked = f"{system} {protocol} on {corpus}, seed {seed}"
    raise DataError(f"no committed result is named {asked}; there are: {', '.join(what)}")


def plan_row(row: pd.Series, data: str | Path | None = None) -> list[Experiment]:
    """List the experiments that a committed row was made from.

    Raises:
        DataError: as :func:`sernb.runs.planning.plan`
    """
    options = {name[2:].replace("-", "_"): value for name, value in _options(row).items()}
    if "train_clips" in options:
        options["train_clips"] = int(options["train_clips"])
    return plan(
        [row.System], row.Corpus, [row.Protocol], folds=_folds(row), seeds=[int(row.Seed)], data=data, **options
    )


def tolerance_for(row: pd.Series) -> tuple[float, str]:
    """Return by how many points a score may differ, and what to say first of how the row was made; mostly nothing.

    Another backend rounds, and draws its initial weights, in another way.
    """
    system, made_by = get_system(row.System), row.get("Backend", "")
    recipe = int(row.get("Recipe", "") or 1)
    note = f"the row was made by recipe {recipe}, this is {system.recipe}" if recipe != system.recipe else ""
    if not system.uses_keras or (made_by or "tensorflow") == backend():
        return SAME_BACKEND, note
    other = f"the row was made by {made_by or 'tensorflow'}, this is {backend()}"
    return OTHER_BACKEND, "; ".join(filter(None, (note, other)))


def format_command(row: pd.Series) -> str:
    """Return the command that makes the row again and keeps its runs."""
    folds = _folds(row)
    options = [f"--systems {row.System} --corpus {row.Corpus} --protocol {row.Protocol}"]
    options += [f"--folds 0-{folds[-1]}" if len(folds) > 1 else "--folds 0"] if folds else []
    options += [f"--seeds {row.Seed}"] if row.Seed != "0" else []
    options += [f"{name} {value}" for name, value in _options(row).items()]
    return f"sernb experiment {' '.join(options)}"


def _options(row: pd.Series) -> dict[str, str]:
    """Return the options of the command that were given for a row, by name; their columns are named after them."""
    return {name: value for name, value in row.items() if name.startswith("--") and value}


def _folds(row: pd.Series) -> list[int] | None:
    """Return the folds that were run, the first ones; None: all."""
    done, every = map(int, re.fullmatch(r"(\d+) of (\d+)", row.Folds).groups())
    return list(range(done)) if done < every else None


def reproduce(row: pd.Series, *, jobs: int = -1, data: str | Path | None = None) -> list[Reproduced]:
    """Make a row again, features included, and compare it.

    Nothing that is already there is used. What is made lies in a folder of its own, which is deleted at the end; where
    it is stopped, the same call goes on.

    Raises:
        DataError: as :func:`sernb.runs.runner.run_many`
    """
    with _apart():
        experiments = plan_row(row, data)
        run_many(experiments, jobs=jobs, data=data)
        (again,) = results_table(experiments).to_dict("records")
    return [Reproduced(name, _value(row[name]), _value(again[name])) for name in COMPARED]


@contextmanager
def _apart() -> Iterator[None]:
    """Keep what is made in a folder of its own, for the processes that are started, too."""
    before, folder = os.environ.get("SERNB_WORK"), work_folder() / "verify"
    os.environ["SERNB_WORK"] = str(folder)
    try:
        yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        del os.environ["SERNB_WORK"]
        os.environ.update({"SERNB_WORK": before} if before is not None else {})


def _value(cell: object) -> float:
    """Return the figure of a cell, without its interval."""
    return float(str(cell).split()[0])
