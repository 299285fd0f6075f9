"""Measure preparation beside a plain librosa loop: ``make bench``, ``make bench ARGS="--corpus ravdess"``.

Seconds depend on the machine and on what else it does; ratios within one run are what to compare.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sernb.augment import ORIGINAL
from sernb.config import REPORTS, DataError
from sernb.corpora import check, corpus_named, locate, read_index
from sernb.features import LogMel
from sernb.preparation import prepare
from sernb.provenance import commit
from sernb.store import atomic

SAVED = REPORTS / "benchmarks.csv"


def main() -> int:
    """Run all measurements, print them, add them to ``reports/benchmarks.csv``."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure speed, each figure beside its reference.")
    parser.add_argument("--corpus", help="default: ravdess where it is on disk, else demo")
    parser.add_argument("--data", help="folder with the recordings")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement; the quickest counts")
    options = parser.parse_args()
    try:
        corpus = corpus_named(options.corpus) if options.corpus else _default_corpus(options.data)
        folder = locate(corpus, options.data)
    except DataError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"{corpus.title}: {corpus.clips} clips, {os.cpu_count()} cores; the quickest of {options.repeats} runs")
    table = _preparation(corpus, folder, options)
    print(table.to_string(index=False))
    _save(table.assign(corpus=corpus.name, cores=os.cpu_count(), commit=commit(), time=time.strftime("%Y-%m-%d %H:%M")))
    return 0


def _preparation(corpus, folder: Path, options: argparse.Namespace) -> pd.DataFrame:
    settings = LogMel()
    _plain_loop(folder, read_index(corpus).head(2), settings)  # librosa compiles at its first call
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["SERNB_WORK"] = temporary
        caches = iter(range(1000))

        def cold() -> None:
            os.environ["SERNB_WORK"] = f"{temporary}/{next(caches)}"
            prepare(corpus, settings, view=ORIGINAL, data=options.data)

        seconds = {
            "plain loop: librosa.load + melspectrogram + power_to_db": _quickest(
                lambda: _plain_loop(folder, read_index(corpus), settings), options.repeats
            ),
            "sernb prepare, cold: read, verify sha256, log-mel, cache": _quickest(cold, options.repeats),
            "sernb prepare, cached": _quickest(lambda: prepare(corpus, settings, data=options.data), options.repeats),
            "sernb check: every file against its sha256": _quickest(lambda: check(corpus, folder), options.repeats),
        }
    reference = next(iter(seconds.values()))
    return pd.DataFrame(
        {
            "measurement": list(seconds),
            "seconds": [round(value, 3) for value in seconds.values()],
            "ms per clip": [round(1000 * value / corpus.clips, 3) for value in seconds.values()],
            "times as fast as the loop": [round(reference / value, 1) for value in seconds.values()],
        }
    )


def _plain_loop(folder: Path, index: pd.DataFrame, settings: LogMel) -> None:
    """What most notebooks do: one file after the other, nothing kept, nothing verified."""
    import librosa

    for path in index.path:
        signal, rate = librosa.load(folder / path, sr=settings.sampling_rate)
        power = librosa.feature.melspectrogram(
            y=signal, sr=rate, n_fft=settings.window, hop_length=settings.hop, n_mels=settings.bands
        )
        librosa.power_to_db(power)


def _quickest(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def _default_corpus(data: str | None):
    ravdess = corpus_named("ravdess")
    try:
        locate(ravdess, data)
    except DataError:
        return corpus_named("demo")
    return ravdess


def _save(table: pd.DataFrame) -> None:
    earlier = [pd.read_csv(SAVED)] if SAVED.exists() else []
    with atomic(SAVED) as unfinished:
        pd.concat([*earlier, table]).to_csv(unfinished, index=False)
    print(f"added to {SAVED.name} in {SAVED.parent.name}/")


if __name__ == "__main__":
    sys.exit(main())
