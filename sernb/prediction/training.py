"""Training of linear systems for a final model, and what such classifiers predict for speakers they never met."""

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
from sernb.runtime.progress import progress_line
from sernb.systems.base import Examples, Task
from sernb.systems.learning.linear_classifier import LinearClassifier, classifier_from_arrays

ENROLLED = (4, 16, None)  # available clips of a voice that choose k; None: all
MEASURED = (1, *ENROLLED)
DRAWS = 5
SAMPLED = 12  # clips of each speaker whose copies are measured for the domain check
QUIETER = Gain("18 dB quieter", -18.0)
BITS = 2**15  # recordings are kept in 16 bits


def train(corpus: Corpus, kept: np.ndarray, rows: np.ndarray, copies: Sequence[np.ndarray]) -> LinearClassifier:
    """Train on some clips and their copies, as the system does under a speaker-independent protocol.

    A product of linear classifiers is one linear classifier: its weights are theirs, divided by their temperatures, to
    the power of their shares.

    Args:
        kept: which clips, ``(clips,)`` of booleans
        rows: features of all clips
        copies: the same of each copy
    """
    truth, clips = corpus.truth[kept], corpus.clips[kept].reset_index(drop=True)
    shares = getattr(corpus.system.settings, "shares", (1.0,))
    parts, start = [], 0
    for member, share in zip(members_of(corpus.system), shares, strict=True):
        columns = slice(start, start := start + member.features.width)

        def examples(values: np.ndarray, columns: slice = columns) -> Examples:
            return Examples(tuple(values[kept][:, None, columns]), truth, clips)

        task = Task(
            examples(rows),
            examples(rows)[:0],
            corpus.classes,
            speakers_apart=True,
            times_trained=np.ones(len(truth), int),
            seed=0,
            copies=tuple(map(examples, copies)),
            features=member.features,
        )
        fitted = member.fit(member.settings, task)
        parts.append((share, classifier_from_arrays(fitted.weights, temperature=fitted.chosen["temperature"])))
    if len(parts) == 1:
        return parts[0][1]
    return LinearClassifier(
        np.concatenate([part.mean for _, part in parts]),
        np.concatenate([part.deviation for _, part in parts]),
        np.concatenate([share / part.temperature * part.planes for share, part in parts], axis=1),
    )


def train_adapted(corpus: Corpus, kept: np.ndarray) -> tuple[LinearClassifier, Moments]:
    """Train on speakers who are each standardised with their own clips, copies of a kind apart.

    Returns:
        the classifier; the average speaker
    """
    standardised, own = [np.zeros_like(rows) for rows in (corpus.rows, *corpus.copies)], []
    for at in corpus.by_speaker(kept).values():
        for rows, target in zip((corpus.rows, *corpus.copies), standardised, strict=True):
            own.append(compute_moments([rows[at]]))
            target[at] = standardise(rows[at], own[-1])
    return train(corpus, kept, standardised[0], standardised[1:]), average_moments(own)


@dataclass(frozen=True)
class Unseen:
    """What is predicted for each clip, or copy, by a classifier that was not trained on its speaker."""

    classifiers: tuple[LinearClassifier, ...]  # by fold
    scores: np.ndarray  # (copies, clips, classes)
    enrolled: dict[int | None, np.ndarray]  # available clips → scores, (draws, clips, classes); k chosen on other folds
    k: float  # the best over all folds, for the final model


def predict_unseen(corpus: Corpus, *, strangers: bool) -> Unseen:
    """Train one classifier a fold, or group of strangers, and predict the clips of the other speakers.

    Args:
        strangers: predict the copies of clips of a gender and a sentence that were not trained on, see
            :attr:`Corpus.strangers`
    """
    tested = corpus.copies if strangers and corpus.copies else (corpus.rows,)
    shape = len(corpus), len(corpus.classes)
    scores, classifiers = np.zeros((len(tested), *shape)), []
    tried = {(count, k): np.zeros((DRAWS, *shape)) for count in MEASURED for k in SHRINKAGES}
    for number, (unseen, kept) in enumerate(
        corpus.strangers if strangers else [(held, ~held) for held in corpus.folds]
    ):
        classifier = train(corpus, kept, corpus.rows, corpus.copies)
        for copy, rows in enumerate(tested):
            scores[copy, unseen] = classifier(rows[unseen])
        own, others = train_adapted(corpus, kept)
        for draw in range(DRAWS):
            rng, rows = np.random.default_rng([number, draw]), tested[draw % len(tested)]
            for at in corpus.by_speaker(unseen).values():
                order = rng.permutation(np.flatnonzero(corpus.speakers == corpus.speakers[at[0]]))
                for count, k in tried:
                    moments = shrink(compute_moments([rows[order[:count]]]), others, len(order[:count]), k)
                    tried[count, k][draw, at] = own(standardise(rows[at], moments))
        classifiers.append(classifier)
        reached = uar(np.tile(corpus.truth[unseen], len(tested)), np.concatenate(scores[:, unseen]))
        progress_line(f"{'strangers' if strangers else 'fold'} {number}: UAR {100 * reached:.1f} %")

    def best(mask: np.ndarray) -> float:
        def reached(k: float) -> float:
            return float(np.mean([uar(corpus.truth[mask], s[mask]) for n in ENROLLED for s in tried[n, k]]))

        return max(SHRINKAGES, key=reached)

    chosen = [best(~held) for held in corpus.folds]
    enrolled = {count: np.zeros((DRAWS, *shape)) for count in MEASURED}
    for count, found in enrolled.items():
        for held, k in zip(corpus.folds, chosen, strict=True):
            found[:, held] = tried[count, k][:, held]
    return Unseen(tuple(classifiers), scores, enrolled, best(np.ones(len(corpus), bool)))


def fold_references(corpus: Corpus, features: Functionals) -> tuple[np.ndarray, tuple[domain_check.Reference, ...]]:
    """Return functionals of all clips, and by fold what clips of its unseen speakers are compared with."""
    table = prepare(corpus.pool, features, progress=True)
    rows = np.stack([table[clip][0] for clip in corpus.clips["clip"]]).astype(np.float64)
    kept = [rows[~held] for held in corpus.folds]
    return rows, tuple(domain_check.reference_of(features, each.mean(axis=0), each.std(axis=0)) for each in kept)


def measure(
    corpus: Corpus, unseen: Unseen, references: Sequence[domain_check.Reference] = ()
) -> dict[str, list[dict[str, object]]]:
    """Measure every clip, and copies of some, as clips of unseen speakers.

    Args:
        references: by fold what clips are compared with, where the model reads no functionals

    Returns:
        by name of the copy; "" for the clips: of each recording which clip it is of, its measures, the class that was
        predicted, and whether that is right
    """
    features = features_of(corpus.system)
    sampled = _sample(corpus.clips)
    views = (*corpus.system.training_views, QUIETER)
    found: dict[str, list[dict]] = {name: [] for name in ("", *(view.name for view in views))}

    def note(name: str, at: int, signal: np.ndarray, row: np.ndarray) -> None:
        classifier = unseen.classifiers[corpus.fold_of[at]]
        predicted = int(classifier(row[None]).argmax())
        own = references[corpus.fold_of[at]].measure(signal) if references else None
        measures = own or domain_check.measure(signal, row, features, classifier)
        right = predicted == corpus.truth[at]
        found[name].append({"clip": at, "measures": measures, "right": right, "class": predicted})

    signals = read_signals(corpus.pool, corpus.clips["clip"], features.sampling_rate)
    for at, (clip, signal) in enumerate(zip(corpus.clips["clip"], signals, strict=True)):
        note("", at, signal, corpus.rows[at])
        if at not in sampled:
            continue
        for number, view in enumerate(views):
            copy = apply_view(clip, view, signal, features.sampling_rate)
            if view == QUIETER:
                copy = (np.round(copy * BITS) / BITS).astype(np.float32)
                row = features(copy)[0]
            else:
                row = corpus.copies[number][at]
            note(view.name, at, copy, row)
    return found


def _sample(clips: pd.DataFrame) -> set[int]:
    """Return the positions of some clips of each speaker; of one who has fewer, of all."""
    if clips.speaker.value_counts().min() >= SAMPLED:
        return set(clips.groupby("speaker").sample(SAMPLED, random_state=0).index)
    return set(clips.sample(frac=1, random_state=0).groupby("speaker").head(SAMPLED).index)
