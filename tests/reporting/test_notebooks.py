"""Notebooks are thin: few names of ours, no definitions; what they show is told by the package."""

import ast

import nbformat
import pytest

from sernb.config import NOTEBOOKS

PAGES = sorted(NOTEBOOKS.glob("*.ipynb"))
MOST = 4  # names of ours


def code_of(source):
    cells = nbformat.read(source, as_version=4).cells
    return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def imported_names(tree):
    """Return what a notebook imports from the package, by the names that it uses."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sernb":
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.partition(".")[0] == "sernb"]
    return names


@pytest.mark.parametrize("source", PAGES, ids=lambda source: source.stem)
def test_notebook_imports_few_names_of_ours_and_defines_nothing(source):
    tree = code_of(source)
    names = imported_names(tree)
    assert 1 <= len(names) <= MOST, names
    assert "sernb.reporting.page" in names
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def test_all_kinds_of_import_are_counted():
    code = "import sernb.audio.reading as r, numpy\nfrom sernb import figures, config as c\nfrom sernb.audio import *"
    assert len(imported_names(ast.parse(code))) == 4
