"""Tables of results for a paper: LaTeX with booktabs, every character of texts as it is read."""

import pandas as pd

_SPECIAL = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "\n": " ", "\r": " "}
)


def escape(text: str) -> str:
    r"""Return a text as LaTeX sets it letter by letter.

    Examples:
        >>> print(escape("95 % of a_b"))
        95 \% of a\_b
    """
    return text.translate(_SPECIAL)


def latex_table(table: pd.DataFrame, caption: str, *, label: str) -> str:
    """Return a table environment; nothing is rounded or left out, and what is missing is a dash.

    Args:
        caption: in plain text
        label: to refer to it by, ``tab:<label>``
    """
    cells = table.astype(object).where(table.notna(), "–").map(lambda cell: escape(str(cell)))
    return cells.rename(columns=escape).to_latex(
        index=False, escape=False, caption=escape(caption), label=f"tab:{label}", column_format="l" * table.shape[1]
    )
