"""Notebooks run without a screen, their pages, and what they show."""

import base64
import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile
from bs4 import BeautifulSoup
from pages import problems_of_page

from sernb.config import ROOT
from sernb.reporting import execution
from sernb.reporting import index as reporting_index
from sernb.reporting import page as reporting_page
from sernb.reporting.execution import NotebookFailed, parse_parameters, run
from sernb.reporting.html import Navigation, merge_streams
from sernb.reporting.index import Page
from sernb.reporting.page import show
from sernb.reporting.tables import table_html

FIXTURES = ROOT / "tests" / "notebooks"
HARM = "</script><script>alert(1)</script>\"><img src=x onerror=alert(1)> ' & <b>bold</b>"


def read(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def fixture(name: str) -> Path:
    return FIXTURES / f"{name}.ipynb"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("report") / "{braces} & spaces" / "10_evidence.html"
    parameters = {"corpus": "tones", "folds": 3, "emotions": ["anger"], "note": 'é "x" \\ #'}
    navigation = Navigation(("index.html", "All <pages>"), None, ("20_next.html", "Next & last"))
    return run(fixture("evidence"), page, parameters, navigation=navigation)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, *, raw, metadata=None: shown.append((data, metadata or {}))
    )
    return shown


# Parameters


def test_parameters_are_read_with_their_defaults():
    assert execution.read_parameters(fixture("evidence")) == {
        "corpus": "demo",
        "folds": 5,
        "rate": 0.001,
        "quick": True,
        "emotions": ["anger", "sadness"],
        "note": "a = b # c",
    }
    assert execution.read_parameters(fixture("plain")) == {}


def test_words_become_values_of_the_default_type():
    pairs = [
        ("folds", "3"),
        ("rate", "1e-4"),
        ("quick", "no"),
        ("emotions", "joy, fear"),
        ("note", "5"),
        ("corpus", ""),
    ]
    assert parse_parameters(fixture("evidence"), pairs) == {
        "folds": 3,
        "rate": 1e-4,
        "quick": False,
        "emotions": ["joy", "fear"],
        "note": "5",
        "corpus": "",
    }
    assert parse_parameters(fixture("evidence"), [("emotions", "")]) == {"emotions": []}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("folds", "three")], "parameter folds needs a whole number, not 'three'"),
        ([("rate", "fast")], "parameter rate needs a number, not 'fast'"),
        ([("quick", "maybe")], "parameter quick needs true or false, not 'maybe'"),
        ([("fold", "3")], "evidence.ipynb has no parameter fold; it has corpus, folds, rate"),
        ([("folds", "3"), ("folds", "4")], "given twice"),
    ],
)
def test_words_that_do_not_fit_are_refused_in_one_line(pairs: list[tuple[str, str]], message: str):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_parameters(fixture("evidence"), pairs)
    assert "\n" not in str(caught.value)


def test_unknown_parameter_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ValueError, match="has no parameter seeed; it has corpus, folds"):
        run(fixture("evidence"), tmp_path / "page.html", {"seeed": 1})
    with pytest.raises(ValueError, match="it has none"):
        run(fixture("plain"), tmp_path / "page.html", {"seed": 1})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [("a",), Path("a"), np.zeros(2), np.int64(3), {1: "a"}, [("a",)]])
def test_values_that_would_arrive_as_text_are_refused(tmp_path: Path, value: object):
    with pytest.raises(ValueError, match="parameter folds is of type"):
        run(fixture("evidence"), tmp_path / "page.html", {"folds": value})


def test_missing_notebook_and_own_source_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no notebook"):
        run(tmp_path / "none.ipynb", tmp_path / "none.html", {})
    copy = tmp_path / "plain.ipynb"
    copy.write_bytes(fixture("plain").read_bytes())
    with pytest.raises(ValueError, match="write over its own source"):
        run(copy, tmp_path / "plain.html", {})


# Runs that succeed


@pytest.mark.slow
def test_page_shows_what_the_notebook_computed(evidence: Path):
    soup = read(evidence)
    assert soup.html["lang"] == "en"
    assert soup.title.text == "How loud is anger?"
    assert [heading.text for heading in soup.find_all("h1")] == ["How loud is anger?"]
    assert "tones 3 0.001 True ['anger'] é \"x\" \\ #" in soup.main.text
    assert soup.find("details", class_="messages").pre.text.strip() == "start-up noise"
    assert not soup.find("details", open=True)
    assert soup.main.find("sub").text == "10"
    assert sorted(path.name for path in evidence.parent.iterdir()) == ["10_evidence.html", "10_evidence.ipynb"]


@pytest.mark.slow
def test_executed_notebook_names_files_without_folders(evidence: Path):
    metadata = nbformat.read(evidence.with_suffix(".ipynb"), as_version=4).metadata.papermill
    assert (metadata.input_path, metadata.output_path) == ("evidence.ipynb", "10_evidence.ipynb")


@pytest.mark.slow
def test_contents_and_anchors_lead_to_the_headings(evidence: Path):
    soup = read(evidence)
    links = [link["href"] for link in soup.find("nav", class_="contents").find_all("a")]
    assert links == ["#the-two-tones", "#what-they-look-like", "#in-figures", "#listen", "#what-we-learned"]
    assert all(soup.find(id=link[1:]).name == "h2" for link in links)


@pytest.mark.slow
def test_navigation_links_to_the_neighbours(evidence: Path):
    soup = read(evidence)
    assert [(a["href"], a.text) for a in soup.header.find_all("a")] == [("index.html", "All <pages>")]
    assert [a["href"] for a in soup.find("nav", class_="steps").find_all("a")] == ["20_next.html"]


@pytest.mark.slow
def test_figure_carries_its_alternative_text(evidence: Path):
    assert [image["alt"] for image in read(evidence).find_all("img")] == [
        "Two sine waves: anger swings between -0.5 and 0.5, sadness between -0.05 and 0.05."
    ]


@pytest.mark.slow
def test_tables_have_captions_headings_and_numbers_flush_right(evidence: Path):
    made, written = read(evidence).find_all("table")
    assert made.caption.text == "Level of each tone"
    assert [cell["scope"] for cell in made.thead.find_all("th")] == ["col"] * 4
    flush = [["number" in cell.get("class", []) for cell in row.find_all(["td", "th"])] for row in made.find_all("tr")]
    assert flush == [[False, True, True, True]] * 3
    assert "number" in written.find_all("th")[1]["class"]
    assert made.parent["class"] == ["table"]


@pytest.mark.slow
def test_carriage_returns_colours_and_floods_stay_small(tmp_path: Path):
    page = run(fixture("progress"), tmp_path / "progress.html", {})
    text = read(page).main.text
    assert "step 10000 of 10000" in text
    assert "step 9999 of" not in text
    assert "line 49999" in text
    assert "messages the kernel may queue: 0" in text
    assert "characters left out here" in text
    assert page.stat().st_size < 150_000
    assert "line 25000\n" in page.with_suffix(".ipynb").read_text().replace("\\n", "\n")
    assert read(page).find(class_="ansi-red-fg").text == "red"


def test_printed_pieces_are_joined_in_place():
    def printed(text: str, name: str = "stdout") -> nbformat.NotebookNode:
        return nbformat.v4.new_output("stream", name=name, text=text)

    picture = nbformat.v4.new_output("display_data", data={"text/plain": "figure"})
    pieces = [printed("a\n"), printed("10 %\r"), printed("20 %"), printed("\b\b\b30 %\n"), printed("!", "stderr")]
    cell = nbformat.v4.new_code_cell("", outputs=[*pieces, picture, printed("after\r\n"), printed("the figure")])
    merge_streams(cell)
    assert [output.get("text", "figure") for output in cell.outputs] == [
        "a\n230 %\n",
        "!",
        "figure",
        "after\r\nthe figure",
    ]


@pytest.mark.slow
def test_ending_early_is_no_failure_but_is_said(tmp_path: Path):
    page = run(fixture("exit_quietly"), tmp_path / "exit.html", {})
    text = read(page).main.text
    assert "This notebook ended itself early." in text
    assert "never printed" not in "".join(pre.text for pre in read(page).find_all("pre") if not pre.find("span"))
    assert "Traceback" not in text


# Runs that fail


@pytest.mark.slow
def test_failing_cell_is_marked_and_linked(tmp_path: Path):
    page = tmp_path / "failing.html"
    with pytest.raises(NotebookFailed) as caught:
        run(fixture("failing"), page, {"folds": 4})
    failure = caught.value
    assert (failure.cell, failure.name, failure.value) == ("train", "ValueError", "only 3 speakers for 4 folds …")
    assert str(failure) == f"failing failed in cell 'train': ValueError: only 3 speakers for 4 folds … (see {page})"
    soup = read(page)
    cell = soup.select_one(".cell.failed")
    assert soup.find(class_="banner").a["href"] == f"#{cell['id']}" == "#cell-train"
    assert cell.details.has_attr("open")
    assert "ask for fewer" in cell.find(class_="error").text
    assert [heading.text for heading in soup.find_all("h1")] == ["A run that stops"]
    assert "An Exception was encountered" not in soup.text
    assert problems_of_page(page) == []
    assert page.with_suffix(".ipynb").exists()


@pytest.mark.slow
def test_failure_is_replaced_by_the_next_success(tmp_path: Path):
    page = tmp_path / "failing.html"
    with pytest.raises(NotebookFailed):
        run(fixture("failing"), page, {})
    run(fixture("failing"), page, {"folds": 2})
    assert read(page).find(class_="banner") is None
    assert "never printed" in read(page).find_all("pre")[-1].text
    whole = page.read_bytes()
    with pytest.raises(NotebookFailed) as caught:
        run(fixture("failing"), page, {"folds": 4})
    assert page.read_bytes() == whole, "a failure does not replace a whole page"
    assert caught.value.page == tmp_path / "failing.failed.html"
    assert "ask for fewer" in read(caught.value.page).find(class_="error").text
    listed = Page(caught.value.page, "A run that stops", "", failed=True)
    index = reporting_index.write_index(tmp_path / "index.html", title="t", lead="", results=None, pages=[listed])
    assert [link["href"] for link in read(index).select(".pages a:not(.anchor)")] == [
        "failing.failed.html",
        "failing.html",
    ]
    run(fixture("failing"), page, {"folds": 2})
    assert sorted(path.name for path in tmp_path.glob("failing*")) == ["failing.html", "failing.ipynb"]


@pytest.mark.slow
def test_exit_with_an_error_fails(tmp_path: Path):
    with pytest.raises(NotebookFailed, match="SystemExit: no recordings in data/raw"):
        run(fixture("exit_with_error"), tmp_path / "exit.html", {})
    assert "no recordings in data/raw" in read(tmp_path / "exit.html").find(class_="banner").text


@pytest.mark.slow
def test_dead_kernel_is_shown_at_the_cell_it_died_in(tmp_path: Path):
    page = tmp_path / "dead.html"
    with pytest.raises(NotebookFailed, match="cell 'eat': DeadKernelError: Kernel died"):
        run(fixture("kernel_dies"), page, {})
    cell = read(page).select_one(".cell.failed")
    assert cell["id"] == "cell-eat"
    assert "half way" in cell.text
    assert "memory" in cell.find(class_="error").text


@pytest.mark.slow
def test_strings_that_mean_harm_are_text_everywhere(tmp_path: Path):
    page = tmp_path / "hostile.html"
    with pytest.raises(NotebookFailed, match="ValueError"):
        run(fixture("hostile"), page, {"text": HARM})
    soup = read(page)
    assert problems_of_page(page) == []
    assert soup.find("b") is None
    table = soup.find("table")
    assert [table.caption.text, *(cell.text for cell in table.find_all(["th", "td"]))].count(HARM) == 4
    assert soup.find("img", alt=HARM)
    assert soup.find("audio")["aria-label"] == soup.find("figcaption").text == HARM
    assert HARM in soup.find(class_="banner").text
    assert "kept words" in soup.main.text
    assert soup.find("img", alt="spy").get("src") is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_killed_run_leaves_nothing_half_written(tmp_path: Path):
    page, started = tmp_path / "waits.html", tmp_path / "started"
    code = (
        "from pathlib import Path; from sernb.reporting.execution import run;"
        f"run(Path({str(fixture('waits'))!r}), Path({str(page)!r}), {{'started': {str(started)!r}, 'seconds': 300}})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(1200):
            if started.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert started.exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not page.exists()
    assert not page.with_suffix(".ipynb").exists()
    run(fixture("waits"), page, {"started": str(started)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["started", "waits.html", "waits.ipynb"]
    assert problems_of_page(page) == []


# What notebooks show


def test_figure_without_words_is_refused_and_one_with_words_closed(displayed: list):
    from matplotlib import pyplot

    figure, _ = pyplot.subplots(figsize=(1, 1))
    with pytest.raises(ValueError, match="show needs a text"):
        show(figure, " ")
    show(figure, "An empty\nframe.")
    assert not pyplot.fignum_exists(figure.number)
    [(data, metadata)] = displayed
    assert metadata == {"image/png": {"alt": "An empty frame."}}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_a_column_of_numbers_and_one_too_small_to_show_is_flush_right():
    frame = pd.DataFrame({"p": ["< 0.001", "0.02"], "said": ["< 3 speakers", "4"]})
    cells = BeautifulSoup(table_html(frame, "Tests"), "html.parser").find_all("th")
    assert [cell["style"] for cell in cells] == ["text-align:right", "text-align:left"]


def test_table_keeps_text_and_fills_gaps():
    frame = pd.DataFrame({"a<b": ["x & y", None], ("c", "d"): [1.5, np.nan]}, index=pd.Index(["r", "s"], name="row"))
    soup = BeautifulSoup(table_html(frame, "One & <two>", index=True), "html.parser")
    assert soup.caption.text == "One & <two>"
    assert [cell.text for cell in soup.find_all(["th", "td"])] == [
        *("row", "a<b", "c d"),
        *("r", "x & y", "1.5"),
        *("s", "\N{EN DASH}", "\N{EN DASH}"),
    ]
    assert [cell.text for cell in soup.find_all("th", scope="row")] == ["r", "s"]
    assert table_html(frame.head(0), "Empty").count("<tr>") == 1
    with pytest.raises(ValueError, match="caption"):
        table_html(frame, "")


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000, 10_000, 96_000])
def test_sound_keeps_its_length_and_its_loudness(displayed: list, rate: int):
    quiet = (0.03 * np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate)).astype(np.float32)
    reporting_page.play(quiet, rate, 'A "quiet" tone')
    audio = BeautifulSoup(displayed[0][0]["text/html"], "html.parser").audio
    assert audio["aria-label"] == 'A "quiet" tone'
    assert audio["preload"] == "none"
    kind, _, content = audio["src"].partition(",")
    assert kind == "data:audio/mpeg;base64"
    heard, heard_rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert heard.size / heard_rate == pytest.approx(2, abs=0.15)
    middle = heard[heard_rate // 2 : 3 * heard_rate // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.03 / np.sqrt(2), rel=0.05)
    assert len(content) < 60_000


@pytest.mark.parametrize("signal", [np.zeros(0), np.zeros((2, 10)), np.array([np.nan, 0.0])])
def test_sound_that_cannot_be_played_is_refused(signal: np.ndarray):
    with pytest.raises(ValueError, match="finite samples of one channel"):
        reporting_page.play(signal, 16_000, "Nothing")


def test_too_loud_sound_is_clipped_not_scaled(displayed: list):
    reporting_page.play(3 * np.sin(np.arange(16_000) / 5), 16_000, "Loud")
    content = BeautifulSoup(displayed[0][0]["text/html"], "html.parser").audio["src"].partition(",")[2]
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert np.sqrt(np.mean(heard**2)) > 0.85


# The first page


def test_title_and_question_come_from_the_notebook(tmp_path: Path):
    page = reporting_index.describe(fixture("evidence"), tmp_path / "10.html", failed=True)
    question = "Does the mean level of a clip alone tell anger from sadness, and by how much?"
    assert page == Page(tmp_path / "10.html", "How loud is anger?", question, failed=True)


def test_index_lists_pages_then_results(tmp_path: Path):
    index = tmp_path / "index.html"
    pages = [
        Page(tmp_path / "a b.html", HARM, "Why?", failed=False),
        Page(tmp_path / "more" / "c.html", "Second", HARM, failed=True),
    ]
    frame = pd.DataFrame({"System": [HARM], "UAR": ["61.3"]})
    provenance = {"commit": "abc", "command": HARM}
    reporting_index.write_index(index, title=HARM, lead=HARM, results=frame, pages=pages, provenance=provenance)
    soup = read(index)
    assert problems_of_page(index) == []
    assert soup.h1.text == soup.find(class_="lead").text == HARM
    assert [h2.find(string=True) for h2 in soup.find_all("h2")] == ["Pages", "Results", "Provenance"]
    assert [a["href"] for a in soup.select("ol.pages h3 > a:first-child")] == ["a%20b.html", "more/c.html"]
    assert [state.text for state in soup.find_all(class_="state")] == ["Complete", "Failed"]
    assert "1 of 2 pages failed" in soup.find(class_="banner").text
    assert [cell.text for cell in soup.find_all("dd")] == ["abc", HARM]


def test_neighbours_of_the_first_and_the_last_page(tmp_path: Path):
    pages = [Page(tmp_path / f"{name}.html", name.upper(), "") for name in "ab"]
    index = tmp_path / "index.html"
    first = reporting_index.link_neighbours(pages, 0, index, "Report")
    assert first == Navigation(("index.html", "Report"), None, ("b.html", "B"), ("a.html", "b.html"))
    assert reporting_index.link_neighbours(pages, 1, index, "Report").next is None


def test_an_error_of_the_data_is_one_line_in_a_notebook(tmp_path, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(ipython_dir=str(tmp_path))
    shell.run_cell("from sernb.config import DataError\nraise DataError('a.wav: is silent; leave it out')")
    assert capsys.readouterr().out.strip() == "DataError: a.wav: is silent; leave it out"
