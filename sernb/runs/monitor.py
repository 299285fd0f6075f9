"""Show the progress of runs in this and other processes."""

import contextlib
from collections.abc import Iterator, Sequence

from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import count_epochs, read_run
from sernb.runtime.progress import progress_bar, updated_by


@contextlib.contextmanager
def watch(experiments: Sequence[Experiment], *, shown: bool = True) -> Iterator[None]:
    """Show a progress bar of epochs while unfinished experiments train, in this process or in others."""
    unfinished = [experiment for experiment in experiments if read_run(experiment.folder) is None]
    units = sum(max(experiment.units, 1) for experiment in unfinished)
    unit = "epoch" if any(experiment.units for experiment in unfinished) else "run"
    with progress_bar(units, f"{len(unfinished)} runs", unit, shown=shown and bool(unfinished)) as bar:

        def update() -> None:
            bar.update(sum(map(_count_done, unfinished)) - bar.n)

        with updated_by(update):
            yield


def _count_done(experiment: Experiment) -> int:
    """Return the number of finished epochs of an experiment, from its files on disk."""
    if experiment.is_finished:
        return max(experiment.units, 1)
    return sum(map(_count_done, experiment.members)) or count_epochs(experiment.checkpoint)
