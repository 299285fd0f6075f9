"""Train a final linear model on all clips of a corpus, with calibration, evaluation and model card.

Temperature, prediction sets and the confidence threshold of "not sure" are fitted on strangers: clips of a gender and a
sentence that were not trained on, augmented with other rooms and devices. The bounds of the domain check are fitted on
clips of unseen speakers and their augmented copies. Networks, which take long to train, are calibrated on clips of
unseen speakers only (:mod:`sernb.prediction.final_network`). With one training speaker, nothing is calibrated, and the
model card says so. Another corpus serves for evaluation only.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sernb.config import plain
from sernb.evaluation import apply_temperature, fit_temperature
from sernb.features import VERSION as FEATURES_VERSION
from sernb.features import Features, Functionals, Joined, LevelledEmbedding, LevelledFunctionals, WhisperMel
from sernb.prediction import domain_check
from sernb.prediction.calibration import (
    conformal_thresholds,
    cross_coverage,
    firm_accuracy,
    least_confidence,
    verdict_accuracy,
)
from sernb.prediction.loading import FORMAT, FORMAT_VERSION, KINDS
from sernb.prediction.model import Adaptation
from sernb.prediction.model_figures import (
    compute_metrics,
    enrolment_interval,
    measure_foreign,
    quieter_agreement,
    stranger_metrics,
)
from sernb.prediction.model_folder import TrainedModel, write_model
from sernb.prediction.training import DRAWS, fold_references, measure, predict_unseen, train, train_adapted
from sernb.prediction.training_corpus import BY_CLIP, Corpus, features_of, read_corpus
from sernb.runtime.progress import progress_line, ticking_bar
from sernb.runtime.provenance import provenance
from sernb.systems.base import System
from sernb.systems.learning.linear_classifier import LinearClassifier
from sernb.systems.registry import get_system


def train_final_model(system_name: str, corpus_name: str, foreign_name: str, folder: Path) -> None:
    """Train on all clips, calibrate, evaluate, and write the folder of the model with its card.

    Args:
        system_name: a linear system, or an ensemble of such
        corpus_name: an expression, see :mod:`sernb.corpora.pool`
        foreign_name: a further corpus for evaluation only
        folder: to be written
    """
    write_model(make_linear_model(get_system(system_name), corpus_name, foreign_name), folder)


def make_linear_model(system: System, corpus_name: str, foreign_name: str = "") -> TrainedModel:
    """Train a linear system on all clips of a corpus, calibrate and evaluate it.

    Args:
        system: a linear system, or an ensemble of such
        corpus_name: an expression, see :mod:`sernb.corpora.pool`
        foreign_name: a further corpus for evaluation only; empty: none
    """
    record = provenance(seconds=0)  # records the commit at the start of training
    corpus = read_corpus(system, corpus_name)
    unseen, strangers = (predict_unseen(corpus, strangers=each) for each in (False, True))
    truths = np.tile(corpus.truth, len(strangers.scores))
    temperatures = {
        "as_heard": fit_temperature(truths, np.concatenate(strangers.scores)),
        "adapted": fit_temperature(np.tile(corpus.truth, DRAWS), np.concatenate(strangers.enrolled[None])),
    }
    scores = _at_temperature(strangers.scores, temperatures["as_heard"])
    enrolled = {n: _at_temperature(each, temperatures["adapted"]) for n, each in strangers.enrolled.items()}
    sets = {
        "as_heard": conformal_thresholds(corpus.truth, scores, corpus.speakers),
        "adapted": conformal_thresholds(corpus.truth, enrolled[None], corpus.speakers),
        **{
            f"adapted {n}": conformal_thresholds(corpus.truth, each, corpus.speakers)
            for n, each in enrolled.items()
            if n
        },
    }
    features = features_of(system)
    functionals, has_functionals = domain_functionals(features)
    rows, references = (None, ()) if has_functionals else fold_references(corpus, functionals)
    measured = measure(corpus, unseen, references)
    measures = [each["measures"] for all_of in measured.values() for each in all_of]
    bounds = domain_check.compute_bounds(measures, any_level=isinstance(functionals, LevelledFunctionals))
    confidence, is_correct = scores.max(axis=2).ravel(), (scores.argmax(axis=2) == corpus.truth).ravel()
    least_firm = least_confidence(confidence, is_correct)
    all_clips = np.ones(len(corpus), bool)
    with ticking_bar(2, f"{system.name} on all {len(corpus)} clips", "training") as bar:
        classifier = train(corpus, all_clips, corpus.rows, corpus.copies)
        bar.update()
        adapted, average_speaker = train_adapted(corpus, all_clips)
        bar.update()
    classifier = _with_temperature(classifier, temperatures["as_heard"])
    adapted = _with_temperature(adapted, temperatures["adapted"])
    adaptation = Adaptation(adapted, *(values.astype(np.float32) for values in average_speaker), k=strangers.k)
    plain_scores = apply_temperature(unseen.scores[0], temperatures["as_heard"])
    figures = {
        "held-out speakers": compute_metrics(corpus, plain_scores),
        "adapted, all own clips": compute_metrics(corpus, unseen.enrolled[None].mean(axis=0)),
        "adapted": {str(count or "all"): enrolment_interval(corpus, each) for count, each in unseen.enrolled.items()},
        "strangers": stranger_metrics(corpus, scores),
        "coverage": cross_coverage(corpus.truth, scores, corpus.speakers, corpus.folds),
        "coverage, adapted": {
            str(n or "all"): cross_coverage(corpus.truth, each, corpus.speakers, corpus.folds)
            for n, each in enrolled.items()
        },
        "sure": firm_accuracy(confidence, is_correct, np.tile(corpus.speakers, len(scores)), least_firm),
        "readiness": {
            name or "clips of unseen speakers": verdict_accuracy(each, bounds) for name, each in measured.items()
        },
        "same prediction, 18 dB quieter": quieter_agreement(measured, corpus),
    }
    calibration = {"readiness": bounds, "sets": sets, "unsure_below": least_firm}
    reference = (
        None if has_functionals else domain_check.make_reference(functionals, rows.mean(axis=0), rows.std(axis=0))
    )
    if foreign_name:
        figures["foreign"] = measure_foreign(foreign_name, corpus, classifier, calibration, reference)
    arrays = {
        **classifier.arrays,
        **{f"adapted {name}": values for name, values in adaptation.classifier.arrays.items()},
        "average mean": adaptation.mean,
        "average variance": adaptation.variance,
    }
    metadata = {
        **base_metadata(corpus, features, KINDS[0]),
        "limit": classifier.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": least_firm,
        "temperatures": {"as_heard": classifier.temperature, "adapted": adapted.temperature},
        "sets": sets,
        "adaptation_k": strangers.k,
        "readiness": bounds,
        "trained_on": describe_training(corpus),
        "figures": figures,
    }
    return TrainedModel(*add_reference(metadata, arrays, reference), record)


def make_for_one_speaker(system: System, corpus_name: str) -> TrainedModel:
    """Train a linear system on one speaker, without calibration, which needs other speakers."""
    record = provenance(seconds=0)
    corpus = read_corpus(system, corpus_name, BY_CLIP)
    scores = np.zeros((len(corpus), len(corpus.classes)))
    for number, is_test in enumerate(corpus.folds):
        progress_line(f"fold {number}: clips of the same speaker")
        scores[is_test] = train(corpus, ~is_test, corpus.rows, corpus.copies)(corpus.rows[is_test])
    classifier = train(corpus, np.ones(len(corpus), bool), corpus.rows, corpus.copies)
    metadata = {
        **base_metadata(corpus, features_of(system), KINDS[0]),
        "limit": classifier.limit,
        "longest": float(np.ceil(corpus.clips.seconds.max())),
        "unsure_below": 0.0,
        "temperatures": {"as_heard": classifier.temperature},
        "sets": {},
        "trained_on": describe_training(corpus),
        "figures": {"held-out clips": compute_metrics(corpus, scores)},
    }
    return TrainedModel(metadata, classifier.arrays, record)


def domain_functionals(features: Features) -> tuple[Functionals, bool]:
    """Return the functionals for the domain check, and whether the model itself uses them.

    They are levelled for features that are, and for those of fine-tuned encoders, which are trained with gains of up to
    20 dB.
    """
    parts: Sequence[Features] = features.parts if isinstance(features, Joined) else (features,)
    for part in parts:
        if isinstance(part, Functionals):
            return part, True
    return (LevelledFunctionals() if isinstance(parts[0], LevelledEmbedding | WhisperMel) else Functionals()), False


def add_reference(
    metadata: dict, arrays: dict[str, np.ndarray], reference: domain_check.Reference | None
) -> tuple[dict, dict[str, np.ndarray]]:
    """Add the domain check's reference to metadata and arrays; None: the model contains it."""
    if reference is None:
        return metadata, arrays
    reference_arrays = {f"domain {name}": getattr(reference.classifier, name) for name in ("mean", "deviation")}
    return {**metadata, "domain_features": plain(reference.features)}, {**arrays, **reference_arrays}


def base_metadata(corpus: Corpus, features: Features, kind: str) -> dict[str, object]:
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


def describe_training(corpus: Corpus) -> dict[str, object]:
    """Return the description of the training data for ``model.json``."""
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
    """Return probabilities, ``(draws, clips, classes)``, scaled by a temperature."""
    return np.stack([apply_temperature(scores, temperature) for scores in draws])


def _with_temperature(classifier: LinearClassifier, temperature: float) -> LinearClassifier:
    return dataclasses.replace(classifier, temperature=classifier.temperature * temperature)
