"""Data frames as HTML tables."""

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

GAP = "\N{EN DASH}"
NOTHING = {GAP, "", "nan", "None"}
# A cell that belongs flush right: 61.3, 61.3 %, 61.3 [58.1, 64.0] (clips), \u22120.2, 3 / 60, < 0.001, or a gap.
NUMBER = re.compile(
    r"(?:< )?[\[(]?[+\-\u2212\u00b1]?\s*\.?\d[\d\s.,:%\u00b1\u00d7\u2013\u2212+\-()\[\]/eE]*(?:\(clips\))?"
    r"|[\u2013-]?|nan|NaN"
)


def are_numbers(texts: Sequence[str]) -> bool:
    """Say whether the texts of a column are numbers (and gaps): such a column is set flush right."""
    return any(re.search(r"\d", text) for text in texts) and all(NUMBER.fullmatch(text) for text in texts)


def table_html(frame: "pd.DataFrame", caption: str, *, index: bool = False) -> str:
    """Return a table as HTML: caption, column headings, everything escaped, numbers flush right, gaps as a dash.

    Numbers are written as they come: format them first. A column without any value is left out.

    Raises:
        ValueError: if ``caption`` is empty
    """
    if not caption.strip():
        raise ValueError("a table needs a caption: what is counted or measured, on what")
    if index:
        frame = frame.reset_index()
    names = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in frame.columns]
    filled = frame.astype(object).where(frame.notna(), GAP)
    said = [not len(frame) or not set(map(str, filled.iloc[:, at])) <= NOTHING for at in range(len(names))]
    filled, names = filled.loc[:, said], [name for name, kept in zip(names, said, strict=True) if kept]
    rows = [[str(value) for value in row] for row in filled.to_numpy()]
    # JupyterLab sets every cell flush right, so both directions are said.
    sides = ["right" if are_numbers(column) else "left" for column in zip(*rows, strict=True)] or ["left"] * len(names)

    def cells(texts: Sequence[str], heads: int, scope: str) -> str:
        return "".join(
            f'<th scope="{scope}" style="text-align:{side}">{no_math(escape(text))}</th>'
            if at < heads
            else f'<td style="text-align:{side}">{no_math(escape(text))}</td>'
            for at, (text, side) in enumerate(zip(texts, sides, strict=True))
        )

    body = "".join(f"<tr>{cells(row, int(index), 'row')}</tr>\n" for row in rows)
    return (
        f"<table>\n<caption>{no_math(escape(caption))}</caption>\n"
        f"<thead><tr>{cells(names, len(names), 'col')}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
    )


def escape(text: str) -> str:
    """Return text as HTML shows it as it is."""
    return html.escape(text, quote=True)


def no_math(text: str) -> str:
    """Return HTML or Markdown in which a dollar is a dollar: JupyterLab takes what is between two of them for TeX."""
    return text.replace("$", "<span>&#36;</span>")
