"""Reproduction of a committed result from the recordings, for ``sernb reproduce``."""

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
    """One score of a row: committed and reproduced."""

    name: str
    committed: float
    again: float

    @property
    def difference(self) -> float:
        """The reproduced score minus the committed one."""
        return round(self.again - self.committed, 6)


def find_row(system: str, protocol: str, corpus: str, seed: int = 0) -> pd.Series:
    """Return a committed row.

    Raises:
        DataError: if there is no such row; the message lists the available ones
    """
    every = read_rows()
    of_system = every[(every.System == system) & (every.Corpus == corpus)]
    matching = of_system[(of_system.Protocol == protocol) & (of_system.Seed == str(seed))]
    if len(matching):
        return matching.iloc[0]
    similar = of_system if len(of_system) else every[every.Corpus == corpus]
    names = sorted({f"{row.System} {row.Protocol}" for row in similar.itertuples()}) or sorted(set(every.Corpus))
    name = f"{system} {protocol} on {corpus}, seed {seed}"
    raise DataError(f"no committed result is named {name}; there are: {', '.join(names)}")


def plan_row(row: pd.Series, data: str | Path | None = None) -> list[Experiment]:
    """List the experiments behind a committed row.

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
    """Return the tolerance in points, and a note if recipe or backend differ from the row's; otherwise empty.

    Another backend rounds differently and draws other initial weights.
    """
    system, made_by = get_system(row.System), row.get("Backend", "")
    recipe = int(row.get("Recipe", "") or 1)
    note = f"the row was made by recipe {recipe}, this is {system.recipe}" if recipe != system.recipe else ""
    if not system.uses_keras or (made_by or "tensorflow") == backend():
        return SAME_BACKEND, note
    other = f"the row was made by {made_by or 'tensorflow'}, this is {backend()}"
    return OTHER_BACKEND, "; ".join(filter(None, (note, other)))


def format_command(row: pd.Series) -> str:
    """Return the command that reproduces the row and keeps its runs."""
    folds = _folds(row)
    options = [f"--systems {row.System} --corpus {row.Corpus} --protocol {row.Protocol}"]
    options += [f"--folds 0-{folds[-1]}" if len(folds) > 1 else "--folds 0"] if folds else []
    options += [f"--seeds {row.Seed}"] if row.Seed != "0" else []
    options += [f"{name} {value}" for name, value in _options(row).items()]
    return f"sernb experiment {' '.join(options)}"


def _options(row: pd.Series) -> dict[str, str]:
    """Return the command-line options of a row; the columns are named after the options."""
    return {name: value for name, value in row.items() if name.startswith("--") and value}


def _folds(row: pd.Series) -> list[int] | None:
    """Return the folds that were run, always the first ones; None for all."""
    done, every = map(int, re.fullmatch(r"(\d+) of (\d+)", row.Folds).groups())
    return list(range(done)) if done < every else None


def reproduce(row: pd.Series, *, jobs: int = -1, data: str | Path | None = None) -> list[Reproduced]:
    """Reproduce a row, features included, and compare its scores with the committed ones.

    No existing feature or run is used. New ones are written to a separate folder, which is deleted at the end; after an
    interruption, the same call resumes from it.

    Raises:
        DataError: as :func:`sernb.runs.runner.run_many`
    """
    with _separate_work_folder():
        experiments = plan_row(row, data)
        run_many(experiments, jobs=jobs, data=data)
        (again,) = results_table(experiments).to_dict("records")
    return [Reproduced(name, _value(row[name]), _value(again[name])) for name in COMPARED]


@contextmanager
def _separate_work_folder() -> Iterator[None]:
    """Use a separate work folder, in child processes too."""
    before, folder = os.environ.get("SERNB_WORK"), work_folder() / "verify"
    os.environ["SERNB_WORK"] = str(folder)
    try:
        yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        del os.environ["SERNB_WORK"]
        os.environ.update({"SERNB_WORK": before} if before is not None else {})


def _value(cell: object) -> float:
    """Return the value of a cell without its interval."""
    return float(str(cell).split()[0])
