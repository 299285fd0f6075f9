"""The Python of this checkout, and what it imports: for tests that compare it with a list or a rule."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# These take the name of a module as their first argument.
BY_NAME = {"find_spec", "import_module", "importorskip"}


def sources(*folders: str) -> Iterator[tuple[Path, str]]:
    """Yield each module, and each code cell of each notebook without its magics."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.ipynb")):
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                source = "".join(cell["source"])
                if cell["cell_type"] == "code" and not source.lstrip().startswith("%%"):
                    yield path, re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)


def imports_of(tree: ast.AST) -> set[str]:
    """Return the full dotted names that parsed source imports: of ``from a.b import c`` it is ``a.b.c``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in BY_NAME:
            names.update(each.value for each in node.args[:1] if isinstance(each, ast.Constant))
    return names


@cache
def imports(folder: str) -> frozenset[str]:
    """Return what the sources of a folder import."""
    return frozenset(name for _, source in sources(folder) for name in imports_of(ast.parse(source)))
