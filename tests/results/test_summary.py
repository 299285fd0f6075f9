"""Results in a sentence and in one row a system, from predictions that were made up."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from sernb.evaluation import evaluate
from sernb.results import summary


@dataclass
class System:
    name: str
    features: str = "log-mel"


@dataclass(eq=False)
class Made:
    """As much of a `Result` as a summary reads."""

    system: System
    protocol: str
    classes: tuple[str, ...] = ("angry", "sad")
    speakers: int = 6
    each: int = 10
    whole: int = 60
    folds: str = "3 of 3"
    skill: float = 1.0
    options: str = ""
    seed: int = 0
    clips: pd.DataFrame = field(init=False)

    def __post_init__(self):
        names = [f"{speaker}-{clip}" for speaker in range(self.speakers) for clip in range(self.each)]
        self.clips = pd.DataFrame({"clip": names, "speaker": np.repeat(np.arange(self.speakers), self.each)})
        self.clips["truth"] = np.array(self.classes)[np.arange(len(names)) % len(self.classes)]
        self.experiments = [type("Experiment", (), {"clips": range(self.whole)})]

    @property
    def heading(self):
        return self.protocol

    def metrics(self):
        truth = np.arange(len(self.clips)) % len(self.classes)
        scores = np.random.default_rng(1).normal(size=(len(truth), len(self.classes)))
        scores += self.skill * np.eye(len(self.classes))[truth]
        return evaluate(truth, scores, self.clips.speaker.to_numpy(), seed=0)


STRICT = "speaker-independent"
SEVEN = tuple("abcdefg")


@pytest.fixture
def results():
    return [
        Made(System("majority", ""), STRICT, skill=9.0),
        Made(System("svm"), STRICT, skill=0.5),
        Made(System("cnn"), STRICT, skill=2.0),
        Made(System("cnn"), "as-published", skill=5.0, folds="2 of 10", each=2),
        Made(System("other"), STRICT, SEVEN, skill=6.0),
        Made(System("partial"), STRICT, skill=7.0, speakers=2, folds="1 of 3"),
    ]


def test_best_is_of_those_with_the_same_classes_and_clips_that_use_audio(results):
    assert [each.system.name for each in summary.comparable_results(results)] == ["svm", "cnn"]
    sentence = summary.describe_best(results)
    assert sentence.startswith("Best of 2 systems with the same classes and test clips: cnn, speaker-independent: UAR ")
    assert f"{results[2].metrics().uar} %, chance level 50.0 % (2 classes, 60 clips of 6 speakers, 3 folds)" in sentence


def test_a_part_never_stands_for_the_whole(results):
    assert "(2 classes, 20 of 60 clips of 2 speakers, 1 of 3 folds)" in summary.describe_result(results[-1])
    results[-1].clips["truth"] = "sad"
    assert "(1 of 2 classes: no test clip is angry, 20 of 60 clips" in summary.describe_result(results[-1])
    assert summary.describe_best(results[-1:]) == f"{summary.describe_result(results[-1])}."
    assert summary.describe_best([]) == "Nothing was trained."
    caption = summary.summary_caption(results)
    assert "as-published 12 of 60 clips of 6 speakers, 2 of 10 folds" in caption
    assert f"{STRICT} 60 clips of 6 speakers, 3 folds or 20 of 60 clips of 2 speakers, 1 of 3 folds" in caption


def test_summary_has_one_row_a_system_and_protocols_side_by_side(results):
    table = summary.summary_table(results).set_index("System")
    assert list(table.index) == ["other", "majority", "svm", "cnn", "partial"], "most classes first"
    assert list(table) == [f"UAR {STRICT}", "UAR as-published", "Chance level", "Classes"]
    assert table.loc["cnn"].tolist() == [str(results[2].metrics().uar), str(results[3].metrics().uar), "50.0", 2]
    assert pd.isna(table.loc["svm", "UAR as-published"])
    assert table.loc["other", "Chance level"] == "14.3"
    few = [Made(System("svm"), STRICT, speakers=2), Made(System("cnn"), "random")]
    table = summary.summary_table(few).set_index("System")
    assert str(few[0].metrics().uar) == table.loc["svm", f"UAR {STRICT}"] + " (clips)"
    assert f"Intervals of {STRICT} are over clips" in summary.summary_caption(few)
    assert summary.summary_table([]).empty
