"""Train linear systems for a final model, and evaluate such classifiers on unseen speakers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sernb.audio.augmentation import Gain, apply_view
from sernb.corpora.preparation import prepare
from sernb.evaluation import uar
from sernb.features import Functionals
from sernb.features.normalisation import SHRINKAGES, Moments, average_moments, compute_moments, shrink, standardise
from sernb.prediction import domain_check
from sernb.prediction.training_corpus import Corpus, features_of, members_of, read_signals
from sernb.runtime.progress import progress_line, ticking_bar
from sernb.systems.base import Examples, Task
from sernb.systems.learning.linear_classifier import LinearClassifier, classifier_from_arrays

ENROLLED = (4, 16, None)  # numbers of enrolment clips on which k is selected; None: all
MEASURED = (1, *ENROLLED)
DRAWS = 5  # of the enrolment clips
SAMPLED = 12  # clips per speaker whose copies are measured for the domain check
QUIETER = Gain("18 dB quieter", -18.0)
BITS = 2**15  # recordings are stored in 16 bits


def train(corpus: Corpus, is_training: np.ndarray, rows: np.ndarray, copies: Sequence[np.ndarray]) -> LinearClassifier:
    """Train on some clips and their augmented copies, as under a speaker-independent protocol.

    An ensemble of linear classifiers by the weighted product of their posteriors is itself a linear classifier: its
    weights are theirs, multiplied by their shares and divided by their temperatures.

    Args:
        corpus: the clips
        is_training: mask of the training clips, ``(clips,)``
        rows: features of all clips, ``(clips, values)``
        copies: the same for each kind of augmented copy
    """
    truth, clips = corpus.truth[is_training], corpus.clips[is_training].reset_index(drop=True)
    weights = getattr(corpus.system.settings, "shares", (1.0,))
    parts, start = [], 0
    for member, weight in zip(members_of(corpus.system), weights, strict=True):
        columns = slice(start, start := start + member.features.width)

        def examples(values: np.ndarray, columns: slice = columns) -> Examples:
            return Examples(tuple(values[is_training][:, None, columns]), truth, clips)

        task = Task(
            examples(rows),
            examples(rows)[:0],
            corpus.classes,
            speaker_independent=True,
            times_trained=np.ones(len(truth), int),
            seed=0,
            copies=tuple(map(examples, copies)),
            features=member.features,
        )
        fitted = member.fit(member.settings, task)
        parts.append((weight, classifier_from_arrays(fitted.weights, temperature=fitted.chosen["temperature"])))
    if len(parts) == 1:
        return parts[0][1]
    return LinearClassifier(
        np.concatenate([part.mean for _, part in parts]),
        np.concatenate([part.deviation for _, part in parts]),
        np.concatenate([weight / part.temperature * part.planes for weight, part in parts], axis=1),
    )


def train_adapted(corpus: Corpus, is_training: np.ndarray) -> tuple[LinearClassifier, Moments]:
    """Train on speaker-normalised features; kinds of augmented copies are normalised apart.

    Args:
        corpus: the clips
        is_training: mask of the training clips, ``(clips,)``

    Returns:
        the classifier, and mean and variance of the average training speaker
    """
    normalised, moments = [np.zeros_like(rows) for rows in (corpus.rows, *corpus.copies)], []
    for positions in corpus.by_speaker(is_training).values():
        for rows, normalised_rows in zip((corpus.rows, *corpus.copies), normalised, strict=True):
            moments.append(compute_moments([rows[positions]]))
            normalised_rows[positions] = standardise(rows[positions], moments[-1])
    return train(corpus, is_training, normalised[0], normalised[1:]), average_moments(moments)


@dataclass(frozen=True)
class UnseenPredictions:
    """Predictions for each clip, or copy, by classifiers that were not trained on its speaker."""

    classifiers: tuple[LinearClassifier, ...]  # by fold
    scores: np.ndarray  # (copies, clips, classes)
    enrolled: dict[
        int | None, np.ndarray
    ]  # enrolment clips → scores, (draws, clips, classes); k selected on other folds
    k: float  # selected on all folds, for the final model


def predict_unseen(corpus: Corpus, *, strangers: bool) -> UnseenPredictions:
    """Train one classifier per fold, or per group of strangers, and predict the held-out clips.

    Args:
        corpus: the clips
        strangers: hold out a gender and a sentence, see :attr:`Corpus.strangers`, and predict augmented copies
    """
    test_rows = corpus.copies if strangers and corpus.copies else (corpus.rows,)
    shape = len(corpus), len(corpus.classes)
    scores, classifiers = np.zeros((len(test_rows), *shape)), []
    trials = {(count, k): np.zeros((DRAWS, *shape)) for count in MEASURED for k in SHRINKAGES}
    kind, whom = ("other gender and sentence", "for another gender") if strangers else ("fold", "for unseen speakers")
    groups = corpus.strangers if strangers else [(is_test, ~is_test) for is_test in corpus.folds]
    with ticking_bar(len(groups), f"{corpus.system.name} {whom}", "training") as bar:
        for number, (unseen, is_training) in enumerate(groups):
            classifier = train(corpus, is_training, corpus.rows, corpus.copies)
            for copy, rows in enumerate(test_rows):
                scores[copy, unseen] = classifier(rows[unseen])
            adapted_classifier, average_speaker = train_adapted(corpus, is_training)
            for draw in range(DRAWS):
                rng, rows = np.random.default_rng([number, draw]), test_rows[draw % len(test_rows)]
                for positions in corpus.by_speaker(unseen).values():
                    order = rng.permutation(np.flatnonzero(corpus.speakers == corpus.speakers[positions[0]]))
                    for count, k in trials:
                        moments = shrink(compute_moments([rows[order[:count]]]), average_speaker, len(order[:count]), k)
                        trials[count, k][draw, positions] = adapted_classifier(standardise(rows[positions], moments))
            classifiers.append(classifier)
            fold_uar = uar(np.tile(corpus.truth[unseen], len(test_rows)), np.concatenate(scores[:, unseen]))
            progress_line(f"{kind} {number}: UAR {100 * fold_uar:.1f} %")
            bar.update()

    def select_k(mask: np.ndarray) -> float:
        def mean_uar(k: float) -> float:
            return float(np.mean([uar(corpus.truth[mask], s[mask]) for n in ENROLLED for s in trials[n, k]]))

        return max(SHRINKAGES, key=mean_uar)

    best_k = [select_k(~is_test) for is_test in corpus.folds]
    enrolled = {count: np.zeros((DRAWS, *shape)) for count in MEASURED}
    for count, fold_scores in enrolled.items():
        for is_test, k in zip(corpus.folds, best_k, strict=True):
            fold_scores[:, is_test] = trials[count, k][:, is_test]
    return UnseenPredictions(tuple(classifiers), scores, enrolled, select_k(np.ones(len(corpus), bool)))


def fold_references(corpus: Corpus, features: Functionals) -> tuple[np.ndarray, tuple[domain_check.Reference, ...]]:
    """Return functionals of all clips, and each fold's domain reference of training speakers."""
    table = prepare(corpus.pool, features, progress=True)
    rows = np.stack([table[clip][0] for clip in corpus.clips["clip"]]).astype(np.float64)
    training_rows = [rows[~is_test] for is_test in corpus.folds]
    return rows, tuple(
        domain_check.make_reference(features, each.mean(axis=0), each.std(axis=0)) for each in training_rows
    )


def measure(
    corpus: Corpus, unseen: UnseenPredictions, references: Sequence[domain_check.Reference] = ()
) -> dict[str, list[dict[str, object]]]:
    """Measure clips, and augmented copies of some, as those of unseen speakers.

    Args:
        corpus: the clips
        unseen: classifiers that were not trained on the speaker of a clip
        references: of the domain check, by fold, if the model uses no functionals

    Returns:
        by name of the copy, "" for the clips themselves: for each recording the number of its clip, its measures, the
        predicted class, and whether the prediction is right
    """
    features = features_of(corpus.system)
    sampled = _sample_clips(corpus.clips)
    views = (*corpus.system.training_views, QUIETER)
    measured: dict[str, list[dict]] = {name: [] for name in ("", *(view.name for view in views))}

    def record(name: str, position: int, signal: np.ndarray, row: np.ndarray) -> None:
        classifier = unseen.classifiers[corpus.fold_of[position]]
        predicted = int(classifier(row[None]).argmax())
        reference_measures = references[corpus.fold_of[position]].measure(signal) if references else None
        measures = reference_measures or domain_check.measure(signal, row, features, classifier)
        is_correct = predicted == corpus.truth[position]
        measured[name].append({"clip": position, "measures": measures, "right": is_correct, "class": predicted})

    signals = read_signals(corpus.pool, corpus.clips["clip"], features.sampling_rate)
    for position, (clip, signal) in enumerate(zip(corpus.clips["clip"], signals, strict=True)):
        record("", position, signal, corpus.rows[position])
        if position not in sampled:
            continue
        for number, view in enumerate(views):
            copy = apply_view(clip, view, signal, features.sampling_rate)
            if view == QUIETER:
                copy = (np.round(copy * BITS) / BITS).astype(np.float32)
                row = features(copy)[0]
            else:
                row = corpus.copies[number][position]
            record(view.name, position, copy, row)
    return measured


def _sample_clips(clips: pd.DataFrame) -> set[int]:
    """Return the positions of ``SAMPLED`` random clips per speaker; all clips of a speaker with fewer."""
    if clips.speaker.value_counts().min() >= SAMPLED:
        return set(clips.groupby("speaker").sample(SAMPLED, random_state=0).index)
    return set(clips.sample(frac=1, random_state=0).groupby("speaker").head(SAMPLED).index)
