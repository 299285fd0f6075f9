"""Show the progress of a notebook that is executed without a browser."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from sernb.config import in_one_line
from sernb.reporting.html import read_notebook
from sernb.runtime.progress import progress_bar, updated_by

WIDTH = 100  # characters of printed text shown


class LastLine:
    """A stream that keeps the last line written, such as the last state of a progress bar."""

    text = ""

    def write(self, text: str) -> None:
        """Keep the last line that is not empty."""
        lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
        self.text = in_one_line(lines[-1])[:WIDTH] if lines else self.text

    def flush(self) -> None:
        """Do nothing, as everything is kept at once."""


@contextlib.contextmanager
def watch_cells(executed: Path, label: str, *, shown: bool, lines: bool = False) -> Iterator[LastLine]:
    """Show which cell of a notebook is running; yield a stream for its printed text, whose last line is also shown.

    Args:
        executed: the notebook that papermill writes as each cell starts and ends
        label: name of the notebook
        shown: whether to show anything
        lines: print lines even in a terminal, for a process that shares it with others
    """
    printed, seen = LastLine(), {"cell": ""}
    with progress_bar(0, label, "cell", shown=shown, lines=lines) as bar:

        def update() -> None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # not yet there, or half written
                cells = [cell for cell in read_notebook(executed).cells if cell.cell_type == "code"]
                states = {cell.id: cell.metadata.papermill.status for cell in cells}
                running = next((name for name, state in states.items() if state == "running"), "")
                if seen["cell"] not in ("", running):
                    printed.text = ""  # of an earlier cell
                seen["cell"] = running
                bar.total, bar.n = len(cells), list(states.values()).count("completed")
                bar.set_postfix_str(f"{running}: {printed.text}" if printed.text else running, refresh=False)
            bar.update(0)

        with updated_by(update) if shown else contextlib.nullcontext():
            yield printed
