"""Model development: variants that differ in one thing, on the same folds and clips, scored on validation speakers.

The protocol ``development`` keeps test speakers out altogether, so that no choice made here can have seen them in its
own fold. The clips that are scored choose no epoch and no setting either: other speakers do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.augment import ORIGINAL, View
from sernb.comparison import seconds_of, size_of
from sernb.evaluation import Comparison, holm, p_in_words, paired_test, uar
from sernb.experiment import Experiment, plan
from sernb.features import Features, FrameValues
from sernb.labels import ALL_EIGHT, LabelSet
from sernb.preparation import prepare
from sernb.results import Result
from sernb.studies import answers_to, by_clip, difference_in_words, results_by_arm
from sernb.systems import feature_cnn, multitask_cnn

PROTOCOL = "development"


@dataclass(frozen=True)
class Arm:
    """One variant: a system, and what is different about it."""

    name: str
    system: str
    settings: Mapping[str, object] = field(default_factory=dict)  # changes of the profile's settings
    features: Features | None = None  # instead of the system's own
    training_views: tuple[View, ...] | None = None  # instead of the system's own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings in the quick profile


@dataclass(frozen=True)
class Question:
    """What is asked: the first arm is the one that all others are held against."""

    name: str
    arms: tuple[Arm, ...]
    labels: LabelSet | None = None  # instead of the systems' own
    quick: Mapping[str, object] = field(default_factory=dict)  # settings of all arms in the quick profile, for a demo


# -- What the pages ask -- #


def _arms(system: str, arms: Mapping[str, Mapping[str, object]], **common: object) -> tuple[Arm, ...]:
    return tuple(Arm(name, **{"system": system, **common, **changes}) for name, changes in arms.items())


BASELINES = Question(
    "baselines",
    (
        Arm("majority", "majority"),
        Arm("energy alone, a small network", "dummynet-energy-narrow", training_views=()),
        Arm("200 statistics, RBF SVM", "statistics-svm"),
        Arm("7,828 functionals, linear SVM", "functionals-svm"),
        Arm("7,828 functionals, RBF SVM", "functionals-svm-rbf"),
        Arm("7,828 functionals, ridge regression", "functionals-ridge"),
    ),
    labels=ALL_EIGHT,
)
STATISTICS = Question(
    "statistics",
    (
        Arm("as published", "statistics-svm"),
        Arm("with pre-emphasis", "statistics-svm-pre-emphasis"),
        Arm("with first differences", "statistics-svm-differences"),
        Arm("with both", "statistics-svm-as-described"),
    ),
)
MACHINE = Question(
    "machine",
    _arms(
        "statistics-svm",
        {
            "as published: RBF kernel, 140 components, gender learned": {},
            "linear kernel": {"settings": {"kernel": "linear"}},
            "polynomial kernel of degree 2": {"settings": {"kernel": "poly2"}},
            "polynomial kernel of degree 3": {"settings": {"kernel": "poly3"}},
            "no PCA": {"settings": {"components": None}},
            "gender not learned": {"settings": {"gendered": False}},
        },
    ),
)
CURVES = Question(
    "curves",
    (
        Arm("zero-crossing rate and energy", "dummynet-zcr-energy-narrow", training_views=()),
        Arm("zero-crossing rate", "dummynet-zcr-narrow", training_views=()),
        Arm("energy", "dummynet-energy-narrow", training_views=()),
    ),
)
VALUES = Question(
    "values",
    _arms(
        "feature-cnn-narrow",
        {
            "as published": {},
            "right sampling rate for the MFCC": {"features": FrameValues(mfcc_sampling_rate=8025)},
            "short clips padded kind by kind": {"features": FrameValues(aligned=True)},
            "22,050 instead of 8,025 Hz": {"features": FrameValues(sampling_rate=22_050)},
        },
        training_views=(),
    ),
)
FEATURES = (BASELINES, STATISTICS, MACHINE, VALUES, CURVES)

SCALES = Question(
    "scales",
    _arms(
        "multiscale-cnn",
        {
            "as published: eight blocks, dilations 1 to 128": {},
            "four blocks, dilations 1 to 8": {"settings": {"dilations": (1, 2, 4, 8)}},
            "eight blocks without dilation": {"settings": {"dilations": (1,) * 8}},
        },
    ),
    quick={"epochs": 4},
)
ATTENTION = Question(
    "attention",
    _arms(
        "multitask-cnn-narrow",
        {"with attention, as published": {}, "without attention": {"settings": {"attention": None}}},
        training_views=(),
    ),
)
MEMORY = Question(
    "memory",
    _arms(
        "timedistributed-cnn-lstm-narrow",
        {"one LSTM cell, as in the code": {}, "two, as in the text": {"settings": {"cells": 2}}},
        training_views=(),
    ),
    quick={"epochs": 2},
)
SOFTMAX = Question(
    "softmax",
    _arms(
        "dummynet-energy-narrow",
        {"softmax twice, as published": {}, "softmax once": {"settings": {"softmax_twice": False}}},
        training_views=(),
    ),
)
ARCHITECTURE = (SCALES, ATTENTION, MEMORY, SOFTMAX)

_NOISE, _PITCH, _BOTH = feature_cnn.SYSTEM.training_views
COPIES = Question(
    "copies",
    _arms(
        "feature-cnn-narrow",
        {
            "no copies": {"training_views": ()},
            "noise": {"training_views": (_NOISE,)},
            "pitch": {"training_views": (_PITCH,)},
            "noise, pitch, and both at once, as published": {"training_views": (_NOISE, _PITCH, _BOTH)},
        },
    ),
)
VIEWS = Question(
    "views",
    _arms(
        "multitask-cnn-narrow",
        {
            "no copies": {"training_views": ()},
            **{view.name: {"training_views": (view,)} for view in multitask_cnn.VIEWS[1:]},
            "all five, as published": {"training_views": multitask_cnn.VIEWS[1:]},
        },
    ),
)
LOSSES = Question(
    "losses",
    _arms(
        "multitask-cnn-narrow",
        {
            "emotion alone": {"settings": {"combination": "emotion"}},
            **{
                f"all tasks: {combination}": {"settings": {"combination": combination}}
                for combination in multitask_cnn.COMBINATIONS[1:]
            },
        },
        training_views=(),
    ),
)
AUGMENTATION = (COPIES, VIEWS, LOSSES)

NETWORK = Question(
    "network",
    _arms(
        "sernet",
        {
            "as it is": {},
            "frames weigh alike": {"settings": {"attention": 0}},
            "no dilation": {"settings": {"dilations": (1,) * 4}},
            "half the filters": {"settings": {"filters": 32}},
        },
    ),
    quick={"epochs": 8},
)
ALTERATIONS = Question(
    "alterations",
    _arms(
        "sernet",
        {
            "as it is": {},
            "not stretched": {"settings": {"stretch": 0.0}},
            "not warped": {"settings": {"warp": 0.0}},
            "not masked": {"settings": {"masked_bands": 0, "masked_frames": 0}},
            "not mixed": {"settings": {"mixup": 0.0}},
            "nothing of all this": {
                "settings": {"stretch": 0.0, "warp": 0.0, "masked_bands": 0, "masked_frames": 0, "mixup": 0.0}
            },
        },
    ),
    quick={"epochs": 8},
)
LENGTH = Question(
    "length",
    _arms(
        "sernet",
        {
            "as it is": {},
            "half as many epochs": {"settings": {"epochs": 50}, "quick": {"epochs": 4}},
            "twice as many": {"settings": {"epochs": 200}, "quick": {"epochs": 16}},
        },
    ),
    quick={"epochs": 8},
)
JOINED = Question(
    "joined",
    (
        Arm("functionals and SVM alone", "functionals-svm"),
        Arm("sernet alone", "sernet"),
        Arm("both, the network's share 1", "sernet-functionals"),
        Arm("share 0.5", "sernet-functionals", {"share": 0.5}),
        Arm("share 2", "sernet-functionals", {"share": 2.0}),
        Arm("functionals and ridge regression alone", "functionals-ridge"),
        Arm("sernet and ridge regression, share 1", "sernet-functionals-ridge"),
    ),
)
OURS = (NETWORK, ALTERATIONS, LENGTH, JOINED)


# -- From questions to results -- #


def plan_arm(
    arm: Arm,
    corpus: str,
    *,
    labels: LabelSet | None = None,
    profile: str,
    seed: int = 0,
    data: str | Path | None = None,
) -> list[Experiment]:
    """List the experiments of one arm, by fold.

    Raises:
        DataError: as :func:`sernb.experiment.plan`, or if the corpus has no validation speakers
    """
    planned = plan(
        [arm.system],
        corpus,
        [PROTOCOL],
        profile=profile,
        seeds=[seed],
        labels=labels,
        views=[ORIGINAL],
        training_views=arm.training_views,
        data=data,
    )
    return [
        replace(
            each,
            system=replace(each.system, features=arm.features or each.system.features),
            settings=replace(each.settings, **arm.settings) if arm.settings else each.settings,
        )
        for each in planned
    ]


def plan_questions(
    questions: Sequence[Question], corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[str, dict[str, list[Experiment]]]:
    """List the experiments of questions, by name of the question and of the arm."""
    options = {"profile": profile, "seed": seed, "data": data}
    return {
        question.name: {
            arm.name: plan_arm(arm, corpus, labels=question.labels, **options) for arm in _arms_of(question, profile)
        }
        for question in questions
    }


def _arms_of(question: Question, profile: str) -> list[Arm]:
    if profile != "quick":
        return list(question.arms)
    return [replace(arm, settings={**question.quick, **arm.settings, **arm.quick}) for arm in question.arms]


def experiments_of(planned: Mapping[str, Mapping[str, Sequence[Experiment]]]) -> list[Experiment]:
    """Return every experiment once; questions may share arms."""
    arms = chain.from_iterable(arms.values() for arms in planned.values())
    return list({each.folder: each for each in chain.from_iterable(arms)}.values())


def results_of(
    planned: Mapping[str, Mapping[str, Sequence[Experiment]]],
) -> dict[str, dict[str, Result]]:
    """Return the finished runs of each arm, pooled over folds.

    Raises:
        DataError: if an experiment has not been run
    """
    return {question: results_by_arm(arms) for question, arms in planned.items()}


def differences(arms: Mapping[str, Result]) -> dict[str, Comparison]:
    """Return by how much UAR each arm is above the first one, on the same clips, tested over speakers."""
    (_, base), *others = arms.items()
    clips = list(by_clip(base))
    return {name: paired_test(uar, answers_to(base, clips), answers_to(each, clips)) for name, each in others}


def _corrected(found: Mapping[str, Comparison]) -> dict[str, float]:
    """Return the p values of one question, corrected by Holm's method."""
    return dict(zip(found, holm([each.p for each in found.values()]).tolist(), strict=True))


# -- Tables and sentences -- #


def arms_table(arms: Mapping[str, Result]) -> pd.DataFrame:
    """Return the arms of a question for reading; all figures are of validation speakers."""
    found = differences(arms)
    corrected = _corrected(found)
    rows = []
    for name, result in arms.items():
        metrics, size = result.metrics(), size_of(result)
        row = {
            "Variant": name,
            "UAR": str(metrics.uar),
            "Against the first (points)": str(found[name].difference) if name in found else "–",
            "p after Holm": p_in_words(corrected[name]) if name in corrected else "–",
            "Training a fold (s)": f"{seconds_of(result):.1f}",
            "Chosen by fold": _chosen(result),
            "Parameters": f"{size['parameters']:,}" if "parameters" in size else None,
            "Multiply-adds a clip (million)": f"{size['multiply_adds'] / 1e6:.1f}" if "multiply_adds" in size else None,
        }
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _chosen(result: Result) -> str | None:
    """Say which epoch, or which point of a grid, each fold chose."""
    every = [run.metrics["chosen"] for run in result.runs]
    said = [
        f"{name} {', '.join(f'{chosen[name]:g}' for chosen in every)}"
        for name in ("epoch", "C", "gamma")
        if all(name in chosen for chosen in every)
    ]
    return "; ".join(said) or None


def caption(arms: Mapping[str, Result]) -> str:
    """Return what a reader must know to read the table of a question."""
    metrics = next(iter(arms.values())).metrics()
    return (
        f"Validation speakers only: {metrics.clips} clips of {metrics.speakers} speakers, "
        f"{next(iter(arms.values())).folds} folds. Per cent, 95 % intervals over {metrics.resampled}; UAR floor "
        f"{100 * metrics.uar_floor:.1f}. p is conditional on one training of each. Times are of one core"
    )


def parts_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return who is left out, scored, chooses and trains in each fold of some experiments."""
    rows = {}
    for each in experiments:
        speaker = each.corpus.index.set_index("clip").speaker
        parts = [list(dict.fromkeys(speaker[list(part)])) for part in (each.fold.test, each.fold.validation)]
        trained = speaker[list(each.fold.train)].nunique()
        out = sorted(set(speaker) - set(speaker[[*each.fold.train, *each.fold.validation, *each.fold.test]]))
        rows[each.fold.number] = {
            "Fold": each.fold.number + 1,
            "Left out: test speakers": ", ".join(out),
            "Scored: validation speakers": ", ".join(parts[0]),
            "Choose the epoch": ", ".join(parts[1]) or "nobody: last epoch",
            "Train": f"{trained} speakers",
        }
    return pd.DataFrame(list(rows.values()))


def histories(arms: Mapping[str, Result]) -> pd.DataFrame:
    """Return how the trainings of networks went.

    Returns:
        columns arm, fold, epoch, loss, accuracy (of those who choose; NaN without any), chosen (true once a fold)
    """
    tables = []
    for name, result in arms.items():
        for experiment, run in zip(result.experiments, result.runs, strict=True):
            history = run.history
            if history.empty:
                continue
            accuracy = history.get("validation_accuracy", pd.Series(np.nan, history.index))
            tables.append(
                pd.DataFrame(
                    {
                        "arm": name,
                        "fold": experiment.fold.number,
                        "epoch": history.epoch,
                        "loss": history.loss,
                        "accuracy": accuracy,
                        "chosen": history.epoch == run.metrics["chosen"]["epoch"],
                    }
                )
            )
    columns = ["arm", "fold", "epoch", "loss", "accuracy", "chosen"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def learned(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Return what was found, in sentences that claim no more than the intervals and the tests do."""
    said = []
    for arms in results.values():
        found = differences(arms)
        corrected, first = _corrected(found), next(iter(arms))
        said += [
            difference_in_words(f"{name[0].upper()}{name[1:]}, against {first}", each.difference, corrected[name])
            for name, each in found.items()
        ]
    return said


# -- Inside a network -- #


@dataclass(frozen=True)
class Inside:
    """What the multitask network sees in one clip of a validation speaker."""

    clip: str
    truth: str
    answer: str
    picture: np.ndarray  # (time, bands), as the network hears it
    seen: Mapping[str, np.ndarray]  # see :func:`sernb.systems.multitask_cnn.maps_of`, of this one picture


def look_inside(result: Result, data: str | Path | None = None) -> Inside:
    """Rebuild the multitask network of the first fold, and show what it sees in the clip that it is surest of."""
    experiment, run = result.experiments[0], result.runs[0]
    predictions = run.predictions
    scores = predictions[list(result.classes)].to_numpy(float)
    row = int(scores.max(axis=1).argmax())
    clip = predictions["clip"][row]
    heard = prepare(experiment.corpus, experiment.system.features, data=data)[clip]
    pictures, _ = multitask_cnn.pictures_of((heard,))
    model = multitask_cnn.restored(experiment.settings, pictures[0].shape, len(result.classes), run.weights)
    maps = multitask_cnn.maps_of(model, pictures[0][None])
    seen = {name: values if name.startswith("filters") else values[0] for name, values in maps.items()}
    return Inside(clip, predictions.truth[row], result.classes[int(scores[row].argmax())], pictures[0], seen)
