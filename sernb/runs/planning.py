"""Plan the experiments of a study: one for each system, protocol, seed and fold."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, View
from sernb.config import PROFILES, DataError, Infeasible
from sernb.corpora.pool import Pool, parse_pool, select_clips
from sernb.protocols.folds import Fold, make_folds
from sernb.protocols.labels import LabelSet, get_label_set
from sernb.protocols.protocol import COMPARED, get_protocol
from sernb.protocols.targets import make_strata, parse_target, refuse_odd_values
from sernb.runs.experiment import Added, Experiment, Plan, find_trained_classes
from sernb.runs.feasibility import LeftOut, explain_left_out, explain_skipped_folds, find_obstacle, refuse_infeasible
from sernb.systems.base import System
from sernb.systems.registry import REGRESSORS, SHOWN, SLOW, get_system

QUICK_FOLDS = 2
SAMPLINGS = ("natural", "balanced")
OPTIONS = ("labels", "sampling", "train_on", "test_on", "train_clips")  # options of :func:`plan` in commands


def plan(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str],
    *,
    profile: str = "full",
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    labels: str | LabelSet | None = None,
    targets: Sequence[str] | None = None,
    views: Sequence[View] | None = None,
    training_views: Sequence[View] | None = None,
    sampling: str = "natural",
    train_on: str = "",
    test_on: str = "",
    train_clips: int | None = None,
    added: Added | None = None,
    data: str | Path | None = None,
) -> Plan:
    """List the experiments of a study; those that the recordings do not allow are left out with a sentence each.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`
        profile: ``full``, or ``quick``: fewer epochs and the first two folds of each protocol
        folds: numbers of the folds to run, instead of those of the profile
        labels: a label set or its name, instead of the default of each system
        targets: numeric columns to predict, such as ``arousal``, for regression systems
        views: TTA views of test clips, instead of the default of each system; the original recording is always first
        training_views: augmented copies of training clips, instead of the default of each system
        sampling: ``natural``, or ``balanced``: the same number of training clips from each corpus of a pool, with the
            total unchanged (larger corpora are sampled at random, smaller ones repeated as a whole plus a random rest)
        train_on: conditions on training and validation clips, such as ``gender=female``
        test_on: conditions on test clips, such as ``corpus=tess``; folds without such clips are left out
        train_clips: size of a random, stratified sample of the training clips of each fold
        added: copies treated as additional clips, as in the noise sets of multiscale-cnn's authors; replaces test views
        data: folder of the recordings, for corpora restricted to ``available``

    Raises:
        DataError: if a name or fold number is unknown, or an option is invalid
        Infeasible: if the recordings allow none of the experiments, with a sentence for each reason
    """
    if profile not in PROFILES:
        raise DataError(f"no profile is named {profile!r}; known: {', '.join(PROFILES)}")
    if sampling not in SAMPLINGS:
        raise DataError(f"no sampling is named {sampling!r}; known: {', '.join(SAMPLINGS)}")
    pool = parse_pool(corpus, data)
    requested = [get_label_set(labels) if isinstance(labels, str) else labels]
    if targets and labels:
        raise DataError("classes or numbers: give labels or targets, not both")
    if targets:
        requested = list(map(parse_target, targets))
        for target in requested:
            refuse_odd_values(target, pool)
    planned, left_out = Plan(), []
    for name in protocols:
        for system in map(get_system, systems):
            for seed, label_set in product(seeds, requested):
                test_views = () if added else tuple(system.views if views is None else views)
                protocol, labels = get_protocol(name), label_set or system.labels
                _refuse_wrong_labels(system, labels)
                try:
                    template = Experiment(
                        system,
                        pool,
                        protocol,
                        Fold(0, (), (), ()),
                        0,
                        seed,
                        system.settings_for(profile),
                        (),
                        labels=labels.within(pool.index),
                        views=(ORIGINAL, *(view for view in test_views if view != ORIGINAL)),
                        training_views=tuple(system.training_views if training_views is None else training_views),
                        sampling=sampling,
                        train_on=train_on.replace(" ", ""),
                        test_on=test_on.replace(" ", ""),
                        train_clips=train_clips,
                        added=added,
                    )
                    possible, reasons = _plan_folds(template, folds)
                except Infeasible as error:
                    possible, reasons = [], error.args
                left_out += [LeftOut(system.name, labels.name, protocol.name, reason) for reason in reasons]
                planned += possible[:QUICK_FOLDS] if profile == "quick" and folds is None else possible
    planned.left_out = explain_left_out(left_out)
    if not planned and left_out:
        raise Infeasible(*planned.left_out)
    return planned


def _refuse_wrong_labels(system: System, labels: LabelSet) -> None:
    if system.labels.numeric and not labels.numeric:
        raise DataError(f"{system.name}: predicts numbers, not the classes of {labels.name}; give --target instead")
    if labels.numeric and not system.labels.numeric:
        known = ", ".join(REGRESSORS)
        raise DataError(f"{system.name}: predicts classes, not the numbers of {labels.name}; use {known}")


def plan_report(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str] = (),
    *,
    profile: str,
    seeds: Sequence[int] = (0,),
    data: str | Path | None = None,
) -> Plan:
    """List the experiments of a report.

    Args:
        systems: names; empty: as :func:`default_systems`, one system of each publication and ours
        protocols: names; empty: ``COMPARED`` of :mod:`sernb.protocols.protocol`

    Raises:
        DataError, Infeasible: as :func:`plan`
    """
    systems = systems or default_systems(parse_pool(corpus, data), profile)
    return plan(systems, corpus, protocols or COMPARED, profile=profile, seeds=seeds, data=data)


def default_systems(pool: Pool, profile: str) -> tuple[str, ...]:
    """Return ``SHOWN`` of the registry, without the slow systems for the quick profile on synthetic speech."""
    return tuple(name for name in SHOWN if pool.evidence or profile != "quick" or name not in SLOW)


def _plan_folds(template: Experiment, wanted: Sequence[int] | None) -> tuple[list[Experiment], list[str]]:
    """Return one experiment per requested fold, and sentences about folds that cannot be run."""
    refuse_infeasible(template)
    system, protocol, clips = template.system, template.protocol, template.clips
    folds = make_folds(
        clips,
        template.corpus,
        protocol,
        published=system.published_split,
        seed=template.seed,
        select_on_test=system.selects_on_test,
    )
    folds = _restrict_test(folds, template)
    wanted = {fold.number for fold in folds} if wanted is None else set(wanted)
    if unknown := sorted(wanted - {fold.number for fold in folds}):
        raise DataError(f"{system.name} under {protocol.name} has no fold {unknown[0]}; it has 0 to {len(folds) - 1}")
    times, truth = pd.Series(0, clips["clip"]), dict(zip(clips["clip"], clips["truth"], strict=True))
    experiments, reasons = [], {}
    # Only published splits carry a model from one fold to the next.
    cumulative = protocol.split == "published"
    for fold in folds if cumulative else [fold for fold in folds if fold.number in wanted]:
        restricted = _restrict_training(fold, template)
        times[list(restricted.train)] += 1
        if fold.number not in wanted:
            continue
        counts = times[list(restricted.train)].tolist() if cumulative else [1] * len(restricted.train)
        experiment = replace(template, fold=restricted, folds=len(folds), times_trained=tuple(counts))
        if reason := find_obstacle(experiment, find_trained_classes(experiment, truth)):
            reasons[fold.number] = reason
        else:
            experiments.append(experiment)
    return experiments, explain_skipped_folds(reasons, len(folds))


def _restrict_test(folds: Sequence[Fold], template: Experiment) -> list[Fold]:
    """Restrict the test parts to the clips that meet ``test_on``; drop folds without such clips."""
    if not template.test_on:
        return list(folds)
    mask = select_clips(template.clips, template.test_on, where="test_on")
    wanted = set(template.clips["clip"][mask])
    restricted = []
    for fold in folds:
        test = tuple(clip for clip in fold.test if clip in wanted)
        validation = test if fold.validation == fold.test else fold.validation
        restricted += [replace(fold, test=test, validation=validation)] if test else []
    if not restricted:
        raise DataError(f"{template.corpus.name}: no test clip meets the condition {template.test_on} of test_on")
    return restricted


def _restrict_training(fold: Fold, template: Experiment) -> Fold:
    """Restrict and resample the training part as requested by the options; the test part is unchanged."""
    clips, rng = template.clips.set_index("clip", drop=False), np.random.default_rng([template.seed, fold.number])
    train, validation = clips.loc[list(fold.train)], clips.loc[list(fold.validation)]
    if template.train_on:
        mask = select_clips(clips, template.train_on, where="train_on")
        train = train[mask[train.index]]
        if fold.validation != fold.test:
            validation = validation[mask[validation.index]]
    if train.empty:  # such a fold is left out later
        return replace(fold, train=(), validation=tuple(validation.index))
    if template.sampling == "balanced":
        train = train.loc[_balance(train, rng)]
    if template.train_clips is not None:
        train = _sample_clips(train, template.train_clips, rng)
    return replace(fold, train=tuple(train.index), validation=tuple(validation.index))


def _balance(train: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Return the same number of clips of each corpus: its clips repeated as a whole, plus a random rest."""
    parts = [names.to_numpy() for _, names in train.groupby("corpus", sort=False)["clip"]]
    share = len(train) // len(parts)
    sampled = [[*np.tile(names, share // len(names)), *_sample(names, share % len(names), rng)] for names in parts]
    return [str(name) for names in sampled for name in names]


def _sample(names: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return names[np.sort(rng.choice(len(names), count, replace=False))]


def _sample_clips(train: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    from sklearn.utils import resample

    if not 0 < count <= len(train):
        raise DataError(f"train_clips: {count} of {len(train)} training clips; give 1 to {len(train)}")
    rows = resample(
        np.arange(len(train)),
        replace=False,
        n_samples=count,
        stratify=make_strata(train.truth.to_numpy()),
        random_state=int(rng.integers(2**31)),
    )
    return train.iloc[np.sort(rows)]
