"""Scores in prose: a mark refers to a committed row, and the score is filled in from this row.

``<!--= functionals-ridge speaker-independent UAR-->65.9 [61.4, 70.3]<!--/-->`` is displayed as the score alone. A mark
can refer to:

- ``[CORPUS:]SYSTEM PROTOCOL COLUMN``: a cell of the table of results; ``… value`` without interval, ``… spread`` with
  the standard deviation over seeds instead; CORPUS is one of ``CORPORA``, by default ``ravdess``
- ``ROW - ROW``: the difference of two values, in points
- ``test FIRST SECOND PROTOCOL``: the lead of the second system on the committed page of comparisons; ``… p`` and
  ``… holm`` its p value, uncorrected and corrected for all pairs of the page
- ``literature NAME``: a score of :mod:`sernb.results.literature`
- ``model PATH``, ``encoder-model PATH``: a score of a bundled model, without or with an encoder, such as
  ``foreign/UAR``; ``… value`` without interval
- ``corpus NAME FIELD``: a count in a corpus record, ``clips`` or ``speakers``
- ``full size``: the published systems with rows at full size and length
"""

import json
import re
from functools import cache

import pandas as pd

from sernb.config import DataError
from sernb.corpora.registry import get_corpus
from sernb.prediction.loading import BUNDLED, BUNDLED_WITH_ENCODER
from sernb.results.committed import REFERENCE, read_rows, read_table
from sernb.results.literature import LITERATURE
from sernb.systems.registry import SYSTEMS, get_system
from tools.reference import HEADING, SIDE_BY_SIDE_HEADING

MARK = re.compile(r"<!--= ([^>]+?)-->(.*?)<!--/-->", re.DOTALL)
BOTH = "ravdess+tess:available"
CORPORA = {"tess": "tess:available", "eight": "ravdess"}
CORPORA |= dict.fromkeys(("both", "pooled", "foreign", "foreign-seven"), BOTH)
SEVEN, TESS = {"--labels": "seven"}, {"--test-on": "corpus=tess"}
FOREIGN = {"--train-on": "corpus=ravdess", **TESS}
OPTIONS = {"pooled": SEVEN | TESS, "foreign": FOREIGN, "foreign-seven": FOREIGN | SEVEN, "eight": {"--labels": "eight"}}
CORPORA_HEADING = (
    "| corpus | clips | speakers | licence | source | `sernb fetch` |"  # a test compares it with the records
)
PAGE = "60_compare_systems.html"
BUNDLED = {"model": BUNDLED, "encoder-model": BUNDLED_WITH_ENCODER}
_VALUE = re.compile(r"[\d.]+")
# Parts of scores, which are not allowed outside marks: 65.9, [61.4, ± 0.4, p = 0.01, 5 %, 3 points, 1440 …
UNMARKED = re.compile(r"\d\.\d|\[[−-]?\d|±|\bp [=<]|\d\s%|\d\spoints?\b|\d{3,}")
# … except these, which are not scores
ALLOWED = re.compile(
    r"CC BY-NC-SA 4\.0|"
    r'the 95 % interval|"5 seeds\s±"|Python 3\.\d\d, 3\.\d\d or 3\.\d\d|wav2vec 2\.0|\(?\b20[12]\d\b[);,]'
)


def filled(text: str) -> str:
    """Return a text with the score of every mark filled in.

    Raises:
        DataError: if a mark does not refer to a committed score
    """
    return MARK.sub(lambda mark: f"<!--= {mark[1]}-->{score(mark[1])}<!--/-->", text)


def score(key: str) -> str:
    """Return the score of a mark.

    Raises:
        DataError: if it does not refer to a committed score
    """
    kind, _, rest = key.partition(" ")
    try:
        if kind == "test":
            return _test(*rest.split())
        if kind == "literature":
            (value,) = (each.value for each in LITERATURE if (each.name, each.corpus) == (rest, "ravdess"))
            return f"{100 * value:.1f}"
        if kind in BUNDLED:
            about = json.loads((BUNDLED[kind] / "model.json").read_text("utf-8"))
            entry = _entry(about["figures"], rest.removesuffix(" value"))
            return _VALUE.match(entry)[0] if rest.endswith(" value") else entry
        if kind == "corpus":
            return str(getattr(get_corpus(rest.split()[0]), rest.split()[1]))
        if key == "full size":
            return ", ".join(f"`{name}`" for name in SYSTEMS if name in _measured() and get_system(name).published_on)
        if " - " in key:
            first, second = (float(_VALUE.match(_cell(*part.split(" ", 2)))[0]) for part in key.split(" - "))
            return f"{first - second:.1f}"
        return _cell(*key.split(" ", 2))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{key!r}: is not a committed score ({error}); see tools/statements.py for possible marks"
        ) from error


def unmarked(text: str) -> list[str]:
    """Return the lines of a text with a score outside marks, ignoring generated tables, code and addresses."""
    for heading in (HEADING, SIDE_BY_SIDE_HEADING, CORPORA_HEADING):
        text = re.sub(rf"^{re.escape(heading)}(\n\|.*)*", "", text, flags=re.MULTILINE)
    text = MARK.sub("", re.sub(r"<img[^>]*>", "", text))
    text = ALLOWED.sub("", re.sub(r"`[^`]*`|\]\([^)]*\)", "", text))
    lines = [line for line in text.splitlines() if not line.startswith("    ")]
    return [line for line in lines if UNMARKED.search(line)]


@cache
def _rows(corpus: str) -> pd.DataFrame:
    return read_table(CORPORA.get(corpus, corpus), **OPTIONS.get(corpus, {})).set_index(["System", "Protocol"])


def _cell(system: str, protocol: str, column: str) -> str:
    corpus, _, name = system.rpartition(":")
    column, part = re.fullmatch(r"(.+?)(?: (value|spread))?", column).groups()
    cell = _rows(corpus or "ravdess").loc[(name, protocol), column]
    value = _VALUE.match(cell)[0]
    spread = re.search(r"seeds (± [\d.]+)", cell)
    return {None: cell, "value": value, "spread": f"{value} {spread[1]}" if spread else value}[part]


@cache
def _tests() -> dict[tuple[str, str, str], dict[str, str]]:
    """Return the paired tests of the committed page, by first system, second system and protocol."""
    import bs4

    page = bs4.BeautifulSoup((REFERENCE / PAGE).read_text("utf-8"), "html.parser")
    tests = {}
    for table in page.find_all("table"):
        header, *rows = ([cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])]
                         for row in table.find_all("tr"))  # fmt: skip
        if header[:2] == ["First", "Second"]:
            protocol = table.caption.get_text(strip=True).partition(":")[0]
            tests |= {(row[0], row[1], protocol): dict(zip(header, row, strict=True)) for row in rows}
    return tests


def _test(first: str, second: str, protocol: str, value: str = "") -> str:
    column = {"": "Second better by (points of UAR)", "p": "p", "holm": "p (Holm)"}[value]
    cell = _tests()[first, second, protocol][column]
    return f"p {'' if cell.startswith('<') else '= '}{cell}" if value else cell


def _entry(entries: dict, path: str) -> str:
    for name in path.split("/"):
        entries = entries[name]
    if not isinstance(entries, str):
        raise TypeError(f"{path} is not a score")
    return entries


def _measured() -> set[str]:
    rows = read_rows()
    return set(rows.System[rows.Corpus == "ravdess"])
