"""Evaluation of a final model for its card: metrics with confidence intervals on clips that were not trained on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sernb.corpora.pool import Pool, parse_pool
from sernb.evaluation import Predictions, bootstrap_interval, calibration_error, evaluate, uar
from sernb.prediction import domain_check
from sernb.prediction.calibration import firm_accuracy, mean_interval, measure_coverage, verdict_accuracy
from sernb.prediction.training import QUIETER
from sernb.prediction.training_corpus import Corpus, features_of, read_rows, read_signals
from sernb.systems.learning.linear_classifier import LinearClassifier


def compute_metrics(corpus: Corpus, scores: np.ndarray) -> dict[str, object]:
    """Return metrics with intervals, overall, by gender and by emotion, for the model card."""
    metrics = evaluate(corpus.truth, scores, corpus.speakers)
    genders = corpus.clips.gender.to_numpy(str)
    by_gender = {
        name: uar_interval(corpus.truth[mask], scores[mask], corpus.speakers[mask])
        for name in sorted(set(genders))
        for mask in [genders == name]
    }
    return {
        "clips": metrics.clips,
        "speakers": metrics.speakers,
        "UAR": str(metrics.uar),
        "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        "WAR": str(metrics.war),
        "WAR floor": f"{100 * metrics.war_floor:.1f}",
        "top-3": str(metrics.top3),
        "top-3 floor": f"{100 * metrics.top3_floor:.1f}",
        "calibration error": f"{100 * calibration_error(corpus.truth, scores):.1f}",
        "UAR by gender": by_gender,
        "recall by emotion": {name: str(each) for name, each in zip(corpus.classes, metrics.recall, strict=True)},
    }


def stranger_metrics(corpus: Corpus, scores: np.ndarray) -> dict[str, str]:
    """Return the UAR on each kind of augmented copy; scores are ``(copies, clips, classes)``."""
    names = [view.name for view in corpus.system.training_views] or ["as recorded"]
    return {name: uar_interval(corpus.truth, each, corpus.speakers) for name, each in zip(names, scores, strict=True)}


def quieter_agreement(measured: Mapping[str, Sequence[Mapping]], corpus: Corpus) -> str:
    """Return how often a clip gets the same prediction when it is quieter."""
    original = {each["clip"]: each["class"] for each in measured[""]}
    quieter = measured[QUIETER.name]
    is_same = np.array([each["class"] == original[each["clip"]] for each in quieter])
    return mean_interval(is_same, corpus.speakers[[each["clip"] for each in quieter]])


def enrolment_interval(corpus: Corpus, scores: np.ndarray) -> str:
    """Return the UAR over all draws of enrolment clips; scores are ``(draws, clips, classes)``."""
    truth, speakers = (np.tile(each, len(scores)) for each in (corpus.truth, corpus.speakers))
    return uar_interval(truth, np.concatenate(scores), speakers)


def uar_interval(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray) -> str:
    """Return the UAR with its confidence interval, per cent."""
    return str(bootstrap_interval(uar, Predictions(truth, scores, speakers)))


def measure_foreign(
    name: str,
    corpus: Corpus,
    classifier: LinearClassifier,
    metadata: Mapping,
    reference: domain_check.Reference | None = None,
) -> dict[str, object]:
    """Evaluate a linear final model on another corpus, on which nothing was selected.

    Args:
        name: of the other corpus
        corpus: the model was trained on
        classifier: the final model
        metadata: of the model: ``readiness``, ``sets`` and ``unsure_below``
        reference: of the domain check, if the model uses no functionals
    """
    pool, features = parse_pool(name), features_of(corpus.system)
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    rows = read_rows(pool, corpus.system, clips["clip"])
    measured = [
        reference.measure(signal) if reference else domain_check.measure(signal, row, features, classifier)
        for row, signal in zip(rows, read_signals(pool, clips["clip"], features.sampling_rate), strict=True)
    ]
    return foreign_metrics(pool, clips, corpus.classes, classifier(rows), measured, metadata)


def foreign_metrics(
    pool: Pool,
    clips: pd.DataFrame,
    classes: Sequence[str],
    scores: np.ndarray,
    measured: Sequence[Mapping[str, float]],
    metadata: Mapping,
) -> dict[str, object]:
    """Return metrics on another corpus from scores, ``(clips, classes)``, and measures."""
    bounds, least_confidence = metadata["readiness"], metadata["unsure_below"]
    truth, speakers = clips.emotion.map(classes.index).to_numpy(int), clips.speaker.to_numpy(str)
    metrics, is_correct = evaluate(truth, scores, speakers), scores.argmax(axis=1) == truth
    checked = [{"measures": each, "right": bool(ok)} for each, ok in zip(measured, is_correct, strict=True)]
    verdicts = np.array([domain_check.check_domain(each, bounds).verdict for each in measured])
    confidence = np.where(verdicts == domain_check.OUT_OF_DOMAIN, 0.0, scores.max(axis=1))
    return {
        "corpus": pool.parts[0].title,
        "clips": metrics.clips,
        "speakers": metrics.speakers,
        "drawn": metrics.resampled,
        "UAR": str(metrics.uar),
        "UAR floor": f"{100 * metrics.uar_floor:.1f}",
        "mean confidence": f"{100 * scores.max(axis=1).mean():.0f}",
        "calibration error": f"{100 * calibration_error(truth, scores):.1f}",
        "recall by emotion": {name: str(each) for name, each in zip(classes, metrics.recall, strict=True)},
        "sure": firm_accuracy(confidence, is_correct, speakers, least_confidence),
        "coverage": measure_coverage(truth, scores, speakers, metadata["sets"].get("as_heard", {})),
        "readiness": verdict_accuracy(checked, bounds),
    }
