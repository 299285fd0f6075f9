"""Model development: variants that differ in one thing, on the same folds and clips, scored on validation speakers.

The protocol ``development`` keeps test speakers out altogether, so that no choice made here can have seen them in its
own fold. The clips that are scored choose no epoch and no setting either: other speakers do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from sernb import figures
from sernb.audio.augmentation import ORIGINAL
from sernb.evaluation import Comparison, Interval, format_p, holm, paired_test, uar
from sernb.protocols.labels import LabelSet
from sernb.results.ranking import network_size, training_seconds
from sernb.results.result import Result
from sernb.runs.experiment import Experiment
from sernb.runs.planning import plan
from sernb.studies.ablation_questions import PAGES, Question, Variant
from sernb.studies.differences import (
    describe_difference,
    excludes_zero,
    predictions_for,
    results_by_variant,
    rows_by_clip,
)

PROTOCOL = "development"


# -- From questions to results -- #


def plan_variant(
    variant: Variant,
    corpus: str,
    *,
    labels: LabelSet | None = None,
    profile: str,
    seed: int = 0,
    data: str | Path | None = None,
) -> list[Experiment]:
    """List the experiments of one variant, by fold.

    Raises:
        DataError: as :func:`sernb.runs.planning.plan`, or if the corpus has no validation speakers
    """
    planned = plan(
        [variant.system],
        corpus,
        [PROTOCOL],
        profile=profile,
        seeds=[seed],
        labels=labels,
        views=[ORIGINAL],
        training_views=variant.training_views,
        data=data,
    )
    return [
        replace(
            each,
            system=replace(each.system, features=variant.features or each.system.features),
            settings=replace(each.settings, **variant.settings) if variant.settings else each.settings,
        )
        for each in planned
    ]


def plan_questions(
    questions: Sequence[Question], corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[str, dict[str, list[Experiment]]]:
    """List the experiments of questions, by name of the question and of the variant."""
    options = {"profile": profile, "seed": seed, "data": data}
    return {
        question.name: {
            variant.name: plan_variant(variant, corpus, labels=question.labels, **options)
            for variant in _variants_of(question, profile)
        }
        for question in questions
    }


def plan_page(
    page: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[str, dict[str, list[Experiment]]]:
    """List the experiments of a page of model development; see :func:`plan_questions`.

    Args:
        page: ``features``, ``architecture``, ``augmentation`` or ``sernet``
    """
    return plan_questions(PAGES[page], corpus, profile=profile, seed=seed, data=data)


def _variants_of(question: Question, profile: str) -> list[Variant]:
    if profile != "quick":
        return list(question.variants)
    return [
        replace(variant, settings={**question.quick, **variant.settings, **variant.quick})
        for variant in question.variants
    ]


def list_experiments(planned: Mapping[str, Mapping[str, Sequence[Experiment]]]) -> list[Experiment]:
    """Return every experiment once; questions may share variants."""
    variants = chain.from_iterable(variants.values() for variants in planned.values())
    return list({each.folder: each for each in chain.from_iterable(variants)}.values())


def results_by_question(
    planned: Mapping[str, Mapping[str, Sequence[Experiment]]],
) -> dict[str, dict[str, Result]]:
    """Return the finished runs of each variant, pooled over folds.

    Raises:
        DataError: if an experiment has not been run
    """
    return {question: results_by_variant(variants) for question, variants in planned.items()}


def differences(variants: Mapping[str, Result]) -> dict[str, Comparison]:
    """Return by how much UAR each variant is above the first one, on the same clips, tested over speakers."""
    (_, base), *others = variants.items()
    clips = list(rows_by_clip(base))
    return {name: paired_test(uar, predictions_for(base, clips), predictions_for(each, clips)) for name, each in others}


def _corrected(found: Mapping[str, Comparison]) -> dict[str, float]:
    """Return the p values of one question, corrected by Holm's method."""
    return dict(zip(found, holm([each.p for each in found.values()]).tolist(), strict=True))


# -- Tables and sentences -- #


def variants_table(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return the variants of a question for reading; all scores are of validation speakers."""
    found = differences(variants)
    corrected = _corrected(found)
    rows = [
        {
            "Variant": name,
            "UAR": str(result.metrics().uar),
            "Against the first (points)": str(found[name].difference) if name in found else "–",
            "p after Holm": format_p(corrected[name]) if name in corrected else "–",
        }
        for name, result in variants.items()
    ]
    return pd.DataFrame(rows)


def costs_table(results: Mapping[str, Mapping[str, Result]]) -> pd.DataFrame:
    """Return what every variant of a page costs, and which epoch or settings its folds selected."""
    rows = []
    for name, result in {name: each for variants in results.values() for name, each in variants.items()}.items():
        size = network_size(result)
        row = {
            "Variant": name,
            "Training a fold (s)": f"{training_seconds(result):.1f}",
            "Selected by fold": _chosen(result),
            "Parameters": f"{size['parameters']:,}" if "parameters" in size else None,
            "Multiply-adds a clip (million)": f"{size['multiply_adds'] / 1e6:.1f}" if "multiply_adds" in size else None,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _chosen(result: Result) -> str | None:
    """Say which epoch, or which point of a grid, each fold chose."""
    every = [run.metrics["chosen"] for run in result.runs]
    said = [
        f"{name} {', '.join(f'{chosen[name]:g}' for chosen in every)}"
        for name in ("epoch", "C", "gamma")
        if all(name in chosen for chosen in every)
    ]
    return "; ".join(said) or None


def caption(variants: Mapping[str, Result]) -> str:
    """Return what a reader must know to read the table of a question."""
    metrics = next(iter(variants.values())).metrics()
    return (
        f"Validation speakers only: {metrics.clips} clips of {metrics.speakers} speakers, "
        f"{next(iter(variants.values())).folds} folds. Per cent, 95 % intervals over {metrics.resampled}; chance level "
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


def histories(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return how the trainings of networks went.

    Returns:
        columns variant, fold, epoch, loss, accuracy (of those who choose; NaN without any), chosen (true once a fold)
    """
    tables = []
    for name, result in variants.items():
        for experiment, run in zip(result.experiments, result.runs, strict=True):
            history = run.history
            if history.empty:
                continue
            accuracy = history.get("validation_accuracy", pd.Series(np.nan, history.index))
            tables.append(
                pd.DataFrame(
                    {
                        "variant": name,
                        "fold": experiment.fold.number,
                        "epoch": history.epoch,
                        "loss": history.loss,
                        "accuracy": accuracy,
                        "chosen": history.epoch == run.metrics["chosen"]["epoch"],
                    }
                )
            )
    columns = ["variant", "fold", "epoch", "loss", "accuracy", "chosen"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


# -- Figures -- #


def plot_uars(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot the UAR of each variant, with the chance level."""
    chance = next(iter(variants.values())).metrics().uar_floor
    values = {name: result.metrics().uar for name, result in variants.items()}
    return figures.values_with_intervals(values, f"{title}, validation speakers", "UAR (%)", floor=chance)


def plot_differences(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot the difference of each variant from the first one."""
    found = {name: each.difference for name, each in differences(variants).items()}
    return figures.studies.differences(found, title, "UAR against the first (points)")


def plot_learning_curves(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot how the trainings of networks went, a panel each variant."""
    return figures.ablation.learning_curves(histories(variants), title)


def answer(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Return what the page found in one sentence or two: which changes make a difference, on how many clips.

    The question called ``baselines`` compares unlike things: of these, the best is named.
    """
    metrics, folds = (each := next(iter(next(iter(results.values())).values()))).metrics(), each.folds
    about = (
        f"{metrics.clips} clips of {metrics.speakers} validation speakers, {folds} folds, chance level "
        f"{100 * metrics.uar_floor:.1f} %"
    )
    sentences = []
    if "baselines" in results:
        name, best = max(results["baselines"].items(), key=lambda item: item[1].metrics().uar.value)
        sentences.append(
            f"Best of {len(results['baselines'])} baselines: {name}, UAR {best.metrics().uar} % ({about})."
        )
    tested = {
        f"{name}, against {next(iter(variants))}": (each.difference, p)
        for question, variants in results.items()
        if question != "baselines"
        for found in [differences(variants)]
        for (name, each), p in zip(found.items(), _corrected(found).values(), strict=True)
    }
    if not tested:
        return sentences
    by_size = sorted(tested, key=lambda name: -abs(tested[name][0].value))
    shown = [name for name in by_size if excludes_zero(tested[name][0]) and tested[name][1] < 0.05]
    largest = "; ".join(f"{name}: {_points(tested[name][0])}" for name in (shown or by_size)[:2])
    makes = f"{len(shown) or 'None'} of {len(tested)} changes {'make' if len(shown) > 1 else 'makes'} a difference"
    more = "" if sentences else f" ({about})"
    sentences.append(f"{makes} of UAR that is shown{more}, p corrected within each question. Largest: {largest}.")
    return sentences


def _points(difference: Interval) -> str:
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def plot_answer(results: Mapping[str, Mapping[str, Result]], title: str) -> figures.Drawing:
    """Plot all differences of a page, question by question."""
    found = {
        f"{name}, against {next(iter(variants))}": each.difference
        for variants in results.values()
        for name, each in differences(variants).items()
    }
    return figures.studies.differences(found, title, "UAR against the first (points)")


def conclusions(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Return what was found, in sentences that claim no more than the intervals and the tests do."""
    said = []
    for variants in results.values():
        found = differences(variants)
        corrected, first = _corrected(found), next(iter(variants))
        said += [
            describe_difference(f"{name[0].upper()}{name[1:]}, against {first}", each.difference, corrected[name])
            for name, each in found.items()
        ]
    return said
