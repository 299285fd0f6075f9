"""The index page of a report, and the overview of all reports."""

import base64
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sernb.config import Infeasible
from sernb.reporting.html import (
    TEMPLATE,
    Navigation,
    finish_document,
    link,
    one_line,
    plain_text,
    read_notebook,
    template_values,
    title_and_question,
)
from sernb.reporting.tables import table_html
from sernb.runtime.files import atomic

if TYPE_CHECKING:
    import nbformat
    import pandas as pd

STATES = {"failed": "failed", "stale": "outdated", "fine": "complete"}  # as readers see them
THUMBNAIL = (360, 270)  # pixels at most


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of a report, as its index lists it."""

    path: Path
    title: str
    question: str
    failed: bool = False
    stale: bool = False  # the notebook has changed since
    headline: str = ""  # its first sentence, with interval
    picture: str = ""  # thumbnail of its first figure, as a data address

    @property
    def earlier(self) -> str:
        """File name of the last complete page, if this one failed."""
        name = self.path.name.replace(".failed.", ".")
        return name if name != self.path.name and self.path.with_name(name).is_file() else ""

    @property
    def state(self) -> str:
        """``failed``, ``stale`` or ``fine``."""
        return "failed" if self.failed else "stale" if self.stale else "fine"


def describe(source: Path, page: Path, *, failed: bool = False) -> Page:
    """Return the index entry of a notebook: the title is the first heading, the question the paragraph after it."""
    title, question = title_and_question(read_notebook(source))
    return Page(Path(page), title or Path(source).stem, question, failed)


def has_changed(page: Path, source: Path) -> bool:
    """Return whether a notebook has changed since its page was made, or either of them is missing."""
    executed = Path(page).with_suffix(".ipynb")
    return not (executed.is_file() and Path(source).is_file()) or _changed(read_notebook(executed), source)


def _changed(executed: "nbformat.NotebookNode", source: Path) -> bool:
    # papermill adds cells for the parameters of the run and the mark of a failure.
    added = {"injected-parameters", "papermill-error-cell-tag"}
    kept = [cell.source for cell in executed.cells if not added & set(cell.metadata.get("tags", []))]
    return kept != [cell.source for cell in read_notebook(source).cells]


def summarise_page(page: Page, source: Path) -> Page:
    """Add headline, thumbnail and state from the executed notebook to an index entry.

    The headline is the first item of the first list in the output.
    """
    executed = page.path.with_suffix(".ipynb")
    if not executed.is_file():
        return page
    notebook = read_notebook(executed)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    written = "\n".join(output.data.get("text/markdown", "") for output in outputs)
    first = re.search(r"^- (.+)$", written, re.MULTILINE)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if "evalue" in output]
    left_out = [f"Left out: {one_line(each.evalue)}" for each in errors if each.ename == Infeasible.__name__]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.data]
    return dataclasses.replace(
        page,
        stale=_changed(notebook, source),
        headline=plain_text(first.group(1)) if first else "".join(left_out),
        picture=_thumbnail(pictures[0]) if pictures else "",
    )


def _thumbnail(png: str) -> str:
    """Return a thumbnail as a data address of a few kilobytes."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        shown = picture.convert("RGB")
    shown.thumbnail(THUMBNAIL)
    buffer = io.BytesIO()
    shown.save(buffer, format="WEBP", quality=60)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def write_index(
    page: Path,
    *,
    title: str,
    lead: str,
    results: "str | pd.DataFrame | None",
    figure: tuple[str, str] | None = None,
    pages: Sequence[Page],
    provenance: Mapping[str, object] | None = None,
    caption: str = "Results",
    navigation: Navigation | None = None,
) -> Path:
    """Write the first page of a report: headline, figure, pages with their questions, results, provenance.

    Args:
        page: HTML file to write
        title: heading of the report
        lead: the paragraph under the heading
        figure: of all results, as PNG in base64, with alternative text
        results: a table, or trusted HTML from `table_html`
        pages: the report's pages in reading order
        provenance: names and values needed to reproduce the report
        caption: caption of the results, if they are a table
        navigation: link to the index over all reports

    Returns:
        ``page``
    """
    import markupsafe

    if results is not None and not isinstance(results, str):
        results = table_html(results, caption)
    about = {
        "title": title,
        "lead": lead,
        "figure": figure,
        "results": markupsafe.Markup(results or ""),  # noqa: S704
        "pages": [
            {
                **dataclasses.asdict(entry),
                "state": entry.state,
                "href": link(entry.path, page),
                "earlier": link(entry.path.with_name(entry.earlier), page) if entry.earlier else "",
            }
            for entry in pages
        ],
        "provenance": list((provenance or {}).items()),
        "navigation": navigation,
        "words": STATES,
    }
    return _write(page, "report.html.j2", title, about)


def write_overview(page: Path, reports: Sequence[Mapping[str, object]]) -> Path:
    """Write the overview of all reports.

    Args:
        page: HTML file to write
        reports: each with ``index`` (a path), ``title``, ``headline``, ``made`` (time and command) and ``pages``
    """
    listed = []
    for report in reports:
        counts = Counter(entry.state for entry in report["pages"])
        states = ", ".join(f"{counts[state]} {word}" for state, word in STATES.items() if counts[state])
        worst = next((state for state in ("failed", "stale") if counts[state]), "fine")
        href = link(report["index"], page)
        listed.append({**report, "href": href, "states": f"{len(report['pages'])} pages: {states}", "worst": worst})
    return _write(page, "reports.html.j2", "All reports", {"reports": listed})


def _write(page: Path, template: str, title: str, about: Mapping[str, object]) -> Path:
    import jinja2
    import markupsafe

    loader = jinja2.FileSystemLoader(TEMPLATE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    shared = template_values()
    css = markupsafe.Markup(shared["css"])  # noqa: S704
    document = environment.get_template(template).render(about, css=css, version=shared["version"])
    page = Path(page)
    with atomic(page) as temporary:
        temporary.write_text(finish_document(document, title), encoding="utf-8")
    return page


def link_neighbours(pages: Sequence[Page], position: int, index: Path, title: str) -> Navigation:
    """Return the navigation of page number ``position`` (from 0) in a report whose index has this ``title``."""
    here = pages[position].path
    near = [pages[at] if 0 <= at < len(pages) else None for at in (position - 1, position + 1)]
    previous, following = ((link(entry.path, here), entry.title) if entry else None for entry in near)
    return Navigation((link(index, here), title), previous, following, tuple(page.path.name for page in pages))
