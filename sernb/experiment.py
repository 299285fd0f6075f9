"""Experiments: a system on a corpus under a protocol, one fold, one seed → a run folder; planned, run, read back."""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import evaluation
from sernb.augment import ORIGINAL, View
from sernb.config import PROFILES, DataError, digest, plain, work_folder
from sernb.corpora import Corpus, corpus_named, fingerprint_of, read_index
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import LogMel, Normaliser
from sernb.preparation import prepare
from sernb.progress import bar, line
from sernb.provenance import provenance
from sernb.splits import Fold, Leak, Protocol, audit, fingerprint, folds_of, protocol_named, refuse_leaks
from sernb.store import FeatureTable, Run, read_run, write_run
from sernb.systems import Examples, Fitted, System, Task, system_named

QUICK_FOLDS = 2


@dataclass(frozen=True)
class Experiment:
    """What one run is made from; equal experiments have the same folder, and are done once."""

    system: System
    corpus: Corpus
    protocol: Protocol
    fold: Fold
    folds: int  # how many the protocol has here
    seed: int
    settings: object
    times_trained: tuple[int, ...]

    @cached_property
    def config(self) -> dict:
        """Everything that decides the result, as JSON."""
        return {
            "system": self.system.name,
            "settings": plain(self.settings),
            "features": plain(self.system.features),
            "features_version": FEATURES_VERSION,
            "labels": plain(self.system.labels),
            "views": plain(self.system.views),
            "corpus": self.corpus.name,
            "recordings": fingerprint_of(read_index(self.corpus)),
            "protocol": self.protocol.name,
            "fold": self.fold.number,
            "folds": self.folds,
            "clips": digest(self.fold.train, self.fold.validation, self.fold.test),
            "seed": self.seed,
        } | ({"training_views": plain(self.system.training_views)} if self.system.training_views else {})

    @cached_property
    def folder(self) -> Path:
        """Where the run lies, or will lie."""
        name = f"fold-{self.fold.number}-seed-{self.seed}-{digest(self.config)}"
        return work_folder() / "runs" / self.corpus.name / self.system.name / self.protocol.name / name

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training leaves what it needs to go on."""
        return self.folder.with_name(f"{self.folder.name}.training")

    @property
    def units(self) -> int:
        """Epochs to train, for the progress bar."""
        return getattr(self.settings, "epochs", 0)

    @property
    def tests_choose(self) -> bool:
        """The test part serves as validation part."""
        return bool(self.fold.validation) and self.fold.validation == self.fold.test

    def __str__(self) -> str:
        """Return a short name for progress lines."""
        return f"{self.system.name} · {self.corpus.name} · {self.protocol.name} · fold {self.fold.number}"


def plan(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str],
    *,
    profile: str = "full",
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
) -> list[Experiment]:
    """List the experiments of a study.

    Args:
        profile: ``full``, or ``quick``: fewer epochs and the first two folds of each protocol
        folds: numbers to take, instead of the profile's choice

    Raises:
        DataError: if a name or a fold number is unknown
    """
    if profile not in PROFILES:
        raise DataError(f"no profile is named {profile!r}; known: {', '.join(PROFILES)}")
    planned = []
    for name in protocols:
        for system in map(system_named, systems):
            for seed in seeds:
                everything = _folds(system, corpus_named(corpus), protocol_named(name), profile, seed)
                planned += _chosen(everything, profile, folds)
    return planned


def _folds(system: System, corpus: Corpus, protocol: Protocol, profile: str, seed: int) -> list[Experiment]:
    clips = labelled(corpus, system)
    folds = folds_of(
        clips, corpus, protocol, published=system.published_split, seed=seed, tests_choose=system.tests_choose
    )
    times = pd.Series(0, clips["clip"])
    experiments = []
    for fold in folds:
        times[list(fold.train)] += 1
        # Only what the authors did carries anything from one fold to the next.
        seen = times[list(fold.train)].tolist() if protocol.shares_speakers else [1] * len(fold.train)
        experiments.append(
            Experiment(system, corpus, protocol, fold, len(folds), seed, system.settings_for(profile), tuple(seen))
        )
    return experiments


def _chosen(experiments: list[Experiment], profile: str, folds: Sequence[int] | None) -> list[Experiment]:
    if folds is None:
        return experiments[:QUICK_FOLDS] if profile == "quick" else experiments
    if unknown := sorted(set(folds) - {experiment.fold.number for experiment in experiments}):
        first = experiments[0]
        raise DataError(
            f"{first.system.name} under {first.protocol.name} has no fold {unknown[0]}; it has 0 to {first.folds - 1}"
        )
    return [experiment for experiment in experiments if experiment.fold.number in folds]


def labelled(corpus: Corpus, system: System) -> pd.DataFrame:
    """Return the clips of a corpus that the system's label set keeps, with their class in the column ``truth``."""
    index = read_index(corpus)
    index["truth"] = system.labels.truths(index.emotion)
    return index.dropna(subset="truth").reset_index(drop=True)


def run(experiment: Experiment) -> Run:
    """Return a finished run, from its folder or by doing it.

    The recordings' features must be prepared (:func:`prepare_for`). A training that was killed goes on from its last
    epoch.

    Raises:
        DataError: if the split leaks, or the disk is full
    """
    if finished := read_run(experiment.folder):
        return finished
    started = time.perf_counter()
    system, fold = experiment.system, experiment.fold
    clips = labelled(experiment.corpus, system).set_index("clip", drop=False)
    leaks = leaks_of(experiment)
    refuse_leaks(leaks, where=str(experiment))

    normalisers = _normalisers(experiment, clips)
    tables = {view.name: _features(experiment, view) for view in _views(system)}

    def examples(names: tuple[str, ...], view: str = ORIGINAL.name) -> Examples:
        part = clips.loc[list(names)]
        arrays = (
            normalisers[speaker](tables[view][name]) if normalisers else tables[view][name]
            for name, speaker in zip(names, part.speaker, strict=True)
        )  # fmt: skip
        truth = part.truth.map(system.labels.classes.index).to_numpy(int)
        return Examples(tuple(arrays), truth, part.reset_index(drop=True))

    task = Task(
        train=examples(fold.train),
        validation=examples(fold.validation),
        classes=system.labels.classes,
        speakers_apart=not experiment.protocol.shares_speakers,
        times_trained=np.array(experiment.times_trained),
        seed=experiment.seed,
        checkpoint=experiment.checkpoint,
        copies=tuple(examples(fold.train, view.name) for view in system.training_views),
    )
    fitted = system.fit(experiment.settings, task)
    test = clips.loc[list(fold.test)]
    heard = {view.name: examples(fold.test, view.name).features for view in system.views}
    predictions = pd.concat(
        [_prediction_table(test, system, view, fitted, features) for view, features in heard.items()],
        ignore_index=True,
    )
    finished = write_run(
        experiment.folder,
        config=experiment.config,
        provenance=provenance(seconds=time.perf_counter() - started),
        metrics=_headline(predictions, experiment, fitted.chosen, leaks),
        tables={"predictions": predictions} | ({"history": pd.DataFrame(fitted.history)} if fitted.history else {}),
        weights=fitted.weights,
    )
    shutil.rmtree(experiment.checkpoint, ignore_errors=True)
    return finished


def run_many(
    experiments: Sequence[Experiment], *, jobs: int = -1, progress: bool = True, data: str | Path | None = None
) -> list[Run]:
    """Do all experiments that are not done, side by side, and return all runs in the order asked for.

    Args:
        jobs: processes, one thread each; -1: as many as there are cores
        progress: show a bar, and a line for each finished run

    Raises:
        DataError: as :func:`run`; runs finished until then stay
    """
    from joblib import Parallel, delayed

    left = [experiment for experiment in experiments if read_run(experiment.folder) is None]
    if left:
        prepare_for(left, data=data, progress=progress)
        jobs = min(len(left), os.cpu_count() or 1) if jobs == -1 else jobs
        with watched(left, shown=progress):
            # Longest first, so that the last process does not work alone.
            left = sorted(left, key=lambda experiment: -experiment.units)
            work = (delayed(run)(experiment) for experiment in left)
            for run_ in Parallel(n_jobs=jobs, return_as="generator_unordered")(work):
                if progress:
                    line(_line(run_))
    return read_runs(experiments)


@contextlib.contextmanager
def watched(experiments: Sequence[Experiment], *, shown: bool = True) -> Iterator[None]:
    """Draw a bar of epochs while unfinished experiments train, in this process or in others."""
    left = [experiment for experiment in experiments if read_run(experiment.folder) is None]
    units, over = sum(max(experiment.units, 1) for experiment in left), threading.Event()
    with bar(units, f"{len(left)} runs", "epoch", shown=shown and bool(left)) as drawn:

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


def prepare_for(experiments: Sequence[Experiment], *, data: str | Path | None = None, progress: bool = False) -> None:
    """Prepare all features that these experiments read."""
    wanted = {}
    for experiment in experiments:
        wanted[experiment.corpus.name, "audit"] = (experiment.corpus, LogMel(), ORIGINAL)
        if experiment.system.features:
            for view in _views(experiment.system):
                wanted[experiment.corpus.name, experiment.system.name, view.name] = (
                    experiment.corpus,
                    experiment.system.features,
                    view,
                )
    for corpus, features, view in wanted.values():
        prepare(corpus, features, view=view, data=data, progress=progress)


def read_runs(experiments: Sequence[Experiment]) -> list[Run]:
    """Read finished runs.

    Raises:
        DataError: naming the first experiment that has not been run
    """
    runs = [read_run(experiment.folder) for experiment in experiments]
    missing = [experiment for experiment, run_ in zip(experiments, runs, strict=True) if run_ is None]
    if missing:
        raise DataError(f"{missing[0]}: not run yet ({len(missing)} in all); run 30_train or `sernb experiment` first")
    return runs


def leaks_of(experiment: Experiment) -> list[Leak]:
    """Audit the split of an experiment, by name and by sound."""
    clips = labelled(experiment.corpus, experiment.system)
    fold = experiment.fold
    return audit(
        clips,
        fold,
        experiment.protocol,
        statistics_from=tuple(clips["clip"]) if experiment.protocol.transductive else fold.train,
        fingerprints=_fingerprints(experiment.corpus.name),
    )


@lru_cache
def _fingerprints(corpus: str) -> dict[str, np.ndarray]:
    table = prepare(corpus_named(corpus), LogMel())
    return {clip: fingerprint(table[clip]) for clip in table.position}


def _features(experiment: Experiment, view) -> FeatureTable | dict[str, np.ndarray]:
    if experiment.system.features is None:
        return dict.fromkeys(read_index(experiment.corpus)["clip"], np.zeros((1, 0), np.float32))
    return prepare(experiment.corpus, experiment.system.features, view=view)


def _normalisers(experiment: Experiment, clips: pd.DataFrame) -> dict[str, Normaliser]:
    """One for each speaker, fitted on that speaker's own clips, labels unseen; none for other protocols."""
    if not experiment.protocol.transductive:
        return {}
    table = _features(experiment, ORIGINAL)
    return {speaker: Normaliser([table[name] for name in names]) for speaker, names in clips.groupby("speaker")["clip"]}


def _views(system: System) -> tuple[View, ...]:
    """Every view that training or test hears, each once."""
    return tuple({view.name: view for view in (*system.views, *system.training_views)}.values())


def _prediction_table(
    test: pd.DataFrame, system: System, view: str, fitted: Fitted, features: tuple[np.ndarray, ...]
) -> pd.DataFrame:
    about = test[["clip", "speaker", "gender", "truth"]].reset_index(drop=True).assign(view=view)
    scores = pd.DataFrame(fitted.scores(features).astype(np.float32), columns=list(system.labels.classes))
    attributes = pd.DataFrame(fitted.attributes(features) if fitted.attributes else {})
    return pd.concat([about, scores, attributes], axis=1)


def _headline(predictions: pd.DataFrame, experiment: Experiment, chosen: dict, leaks: list[Leak]) -> dict:
    classes = list(experiment.system.labels.classes)
    original = predictions[predictions["view"] == ORIGINAL.name]
    truth, scores = original.truth.map(classes.index).to_numpy(int), original[classes].to_numpy(float)
    return {
        "clips": len(truth),
        "war": evaluation.war(truth, scores),
        "uar": evaluation.uar(truth, scores),
        "macro_f1": evaluation.macro_f1(truth, scores),
        "top3": evaluation.top_k(truth, scores),
        "chosen": {key: plain(getattr(value, "item", lambda value=value: value)()) for key, value in chosen.items()},
        "shared by design": {leak.kind: leak.count for leak in leaks},
    }


def _line(run_: Run) -> str:
    config, metrics = run_.config, run_.metrics
    name = f"{config['system']} · {config['protocol']} · fold {config['fold']}"
    return f"{name}: UAR {100 * metrics['uar']:.1f} % of {metrics['clips']} clips, {run_.provenance['seconds']:.0f} s"


def _done(experiment: Experiment) -> int:
    """Return how many of an experiment's units are behind it, by what it has left on disk."""
    if (experiment.folder / "metrics.json").exists():
        return max(experiment.units, 1)
    try:
        return int((experiment.checkpoint / "epochs.txt").read_text("utf-8"))
    except (OSError, ValueError):
        return 0
