"""Gender: trained on all, female or male speakers, tested on all, female or male ones, at equal training size."""

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
    uar,
    unpaired_difference,
)
from sernb.evaluation import speaker_differences as by_speaker
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
    """List the experiments by whom they are trained on; all but ``EVERY_CLIP`` hear equally many clips.

    All have the same folds, and these test both genders: in the quick profile the first two, or as many more as it
    takes.

    Raises:
        Infeasible: if women or men are too few to train on and to test
    """
    given = {"seeds": [seed], "views": [ORIGINAL], "data": data, "profile": profile}
    pool = parse_pool(corpus, data)
    genders = pool.index.groupby("gender").speaker.nunique()
    if missing := [name for name in ("female", "male") if name not in genders]:
        raise Infeasible(f"{pool.name}: has no speaker whose gender is {' or '.join(missing)}, as the labels say it")
    folds = range(plan([system], corpus, [PROTOCOL], **given)[0].folds)
    whole = {
        name: plan([system], corpus, [PROTOCOL], train_on=condition, folds=folds, **given)
        for name, condition in VARIANTS.items()
    }
    chosen = _same_folds(whole, QUICK_FOLDS if profile == "quick" else len(folds))
    sizes = equal_sizes(chosen)
    if min(sizes.values()) < 2:
        raise Infeasible(f"{pool.name}: some folds have fewer than two training clips of a gender; add recordings")
    numbers = [each.fold.number for each in chosen["all"]]
    variants = {
        name: plan([system], corpus, [PROTOCOL], train_on=condition, train_clips=sizes[name], folds=numbers, **given)
        for name, condition in VARIANTS.items()
    }
    return _same_folds({EVERY_CLIP: chosen["all"]} | variants, len(numbers))


def _same_folds(variants: Mapping[str, Sequence[Experiment]], count: int) -> dict[str, list[Experiment]]:
    """Return the first folds that all variants have, at least ``count`` and so many that both genders are tested."""
    every = variants["all"]
    common = set.intersection(*({each.fold.number for each in variant} for variant in variants.values()))
    numbers = [each.fold.number for each in every if each.fold.number in common]
    gender = every[0].clips.set_index("clip").gender
    for taken in range(min(count, len(numbers)), len(numbers) + 1):
        kept = {name: [each for each in part if each.fold.number in numbers[:taken]] for name, part in variants.items()}
        tested = {gender[clip] for each in kept["all"] for clip in each.fold.test}
        if {"female", "male"} <= tested:
            return kept
    raise Infeasible(
        f"{every[0].corpus.name}: no folds train on women and on men and test both; add recordings of more speakers"
    )


def equal_sizes(variants: Mapping[str, Sequence[Experiment]]) -> dict[str, int]:
    """Return for each variant how many training clips to take, so that all systems hear as much.

    A system that chooses no epoch learns from the validation clips, too: they count.
    """
    beside = {
        name: max(0 if each.system.chooses_epoch else len(each.fold.validation) for each in experiments)
        for name, experiments in variants.items()
    }
    least = min(len(each.fold.train) + beside[name] for name, experiments in variants.items() for each in experiments)
    return {name: least - validated for name, validated in beside.items()}


def describe_training(result: Result) -> str:
    """Return how many clips each fold learned from, fewest and most."""
    sizes = [
        len(each.fold.train) + (0 if each.system.chooses_epoch else len(each.fold.validation))
        for each in result.experiments
    ]
    return f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def _tested(result: Result) -> dict[str, np.ndarray]:
    gender = result.clips.gender.to_numpy()
    return {"all": np.ones(len(gender), bool)} | {name: gender == name for name in ("female", "male")}


def cells(variants: Mapping[str, Result]) -> pd.DataFrame:
    """Return one row for each training and each test group: trained, tested, heard, metrics.

    Raises:
        DataError: if a gender is not tested
    """
    rows = []
    for trained, result in variants.items():
        for tested, mask in _tested(result).items():
            if not mask.any():
                raise DataError(f"{result.experiments[0].corpus.name}: no {tested} speaker is tested; take more folds")
            metrics = result.metrics_where(mask)
            rows.append({"trained": trained, "tested": tested, "heard": describe_training(result), "metrics": metrics})
    return pd.DataFrame(rows)


def cells_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the cells for reading: per cent, intervals in brackets."""
    rows = [
        {
            "Trained on": row.trained,
            "Training clips": row.heard,
            "Tested on": row.tested,
            "UAR": str(row.metrics.uar),
            "UAR chance level": f"{100 * row.metrics.uar_floor:.1f}",
            "WAR": str(row.metrics.war),
            "Test clips": row.metrics.clips,
            "Test speakers": row.metrics.speakers,
        }
        for row in found.itertuples()
    ]
    return pd.DataFrame(rows)


def _part(result: Result, mask: np.ndarray, scores: np.ndarray | None = None) -> Predictions:
    scores = result.scores() if scores is None else scores
    return Predictions(result.truth[mask], scores[mask], result.clips.speaker.to_numpy()[mask])


def comparisons(variants: Mapping[str, Result]) -> dict[str, tuple[Comparison, float]]:
    """Return paired tests on the same clips: what is compared → test, and the smallest difference it could find.

    The two classifiers of a pair are each asked about the speakers of their own gender, which must be known.
    """
    women, men, joint = variants["female"], variants["male"], variants["all"]
    masks = _tested(joint)
    pair = np.where(masks["female"][:, None], women.scores(), men.scores())
    female, male, known = masks["female"], masks["male"], masks["female"] | masks["male"]
    parts = {
        "female speakers: trained on women instead of both": [(joint, female), (women, female)],
        "male speakers: trained on men instead of both": [(joint, male), (men, male)],
        "female speakers: trained on women instead of men": [(men, female), (women, female)],
        "male speakers: trained on men instead of women": [(women, male), (men, male)],
        "all speakers: one for each gender instead of one for all": [(joint, known), (joint, known, pair)],
        "all speakers: one for each gender instead of one trained on every clip": [
            (variants[EVERY_CLIP], known),
            (joint, known, pair),
        ],
    }
    tested = {}
    for what, (first, second) in parts.items():
        answers = _part(*first), _part(*second)
        spread = by_speaker(uar, *answers)
        least = smallest_detectable_difference(spread.std(ddof=1), len(spread)) if len(spread) > 1 else float("nan")
        tested[what] = paired_test(uar, *answers), least
    return tested


def comparisons_table(tested: Mapping[str, tuple[Comparison, float]]) -> pd.DataFrame:
    """Return the tests for reading, p corrected for their number by Holm's method."""
    corrected = holm([each.p for each, _ in tested.values()])
    rows = [
        {
            "On the same clips": what,
            "UAR gained (points)": str(each.difference),
            "p": format_p(each.p),
            "p after Holm": format_p(p),
            "Smallest difference found (points)": "–" if np.isnan(least) else f"{100 * least:.1f}",
            "Flipped": f"{each.units} {each.difference.unit}",
        }
        for (what, (each, least)), p in zip(tested.items(), corrected, strict=True)
    ]
    return pd.DataFrame(rows)


def between_genders(result: Result) -> Interval:
    """Return by how much one classifier does better on women than on men; other clips, other speakers."""
    masks = _tested(result)
    return unpaired_difference(uar, _part(result, masks["male"]), _part(result, masks["female"]), seed=result.seed)


def answer(variants: Mapping[str, Result], tested: Mapping[str, tuple[Comparison, float]]) -> list[str]:
    """Return whether one classifier for each gender is better, whether one gender is easier, and on what."""
    *_, separate = conclusions(variants, tested)[:-1]
    return [separate, conclusions(variants, tested)[-1], f"{describe_result(variants[EVERY_CLIP])}."]


def conclusions(variants: Mapping[str, Result], tested: Mapping[str, tuple[Comparison, float]]) -> list[str]:
    """Return what was found, in sentences."""
    corrected = holm([each.p for each, _ in tested.values()])
    said = [
        describe_difference(what[0].upper() + what[1:], each.difference, p)
        for (what, (each, _)), p in zip(tested.items(), corrected, strict=True)
    ]
    of_both = between_genders(variants[EVERY_CLIP])
    return [*said, describe_difference("One classifier for all, women better than men by", of_both)]


# -- The six experiments of multiscale-cnn's authors -- #

SETS = {
    "clean": None,
    "noise": Added("neutral", SteadyNoise("deviation 1", 1.0)),
    "noise at 20 dB": Added("neutral", Noise("white 20 dB", 20.0)),  # not theirs: what noise usually means
}
# WAR of the published notebooks, whose best epoch was chosen on the test folds.
REPORTED = {
    ("clean", "all"): 0.8993, ("clean", "female"): 0.9014, ("clean", "male"): 0.8722,
    ("noise", "all"): 0.9244, ("noise", "female"): 0.9401, ("noise", "male"): 0.9141,
}  # fmt: skip


def plan_published(
    system: str, corpus: str, *, profile: str, seed: int = 0, data: str | Path | None = None
) -> dict[tuple[str, str], list[Experiment]]:
    """List their experiments: clean and noisy sets of all, female and male speakers, by set and speakers.

    Their noise set holds a noisy copy of each neutral clip, on both sides of the split.
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
    """Return their experiments formatted for display, WAR on the recordings without their copies beside; per cent."""
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
                "of recordings alone": str(result.metrics_where(recorded).war),
                "WAR reported": f"{100 * REPORTED[kind, name]:.1f}" if theirs and (kind, name) in REPORTED else "–",
                "WAR chance level": f"{100 * metrics.war_floor:.1f}",
                "UAR": str(metrics.uar),
                "Clips": metrics.clips,
                "of that copies": int((~recorded).sum()),
                "Folds": result.folds,
            }
        )
    return pd.DataFrame(rows)
