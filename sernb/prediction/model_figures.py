"""What a final model is worth: scores of clips that nothing was trained on → figures with intervals, for its card."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sernb.corpora.pool import Pool, parse_pool
from sernb.evaluation import Predictions, bootstrap_interval, calibration_error, evaluate, uar
from sernb.prediction import domain_check
from sernb.prediction.calibration import coverage_with, firm, mean_interval, verdicts
from sernb.prediction.training import QUIETER
from sernb.prediction.training_corpus import Corpus, features_of, read_rows, read_signals
from sernb.systems.learning.linear_classifier import LinearClassifier


def figures_of(corpus: Corpus, scores: np.ndarray) -> dict[str, object]:
    """Return metrics with intervals: all, by gender, by emotion."""
    found = evaluate(corpus.truth, scores, corpus.speakers)
    genders = corpus.clips.gender.to_numpy(str)
    by_gender = {
        name: uar_interval(corpus.truth[at], scores[at], corpus.speakers[at])
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


def strangers_figures(corpus: Corpus, scores: np.ndarray) -> dict[str, str]:
    """Return the UAR of each kind of copy; scores are ``(copies, clips, classes)``."""
    names = [view.name for view in corpus.system.training_views] or ["as recorded"]
    return {name: uar_interval(corpus.truth, each, corpus.speakers) for name, each in zip(names, scores, strict=True)}


def share_of_same(measured: Mapping[str, Sequence[Mapping]], corpus: Corpus) -> str:
    """Return how often the same clip, quieter, gets the same prediction."""
    itself = {each["clip"]: each["class"] for each in measured[""]}
    quieter = measured[QUIETER.name]
    same = np.array([each["class"] == itself[each["clip"]] for each in quieter])
    return mean_interval(same, corpus.speakers[[each["clip"] for each in quieter]])


def enrolment_interval(corpus: Corpus, scores: np.ndarray) -> str:
    """Return the UAR over all draws of the available clips."""
    truth, speakers = (np.tile(each, len(scores)) for each in (corpus.truth, corpus.speakers))
    return uar_interval(truth, np.concatenate(scores), speakers)


def uar_interval(truth: np.ndarray, scores: np.ndarray, speakers: np.ndarray) -> str:
    """Return the UAR with its interval, in per cent."""
    return str(bootstrap_interval(uar, Predictions(truth, scores, speakers)))


def measure_foreign(
    name: str,
    corpus: Corpus,
    classifier: LinearClassifier,
    known: Mapping,
    reference: domain_check.Reference | None = None,
) -> dict[str, object]:
    """Return what the final model does on another corpus, of which nothing was chosen.

    Args:
        known: of the model: ``readiness``, ``sets`` and ``unsure_below``
        reference: what clips are compared with, where the model reads no functionals
    """
    pool, features = parse_pool(name), features_of(corpus.system)
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    rows = read_rows(pool, corpus.system, clips["clip"])
    measured = [
        reference.measure(signal) if reference else domain_check.measure(signal, row, features, classifier)
        for row, signal in zip(rows, read_signals(pool, clips["clip"], features.sampling_rate), strict=True)
    ]
    return foreign_figures(pool, clips, corpus.classes, classifier(rows), measured, known)


def foreign_figures(
    pool: Pool,
    clips: pd.DataFrame,
    classes: Sequence[str],
    scores: np.ndarray,
    measured: Sequence[Mapping[str, float]],
    known: Mapping,
) -> dict[str, object]:
    """Return the figures of another corpus from scores of its clips, ``(clips, classes)``, and their measures."""
    bounds, least = known["readiness"], known["unsure_below"]
    truth, speakers = clips.emotion.map(classes.index).to_numpy(int), clips.speaker.to_numpy(str)
    metrics, right = evaluate(truth, scores, speakers), scores.argmax(axis=1) == truth
    found = [{"measures": each, "right": bool(ok)} for each, ok in zip(measured, right, strict=True)]
    out = np.array([domain_check.check_domain(each, bounds).verdict for each in measured])
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
        "recall by emotion": {name: str(each) for name, each in zip(classes, metrics.recall, strict=True)},
        "sure": firm(confidence, right, speakers, least),
        "coverage": coverage_with(truth, scores, speakers, known["sets"].get("as_heard", {})),
        "readiness": verdicts(found, bounds),
    }
