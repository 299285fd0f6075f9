"""The committed results on real corpora, as ``sernb experiment --csv`` wrote them."""

import re

import pandas as pd

from sernb.config import REPORTS
from sernb.evaluation import FEWEST_SPEAKERS, average_over_seeds
from sernb.runtime.provenance import is_clean

REFERENCE = REPORTS / "reference"
_SCORE = re.compile(r"([\d.]+) \[([\d.]+), ([\d.]+)\](?: \(clips\))?")


def read_rows() -> pd.DataFrame:
    """Return the committed results as text, with empty cells for missing values."""
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in sorted(REFERENCE.glob("*.csv"))]
    every = pd.concat(tables, ignore_index=True)
    return every.assign(Seed=every["Seed"].fillna("0") if "Seed" in every else "0").fillna("")


def uncommitted(rows: pd.DataFrame) -> pd.Series:
    """Return for each row whether uncommitted code made it; tables mark such rows."""
    return rows["Commits"].map(lambda commits: not all(map(is_clean, commits.split(", "))))


def read_table(corpus: str, **options: str) -> pd.DataFrame:
    """Return the committed results on a corpus, averaged over seeds.

    With several seeds, a score and its bounds are means over the seeds; "±" is the standard deviation over seeds.
    Intervals over clips are marked.

    Args:
        options: command-line options by column, such as ``--test-on``; only rows with exactly these options
    """
    every = read_rows()
    used = every.filter(regex="^--")
    options = pd.Series({**dict.fromkeys(used, ""), **options}, dtype=str)
    every = every[(used.reindex(columns=options.index, fill_value="") == options).all(axis=1)]
    if "Speakers" in every:  # older rows do not mark intervals over clips
        few = every.Speakers.astype(int) < FEWEST_SPEAKERS
        every = every.replace(r"\]$", "] (clips)", regex=True).where(few, every)
    rows = [_over_seeds(rows) for _, rows in every[every.Corpus == corpus].groupby(["System", "Protocol"], sort=False)]
    return pd.DataFrame(rows).reset_index(drop=True)


def _over_seeds(rows: pd.DataFrame) -> pd.Series:
    first = rows.iloc[0].copy()
    if len(rows) == 1:
        return first
    first["Commits"] = ", ".join(dict.fromkeys(rows.Commits))
    for name, cells in rows.items():
        if all(map(_SCORE.fullmatch, cells)):
            scores = cells.str.extract(_SCORE).astype(float)  # value, low, high
            (_, low, high), spread = scores.mean(), average_over_seeds(scores[0])
            value = f"{spread.mean:.1f} [{low:.1f}, {high:.1f}]{' (clips)' * cells.iloc[0].endswith('(clips)')}"
            first[name] = f"{value}, {spread.seeds} seeds ± {spread.deviation:.1f}"
    return first
