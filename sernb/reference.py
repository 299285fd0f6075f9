"""The committed results on real corpora → the table of the README: ``python -m sernb.reference`` writes it anew."""

import re
from pathlib import Path

import pandas as pd

from sernb.config import REPORTS, ROOT, DataError
from sernb.evaluation import over_seeds
from sernb.splits import SIDE_BY_SIDE
from sernb.store import atomic

REFERENCE = REPORTS / "reference"
README = ROOT / "README.md"
HEADING = "| system | protocol | UAR | floor | WAR | floor | WAR reported | classes | test clips | folds |"
STRICT = "speaker-independent"
_FIGURE = re.compile(r"([\d.]+) \[([\d.]+), ([\d.]+)\]")


def every_result() -> pd.DataFrame:
    """Return the committed results, as ``sernb experiment --csv`` wrote them; text, empty where nothing."""
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in sorted(REFERENCE.glob("*.csv"))]
    every = pd.concat(tables, ignore_index=True)
    return every.assign(Seed=every["Seed"].fillna("0") if "Seed" in every else "0").fillna("")


def results(corpus: str) -> pd.DataFrame:
    """Return the committed results on a corpus without further options, seeds together.

    Where there are several seeds, a figure is their mean and its bounds are the mean bounds; "±" is the standard
    deviation over seeds.
    """
    every = every_result()
    every = every[(every.filter(regex="^--") == "").all(axis=1)]
    rows = [_over_seeds(rows) for _, rows in every[every.Corpus == corpus].groupby(["System", "Protocol"], sort=False)]
    return pd.DataFrame(rows).reset_index(drop=True)


def _over_seeds(rows: pd.DataFrame) -> pd.Series:
    first = rows.iloc[0].copy()
    if len(rows) == 1:
        return first
    for name, cells in rows.items():
        if all(map(_FIGURE.fullmatch, cells)):
            figures = cells.str.extract(_FIGURE).astype(float)  # value, low, high
            (_, low, high), spread = figures.mean(), over_seeds(figures[0])
            value = f"{spread.mean:.1f} [{low:.1f}, {high:.1f}]"
            first[name] = f"{value}, {spread.seeds} seeds ± {spread.deviation:.1f}"
    return first


def markdown(table: pd.DataFrame) -> str:
    """Return the results of systems that listen, as Markdown; systems together, strict figures in bold."""
    lines = [HEADING, "|" + " --- |" * HEADING.count(" |")]
    table = table[table.System != "majority"].sort_values(
        "Protocol", key=lambda names: names.map(_place), kind="stable"
    )
    for system, rows in table.groupby("System", sort=False):
        for row in rows.to_dict("records"):
            value, _, interval = row["UAR"].partition(" ")
            cells = (
                f"`{system}`",
                row["Protocol"].replace("as-published", "as published"),
                f"**{value}** {interval}" if row["Protocol"] == STRICT else row["UAR"],
                row["UAR floor"],
                row["WAR"],
                row["WAR floor"],
                row["WAR reported"] or "–",
                row["Classes"],
                row["Clips"],
                row["Folds"],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _place(protocol: str) -> int:
    return SIDE_BY_SIDE.index(protocol) if protocol in SIDE_BY_SIDE else len(SIDE_BY_SIDE)


def table_in(text: str) -> str:
    """Return the results table that stands in a text.

    Raises:
        DataError: if there is none
    """
    lines = text.splitlines()
    if HEADING not in lines:
        raise DataError(f"{README.name}: no results table begins with {HEADING!r}; put this line where it belongs")
    start = lines.index(HEADING)
    count = next((n for n, line in enumerate(lines[start:]) if not line.startswith("|")), len(lines) - start)
    return "\n".join(lines[start : start + count])


def update(readme: Path = README, corpus: str = "ravdess") -> None:
    """Put the table of the committed results into the README."""
    text = readme.read_text("utf-8")
    with atomic(readme) as unfinished:
        unfinished.write_text(text.replace(table_in(text), markdown(results(corpus))), "utf-8")


if __name__ == "__main__":
    update()
