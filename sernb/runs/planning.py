"""Plans: the experiments of a study, one for each system, protocol, seed and fold."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, View
from sernb.config import PROFILES, DataError, Infeasible
from sernb.corpora.pool import Pool, matching, parse_pool
from sernb.protocols.folds import Fold, make_folds
from sernb.protocols.labels import LabelSet, get_label_set
from sernb.protocols.protocol import COMPARED, get_protocol
from sernb.protocols.targets import make_strata, parse_target, refuse_odd_values
from sernb.runs.experiment import Added, Experiment, Plan, classes_among
from sernb.runs.feasibility import LeftOut, refuse_infeasible, sentences, why_not, without
from sernb.systems.base import System
from sernb.systems.registry import REGRESSORS, SHOWN, SLOW, get_system

QUICK_FOLDS = 2
SAMPLINGS = ("natural", "balanced")
OPTIONS = ("labels", "sampling", "train_on", "test_on", "train_clips")  # of :func:`plan`, for commands


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
    """List the experiments of a study; what the recordings do not allow is left out, with a sentence that says so.

    Args:
        corpus: an expression, see :mod:`sernb.corpora.pool`
        profile: ``full``, or ``quick``: fewer epochs and the first two folds of each protocol
        folds: numbers to take, instead of the profile's choice
        labels: a label set or its name, instead of each system's own
        targets: numeric columns to predict, such as ``arousal``, for the systems that predict numbers
        views: test views, instead of each system's own; the recording itself always comes first
        training_views: copies of training clips, instead of each system's own
        sampling: ``natural``, or ``balanced``: each corpus of a pool with equally many training clips, together as
            many as before (a larger one loses clips at random, a smaller one is repeated in whole passes and a
            random rest)
        train_on: conditions that training and validation clips fulfil, such as ``gender=female`` test_on: conditions
        that test clips fulfil, such as ``corpus=tess``; a fold without any is left out train_clips: take so many
        training clips of each fold at random, each class with its share added: copies of clips that count as clips, as
        in the noise sets of multiscale-cnn's authors; no other test view is read data: the folder of the recordings,
        for corpora that are narrowed to ``available``

    Raises:
        DataError: if a name or a fold number is unknown, or an option cannot be
        Infeasible: if the recordings allow none of the experiments; a sentence for each reason
    """
    if profile not in PROFILES:
        raise DataError(f"no profile is named {profile!r}; known: {', '.join(PROFILES)}")
    if sampling not in SAMPLINGS:
        raise DataError(f"no sampling is named {sampling!r}; known: {', '.join(SAMPLINGS)}")
    pool = parse_pool(corpus, data)
    given = [get_label_set(labels) if isinstance(labels, str) else labels]
    if targets and labels:
        raise DataError("classes or numbers: give labels or targets, not both")
    if targets:
        given = list(map(parse_target, targets))
        for target in given:
            refuse_odd_values(target, pool)
    planned, left_out = Plan(), []
    for name in protocols:
        for system in map(get_system, systems):
            for seed, asked in product(seeds, given):
                seen = () if added else tuple(system.views if views is None else views)
                protocol, labels = get_protocol(name), asked or system.labels
                _refuse_other_kind(system, labels)
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
                        views=(ORIGINAL, *(view for view in seen if view != ORIGINAL)),
                        training_views=tuple(system.training_views if training_views is None else training_views),
                        sampling=sampling,
                        train_on=train_on.replace(" ", ""),
                        test_on=test_on.replace(" ", ""),
                        train_clips=train_clips,
                        added=added,
                    )
                    possible, reasons = _folds(template, folds)
                except Infeasible as error:
                    possible, reasons = [], error.args
                left_out += [LeftOut(system.name, labels.name, protocol.name, reason) for reason in reasons]
                planned += possible[:QUICK_FOLDS] if profile == "quick" and folds is None else possible
    planned.left_out = sentences(left_out)
    if not planned and left_out:
        raise Infeasible(*planned.left_out)
    return planned


def _refuse_other_kind(system: System, labels: LabelSet) -> None:
    if system.labels.numeric and not labels.numeric:
        raise DataError(f"{system.name}: predicts numbers, not the classes of {labels.name}; give --target instead")
    if labels.numeric and not system.labels.numeric:
        known = ", ".join(REGRESSORS)
        raise DataError(f"{system.name}: predicts classes, not the numbers of {labels.name}; take {known}")


def plan_report(
    systems: Sequence[str],
    corpus: str,
    protocols: Sequence[str] = (),
    *,
    profile: str,
    seeds: Sequence[int] = (0,),
    data: str | Path | None = None,
) -> Plan:
    """List the experiments of a report: by default one system of each publication and ours, under three protocols.

    Args:
        systems: names; empty: as :func:`default_systems`
        protocols: names; empty: ``COMPARED`` of :mod:`sernb.protocols.protocol`

    Raises:
        DataError, Infeasible: as :func:`plan`
    """
    systems = systems or default_systems(parse_pool(corpus, data), profile)
    return plan(systems, corpus, protocols or COMPARED, profile=profile, seeds=seeds, data=data)


def default_systems(pool: Pool, profile: str) -> tuple[str, ...]:
    """Return ``SHOWN`` of the registry; in the quick profile on synthetic speech without those that take long."""
    return tuple(name for name in SHOWN if pool.evidence or profile != "quick" or name not in SLOW)


def _folds(template: Experiment, wanted: Sequence[int] | None) -> tuple[list[Experiment], list[str]]:
    """Return one experiment for each wanted fold, alike in all else, and what to say of folds that cannot be done."""
    refuse_infeasible(template)
    system, protocol, clips = template.system, template.protocol, template.clips
    folds = make_folds(
        clips,
        template.corpus,
        protocol,
        published=system.published_split,
        seed=template.seed,
        tests_choose=system.tests_choose,
    )
    folds = _tested(folds, template)
    wanted = {fold.number for fold in folds} if wanted is None else set(wanted)
    if unknown := sorted(wanted - {fold.number for fold in folds}):
        raise DataError(f"{system.name} under {protocol.name} has no fold {unknown[0]}; it has 0 to {len(folds) - 1}")
    times, truth = pd.Series(0, clips["clip"]), dict(zip(clips["clip"], clips["truth"], strict=True))
    experiments, reasons = [], {}
    # Only what the authors did carries anything from one fold to the next.
    carries = protocol.split == "published"
    for fold in folds if carries else [fold for fold in folds if fold.number in wanted]:
        narrowed = _narrowed(fold, template)
        times[list(narrowed.train)] += 1
        if fold.number not in wanted:
            continue
        seen = times[list(narrowed.train)].tolist() if carries else [1] * len(narrowed.train)
        experiment = replace(template, fold=narrowed, folds=len(folds), times_trained=tuple(seen))
        if reason := why_not(experiment, classes_among(experiment, truth)):
            reasons[fold.number] = reason
        else:
            experiments.append(experiment)
    return experiments, without(reasons, len(folds))


def _tested(folds: Sequence[Fold], template: Experiment) -> list[Fold]:
    """Return the folds with the test part that ``test_on`` asks for, where it has any clip."""
    if not template.test_on:
        return list(folds)
    fulfilled = matching(template.clips, template.test_on, where="test_on")
    wanted = set(template.clips["clip"][fulfilled])
    tested = []
    for fold in folds:
        test = tuple(clip for clip in fold.test if clip in wanted)
        validation = test if fold.validation == fold.test else fold.validation
        tested += [replace(fold, test=test, validation=validation)] if test else []
    if not tested:
        raise DataError(f"{template.corpus.name}: no clip fulfils {template.test_on}, which test_on asks for")
    return tested


def _narrowed(fold: Fold, template: Experiment) -> Fold:
    """Return the fold with the training part that the options ask for; the test part is what it was."""
    clips, rng = template.clips.set_index("clip", drop=False), np.random.default_rng([template.seed, fold.number])
    train, validation = clips.loc[list(fold.train)], clips.loc[list(fold.validation)]
    if template.train_on:
        fulfilled = matching(clips, template.train_on, where="train_on")
        train = train[fulfilled[train.index]]
        if fold.validation != fold.test:
            validation = validation[fulfilled[validation.index]]
    if train.empty:  # such a fold is left out
        return replace(fold, train=(), validation=tuple(validation.index))
    if template.sampling == "balanced":
        train = train.loc[_balanced(train, rng)]
    if template.train_clips is not None:
        train = _some_of(train, template.train_clips, rng)
    return replace(fold, train=tuple(train.index), validation=tuple(validation.index))


def _balanced(train: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Return equally many clips of each corpus: whole passes over its clips, then a random rest."""
    parts = [names.to_numpy() for _, names in train.groupby("corpus", sort=False)["clip"]]
    share = len(train) // len(parts)
    drawn = [[*np.tile(names, share // len(names)), *_drawn(names, share % len(names), rng)] for names in parts]
    return [str(name) for names in drawn for name in names]


def _drawn(names: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return names[np.sort(rng.choice(len(names), count, replace=False))]


def _some_of(train: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
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
