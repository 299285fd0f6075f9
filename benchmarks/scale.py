"""Prepare features and start training on large corpora: time and memory may grow at most linearly with their size.

``python -m benchmarks.scale --clips 1000,10000,100000`` makes corpora of links to the recordings of RAVDESS (else of
the demo corpus), repeating clips and speakers; computes their log-mels; then plans an experiment, audits its split and
passes the training part to a system. Prints seconds and peak memory of each step.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import pandas as pd

from sernb.config import DataError
from sernb.corpora.files import find_files, locate
from sernb.corpora.local_index import read_index
from sernb.corpora.registry import get_corpus

# Runs in a separate process to measure its peak memory. The system is a stub that reads only its first batch.
STEP = """
import dataclasses, json, sys, time
from pathlib import Path
import psutil
from sernb.runs import planning, runner
from sernb.features import LogMel
from sernb.corpora.preparation import prepare
from sernb.corpora.pool import parse_pool
from sernb.systems.base import Fitted
from sernb.systems.registry import get_system

step, corpus = sys.argv[1:]
if step == "start":
    import sernb.systems.learning.training  # imports are not measured

def processes():  # this process and its children
    return [psutil.Process(), *psutil.Process().children(recursive=True)]

def processor_time():
    return sum(each.cpu_times().user + each.cpu_times().system for each in processes())

def peak():  # kB, sum of the peaks of all processes
    states = [Path(f"/proc/{each.pid}/status").read_text() for each in processes()]
    return sum(int(state.split("VmHWM:")[1].split()[0]) for state in states)

started, cpu = time.perf_counter(), processor_time()

class Started(Exception): pass

def start(settings, task):
    assert len([task.training_examples.features[row] for row in range(64)]) == 64
    raise Started

if step == "prepare":
    prepare(parse_pool(corpus), LogMel())
else:
    system = dataclasses.replace(get_system("majority"), features=LogMel(), fit=start)
    planning.get_system = lambda name: system
    (first, *_) = planning.plan(["majority"], corpus, ["speaker-independent"], folds=[0])
    runner.prepare_for([first])
    try:
        runner.run(first)
        raise SystemExit("the system was never started")
    except Started:
        pass
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "of processors": processor_time() - cpu,
    "peak MB": peak() / 1024,
}))
"""


def make_corpus(folder: Path, clips: int, data: str | None) -> Path:
    """Make a labelled folder of links to recordings; return it."""
    source = _source(data)
    index, home = read_index(source), locate(source, data)
    files = find_files(source, home, index)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        labels = csv.writer(file, lineterminator="\n")
        labels.writerow(["path", "speaker", "gender", "emotion", "intensity", "sentence", "take"])
        for number, row in enumerate(islice(cycle(index.itertuples()), clips)):
            path = folder / f"{number // 1000:04d}" / f"{number:07d}{files[row.clip].suffix}"
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(files[row.clip].resolve())
            name = path.relative_to(folder).as_posix()
            labels.writerow([name, row.speaker, row.gender, row.emotion, row.intensity, row.sentence, number])
    return folder


def _source(data: str | None):
    try:
        locate(get_corpus("ravdess"), data)
        return get_corpus("ravdess")
    except DataError:
        return get_corpus("demo")


def measure(step: str, corpus: Path, work: Path) -> dict[str, float]:
    """Run one step in a separate process; return its seconds, processor time and peak memory."""
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", STEP, step, str(corpus)],
        env=os.environ | {"SERNB_WORK": str(work)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def main() -> int:
    """Measure each number of clips; print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", default="1000,10000", help="numbers of clips; 100000 take 14 GB and minutes")
    parser.add_argument("--data", help="folder with the recordings")
    parser.add_argument("--into", help="folder for temporary files (default: that of the system)")
    options = parser.parse_args()
    rows = []
    for clips in map(int, options.clips.split(",")):
        with tempfile.TemporaryDirectory(dir=options.into) as folder:
            corpus = Path(folder) / "recordings"
            corpus.mkdir()
            make_corpus(corpus, clips, options.data)
            for name, step in (("prepare", "prepare"), ("first start", "start"), ("training starts", "start")):
                measured = measure(step, corpus, Path(folder) / "work")
                per_clip = 1000 * measured["of processors"] / clips
                rows.append({"clips": clips, "step": name, **measured, "processor ms a clip": per_clip})
                print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False, header=len(rows) == 1), flush=True)
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
