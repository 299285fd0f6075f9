"""Notebooks run without a screen, their HTML pages, and what notebooks show: figures, tables, sounds."""

import ast
import base64
import dataclasses
import html
import io
import logging
import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sernb
from sernb.config import ROOT
from sernb.store import atomic

if TYPE_CHECKING:
    import bs4
    import matplotlib.figure
    import nbformat
    import numpy as np
    import pandas as pd

TEMPLATE = ROOT / "reports" / "template"
LONGEST_OUTPUT = 60_000  # characters of printed text on a page; the executed notebook keeps all
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
GAP = "\N{EN DASH}"
# A cell that belongs flush right: 61.3, 61.3 %, 61.3 [58.1, 64.0], \u22120.2, 3 / 60, 1e-5, or a gap.
NUMBER = re.compile(
    r"[\[(]?[+\-\u2212\u00b1]?\s*\.?\d[\d\s.,:%\u00b1\u00d7\u2013\u2212+\-()\[\]/eE]*|[\u2013-]?|nan|NaN"
)


class NotebookFailed(Exception):  # noqa: N818
    """A notebook stopped with an error; its page shows where.

    Attributes:
        page: the HTML page, written up to and including the failure
        cell: id of the cell, empty if none had started
        name: class of the error
        value: its message, one line
    """

    def __init__(self, page: Path, cell: str, name: str, value: str) -> None:
        """Keep what a caller reports."""
        super().__init__(page, cell, name, value)
        self.page, self.cell, self.name, self.value = page, cell, name, value

    def __str__(self) -> str:
        """Return one line: notebook, cell, error, page."""
        where = f"cell {self.cell!r}" if self.cell else "before the first cell"
        error = f"{self.name}: {self.value}" if self.value else self.name
        return f"{self.page.stem} failed in {where}: {error} (see {self.page})"


@dataclasses.dataclass(frozen=True)
class Navigation:
    """Where the links of a page lead: ``(address relative to the page, title)`` each."""

    index: tuple[str, str] | None = None
    previous: tuple[str, str] | None = None
    next: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of a report, as its index lists it."""

    path: Path
    title: str
    question: str
    failed: bool = False


# Running


def parameters_of(source: Path) -> dict[str, object]:
    """Return the parameters of a notebook with their defaults, in order.

    The cell tagged ``parameters`` is read as Python, not by papermill's patterns, which overlook a line with a
    second ``=``. A default that is not a literal comes back as None.

    Raises:
        FileNotFoundError: if there is no such notebook
    """
    cells = _read(source).cells
    cell = next((cell for cell in cells if "parameters" in cell.metadata.get("tags", [])), None)
    found = {}
    for line in ast.parse(cell.source).body if cell else ():
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    found[target.id] = ast.literal_eval(line.value)
                except (ValueError, TypeError):
                    found[target.id] = None
    return found


def parse_parameters(source: Path, pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Turn the words of a command line into values of the types the notebook's defaults have.

    Lists are written with commas, their items have the type of the default's first item (text if it is empty).

    Raises:
        ValueError: if a name is unknown or given twice, or a word does not fit
    """
    known = parameters_of(source)
    _refuse_unknown(source, [name for name, _ in pairs], known)
    values = {}
    for name, text in pairs:
        if name in values:
            raise ValueError(f"parameter {name} is given twice")
        values[name] = _parse(name, text, known[name])
    return values


def _parse(name: str, text: str, default: object) -> object:
    if isinstance(default, list | tuple):
        words = [word.strip() for word in text.split(",") if word.strip()]
        return [_parse(name, word, default[0] if default else "") for word in words]
    if isinstance(default, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.strip().lower() not in words:
            raise ValueError(f"parameter {name} needs true or false, not {text!r}")
        return words[text.strip().lower()]
    for kind, wanted in ((int, "a whole number"), (float, "a number")):
        if isinstance(default, kind):
            try:
                return kind(text)
            except ValueError:
                raise ValueError(f"parameter {name} needs {wanted}, not {text!r}") from None
    return text


def _refuse_unknown(source: Path, names: Sequence[str], known: Mapping[str, object]) -> None:
    if unknown := [name for name in names if name not in known]:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{Path(source).name} has no parameter {', '.join(unknown)}; {has}")


def _survives(value: object) -> bool:
    if type(value) is list:
        return all(map(_survives, value))
    if type(value) is dict:
        return all(type(name) is str and _survives(item) for name, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def run(source: Path, page: Path, parameters: Mapping[str, object], *, navigation: Navigation | None = None) -> Path:
    """Execute a notebook without a screen and write its page, also when it fails.

    The kernel is the one of this environment, the working directory the notebook's. The executed notebook lies
    beside the page under the same name. Both appear under their names when they are whole, not before.

    Args:
        source: the notebook; it is not changed
        page: HTML file to write
        parameters: values for names the notebook's ``parameters`` cell assigns
        navigation: links to the index and the neighbouring pages

    Returns:
        ``page``

    Raises:
        FileNotFoundError: if there is no such notebook
        ValueError: if a parameter is unknown, or its value would reach the notebook as something else
        NotebookFailed: if a cell raised an error or the kernel died; the page is there and shows it
    """
    import nbformat

    source, page = Path(source).resolve(), Path(page).resolve()
    executed = page.with_suffix(".ipynb")
    _refuse_unknown(source, list(parameters), parameters_of(source))
    for name, value in parameters.items():
        if not _survives(value):
            raise ValueError(
                f"parameter {name} is of type {type(value).__name__}, which would arrive as text: "
                "pass numbers, text, true/false, or lists and dictionaries of these"
            )
    if executed == source:
        raise ValueError(f"{page} would write over its own source {source.name}: choose another folder")
    with atomic(executed) as temporary:
        error = _execute(source, temporary, dict(parameters))
        notebook = nbformat.read(temporary, as_version=4)
        for cell in notebook.cells:
            _merge_streams(cell)
        notebook.metadata.papermill.update(input_path=source.name, output_path=executed.name)
        cell = _note_failure(notebook, error) if error else ""
        nbformat.write(notebook, temporary)
    export(executed, page, navigation=navigation)
    if error:
        name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
        raise NotebookFailed(page, cell, name, _one_line(value)) from error
    return page


def _execute(source: Path, executed: Path, parameters: dict[str, object]) -> Exception | None:
    import papermill
    from traitlets.config import Config

    # Parameters are checked above, and what goes wrong comes back as an error.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    try:
        papermill.execute_notebook(
            _literal(source),
            _literal(executed),
            parameters,
            kernel_name="python3",
            language="python",
            cwd=source.parent,
            progress_bar=False,
            iopub_timeout=600,  # s; the default of 4 fails cells that print much on a busy machine
            config=Config({"KernelManager": {"transport_encryption": "auto"}}),
        )
    except Exception as error:
        # A dead kernel, one that does not start: whatever it was, the page must say it. Without a notebook it cannot.
        if not executed.exists():
            raise
        return error
    return None


def _literal(path: Path) -> str:
    # papermill fills {…} in file names from the parameters.
    return str(path).replace("{", "{{").replace("}", "}}")


def _note_failure(notebook: "nbformat.NotebookNode", error: Exception) -> str:
    """Mark the cell that was running when its kernel died as papermill marks one that raised; return its id."""
    import nbformat

    started = [cell for cell in notebook.cells if cell.metadata.get("papermill", {}).get("start_time")]
    failed = [cell for cell in started if cell.metadata.papermill.exception]
    if not failed and started:
        failed = started[-1:]
        value = f"{error} (the usual reason is that memory ran out)" if "Kernel died" in str(error) else str(error)
        output = nbformat.v4.new_output("error", ename=type(error).__name__, evalue=value, traceback=[])
        failed[0].metadata.papermill.update(exception=True, status="failed")
        failed[0].outputs.append(output)
    return failed[0].get("id", "") if failed else ""


def _merge_streams(cell: "nbformat.NotebookNode") -> None:
    """Join what was printed in pieces and leave of a progress line its last state, as a terminal does.

    nbclient's ``coalesce_streams`` moves what is printed after a figure before it, and keeps backspaces.
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
            output.text = text.replace("\x08", "")
    if merged:
        cell.outputs = merged


def _one_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[0] if len(lines) == 1 and len(lines[0]) <= 300 else f"{lines[0][:300]} …"


def _read(path: Path) -> "nbformat.NotebookNode":
    import nbformat

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no notebook {path}")
    return nbformat.read(path, as_version=4)


# Pages


def describe(source: Path, page: Path, *, failed: bool = False) -> Page:
    """Return the index entry of a notebook: title = first heading, question = the paragraph after it."""
    title, question = _title_and_question(_read(source))
    return Page(Path(page), title or Path(source).stem, question, failed)


def _title_and_question(notebook: "nbformat.NotebookNode") -> tuple[str, str]:
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^#\s+(.+?)\s*#*\s*$\s*(.*?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    title, question = (_plain(part) for part in found.groups()) if found else ("", "")
    return title, "" if found and found.group(2).lstrip().startswith("#") else question


def _plain(markdown: str) -> str:
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", words).split())


def export(executed: Path, page: Path, *, navigation: Navigation | None = None) -> Path:
    """Write an executed notebook as one HTML file without scripts and without outside addresses.

    Args:
        executed: notebook with outputs
        page: HTML file to write
        navigation: links to the index and the neighbouring pages

    Returns:
        ``page``
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    notebook = _read(executed)
    notebook.metadata.pop("widgets", None)
    title = _title_and_question(notebook)[0] or Path(page).stem
    banner = _prepare_cells(notebook)
    kinds = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain"]
    exporter = HTMLExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        embed_images=False,  # it closes every tag of inline HTML at once: log<sub></sub>10
        exclude_anchor_links=True,
        config=Config({"NbConvertBase": {"display_data_priority": kinds}}),
    )
    # Pictures in prose must be attachments of the cell; a file beside the notebook would be an address.
    ours = {"title": title, "banner": banner, "navigation": navigation, **_shared()}
    document, _ = exporter.from_notebook_node(notebook, {"sernb": ours})
    with atomic(Path(page)) as temporary:
        temporary.write_text(_finish(document, title), encoding="utf-8")
    return page


def _shared() -> dict[str, object]:
    return {"css": (TEMPLATE / "page.css").read_text(encoding="utf-8"), "version": sernb.__version__}


def _prepare_cells(notebook: "nbformat.NotebookNode") -> dict[str, str] | None:
    """Give each cell an anchor and a state, shorten what it printed; return what the banner says, if there is one."""
    # papermill's own banner and mark are for those who open the notebook; the page has better ones.
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    banner = None
    for number, cell in enumerate(notebook.cells, 1):
        anchor = f"cell-{cell.get('id', number)}"
        cell.metadata.update(anchor=anchor, state="")
        _merge_streams(cell)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = _shorten(output.text)
            elif output.output_type == "error" and banner is None:
                ended = output.ename == "SystemExit" and output.evalue in ("", "0", "None")
                cell.metadata.state = "ended" if ended else "failed"
                title = "This notebook ended itself early." if ended else "This run failed."
                text = "The cells after that point did not run."
                if not ended:
                    text = f"{output.ename}: {_one_line(output.evalue)} {text}"
                banner = {"kind": cell.metadata.state, "title": title, "text": text, "anchor": anchor}
    if banner is None and notebook.metadata.get("papermill", {}).get("exception"):
        text = "It stopped before any cell could say why."
        banner = {"kind": "failed", "title": "This run failed.", "text": text, "anchor": ""}
    return banner


def _shorten(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    half = LONGEST_OUTPUT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n\n[{left_out:,} characters left out here; the executed notebook has them]\n\n{text[-half:]}"


def _finish(document: str, title: str) -> str:
    """Do what needs the whole page: nothing active or foreign in it, one h1, anchors, contents, tables in boxes."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(document, "html.parser")
    _disarm(soup)
    main = soup.main
    first, *others = main.find_all("h1") or [None]
    if first is None:
        first = soup.new_tag("h1", string=title)
        main.insert(1 if main.aside else 0, first)
    for heading in others:
        heading.name = "h2"
    _link_headings(soup)
    for table in main.find_all("table"):
        _box_table(soup, table)
    return str(soup)


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
        items = "".join(f'<li><a href="#{_escape(anchor)}">{_escape(words)}</a></li>' for anchor, words in entries)
        contents = f'<nav class="contents" aria-label="Contents"><p>Contents</p><ol>{items}</ol></nav>'
        opening = soup.h1.find_parent("section") or soup.h1
        opening.insert_after(type(soup)(contents, "html.parser"))


def _box_table(soup: "bs4.BeautifulSoup", table: "bs4.Tag") -> None:
    """Put a table into a box that scrolls by itself, and its columns of numbers flush right."""
    table.attrs.pop("border", None)
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    if rows and len({len(row) for row in rows}) == 1:
        for column in zip(*rows, strict=True):
            if _all_numbers([cell.get_text(" ", strip=True) for cell in column if cell.name == "td"]):
                for cell in column:
                    cell["class"] = [*cell.get("class", []), "number"]
    box = soup.new_tag("div", tabindex="0", role="region")
    box["class"] = "table"
    box["aria-label"] = table.caption.get_text(" ", strip=True) if table.caption else "Table"
    table.wrap(box)
    if table.caption:
        words = soup.new_tag("span")  # stays in sight while the table scrolls
        words.extend(list(table.caption.contents))
        table.caption.append(words)


def _all_numbers(texts: Sequence[str]) -> bool:
    return any(re.search(r"\d", text) for text in texts) and all(NUMBER.fullmatch(text) for text in texts)


def write_index(
    page: Path,
    *,
    title: str,
    lead: str,
    results: "str | pd.DataFrame | None",
    pages: Sequence[Page],
    provenance: Mapping[str, object] | None = None,
    caption: str = "Results",
) -> Path:
    """Write the first page of a report: results, then the pages with their questions, then where it all comes from.

    Args:
        page: HTML file to write
        title: heading of the report
        lead: the paragraph under it
        results: a table, or HTML made by `table_html` (taken as it is)
        pages: the report's pages in reading order
        provenance: what the reader needs to make it again, shown as names and values
        caption: caption of the results, where they are a table

    Returns:
        ``page``
    """
    import jinja2
    import markupsafe

    page = Path(page)
    if results is not None and not isinstance(results, str):
        results = table_html(results, caption)
    loader = jinja2.FileSystemLoader(TEMPLATE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    shared = _shared()
    document = environment.get_template("report.html.j2").render(
        title=title,
        lead=lead,
        results=markupsafe.Markup(results or ""),  # noqa: S704
        pages=[{**dataclasses.asdict(entry), "href": link(entry.path, page)} for entry in pages],
        provenance=list((provenance or {}).items()),
        version=shared["version"],
        css=markupsafe.Markup(shared["css"]),  # noqa: S704
    )
    with atomic(page) as temporary:
        temporary.write_text(_finish(document, title), encoding="utf-8")
    return page


def link(target: Path, page: Path) -> str:
    """Return the address of ``target`` as a link on ``page`` needs it."""
    relative = os.path.relpath(Path(target).resolve(), Path(page).resolve().parent)
    return urllib.parse.quote(Path(relative).as_posix())


def neighbours(pages: Sequence[Page], position: int, index: Path, title: str) -> Navigation:
    """Return the navigation of page number ``position`` (from 0) in a report whose index has this ``title``."""
    here = pages[position].path
    near = [pages[at] if 0 <= at < len(pages) else None for at in (position - 1, position + 1)]
    previous, following = ((link(entry.path, here), entry.title) if entry else None for entry in near)
    return Navigation((link(index, here), title), previous, following)


# In notebooks


def show(figure: "matplotlib.figure.Figure", alt: str) -> None:
    """Display a figure as PNG with the alternative text ``alt``, and close it.

    Raises:
        ValueError: if ``alt`` is empty
    """
    from IPython.display import display
    from matplotlib import pyplot

    if not alt.strip():
        raise ValueError("show needs a text for those who cannot see the figure: what it shows and what to read off it")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    alt = " ".join(alt.split())
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def show_table(frame: "pd.DataFrame", caption: str, *, index: bool = False) -> None:
    """Display a table with a caption; see `table_html`."""
    from IPython.display import display

    display({"text/html": table_html(frame, caption, index=index), "text/plain": f"{caption}\n{frame}"}, raw=True)


def table_html(frame: "pd.DataFrame", caption: str, *, index: bool = False) -> str:
    """Return a table as HTML: caption, column headings, everything escaped, numbers flush right, gaps as a dash.

    Numbers are written as they come: format them first.

    Raises:
        ValueError: if ``caption`` is empty
    """
    if not caption.strip():
        raise ValueError("a table needs a caption: what is counted or measured, on what")
    if index:
        frame = frame.reset_index()
    names = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in frame.columns]
    filled = frame.astype(object).where(frame.notna(), GAP)
    rows = [[str(value) for value in row] for row in filled.to_numpy()]
    # JupyterLab sets every cell flush right, so both directions are said.
    sides = ["right" if _all_numbers(column) else "left" for column in zip(*rows, strict=True)] or ["left"] * len(names)

    def cells(texts: Sequence[str], heads: int, scope: str) -> str:
        return "".join(
            f'<th scope="{scope}" style="text-align:{side}">{_escape(text)}</th>'
            if at < heads
            else f'<td style="text-align:{side}">{_escape(text)}</td>'
            for at, (text, side) in enumerate(zip(texts, sides, strict=True))
        )

    body = "".join(f"<tr>{cells(row, int(index), 'row')}</tr>\n" for row in rows)
    return (
        f"<table>\n<caption>{_escape(caption)}</caption>\n"
        f"<thead><tr>{cells(names, len(names), 'col')}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
    )


def play(signal: "np.ndarray", sampling_rate: int, caption: str) -> None:
    """Display a player for a signal, with its loudness as it is: much of emotion is loudness.

    Args:
        signal: samples, shape ``(samples,)``; what lies outside [-1, 1] is clipped
        sampling_rate: in Hz
        caption: what is heard; also the accessible name of the player

    Raises:
        ValueError: if the signal is empty, has several channels or is not finite, or ``caption`` is empty
    """
    from IPython.display import display

    if not caption.strip():
        raise ValueError("play needs a caption: who speaks, what is heard")
    sound = base64.b64encode(_mp3(signal, sampling_rate)).decode()
    text = _escape(" ".join(caption.split()))
    player = f'<audio controls preload="none" aria-label="{text}" src="data:audio/mpeg;base64,{sound}"></audio>'
    page = f"<figure><figcaption>{text}</figcaption>{player}</figure>"
    display({"text/html": page, "text/plain": caption}, raw=True)


def _mp3(signal: "np.ndarray", sampling_rate: int) -> bytes:
    import numpy as np
    import soundfile
    import soxr

    signal = np.asarray(signal, dtype=np.float32)
    if signal.ndim != 1 or not signal.size or not np.isfinite(signal).all():
        raise ValueError(f"play needs finite samples of one channel, shape (samples,), not {signal.shape}")
    rate = next((rate for rate in MP3_RATES if rate >= sampling_rate), MP3_RATES[-1])
    if rate != sampling_rate:
        signal = soxr.resample(signal, sampling_rate, rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(signal, -1, 1), rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
