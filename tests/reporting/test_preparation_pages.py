"""Preparation notebooks are alike, each names its own corpus, and each is worth reading without any recording."""

import re

import nbformat
import pytest

from sernb.config import NOTEBOOKS
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.reporting.execution import read_parameters

TOLD = {"title", "story", "check-text", "learned"}  # what a check can compare differs, too


def cells_of(name):
    (source,) = NOTEBOOKS.glob(f"1?_prepare_{name}.ipynb")
    return {cell.id: cell for cell in nbformat.read(source, as_version=4).cells}


def test_every_corpus_has_one_page_and_every_page_its_corpus():
    pages = [path.stem.partition("_prepare_")[2] for path in NOTEBOOKS.glob("1?_prepare_*.ipynb")]
    assert sorted(pages) == sorted(CORPORA)


def test_pages_differ_only_in_what_their_corpora_differ_in():
    pages = {name: cells_of(name) for name in CORPORA}
    shared = [cell for cell in pages["demo"] if all(cell in cells for cells in pages.values())]
    assert {"source", "check", "counts", "durations", "features", "listen", "provenance"} <= set(shared)
    for name, cells in pages.items():
        assert [cell for cell in cells if cell in shared] == shared
        assert f'find_available("{name}", data)' in cells["imports"].source
        assert "19_explore_corpora" in cells["learned"].source
    for cell in set(shared) - TOLD:
        sources = {cells[cell].source.removeprefix("import pandas as pd\n\n").replace(name, "…")
                   for name, cells in pages.items()}  # fmt: skip
        assert len(sources) == 1, f"{cell} differs between the pages"


def test_pages_that_can_look_at_a_pool_take_one():
    assert read_parameters(NOTEBOOKS / "19_explore_corpora.ipynb") == {"corpus": "", "data": "", "seed": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CORPORA if name != "demo"])
def test_page_is_worth_reading_without_recordings(name, tmp_path, monkeypatch, capsys):
    """Every cell runs as in a kernel; what it displays is caught."""
    monkeypatch.setenv("SERNB_DATA", str(tmp_path))
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, *, raw, metadata=None: shown.append(data))
    space = {}
    for cell in cells_of(name).values():
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), space)  # noqa: S102
    printed, words = capsys.readouterr().out, " ".join(data["text/plain"] for data in shown)
    assert f"To get them: sernb fetch {name}" in printed
    record = get_corpus(name)
    assert record.citation[:20] in words
    if record.committed:
        index = read_index(record)
        for emotion, count in index.emotion.value_counts().items():
            assert re.search(rf"\b{emotion} {count}\b", words), "counts of the published corpus"
        assert f"{index.seconds.mean():.2f}" in words
    assert str(tmp_path) not in words + printed
