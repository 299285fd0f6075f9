"""The pages are sound, and the checkers notice when they are not."""

import base64
import hashlib
import io
import itertools
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from pages import axe, barriers, browser_problems, opened, problems_of_page, reason_without_browser
from PIL import Image

from sernb.config import ROOT
from sernb.reporting.execution import NotebookFailed, run
from sernb.reporting.html import TEMPLATE, finish_document
from sernb.reporting.index import (
    Page,
    describe,
    has_changed,
    link_neighbours,
    summarise_page,
    write_index,
    write_overview,
)
from sernb.reporting.tables import table_html

FIXTURES = ROOT / "tests" / "notebooks"
NAMES = ("evidence", "progress", "failing")
needs_browser = pytest.mark.skipif(bool(reason_without_browser()), reason=reason_without_browser() or "none")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report")
    index = folder / "index.html"
    pages = [describe(FIXTURES / f"{name}.ipynb", folder / f"{name}.html", failed=name == "failing") for name in NAMES]
    for position, (name, page) in enumerate(zip(NAMES, pages, strict=True)):
        try:
            run(FIXTURES / f"{name}.ipynb", page.path, {}, navigation=link_neighbours(pages, position, index, "Tones"))
        except NotebookFailed:
            assert page.failed
    figures = {f"Measure {n}": ["12.5", "\u22120.2 [\u22121.0, 0.6]", "61.3 [58.1, 64.0]", None] for n in range(9)}
    results = pd.DataFrame({"System": ["majority", "sernet", "feature-cnn", "dummynet"], **figures})
    lead = "Two tones made by a formula: synthetic, no evidence about people."
    provenance = {"commit": "0123456789abcdef" * 4, "command": "sernb report --corpus demo"}
    write_index(index, title="Tones", lead=lead, results=results, pages=pages, provenance=provenance)
    return [index, *(page.path for page in pages)]


@pytest.mark.slow
def test_pages_are_sound_as_files(report: list[Path]):
    assert [problem for page in report for problem in problems_of_page(page)] == []


@pytest.mark.slow
@needs_browser
def test_pages_are_sound_in_a_browser(report: list[Path]):
    assert browser_problems(report) == []


@pytest.mark.slow
@needs_browser
def test_nothing_bars_anyone_from_reading(report: list[Path]):
    if not axe():
        pytest.skip("axe-core comes from the npm registry, which cannot be asked here")
    assert barriers(report) == []


@pytest.mark.slow
@needs_browser
def test_tables_sort_and_code_unfolds_by_keyboard(report: list[Path]):
    index, evidence = report[:2]
    with opened(index) as tab:
        first = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[0].textContent)"
        tab.keyboard.press("Tab")
        for _ in range(20):
            if tab.evaluate("document.activeElement.textContent") == "Measure 0":
                break
            tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert tab.evaluate(first) == ["sernet", "majority", "feature-cnn", "dummynet"], "numbers, gaps last"
        tab.keyboard.press("Space")
        assert tab.evaluate(first) == ["feature-cnn", "majority", "sernet", "dummynet"]
        heads = "[...document.querySelectorAll('thead th')].map(head => head.getAttribute('aria-sort'))"
        assert tab.evaluate(heads) == [None, "descending", *[None] * 8]
        tab.get_by_role("button", name="System", exact=True).press("Enter")
        assert tab.evaluate(first) == ["dummynet", "feature-cnn", "majority", "sernet"]
    with opened(evidence) as tab:
        code = tab.locator("details").first
        assert not code.locator("pre").is_visible()
        code.locator("summary").press("Enter")
        assert code.locator("pre").is_visible()


@pytest.mark.slow
@needs_browser
def test_sounds_play_by_keyboard(report: list[Path]):
    with opened(report[1]) as tab:
        tab.locator("audio").first.press("Space")
        for _ in range(100):
            if tab.evaluate("document.querySelector('audio').currentTime") > 0.1:
                break
            tab.wait_for_timeout(100)
        assert tab.evaluate("document.querySelector('audio').currentTime") > 0.1
        assert tab.evaluate("document.querySelector('audio').error") is None


@pytest.mark.slow
@needs_browser
def test_nothing_is_cut_on_paper(report: list[Path]):
    for page in report[:2]:
        with opened(page) as tab:
            tab.emulate_media(media="print")
            tab.set_viewport_size({"width": 643, "height": 900})  # A4 between margins of 2 cm
            assert tab.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth"), page.name
            assert tab.locator("details:visible, audio:visible, header:visible").count() == 0
            assert tab.locator("table").first.is_visible()


@pytest.mark.slow
def test_no_script_but_ours_may_run(report: list[Path]):
    for page in report:
        soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
        policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
        scripts = [script.string for script in soup.find_all("script")]
        assert scripts in ([], [(TEMPLATE / "page.js").read_text("utf-8")])
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode() if scripts else ""
        assert ("script-src" in policy) == bool(scripts)
        assert digest in policy
        assert policy.startswith("default-src 'none'")


@pytest.mark.slow
def test_last_lines_say_how_a_page_is_made_again(report: list[Path]):
    said = [BeautifulSoup(page.read_text("utf-8"), "html.parser").footer.get_text(" ") for page in report[1:]]
    assert "sernb run evidence" in said[0]
    assert all("It took" in each and "commit" in each for each in said)


# The index


@pytest.mark.slow
def test_index_shows_what_a_page_found(report: list[Path], tmp_path: Path):
    source = FIXTURES / "evidence.ipynb"
    seen = summarise_page(describe(source, report[1]), source)
    assert (seen.state, seen.stale) == ("fine", False)
    with Image.open(io.BytesIO(base64.b64decode(seen.picture.partition(",")[2]))) as picture:
        assert max(picture.size) <= 360
    notebook = nbformat.read(source, as_version=4)
    notebook.cells[-1].source += "\n\nAnother word."
    nbformat.write(notebook, tmp_path / "evidence.ipynb")
    assert summarise_page(seen, tmp_path / "evidence.ipynb").state == "stale"
    assert has_changed(report[1], tmp_path / "gone.ipynb")
    failing = FIXTURES / "failing.ipynb"
    assert not has_changed(report[3], failing), "what papermill adds to a failed notebook is no change"
    assert summarise_page(describe(failing, report[3], failed=True), failing).state == "failed"


def test_headline_is_the_first_thing_that_was_found(tmp_path: Path):
    found = nbformat.v4.new_output("display_data", data={"text/markdown": "- **a** is 8.4 [6.0, 11.1]\n- b"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[found])])
    nbformat.write(notebook, tmp_path / "page.ipynb")
    page = summarise_page(Page(tmp_path / "page.html", "t", "q"), tmp_path / "page.ipynb")
    assert (page.headline, page.picture) == ("a is 8.4 [6.0, 11.1]", "")


def test_all_reports_are_listed_with_their_states(tmp_path: Path):
    pages = [Page(tmp_path / "a" / "1.html", "One", "?"), Page(tmp_path / "a" / "2.html", "Two", "?", stale=True)]
    told = {"index": tmp_path / "a" / "index.html", "title": "<A>", "headline": "UAR 61.3", "made": "today"}
    page = write_overview(tmp_path / "index.html", [{**told, "pages": pages}])
    assert problems_of_page(page) == []
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    assert soup.find("a", href="a/index.html").text == "<A>"
    assert soup.find(class_="state").text == "2 pages: 1 outdated, 1 complete"
    assert "UAR 61.3" in soup.main.text


SOUND = (
    '<!DOCTYPE html><html lang="en"><head><title>t</title><meta http-equiv="Content-Security-Policy" '
    "content=\"default-src http: data: 'unsafe-inline'\"></head><body><main><h1>t</h1>{}</main></body></html>"
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("<script>1</script>", "<script> on the page"),
        ("<!-- <script -->", "letters <script"),
        ('<img src="data:image/png;base64,AAAA">', "without alternative text"),
        ('<img src="data:," alt="No description has been provided for this image">', "without alternative text"),
        ('<img src="https://example.org/a.png" alt="a">', "<img src> from outside"),
        ('<audio src="a.mp3" aria-label="a"></audio>', "<audio src> from outside"),
        ('<audio src="data:,"></audio>', "player without a name"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "from outside"),
        ("<style>@import 'https://example.org/a.css';</style>", "style from outside"),
        ('<p style="background: url(https://example.org/a.png)">', "style from outside"),
        ('<p onclick="go()">', "runs code"),
        ('<a href="java&#10;script:go()">x</a>', "runs code"),
        ('<a href="#none">x</a>', "leads nowhere"),
        ('<p id="a"><p id="a">', "used twice"),
        ("<h1>again</h1>", "2 h1"),
        ("x" * 3_000_000, "too many"),
    ],
)
def test_faults_in_a_file_are_noticed(tmp_path: Path, content: str, problem: str):
    page = tmp_path / "page.html"
    page.write_text(SOUND.format(content), encoding="utf-8")
    assert any(problem in line for line in problems_of_page(page))


def test_sound_file_has_no_problems(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text(SOUND.format('<p><a href="https://example.org">a link in prose</a>'), encoding="utf-8")
    assert problems_of_page(page) == []


@pytest.mark.slow
@needs_browser
def test_faults_in_a_browser_are_noticed(tmp_path: Path):
    contents = {
        "asks for http://127.0.0.1:9/a.png": '<img src="http://127.0.0.1:9/a.png" alt="a">',
        "image not loaded: torn": '<img src="data:image/png;base64,AAAA" alt="torn">',
        "px wider than the window": '<div style="width: 3000px">wide</div>',
        "error: thrown": "<script>throw new Error('thrown')</script>",
        "console: said": "<script>console.error('said')</script>",
    }
    for number, content in enumerate(contents.values()):
        (tmp_path / f"{number}.html").write_text(SOUND.format(content), encoding="utf-8")
    for number, problem in enumerate(contents):
        assert any(problem in line for line in browser_problems([tmp_path / f"{number}.html"]))


# Contrast, WCAG 2.2: 4.5 for text


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_colour_reads_on_every_ground(scheme: str):
    css = (TEMPLATE / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", blocks[0 if scheme == "light" else 1]))
    texts = ("ink", "quiet", "accent", "bad", "good", "keyword", "string", "number")
    for text, ground in itertools.product(texts, ("paper", "wash", "bad-wash")):
        light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {ground}"


def test_links_between_notebooks_lead_to_pages_that_are_there():
    document = '<main><h1>t</h1><a href="30_train.ipynb">train</a> <a href="40_test.ipynb">test</a></main>'
    page = finish_document(f"<html><head><meta></head><body>{document}</body></html>", "t", pages=["30_train.html"])
    assert 'href="30_train.html"' in page
    assert "40_test" not in page
    assert "test" in page


def test_intervals_break_before_their_bracket_only():
    table = table_html(pd.DataFrame({"UAR": ["61.3 [58.1, 64.0]", "50.0"]}), "scores")
    document = finish_document(f"<html><head><meta></head><body><main>{table}</main></body></html>", "t")
    page = BeautifulSoup(document, "html.parser")
    assert [cell.text for cell in page.find_all("td")] == ["61.3 [58.1, 64.0]", "50.0"]
    assert [span.text for span in page.select("td .interval")] == ["[58.1, 64.0]"]


def test_columns_without_a_value_are_left_out_and_dollars_are_no_mathematics():
    table = table_html(pd.DataFrame({"name": ["$a$", "b"], "nothing": [None, "–"], "one": [None, 1]}), "in $")
    soup = BeautifulSoup(table, "html.parser")
    assert [head.text for head in soup.find_all("th")] == ["name", "one"]
    assert soup.td.text == "$a$"
    assert "$" not in table
