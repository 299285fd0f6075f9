"""Hyper-parameter search with Optuna on validation speakers, which can be interrupted and resumed at any time.

The authors of feature-cnn tuned their network by hand, over architectures and batch sizes. Here a trial consists of
ordinary experiments under the protocol ``development``, so that an interrupted trial resumes from its last checkpoint.
The study, a small SQLite file next to the runs, contains finished trials only. The next trial depends only on these and
on the seed, so that interruptions do not change the outcome.
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

FIRST_AT_RANDOM = 10  # random trials before the sampler uses the results


def space() -> "dict[str, optuna.distributions.BaseDistribution]":
    """Return the search space of ``feature-cnn``."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": CategoricalDistribution([16, 32, 64, 128]),
        "blocks": IntDistribution(2, 5),  # convolution and pooling blocks, the first of the published ones
        "dropout": FloatDistribution(0.0, 0.5, step=0.1),
        "dense_dropout": FloatDistribution(0.0, 0.7, step=0.1),
    }


def suggest_parameters(settings: Settings) -> Parameters:
    """Return the point of the search space for some settings.

    Examples:
        >>> suggest_parameters(Settings())["blocks"]
        5
    """
    named = {name: getattr(settings, name) for name in space() if name != "blocks"}
    return named | {"blocks": len(settings.filters)}


def make_settings(settings: Settings, parameters: Parameters) -> Settings:
    """Return the settings for a point of the search space; other settings are unchanged."""
    changes = dict(parameters)
    blocks = changes.pop("blocks")
    return replace(settings, filters=settings.filters[:blocks], kernels=settings.kernels[:blocks], **changes)


def plan_trial(experiments: Sequence[Experiment], parameters: Parameters) -> list[Experiment]:
    """Return the experiments of a trial, by fold."""
    return [replace(each, settings=make_settings(each.settings, parameters)) for each in experiments]


def read_result(experiments: Sequence[Experiment], parameters: Parameters) -> Result:
    """Return the finished runs of a trial, pooled over folds.

    Raises:
        DataError: if a run is missing
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
    """Return a study with at least this number of trials, running the missing ones.

    The first trial has the settings of the experiments, the next ones are random, and then Optuna's tree-structured
    Parzen estimator (Bergstra et al., 2011) proposes them. The objective is UAR over all scored clips.

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
            trial = plan_trial(experiments, parameters)
            seconds = sum(run.provenance["seconds"] for run in run_many(trial, jobs=jobs, progress=False, data=data))
            metrics = read_result(experiments, parameters).metrics()
            attributes = {"low": metrics.uar.low, "high": metrics.uar.high, "seconds": seconds}
            if len(study.trials) == number:  # otherwise another process has just added the same trial
                value = metrics.uar.value
                study.add_trial(
                    create_trial(params=dict(parameters), distributions=space(), value=value, user_attrs=attributes)
                )
            progress_line(
                f"trial {number + 1} of {trials}: UAR {metrics.uar.as_percent()}, "
                f"best so far {100 * study.best_value:.1f} %"
            )
    return study


def propose(
    finished: "Sequence[optuna.trial.FrozenTrial]", experiments: Sequence[Experiment], *, seed: int
) -> Parameters:
    """Propose the parameters of the next trial; they depend only on the finished trials and the seed."""
    import optuna

    if not finished:
        return suggest_parameters(experiments[0].settings)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=FIRST_AT_RANDOM, seed=int(digest(seed, len(finished))[:8], 16)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(finished)
    return study.ask(space()).params


def open_study(experiments: Sequence[Experiment], *, seed: int) -> "optuna.Study":
    """Open the study of these experiments; a new one is empty.

    Raises:
        DataError: if its file cannot be read
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = study_path(experiments, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            if (outcome := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(outcome)
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
        return optuna.create_study(study_name=path.stem, storage=storage, direction="maximize", load_if_exists=True)
    except (sqlite3.DatabaseError, RuntimeError) as error:
        raise DataError(
            f"{path}: is not a readable study; remove it, finished trainings are kept and not repeated"
        ) from error


def study_path(experiments: Sequence[Experiment], *, seed: int) -> Path:
    """Return the path of the study, next to its runs; it depends on recordings, folds, settings, space and seed."""
    configs = [each.config for each in experiments]
    name = digest(configs, {name: repr(where) for name, where in space().items()}, seed)
    return experiments[0].folder.with_name(f"search-{name}.sqlite")


# -- Results -- #


def trials_table(study: "optuna.Study") -> pd.DataFrame:
    """Return the trials in order: trial (from 1), uar, low, high, best (so far), seconds, and the parameters."""
    rows = [
        {"trial": trial.number + 1, "uar": trial.value, **trial.user_attrs, **trial.params} for trial in study.trials
    ]
    table = pd.DataFrame(rows)
    table.insert(4, "best", table.uar.cummax())
    return table


def best_table(study: "optuna.Study", count: int = 5) -> pd.DataFrame:
    """Return the best trials and the first one, formatted for display."""
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
            "Training (s, one core)": f"{row['seconds']:.0f}",
        }


def importances(study: "optuna.Study", *, seed: int = 0) -> dict[str, float]:
    """Return the share of the variance of UAR that each hyper-parameter explains on its own (fANOVA), in sum 1.

    Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014. Empty if
    all trials have the same UAR, or there are fewer than two.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if len({trial.value for trial in study.trials}) < 2:
        return {}
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))


def plot_trials(study: "optuna.Study") -> figures.Drawing:
    """Plot UAR by trial, with the best so far."""
    return figures.ablation.trials(trials_table(study), f"feature-cnn: {len(study.trials)} trials")


def plot_importances(study: "optuna.Study", *, seed: int = 0) -> Iterator[figures.Drawing]:
    """Plot the :func:`importances`; nothing if they are empty."""
    if shares := importances(study, seed=seed):
        yield figures.ablation.importances(shares, f"Importance of hyper-parameters after {len(study.trials)} trials")


def improvement(study: "optuna.Study", experiments: Sequence[Experiment]) -> Comparison:
    """Test the best trial against the first on the same clips; the best of many is optimistic."""
    first, best = (read_result(experiments, trial.params) for trial in (study.trials[0], study.best_trial))
    return paired_test(uar, first.to_predictions(), best.to_predictions())
