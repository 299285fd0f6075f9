"""Measure the memory for training each network at its published size: ``python -m benchmarks.memory``.

Each system is trained in a separate process on two batches of real clips and then makes predictions. Memory depends on
the network and the batch size, not on the number of clips, which are read on demand. Prints the peak of each system.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import pandas as pd

from sernb.config import DataError
from sernb.systems.registry import SYSTEMS, get_system

LIMIT = 6.0  # GB, for the training of any system

TRAINING = """
import dataclasses, json, resource, sys, time
from pathlib import Path
import numpy as np
from sernb.runs.planning import plan
from sernb.systems.inspection import count_parameters
from sernb.corpora.preparation import prepare
from sernb.systems.base import Examples, LazyArrays, Task

name, corpus, folder = sys.argv[1:]
(experiment, *_) = plan([name], corpus, ["as-published"], folds=[0])
system, settings = experiment.system, experiment.settings

table = prepare(experiment.corpus, system.features)
clips = experiment.clips.head(2 * settings.batch).reset_index(drop=True)
truth = clips.truth.map(list(experiment.labels.classes).index).to_numpy()
examples = Examples(LazyArrays([lambda clip=clip: table[clip] for clip in clips["clip"]]), truth, clips)
few = examples[:2]
task = Task(examples, few, experiment.labels.classes, False, np.ones(len(clips), int), 0, Path(folder))
started = time.perf_counter()
system.fit(dataclasses.replace(settings, epochs=1), task).scores(few.features)
print(json.dumps({
    "parameters": count_parameters(system, classes=len(experiment.labels.classes)),
    "batch": settings.batch,
    "seconds": time.perf_counter() - started,
    "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def measure(system: str, corpus: str) -> dict[str, object]:
    """Train a system on two batches in a separate process; return its size, time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAINING, system, corpus, folder]
        process = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return {"system": system, **json.loads(process.stdout.splitlines()[-1])}


def main() -> int:
    """Measure systems; return 1 if one exceeds the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.split("\n")[0])
    networks = [name for name in SYSTEMS if get_system(name).is_network and not get_system(name).encoders]
    parser.add_argument("--systems", default=",".join(networks), help="default: networks without encoder")
    parser.add_argument("--corpus", default="ravdess")
    options = parser.parse_args()
    rows = []
    try:
        for name in options.systems.split(","):
            get_system(name)
            rows.append(measure(name, options.corpus))
            print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False, header=len(rows) == 1), flush=True)
    except DataError as error:
        print(f"memory: {error}", file=sys.stderr)
        return 1
    most = max(row["peak GB"] for row in rows)
    print(f"most: {most:.2f} GB, limit {LIMIT:.0f} GB")
    return int(most >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
