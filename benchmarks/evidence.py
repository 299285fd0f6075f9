"""Verify that each committed result is traceable: ``python -m benchmarks.evidence``, a minute.

The commit of each row must be in the history of this checkout and contain the system of the row; README.md, the README
of the reference results and the committed pages must show the scores of the committed CSV files.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator

import pandas as pd
from bs4 import BeautifulSoup

from sernb.config import ROOT
from sernb.results.committed import REFERENCE, read_rows, read_table
from sernb.systems.registry import get_system
from tools.reference import TABLES, updated

KNOWN = """
import importlib, json, sys
try:  # the location in earlier commits
    system_named = importlib.import_module("sernb.systems").system_named
except AttributeError:
    system_named = importlib.import_module("sernb.systems.registry").get_system
known = {}
for name in json.loads(sys.argv[1]):
    try:
        known[name] = system_named(name).name
    except Exception as error:
        known[name] = ""
print(json.dumps(known))
"""


def commits_of(row: pd.Series) -> list[str]:
    """Return the commits of a committed row, without the suffix for uncommitted code."""
    return [commit.removesuffix("+") for commit in row["Commits"].split(", ")]


def unknown_commits(rows: pd.DataFrame) -> list[str]:
    """Return a message for each commit of the rows that is not in the history of this checkout."""
    commits = sorted({commit for _, row in rows.iterrows() for commit in commits_of(row)})
    history = set(_git("rev-list", "--abbrev-commit", "--abbrev=12", "HEAD").decode().split())
    return [f"{commit}: is not in the history of this checkout" for commit in commits if commit not in history]


def systems_missing(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a message for each row whose commits lack its system; for an ensemble, one of its commits must have it."""
    systems: dict[str, set[str]] = {}
    for _, row in rows.iterrows():
        for commit in commits_of(row):
            systems.setdefault(commit, set()).add(row["System"])
    available = {commit: _systems_at(commit, sorted(names)) for commit, names in systems.items()}
    for _, row in rows.iterrows():
        suffices = any if get_system(row["System"]).members else all
        if not suffices(available[commit].get(row["System"]) for commit in commits_of(row)):
            yield f"{row['System']} {row['Protocol']} on {row['Corpus']}: {row['Commits']} do not have the system"


def _systems_at(commit: str, systems: list[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "sernb"))) as packed:
            packed.extractall(folder, filter="data")
        command = [sys.executable, "-c", KNOWN, json.dumps(systems)]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603
        return json.loads(process.stdout) if process.returncode == 0 else {}


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout  # noqa: S603, S607


def different_scores(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a message for each score in a committed text or page that differs from its CSV row."""
    for path, heading in TABLES.items():
        text = path.read_text("utf-8")
        if updated(text, heading) != text:
            yield f"{path}: its tables differ from the CSV files; run python -m tools.reference"
    for path in sorted(REFERENCE.glob("*.html")):
        tables = tables_in_page(path.read_text("utf-8"))
        yield from (f"{path}: {problem}" for problem in page_differs(tables, rows))


def tables_in_page(text: str) -> list[pd.DataFrame]:
    """Return the tables of a page as text."""
    tables = []
    for table in BeautifulSoup(text, "html.parser").find_all("table"):
        header, *rows = [[cell.get_text(" ", strip=True) for cell in row(["th", "td"])] for row in table("tr")]
        tables.append(pd.DataFrame([row for row in rows if len(row) == len(header)], columns=header))
    return tables


def page_differs(tables: list[pd.DataFrame], rows: pd.DataFrame) -> Iterator[str]:
    """Yield a message for each value in the results tables of a page that is in no CSV row, of single or all seeds."""
    corpus = next((table.set_index("What").Value["corpus"] for table in tables if "What" in table), "")
    in_corpus = rows.Corpus == corpus
    committed = pd.concat([rows[in_corpus], read_table(corpus)]) if in_corpus.any() else rows[:0]
    for table in tables:
        if not {"System", "Protocol", "UAR", "WAR", "Folds"} <= set(table):
            continue
        for row in table.astype(str).to_dict("records"):
            same = committed[(committed.System == row["System"]) & (committed.Protocol == row["Protocol"])]
            for column in ("UAR", "WAR", "Macro-F1", "Top-3", "Clips"):
                if row[column] not in set(same[column]):
                    expected = ", ".join(sorted(set(same[column]))) or "no such row"
                    yield f"{row['System']} {row['Protocol']}: {column} {row[column]}, in the CSV files {expected}"


def main() -> int:
    """Print all problems; return 1 if there are any."""
    argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__.split("\n")[0]).parse_args()
    rows = read_rows()
    problems = unknown_commits(rows) or list(systems_missing(rows))
    problems += different_scores(rows)
    print("\n".join(problems))
    print(f"{len(rows)} committed rows, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
