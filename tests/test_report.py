"""The report on the demo corpus, as a newcomer gets it: every page, every figure on the index, failures, kills."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import bs4
import nbformat
import numpy as np
import pytest
from pages import browser_problems, problems_of_page, reason_without_browser

from sernb import report as report_module
from sernb.config import NOTEBOOKS, DataError
from sernb.corpora import CORPORA, corpus_named
from sernb.experiment import plan
from sernb.notebooks import NotebookFailed, parameters_of
from sernb.report import PROTOCOL_NAMES, report, sequence
from sernb.results import results_table
from sernb.systems import SHOWN

SOURCES = sorted(NOTEBOOKS.glob("*.ipynb"))


# -- Notebooks as they are committed -- #


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebook_is_as_the_house_wants_it(source):
    notebook = nbformat.read(source, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert re.match(r"# .+\n\n.+\?$", notebook.cells[0].source), "title, then the question it answers"
    headings = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert "## What we learned" in headings
    tagged = [cell.id for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == ["parameters"]
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]+", cell.id), "ids are words, so that diffs can be read"
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert not re.search(r"^\s*(def|class|async def) ", cell.source, re.MULTILINE)
            assert len(cell.source.splitlines()) <= 20
    assert "papermill" not in notebook.metadata


def test_parameters_mean_the_same_in_every_notebook():
    known = {
        "corpus": CORPORA, "profile": ("quick", "full"), "data": ("",), "seed": (0,),
        "systems": None, "protocols": None, "system": ("", "statistics-svm"), "protocol": ("",),
        "explain": (True,), "explained": (8,),
        "labels": ("seven",), "published": ("",), "kinds": ([],), "enrolled": ("statistics-svm",), "draws": (10,),
        "network": ("multiscale-cnn",),
    }  # fmt: skip
    for source in SOURCES:
        for name, default in parameters_of(source).items():
            assert name in known, f"{source.stem} has a parameter {name} that no other page knows"
            if name == "systems":
                assert default == [name for name in SHOWN if name in default]
                assert len(default) == len(SHOWN) or source.stem[0] == "5", "a study may look at some"
            elif name == "protocols":
                assert tuple(default) == PROTOCOL_NAMES
            else:
                assert default in known[name]


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_has_its_sequence(corpus):
    sources = sequence([corpus_named(corpus)])
    assert all(source.exists() for source in sources)
    assert [source.stem[:2] for source in sources] == sorted(source.stem[:2] for source in sources)


# -- The report -- #


def sernb(*arguments, work, **options):
    environment = {**os.environ, "SERNB_WORK": str(work)}
    return subprocess.run(
        [sys.executable, "-m", "sernb", *arguments], env=environment, capture_output=True, text=True, **options
    )


@pytest.fixture(scope="session")
def demo_report(tmp_path_factory):
    """Where the runs are and where the pages are, after one `sernb report`."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("report é 1")
    done = sernb("report", "--out", str(out), work=work, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(out / "index.html") in done.stdout
    return work, out


def rows_of(table):
    return [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


@pytest.mark.slow
def test_index_shows_the_results_of_the_run_folders_first(demo_report, monkeypatch):
    work, out = demo_report
    monkeypatch.setenv("SERNB_WORK", str(work))
    index = bs4.BeautifulSoup((out / "index.html").read_text("utf-8"), "html.parser")
    expected = results_table(plan(SHOWN, "demo", PROTOCOL_NAMES, profile="quick"))
    header, *rows = rows_of(index.find("table"))
    assert header == list(expected.columns)
    filled = expected.astype(object).where(expected.notna(), "–")
    assert rows == [[str(value) for value in row] for row in filled.to_numpy().tolist()]
    assert "no evidence" in index.get_text()
    links = [link["href"] for link in index.find_all("a", href=True) if link["href"].endswith(".html")]
    assert links == [f"{source.stem}.html" for source in sequence([corpus_named("demo")])]
    text = str(index)
    assert text.index("<table") < text.index(links[0])


@pytest.mark.slow
def test_pages_are_sound(demo_report):
    _, out = demo_report
    pages = sorted(out.glob("*.html"))
    assert len(pages) == 7
    for page in pages:
        assert problems_of_page(page) == []
        assert str(out) not in page.read_text("utf-8"), "no machine paths"


@pytest.mark.slow
def test_pages_open_in_chromium_without_error_or_request(demo_report):
    if reason := reason_without_browser():
        pytest.skip(reason)
    _, out = demo_report
    assert browser_problems(sorted(out.glob("*.html"))) == []


@pytest.mark.slow
def test_demo_pages_say_that_they_are_no_evidence(demo_report):
    _, out = demo_report
    for page in out.glob("*.html"):
        words = bs4.BeautifulSoup(page.read_text("utf-8"), "html.parser").get_text(" ")
        assert re.search(r"no\s+(figure|evidence)", words), page.name


@pytest.mark.slow
def test_a_killed_report_is_finished_by_the_same_command(demo_report, tmp_path):
    work, _ = demo_report
    out = tmp_path / "report"
    environment = {**os.environ, "SERNB_WORK": str(work)}
    chance = np.random.default_rng(4)
    for moment in (chance.uniform(3, 8), chance.uniform(8, 14)):
        process = subprocess.Popen(
            [sys.executable, "-m", "sernb", "report", "--out", str(out)], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for page in out.glob("*.html"):
            assert page.read_text("utf-8").rstrip().endswith("</html>"), "half a page under its final name"
    done = sernb("report", "--out", str(out), work=work, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list(out.glob("*.html"))) == 7
    assert not list(out.rglob(".unfinished-*"))


@pytest.mark.slow
def test_a_failed_notebook_leaves_its_page_and_the_others(demo_report, tmp_path, monkeypatch):
    work, _ = demo_report
    monkeypatch.setenv("SERNB_WORK", str(work))
    broken = tmp_path / "notebooks"
    shutil.copytree(NOTEBOOKS, broken)
    notebook = nbformat.read(broken / "40_test.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.id == "results"]
    cell.source += "\n\nraise RuntimeError('the dog ate it')"
    nbformat.write(notebook, broken / "40_test.ipynb")
    short = [broken / "40_test.ipynb", broken / "60_compare_systems.ipynb"]
    monkeypatch.setattr(report_module, "sequence", lambda corpora, **options: short)
    with pytest.raises(NotebookFailed, match=r"40_test failed in cell 'results': RuntimeError: the dog ate it"):
        report("demo", out=tmp_path / "out")
    words = bs4.BeautifulSoup((tmp_path / "out" / "40_test.html").read_text("utf-8"), "html.parser").get_text(" ")
    assert "the dog ate it" in words
    assert (tmp_path / "out" / "60_compare_systems.html").exists(), "pages after the failed one are made"
    index = bs4.BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf-8"), "html.parser")
    assert "failed" in index.get_text(" ").lower()


def test_recordings_that_are_not_there_stop_the_report_before_any_page(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        report("ravdess", data=str(tmp_path / "nowhere"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
