"""The committed results on real corpora → the tables that show them: ``python -m sernb.reference`` writes them anew."""

import re

import pandas as pd

from sernb.config import REPORTS, ROOT, DataError
from sernb.evaluation import over_seeds
from sernb.splits import SIDE_BY_SIDE
from sernb.store import atomic

REFERENCE = REPORTS / "reference"
HEADING = (
    "| system | protocol | UAR | floor | WAR | floor | WAR reported | top-3 | floor | classes | test clips "
    "| speakers | folds |"
)
SIDE_BY_SIDE_HEADING = "| system | as published | speakers apart | each speaker standardised | floor | classes |"
TABLES = {ROOT / "README.md": SIDE_BY_SIDE_HEADING, REFERENCE / "README.md": HEADING}
CORPORA = ("ravdess", "tess:available", "ravdess+tess:available")
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


def side_by_side(table: pd.DataFrame) -> str:
    """Return UAR of systems that listen as Markdown, a row each, the protocols beside each other."""
    lines = [SIDE_BY_SIDE_HEADING, "|" + " --- |" * SIDE_BY_SIDE_HEADING.count(" |")]
    for system, rows in table[table.System != "majority"].groupby("System", sort=False):
        by_protocol = {row["Protocol"]: row for row in rows.to_dict("records")}
        cells = (_short(by_protocol[name]) if name in by_protocol else "–" for name in SIDE_BY_SIDE)
        floors, classes = (", ".join(sorted(set(rows[name]))) for name in ("UAR floor", "Classes"))
        lines.append(f"| {' | '.join((f'`{system}`', *cells, floors, classes))} |")
    return "\n".join(lines)


def _short(row: dict[str, str]) -> str:
    done, _, all_folds = row["Folds"].partition(" of ")
    folds = "" if done == all_folds else f", {row['Folds']} folds"
    return f"{_uar(row)}; n {row['Clips']}{folds}"


def _uar(row: dict[str, str]) -> str:
    """Return UAR with its interval, in bold where speakers are kept apart."""
    value, _, interval = row["UAR"].partition(" ")
    return f"**{value}** {interval}" if row["Protocol"] == STRICT else row["UAR"]


def markdown(table: pd.DataFrame) -> str:
    """Return the results of systems that listen, as Markdown; systems together, strict figures in bold."""
    lines = [HEADING, "|" + " --- |" * HEADING.count(" |")]
    table = table[table.System != "majority"].sort_values(
        "Protocol", key=lambda names: names.map(_place), kind="stable"
    )
    for system, rows in table.groupby("System", sort=False):
        for row in rows.to_dict("records"):
            cells = (
                f"`{system}`",
                row["Protocol"].replace("as-published", "as published"),
                _uar(row),
                row["UAR floor"],
                row["WAR"],
                row["WAR floor"],
                row["WAR reported"] or "–",
                row["Top-3"],
                row["Top-3 floor"],
                row["Classes"],
                row["Clips"],
                row["Speakers"],
                row["Folds"],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _place(protocol: str) -> int:
    return SIDE_BY_SIDE.index(protocol) if protocol in SIDE_BY_SIDE else len(SIDE_BY_SIDE)


def tables_in(text: str, heading: str) -> list[str]:
    """Return the tables of a text that begin with a line.

    Raises:
        DataError: if there is none
    """
    return _pieces(text, heading)[1::2]


def _pieces(text: str, heading: str) -> list[str]:
    """Cut a text into what stands between tables and, at odd positions, the tables."""
    pieces = re.split(rf"^({re.escape(heading)}(?:\n\|.*)*)", text, flags=re.MULTILINE)
    if len(pieces) == 1:
        raise DataError(f"no results table begins with {heading!r}; put this line where it belongs")
    return pieces


def updated(text: str, heading: str) -> str:
    """Return a text with the committed results in its tables: of RAVDESS, of what is here of TESS, of both together.

    Raises:
        DataError: if it has no table
    """
    pieces, made = _pieces(text, heading), {SIDE_BY_SIDE_HEADING: side_by_side, HEADING: markdown}[heading]
    pieces[1::2] = [made(results(corpus)) for _, corpus in zip(pieces[1::2], CORPORA, strict=False)]
    return "".join(pieces)


def update() -> None:
    """Put the committed results into the texts that show them."""
    for path, heading in TABLES.items():
        text = updated(path.read_text("utf-8"), heading)
        with atomic(path) as unfinished:
            unfinished.write_text(text, "utf-8")


if __name__ == "__main__":
    update()
