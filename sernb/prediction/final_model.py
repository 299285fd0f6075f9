"""A corpus and a system → a final model: trained on all clips, calibrated, with its figures and its card.

Of linear systems: strangers speak other sentences, elsewhere. What stands for them is a clip of a gender and of a
sentence that were not trained on, as other rooms and devices give it: temperature, prediction sets and the confidence
of firm predictions come from such clips. What recordings the model knows comes from clips of speakers that were not
trained on, and from their copies. Of networks, which take long to train, all of it comes from clips of speakers that
were not trained on (:mod:`sernb.prediction.final_network`). Where there is one speaker only, nothing can be known of
others, and the model says so. Clips of another corpus only measure.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sernb.config import plain
from sernb.evaluation import apply_temperature, fit_temperature
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import Features, Functionals, Joined, LevelledEmbedding, LevelledFunctionals
from sernb.prediction import domain_check
from sernb.prediction.calibration import cross_coverage, firm, least_confidence, thresholds, verdicts
from sernb.prediction.loading import FORMAT, FORMAT_VERSION, KINDS
from sernb.prediction.model import Adaptation
from sernb.prediction.model_figures import (
    enrolment_interval,
    figures_of,
    measure_foreign,
    share_of_same,
    strangers_figures,
)
from sernb.prediction.model_folder import Made, write_model
from sernb.prediction.training import DRAWS, fold_references, measure, predict_unseen, train, train_adapted
from sernb.prediction.training_corpus import BY_CLIP, Corpus, features_of, read_corpus
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import provenance
from sernb.systems.base import System
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.registry import get_system


def train_final_model(system_name: str, corpus_name: str, foreign_name: str, folder: Path) -> None:
    """Train on all clips, calibrate, measure, and write the folder of the model with its card.

    Args:
        system_name: a linear system, or a product of such
        foreign_name: a corpus to measure on; nothing is chosen there
    """
    write_model(make_linear_model(get_system(system_name), corpus_name, foreign_name), folder)


def make_linear_model(system: System, corpus_name: str, foreign_name: str = "") -> Made:
    """Train a linear system on all clips of a corpus, calibrate and measure it.

    Args:
        foreign_name: a corpus to measure on; nothing is chosen there. Empty: none
    """
    made = provenance(seconds=0)  # the commit is that at which training starts
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
    features = features_of(system)
    functionals, own = functionals_of(features)
    rows, references = (None, ()) if own else fold_references(corpus, functionals)
    measured = measure(corpus, unseen, references)
    every = [each["measures"] for all_of in measured.values() for each in all_of]
    bounds = domain_check.bounds_of(every, any_level=isinstance(functionals, LevelledFunctionals))
    confidence, right = scores.max(axis=2).ravel(), (scores.argmax(axis=2) == corpus.truth).ravel()
    least = least_confidence(confidence, right)
    progress_line(f"{system.name}: training on all {len(corpus)} clips")
    everything = np.ones(len(corpus), bool)
    classifier = train(corpus, everything, corpus.rows, corpus.copies)
    classifier = _with_temperature(classifier, temperatures["as_heard"])
    adapted, others = train_adapted(corpus, everything)
    adapted = _with_temperature(adapted, temperatures["adapted"])
    adaptation = Adaptation(adapted, *(values.astype(np.float32) for values in others), k=strange.k)
    plain_scores = apply_temperature(unseen.scores[0], temperatures["as_heard"])
    figures = {
        "held-out speakers": figures_of(corpus, plain_scores),
        "adapted, all own clips": figures_of(corpus, unseen.enrolled[None].mean(axis=0)),
        "adapted": {str(count or "all"): enrolment_interval(corpus, each) for count, each in unseen.enrolled.items()},
        "strangers": strangers_figures(corpus, scores),
        "coverage": cross_coverage(corpus.truth, scores, corpus.speakers, corpus.folds),
        "coverage, adapted": {
            str(n or "all"): cross_coverage(corpus.truth, each, corpus.speakers, corpus.folds)
            for n, each in enrolled.items()
        },
        "sure": firm(confidence, right, np.tile(corpus.speakers, len(scores)), least),
        "readiness": {name or "clips of unseen speakers": verdicts(each, bounds) for name, each in measured.items()},
        "same prediction, 18 dB quieter": share_of_same(measured, corpus),
    }
    known = {"readiness": bounds, "sets": sets, "unsure_below": least}
    reference = None if own else domain_check.reference_of(functionals, rows.mean(axis=0), rows.std(axis=0))
    if foreign_name:
        figures["foreign"] = measure_foreign(foreign_name, corpus, classifier, known, reference)
    arrays = {
        **classifier.arrays,
        **{f"adapted {name}": values for name, values in adaptation.machine.arrays.items()},
        "average mean": adaptation.mean,
        "average variance": adaptation.variance,
    }
    about = {
        **begin_model(corpus, features, KINDS[0]),
        "limit": classifier.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": least,
        "temperatures": {"as_heard": classifier.temperature, "adapted": adapted.temperature},
        "sets": sets,
        "adaptation_k": strange.k,
        "readiness": bounds,
        "trained_on": trained_on(corpus),
        "figures": figures,
    }
    return Made(*with_reference(about, arrays, reference), made)


def make_for_one_speaker(system: System, corpus_name: str) -> Made:
    """Train a linear system on the clips of one speaker: nothing is calibrated, as nothing is known of others."""
    made = provenance(seconds=0)
    corpus = read_corpus(system, corpus_name, BY_CLIP)
    scores = np.zeros((len(corpus), len(corpus.classes)))
    for number, held in enumerate(corpus.folds):
        progress_line(f"fold {number}: clips of the same speaker")
        scores[held] = train(corpus, ~held, corpus.rows, corpus.copies)(corpus.rows[held])
    classifier = train(corpus, np.ones(len(corpus), bool), corpus.rows, corpus.copies)
    about = {
        **begin_model(corpus, features_of(system), KINDS[0]),
        "limit": classifier.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": 0.0,
        "temperatures": {"as_heard": classifier.temperature},
        "sets": {},
        "trained_on": trained_on(corpus),
        "figures": {"held-out clips": figures_of(corpus, scores)},
    }
    return Made(about, classifier.arrays, made)


def functionals_of(features: Features) -> tuple[Functionals, bool]:
    """Return the functionals that the domain check reads, and whether the model reads them itself."""
    parts: Sequence[Features] = features.parts if isinstance(features, Joined) else (features,)
    for part in parts:
        if isinstance(part, Functionals):
            return part, True
    return (LevelledFunctionals() if isinstance(parts[0], LevelledEmbedding) else Functionals()), False


def with_reference(
    about: dict, arrays: dict[str, np.ndarray], reference: domain_check.Reference | None
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return both with what the domain check compares recordings with, where the model itself does not hold it."""
    if reference is None:
        return about, arrays
    kept = {f"domain {name}": getattr(reference.classifier, name) for name in ("mean", "deviation")}
    return {**about, "domain_features": plain(reference.features)}, {**arrays, **kept}


def begin_model(corpus: Corpus, features: Features, kind: str) -> dict[str, object]:
    """Return the first entries of ``model.json``."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "name": corpus.system.name,
        "classes": corpus.classes,
        "features": plain(features),
        "features_version": FEATURES_VERSION,
    }


def trained_on(corpus: Corpus) -> dict[str, object]:
    """Return what a model was trained on, for ``model.json``."""
    pool = corpus.pool
    synthetic = {} if all(part.corpus.evidence for part in pool.parts) else {"synthetic": True}
    return {
        "corpus": "+".join(part.corpus.name for part in pool.parts),
        "title": pool.title,
        "licence": pool.licence,
        "recordings": pool.recordings,
        "clips": len(corpus),
        "speakers": len(set(corpus.speakers)),
        "encoders": list(corpus.system.encoders),
        **synthetic,
    }


def _at_temperature(draws: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities, ``(draws, clips, classes)``, at another temperature."""
    return np.stack([apply_temperature(scores, temperature) for scores in draws])


def _with_temperature(classifier: LinearClassifier, temperature: float) -> LinearClassifier:
    return dataclasses.replace(classifier, temperature=classifier.temperature * temperature)
