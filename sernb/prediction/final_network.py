"""A corpus and a network → a final model; what is known of its predictions comes from the speaker-independent runs.

These runs are those of `sernb experiment`: kept, resumed where they were interrupted, and not done twice. Each tests
speakers that it was not trained on. One more training, on all clips, is the model.
"""

import numpy as np

from sernb.audio.augmentation import ORIGINAL
from sernb.config import plain
from sernb.corpora.pool import parse_pool
from sernb.corpora.preparation import prepare
from sernb.evaluation import apply_temperature, fit_temperature
from sernb.features import Functionals
from sernb.prediction import domain_check
from sernb.prediction.calibration import cross_coverage, firm, least_confidence, thresholds, verdicts
from sernb.prediction.final_model import begin_model, trained_on, with_reference
from sernb.prediction.model_figures import figures_of, foreign_figures
from sernb.prediction.model_folder import Made
from sernb.prediction.training import fold_references
from sernb.prediction.training_corpus import PROTOCOL, Corpus, plan_all, read_signals
from sernb.runs.runner import run_many
from sernb.runtime.progress import progress_line
from sernb.runtime.provenance import provenance
from sernb.systems.base import Examples, Fitted, System, Task


def make_network_model(
    system: System, corpus_name: str, foreign_name: str = "", *, profile: str = "full", jobs: int = -1
) -> Made:
    """Train a network on all clips of a corpus, calibrate and measure it.

    Args:
        system: a network that predicts from its arrays
        foreign_name: a corpus to measure on; nothing is chosen there. Empty: none
        profile: ``full``, or ``quick`` with fewer epochs
        jobs: processes that train folds side by side; -1: one a core
    """
    made = provenance(seconds=0)
    folds = range(len(parse_pool(corpus_name).speaker_folds))
    experiments = plan_all([system.name], corpus_name, PROTOCOL, profile=profile, folds=folds)
    runs, first = run_many(experiments, jobs=jobs), experiments[0]
    clips = first.clips.reset_index(drop=True)
    masks = tuple(clips["clip"].isin(each.fold.test).to_numpy() for each in experiments)
    corpus = Corpus(system, first.corpus, first.labels.classes, clips, np.zeros((len(clips), 0)), (), masks)
    raw = np.zeros((len(corpus), len(corpus.classes)))
    for held, each in zip(masks, runs, strict=True):
        table = each.predictions
        table = table[table["view"] == ORIGINAL.name].set_index("clip")
        raw[held] = table.loc[clips["clip"][held], list(corpus.classes)].to_numpy(float)
    temperature = fit_temperature(corpus.truth, raw)
    scores = apply_temperature(raw, temperature)
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == corpus.truth
    least = least_confidence(confidence, right)
    functionals = Functionals()
    rows, references = fold_references(corpus, functionals)
    measured = _measure(corpus, references, right)
    bounds = domain_check.bounds_of([each["measures"] for each in measured])
    known = {
        "readiness": bounds,
        "sets": {"as_heard": thresholds(corpus.truth, scores[None], corpus.speakers)},
        "unsure_below": least,
    }
    progress_line(f"{system.name}: training on all {len(corpus)} clips")
    settings = system.settings_for(profile)
    fitted = _train(system, settings, corpus)
    reference = domain_check.reference_of(functionals, rows.mean(axis=0), rows.std(axis=0))
    figures = {
        "held-out speakers": figures_of(corpus, scores),
        "coverage": cross_coverage(corpus.truth, scores[None], corpus.speakers, corpus.folds),
        "sure": firm(confidence, right, corpus.speakers, least),
        "readiness": {"clips of unseen speakers": verdicts(measured, bounds)},
    }
    if foreign_name:
        figures["foreign"] = _measure_foreign(foreign_name, corpus, fitted, temperature, reference, known)
    about = {
        **begin_model(corpus, system.features, system.name),
        "settings": plain(settings),
        "longest": float(np.ceil(clips.seconds.max())),
        "unsure_below": least,
        "temperatures": {"as_heard": temperature},
        "sets": known["sets"],
        "readiness": bounds,
        "trained_on": trained_on(corpus),
        "figures": figures,
    }
    return Made(*with_reference(about, fitted.weights, reference), made)


def _train(system: System, settings: object, corpus: Corpus) -> Fitted:
    from threadpoolctl import threadpool_limits

    table = prepare(corpus.pool, system.features, progress=True)
    examples = Examples(tuple(table[clip] for clip in corpus.clips["clip"]), corpus.truth, corpus.clips)
    task = Task(
        examples,
        examples[:0],
        corpus.classes,
        speakers_apart=True,
        times_trained=np.ones(len(corpus), int),
        seed=0,
        features=system.features,
    )
    with threadpool_limits(1):  # how many cores there are decides nothing
        return system.fit(settings, task)


def _measure(corpus: Corpus, references: tuple[domain_check.Reference, ...], right: np.ndarray) -> list[dict]:
    """Measure every clip as one of an unseen speaker."""
    signals = read_signals(corpus.pool, corpus.clips["clip"], references[0].features.sampling_rate)
    return [
        {"measures": references[fold].measure(signal), "right": bool(ok)}
        for fold, signal, ok in zip(corpus.fold_of, signals, right, strict=True)
    ]


def _measure_foreign(
    name: str, corpus: Corpus, fitted: Fitted, temperature: float, reference: domain_check.Reference, known: dict
) -> dict[str, object]:
    pool, features = parse_pool(name), corpus.system.features
    clips = pool.index[pool.index.emotion.isin(corpus.classes)]
    table = prepare(pool, features, progress=True)
    scores = apply_temperature(fitted.scores(tuple(table[clip] for clip in clips["clip"])), temperature)
    measured = list(map(reference.measure, read_signals(pool, clips["clip"], reference.features.sampling_rate)))
    return foreign_figures(pool, clips, corpus.classes, scores, measured, known)
