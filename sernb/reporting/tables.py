"""Data frames as HTML tables."""

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

GAP = "\N{EN DASH}"
NOTHING = {GAP, "", "nan", "None"}
# A right-aligned cell: 61.3, 61.3 %, 61.3 [58.1, 64.0] (clips), \u22120.2, 3 / 60, < 0.001, or a gap.
NUMBER = re.compile(
    r"(?:< )?[\[(]?[+\-\u2212\u00b1]?\s*\.?\d[\d\s.,:%\u00b1\u00d7\u2013\u2212+\-()\[\]/eE]*(?:\(clips\))?"
    r"|[\u2013-]?|nan|NaN"
)


def are_numbers(texts: Sequence[str]) -> bool:
    """Return whether the texts of a column are numbers (and gaps); such columns are right-aligned."""
    return any(re.search(r"\d", text) for text in texts) and all(NUMBER.fullmatch(text) for text in texts)


def table_html(frame: "pd.DataFrame", caption: str, *, index: bool = False) -> str:
    """Return a table as escaped HTML with caption and headings, right-aligned numbers, and dashes for gaps.

    Numbers are not formatted; format them first. Columns without any value are left out.

    Raises:
        ValueError: if ``caption`` is empty
    """
    if not caption.strip():
        raise ValueError("a table needs a caption: what is counted or measured, and on which clips")
    if index:
        frame = frame.reset_index()
    names = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in frame.columns]
    filled = frame.astype(object).where(frame.notna(), GAP)
    kept = [not len(frame) or not set(map(str, filled.iloc[:, at])) <= NOTHING for at in range(len(names))]
    filled, names = filled.loc[:, kept], [name for name, keep in zip(names, kept, strict=True) if keep]
    rows = [[str(value) for value in row] for row in filled.to_numpy()]
    # JupyterLab right-aligns every cell, so both alignments are explicit.
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
    """Escape text for HTML."""
    return html.escape(text, quote=True)


def no_math(text: str) -> str:
    """Protect dollar signs in HTML or Markdown, as JupyterLab renders text between two of them as TeX."""
    return text.replace("$", "<span>&#36;</span>")
