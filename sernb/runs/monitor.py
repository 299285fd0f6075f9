"""Progress of runs, as they are being done by other processes."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import count_epochs, read_run
from sernb.runtime.progress import progress_bar


@contextlib.contextmanager
def watch(experiments: Sequence[Experiment], *, shown: bool = True) -> Iterator[None]:
    """Draw a bar of epochs while unfinished experiments train, in this process or in others."""
    left = [experiment for experiment in experiments if read_run(experiment.folder) is None]
    units, over = sum(max(experiment.units, 1) for experiment in left), threading.Event()
    unit = "epoch" if any(experiment.units for experiment in left) else "run"
    with progress_bar(units, f"{len(left)} runs", unit, shown=shown and bool(left)) as drawn:

        def update() -> None:
            drawn.update(sum(map(_done, left)) - drawn.n)

        def watch() -> None:
            while not over.wait(2):
                update()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            update()


def _done(experiment: Experiment) -> int:
    """Return how many of an experiment's units are behind it, by what it has left on disk."""
    if (experiment.folder / "metrics.json").exists():
        return max(experiment.units, 1)
    return sum(map(_done, experiment.members)) or count_epochs(experiment.checkpoint)
