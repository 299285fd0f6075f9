"""A corpus and a linear system → a final model: trained on all clips, calibrated for strangers, with its figures.

Strangers speak other sentences, elsewhere. What stands for them is a clip of a gender and of a sentence that were not
trained on, as other rooms and devices give it: temperature, prediction sets and the confidence of firm predictions come
from such clips. What recordings the model knows comes from clips of speakers that were not trained on, and from their
copies. Clips of another corpus only measure.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sernb.audio.reading import load
from sernb.config import plain
from sernb.corpora.pool import find_recordings, parse_pool
from sernb.evaluation import (
    Predictions,
    apply_temperature,
    bootstrap_interval,
    calibration_error,
    evaluate,
    fit_temperature,
    uar,
)
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import Functionals, Joined, LevelledFunctionals
from sernb.prediction import domain_check
from sernb.prediction.calibration import (
    coverage_with,
    cross_coverage,
    firm,
    least_confidence,
    mean_interval,
    thresholds,
    verdicts,
)
from sernb.prediction.loading import FORMAT, FORMAT_VERSION, KINDS
from sernb.prediction.model import Adaptation
from sernb.prediction.model_card import write_card
from sernb.prediction.training import DRAWS, QUIETER, measure, predict_unseen, train, train_adapted
from sernb.prediction.training_corpus import Corpus, features_of, read_corpus, read_rows
from sernb.runtime.files import atomic
from sernb.runtime.provenance import provenance
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.registry import get_system


def train_final_model(system_name: str, corpus_name: str, foreign_name: str, folder: Path) -> None:
    """Train on all clips, calibrate, measure, and write the folder of the model with its card.

    Args:
        system_name: a linear system, or a product of such
        foreign_name: a corpus to measure on; nothing is chosen there
    """
    system, made = get_system(system_name), provenance(seconds=0)  # the commit is that at which training starts
    corpus = read_corpus(system, corpus_name)
    unseen, strange = (predict_unseen(corpus, strangers=each) for each in (False, True))
    truths = np.tile(corpus.truth, len(strange.scores))
    temperatures = {
        "as_heard": fit_temperature(truths, np.concatenate(strange.scores)),
        "adapted": fit_temperature(np.tile(corpus.truth, DRAWS), np.concatenate(strange.enrolled[None])),
    }
    scores = _at_temperature(strange.scores, temperatures["as_heard"])
    enrolled = {n: _at_temperature(each, temperatures["adapted"]) for n, each in strange.enrolled.items()}
    sets = {
        "as_heard": thresholds(corpus.truth, scores, corpus.speakers),
        "adapted": thresholds(corpus.truth, enrolled[None], corpus.speakers),
        **{f"adapted {n}": thresholds(corpus.truth, each, corpus.speakers) for n, each in enrolled.items() if n},
    }
    measured = measure(corpus, unseen)
    features = features_of(system)
    functionals = features.part(Functionals) if isinstance(features, Joined) else features
    every = [each["measures"] for all_of in measured.values() for each in all_of]
    bounds = domain_check.bounds_of(every, any_level=isinstance(functionals, LevelledFunctionals))
    confidence, right = scores.max(axis=2).ravel(), (scores.argmax(axis=2) == corpus.truth).ravel()
    least = least_confidence(confidence, right)
    everything = np.ones(len(corpus), bool)
    classifier = train(corpus, everything, corpus.rows, corpus.copies)
    classifier = _with_temperature(classifier, temperatures["as_heard"])
    own, others = train_adapted(corpus, everything)
    own = _with_temperature(own, temperatures["adapted"])
    adaptation = Adaptation(own, *(values.astype(np.float32) for values in others), k=strange.k)
    plain_scores = apply_temperature(unseen.scores[0], temperatures["as_heard"])
    figures = {
        "held-out speakers": figures_of(corpus, plain_scores),
        "adapted, all own clips": figures_of(corpus, unseen.enrolled[None].mean(axis=0)),
        "adapted": {str(count or "all"): _enrolment_interval(corpus, each) for count, each in unseen.enrolled.items()},
        "strangers": _strangers(corpus, scores),
        "coverage": cross_coverage(corpus.truth, scores, corpus.speakers, corpus.folds),
        "coverage, adapted": {
            str(n or "all"): cross_coverage(corpus.truth, each, corpus.speakers, corpus.folds)
            for n, each in enrolled.items()
        },
        "sure": firm(confidence, right, np.tile(corpus.speakers, len(scores)), least),
        "readiness": {name or "clips of unseen speakers": verdicts(each, bounds) for name, each in measured.items()},
        "same prediction, 18 dB quieter": _same(measured, corpus),
        "foreign": measure_foreign(foreign_name, corpus, classifier, bounds, sets["as_heard"], least),
    }
    arrays = {
        **classifier.arrays,
        **{f"adapted {name}": values for name, values in adaptation.machine.arrays.items()},
        "average mean": adaptation.mean,
        "average variance": adaptation.variance,
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, **{name: values.astype(np.float32) for name, values in arrays.items()})
    part = corpus.pool.parts[0]
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": KINDS[0],
        "name": system.name,
        "classes": corpus.classes,
        "features": plain(features),
        "features_version": FEATURES_VERSION,
        "limit": classifier.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": least,
        "temperatures": {"as_heard": classifier.temperature, "adapted": own.temperature},
        "sets": sets,
        "adaptation_k": strange.k,
        "readiness": bounds,
        "trained_on": {
            "corpus": part.corpus.name,
            "title": part.corpus.title,
            "licence": part.corpus.licence,
            "recordings": corpus.pool.recordings,
            "clips": len(corpus),
            "speakers": len(set(corpus.speakers)),
            "encoders": list(system.encoders),
        },
        "figures": figures,
        "weights_sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
        "provenance": {name: value for name, value in made.items() if name != "seconds"},
    }
    with atomic(folder / "weights.npz") as unfinished:
        unfinished.write_bytes(packed.getvalue())
    with atomic(folder / "model.json") as unfinished:
        unfinished.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with atomic(folder / "README.md") as unfinished:
        unfinished.write_text(write_card(json.loads(json.dumps(about))), "utf-8")


def figures_of(corpus: Corpus, scores: np.ndarray) -> dict[str, object]:
    """Return metrics with intervals: all, by gender, by emotion."""
    found = evaluate(corpus.truth, scores, corpus.speakers)
    genders = corpus.clips.gender.to_numpy(str)
    by_gender = {
        name: _uar(corpus.truth[at], scores[at], corpus.speakers[at])
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


def _strangers(corpus: Corpus, scores: np.ndarray) -> dict[str, str]:
    """Return the UAR of each kind of copy; scores are ``(copies, clips, classes)``."""
    names = [view.name for view in corpus.system.training_views] or ["as recorded"]
    return {name: _uar(corpus.truth, each, corpus.speakers) for name, each in zip(names, scores, strict=True)}


def _same(measured: Mapping[str, Sequence[Mapping]], corpus: Corpus) -> str:
    itself = {each["clip"]: each["class"] for each in measured[""]}
    quieter = measured[QUIETER.name]
    same = np.array([each["class"] == itself[each["clip"]] for each in quieter])
    return mean_interval(same, corpus.speakers[[each["clip"] for each in quieter]])


def _enrolment_interval(corpus: Corpus, scores: np.ndarray) -> str:
    """Return the UAR over all draws of the available clips."""
    truth, speakers = (np.tile(each, len(scores)) for each in (corpus.truth, corpus.speakers))
    return _uar(truth, np.concatenate(scores), speakers)


def _uar(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray) -> str:
    """Return the UAR with its interval, in per cent."""
    return str(bootstrap_interval(uar, Predictions(truth, scores, speakers)))


def measure_foreign(
    name: str, corpus: Corpus, classifier: LinearClassifier, bounds: Mapping, sets: Mapping[str, float], least: float
) -> dict[str, object]:
    """Return what the final model does on another corpus, of which nothing was chosen."""
    pool, features = parse_pool(name), features_of(corpus.system)
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    files = find_recordings(pool, clips["clip"].tolist())
    rows, speakers = read_rows(pool, corpus.system, clips["clip"]), clips.speaker.to_numpy(str)
    truth, scores = clips.emotion.map(corpus.classes.index).to_numpy(int), classifier(rows)
    metrics, right = evaluate(truth, scores, speakers), scores.argmax(axis=1) == truth
    found = [
        {"measures": domain_check.measure(load(files[clip], features.sampling_rate), row, features, classifier)}
        | {"right": bool(ok)}
        for clip, row, ok in zip(clips["clip"], rows, right, strict=True)
    ]
    out = np.array([domain_check.check_domain(each["measures"], bounds).verdict for each in found])
    confidence = np.where(out == domain_check.OUT_OF_DOMAIN, 0.0, scores.max(axis=1))
    return {
        "corpus": pool.parts[0].title,
        "clips": metrics.clips,
        "speakers": metrics.speakers,
        "drawn": metrics.resampled,
        "UAR": str(metrics.uar),
        "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        "mean confidence": f"{100 * scores.max(axis=1).mean():.0f}",
        "calibration error": f"{100 * calibration_error(truth, scores):.1f}",
        "recall by emotion": {name: str(each) for name, each in zip(corpus.classes, metrics.recall, strict=True)},
        "sure": firm(confidence, right, speakers, least),
        "coverage": coverage_with(truth, scores, speakers, sets),
        "readiness": verdicts(found, bounds),
    }


def _at_temperature(draws: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities, ``(draws, clips, classes)``, at another temperature."""
    return np.stack([apply_temperature(scores, temperature) for scores in draws])


def _with_temperature(classifier: LinearClassifier, temperature: float) -> LinearClassifier:
    return dataclasses.replace(classifier, temperature=classifier.temperature * temperature)
