"""The report on the demo corpus, as a newcomer gets it: every page, every figure on the index, failures, kills."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import bs4
import nbformat
import pytest
from pages import axe, barriers, browser_problems, opened, problems_of_page, reason_without_browser

from sernb.config import NOTEBOOKS, DataError
from sernb.corpora.registry import CORPORA, get_corpus
from sernb.protocols.protocol import COMPARED
from sernb.reporting import report as report_module
from sernb.reporting.execution import NotebookFailed, read_parameters
from sernb.reporting.report import report, sequence
from sernb.results.result import collect_results
from sernb.results.summary import summary_table
from sernb.runs.planning import plan
from sernb.runtime.files import TEMPORARY

SOURCES = sorted(NOTEBOOKS.glob("*.ipynb"))
REPORTED = ("majority", "statistics-svm", "dummynet-zcr", "functionals-ridge")  # of each kind one of those shown


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
        "corpus": ("",), "profile": ("",), "data": ("",), "seed": (0,),
        "systems": ([], ["statistics-svm"]), "protocols": ([],), "system": ("", "statistics-svm"), "protocol": ("",),
        "explain": (True,), "explained": (8,),
        "labels": ("seven",), "published": ("",), "kinds": ([],), "enrolled": ("statistics-svm",), "draws": (10,),
        "target": ("",), "network": ("multiscale-cnn",), "trials": (6,),
        "recording": ("",), "clip": (0,), "coverage": (0.9,), "encoder": ("whisper-tiny.en",),
    }  # fmt: skip
    for source in SOURCES:
        for name, default in read_parameters(source).items():
            assert name in known, f"{source.stem} has a parameter {name} that no other page knows"
            assert default in known[name]


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_has_its_sequence(corpus):
    sources = sequence([get_corpus(corpus)], development=True, studies=True)
    assert [source.stem[0] for source in sources].count("2") == 4
    assert [source.stem[0] for source in sequence([get_corpus(corpus)])].count("2") == 0
    assert all(source.exists() for source in sources)
    assert [source.stem[:2] for source in sources] == sorted(source.stem[:2] for source in sources)


def test_the_page_on_encoders_is_there_where_their_weights_are(tmp_path):
    (tmp_path / "encoders" / "whisper-tiny.en").mkdir(parents=True)
    (tmp_path / "encoders" / "whisper-tiny.en" / "model.bin").touch()
    assert "24_develop_encoders" in [each.stem for each in sequence([get_corpus("demo")], development=True)]
    assert "24_develop_encoders" not in [each.stem for each in sequence([get_corpus("demo")])]


# -- The report -- #


@pytest.fixture(scope="session")
def demo_report(tmp_path_factory, share_features):
    """Where the runs are and where the pages are, after one `sernb report`, of fewer systems than by default."""
    work, out = share_features(tmp_path_factory.mktemp("work")), tmp_path_factory.mktemp("report é 1")
    command = [sys.executable, "-m", "sernb", "report", "--systems", ",".join(REPORTED), "--out", str(out)]
    environment = {**os.environ, "SERNB_WORK": str(work)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2400)
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
    expected = summary_table(collect_results(plan(REPORTED, "demo", COMPARED, profile="quick")))
    header, *rows = rows_of(index.find("table"))
    assert header == list(expected.columns)
    filled = expected.astype(object).where(expected.notna(), "–")
    assert rows == [[str(value) for value in row] for row in filled.to_numpy().tolist()]
    assert "no evidence" in index.get_text()
    links = [link["href"] for link in index.find_all("a", href=True) if link["href"].endswith(".html")]
    assert links == [f"{source.stem}.html" for source in sequence([get_corpus("demo")])]
    assert len(index.find_all("table")) == 1
    lead = index.find(class_="lead").get_text()
    assert re.match(r"Best of \d systems with the same classes and test clips: .+ of 240 clips of .+ folds\)", lead)
    assert index.find("figure").img["alt"].startswith("UAR with 95 % intervals")


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
def test_nothing_bars_anyone_from_the_demo_pages(demo_report):
    if reason := reason_without_browser() or ("" if axe() else "axe-core comes from the npm registry"):
        pytest.skip(reason)
    _, out = demo_report
    assert barriers(sorted(out.glob("*.html"))) == []


@pytest.mark.slow
def test_index_is_small_and_shows_what_the_pages_found(demo_report):
    _, out = demo_report
    assert (out / "index.html").stat().st_size < 500_000
    index = bs4.BeautifulSoup((out / "index.html").read_text("utf-8"), "html.parser")
    entries = {entry.a["href"]: entry for entry in index.select("ol.pages > li")}
    for name in ("40_test.html", "60_compare_systems.html"):
        assert re.search(r"\d+\.\d \[\d+\.\d, \d+\.\d\] (\(clips\) )?%", entries[name].find(class_="headline").text)
        assert entries[name].img["src"].startswith("data:image/webp")
    assert {entry.find(class_="state").text for entry in entries.values()} == {"Complete"}


@pytest.mark.slow
def test_all_reports_of_a_folder_are_found(demo_report, tmp_path):
    _, out = demo_report
    shutil.copytree(out, tmp_path / "demo")
    (found,) = report_module.reports_in(tmp_path)
    assert "UAR" in found["headline"]
    assert {page.state for page in found["pages"]} == {"fine"}
    (tmp_path / "demo" / "40_test.ipynb").unlink()
    (found,) = report_module.reports_in(tmp_path)
    assert [page.path.stem for page in found["pages"] if page.stale] == ["40_test"]


@pytest.mark.slow
def test_demo_pages_say_that_they_are_no_evidence(demo_report):
    _, out = demo_report
    for page in out.glob("*.html"):
        words = bs4.BeautifulSoup(page.read_text("utf-8"), "html.parser").get_text(" ")
        assert re.search(r"no\s+(score|evidence)", words), page.name


SHORT = """
import sys
from sernb.config import NOTEBOOKS
from sernb.reporting import report as module

module.sequence = lambda corpora, **options: [NOTEBOOKS / "40_test.ipynb", NOTEBOOKS / "60_compare_systems.ipynb"]
module.report("demo", systems={systems!r}, out=sys.argv[1])
"""


def finished_pages(folder):
    return [page for page in folder.glob("*.html") if not page.name.startswith(TEMPORARY)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_killed_report_is_finished_by_the_same_command(demo_report, tmp_path):
    work, _ = demo_report
    command = [sys.executable, "-c", SHORT.format(systems=REPORTED[:2]), str(tmp_path / "out")]
    environment = {**os.environ, "SERNB_WORK": str(work)}
    killed = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not finished_pages(tmp_path / "out"):
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)  # `make fuzz` kills at many moments
    assert killed.wait() == -signal.SIGKILL
    for page in finished_pages(tmp_path / "out"):
        assert page.read_text("utf-8").rstrip().endswith("</html>"), "half a page under its final name"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    names = {page.stem for page in finished_pages(tmp_path / "out")}
    assert names == {"index", "40_test", "60_compare_systems"}
    assert not list((tmp_path / "out").rglob(f"{TEMPORARY}*"))


@pytest.fixture
def lab(demo_report, tmp_path):
    """The address of a JupyterLab on a copy of the notebooks, with the runs of the demo report."""
    work, _ = demo_report
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        (cell,) = (cell for cell in notebook.cells if cell.id == "parameters")
        if "systems" in read_parameters(path):
            cell.source += f"\nsystems = {list(REPORTED)}"
            nbformat.write(notebook, path)
    tracker = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text('{"windowingMode": "none"}', "utf-8")  # cells out of sight are in the page, too
    environment = {
        **os.environ,
        "SERNB_WORK": str(work),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {"ip": "127.0.0.1", "port": address.split(":")[1], "port_retries": 0, "root_dir": tmp_path / "notebooks"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--IdentityProvider.token=known",
         *(f"--ServerApp.{name}={value}" for name, value in options.items())],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{address}/api/status?token=known").close()
                break
            assert process.poll() is None
            time.sleep(0.2)
        yield f"http://{address}/lab/tree"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_all_cells_run_in_jupyterlab(lab):
    if reason := reason_without_browser():
        pytest.skip(reason)
    for name in ("00_start_here", "40_test"):
        with opened(f"{lab}/{name}.ipynb?token=known&reset") as tab:
            tab.set_default_timeout(300_000)
            tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
            tab.get_by_role("menuitem", name="Run", exact=True).click()
            tab.get_by_text("Run All Cells", exact=True).click()
            last = tab.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-OutputArea-output")
            last.get_by_text("Provenance of this page").wait_for(state="attached")
            assert tab.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
            figures = "[...document.querySelectorAll('.jp-OutputArea img')].map(figure => figure.naturalWidth > 0)"
            shown = tab.evaluate(figures)
            assert shown
            assert all(shown)


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
        report("demo", systems=REPORTED, out=tmp_path / "out")
    words = bs4.BeautifulSoup((tmp_path / "out" / "40_test.html").read_text("utf-8"), "html.parser").get_text(" ")
    assert "the dog ate it" in words
    assert (tmp_path / "out" / "60_compare_systems.html").exists(), "pages after the failed one are made"
    index = bs4.BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf-8"), "html.parser")
    assert "failed" in index.get_text(" ").lower()


def test_recordings_that_are_not_there_stop_the_report_before_any_page(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        report("ravdess", data=str(tmp_path / "nowhere"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
