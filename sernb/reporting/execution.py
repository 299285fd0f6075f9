"""Execution of notebooks without a browser, and export of their pages."""

import ast
import contextlib
import logging
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sernb.config import LARGEST_SEED, Infeasible, MissingRuns
from sernb.reporting.cell_progress import watch_cells
from sernb.reporting.html import Navigation, export, merge_streams, one_line, read_notebook
from sernb.reporting.processes import kernel_options
from sernb.runtime.files import atomic

if TYPE_CHECKING:
    import nbformat


FAILED = ".failed"  # in the name of a failed page next to an earlier complete one
# A dependency of librosa looks for ipywidgets when it is imported, and warns if they are missing.
warnings.filterwarnings("ignore", message="IProgress not found")
# Runs in the kernel, which by default drops output, figures included, that is printed faster than it can be sent.
KEEP_ALL_OUTPUT = (
    "get_ipython().events.register('pre_execute', lambda: (thread := get_ipython().kernel.iopub_thread)"
    ".schedule(lambda: thread.socket.setsockopt(__import__('zmq').SNDHWM, 0)))"
)


class NotebookFailed(Exception):  # noqa: N818
    """A notebook failed with an error, which its page shows.

    Attributes:
        page: the HTML page, up to and including the failure
        cell: id of the cell, empty if none had started
        name: class of the error
        value: its message, one line
    """

    def __init__(self, page: Path, cell: str, name: str, value: str) -> None:
        """Keep the details for the caller's report."""
        super().__init__(page, cell, name, value)
        self.page, self.cell, self.name, self.value = page, cell, name, value

    def __str__(self) -> str:
        """Return one line: notebook, cell, error, page."""
        where = f"cell {self.cell!r}" if self.cell else "before the first cell"
        error = f"{self.name}: {self.value}" if self.value else self.name
        return f"{self.page.stem} failed in {where}: {error} (see {self.page})"


def read_parameters(source: Path) -> dict[str, object]:
    """Return the parameters of a notebook with their defaults, in order.

    The cell tagged ``parameters`` is parsed as Python; papermill's patterns miss lines with a second ``=``. A default
    that is not a literal is returned as None.

    Raises:
        FileNotFoundError: if there is no such notebook
    """
    cells = read_notebook(source).cells
    cell = next((cell for cell in cells if "parameters" in cell.metadata.get("tags", [])), None)
    parameters = {}
    for line in ast.parse(cell.source).body if cell else ():
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    parameters[target.id] = ast.literal_eval(line.value)
                except (ValueError, TypeError):
                    parameters[target.id] = None
    return parameters


def parse_parameters(source: Path, pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Convert the arguments of a command line to the types of the notebook's defaults.

    Items of a list are separated by commas and have the type of the default's first item (text if it is empty).

    Raises:
        ValueError: if a name is unknown or given twice, or a value has the wrong type
    """
    defaults = read_parameters(source)
    _refuse_unknown(source, [name for name, _ in pairs], defaults)
    values = {}
    for name, text in pairs:
        if name in values:
            raise ValueError(f"parameter {name} is given twice")
        values[name] = _parse(name, text, defaults[name])
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
    for kind, expected in ((int, "a whole number"), (float, "a number")):
        if isinstance(default, kind):
            try:
                value = kind(text)
            except ValueError:
                raise ValueError(f"parameter {name} needs {expected}, not {text!r}") from None
            if name in ("seed", "seeds") and not 0 <= value <= LARGEST_SEED:
                raise ValueError(f"parameter {name} needs a whole number from 0 to {LARGEST_SEED}, not {text!r}")
            if not math.isfinite(value):
                raise ValueError(f"parameter {name} needs {expected} that is finite, not {text!r}")
            return value
    return text


def _refuse_unknown(source: Path, names: Sequence[str], parameters: Mapping[str, object]) -> None:
    if unknown := [name for name in names if name not in parameters]:
        listed = f"it has {', '.join(parameters)}" if parameters else "it has none"
        raise ValueError(f"{Path(source).name} has no parameter {', '.join(unknown)}; {listed}")


def _is_literal(value: object) -> bool:
    if type(value) is list:
        return all(map(_is_literal, value))
    if type(value) is dict:
        return all(type(name) is str and _is_literal(item) for name, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def run(
    source: Path,
    page: Path,
    parameters: Mapping[str, object],
    *,
    navigation: Navigation | None = None,
    progress: Literal["", "bar", "lines"] = "",
) -> Path:
    """Execute a notebook without a browser and write its page, even if it fails.

    A failed page does not replace a complete one: it is written next to it as ``….failed.html``, until the notebook
    succeeds. A notebook that raises `Infeasible` has not failed: its page ends there with the reason. One that raises
    `MissingRuns` has nothing to show: outside of a report, whose index lists it, no page is written.

    The kernel is that of this environment; the working directory is the notebook's. The executed notebook is written
    next to the page under the same name. Both files appear only when they are complete.

    Args:
        source: the notebook; it is not changed
        page: HTML file to write
        parameters: values for names that the notebook's ``parameters`` cell assigns
        navigation: links to the index and the neighbouring pages
        progress: show the running cell and what it printed last, as a bar or, beside other processes, as lines

    Returns:
        ``page``

    Raises:
        FileNotFoundError: if there is no such notebook
        ValueError: if a parameter is unknown, or the notebook would receive its value as another type
        MissingRuns: if the notebook needs runs that are missing
        NotebookFailed: if a cell raised another error or the kernel died, which its page shows
    """
    import nbformat

    source, page = Path(source).resolve(), Path(page).resolve()
    executed = page.with_suffix(".ipynb")
    _refuse_unknown(source, list(parameters), read_parameters(source))
    for name, value in parameters.items():
        if not _is_literal(value):
            raise ValueError(
                f"parameter {name} is of type {type(value).__name__}, which would arrive as text: "
                "pass numbers, text, true/false, or lists and dictionaries of these"
            )
    if executed == source:
        raise ValueError(f"{page} would write over its own source {source.name}: choose another folder")
    aside = page.with_name(f"{page.stem}{FAILED}{page.suffix}")
    with atomic(aside.with_suffix(".ipynb")) as temporary:
        error = _execute(source, temporary, dict(parameters), progress)
        notebook = nbformat.read(temporary, as_version=4)
        for cell in notebook.cells:
            merge_streams(cell)
        notebook.metadata.papermill.update(input_path=source.name, output_path=executed.name)
        cell = _note_failure(notebook, error) if error else ""
        nbformat.write(notebook, temporary)
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    if error and name == MissingRuns.__name__ and not navigation:
        aside.with_suffix(".ipynb").unlink()
        aside.unlink(missing_ok=True)
        raise MissingRuns(value) from error
    failed = error is not None and name != Infeasible.__name__
    if failed and _is_whole(page):
        page = aside
    else:
        with contextlib.suppress(FileNotFoundError):  # another process has just made the same page
            aside.with_suffix(".ipynb").replace(executed)
        aside.unlink(missing_ok=True)
    export(page.with_suffix(".ipynb"), page, navigation=navigation)
    if failed:
        raise NotebookFailed(page, cell, name, one_line(value)) from error
    return page


def _is_whole(page: Path) -> bool:
    """Return whether the page exists and its notebook ran to its end, or as far as the recordings allow."""
    executed = page.with_suffix(".ipynb")
    if not (page.is_file() and executed.is_file()):
        return False
    try:
        cells = read_notebook(executed).cells
    except ValueError:
        return False
    errors = [output.ename for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    return all(name == Infeasible.__name__ for name in errors)


def _execute(source: Path, executed: Path, parameters: dict[str, object], progress: str) -> Exception | None:
    import papermill
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from traitlets.config import Config

    class OwnKernel(AsyncKernelManager):
        """Starts the kernel of this Python, not another one that a user has installed as ``python3``."""

        def __init__(self, **options: object) -> None:
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)

    # Parameters are checked above, and failures are returned as errors.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    try:
        with (
            tempfile.TemporaryDirectory() as profile,  # instead of the user's IPython profile
            watch_cells(executed, source.stem, shown=bool(progress), lines=progress == "lines") as printed,
        ):
            papermill.execute_notebook(
                _literal(source),
                _literal(executed),
                parameters,
                kernel_name="python3",
                language="python",
                cwd=source.parent,
                progress_bar=False,
                stdout_file=printed,
                iopub_timeout=600,  # s; with the default of 4, cells with much output fail on a busy machine
                extra_arguments=[
                    f"--IPKernelApp.exec_lines={KEEP_ALL_OUTPUT}",
                    f"--IPKernelApp.ipython_dir={profile}",
                    "--IPKernelApp.exec_PYTHONSTARTUP=False",
                    # The kernel's own log, for example of the interrupt at its end, is of no use.
                    "--log-level=CRITICAL",
                ],
                config=Config({"KernelManager": {"transport_encryption": "auto"}}),
                **kernel_options(OwnKernel),
            )
    except Exception as error:
        # The page shows any failure, such as a dead kernel, but only if there is an executed notebook.
        if not executed.exists():
            raise
        return error
    return None


def _literal(path: Path) -> str:
    # papermill replaces {…} in file names with parameters.
    return str(path).replace("{", "{{").replace("}", "}}")


def _note_failure(notebook: "nbformat.NotebookNode", error: Exception) -> str:
    """Mark the cell that was running when its kernel died as papermill marks a failed cell; return its id."""
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
