"""The page of comparisons: what its first sentences say, against the runs themselves."""

import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from test_studies import pretend

from sernb.results.result import collect_results
from sernb.runs.planning import plan
from sernb.studies import comparison

SYSTEMS = ["majority", "statistics-svm", "multiscale-cnn"]
METRICS = {"statistics-svm": ("WAR 68.0 %", accuracy_score), "multiscale-cnn": ("UAR 89.7 %", balanced_accuracy_score)}


@pytest.mark.parametrize("shown", [SYSTEMS[:2], SYSTEMS])
def test_the_first_sentences_say_what_remains_of_a_published_score(rng, shown):
    experiments = plan(shown, "ravdess", ["as-published", "speaker-independent"], views=[])
    pretend(experiments, rng)
    scores = {}
    results = collect_results(experiments)
    for each in results:
        if each.system.name in METRICS:
            chosen = each.predictions[list(each.classes)].astype(float).idxmax(axis=1)
            score = METRICS[each.system.name][1](each.predictions.truth, chosen)
            scores.setdefault(each.system.name, {})[each.protocol] = 100 * score
    best, lost = comparison.headline(results)
    assert "speaker-independent: UAR" in best
    name = max(scores, key=lambda each: scores[each]["as-published"] - scores[each]["speaker-independent"])
    among = "Largest difference of 2 published systems, " if len(shown) > 2 else ""
    shared, unseen = (f"{scores[name][protocol]:.1f} [" for protocol in ("as-published", "speaker-independent"))
    assert lost.startswith(f"{among}{name}: {METRICS[name][0]} reported; here {shared}")
    assert f" and {unseen}" in lost
    if name == "statistics-svm":
        assert lost.endswith("chance level 14.3 %).")


def test_nothing_is_said_of_published_scores_on_synthetic_speech(rng):
    experiments = plan(SYSTEMS[:2], "demo", ["as-published", "speaker-independent"], views=[])
    pretend(experiments, rng)
    assert len(comparison.headline(collect_results(experiments))) == 1
