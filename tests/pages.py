"""What is wrong with an HTML page: read as a file, and opened in a browser."""

import importlib.util
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from sernb.reporting.html import TEMPLATE

LARGEST = 3_000_000  # bytes
WIDTHS = (1280, 390)
FETCHED = ("src", "srcset", "poster", "data", "background")
ACTIVE = ("script", "iframe", "object", "embed", "base", "form")
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def problems_of_page(page: Path) -> list[str]:
    """Return what is wrong with the file: one line each, empty if nothing is."""
    text = Path(page).read_text(encoding="utf-8")
    ours = f"<script>{(TEMPLATE / 'page.js').read_text('utf-8')}</script>"
    problems = ["our script is there more than once"] if text.count(ours) > 1 else []
    if "Content-Security-Policy" not in text:
        problems.append("nothing forbids foreign scripts")
    text = text.replace(ours, "", 1)
    reader = _Reader()
    reader.feed(text)
    reader.close()
    problems += reader.problems
    if "<script" in text.lower():
        problems.append("the letters <script are in the file")
    if reader.counts.get("h1") != 1:
        problems.append(f"{reader.counts.get('h1', 0)} h1 instead of one")
    for name in ("main", "title"):
        if reader.counts.get(name) != 1:
            problems.append(f"{reader.counts.get(name, 0)} <{name}> instead of one")
    if reader.language != "en":
        problems.append("the language is not said")
    problems += [f"id {name!r} is used twice" for name in sorted(reader.repeated)]
    problems += [f"the link #{name} leads nowhere" for name in sorted(reader.wanted - reader.ids)]
    if (size := Path(page).stat().st_size) >= LARGEST:
        problems.append(f"{size:,} bytes are too many")
    return [f"{Path(page).name}: {problem}" for problem in problems]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        self.ids: set[str] = set()
        self.repeated: set[str] = set()
        self.wanted: set[str] = set()
        self.language = ""
        self.styled = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.styled = tag == "style"
        if tag == "html":
            self.language = values.get("lang", "")
        if tag in ACTIVE:
            self.problems.append(f"<{tag}> on the page")
        if tag == "link":
            self.problems.append(f"a stylesheet or icon from outside: {values.get('href', '')}")
        if tag == "img" and (not values.get("alt", "").strip() or values["alt"].startswith("No description")):
            self.problems.append("an image without alternative text")
        if tag == "audio" and not values.get("aria-label", "").strip():
            self.problems.append("a player without a name")
        if (name := values.get("id")) is not None:
            (self.repeated if name in self.ids else self.ids).add(name)
        if (href := values.get("href", "")).startswith("#"):
            self.wanted.add(href[1:])
        if re.sub(r"\s", "", href).lower().startswith("javascript:"):
            self.problems.append(f"a link that runs code: {href[:60]}")
        for name, value in values.items():
            if name.startswith("on"):
                self.problems.append(f"<{tag} {name}> runs code")
            if name in FETCHED and not value.startswith("data:"):
                self.problems.append(f"<{tag} {name}> from outside: {value[:60]}")
            if name == "style":
                self._check_style(value)

    def handle_endtag(self, tag: str) -> None:
        self.styled = self.styled and tag != "style"

    def handle_data(self, data: str) -> None:
        if self.styled:
            self._check_style(data)

    def _check_style(self, css: str) -> None:
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]*)|@import\s+([^;]*)", css, re.IGNORECASE):
            if not "".join(address).startswith("data:"):
                self.problems.append(f"style from outside: {''.join(address)[:60]}")


def reason_without_browser() -> str:
    """Return why pages cannot be opened here, empty if they can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (pip install -e .[dev])"
    if _chromium() is None:
        return "there is no chromium on the PATH"
    return ""


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@cache
def axe() -> str:
    """Return the script of axe-core, which finds barriers on a page, from the npm registry; empty without one."""
    if not (npm := shutil.which("npm")):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "axe-core@4", "--pack-destination", folder]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return ""
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            return packed.extractfile("package/axe.min.js").read().decode()


@contextmanager
def opened(page: Path | str) -> Iterator[object]:
    """Open a page or an address in a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM)
        tab = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
        tab.goto(page if isinstance(page, str) else page.resolve().as_uri())
        yield tab
        browser.close()


def barriers(pages: Iterable[Path]) -> list[str]:
    """Return what axe-core finds serious or critical on pages, wide and narrow, light and dark."""
    from playwright.sync_api import sync_playwright

    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM)
        for width, scheme in zip(WIDTHS, ("light", "dark"), strict=True):
            # axe comes as a script, which the pages forbid
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
            )
            for page in pages:
                tab = context.new_page()
                tab.goto(Path(page).resolve().as_uri())
                tab.evaluate(axe())
                found = tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
                problems += [
                    f"{page.name} at {width} px, {scheme}: {each['id']}, {each['help']}: {node['html'][:150]}"
                    for each in found
                    if each["impact"] in ("serious", "critical")
                    for node in each["nodes"]
                ]
                tab.close()
            context.close()
        browser.close()
    return problems


def browser_problems(pages: Iterable[Path], *, pictures: Path | None = None) -> list[str]:
    """Return what a browser finds wrong with pages opened from disk, wide and narrow, light and dark.

    Args:
        pages: HTML files
        pictures: folder for a screenshot of each, none if not given
    """
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    pages = [Path(page).resolve() for page in pages]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM)
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                for page in pages:
                    found = _open(context, page, pictures, f"{width}-{scheme}")
                    problems += [f"{page.name} at {width} px, {scheme}: {problem}" for problem in found]
                context.close()
        browser.close()
    return problems


def _open(context: object, page: Path, pictures: Path | None, label: str) -> list[str]:
    problems: list[str] = []
    tab = context.new_page()
    tab.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: problems.append(f"error: {error}"))
    tab.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:")) or problems.append(f"asks for {request.url[:80]}"),
    )
    tab.goto(page.as_uri(), wait_until="load")
    width, room = tab.evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]")
    if width > room:
        problems.append(f"{width - room} px wider than the window")
    unseen = tab.evaluate("[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt)")
    problems += [f"image not loaded: {alt[:60]}" for alt in unseen]
    if pictures:
        tab.screenshot(path=pictures / f"{page.stem}-{label}.png", full_page=True)
    tab.close()
    return problems
