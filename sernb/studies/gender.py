"""Gender: systems trained on all, female or male speakers with equal training size, tested on each of these groups."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import ORIGINAL, Noise, SteadyNoise
from sernb.config import DataError, Infeasible
from sernb.corpora.pool import parse_pool
from sernb.evaluation import (
    Comparison,
    Interval,
    Predictions,
    format_p,
    holm,
    paired_test,
    smallest_detectable_difference,
    speaker_differences,
    uar,
    unpaired_difference,
)
from sernb.results.result import Result
from sernb.results.summary import describe_result
from sernb.runs.experiment import Added, Experiment
from sernb.runs.planning import QUICK_FOLDS, plan
from sernb.studies.differences import describe_difference

PROTOCOL = "speaker-independent"
EVERY_CLIP = "all, every clip"
VARIANTS = {"all": "", "female": "gender=female", "male": "gender=male"}


def plan_variants(
    system: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[str, list[Experiment]]:
    """List the experiments by training speakers; all but ``EVERY_CLIP`` have the same number of training clips.

    All use the same folds, which test both genders; the quick profile uses the first two folds, or as many as that
    needs.

    Raises:
        Infeasible: if there are too few women or men for training and test
    """
    given = {"seeds": [seed], "views": [ORIGINAL], "data": data, "profile": profile}
    pool = parse_pool(corpus, data)
    genders = pool.index.groupby("gender").speaker.nunique()
    if missing := [name for name in ("female", "male") if name not in genders]:
        raise Infeasible(f"{pool.name}: no speaker is labelled {' or '.join(missing)}")
    folds = range(plan([system], corpus, [PROTOCOL], **given)[0].folds)
    unlimited = {
        name: plan([system], corpus, [PROTOCOL], train_on=condition, folds=folds, **given)
        for name, condition in VARIANTS.items()
    }
    unlimited = _same_folds(unlimited, QUICK_FOLDS if profile == "quick" else len(folds))
    sizes = equal_sizes(unlimited)
    if min(sizes.values()) < 2:
        raise Infeasible(f"{pool.name}: some folds have fewer than two training clips of a gender; add recordings")
    numbers = [each.fold.number for each in unlimited["all"]]
    variants = {
        name: plan([system], corpus, [PROTOCOL], train_on=condition, train_clips=sizes[name], folds=numbers, **given)
        for name, condition in VARIANTS.items()
    }
    return _same_folds({EVERY_CLIP: unlimited["all"]} | variants, len(numbers))


def _same_folds(variants: Mapping[str, Sequence[Experiment]], count: int) -> dict[str, list[Experiment]]:
    """Return the first folds common to all variants: at least ``count``, and enough to test both genders."""
    every = variants["all"]
    common = set.intersection(*({each.fold.number for each in variant} for variant in variants.values()))
    numbers = [each.fold.number for each in every if each.fold.number in common]
    gender = every[0].clips.set_index("clip").gender
    for size in range(min(count, len(numbers)), len(numbers) + 1):
        kept = {name: [each for each in part if each.fold.number in numbers[:size]] for name, part in variants.items()}
        tested = {gender[clip] for each in kept["all"] for clip in each.fold.test}
        if {"female", "male"} <= tested:
            return kept
    raise Infeasible(
        f"{every[0].corpus.name}: no folds train on women and on men and test both; add recordings of more speakers"
    )


def equal_sizes(variants: Mapping[str, Sequence[Experiment]]) -> dict[str, int]:
    """Return the number of training clips for each variant that makes all training sets equally large.

    A system that selects no epoch is trained on the validation clips too, so they are counted.
    """
    validation = {
        name: max(0 if each.system.selects_epoch else len(each.fold.validation) for each in experiments)
        for name, experiments in variants.items()
    }
    smallest = min(
        len(each.fold.train) + validation[name] for name, experiments in variants.items() for each in experiments
    )
    return {name: smallest - count for name, count in validation.items()}


def describe_training(result: Result) -> str:
    """Return the smallest and the largest number of training clips over the folds, as text."""
    sizes = [
        len(each.fold.train) + (0 if each.system.selects_epoch else len(each.fold.validation))
        for each in result.experiments
    ]
    return f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def _test_masks(result: Result) -> dict[str, np.ndarray]:
    gender = result.clips.gender.to_numpy()
    return {"all": np.ones(len(gender), bool)} | {name: gender == name for name in ("female", "male")}


def score_cells(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return one row for each training and test group: trained, tested (names of the groups), clips, metrics.

    Raises:
        DataError: if a gender is not tested
    """
    rows = []
    for trained, result in variants.items():
        for tested, mask in _test_masks(result).items():
            if not mask.any():
                raise DataError(f"{result.experiments[0].corpus.name}: no {tested} speaker is tested; use more folds")
            metrics = result.metrics_where(mask)
            rows.append({"trained": trained, "tested": tested, "clips": describe_training(result), "metrics": metrics})
    return pd.DataFrame(rows)


def cells_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells formatted for display: per cent, intervals in brackets."""
    rows = [
        {
            "Trained on": row.trained,
            "Training clips": row.clips,
            "Tested on": row.tested,
            "UAR": str(row.metrics.uar),
            "UAR chance level": f"{100 * row.metrics.uar_floor:.1f}",
            "WAR": str(row.metrics.war),
            "Test clips": row.metrics.clips,
            "Test speakers": row.metrics.speakers,
        }
        for row in cells.itertuples()
    ]
    return pd.DataFrame(rows)


def _part(result: Result, mask: np.ndarray, scores: np.ndarray | None = None) -> Predictions:
    scores = result.scores() if scores is None else scores
    return Predictions(result.truth[mask], scores[mask], result.clips.speaker.to_numpy()[mask])


def comparisons(variants: Mapping[str, Result]) -> dict[str, tuple[Comparison, float]]:
    """Return paired tests on the same clips: comparison → test, and the smallest detectable difference.

    Each classifier of a gender-dependent pair predicts the speakers of its own gender, which must be known.
    """
    women, men, joint = variants["female"], variants["male"], variants["all"]
    masks = _test_masks(joint)
    pair = np.where(masks["female"][:, None], women.scores(), men.scores())
    female, male, labelled = masks["female"], masks["male"], masks["female"] | masks["male"]
    parts = {
        "female speakers: trained on women instead of both": [(joint, female), (women, female)],
        "male speakers: trained on men instead of both": [(joint, male), (men, male)],
        "female speakers: trained on women instead of men": [(men, female), (women, female)],
        "male speakers: trained on men instead of women": [(women, male), (men, male)],
        "all speakers: one for each gender instead of one for all": [(joint, labelled), (joint, labelled, pair)],
        "all speakers: one for each gender instead of one trained on every clip": [
            (variants[EVERY_CLIP], labelled),
            (joint, labelled, pair),
        ],
    }
    tests = {}
    for name, (first, second) in parts.items():
        predictions = _part(*first), _part(*second)
        spread = speaker_differences(uar, *predictions)
        smallest = smallest_detectable_difference(spread.std(ddof=1), len(spread)) if len(spread) > 1 else float("nan")
        tests[name] = paired_test(uar, *predictions), smallest
    return tests


def comparisons_table(tests: Mapping[str, tuple[Comparison, float]]) -> pd.DataFrame:
    """Return the tests formatted for display, with p corrected by Holm's method."""
    corrected = holm([each.p for each, _ in tests.values()])
    rows = [
        {
            "On the same clips": name,
            "Gain in UAR (points)": str(each.difference),
            "p": format_p(each.p),
            "p (Holm)": format_p(p),
            "Smallest detectable difference (points)": "–" if np.isnan(smallest) else f"{100 * smallest:.1f}",
            "Flipped": f"{each.units} {each.difference.unit}",
        }
        for (name, (each, smallest)), p in zip(tests.items(), corrected, strict=True)
    ]
    return pd.DataFrame(rows)


def gender_gap(result: Result) -> Interval:
    """Return the UAR of a classifier on women minus that on men, unpaired as clips and speakers differ."""
    masks = _test_masks(result)
    return unpaired_difference(uar, _part(result, masks["male"]), _part(result, masks["female"]), seed=result.seed)


def headline(variants: Mapping[str, Result], tests: Mapping[str, tuple[Comparison, float]]) -> list[str]:
    """State whether gender-dependent classifiers are better, whether one gender is easier, and on which clips."""
    *_, separate, gap = conclusions(variants, tests)
    return [separate, gap, f"{describe_result(variants[EVERY_CLIP])}."]


def conclusions(variants: Mapping[str, Result], tests: Mapping[str, tuple[Comparison, float]]) -> list[str]:
    """Return the outcome of each test and the gender gap, in sentences."""
    corrected = holm([each.p for each, _ in tests.values()])
    sentences = [
        describe_difference(name[0].upper() + name[1:], each.difference, p)
        for (name, (each, _)), p in zip(tests.items(), corrected, strict=True)
    ]
    gap = gender_gap(variants[EVERY_CLIP])
    return [*sentences, describe_difference("One classifier for all, UAR on women minus UAR on men", gap)]


# -- The six experiments of multiscale-cnn's authors -- #

SETS = {
    "clean": None,
    "noise": Added("neutral", SteadyNoise("deviation 1", 1.0)),
    "noise at 20 dB": Added("neutral", Noise("white 20 dB", 20.0)),  # not theirs: a usual noise level
}
# WAR of the published notebooks, which selected the best epoch on the test folds.
REPORTED = {
    ("clean", "all"): 0.8993, ("clean", "female"): 0.9014, ("clean", "male"): 0.8722,
    ("noise", "all"): 0.9244, ("noise", "female"): 0.9401, ("noise", "male"): 0.9141,
}  # fmt: skip


def plan_published(
    system: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[tuple[str, str], list[Experiment]]:
    """List the authors' experiments by set (clean or noisy) and speakers (all, female or male).

    Their noise set contains a noisy copy of each neutral clip, on both sides of the split.
    """
    narrowed = {"all": corpus} | {
        name: f"{corpus}{',' if ':' in corpus else ':'}gender={name}" for name in ("female", "male")
    }
    return {
        (kind, name): plan(
            [system],
            expression,
            ["as-published"],
            profile=profile,
            seeds=[seed],
            views=[ORIGINAL],
            added=added,
            data=data,
        )
        for kind, added in SETS.items()
        for name, expression in narrowed.items()
    }


def published_table(results: Mapping[tuple[str, str], Result]) -> pd.DataFrame:
    """Return the authors' experiments formatted for display, with WAR on recordings without copies; per cent."""
    rows = []
    for (kind, name), result in results.items():
        metrics = result.metrics()
        theirs = result.system.name == "multiscale-cnn" and set(result.clips["corpus"]) == {"ravdess"}
        recorded = (result.clips.get("origin", result.clips["clip"]) == result.clips["clip"]).to_numpy()
        rows.append(
            {
                "Set": kind,
                "Speakers": name,
                "WAR": str(metrics.war),
                "WAR without copies": str(result.metrics_where(recorded).war),
                "WAR reported": f"{100 * REPORTED[kind, name]:.1f}" if theirs and (kind, name) in REPORTED else "–",
                "WAR chance level": f"{100 * metrics.war_floor:.1f}",
                "UAR": str(metrics.uar),
                "Clips": metrics.clips,
                "of these copies": int((~recorded).sum()),
                "Folds": result.folds,
            }
        )
    return pd.DataFrame(rows)
