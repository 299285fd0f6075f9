"""Model development: variants that differ in one thing, on the same folds and clips, scored on validation speakers.

The protocol ``development`` holds out the test speakers of each fold, so that no design decision uses them. Epochs and
settings are selected on other speakers than those that are scored.
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
    """List the experiments of a variant, by fold.

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
    """List the experiments of some questions, by question and variant."""
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
    """List the experiments of a model development page, see :func:`plan_questions`.

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
    """Return every experiment once, as questions may share variants."""
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
    """Test the UAR of each variant against the first one, paired over clips; the difference is variant minus first."""
    (_, base), *others = variants.items()
    clips = list(rows_by_clip(base))
    return {name: paired_test(uar, predictions_for(base, clips), predictions_for(each, clips)) for name, each in others}


def _correct(tests: Mapping[str, Comparison]) -> dict[str, float]:
    """Return the p values of one question, corrected by Holm's method."""
    return dict(zip(tests, holm([each.p for each in tests.values()]).tolist(), strict=True))


# -- Tables and sentences -- #


def variants_table(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return the variants of a question formatted for display; all scores are on validation speakers."""
    tests = differences(variants)
    corrected = _correct(tests)
    rows = [
        {
            "Variant": name,
            "UAR": str(result.metrics().uar),
            "Difference from the first (points)": str(tests[name].difference) if name in tests else "–",
            "p (Holm)": format_p(corrected[name]) if name in corrected else "–",
        }
        for name, result in variants.items()
    ]
    return pd.DataFrame(rows)


def costs_table(results: Mapping[str, Mapping[str, Result]]) -> pd.DataFrame:
    """Return the cost of each variant of a page, and the epoch or settings that each fold selected."""
    rows = []
    for name, result in {name: each for variants in results.values() for name, each in variants.items()}.items():
        size = network_size(result)
        row = {
            "Variant": name,
            "Training per fold (s)": f"{training_seconds(result):.1f}",
            "Selected by fold": _selected(result),
            "Parameters": f"{size['parameters']:,}" if "parameters" in size else None,
            "Multiply-adds per clip (million)": (
                f"{size['multiply_adds'] / 1e6:.1f}" if "multiply_adds" in size else None
            ),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _selected(result: Result) -> str | None:
    """Return the epoch or the grid point that each fold selected."""
    every = [run.metrics["chosen"] for run in result.runs]
    texts = [
        f"{name} {', '.join(f'{chosen[name]:g}' for chosen in every)}"
        for name in ("epoch", "C", "gamma")
        if all(name in chosen for chosen in every)
    ]
    return "; ".join(texts) or None


def caption(variants: Mapping[str, Result]) -> str:
    """Return the caption of the table of a question: clips, speakers, folds, units, chance level."""
    first = next(iter(variants.values()))
    metrics = first.metrics()
    over = " over speakers" * (metrics.resampled == "speakers")  # a page says so itself if all are over clips
    return (
        f"Validation speakers only: {metrics.clips} clips of {metrics.speakers} speakers, {first.folds} folds. Per "
        f"cent, 95 % intervals{over}; chance level {100 * metrics.uar_floor:.1f}. p is conditional on one training of "
        "each variant"
    )


def parts_table(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the speakers of each part, by fold: held out, scored, used for model selection, used for training."""
    rows = {}
    for each in experiments:
        speaker = each.corpus.index.set_index("clip").speaker
        scored, selecting = (dict.fromkeys(speaker[list(part)]) for part in (each.fold.test, each.fold.validation))
        training = speaker[list(each.fold.train)].nunique()
        held_out = sorted(set(speaker) - set(speaker[[*each.fold.train, *each.fold.validation, *each.fold.test]]))
        rows[each.fold.number] = {
            "Fold": each.fold.number + 1,
            "Held out: test speakers": ", ".join(held_out),
            "Scored: validation speakers": ", ".join(scored),
            "Epoch selected on": ", ".join(selecting) or "none: last epoch",
            "Trained on": f"{training} speakers",
        }
    return pd.DataFrame(list(rows.values()))


def histories(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return the training histories of networks.

    Returns:
        columns variant, fold, epoch, loss, accuracy (on the clips for model selection; NaN without any), selected (true
        for one epoch per fold)
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
                        "selected": history.epoch == run.metrics["chosen"]["epoch"],
                    }
                )
            )
    columns = ["variant", "fold", "epoch", "loss", "accuracy", "selected"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


# -- Figures -- #


def plot_uars(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot the UAR of each variant, with the chance level."""
    chance = next(iter(variants.values())).metrics().uar_floor
    values = {name: result.metrics().uar for name, result in variants.items()}
    return figures.values_with_intervals(values, f"{title}, validation speakers", "UAR (%)", floor=chance)


def plot_differences(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot the difference of each variant from the first one."""
    intervals = {name: each.difference for name, each in differences(variants).items()}
    return figures.studies.differences(intervals, title, "Difference in UAR from the first (points)")


def plot_learning_curves(variants: Mapping[str, Result], title: str) -> figures.Drawing:
    """Plot the training histories of networks, one panel per variant."""
    return figures.ablation.learning_curves(histories(variants), title)


def headline(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """State the best baseline and the number of changes that show a difference in UAR, in sentences.

    The question ``baselines`` compares unrelated systems, so only the best is named. If questions are about different
    clips or classes, those of the largest change are stated.
    """
    samples = {question: _describe_sample(next(iter(variants.values()))) for question, variants in results.items()}
    sentences = []
    if "baselines" in results:
        name, best = max(results["baselines"].items(), key=lambda item: item[1].metrics().uar.value)
        sentences.append(
            f"Best of {len(results['baselines'])} baselines: {name}, UAR {best.metrics().uar.as_percent()} "
            f"({samples['baselines']})."
        )
    changes = {}  # name → difference, corrected p, sample
    for question, variants in results.items():
        if question != "baselines":
            tests = differences(variants)
            corrected, names = _correct(tests), _name_changes(question, results, " compared with ")
            changes |= {
                names[name]: (test.difference, corrected[name], samples[question]) for name, test in tests.items()
            }
    if not changes:
        return sentences
    same = len(set(samples.values())) == 1
    by_size = sorted(changes, key=lambda name: -abs(changes[name][0].value))
    shown = [name for name in by_size if excludes_zero(changes[name][0]) and changes[name][1] < 0.05]
    largest = "; ".join(
        f"{name}: {_points(changes[name][0])}" + f", {changes[name][2]}" * (not same)
        for name in (shown or by_size)[: 2 if same else 1]
    )
    count = f"{len(shown) or 'None'} of {len(changes)} changes {'show' if len(shown) > 1 else 'shows'} a difference"
    details = f" ({next(iter(samples.values()))})" if same and not sentences else ""
    sentences.append(f"{count} in UAR{details}, p corrected within each question. Largest: {largest}.")
    return sentences


def _describe_sample(result: Result) -> str:
    metrics = result.metrics()
    return (
        f"{metrics.clips} clips of {metrics.speakers} validation speakers, {result.folds} folds, chance level "
        f"{100 * metrics.uar_floor:.1f} %"
    )


def _name_changes(question: str, results: Mapping[str, Mapping[str, Result]], versus: str) -> dict[str, str]:
    """Return a name for each change of a question, with its system if other questions have the same change."""
    first, *others = results[question]
    elsewhere = {(name, next(iter(each))) for other, each in results.items() if other != question for name in each}
    return {
        name: f"{name}{versus}{first}"
        + f" ({results[question][first].system.name}, {question})" * ((name, first) in elsewhere)
        for name in others
    }


def _points(difference: Interval) -> str:
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:+.1f} points [{low:+.1f}, {high:+.1f}]" + " (clips)" * (difference.unit == "clips")


def plot_all_differences(results: Mapping[str, Mapping[str, Result]], title: str) -> figures.Drawing:
    """Plot all differences of a page, by question."""
    intervals = {
        _name_changes(question, results, " vs. ")[name]: each.difference
        for question, variants in results.items()
        for name, each in differences(variants).items()
    }
    return figures.studies.differences(intervals, title, "Difference in UAR from the first (points)")


def conclusions(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Describe all differences of a page, in sentences that claim no more than the intervals and the tests."""
    sentences = []
    for question, variants in results.items():
        tests = differences(variants)
        corrected, names = _correct(tests), _name_changes(question, results, " compared with ")
        for name, test in tests.items():
            change = names[name]
            sentences.append(describe_difference(f"{change[0].upper()}{change[1:]}", test.difference, corrected[name]))
    return sentences
