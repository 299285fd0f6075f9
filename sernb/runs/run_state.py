"""Verify the runs and checkpoints of an experiment on disk, and set aside those that do not belong to it."""

import json
import sys

from sernb.config import DataError, digest
from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import Run, open_run, set_aside
from sernb.runtime.files import Damaged, atomic
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import commit

STARTED = "started.json"  # in a checkpoint: the code that started it


def look_up(experiment: Experiment) -> tuple[Run | None, str]:
    """Return the finished run of an experiment or None, and the problem with an existing folder."""
    try:
        finished = open_run(experiment.folder)
    except Damaged as error:
        return None, str(error)
    if finished and finished.config != json.loads(json.dumps(experiment.config)):
        return None, f"{experiment.folder}: config.json belongs to another run"
    return finished, ""


def set_aside_damaged(experiment: Experiment) -> None:
    """Rename a damaged or foreign folder; the caller holds the lock of the run."""
    if problem := look_up(experiment)[1]:
        progress_line(f"{problem}; set aside as {set_aside(experiment.folder).name}, the run is repeated")


def begin_training(experiment: Experiment) -> list[str]:
    """Record the commit at which a training starts or resumes, and return all its commits.

    A checkpoint of another recipe or configuration is set aside.
    """
    checkpoint = experiment.checkpoint
    current = {"recipe": experiment.system.recipe, "config": digest(experiment.config)}
    commits = [commit()]
    if any(checkpoint.rglob("*.npz")):
        try:
            recorded = json.loads((checkpoint / STARTED).read_text("utf-8"))
            if {name: recorded[name] for name in current} != current:
                raise ValueError
            commits = list(dict.fromkeys([*map(str, recorded["commits"]), *commits]))
        except (OSError, ValueError, LookupError, TypeError):
            name = set_aside(checkpoint).name
            progress_line(f"{checkpoint}: belongs to another recipe; set aside as {name}, the training starts again")
    with atomic(checkpoint / STARTED) as unfinished:
        unfinished.write_text(json.dumps(current | {"commits": commits}), "utf-8")
    return commits


def refuse_other_backend(experiment: Experiment) -> None:
    """Stop if this process has loaded another backend than that of the experiment."""
    keras = sys.modules.get("keras")
    if experiment.system.is_network and keras and keras.backend.backend() != experiment.config["backend"]:
        raise DataError(
            f"{experiment}: must be trained with {experiment.config['backend']}, but this process has loaded "
            f"{keras.backend.backend()}; set KERAS_BACKEND before Python starts"
        )
