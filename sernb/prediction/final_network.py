"""Train a final network on all clips of a corpus; calibrate and evaluate it with speaker-independent runs.

The runs are those of `sernb experiment`: stored, resumed after an interruption, and not repeated. Each tests speakers
that it was not trained on. One more training, on all clips, gives the final model.
"""

import numpy as np

from sernb.audio.augmentation import ORIGINAL, View
from sernb.config import plain
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.evaluation import apply_temperature, fit_temperature
from sernb.features import LevelledFunctionals
from sernb.prediction import domain_check
from sernb.prediction.calibration import (
    conformal_thresholds,
    cross_coverage,
    firm_accuracy,
    least_confidence,
    verdict_accuracy,
)
from sernb.prediction.final_model import add_reference, base_metadata, describe_training, domain_functionals
from sernb.prediction.model_figures import compute_metrics, foreign_metrics
from sernb.prediction.model_folder import TrainedModel
from sernb.prediction.training import fold_references
from sernb.prediction.training_corpus import PROTOCOL, Corpus, plan_all, read_signals
from sernb.runs.runner import run_many
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import provenance
from sernb.systems.base import Examples, Fitted, System, Task


def make_network_model(
    system: System, corpus_name: str, foreign_name: str = "", *, profile: str = "full", jobs: int = -1
) -> TrainedModel:
    """Train a network on all clips of a corpus, calibrate and evaluate it.

    Args:
        system: a network that can be restored from its arrays
        corpus_name: an expression, see :mod:`sernb.corpora.pool`
        foreign_name: a further corpus for evaluation only; empty: none
        profile: ``full``, or ``quick`` with fewer epochs
        jobs: processes that train folds in parallel; -1: one per core
    """
    record = provenance(seconds=0)
    folds = range(len(parse_pool(corpus_name).speaker_folds))
    experiments = plan_all([system.name], corpus_name, PROTOCOL, profile=profile, folds=folds)
    runs, first = run_many(experiments, jobs=jobs), experiments[0]
    clips = first.clips.reset_index(drop=True)
    masks = tuple(clips["clip"].isin(each.fold.test).to_numpy() for each in experiments)
    corpus = Corpus(system, first.corpus, first.labels.classes, clips, np.zeros((len(clips), 0)), (), masks)
    raw = np.zeros((len(corpus), len(corpus.classes)))
    for is_test, each in zip(masks, runs, strict=True):
        table = each.predictions
        table = table[table["view"] == ORIGINAL.name].set_index("clip")
        raw[is_test] = table.loc[clips["clip"][is_test], list(corpus.classes)].to_numpy(float)
    temperature = fit_temperature(corpus.truth, raw)
    scores = apply_temperature(raw, temperature)
    confidence, is_correct = scores.max(axis=1), scores.argmax(axis=1) == corpus.truth
    least_firm = least_confidence(confidence, is_correct)
    functionals, _ = domain_functionals(system.features)
    rows, references = fold_references(corpus, functionals)
    measured = _measure(corpus, references, is_correct)
    bounds = domain_check.compute_bounds(
        [each["measures"] for each in measured], any_level=isinstance(functionals, LevelledFunctionals)
    )
    calibration = {
        "readiness": bounds,
        "sets": {"as_heard": conformal_thresholds(corpus.truth, scores[None], corpus.speakers)},
        "unsure_below": least_firm,
    }
    progress_line(f"{system.name}: training on all {len(corpus)} clips")
    settings = system.settings_for(profile)
    fitted = _train(system, settings, corpus)
    reference = domain_check.make_reference(functionals, rows.mean(axis=0), rows.std(axis=0))
    figures = {
        "held-out speakers": compute_metrics(corpus, scores),
        "coverage": cross_coverage(corpus.truth, scores[None], corpus.speakers, corpus.folds),
        "sure": firm_accuracy(confidence, is_correct, corpus.speakers, least_firm),
        "readiness": {"clips of unseen speakers": verdict_accuracy(measured, bounds)},
    }
    if foreign_name:
        figures["foreign"] = _measure_foreign(foreign_name, corpus, fitted, temperature, reference, calibration)
    metadata = {
        **base_metadata(corpus, system.features, system.name),
        "settings": plain(settings),
        "longest": float(np.ceil(clips.seconds.max())),
        "unsure_below": least_firm,
        "temperatures": {"as_heard": temperature},
        "sets": calibration["sets"],
        "readiness": bounds,
        "trained_on": describe_training(corpus),
        "figures": figures,
    }
    return TrainedModel(*add_reference(metadata, fitted.weights, reference), record)


def _train(system: System, settings: object, corpus: Corpus) -> Fitted:
    from threadpoolctl import threadpool_limits

    def make_examples(view: View = ORIGINAL) -> Examples:
        table = prepare(corpus.pool, system.features, view=view, progress=True)
        return Examples(tuple(table[clip] for clip in corpus.clips["clip"]), corpus.truth, corpus.clips)

    examples = make_examples()
    task = Task(
        examples,
        examples[:0],
        corpus.classes,
        speaker_independent=True,
        times_trained=np.ones(len(corpus), int),
        seed=0,
        copies=tuple(map(make_examples, system.training_views)),
        features=system.features,
    )
    with threadpool_limits(1):  # results do not depend on the number of cores
        return system.fit(settings, task)


def _measure(corpus: Corpus, references: tuple[domain_check.Reference, ...], is_correct: np.ndarray) -> list[dict]:
    """Measure every clip as a clip of an unseen speaker for the domain check."""
    signals = read_signals(corpus.pool, corpus.clips["clip"], references[0].features.sampling_rate)
    return [
        {"measures": references[fold].measure(signal), "right": bool(correct)}
        for fold, signal, correct in zip(corpus.fold_of, signals, is_correct, strict=True)
    ]


def _measure_foreign(
    name: str, corpus: Corpus, fitted: Fitted, temperature: float, reference: domain_check.Reference, calibration: dict
) -> dict[str, object]:
    pool, features = parse_pool(name), corpus.system.features
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    table = prepare(pool, features, progress=True)
    scores = apply_temperature(fitted.scores(tuple(table[clip] for clip in clips["clip"])), temperature)
    measured = list(map(reference.measure, read_signals(pool, clips["clip"], reference.features.sampling_rate)))
    return foreign_metrics(pool, clips, corpus.classes, scores, measured, calibration)
