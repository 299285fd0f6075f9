"""The page of comparisons: what its first sentences say, against the runs themselves."""

import pytest
from sklearn.metrics import accuracy_score
from test_studies import pretend

from sernb.results.result import collect_results
from sernb.runs.planning import plan
from sernb.studies import comparison


@pytest.mark.parametrize(("corpus", "count"), [("ravdess", 2), ("demo", 1)])  # nothing is published on synthetic speech
def test_the_first_sentences_say_what_remains_of_a_published_score(rng, corpus, count):
    experiments = plan(["majority", "statistics-svm"], corpus, ["as-published", "speaker-independent"], views=[])
    pretend(experiments, rng)
    results = collect_results(experiments)
    sentences = comparison.headline(results)
    assert len(sentences) == count
    assert "statistics-svm, speaker-independent: UAR" in sentences[0]
    for result in results if count == 2 else ():
        if result.system.name == "statistics-svm":
            truth, classes = result.predictions.truth, list(result.classes)
            score = accuracy_score(truth, result.predictions[classes].astype(float).idxmax(axis=1))
            assert f" {100 * score:.1f} [" in sentences[1]
            assert f"({len(truth)} " in sentences[1]
    assert count == 1 or "WAR 68.0 % reported" in sentences[1]
