"""The pages are sound, and the checkers notice when they are not."""

import itertools
import re
from pathlib import Path

import pandas as pd
import pytest
from pages import browser_problems, problems_of_page, reason_without_browser

from sernb.notebooks import NotebookFailed, run
from sernb.pages import TEMPLATE, describe, neighbours, write_index

FIXTURES = Path(__file__).parent / "notebooks"
NAMES = ("evidence", "progress", "failing")
needs_browser = pytest.mark.skipif(bool(reason_without_browser()), reason=reason_without_browser() or "none")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report")
    index = folder / "index.html"
    pages = [describe(FIXTURES / f"{name}.ipynb", folder / f"{name}.html", failed=name == "failing") for name in NAMES]
    for position, (name, page) in enumerate(zip(NAMES, pages, strict=True)):
        try:
            run(FIXTURES / f"{name}.ipynb", page.path, {}, navigation=neighbours(pages, position, index, "Tones"))
        except NotebookFailed:
            assert page.failed
    results = pd.DataFrame({"System": ["majority", "sernet"], **{f"Measure {n}": ["12.5", "61.3"] for n in range(9)}})
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


SOUND = '<!DOCTYPE html><html lang="en"><head><title>t</title></head><body><main><h1>t</h1>{}</main></body></html>'


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
