"""Rules of the house that no linter of ours knows: public names of other libraries only, and small modules."""

import ast

import pytest
from sources import ROOT, imports_of, sources

# Reachable without an underscore, yet no part of the documented API of their libraries.
INTERNAL = ("joblib.externals", "keras.src", "numpy.core", "pandas.core", "sklearn.externals", "tensorflow.python")
# A forked process ends without them, and the standard library has no public way to run them.
ALLOWED = {"sernb/reporting/processes.py: atexit._run_exitfuncs"}
LONGEST = 400  # lines of a module
STILL_LONGER: set[str] = set()  # to be split; the list only shrinks
DOCUMENTED = {"os._exit"}


def is_private(name: str) -> bool:
    """Whether a dotted name leads through something private: ``__version__`` and the like are not."""
    return any(part.startswith("_") and not part.endswith("__") for part in name.split(".")) or any(
        f"{name}.".startswith(f"{internal}.") for internal in INTERNAL
    )


def private_names(source: str) -> set[str]:
    """Private modules and names of other libraries that a source imports, or takes from a module it imported."""
    tree = ast.parse(source)
    names = imports_of(tree)
    modules = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            names.add(f"{modules[node.value.id]}.{node.attr}")
    return {name for name in names if is_private(name) and not name.startswith("sernb.")} - DOCUMENTED


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import joblib.externals.loky", {"joblib.externals.loky"}),
        ("from joblib import externals", {"joblib.externals"}),
        ("from sklearn.utils._testing import ignore_warnings", {"sklearn.utils._testing.ignore_warnings"}),
        ("from numpy.core import multiarray", {"numpy.core.multiarray"}),
        ("import numpy as np\nnp._core", {"numpy._core"}),
        ("import importlib\nimportlib.import_module('keras.src.ops')", {"keras.src.ops"}),
        ("import os, re\nfrom sernb.x import _y\nos._exit(1)\nre.__version__\nself._x", set()),
    ],
)
def test_the_rule_sees(source, expected):
    assert private_names(source) == expected


def test_only_public_names_of_other_libraries():
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path, source in sources("sernb", "notebooks", "tests", "benchmarks", "tools")
        for name in private_names(source)
    }
    assert found == ALLOWED


def test_modules_are_small():
    longer = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "sernb").rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
    }
    assert longer <= STILL_LONGER, f"over {LONGEST} lines: split {sorted(longer - STILL_LONGER)} where it has a seam"
    assert longer == STILL_LONGER, f"no longer over {LONGEST} lines: take {sorted(STILL_LONGER - longer)} off the list"
