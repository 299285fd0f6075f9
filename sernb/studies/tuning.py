"""Hyper-parameters by Optuna, judged on validation speakers: a study that can be stopped at any moment and goes on.

The authors of feature-cnn tune their network by hand, over architectures and batch sizes. Here a trial is a handful of
ordinary experiments under the protocol ``development``, so that a killed trial goes on from its last epoch. The study
itself, a small SQLite file beside the runs, holds finished trials only. What is tried next follows from them and from
the seed: a study that was killed ends as one that was not.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sernb import figures
from sernb.config import DataError, digest
from sernb.evaluation import Comparison, paired_test, uar
from sernb.results.result import Result
from sernb.results.result import collect_results as pooled
from sernb.runs.experiment import Experiment
from sernb.runs.runner import run_many
from sernb.runtime.progress import progress_line
from sernb.runtime.workers import shared_pool
from sernb.systems.feature_cnn import Settings

if TYPE_CHECKING:
    import optuna

Parameters = Mapping[str, float | int]

FIRST_AT_RANDOM = 10  # trials, before the sampler builds on what it has seen


def space() -> "dict[str, optuna.distributions.BaseDistribution]":
    """Return what is tuned of ``feature-cnn``, and where."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": CategoricalDistribution([16, 32, 64, 128]),
        "blocks": IntDistribution(2, 5),  # of convolution and pooling; the first ones are kept
        "dropout": FloatDistribution(0.0, 0.5, step=0.1),
        "dense_dropout": FloatDistribution(0.0, 0.7, step=0.1),
    }


def suggest_parameters(settings: Settings) -> Parameters:
    """Return where settings lie in the space.

    Examples:
        >>> suggest_parameters(Settings())["blocks"]
        5
    """
    named = {name: getattr(settings, name) for name in space() if name != "blocks"}
    return named | {"blocks": len(settings.filters)}


def make_settings(settings: Settings, parameters: Parameters) -> Settings:
    """Return settings moved to a point of the space; all else stays."""
    changes = dict(parameters)
    blocks = changes.pop("blocks")
    return replace(settings, filters=settings.filters[:blocks], kernels=settings.kernels[:blocks], **changes)


def plan_trial(experiments: Sequence[Experiment], parameters: Parameters) -> list[Experiment]:
    """Return the experiments of a trial, by fold."""
    return [replace(each, settings=make_settings(each.settings, parameters)) for each in experiments]


def read_result(experiments: Sequence[Experiment], parameters: Parameters) -> Result:
    """Return the finished runs of a trial, pooled over folds.

    Raises:
        DataError: if one has not been run
    """
    return pooled(plan_trial(experiments, parameters))[0]


def tune(
    experiments: Sequence[Experiment],
    trials: int,
    *,
    seed: int = 0,
    data: str | Path | None = None,
    jobs: int = -1,
) -> "optuna.Study":
    """Return a study of so many trials or more, from its file and by doing what is missing.

    The first trial is what the experiments ask for, the next ones lie at random, then Optuna's tree-structured Parzen
    estimator proposes (Bergstra et al., 2011). The objective is UAR over all scored clips.

    Args:
        experiments: of ``feature-cnn`` under the protocol ``development``, by fold

    Raises:
        DataError: if the study's file cannot be read, or as :func:`sernb.runs.runner.run_many`
    """
    from optuna.trial import create_trial

    study = open_study(experiments, seed=seed)
    with shared_pool(jobs):
        while (number := len(study.trials)) < trials:
            parameters = propose(study.trials, experiments, seed=seed)
            tried = plan_trial(experiments, parameters)
            seconds = sum(run.provenance["seconds"] for run in run_many(tried, jobs=jobs, progress=False, data=data))
            metrics = read_result(experiments, parameters).metrics()
            about = {"low": metrics.uar.low, "high": metrics.uar.high, "seconds": seconds}
            if len(study.trials) == number:  # else another process has just done the same
                value = metrics.uar.value
                study.add_trial(
                    create_trial(params=dict(parameters), distributions=space(), value=value, user_attrs=about)
                )
            progress_line(
                f"trial {number + 1} of {trials}: UAR {metrics.uar} %, best so far {100 * study.best_value:.1f} %"
            )
    return study


def propose(
    finished: "Sequence[optuna.trial.FrozenTrial]", experiments: Sequence[Experiment], *, seed: int
) -> Parameters:
    """Return what to try after these trials; it depends on them and on the seed alone."""
    import optuna

    if not finished:
        return suggest_parameters(experiments[0].settings)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=FIRST_AT_RANDOM, seed=int(digest(seed, len(finished))[:8], 16)
    )
    thinking = optuna.create_study(direction="maximize", sampler=sampler)
    thinking.add_trials(finished)
    return thinking.ask(space()).params


def open_study(experiments: Sequence[Experiment], *, seed: int) -> "optuna.Study":
    """Open the study of these experiments, empty if there is none yet.

    Raises:
        DataError: if its file cannot be read
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = study_path(experiments, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            if (found := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
        return optuna.create_study(study_name=path.stem, storage=storage, direction="maximize", load_if_exists=True)
    except (sqlite3.DatabaseError, RuntimeError) as error:
        raise DataError(
            f"{path}: is no study that can be read; remove it, finished trainings stay and need not be done again"
        ) from error


def study_path(experiments: Sequence[Experiment], *, seed: int) -> Path:
    """Return where the study lies, beside its runs: other recordings, folds, settings or space, another study."""
    configs = [each.config for each in experiments]
    name = digest(configs, {name: repr(where) for name, where in space().items()}, seed)
    return experiments[0].folder.with_name(f"search-{name}.sqlite")


# -- What was found -- #


def trials_table(study: "optuna.Study") -> pd.DataFrame:
    """Return the trials in order: trial (from 1), uar, low, high, best (so far), seconds, then a column a parameter."""
    rows = [
        {"trial": trial.number + 1, "uar": trial.value, **trial.user_attrs, **trial.params} for trial in study.trials
    ]
    table = pd.DataFrame(rows)
    table.insert(4, "best", table.uar.cummax())
    return table


def best_table(study: "optuna.Study", count: int = 5) -> pd.DataFrame:
    """Return the best trials, and the first one, for reading."""
    table = trials_table(study)
    shown = table.sort_values("uar", ascending=False, kind="stable").head(count)
    shown = pd.concat([shown, table[:1]]).drop_duplicates("trial")
    return pd.DataFrame(list(_rows(shown)))


def _rows(trials: pd.DataFrame) -> Iterator[dict]:
    for row in trials.to_dict("records"):
        yield {
            "Trial": f"{row['trial']} (as published)" if row["trial"] == 1 else str(row["trial"]),
            "UAR": f"{100 * row['uar']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]",
            **{name.replace("_", " ").capitalize(): f"{row[name]:.3g}" for name in space()},
            "Training (s of one core)": f"{row['seconds']:.0f}",
        }


def importances(study: "optuna.Study", *, seed: int = 0) -> dict[str, float]:
    """Return the share of the spread of UAR that each hyper-parameter explains by itself, by fANOVA; they sum to 1.

    Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014. Nothing
    where all trials are equally good, or there are fewer than two.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if len({trial.value for trial in study.trials}) < 2:
        return {}
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))


def plot_trials(study: "optuna.Study") -> figures.Drawing:
    """Plot UAR by trial with the best so far."""
    return figures.ablation.trials(trials_table(study), f"feature-cnn: {len(study.trials)} trials")


def plot_importances(study: "optuna.Study", *, seed: int = 0) -> Iterator[figures.Drawing]:
    """Plot what each hyper-parameter explains; nothing where :func:`importances` are none."""
    if found := importances(study, seed=seed):
        yield figures.ablation.importances(found, f"Importance of hyper-parameters after {len(study.trials)} trials")


def improvement(study: "optuna.Study", experiments: Sequence[Experiment]) -> Comparison:
    """Return by how much the best trial is above the first on the same clips; the best of many is lucky, too."""
    first, best = (read_result(experiments, trial.params) for trial in (study.trials[0], study.best_trial))
    return paired_test(uar, first.answers(), best.answers())
