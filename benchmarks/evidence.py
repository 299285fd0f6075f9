"""Prove that each committed result can be traced: ``python -m benchmarks.evidence``, a minute.

Each row's commit is in the history of this checkout and its code knows the row's system; README.md, the README of the
reference results and the committed pages show the figures of the committed CSV files.
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
try:  # as commits before the rooms have it
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
    """Return the commits that a committed row names, without the mark of uncommitted code."""
    return [commit.removesuffix("+") for commit in row["Commits"].split(", ")]


def unknown_commits(rows: pd.DataFrame) -> list[str]:
    """Return what is wrong with the commits of rows: those that are not in the history of this checkout."""
    every = sorted({commit for _, row in rows.iterrows() for commit in commits_of(row)})
    history = set(_git("rev-list", "--abbrev-commit", "--abbrev=12", "HEAD").decode().split())
    return [f"{commit}: is not in the history of this checkout" for commit in every if commit not in history]


def systems_missing(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row whose commits do not know its system; of an ensemble, one of them must."""
    asked: dict[str, set[str]] = {}
    for _, row in rows.iterrows():
        for commit in commits_of(row):
            asked.setdefault(commit, set()).add(row["System"])
    known = {commit: _known_at(commit, sorted(names)) for commit, names in asked.items()}
    for _, row in rows.iterrows():
        enough = any if get_system(row["System"]).members else all
        if not enough(known[commit].get(row["System"]) for commit in commits_of(row)):
            yield f"{row['System']} {row['Protocol']} on {row['Corpus']}: {row['Commits']} do not have the system"


def _known_at(commit: str, systems: list[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "sernb"))) as packed:
            packed.extractall(folder, filter="data")
        command = [sys.executable, "-c", KNOWN, json.dumps(systems)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603
        return json.loads(done.stdout) if done.returncode == 0 else {}


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout  # noqa: S603, S607


def figures_that_differ(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each figure of a committed text or page that is not that of its CSV row."""
    for path, heading in TABLES.items():
        text = path.read_text("utf-8")
        if updated(text, heading) != text:
            yield f"{path}: its tables are not those of the CSV files; run python -m tools.reference"
    for path in sorted(REFERENCE.glob("*.html")):
        tables = tables_in_page(path.read_text("utf-8"))
        yield from (f"{path}: {what}" for what in page_differs(tables, rows))


def tables_in_page(text: str) -> list[pd.DataFrame]:
    """Return the tables of a page, text only; "–" is an empty cell."""
    found = []
    for table in BeautifulSoup(text, "html.parser").find_all("table"):
        header, *rows = [[cell.get_text(" ", strip=True) for cell in row(["th", "td"])] for row in table("tr")]
        found.append(pd.DataFrame([row for row in rows if len(row) == len(header)], columns=header))
    return found


def page_differs(tables: list[pd.DataFrame], rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row of a page's results tables that is in no CSV file, seeds alone or together."""
    corpus = next((table.set_index("What").Value["corpus"] for table in tables if "What" in table), "")
    there = pd.concat([rows[rows.Corpus == corpus], read_table(corpus)]) if (rows.Corpus == corpus).any() else rows[:0]
    for table in tables:
        if not {"System", "Protocol", "UAR", "WAR", "Folds"} <= set(table):
            continue
        for row in table.astype(str).to_dict("records"):
            same = there[(there.System == row["System"]) & (there.Protocol == row["Protocol"])]
            for column in ("UAR", "WAR", "Macro-F1", "Top-3", "Clips"):
                if row[column] not in set(same[column]):
                    there_are = ", ".join(sorted(set(same[column]))) or "no such row"
                    yield f"{row['System']} {row['Protocol']}: {column} {row[column]}, in the CSV files {there_are}"


def main() -> int:
    """Print what cannot be proved; return 1 if there is anything."""
    argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__.split("\n")[0]).parse_args()
    rows = read_rows()
    problems = unknown_commits(rows) or list(systems_missing(rows))
    problems += figures_that_differ(rows)
    print("\n".join(problems))
    print(f"{len(rows)} committed rows, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
