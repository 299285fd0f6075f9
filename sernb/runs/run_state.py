"""What an experiment left on disk, used only where it is what the experiment asks for; the rest is set aside."""

import json
import sys

from sernb.config import DataError, digest
from sernb.runs.experiment import Experiment
from sernb.runs.run_folder import Run, open_run, set_aside
from sernb.runtime.files import Damaged, atomic
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import commit

STARTED = "started.json"  # in a checkpoint: which code began it


def look_up(experiment: Experiment) -> tuple[Run | None, str]:
    """Return the finished run of an experiment, or nothing, and what is wrong with the folder that is there."""
    try:
        finished = open_run(experiment.folder)
    except Damaged as error:
        return None, str(error)
    if finished and finished.config != json.loads(json.dumps(experiment.config)):
        return None, f"{experiment.folder}: config.json is that of another run"
    return finished, ""


def set_aside_damaged(experiment: Experiment) -> None:
    """Rename a folder that is not the run it should be; its lock is held."""
    if problem := look_up(experiment)[1]:
        progress_line(f"{problem}; set aside as {set_aside(experiment.folder).name}, the run is made again")


def begin_training(experiment: Experiment) -> list[str]:
    """Note at which commit a training begins or goes on; return all. A checkpoint of other code is set aside."""
    checkpoint = experiment.checkpoint
    about = {"recipe": experiment.system.recipe, "config": digest(experiment.config)}
    commits = [commit()]
    if any(checkpoint.rglob("*.npz")):
        try:
            noted = json.loads((checkpoint / STARTED).read_text("utf-8"))
            if {name: noted[name] for name in about} != about:
                raise ValueError
            commits = list(dict.fromkeys([*map(str, noted["commits"]), *commits]))
        except (OSError, ValueError, LookupError, TypeError):
            name = set_aside(checkpoint).name
            progress_line(f"{checkpoint}: was not begun by this recipe; set aside as {name}, the training begins anew")
    with atomic(checkpoint / STARTED) as unfinished:
        unfinished.write_text(json.dumps(about | {"commits": commits}), "utf-8")
    return commits


def refuse_other_backend(experiment: Experiment) -> None:
    """Stop where this process has loaded another backend than the run is named after."""
    keras = sys.modules.get("keras")
    if experiment.system.is_network and keras and keras.backend.backend() != experiment.config["backend"]:
        raise DataError(
            f"{experiment}: is to be trained by {experiment.config['backend']}, but this process has loaded "
            f"{keras.backend.backend()}; set KERAS_BACKEND before Python starts"
        )
