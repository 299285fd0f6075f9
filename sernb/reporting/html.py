"""Executed notebooks as HTML pages without third-party scripts or external addresses, and the index of a report."""

import base64
import dataclasses
import hashlib
import html
import os
import re
import shlex
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sernb
from sernb.config import ROOT, Infeasible
from sernb.reporting.tables import are_numbers, escape
from sernb.runtime.files import atomic
from sernb.runtime.locks import WAITING
from sernb.runtime.provenance import commit

if TYPE_CHECKING:
    import bs4
    import nbformat

TEMPLATE = ROOT / "reports" / "template"
LONGEST_OUTPUT = 60_000  # characters of printed text on a page; the executed notebook has all of it
MANY_COLUMNS, LONG_TEXT = 4, 24  # columns, characters
FEWEST_TO_SORT = 3  # rows
WAITING_LINE = re.compile(rf"^{re.escape(WAITING)} .*\n?", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Navigation:
    """Links of a page, each as ``(address relative to the page, title)``."""

    index: tuple[str, str] | None = None
    previous: tuple[str, str] | None = None
    next: tuple[str, str] | None = None
    pages: tuple[str, ...] = ()  # file names of all pages of the report


def title_and_question(notebook: "nbformat.NotebookNode") -> tuple[str, str]:
    """Return the first heading of a notebook and the paragraph after it, as plain text; "" if missing."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    match = re.search(r"^#\s+(.+?)\s*#*\s*$\s*(.*?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    title, question = (plain_text(part) for part in match.groups()) if match else ("", "")
    return title, "" if match and match.group(2).lstrip().startswith("#") else question


def plain_text(markdown: str) -> str:
    """Return Markdown as plain text on one line."""
    words = html.unescape(re.sub(r"!?\[([^\]]*)\]\([^)]*\)|</?span>", r"\1", markdown))
    return " ".join(re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", words).split())


def export(executed: Path, page: Path, *, navigation: Navigation | None = None) -> Path:
    """Write an executed notebook as one HTML file without external addresses or scripts, except ours to sort tables.

    Args:
        executed: notebook with outputs
        page: HTML file to write
        navigation: links to the index and the neighbouring pages

    Returns:
        ``page``
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    notebook = read_notebook(executed)
    notebook.metadata.pop("widgets", None)
    title = title_and_question(notebook)[0] or Path(page).stem
    banner = _prepare_cells(notebook)
    kinds = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain"]
    exporter = HTMLExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        embed_images=False,  # it would close every tag of inline HTML at once: log<sub></sub>10
        exclude_anchor_links=True,
        config=Config({"NbConvertBase": {"display_data_priority": kinds}}),
    )
    # Images in Markdown must be attachments of the cell; a file next to the notebook would be an external address.
    ours = {"title": title, "banner": banner, "navigation": navigation, "made": _made(notebook), **template_values()}
    document, _ = exporter.from_notebook_node(notebook, {"sernb": ours})
    beside = navigation.pages if navigation else [path.name for path in Path(page).parent.glob("*.html")]
    with atomic(Path(page)) as temporary:
        temporary.write_text(finish_document(document, title, pages=beside), encoding="utf-8")
    return page


def _made(notebook: "nbformat.NotebookNode") -> dict[str, str]:
    """Return command, duration and version for the footer of a page; empty if papermill did not run the notebook."""
    about = notebook.metadata.get("papermill", {})
    if not about.get("input_path"):
        return {}
    words = ["sernb", "run", Path(about["input_path"]).stem]
    for name, value in about.get("parameters", {}).items():
        if value not in ("", [], None) and name != "data":  # a folder of this machine does not exist elsewhere
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += ["-p", name, text]
    made = {"To make this page again": shlex.join(words)}
    if about.get("duration") is not None:
        made["It took"] = f"{about['duration']:.0f} s, finished {about['end_time'][:16].replace('T', ' ')} UTC"
    return made | {"Made by": f"sernb {sernb.__version__}, commit {commit()}"}


def template_values() -> dict[str, object]:
    """Return the template values of every page: style sheet and version."""
    return {"css": (TEMPLATE / "page.css").read_text(encoding="utf-8"), "version": sernb.__version__}


def _prepare_cells(notebook: "nbformat.NotebookNode") -> dict[str, str] | None:
    """Give each cell an anchor and a state, and shorten its output; return the banner of the page, if any."""
    # papermill's own banner and mark are for the notebook; the page has better ones.
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    banner = None
    for number, cell in enumerate(notebook.cells, 1):
        anchor = f"cell-{cell.get('id', number)}"
        cell.metadata.update(anchor=anchor, state="")
        merge_streams(cell)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = _shorten(output.text)
            elif output.output_type == "error" and banner is None:
                infeasible = output.ename == Infeasible.__name__
                ended = infeasible or (output.ename == "SystemExit" and output.evalue in ("", "0", "None"))
                cell.metadata.state = "ended" if ended else "failed"
                title = "This notebook ended itself early." if ended else "This run failed."
                text = "The cells after that point did not run."
                if infeasible:
                    title = "Left out: these recordings do not allow it."
                    text = f"{'. '.join(output.evalue.splitlines()).rstrip('.')}. {text}"
                elif not ended:
                    text = f"{output.ename}: {one_line(output.evalue).rstrip('.')}. {text}"
                banner = {"kind": cell.metadata.state, "title": title, "text": text, "anchor": anchor}
    if banner is None and notebook.metadata.get("papermill", {}).get("exception"):
        text = "It stopped before any cell showed the reason."
        banner = {"kind": "failed", "title": "This run failed.", "text": text, "anchor": ""}
    return banner


def _shorten(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    half = LONGEST_OUTPUT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n\n[{left_out:,} characters left out here; the executed notebook has them]\n\n{text[-half:]}"


def finish_document(document: str, title: str, *, pages: Sequence[str] = ()) -> str:
    """Finish the whole page: remove active and external content, set one h1, anchors, contents and table boxes.

    Args:
        pages: file names of the other pages; a link to a notebook becomes a link to its page, or plain text
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(document, "html.parser")
    _disarm(soup)
    for element in soup.find_all("a", href=re.compile(r"^\d\d_\w+\.ipynb$")):
        name = element["href"].removesuffix(".ipynb") + ".html"
        if name in pages:
            element["href"] = name
        else:
            element.unwrap()
    main = soup.main
    first, *others = main.find_all("h1") or [None]
    if first is None:
        first = soup.new_tag("h1", string=title)
        main.insert(1 if main.aside else 0, first)
    for heading in others:
        heading.name = "h2"
    _link_headings(soup)
    for block in main.find_all("pre", tabindex=False):  # it may scroll, so the keyboard must reach it
        block.attrs |= {"tabindex": "0", "role": "region", "aria-label": "Code"}
    for table in main.find_all("table"):
        _box_table(soup, table)
    _let_sort(soup)
    return str(soup)


def _let_sort(soup: "bs4.BeautifulSoup") -> None:
    """Add our script to the page if it has sortable tables, and forbid all other scripts and all requests."""
    allowed = {"default-src": "'none'", "img-src": "data:", "media-src": "data:", "style-src": "'unsafe-inline'"}
    if soup.find("table", class_="sortable"):
        script = (TEMPLATE / "page.js").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed["script-src"] = f"'sha256-{digest}'"
        element = soup.new_tag("script")
        element.string = script
        soup.body.append(element)
    policy = soup.new_tag("meta", content="; ".join(f"{kind} {value}" for kind, value in allowed.items()))
    policy["http-equiv"] = "Content-Security-Policy"
    soup.head.meta.insert_after(policy)


def _disarm(soup: "bs4.BeautifulSoup") -> None:
    active = ["script", "iframe", "object", "embed", "base", "link", "form"]
    for element in soup.find_all([*active, lambda tag: tag.name == "meta" and tag.has_attr("http-equiv")]):
        element.decompose()
    for style in soup.find_all("style"):
        if re.search(r"@import|url\(\s*['\"]?(?!data:)", style.text):
            style.decompose()
    for element in soup.find_all(True):
        for name, value in list(element.attrs.items()):
            text = re.sub(r"[\s\x00-\x1f]", "", str(value)).lower()
            fetched = name in ("src", "srcset", "poster", "data", "background") and not text.startswith("data:")
            called = name.startswith("on") or (name.endswith("href") and "script:" in text)
            if fetched or called or (name == "style" and "url(" in text):
                del element[name]


def _link_headings(soup: "bs4.BeautifulSoup") -> None:
    used = {element["id"] for element in soup.find_all(id=True)}
    entries = []
    for heading in soup.main.find_all(["h1", "h2", "h3", "h4"]):
        words = heading.get_text(" ", strip=True)
        stem = anchor = "-".join(re.findall(r"\w+", words.lower())) or "section"
        number = 1
        while anchor in used:
            number += 1
            anchor = f"{stem}-{number}"
        used.add(anchor)
        heading["id"] = anchor
        if heading.name != "h1":
            link = soup.new_tag("a", href=f"#{anchor}", string="#")
            link.attrs |= {"class": "anchor", "aria-label": f"Link to {words}"}
            heading.append(link)
        if heading.name == "h2":
            entries.append((anchor, words))
    if len(entries) >= 3 and not soup.main.get("class"):
        items = "".join(f'<li><a href="#{escape(anchor)}">{escape(words)}</a></li>' for anchor, words in entries)
        contents = f'<nav class="contents" aria-label="Contents"><p>Contents</p><ol>{items}</ol></nav>'
        opening = soup.h1.find_parent("section") or soup.h1
        opening.insert_after(type(soup)(contents, "html.parser"))


def _box_table(soup: "bs4.BeautifulSoup", table: "bs4.Tag") -> None:
    """Put a table into a scrolling box, and align its columns of numbers to the right."""
    table.attrs.pop("border", None)
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    if rows and len({len(row) for row in rows}) == 1:
        heads, bodies = table.select("thead > tr"), table.find_all("tbody")
        spanned = table.find(["td", "th"], attrs={"rowspan": True}) or table.find(attrs={"colspan": True})
        if len(heads) == len(bodies) == 1 and len(rows) - 1 >= FEWEST_TO_SORT and not spanned:
            table["class"] = [*table.get("class", []), "sortable"]
        for column in zip(*rows, strict=True):
            if are_numbers([cell.get_text(" ", strip=True) for cell in column if cell.name == "td"]):
                for cell in column:
                    cell["class"] = [*cell.get("class", []), "number"]
        if len(rows[0]) >= MANY_COLUMNS:  # otherwise columns of sentences would become very narrow
            for cell in (cell for row in rows for cell in row if len(cell.get_text(" ", strip=True)) >= LONG_TEXT):
                cell["class"] = [*cell.get("class", []), "long"]
    for cell in table.find_all("td", class_="number"):
        _keep_interval(soup, cell)
    box = soup.new_tag("div", tabindex="0", role="region")
    box["class"] = "table"
    box["aria-label"] = table.caption.get_text(" ", strip=True) if table.caption else "Table"
    table.wrap(box)
    if table.caption:
        words = soup.new_tag("span")  # remains visible while the table scrolls
        words.extend(list(table.caption.contents))
        table.caption.append(words)


def _keep_interval(soup: "bs4.BeautifulSoup", cell: "bs4.Tag") -> None:
    """Allow a line break in ``61.3 [58.1, 64.0]`` only before the bracket."""
    value, bracket, interval = (cell.string or "").partition("[")
    if value.strip() and bracket:
        interval = soup.new_tag("span", string=bracket + interval)
        interval["class"] = "interval"
        cell.clear()
        cell.extend([value, interval])


def link(target: Path, page: Path) -> str:
    """Return the address of ``target`` relative to ``page``."""
    relative = os.path.relpath(Path(target).resolve(), Path(page).resolve().parent)
    return urllib.parse.quote(Path(relative).as_posix())


def merge_streams(cell: "nbformat.NotebookNode") -> None:
    """Merge consecutive output and reduce progress lines to their last state, as a terminal does.

    Lines about waiting for another process are dropped. nbclient's ``coalesce_streams`` moves text printed after a
    figure before it, and keeps backspaces.
    """
    merged = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            text = re.sub(r".*\r(?=[^\n])", "", output.text)
            while (shorter := re.sub(r"[^\n\x08]\x08", "", text)) != text:
                text = shorter
            output.text = WAITING_LINE.sub("", text.replace("\x08", ""))
    if merged:
        cell.outputs = [output for output in merged if output.output_type != "stream" or output.text.strip()]


def one_line(text: str) -> str:
    """Return the first line of an error message, truncated if it is long."""
    lines = text.strip().splitlines() or [""]
    return lines[0] if len(lines) == 1 and len(lines[0]) <= 300 else f"{lines[0][:300]} …"


def read_notebook(path: Path) -> "nbformat.NotebookNode":
    """Read a notebook file.

    Raises:
        FileNotFoundError: if it does not exist
    """
    import nbformat

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no notebook {path}")
    return nbformat.read(path, as_version=4)
