"""What the training page says of plans and audits, from experiments that were never run."""

import pandas as pd
import pytest

from sernb.protocols.protocol import COPY, SPEAKER, TAKE
from sernb.runs.planning import plan
from sernb.studies import training

COLUMNS = ["Protocol", "System", "Leak", "By design", "Test clips"]


@pytest.fixture(scope="module")
def experiments():
    return plan(["majority", "dummynet-zcr"], "demo", ["as-published", "speaker-independent"], profile="quick")


@pytest.fixture
def audit():
    rows = [("as-published", "majority", SPEAKER, "yes", 40), ("as-published", "majority", TAKE, "yes", 8),
            ("as-published", "dummynet-zcr", SPEAKER, "yes", 5)]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def test_conclusions_count_what_is_shared_by_protocol(experiments, audit):
    first, published, strict = training.headline(experiments, audit)
    whole = [plan([name], "demo", ["as-published", "speaker-independent"]) for name in ("majority", "dummynet-zcr")]
    count = f"{len(experiments)} of {sum(map(len, whole))}"
    assert first.startswith(f"{count} trainings of 2 systems under 2 protocols: no test clip has a leak")
    tested = {name: sum(len(each.fold.test) for each in experiments if each.protocol.name == name)
              for name in ("as-published", "speaker-independent")}  # fmt: skip
    shared = "test clips are of a training speaker."
    assert published == f"as-published: 45 of {tested['as-published']} {shared}"
    assert strict == f"speaker-independent: none of {tested['speaker-independent']} {shared}"
    audit.loc[len(audit)] = ["speaker-independent", "majority", COPY, "NO", 3]
    assert "3 test clips have a leak" in training.headline(experiments, audit)[0]


def test_leaks_by_protocol_sum_over_systems(experiments, audit):
    table = training.leaks_by_protocol(experiments, audit)
    assert table.loc["as-published", [SPEAKER, TAKE]].tolist() == ["45", "8"]
    assert table.loc["speaker-independent", [SPEAKER, TAKE]].tolist() == ["0", "0"]
    nothing = training.leaks_by_protocol(experiments, audit[:0])
    assert list(nothing) == ["Test clips"]


def test_plan_has_one_row_a_training(experiments):
    table = training.plan_table(experiments)
    assert len(table) == len(experiments)
    assert table["Test clips"].tolist() == [len(each.fold.test) for each in experiments]
    assert set(table.Epochs[table.System == "majority"]) == {"none"}
