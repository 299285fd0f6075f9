"""Tables of results for a paper: LaTeX with booktabs, with special characters escaped."""

import pandas as pd

_SPECIAL = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "\n": " ", "\r": " "}
)


def escape(text: str) -> str:
    r"""Escape the special characters of LaTeX.

    Examples:
        >>> print(escape("95 % of a_b"))
        95 \% of a\_b
    """
    return text.translate(_SPECIAL)


def latex_table(table: pd.DataFrame, caption: str, *, label: str) -> str:
    """Return a table environment; values are not rounded, and missing ones are a dash.

    Args:
        caption: plain text
        label: for references, as ``tab:<label>``
    """
    cells = table.astype(object).where(table.notna(), "–").map(lambda cell: escape(str(cell)))
    return cells.rename(columns=escape).to_latex(
        index=False, escape=False, caption=escape(caption), label=f"tab:{label}", column_format="l" * table.shape[1]
    )
