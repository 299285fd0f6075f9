"""Run experiments, one or many in parallel, and read their runs."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import evaluation
from sernb.audio.augmentation import ORIGINAL, View
from sernb.config import DataError, plain
from sernb.corpora.pool import Pool
from sernb.corpora.preparation import PooledFeatures, prepare
from sernb.corpora.similar_recordings import find_similar_recordings
from sernb.encoders.loading import load_encoder
from sernb.features import Features
from sernb.features.normalisation import Normaliser, normalise_scores
from sernb.protocols.labels import LabelSet
from sernb.protocols.leak_audit import Leak
from sernb.runs.experiment import Experiment
from sernb.runs.monitor import watch
from sernb.runs.run_folder import NEVER_LEARNED, Run, count_epochs, write_run
from sernb.runs.run_state import begin_training, look_up, refuse_other_backend, set_aside_damaged
from sernb.runs.split_audit import refuse_leaky
from sernb.runtime.cluster import run_on_cluster
from sernb.runtime.files import Damaged, atomic
from sernb.runtime.locks import hold
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import commit, commits_of, provenance
from sernb.runtime.workers import run_on_cores
from sernb.systems.base import Examples, Fitted, LazyArrays, Task
from sernb.systems.learning.linear_classifier import zero_unseen


def run(experiment: Experiment, *, wait: bool = True) -> Run | None:
    """Return the run of an experiment, from its folder or by executing it.

    The features must be cached already (:func:`prepare_for`). An interrupted training resumes from its last epoch. Only
    one of several processes executes a run. A damaged run folder is set aside.

    Args:
        wait: wait for the result of another process that executes this run; otherwise return None

    Raises:
        DataError: if the split leaks, or the disk is full
    """
    from threadpoolctl import threadpool_limits

    if finished := _read_finished(experiment):
        return finished
    note = {"epochs": experiment.units, "begun": count_epochs(experiment.checkpoint)}
    with hold(experiment.lock, wait=wait, note=note) as acquired:
        if not acquired or (finished := _read_finished(experiment)):
            return finished
        set_aside_damaged(experiment)
        with contextlib.suppress(FileNotFoundError):
            experiment.failure.unlink()
        try:
            with threadpool_limits(1):  # results must not depend on the number of cores
                try:
                    return _execute(experiment)
                except Damaged:
                    return _execute(experiment)  # with recomputed features
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "")
            with contextlib.suppress(DataError), atomic(experiment.failure) as unfinished:
                unfinished.write_text(reason if isinstance(error, DataError) else f"{type(error).__name__}: {reason}")
            raise


def _read_finished(experiment: Experiment) -> Run | None:
    finished, _ = look_up(experiment)
    if finished:  # a killed process may have left its checkpoint
        shutil.rmtree(experiment.checkpoint, ignore_errors=True)
    return finished


def _execute(experiment: Experiment) -> Run:
    started = time.perf_counter()
    system, fold, labels = experiment.system, experiment.fold, experiment.labels
    clips = experiment.clips.set_index("clip", drop=False)
    leaks = refuse_leaky(experiment)

    if experiment.members:
        return _combine_members(experiment, leaks)

    refuse_other_backend(experiment)
    commits = begin_training(experiment) if system.is_network else [commit()]
    normalisers = fit_normalisers(experiment)
    tables = {view.name: _open_features(experiment, view) for view in _list_views(experiment)}

    def make_examples(names: Sequence[str], view: str = ORIGINAL.name) -> Examples:
        part = clips.loc[list(names)]
        readers = (
            partial(_read_features, tables[view], name, normalisers.get(speaker))
            for name, speaker in zip(names, part.speaker.tolist(), strict=True)
        )
        return Examples(LazyArrays(readers), labels.encode(part.truth), part.reset_index(drop=True))

    leak = experiment.protocol.introduced_leak
    copied = (fold.train, fold.test) if leak == "augmentation" else (fold.train,)
    task = Task(
        train=make_examples(fold.train),
        validation=make_examples(fold.validation),
        classes=labels.classes,
        speaker_independent=not experiment.protocol.shares_speakers,
        times_trained=np.array(experiment.times_trained),
        seed=experiment.seed,
        checkpoint=experiment.checkpoint,
        copies=tuple(make_examples(names, view.name) for names in copied for view in experiment.training_views),
        statistics=make_examples(tuple(clips.index)) if leak == "statistics" else None,
        features=system.features,
    )
    fitted = _mask_untrained(system.fit(experiment.settings, task), experiment)
    test = clips.loc[list(fold.test)]
    inputs = {view.name: make_examples(fold.test, view.name).features for view in experiment.views}
    predictions = pd.concat(
        [_prediction_table(test, labels, view, fitted, features) for view, features in inputs.items()],
        ignore_index=True,
    )
    results = {"predictions": predictions}
    if fitted.history:
        results["history"] = pd.DataFrame(fitted.history)
    if system.selects_epoch and task.validation and not experiment.selects_on_test:
        held_out = clips.loc[list(fold.validation)]
        results["validation"] = _prediction_table(held_out, labels, ORIGINAL.name, fitted, task.validation.features)
    finished = write_run(
        experiment.folder,
        config=experiment.config,
        provenance=provenance(seconds=time.perf_counter() - started, commits=commits),
        metrics=_compute_metrics(predictions, experiment, fitted.chosen, leaks) | _measure_size(experiment),
        tables=results,
        weights=fitted.weights,
    )
    shutil.rmtree(experiment.checkpoint, ignore_errors=True)
    return finished


def _mask_untrained(fitted: Fitted, experiment: Experiment) -> Fitted:
    """Set the scores of classes without training clips to 0, and record these classes."""
    if missing := [name for name in experiment.labels.classes if name not in experiment.trained_classes]:
        chosen = fitted.chosen | {NEVER_LEARNED: ", ".join(missing)}
        return replace(fitted, scores=lambda features: mask_scores(fitted.scores(features), experiment), chosen=chosen)
    return fitted


def mask_scores(scores: np.ndarray, experiment: Experiment) -> np.ndarray:
    """Return scores, ``(clips, classes)``, with 0 for classes without training clips; rows sum to 1."""
    return zero_unseen(scores, np.isin(experiment.labels.classes, experiment.trained_classes))


def _combine_members(experiment: Experiment, leaks: list[Leak]) -> Run:
    """Combine the scores of an ensemble's members, or normalise those of one; run those that are not finished."""
    runs = [run(member) for member in experiment.members]
    classes = list(experiment.labels.classes)
    metadata = runs[0].predictions[["clip", "speaker", "gender", "truth", "view"]]
    scores = [each.predictions[classes].to_numpy(float) for each in runs]
    combine, counts = _fit_combination(experiment, runs)
    predictions = pd.concat([metadata, _score_table(combine(scores), classes)], axis=1)
    chosen = {f"run of {each.config['system']}": each.folder.name for each in runs} | counts
    return write_run(
        experiment.folder,
        config=experiment.config,
        provenance=provenance(
            seconds=sum(each.provenance["seconds"] for each in runs),
            members={each.config["system"]: commits_of(each.provenance) for each in runs},
        ),
        metrics=_compute_metrics(predictions, experiment, chosen, leaks) | _measure_size(experiment),
        tables={"predictions": predictions},
    )


def _fit_combination(experiment: Experiment, runs: list[Run]) -> tuple[Callable, dict[str, int]]:
    """Return the function that combines the members' scores, and the number of validation clips it was fitted on."""
    system, settings = experiment.system, experiment.settings
    if not system.members:
        speakers = runs[0].predictions.speaker + " " + runs[0].predictions["view"]
        return lambda scores: mask_scores(normalise_scores(*scores, speakers.to_numpy()), experiment), {}
    if system.fit_combiner is None:
        return partial(system.combine, settings), {}
    tables, classes = [each.validation for each in runs], list(experiment.labels.classes)
    counts = {"clips that taught the joining": min(map(len, tables))}
    if not all(counts.values()):
        return partial(system.combine, settings), counts
    truth = tables[0].truth.map(classes.index).to_numpy(int)
    scores = [table[classes].to_numpy(float) for table in tables]
    return system.fit_combiner(settings, scores, truth, experiment.seed), counts


def run_many(
    experiments: Sequence[Experiment],
    *,
    jobs: int = -1,
    cluster: str | None = None,
    progress: bool = True,
    data: str | Path | None = None,
) -> list[Run]:
    """Run all unfinished experiments in parallel, and return all runs in the order of the experiments.

    A failed run does not stop the others. Runs that another process executes are awaited at the end, and executed here
    if that process ends without a result.

    Args:
        jobs: number of processes with one thread each; -1: one per core
        cluster: address of a Dask scheduler, to use its workers instead, see :mod:`sernb.runtime.cluster`
        progress: show a progress bar, and a line for each finished run

    Raises:
        DataError: as :func:`run` and :mod:`sernb.runtime.workers`; finished runs are kept
    """
    unfinished = [experiment for experiment in experiments if _read_finished(experiment) is None]
    for damaged in [part for whole in unfinished for part in whole.parts if look_up(part)[1]]:
        with hold(damaged.lock, wait=False) as acquired:  # in this process, so that the message is shown
            if acquired:
                set_aside_damaged(damaged)
    if unfinished:
        run_parallel = partial(run_on_cluster, address=cluster) if cluster else partial(run_on_cores, jobs=jobs)
        if cluster:  # features that its workers cannot compute are computed here
            list(run_parallel(partial(_try_to_prepare, data=data), _list_features(unfinished)))
        else:  # report a missing encoder before computing anything
            trained = [part for whole in unfinished for part in whole.trained]
            for name in {getattr(part.settings, "encoder", "") for part in trained} - {""}:
                load_encoder(name)
        prepare_for(unfinished, data=data, progress=progress)
        # Longest first, so that no single long run remains at the end.
        unfinished = sorted(unfinished, key=lambda experiment: -experiment.units)
        with watch(unfinished, shown=progress):
            busy, problems = _attempt_all(run_parallel, unfinished, progress=progress, wait=False)
            if busy:
                problems += _attempt_all(run_parallel, busy, progress=progress, wait=True)[1]
        if problems := list(dict.fromkeys(problems)):
            raise DataError.of_many(problems, "more; see `sernb status`")
    return read_runs(experiments)


def _attempt_all(
    run_parallel: Callable[..., Iterator], experiments: list[Experiment], *, progress: bool, wait: bool
) -> tuple[list[Experiment], list[str]]:
    """Try each experiment; return those that other processes are executing, and the problems of failed ones."""
    busy, problems = [], []
    for number, outcome in run_parallel(partial(_attempt, wait=wait), list(enumerate(experiments))):
        if outcome is None:
            busy.append(experiments[number])
        elif isinstance(outcome, DataError):
            problems += outcome.args
        elif progress:
            progress_line(_summarise(outcome))
    return busy, problems


def _attempt(numbered: tuple[int, Experiment], *, wait: bool) -> tuple[int, Run | DataError | None]:
    number, experiment = numbered
    try:
        return number, run(experiment, wait=wait)
    except DataError as error:
        return number, error


def prepare_for(experiments: Sequence[Experiment], *, data: str | Path | None = None, progress: bool = False) -> None:
    """Compute all features that these experiments and the leak audit need."""
    for corpus, features, view in _list_features(experiments):
        prepare(corpus, features, view=view, data=data, progress=progress)
    for corpus in {experiment.corpus.name: experiment.corpus for experiment in experiments}.values():
        find_similar_recordings(corpus, data=data, progress=progress)


def _try_to_prepare(wanted: tuple[Pool, Features, View], *, data: str | Path | None) -> None:
    corpus, features, view = wanted
    with contextlib.suppress(DataError):
        prepare(corpus, features, view=view, data=data)


def _list_features(experiments: Sequence[Experiment]) -> list[tuple[Pool, Features, View]]:
    wanted = {}
    for experiment in [each for whole in experiments for each in whole.trained]:
        kinds = []
        if features := experiment.system.features:
            kinds += [(features, view) for view in _list_views(experiment)]
            kinds += [(features, experiment.added.view)] if experiment.added else []
        wanted |= {(experiment.corpus.name, *kind): (experiment.corpus, *kind) for kind in kinds}
    return list(wanted.values())


def read_runs(experiments: Sequence[Experiment]) -> list[Run]:
    """Read finished runs.

    Raises:
        DataError: with the first experiment that has not been run
    """
    results = [look_up(experiment) for experiment in experiments]
    runs = [run_ for run_, _ in results]
    if problems := [problem for _, problem in results if problem]:
        raise DataError.of_many([f"{problem}; run `sernb experiment` again" for problem in problems], "more")
    missing = [experiment for experiment, run_ in zip(experiments, runs, strict=True) if run_ is None]
    if missing:
        command = f"sernb run 30_train -p corpus {missing[0].corpus.name}"
        advice = f"run the cells of 30_train with these parameters, or `{command}`"
        raise DataError(f"{missing[0]}: not run yet ({len(missing)} in all); {advice}")
    return runs


def _open_features(experiment: Experiment, view: View) -> Mapping[str, np.ndarray]:
    if experiment.system.features is None:
        return dict.fromkeys(experiment.clips["clip"], np.zeros((1, 0), np.float32))
    table = prepare(experiment.corpus, experiment.system.features, view=view)
    if (added := experiment.added) and view == ORIGINAL:
        copies = prepare(experiment.corpus, experiment.system.features, view=added.view)
        return PooledFeatures(*table.parts, ({added.name_of(clip): clip for clip in copies}, copies))
    return table


def _read_features(table: Mapping[str, np.ndarray], clip: str, normaliser: Normaliser | None) -> np.ndarray:
    return normaliser(table[clip]) if normaliser else table[clip]


def fit_normalisers(experiment: Experiment) -> dict[str, Normaliser]:
    """Fit one normaliser per speaker on all clips of the speaker, without labels; empty for other protocols."""
    if not experiment.protocol.transductive:
        return {}
    table, speakers = _open_features(experiment, ORIGINAL), experiment.clips.groupby("speaker")["clip"]
    return {speaker: Normaliser([table[name] for name in names]) for speaker, names in speakers}


def _list_views(experiment: Experiment) -> tuple[View, ...]:
    """Return all different views used in training or test."""
    return tuple({view.name: view for view in (*experiment.views, *experiment.training_views)}.values())


def _prediction_table(
    test: pd.DataFrame, labels: LabelSet, view: str, fitted: Fitted, features: Sequence[np.ndarray]
) -> pd.DataFrame:
    metadata = test[["clip", "speaker", "gender", "truth"]].reset_index(drop=True).assign(view=view)
    if labels.numeric:
        values = fitted.scores(features)
        return metadata.assign(truth=_round(metadata.truth.to_numpy(float)), prediction=_round(values))
    scores = _score_table(fitted.scores(features), list(labels.classes))
    auxiliary_outputs = pd.DataFrame(fitted.auxiliary_outputs(features) if fitted.auxiliary_outputs else {})
    return pd.concat([metadata, scores, auxiliary_outputs], axis=1)


def _score_table(scores: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return predictions (ties: the first class) and scores, rounded to seven digits as in the CSV file."""
    rounded = _round(scores.astype(np.float32))
    prediction = pd.DataFrame({"prediction": np.array(classes)[rounded.argmax(axis=1)]})
    return pd.concat([prediction, pd.DataFrame(rounded, columns=classes)], axis=1)


def _round(values: np.ndarray) -> np.ndarray:
    return np.char.mod("%.7g", values).astype(float)


def _measure_size(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Return the number of parameters of the network, and its multiply-adds per clip if they are known."""
    if experiment.system.network is None:
        return {}
    from sernb.systems.inspection import build_network, count_multiply_adds, count_parameters

    system, classes = replace(experiment.system, settings=experiment.settings), len(experiment.labels.classes)
    size = {"parameters": count_parameters(system, classes=classes)}
    with contextlib.suppress(TypeError):  # raised for layers with an unknown number of operations
        size["multiply_adds"] = count_multiply_adds(build_network(system, classes=classes))
    return {"size": size}


def _compute_metrics(predictions: pd.DataFrame, experiment: Experiment, chosen: dict, leaks: list[Leak]) -> dict:
    classes = list(experiment.labels.classes)
    original = predictions[predictions["view"] == ORIGINAL.name]
    truth = experiment.labels.encode(original.truth)
    if experiment.labels.numeric:
        values = original.prediction.to_numpy(float)
        metrics = {name: each(truth, values) for name, each in evaluation.OF_NUMBERS.items()}
        metrics = {name: None if np.isnan(value) else value for name, value in metrics.items()}  # JSON has no NaN
    else:
        scores = original[classes].to_numpy(float)
        metrics = {
            "war": evaluation.war(truth, scores),
            "uar": evaluation.uar(truth, scores),
            "macro_f1": evaluation.macro_f1(truth, scores),
            "top3": evaluation.top_k(truth, scores),
        }
    return {
        "clips": len(truth),
        **metrics,
        "chosen": {key: plain(getattr(value, "item", lambda value=value: value)()) for key, value in chosen.items()},
        "shared by design": {leak.kind: leak.count for leak in leaks},
        "dropped": experiment.dropped,
    }


def _summarise(run_: Run) -> str:
    config, metrics = run_.config, run_.metrics
    name = f"{config['system']} · {config['protocol']} · fold {config['fold']}"
    score = f"UAR {100 * metrics['uar']:.1f} %" if "uar" in metrics else f"CCC {metrics['ccc'] or 0:.3f}"
    return f"{name}: {score} of {metrics['clips']} clips, {run_.provenance['seconds']:.0f} s"
