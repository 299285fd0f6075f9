"""Measure speed relative to reference implementations in the same run: ``make bench ARGS="--corpus ravdess"``.

Seconds depend on the machine and its load, so compare the ratios within one run. Rows are added to
``reports/benchmarks.csv`` with date and commit, and ``reports/benchmarks.png`` shows the ratios over time.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import encoders
from sernb.audio.augmentation import Speed, Stretch, apply_view
from sernb.config import REPORTS, DataError
from sernb.corpora.check import check
from sernb.corpora.files import locate
from sernb.corpora.local_index import read_index
from sernb.corpora.preparation import prepare
from sernb.corpora.registry import get_corpus
from sernb.encoders.registry import DEFAULT
from sernb.encoders.whisper import SAMPLING_RATE
from sernb.features import Embedding, Features, LogMel
from sernb.runtime.files import atomic
from sernb.runtime.provenance import commit
from sernb.runtime.threads import available_cores

SAVED = REPORTS / "benchmarks.csv"
CLIPS, EPOCHS = 256, 5  # of the training benchmark; several epochs, so that one-off costs matter little
ENCODED = 16  # clips that an encoder reads
FASTER = "times as fast"
PLAIN = "plain loop: librosa.load + melspectrogram + power_to_db"

Pair = tuple[str, Callable[[], object], str, Callable[[], object]]  # name and function, reference name and function


def main() -> int:
    """Run all benchmarks, print them, add them to ``reports/benchmarks.csv`` and plot them."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure speed relative to references.")
    parser.add_argument("--corpus", help="default: ravdess if it is on disk, else demo")
    parser.add_argument("--data", help="folder with the recordings")
    parser.add_argument("--repeats", type=int, default=3, help="number of repeats; the fastest counts")
    options = parser.parse_args()
    try:
        corpus = get_corpus(options.corpus) if options.corpus else _default_corpus(options.data)
        folder = locate(corpus, options.data)
    except DataError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"{corpus.title}: {corpus.clips} clips, {available_cores()} cores; the fastest of {options.repeats} runs")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["SERNB_WORK"] = temporary
        pairs = [
            *_preparation(corpus, folder, options.data, Path(temporary)),
            *_encoding(corpus, folder, options.data, Path(temporary)),
            *_network(corpus, options.data),
        ]
        table = pd.DataFrame([_measure(pair, options.repeats) for pair in pairs])
    print(table.to_string(index=False))
    _save(
        table.assign(corpus=corpus.name, cores=available_cores(), commit=commit(), time=time.strftime("%Y-%m-%d %H:%M"))
    )
    return 0


def _measure(pair: Pair, repeats: int) -> dict[str, object]:
    """Measure both alternately, so that other load on the machine affects both."""
    name, action, reference, reference_action = pair
    ours, theirs = zip(*((_seconds(action), _seconds(reference_action)) for _ in range(repeats)), strict=True)
    ratio = min(theirs) / min(ours)
    return {
        "measurement": name,
        "seconds": round(min(ours), 4),
        "reference": reference,
        "reference seconds": round(min(theirs), 4),
        FASTER: round(ratio, 2),
    }


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _preparation(corpus, folder: Path, data: str | None, temporary: Path) -> Iterator[Pair]:
    from librosa.effects import time_stretch

    from sernb.audio.reading import load

    settings, index = LogMel(), read_index(corpus)
    cold, loop = _prepare_cold(corpus, settings, data, temporary), partial(_plain_loop, folder, index, settings)

    def cached() -> None:
        table = prepare(corpus, settings, data=data)
        for clip in table:
            table[clip].sum()

    _plain_loop(folder, index.head(2), settings)  # librosa compiles at its first call
    cold()
    yield "prepare, cold: read, verify sha256, log-mel, cache", cold, PLAIN, loop
    yield "prepare on all cores", cold, "prepare on one core", _one_core()(cold)
    # Threads that share only memory: the possible gain by threads on this machine.
    yield "arithmetic alone on all cores", _arithmetic, "arithmetic alone on one core", _one_core()(_arithmetic)
    yield "every clip from the cache", cached, PLAIN, loop
    yield "check: every file against its sha256", lambda: check(corpus, folder), PLAIN, loop
    signals = {row.clip: load(folder / row.path, settings.sampling_rate) for row in index.head(64).itertuples()}
    phase_vocoder = "librosa.effects.time_stretch"
    for view in (Speed("faster", 1.1), Stretch("shorter", 1.1)):
        yield (
            f"augmentation, 64 clips: {type(view).__name__.lower()}",
            lambda view=view: [apply_view(clip, view, s, settings.sampling_rate) for clip, s in signals.items()],
            phase_vocoder,
            lambda: [time_stretch(s, rate=1.1) for s in signals.values()],
        )


def _encoding(corpus, folder: Path, data: str | None, temporary: Path) -> Iterator[Pair]:
    """Yield the pairs of the encoder; none, with a line, if its weights or CTranslate2 are missing."""
    from sernb.audio.reading import load

    index = read_index(corpus)
    signals = [load(folder / path, SAMPLING_RATE) for path in index.path.head(ENCODED)]
    (temporary / "reference").mkdir()
    try:
        yield from encoders.pairs(signals, temporary / "reference")
        loop = partial(_plain_loop, folder, index, LogMel())
        yield (
            f"prepare, cold: embeddings of {DEFAULT}",
            _prepare_cold(corpus, Embedding(), data, temporary),
            PLAIN,
            loop,
        )
    except (DataError, ModuleNotFoundError) as error:
        print(f"without encoder: {error}")


def _network(corpus, data: str | None) -> Iterator[Pair]:
    """Yield training from the cache and predictions of `multiscale-cnn`, compared with plain Keras."""
    from sernb.systems.learning.training import one_hot, predictions, train
    from sernb.systems.multiscale_cnn import SYSTEM, compile_network, network

    table = prepare(corpus, SYSTEM.features, data=data)
    clips = [table[clip] for clip in list(table)[:CLIPS]]
    truth = np.arange(len(clips)) % 8
    targets, arrays = one_hot(truth, 8), np.stack(clips)
    settings = SYSTEM.settings_for("quick")
    model = compile_network(settings, network(settings, clips[0].shape, 8))
    batch = settings.batch

    def train_cached() -> None:
        train(model, clips, targets, [], truth[:0], epochs=EPOCHS, batch=batch, seed=0)

    def fit() -> None:
        model.fit(arrays, targets, epochs=EPOCHS, batch_size=batch, verbose=0)

    train_cached()
    fit()
    name = f"training, {EPOCHS} epochs of {len(clips)} clips from the cache"
    yield name, train_cached, "Keras fit on arrays in memory", fit

    def predict() -> None:
        predictions(model, clips)

    def call() -> None:
        np.asarray(model(arrays, training=False))

    predict()
    call()
    yield f"inference, {len(clips)} clips", predict, "the network called without compilation", call


def _prepare_cold(corpus, features: Features, data: str | None, temporary: Path) -> Callable[[], None]:
    """Return a function that prepares features in a new work folder."""

    def prepare_cold() -> None:
        os.environ["SERNB_WORK"] = tempfile.mkdtemp(dir=temporary)
        prepare(corpus, features, data=data)

    return prepare_cold


def _arithmetic() -> None:
    """Transform noise in one thread per core, without files, locks or shared data."""
    from scipy.fft import rfft  # releases the global interpreter lock

    noise = np.random.default_rng(0).standard_normal((64, 512))
    with ThreadPoolExecutor(available_cores()) as threads:
        list(threads.map(lambda _: [rfft(noise) for _ in range(50)], range(200)))


@contextmanager
def _one_core() -> Iterator[None]:
    """Restrict this process to one core, if the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _plain_loop(folder: Path, index: pd.DataFrame, settings: LogMel) -> None:
    """Compute log-mels as most notebooks do: one file after the other, without cache or verification."""
    import librosa

    for path in index.path:
        signal, rate = librosa.load(folder / path, sr=settings.sampling_rate)
        power = librosa.feature.melspectrogram(
            y=signal, sr=rate, n_fft=settings.window, hop_length=settings.hop, n_mels=settings.bands
        )
        librosa.power_to_db(power)


def _default_corpus(data: str | None):
    ravdess = get_corpus("ravdess")
    try:
        locate(ravdess, data)
    except DataError:
        return get_corpus("demo")
    return ravdess


def _save(table: pd.DataFrame) -> None:
    earlier = [pd.read_csv(SAVED)] if SAVED.exists() else []
    rows = pd.concat([*earlier, table])
    with atomic(SAVED) as unfinished:
        rows.to_csv(unfinished, index=False)
    with atomic(SAVED.with_suffix(".png")) as unfinished:
        _plot(rows).savefig(unfinished, dpi=120, bbox_inches="tight")
    print(f"added to {SAVED.name}, plotted in {SAVED.stem}.png, both in {SAVED.parent.name}/")


def _plot(rows: pd.DataFrame):
    """Return a figure of the ratios over time, with one panel per measurement and one line per corpus."""
    import seaborn

    rows = rows.dropna(subset=["reference"])
    grid = seaborn.relplot(
        rows, x="time", y=FASTER, hue="corpus", style="corpus", col="measurement", col_wrap=3, kind="line",
        markers=True, dashes=True, height=2.4, aspect=1.6, facet_kws={"sharey": False},
    )  # fmt: skip
    grid.set_titles("{col_name}", size=8).set_xlabels("")
    grid.tick_params(axis="x", rotation=45, labelsize=7)
    return grid.figure


if __name__ == "__main__":
    sys.exit(main())
