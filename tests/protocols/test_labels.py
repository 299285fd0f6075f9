"""Label sets are data: what each keeps, merges and drops of the published corpora."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from sernb.config import DataError, digest
from sernb.corpora.local_index import read_index
from sernb.corpora.record import EMOTIONS
from sernb.corpora.registry import get_corpus
from sernb.protocols.labels import LABEL_SETS, get_label_set, values_of

RAVDESS, CREMA_D, EMODB = (read_index(get_corpus(name)) for name in ("ravdess", "crema_d", "emodb"))


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_classes_are_emotions_in_their_one_order(labels):
    assert get_label_set(labels.name) is labels
    assert list(labels.classes) == [emotion for emotion in EMOTIONS if emotion in labels.classes]
    assert {source for source, _ in labels.becomes} <= set(EMOTIONS)
    assert len(dict(labels.becomes)) == len(labels.becomes)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("eight", 8), ("seven", 7), ("calm-as-neutral", 7), ("seven-bored", 7), ("six", 6), ("six-perceived", 6),
        ("multitask-eight", 8), ("multitask-eight-official", 8), ("multitask-six", 6), ("five", 5), ("four", 4),
    ],
)  # fmt: skip
def test_each_set_has_as_many_classes_as_was_published(name, classes):
    assert len(get_label_set(name).classes) == classes


def test_finished_runs_keep_their_names():
    # Parts of the names of runs since the first reference results.
    assert digest(get_label_set("eight")) == "c8e54da5f47b3dbd"
    assert digest(get_label_set("calm-as-neutral")) == "dfc7a70638f1f748"


# Clips by class, from the counts of the corpora: 192 an emotion in RAVDESS, 96 of them neutral; 1271 in CREMA-D.
KEPT = {
    ("eight", "ravdess"): ({"neutral": 96, "calm": 192, "happy": 192}, {}),
    ("seven", "ravdess"): ({"neutral": 96 + 192}, {}),
    ("calm-as-neutral", "ravdess"): ({"neutral": 192}, {"neutral": 96}),
    ("six", "ravdess"): ({"neutral": 288, "happy": 192}, {"surprised": 192}),
    ("multitask-six", "ravdess"): ({"neutral": 96, "surprised": 192}, {"calm": 192, "disgust": 192}),
    ("four", "ravdess"): ({"neutral": 288}, {"fearful": 192, "disgust": 192, "surprised": 192}),
    ("six", "crema_d"): ({"neutral": 1087, "sad": 1271}, {}),
    ("seven-bored", "emodb"): ({"bored": 81, "angry": 127}, {}),
    ("seven", "emodb"): ({"angry": 127}, {"bored": 81}),
}


@pytest.mark.parametrize(("name", "corpus"), KEPT)
def test_what_is_kept_and_what_is_dropped_is_counted(name, corpus):
    index, labels = read_index(get_corpus(corpus)), get_label_set(name)
    kept, dropped = KEPT[name, corpus]
    counts = Counter(labels.truths_of(index).dropna())
    assert {emotion: counts[emotion] for emotion in kept} == kept
    assert labels.dropped(index) == dropped
    assert sum(counts.values()) + sum(dropped.values()) == len(index)


def test_the_cross_corpus_test_of_system_002_has_its_1056_clips():
    assert get_label_set("multitask-six").truths_of(RAVDESS).notna().sum() == 1056


def test_what_listeners_heard_can_be_the_label():
    perceived = get_label_set("six-perceived")
    truths = perceived.truths_of(CREMA_D)
    assert int((truths == CREMA_D.emotion).sum()) == 3099
    assert int(truths.isna().sum()) == sum(perceived.dropped(CREMA_D).values()) == 644
    assert all(":" in votes for votes in perceived.dropped(CREMA_D))


def test_a_corpus_without_the_column_is_refused():
    with pytest.raises(
        DataError, match="label set six-perceived: reads the column perceived, which these corpora do not"
    ):
        get_label_set("six-perceived").truths_of(EMODB)


def test_votes_are_read_where_a_corpus_has_them_and_its_labels_elsewhere():
    """A turn whose votes name nothing that is learned has no class, though its corpus's label has one."""
    labels = get_label_set("multitask-eight")
    index = pd.DataFrame(
        {
            "corpus": ["iemocap"] * 4 + ["ravdess"] * 2,
            "emotion": ["neutral", "", "sad", "disgust", "happy", "calm"],
            "tally": ["excited", "frustrated", "", "sad", "", ""],
        }
    )
    assert labels.truths_of(index).fillna("-").tolist() == ["excited", "frustrated", "-", "sad", "happy", "-"]
    assert labels.dropped(index) == {"": 1, "calm": 1}
    assert labels.within(index).classes == ("happy", "excited", "sad", "frustrated")
    official = get_label_set("multitask-eight-official")
    assert labels.on(index) is labels
    assert labels.on(RAVDESS) is official
    assert labels.within(RAVDESS) == official.within(RAVDESS), "one run, whichever name"
    assert labels.truths_of(RAVDESS).equals(official.truths_of(RAVDESS))


def test_dimensions_are_the_means_that_were_asked_for():
    index = pd.DataFrame({"corpus": ["a", "a", "b"], "valence": ["2", "", 4.5], "tally_valence": [3.1, 1.0, None]})
    assert values_of(index, "valence", tallied=True).tolist() == [3.1, 1.0, 4.5]
    np.testing.assert_array_equal(values_of(index, "valence", tallied=False), [2, np.nan, 4.5])
    assert np.isnan(values_of(index, "arousal", tallied=True)).all()


def test_excited_is_merged_into_happy_or_kept_apart():
    emotions = pd.Series(["happy", "excited", "frustrated", ""])
    assert get_label_set("four").truths(emotions).fillna("-").tolist() == ["happy", "happy", "-", "-"]
    assert get_label_set("five").truths(emotions).fillna("-").tolist() == ["happy", "excited", "-", "-"]


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"^no label set is named 'nine'; known: eight, seven, "):
        get_label_set("nine")


def test_a_class_that_no_clip_has_is_none():
    assert get_label_set("eight").within(RAVDESS) == get_label_set("eight")
    assert get_label_set("eight").within(CREMA_D).classes == (
        "neutral",
        "happy",
        "sad",
        "angry",
        "fearful",
        "disgust",
    )
    assert get_label_set("seven").within(EMODB).classes == get_label_set("six").classes
    with pytest.raises(DataError, match="label set six: drops every clip"):
        get_label_set("six").within(RAVDESS[RAVDESS.emotion == "surprised"])
