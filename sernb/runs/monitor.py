"""Show the progress of runs in this and other processes."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import count_epochs, read_run
from sernb.runtime.progress import progress_bar


@contextlib.contextmanager
def watch(experiments: Sequence[Experiment], *, shown: bool = True) -> Iterator[None]:
    """Show a progress bar of epochs while unfinished experiments train, in this process or in others."""
    unfinished = [experiment for experiment in experiments if read_run(experiment.folder) is None]
    units, stopping = sum(max(experiment.units, 1) for experiment in unfinished), threading.Event()
    unit = "epoch" if any(experiment.units for experiment in unfinished) else "run"
    with progress_bar(units, f"{len(unfinished)} runs", unit, shown=shown and bool(unfinished)) as bar:

        def update() -> None:
            bar.update(sum(map(_count_done, unfinished)) - bar.n)

        def poll() -> None:
            while not stopping.wait(2):
                update()

        thread = threading.Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            update()


def _count_done(experiment: Experiment) -> int:
    """Return the number of finished epochs of an experiment, from its files on disk."""
    if experiment.is_finished:
        return max(experiment.units, 1)
    return sum(map(_count_done, experiment.members)) or count_epochs(experiment.checkpoint)
