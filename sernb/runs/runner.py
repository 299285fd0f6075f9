"""Experiments are done, one or many side by side, each into its run folder, and read back."""

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
from sernb.corpora.preparation import Read, prepare
from sernb.corpora.similar_recordings import find_similar_recordings
from sernb.encoders.loading import encoder_named
from sernb.features import Features
from sernb.features.normalisation import Normaliser
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
from sernb.systems.base import Examples, Fitted, OnDemand, Task
from sernb.systems.learning.linear_classifier import zero_unseen


def run(experiment: Experiment, *, wait: bool = True) -> Run | None:
    """Return a finished run, from its folder or by doing it.

    The recordings' features must be prepared (:func:`prepare_for`). A training that was killed goes on from its last
    epoch. Of several processes one does the run. A folder that is not as it was written is set aside.

    Args:
        wait: while another process is at it, for its result; otherwise nothing is returned

    Raises:
        DataError: if the split leaks, or the disk is full
    """
    from threadpoolctl import threadpool_limits

    if finished := _finished(experiment):
        return finished
    note = {"epochs": experiment.units, "begun": count_epochs(experiment.checkpoint)}
    with hold(experiment.lock, wait=wait, note=note) as mine:
        if not mine or (finished := _finished(experiment)):
            return finished
        set_aside_damaged(experiment)
        with contextlib.suppress(FileNotFoundError):
            experiment.failure.unlink()
        try:
            with threadpool_limits(1):  # how many cores there are decides nothing
                try:
                    return _do(experiment)
                except Damaged:
                    return _do(experiment)  # with features that are made again
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "")
            with contextlib.suppress(DataError), atomic(experiment.failure) as unfinished:
                unfinished.write_text(reason if isinstance(error, DataError) else f"{type(error).__name__}: {reason}")
            raise


def _finished(experiment: Experiment) -> Run | None:
    finished, _ = look_up(experiment)
    if finished:  # by a process that was killed before it had tidied up
        shutil.rmtree(experiment.checkpoint, ignore_errors=True)
    return finished


def _do(experiment: Experiment) -> Run:
    started = time.perf_counter()
    system, fold, labels = experiment.system, experiment.fold, experiment.labels
    clips = experiment.clips.set_index("clip", drop=False)
    leaks = refuse_leaky(experiment)

    if experiment.members:
        return _join(experiment, leaks)

    refuse_other_backend(experiment)
    commits = begin_training(experiment) if system.is_network else [commit()]
    normalisers = fit_normalisers(experiment)
    tables = {view.name: _features(experiment, view) for view in _views(experiment)}

    def examples(names: Sequence[str], view: str = ORIGINAL.name) -> Examples:
        part = clips.loc[list(names)]
        readers = (
            partial(_read, tables[view], name, normalisers.get(speaker))
            for name, speaker in zip(names, part.speaker.tolist(), strict=True)
        )
        return Examples(OnDemand(readers), labels.encode(part.truth), part.reset_index(drop=True))

    planted = experiment.protocol.planted
    copied = (fold.train, fold.test) if planted == "augmentation" else (fold.train,)
    task = Task(
        train=examples(fold.train),
        validation=examples(fold.validation),
        classes=labels.classes,
        speakers_apart=not experiment.protocol.shares_speakers,
        times_trained=np.array(experiment.times_trained),
        seed=experiment.seed,
        checkpoint=experiment.checkpoint,
        copies=tuple(examples(names, view.name) for names in copied for view in experiment.training_views),
        statistics=examples(tuple(clips.index)) if planted == "statistics" else None,
        features=system.features,
    )
    fitted = _answers_learned(system.fit(experiment.settings, task), experiment)
    test = clips.loc[list(fold.test)]
    heard = {view.name: examples(fold.test, view.name).features for view in experiment.views}
    predictions = pd.concat(
        [_prediction_table(test, labels, view, fitted, features) for view, features in heard.items()],
        ignore_index=True,
    )
    written = {"predictions": predictions}
    if fitted.history:
        written["history"] = pd.DataFrame(fitted.history)
    if system.chooses_epoch and task.validation and not experiment.tests_choose:
        held_out = clips.loc[list(fold.validation)]
        written["validation"] = _prediction_table(held_out, labels, ORIGINAL.name, fitted, task.validation.features)
    finished = write_run(
        experiment.folder,
        config=experiment.config,
        provenance=provenance(seconds=time.perf_counter() - started, commits=commits),
        metrics=_headline(predictions, experiment, fitted.chosen, leaks) | _size(experiment),
        tables=written,
        weights=fitted.weights,
    )
    shutil.rmtree(experiment.checkpoint, ignore_errors=True)
    return finished


def _answers_learned(fitted: Fitted, experiment: Experiment) -> Fitted:
    """Return a system that gives classes without a training clip the score 0, and says which these are."""
    if missing := [name for name in experiment.labels.classes if name not in experiment.learned]:
        chosen = fitted.chosen | {NEVER_LEARNED: ", ".join(missing)}
        return replace(fitted, scores=lambda features: learned_only(fitted.scores(features), experiment), chosen=chosen)
    return fitted


def learned_only(scores: np.ndarray, experiment: Experiment) -> np.ndarray:
    """Return scores, ``(clips, classes)``, with 0 for classes that no training clip has; rows sum to 1."""
    return zero_unseen(scores, np.isin(experiment.labels.classes, experiment.learned))


def _join(experiment: Experiment, leaks: list[Leak]) -> Run:
    """Join the scores of the members' runs, which are done where they are not."""
    runs = [run(member) for member in experiment.members]
    classes = list(experiment.labels.classes)
    about = runs[0].predictions[["clip", "speaker", "gender", "truth", "view"]]
    scores = [each.predictions[classes].to_numpy(float) for each in runs]
    join, learned = _joining(experiment, runs)
    predictions = pd.concat([about, _score_table(join(scores), classes)], axis=1)
    chosen = {f"run of {each.config['system']}": each.folder.name for each in runs} | learned
    return write_run(
        experiment.folder,
        config=experiment.config,
        provenance=provenance(
            seconds=sum(each.provenance["seconds"] for each in runs),
            members={each.config["system"]: commits_of(each.provenance) for each in runs},
        ),
        metrics=_headline(predictions, experiment, chosen, leaks) | _size(experiment),
        tables={"predictions": predictions},
    )


def _joining(experiment: Experiment, runs: list[Run]) -> tuple[Callable, dict[str, int]]:
    """Return what joins the members' scores, and from how many clips it learned: of the validation part, no others."""
    system, settings = experiment.system, experiment.settings
    if system.joining is None:
        return partial(system.joined, settings), {}
    tables, classes = [each.validation for each in runs], list(experiment.labels.classes)
    counted = {"clips that taught the joining": min(map(len, tables))}
    if not all(counted.values()):
        return partial(system.joined, settings), counted
    truth = tables[0].truth.map(classes.index).to_numpy(int)
    scores = [table[classes].to_numpy(float) for table in tables]
    return system.joining(settings, scores, truth, experiment.seed), counted


def run_many(
    experiments: Sequence[Experiment],
    *,
    jobs: int = -1,
    cluster: str | None = None,
    progress: bool = True,
    data: str | Path | None = None,
) -> list[Run]:
    """Do all experiments that are not done, side by side, and return all runs in the order asked for.

    One that fails does not keep the others from being done. Those that another process is at are waited for at the
    end, and done if that process ends without.

    Args:
        jobs: processes, one thread each; -1: as many as there are cores
        cluster: address of a Dask scheduler, whose workers do them instead, see :mod:`sernb.runtime.cluster`
        progress: show a bar, and a line for each finished run

    Raises:
        DataError: as :func:`run` and :mod:`sernb.runtime.workers`; finished runs stay
    """
    left = [experiment for experiment in experiments if _finished(experiment) is None]
    for damaged in [each for whole in left for each in (whole, *whole.members) if look_up(each)[1]]:
        with hold(damaged.lock, wait=False) as mine:  # here, where the line is seen
            if mine:
                set_aside_damaged(damaged)
    if left:
        side_by_side = partial(run_on_cluster, address=cluster) if cluster else partial(run_on_cores, jobs=jobs)
        if cluster:  # what its workers cannot prepare is prepared here
            list(side_by_side(partial(_try_to_prepare, data=data), _features_of(left)))
        else:  # a missing encoder is told before anything is computed
            every = [each for whole in left for each in whole.members or (whole,)]
            for name in {getattr(each.settings, "encoder", "") for each in every} - {""}:
                encoder_named(name)
        prepare_for(left, data=data, progress=progress)
        # Longest first, so that the last process does not work alone.
        left = sorted(left, key=lambda experiment: -experiment.units)
        with watch(left, shown=progress):
            busy, problems = _each_once(side_by_side, left, progress=progress, wait=False)
            if busy:
                problems += _each_once(side_by_side, busy, progress=progress, wait=True)[1]
        if problems := list(dict.fromkeys(problems)):
            raise DataError.of_many(problems, "more; see `sernb status`")
    return read_runs(experiments)


def _each_once(
    side_by_side: Callable[..., Iterator], experiments: list[Experiment], *, progress: bool, wait: bool
) -> tuple[list[Experiment], list[str]]:
    """Do each experiment; return those that other processes are at, and what went wrong with others."""
    busy, problems = [], []
    for number, outcome in side_by_side(partial(_attempt, wait=wait), list(enumerate(experiments))):
        if outcome is None:
            busy.append(experiments[number])
        elif isinstance(outcome, DataError):
            problems += outcome.args
        elif progress:
            progress_line(_line(outcome))
    return busy, problems


def _attempt(numbered: tuple[int, Experiment], *, wait: bool) -> tuple[int, Run | DataError | None]:
    number, experiment = numbered
    try:
        return number, run(experiment, wait=wait)
    except DataError as error:
        return number, error


def prepare_for(experiments: Sequence[Experiment], *, data: str | Path | None = None, progress: bool = False) -> None:
    """Prepare all features that these experiments read, and what the audit asks of their corpora."""
    for corpus, features, view in _features_of(experiments):
        prepare(corpus, features, view=view, data=data, progress=progress)
    for corpus in {experiment.corpus.name: experiment.corpus for experiment in experiments}.values():
        find_similar_recordings(corpus, data=data, progress=progress)


def _try_to_prepare(wanted: tuple[Pool, Features, View], *, data: str | Path | None) -> None:
    corpus, features, view = wanted
    with contextlib.suppress(DataError):
        prepare(corpus, features, view=view, data=data)


def _features_of(experiments: Sequence[Experiment]) -> list[tuple[Pool, Features, View]]:
    wanted = {}
    for experiment in [each for whole in experiments for each in whole.members or (whole,)]:
        kinds = []
        if features := experiment.system.features:
            kinds += [(features, view) for view in _views(experiment)]
            kinds += [(features, experiment.added.view)] if experiment.added else []
        wanted |= {(experiment.corpus.name, *kind): (experiment.corpus, *kind) for kind in kinds}
    return list(wanted.values())


def read_runs(experiments: Sequence[Experiment]) -> list[Run]:
    """Read finished runs.

    Raises:
        DataError: naming the first experiment that has not been run
    """
    looked = [look_up(experiment) for experiment in experiments]
    runs = [run_ for run_, _ in looked]
    if problems := [problem for _, problem in looked if problem]:
        raise DataError.of_many([f"{each}; run `sernb experiment` again" for each in problems], "more")
    missing = [experiment for experiment, run_ in zip(experiments, runs, strict=True) if run_ is None]
    if missing:
        command = f"sernb run 30_train -p corpus {missing[0].corpus.name}"
        how = f"run the cells of 30_train with these parameters, or `{command}`"
        raise DataError(f"{missing[0]}: not run yet ({len(missing)} in all); {how}")
    return runs


def _features(experiment: Experiment, view: View) -> Mapping[str, np.ndarray]:
    if experiment.system.features is None:
        return dict.fromkeys(experiment.clips["clip"], np.zeros((1, 0), np.float32))
    table = prepare(experiment.corpus, experiment.system.features, view=view)
    if (added := experiment.added) and view == ORIGINAL:
        copies = prepare(experiment.corpus, experiment.system.features, view=added.view)
        return Read(*table.parts, ({added.name_of(clip): clip for clip in copies}, copies))
    return table


def _read(table: Mapping[str, np.ndarray], clip: str, normaliser: Normaliser | None) -> np.ndarray:
    return normaliser(table[clip]) if normaliser else table[clip]


def fit_normalisers(experiment: Experiment) -> dict[str, Normaliser]:
    """One for each speaker, fitted on that speaker's own clips, labels unseen; none for other protocols."""
    if not experiment.protocol.transductive:
        return {}
    table, speakers = _features(experiment, ORIGINAL), experiment.clips.groupby("speaker")["clip"]
    return {speaker: Normaliser([table[name] for name in names]) for speaker, names in speakers}


def _views(experiment: Experiment) -> tuple[View, ...]:
    """Every view that training or test hears, each once."""
    return tuple({view.name: view for view in (*experiment.views, *experiment.training_views)}.values())


def _prediction_table(
    test: pd.DataFrame, labels: LabelSet, view: str, fitted: Fitted, features: Sequence[np.ndarray]
) -> pd.DataFrame:
    about = test[["clip", "speaker", "gender", "truth"]].reset_index(drop=True).assign(view=view)
    if labels.numeric:
        values = fitted.scores(features)
        return about.assign(truth=_written(about.truth.to_numpy(float)), prediction=_written(values))
    scores = _score_table(fitted.scores(features), list(labels.classes))
    attributes = pd.DataFrame(fitted.attributes(features) if fitted.attributes else {})
    return pd.concat([about, scores, attributes], axis=1)


def _score_table(scores: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return scores as they are written, with seven digits, after the class of the highest (the first of equals)."""
    written = _written(scores.astype(np.float32))
    prediction = pd.DataFrame({"prediction": np.array(classes)[written.argmax(axis=1)]})
    return pd.concat([prediction, pd.DataFrame(written, columns=classes)], axis=1)


def _written(values: np.ndarray) -> np.ndarray:
    return np.char.mod("%.7g", values).astype(float)


def _size(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Return parameters and multiply-adds for a clip of the network, as far as they are known."""
    if experiment.system.network is None:
        return {}
    from sernb.systems.inspection import build_network, count_multiply_adds, count_parameters

    system, classes = replace(experiment.system, settings=experiment.settings), len(experiment.labels.classes)
    size = {"parameters": count_parameters(system, classes=classes)}
    with contextlib.suppress(TypeError):  # of a layer whose work is not known
        size["multiply_adds"] = count_multiply_adds(build_network(system, classes=classes))
    return {"size": size}


def _headline(predictions: pd.DataFrame, experiment: Experiment, chosen: dict, leaks: list[Leak]) -> dict:
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


def _line(run_: Run) -> str:
    config, metrics = run_.config, run_.metrics
    name = f"{config['system']} · {config['protocol']} · fold {config['fold']}"
    score = f"UAR {100 * metrics['uar']:.1f} %" if "uar" in metrics else f"CCC {metrics['ccc'] or 0:.3f}"
    return f"{name}: {score} of {metrics['clips']} clips, {run_.provenance['seconds']:.0f} s"
