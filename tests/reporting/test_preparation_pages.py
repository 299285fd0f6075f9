"""Preparation notebooks are alike, each names its own corpus, and each is worth reading without any recording."""

import re

import nbformat
import pytest

from sernb.config import NOTEBOOKS
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.reporting.execution import read_parameters

OWN = {
    "demo": {"pace-text", "pace"},
    "ravdess": {"loudness-text", "loudness", "takes-text", "takes"},
    "crema_d": {"votes-text", "votes", "intensity", "pairs-text", "pairs"},
    "tess": {"names-text", "names", "words-text", "words"},
    "savee": {"letters-text", "letters"},
    "iemocap": {"labels-text", "labels", "counts", "durations"},  # nothing is counted without its label files
    "emodb": {"letters-text", "letters", "gaps-text", "gaps"},
}
TOLD = {"title", "story", "learned"}


def cells_of(name):
    (source,) = NOTEBOOKS.glob(f"1?_prepare_{name}.ipynb")
    return {cell.id: cell for cell in nbformat.read(source, as_version=4).cells}


def test_every_corpus_has_one_page_and_every_page_its_corpus():
    pages = [path.stem.partition("_prepare_")[2] for path in NOTEBOOKS.glob("1?_prepare_*.ipynb")]
    assert sorted(pages) == sorted(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_pages_differ_in_their_story_only(name):
    cells, model = cells_of(name), cells_of("demo")
    shared = [cell for cell in model if cell not in OWN["demo"]]
    assert [cell for cell in cells if cell not in OWN[name] or cell in shared] == shared
    for cell in set(shared) - OWN[name] - TOLD:
        assert cells[cell].source.replace(f'"{name}"', '"demo"').replace(f"check {name}", "check demo") == (
            model[cell].source
        ), f"{cell} differs from the other pages"
    assert f'find_available("{name}", data)' in cells["imports"].source
    assert "19_explore_corpora" in cells["learned"].source


def test_pages_that_can_look_at_a_pool_take_one():
    assert read_parameters(NOTEBOOKS / "19_explore_corpora.ipynb") == {"corpus": "demo", "data": "", "seed": 0}


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
    if name != "iemocap":
        index = read_index(record)
        for emotion, count in index.emotion.value_counts().items():
            assert re.search(rf"\b{emotion} {count}\b", words), "counts of the published corpus"
        assert f"{index.seconds.mean():.2f}" in words
    assert str(tmp_path) not in words + printed
