"""Update the texts that show committed results: ``python -m tools.reference``.

Tables are found by their first line, scores in prose by their marks (:mod:`tools.statements`).
"""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from sernb.config import ROOT, DataError
from sernb.protocols.protocol import COMPARED
from sernb.results.committed import REFERENCE, read_table, uncommitted
from sernb.results.result import NEVER_VALIDATED
from sernb.runtime.files import atomic
from sernb.systems.base import REDUCED
from sernb.systems.registry import get_system

HEADING = (
    "| system | protocol | UAR | UAR, never validated | chance | WAR | chance | WAR reported | top-3 | chance "
    "| classes | test clips | speakers | folds |"
)
SIDE_BY_SIDE_HEADING = "| system | speakers shared | speaker-independent | speaker-normalised | chance | classes |"
TABLES = {ROOT / "README.md": SIDE_BY_SIDE_HEADING, REFERENCE / "README.md": HEADING}
# The tables of the reference results: a corpus, and whether they show reduced systems (None: all systems).
PARTS = (("ravdess", False), ("ravdess", True), ("tess:available", None), ("ravdess+tess:available", None))
MATTER = (  # the rows of README.md
    "statistics-svm",
    "multiscale-cnn",
    "light-sernet-short",
    "functionals-ridge",
    "adaptive-ridge",
    "sernet",
    "sernet-functionals-ridge",
    "embedding-ridge",
    "embedding-pair-functionals",
    "embedding-pair-finetuned-functionals",
)
LESS = (f"-{REDUCED}", "-short")  # suffixes of system names: fewer units or epochs than published
# Signs of notes on rows, by system and protocol; each text that shows such a row explains its sign.
NOTES = {("adaptive-ridge", "as-published"): "†", ("rezonet-narrow", ""): "‡"}
STRICT = "speaker-independent"
MARK = " (uncommitted code)"


def side_by_side(table: pd.DataFrame, systems: Sequence[str] = MATTER) -> str:
    """Return the UAR of some systems as a Markdown table with one row per system and one column per protocol."""
    lines = [SIDE_BY_SIDE_HEADING, "|" + " --- |" * SIDE_BY_SIDE_HEADING.count(" |")]
    for system in systems:
        rows = table[table.System == system]
        by_protocol = {row["Protocol"]: row for row in rows.to_dict("records")}
        cells = (_short(by_protocol[name]) if name in by_protocol else "–" for name in COMPARED)
        floors, classes = (", ".join(sorted(set(rows[name]))) for name in ("UAR floor", "Classes"))
        name = f"`{system}`{MARK * bool(uncommitted(rows).any())}"
        lines.append(f"| {' | '.join((name, *cells, floors, classes))} |")
    return "\n".join(lines)


def _short(row: dict[str, str]) -> str:
    done, _, all_folds = row["Folds"].partition(" of ")
    folds = "" if done == all_folds else f", {row['Folds']} folds"
    split = f"; {heading(row)}" if heading(row) != row["Protocol"] else ""
    return f"{_uar(row)}; n {row['Clips']}{folds}{split}"


def heading(row: Mapping[str, str]) -> str:
    """Return the name of a row's protocol in tables, see :meth:`sernb.systems.base.System.name_protocol`."""
    corpora = [part.partition(":")[0] for part in row["Corpus"].split("+")]
    return get_system(row["System"]).name_protocol(row["Protocol"], corpora)


def _uar(row: dict[str, str]) -> str:
    """Return UAR with its interval, in bold under the speaker-independent protocol, and the sign of a note."""
    value, _, interval = row["UAR"].partition(" ")
    shown = f"**{value}** {interval}" if row["Protocol"] == STRICT else row["UAR"]
    notes = [sign for (system, where), sign in NOTES.items() if system == row["System"] and where in row["Protocol"]]
    return " ".join([shown, *notes])


def markdown(table: pd.DataFrame, less: bool | None = None) -> str:
    """Return the results of systems that use audio as a Markdown table, grouped by system.

    Args:
        less: show only systems smaller or shorter than published (True), only others (False), or all (None)
    """
    lines = [HEADING, "|" + " --- |" * HEADING.count(" |")]
    shown = table.System.str.endswith(LESS) == less if less is not None else table.System == table.System
    table = table[shown & (table.System != "majority")].sort_values(
        "Protocol", key=lambda names: names.map(_place), kind="stable"
    )
    for system, rows in table.groupby("System", sort=False):
        for row, marked in zip(rows.to_dict("records"), uncommitted(rows), strict=True):
            cells = (
                f"`{system}`{MARK * marked}",
                heading(row),
                _uar(row),
                row.get(NEVER_VALIDATED) or "–",
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
    return COMPARED.index(protocol) if protocol in COMPARED else len(COMPARED)


def tables_in(text: str, heading: str) -> list[str]:
    """Return the tables of a text with the given first line.

    Raises:
        DataError: if there is none
    """
    return _pieces(text, heading)[1::2]


def _pieces(text: str, heading: str) -> list[str]:
    """Split a text into the tables, at odd positions, and the text between them."""
    pieces = re.split(rf"^({re.escape(heading)}(?:\n\|.*)*)", text, flags=re.MULTILINE)
    if len(pieces) == 1:
        raise DataError(f"no results table begins with {heading!r}; insert this line in its place")
    return pieces


def updated(text: str, heading: str) -> str:
    """Return a text with updated tables: those of ``PARTS``, or the one of README.md.

    Raises:
        DataError: if it has no table
    """
    pieces = _pieces(text, heading)
    if heading == SIDE_BY_SIDE_HEADING:
        pieces[1] = side_by_side(read_table("ravdess"))
    else:
        pieces[1::2] = [
            markdown(read_table(corpus), less) for _, (corpus, less) in zip(pieces[1::2], PARTS, strict=True)
        ]
    return "".join(pieces)


def update() -> None:
    """Update all texts that show committed results."""
    from tools.statements import filled

    for path, heading in TABLES.items():
        text = filled(updated(path.read_text("utf-8"), heading))
        with atomic(path) as unfinished:
            unfinished.write_text(text, "utf-8")


if __name__ == "__main__":
    update()
