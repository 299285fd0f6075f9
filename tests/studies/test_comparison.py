"""The page of comparisons: what its first sentences say, against the runs themselves."""

import pytest
from sklearn.metrics import accuracy_score
from test_studies import pretend

from sernb.results.result import collect_results
from sernb.runs.planning import plan
from sernb.studies import comparison

SYSTEMS = ["majority", "statistics-svm", "multiscale-cnn"]


@pytest.mark.parametrize("shown", [SYSTEMS[:2], SYSTEMS])
def test_the_first_sentences_say_what_remains_of_a_published_score(rng, shown):
    experiments = plan(shown, "ravdess", ["as-published", "speaker-independent"], views=[])
    pretend(experiments, rng)
    results, scores = collect_results(experiments), {}
    for each in results:
        chosen = each.predictions[list(each.classes)].astype(float).idxmax(axis=1)
        scores[each.system.name, each.protocol] = accuracy_score(each.predictions.truth, chosen)
    best, lost = comparison.headline(results)
    assert "speaker-independent: UAR" in best
    name, _, said = lost.removeprefix("Largest difference of 2 published systems, ").partition(": ")
    losses = {each: scores[each, "as-published"] - scores[each, "speaker-independent"] for each in shown[1:]}
    assert lost.startswith("Largest") == (len(losses) > 1)
    if len(losses) == 1:
        assert name == "statistics-svm"
        reported, shared, unseen = said.replace(" and ", "; ").split("; ")[:3]
        assert reported == "WAR 68.0 % reported"
        assert shared.startswith(f"here {100 * scores[name, 'as-published']:.1f} [")
        assert unseen.startswith(f"{100 * scores[name, 'speaker-independent']:.1f} [")
        assert said.endswith("chance level 14.3 %).")


def test_nothing_is_said_of_published_scores_on_synthetic_speech(rng):
    experiments = plan(SYSTEMS[:2], "demo", ["as-published", "speaker-independent"], views=[])
    pretend(experiments, rng)
    assert len(comparison.headline(collect_results(experiments))) == 1
