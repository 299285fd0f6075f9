"""Compute the missing committed results: ``make reference``, cheapest first, resumable.

Each cell is one call of ``sernb experiment``. When it is finished, its rows replace those of the same system, protocol,
seed and corpus in ``reports/reference``. A cell is missing if one of its rows does not exist, or was made by
uncommitted code or an older recipe of the system. Minutes are for two cores; an interrupted call is resumed.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sernb.results.committed import REFERENCE, read_rows, uncommitted
from sernb.runtime.files import atomic
from sernb.runtime.progress import progress_line
from sernb.systems.registry import get_system

PUBLISHED, INDEPENDENT, NORMALISED = "as-published", "speaker-independent", "speaker-normalised"
KEY = ("System", "Protocol", "Seed", "Corpus")


@dataclass(frozen=True)
class Cell:
    """One call of ``sernb experiment`` with one seed."""

    file: str  # name in reports/reference without .csv
    systems: str
    protocol: str
    minutes: float
    corpus: str = "ravdess"
    seed: int = 0
    folds: str = ""  # empty: all
    options: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The arguments of ``sernb``."""
        words = ["experiment", "--systems", self.systems, "--corpus", self.corpus, "--protocol", self.protocol]
        words += [*self.options, *(["--folds", self.folds] if self.folds else [])]
        return [*words, *(["--seeds", str(self.seed)] if self.seed else [])]


def _cells() -> Iterator[Cell]:
    yield Cell("ravdess", "majority", PUBLISHED, 1)
    for protocol in (INDEPENDENT, NORMALISED):
        yield Cell("ravdess", "majority", protocol, 1)
        yield Cell("ravdess", "multiscale-cnn", protocol, 40)
        for seed in range(5):
            yield Cell("ravdess_sernet", "sernet,sernet-functionals", protocol, 15, seed=seed)
            yield Cell("ravdess_sernet", "sernet-functionals-ridge", protocol, 3, seed=seed)
            yield Cell("tess", "sernet,sernet-functionals", protocol, 2, corpus="tess:available", seed=seed)
    tess = "functionals-svm,functionals-svm-rbf,majority,statistics-svm"
    yield Cell("tess", tess, NORMALISED, 1, corpus="tess:available")
    yield Cell("ravdess_sernet", "sernet,sernet-functionals", PUBLISHED, 30)
    yield Cell("ravdess", "multiscale-cnn", PUBLISHED, 80)
    # Full size: all folds as published, then as many speaker-independent folds as time allows.
    yield Cell("ravdess_full", "feature-cnn", PUBLISHED, 25)
    yield Cell("ravdess_full", "feature-cnn", INDEPENDENT, 120)
    yield Cell("ravdess_full", "multitask-cnn", PUBLISHED, 180)
    yield Cell("ravdess_full", "multitask-cnn", INDEPENDENT, 360, folds="0-1")
    for curves in ("zcr", "energy", "zcr-energy"):
        yield Cell("ravdess_full", f"dummynet-{curves}", PUBLISHED, 150)
        yield Cell("ravdess_full", f"dummynet-{curves}", INDEPENDENT, 300, folds="0-1")
    yield Cell("ravdess_full", "timedistributed-cnn-lstm", PUBLISHED, 480)
    yield Cell("ravdess_full", "timedistributed-cnn-lstm", INDEPENDENT, 840, folds="0-1")
    yield Cell("ravdess", "multiscale-cnn-long", PUBLISHED, 400)
    narrow = "dummynet-zcr-narrow,dummynet-energy-narrow,dummynet-zcr-energy-narrow"
    yield Cell("ravdess_narrow", narrow, PUBLISHED, 20)
    yield Cell("ravdess_narrow", narrow, INDEPENDENT, 40)
    for system in ("dummynet-mel", "rezonet", "exponet", "multitask-cnn", "cnn-ensemble"):
        yield Cell("ravdess_narrow", f"{system}-narrow", PUBLISHED, 40)
        yield Cell("ravdess_narrow", f"{system}-narrow", INDEPENDENT, 60, folds="0-1")


CELLS = tuple(sorted(_cells(), key=lambda cell: cell.minutes))


def missing(cell: Cell, rows: pd.DataFrame) -> list[str]:
    """Return the systems of a cell without a valid committed row."""
    valid = rows[~uncommitted(rows)]
    in_cell = (valid.Corpus == cell.corpus) & (valid.Protocol == cell.protocol) & (valid.Seed == str(cell.seed))
    recipe = valid[in_cell].set_index("System").get("Recipe", pd.Series(dtype=str))
    # Rows without a recipe number were made by recipe 1.
    return [name for name in cell.systems.split(",") if (recipe.get(name, "0") or "1") != _recipe(name)]


def _recipe(name: str) -> str:
    return str(get_system(name).recipe)


def measure(cell: Cell) -> None:
    """Run a cell and write its rows to the committed file.

    Raises:
        subprocess.CalledProcessError: if a training fails, or the code is not committed
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "rows.csv"
        subprocess.run([sys.executable, "-m", "sernb", *cell.command, "--csv", fresh], check=True)  # noqa: S603
        put(fresh, REFERENCE / f"{cell.file}.csv", cell.seed)


def put(fresh: Path, committed: Path, seed: int = 0) -> None:
    """Write rows to a file of committed ones, in place of the rows that they replace, else at the end."""
    new = pd.read_csv(fresh, dtype=str, keep_default_na=False)
    if not committed.exists():
        old = pd.DataFrame(columns=new.columns)
    else:
        old = pd.read_csv(committed, dtype=str, keep_default_na=False)
    if "Seed" in old or seed:
        new = new.assign(Seed=new["Seed"] if "Seed" in new else str(seed))
    every = pd.concat([old, new], ignore_index=True).fillna("")
    names = [name for name in every if name in KEY or name.startswith("--")]
    keys = [tuple(row) for row in every[names].to_numpy()]
    last = {key: position for position, key in enumerate(keys)}  # the later one of two rows with the same key …
    order = [last[key] for key in dict.fromkeys(keys)]  # … replaces the earlier one
    with atomic(committed) as unfinished:
        every.loc[order].to_csv(unfinished, index=False)


def main() -> None:
    """List or compute the missing results."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only list the missing results and their cost")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="skip longer calls (minutes on two cores)")
    parser.add_argument("--only", default="", metavar="NAME", help="only systems or files with this text in their name")
    options = parser.parse_args()
    for cell in CELLS:
        if cell.minutes > options.minutes or options.only not in f"{cell.systems} {cell.file}":
            continue
        if not (systems := missing(cell, read_rows())):
            continue
        line = f"{', '.join(systems)} {cell.protocol} on {cell.corpus}, seed {cell.seed}, about {cell.minutes:g} min"
        progress_line(line)
        if not options.list:
            measure(cell)


if __name__ == "__main__":
    main()
