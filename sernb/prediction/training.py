"""The model that ships, made from a corpus: ``python -m sernb.prediction.training``.

Beside what the system learns there is which probability puts an emotion into a set of stated coverage, and what
recordings the model knows: both from clips of speakers that were not trained on, each speaker once. The figures on the
card are of those clips.
"""

import argparse
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sernb.audio.augmentation import Noise, apply_view
from sernb.audio.degradation import Clipping, Room, Telephone
from sernb.audio.reading import load
from sernb.config import plain
from sernb.corpora.pool import Pool, find_recordings, parse_pool
from sernb.corpora.preparation import prepare
from sernb.evaluation import Interval, Predictions, bootstrap_interval, calibration_error, evaluate, uar
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features.normalisation import SHRINKAGES, Moments, average_moments, compute_moments, shrink, standardise
from sernb.prediction import domain_check
from sernb.prediction.loading import FORMAT, FORMAT_VERSION, KINDS, SHIPPED, load_model
from sernb.prediction.model import Adaptation
from sernb.prediction.model_card import write_card
from sernb.runs.planning import plan
from sernb.runtime.bounded import arrays_in
from sernb.runtime.files import atomic
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import provenance
from sernb.systems.base import Examples, Task
from sernb.systems.learning.linear_classifier import LinearClassifier, classifier_from_arrays
from sernb.systems.registry import get_system

SYSTEM = "functionals-ridge"
PROTOCOL = "speaker-independent"
COVERAGES = (0.8, 0.9, 0.95)
UNSURE_BELOW = 0.5  # an answer that is likelier wrong than right is none
ENROLLED = (4, 16, None)  # available clips of a voice that choose k; None: all
MEASURED = (1, *ENROLLED)
DRAWS = 5
COPIED = 12  # clips of each speaker, for the check on spoiled copies
COPIES = {
    "white noise, 20 dB SNR": Noise("white 20 dB", 20.0),
    "telephone band": Telephone(),
    "room, 0.6 s T60": Room("room 0.6 s", 0.6),
    "clipped 20 dB under the peak": Clipping("clipped 20 dB", 20.0),
}


@dataclass(frozen=True)
class Corpus:
    """The clips that a model is made from."""

    pool: Pool
    classes: tuple[str, ...]
    clips: pd.DataFrame  # with the class in ``truth``
    rows: np.ndarray  # functionals, (clips, values)
    held: tuple[np.ndarray, ...]  # by fold: which clips are tested, (clips,) of booleans; each clip once

    @cached_property
    def truth(self) -> np.ndarray:
        """Class numbers."""
        return self.clips.truth.map(self.classes.index).to_numpy(int)

    @cached_property
    def speakers(self) -> np.ndarray:
        """Who speaks."""
        return self.clips.speaker.to_numpy(str)

    def by_speaker(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        """Return the positions of the clips of each speaker among some clips."""
        return {name: np.flatnonzero(mask & (self.speakers == name)) for name in np.unique(self.speakers[mask])}


def corpus_of(name: str) -> Corpus:
    """Read a corpus and its speaker-independent folds."""
    experiments = plan([SYSTEM], name, [PROTOCOL])
    first = experiments[0]
    table = prepare(first.corpus, first.system.features, progress=True)
    clips = first.clips.reset_index(drop=True)
    rows = np.concatenate([table[clip] for clip in clips["clip"]])
    held = tuple(clips["clip"].isin(experiment.fold.test).to_numpy() for experiment in experiments)
    return Corpus(first.corpus, first.labels.classes, clips, rows, held)


# -- Training -- #


def trained(corpus: Corpus, kept: np.ndarray, rows: np.ndarray) -> LinearClassifier:
    """Train on some clips, as the system does where speakers are kept apart.

    Args:
        kept: which clips, (clips,) of booleans
        rows: features of all clips
    """
    system, classes = get_system(SYSTEM), corpus.classes
    rows, truth, about = rows[kept], corpus.truth[kept], corpus.clips[kept].reset_index(drop=True)
    examples = Examples(tuple(rows[:, None]), truth, about)
    task = Task(examples, examples[:0], classes, speakers_apart=True, times_trained=np.ones(len(truth), int), seed=0)
    fitted = system.fit(system.settings, task)
    return classifier_from_arrays(fitted.weights, temperature=fitted.chosen["temperature"])


def adapted(corpus: Corpus, kept: np.ndarray) -> tuple[LinearClassifier, Moments]:
    """Train on speakers who are each standardised with their own clips; return the average speaker, too."""
    rows, own = corpus.rows.copy(), {}
    for name, at in corpus.by_speaker(kept).items():
        own[name] = compute_moments([corpus.rows[at]])
        rows[at] = standardise(corpus.rows[at], own[name])
    return trained(corpus, kept, rows), average_moments(list(own.values()))


# -- Speakers that were not trained on -- #


@dataclass(frozen=True)
class Held:
    """What is said of each clip by a machine that never heard its speaker."""

    machines: tuple[LinearClassifier, ...]  # by fold
    scores: np.ndarray  # (clips, classes)
    enrolled: dict[int | None, np.ndarray]  # available clips → scores, (draws, clips, classes); k chosen on other folds
    k: float  # the best over all folds, for the model that ships


def held_out(corpus: Corpus) -> Held:
    """Train one machine a fold and ask it for the clips of the other speakers."""
    shape = len(corpus.clips), len(corpus.classes)
    scores, machines = np.zeros(shape), []
    tried = {(count, k): np.zeros((DRAWS, *shape)) for count in MEASURED for k in SHRINKAGES}
    for number, held in enumerate(corpus.held):
        machine = trained(corpus, ~held, corpus.rows)
        scores[held] = machine(corpus.rows[held])
        machines.append(machine)
        own_machine, others = adapted(corpus, ~held)
        for draw in range(DRAWS):
            rng = np.random.default_rng([number, draw])
            for at in corpus.by_speaker(held).values():
                order = rng.permutation(at)
                for count, k in tried:
                    drawn = order[:count]
                    moments = shrink(compute_moments([corpus.rows[drawn]]), others, len(drawn), k)
                    tried[count, k][draw, at] = own_machine(standardise(corpus.rows[at], moments))
        progress_line(f"fold {number}: UAR {100 * uar(corpus.truth[held], scores[held]):.1f} %")

    def best(mask: np.ndarray) -> float:
        def reached(k: float) -> float:
            found = [uar(corpus.truth[mask], each[mask]) for count in ENROLLED for each in tried[count, k]]
            return float(np.mean(found))

        return max(SHRINKAGES, key=reached)

    chosen = [best(~held) for held in corpus.held]
    enrolled = {}
    for count in MEASURED:
        enrolled[count] = np.zeros((DRAWS, *shape))
        for held, k in zip(corpus.held, chosen, strict=True):
            enrolled[count][:, held] = tried[count, k][:, held]
    return Held(tuple(machines), scores, enrolled, best(np.ones(shape[0], bool)))


# -- What answers mean -- #


def threshold(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray, coverage: float) -> float:
    """Return the probability from which on an emotion belongs to the set of a coverage.

    Speakers are the units: the distribution of the true emotion's probability is the mean of those of the speakers, and
    one more speaker, of whom nothing is known, counts as never covered (Dunn, Wasserman and Ramdas, 2023,
    doi:10.1080/01621459.2022.2060112, "pooling CDFs"). With one model that heard none of them this is split conformal
    prediction, and the coverage is guaranteed. Here the scores are those of several models, each without a fold:
    cross-conformal prediction (Vovk, 2015, doi:10.1007/s10472-013-9368-4). What is proved for such sets is a
    coverage of about 1 - 2 alpha where 1 - alpha is stated (Barber et al., 2021, doi:10.1214/20-AOS1965), and only
    where the models of the folds answer themselves; the final model answers in their place here, so that the coverage
    is measured, not guaranteed.
    """
    names, of = np.unique(speakers, return_inverse=True)
    probability = scores[np.arange(len(truth)), truth]
    order = np.argsort(-probability, kind="stable")
    reached = np.cumsum(1 / np.bincount(of)[of[order]]) / (len(names) + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(probability[order[enough[0]]]) if len(enough) else 0.0


def in_sets(scores: np.ndarray, bound: float) -> np.ndarray:
    """Return which classes belong to the set of each clip, never none; (clips, classes) of booleans."""
    return (scores >= bound) | (scores == scores.max(axis=1, keepdims=True))


def coverages(corpus: Corpus, draws: np.ndarray) -> list[dict[str, object]]:
    """Measure the sets on speakers that fixed no threshold: those of the other folds do.

    Args:
        draws: scores, (draws, clips, classes)
    """
    rows, count = [], len(draws)
    truth, speakers = np.tile(corpus.truth, count), np.tile(corpus.speakers, count)
    scores = np.concatenate(draws)
    for coverage in COVERAGES:
        sets = np.zeros(scores.shape, bool)
        for held in (np.tile(each, count) for each in corpus.held):
            bound = threshold(truth[~held], scores[~held], speakers[~held], coverage)
            sets[held] = in_sets(scores[held], bound)
        covered = sets[np.arange(len(sets)), truth]
        rows.append(
            {
                "stated": coverage,
                "covered": str(bootstrap_interval(_mean, Predictions(covered, covered, speakers))),
                "emotions": float(sets.sum(axis=1).mean()),
            }
        )
    return rows


def thresholds(corpus: Corpus, draws: np.ndarray) -> dict[str, float]:
    """Return the thresholds of all coverages from scores of several draws, (draws, clips, classes)."""
    truth, speakers = (np.tile(each, len(draws)) for each in (corpus.truth, corpus.speakers))
    return {f"{at:g}": threshold(truth, np.concatenate(draws), speakers, at) for at in COVERAGES}


def _mean(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean(scores))


def checked(corpus: Corpus, held: Held) -> tuple[list[dict[str, float]], dict[str, list[dict]]]:
    """Measure every clip, and spoiled copies of some, as clips of speakers never heard.

    Returns:
        measures of each clip; by name of the copies what is needed to check them: measures, and whether the answer was
        right
    """
    system = get_system(SYSTEM)
    files = find_recordings(corpus.pool, corpus.clips["clip"].tolist())
    fold_of = np.argmax(np.stack(corpus.held), axis=0)
    rate, measured = system.features.sampling_rate, []
    copied = corpus.clips.groupby("speaker").sample(COPIED, random_state=0).index
    copies: dict[str, list[dict]] = {name: [] for name in COPIES}
    for at, clip in enumerate(corpus.clips["clip"]):
        signal, machine = load(files[clip], rate), held.machines[fold_of[at]]
        measured.append(domain_check.measure(signal, corpus.rows[at], rate, machine))
        for name, view in COPIES.items() if at in copied else ():
            spoiled = apply_view(clip, view, signal, rate)
            row = system.features(spoiled)
            right = machine(row).argmax() == corpus.truth[at]
            copies[name].append(
                {"measures": domain_check.measure(spoiled, row[0], rate, machine), "right": bool(right)}
            )
    return measured, copies


def verdicts(found: Sequence[Mapping], bounds: Mapping) -> dict[str, object]:
    """Return how many of some recordings got each verdict, and how many of those answers are right."""
    said = np.array([domain_check.check_domain(each["measures"], bounds).verdict for each in found])
    right = np.array([each["right"] for each in found])
    rows = {
        verdict: {"share": float((said == verdict).mean()), "right": float(right[said == verdict].mean())}
        for verdict in domain_check.VERDICTS
        if (said == verdict).any()
    }
    return {"recordings": len(found), "right": float(right.mean()), "verdicts": rows}


# -- The folder -- #


def make(corpus_name: str, foreign_name: str, folder: Path) -> None:
    """Train, test, and write the folder of the model with its card."""
    corpus = corpus_of(corpus_name)
    held = held_out(corpus)
    everything = np.ones(len(corpus.clips), bool)
    machine = trained(corpus, everything, corpus.rows)
    own_machine, others = adapted(corpus, everything)
    adaptation = Adaptation(own_machine, *(values.astype(np.float32) for values in others), k=held.k)
    measured, copies = checked(corpus, held)
    bounds = domain_check.bounds_of(measured)
    all_own = held.enrolled[None].mean(axis=0)
    right = held.scores.argmax(axis=1) == corpus.truth
    of_clips = [{"measures": each, "right": bool(ok)} for each, ok in zip(measured, right, strict=True)]
    figures = {
        "held-out speakers": figures_of(corpus, held.scores),
        "adapted, all own clips": figures_of(corpus, all_own),
        "adapted": {
            str(count or "all"): str(enrolment_interval(corpus, scores)) for count, scores in held.enrolled.items()
        },
        "coverage": coverages(corpus, held.scores[None]),
        "coverage, adapted": {
            str(count or "all"): coverages(corpus, scores) for count, scores in held.enrolled.items()
        },
        "sure": sure(corpus, held.scores),
        "readiness": {
            "clips of speakers not trained on": verdicts(of_clips, bounds),
            **{name: verdicts(found, bounds) for name, found in copies.items()},
        },
        "foreign": foreign(foreign_name, corpus, machine, bounds),
    }
    arrays = {
        **machine.arrays,
        **{f"adapted {name}": values for name, values in adaptation.machine.arrays.items()},
        "average mean": adaptation.mean,
        "average variance": adaptation.variance,
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    system, part = get_system(SYSTEM), corpus.pool.parts[0]
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": KINDS[0],
        "name": SYSTEM,
        "classes": corpus.classes,
        "features": plain(system.features),
        "features_version": FEATURES_VERSION,
        "limit": machine.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": UNSURE_BELOW,
        "temperatures": {"as_heard": machine.temperature, "adapted": adaptation.machine.temperature},
        "sets": {
            "as_heard": thresholds(corpus, held.scores[None]),
            "adapted": thresholds(corpus, all_own[None]),
            **{f"adapted {count}": thresholds(corpus, scores) for count, scores in held.enrolled.items() if count},
        },
        "adaptation_k": held.k,
        "readiness": bounds,
        "trained_on": {
            "corpus": part.corpus.name,
            "title": part.corpus.title,
            "licence": part.corpus.licence,
            "recordings": corpus.pool.recordings,
            "clips": len(corpus.clips),
            "speakers": len(set(corpus.speakers)),
        },
        "figures": figures,
        "weights_sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
        "provenance": {name: value for name, value in provenance(seconds=0).items() if name != "seconds"},
    }
    with atomic(folder / "weights.npz") as unfinished:
        unfinished.write_bytes(packed.getvalue())
    with atomic(folder / "model.json") as unfinished:
        unfinished.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with atomic(folder / "README.md") as unfinished:
        unfinished.write_text(write_card(json.loads(json.dumps(about))), "utf-8")


def differences(folder: Path, other: Path) -> list[str]:
    """Return in which figures two folders of the model differ beyond rounding; the same make gives none."""
    first, second = ({**load_model(each).about} for each in (folder, other))
    for about in (first, second):
        for name in ("provenance", "weights_sha256"):
            about.pop(name)
    left, right = (dict(_leaves(about)) for about in (first, second))
    found = sorted(left.keys() ^ right.keys())
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        numbers = isinstance(a, float | int) and isinstance(b, float | int)
        if not (np.isclose(a, b, rtol=1e-3, atol=1e-4) if numbers else a == b):
            found.append(f"{name}: {a} and {b}")
    arrays = [arrays_in(each / "weights.npz") for each in (folder, other)]
    for name, values in arrays[0].items():
        scale = np.abs(values).max() or 1.0
        if name not in arrays[1] or not np.allclose(values, arrays[1][name], rtol=0, atol=1e-3 * scale):
            found.append(f"weights: {name}")
    return found


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(each, f"{name}/{key}")
    else:
        yield name, value


def figures_of(corpus: Corpus, scores: np.ndarray) -> dict[str, object]:
    """Return metrics with intervals: all, by gender, by emotion."""
    found = evaluate(corpus.truth, scores, corpus.speakers)
    genders = corpus.clips.gender.to_numpy(str)
    by_gender = {
        name: str(bootstrap_interval(uar, Predictions(corpus.truth[at], scores[at], corpus.speakers[at])))
        for name in sorted(set(genders))
        for at in [genders == name]
    }
    return {
        "clips": found.clips,
        "speakers": found.speakers,
        "UAR": str(found.uar),
        "UAR floor": f"{100 * found.uar_floor:.1f}",
        "WAR": str(found.war),
        "WAR floor": f"{100 * found.war_floor:.1f}",
        "top-3": str(found.top3),
        "top-3 floor": f"{100 * found.top3_floor:.1f}",
        "calibration error": f"{100 * calibration_error(corpus.truth, scores):.1f}",
        "UAR by gender": by_gender,
        "recall by emotion": {name: str(each) for name, each in zip(corpus.classes, found.recall, strict=True)},
    }


def enrolment_interval(corpus: Corpus, scores: np.ndarray) -> Interval:
    """Return the UAR over all draws of the clips at hand."""
    draws = len(scores)
    return bootstrap_interval(
        uar, Predictions(np.tile(corpus.truth, draws), np.concatenate(scores), np.tile(corpus.speakers, draws))
    )


def sure(corpus: Corpus, scores: np.ndarray) -> dict[str, object]:
    """Return how many answers are given, and how many of these are right."""
    given, right = scores.max(axis=1) >= UNSURE_BELOW, scores.argmax(axis=1) == corpus.truth
    speakers = corpus.speakers
    return {
        "given": str(bootstrap_interval(_mean, Predictions(given, given, speakers))),
        "right": str(bootstrap_interval(_mean, Predictions(right[given], right[given], speakers[given]))),
        "right of the others": str(
            bootstrap_interval(_mean, Predictions(right[~given], right[~given], speakers[~given]))
        ),
    }


def foreign(name: str, corpus: Corpus, machine: LinearClassifier, bounds: Mapping) -> dict[str, object]:
    """Return what the model that ships does on another corpus."""
    pool, system = parse_pool(name), get_system(SYSTEM)
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    table, files = prepare(pool, system.features, progress=True), find_recordings(pool, clips["clip"].tolist())
    rows = np.concatenate([table[clip] for clip in clips["clip"]])
    truth, scores = clips.emotion.map(corpus.classes.index).to_numpy(int), machine(rows)
    metrics = evaluate(truth, scores, clips.speaker.to_numpy(str))
    rate = system.features.sampling_rate
    found = [
        {"measures": domain_check.measure(load(files[clip], rate), row, rate, machine), "right": bool(ok)}
        for clip, row, ok in zip(clips["clip"], rows, scores.argmax(axis=1) == truth, strict=True)
    ]
    part = pool.parts[0]
    return {
        "corpus": part.title,
        "clips": metrics.clips,
        "speakers": metrics.speakers,
        "drawn": metrics.resampled,
        "UAR": str(metrics.uar),
        "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        "mean confidence": f"{100 * scores.max(axis=1).mean():.0f}",
        "readiness": verdicts(found, bounds),
    }


def main() -> None:
    """Make the model that ships."""
    parser = argparse.ArgumentParser(
        prog="python -m sernb.prediction.training", description="Make the model that ships."
    )
    parser.add_argument("--corpus", default="ravdess", metavar="C", help="to train on")
    parser.add_argument("--foreign", default="tess:available", metavar="C", help="to test on once more")
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="change nothing: say how DIR differs from a new make")
    options = parser.parse_args()
    if not options.check:
        make(options.corpus, options.foreign, options.out)
        progress_line(f"model: {options.out}")
        return
    with tempfile.TemporaryDirectory(prefix="sernb-") as folder:
        make(options.corpus, options.foreign, Path(folder))
        found = differences(options.out, Path(folder))
    progress_line("\n".join(found) or f"{options.out}: made again, nothing differs")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
